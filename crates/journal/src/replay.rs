//! From batches back to a state.

use maskline_domain::State;
use maskline_sealing::Exhausted;

use crate::batch::{Batch, ChainError, Tip};
use crate::codec::Codec;
use crate::payload::{self, Draft, Opened, PayloadError};

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
#[derive(Debug, Clone, PartialEq, Eq)]
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
pub fn decode(tip: &mut Tip, batch: &Batch, codec: &Codec) -> Result<Decoded, ReplayError> {
    tip.follow(batch)?;
    Ok(Decoded {
        tip: *tip,
        bytes: (batch.payload.len() + batch.personal.len()) as u64,
        opened: payload::open(batch, codec)?,
    })
}

/// Turns a batch into bytes, and gives with them what [`decode`] reads from
/// them: for those who need not read it, once it is durable.
///
/// # Errors
/// [`Exhausted`], from a codec that seals.
pub fn seal(mut draft: Draft, codec: &Codec) -> Result<(Batch, Decoded), Exhausted> {
    let opened = Opened {
        at: draft.at(),
        entries: draft.take_entries(),
        erased: Vec::new(),
    };
    let batch = draft.seal(codec)?;
    let decoded = Decoded {
        tip: Tip {
            seq: batch.seq,
            hash: batch.hash,
        },
        bytes: (batch.payload.len() + batch.personal.len()) as u64,
        opened,
    };
    Ok((batch, decoded))
}

/// Makes the next batch part of a state; it was read before, or never had to be.
///
/// # Errors
/// [`ChainError::Gap`] when it is not the next; the state is as it was.
pub fn take_in(state: &mut State, tip: &mut Tip, batch: &Decoded) -> Result<(), ChainError> {
    let (expected, found) = (tip.seq + 1, batch.tip.seq);
    if found != expected {
        return Err(ChainError::Gap { expected, found });
    }
    apply(state, &batch.opened);
    *tip = batch.tip;
    Ok(())
}

/// Makes the next batch of the chain part of a state, and gives what it says.
///
/// # Errors
/// [`ReplayError`]; the state is as it was.
pub fn follow(
    state: &mut State,
    tip: &mut Tip,
    batch: &Batch,
    codec: &Codec,
) -> Result<Opened, ReplayError> {
    let decoded = decode(&mut tip.clone(), batch, codec)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Hash;
    use crate::codec::PLAIN;
    use maskline_domain::{AccountId, Actor, Event, Timestamp, UserName};

    const BEFORE: Tip = Tip {
        seq: 2,
        hash: Hash([1; 32]),
    };

    fn draft() -> Draft {
        let mut draft = Draft::new(BEFORE.seq + 1, Timestamp(77), BEFORE.hash, [5; 32]);
        for name in ["user1", "user2"] {
            let by = Actor::Operator {
                name: name.into(),
                remark: None,
            };
            let deleted = Event::UserDeleted {
                account: AccountId::new("acme"),
                name: UserName::new(name),
            };
            let ended = Event::ImportEnded { name: "old".into() };
            draft
                .push(by, vec![deleted, ended], usize::MAX)
                .expect("no limit");
        }
        draft
    }

    #[test]
    fn what_is_handed_on_is_what_is_read_from_the_bytes() {
        let bytes = draft().seal(&PLAIN).expect("not sealed");
        let (batch, decoded) = seal(draft(), &PLAIN).expect("not sealed");
        assert_eq!(batch, bytes);
        let read = decode(&mut BEFORE.clone(), &batch, &PLAIN).expect("readable");
        assert_eq!(decoded, read);
        assert_eq!(count(&decoded.opened), 4);
    }

    #[test]
    fn only_the_next_batch_is_taken_in() {
        let (_, decoded) = seal(draft(), &PLAIN).expect("not sealed");
        for seq in [0, 1, 3, 4] {
            let mut tip = Tip { seq, ..BEFORE };
            let (expected, found) = (seq + 1, 3);
            let gap = ChainError::Gap { expected, found };
            let taken = take_in(&mut State::default(), &mut tip, &decoded);
            assert_eq!((taken, tip.seq), (Err(gap), seq));
        }
        let mut tip = BEFORE;
        assert_eq!(take_in(&mut State::default(), &mut tip, &decoded), Ok(()));
        assert_eq!(tip, decoded.tip);
    }
}
