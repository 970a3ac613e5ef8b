//! Who is reached by whom.

use maskline_domain::routing::{Route, RouteQuery, Situation, explain, route};
use maskline_domain::*;
use maskline_fixtures::domain::{HOUR_MS, World, axb, axn, number, pool_ref, unbind};

const A: &str = "15000000000";
const B: &str = "15800000000";
const N: &str = "13900000000";

fn reached(world: &World, caller: Option<&str>, x: PhoneNumber) -> Result<String, Situation> {
    let query = RouteQuery {
        caller: caller.map(number),
        x,
    };
    let found = route(&world.state, &query, world.now);
    assert_eq!(explain(&world.state, &query, world.now).route, found);
    match found {
        Route::Connect(connection) => Ok(connection.callee.reveal()),
        Route::Refuse { situation, .. } => Err(situation),
    }
}

#[test]
fn anyone_reaches_a_and_a_reaches_the_default_b() {
    let mut world = World::new();
    world.stock("FC1", "北京", &["17000000000", "17000000001"]);
    let with_b = world
        .bind(BindRequest {
            b: Party::parse(B),
            ..axn(A)
        })
        .expect("free");
    let without_b = world.bind(axn(A)).expect("free");
    assert_eq!(reached(&world, Some(N), with_b.x), Ok(A.into()));
    assert_eq!(reached(&world, None, with_b.x), Ok(A.into()));
    assert_eq!(reached(&world, Some(B), with_b.x), Ok(A.into()));
    assert_eq!(reached(&world, Some(A), with_b.x), Ok(B.into()));
    assert_eq!(
        reached(&world, Some(A), without_b.x),
        Err(Situation::VacantNumber)
    );
    assert_eq!(
        reached(&world, Some(&with_b.x.reveal()), with_b.x),
        Err(Situation::Loop)
    );
}

/// Where a number lies in memory follows from what it has in common with others; who is bound to it must not notice.
#[test]
fn a_number_that_changes_keeps_its_bindings() {
    let mut world = World::new();
    world.stock("FC1", "北京", &["17000000000"]);
    world.stock("FC2", "北京", &["17100000000"]);
    let pairs = [
        ("15000000001", "15800000001"),
        ("15000000002", "15800000002"),
    ];
    let pairs = pairs.map(|(a, b)| (a, b, world.bind(axb(a, b)).expect("free")));
    let sole = world.bind(axn(A)).expect("free");
    for city in ["上海", "杭州", "北京"] {
        for x in [pairs[0].2.x, sole.x] {
            let mut changed = world.state.number(x).expect("it stands");
            changed.class.city = City::new(city);
            world.state.apply(&Event::NumberSet(changed));
        }
        // What was left is taken by others.
        let others = world.state.numbers_len() as u64;
        for (pool, n) in [("FC1", others), ("FC2", others + 1)] {
            world.stock(pool, "北京", &[&format!("172{n:08}")]);
        }
        for (a, b, pair) in &pairs {
            assert_eq!(reached(&world, Some(a), pair.x), Ok((*b).into()), "{city}");
            assert_eq!(reached(&world, Some(b), pair.x), Ok((*a).into()), "{city}");
        }
        assert_eq!(reached(&world, Some(N), sole.x), Ok(A.into()), "{city}");
    }
    let [(_, _, first), (a, b, second)] = pairs;
    for (pool, binding) in [("FC2", &first), ("FC1", &sole)] {
        let ended = world.ask(ops::Unbind {
            pool: pool_ref(pool),
            ..unbind(binding.subs_id, binding.x)
        });
        assert_eq!(ended, Ok(()));
    }
    assert_eq!(reached(&world, Some(a), second.x), Ok(b.into()));
    assert_eq!(world.state.bindings_len(), 1);
    world.pass_ms(HOUR_MS);
    world.operate(ops::ExpireDue { at_most: 10 });
    assert_eq!(world.state.bindings_len(), 0);
    assert_eq!(
        world.state.number_status(second.x, world.now),
        Some(NumberStatus::Free)
    );
}

#[test]
fn only_the_pair_reaches_each_other() {
    let mut world = World::new();
    world.stock("FC2", "北京", &["17000000000"]);
    let pair = world.bind(axb(A, B)).expect("free");
    assert_eq!(reached(&world, Some(A), pair.x), Ok(B.into()));
    assert_eq!(reached(&world, Some(B), pair.x), Ok(A.into()));
    assert_eq!(reached(&world, Some(N), pair.x), Err(Situation::NoBinding));
    assert_eq!(reached(&world, None, pair.x), Err(Situation::NoBinding));
}

#[test]
fn nobody_is_reached_once_the_binding_is_over_or_where_there_is_none() {
    let mut world = World::new();
    world.stock("FC1", "北京", &["17000000000", "17000000001"]);
    let bound = world.bind(axn(A)).expect("free");
    let idle = if bound.x == number("17000000000") {
        "17000000001"
    } else {
        "17000000000"
    };
    assert_eq!(
        reached(&world, Some(N), number(idle)),
        Err(Situation::NoBinding)
    );
    assert_eq!(
        reached(&world, Some(N), number("17999999999")),
        Err(Situation::XUnknown)
    );
    world.pass_ms(HOUR_MS - 1);
    assert_eq!(reached(&world, Some(N), bound.x), Ok(A.into()));
    world.pass_ms(1);
    assert_eq!(reached(&world, Some(N), bound.x), Err(Situation::NoBinding));
}

#[test]
fn a_restriction_stops_one_direction() {
    for (restriction, a_dials, n_dials) in [
        (
            Restriction::AMayNotDial,
            Err(Situation::Restricted),
            Ok(A.to_string()),
        ),
        (
            Restriction::OthersMayNotDial,
            Ok(B.to_string()),
            Err(Situation::Restricted),
        ),
        (Restriction::None, Ok(B.to_string()), Ok(A.to_string())),
    ] {
        let mut world = World::new();
        world.stock("FC1", "北京", &["17000000000"]);
        let bound = world
            .bind(BindRequest {
                b: Party::parse(B),
                restriction,
                ..axn(A)
            })
            .expect("free");
        assert_eq!(
            reached(&world, Some(A), bound.x),
            a_dials,
            "{restriction:?}"
        );
        assert_eq!(
            reached(&world, Some(N), bound.x),
            n_dials,
            "{restriction:?}"
        );
    }
}

#[test]
fn a_pool_may_keep_a_from_reaching_b() {
    let mut world = World::new();
    world.set_pool("FC1", Product::Axn, |pool| pool.a_call_back = false);
    world.stock("FC1", "北京", &["17000000000"]);
    let bound = world
        .bind(BindRequest {
            b: Party::parse(B),
            ..axn(A)
        })
        .expect("free");
    assert_eq!(
        reached(&world, Some(A), bound.x),
        Err(Situation::CallBackOff)
    );
    assert_eq!(reached(&world, Some(N), bound.x), Ok(A.into()));
}

#[test]
fn an_explanation_shows_no_whole_number() {
    let mut world = World::new();
    world.stock("FC1", "北京", &["17000000000"]);
    let bound = world.bind(axn(A)).expect("free");
    let query = RouteQuery {
        caller: Some(number(N)),
        x: bound.x,
    };
    let explanation = explain(&world.state, &query, world.now);
    let text: String = explanation
        .steps
        .iter()
        .map(|step| format!("{step}\n"))
        .collect();
    assert!(
        text.contains("The slot of this caller on X is free."),
        "{text}"
    );
    assert!(text.contains("The call goes to 150******00."), "{text}");
    for secret in [A, N] {
        assert!(!text.contains(secret));
    }
}
