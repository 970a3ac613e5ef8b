//! Form 1 of a payload: compressed JSON, with one commitment for each event that tells of persons. Its values are
//! A, B, OutId and OutOrderId; other texts stand in the events, under the hash. Read for ever, written no more.
//!
//! So an erasure cannot take these other texts out of a batch: they stay in it as bytes until the batch is pruned.
//! Whoever opens it does not get them.

#[cfg(any(test, feature = "past"))]
pub mod writer;

use maskline_domain::{Entry, Event, Part, Personal, Subject, Timestamp};
use serde::Deserialize;

use super::{Blanked, Head, Opened, PayloadError, READER, Told, too_new};
use crate::batch::{Batch, Hash};
use crate::personal::PersonalError;
use crate::personal::v1::{self as personal, Kept};

/// The byte that a payload of this form begins with.
pub(super) const FORM: u8 = 1;

#[derive(Deserialize)]
struct Body {
    seq: u64,
    at: Timestamp,
    oldest_reader: u32,
    entries: Vec<Entry>,
    commitments: Vec<Option<String>>,
}

/// Whom the values of an event tell of: all whom it names, as one.
fn subject(event: &Event) -> Option<Subject> {
    let of = event.subs_id()?.0;
    Some(Subject { of, n: 0 })
}

/// The events of a payload, not yet with their values, and what is kept of these.
fn read(batch: &Batch, json: &[u8]) -> Result<(Body, Vec<Kept>), PayloadError> {
    let seq = batch.seq;
    let broken = |why| PayloadError::Broken { seq, why };
    let head = || serde_json::from_slice::<Head>(json).ok();
    let body: Body = match serde_json::from_slice(json) {
        Ok(body) => body,
        Err(_) => return Err(too_new(seq, head()).unwrap_or(broken("it is not a batch"))),
    };
    if body.oldest_reader > READER {
        return Err(too_new(seq, head()).unwrap_or(broken("it is not a batch")));
    }
    if body.seq != seq || body.at.0 != batch.at {
        return Err(broken("its number or time is not that of its row"));
    }
    let kept =
        personal::read(&batch.personal).map_err(|source| PayloadError::Personal { seq, source })?;
    let events: usize = body.entries.iter().map(|entry| entry.events.len()).sum();
    if events != body.commitments.len() || events != kept.len() {
        return Err(broken("events and personal values are not as many"));
    }
    Ok((body, kept))
}

/// Of whom an event tells.
enum Of {
    Nobody,
    Persons(Personal),
    Erased,
}

/// Reads a batch of this form, whose JSON this is.
pub(super) fn open(batch: &Batch, json: &[u8]) -> Result<Opened, PayloadError> {
    let seq = batch.seq;
    let broken = |why| PayloadError::Broken { seq, why };
    let (body, kept) = read(batch, json)?;
    let mut erased = Vec::new();
    let mut values = Vec::with_capacity(kept.len());
    for (index, (kept, commitment)) in kept.into_iter().zip(&body.commitments).enumerate() {
        let commitment = match commitment {
            None => None,
            Some(text) => Some(Hash::parse(text).ok_or(broken("a commitment is no hash"))?),
        };
        if !kept.matches(commitment) {
            return Err(PayloadError::Personal {
                seq,
                source: PersonalError::Commitment(index),
            });
        }
        values.push(match kept {
            Kept::Nothing => Of::Nobody,
            Kept::Erased => {
                // Which of them there were nobody knows any more.
                erased.extend([Part::A, Part::B, Part::Texts].map(|part| (index, part)));
                Of::Erased
            }
            Kept::Values { values, .. } => Of::Persons(readable(seq, &values)?),
        });
    }
    let mut values = values.into_iter();
    let entries = body
        .entries
        .into_iter()
        .map(|Entry { by, events }| Entry {
            by,
            events: events
                .into_iter()
                .zip(values.by_ref())
                .map(|(event, of)| match of {
                    Of::Nobody => event,
                    Of::Persons(values) => event.join([values]),
                    // With the texts that stand in it.
                    Of::Erased => event.split().0,
                })
                .collect(),
        })
        .collect();
    Ok(Opened {
        at: body.at,
        entries,
        erased,
    })
}

/// [`super::told`] for a batch of this form, whose JSON this is.
pub(super) fn told(batch: &Batch, json: &[u8]) -> Result<Vec<Told>, PayloadError> {
    let (body, kept) = read(batch, json)?;
    let events = body.entries.iter().flat_map(|entry| &entry.events);
    let mut told = Vec::new();
    for (event, kept) in events.zip(&kept) {
        if let Kept::Values { values, .. } = kept
            && let Some(subject) = subject(event)
        {
            let values = readable(batch.seq, values)?;
            told.push(Told { subject, values });
        }
    }
    Ok(told)
}

fn readable(seq: u64, values: &[u8]) -> Result<Personal, PayloadError> {
    let why = "personal values are not readable";
    serde_json::from_slice(values).map_err(|_| PayloadError::Broken { seq, why })
}

/// [`super::blank`] for a batch of this form, whose JSON this is.
pub(super) fn blank(
    batch: &Batch,
    json: &[u8],
    is_meant: impl Fn(Subject) -> bool,
) -> Result<Option<Blanked>, PayloadError> {
    let (body, mut kept) = read(batch, json)?;
    let events = body.entries.iter().flat_map(|entry| &entry.events);
    let mut blanked = 0;
    for (event, kept) in events.zip(&mut kept) {
        if matches!(kept, Kept::Values { .. }) && subject(event).is_some_and(&is_meant) {
            *kept = Kept::Erased;
            blanked += 1;
        }
    }
    Ok((blanked > 0).then(|| Blanked {
        personal: personal::write(&kept),
        entries: blanked,
    }))
}

#[cfg(test)]
mod tests;
