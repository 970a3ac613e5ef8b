//! Telling carriers of bindings: what they are told, what they may answer, and in which order, how often and for how
//! long one of them is asked.

mod breaker;
mod provisioner;
mod request;
mod rounds;
mod settling;

pub use self::breaker::{Attempt, Breaker, BreakerState};
pub use self::provisioner::{
    ASKED_MAX, NotTaken, OWED_MAX, Output, Provisioner, Settings, Settled,
};
pub use self::request::{Answer, HeldThere, Operation, Request, Terms};
pub use self::rounds::Rounds;
pub use self::settling::{NotDone, Settling, Told, Wait, Written};
