//! Both forms of the journal: time and bytes for each command, written and read.
//!
//! `cargo bench -p maskline-store --bench forms` prints, for a batch of binds as customers give them, how long a
//! command takes to be written and to be read again, compression included, and how many bytes it takes. Form 1 is
//! written by the writer that tests have of it.

use std::hint::black_box;
use std::time::Instant;

use maskline_domain::binding::{Extras, Owner};
use maskline_domain::{
    AccessKeyId, AccountId, Actor, Answered, AttemptId, Binding, CommandId, Entry, Event,
    PhoneNumber, PoolKey, Product, SubsId, Timestamp,
};
use maskline_journal::batch::{Batch, Hash};
use maskline_journal::payload::v1::writer;
use maskline_journal::payload::{self, Draft};
use maskline_store::UNSEALED;

/// Commands in a batch.
const COMMANDS: u64 = 64;
const ROUNDS: u32 = 2_000;
const AT: Timestamp = Timestamp(1_800_000_000_000);

fn number(first: u64, n: u64) -> PhoneNumber {
    PhoneNumber::parse(&(first + n * 7_919 % 90_000_000).to_string()).expect("digits")
}

fn entry(n: u64) -> Entry {
    let key = AccessKeyId::new("LTAI5tExampleExampleKey");
    let answered = Event::CommandAnswered {
        id: CommandId(u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)),
        key: Some(key.clone()),
        until: AT.plus_millis(900_000),
        attempt: Some(AttemptId(n)),
        answered: Some(Answered::Done),
    };
    let id = SubsId(AT.0.unsigned_abs() * 1_000 + n);
    let (x, a) = (number(17_000_000_000, n), number(13_800_000_000, n));
    let bound = Binding {
        b: Some(number(15_100_000_000, n)),
        extras: Extras {
            out_id: Some(format!("order-{n}").into()),
            ..Extras::default()
        },
        owner: Some(Owner {
            pool: PoolKey::new("FC100000123456"),
            account: AccountId::new("acme"),
        }),
        ..Binding::new(id, Product::Axb, x, a, AT..AT.plus_millis(3_600_000))
    };
    Entry {
        by: Actor::Customer {
            key,
            permission: "dypls:BindAxb".into(),
        },
        events: vec![answered, Event::Bound(Box::new(bound))],
    }
}

fn form_1(entries: Vec<Entry>) -> Batch {
    writer::write((1, AT), Hash::GENESIS, [7; 32], entries, &UNSEALED)
}

fn form_2(entries: Vec<Entry>) -> Batch {
    let mut draft = Draft::new(1, AT, Hash::GENESIS, [7; 32]);
    for Entry { by, events } in entries {
        draft.push(by, events, usize::MAX).expect("no limit");
    }
    draft.seal(&UNSEALED).expect("not sealed")
}

fn main() {
    let entries: Vec<Entry> = (0..COMMANDS).map(entry).collect();
    let of = f64::from(ROUNDS) * COMMANDS as f64;
    println!(
        "{:>6} {:>14} {:>14} {:>16} {:>17}",
        "form", "written ns", "read ns", "payload bytes", "personal bytes"
    );
    for (name, write) in [
        ("1", form_1 as fn(Vec<Entry>) -> Batch),
        ("2", form_2 as fn(Vec<Entry>) -> Batch),
    ] {
        let copies: Vec<_> = (0..ROUNDS).map(|_| entries.clone()).collect();
        let begin = Instant::now();
        for copy in copies {
            black_box(write(copy));
        }
        let written = begin.elapsed();
        let batch = write(entries.clone());
        let begin = Instant::now();
        for _ in 0..ROUNDS {
            black_box(payload::open(&batch, &UNSEALED).expect("readable"));
        }
        let read = begin.elapsed();
        println!(
            "{name:>6} {:>14.0} {:>14.0} {:>16.1} {:>17.1}",
            written.as_secs_f64() * 1e9 / of,
            read.as_secs_f64() * 1e9 / of,
            batch.payload.len() as f64 / COMMANDS as f64,
            batch.personal.len() as f64 / COMMANDS as f64,
        );
    }
}
