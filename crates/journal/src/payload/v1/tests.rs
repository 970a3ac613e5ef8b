use super::super::tests::binding;
use super::super::{blank, open, unpack};
use super::*;
use crate::compression::{Compression as _, Uncompressed};
use crate::payload::WRITER;
use maskline_domain::binding::Extras;
use maskline_domain::{Actor, Binding, PhoneNumber, Trunk, TrunkName};

fn batch_of(events: Vec<Event>) -> Batch {
    let by = Actor::Operator { name: "op".into() };
    let entries = vec![Entry { by, events }];
    let (at, prev_hash) = (Timestamp(77), Hash([1; 32]));
    writer::write((3, at), prev_hash, [5; 32], entries, &Uncompressed)
}

fn events() -> Vec<Event> {
    let x = PhoneNumber::parse("17000000001").expect("digits");
    vec![
        Event::NumberLocked { x },
        Event::Bound(Box::new(binding())),
        Event::NumberUnlocked { x },
    ]
}

fn text(batch: &Batch) -> String {
    let (form, json) = unpack(batch, &Uncompressed).expect("readable");
    assert_eq!(form, FORM);
    String::from_utf8(json).expect("UTF-8")
}

/// A batch with other JSON in its payload.
fn forged(batch: &Batch, change: impl Fn(String) -> String) -> Batch {
    let mut payload = vec![FORM];
    Uncompressed.compress(change(text(batch)).as_bytes(), &mut payload);
    Batch {
        payload,
        ..batch.clone()
    }
}

#[test]
fn a_batch_of_form_1_reads_as_it_was_written() {
    let batch = batch_of(events());
    let opened = open(&batch, &Uncompressed).expect("readable");
    assert_eq!((opened.at, opened.erased), (Timestamp(77), Vec::new()));
    assert_eq!(opened.entries[0].events, events());
}

#[test]
fn the_bytes_of_the_last_program_that_wrote_form_1_are_read() {
    let text = text(&batch_of(events()));
    // Its commitment covers the values as they stood in its column.
    let values = r#"{"a":"15000000000","b":"15800000000","out_id":"for Li Lei","out_order_id":"order of Li Lei"}"#;
    let salt = super::super::drawn(&[5; 32], 1).0;
    let commitment = crate::personal::commitment(&salt, values.as_bytes());
    let end = format!(r#"],"commitments":[null,"{commitment}",null]}}"#);
    assert!(text.ends_with(&end), "{text}");
    let begin = format!(
        r#"{{"seq":3,"at":77,"writer":"{WRITER}","oldest_reader":1,"entries":[{{"by":{{"operator":{{"name":"op"}}}},"events":[{{"number_locked":{{"x":"17000000001"}}}},{{"bound":{{"subs_id":7000000,"product":"axn","x":"17000000001","a":"","b":null,"#
    );
    assert!(text.starts_with(&begin), "{text}");
}

#[test]
fn the_values_of_an_event_are_blanked_together() {
    let batch = batch_of(events());
    let none = blank(&batch, &Uncompressed, |subject, _| subject.of == 1);
    assert_eq!(none, Ok(None));
    let blanked = blank(&batch, &Uncompressed, |subject, part| {
        subject.of == 7_000_000 && part.is_none()
    });
    let blanked = blanked.expect("readable").expect("it is there");
    assert_eq!(blanked.entries, 1);
    let batch = Batch {
        personal: blanked.personal,
        ..batch
    };
    let opened = open(&batch, &Uncompressed).expect("readable");
    let parts = [Part::A, Part::B, Part::Texts];
    assert_eq!(opened.erased, parts.map(|part| (1, part)));
    // What form 1 kept in the events stays there.
    let whole = binding();
    let left = Binding {
        a: PhoneNumber::ERASED,
        b: None,
        extras: Extras {
            out_id: None,
            out_order_id: None,
            ..whole.extras.clone()
        },
        ..whole
    };
    assert_eq!(opened.entries[0].events[1], Event::Bound(Box::new(left)));
}

#[test]
fn a_batch_of_form_1_by_a_newer_program_is_named_not_skipped() {
    let newer = |text: String| {
        text.replace(r#""oldest_reader":1"#, r#""oldest_reader":99"#)
            .replace(WRITER, "9.9.9")
    };
    let batch = batch_of(events());
    let expected = PayloadError::TooNew {
        seq: 3,
        writer: "9.9.9".into(),
    };
    assert_eq!(
        open(&forged(&batch, newer), &Uncompressed),
        Err(expected.clone())
    );
    let unknown = forged(&batch, |text| {
        newer(text).replace("number_locked", "number_painted")
    });
    assert_eq!(open(&unknown, &Uncompressed), Err(expected));
    let unknown = forged(&batch, |text| {
        text.replace("number_locked", "number_painted")
    });
    assert!(matches!(
        open(&unknown, &Uncompressed),
        Err(PayloadError::Broken { .. })
    ));
}

#[test]
fn values_that_were_changed_are_not_taken() {
    let batch = batch_of(events());
    let mut kept = personal::read(&batch.personal).expect("readable");
    if let Kept::Values { salt, .. } = &mut kept[1] {
        salt[0] ^= 1;
    }
    let batch = Batch {
        personal: personal::write(&kept),
        ..batch
    };
    let source = PersonalError::Commitment(1);
    let expected = PayloadError::Personal { seq: 3, source };
    assert_eq!(open(&batch, &Uncompressed), Err(expected));
}

#[test]
fn a_trunk_of_the_first_release_reads_as_it_was_meant() {
    let first = r#"{"trunk_set":{"name":"carrier","peer":"192.0.2.1:5060","enabled":false}}"#;
    let now = Trunk {
        enabled: false,
        ..Trunk::new(TrunkName::new("carrier"), "192.0.2.1:5060")
    };
    let batch = batch_of(vec![Event::TrunkSet(Box::new(now.clone()))]);
    let old = forged(&batch, |text| {
        let from = text.find(r#"{"trunk_set""#).expect("the event");
        let to = text
            .find("]}],\"commitments")
            .expect("the end of the events");
        format!("{}{first}{}", &text[..from], &text[to..])
    });
    let opened = open(&old, &Uncompressed).expect("readable");
    assert_eq!(opened.entries[0].events, [Event::TrunkSet(Box::new(now))]);
}
