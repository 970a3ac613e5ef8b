//! A carrier that cannot be asked is the last reason to refuse.

use super::*;
use maskline_domain::ops::{BeginEpoch, Lock, NoteReconciled};
use maskline_fixtures::domain::{as_party, operator};

/// Why a carrier is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Down,
    NotReconciled,
}

fn wants(why: Why, mut request: BindRequest) -> BindRequest {
    if why == Why::Down {
        request.carriers_down = vec![CarrierName::new("another"), carrier_name()];
    }
    request
}

#[test]
fn every_other_reason_goes_before_a_carrier_that_is_not_asked() {
    let party = |digits: &str| Some(as_party(number(digits)));
    type Change = Box<dyn Fn(&mut World, &mut BindRequest)>;
    let rows: Vec<(Change, Refusal)> = vec![
        (
            Box::new(|_, r| r.pool = pool_ref("FC77")),
            Refusal::PoolUnknown,
        ),
        (
            Box::new(|_, r| r.product = Product::Axb),
            Refusal::ProductMismatch,
        ),
        (
            Box::new(|w, r| r.expires_at = w.now),
            Refusal::ExpirationIllegal,
        ),
        (Box::new(move |_, r| r.b = party(A)), Refusal::NumbersEqual),
        (
            Box::new(|_, r| r.x = Some(number("17999999999"))),
            Refusal::NumberUnknown,
        ),
        (
            Box::new(|_, r| r.x = Some(number(Y))),
            Refusal::NumberElsewhere,
        ),
        (
            Box::new(|w, r| {
                let (pool, x) = (pool_ref(POOL), number(X));
                w.ask(Lock { pool, x }).expect("free");
                r.x = Some(number(X));
            }),
            Refusal::NumberLocked,
        ),
        (
            Box::new(|w, r| {
                Stage::Reserved.reach(w, Product::Axn);
                r.x = Some(number(X));
                r.a = as_party(number(OTHER_A));
            }),
            Refusal::NumberTaken,
        ),
        (
            Box::new(|w, r| {
                Stage::Reserved.reach(w, Product::Axn);
                r.x = Some(number(X));
            }),
            Refusal::BindConflict,
        ),
        (
            Box::new(|w, _| {
                Stage::Unbound.reach(w, Product::Axn);
            }),
            Refusal::NoNumberLeft,
        ),
        (Box::new(|_, _| ()), Refusal::CarrierUnavailable),
        (
            Box::new(|_, r| r.x = Some(number(X))),
            Refusal::CarrierUnavailable,
        ),
    ];
    for why in [Why::Down, Why::NotReconciled] {
        for (change, expected) in &rows {
            let mut world = world();
            let mut request = bind_request(Product::Axn, A, world.now);
            change(&mut world, &mut request);
            if why == Why::NotReconciled {
                world.operate(BeginEpoch);
            }
            let answer = world.bind(wants(why, request));
            assert_eq!(answer, Err(expected.clone()), "{why:?}");
        }
    }
}

/// Ends that were found on the way are recorded all the same.
#[test]
fn what_was_found_on_the_way_to_a_carrier_that_is_not_asked_is_recorded() {
    let mut world = world();
    world.set_pool(POOL, Product::Axn, |_| ());
    let over = world.bind(axn(A)).expect("free");
    with_carrier(&mut world);
    world.pass_ms(HOUR_MS);
    let request = wants(Why::Down, bind_request(Product::Axn, OTHER_A, world.now));
    assert_eq!(world.bind(request), Err(Refusal::CarrierUnavailable));
    assert_eq!(world.state.binding(over.subs_id), None);
}

#[test]
fn a_carrier_of_another_pool_that_is_down_stops_nobody() {
    let mut world = world();
    let mut request = bind_request(Product::Axn, A, world.now);
    request.carriers_down = vec![CarrierName::new("another")];
    let bound = world.bind(request).expect("its own is there");
    settle(&mut world, bound.subs_id, Settlement::Done);
    let down = UpdateBinding {
        carriers_down: vec![carrier_name()],
        ..update(&bound, vec![to_a(OTHER_A)])
    };
    assert_eq!(world.ask(down.clone()), Err(Refusal::CarrierUnavailable));
    // What it need not know of is changed all the same.
    let silent = UpdateBinding {
        updates: vec![Update::Record(true)],
        ..down.clone()
    };
    assert_eq!(world.ask(silent), Ok(Updated::AtOnce));
    let wrong = UpdateBinding {
        updates: vec![Update::ExpiresAt(world.now)],
        ..down
    };
    assert_eq!(world.ask(wrong), Err(Refusal::ExpirationIllegal));
    // Whoever ends a binding need not wait for a carrier.
    assert_eq!(world.ask(unbind(&bound)), Ok(()));
}

/// After a restore a carrier may hold what is not known here, on slots that look free.
#[test]
fn after_a_restore_a_carrier_is_asked_for_nothing_new_until_it_is_compared() {
    let mut world = world();
    let bound = Stage::Confirmed.reach(&mut world, Product::Axb);
    let note = |epoch| NoteReconciled {
        carrier: carrier_name(),
        epoch,
    };
    for epoch in 1..=3 {
        world.operate(BeginEpoch);
        assert_eq!(world.state.epoch(), epoch);
        let now = world.now;
        let bind = |world: &mut World| {
            let mut request = bind_request(Product::Axb, "15000000007", now);
            request.b = Party::parse("15800000007");
            world.bind(request)
        };
        let change = update(&bound, vec![to_a(&format!("1500000002{epoch}"))]);
        assert_eq!(bind(&mut world), Err(Refusal::CarrierUnavailable));
        assert_eq!(
            world.ask(change.clone()),
            Err(Refusal::CarrierUnavailable),
            "its new slot may be held there"
        );
        // What was begun before the restore says nothing.
        world.operate(note(epoch - 1));
        assert_eq!(bind(&mut world), Err(Refusal::CarrierUnavailable));
        world.operate(note(epoch));
        let rows = world.rows();
        world.operate(note(epoch));
        assert_eq!(world.rows(), rows, "once is enough");
        assert!(matches!(world.ask(change), Ok(Updated::Asked(_))));
        settle(&mut world, bound.subs_id, Settlement::Done);
        let other = bind(&mut world).expect("compared");
        settle(&mut world, other.subs_id, Settlement::NotDone);
    }
    // One that is new here may have been known before the restore.
    world.operate(BeginEpoch);
    world.operate(SetCarrier(Box::new(told_carrier("new"))));
    world.operate(SetCarrier(Box::new(Carrier {
        deadline_ms: 1_000,
        reconciled_epoch: 99,
        ..told_carrier(CARRIER)
    })));
    let reconciled = |name: &str| {
        let carrier = world.state.carrier(&CarrierName::new(name));
        carrier.map(|carrier| carrier.reconciled_epoch)
    };
    assert_eq!((reconciled("new"), reconciled(CARRIER)), (Some(0), Some(3)));
}

/// Whatever was declared and taken away before: binds in the pools of a carrier need one comparison in the epoch, and
/// none where data were never restored.
#[test]
fn a_carrier_declared_after_a_restore_is_compared_before_it_is_asked() {
    for (epochs, is_known_before, is_noted, is_asked) in [
        (0, false, false, true),
        (0, true, false, true),
        (0, false, true, true),
        (1, false, false, false),
        (1, true, false, false),
        (1, false, true, true),
        (1, true, true, true),
        (3, false, false, false),
        (3, true, false, false),
        (3, false, true, true),
        (3, true, true, true),
    ] {
        let mut world = world();
        let declare = || SetCarrier(Box::new(told_carrier("late")));
        if is_known_before {
            world.operate(declare());
        }
        for _ in 0..epochs {
            world.operate(BeginEpoch);
        }
        world.operate(declare());
        let epoch = world.state.epoch();
        if is_noted {
            let carrier = CarrierName::new("late");
            world.operate(NoteReconciled { carrier, epoch });
        }
        let known = world.state.carrier(&CarrierName::new("late"));
        let known = known.expect("declared");
        assert_eq!(
            known.reconciled_epoch >= epoch,
            is_asked,
            "{epochs} {is_known_before} {is_noted}"
        );
    }
}

/// Fences and ids come from one sequence, in one command too.
#[test]
fn every_request_has_a_higher_fence_than_all_before() {
    let mut world = world();
    let mut fences = Vec::new();
    let now = world.now;
    for n in 0..9 {
        let mut request = bind_request(Product::Axb, &format!("1500000010{n}"), now);
        request.b = Party::parse(&format!("1500000020{n}"));
        let bound = world.bind(request).expect("room");
        fences.push(provision(&world, bound.subs_id).fence);
        assert_eq!(fences.last(), Some(&bound.subs_id.0));
    }
    let abandon = operator(Command::from(AbandonAsked {
        carrier: carrier_name(),
        at_most: 9,
    }));
    let decision = decide(&world.state, &abandon, world.now, 1);
    let drawn = decision.events.iter().filter_map(|event| match event {
        Event::ProvisionChanged { fence, .. } => Some(*fence),
        _ => None,
    });
    fences.extend(drawn);
    assert_eq!(fences.len(), 18);
    assert!(fences.is_sorted_by(|one, next| one < next), "{fences:?}");
    for event in &decision.events {
        world.state.apply(event);
    }
    let orphan = maskline_domain::ops::ReleaseOrphan {
        carrier: carrier_name(),
        subs_id: SubsId(7),
        x: number(X),
    };
    let drawn = world.operate(orphan.clone()).0;
    assert!(drawn > fences[17]);
    assert!(world.operate(orphan).0 > drawn);
    let owed = world.state.owed_to(&carrier_name(), fences[12]);
    let owed: Vec<u64> = owed.filter_map(|b| Some(b.provision?.fence)).collect();
    assert_eq!(owed, fences[12..], "from a fence on, in their order");
}

#[test]
fn what_is_ours_is_no_orphan() {
    at_every_stage(|stage, mut world, binding| {
        let orphan = |carrier: &str, subs_id| maskline_domain::ops::ReleaseOrphan {
            carrier: CarrierName::new(carrier),
            subs_id,
            x: binding.x,
        };
        let ours = world.ask(orphan(CARRIER, binding.subs_id));
        let in_use = Refusal::Admin(AdminRefusal::InUse { what: "binding" });
        assert_eq!(ours, Err(in_use), "{stage:?}");
        let unknown = world.ask(orphan("another", binding.subs_id));
        let unknown_carrier = Refusal::Admin(AdminRefusal::NotFound { what: "carrier" });
        assert_eq!(unknown, Err(unknown_carrier), "{stage:?}");
        world.operate(SetCarrier(Box::new(told_carrier("another"))));
        // Both may have one book: what the one lets go, the other holds no more.
        let of_another = world.ask(orphan("another", binding.subs_id));
        assert_eq!(of_another, ours, "{stage:?}");
        assert!(world.ask(orphan(CARRIER, SubsId(1))).is_ok());
        // By its id alone it is not ours: on that X nothing is bound.
        let elsewhere = maskline_domain::ops::ReleaseOrphan {
            x: number("17000000099"),
            ..orphan(CARRIER, binding.subs_id)
        };
        assert!(world.ask(elsewhere).is_ok(), "{stage:?}");
    });
}
