//! Telling carriers of bindings: what they are told, what they may answer.

mod request;

pub use self::request::{Answer, HeldThere, Operation, Request, Terms};
