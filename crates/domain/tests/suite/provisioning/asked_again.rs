//! The same attempt at a command that asked a carrier comes again.

use super::*;
use maskline_domain::ops::{ForgetCarrier, SetPool};
use maskline_fixtures::domain::{NOON, customer};

fn key(id: u128) -> Option<CommandKey> {
    Some(CommandKey {
        id: CommandId(id),
        attempt: AttemptId(1),
        until: NOON.plus_millis(HOUR_MS / 2),
    })
}

#[test]
fn a_bind_that_comes_again_is_told_what_is_known_of_it() {
    for stage in Stage::ALL {
        let mut world = world();
        let request = Box::new(bind_request(Product::Axb, A, world.now));
        let by = || customer("K1");
        let made = world.give(by(), key(1), request.clone()).expect("free");
        let Some(Answered::Asked { subs_id, fence }) = remembered(&world, 1) else {
            panic!("{stage:?}: it waits for a carrier");
        };
        assert_eq!((subs_id, fence), (made.subs_id, made.subs_id.0));
        stage.bring(&mut world, &made);
        let rows = world.rows();
        let again = world.give(by(), key(1), request.clone());
        match stage.phase() {
            "releasing" => assert_eq!(again, Err(Refusal::CarrierUnavailable), "{stage:?}"),
            _ => {
                let again = again.expect("the same one");
                let again = (again.subs_id, again.provision.map(|p| p.phase.name()));
                assert_eq!(again, (made.subs_id, Some(stage.phase())));
            }
        }
        assert_eq!(world.rows(), rows, "{stage:?}");
        let other = CommandKey {
            attempt: AttemptId(2),
            ..key(1).expect("one")
        };
        let copy = world.give(by(), Some(other), request.clone());
        assert_eq!(copy, Err(Refusal::CommandRepeated), "{stage:?}");
        // Once nothing is left, whoever asks hears no more than that it cannot be had.
        if stage.phase() == "releasing" {
            settle(&mut world, made.subs_id, Settlement::Done);
            let again = world.give(by(), key(1), request);
            assert_eq!(again, Err(Refusal::CarrierUnavailable), "{stage:?}");
        }
    }
}

/// One that was confirmed stands without its carrier, too; of a change nobody knows whether it came about.
#[test]
fn what_comes_again_once_the_carrier_is_forgotten_is_told_what_stands() {
    let mut world = world();
    let request = Box::new(bind_request(Product::Axn, A, world.now));
    let by = || customer("K1");
    let made = world.give(by(), key(1), request.clone()).expect("free");
    Stage::Confirmed.bring(&mut world, &made);
    let change = update(&made, vec![to_a(OTHER_A)]);
    let asked = world.give(by(), key(2), change.clone());
    assert!(matches!(asked, Ok(Updated::Asked(_))));
    for key in [POOL, PAIR_POOL] {
        let pool = world.state.pool(&PoolKey::new(key)).expect("a pool");
        let carrier = None;
        let pool = Pool {
            carrier,
            ..pool.clone()
        };
        world.operate(SetPool(pool));
    }
    world.operate(ForgetCarrier {
        carrier: carrier_name(),
        bindings: [made.subs_id].into(),
    });
    let again = world.give(by(), key(1), request);
    assert_eq!(again.map(|found| found.subs_id), Ok(made.subs_id));
    let again = world.give(by(), key(2), change);
    assert_eq!(again, Err(Refusal::CarrierUnavailable));
}

fn remembered(world: &World, id: u128) -> Option<Answered> {
    let remembered = world.state.remembered(CommandId(id), world.now);
    remembered.and_then(|remembered| remembered.answered)
}

/// What is settled first, and what the same change is told then: that it is asked for, or that it cannot be had.
#[test]
fn a_change_that_comes_again_waits_or_cannot_be_had() {
    let rows = [
        (None, "asked"),
        (Some(Settlement::Done), "unavailable"),
        (Some(Settlement::NotDone), "unavailable"),
        (Some(Settlement::Unsure), "unavailable"),
        (Some(Settlement::Stale), "unavailable"),
    ];
    for (settlement, expected) in rows {
        let mut world = world();
        let bound = Stage::Confirmed.reach(&mut world, Product::Axn);
        let change = update(&bound, vec![to_a(OTHER_A)]);
        let by = || customer("K1");
        let first = world.give(by(), key(2), change.clone());
        assert!(matches!(first, Ok(Updated::Asked(_))));
        assert!(matches!(
            remembered(&world, 2),
            Some(Answered::Asked { .. })
        ));
        if let Some(settlement) = settlement {
            settle(&mut world, bound.subs_id, settlement);
        }
        let rows = world.rows();
        let again = match world.give(by(), key(2), change) {
            Ok(Updated::Asked(_)) => "asked",
            Ok(Updated::AtOnce) => "at once",
            Err(Refusal::CarrierUnavailable) => "unavailable",
            Err(_) => "another refusal",
        };
        assert_eq!(again, expected, "{settlement:?}");
        assert_eq!(world.rows(), rows, "{settlement:?}");
    }
}

#[test]
fn an_unbind_that_comes_again_is_done() {
    let mut world = world();
    let bound = Stage::Confirmed.reach(&mut world, Product::Axn);
    for _ in 0..2 {
        assert_eq!(world.give(customer("K1"), key(3), unbind(&bound)), Ok(()));
        assert_eq!(phase(&world, bound.subs_id), Some("releasing"));
    }
    settle(&mut world, bound.subs_id, Settlement::Done);
    assert_eq!(world.give(customer("K1"), key(3), unbind(&bound)), Ok(()));
}
