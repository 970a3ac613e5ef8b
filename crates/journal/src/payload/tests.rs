use super::*;
use crate::codec::PLAIN;
use maskline_domain::binding::{Extras, Owner};
use maskline_domain::{
    AccessKey, AccessKeyId, AccountId, Binding, Carrier, CarrierKind, CarrierName, ErasedParts,
    Operator, OperatorName, PhoneNumber, Pool, PoolKey, Product, RingConfig, Role, SubsId,
    TokenHash, Trunk, TrunkName, UserName,
};

fn operator() -> Actor {
    Actor::Operator {
        name: "op".into(),
        remark: None,
    }
}

fn number(digits: &str) -> PhoneNumber {
    PhoneNumber::parse(digits).expect("digits")
}

fn events() -> Vec<Event> {
    vec![
        Event::UserDeleted {
            account: AccountId::new("acme"),
            name: UserName::new("user1"),
        },
        Event::NumberLocked {
            x: number("17000000001"),
        },
        Event::EpochBegun {
            epoch: 2,
            subs_id_floor: SubsId(9),
        },
    ]
}

/// A binding that tells of everybody it can.
pub(super) fn binding() -> Binding {
    let term = Timestamp(5)..Timestamp(500);
    let (x, a) = (number("17000000001"), number("15000000000"));
    Binding {
        b: Some(number("15800000000")),
        record: true,
        ring_timeout_s: Some(30),
        extras: Extras {
            out_id: Some("for Li Lei".into()),
            out_order_id: Some("order of Li Lei".into()),
            ring_config: RingConfig::parse(r#"{"AXNRing_N":"100000001"}"#).ok(),
            dtmf_config: Some("keys of Li Lei".into()),
            speech_model: Some("voice of Li Lei".into()),
            extend: Some("more of Li Lei".into()),
        },
        owner: Some(Owner {
            pool: PoolKey::new("FC1"),
            account: AccountId::new("acme"),
        }),
        ..Binding::new(SubsId(7_000_000), Product::Axn, x, a, term)
    }
}

fn draft_of(all: impl IntoIterator<Item = Vec<Event>>) -> Draft {
    let mut draft = Draft::new(3, Timestamp(77), Hash([1; 32]), [5; 32]);
    for events in all {
        draft
            .push(operator(), events, usize::MAX)
            .expect("no limit");
    }
    draft
}

fn draft() -> Draft {
    draft_of([events()])
}

/// Two commands, three events that tell of persons, and others around them.
fn personal_events() -> [Vec<Event>; 2] {
    let bare = Binding {
        b: None,
        extras: Extras::default(),
        ..binding()
    };
    let mut first = events();
    first.insert(1, Event::Bound(Box::new(binding())));
    let changed = Event::BindingChanged(Box::new(bare.clone()));
    [first, vec![changed, Event::Bound(Box::new(bare))]]
}

/// The body of a payload with another in its place, in the same row.
fn forged(batch: &Batch, from: &str, to: &str) -> Batch {
    assert_eq!(from.len(), to.len(), "no length in the body changes");
    let (form, body) = unpack(batch, &PLAIN).expect("readable");
    let at = body
        .windows(from.len())
        .position(|part| part == from.as_bytes());
    let at = at.expect("it is there");
    let mut payload = vec![form];
    payload.extend_from_slice(&body);
    payload[1 + at..][..to.len()].copy_from_slice(to.as_bytes());
    Batch {
        payload,
        ..batch.clone()
    }
}

/// A batch of a program to come.
fn newer(mut draft: Draft) -> Batch {
    draft.oldest_reader = READER + 1;
    draft.seal(&PLAIN).expect("not sealed")
}

#[test]
fn a_batch_reads_as_it_was_written() {
    let opened = open(&draft().seal(&PLAIN).expect("not sealed"), &PLAIN).expect("readable");
    assert_eq!(opened.at, Timestamp(77));
    assert_eq!(opened.erased, []);
    let expected = Entry {
        by: operator(),
        events: events(),
    };
    assert_eq!(opened.entries, [expected]);
}

#[test]
fn personal_values_are_read_again_and_stand_beside_the_payload() {
    let batch = draft_of(personal_events())
        .seal(&PLAIN)
        .expect("not sealed");
    for told in ["Li Lei", "100000001"] {
        let holds = |bytes: &[u8]| {
            bytes
                .windows(told.len())
                .any(|part| part == told.as_bytes())
        };
        assert!(!holds(&batch.payload) && holds(&batch.personal), "{told}");
    }
    for party in ["15000000000", "15800000000"] {
        let holds = |bytes: &[u8], told: &[u8]| bytes.windows(told.len()).any(|part| part == told);
        assert!(holds(&batch.personal, party.as_bytes()));
        for told in [party.as_bytes(), &number(party).packed().to_be_bytes()] {
            assert!(!holds(&batch.payload, told), "{party}");
        }
    }
    let opened = open(&batch, &PLAIN).expect("readable");
    let read = opened.entries.into_iter().map(|entry| entry.events);
    assert_eq!(read.collect::<Vec<_>>(), personal_events());
}

#[test]
fn each_subject_of_an_event_has_values_of_its_own() {
    let batch = draft_of(personal_events())
        .seal(&PLAIN)
        .expect("not sealed");
    let kept = personal::read(&batch.personal).expect("readable");
    // A, B and texts of the first; A alone of the others.
    assert_eq!(kept.len(), 5);
    let subjects: Vec<Subject> = kept.iter().map(Kept::subject).collect();
    assert!(subjects.iter().all(|subject| subject.of == 7_000_000));
    let mut numbers: Vec<u32> = subjects.iter().map(|subject| subject.n).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 5);

    let whole = binding();
    for (gone, part, left) in [
        (
            0,
            Part::A,
            Binding {
                a: PhoneNumber::ERASED,
                ..whole.clone()
            },
        ),
        (
            1,
            Part::B,
            Binding {
                b: Some(PhoneNumber::ERASED),
                ..whole.clone()
            },
        ),
        (
            2,
            Part::Texts,
            Binding {
                extras: Extras::default(),
                ..whole.clone()
            },
        ),
    ] {
        let is_meant = |subject, of| subject == subjects[gone] && of == Some(part);
        let blanked = blank(&batch, &PLAIN, is_meant);
        let blanked = blanked.expect("readable").expect("it is there");
        assert_eq!(blanked.entries, 1);
        let batch = Batch {
            personal: blanked.personal,
            ..batch.clone()
        };
        let opened = open(&batch, &PLAIN).expect("readable");
        assert_eq!(opened.erased, [(1, part)]);
        assert_eq!(opened.entries[0].events[1], Event::Bound(Box::new(left)));
        let [_, second] = personal_events();
        assert_eq!(opened.entries[1].events, second);
        assert_eq!(blank(&batch, &PLAIN, is_meant), Ok(None));
    }
    let of_another = blank(&batch, &PLAIN, |subject, _| subject.of == 1);
    assert_eq!(of_another, Ok(None));
}

#[test]
fn values_of_another_subject_are_not_taken() {
    let batch = draft_of(personal_events())
        .seal(&PLAIN)
        .expect("not sealed");
    let mut kept = personal::read(&batch.personal).expect("readable");
    let mut broken = Vec::new();
    kept.swap(0, 1);
    broken.push(kept.clone());
    kept.swap(0, 1);
    let subject = kept[0].subject();
    kept[1] = Kept::Erased { subject };
    broken.push(kept.clone());
    kept.pop();
    broken.push(kept);
    for kept in broken {
        let batch = Batch {
            personal: personal::write(&kept),
            ..batch.clone()
        };
        assert!(open(&batch, &PLAIN).is_err());
    }
}

#[test]
fn a_batch_is_no_larger_than_its_draft_says() {
    for commands in [0, 1, 10, 1_000] {
        let binds = (0..commands).flat_map(|_| personal_events());
        let draft = draft_of(binds);
        let (body, column) = draft.write();
        let (size, says) = (body.len() + column.len(), draft.bytes());
        assert!(size <= says + 128, "{commands}: {size} bytes for {says}");
    }
}

#[test]
fn what_is_too_large_is_not_added() {
    let mut draft = draft_of(personal_events());
    let (bytes, count) = (draft.bytes(), draft.events());
    let [more, _] = personal_events();
    assert_eq!(draft.push(operator(), more, 10), None);
    assert_eq!((draft.bytes(), draft.events()), (bytes, count));
    let opened = open(&draft.seal(&PLAIN).expect("not sealed"), &PLAIN).expect("readable");
    let read = opened.entries.into_iter().map(|entry| entry.events);
    assert_eq!(read.collect::<Vec<_>>(), personal_events());
}

#[test]
fn a_batch_of_a_newer_program_is_named_not_skipped() {
    let batch = newer(draft());
    let expected = PayloadError::TooNew {
        seq: 3,
        writer: WRITER.to_owned(),
    };
    assert_eq!(open(&batch, &PLAIN), Err(expected.clone()));
    let unknown_event = forged(&batch, "number_locked", "number_washed");
    assert_eq!(open(&unknown_event, &PLAIN), Err(expected));
    let mut form = draft().seal(&PLAIN).expect("not sealed");
    form.payload[0] = 9;
    assert_eq!(
        open(&form, &PLAIN),
        Err(PayloadError::Form { seq: 3, form: 9 })
    );
}

#[test]
fn a_batch_is_written_for_the_oldest_reader_that_understands_it() {
    let reader = |batch: &Batch| -> u32 {
        let (_, body) = unpack(batch, &PLAIN).expect("readable");
        cbor::read::<Head>(&body).expect("a head").oldest_reader
    };
    let trunk_batch = |trunk: Trunk| {
        draft_of([vec![Event::TrunkSet(Box::new(trunk))]])
            .seal(&PLAIN)
            .expect("not sealed")
    };
    let plain = Trunk::new(TrunkName::new("carrier"), "192.0.2.1:5060");
    let more = Trunk {
        calls_max: Some(30),
        sources: vec![[192, 0, 2, 7].into()],
        ..plain.clone()
    };
    assert_eq!(reader(&draft().seal(&PLAIN).expect("not sealed")), 1);
    assert_eq!(reader(&trunk_batch(plain)), 1);
    let batch = trunk_batch(more.clone());
    assert_eq!(reader(&batch), 2);
    let opened = open(&batch, &PLAIN).expect("readable");
    assert_eq!(
        opened.entries[0].events,
        [Event::TrunkSet(Box::new(more.clone()))]
    );
    // An older program would send calls over a trunk that may not show their X.
    let presenting = Trunk {
        presents: vec!["unicom".into()],
        ..more.clone()
    };
    let routing = Trunk {
        routes: vec![number("0571")],
        ..more
    };
    for limited in [presenting, routing] {
        let batch = trunk_batch(limited.clone());
        assert_eq!(reader(&batch), 5);
        let opened = open(&batch, &PLAIN).expect("readable");
        assert_eq!(
            opened.entries[0].events,
            [Event::TrunkSet(Box::new(limited))]
        );
    }
    // Who overlooked a carrier would bind without telling it.
    let unicom = || CarrierName::new("unicom");
    let pool = Pool::new(PoolKey::new("FC1"), AccountId::new("acme"), Product::Axn);
    let of_carrier = Pool {
        carrier: Some(unicom()),
        ..pool.clone()
    };
    for (event, oldest) in [
        (Event::CarrierSet(Box::new(Carrier::new(unicom()))), 5),
        (Event::CarrierDeleted { name: unicom() }, 5),
        (Event::PoolSet(of_carrier), 5),
        (Event::OperatorSet(Box::new(administrator())), 9),
        (Event::FirstTokenRetired, 9),
        (Event::FirstTokenRestored, 9),
        (Event::PoolSet(pool), 1),
        // Who overlooked it would tell a carrier that is gone, and never free the X.
        (
            Event::ProvisionDropped {
                subs_id: SubsId(7),
                x: number("17000000001"),
            },
            6,
        ),
    ] {
        let batch = draft_of([vec![event]]).seal(&PLAIN).expect("not sealed");
        assert_eq!(reader(&batch), oldest);
    }
}

fn administrator() -> Operator {
    Operator {
        name: OperatorName::new("alice"),
        role: Role::Administrator,
        token_hash: TokenHash([7; 32]),
        enabled: true,
        created_at: Timestamp(5),
        token_at: Timestamp(6),
    }
}

#[test]
fn addresses_networks_and_secrets_read_as_they_were_written() {
    let trunk = Trunk {
        sources: vec![
            [192, 0, 2, 7].into(),
            [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into(),
        ],
        media_networks: ["198.51.100.0/24", "2001:db8::/32"]
            .map(|network| network.parse().expect("a network"))
            .to_vec(),
        sip_advertised: "198.51.100.1:5060".parse().ok(),
        rtp_advertised: "2001:db8::7".parse().ok(),
        home_area: Some(number("0571")),
        ..Trunk::new(TrunkName::new("carrier"), "sip.carrier.example")
    };
    let key = AccessKey {
        id: AccessKeyId::new("LTAI1"),
        account: AccountId::new("acme"),
        user: Some(UserName::new("user1")),
        sealed_secret: vec![0, 23, 24, 255].into(),
        active: true,
        created_at: Timestamp(-5),
    };
    let carrier = Carrier {
        kind: CarrierKind::Http,
        url: Some("https://carrier.example/maskline".into()),
        ca: Some("-----BEGIN CERTIFICATE-----".into()),
        sealed_secret: Some(vec![0, 23, 24, 255].into()),
        connect_timeout_ms: 50,
        request_timeout_ms: 60_000,
        deadline_ms: 100,
        concurrency: 1_024,
        breaker_failures: 1_000,
        breaker_open_ms: 600_000,
        reconcile_every_s: 0,
        reconciled_epoch: 7,
        ..Carrier::new(CarrierName::new("unicom"))
    };
    let pool = Pool {
        carrier: Some(CarrierName::new("unicom")),
        ..Pool::new(PoolKey::new("FC1"), AccountId::new("acme"), Product::Axn)
    };
    let events = vec![
        Event::TrunkSet(Box::new(trunk)),
        Event::KeySet(key),
        Event::CarrierSet(Box::new(carrier)),
        Event::PoolSet(pool),
        Event::CarrierDeleted {
            name: CarrierName::new("unicom"),
        },
        Event::OperatorSet(Box::new(administrator())),
        Event::OperatorRemoved {
            name: administrator().name,
        },
        Event::FirstTokenRetired,
        Event::FirstTokenRestored,
        Event::EmergencyNumbersSet {
            numbers: vec![number("110"), number("4001234567")],
        },
    ];
    let batch = draft_of([events.clone()]).seal(&PLAIN).expect("not sealed");
    let opened = open(&batch, &PLAIN).expect("readable");
    assert_eq!(opened.entries[0].events, events);
}

#[test]
fn an_unknown_event_is_an_error() {
    let unknown = forged(
        &draft().seal(&PLAIN).expect("not sealed"),
        "number_locked",
        "number_washed",
    );
    assert!(matches!(
        open(&unknown, &PLAIN),
        Err(PayloadError::Broken { .. })
    ));
}

#[test]
fn the_row_cannot_tell_another_number_or_time_than_the_payload() {
    let batch = draft().seal(&PLAIN).expect("not sealed");
    let renumbered = Batch {
        seq: 4,
        ..batch.clone()
    };
    let redated = Batch { at: 78, ..batch };
    for batch in [renumbered, redated] {
        assert!(matches!(
            open(&batch, &PLAIN),
            Err(PayloadError::Broken { .. })
        ));
    }
}

#[test]
fn salts_differ_by_place_and_by_seed() {
    let salts = [drawn(&[1; 32], 0), drawn(&[1; 32], 1), drawn(&[2; 32], 0)];
    assert!(salts[0] != salts[1] && salts[0] != salts[2] && salts[1] != salts[2]);
}

#[test]
fn the_names_of_parts_are_those_that_are_read() {
    for part in [Part::A, Part::B, Part::Texts] {
        let named = cbor::append(Vec::new(), &part.name());
        assert_eq!(cbor::read(&named), Some(part));
    }
}

#[test]
fn an_erasure_names_subjects_and_nobody() {
    let subject = Subject {
        of: 7,
        n: 0xdead_beef,
    };
    let last = vec![ErasedParts {
        of: 7,
        parts: vec![Part::B, Part::Texts],
    }];
    let erased = Event::PersonErased {
        bindings: 1,
        subjects: vec![subject],
        last,
    };
    // As older programs wrote it.
    let counted = Event::PersonErased {
        bindings: 3,
        subjects: Vec::new(),
        last: Vec::new(),
    };
    let events = vec![erased, counted];
    let batch = draft_of([events.clone()]).seal(&PLAIN).expect("not sealed");
    let (_, body) = unpack(&batch, &PLAIN).expect("readable");
    let head = cbor::read::<Head>(&body).expect("a head");
    assert_eq!(head.oldest_reader, 4, "no older program overlooks it");
    let opened = open(&batch, &PLAIN).expect("readable");
    assert_eq!(opened.entries[0].events, events);
    let old: Event = serde_json::from_str(r#"{"person_erased":{"bindings":3}}"#).expect("an event");
    assert_eq!(old, events[1]);
}

#[test]
fn the_kind_of_an_object_can_be_told_without_a_new_form() {
    #[derive(serde::Serialize)]
    struct OfAnotherKind {
        of: u64,
        n: u32,
        kind: &'static str,
    }
    let (of, n) = (7, 9);
    let kind = "group_member";
    let written = cbor::append(Vec::new(), &OfAnotherKind { of, n, kind });
    assert_eq!(cbor::read(&written), Some(Subject { of, n }));
}

#[test]
fn what_is_told_of_a_person_is_found_in_either_form() {
    let form_1 = || {
        let by = operator();
        let [events, _] = personal_events();
        let entries = vec![Entry { by, events }];
        let (at, prev_hash) = (Timestamp(77), Hash([1; 32]));
        v1::writer::write((3, at), prev_hash, [5; 32], entries, &PLAIN)
    };
    let form_2 = draft_of(personal_events())
        .seal(&PLAIN)
        .expect("not sealed");
    let (a, b) = (number("15000000000"), number("15800000000"));
    for (form, batch, subjects) in [(2, form_2, [3, 1]), (1, form_1(), [1, 1])] {
        let told = told(&batch, &PLAIN).expect("readable");
        for (person, count) in [a, b].into_iter().zip(subjects) {
            let theirs = told.iter().filter(|told| told.values.names(person));
            assert_eq!(theirs.count(), count, "form {form}, {person}");
        }
        // Once blanked nobody is found.
        let all = blank(&batch, &PLAIN, |_, _| true);
        let personal = all.expect("readable").expect("there is some").personal;
        let blanked = Batch { personal, ..batch };
        assert_eq!(super::told(&blanked, &PLAIN), Ok(Vec::new()));
    }
}
