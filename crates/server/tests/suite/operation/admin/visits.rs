//! How long lists and commands hold the state: no look at it, and no turn of the writer, visits more than a bounded
//! number of things, however many there are. The rules' own reads and commands are counted in the domain.

use super::World;
use crate::support::all_done;
use axum::http::Method;
use maskline_domain::ops::AddNumbers;
use maskline_domain::{PhoneNumber, Product};
use maskline_fixtures::domain::{bind_request, idle_number, number, operator};
use serde_json::{Value, json};

/// The most that is looked at while the state is held.
const VISITS_MAX: u64 = 1_000;
/// Numbers; half of them are bound.
const SIZES: [u64; 2] = [1_000, 10_000];
const SLACK: u64 = 24;

/// The table of routes, as it is written.
const ROUTES: &str = include_str!("../../../../src/admin/routes.rs");

/// What is asked of each route: a method, a path, what is sent, and whether this world has no answer to it. Lists are
/// asked for with filters too that little or nothing passes.
fn requests() -> Vec<(Method, &'static str, Value, bool)> {
    let trunk = json!({ "name": "one", "peer": "192.0.2.1:5060" });
    let account = json!({ "id": "other", "real_name_verified": true });
    let pool = json!({ "key": "FC3", "account": "acme", "product": "axb" });
    let numbers =
        json!({ "pool": "FC1", "city": "city-1", "first": "17100000001", "count": 1_000 });
    let gone = [
        (Method::GET, "/v1/bindings/7"),
        (Method::DELETE, "/v1/bindings/7"),
        (Method::GET, "/v1/calls/none"),
        (Method::GET, "/v1/calls/live"),
        (Method::GET, "/v1/strangers"),
        (Method::POST, "/v1/trunks/one/test"),
    ];
    let looks = [
        "/v1/status",
        "/v1/audit",
        "/v1/accounts",
        "/v1/accounts/acme",
        "/v1/users",
        "/v1/keys",
        "/v1/pools",
        "/v1/pools/FC1",
        "/v1/trunks",
        "/v1/trunks/one",
        "/v1/numbers",
        "/v1/numbers?limit=10000",
        "/v1/numbers?status=frozen",
        "/v1/numbers?status=bound&limit=1000",
        "/v1/numbers?pool=FC2",
        "/v1/numbers?account=acme&city=none",
        "/v1/numbers/17000000002",
        "/v1/imports",
        "/v1/imports/one",
        "/v1/bindings",
        "/v1/bindings?limit=10000",
        "/v1/bindings?x=17000000002",
        "/v1/bindings?party=13800000000",
        "/v1/bindings?state=over",
        "/v1/bindings?pool=FC2",
        "/v1/calls",
        "/v1/explain?caller=13800000000&x=17000000002",
    ];
    let changes = [
        (Method::PUT, "/v1/trunks/one", trunk),
        (Method::PUT, "/v1/imports/one", json!({ "rows": 7 })),
        (Method::PUT, "/v1/accounts/other", account),
        (
            Method::PUT,
            "/v1/users/acme/ram",
            json!({ "account": "acme", "name": "ram" }),
        ),
        (
            Method::POST,
            "/v1/keys",
            json!({ "account": "acme", "id": "KEY1" }),
        ),
        (Method::PATCH, "/v1/keys/KEY1", json!({ "active": false })),
        (Method::POST, "/v1/reseal", json!({})),
        (Method::PUT, "/v1/pools/FC3", pool),
        (
            Method::PATCH,
            "/v1/numbers/17000000003",
            json!({ "locked": true }),
        ),
        (Method::POST, "/v1/apply", json!({ "numbers": [numbers] })),
        (Method::POST, "/v1/reveals", json!({ "what": "numbers" })),
        (
            Method::POST,
            "/v1/erasures",
            json!({ "number": "13900000002" }),
        ),
        (Method::POST, "/v1/clock/trust", Value::Null),
        (Method::POST, "/v1/drain", Value::Null),
        (Method::DELETE, "/v1/users/acme/ram", Value::Null),
        (Method::DELETE, "/v1/keys/KEY1", Value::Null),
    ];
    let last = [
        (Method::DELETE, "/v1/imports/one", Value::Null),
        (Method::DELETE, "/v1/trunks/one", Value::Null),
    ];
    let done = |(method, path, body)| (method, path, body, false);
    let changes = changes.into_iter().map(done);
    let looks = looks.map(|path| (Method::GET, path, Value::Null, false));
    let gone = gone.map(|(method, path)| (method, path, Value::Null, true));
    changes
        .chain(looks)
        .chain(gone)
        .chain(last.map(done))
        .collect()
}

/// The methods and paths of the table of routes, such as `GET /v1/pools/{key}`.
fn routes() -> Vec<(Method, String)> {
    let mut routes = Vec::new();
    for route in ROUTES.split(".route(").skip(1) {
        let path = route.split('"').nth(1).expect("a path");
        let handlers = route.split_once(path).map_or("", |(_, rest)| rest);
        let handlers = handlers.split(".layer(").next().unwrap_or_default();
        let methods = [
            Method::GET,
            Method::PUT,
            Method::POST,
            Method::PATCH,
            Method::DELETE,
        ];
        for method in methods {
            if handlers.contains(&format!("{}(", method.as_str().to_lowercase())) {
                routes.push((method, path.to_owned()));
            }
        }
    }
    routes
}

/// Whether a path is one of a route's; `{}` stands for any part.
fn is_of(path: &str, route: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let (mut parts, mut wanted) = (path.split('/'), route.split('/'));
    loop {
        match (parts.next(), wanted.next()) {
            (None, None) => return true,
            (Some(part), Some(wanted)) if part == wanted || wanted.starts_with('{') => {}
            _ => return false,
        }
    }
}

#[test]
fn each_route_is_counted() {
    let (routes, requests) = (routes(), requests());
    assert!(routes.len() > 40, "the table is read: {routes:?}");
    for (method, route) in routes {
        let mut asked = requests.iter();
        let is_asked = asked.any(|(by, path, ..)| *by == method && is_of(path, &route));
        assert!(is_asked, "{method} {route} is not counted");
    }
}

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
        all_done(&world.ledger, vec![operator(AddNumbers(piece))]).await;
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
        all_done(&world.ledger, even.map(bind).collect()).await;
    }
    world
}

/// What was visited at most in one hold, for each request.
async fn visits(size: u64) -> Vec<u64> {
    let world = filled(size).await;
    let mut visits = Vec::new();
    for (method, path, body, is_absent) in requests() {
        world.ledger.take_visits_max();
        let (status, answer) = world.ask(method.clone(), path, body).await;
        let is_done = status.is_success() || is_absent;
        assert!(is_done, "{method} {path}: {status} {answer}");
        visits.push(world.ledger.take_visits_max());
    }
    world.end().await;
    visits
}

#[tokio::test]
async fn no_route_holds_the_state_for_long() {
    let [few, many] = [visits(SIZES[0]).await, visits(SIZES[1]).await];
    let growth = (SIZES[1] as f64).ln() / (SIZES[0] as f64).ln();
    let mut wrong = Vec::new();
    for ((method, path, ..), (few, many)) in requests().iter().zip(few.into_iter().zip(many)) {
        println!("{method:<8} {path:<48} {few:>9} {many:>9}");
        let bound = (few as f64 * growth) as u64 + SLACK;
        if many > VISITS_MAX || many > bound {
            wrong.push(format!("{method} {path}: {few} and {many}"));
        }
    }
    assert!(wrong.is_empty(), "at {SIZES:?}: {wrong:#?}");
}
