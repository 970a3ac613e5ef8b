//! How a change becomes durable, and where everything is kept.
//!
//! A change is decided by the pure rules of `domain`, appended to a journal,
//! and only then acknowledged. The order of these steps is the pipeline; the
//! rest of the crate is tables.

mod ahead;
pub mod backup;
pub mod check;
mod directory;
pub mod erasure;
pub mod failure;
pub mod journal;
pub mod meta;
pub mod payload;
pub mod personal;
pub mod pipeline;
pub mod records;
pub mod recovery;
pub mod schema;
pub mod show;
pub mod snapshot;
pub mod sqlite;
mod squeeze;
pub mod staging;
pub mod work;
