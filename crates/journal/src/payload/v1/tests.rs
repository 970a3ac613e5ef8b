use super::super::tests::binding;
use super::super::{blank, open, unpack};
use super::*;
use crate::codec::PLAIN;
use crate::payload::WRITER;
use maskline_domain::binding::{Extras, Owner};
use maskline_domain::{
    AccessKeyId, AccountId, Actor, Binding, PhoneNumber, PoolKey, Product, Restriction, RingConfig,
    SubsId, Trunk, TrunkName,
};

fn batch_of(events: Vec<Event>) -> Batch {
    let by = Actor::Operator {
        name: "op".into(),
        remark: None,
    };
    let entries = vec![Entry { by, events }];
    let (at, prev_hash) = (Timestamp(77), Hash([1; 32]));
    writer::write((3, at), prev_hash, [5; 32], entries, &PLAIN)
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
    let (form, json) = unpack(batch, &PLAIN).expect("readable");
    assert_eq!(form, FORM);
    String::from_utf8(json).expect("UTF-8")
}

/// A batch with other JSON in its payload.
fn forged(batch: &Batch, change: impl Fn(String) -> String) -> Batch {
    let mut payload = vec![FORM];
    PLAIN.compress(change(text(batch)).as_bytes(), &mut payload);
    Batch {
        payload,
        ..batch.clone()
    }
}

#[test]
fn a_batch_of_form_1_reads_as_it_was_written() {
    let batch = batch_of(events());
    let opened = open(&batch, &PLAIN).expect("readable");
    assert_eq!((opened.at, opened.erased), (Timestamp(77), Vec::new()));
    assert_eq!(opened.entries[0].events, events());
}

/// A batch as the last program that wrote form 1 left it in its tables, its JSON and its column.
fn of_the_last_program() -> Batch {
    let json = r#"{"seq":45,"at":1796042139542,"writer":"0.1.0","oldest_reader":1,"entries":[{"by":{"customer":{"key":"key-of-acme","permission":"dypls:BindAxn"}},"events":[{"command_answered":{"id":3078562883073175063,"key":"key-of-acme","until":1796043040541}},{"bound":{"subs_id":1796042139542000,"product":"axn","x":"17300000027","a":"","b":null,"created_at":1796042139542,"expires_at":2426762139000,"restriction":"others_may_not_dial","record":true,"speech_recognition":true,"ring_timeout_s":15,"extras":{"out_id":null,"out_order_id":null,"ring_config":"{\"AXNRing_AB\": \"1\", \"AXNRing_A\": \"2\", \"AXNRing_N\": \"3\"}","dtmf_config":null,"speech_model":"model","extend":null},"owner":{"pool":"FC900","account":"acme"}}}]}],"commitments":[null,"e651759c6c8132c4a68107cd609310207518b3581e4cda84e5010003e5ac621b"]}"#;
    let mut payload = vec![FORM];
    PLAIN.compress(json.as_bytes(), &mut payload);
    // Its form, two entries, nothing, and values: their salt, their length, they themselves.
    let salt = b"\xa0\xf2\x6a\x06\x30\x13\x62\xd1\x06\x7b\xfa\x70\x61\x7f\x7c\xe2";
    let values =
        br#"{"a":"13900000002","b":"13900000003","out_id":"out-1","out_order_id":"order-1"}"#;
    let personal = [&[1, 2, 0, 1][..], salt, &[79], values].concat();
    Batch {
        seq: 45,
        at: 1_796_042_139_542,
        prev_hash: Hash([1; 32]),
        hash: Hash::link(Hash([1; 32]), &payload),
        payload,
        personal,
    }
}

#[test]
fn the_bytes_of_the_last_program_that_wrote_form_1_are_read() {
    let opened = open(&of_the_last_program(), &PLAIN).expect("readable");
    assert_eq!(opened.at, Timestamp(1_796_042_139_542));
    assert_eq!(opened.erased, []);
    let [entry] = &opened.entries[..] else {
        panic!("{} entries", opened.entries.len());
    };
    let permission = "dypls:BindAxn".into();
    let key = AccessKeyId::new("key-of-acme");
    assert_eq!(entry.by, Actor::Customer { key, permission });
    let [Event::CommandAnswered { .. }, Event::Bound(bound)] = &entry.events[..] else {
        panic!("{:?}", entry.events);
    };
    let number = |digits| PhoneNumber::parse(digits).expect("digits");
    let term = Timestamp(1_796_042_139_542)..Timestamp(2_426_762_139_000);
    let (x, a) = (number("17300000027"), number("13900000002"));
    let rings = r#"{"AXNRing_AB": "1", "AXNRing_A": "2", "AXNRing_N": "3"}"#;
    let expected = Binding {
        b: Some(number("13900000003")),
        restriction: Restriction::OthersMayNotDial,
        record: true,
        speech_recognition: true,
        ring_timeout_s: Some(15),
        extras: Extras {
            out_id: Some("out-1".into()),
            out_order_id: Some("order-1".into()),
            ring_config: RingConfig::parse(rings).ok(),
            speech_model: Some("model".into()),
            ..Extras::default()
        },
        owner: Some(Owner {
            pool: PoolKey::new("FC900"),
            account: AccountId::new("acme"),
        }),
        ..Binding::new(SubsId(1_796_042_139_542_000), Product::Axn, x, a, term)
    };
    assert_eq!(**bound, expected);
}

#[test]
fn the_writer_of_form_1_writes_as_its_last_program_did() {
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
    let none = blank(&batch, &PLAIN, |subject, _| subject.of == 1);
    assert_eq!(none, Ok(None));
    let blanked = blank(&batch, &PLAIN, |subject, part| {
        subject.of == 7_000_000 && part.is_none()
    });
    let blanked = blanked.expect("readable").expect("it is there");
    assert_eq!(blanked.entries, 1);
    let batch = Batch {
        personal: blanked.personal,
        ..batch
    };
    let opened = open(&batch, &PLAIN).expect("readable");
    let parts = [Part::A, Part::B, Part::Texts];
    assert_eq!(opened.erased, parts.map(|part| (1, part)));
    // What form 1 kept in the events stays in the bytes, and is not told.
    assert!(text(&batch).contains("more of Li Lei"));
    let left = Binding {
        a: PhoneNumber::ERASED,
        b: None,
        extras: Extras::default(),
        ..binding()
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
    assert_eq!(open(&forged(&batch, newer), &PLAIN), Err(expected.clone()));
    let unknown = forged(&batch, |text| {
        newer(text).replace("number_locked", "number_painted")
    });
    assert_eq!(open(&unknown, &PLAIN), Err(expected));
    let unknown = forged(&batch, |text| {
        text.replace("number_locked", "number_painted")
    });
    assert!(matches!(
        open(&unknown, &PLAIN),
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
    assert_eq!(open(&batch, &PLAIN), Err(expected));
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
    let opened = open(&old, &PLAIN).expect("readable");
    assert_eq!(opened.entries[0].events, [Event::TrunkSet(Box::new(now))]);
}
