//! How long lists and commands hold the state: no look at it, and no turn of the writer, visits more than a bounded
//! number of things, however many there are. The rules' own reads and commands are counted in the domain.

use super::World;
use axum::http::Method;
use futures_util::future::join_all;
use maskline_domain::ops::AddNumbers;
use maskline_domain::{Envelope, PhoneNumber, Product, TypedCommand};
use maskline_fixtures::domain::{bind_request, idle_number, number, operator};
use serde_json::{Value, json};

/// The most that is looked at while the state is held.
const VISITS_MAX: u64 = 1_000;
/// Numbers; half of them are bound.
const SIZES: [u64; 2] = [1_000, 10_000];
const SLACK: u64 = 24;

/// Every list and look of the admin interface, and some with filters that little or nothing passes.
const PATHS: [&str; 22] = [
    "/v1/status",
    "/v1/accounts",
    "/v1/accounts/acme",
    "/v1/users",
    "/v1/keys",
    "/v1/pools",
    "/v1/pools/FC1",
    "/v1/trunks",
    "/v1/numbers",
    "/v1/numbers?limit=10000",
    "/v1/numbers?status=frozen",
    "/v1/numbers?status=bound&limit=1000",
    "/v1/numbers?pool=FC2",
    "/v1/numbers?account=acme&city=none",
    "/v1/numbers/17000000002",
    "/v1/bindings",
    "/v1/bindings?limit=10000",
    "/v1/bindings?x=17000000002",
    "/v1/bindings?party=13800000000",
    "/v1/bindings?state=over",
    "/v1/bindings?pool=FC2",
    "/v1/explain?caller=13800000000&x=17000000002",
];

fn x(n: u64) -> PhoneNumber {
    number(&format!("170{n:08}"))
}

async fn filled(size: u64) -> World {
    let world = World::new().await;
    let document = json!({
        "account": [{ "id": "acme", "real_name_verified": true }],
        "pool": [
            { "key": "FC1", "account": "acme", "product": "axn", "same_out_order_returns": true },
            { "key": "FC2", "account": "acme", "product": "axb" },
        ],
    });
    world.ok(Method::POST, "/v1/apply", document).await;
    let numbers: Vec<u64> = (0..size).collect();
    for piece in numbers.chunks(1_000) {
        let of_pool = |n: &u64| idle_number(x(*n), "FC1", &format!("city-{}", n % 20));
        let piece = piece.iter().map(of_pool).collect();
        give(&world, vec![operator(AddNumbers(piece))]).await;
    }
    for piece in numbers.chunks(500) {
        let bind = |n: &u64| {
            let a = number(&format!("139{n:08}"));
            let mut request = bind_request("FC1", Product::Axn, a, None);
            request.x = Some(x(*n));
            request.expires_at = maskline_domain::Timestamp::from_secs(4_000_000_000);
            request.extras.out_order_id = Some("one for all".into());
            operator(Box::new(request))
        };
        let even = piece.iter().filter(|n| n.is_multiple_of(2));
        give(&world, even.map(bind).collect()).await;
    }
    world
}

async fn give<C: TypedCommand>(world: &World, commands: Vec<Envelope<C>>) {
    let answers = commands
        .into_iter()
        .map(|command| world.ledger.submit(command));
    for answer in join_all(answers).await {
        assert!(answer.is_ok(), "it is refused");
    }
}

/// What was visited at most in one hold, for each path.
async fn visits(size: u64) -> Vec<u64> {
    let world = filled(size).await;
    let mut visits = Vec::new();
    for path in PATHS {
        world.ledger.take_visits_max();
        let answer: Value = world.get(path).await;
        assert!(!answer.is_null(), "{path}");
        visits.push(world.ledger.take_visits_max());
    }
    world.end().await;
    visits
}

#[tokio::test]
async fn no_list_holds_the_state_for_long() {
    let [few, many] = [visits(SIZES[0]).await, visits(SIZES[1]).await];
    let growth = (SIZES[1] as f64).ln() / (SIZES[0] as f64).ln();
    let mut wrong = Vec::new();
    for (path, (few, many)) in PATHS.iter().zip(few.into_iter().zip(many)) {
        println!("{path:<56} {few:>9} {many:>9}");
        let bound = (few as f64 * growth) as u64 + SLACK;
        if many > VISITS_MAX || many > bound {
            wrong.push(format!("{path}: {few} and {many}"));
        }
    }
    assert!(wrong.is_empty(), "at {SIZES:?}: {wrong:#?}");
}
