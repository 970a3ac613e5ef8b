//! Every list of the records, page by page: thousands of rows of one moment, and others that come and change between
//! pages. Each row is given once, in pages of any size.

use std::collections::BTreeSet;

use maskline_domain::binding::Owner;
use maskline_domain::call_record::CallRecord;
use maskline_domain::{
    AccountId, Actor, Binding, EndCause, Entry, Event, PoolKey, Product, SubsId, Timestamp,
};
use maskline_fixtures::domain::{party, x};
use maskline_journal::payload::Opened;
use maskline_store::db::{Readers, sql};
use maskline_store::failure::Done;
use maskline_store::record_writes::{RecordWrite, write_records};
use maskline_store::records::projection::Projection;
use maskline_store::records::{audit, call, history};

use crate::support::{Store, store};

/// Rows of each kind: calls and bindings of one millisecond, entries of the audit of one batch.
const ROWS: u64 = 2_000;
const MOMENT: Timestamp = Timestamp::from_secs(1_800_000_000);
/// Rows of a page.
const LIMITS: [u32; 6] = [1, 7, 97, 500, 999, 1_000];
/// How many pages of one limit are asked for, and after how many of them something is written.
const PAGES_MAX: usize = 60;
const WRITTEN_AFTER: usize = 3;

/// A list with what narrows it.
#[derive(Clone, Debug)]
enum List {
    Calls(call::Filter),
    Bindings(history::Filter),
    Audit,
}

/// Where a page begins.
#[derive(Clone, Debug)]
enum Key {
    Call(call::CallKey),
    Binding(SubsId),
    Deed(u64, u32),
}

#[rustfmt::skip]
fn lists() -> Vec<(List, u64)> {
    use List::{Audit, Bindings, Calls};
    let (calls, bindings) = (call::Filter::default, history::Filter::default);
    let word = |text: &str| Some(text.to_owned());
    let (pool, account) = (|| Some(PoolKey::new("FC1")), || Some(AccountId::new("acme")));
    let (someone, other) = (Some(party(1)), Some(party(2)));
    vec![
        (Calls(calls()), ROWS),
        (Calls(call::Filter { party: someone, ..calls() }), ROWS),
        (Calls(call::Filter { party: other, ..calls() }), ROWS / 2),
        (Calls(call::Filter { caller: other, ..calls() }), ROWS / 4),
        (Calls(call::Filter { caller: someone, party: other, ..calls() }), ROWS / 4),
        (Calls(call::Filter { party: someone, pool: word("FC1"), ..calls() }), ROWS / 2),
        (Calls(call::Filter { x: Some(x(1)), ..calls() }), ROWS),
        (Calls(call::Filter { pool: word("FC1"), ..calls() }), ROWS / 2),
        (Calls(call::Filter { account: word("acme"), ..calls() }), ROWS / 2),
        (Calls(call::Filter { subs_id: Some(SubsId(7)), ..calls() }), ROWS),
        (Calls(call::Filter { situation: word("completed"), ..calls() }), ROWS / 2),
        (Calls(call::Filter { open: Some(false), ..calls() }), ROWS / 2),
        (Calls(call::Filter { since: Some(MOMENT), before: Some(MOMENT.plus_secs(1)), ..calls() }), ROWS),
        (Bindings(bindings()), ROWS),
        (Bindings(history::Filter { party: someone, ..bindings() }), ROWS),
        (Bindings(history::Filter { party: other, ..bindings() }), ROWS / 2),
        (Bindings(history::Filter { party: other, ended: Some(true), ..bindings() }), ROWS / 2),
        (Bindings(history::Filter { x: Some(x(1)), ..bindings() }), ROWS / 2),
        (Bindings(history::Filter { pool: pool(), ..bindings() }), ROWS / 2),
        (Bindings(history::Filter { account: account(), ..bindings() }), ROWS / 2),
        (Bindings(history::Filter { ended: Some(true), ..bindings() }), ROWS / 2),
        (Audit, ROWS),
    ]
}

#[tokio::test]
async fn every_list_gives_each_row_once_whatever_is_written_between_pages() {
    let mut store = filled().await;
    let readers = store.owned.readers(2).await.expect("readable");
    let mut written = 0;
    for (list, count) in lists() {
        for limit in LIMITS {
            let before = whole(&readers, &list).await;
            let (mut walked, mut after) = (Vec::new(), None);
            for pages in 1.. {
                let (rows, next) = page(&readers, &list, after.as_ref(), limit).await;
                assert!(rows.len() <= limit as usize, "{list:?}, {limit} a page");
                walked.extend(rows);
                after = next;
                if after.is_none() || pages == PAGES_MAX {
                    break;
                }
                if pages % WRITTEN_AFTER == 0 {
                    written += 1;
                    store.write_around(written).await;
                }
            }
            let once: BTreeSet<&String> = walked.iter().collect();
            assert_eq!(once.len(), walked.len(), "{list:?}, {limit} a page");
            // Nothing leaves these lists: what was there is all given, in its order, as far as was read.
            let there: BTreeSet<&String> = before.iter().collect();
            assert!(there.len() as u64 >= count, "{list:?}: {}", there.len());
            let read: Vec<&String> = walked.iter().filter(|row| there.contains(row)).collect();
            let end = if after.is_none() {
                before.len()
            } else {
                read.len()
            };
            assert!(
                read.iter().copied().eq(&before[..end]),
                "{list:?}, {limit} a page"
            );
        }
    }
}

#[tokio::test]
async fn a_page_of_calls_looks_at_a_bounded_number_of_others() {
    let mut store = store().await;
    let quick = sql("PRAGMA synchronous = OFF");
    store.conn.execute(quick).await.expect("SQL");
    let most = u64::from(call::VISITED_MAX);
    // All of one person, account and pool; a few on another X, of another account, in another pool, lost.
    let rare = |n: u64| n % 1_000 == 500;
    let calls: Vec<RecordWrite> = (0..3 * most)
        .map(|n| {
            let call = CallRecord {
                account: Some(if rare(n) { "small" } else { "acme" }.into()),
                pool: Some(if rare(n + 1) { "FC2" } else { "FC1" }.into()),
                x: Some(x(if rare(n + 2) { 2 } else { 1 })),
                subs_id: Some(SubsId(if rare(n + 3) { 8 } else { 7 })),
                situation: Some(
                    if rare(n + 4) {
                        "node_lost"
                    } else {
                        "completed"
                    }
                    .into(),
                ),
                caller: Some(party(1)),
                callee: Some(party(if rare(n + 5) { 2 } else { 3 })),
                a: None,
                arrived_at: MOMENT.plus_millis(n as i64 / 7),
                call_id: format!("call-{n:05}"),
                ..call_of(n)
            };
            RecordWrite::CloseCall(Box::new(call), Vec::new())
        })
        .collect();
    store.write_calls(&calls).await;
    let readers = store.owned.readers(1).await.expect("readable");
    let (all, word) = (call::Filter::default, |text: &str| Some(text.to_owned()));
    let (someone, other) = (Some(party(1)), Some(party(2)));
    let few = 3 * most / 1_000;
    #[rustfmt::skip]
    let rows = [
        // Who has few calls leads, whatever else is asked for: one page.
        (call::Filter { account: word("acme"), x: Some(x(2)), ..all() }, few, 1),
        (call::Filter { account: word("small"), pool: word("FC1"), ..all() }, few, 1),
        (call::Filter { account: word("acme"), pool: word("FC2"), ..all() }, few, 1),
        (call::Filter { account: word("acme"), situation: word("node_lost"), ..all() }, few, 1),
        (call::Filter { subs_id: Some(SubsId(8)), situation: word("completed"), pool: word("FC1"), ..all() }, few, 1),
        (call::Filter { party: other, caller: None, account: word("acme"), ..all() }, few, 1),
        (call::Filter { account: word("small"), pool: word("FC2"), ..all() }, 0, 1),
        // Nobody has few: the pages tell how far they have come.
        (call::Filter { party: someone, x: Some(x(2)), ..all() }, few, 4),
        (call::Filter { party: someone, account: word("small"), ..all() }, few, 4),
        (call::Filter { caller: someone, situation: word("node_lost"), ..all() }, few, 4),
        (call::Filter { caller: someone, party: other, ..all() }, few, 4),
        (call::Filter { party: someone, situation: word("busy"), account: word("acme"), ..all() }, 0, 4),
        (call::Filter { caller: someone, pool: word("FC2"), since: Some(MOMENT), ..all() }, few, 4),
        (call::Filter { party: someone, pool: word("FC2"), before: Some(MOMENT), ..all() }, 0, 1),
        // As many as are wanted stand among the first.
        (call::Filter { account: word("acme"), pool: word("FC1"), ..all() }, 3 * most - 2 * few, 31),
        (call::Filter { party: someone, ..all() }, 3 * most, 31),
    ];
    for (filter, count, pages_max) in rows {
        let list = List::Calls(filter);
        let (mut walked, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let (rows, next) = page(&readers, &list, after.as_ref(), most as u32 / 10).await;
            walked.extend(rows);
            (after, pages) = (next, pages + 1);
            if after.is_none() {
                break;
            }
        }
        assert_eq!(walked.len() as u64, count, "{list:?}");
        assert!(walked.is_sorted_by(|one, next| one > next), "{list:?}");
        assert!(
            pages <= pages_max && (pages_max != 4 || pages >= 3),
            "{list:?}: {pages} pages"
        );
    }
}

/// Calls of one person with another, open and closed; bindings, half of them ended; as many entries of the audit.
async fn filled() -> Store {
    let mut store = store().await;
    // Nothing of it is to outlive the machine.
    let quick = sql("PRAGMA synchronous = OFF");
    store.conn.execute(quick).await.expect("SQL");
    let calls: Vec<RecordWrite> = (0..ROWS).map(|n| written(n, n % 2 == 0)).collect();
    store.write_calls(&calls).await;
    let mut events: Vec<Event> = (0..ROWS).map(bound).collect();
    events.extend((0..ROWS).step_by(2).map(ended));
    events.extend((0..ROWS).map(|n| Event::NumberLocked { x: x(n % 9_999) }));
    store.project(1, events).await;
    store
}

impl Store {
    async fn write_calls(&mut self, calls: &[RecordWrite]) {
        match write_records(&mut self.conn, calls.iter()).await {
            Done::Known(results) => assert!(results.iter().all(Result::is_ok), "{results:?}"),
            Done::Unknown(reason) => panic!("{reason}"),
        }
    }

    async fn project(&mut self, seq: u64, events: Vec<Event>) {
        let by = Actor::Operator {
            name: "tester".into(),
            remark: None,
        };
        let opened = Opened {
            at: MOMENT,
            entries: vec![Entry { by, events }],
            erased: Vec::new(),
        };
        let mut projection = Projection::default();
        projection.take(seq, &opened);
        let done = self
            .conn
            .transaction(async |conn| projection.write(conn).await);
        done.await.expect("SQL");
    }

    /// New rows, of the same moment and of a later one; an open call is closed, and then has another callee; a binding
    /// ends; the audit gets a batch.
    async fn write_around(&mut self, n: u64) {
        let later = CallRecord {
            arrived_at: MOMENT.plus_secs(n as i64),
            ..call_of(ROWS + 2 * n)
        };
        let calls = [
            RecordWrite::CloseCall(Box::new(later), Vec::new()),
            written(ROWS + 2 * n + 1, false),
            written(2 * n + 1, true),
        ];
        // One that is closed already stays as it is.
        self.write_calls(&calls).await;
        let mut events = vec![bound(ROWS + n), Event::NumberLocked { x: x(1) }];
        events.extend((n.is_multiple_of(8) && n < ROWS).then(|| ended(n + 1)));
        self.project(1 + n, events).await;
    }
}

/// Every other call is from the one person to the other and in a pool.
fn call_of(n: u64) -> CallRecord {
    let (one, other) = (
        party(1),
        if n.is_multiple_of(2) {
            party(2)
        } else {
            party(3)
        },
    );
    let (caller, callee) = if n % 4 < 2 {
        (one, other)
    } else {
        (other, one)
    };
    CallRecord {
        call_id: format!("call-{:05}", n * 7_919 % 99_991),
        node: "n".into(),
        boot: "b".into(),
        account: n.is_multiple_of(2).then(|| "acme".into()),
        pool: n.is_multiple_of(2).then(|| "FC1".into()),
        subs_id: Some(SubsId(7)),
        x: Some(x(1)),
        caller: Some(caller),
        callee: Some(callee),
        a: Some(one),
        arrived_at: MOMENT,
        situation: Some("completed".into()),
        ..CallRecord::default()
    }
}

/// An open call has no callee yet.
fn written(n: u64, is_over: bool) -> RecordWrite {
    let call = call_of(n);
    match is_over {
        true => RecordWrite::CloseCall(Box::new(call), Vec::new()),
        false => RecordWrite::OpenCall(
            Box::new(CallRecord {
                callee: None,
                b: call.callee.filter(|callee| call.a != Some(*callee)),
                situation: None,
                ..call
            }),
            Vec::new(),
        ),
    }
}

fn bound(n: u64) -> Event {
    let is_other = n.is_multiple_of(2);
    let word = |one, other| if is_other { one } else { other };
    Event::Bound(Box::new(Binding {
        b: Some(party(if is_other { 2 } else { 3 })),
        owner: Some(Owner {
            pool: PoolKey::new(word("FC1", "FC2")),
            account: AccountId::new(word("acme", "other")),
        }),
        ..Binding::new(
            SubsId(1_000 + n),
            Product::Axb,
            x(if is_other { 1 } else { 2 }),
            party(1),
            MOMENT..MOMENT.plus_secs(3_600),
        )
    }))
}

fn ended(n: u64) -> Event {
    Event::Ended {
        subs_id: SubsId(1_000 + n),
        x: x(if n.is_multiple_of(2) { 1 } else { 2 }),
        cause: EndCause::Unbound,
        at: MOMENT.plus_secs(60),
        cooling_until: Timestamp(0),
        idle_since: Timestamp(0),
        owner: None,
    }
}

/// The names of all rows. A page of a list that is narrowed ends where enough was looked at.
async fn whole(readers: &Readers, list: &List) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let (rows, next) = page(readers, list, after.as_ref(), 100_000).await;
        all.extend(rows);
        after = next;
        if after.is_none() {
            return all;
        }
    }
}

async fn page(
    readers: &Readers,
    list: &List,
    after: Option<&Key>,
    limit: u32,
) -> (Vec<String>, Option<Key>) {
    match list {
        List::Calls(filter) => {
            let after = after.map(|key| match key {
                Key::Call(key) => key.clone(),
                other => panic!("{other:?} is no key of calls"),
            });
            let filter = call::Filter {
                after,
                limit,
                ..filter.clone()
            };
            let page = call::list(readers, &filter).await.expect("SQL");
            let rows = page.rows.into_iter();
            let names = rows.map(|row| row.expect("readable").0.call_id);
            (names.collect(), page.next.map(Key::Call))
        }
        List::Bindings(filter) => {
            let before = after.map(|key| match key {
                Key::Binding(id) => *id,
                other => panic!("{other:?} is no key of bindings"),
            });
            let filter = history::Filter {
                before,
                limit,
                ..filter.clone()
            };
            let page = history::list(readers, &filter).await.expect("SQL");
            let names = page.rows.iter().map(|row| row.subs_id.to_string());
            (names.collect(), page.next.map(Key::Binding))
        }
        List::Audit => {
            let before = after.map(|key| match key {
                Key::Deed(seq, event) => (*seq, *event),
                other => panic!("{other:?} is no key of the audit"),
            });
            let rows = audit::list(readers, before, limit).await.expect("SQL");
            let last = rows.last().filter(|_| rows.len() == limit as usize);
            let next = last.map(|row| Key::Deed(row.place.seq, row.place.event));
            let names = rows
                .iter()
                .map(|row| format!("{}.{}", row.place.seq, row.place.event));
            (names.collect(), next)
        }
    }
}
