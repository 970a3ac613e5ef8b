//! Writes batches of form 1 as its last program did, for those who try what is read of them.

use maskline_domain::{Actor, Entry, Event, Part, Personal, PhoneNumber, Timestamp};
use serde::Serialize;

use super::super::{WRITER, drawn};
use super::FORM;
use crate::batch::{Batch, Hash};
use crate::codec::Codec;
use crate::personal::v1::{self as personal, Kept};

#[derive(Serialize)]
struct Body<'a> {
    seq: u64,
    at: Timestamp,
    writer: &'a str,
    oldest_reader: u32,
    entries: Vec<EntryOut>,
    commitments: Vec<Option<String>>,
}

#[derive(Serialize)]
struct EntryOut {
    by: Actor,
    events: Vec<Event>,
}

/// The values that form 1 kept apart.
#[derive(Serialize)]
struct Values {
    a: PhoneNumber,
    b: Option<PhoneNumber>,
    out_id: Option<Box<str>>,
    out_order_id: Option<Box<str>>,
}

/// Parts an event from the values that form 1 kept apart; the other texts stay where they are.
fn split(event: Event) -> (Event, Option<Values>) {
    let (event, parts) = event.split();
    let mut values: Option<Values> = None;
    let mut texts = None;
    for (part, of_part) in parts {
        match (part, &mut values) {
            (Part::A, _) => {
                values = of_part.a.map(|a| Values {
                    a,
                    b: None,
                    out_id: None,
                    out_order_id: None,
                });
            }
            (Part::B, Some(values)) => values.b = of_part.b,
            (Part::Texts, Some(values)) => {
                values.out_id = of_part.out_id;
                values.out_order_id = of_part.out_order_id;
                texts = Some(Personal {
                    out_id: None,
                    out_order_id: None,
                    ..of_part
                });
            }
            // Whoever has no A has none of the others either.
            (Part::B | Part::Texts, None) => {}
        }
    }
    (event.join(texts), values)
}

/// A batch with these entries that follows the one with `prev_hash`.
pub fn write(
    (seq, at): (u64, Timestamp),
    prev_hash: Hash,
    salt_seed: [u8; 32],
    entries: Vec<Entry>,
    codec: &Codec,
) -> Batch {
    let events = entries.iter().flat_map(|entry| &entry.events);
    let oldest_reader = events.map(Event::oldest_reader).max().unwrap_or(1);
    let mut kept = Vec::new();
    let entries = entries.into_iter().map(|Entry { by, events }| EntryOut {
        by,
        events: events
            .into_iter()
            .map(|event| {
                let (event, values) = split(event);
                kept.push(values.map_or(Kept::Nothing, |values| Kept::Values {
                    salt: drawn(&salt_seed, kept.len()).0,
                    values: serde_json::to_vec(&values).expect("plain values always serialise"),
                }));
                event
            })
            .collect(),
    });
    let body = Body {
        seq,
        at,
        writer: WRITER,
        oldest_reader,
        entries: entries.collect(),
        commitments: Vec::new(),
    };
    let commitments = kept.iter().map(|kept| Some(kept.commitment()?.to_string()));
    let body = Body {
        commitments: commitments.collect(),
        ..body
    };
    let json = serde_json::to_vec(&body).expect("plain values always serialise");
    let mut payload = vec![FORM];
    codec.compress(&json, &mut payload);
    Batch {
        seq,
        at: at.0,
        prev_hash,
        hash: Hash::link(prev_hash, &payload),
        payload,
        personal: personal::write(&kept),
    }
}
