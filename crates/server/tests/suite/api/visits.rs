//! How long each action holds the state: no look of its handler at it, and no turn of the writer, visits more than a
//! bounded number of things, however many there are. The rules' own reads and commands are counted in the domain.

use maskline_domain::ops::AddNumbers;
use maskline_domain::product::PAIRS_MAX;
use maskline_domain::{Product, Timestamp};
use maskline_fixtures::domain::{bind_request, number as phone, operator};
use maskline_server::api::actions::{ACTIONS, Action};

use crate::api::world::{AXB, AXN, EXPIRATION, World, number};
use crate::support::all_done;

/// The most that is looked at while the state is held.
const VISITS_MAX: u64 = 1_000;
/// Numbers bound, and as many of the stock.
const SIZES: [usize; 2] = [1_000, 10_000];
const SLACK: u64 = 24;

/// Carries as many pairs as one number may.
const FULL: &str = "17000000100";

/// When all bindings end.
const END: Timestamp = Timestamp::from_secs(4_000_000_000);

/// One request: parameters with their values.
type Request = Vec<(&'static str, String)>;

/// What is asked of an action; nothing of one that this test does not know.
fn requests(action: &str, (x, id): &(String, String)) -> Vec<Request> {
    let of = |pairs: &[(&'static str, &str)]| -> Request {
        let owned = pairs.iter().map(|&(name, value)| (name, value.to_owned()));
        owned.collect()
    };
    let named =
        |pool: &str, x_name: &'static str| of(&[("PoolKey", pool), (x_name, x), ("SubsId", id)]);
    let bound = |pool: &str, a: &str| {
        of(&[
            ("PoolKey", pool),
            ("PhoneNoA", a),
            ("Expiration", EXPIRATION),
        ])
    };
    let with = |mut request: Request, more: &[(&'static str, &str)]| {
        request.extend(of(more));
        request
    };
    match action {
        "BindAxn" => vec![
            bound(AXN, "15000000001"),
            with(bound(AXN, "15000000002"), &[("ExpectCity", "杭州")]),
            with(bound(AXN, "15000000003"), &[("PhoneNoX", "17010000001")]),
        ],
        "BindAxb" => {
            let b = [("PhoneNoB", "15800000001")];
            vec![with(bound(AXB, "15000000004"), &b)]
        }
        "UpdateSubscription" => {
            let later = [("OperateType", "updateExpire"), ("Expiration", EXPIRATION)];
            let other = [("OperateType", "updateNoA"), ("PhoneNoA", "15000000005")];
            let update = || named(AXN, "PhoneNoX");
            vec![with(update(), &later), with(update(), &other)]
        }
        "QuerySubscriptionDetail" => vec![named(AXN, "PhoneNoX")],
        "QuerySubsId" => vec![
            of(&[("PoolKey", AXN), ("PhoneNoX", x)]),
            of(&[("PoolKey", AXB), ("PhoneNoX", FULL)]),
            of(&[("PhoneNoX", FULL)]),
        ],
        "QuerySecretNoDetail" => vec![
            of(&[("PoolKey", AXN), ("SecretNo", x)]),
            of(&[("PoolKey", AXB), ("SecretNo", FULL)]),
        ],
        "QuerySecretNoRemain" => vec![
            of(&[("City", "杭州"), ("SpecId", "1")]),
            of(&[("City", "National"), ("SpecId", "1"), ("SecretNo", "1702")]),
            of(&[("City", "National List"), ("SpecId", "1")]),
            of(&[
                ("City", "National"),
                ("SpecId", "1"),
                ("SecretNo", "17020000"),
            ]),
        ],
        "LockSecretNo" | "UnlockSecretNo" => vec![
            of(&[("PoolKey", AXN), ("SecretNo", x)]),
            of(&[("PoolKey", AXB), ("SecretNo", FULL)]),
        ],
        "UnbindSubscription" => vec![named(AXN, "SecretNo")],
        _ => Vec::new(),
    }
}

/// A world of so many numbers more, in which every other one is bound.
async fn filled(size: usize) -> World {
    let world = World::start().await;
    let cities = ["北京", "杭州", "武汉"];
    let numbers: Vec<usize> = (0..size).collect();
    for piece in numbers.chunks(500) {
        let add = |(of, pool): (u8, Option<&str>)| {
            let digits = |n: usize| format!("170{of}{n:07}");
            let numbers = piece
                .iter()
                .map(|&n| number(&digits(n), pool, cities[n % 3]));
            operator(AddNumbers(numbers.collect()))
        };
        all_done(&world.ledger, [(1, Some(AXN)), (2, None)].map(add).into()).await;
        let bind = |n: usize| {
            let a = phone(&format!("139{n:08}"));
            let mut request = bind_request(AXN, Product::Axn, a, None);
            request.x = Some(phone(&format!("1701{n:07}")));
            request.expires_at = END;
            operator(Box::new(request))
        };
        let even = piece.iter().copied().filter(|n| n.is_multiple_of(2));
        all_done(&world.ledger, even.map(bind).collect()).await;
    }
    let pair = |n: u32| {
        let (a, b) = (phone(&format!("138{n:08}")), phone(&format!("137{n:08}")));
        let mut request = bind_request(AXB, Product::Axb, a, Some(b));
        request.x = Some(phone(FULL));
        request.expires_at = END;
        operator(Box::new(request))
    };
    all_done(&world.ledger, (0..PAIRS_MAX).map(pair).collect()).await;
    world
}

/// What was visited at most in one hold, for each action that is carried out.
async fn visits(size: usize) -> Vec<(&'static str, u64)> {
    let world = filled(size).await;
    let bound = world.bind(&[("ExpectCity", "北京")]).await;
    let mut visits = Vec::new();
    // What ends the binding comes last.
    let (ends, others): (Vec<&Action>, Vec<&Action>) = ACTIONS
        .iter()
        .filter(|action| action.supported)
        .partition(|action| action.name.starts_with("Unbind"));
    for action in others.into_iter().chain(ends) {
        let requests = requests(action.name, &bound);
        assert!(!requests.is_empty(), "{} is not counted", action.name);
        world.ledger.take_visits_max();
        for request in requests {
            let pairs: Vec<_> = request.iter().map(|(name, v)| (*name, &**v)).collect();
            let answer = world.ask(action.name, &pairs).await;
            assert_eq!(answer.code(), "OK", "{} {pairs:?}", action.name);
        }
        visits.push((action.name, world.ledger.take_visits_max()));
    }
    world.stop().await;
    visits
}

#[tokio::test]
async fn no_action_holds_the_state_for_long() {
    let [few, many] = [visits(SIZES[0]).await, visits(SIZES[1]).await];
    let growth = (SIZES[1] as f64).ln() / (SIZES[0] as f64).ln();
    let mut wrong = Vec::new();
    for ((action, few), (_, many)) in few.into_iter().zip(many) {
        println!("{action:<32} {few:>9} {many:>9}");
        let bound = (few as f64 * growth) as u64 + SLACK;
        if few == 0 || many > VISITS_MAX || many > bound {
            wrong.push(format!("{action}: {few} and {many}"));
        }
    }
    assert!(wrong.is_empty(), "at {SIZES:?}: {wrong:#?}");
}
