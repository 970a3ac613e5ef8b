//! The addresses that a process really has, once it serves: printed for whoever started it, and
//! kept in the data directory for the command line.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::admin::credentials::write_private;

/// The file within the data directory.
const FILE: &str = "addresses.json";

/// Each as `HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// The customers' interface, unless plain HTTP is off.
    pub api: Option<String>,
    /// The same with TLS, when there is a certificate.
    pub https: Option<String>,
    /// The operator's interface.
    pub admin: String,
    /// Signalling.
    pub sip: Option<String>,
}

impl Addresses {
    /// What the process that serves a data directory told; `None` when none does.
    pub fn read(data: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(file(data)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Keeps them in the data directory.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self, data: &Path) -> std::io::Result<()> {
        write_private(&file(data), format!("{}\n", self.line()).as_bytes())
    }

    /// Forgets them: nobody serves here any more.
    pub fn forget(data: &Path) {
        // A file that stays only leads to an address where nobody answers.
        let _ = std::fs::remove_file(file(data));
    }

    /// Prints them as one line of JSON on standard output.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn print(&self) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", self.line())?;
        out.flush()
    }

    fn line(&self) -> String {
        serde_json::to_string(self).expect("texts serialise")
    }
}

fn file(data: &Path) -> PathBuf {
    data.join(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_kept_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let addresses = Addresses {
            api: Some("127.0.0.1:41000".into()),
            https: None,
            admin: "127.0.0.1:41001".into(),
            sip: Some("127.0.0.1:41002".into()),
        };
        addresses.write(dir.path()).unwrap();
        assert_eq!(Addresses::read(dir.path()), Some(addresses.clone()));
        let line = addresses.line();
        assert!(
            line.starts_with(r#"{"api":"127.0.0.1:41000","https":null"#),
            "{line}"
        );
        Addresses::forget(dir.path());
        assert_eq!(Addresses::read(dir.path()), None);
    }
}
