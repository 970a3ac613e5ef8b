//! What is foretold of a bind is what a bind then comes to.

use maskline_domain::bind_forecast::{BindQuestion, forecast};
use maskline_domain::ops::{
    Lock, NoteReconciled, SetAccount, SetCarrier, SetEmergencyNumbers, SetPool,
};
use maskline_domain::pool::{CityMatch, Pick};
use maskline_domain::*;
use maskline_fixtures::domain::{ACCOUNT, HOUR_MS, NOON, World, account, axb, axn, number, pool};

const A: &str = "15000000000";
const B: &str = "15800000000";
const OTHER: &str = "15900000000";
const EMERGENCY: &str = "95110";
const X: &str = "17000000000";
const LOCKED: &str = "17000000001";
const ELSEWHERE: &str = "17000000002";
const PAIR_X: &str = "17100000000";

fn question(pool: &str) -> BindQuestion {
    BindQuestion {
        pool: PoolKey::new(pool),
        a: Party::parse(A),
        b: None,
        x: None,
        city: None,
        expires_at: NOON.plus_millis(2 * HOUR_MS),
        carriers_down: Vec::new(),
    }
}

/// What each is refused with, and by a customer's bind of the same, too.
#[test]
fn the_rule_that_would_refuse_a_bind_is_foretold() {
    let mut world = World::new();
    world.stock("FC1", "北京", &[X, LOCKED]);
    world.stock("FC2", "北京", &[PAIR_X]);
    world.set_pool("FC3", Product::Axn, |pool| pool.open = false);
    world.set_pool("FC4", Product::Axn, |pool| {
        pool.city_match = CityMatch::Strict
    });
    world.stock("FC4", "上海", &[ELSEWHERE]);
    world.operate(SetEmergencyNumbers(vec![number(EMERGENCY)]));
    world.operate(Lock {
        pool: PoolRef::Key(PoolKey::new("FC1")),
        x: number(LOCKED),
    });
    let taken = BindRequest {
        x: Some(number(X)),
        ..axn(OTHER)
    };
    world.bind(taken).expect("free");
    world.bind(axb(A, B)).expect("free");
    let party = |digits| Party::parse(digits);
    let with_x = |x: &str| BindQuestion {
        x: Some(number(x)),
        ..question("FC1")
    };
    let rows = [
        (question("FC9"), Refusal::PoolUnknown),
        (question("FC3"), Refusal::PoolClosed),
        (
            BindQuestion {
                a: None,
                ..question("FC1")
            },
            Refusal::NumberIllegal,
        ),
        (
            BindQuestion {
                b: Some(None),
                ..question("FC1")
            },
            Refusal::NumberIllegal,
        ),
        (
            BindQuestion {
                a: party(EMERGENCY),
                ..question("FC1")
            },
            Refusal::NumberIllegal,
        ),
        (question("FC2"), Refusal::BMissing),
        (
            BindQuestion {
                b: Some(party(A)),
                ..question("FC1")
            },
            Refusal::NumbersEqual,
        ),
        (
            BindQuestion {
                expires_at: NOON.plus_millis(60_000),
                ..question("FC1")
            },
            Refusal::ExpirationIllegal,
        ),
        (with_x("17099999999"), Refusal::NumberUnknown),
        (with_x(ELSEWHERE), Refusal::NumberElsewhere),
        (with_x(LOCKED), Refusal::NumberLocked),
        (with_x(X), Refusal::NumberTaken),
        (
            BindQuestion {
                a: party(OTHER),
                ..with_x(X)
            },
            Refusal::BindConflict,
        ),
        (
            BindQuestion {
                b: Some(party(OTHER)),
                ..question("FC2")
            },
            Refusal::NoNumberLeft,
        ),
        (question("FC1"), Refusal::NoNumberLeft),
        (
            BindQuestion {
                city: Some(City::new("北京")),
                ..question("FC4")
            },
            Refusal::NoNumberLeft,
        ),
    ];
    for (question, refusal) in rows {
        let found = forecast(&world.state, &question, world.now, 7);
        assert_eq!(found.outcome, Err(refusal.clone()), "{question:?}");
        assert_eq!(found.city, None);
        let Some(a) = question.a else { continue };
        let Some(b) = question.b.map_or(Some(None), |b| b.map(Some)) else {
            continue;
        };
        let product = world
            .state
            .pool(&question.pool)
            .map_or(Product::Axn, |pool| pool.product);
        let key = PoolRef::Key(question.pool);
        let request = BindRequest {
            b,
            x: question.x,
            city: question.city,
            ..BindRequest::new(key, product, a, question.expires_at)
        };
        assert_eq!(world.bind(request), Err(refusal));
    }
}

#[test]
fn the_state_of_the_account_and_its_quota_are_looked_at() {
    let mut world = World::new();
    world.stock("FC1", "北京", &[X, LOCKED]);
    world.bind(axn(A)).expect("free");
    let outcome = |world: &World| forecast(&world.state, &question("FC1"), world.now, 7);
    for (status, refusal) in [
        (AccountStatus::Closed, Refusal::AccountUnknown),
        (AccountStatus::Abnormal, Refusal::AccountAbnormal),
        (AccountStatus::InArrears, Refusal::AccountInArrears),
    ] {
        let now = Account {
            status,
            ..account(ACCOUNT)
        };
        world.operate(SetAccount(now));
        assert_eq!(outcome(&world).outcome, Err(refusal), "{status:?}");
    }
    let full = Account {
        bindings_max: Some(1),
        ..account(ACCOUNT)
    };
    world.operate(SetAccount(full));
    let found = outcome(&world);
    assert_eq!(found.outcome, Err(Refusal::BindingsFull));
    assert_eq!(found.quota, Some((1, 1)));
    // An hour later that binding is over.
    world.pass_ms(HOUR_MS);
    assert_eq!(outcome(&world).outcome.map(|found| found.a), Ok(number(A)));
}

#[test]
fn the_x_that_is_foretold_is_one_that_a_bind_gets_and_nothing_changes() {
    let mut world = World::new();
    let many: Vec<String> = (0..30).map(|n| format!("170000001{n:02}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    world.stock("FC1", "北京", &many);
    world.stock("FC1", "上海", &[X]);
    let before = world.rows();
    let mut found = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let foretold = forecast(&world.state, &question("FC1"), world.now, seed);
        let binding = foretold.outcome.expect("many are free");
        assert_eq!(binding.a, number(A));
        found.insert(binding.x);
        let number = world.state.number(binding.x).expect("ours");
        assert_eq!(foretold.city, Some(number.class.city));
    }
    assert!(found.len() > 10, "as many as a draw may give: {found:?}");
    let shanghai = BindQuestion {
        city: Some(City::new("上海")),
        ..question("FC1")
    };
    let foretold = forecast(&world.state, &shanghai, world.now, 1);
    assert_eq!(foretold.outcome.map(|binding| binding.x), Ok(number(X)));
    assert_eq!(world.rows(), before);
    // Where nothing is drawn, a bind gets the very same.
    world.set_pool("FC1", Product::Axn, |pool| pool.pick = Pick::LongestIdle);
    let foretold = forecast(&world.state, &question("FC1"), world.now, 1);
    let x = foretold.outcome.expect("free").x;
    assert_eq!(world.bind(axn(A)).map(|binding| binding.x), Ok(x));
}

#[test]
fn a_carrier_that_cannot_be_asked_refuses() {
    let mut world = World::new();
    world.stock("FC1", "北京", &[X]);
    let name = CarrierName::new("unicom");
    let set = |world: &mut World, kind| {
        let carrier = Carrier {
            kind,
            url: (kind == CarrierKind::Http).then(|| "http://carrier.example/".into()),
            sealed_secret: (kind == CarrierKind::Http).then(|| [7; 30].into()),
            ..Carrier::new(name.clone())
        };
        world.operate(SetCarrier(Box::new(carrier)));
    };
    set(&mut world, CarrierKind::None);
    let of_carrier = Pool {
        carrier: Some(name.clone()),
        ..pool("FC1", Product::Axn)
    };
    world.operate(SetPool(of_carrier));
    let asked = |world: &World, down: &[CarrierName]| {
        let question = BindQuestion {
            carriers_down: down.to_vec(),
            ..question("FC1")
        };
        let found = forecast(&world.state, &question, world.now, 7);
        let carrier = found.carrier.expect("named");
        assert_eq!(carrier.name, name);
        (carrier.kind, carrier.is_reconciled, found.outcome.err())
    };
    let down = [name.clone()];
    // One that is told nothing cannot be away.
    assert_eq!(asked(&world, &down), (CarrierKind::None, true, None));
    set(&mut world, CarrierKind::Http);
    assert_eq!(asked(&world, &[]), (CarrierKind::Http, true, None));
    let unavailable = Some(Refusal::CarrierUnavailable);
    assert_eq!(
        asked(&world, &down),
        (CarrierKind::Http, true, unavailable.clone())
    );
    let epoch = world.state.epoch() + 1;
    let subs_id_floor = world.state.next_subs_id(world.now);
    world.state.apply(&Event::EpochBegun {
        epoch,
        subs_id_floor,
    });
    assert_eq!(asked(&world, &[]), (CarrierKind::Http, false, unavailable));
    let carrier = name.clone();
    world.operate(NoteReconciled { carrier, epoch });
    assert_eq!(asked(&world, &[]), (CarrierKind::Http, true, None));
}
