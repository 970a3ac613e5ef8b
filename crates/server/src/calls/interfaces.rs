//! The addresses of this machine's interfaces, which may change while we serve: where media is received at all of
//! them, nobody else is there.

use std::net::IpAddr;
use tokio::time::{Duration, Instant};

/// They are read again so often.
const READ_EVERY: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Interfaces {
    read_at: Option<Instant>,
}

impl Interfaces {
    /// The addresses as they are now; none if they were read a moment ago, or the system does not tell: what it
    /// told last stays.
    pub fn read(&mut self) -> Option<Vec<IpAddr>> {
        if self.read_at.is_some_and(|at| at.elapsed() < READ_EVERY) {
            return None;
        }
        self.read_at = Some(Instant::now());
        match if_addrs::get_if_addrs() {
            Ok(found) => Some(found.iter().map(if_addrs::Interface::ip).collect()),
            Err(error) => {
                tracing::debug!(%error, "the addresses of this machine cannot be read; calls whose media goes in a circle may not be noticed at them");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_loopback_is_found_and_not_read_again_at_once() {
        let mut interfaces = Interfaces::default();
        let found = interfaces.read().expect("readable");
        assert!(found.iter().any(IpAddr::is_loopback), "{found:?}");
        let began = Instant::now();
        let again = interfaces.read();
        assert!(again.is_none() || began.elapsed() >= READ_EVERY);
    }
}
