//! What each stage of a binding holds: slots, numbers, a place in a quota, its carrier.

use super::*;
use maskline_domain::carrier::CARRIERS_MAX;
use maskline_domain::ops::{
    AddNumbers, DeleteCarrier, ExpireDue, ReleaseNumbers, SetAccount, TypedCommand,
};
use maskline_fixtures::domain::{account, customer, idle_number};

fn operate<C: TypedCommand>(world: &mut World, command: C) -> Result<C::Outcome, Refusal> {
    let by = Actor::Operator {
        name: "op".into(),
        remark: None,
    };
    world.give(by, None, command)
}

#[test]
fn the_number_is_taken_until_the_carrier_has_let_go_of_it() {
    at_every_stage(|stage, mut world, binding| {
        if binding.product == Product::Axb {
            return;
        }
        for is_over in [false, true] {
            if is_over {
                world.pass_ms(HOUR_MS);
            }
            let row = format!("{stage:?} over: {is_over}");
            let now = world.now;
            let bind = |a, x: Option<&str>| BindRequest {
                x: x.map(number),
                ..bind_request(Product::Axn, a, now)
            };
            let refused = |world: &mut World, request| world.bind(request).expect_err("taken");
            assert_eq!(
                refused(&mut world, bind("15000000002", Some(X))),
                Refusal::NumberTaken,
                "{row}"
            );
            assert_eq!(
                refused(&mut world, bind(A, Some(X))),
                Refusal::BindConflict,
                "{row}"
            );
            assert_eq!(
                refused(&mut world, bind("15000000002", None)),
                Refusal::NoNumberLeft,
                "{row}"
            );
            let status = world.state.number_status(number(X), world.now);
            assert_eq!(status, Some(NumberStatus::Bound), "{row}");
            assert_eq!(world.state.bindings_len(), 1, "{row}");
        }
        world.operate(ExpireDue { at_most: 1 });
        settle(&mut world, binding.subs_id, Settlement::Done);
        let status = world.state.number_status(number(X), world.now);
        assert_eq!(status, Some(NumberStatus::Free), "{stage:?}");
        let request = bind_request(Product::Axn, "15000000002", world.now);
        assert!(world.bind(request).is_ok(), "{stage:?}");
    });
}

#[test]
fn a_change_holds_the_slots_of_both_until_it_is_settled() {
    at_every_stage(|stage, mut world, binding| {
        if binding.product == Product::Axn {
            return;
        }
        let other_b = "15800000009";
        let now = world.now;
        let pair = |a: &str, b: &str| BindRequest {
            b: Party::parse(b),
            x: Some(number(Y)),
            ..bind_request(Product::Axb, a, now)
        };
        let refused = |world: &mut World, a: &str, b: &str| world.bind(pair(a, b)).err();
        let conflict = Some(Refusal::BindConflict);
        let of_change = conflict.clone().filter(|_| stage.claims());
        // Somebody else on the same X, who would be glad of the slot.
        let other = world.bind(pair("15000000005", other_b)).expect("room");
        settle(&mut world, other.subs_id, Settlement::Done);
        assert_eq!(refused(&mut world, A, "15800000008"), conflict, "{stage:?}");
        assert_eq!(refused(&mut world, "15000000006", B), conflict, "{stage:?}");
        assert_eq!(
            world.ask(update(&other, vec![to_a(A)])),
            Err(Refusal::UpdateConflict),
            "{stage:?}"
        );
        if let Some(conflict) = of_change {
            for (a, b) in [(OTHER_A, "15800000008"), ("15000000006", OTHER_A)] {
                assert_eq!(refused(&mut world, a, b), Some(conflict.clone()));
            }
            let chosen = BindRequest {
                x: None,
                ..pair(OTHER_A, "15800000008")
            };
            assert_eq!(world.bind(chosen), Err(Refusal::NoNumberLeft));
        }
        let taken = world.ask(update(&other, vec![to_a(OTHER_A)]));
        match stage.claims() {
            true => assert_eq!(taken, Err(Refusal::UpdateConflict), "{stage:?}"),
            false => assert!(matches!(taken, Ok(Updated::Asked(_))), "{stage:?}"),
        }
    });
}

/// The B of an AXN binding has no slot, so a change of it holds none.
#[test]
fn a_change_holds_no_more_than_slots() {
    let mut world = world();
    let bound = Stage::Confirmed.reach(&mut world, Product::Axn);
    let to_b = Update::B(Party::parse(B).expect("a party"));
    let asked = world.ask(update(&bound, vec![to_b, to_a(OTHER_A)]));
    assert!(matches!(asked, Ok(Updated::Asked(_))));
    let now = world.now;
    for (a, expected) in [
        (B, Refusal::NumberTaken),
        (A, Refusal::BindConflict),
        (OTHER_A, Refusal::BindConflict),
    ] {
        let wanted = BindRequest {
            x: Some(number(X)),
            ..bind_request(Product::Axn, a, now)
        };
        assert_eq!(world.bind(wanted), Err(expected), "{a}");
    }
}

#[test]
fn settled_changes_give_up_what_they_do_not_need() {
    for (settlement, free, taken) in [
        (Settlement::Done, A, OTHER_A),
        (Settlement::NotDone, OTHER_A, A),
    ] {
        let mut world = world();
        let binding = Stage::Changing.reach(&mut world, Product::Axb);
        settle(&mut world, binding.subs_id, settlement);
        let now = world.now;
        let pair = |a: &str, b| BindRequest {
            b: Party::parse(b),
            ..bind_request(Product::Axb, a, now)
        };
        let answer = world.bind(BindRequest {
            x: Some(number(Y)),
            ..pair(taken, "15800000008")
        });
        assert_eq!(answer, Err(Refusal::BindConflict), "{settlement:?}");
        let answer = world.bind(pair(free, "15800000009"));
        assert!(answer.is_ok(), "{settlement:?}: {answer:?}");
    }
}

/// A pool that got its carrier later has bindings of before, which end by time alone.
#[test]
fn a_change_takes_a_slot_over_from_what_is_over_and_no_carrier_knows() {
    let mut world = world();
    world.set_pool(PAIR_POOL, Product::Axb, |_| ());
    let before = world.bind(axb(OTHER_A, "15800000009")).expect("room");
    with_carrier(&mut world);
    world.pass_ms(HOUR_MS);
    let binding = Stage::Changing.reach(&mut world, Product::Axb);
    assert_eq!(
        world.state.binding(before.subs_id),
        None,
        "its end is recorded"
    );
    settle(&mut world, binding.subs_id, Settlement::Done);
    let now = world.state.slot(number(Y), Slot::Party(number(OTHER_A)));
    assert_eq!(now.map(|holder| holder.subs_id), Some(binding.subs_id));
}

#[test]
fn a_full_number_is_full_until_a_carrier_lets_go() {
    let mut world = world();
    world.set_pool(PAIR_POOL, Product::Axb, |pool| {
        pool.carrier = Some(carrier_name());
        pool.pairs_max = 2;
    });
    let now = world.now;
    let pair = |n: u8| BindRequest {
        b: Party::parse(&format!("1580000000{n}")),
        ..bind_request(Product::Axb, &format!("1500000000{n}"), now)
    };
    let first = world.bind(pair(1)).expect("room");
    world.bind(pair(2)).expect("room");
    settle(&mut world, first.subs_id, Settlement::Done);
    world.ask(unbind(&first)).expect("in force");
    let on_y = BindRequest {
        x: Some(number(Y)),
        ..pair(3)
    };
    assert_eq!(world.bind(on_y.clone()), Err(Refusal::NumberTaken));
    assert_eq!(world.bind(pair(3)), Err(Refusal::NoNumberLeft));
    settle(&mut world, first.subs_id, Settlement::Done);
    assert!(world.bind(on_y).is_ok());
}

#[test]
fn the_quota_of_an_account_counts_what_a_carrier_may_hold() {
    at_every_stage(|stage, mut world, binding| {
        world.operate(SetAccount(Account {
            bindings_max: Some(1),
            ..account("acme")
        }));
        let other = match binding.product {
            Product::Axn => Product::Axb,
            Product::Axb => Product::Axn,
        };
        world.pass_ms(HOUR_MS);
        let request = bind_request(other, "15000000007", world.now);
        let answer = world.bind(request.clone());
        assert_eq!(answer, Err(Refusal::BindingsFull), "{stage:?}");
        assert_eq!(world.state.bindings_of_account(&AccountId::new("acme")), 1);
        world.operate(ExpireDue { at_most: 1 });
        settle(&mut world, binding.subs_id, Settlement::Done);
        assert!(world.bind(request).is_ok(), "{stage:?}");
    });
}

#[test]
fn a_number_with_a_binding_at_any_stage_stays_where_it_is() {
    at_every_stage(|stage, mut world, binding| {
        world.pass_ms(HOUR_MS);
        let in_use = Err(AdminRefusal::InUse { what: "number" }.into());
        let release = ReleaseNumbers(vec![binding.x]);
        assert_eq!(operate(&mut world, release), in_use, "{stage:?}");
        world.set_pool("FC9", binding.product, |_| ());
        let moved = AddNumbers(vec![idle_number(binding.x, "FC9", "杭州")]);
        assert_eq!(operate(&mut world, moved), in_use, "{stage:?}");
        // Another city is no other pool.
        let pool = match binding.product {
            Product::Axn => POOL,
            Product::Axb => PAIR_POOL,
        };
        world.operate(AddNumbers(vec![idle_number(binding.x, pool, "上海")]));
        world.operate(ExpireDue { at_most: 1 });
        settle(&mut world, binding.subs_id, Settlement::Done);
        assert_eq!(
            operate(&mut world, ReleaseNumbers(vec![binding.x])),
            Ok(()),
            "{stage:?}"
        );
    });
}

#[test]
fn a_carrier_stays_as_long_as_it_may_hold_something() {
    at_every_stage(|stage, mut world, binding| {
        let delete = || DeleteCarrier {
            name: carrier_name(),
        };
        let in_use = || Err(AdminRefusal::InUse { what: "carrier" }.into());
        assert_eq!(operate(&mut world, delete()), in_use(), "{stage:?}");
        for (key, product) in [(POOL, Product::Axn), (PAIR_POOL, Product::Axb)] {
            world.set_pool(key, product, |_| ());
        }
        assert_eq!(operate(&mut world, delete()), in_use(), "{stage:?}");
        let silent = SetCarrier(Box::new(Carrier::new(carrier_name())));
        let fixed = operate(&mut world, silent.clone());
        assert!(
            matches!(fixed, Err(Refusal::Admin(AdminRefusal::Fixed { .. }))),
            "{stage:?}: {fixed:?}"
        );
        world.pass_ms(HOUR_MS);
        world.operate(ExpireDue { at_most: 1 });
        settle(&mut world, binding.subs_id, Settlement::Done);
        assert_eq!(operate(&mut world, silent), Ok(()), "{stage:?}");
        assert_eq!(operate(&mut world, delete()), Ok(()), "{stage:?}");
    });
}

#[test]
fn there_are_no_more_carriers_than_a_binding_can_tell_apart() {
    let mut world = World::new();
    let declare = |n: usize| SetCarrier(Box::new(told_carrier(&format!("carrier-{n}"))));
    for n in 0..CARRIERS_MAX {
        world.operate(declare(n));
    }
    let full = AdminRefusal::Full {
        what: "carriers",
        limit: CARRIERS_MAX,
    };
    let one_more = declare(CARRIERS_MAX);
    assert_eq!(operate(&mut world, one_more.clone()), Err(full.into()));
    // Those that are there may change, and make room.
    let SetCarrier(mut changed) = declare(7);
    changed.deadline_ms = 1_000;
    assert_eq!(operate(&mut world, SetCarrier(changed)), Ok(()));
    let name = CarrierName::new("carrier-9");
    assert_eq!(operate(&mut world, DeleteCarrier { name }), Ok(()));
    assert_eq!(operate(&mut world, one_more), Ok(()));
}

#[test]
fn a_number_that_never_carried_a_binding_does_not_cool() {
    for settlement in [Settlement::NotDone, Settlement::Unsure] {
        let mut world = World::new();
        with_carrier(&mut world);
        world.set_pool(POOL, Product::Axn, |pool| {
            pool.carrier = Some(carrier_name());
            pool.cooling_s = 600;
        });
        world.stock(POOL, "杭州", &[X]);
        let bound = Stage::Reserved.reach(&mut world, Product::Axn);
        settle(&mut world, bound.subs_id, settlement);
        if settlement == Settlement::Unsure {
            settle(&mut world, bound.subs_id, Settlement::Done);
        }
        let status = world.state.number_status(number(X), world.now);
        assert_eq!(status, Some(NumberStatus::Free), "{settlement:?}");
        // One that was in force does.
        let bound = Stage::Unbound.reach(&mut world, Product::Axn);
        settle(&mut world, bound.subs_id, Settlement::Done);
        let status = world.state.number_status(number(X), world.now);
        assert_eq!(status, Some(NumberStatus::Frozen), "{settlement:?}");
    }
}

/// The customer repeats a bind while the first one is still asked for, or is let go.
#[test]
fn an_order_is_repeated_by_what_stays_and_not_by_what_is_let_go() {
    for stage in Stage::ALL {
        for x in [None, Some(number(X))] {
            let mut world = world();
            world.set_pool(POOL, Product::Axn, |pool| {
                pool.carrier = Some(carrier_name());
                pool.same_out_order_returns = true;
            });
            let mut request = bind_request(Product::Axn, A, world.now);
            request.extras.out_order_id = Some("order 1".into());
            let first = world.bind(request.clone()).expect("free");
            stage.bring(&mut world, &first);
            let rows = world.rows();
            let again = world.give(customer("K1"), None, Box::new(BindRequest { x, ..request }));
            match stage.phase() {
                "releasing" => {
                    let expected = match x {
                        None => Refusal::NoNumberLeft,
                        Some(_) => Refusal::BindConflict,
                    };
                    assert_eq!(again, Err(expected), "{stage:?}");
                }
                // It is not certain that the carrier holds it on these terms.
                "changing" | "renewing" => {
                    assert_eq!(again, Err(Refusal::CarrierUnavailable), "{stage:?}")
                }
                _ => {
                    let again = again.expect("the same one");
                    assert_eq!(again.subs_id, first.subs_id, "{stage:?}");
                    assert_eq!(phase(&world, first.subs_id), Some(stage.phase()));
                }
            }
            assert_eq!(world.rows(), rows, "{stage:?}");
        }
    }
}
