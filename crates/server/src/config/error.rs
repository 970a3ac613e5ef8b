//! What can be wrong with settings, said where it was written.

use std::fmt;
use std::path::PathBuf;

use crate::mistakes::Mistakes;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// The settings file, with the line, counted from 1.
    File {
        /// The file as named on the command line.
        path: PathBuf,
        /// The line, from 1; 0 when the file as a whole is meant.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// A flag, with its dashes.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: 0 } => write!(f, "{}", path.display()),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// Whose fault it is that a setting does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The setting is wrong, and stays wrong however often it is tried.
    Mistake,
    /// The setting may be right, but what it names is not there or not free now: an address, a port, a
    /// file. A later try may succeed.
    Surroundings,
}

/// A setting that was refused: where it stands, which it is, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where the value was written.
    pub source: Source,
    /// The key, as `section.name`; empty when no key is known, as in a file that does not parse.
    pub key: String,
    /// Why it was refused, for a person.
    pub reason: String,
    /// Whether trying again can help.
    pub fault: Fault,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.source)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for ConfigError {}

/// Everything that is wrong with the settings.
pub type ConfigErrors = Mistakes<ConfigError>;

impl ConfigErrors {
    /// Whether one of them stays wrong however often it is tried.
    pub fn fault(&self) -> Fault {
        match self.iter().any(|error| error.fault == Fault::Mistake) {
            true => Fault::Mistake,
            false => Fault::Surroundings,
        }
    }
}
