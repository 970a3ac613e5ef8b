//! From batches back to a state.

use maskline_domain::State;

use crate::batch::{Batch, ChainError, Tip};
use crate::compression::Compression;
use crate::payload::{self, Opened, PayloadError};

/// Why a batch cannot be replayed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The chain is broken.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// It cannot be read.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

/// A batch that continues the chain and has been read.
pub struct Decoded {
    /// Where the chain stands after it.
    pub tip: Tip,
    /// Its size, in bytes.
    pub bytes: u64,
    /// What it says.
    pub opened: Opened,
}

/// Reads the next batch of the chain.
///
/// # Errors
/// [`ReplayError`].
pub fn decode(
    tip: &mut Tip,
    batch: &Batch,
    compression: &dyn Compression,
) -> Result<Decoded, ReplayError> {
    tip.follow(batch)?;
    Ok(Decoded {
        tip: *tip,
        bytes: (batch.payload.len() + batch.personal.len()) as u64,
        opened: payload::open(batch, compression)?,
    })
}

/// Makes the next batch of the chain part of a state, and gives what it says.
///
/// # Errors
/// [`ReplayError`]; the state is as it
/// was.
pub fn follow(
    state: &mut State,
    tip: &mut Tip,
    batch: &Batch,
    compression: &dyn Compression,
) -> Result<Opened, ReplayError> {
    let decoded = decode(&mut tip.clone(), batch, compression)?;
    apply(state, &decoded.opened);
    *tip = decoded.tip;
    Ok(decoded.opened)
}

/// Makes what a batch says part of a state.
pub fn apply(state: &mut State, opened: &Opened) {
    for event in opened.entries.iter().flat_map(|entry| &entry.events) {
        state.apply(event);
    }
    state.advance(opened.at);
}

/// How many events a batch has.
pub fn count(opened: &Opened) -> u64 {
    opened
        .entries
        .iter()
        .map(|entry| entry.events.len() as u64)
        .sum()
}
