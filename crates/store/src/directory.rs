//! The data directory of one machine: one process owns it, by a lock of the operating system, and it is of its owner
//! alone.
//!
//! In its database one connection writes. Others read: they are `query_only` and short.
//!
//! It holds the numbers of people, so nobody else on the machine may read in it. A directory that we
//! make is so from the start; one that is there already is narrowed where it is surely ours to
//! narrow, and otherwise refused, with the command that makes it fit.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::db::{Connection, Readers, sqlite};

/// The database within the data directory.
pub const FILE: &str = "maskline.db";
/// Where a restore works within the data directory until it has come to its end.
pub const RESTORING: &str = "restoring";
/// The lock within the data directory.
const LOCK: &str = "lock";

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process owns it.
    #[error("{} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// A restore into it has not come to its end.
    #[error(
        "a restore into {} has not come to its end; let it end, or begin it again",
        .0.display()
    )]
    Restoring(PathBuf),
    /// There is no database in it.
    #[error("there is no {FILE} in {}", .0.display())]
    Missing(PathBuf),
    /// The directory or the lock cannot be made.
    #[error("cannot use {}: {source}", path.display())]
    Directory {
        /// What was touched.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others on this machine can look into the directory, and it is not ours to narrow.
    #[error(
        "others can look into {} (mode {mode:04o}), and {why}; name another directory, or make it \
         fit for the data of a service, run: {mend}",
        path.display()
    )]
    Exposed {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// Why it is not narrowed.
        why: String,
        /// The command that makes it private.
        mend: String,
    },
    /// Its database cannot be opened.
    #[error(transparent)]
    Database(#[from] sqlite::FileError),
}

/// A data directory that this process owns until the value is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    // The lock is released when the file is closed.
    _lock: File,
}

impl DataDir {
    /// Makes the directory if need be, readable by its owner alone, and takes
    /// its lock. One that is there is narrowed, if it is ours.
    ///
    /// # Errors
    /// [`OpenError::Locked`] when another process has it;
    /// [`OpenError::Exposed`] when others can look into one that is not ours;
    /// [`OpenError::Restoring`] when what is to lie there is not whole yet.
    pub fn own(path: &Path) -> Result<Self, OpenError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Directory { path, source }
        };
        if path.join(RESTORING).exists() {
            return Err(OpenError::Restoring(path.to_owned()));
        }
        make_private(path)?;
        let lock_path = path.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(failed(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(failed(&lock_path)(source)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the write connection, of which there must be one, and brings the
    /// tables up to date.
    ///
    /// # Errors
    /// [`OpenError`]; among others for a SQLite that is too old.
    pub async fn writer(&self) -> Result<Connection, OpenError> {
        Ok(sqlite::writer(&self.path.join(FILE)).await?)
    }

    /// Connections that can only read, at most `connections_max` of them.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn readers(&self, connections_max: u32) -> Result<Readers, OpenError> {
        readers(&self.path, connections_max).await
    }
}

/// Connections that can only read, for a directory that another process may
/// own.
///
/// # Errors
/// [`OpenError::Missing`] when there is no database.
pub async fn readers(dir: &Path, connections_max: u32) -> Result<Readers, OpenError> {
    let file = dir.join(FILE);
    if !file.exists() {
        return Err(OpenError::Missing(dir.to_owned()));
    }
    Ok(sqlite::readers(&file, connections_max).await?)
}

/// A connection to a copy that nobody else uses and that is not to be changed,
/// not even by making files beside it.
///
/// # Errors
/// [`OpenError::Missing`] when there is no database.
pub async fn copy(dir: &Path) -> Result<Connection, OpenError> {
    let file = dir.join(FILE);
    if !file.exists() {
        return Err(OpenError::Missing(dir.to_owned()));
    }
    Ok(sqlite::copy(&file).await?)
}

/// Makes the directory and its name durable, or sees that the one that is there is private.
///
/// # Errors
/// [`OpenError::Exposed`] when others can look into a directory that is not ours to narrow.
fn make_private(path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Directory {
        path: path.to_owned(),
        source,
    };
    if path.is_dir() {
        return narrow(path);
    }
    make(path).map_err(failed)
}

fn make(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    if let Some(parent) = path.canonicalize()?.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn narrow(_: &Path) -> Result<(), OpenError> {
    Ok(())
}

/// Takes away what group and others may do in a directory of ours: one that belongs to our user, and
/// is empty or holds our database.
#[cfg(unix)]
fn narrow(path: &Path) -> Result<(), OpenError> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    const OTHERS: u32 = 0o077;
    let failed = |source| OpenError::Directory {
        path: path.to_owned(),
        source,
    };
    let found = fs::metadata(path).map_err(failed)?;
    let mode = found.mode() & 0o7777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    let us = rustix::process::geteuid().as_raw();
    let name = quoted(path);
    let exposed = |why: String, mend: String| OpenError::Exposed {
        path: path.to_owned(),
        mode,
        why,
        mend,
    };
    if found.uid() != us {
        return Err(exposed(
            format!("it belongs to another user ({})", found.uid()),
            format!("chown {us} {name} && chmod 700 {name}"),
        ));
    }
    if !is_ours(path).map_err(failed)? {
        return Err(exposed(
            "it is neither empty nor one of ours".to_owned(),
            format!("chmod 700 {name}"),
        ));
    }
    fs::set_permissions(
        path,
        fs::Permissions::from_mode(mode & !OTHERS & 0o777 | 0o700),
    )
    .map_err(failed)?;
    tracing::warn!(
        path = %path.display(),
        mode = format_args!("{mode:04o}"),
        "others could look into the data directory; it is its owner's alone from now on"
    );
    Ok(())
}

/// Whether a directory holds our database or nothing; `lost+found` of a fresh file system is nothing.
#[cfg(unix)]
fn is_ours(path: &Path) -> io::Result<bool> {
    if path.join(FILE).is_file() {
        return Ok(true);
    }
    for entry in fs::read_dir(path)? {
        if entry?.file_name() != "lost+found" {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A path as a shell takes it for one word.
#[cfg(unix)]
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@,:=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    /// A directory with this mode and these files.
    fn directory(name: &str, mode: u32, files: &[&str]) -> (tempfile::TempDir, PathBuf) {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join(name);
        fs::create_dir(&path).unwrap();
        for file in files {
            fs::write(path.join(file), "").unwrap();
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (above, path)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn directories_of_ours_are_narrowed() {
        for (was, files) in [
            (0o755, &[][..]),
            (0o777, &[]),
            (0o750, &[]),
            (0o701, &[]),
            (0o2775, &[]),
            (0o755, &["lost+found"]),
            (0o755, &[FILE, "lock", "notes"]),
            (0o700, &["notes"]),
            (0o700, &[]),
        ] {
            let (_above, path) = directory("data", was, files);
            make_private(&path).unwrap();
            assert_eq!(mode(&path), 0o700, "{was:o} {files:?}");
        }
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("new/data");
        make_private(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
    }

    #[test]
    fn another_directory_is_refused_with_the_command_that_mends_it() {
        for name in ["data", "our data", "it's"] {
            let (_above, path) = directory(name, 0o755, &["notes"]);
            let told = make_private(&path).unwrap_err().to_string();
            assert_eq!(mode(&path), 0o755, "nothing was changed");
            assert!(told.contains("(mode 0755)"), "{told}");
            let (_, command) = told.split_once("run: ").unwrap();
            let done = std::process::Command::new("sh")
                .args(["-c", command])
                .status()
                .unwrap();
            assert!(done.success(), "{command}");
            make_private(&path).unwrap();
            assert_eq!(mode(&path), 0o700);
        }
    }

    #[test]
    fn a_directory_of_another_user_is_refused_even_when_it_is_empty() {
        let (_above, path) = directory("data", 0o755, &[]);
        // Only root can give a directory away.
        if std::os::unix::fs::chown(&path, Some(65_534), None).is_err() {
            return;
        }
        let told = make_private(&path).unwrap_err().to_string();
        assert!(told.contains("another user (65534)"), "{told}");
        assert!(told.contains("run: chown "), "{told}");
        assert_eq!(mode(&path), 0o755);
    }
}
