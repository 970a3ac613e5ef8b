//! The store through its public face, on every engine there is.

mod directory;
mod journal;
mod lists;
mod machine;
mod owed;
mod owners;
mod pipeline;
mod provisions;
mod records;
mod snapshot;
mod support;
mod transactions;
mod undo;
mod whole;
mod world;
