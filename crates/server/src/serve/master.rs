//! The master key at a start: found or made, and proved to be the one that the data were sealed
//! under.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use maskline_journal::batch::Tip;
use maskline_sealing::{DataKeyId, Kind};
use maskline_store::data_key::{self, SealedKey};
use maskline_store::directory::DataDir;
use maskline_store::keyring::Keyring;
use maskline_store::{db, journal, meta};

use super::not_opened;
use crate::clocks;
use crate::config::Loaded;
use crate::failure::Failure;
use crate::seal::{
    self, DataKeyError, KeyError, KeyOrigin, MasterKeyPlace, OpenError, ResealError, Sealer, obtain,
};

/// The check value's name among the facts of a store.
const CHECK: &str = "master_key_check";

/// What opens a data directory.
pub struct Keys {
    /// Under the master key.
    pub sealer: Arc<Sealer>,
    /// The data keys; none in a directory in which nothing is sealed yet.
    pub keyring: Option<Arc<Keyring>>,
}

/// The keys of a data directory, which is made if need be.
///
/// # Errors
/// No key, a wrong key, or a data directory that cannot be used.
pub async fn keys(loaded: &Loaded, data: &Path) -> Result<Keys, Failure> {
    let variable = std::env::var("MASKLINE_MASTER_KEY").ok();
    let place = place(loaded);
    let found = tokio::task::block_in_place(|| obtain(&place, variable.as_deref(), data));
    let (keys, origin) = found.map_err(not_found)?;
    let sealer = Arc::new(Sealer::new(&keys));
    let kept = prove(&sealer, &origin, data).await?;
    let keyring = match kept.is_empty() {
        true => None,
        false => {
            let opened = keyring(&sealer, &kept).map_err(|error| match error {
                ResealError::Open(error) => Failure::Failed(unopened(&origin, data, &error)),
                ResealError::Random(error) => Failure::Surroundings(error.to_string()),
            })?;
            Some(Arc::new(opened))
        }
    };
    tracing::debug!(from = %origin, "the master key fits the data");
    Ok(Keys { sealer, keyring })
}

fn unopened(origin: &KeyOrigin, data: &Path, error: &DataKeyError) -> String {
    let data = data.display();
    format!("the master key from {origin} is not that of the data in {data}: {error}")
}

/// Whether a new directory is left unsealed: for tests alone, which look for what must not be found and have to know
/// that they would find it.
fn is_left_unsealed() -> bool {
    std::env::var_os("MASKLINE_TEST_UNSEALED").is_some()
}

/// The data keys of a directory, for who writes into it.
///
/// # Errors
/// [`ResealError`].
pub fn keyring(sealer: &Arc<Sealer>, kept: &[SealedKey]) -> Result<Keyring, ResealError> {
    seal::keyring(sealer, kept, || clocks::read().wall.0)
}

/// Where the settings say that the key is.
pub fn place(loaded: &Loaded) -> MasterKeyPlace {
    let settings = &loaded.settings.master_key;
    MasterKeyPlace {
        file: settings.file.get().map(PathBuf::from),
        command: settings.command.clone(),
        command_timeout: Duration::from_secs(settings.command_timeout_s.into()),
    }
}

/// A key that stands in the wrong place or is none stays so; one that is not there may come.
pub fn not_found(error: KeyError) -> Failure {
    let reason = error.to_string();
    match error {
        KeyError::Malformed { .. } | KeyError::Inside { .. } | KeyError::Exposed(_) => {
            Failure::Failed(reason)
        }
        KeyError::Lost { .. }
        | KeyError::File { .. }
        | KeyError::Command { .. }
        | KeyError::Random(_) => Failure::Surroundings(reason),
    }
}

/// Checks the key against the value kept with the data; data without one get theirs. After a
/// rotation the value is made anew, so that the old key can be dropped one day. Gives the data keys; a directory in
/// which nothing has been written yet gets its first ones.
async fn prove(
    sealer: &Sealer,
    origin: &KeyOrigin,
    data: &Path,
) -> Result<Vec<SealedKey>, Failure> {
    let text = |error: &dyn std::fmt::Display| Failure::Surroundings(error.to_string());
    let dir = DataDir::own(data).map_err(|error| not_opened(error.into()))?;
    let mut conn = dir
        .writer()
        .await
        .map_err(|error| not_opened(error.into()))?;
    let kept = meta::get(&mut conn, CHECK)
        .await
        .map_err(|error| text(&error))?;
    let is_current = match kept {
        None => false,
        Some(kept) => {
            let value =
                hex::decode(kept).map_err(|_| Failure::Failed(OpenError::Malformed.to_string()))?;
            sealer.verify(&value).map_err(|error| {
                let data = data.display();
                let reason = format!(
                    "the master key from {origin} is not that of the data in {data}: {error}"
                );
                Failure::Failed(reason)
            })?;
            sealer.is_current(&value)
        }
    };
    if !is_current {
        let value = sealer.check_value().map_err(|error| text(&error))?;
        let value = hex::encode(value);
        meta::set(&mut conn, CHECK, &value)
            .await
            .map_err(|error| text(&error))?;
    }
    let mut kept = data_key::list(&mut conn)
        .await
        .map_err(|error| text(&error))?;
    let tip = journal::tip(&mut conn)
        .await
        .map_err(|error| text(&error))?;
    let is_new = kept.is_empty() && tip == Tip::GENESIS;
    if is_new && is_left_unsealed() {
        tracing::warn!("MASKLINE_TEST_UNSEALED: this new directory is NOT sealed; for tests alone");
    } else if is_new {
        for (id, kind) in (1..).map(DataKeyId).zip(Kind::ALL) {
            let at = clocks::read().wall.0;
            let (_, made) = sealer
                .new_data_key(id, kind, at)
                .map_err(|error| text(&error))?;
            kept.push(made);
        }
        let written = conn
            .transaction(async |conn| {
                for made in &kept {
                    data_key::insert(conn, made).await?;
                }
                Ok(())
            })
            .await;
        written.map_err(|error: db::Error| text(&error))?;
    }
    conn.close().await.map_err(|error| text(&error))?;
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::MasterKeys;

    #[tokio::test(flavor = "multi_thread")]
    async fn data_are_opened_with_their_own_key_alone() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let sealer = |bytes: &[u8]| {
            let text: Vec<_> = bytes.iter().map(|byte| hex::encode([*byte; 32])).collect();
            Sealer::new(&MasterKeys::parse(&text.join("\n")).unwrap())
        };
        let made = prove(&sealer(&[1]), &KeyOrigin::Variable, &data)
            .await
            .unwrap();
        assert_eq!(made.len(), 2, "a new directory has its keys");
        let kept = prove(&sealer(&[1]), &KeyOrigin::Variable, &data)
            .await
            .unwrap();
        assert_eq!(kept, made);
        let refused = prove(&sealer(&[2]), &KeyOrigin::Variable, &data)
            .await
            .unwrap_err()
            .to_string();
        assert!(refused.contains("is not that of the data"), "{refused}");
        // A rotation: the new key in front, the old one still there; afterwards it may go.
        prove(&sealer(&[2, 1]), &KeyOrigin::Variable, &data)
            .await
            .unwrap();
        prove(&sealer(&[2]), &KeyOrigin::Variable, &data)
            .await
            .unwrap();
        assert!(
            prove(&sealer(&[1]), &KeyOrigin::Variable, &data)
                .await
                .is_err()
        );
    }
}
