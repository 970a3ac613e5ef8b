//! What a binding has besides in a pool whose carrier must be told of it.
//!
//! ```text
//! Reserved ──▶ Confirmed ──▶ Changing ──▶ Confirmed
//!    │            │  ▲           │
//!    │            ▼  │           ▼
//!    │          Renewing ◀───────┘
//!    ▼            ▼
//!  Releasing ──▶ gone
//! ```
//!
//! Bindings of a carrier that is gone for good leave this picture: what is reserved or releasing is gone, all others have
//! no provision any more.
//!
//! Slots are held in every phase, also those of a change; calls go by the binding as it was last confirmed.

use serde::{Deserialize, Serialize};

use super::{Binding, EndCause};
use crate::carrier::CarrierName;
use crate::clock::Timestamp;

/// How far a carrier knows of a binding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provision {
    /// The carrier. It stays, whatever becomes of the pool, unless it is forgotten.
    pub carrier: CarrierName,
    /// How far.
    pub phase: Phase,
    /// Of the newest request about this binding; 1 for the first.
    pub revision: u32,
    /// The fence of that request.
    pub fence: u64,
    /// The fence of the request by which the carrier holds what is confirmed; none while it holds nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<u64>,
    /// The binding as the carrier was asked to hold it, and may hold it, in place of what is confirmed. Its own
    /// provision is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed: Option<Box<Binding>>,
}

/// How far a carrier knows of a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It is asked to hold a new one; nobody was told that there is one.
    Reserved,
    /// It holds it.
    Confirmed,
    /// It holds it, and is asked to hold it on other terms.
    Changing,
    /// It is to be told once more what is confirmed: it may hold other terms, or have lost it.
    Renewing,
    /// It is to hold it no more, whether it does or not. When it does not, the binding is gone.
    Releasing {
        /// Why.
        cause: EndCause,
        /// Since when no call goes by it.
        at: Timestamp,
    },
}

impl Phase {
    /// Whether calls go by the binding.
    pub fn routes(self) -> bool {
        !matches!(self, Phase::Reserved | Phase::Releasing { .. })
    }

    /// Whether its carrier is to hold it no more.
    pub fn is_releasing(self) -> bool {
        matches!(self, Phase::Releasing { .. })
    }

    /// Whether somebody waits for the carrier's answer.
    pub fn is_asked(self) -> bool {
        matches!(self, Phase::Reserved | Phase::Changing)
    }

    /// Whether the carrier must be told, however long it takes.
    pub fn is_owed(self) -> bool {
        matches!(self, Phase::Renewing | Phase::Releasing { .. })
    }

    /// Its name, as operators see it.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Reserved => "reserved",
            Phase::Confirmed => "confirmed",
            Phase::Changing => "changing",
            Phase::Renewing => "renewing",
            Phase::Releasing { .. } => "releasing",
        }
    }
}
