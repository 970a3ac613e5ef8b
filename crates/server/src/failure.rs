//! Why the program ends otherwise than in order, and with which exit code: said by the command line and
//! by the start of the service alike.

use crate::config::{ConfigError, ConfigErrors, Fault};

/// Why a command did not do what it should, or the service did not start or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The settings are wrong, or what they name is not there.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The command line is wrong in a way the parser cannot see.
    #[error("{0}")]
    Usage(String),
    /// The service cannot be reached.
    #[error("{0}")]
    Unreachable(String),
    /// It was refused, or failed.
    #[error("{0}")]
    Failed(String),
    /// An address, a port, a file or the disk does not allow it now; trying again may help.
    #[error("{0}")]
    Surroundings(String),
}

/// The exit code when the surroundings do not allow it now: a supervisor tries again. It is `EX_TEMPFAIL`
/// of sysexits.h.
pub const EXIT_SURROUNDINGS: u8 = 75;

impl Failure {
    /// The exit code that tells a script or a supervisor which kind it is.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Config(errors) => match errors.fault() {
                Fault::Mistake => 2,
                Fault::Surroundings => EXIT_SURROUNDINGS,
            },
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
            Self::Surroundings(_) => EXIT_SURROUNDINGS,
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Config(error.into())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}
