//! The data keys of a directory that are open, for all threads that seal and open.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use maskline_sealing::{
    DataKey, DataKeyId, Exhausted, Kind, Nonces, OpenError, Place, Sealing, Uses,
};
use parking_lot::{Mutex, RwLock};

use crate::data_key::{self, SealedKey};
use crate::db::{Connection, Error};
use crate::maintenance::Maintenance;

/// What digests are made for; authenticated with them.
const DIGEST: &str = "digest";

/// Makes data keys: whoever has the master key.
pub trait MakesKeys: fmt::Debug + Send + Sync {
    /// A new key by chance, open and as it is to be kept.
    ///
    /// # Errors
    /// Why there is none.
    fn make(&self, id: DataKeyId, kind: Kind) -> Result<(DataKey, SealedKey), String>;
}

/// A key that is open.
#[derive(Debug)]
pub struct OpenKey {
    /// What it is for.
    pub kind: Kind,
    /// The key.
    pub key: DataKey,
    /// How many of its uses were promised before.
    pub promised: u64,
}

/// The keys.
pub struct Keyring {
    keys: RwLock<BTreeMap<DataKeyId, (Kind, Arc<DataKey>)>>,
    /// What seals; none where values are only opened.
    sealing: Option<Mutex<Current>>,
    maker: Option<Arc<dyn MakesKeys>>,
    /// Values that did not open.
    unopened: AtomicU64,
}

struct Current {
    key: Arc<DataKey>,
    uses: Uses,
    nonces: Nonces,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys.read();
        f.debug_tuple("Keyring")
            .field(&keys.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// What is to be written down before a key can go on sealing.
#[derive(Debug)]
pub enum Due {
    /// More uses of this key, so many in all.
    Uses(DataKeyId, u64),
    /// Another key, which seals from then on.
    Key(Box<DataKey>, SealedKey),
}

impl Due {
    /// What writes it down.
    pub fn maintenance(&self) -> Maintenance {
        match self {
            Self::Uses(id, promised) => Maintenance::PromiseUses {
                id: *id,
                promised: *promised,
            },
            Self::Key(_, sealed) => Maintenance::AddDataKey(sealed.clone()),
        }
    }
}

impl Keyring {
    /// Opens what is sealed under these keys, and seals nothing.
    pub fn opening(keys: Vec<OpenKey>) -> Self {
        let keys = keys.into_iter().map(|OpenKey { kind, key, .. }| {
            let id = key.id();
            (id, (kind, Arc::new(key)))
        });
        Self {
            keys: RwLock::new(keys.collect()),
            sealing: None,
            maker: None,
            unopened: AtomicU64::new(0),
        }
    }

    /// Seals under the newest key for values too, if there is one, once uses of it are promised ([`Self::due`]).
    /// `seed` is of the system, for nonces; `maker` makes the next key.
    pub fn sealing(keys: Vec<OpenKey>, seed: &[u8; 32], maker: Arc<dyn MakesKeys>) -> Self {
        let newest = (keys.iter())
            .filter(|key| key.kind == Kind::Values)
            .max_by_key(|key| key.key.id())
            .map(|key| (key.key.id(), Uses::behind(key.promised)));
        let mut ring = Self::opening(keys);
        ring.sealing = newest.and_then(|(id, uses)| {
            Some(Mutex::new(Current {
                key: ring.key(id)?,
                uses,
                nonces: Nonces::new(seed),
            }))
        });
        ring.maker = Some(maker);
        ring
    }

    /// The key with this number.
    pub fn key(&self, id: DataKeyId) -> Option<Arc<DataKey>> {
        let keys = self.keys.read();
        keys.get(&id).map(|(_, key)| Arc::clone(key))
    }

    /// The keys of a kind, the newest first.
    pub fn of(&self, kind: Kind) -> Vec<Arc<DataKey>> {
        let keys = self.keys.read();
        let of_kind = keys.values().rev().filter(|(of, _)| *of == kind);
        of_kind.map(|(_, key)| Arc::clone(key)).collect()
    }

    /// How many values did not open since the start.
    pub fn unopened(&self) -> u64 {
        self.unopened.load(Ordering::Relaxed)
    }

    /// What is to be written down by now, if anything; [`Self::took`] takes it in then.
    ///
    /// # Errors
    /// Why there is no other key.
    pub fn due(&self) -> Result<Option<Due>, String> {
        let Some(current) = &self.sealing else {
            return Ok(None);
        };
        let (id, uses) = {
            let current = current.lock();
            (current.key.id(), current.uses)
        };
        match &self.maker {
            Some(maker) if uses.is_ending() => {
                let next = DataKeyId(self.newest().0 + 1);
                let (key, sealed) = maker.make(next, Kind::Values)?;
                Ok(Some(Due::Key(Box::new(key), sealed)))
            }
            _ => Ok(uses.wanted().map(|promised| Due::Uses(id, promised))),
        }
    }

    /// Takes in what has been written down.
    pub fn took(&self, due: Due) {
        let Some(current) = &self.sealing else { return };
        let mut current = current.lock();
        match due {
            Due::Uses(id, promised) if id == current.key.id() => current.uses.promise(promised),
            Due::Uses(..) => {}
            Due::Key(key, sealed) => {
                let key = Arc::new(*key);
                let mut keys = self.keys.write();
                keys.insert(key.id(), (sealed.kind, Arc::clone(&key)));
                current.key = key;
                current.uses = Uses::behind(sealed.promised);
            }
        }
    }

    /// Writes down what is due at a start.
    ///
    /// # Errors
    /// Those of the database; and where no key can be made.
    pub async fn begin(&self, conn: &mut Connection) -> Result<(), BeginError> {
        while let Some(due) = self.due().map_err(BeginError::NoKey)? {
            match &due {
                Due::Uses(id, promised) => {
                    data_key::promise(conn, *id, *promised).await?;
                }
                Due::Key(_, sealed) => data_key::insert(conn, sealed).await?,
            }
            self.took(due);
        }
        Ok(())
    }

    fn newest(&self) -> DataKeyId {
        let keys = self.keys.read();
        keys.keys().next_back().copied().unwrap_or(DataKeyId(0))
    }
}

/// Why nothing can be sealed.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// No key can be made.
    #[error("no new data key: {0}")]
    NoKey(String),
    /// The database said no.
    #[error("cannot write the data keys: {0}")]
    Database(#[from] Error),
}

impl Sealing for Keyring {
    fn seals(&self) -> bool {
        self.sealing.is_some()
    }

    fn seal(&self, place: &Place, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Exhausted> {
        let (key, nonce) = {
            let current = self.sealing.as_ref().ok_or(Exhausted)?;
            let mut current = current.lock();
            if !current.uses.take() {
                return Err(Exhausted);
            }
            (Arc::clone(&current.key), current.nonces.draw())
        };
        key.seal(nonce, place, plain, out);
        Ok(())
    }

    fn open(&self, place: &Place, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        let opened = DataKey::id_of(sealed).and_then(|id| {
            let key = self.key(id).ok_or(OpenError::NoKey(id))?;
            key.open(place, sealed)
        });
        if opened.is_err() {
            self.unopened.fetch_add(1, Ordering::Relaxed);
        }
        opened
    }

    fn digest_key(&self) -> Option<DataKeyId> {
        let current = self.sealing.as_ref()?;
        let current = current.lock();
        Some(current.key.id())
    }

    fn digest(&self, key: DataKeyId, bytes: &[u8]) -> Result<[u8; 32], OpenError> {
        let key = self.key(key).ok_or(OpenError::NoKey(key))?;
        Ok(key.mac(&Place::column(DIGEST), bytes))
    }
}
