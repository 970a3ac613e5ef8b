//! Asks carriers: one client for each carrier, a file for each kind of protocol and a line in `Protocol`.
//!
//! It sends what it is told to send, once, and says what came back. In which order, how often and how many at once
//! is decided by who asks. Nothing is asked again by itself, except what has provably not left this machine.

mod http;
mod seen;

use maskline_domain::provisioning::{Answer, HeldThere, Request};
use maskline_domain::{Carrier, CarrierKind};

use self::http::Http;
pub use self::seen::Seen;
use crate::seal::Sealer;

/// What a carrier is asked by.
pub struct CarrierClient(Result<Protocol, Seen>);

/// The kinds of carriers that are told something.
enum Protocol {
    /// JSON over HTTP.
    Http(Box<Http>),
}

/// Some of what a carrier holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Bindings, at most as many as were asked for, each once.
    pub held: Vec<HeldThere>,
    /// Where the next page begins; none behind the last.
    pub next: Option<String>,
}

impl CarrierClient {
    /// What this carrier is asked by; `None` for one that is told nothing. Of a carrier that cannot be asked, as for a
    /// secret that does not open, every answer is that nothing was sent, and says why.
    ///
    /// May read the system's authorities from the disk.
    pub fn new(carrier: &Carrier, sealer: &Sealer) -> Option<Self> {
        let protocol = match carrier.kind {
            CarrierKind::None => return None,
            CarrierKind::Http => {
                Http::new(carrier, sealer).map(|http| Protocol::Http(Box::new(http)))
            }
        };
        Some(Self(protocol.map_err(|why| Seen::new(&why))))
    }

    /// Asks for something about one binding, and waits no longer than the carrier's `request_timeout_ms`.
    pub async fn ask(&self, request: &Request) -> (Answer, Seen) {
        match &self.0 {
            Ok(Protocol::Http(http)) => http.ask(request).await,
            Err(why) => (Answer::NotSent, why.clone()),
        }
    }

    /// Asks what the carrier holds behind this cursor of its own, at most `limit` bindings.
    ///
    /// # Errors
    /// What it answered instead, which is never [`Answer::Done`].
    pub async fn query(&self, after: Option<&str>, limit: u16) -> Result<Page, (Answer, Seen)> {
        match &self.0 {
            Ok(Protocol::Http(http)) => http.query(after, limit).await,
            Err(why) => Err((Answer::NotSent, why.clone())),
        }
    }
}
