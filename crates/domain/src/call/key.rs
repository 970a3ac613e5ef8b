//! The name of a call among the parts of a process.

/// One call, for as long as the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey(u64);

impl CallKey {
    /// Its number.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl From<u64> for CallKey {
    fn from(number: u64) -> Self {
        Self(number)
    }
}
