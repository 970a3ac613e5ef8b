//! Where the master key comes from: `MASKLINE_MASTER_KEY`, a command, or a file outside the data
//! directory. All three give the same text: one key a line, 64 hexadecimal digits, the newest first;
//! empty lines and lines that begin with `#` are passed over.
//!
//! A key is made only when there is nothing yet that it could have sealed: with a file as its place,
//! and a data directory without a database.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use super::KEY_ID_BYTES;

const KEY_BYTES: usize = 32;

/// Most keys in one place: the current one and those from before rotations.
const KEYS_MAX: usize = 16;

/// More text than this is no list of keys.
const TEXT_BYTES_MAX: u64 = 64 * 1024;

/// How often a running key command is looked at.
const COMMAND_POLL: Duration = Duration::from_millis(20);

/// Why there is no master key.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The text is not a list of keys. Never says what it was instead.
    #[error("{origin}: {why}")]
    Malformed {
        /// Where the text came from.
        origin: KeyOrigin,
        /// What is wrong.
        why: &'static str,
    },
    /// The file is missing though there are data sealed under its key.
    #[error(
        "the master key file {} is missing, but {} holds data; put the key back, or name its place \
         by master_key.file, master_key.command or MASKLINE_MASTER_KEY", file.display(), data.display()
    )]
    Lost {
        /// The file.
        file: PathBuf,
        /// The data directory.
        data: PathBuf,
    },
    /// The file stands inside the data directory, and would be copied with it.
    #[error("the master key file {} must not be inside the data directory {}", file.display(), data.display())]
    Inside {
        /// The file.
        file: PathBuf,
        /// The data directory.
        data: PathBuf,
    },
    /// The file can be read by everybody.
    #[error("everybody can read the master key file {}; chmod 600 it", .0.display())]
    Exposed(PathBuf),
    /// The file cannot be read or made.
    #[error("the master key file {}: {cause}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The command failed. Its output is not shown.
    #[error("the master key command `{program}` {why}")]
    Command {
        /// The program.
        program: String,
        /// What happened to it.
        why: String,
    },
    /// The system gives no random bytes.
    #[error("no random bytes for a new master key: {0}")]
    Random(getrandom::Error),
}

/// Where a master key was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyOrigin {
    /// The variable `MASKLINE_MASTER_KEY`.
    Variable,
    /// A command's output.
    Command,
    /// A file that was there.
    File(PathBuf),
    /// A file that was made just now.
    NewFile(PathBuf),
}

impl std::fmt::Display for KeyOrigin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Variable => f.write_str("MASKLINE_MASTER_KEY"),
            Self::Command => f.write_str("the output of master_key.command"),
            Self::File(path) | Self::NewFile(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A key of 256 bits; wiped from memory when dropped, and never shown.
pub struct MasterKey(Zeroizing<[u8; KEY_BYTES]>);

impl MasterKey {
    pub(super) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// A name for the key that tells nothing about it.
    pub(super) fn id(&self) -> [u8; KEY_ID_BYTES] {
        let digest = Sha256::new()
            .chain_update(b"maskline master key id")
            .chain_update(*self.0)
            .finalize();
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&digest[..KEY_ID_BYTES]);
        id
    }
}

/// The master keys of an installation, the newest first; never empty.
pub struct MasterKeys(Vec<MasterKey>);

impl MasterKeys {
    /// Reads the text form.
    ///
    /// # Errors
    /// What is wrong with the text, without a part of it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut keys = Vec::new();
        for line in lines {
            let mut key = Zeroizing::new([0; KEY_BYTES]);
            hex::decode_to_slice(line, key.as_mut_slice())
                .map_err(|_| "a key is 64 hexadecimal digits on a line of its own")?;
            if keys.len() == KEYS_MAX {
                return Err("more than 16 keys");
            }
            keys.push(MasterKey(key));
        }
        if keys.is_empty() {
            return Err("there is no key in it");
        }
        Ok(Self(keys))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &MasterKey> {
        self.0.iter()
    }
}

/// Where the master key is looked for, when `MASKLINE_MASTER_KEY` does not hold it.
#[derive(Clone, Debug)]
pub struct MasterKeyPlace {
    /// The file; none means [`beside`] the data directory.
    pub file: Option<PathBuf>,
    /// A program and its arguments, which prints the key; empty means none. It wins over the file.
    pub command: Vec<String>,
    /// How long the command may take.
    pub command_timeout: Duration,
}

impl MasterKeyPlace {
    fn file(&self, data: &Path) -> PathBuf {
        self.file.clone().unwrap_or_else(|| beside(data))
    }
}

/// Finds the master keys, or makes the first one.
///
/// `variable` is the value of `MASKLINE_MASTER_KEY`; `data` is the data directory, which need not
/// exist yet.
///
/// # Errors
/// See [`KeyError`].
pub fn obtain(
    place: &MasterKeyPlace,
    variable: Option<&str>,
    data: &Path,
) -> Result<(MasterKeys, KeyOrigin), KeyError> {
    let (text, origin) = if let Some(text) = variable {
        (Zeroizing::new(text.to_owned()), KeyOrigin::Variable)
    } else if let Some((program, arguments)) = place.command.split_first() {
        let keys = run(program, arguments, place.command_timeout)?;
        (keys, KeyOrigin::Command)
    } else {
        read_or_make(&place.file(data), data)?
    };
    let keys = MasterKeys::parse(&text).map_err(|why| KeyError::Malformed {
        origin: origin.clone(),
        why,
    })?;
    Ok((keys, origin))
}

/// The same without making anything: `None` where a start would make the first key.
///
/// # Errors
/// See [`KeyError`].
pub fn find(
    place: &MasterKeyPlace,
    variable: Option<&str>,
    data: &Path,
) -> Result<Option<(MasterKeys, KeyOrigin)>, KeyError> {
    let file = place.file(data);
    let is_by_file = variable.is_none() && place.command.is_empty();
    let is_new = || !file.exists() && !data.join(maskline_store::directory::FILE).exists();
    if is_by_file && is_new() && !is_inside(&file, data) {
        return Ok(None);
    }
    obtain(place, variable, data).map(Some)
}

/// `<data>.key`, next to the data directory.
pub fn beside(data: &Path) -> PathBuf {
    let data = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let mut name = data.components().as_path().as_os_str().to_owned();
    name.push(".key");
    PathBuf::from(name)
}

fn read_or_make(file: &Path, data: &Path) -> Result<(Zeroizing<String>, KeyOrigin), KeyError> {
    if is_inside(file, data) {
        return Err(KeyError::Inside {
            file: file.to_owned(),
            data: data.to_owned(),
        });
    }
    let failed = |cause| KeyError::File {
        file: file.to_owned(),
        cause,
    };
    match fs::File::open(file) {
        Ok(opened) => {
            let meta = opened.metadata().map_err(failed)?;
            if meta.is_file() && meta.mode() & 0o007 != 0 {
                return Err(KeyError::Exposed(file.to_owned()));
            }
            let text = read_text(opened).map_err(failed)?;
            Ok((text, KeyOrigin::File(file.to_owned())))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if data.join(maskline_store::directory::FILE).exists() {
                return Err(KeyError::Lost {
                    file: file.to_owned(),
                    data: data.to_owned(),
                });
            }
            let text = make(file)?;
            Ok((text, KeyOrigin::NewFile(file.to_owned())))
        }
        Err(error) => Err(failed(error)),
    }
}

fn make(file: &Path) -> Result<Zeroizing<String>, KeyError> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(key.as_mut_slice()).map_err(KeyError::Random)?;
    let text = Zeroizing::new(format!("{}\n", hex::encode(*key)));
    write_new(file, text.as_bytes()).map_err(|cause| KeyError::File {
        file: file.to_owned(),
        cause,
    })?;
    tracing::warn!(
        file = %file.display(),
        "made a new master key; without it no sealed secret can be read, so keep a copy of it apart \
         from the data and from backups"
    );
    Ok(text)
}

/// Writes a file that was not there, for its owner alone, and makes sure that it stays.
fn write_new(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let parent = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    let mut opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    opened.write_all(bytes)?;
    opened.sync_all()?;
    fs::File::open(parent)?.sync_all()
}

fn is_inside(file: &Path, data: &Path) -> bool {
    let real = |path: &Path| {
        fs::canonicalize(path)
            .or_else(|_| std::path::absolute(path))
            .unwrap_or_else(|_| path.to_owned())
    };
    let parent = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    real(parent.unwrap_or(Path::new("."))).starts_with(real(data))
}

fn read_text(source: impl Read) -> std::io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    source.take(TEXT_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// Runs the command and takes what it prints. Its standard error goes to ours.
fn run(
    program: &str,
    arguments: &[String],
    timeout: Duration,
) -> Result<Zeroizing<String>, KeyError> {
    let failed = |why: String| KeyError::Command {
        program: program.to_owned(),
        why,
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("cannot be started: {error}")))?;
    let stdout = child.stdout.take().expect("standard output is piped");
    // A thread reads while we watch the clock; it ends when the command closes its output.
    let reader = std::thread::spawn(move || read_text(stdout));
    let status = wait(&mut child, timeout)
        .map_err(|error| failed(format!("cannot be waited for: {error}")))?
        .ok_or_else(|| failed(format!("did not end within {} s", timeout.as_secs())))?;
    if !status.success() {
        return Err(failed(format!("failed: {status}")));
    }
    match reader.join() {
        Ok(Ok(text)) => Ok(text),
        _ => Err(failed("printed something that is not text".to_owned())),
    }
}

/// Waits for the child to end; kills it when its time is over.
fn wait(child: &mut Child, timeout: Duration) -> std::io::Result<Option<std::process::ExitStatus>> {
    let end = Instant::now() + timeout;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(COMMAND_POLL);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_first_start_makes_a_key_beside_the_data_and_the_next_finds_it() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let (first, origin) = obtain(&beside_data(), None, &data).unwrap();
        let file = dir.path().join("data.key");
        assert_eq!(origin, KeyOrigin::NewFile(file.clone()));
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        fs::create_dir(&data).unwrap();
        fs::write(data.join("maskline.db"), "x").unwrap();
        let (second, origin) = obtain(&beside_data(), None, &data).unwrap();
        assert_eq!(origin, KeyOrigin::File(file));
        assert_eq!(ids(&first), ids(&second));
    }

    #[test]
    fn a_lost_key_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::write(data.join("maskline.db"), "x").unwrap();
        assert!(matches!(
            obtain(&beside_data(), None, &data),
            Err(KeyError::Lost { .. })
        ));
        assert!(!dir.path().join("data.key").exists());
    }

    #[test]
    fn a_trailing_slash_does_not_put_the_key_inside() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data/");
        let (_, origin) = obtain(&beside_data(), None, &data).unwrap();
        assert_eq!(origin, KeyOrigin::NewFile(dir.path().join("data.key")));
    }

    #[test]
    fn a_key_inside_the_data_or_open_to_all_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        let inside = in_file(&data.join("key"));
        assert!(matches!(
            obtain(&inside, None, &data),
            Err(KeyError::Inside { .. })
        ));

        let file = dir.path().join("key");
        fs::write(&file, hex::encode([1; 32])).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let open = in_file(&file);
        assert!(matches!(
            obtain(&open, None, &data),
            Err(KeyError::Exposed(_))
        ));
    }

    #[test]
    fn the_variable_wins_over_the_command_and_the_command_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let key = |byte: u8| hex::encode([byte; 32]);
        let mut place = beside_data();
        place.command = vec!["echo".into(), key(1)];
        let (keys, origin) = obtain(&place, Some(&key(2)), &data).unwrap();
        assert_eq!(origin, KeyOrigin::Variable);
        assert_eq!(ids(&keys), ids(&MasterKeys::parse(&key(2)).unwrap()));
        let (keys, origin) = obtain(&place, None, &data).unwrap();
        assert_eq!(origin, KeyOrigin::Command);
        assert_eq!(ids(&keys), ids(&MasterKeys::parse(&key(1)).unwrap()));
    }

    #[test]
    fn a_command_that_fails_or_hangs_is_told_without_its_output() {
        let data = tempfile::tempdir().unwrap();
        let mut place = beside_data();
        for (command, told) in [
            (vec!["false"], "failed"),
            (vec!["/nonexistent/x"], "cannot be started"),
            (vec!["sleep", "60"], "did not end within 1 s"),
            (vec!["echo", "s3cret"], "64 hexadecimal digits"),
        ] {
            place.command = command.into_iter().map(str::to_owned).collect();
            place.command_timeout = Duration::from_secs(1);
            let error = obtain(&place, None, data.path()).err().unwrap().to_string();
            assert!(error.contains(told) && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn keys_are_read_with_comments_and_newest_first() {
        let (old, new) = (hex::encode([1; 32]), hex::encode([2; 32]));
        let keys = MasterKeys::parse(&format!("# since May\n{new}\n\n  {old}  \n")).unwrap();
        assert_eq!(ids(&keys)[0], ids(&MasterKeys::parse(&new).unwrap())[0]);
        assert_eq!(keys.0.len(), 2);
        for text in ["", "# only words", "abcd", &format!("{new}{old}")] {
            assert!(MasterKeys::parse(text).is_err(), "{text}");
        }
    }

    fn ids(keys: &MasterKeys) -> Vec<[u8; KEY_ID_BYTES]> {
        keys.iter().map(MasterKey::id).collect()
    }

    fn beside_data() -> MasterKeyPlace {
        MasterKeyPlace {
            file: None,
            command: Vec::new(),
            command_timeout: Duration::from_secs(20),
        }
    }

    fn in_file(file: &Path) -> MasterKeyPlace {
        MasterKeyPlace {
            file: Some(file.to_owned()),
            ..beside_data()
        }
    }
}
