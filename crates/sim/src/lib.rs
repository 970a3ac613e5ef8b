//! Worlds from a seed, a slow and obvious model, and the laws.
//!
//! The simulator plays the real commit pipeline and the real rules against
//! chance: customers who race, operators who change things under their hands,
//! disks that fill up, processes that die at any moment, clocks that leap. A
//! model that shares no rule with them says what must come of it, and the laws
//! are checked at every step. See `docs/simulation.md`.

pub mod calls;
pub mod campaign;
pub mod chance;
pub mod faults;
mod law;
pub mod laws;
pub mod model;
mod reference_pipeline;
pub mod world;

pub use faults::Fault;
pub use laws::{Broken, Law};
pub use world::{Failure, Tally, World, run};
