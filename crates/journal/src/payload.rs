//! What a batch says, and how it is written down.
//!
//! A payload is a version byte and compressed JSON, so that any tool can read
//! it in twenty years. It names the oldest reader that understands it; an
//! older program stops with a clear message and never skips.

use maskline_domain::{Actor, Entry, Event, Personal, Timestamp};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::batch::{Batch, Hash};
use crate::compression::Compression;
use crate::personal::{self, Kept, PersonalError};

/// The newest payload this program understands; a batch is written for the
/// oldest reader that understands all that is in it.
pub use maskline_domain::event::READER;

/// Which program wrote a batch.
pub const WRITER: &str = env!("CARGO_PKG_VERSION");

/// The version of the outer form: this byte, then what the compression made.
const FORM: u8 = 1;

/// A payload is never believed to be larger than this, in bytes.
const JSON_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A batch that has been decided but has no bytes and no hash yet.
#[derive(Debug)]
pub struct Draft {
    seq: u64,
    at: Timestamp,
    prev_hash: Hash,
    salt_seed: [u8; 32],
    entries: Vec<u8>,
    personal: Vec<Option<Vec<u8>>>,
    personal_bytes: usize,
    oldest_reader: u32,
    /// The same once more, as it was decided.
    decided: Vec<Entry>,
}

#[derive(Deserialize)]
struct Body {
    seq: u64,
    at: Timestamp,
    oldest_reader: u32,
    entries: Vec<Entry>,
    commitments: Vec<Option<String>>,
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
    /// How many events tell of a person whose data were erased.
    pub erased: usize,
}

impl Draft {
    /// An empty batch that is to follow the one with `prev_hash`. Salts are
    /// made from `salt_seed`, which is never written down and must be secret.
    pub fn new(seq: u64, at: Timestamp, prev_hash: Hash, salt_seed: [u8; 32]) -> Self {
        Self {
            seq,
            at,
            prev_hash,
            salt_seed,
            entries: Vec::with_capacity(16 * 1024),
            personal: Vec::new(),
            personal_bytes: 0,
            oldest_reader: 1,
            decided: Vec::new(),
        }
    }

    /// Its number.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// When it was decided.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// How many events are in it.
    pub fn events(&self) -> usize {
        self.personal.len()
    }

    /// The size of its entries and personal values, uncompressed, in bytes.
    pub fn bytes(&self) -> usize {
        self.entries.len() + self.personal_bytes
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
        let (entries_before, personal_before) = (self.entries.len(), self.personal.len());
        let mut personal_bytes = 0;
        let mut oldest_reader = self.oldest_reader;
        let mut values = Vec::with_capacity(events.len());
        let part = |event: Event| {
            oldest_reader = oldest_reader.max(event.oldest_reader());
            let (event, personal) = event.split();
            let written = personal.as_ref().map(|personal| {
                serde_json::to_vec(personal).expect("plain values always serialise")
            });
            personal_bytes += written.as_ref().map_or(0, Vec::len);
            self.personal.push(written);
            values.push(personal);
            event
        };
        let events = events.into_iter().map(part).collect();
        if !self.entries.is_empty() {
            self.entries.push(b',');
        }
        let bare = Entry { by, events };
        serde_json::to_writer(&mut self.entries, &bare).expect("writing to memory cannot fail");
        let bytes = self.entries.len() - entries_before + personal_bytes;
        if bytes > bytes_max {
            self.entries.truncate(entries_before);
            self.personal.truncate(personal_before);
            return None;
        }
        self.personal_bytes += personal_bytes;
        self.oldest_reader = oldest_reader;
        let mut values = values.into_iter();
        let Entry { by, events } = bare;
        let events = events
            .into_iter()
            .map(|event| event.join(values.next().flatten()))
            .collect();
        self.decided.push(Entry { by, events });
        Some(bytes)
    }

    /// Turns it into bytes. Takes tens of microseconds, so it is done while no
    /// lock is held.
    pub fn seal(self, compression: &dyn Compression) -> Batch {
        let mut column = personal::Column::new(self.personal.len(), self.personal_bytes);
        let mut json = format!(
            r#"{{"seq":{},"at":{},"writer":"{WRITER}","oldest_reader":{},"entries":["#,
            self.seq, self.at.0, self.oldest_reader
        )
        .into_bytes();
        json.reserve(self.entries.len() + self.personal.len() * 68 + 32);
        json.extend_from_slice(&self.entries);
        json.extend_from_slice(br#"],"commitments":["#);
        for (index, values) in self.personal.iter().enumerate() {
            if index > 0 {
                json.push(b',');
            }
            match values {
                None => {
                    column.push_nothing();
                    json.extend_from_slice(b"null");
                }
                Some(values) => {
                    let commitment = column.push_values(salt(&self.salt_seed, index), values);
                    json.push(b'"');
                    commitment.write_hex(&mut json);
                    json.push(b'"');
                }
            }
        }
        json.extend_from_slice(b"]}");

        let mut payload = Vec::with_capacity(json.len() / 2);
        payload.push(FORM);
        compression.compress(&json, &mut payload);
        Batch {
            seq: self.seq,
            at: self.at.0,
            prev_hash: self.prev_hash,
            hash: Hash::link(self.prev_hash, &payload),
            payload,
            personal: column.finish(),
        }
    }
}

fn salt(seed: &[u8; 32], index: usize) -> [u8; 16] {
    let mut hasher = Sha256::new();
    hasher.update(seed);
    hasher.update((index as u64).to_le_bytes());
    let digest: [u8; 32] = hasher.finalize().into();
    let mut salt = [0; 16];
    salt.copy_from_slice(&digest[..16]);
    salt
}

/// The JSON of a payload, as text.
///
/// # Errors
/// [`PayloadError::Form`] and [`PayloadError::Broken`].
pub fn json(batch: &Batch, compression: &dyn Compression) -> Result<Vec<u8>, PayloadError> {
    let seq = batch.seq;
    let broken = |why| PayloadError::Broken { seq, why };
    match batch.payload.split_first() {
        Some((&FORM, packed)) => compression
            .decompress(packed, JSON_BYTES_MAX)
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
pub fn open(batch: &Batch, compression: &dyn Compression) -> Result<Opened, PayloadError> {
    let seq = batch.seq;
    let broken = |why| PayloadError::Broken { seq, why };
    let json = json(batch, compression)?;
    let body: Body = match serde_json::from_slice(&json) {
        Ok(body) => body,
        Err(_) => return Err(too_new(seq, &json).unwrap_or(broken("it is not a batch"))),
    };
    if body.oldest_reader > READER {
        return Err(too_new(seq, &json).unwrap_or(broken("it is not a batch")));
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
    let mut erased = 0;
    let mut values = Vec::with_capacity(events);
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
            Kept::Nothing => None,
            Kept::Erased => {
                erased += 1;
                None
            }
            Kept::Values { values, .. } => {
                let personal: Personal = serde_json::from_slice(&values)
                    .map_err(|_| broken("personal values are not readable"))?;
                Some(personal)
            }
        });
    }
    let mut values = values.into_iter();
    let entries = body
        .entries
        .into_iter()
        .map(|entry| Entry {
            by: entry.by,
            events: entry
                .events
                .into_iter()
                .zip(values.by_ref())
                .map(|(event, personal)| event.join(personal))
                .collect(),
        })
        .collect();
    Ok(Opened {
        at: body.at,
        entries,
        erased,
    })
}

fn too_new(seq: u64, json: &[u8]) -> Option<PayloadError> {
    let head: Head = serde_json::from_slice(json).ok()?;
    (head.oldest_reader > READER).then_some(PayloadError::TooNew {
        seq,
        writer: head.writer,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compression::Uncompressed;
    use maskline_domain::{AccountId, PhoneNumber, SubsId, Trunk, TrunkName, UserName};

    fn operator() -> Actor {
        Actor::Operator { name: "op".into() }
    }

    fn events() -> Vec<Event> {
        vec![
            Event::UserDeleted {
                account: AccountId::new("acme"),
                name: UserName::new("user1"),
            },
            Event::NumberLocked {
                x: PhoneNumber::parse("17000000001").expect("digits"),
            },
            Event::EpochBegun {
                epoch: 2,
                subs_id_floor: SubsId(9),
            },
        ]
    }

    fn draft() -> Draft {
        let mut draft = Draft::new(3, Timestamp(77), Hash([1; 32]), [5; 32]);
        draft
            .push(operator(), events(), usize::MAX)
            .expect("no limit");
        draft
    }

    /// A batch with other JSON in its payload.
    fn forged(change: impl Fn(String) -> String) -> Batch {
        let batch = draft().seal(&Uncompressed);
        let text =
            String::from_utf8(json(&batch, &Uncompressed).expect("readable")).expect("UTF-8");
        let mut payload = vec![FORM];
        Uncompressed.compress(change(text).as_bytes(), &mut payload);
        Batch { payload, ..batch }
    }

    #[test]
    fn a_batch_reads_as_it_was_written() {
        let opened = open(&draft().seal(&Uncompressed), &Uncompressed).expect("readable");
        assert_eq!(opened.at, Timestamp(77));
        assert_eq!(opened.erased, 0);
        let expected = Entry {
            by: operator(),
            events: events(),
        };
        assert_eq!(opened.entries, [expected]);
    }

    #[test]
    fn what_is_too_large_is_not_added() {
        let mut draft = draft();
        let (bytes, count) = (draft.bytes(), draft.events());
        assert_eq!(draft.push(operator(), events(), 10), None);
        assert_eq!((draft.bytes(), draft.events()), (bytes, count));
        assert_eq!(
            open(&draft.seal(&Uncompressed), &Uncompressed)
                .expect("readable")
                .entries
                .len(),
            1
        );
    }

    #[test]
    fn a_batch_of_a_newer_program_is_named_not_skipped() {
        let newer = forged(|text| {
            text.replace(r#""oldest_reader":1"#, r#""oldest_reader":99"#)
                .replace(WRITER, "9.9.9")
        });
        let expected = PayloadError::TooNew {
            seq: 3,
            writer: "9.9.9".into(),
        };
        assert_eq!(open(&newer, &Uncompressed), Err(expected.clone()));
        let unknown_event = forged(|text| {
            text.replace(r#""oldest_reader":1"#, r#""oldest_reader":99"#)
                .replace(WRITER, "9.9.9")
                .replace("number_locked", "number_painted")
        });
        assert_eq!(open(&unknown_event, &Uncompressed), Err(expected));
        let mut form = draft().seal(&Uncompressed);
        form.payload[0] = 9;
        assert_eq!(
            open(&form, &Uncompressed),
            Err(PayloadError::Form { seq: 3, form: 9 })
        );
    }

    fn trunk_batch(trunk: Trunk) -> Batch {
        let mut draft = Draft::new(3, Timestamp(77), Hash([1; 32]), [5; 32]);
        draft
            .push(
                operator(),
                vec![Event::TrunkSet(Box::new(trunk))],
                usize::MAX,
            )
            .expect("no limit");
        draft.seal(&Uncompressed)
    }

    #[test]
    fn a_batch_is_written_for_the_oldest_reader_that_understands_it() {
        let reader = |batch: &Batch| -> u32 {
            let head: Head = serde_json::from_slice(&json(batch, &Uncompressed).expect("readable"))
                .expect("JSON");
            head.oldest_reader
        };
        let plain = Trunk::new(TrunkName::new("carrier"), "192.0.2.1:5060");
        let more = Trunk {
            calls_max: Some(30),
            ..plain.clone()
        };
        assert_eq!(reader(&draft().seal(&Uncompressed)), 1);
        assert_eq!(reader(&trunk_batch(plain)), 1);
        let batch = trunk_batch(more.clone());
        assert_eq!(reader(&batch), 2);
        let opened = open(&batch, &Uncompressed).expect("readable");
        assert_eq!(opened.entries[0].events, [Event::TrunkSet(Box::new(more))]);
    }

    #[test]
    fn a_trunk_of_the_first_release_reads_as_it_was_meant() {
        let first = r#"{"trunk_set":{"name":"carrier","peer":"192.0.2.1:5060","enabled":false}}"#;
        let now = Trunk {
            enabled: false,
            ..Trunk::new(TrunkName::new("carrier"), "192.0.2.1:5060")
        };
        let batch = trunk_batch(now.clone());
        let text =
            String::from_utf8(json(&batch, &Uncompressed).expect("readable")).expect("UTF-8");
        let from = text.find(r#"{"trunk_set""#).expect("the event");
        let to = text
            .find("]}],\"commitments")
            .expect("the end of the events");
        let mut payload = vec![FORM];
        let old = format!("{}{first}{}", &text[..from], &text[to..]);
        Uncompressed.compress(old.as_bytes(), &mut payload);
        let opened = open(&Batch { payload, ..batch }, &Uncompressed).expect("readable");
        assert_eq!(opened.entries[0].events, [Event::TrunkSet(Box::new(now))]);
    }

    #[test]
    fn an_unknown_event_is_an_error() {
        let unknown = forged(|text| text.replace("number_locked", "number_painted"));
        assert!(matches!(
            open(&unknown, &Uncompressed),
            Err(PayloadError::Broken { .. })
        ));
    }

    #[test]
    fn the_row_cannot_tell_another_number_or_time_than_the_payload() {
        let batch = draft().seal(&Uncompressed);
        let renumbered = Batch {
            seq: 4,
            ..batch.clone()
        };
        let redated = Batch { at: 78, ..batch };
        for batch in [renumbered, redated] {
            assert!(matches!(
                open(&batch, &Uncompressed),
                Err(PayloadError::Broken { .. })
            ));
        }
    }

    #[test]
    fn salts_differ_by_event_and_by_seed() {
        let salts = [salt(&[1; 32], 0), salt(&[1; 32], 1), salt(&[2; 32], 0)];
        assert!(salts[0] != salts[1] && salts[0] != salts[2] && salts[1] != salts[2]);
    }
}
