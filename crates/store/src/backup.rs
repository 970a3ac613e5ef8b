//! One consistent copy of a data directory, made while it is in use.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::data_key::{self, SealedKey};
use crate::db::{Error, sqlite};
use crate::directory::{self, FILE, OpenError};
use crate::journal;
use maskline_journal::batch::Tip;
use maskline_journal::payload::WRITER;

/// What a backup says of itself, within its directory.
pub const MANIFEST: &str = "backup.json";
/// Where recordings lie within a data directory.
pub const RECORDINGS: &str = "recordings";

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The program that made it.
    pub writer: String,
    /// The newest batch in it.
    pub seq: u64,
    /// That batch's hash, hexadecimal.
    pub hash: String,
    /// The ids of the master keys without which it is not opened, hexadecimal; none if nothing in it is sealed.
    #[serde(default)]
    pub master_keys: Vec<String>,
    /// The data keys that are in it, each sealed under one of these.
    #[serde(default)]
    pub data_keys: Vec<u32>,
    /// SHA-256 of the database file, hexadecimal.
    pub database_sha256: String,
    /// The recordings there were. They are not copied; they never change once
    /// written, so any copy with the same hash will do.
    pub recordings: Vec<Recording>,
}

/// A recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// Its path within the directory of recordings.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}

/// Why no backup was made, or none can be used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The target exists and is not empty.
    #[error("{} is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// The source cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database said no.
    #[error("cannot copy the database: {0}")]
    Database(#[from] Error),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The copy is not whole.
    #[error("the copy is damaged: {0}")]
    Damaged(String),
}

pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File { path, source }
}

/// Copies the database of `dir` into the new directory `to`, and lists its
/// recordings. Data keys are in it sealed; the master key is not, so the copy
/// is of no use without it.
///
/// # Errors
/// [`BackupError`]; then what is in `to` must not be used.
pub async fn backup(dir: &Path, to: &Path) -> Result<Manifest, BackupError> {
    make_empty(to)?;
    let copy = to.join(FILE);
    let source = directory::readers(dir, 1).await?;
    let mut conn = source.acquire().await?;
    // A path that cannot be said in UTF-8 could not be said in SQL either.
    let name = copy
        .to_str()
        .ok_or_else(|| BackupError::Damaged("the path is not UTF-8".to_owned()))?;
    let copied = sqlite::vacuum_into(&mut conn, name).await;
    drop(conn);
    source.close().await;
    copied?;
    private(&copy)?;
    sync(&copy)?;

    let (tip, keys) = verify(to).await?;
    let masters: BTreeSet<String> = keys.iter().map(|key| key.master.clone()).collect();
    let manifest = Manifest {
        writer: WRITER.to_owned(),
        seq: tip.seq,
        hash: tip.hash.to_string(),
        master_keys: masters.into_iter().collect(),
        data_keys: keys.iter().map(|key| key.id.0).collect(),
        database_sha256: sha256(&copy).map_err(at(&copy))?.0,
        recordings: recordings(&dir.join(RECORDINGS))?,
    };
    let path = to.join(MANIFEST);
    let json = serde_json::to_vec_pretty(&manifest).expect("plain values always serialise");
    let mut file = File::create(&path).map_err(at(&path))?;
    file.write_all(&json).map_err(at(&path))?;
    file.sync_all().map_err(at(&path))?;
    sync(to)?;
    Ok(manifest)
}

/// Puts the database of a backup into the new data directory `dir`. What else
/// a restore must do (a new epoch, the erasures) is done by the ledger.
///
/// # Errors
/// [`BackupError`]; then `dir` must not be used.
pub fn unpack(backup: &Path, dir: &Path) -> Result<Manifest, BackupError> {
    let path = backup.join(MANIFEST);
    let json = fs::read(&path).map_err(at(&path))?;
    let manifest: Manifest = serde_json::from_slice(&json)
        .map_err(|error| BackupError::Damaged(format!("{MANIFEST}: {error}")))?;
    make_empty(dir)?;
    let (from, to) = (backup.join(FILE), dir.join(FILE));
    fs::copy(&from, &to).map_err(at(&from))?;
    let (sum, _) = sha256(&to).map_err(at(&to))?;
    if sum != manifest.database_sha256 {
        return Err(BackupError::Damaged(format!("{FILE} has another hash")));
    }
    private(&to)?;
    sync(&to)?;
    sync(dir)?;
    Ok(manifest)
}

/// Reads the copy as a whole.
async fn verify(to: &Path) -> Result<(Tip, Vec<SealedKey>), BackupError> {
    let mut conn = directory::copy(to).await?;
    let problems = sqlite::quick_check(&mut conn).await?;
    if !problems.is_empty() {
        return Err(BackupError::Damaged(problems.join("; ")));
    }
    let tip = journal::tip(&mut conn).await?;
    let keys = data_key::list(&mut conn).await?;
    conn.close().await?;
    Ok((tip, keys))
}

fn make_empty(dir: &Path) -> Result<(), BackupError> {
    fs::create_dir_all(dir).map_err(at(dir))?;
    if fs::read_dir(dir).map_err(at(dir))?.next().is_some() {
        return Err(BackupError::NotEmpty(dir.to_owned()));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(at(dir))?;
    }
    Ok(())
}

fn private(file: &Path) -> Result<(), BackupError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).map_err(at(file))?;
    }
    Ok(())
}

fn sync(path: &Path) -> Result<(), BackupError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(at(path))
}

fn sha256(path: &Path) -> io::Result<(String, u64)> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((hex::encode(hasher.finalize()), bytes));
        }
        hasher.update(&buffer[..read]);
        bytes += read as u64;
    }
}

/// Every file below the directory of recordings, by path.
fn recordings(dir: &Path) -> Result<Vec<Recording>, BackupError> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(at(&folder)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(at(&folder))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(at(&path))?;
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() {
                let (sha256, bytes) = sha256(&path).map_err(at(&path))?;
                let name = path.strip_prefix(dir).unwrap_or(&path);
                found.push(Recording {
                    path: name.to_string_lossy().into_owned(),
                    bytes,
                    sha256,
                });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}
