//! Where everything is kept: the journal's table, its snapshots and the records, on SQLite; backup, restore
//! and erasure.
//!
//! What a batch says and in which order a change becomes durable is [`maskline_journal`]'s business.

pub mod backup;
pub mod check;
pub mod data_key;
pub mod db;
pub mod directory;
pub mod erasure;
pub mod failure;
pub mod journal;
pub mod keyring;
pub mod maintenance;
pub mod meta;
mod read_ahead;
pub mod record_writes;
pub mod records;
pub mod recovery;
mod schema;
pub mod sealed;
pub mod snapshot;
pub mod staging;
mod zstd;

pub use zstd::{UNSEALED, Zstd};
