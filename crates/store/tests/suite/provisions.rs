//! What is kept of bindings of which a carrier must know: the history of each, and of whom a change would have told.

use maskline_domain::command::Updated;
use maskline_domain::ops::{
    AbandonAsked, SetCarrier, SetPool, SettleProvision, Settlement, Unbind, UpdateBinding,
};
use maskline_domain::{
    Actor, Carrier, CarrierKind, CarrierName, Command, Envelope, Outcome, Part, PhoneNumber, Pool,
    Product, SubsId, Update,
};
use maskline_fixtures::domain::{POOL, as_party, number, party, pool, pool_ref, x};
use maskline_journal::{Append, show};
use maskline_store::records::history;
use maskline_store::records::projection::Projection;
use maskline_store::recovery::recover;
use maskline_store::{UNSEALED, check, erasure, journal};

use crate::machine::Machine;
use crate::support::{Store, store};
use crate::world::{bind, operator};

const HOUR_MS: i64 = 3_600_000;
/// Somebody whom a change would have made a party.
const NEVER: &str = "13912345678";

fn name() -> CarrierName {
    CarrierName::new("unicom")
}

fn job(command: impl Into<Command>) -> Envelope {
    Envelope {
        by: Actor::Job {
            name: "carriers".into(),
        },
        id: None,
        command: command.into(),
    }
}

/// A machine whose pool names a carrier that must be told.
fn founded() -> Machine {
    let mut machine = Machine::founded(10);
    let carrier = Carrier {
        kind: CarrierKind::Http,
        url: Some("http://127.0.0.1:9/".into()),
        sealed_secret: Some([1].into()),
        ..Carrier::new(name())
    };
    let named = Pool {
        carrier: Some(name()),
        ..pool(POOL, Product::Axn)
    };
    for command in [
        Command::from(SetCarrier(Box::new(carrier))),
        SetPool(named).into(),
    ] {
        machine.done(operator(command)).expect("a good command");
    }
    machine
}

fn bound(machine: &mut Machine, n: u64) -> SubsId {
    machine.pass(1_000);
    let expires_at = machine.wall().plus_millis(HOUR_MS);
    match machine.done(bind(n, Some(x(n)), expires_at)) {
        Ok(Outcome::Bound(binding)) => binding.subs_id,
        other => panic!("not bound: {other:?}"),
    }
}

fn settle(machine: &mut Machine, id: SubsId, settlement: Settlement) {
    let provision = machine.pipeline.state().provision(id);
    let fence = provision.expect("a carrier must know of it").fence;
    let settle = SettleProvision {
        subs_id: id,
        fence,
        settlement,
    };
    machine.done(job(settle)).expect("asked");
}

fn change_a(machine: &mut Machine, n: u64, id: SubsId, to: PhoneNumber) {
    let asked = machine.done(operator(UpdateBinding {
        pool: pool_ref(POOL),
        subs_id: id,
        x: x(n),
        updates: vec![Update::A(as_party(to))],
        carriers_down: Vec::new(),
    }));
    assert!(
        matches!(asked, Ok(Outcome::Updated(Updated::Asked(_)))),
        "{asked:?}"
    );
}

fn unbind(machine: &mut Machine, n: u64, id: SubsId) {
    let unbind = Unbind {
        pool: pool_ref(POOL),
        subs_id: id,
        x: x(n),
    };
    machine.done(operator(unbind)).expect("in force");
}

async fn kept(machine: &Machine) -> Store {
    let mut store = store().await;
    let mut projection = Projection::default();
    for batch in &machine.journal {
        let written = journal::append(&mut store.conn, batch).await;
        assert_eq!(written, Append::Written);
        projection.add(batch, &UNSEALED).expect("readable");
    }
    projection.write(&mut store.conn).await.expect("SQL");
    store
}

#[tokio::test]
async fn the_history_tells_who_ended_a_binding_and_not_who_let_it_go() {
    let mut machine = founded();
    // What becomes of each: its end as the history tells it.
    let ids: Vec<SubsId> = (0..6).map(|n| bound(&mut machine, n)).collect();
    settle(&mut machine, ids[1], Settlement::Done);
    settle(&mut machine, ids[2], Settlement::Done);
    unbind(&mut machine, 2, ids[2]);
    settle(&mut machine, ids[3], Settlement::Done);
    unbind(&mut machine, 3, ids[3]);
    settle(&mut machine, ids[3], Settlement::Stale);
    settle(&mut machine, ids[3], Settlement::Done);
    settle(&mut machine, ids[4], Settlement::NotDone);
    settle(&mut machine, ids[5], Settlement::Unsure);
    let rows = [
        (None, "asked for"),
        (None, "confirmed"),
        (Some(("operator:tester", "unbound")), "let go"),
        (Some(("operator:tester", "unbound")), "let go and gone"),
        (Some(("job:carriers", "not_provisioned")), "refused"),
        (Some(("job:carriers", "not_provisioned")), "given up"),
    ];
    let store = kept(&machine).await;
    let readers = store.owned.readers(1).await.expect("readable");
    for (id, (expected, what)) in ids.iter().zip(rows) {
        let past = history::get(&readers, *id).await.expect("SQL");
        let ended = past.expect("known").ended;
        let ended = ended.as_ref().map(|end| (&*end.by, &*end.cause));
        assert_eq!(ended, expected, "{what}");
    }
}

#[tokio::test]
async fn the_state_comes_back_at_every_stage() {
    let mut machine = founded();
    let ids: Vec<SubsId> = (0..5).map(|n| bound(&mut machine, n)).collect();
    for &id in &ids[1..] {
        settle(&mut machine, id, Settlement::Done);
    }
    change_a(&mut machine, 2, ids[2], number(NEVER));
    change_a(&mut machine, 3, ids[3], number(NEVER));
    settle(&mut machine, ids[3], Settlement::Unsure);
    unbind(&mut machine, 4, ids[4]);
    let mut store = kept(&machine).await;
    let recovered = recover(&mut store.conn, &UNSEALED, None, |_| ())
        .await
        .expect("whole");
    assert!(recovered.state.rows().eq(machine.pipeline.state().rows()));
    let report = check::check(&mut store.conn, &UNSEALED, |_, _| ()).await;
    assert_eq!(report.expect("readable").problems, Vec::<String>::new());
    let abandon = AbandonAsked {
        carrier: name(),
        at_most: 10,
    };
    assert_eq!(recovered.state.asked_of(&abandon.carrier).count(), 2);
    assert_eq!(recovered.state.owed_to(&abandon.carrier, 0).count(), 2);
}

/// Of whom a person's search finds which parts, by what became of a change from [`party`] to somebody else.
#[tokio::test]
async fn a_person_of_a_change_is_found_and_goes_without_taking_others_along() {
    let rows = [
        // What came of the change, and who is A in the end.
        (Settlement::Done, number(NEVER)),
        (Settlement::NotDone, party(0)),
        (Settlement::Unsure, party(0)),
    ];
    for (settlement, last_a) in rows {
        for person in [number(NEVER), party(0)] {
            let row = format!("{settlement:?}, {person:?}");
            let mut machine = founded();
            let id = bound(&mut machine, 0);
            settle(&mut machine, id, Settlement::Done);
            change_a(&mut machine, 0, id, number(NEVER));
            settle(&mut machine, id, settlement);
            unbind(&mut machine, 0, id);
            settle(&mut machine, id, Settlement::Done);
            let mut store = kept(&machine).await;

            let found = erasure::find(&mut store.conn, &UNSEALED, person).await;
            let found = found.expect("readable");
            let traces = &found[&id];
            assert_eq!(traces.a, last_a == person, "{row}");
            let (changes, _) = erasure::blanked(&mut store.conn, &UNSEALED, 1, &found)
                .await
                .expect("readable");
            for (seq, personal) in changes {
                journal::replace_personal(&mut store.conn, seq, &personal)
                    .await
                    .expect("SQL");
            }
            history::erase(&mut store.conn, id, &traces.parts())
                .await
                .expect("SQL");

            for batch in journal::read(&mut store.conn, 1, 100).await.expect("SQL") {
                let text = show::batch(&batch, &UNSEALED, true).expect("readable");
                assert!(!text.contains(&person.reveal()), "{row}: {text}");
            }
            let report = check::check(&mut store.conn, &UNSEALED, |_, _| ()).await;
            assert_eq!(report.expect("readable").problems, Vec::<String>::new());
            let left = erasure::find(&mut store.conn, &UNSEALED, person).await;
            assert!(left.expect("readable").is_empty(), "{row}");
            let readers = store.owned.readers(1).await.expect("readable");
            let past = history::get(&readers, id).await.expect("SQL");
            let past = past.expect("known");
            let a = past.binding().map(|binding| binding.a);
            match last_a == person {
                true => assert_ne!(a, Some(person), "{row}"),
                false => assert_eq!(a, Some(last_a), "{row}: nobody else goes"),
            }
            assert!(traces.parts().contains(&Part::Texts));
        }
    }
}
