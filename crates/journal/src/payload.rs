//! What a batch says, and how it is written down.
//!
//! A payload (form 2) is a byte for the form and a compressed CBOR map: number,
//! time and writer of the batch, the oldest reader that understands it, what
//! each command did, and under `subjects` whom it tells of. Everything has its
//! name, so that a field is added without a new form and any tool can read it in
//! twenty years; telephone numbers are integers, a 1 before their digits. An
//! older program stops with a clear message and never skips. Form 1 is [`v1`].

pub mod v1;

use std::fmt;

use cbor4ii::core::enc::{Encode as _, Write as _};
use cbor4ii::core::types::{Array, Bytes as ByteString, Map};
use cbor4ii::core::utils::BufWriter;
use maskline_domain::{Actor, Entry, Event, Part, Personal, Subject, Timestamp};
use maskline_sealing::Exhausted;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::batch::{Batch, Hash};
use crate::cbor;
use crate::codec::Codec;
use crate::personal::{self, Bytes, Kept, PersonalError};

/// The newest payload this program understands; a batch is written for the
/// oldest reader that understands all that is in it.
pub use maskline_domain::event::READER;

/// Which program wrote a batch.
pub const WRITER: &str = env!("CARGO_PKG_VERSION");

/// The version of the outer form: this byte, then what the compression made.
const FORM: u8 = 2;

/// A payload is never believed to be larger than this, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a subject takes beside its values, in bytes: in the payload, with its commitment, at most 96; in the column,
/// with its salt, at most 64.
const SUBJECT_BYTES: usize = 160;

/// A batch that has been decided but has no bytes and no hash yet.
#[derive(Debug)]
pub struct Draft {
    seq: u64,
    at: Timestamp,
    prev_hash: Hash,
    salt_seed: [u8; 32],
    /// One after the other, as CBOR.
    entries: Vec<u8>,
    entries_count: usize,
    events: usize,
    /// Personal values, one after the other, as CBOR.
    values: Vec<u8>,
    parts: Vec<Drafted>,
    oldest_reader: u32,
    /// What its entries say, as it was decided.
    decided: Vec<Entry>,
}

/// What a draft has of one subject's values.
#[derive(Debug)]
struct Drafted {
    /// The event, by its place in the batch.
    event: usize,
    of: u64,
    part: Part,
    /// Where the values end in those of the draft; they begin where those before them end.
    end: usize,
}

#[derive(Deserialize)]
struct Body<'a> {
    seq: u64,
    at: Timestamp,
    oldest_reader: u32,
    entries: Vec<Entry>,
    #[serde(borrow)]
    subjects: Vec<Named<'a>>,
}

/// Whom an event tells of.
#[derive(Deserialize)]
struct Named<'a> {
    event: usize,
    part: Part,
    of: u64,
    n: u32,
    #[serde(borrow)]
    commitment: Bytes<'a>,
}

/// Of a body, which parts its subjects are.
#[derive(Deserialize)]
struct Subjects {
    subjects: Vec<OfPart>,
}

#[derive(Deserialize)]
struct OfPart {
    part: Part,
}

#[derive(Deserialize)]
struct Head {
    oldest_reader: u32,
    writer: String,
}

/// Why a batch cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// The outer form is of a newer program.
    #[error("batch {seq} has form {form}; a newer Maskline is needed")]
    Form {
        /// The batch.
        seq: u64,
        /// Its form.
        form: u8,
    },
    /// The events are of a newer program.
    #[error("batch {seq} was written by Maskline {writer}; this program is too old to read it")]
    TooNew {
        /// The batch.
        seq: u64,
        /// The version that wrote it.
        writer: String,
    },
    /// It cannot be read at all.
    #[error("batch {seq} cannot be read: {why}")]
    Broken {
        /// The batch.
        seq: u64,
        /// What is wrong with it. Never contains what stands in it.
        why: &'static str,
    },
    /// It is not sealed anew.
    #[error("batch {seq}: {source}")]
    Exhausted {
        /// The batch.
        seq: u64,
        /// Why not.
        source: Exhausted,
    },
    /// Its personal values cannot be used.
    #[error("batch {seq}: {source}")]
    Personal {
        /// The batch.
        seq: u64,
        /// Why not.
        source: PersonalError,
    },
}

/// A batch that has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// When it was decided.
    pub at: Timestamp,
    /// What each command did, personal values put back where they are kept.
    pub entries: Vec<Entry>,
    /// What was erased: of which event, by its place in the batch, which part; in order.
    pub erased: Vec<(usize, Part)>,
}

impl Opened {
    /// How many events lost personal values.
    pub fn events_erased(&self) -> usize {
        let mut events: Vec<usize> = self.erased.iter().map(|&(event, _)| event).collect();
        events.dedup();
        events.len()
    }
}

impl Draft {
    /// An empty batch that is to follow the one with `prev_hash`. Salts and
    /// subjects are drawn from `salt_seed`, which is never written down and must
    /// be secret.
    pub fn new(seq: u64, at: Timestamp, prev_hash: Hash, salt_seed: [u8; 32]) -> Self {
        Self {
            seq,
            at,
            prev_hash,
            salt_seed,
            entries: Vec::with_capacity(16 * 1024),
            entries_count: 0,
            events: 0,
            values: Vec::new(),
            parts: Vec::new(),
            oldest_reader: 1,
            decided: Vec::new(),
        }
    }

    /// What it is to follow, where that had no hash when it was made.
    pub fn follow(&mut self, prev_hash: Hash) {
        self.prev_hash = prev_hash;
    }

    /// Its number.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// When it was decided.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The last of its commands was decided later than those before it. Only the last time is written.
    pub fn decided_at(&mut self, at: Timestamp) {
        self.at = at;
    }

    /// How many events are in it.
    pub fn events(&self) -> usize {
        self.events
    }

    /// The size of its entries, personal values and subjects, uncompressed, in bytes.
    pub fn bytes(&self) -> usize {
        self.entries.len() + self.values.len() + self.parts.len() * SUBJECT_BYTES
    }

    /// What its entries take in memory, in bytes: each event, and at most as
    /// much behind it as is written of it.
    pub fn memory(&self) -> usize {
        self.bytes() + self.events() * size_of::<Event>()
    }

    /// Takes out what its commands did, as [`open`] will read it from the
    /// bytes; these are made all the same.
    pub fn take_entries(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.decided)
    }

    /// Adds what one command did. Gives the size of the entry in bytes, or
    /// `None`, having added nothing, if that were more than `bytes_max`.
    pub fn push(&mut self, by: Actor, events: Vec<Event>, bytes_max: usize) -> Option<usize> {
        let bytes_before = self.bytes();
        let (entries_before, values_before) = (self.entries.len(), self.values.len());
        let parts_before = self.parts.len();
        let mut oldest_reader = self.oldest_reader;
        let mut kept_apart = Vec::with_capacity(events.len());
        let mut bare = Entry {
            by,
            events: Vec::with_capacity(events.len()),
        };
        for (place, event) in events.into_iter().enumerate() {
            oldest_reader = oldest_reader.max(event.oldest_reader());
            let of = event.subs_id().map_or(0, |id| id.0);
            let (event, parts) = event.split();
            for (part, values) in &parts {
                self.values = cbor::append(std::mem::take(&mut self.values), values);
                self.parts.push(Drafted {
                    event: self.events + place,
                    of,
                    part: *part,
                    end: self.values.len(),
                });
            }
            bare.events.push(event);
            kept_apart.push(parts);
        }
        self.entries = cbor::append(std::mem::take(&mut self.entries), &bare);
        let bytes = self.bytes() - bytes_before;
        if bytes > bytes_max {
            self.entries.truncate(entries_before);
            self.values.truncate(values_before);
            self.parts.truncate(parts_before);
            return None;
        }
        self.oldest_reader = oldest_reader;
        self.entries_count += 1;
        self.events += bare.events.len();
        let Entry { by, events } = bare;
        let events = events
            .into_iter()
            .zip(kept_apart)
            .map(|(event, parts)| event.join(parts.into_iter().map(|(_, values)| values)))
            .collect();
        self.decided.push(Entry { by, events });
        Some(bytes)
    }

    /// Turns it into bytes. Takes tens of microseconds, so it is done while no
    /// lock is held.
    ///
    /// # Errors
    /// [`Exhausted`], from a codec that seals.
    pub fn seal(mut self, codec: &Codec) -> Result<Batch, Exhausted> {
        if codec.seals() && !self.parts.is_empty() {
            self.oldest_reader = self.oldest_reader.max(personal::SEALED_READER);
        }
        let (body, personal) = self.write();
        let personal = personal::seal(personal, self.seq, codec)?;
        let mut payload = Vec::with_capacity(body.len() / 2);
        payload.push(FORM);
        codec.compress(&body, &mut payload);
        Ok(Batch {
            seq: self.seq,
            at: self.at.0,
            prev_hash: self.prev_hash,
            hash: Hash::link(self.prev_hash, &payload),
            payload,
            personal,
        })
    }

    /// The body of the payload, and the personal column.
    fn write(&self) -> (Vec<u8>, Vec<u8>) {
        let mut column = personal::Column::new(self.parts.len(), self.values.len());
        let size = self.entries.len() + self.parts.len() * SUBJECT_BYTES + 128;
        let mut body = BufWriter::new(Vec::with_capacity(size));
        let mut write = || {
            let out = &mut body;
            Map::bounded(6, out)?;
            "seq".encode(out)?;
            self.seq.encode(out)?;
            "at".encode(out)?;
            self.at.0.encode(out)?;
            "writer".encode(out)?;
            WRITER.encode(out)?;
            "oldest_reader".encode(out)?;
            self.oldest_reader.encode(out)?;
            "entries".encode(out)?;
            Array::bounded(self.entries_count, out)?;
            out.push(&self.entries)
                .map_err(cbor4ii::core::enc::Error::Write)?;
            "subjects".encode(out)?;
            Array::bounded(self.parts.len(), out)?;
            let mut begin = 0;
            for (index, drafted) in self.parts.iter().enumerate() {
                let Drafted {
                    event,
                    of,
                    part,
                    end,
                } = *drafted;
                let (salt, n) = drawn(&self.salt_seed, index);
                let subject = Subject { of, n };
                let commitment = column.push_values(subject, salt, &self.values[begin..end]);
                begin = end;
                Map::bounded(5, out)?;
                "event".encode(out)?;
                (event as u64).encode(out)?;
                "part".encode(out)?;
                part.name().encode(out)?;
                "of".encode(out)?;
                of.encode(out)?;
                "n".encode(out)?;
                n.encode(out)?;
                "commitment".encode(out)?;
                ByteString(&commitment.0[..]).encode(out)?;
            }
            Ok::<(), cbor4ii::core::enc::Error<std::collections::TryReserveError>>(())
        };
        write().expect("memory takes what is written");
        (body.into_inner(), column.finish())
    }
}

/// The salt of the values with this place among those of a batch, and the
/// number of their subject: different parts of one hash, so that the number,
/// which stays, tells nothing of the salt, which is erased.
fn drawn(seed: &[u8; 32], index: usize) -> ([u8; 16], u32) {
    let mut hasher = Sha256::new();
    hasher.update(seed);
    hasher.update((index as u64).to_le_bytes());
    let digest: [u8; 32] = hasher.finalize().into();
    let (mut salt, mut n) = ([0; 16], [0; 4]);
    salt.copy_from_slice(&digest[..16]);
    n.copy_from_slice(&digest[16..20]);
    (salt, u32::from_le_bytes(n))
}

/// The form of a batch, and its body uncompressed.
fn unpack(batch: &Batch, codec: &Codec) -> Result<(u8, Vec<u8>), PayloadError> {
    let seq = batch.seq;
    let broken = |why| PayloadError::Broken { seq, why };
    match batch.payload.split_first() {
        Some((&form @ (v1::FORM | FORM), packed)) => codec
            .decompress(packed, BODY_BYTES_MAX)
            .map(|body| (form, body))
            .ok_or_else(|| broken("it does not decompress")),
        Some((&form, _)) => Err(PayloadError::Form { seq, form }),
        None => Err(broken("it is empty")),
    }
}

/// Reads a batch and puts the personal values back, each checked against its
/// commitment.
///
/// # Errors
/// [`PayloadError`].
pub fn open(batch: &Batch, codec: &Codec) -> Result<Opened, PayloadError> {
    let (form, body) = unpack(batch, codec)?;
    if form == v1::FORM {
        return v1::open(batch, &body);
    }
    let seq = batch.seq;
    let broken = |why| PayloadError::Broken { seq, why };
    let head = || cbor::read::<Head>(&body);
    let Some(read) = cbor::read::<Body<'_>>(&body) else {
        return Err(too_new(seq, head()).unwrap_or(broken("it is not a batch")));
    };
    if read.oldest_reader > READER {
        return Err(too_new(seq, head()).unwrap_or(broken("it is not a batch")));
    }
    if read.seq != seq || read.at.0 != batch.at {
        return Err(broken("its number or time is not that of its row"));
    }
    let kept = kept(batch, codec)?;
    if read.subjects.len() != kept.len() {
        return Err(broken("subjects and personal values are not as many"));
    }
    let mut values = values(seq, read.subjects, kept)?.into_iter().peekable();
    let (mut erased, mut place) = (Vec::new(), 0);
    let mut join = |mut event: Event| {
        let mut of_event = Vec::new();
        while let Some((_, part, values)) = values.next_if(|&(event, ..)| event == place) {
            if values.is_none() {
                erased.push((place, part));
                event = event.without(part);
            }
            of_event.extend(values);
        }
        place += 1;
        event.join(of_event)
    };
    let entries = read
        .entries
        .into_iter()
        .map(|Entry { by, events }| Entry {
            by,
            events: events.into_iter().map(&mut join).collect(),
        })
        .collect();
    if values.next().is_some() {
        return Err(broken("a subject is of no event, or not in order"));
    }
    Ok(Opened {
        at: read.at,
        entries,
        erased,
    })
}

/// The values of each subject, with the event that they are of; none where
/// they were erased.
fn values(
    seq: u64,
    subjects: Vec<Named<'_>>,
    kept: Vec<Kept>,
) -> Result<Vec<(usize, Part, Option<Personal>)>, PayloadError> {
    let broken = |why| PayloadError::Broken { seq, why };
    let mut values = Vec::with_capacity(kept.len());
    for (named, kept) in subjects.into_iter().zip(kept) {
        let commitment = <[u8; 32]>::try_from(&*named.commitment.0)
            .map_err(|_| broken("a commitment is no hash"))?;
        let subject = Subject {
            of: named.of,
            n: named.n,
        };
        if !kept.matches(subject, Hash(commitment)) {
            return Err(PayloadError::Personal {
                seq,
                source: PersonalError::Commitment(named.event),
            });
        }
        let read = match kept {
            Kept::Erased { .. } => None,
            Kept::Values { values, .. } => Some(readable(seq, &values)?),
        };
        values.push((named.event, named.part, read));
    }
    Ok(values)
}

fn too_new(seq: u64, head: Option<Head>) -> Option<PayloadError> {
    let head = head?;
    (head.oldest_reader > READER).then_some(PayloadError::TooNew {
        seq,
        writer: head.writer,
    })
}

/// What the personal column of a batch becomes when the values of some
/// subjects are blanked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blanked {
    /// The new column.
    pub personal: Vec<u8>,
    /// How many entries lost their values.
    pub entries: usize,
}

/// The values of one subject that are still kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Told {
    /// Whom they tell of; in form 1 all whom an event names, as one.
    pub subject: Subject,
    /// The values.
    pub values: Personal,
}

impl fmt::Debug for Told {
    /// Without the values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Told").field(&self.subject).finish()
    }
}

/// All personal values in a batch that are still kept, in order.
///
/// # Errors
/// [`PayloadError`]; that the values are those that were committed to is not
/// looked at.
pub fn told(batch: &Batch, codec: &Codec) -> Result<Vec<Told>, PayloadError> {
    let seq = batch.seq;
    if batch.payload.first() == Some(&v1::FORM) {
        let (_, body) = unpack(batch, codec)?;
        return v1::told(batch, &body);
    }
    let kept = kept(batch, codec)?
        .into_iter()
        .filter_map(|kept| match kept {
            Kept::Values {
                subject, values, ..
            } => Some((subject, values)),
            Kept::Erased { .. } => None,
        });
    kept.map(|(subject, values)| {
        let values = readable(seq, &values)?;
        Ok(Told { subject, values })
    })
    .collect()
}

/// What is kept of the personal values of a batch, in order.
fn kept(batch: &Batch, codec: &Codec) -> Result<Vec<Kept>, PayloadError> {
    let seq = batch.seq;
    let column = personal::open(&batch.personal, seq, codec);
    column
        .and_then(|column| personal::read(&column))
        .map_err(|source| PayloadError::Personal { seq, source })
}

fn readable(seq: u64, values: &[u8]) -> Result<Personal, PayloadError> {
    let why = "personal values are not readable";
    cbor::read(values).ok_or(PayloadError::Broken { seq, why })
}

/// Blanks the values that `is_meant`; `None` if none of them are kept. It is
/// told whose they are and of which part; of a batch of form 1, where all
/// values of an event are one, of none.
///
/// # Errors
/// [`PayloadError`].
pub fn blank(
    batch: &Batch,
    codec: &Codec,
    is_meant: impl Fn(Subject, Option<Part>) -> bool,
) -> Result<Option<Blanked>, PayloadError> {
    let seq = batch.seq;
    // Form 1 has the subjects in its payload alone.
    if batch.payload.first() == Some(&v1::FORM) {
        let (_, body) = unpack(batch, codec)?;
        return v1::blank(batch, &body, |subject| is_meant(subject, None));
    }
    let (_, body) = unpack(batch, codec)?;
    let why = "subjects and personal values are not as many";
    let broken = PayloadError::Broken { seq, why };
    let parts = cbor::read::<Subjects>(&body)
        .ok_or(broken.clone())?
        .subjects;
    let mut kept = kept(batch, codec)?;
    if parts.len() != kept.len() {
        return Err(broken);
    }
    let mut entries = 0;
    for (kept, of) in kept.iter_mut().zip(parts) {
        let subject = kept.subject();
        if matches!(kept, Kept::Values { .. }) && is_meant(subject, Some(of.part)) {
            *kept = Kept::Erased { subject };
            entries += 1;
        }
    }
    if entries == 0 {
        return Ok(None);
    }
    let mut personal = personal::write(&kept);
    // In the form in which it was: a reader that knows the batch knows this one.
    if personal::sealed_under(&batch.personal).is_some() {
        let source = Exhausted;
        let not_sealed = PayloadError::Exhausted { seq, source };
        personal = match codec.seals() {
            true => personal::seal(personal, seq, codec).map_err(|_| not_sealed)?,
            false => return Err(not_sealed),
        };
    }
    Ok(Some(Blanked { personal, entries }))
}

#[cfg(test)]
mod tests;
