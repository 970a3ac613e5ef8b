//! Whose bindings were: kept with the history, or found in an older journal.

use maskline_domain::inventory::NumberClass;
use maskline_domain::ops::{AddNumbers, SetPool};
use maskline_domain::{
    AccountId, Binding, Command, Event, Number, Outcome, Owner, PhoneNumber, Pool, PoolKey,
    Product, RingConfig, SubsId,
};
use maskline_journal::batch::Batch;
use maskline_journal::payload::{self, Draft};
use maskline_journal::show;
use maskline_store::UNSEALED;
use maskline_store::db::sql;
use maskline_store::records::history::{self, Facts, Filter};
use maskline_store::records::owners::Owners;
use maskline_store::records::projection::Projection;

use crate::machine::Machine;
use crate::support::{Store, store};
use crate::world::{bind, operator, unbind};
use maskline_fixtures::domain::{POOL, party, x};

const OTHER: &str = "FC2";

fn owner(pool: &str) -> Owner {
    Owner {
        pool: PoolKey::new(pool),
        account: AccountId::new("acme"),
    }
}

/// A machine whose X numbers change hands: two bindings on `x(0)`, the second
/// one after the number was moved, and one on `x(1)`, which stays.
fn handed_over() -> (Machine, [SubsId; 3]) {
    let mut machine = Machine::founded(3);
    let pool = Pool::new(PoolKey::new(OTHER), AccountId::new("acme"), Product::Axn);
    machine.done(operator(SetPool(pool))).expect("made");
    let first = bound(&mut machine, 0, x(0), POOL);
    let stays = bound(&mut machine, 1, x(1), POOL);
    machine.pass(1000);
    machine.done(unbind(first, x(0))).expect("unbound");
    move_to(&mut machine, x(0), OTHER);
    let second = bound(&mut machine, 2, x(0), OTHER);
    (machine, [first, second, stays])
}

fn bound(machine: &mut Machine, a: u64, x: PhoneNumber, pool: &str) -> SubsId {
    machine.pass(1000);
    let expires_at = machine.wall().plus_secs(3600);
    let mut envelope = bind(a, Some(x), expires_at);
    if let Command::Bind(request) = &mut envelope.command {
        request.pool = maskline_domain::PoolRef::Key(PoolKey::new(pool));
    }
    match machine.done(envelope) {
        Ok(Outcome::Bound(binding)) => binding.subs_id,
        other => panic!("{other:?}"),
    }
}

fn move_to(machine: &mut Machine, x: PhoneNumber, pool: &str) {
    let before = machine.pipeline.state().number(x).expect("known");
    let moved = Number {
        class: NumberClass {
            pool: Some(PoolKey::new(pool)),
            ..before.class.clone()
        },
        ..before
    };
    machine
        .done(operator(AddNumbers(vec![moved])))
        .expect("moved");
}

/// The journal as an earlier program wrote it: without owners.
fn older(journal: &[Batch]) -> Vec<Batch> {
    let mut prev = journal[0].prev_hash;
    let bare = |event: Event| match event {
        Event::Bound(binding) => Event::Bound(Box::new(without(*binding))),
        Event::BindingChanged(binding) => Event::BindingChanged(Box::new(without(*binding))),
        Event::Ended {
            subs_id,
            x,
            cause,
            at,
            cooling_until,
            idle_since,
            ..
        } => Event::Ended {
            subs_id,
            x,
            cause,
            at,
            cooling_until,
            idle_since,
            owner: None,
        },
        other => other,
    };
    let mut batches = Vec::new();
    for batch in journal {
        let opened = payload::open(batch, &UNSEALED).expect("readable");
        let mut draft = Draft::new(batch.seq, opened.at, prev, [0; 32]);
        for entry in opened.entries {
            let events = entry.events.into_iter().map(bare).collect();
            draft.push(entry.by, events, usize::MAX).expect("small");
        }
        let batch = draft.seal(&UNSEALED).expect("not sealed");
        prev = batch.hash;
        batches.push(batch);
    }
    batches
}

fn without(binding: Binding) -> Binding {
    Binding {
        owner: None,
        ..binding
    }
}

async fn project(store: &mut Store, journal: &[Batch]) {
    let mut all = Projection::default();
    for batch in journal {
        all.add(batch, &UNSEALED).expect("readable");
    }
    all.write(&mut store.conn).await.expect("SQL");
}

async fn owners(store: &Store, ids: &[SubsId]) -> Vec<Option<Owner>> {
    let readers = store.owned.readers(1).await.expect("readable");
    let mut found = Vec::new();
    for &id in ids {
        let past = history::get(&readers, id).await.expect("SQL");
        found.push(past.expect("known").owner);
    }
    found
}

fn found_in(machine: &Machine, journal: &[Batch], is_whole: bool) -> Vec<(SubsId, Owner)> {
    let mut owners = match is_whole {
        true => Owners::of_whole(machine.pipeline.state()),
        false => Owners::new(machine.pipeline.state()),
    };
    for batch in journal.iter().filter(|_| !is_whole) {
        owners.look_ahead(batch, &UNSEALED).expect("readable");
    }
    owners.begin(is_whole);
    let follow = |batch| owners.follow(batch, &UNSEALED).expect("readable");
    journal.iter().flat_map(follow).collect()
}

#[tokio::test]
async fn the_history_keeps_whose_a_binding_was() {
    let (machine, ids) = handed_over();
    let mut store = store().await;
    project(&mut store, &machine.journal).await;
    let expected = [POOL, OTHER, POOL].map(|pool| Some(owner(pool)));
    assert_eq!(owners(&store, &ids).await, expected);
    let readers = store.owned.readers(1).await.expect("readable");
    let past = history::get(&readers, ids[0]).await.expect("SQL");
    let past = past.expect("known");
    let acme = AccountId::new("acme");
    assert!(past.was_of(&acme, &PoolKey::new(POOL)));
    assert!(!past.was_of(&acme, &PoolKey::new(OTHER)));
    assert!(!past.was_of(&AccountId::new("rival"), &PoolKey::new(POOL)));
}

#[tokio::test]
async fn an_end_tells_whose_an_older_binding_was() {
    let (machine, ids) = handed_over();
    let mut store = store().await;
    // All but the batches after the making are of an earlier program.
    let old = older(&machine.journal[..6]);
    project(&mut store, &old).await;
    assert_eq!(owners(&store, &ids[..1]).await, [None]);
    project(&mut store, &machine.journal[6..]).await;
    assert_eq!(owners(&store, &ids[..1]).await, [Some(owner(POOL))]);
}

#[tokio::test]
async fn an_older_journal_tells_whose_bindings_were() {
    let (machine, ids) = handed_over();
    let journal = older(&machine.journal);
    let mut store = store().await;
    project(&mut store, &journal).await;
    assert_eq!(owners(&store, &ids).await, [None, None, None]);
    assert!(history::any_unowned(&mut store.conn).await.expect("SQL"));

    let found = found_in(&machine, &journal, true);
    let filled = history::own(&mut store.conn, &found).await.expect("SQL");
    assert_eq!(filled, 3);
    let expected = [POOL, OTHER, POOL].map(|pool| Some(owner(pool)));
    assert_eq!(owners(&store, &ids).await, expected);
    assert!(!history::any_unowned(&mut store.conn).await.expect("SQL"));
    let again = history::own(&mut store.conn, &found).await.expect("SQL");
    assert_eq!(again, 0);
}

#[tokio::test]
async fn what_a_cut_journal_does_not_tell_stays_unknown() {
    let (machine, ids) = handed_over();
    // The first batches, with the numbers' coming, are gone.
    let journal = &older(&machine.journal)[4..];
    let found = found_in(&machine, journal, false);
    let expected = [
        // Nothing was told of this number, so it was where it is.
        (ids[2], owner(POOL)),
        // Of this one it was told where it came to.
        (ids[1], owner(OTHER)),
    ];
    assert_eq!(found, expected, "where {} was before, nobody knows", ids[0]);
}

#[tokio::test]
async fn ended_bindings_are_listed_in_pages() {
    let mut machine = Machine::founded(8);
    let mut store = store().await;
    let mut ids = Vec::new();
    for n in 0..6 {
        let id = bound(&mut machine, n % 2, x(n), POOL);
        machine.done(unbind(id, x(n))).expect("unbound");
        ids.push(id);
    }
    bound(&mut machine, 0, x(7), POOL);
    project(&mut store, &machine.journal).await;
    let readers = store.owned.readers(1).await.expect("readable");
    ids.reverse();
    let all = Filter {
        ended: Some(true),
        limit: 10,
        ..Filter::default()
    };
    let with = async |filter: Filter| {
        let page = history::list(&readers, &filter).await.expect("SQL");
        let ids: Vec<SubsId> = page.rows.iter().map(|past| past.subs_id).collect();
        (ids, page.next)
    };
    assert_eq!(
        with(all.clone()).await,
        (ids.clone(), None),
        "none in force"
    );
    let first = Filter {
        limit: 4,
        ..all.clone()
    };
    assert_eq!(with(first.clone()).await, (ids[..4].to_vec(), Some(ids[3])));
    let second = Filter {
        before: Some(ids[3]),
        ..first
    };
    assert_eq!(with(second).await, (ids[4..].to_vec(), None));
    for (filter, expected) in [
        (
            Filter {
                x: Some(x(2)),
                ..all.clone()
            },
            vec![ids[3]],
        ),
        (
            Filter {
                party: Some(party(1)),
                ..all.clone()
            },
            vec![ids[0], ids[2], ids[4]],
        ),
        (
            Filter {
                pool: Some(PoolKey::new(OTHER)),
                ..all.clone()
            },
            vec![],
        ),
        (
            Filter {
                account: Some(AccountId::new("acme")),
                pool: Some(PoolKey::new(POOL)),
                ..all.clone()
            },
            ids.clone(),
        ),
        (
            Filter {
                account: Some(AccountId::new("rival")),
                ..all
            },
            vec![],
        ),
    ] {
        assert_eq!(with(filter.clone()).await.0, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn an_unreadable_row_is_not_taken_for_an_erased_one() {
    let (machine, [id, ..]) = handed_over();
    let mut store = store().await;
    project(&mut store, &machine.journal).await;
    let readers = store.owned.readers(1).await.expect("readable");
    for (damage, facts) in [
        ("facts = substr(facts, 1, 30)", Facts::Unreadable),
        ("facts = '{}'", Facts::Unreadable),
        ("facts = ''", Facts::Unreadable),
        ("facts = 'null'", Facts::Unreadable),
        ("x = 'none'", Facts::Unreadable),
        ("x = '17000000009'", Facts::Unreadable),
        ("form = 2", Facts::Unreadable),
        ("form = 0", Facts::Unreadable),
        ("form = 2, facts = NULL", Facts::Unreadable),
        ("facts = replace(facts, 'axn', 'axz')", Facts::Unreadable),
        ("facts = NULL", Facts::Erased),
    ] {
        let update = format!("UPDATE binding_history SET {damage}");
        store.conn.execute(sql(update.leak())).await.expect("SQL");
        let past = history::get(&readers, id)
            .await
            .expect("SQL")
            .expect("there");
        assert_eq!(past.facts, facts, "{damage}");
        let rows = history::unreadable(&mut store.conn, None, 1_000).await;
        let (unreadable, _) = rows.expect("SQL");
        let is_told = unreadable.contains(&id);
        assert_eq!(is_told, facts == Facts::Unreadable, "{damage}");
        store
            .conn
            .execute(sql("DELETE FROM binding_history"))
            .await
            .expect("SQL");
        project(&mut store, &machine.journal).await;
    }
}

#[tokio::test]
async fn no_free_text_is_shown_unless_it_is_revealed() {
    use maskline_domain::binding::Extras;
    let mut machine = Machine::founded(1);
    let expires_at = machine.wall().plus_secs(3600);
    let mut envelope = bind(0, Some(x(0)), expires_at);
    let text = |name: &str| Some(format!("{name} of Ms Canary").into());
    let extras = Extras {
        out_id: text("OutId"),
        out_order_id: text("OutOrderId"),
        ring_config: RingConfig::parse(r#"{"RingConfig":"of Ms Canary"}"#).ok(),
        dtmf_config: text("DtmfConfig"),
        speech_model: text("ASRModelId"),
        extend: text("Extend"),
    };
    if let Command::Bind(request) = &mut envelope.command {
        request.extras = extras.clone();
    }
    let debugged = format!("{envelope:?}");
    machine.done(envelope).expect("bound");
    let batch = machine.journal.last().expect("some");
    let masked = show::batch(batch, &UNSEALED, false).expect("readable");
    let event = payload::open(batch, &UNSEALED).expect("readable").entries;
    for (what, shown) in [
        ("the journal", &masked),
        ("a command", &debugged),
        ("events", &format!("{event:?}")),
        ("texts", &format!("{extras:?}")),
    ] {
        assert!(!shown.contains("Canary"), "{what}: {shown}");
    }
    assert!(masked.contains(r#""dtmf_config":"***""#), "{masked}");
    let whole = show::batch(batch, &UNSEALED, true).expect("readable");
    assert_eq!(whole.matches("Canary").count(), 6, "{whole}");
}
