//! Carriers: parties that must be told of a binding before its X carries calls, as the state knows them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::account::{is_name, name_type};
use crate::named_enum::named_enum;
use crate::refusal::AdminRefusal;

name_type!(
    /// The name of a carrier. It never has the form of a pool's key, so that trunks can name either.
    CarrierName
);

/// The most carriers there may be: a binding keeps in a byte which of them holds it, and 0 is none.
pub const CARRIERS_MAX: usize = 255;
/// The longest URL, in bytes.
pub const URL_BYTES_MAX: usize = 1_024;
/// The longest list of certificates, as PEM text in bytes.
pub const CA_BYTES_MAX: usize = 65_536;

named_enum! {
    /// By which protocol a carrier is told of bindings.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum CarrierKind {
        /// It is told nothing: its name only says whose the numbers of a pool are.
        #[default]
        None = "none",
        /// JSON over HTTP (`docs/carrier-protocol.md`).
        Http = "http",
    }
}

/// A party that provides X numbers. Pools name it.
///
/// A journal keeps carriers for ever: a field that is added has a default.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carrier {
    /// Its name, unique.
    pub name: CarrierName,
    /// How it is told of bindings.
    #[serde(default)]
    pub kind: CarrierKind,
    /// Where it is told; none of the kind that is told nothing.
    #[serde(default)]
    pub url: Option<Box<str>>,
    /// The certificates by which it is recognized, as PEM text, where the system's do not do.
    #[serde(default)]
    pub ca: Option<Box<str>>,
    /// The key that signs what it is told, sealed under a master key that the state never sees.
    #[serde(default)]
    pub sealed_secret: Option<Box<[u8]>>,
    /// How long a connection may take to come about, in milliseconds: 50 to 10,000.
    pub connect_timeout_ms: u32,
    /// How long a request may take until its whole answer is here, in milliseconds: 50 to 60,000.
    pub request_timeout_ms: u32,
    /// How long a customer's bind or update waits for it, in milliseconds: 100 to 60,000. The vendor's client for
    /// Node.js gives a request up after 3 seconds by itself.
    pub deadline_ms: u32,
    /// How many requests it may have at once: 1 to 1,024.
    pub concurrency: u16,
    /// After how many failures in a row nothing more is asked of it for a while: 1 to 1,000.
    pub breaker_failures: u16,
    /// For how long, in milliseconds: 100 to 600,000; then one request tries it.
    pub breaker_open_ms: u32,
    /// How often what it holds is compared with what is bound, in seconds: 60 to 2,678,400; never if 0.
    #[serde(default = "daily")]
    pub reconcile_every_s: u32,
    /// The last epoch in which what it holds was compared with what is bound; see [`Clock`](crate::state::Clock).
    #[serde(default)]
    pub reconciled_epoch: u32,
}

impl Carrier {
    /// A carrier that is told nothing, with the times of one that is.
    pub fn new(name: CarrierName) -> Self {
        Self {
            name,
            kind: CarrierKind::None,
            url: None,
            ca: None,
            sealed_secret: None,
            connect_timeout_ms: 1_000,
            request_timeout_ms: 2_000,
            deadline_ms: 2_500,
            concurrency: 32,
            breaker_failures: 5,
            breaker_open_ms: 10_000,
            reconcile_every_s: daily(),
            reconciled_epoch: 0,
        }
    }

    /// Whether it must be told of bindings.
    pub fn provisions(&self) -> bool {
        self.kind != CarrierKind::None
    }
}

impl fmt::Debug for Carrier {
    /// Without its secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carrier")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// The default of [`Carrier::reconcile_every_s`].
fn daily() -> u32 {
    86_400
}

/// Whether a carrier can be meant as it is.
///
/// # Errors
/// The first value that cannot.
pub(crate) fn check(carrier: &Carrier) -> Result<(), AdminRefusal> {
    let name = carrier.name.as_str();
    let url = carrier.url.as_deref();
    let is_url = |url: &str| {
        let rest = url
            .strip_prefix("http://")
            .or_else(|| url.strip_prefix("https://"));
        let is_plain = |b: u8| b.is_ascii_graphic();
        rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
            && url.len() <= URL_BYTES_MAX
            && url.bytes().all(is_plain)
    };
    let is_told = carrier.provisions();
    let rules: [(bool, &'static str, &'static str); 11] = [
        (
            is_name(name),
            "carrier name",
            "1 to 64 letters, digits, '-', '_', '.' or '@'",
        ),
        (
            url.is_none_or(is_url),
            "carrier url",
            "http:// or https://, at most 1,024 characters",
        ),
        (
            url.is_some() == is_told,
            "carrier url",
            "needed for kind = \"http\", and only there",
        ),
        (
            carrier.sealed_secret.is_some() == is_told,
            "carrier secret",
            "needed for kind = \"http\", and only there",
        ),
        (
            carrier
                .ca
                .as_ref()
                .is_none_or(|ca| ca.len() <= CA_BYTES_MAX),
            "carrier ca",
            "at most 64 KiB of PEM text",
        ),
        (
            (50..=10_000).contains(&carrier.connect_timeout_ms),
            "carrier connect_timeout_ms",
            "50 to 10000",
        ),
        (
            (50..=60_000).contains(&carrier.request_timeout_ms),
            "carrier request_timeout_ms",
            "50 to 60000",
        ),
        (
            (100..=60_000).contains(&carrier.deadline_ms),
            "carrier deadline_ms",
            "100 to 60000",
        ),
        (
            (1..=1_024).contains(&carrier.concurrency),
            "carrier concurrency",
            "1 to 1024",
        ),
        (
            (1..=1_000).contains(&carrier.breaker_failures)
                && (100..=600_000).contains(&carrier.breaker_open_ms),
            "carrier breaker",
            "1 to 1000 failures, open for 100 to 600000 milliseconds",
        ),
        (
            carrier.reconcile_every_s == 0 || (60..=2_678_400).contains(&carrier.reconcile_every_s),
            "carrier reconcile_every_s",
            "60 to 2678400, or 0 for never",
        ),
    ];
    match rules.into_iter().find(|(is_met, ..)| !is_met) {
        Some((_, what, why)) => Err(AdminRefusal::Malformed { what, why }),
        None => Ok(()),
    }
}
