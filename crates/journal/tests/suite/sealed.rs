//! Batches and snapshots whose personal values are sealed, under a key that everybody knows.

use std::sync::Arc;

use maskline_domain::binding::Extras;
use maskline_domain::{
    Actor, Binding, Event, Part, PhoneNumber, Product, Row, Subject, SubsId, Timestamp,
};
use maskline_journal::batch::{Batch, Hash, Tip};
use maskline_journal::payload::{self, Draft, PayloadError};
use maskline_journal::personal::{self, PersonalError};
use maskline_journal::snapshot::{self, PartError, Parts, Seal};
use maskline_journal::{Codec, PLAIN, replay};
use maskline_sealing::{DataKeyId, FixedKey, OpenError};

const KEY: DataKeyId = DataKeyId(7);
const A: &str = "15000000000";
const B: &str = "15800000000";
const TEXT: &str = "order of Li Lei";

fn sealed() -> Codec {
    PLAIN.with_keys(Arc::new(FixedKey::default()))
}

fn binding() -> Binding {
    let number = |digits| PhoneNumber::parse(digits).expect("digits");
    let term = Timestamp(5)..Timestamp(500);
    Binding {
        b: Some(number(B)),
        extras: Extras {
            out_id: Some(TEXT.into()),
            ..Extras::default()
        },
        ..Binding::new(
            SubsId(7_000_000),
            Product::Axn,
            number("17000000001"),
            number(A),
            term,
        )
    }
}

fn draft(seq: u64) -> Draft {
    let by = Actor::Operator {
        name: "op".into(),
        remark: None,
    };
    let mut draft = Draft::new(seq, Timestamp(77), Hash([1; 32]), [5; 32]);
    draft
        .push(by, vec![Event::Bound(Box::new(binding()))], usize::MAX)
        .expect("no limit");
    draft
}

fn batch(seq: u64) -> Batch {
    draft(seq).seal(&sealed()).expect("no bound")
}

fn personal_error(batch: &Batch, codec: &Codec) -> PersonalError {
    match payload::open(batch, codec) {
        Err(PayloadError::Personal { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_sealed_batch_reads_as_it_was_decided_and_shows_nobody() {
    let (batch, decided) = replay::seal(draft(3), &sealed()).expect("no bound");
    let mut before = Tip {
        seq: 2,
        hash: Hash([1; 32]),
    };
    let read = replay::decode(&mut before, &batch, &sealed()).expect("readable");
    assert_eq!(read, decided);
    assert_eq!(personal::sealed_under(&batch.personal), Some(KEY));
    for text in [A, B, TEXT] {
        for bytes in [&batch.payload, &batch.personal] {
            let holds = |bytes: &[u8]| bytes.windows(text.len()).any(|at| at == text.as_bytes());
            assert!(!holds(bytes), "{text}");
        }
        let plain = draft(3).seal(&PLAIN).expect("not sealed").personal;
        let found = plain.windows(text.len()).any(|at| at == text.as_bytes());
        assert!(found, "{text} is found where nothing is sealed");
    }
}

#[test]
fn a_reader_that_does_not_know_sealed_columns_is_told_so_by_the_payload() {
    let oldest_reader = |codec: &Codec, draft: Draft| {
        let payload = draft.seal(codec).expect("no bound").payload;
        let name = b"oldest_reader";
        let at = payload.windows(name.len()).position(|at| at == name);
        payload[at.expect("it is named") + name.len()]
    };
    assert_eq!(oldest_reader(&PLAIN, draft(3)), 1);
    assert_eq!(oldest_reader(&sealed(), draft(3)), 7);
    // A batch that tells of nobody is not sealed.
    let mut nobody = Draft::new(3, Timestamp(77), Hash([1; 32]), [5; 32]);
    let by = Actor::Operator {
        name: "op".into(),
        remark: None,
    };
    let ended = vec![Event::ImportEnded { name: "old".into() }];
    nobody.push(by, ended, usize::MAX).expect("no limit");
    let batch = nobody.seal(&sealed()).expect("no bound");
    assert!(personal::is_empty(&batch.personal));
    assert!(payload::open(&batch, &PLAIN).is_ok(), "it needs no key");
}

#[test]
fn without_the_key_the_chain_is_followed_and_nothing_is_taken_for_erased() {
    let batch = batch(3);
    let mut before = Tip {
        seq: 2,
        hash: Hash([1; 32]),
    };
    assert_eq!(before.follow(&batch), Ok(()));
    let missing = PersonalError::Sealed(OpenError::NoKey(KEY));
    assert_eq!(personal_error(&batch, &PLAIN), missing);
    let told = payload::told(&batch, &PLAIN);
    assert!(told.is_err_and(|error| error.to_string().contains("data key 7")));
}

#[test]
fn columns_that_were_changed_cut_or_swapped_are_refused() {
    let (batch, other) = (batch(3), batch(4));
    let moved = Batch {
        personal: other.personal.clone(),
        ..batch.clone()
    };
    let refused = PersonalError::Sealed(OpenError::NotAuthentic(KEY));
    assert_eq!(personal_error(&moved, &sealed()), refused);
    for at in 0..batch.personal.len() {
        let cut = Batch {
            personal: batch.personal[..at].to_vec(),
            ..batch.clone()
        };
        assert!(payload::open(&cut, &sealed()).is_err(), "cut at {at}");
        let mut changed = batch.clone();
        changed.personal[at] ^= 1;
        assert!(payload::open(&changed, &sealed()).is_err(), "byte {at}");
    }
}

#[test]
fn one_part_is_blanked_and_the_rest_is_sealed_again() {
    let mut batch = batch(3);
    let is_a = |_: Subject, part: Option<Part>| part == Some(Part::A);
    assert!(payload::blank(&batch, &PLAIN, is_a).is_err(), "no key");
    let blanked = payload::blank(&batch, &sealed(), is_a)
        .expect("readable")
        .expect("A is kept");
    assert_eq!(blanked.entries, 1);
    assert_ne!(blanked.personal, batch.personal);
    batch.personal = blanked.personal;
    assert_eq!(personal::sealed_under(&batch.personal), Some(KEY));
    let opened = payload::open(&batch, &sealed()).expect("readable");
    assert_eq!(opened.erased, [(0, Part::A)]);
    let Event::Bound(left) = &opened.entries[0].events[0] else {
        panic!("a bind");
    };
    assert_eq!(left.b, binding().b);
    let again = payload::blank(&batch, &sealed(), is_a);
    assert_eq!(again, Ok(None), "it is gone");
}

fn rows() -> impl Iterator<Item = Row> {
    std::iter::once(Row::from(binding()))
}

#[test]
fn a_part_of_a_snapshot_opens_in_its_place_alone() {
    let mut parts = Parts::new(sealed(), 9);
    for row in rows() {
        assert_eq!(parts.push(row), Ok(None), "a small state");
    }
    let total = parts.finish().expect("no bound");
    let part = total.part.expect("one row");
    assert_eq!(snapshot::sealed_under(&part), Some(KEY));
    let read = snapshot::unpack(&part, 9, 0, &sealed()).expect("it opens");
    let read = snapshot::read_rows(&read.bytes).expect("rows");
    assert!(read.into_iter().eq(rows()));
    let refused = PartError::Sealed(OpenError::NotAuthentic(KEY));
    for (seq, place) in [(9, 1), (8, 0)] {
        let moved = snapshot::unpack(&part, seq, place, &sealed());
        assert_eq!(moved.expect_err("another place"), refused);
    }
    let missing = snapshot::unpack(&part, 9, 0, &PLAIN).expect_err("no key");
    assert_eq!(missing, PartError::Sealed(OpenError::NoKey(KEY)));
    for at in 0..part.len() {
        assert!(snapshot::unpack(&part[..at], 9, 0, &sealed()).is_err());
    }
}

#[test]
fn the_digest_of_a_sealed_snapshot_is_under_a_key_which_its_last_row_names() {
    let mut parts = Parts::new(sealed(), 9);
    rows().for_each(|row| drop(parts.push(row)));
    let total = parts.finish().expect("no bound");
    let (kept, key) = total.kept_digest;
    assert_eq!((key, total.oldest_reader), (Some(KEY), 7));
    assert_eq!(total.digest, snapshot::digest(rows()));
    assert_ne!(kept, total.digest, "who guesses the state learns nothing");
    assert_eq!(sealed().digest_under(key, total.digest), Ok(kept));
    assert_eq!(
        PLAIN.digest_under(key, total.digest),
        Err(OpenError::NoKey(KEY))
    );
    let seal = Seal {
        seq: 9,
        at: 0,
        hash: Hash::GENESIS.to_string(),
        parts: 1,
        rows: 1,
        bindings: 1,
        digest: kept.to_string(),
        digest_key: key.map(|id| id.0),
        writer: "test".into(),
        oldest_reader: total.oldest_reader,
    };
    assert_eq!(Seal::read(&seal.write()), Some(seal.clone()));
    assert_eq!(seal.key_of_digest(), Some(KEY));
}
