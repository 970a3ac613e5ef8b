//! How a change becomes durable, without any database.
//!
//! A change is decided by the pure rules of `domain`, appended to a journal, and only then acknowledged. The
//! order of these steps is the [`pipeline`]; [`batch`] is one row of the journal, [`payload`] what it says and
//! [`personal`] what can be erased of it; [`replay`] makes a state of batches again, [`feed`] hands them on to
//! those who follow, [`snapshot`] is the form in which a whole state is kept, [`tail`] how far the journal may go beyond
//! it, [`show`] a batch as text.

pub mod batch;
mod cbor;
pub mod codec;
pub mod compression;
pub mod feed;
pub mod payload;
pub mod personal;
pub mod pipeline;
pub mod replay;
pub mod show;
pub mod snapshot;
pub mod tail;

pub use codec::{Codec, PLAIN};
pub use compression::{Compression, Uncompressed};
pub use pipeline::Append;
