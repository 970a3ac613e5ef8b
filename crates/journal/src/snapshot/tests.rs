use super::*;
use crate::codec::PLAIN;
use maskline_domain::binding::{Extras, Restriction};
use maskline_domain::{
    AccessKeyId, AccountId, Answered, AttemptId, Binding, Carrier, CarrierKind, CarrierName, City,
    CommandId, Number, NumberCarrier, NumberClass, NumberKind, Operator, OperatorName, PhoneNumber,
    Pool, PoolKey, Product, Remembered, RingConfig, Role, SubsId, Timestamp, TokenHash,
};

fn digits(text: &str) -> PhoneNumber {
    PhoneNumber::parse(text).expect("digits")
}

fn class(city: &str) -> NumberClass {
    NumberClass {
        pool: Some(PoolKey::new("FC1")),
        city: City::new(city),
        province: "".into(),
        kind: NumberKind::VirtualOperator,
        carrier: NumberCarrier::Mobile,
        certified: true,
        purchased_at: Timestamp(7_000),
    }
}

fn number(last: u8, city: &str) -> Number {
    Number {
        x: digits(&format!("1700000000{last}")),
        class: class(city),
        locked: false,
        cooling_until: Timestamp(0),
        idle_since: Timestamp(0),
    }
}

fn binding() -> Binding {
    let term = Timestamp(1_000)..Timestamp(2_000);
    let (x, a) = (digits("17000000001"), digits("13800000001"));
    Binding::new(SubsId(5), Product::Axn, x, a, term)
}

fn with(extras: Extras) -> Row {
    Row::from(Binding {
        extras,
        ..binding()
    })
}

/// Rows in the order of a state, each of which says something that the others do not.
fn table() -> Vec<Row> {
    let text = || Some("text".into());
    let usual = Extras::default;
    let ring_config = RingConfig::parse(r#"{"AXNRing_N":"100000001"}"#).ok();
    vec![
        Row::Emergency(vec![digits("110"), digits("119")]),
        Row::Number(number(1, "杭州")),
        Row::Number(Number {
            locked: true,
            ..number(2, "杭州")
        }),
        Row::Number(Number {
            cooling_until: Timestamp(9_000),
            ..number(3, "上海")
        }),
        Row::Number(Number {
            idle_since: Timestamp(8_000),
            ..number(4, "杭州")
        }),
        Row::Number(Number {
            class: NumberClass {
                pool: None,
                ..class("上海")
            },
            ..number(5, "上海")
        }),
        Row::from(binding()),
        Row::from(Binding {
            product: Product::Axb,
            b: Some(digits("13900000001")),
            ..binding()
        }),
        Row::from(Binding {
            restriction: Restriction::AMayNotDial,
            ..binding()
        }),
        Row::from(Binding {
            record: true,
            ..binding()
        }),
        Row::from(Binding {
            speech_recognition: true,
            ring_timeout_s: Some(30),
            ..binding()
        }),
        with(Extras {
            out_id: text(),
            ..usual()
        }),
        with(Extras {
            out_order_id: text(),
            ..usual()
        }),
        with(Extras {
            ring_config,
            ..usual()
        }),
        with(Extras {
            dtmf_config: text(),
            ..usual()
        }),
        with(Extras {
            speech_model: text(),
            ..usual()
        }),
        with(Extras {
            extend: text(),
            ..usual()
        }),
        Row::Command(CommandId::short(77), remembered(None, None)),
        Row::Command(
            CommandId(u128::MAX),
            remembered(Some(AttemptId(7)), Some(Answered::Done)),
        ),
        Row::Command(
            CommandId(1),
            remembered(Some(AttemptId(u64::MAX)), Some(Answered::Refused(24))),
        ),
        Row::Command(
            CommandId(2),
            Remembered {
                key: None,
                ..remembered(
                    Some(AttemptId(0)),
                    Some(Answered::Bound {
                        subs_id: SubsId(7_000_000),
                        x: digits("17000000001"),
                    }),
                )
            },
        ),
        Row::Import {
            name: "stock".into(),
            rows: 4_096,
        },
        Row::from(Pool::new(
            PoolKey::new("FC1"),
            AccountId::new("acme"),
            Product::Axn,
        )),
        Row::from(Pool {
            carrier: Some(CarrierName::new("unicom")),
            ..Pool::new(PoolKey::new("FC2"), AccountId::new("acme"), Product::Axb)
        }),
        Row::from(Carrier::new(CarrierName::new("telecom"))),
        Row::from(Carrier {
            kind: CarrierKind::Http,
            url: Some("https://carrier.example/".into()),
            ca: Some("PEM".into()),
            sealed_secret: Some([0, 23, 24, 255].into()),
            reconciled_epoch: 7,
            ..Carrier::new(CarrierName::new("unicom"))
        }),
        Row::from(Operator {
            name: OperatorName::new("alice"),
            role: Role::Viewer,
            token_hash: TokenHash([255; 32]),
            enabled: false,
            created_at: Timestamp(5),
            token_at: Timestamp(6),
        }),
        Row::FirstTokenRetired,
    ]
}

fn remembered(attempt: Option<AttemptId>, answered: Option<Answered>) -> Remembered {
    Remembered {
        key: Some(AccessKeyId::new("LTAI")),
        until: Timestamp(3_000),
        attempt,
        answered,
    }
}

#[test]
fn every_row_is_read_as_it_was_written() {
    for row in table() {
        let bytes = write_rows([row.clone()].into_iter());
        assert_eq!(read_rows(&bytes), Some(vec![row]));
    }
    let bytes = write_rows(table().into_iter());
    assert_eq!(read_rows(&bytes), Some(table()));
    let cut = &bytes[..bytes.len() - 1];
    assert_eq!(read_rows(cut), None, "not all of it is there");
}

#[test]
fn what_is_as_usual_takes_no_room() {
    let bytes = |rows: &[Row]| write_rows(rows.iter().cloned()).len();
    let one = [Row::Number(number(1, "杭州"))];
    let two = [one[0].clone(), Row::Number(number(2, "杭州"))];
    assert_eq!(bytes(&two) - bytes(&one), 12, "its kind, class and digits");
    assert!(bytes(&[Row::from(binding())]) < 48);
}

#[test]
fn a_value_that_a_newer_program_added_at_the_end_is_skipped() {
    let class_row = cbor::append(Vec::new(), &(7, class("杭州"), "more"));
    let (x, until) = (digits("17000000001"), Timestamp(9_000));
    let no = Timestamp(0);
    let bytes = cbor::append(class_row, &(8, 0, x, false, until, no, ("more", 1)));
    let expected = Number {
        cooling_until: until,
        ..number(1, "杭州")
    };
    assert_eq!(read_rows(&bytes), Some(vec![Row::Number(expected)]));

    let bytes = cbor::append(Vec::new(), &(11, "stock", 7, [1, 2, 3]));
    let (name, rows) = ("stock".into(), 7);
    assert_eq!(read_rows(&bytes), Some(vec![Row::Import { name, rows }]));
}

#[test]
fn what_is_no_row_is_not_read() {
    let x = digits("17000000001");
    for bytes in [
        cbor::append(Vec::new(), &(8, 0, x)),
        cbor::append(Vec::new(), &(8, 0)),
        cbor::append(Vec::new(), &(9, 5, "axn")),
        cbor::append(Vec::new(), &(99, 1)),
        cbor::append(Vec::new(), &("8", 0, x)),
        cbor::append(Vec::new(), &8),
        cbor::append(Vec::new(), &[0_u8; 0]),
    ] {
        assert_eq!(read_rows(&bytes), None, "{bytes:?}");
    }
}

#[test]
fn parts_are_read_alone_and_the_digest_is_over_all_of_them() {
    let rows = || {
        (0..60_000_u64).map(|n| {
            let x = digits(&(17_000_000_000 + n).to_string());
            Row::Number(Number {
                x,
                ..number(1, if n % 2 == 0 { "杭州" } else { "上海" })
            })
        })
    };
    let mut parts = Parts::new(PLAIN.clone(), 9);
    let mut written: Vec<Vec<u8>> = rows()
        .filter_map(|row| parts.push(row).expect("not sealed"))
        .collect();
    let total = parts.finish().expect("not sealed");
    written.extend(total.part);
    assert_eq!(written.len(), 2);
    assert_eq!(total.digest, digest(rows()));
    let (mut read, mut hashed) = (Vec::new(), Sha256::new());
    for (place, part) in written.iter().enumerate() {
        let unpacked = unpack(part, 9, place as u64, &PLAIN).expect("a part");
        hashed.update(&unpacked.bytes);
        read.extend(read_rows(&unpacked.bytes).expect("whole in itself"));
    }
    assert!(read.into_iter().eq(rows()));
    assert_eq!(total.digest, Hash(hashed.finalize().into()));
}
