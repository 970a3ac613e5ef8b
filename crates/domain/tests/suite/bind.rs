//! Making bindings: which X, and what is refused.

use maskline_domain::ops::{
    AddNumbers, Lock, SetAccount, SetEmergencyNumbers, SetPool, Unbind, Unlock,
};
use maskline_domain::pool::{CityMatch, Pick};
use maskline_domain::*;
use maskline_fixtures::domain::{HOUR_MS, NOON, World, axb, axn, number};

const A: &str = "15000000000";
const B: &str = "15800000000";
const OTHER_A: &str = "15000000001";
/// A number that could be called, were it not on the list.
const EMERGENCY: &str = "95110";
const X: &str = "17000000000";
const X2: &str = "17000000001";

fn world() -> World {
    let mut world = World::new();
    world.stock("FC1", "北京", &[X]);
    world.stock("FC1", "上海", &[X2]);
    world.stock("FC2", "北京", &["17100000000", "17100000001"]);
    world
}

#[test]
fn a_wanted_x_is_bound_once() {
    let mut world = world();
    let wanted = |a| BindRequest {
        x: Some(number(X)),
        ..axn(a)
    };
    assert_eq!(world.bind(wanted(A)).expect("free").x, number(X));
    assert_eq!(world.bind(wanted(OTHER_A)), Err(Refusal::NumberTaken));
    assert_eq!(world.bind(wanted(A)), Err(Refusal::BindConflict));
}

#[test]
fn the_wanted_city_is_preferred_and_loose_falls_back() {
    let mut world = world();
    let in_beijing = |a| BindRequest {
        city: Some(City::from_wire("北京市")),
        ..axn(a)
    };
    assert_eq!(world.bind(in_beijing(A)).expect("free").x, number(X));
    assert_eq!(
        world.bind(in_beijing(OTHER_A)).expect("loose").x,
        number(X2)
    );
    assert_eq!(
        world.bind(in_beijing("15000000002")),
        Err(Refusal::NoNumberLeft)
    );
}

#[test]
fn a_strict_pool_refuses_another_city() {
    let mut world = world();
    world.set_pool("FC1", Product::Axn, |pool| {
        pool.city_match = CityMatch::Strict;
    });
    let in_beijing = |a| BindRequest {
        city: Some(City::new("北京")),
        ..axn(a)
    };
    assert!(world.bind(in_beijing(A)).is_ok());
    assert_eq!(world.bind(in_beijing(OTHER_A)), Err(Refusal::NoNumberLeft));
    assert!(world.bind(axn(OTHER_A)).is_ok(), "no city wanted");
}

#[test]
fn an_expiration_of_exactly_a_minute_is_too_short() {
    let mut world = world();
    let until = |expires_at| BindRequest {
        expires_at,
        ..axn(A)
    };
    assert_eq!(
        world.bind(until(NOON.plus_millis(60_000))),
        Err(Refusal::ExpirationIllegal)
    );
    assert!(world.bind(until(NOON.plus_millis(60_001))).is_ok());
}

#[test]
fn an_x_is_free_the_moment_its_binding_is_over() {
    let mut world = world();
    let wanted = |a, now: Timestamp| BindRequest {
        x: Some(number(X)),
        expires_at: now.plus_millis(HOUR_MS),
        ..axn(a)
    };
    let first = world.bind(wanted(A, NOON)).expect("free");
    world.pass_ms(HOUR_MS - 1);
    assert_eq!(
        world.bind(wanted(OTHER_A, world.now)),
        Err(Refusal::NumberTaken)
    );
    world.pass_ms(1);
    let second = world.bind(wanted(OTHER_A, world.now)).expect("over");
    assert_eq!(
        world.state.binding(first.subs_id),
        None,
        "its end is recorded"
    );
    assert!(second.subs_id > first.subs_id);
}

#[test]
fn a_number_whose_binding_is_over_is_not_bound_any_more() {
    let mut world = World::new();
    world.set_pool("FC1", Product::Axn, |pool| pool.cooling_s = 600);
    world.stock("FC1", "北京", &[X]);
    world.bind(axn(A)).expect("free");
    let status = |world: &World| world.state.number_status(number(X), world.now);
    world.pass_ms(HOUR_MS - 1);
    assert_eq!(status(&world), Some(NumberStatus::Bound));
    world.pass_ms(1);
    assert_eq!(status(&world), Some(NumberStatus::Frozen), "unswept");
    world.pass_ms(600_000);
    assert_eq!(status(&world), Some(NumberStatus::Free), "unswept");
}

#[test]
fn the_stock_is_counted_by_city_kind_and_prefix() {
    let mut world = World::new();
    world.stock("FC1", "北京", &[X]);
    let for_sale = |x: &str, city: &str, kind| Number {
        x: number(x),
        class: NumberClass {
            pool: None,
            city: City::new(city),
            province: "".into(),
            kind,
            carrier: NumberCarrier::Unicom,
            certified: true,
            purchased_at: NOON,
        },
        locked: false,
        cooling_until: Timestamp(0),
        idle_since: Timestamp(0),
    };
    world.operate(AddNumbers(vec![
        for_sale("17100000000", "杭州", NumberKind::VirtualOperator),
        for_sale("17200000000", "杭州", NumberKind::VirtualOperator),
        for_sale("13900000000", "杭州", NumberKind::Carrier),
        for_sale("17100000001", "武汉", NumberKind::VirtualOperator),
    ]));
    let count = |prefix: Option<&str>| {
        let found = world
            .state
            .stock_of(NumberKind::VirtualOperator, prefix.map(number));
        found
            .into_iter()
            .map(|(city, count)| (city.to_string(), count))
            .collect::<Vec<_>>()
    };
    assert_eq!(count(None), [("杭州".into(), 2), ("武汉".into(), 1)]);
    assert_eq!(count(Some("172")), [("杭州".into(), 1)]);
    assert_eq!(count(Some("9")), []);
}

#[test]
fn a_full_pool_gives_out_ended_numbers_without_any_sweep() {
    let mut world = world();
    for (a, city) in [(A, "北京"), (OTHER_A, "上海")] {
        let request = BindRequest {
            city: Some(City::new(city)),
            ..axn(a)
        };
        world.bind(request).expect("free");
    }
    world.pass_ms(HOUR_MS);
    let request = BindRequest {
        city: Some(City::new("上海")),
        expires_at: world.now.plus_millis(HOUR_MS),
        ..axn(B)
    };
    assert_eq!(world.bind(request).expect("over").x, number(X2));
}

/// Nothing is swept, and those that ended first are on locked numbers.
#[test]
fn a_number_that_ended_late_is_found_behind_many_that_cannot_be_given_out() {
    let mut world = World::new();
    let xs: Vec<String> = (0..20).map(|n| format!("170000000{n:02}")).collect();
    let all: Vec<&str> = xs.iter().map(String::as_str).collect();
    world.stock("FC1", "北京", &all);
    for (n, x) in xs.iter().enumerate() {
        let bound = world.bind(BindRequest {
            x: Some(number(x)),
            expires_at: NOON.plus_millis(HOUR_MS + n as i64 * 1_000),
            ..axn(&format!("150001000{n:02}"))
        });
        assert!(bound.is_ok());
    }
    for x in &xs[..19] {
        let pool = key("FC1");
        assert!(world.ask(Lock { pool, x: number(x) }).is_ok());
    }
    world.pass_ms(2 * HOUR_MS);
    let bound = world.bind(BindRequest {
        expires_at: world.now.plus_millis(HOUR_MS),
        ..axn(A)
    });
    assert_eq!(bound.expect("the last of them is free").x, number(&xs[19]));
}

/// To look at all that a full number carries takes all tries of a choice; what is over is recorded all the same, so
/// that the next choice finds room.
#[test]
fn a_number_full_of_pairs_that_are_over_is_given_out_without_any_sweep() {
    let mut world = World::new();
    world.stock("FC2", "北京", &[X]);
    world.set_pool("FC2", Product::Axb, |pool| {
        pool.pairs_max = 200;
        pool.city_match = CityMatch::Strict;
    });
    for n in 0..200 {
        let (one, other) = (format!("15000100{n:03}"), format!("15000200{n:03}"));
        assert!(world.bind(axb(&one, &other)).is_ok(), "{n}");
    }
    world.pass_ms(HOUR_MS);
    let again = BindRequest {
        city: Some(City::new("北京")),
        expires_at: world.now.plus_millis(HOUR_MS),
        ..axb(A, B)
    };
    let answers = [again.clone(), again].map(|request| world.bind(request));
    assert!(answers.iter().any(Result::is_ok), "{answers:?}");
}

#[test]
fn a_number_rests_for_the_cooling_time() {
    let mut world = World::new();
    world.set_pool("FC1", Product::Axn, |pool| pool.cooling_s = 600);
    world.stock("FC1", "北京", &[X]);
    let bound = world.bind(axn(A)).expect("free");
    let unbind = Unbind {
        pool: PoolRef::Key(PoolKey::new("FC1")),
        subs_id: bound.subs_id,
        x: bound.x,
    };
    assert_eq!(world.ask(unbind), Ok(()));
    let wanted = BindRequest {
        x: Some(number(X)),
        ..axn(B)
    };
    assert_eq!(world.bind(axn(B)), Err(Refusal::NoNumberLeft));
    assert_eq!(world.bind(wanted.clone()), Err(Refusal::NumberFrozen));
    assert_eq!(
        world.state.number_status(number(X), world.now),
        Some(NumberStatus::Frozen)
    );
    world.pass_ms(600_000);
    assert_eq!(world.bind(axn(B)).expect("cooled").x, number(X));
}

#[test]
fn a_locked_number_is_not_chosen() {
    let mut world = World::new();
    world.stock("FC1", "北京", &[X]);
    let pool = || PoolRef::Key(PoolKey::new("FC1"));
    let x = number(X);
    world.ask(Lock { pool: pool(), x }).expect("known");
    assert_eq!(world.bind(axn(A)), Err(Refusal::NoNumberLeft));
    world.ask(Unlock { pool: pool(), x }).expect("known");
    assert!(world.bind(axn(A)).is_ok());
}

#[test]
fn a_pair_takes_an_x_on_which_neither_party_has_a_slot() {
    let mut world = world();
    let first = world.bind(axb(A, B)).expect("free");
    let second = world.bind(axb(A, OTHER_A)).expect("free");
    assert_ne!(first.x, second.x);
    assert_eq!(
        world.bind(axb("15000000009", A)),
        Err(Refusal::NoNumberLeft),
        "A is on both numbers"
    );
    let other_pair = world.bind(axb("15000000007", "15000000008")).expect("free");
    assert!(
        [first.x, second.x].contains(&other_pair.x),
        "an X is shared"
    );
}

#[test]
fn a_number_carries_no_more_pairs_than_the_pool_says() {
    let mut world = World::new();
    world.set_pool("FC2", Product::Axb, |pool| pool.pairs_max = 2);
    world.stock("FC2", "北京", &[X]);
    assert!(world.bind(axb("15000000001", "15000000002")).is_ok());
    assert!(world.bind(axb("15000000003", "15000000004")).is_ok());
    let third = axb("15000000005", "15000000006");
    assert_eq!(world.bind(third.clone()), Err(Refusal::NoNumberLeft));
    let wanted = BindRequest {
        x: Some(number(X)),
        ..third
    };
    assert_eq!(world.bind(wanted), Err(Refusal::NumberTaken));
}

#[test]
fn a_pool_of_before_keeps_its_many_pairs_while_something_else_changes() {
    let mut world = World::new();
    world.set_pool("FC2", Product::Axb, |_| ());
    let before = Pool {
        pairs_max: 1_000,
        ..world.state.pool(&PoolKey::new("FC2")).expect("set").clone()
    };
    world.state.apply(&Event::PoolSet(before.clone()));
    for (pairs_max, cooling_s, is_taken) in [
        (1_000, 0, true),
        (1_000, 60, true),
        (1_000, 600, true),
        (1_000, u32::MAX, false),
        (1_001, 600, false),
        (999, 600, false),
        (4_000, 600, false),
        (201, 600, false),
        (0, 600, false),
        (200, 600, true),
        // It has become one of today.
        (1_000, 600, false),
        (201, 600, false),
        (1, 600, true),
    ] {
        let wanted = Pool {
            pairs_max,
            cooling_s,
            ..before.clone()
        };
        let answer = world.ask(SetPool(wanted));
        assert_eq!(answer.is_ok(), is_taken, "{pairs_max} {cooling_s}");
    }
}

#[test]
fn the_longest_idle_number_is_taken_first_where_the_pool_wants_it() {
    let mut world = World::new();
    world.set_pool("FC1", Product::Axn, |pool| pool.pick = Pick::LongestIdle);
    world.stock("FC1", "北京", &[X, X2]);
    let mut taken = Vec::new();
    for _ in 0..4 {
        let bound = world.bind(axn(A)).expect("free");
        taken.push(bound.x);
        world.pass_ms(1000);
        let unbind = Unbind {
            pool: PoolRef::Key(PoolKey::new("FC1")),
            subs_id: bound.subs_id,
            x: bound.x,
        };
        world.ask(unbind).expect("bound");
    }
    assert_eq!(taken[0], taken[2]);
    assert_eq!(taken[1], taken[3]);
    assert_ne!(taken[0], taken[1]);
}

#[test]
fn the_same_order_returns_the_same_binding_only_where_switched_on() {
    for switched_on in [false, true] {
        let mut world = world();
        world.set_pool("FC1", Product::Axn, |pool| {
            pool.same_out_order_returns = switched_on;
        });
        let mut order = axn(A);
        order.extras.out_order_id = Some("order-1".into());
        let first = world.bind(order.clone()).expect("free");
        let again = world.bind(order.clone()).expect("free or the same");
        assert_eq!(first.subs_id == again.subs_id, switched_on);
        if switched_on {
            order.record = true;
            let other_terms = world.bind(order).expect("free");
            assert_ne!(other_terms.subs_id, first.subs_id);
        }
    }
}

#[test]
fn what_is_wrong_with_a_request_is_told_in_the_vendors_order() {
    type Spoil = fn(&mut BindRequest);
    let rows: [(&str, Spoil, Refusal); 9] = [
        (
            "unknown pool",
            |r| r.pool = key("FC9"),
            Refusal::PoolUnknown,
        ),
        (
            "other product",
            |r| r.pool = key("FC2"),
            Refusal::ProductMismatch,
        ),
        ("emergency A", |r| r.a = emergency(), Refusal::NumberIllegal),
        (
            "emergency B",
            |r| r.b = Some(emergency()),
            Refusal::NumberIllegal,
        ),
        ("A is B", |r| r.b = Some(r.a), Refusal::NumbersEqual),
        (
            "A is X",
            |r| r.x = Some(r.a.number()),
            Refusal::NumbersEqual,
        ),
        (
            "past end",
            |r| r.expires_at = NOON,
            Refusal::ExpirationIllegal,
        ),
        (
            "unknown X",
            |r| r.x = Some(number("17099999999")),
            Refusal::NumberUnknown,
        ),
        (
            "X elsewhere",
            |r| r.x = Some(number("17100000000")),
            Refusal::NumberElsewhere,
        ),
    ];
    for (what, spoil, refusal) in rows {
        let mut world = world();
        world.operate(SetEmergencyNumbers(vec![number(EMERGENCY)]));
        let before = world.rows();
        let mut request = axn(A);
        spoil(&mut request);
        assert_eq!(world.bind(request), Err(refusal), "{what}");
        assert_eq!(world.rows(), before, "{what} changes nothing");
    }
}

fn emergency() -> Party {
    Party::parse(EMERGENCY).expect("the form of a party")
}

fn key(pool: &str) -> PoolRef {
    PoolRef::Key(PoolKey::new(pool))
}

#[test]
fn a_lowered_cap_counts_only_what_is_live_but_all_of_that() {
    let mut world = World::new();
    world.set_pool("FC2", Product::Axb, |pool| pool.pairs_max = 3);
    world.stock("FC2", "北京", &["17100000000"]);
    let soon = world.now.plus_millis(120_000);
    for (a, b, expires_at) in [
        ("15000000001", "15800000001", soon),
        ("15000000002", "15800000002", soon.plus_millis(HOUR_MS)),
        ("15000000003", "15800000003", soon.plus_millis(HOUR_MS)),
    ] {
        let request = axb(a, b);
        world
            .bind(BindRequest {
                expires_at,
                ..request
            })
            .expect("three fit");
    }
    world.set_pool("FC2", Product::Axb, |pool| pool.pairs_max = 2);
    world.pass_ms(120_000);
    // One of the three is over, but two are live and two is the cap now.
    assert_eq!(
        world.bind(axb("15000000004", "15800000004")),
        Err(Refusal::NoNumberLeft)
    );
}

/// A world whose account may have so many bindings.
fn with_quota(quota: u32) -> World {
    let mut world = World::new();
    let numbers: Vec<String> = (0..8).map(|n| format!("1700000000{n}")).collect();
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    world.stock("FC1", "北京", &numbers);
    world.stock("FC2", "北京", &["17100000000", "17100000001"]);
    set_quota(&mut world, Some(quota));
    world
}

fn set_quota(world: &mut World, bindings_max: Option<u32>) {
    let account = world.state.accounts().next().expect("one").clone();
    let account = Account {
        bindings_max,
        ..account
    };
    world.operate(SetAccount(account));
}

fn party(n: usize) -> String {
    format!("1500000000{n}")
}

#[test]
fn an_account_has_no_more_bindings_than_its_quota_in_all_its_pools() {
    let mut world = with_quota(3);
    world.bind(axn(&party(1))).expect("room");
    let second = world.bind(axn(&party(2))).expect("room");
    world.bind(axb(&party(3), B)).expect("room");
    assert_eq!(world.bind(axn(&party(4))), Err(Refusal::BindingsFull));
    assert_eq!(world.bind(axb(&party(4), B)), Err(Refusal::BindingsFull));
    let unbind = Unbind {
        pool: PoolRef::Key(PoolKey::new("FC1")),
        subs_id: second.subs_id,
        x: second.x,
    };
    world.ask(unbind).expect("it stands");
    world.bind(axn(&party(4))).expect("room again");
    assert_eq!(world.bind(axn(&party(5))), Err(Refusal::BindingsFull));
    set_quota(&mut world, None);
    world.bind(axn(&party(5))).expect("no quota");
}

/// Over means seen after its time, whether or not anything swept.
#[test]
fn bindings_that_are_over_leave_room_in_the_quota() {
    let mut world = with_quota(3);
    for n in 1..=3 {
        world.bind(axn(&party(n))).expect("room");
    }
    world.pass_ms(HOUR_MS);
    let later = |a: &str| BindRequest {
        expires_at: NOON.plus_millis(3 * HOUR_MS),
        ..axn(a)
    };
    for n in 4..=6 {
        world.bind(later(&party(n))).expect("room");
    }
    assert_eq!(world.bind(later(&party(7))), Err(Refusal::BindingsFull));
    let mut rows = world.rows().into_iter();
    assert_eq!(
        rows.by_ref()
            .filter(|row| matches!(row, Row::Binding(_)))
            .count(),
        3
    );
}

#[test]
fn a_quota_below_what_stands_ends_nothing() {
    let mut world = with_quota(5);
    for n in 1..=5 {
        world.bind(axn(&party(n))).expect("room");
    }
    set_quota(&mut world, Some(2));
    assert_eq!(world.bind(axn(&party(6))), Err(Refusal::BindingsFull));
    let account = world.state.accounts().next().expect("one").id.clone();
    assert_eq!(world.state.bindings_of_account(&account), 5);
}

#[test]
fn an_order_that_is_bound_already_needs_no_room() {
    let mut world = with_quota(1);
    world.set_pool("FC1", Product::Axn, |pool| {
        pool.same_out_order_returns = true
    });
    let order = |a: &str| {
        let mut request = axn(a);
        request.extras.out_order_id = Some("order".into());
        request
    };
    let first = world.bind(order(&party(1))).expect("room");
    assert_eq!(
        world.bind(order(&party(1))).map(|same| same.subs_id),
        Ok(first.subs_id)
    );
}

/// Which numbers others have is nobody's business.
#[test]
fn an_x_of_another_account_or_of_the_stock_is_as_good_as_not_there() {
    let mut world = world();
    let rival = Account {
        id: AccountId::new("rival"),
        ..world.state.accounts().next().expect("one").clone()
    };
    world.operate(SetAccount(rival));
    let foreign = Pool::new(PoolKey::new("FC9"), AccountId::new("rival"), Product::Axn);
    world.operate(SetPool(foreign));
    world.stock("FC9", "北京", &["17200000000"]);
    for x in ["17200000000", "17299999999"] {
        let request = BindRequest {
            x: Some(number(x)),
            ..axn(A)
        };
        assert_eq!(world.bind(request), Err(Refusal::NumberUnknown), "{x}");
    }
}
