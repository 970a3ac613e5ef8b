//! A data directory in the making: everything is put into a directory within it, and takes its place only
//! at the end. Until then, and after a failure, there is nothing in the data directory that could be
//! served.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use crate::backup::{BackupError, at};
use crate::directory::{FILE, RESTORING};
use crate::erasure::LIST;

/// A data directory in the making.
#[derive(Debug)]
pub struct Staging {
    dir: PathBuf,
    within: PathBuf,
    /// Whether the data directory was made for this.
    is_new: bool,
    owner: Option<(u32, u32)>,
}

impl Staging {
    /// Begins in a directory that is not there or empty, but for what an attempt left that did not come to
    /// its end. With `take_owner`, which only root can do, everything will belong to the owner of the
    /// directory, and of the one above where that is root's or not there.
    ///
    /// # Errors
    /// [`BackupError::NotEmpty`], and those of the file system.
    pub fn begin(dir: &Path, take_owner: bool) -> Result<Self, BackupError> {
        let is_new = !dir.exists();
        let owner = take_owner.then(|| owner_for(dir)).transpose()?.flatten();
        fs::create_dir_all(dir).map_err(at(dir))?;
        let within = dir.join(RESTORING);
        if within.exists() {
            fs::remove_dir_all(&within).map_err(at(&within))?;
        }
        for entry in fs::read_dir(dir).map_err(at(dir))? {
            // That of a fresh file system is nothing.
            if entry.map_err(at(dir))?.file_name() != "lost+found" {
                return Err(BackupError::NotEmpty(dir.to_owned()));
            }
        }
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(at(dir))?;
        fs::create_dir(&within).map_err(at(&within))?;
        sync(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            within,
            is_new,
            owner,
        })
    }

    /// Where to put things meanwhile.
    pub fn path(&self) -> &Path {
        &self.within
    }

    /// Puts everything in its place, the database last, and drops what belongs to a database that is
    /// open: its log must be empty. Whose it is then, where that is not ours.
    ///
    /// # Errors
    /// Those of the file system; then nothing can be served from the directory.
    pub fn finish(self) -> Result<Option<(u32, u32)>, BackupError> {
        // The list is there if anything was erased.
        let all = [LIST, FILE].into_iter();
        let names: Vec<&str> = all.filter(|name| self.within.join(name).exists()).collect();
        if let Some((user, group)) = self.owner {
            for path in names.iter().map(|name| self.within.join(name)) {
                chown(&path, Some(user), Some(group)).map_err(at(&path))?;
            }
            chown(&self.dir, Some(user), Some(group)).map_err(at(&self.dir))?;
        }
        sync(&self.within)?;
        for name in &names {
            let (from, to) = (self.within.join(name), self.dir.join(name));
            fs::rename(&from, &to).map_err(at(&from))?;
        }
        sync(&self.dir)?;
        fs::remove_dir_all(&self.within).map_err(at(&self.within))?;
        sync(&self.dir)?;
        Ok(self.owner)
    }

    /// Takes everything away again, as far as that can be done.
    pub fn abandon(self) {
        // What stays is refused by a start and taken away by the next attempt.
        let _ = fs::remove_dir_all(&self.within);
        if self.is_new {
            let _ = fs::remove_dir(&self.dir);
        }
    }
}

/// Whose the files of a directory should be: its owner, or the first one above who is not root.
fn owner_for(dir: &Path) -> Result<Option<(u32, u32)>, BackupError> {
    let whole = std::path::absolute(dir).map_err(at(dir))?;
    let existing = [Some(whole.as_path()), whole.parent()];
    for path in existing.into_iter().flatten().filter(|path| path.exists()) {
        let meta = fs::metadata(path).map_err(at(path))?;
        if meta.uid() != 0 {
            return Ok(Some((meta.uid(), meta.gid())));
        }
    }
    Ok(None)
}

fn sync(path: &Path) -> Result<(), BackupError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(at(path))
}
