//! How long lists and commands hold the state: no look at it, and no turn of the writer, visits more than a bounded
//! number of things, however many there are. The rules' own reads and commands are counted in the domain.

use super::World;
use axum::http::{Method, StatusCode};
use futures_util::future::join_all;
use maskline_domain::ops::{
    AddNumbers, CreateKey, SetAccount, SetCarrier, SetPool, SetTrunk, SetUser,
};
use maskline_domain::product::PAIRS_MAX;
use maskline_domain::{
    AccountId, Carrier, CarrierName, Command, Envelope, PhoneNumber, Pool, PoolKey, Product,
    Timestamp, Trunk, TrunkName, User, UserName,
};
use maskline_fixtures::domain::{
    access_key, account, bind_request, idle_number, number, operator, party,
};
use maskline_server::admin::ROUTES;
use serde_json::Value;

/// The most that is looked at while the state is held.
const VISITS_MAX: u64 = 1_000;
/// Numbers; half of them are bound. Of accounts, users, keys and pools there are a tenth as many. Of cities, carriers and
/// trunks there are more in the larger one too, and in both more than are looked at in one hold.
const SIZES: [u64; 2] = [1_000, 10_000];
const SLACK: u64 = 24;
/// X of AXB that carry as many pairs as one may.
const FULL: u64 = 10;

const END: Timestamp = Timestamp::from_secs(4_000_000_000);

/// Method, path and body of requests, every route among them, and some lists with filters that little or nothing
/// passes. `ID` stands for a binding in force. What takes something away comes last.
const REQUESTS: &[(&str, &str, &str)] = &[
    ("get", "/v1/status", ""),
    ("get", "/v1/audit", ""),
    ("get", "/v1/seal", ""),
    ("post", "/v1/reveals", r#"{"what":"a list","rows":3}"#),
    ("post", "/v1/clock/trust", "{}"),
    (
        "post",
        "/v1/operators",
        r#"{"name":"one","role":"administrator"}"#,
    ),
    ("get", "/v1/operators", ""),
    ("post", "/v1/operators/one/rotate", "{}"),
    ("patch", "/v1/operators/one", r#"{"enabled":false}"#),
    ("delete", "/v1/operators/one", ""),
    ("post", "/v1/first-token/retire", "{}"),
    ("get", "/v1/accounts", ""),
    ("get", "/v1/accounts?limit=10000", ""),
    ("get", "/v1/accounts/acme", ""),
    ("put", "/v1/accounts/more", r#"{"id":"more"}"#),
    ("get", "/v1/users", ""),
    ("get", "/v1/users?limit=10000", ""),
    ("get", "/v1/users?account=account-7", ""),
    (
        "put",
        "/v1/users/acme/more",
        r#"{"account":"acme","name":"more"}"#,
    ),
    ("delete", "/v1/users/acme/more", ""),
    ("get", "/v1/keys", ""),
    ("get", "/v1/keys?limit=10000", ""),
    ("get", "/v1/keys?account=account-7", ""),
    ("post", "/v1/keys", r#"{"account":"acme","id":"MORE"}"#),
    ("patch", "/v1/keys/MORE", r#"{"active":false}"#),
    ("delete", "/v1/keys/MORE", ""),
    ("get", "/v1/pools", ""),
    ("get", "/v1/pools?limit=10000", ""),
    ("get", "/v1/pools?account=account-7", ""),
    ("get", "/v1/pools/FC1", ""),
    ("get", "/v1/pools/FC2", ""),
    ("put", "/v1/pools/FC1", r#"{"key":"FC1","cooling_s":7}"#),
    ("get", "/v1/carriers", ""),
    ("get", "/v1/carriers?limit=10000", ""),
    ("get", "/v1/carriers/carrier-7", ""),
    ("put", "/v1/carriers/more", r#"{"name":"more"}"#),
    ("post", "/v1/carriers/more/reconcile", "{}"),
    ("post", "/v1/carriers/more/forget", "{}"),
    ("post", "/v1/carriers/more/forget?force=true", "{}"),
    ("delete", "/v1/carriers/more", ""),
    ("get", "/v1/trunks", ""),
    ("get", "/v1/trunks/trunk-7", ""),
    (
        "put",
        "/v1/trunks/more",
        r#"{"name":"more","peer":"192.0.2.1:5060","enabled":false}"#,
    ),
    ("post", "/v1/trunks/more/test", "{}"),
    ("delete", "/v1/trunks/more", ""),
    ("get", "/v1/strangers", ""),
    ("get", "/v1/imports", ""),
    ("put", "/v1/imports/more", r#"{"rows":7}"#),
    ("get", "/v1/imports/more", ""),
    ("delete", "/v1/imports/more", ""),
    ("get", "/v1/numbers", ""),
    ("get", "/v1/numbers?limit=10000", ""),
    ("get", "/v1/numbers?status=frozen", ""),
    ("get", "/v1/numbers?status=bound&limit=1000", ""),
    ("get", "/v1/numbers?pool=FC2", ""),
    ("get", "/v1/numbers?account=acme&city=none", ""),
    ("get", "/v1/numbers/17000000002", ""),
    ("get", "/v1/numbers/17100000002", ""),
    ("patch", "/v1/numbers/17000000003", r#"{"locked":true}"#),
    ("get", "/v1/bindings", ""),
    ("get", "/v1/bindings?limit=10000", ""),
    ("get", "/v1/bindings?x=17000000002", ""),
    ("get", "/v1/bindings?x=17100000002", ""),
    ("get", "/v1/bindings?party=13800000000", ""),
    ("get", "/v1/bindings?state=over", ""),
    ("get", "/v1/bindings?pool=FC3", ""),
    ("get", "/v1/bindings/ID", ""),
    ("get", "/v1/calls", ""),
    ("get", "/v1/calls?account=acme", ""),
    ("get", "/v1/calls/live", ""),
    ("get", "/v1/calls/none", ""),
    ("get", "/v1/explain?caller=13800000000&x=17000000002", ""),
    ("get", "/v1/explain?caller=13800000000&x=17100000002", ""),
    // Without a city a bind looks at every city of its pool.
    (
        "get",
        "/v1/explain/bind?pool=FC1&a=13700000000&city=city-7",
        "",
    ),
    (
        "get",
        "/v1/explain/bind?pool=FC2&a=13700000000&b=13700000001",
        "",
    ),
    (
        "post",
        "/v1/apply",
        r#"{"numbers":[{"pool":"FC2","city":"shared","first":"17100000000","count":10}]}"#,
    ),
    (
        "post",
        "/v1/apply",
        r#"{"numbers":[{"pool":"FC1","city":"elsewhere","first":"17000000100","count":500}]}"#,
    ),
    (
        "post",
        "/v1/apply",
        r#"{"remove":{"numbers":["17000000005","17000000007"]}}"#,
    ),
    (
        "post",
        "/v1/apply?dry_run=true",
        r#"{"remove":{"users":["account-7/user"],"keys":["KEY7"]}}"#,
    ),
    ("post", "/v1/reseal", "{}"),
    ("delete", "/v1/bindings/ID", ""),
    ("post", "/v1/erasures", r#"{"number":"13900000004"}"#),
    ("get", "/v1/retention", ""),
    ("post", "/v1/retention/start", "{}"),
    (
        "post",
        "/v1/holds",
        r#"{"by":"number","value":"13900000004","until":"2090-01-01 00:00:00","reason":"why"}"#,
    ),
    ("get", "/v1/holds", ""),
    ("delete", "/v1/holds/1", ""),
    ("post", "/v1/drain", "{}"),
];

/// What is refused once it has looked: no calls are carried and none is known here, keys hold no secrets, and no
/// carrier is told anything.
const REFUSED: [&str; 6] = [
    // Nobody is an administrator then.
    "/v1/first-token/retire",
    "/v1/calls/live",
    "/v1/calls/none",
    "/v1/carriers/more/reconcile",
    "/v1/trunks/more/test",
    "/v1/reseal",
];

/// Where nothing of the state need be counted: what is not in it, or is one look-up by name.
const UNCOUNTED: &[(&str, &str)] = &[
    ("get", "/v1/status"),
    ("get", "/v1/audit"),
    ("get", "/v1/seal"),
    ("post", "/v1/reveals"),
    ("post", "/v1/clock/trust"),
    ("get", "/v1/retention"),
    ("post", "/v1/retention/start"),
    ("post", "/v1/holds"),
    ("get", "/v1/holds"),
    ("delete", "/v1/holds/1"),
    ("post", "/v1/operators"),
    ("post", "/v1/operators/one/rotate"),
    ("patch", "/v1/operators/one"),
    ("delete", "/v1/operators/one"),
    ("post", "/v1/first-token/retire"),
    ("get", "/v1/accounts/acme"),
    ("delete", "/v1/users/acme/more"),
    ("patch", "/v1/keys/MORE"),
    ("delete", "/v1/keys/MORE"),
    ("get", "/v1/carriers/carrier-7"),
    ("post", "/v1/carriers/more/reconcile"),
    ("post", "/v1/carriers/more/forget"),
    ("delete", "/v1/carriers/more"),
    ("get", "/v1/trunks/trunk-7"),
    ("post", "/v1/trunks/more/test"),
    ("delete", "/v1/trunks/more"),
    ("get", "/v1/strangers"),
    ("get", "/v1/imports"),
    ("put", "/v1/imports/more"),
    ("get", "/v1/imports/more"),
    ("delete", "/v1/imports/more"),
    ("get", "/v1/calls"),
    ("get", "/v1/calls?account=acme"),
    ("get", "/v1/calls/live"),
    ("get", "/v1/calls/none"),
    ("post", "/v1/drain"),
];

fn x(n: u64) -> PhoneNumber {
    number(&format!("170{n:08}"))
}

/// Those that carry many.
fn full(n: u64) -> PhoneNumber {
    number(&format!("171{n:08}"))
}

async fn filled(size: u64) -> World {
    let world = World::new().await;
    let pool = |key: &str, product| Pool {
        same_out_order_returns: true,
        ..Pool::new(PoolKey::new(key), AccountId::new("acme"), product)
    };
    let mut founding: Vec<Command> = vec![
        SetAccount(account("acme")).into(),
        SetPool(pool("FC1", Product::Axn)).into(),
        SetPool(pool("FC2", Product::Axb)).into(),
        SetPool(pool("FC3", Product::Axb)).into(),
    ];
    for n in 0..size / 10 {
        let of = format!("account-{n}");
        founding.push(SetAccount(account(&of)).into());
        let user = User {
            account: AccountId::new(&of),
            name: UserName::new("user"),
            statements: Vec::new(),
        };
        founding.push(SetUser(user).into());
        founding.push(CreateKey(access_key(&format!("KEY{n}"), &of)).into());
        founding.push(SetPool(pool(&format!("FC{n:05}"), Product::Axb)).into());
    }
    for n in 0..60 + size / 100 {
        let name = TrunkName::new(&format!("trunk-{n}"));
        let peer = format!("192.0.2.{}:5060", n + 10);
        founding.push(SetTrunk(Box::new(Trunk::new(name, peer))).into());
        let carrier = Carrier::new(CarrierName::new(&format!("carrier-{n}")));
        founding.push(SetCarrier(Box::new(carrier)).into());
    }
    for piece in founding.chunks(500) {
        give(&world, piece.iter().cloned().map(operator).collect()).await;
    }
    let cities = 300 + size / 20;
    let numbers: Vec<u64> = (0..size).collect();
    for piece in numbers.chunks(1_000) {
        let of_pool = |n: &u64| idle_number(x(*n), "FC1", &format!("city-{}", n % cities));
        let piece = piece.iter().map(of_pool).collect();
        give(&world, vec![operator(AddNumbers(piece))]).await;
    }
    let shared = (0..FULL).map(|n| idle_number(full(n), "FC2", "shared"));
    give(&world, vec![operator(AddNumbers(shared.collect()))]).await;
    for piece in numbers.chunks(500) {
        let bind = |n: &u64| {
            let a = number(&format!("139{n:08}"));
            let mut request = bind_request("FC1", Product::Axn, a, None);
            request.x = Some(x(*n));
            request.expires_at = END;
            request.extras.out_order_id = Some("one for all".into());
            operator(Box::new(request))
        };
        let even = piece.iter().filter(|n| n.is_multiple_of(2));
        give(&world, even.map(bind).collect()).await;
    }
    for n in 0..FULL {
        let pair = |pair: u64| {
            let (a, b) = (party(2 * pair), party(2 * pair + 1));
            let mut request = bind_request("FC2", Product::Axb, a, Some(b));
            request.x = Some(full(n));
            request.expires_at = END;
            operator(Box::new(request))
        };
        give(&world, (0..u64::from(PAIRS_MAX)).map(pair).collect()).await;
    }
    world
}

async fn give<C: maskline_domain::TypedCommand>(world: &World, commands: Vec<Envelope<C>>) {
    let answers = commands
        .into_iter()
        .map(|command| world.ledger.submit(command));
    for answer in join_all(answers).await {
        if let Err(error) = answer {
            panic!("{error}");
        }
    }
}

/// What was visited at most in one hold, for each request.
async fn visits(size: u64) -> Vec<u64> {
    let world = filled(size).await;
    let listed = world.get("/v1/bindings?x=17000000002").await;
    let id = listed["items"][0]["subs_id"].as_str().expect("an id");
    let mut visits = Vec::new();
    for (method, path, body) in REQUESTS {
        let body: Value = match *body {
            "" => Value::Null,
            body => serde_json::from_str(body).expect("JSON"),
        };
        let method: Method = method.to_uppercase().parse().expect("a method");
        world.ledger.take_visits_max();
        let asked = world.ask(method, &path.replace("ID", id), body).await;
        let is_answered = asked.0 == StatusCode::OK;
        let is_refused = REFUSED.contains(path);
        assert!(is_answered != is_refused, "{path}: {asked:?}");
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
    for ((method, path, _), (few, many)) in REQUESTS.iter().zip(few.into_iter().zip(many)) {
        println!("{method:<6} {path:<56} {few:>9} {many:>9}");
        let bound = (few as f64 * growth) as u64 + SLACK;
        let is_uncounted = UNCOUNTED.contains(&(*method, *path));
        if many > VISITS_MAX || many > bound || (few == 0 && !is_uncounted) {
            wrong.push(format!("{method} {path}: {few} and {many}"));
        }
    }
    assert!(wrong.is_empty(), "at {SIZES:?}: {wrong:#?}");
}

#[test]
fn every_route_is_among_the_requests() {
    let is_of = |path: &str, route: &str| {
        let path = path.split('?').next().unwrap_or_default();
        let (path, route) = (path.split('/'), route.split('/'));
        path.clone().count() == route.clone().count()
            && path
                .zip(route)
                .all(|(part, wanted)| part == wanted || wanted.starts_with('{'))
    };
    for (route, methods) in ROUTES {
        for (method, _) in *methods {
            let mut requests = REQUESTS.iter();
            let found = requests.any(|(asked, path, _)| asked == method && is_of(path, route));
            assert!(found, "{method} {route}");
        }
    }
}
