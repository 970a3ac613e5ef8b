//! Chance for decisions: bytes that nobody can guess.

use std::fmt;

use parking_lot::Mutex;

/// Random bytes, asked of the system a page at a time.
pub struct Seeds(Mutex<Store>);

struct Store {
    bytes: [u8; 4096],
    used: usize,
}

impl fmt::Debug for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seeds")
    }
}

impl Default for Seeds {
    /// An empty store.
    fn default() -> Self {
        Self(Mutex::new(Store {
            bytes: [0; 4096],
            used: 4096,
        }))
    }
}

impl Seeds {
    /// Bytes that nobody has had before; at most a page of them.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn next<const SIZE: usize>(&self) -> Result<[u8; SIZE], getrandom::Error> {
        const { assert!(SIZE <= 4096) };
        let mut store = self.0.lock();
        if store.used + SIZE > store.bytes.len() {
            getrandom::fill(&mut store.bytes)?;
            store.used = 0;
        }
        let (from, to) = (store.used, store.used + SIZE);
        let mut seed = [0; SIZE];
        seed.copy_from_slice(&store.bytes[from..to]);
        store.bytes[from..to].fill(0);
        store.used = to;
        Ok(seed)
    }

    /// A number that nobody can guess.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn number(&self) -> Result<u64, getrandom::Error> {
        self.next().map(u64::from_ne_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_do_not_repeat() {
        let seeds = Seeds::default();
        let mut given: Vec<[u8; 32]> = (0..1000).map(|_| seeds.next().unwrap()).collect();
        given.sort_unstable();
        given.dedup();
        assert_eq!(given.len(), 1000);
    }
}
