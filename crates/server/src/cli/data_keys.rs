//! The keys of a data directory, or of a backup, for commands that read it themselves.

use std::path::Path;
use std::sync::Arc;

use maskline_journal::Codec;
use maskline_store::UNSEALED;
use maskline_store::data_key::{self, SealedKey};
use maskline_store::db::Connection;
use maskline_store::keyring::Keyring;

use super::Failure;
use crate::config::Loaded;
use crate::seal::{self, KeyOrigin, Sealer};
use crate::serve::{keyring, master_key_place};

/// What was found of the keys.
pub enum Found {
    /// They open what is sealed; or nothing is.
    Codec(Codec),
    /// There is no master key.
    Missing(String),
    /// The master key is another one.
    Wrong(String),
}

impl Found {
    /// What opens the data.
    ///
    /// # Errors
    /// That nothing does.
    pub fn codec(self) -> Result<Codec, Failure> {
        match self {
            Self::Codec(codec) => Ok(codec),
            Self::Missing(why) | Self::Wrong(why) => Err(Failure::Failed(why)),
        }
    }
}

/// Looks for the keys of a database, whose data directory is, or is to be, `data`.
///
/// # Errors
/// When the database cannot be read.
pub async fn find(loaded: &Loaded, data: &Path, conn: &mut Connection) -> Result<Found, Failure> {
    let kept = kept(conn).await?;
    if kept.is_empty() {
        return Ok(Found::Codec(UNSEALED.clone()));
    }
    let (sealer, origin) = match master(loaded, data, &kept) {
        Ok(found) => found,
        Err(why) => return Ok(Found::Missing(why)),
    };
    Ok(match sealer.open_data_keys(&kept) {
        Ok(keys) => Found::Codec(UNSEALED.with_keys(Arc::new(Keyring::opening(keys)))),
        Err(error) => Found::Wrong(not_that(&origin, &error)),
    })
}

/// The same for who writes into a copy of that database: the keyring, if anything is sealed.
///
/// # Errors
/// When there is no master key, or another one; or the database cannot be read.
pub async fn for_writing(
    loaded: &Loaded,
    data: &Path,
    conn: &mut Connection,
) -> Result<Option<Arc<Keyring>>, Failure> {
    let kept = kept(conn).await?;
    if kept.is_empty() {
        return Ok(None);
    }
    let (sealer, origin) = master(loaded, data, &kept).map_err(Failure::Failed)?;
    match keyring(&Arc::new(sealer), &kept) {
        Ok(keyring) => Ok(Some(Arc::new(keyring))),
        Err(error) => Err(Failure::Failed(not_that(&origin, &error))),
    }
}

async fn kept(conn: &mut Connection) -> Result<Vec<SealedKey>, Failure> {
    data_key::list(conn)
        .await
        .map_err(|error| Failure::Failed(error.to_string()))
}

fn master(loaded: &Loaded, data: &Path, kept: &[SealedKey]) -> Result<(Sealer, KeyOrigin), String> {
    let variable = std::env::var("MASKLINE_MASTER_KEY").ok();
    let mut wanted: Vec<&str> = kept.iter().map(|key| key.master.as_str()).collect();
    wanted.dedup();
    let wanted = wanted.join(", ");
    match seal::find(&master_key_place(loaded), variable.as_deref(), data) {
        Ok(Some((keys, origin))) => Ok((Sealer::new(&keys), origin)),
        Ok(None) => Err(format!(
            "the data are sealed, and the master key {wanted} is not here; put it into {}, or name its place by \
             master_key.file, master_key.command or MASKLINE_MASTER_KEY",
            seal::beside(data).display()
        )),
        Err(error) => Err(format!(
            "the data are sealed under the master key {wanted}: {error}"
        )),
    }
}

fn not_that(origin: &KeyOrigin, error: &dyn std::fmt::Display) -> String {
    format!("the master key from {origin} is not that of the data: {error}")
}
