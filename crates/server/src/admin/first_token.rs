//! The first token brought back after it was retired. Whoever can write the data directory can do that while the
//! service is stopped: a file asks for it, and the next start does it, in the journal.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use maskline_domain::ops::RestoreFirstToken;
use maskline_domain::{Actor, Envelope};

use super::credentials::write_private;
use crate::ledger::Ledger;

/// The file of the first token in the data directory.
pub const FILE: &str = "admin.token";
/// The file that asks for it.
const ASKED: &str = "restore-first-token";

/// Asks the next start to bring the first token back. The one that was retired stays worthless: the start makes
/// another one.
///
/// # Errors
/// Those of the file system.
pub fn ask(data: &Path) -> std::io::Result<()> {
    write_private(&data.join(ASKED), b"")?;
    remove(&data.join(FILE))
}

/// Brings the first token back if that was asked for.
///
/// # Errors
/// Why it cannot be done.
pub async fn restore_if_asked(ledger: &Ledger, data: &Path) -> Result<(), String> {
    let asked = data.join(ASKED);
    if !asked.exists() {
        return Ok(());
    }
    let envelope = Envelope {
        by: Actor::Job {
            name: "restore-first".into(),
        },
        id: None,
        command: RestoreFirstToken,
    };
    let done = ledger.submit(envelope).await;
    done.map_err(|error| error.to_string())?;
    remove(&asked).map_err(|error| format!("{}: {error}", asked.display()))?;
    tracing::warn!("the first token was brought back, as was asked in the data directory");
    Ok(())
}

fn remove(file: &Path) -> std::io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
