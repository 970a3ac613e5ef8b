//! What operators leave behind when they look, and what those leave who may not.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use super::{A, World, X};

/// A number that is no party of anything.
const NOBODY: &str = "13812345678";

impl World {
    /// The newest lines of the audit: action and facts.
    async fn audit(&self) -> Vec<(String, Value)> {
        // The history of a binding that is not there waits for the projection, and so for the audit.
        let _ = self.ask(Method::GET, "/v1/bindings/1", Value::Null).await;
        let listed = self.get("/v1/audit?limit=1000").await;
        let items = listed["items"].as_array().expect("items").clone();
        items
            .into_iter()
            .map(|item| {
                let facts = item["facts"].as_str().expect("facts");
                let facts = serde_json::from_str(facts).expect("JSON");
                (item["deed"].as_str().expect("an action").to_owned(), facts)
            })
            .collect()
    }
}

#[tokio::test]
async fn every_look_at_a_person_leaves_what_was_asked_and_how_much_was_shown() {
    let world = World::stocked().await;
    let id = world.bind().await;
    let trunk = json!({ "name": "carrier", "peer": "127.0.0.1:5070", "enabled": true });
    world.ok(Method::PUT, "/v1/trunks/carrier", trunk).await;
    let cases = [
        // Looks that reveal.
        ("/v1/bindings?reveal=true", "revealed", "bindings", 1),
        (
            "/v1/bindings?reveal=true&pool=FC1&state=live",
            "revealed",
            "bindings pool=FC1 state=live",
            1,
        ),
        (
            "/v1/bindings?reveal=true&account=acme&state=ended",
            "revealed",
            "bindings account=acme state=ended",
            0,
        ),
        (
            "/v1/bindings?reveal=true&party=13900001111",
            "revealed",
            "bindings party=139******11",
            1,
        ),
        (
            "/v1/numbers/17000000001?reveal=true",
            "revealed",
            "number 17000000001 and its bindings",
            1,
        ),
        (
            "/v1/numbers/17000000002?reveal=true",
            "revealed",
            "number 17000000002 and its bindings",
            0,
        ),
        (
            "/v1/explain?caller=13812345678&x=17000000001&reveal=true",
            "revealed",
            "explanation caller=138******78 x=17000000001",
            1,
        ),
        (
            "/v1/explain/bind?pool=FC1&a=13812345678&b=13812345679&x=17000000001&city=x&reveal=true",
            "revealed",
            "explanation of a bind a=138******78 b=138******79 x=17000000001 pool=FC1 city=x",
            1,
        ),
        (
            "/v1/explain/bind?pool=FC9&a=13812345678",
            "searched",
            "explanation of a bind a=138******78",
            1,
        ),
        (
            "/v1/calls?reveal=true&pool=FC1&x=17000000001",
            "revealed",
            "calls x=17000000001 pool=FC1",
            0,
        ),
        (
            "/v1/calls?reveal=true&open=true",
            "revealed",
            "calls open=true",
            0,
        ),
        (
            "/v1/calls?reveal=true&open=false&account=acme&situation=hung_up&since=2026-01-01%2000:00:00",
            "revealed",
            "calls account=acme since=\"2026-01-01 00:00:00\" situation=hung_up open=false",
            0,
        ),
        (
            "/v1/explain?caller=-&x=17000000001&reveal=true&trunk=carrier&digits=12%23",
            "revealed",
            "explanation x=17000000001 trunk=carrier digits=\"12#\"",
            1,
        ),
        (
            "/v1/explain?caller=13812345678&x=17000000001&digits=13812345678",
            "searched",
            "explanation caller=138******78 x=17000000001 digits=138******78",
            1,
        ),
        // Looks that show masked numbers, but by a whole one.
        (
            "/v1/bindings?party=13900001111",
            "searched",
            "bindings party=139******11",
            1,
        ),
        (
            "/v1/bindings?party=13812345678",
            "searched",
            "bindings party=138******78",
            0,
        ),
        (
            "/v1/bindings?party=13812345678&state=ended&x=17000000001",
            "searched",
            "bindings x=17000000001 party=138******78 state=ended",
            0,
        ),
        (
            "/v1/calls?party=13812345678",
            "searched",
            "calls party=138******78",
            0,
        ),
        (
            "/v1/calls?caller=13812345678&x=17000000001&pool=FC1",
            "searched",
            "calls x=17000000001 caller=138******78 pool=FC1",
            0,
        ),
        (
            "/v1/explain?caller=13812345678&x=17000000001",
            "searched",
            "explanation caller=138******78 x=17000000001",
            1,
        ),
        (
            "/v1/explain?caller=13812345678&x=17000000001&at=2100-01-01%2000:00:00",
            "searched",
            "explanation caller=138******78 x=17000000001 at=\"2100-01-01 00:00:00\"",
            1,
        ),
    ];
    for (path, action, what, rows) in cases {
        world.get(path).await;
        let newest = world.audit().await.swap_remove(0);
        let facts = match action {
            "revealed" | "searched" => json!({ "what": what, "rows": rows }),
            other => panic!("{other}"),
        };
        assert_eq!(newest, (action.to_owned(), facts), "{path}");
    }
    let revealed = format!("/v1/bindings/{id}?reveal=true");
    world.get(&revealed).await;
    let newest = world.audit().await.swap_remove(0);
    let facts = json!({ "what": format!("binding {id}"), "rows": 1 });
    assert_eq!(newest, ("revealed".to_owned(), facts));

    let before = world.audit().await.len();
    for path in [
        "/v1/bindings",
        "/v1/bindings?pool=FC1",
        "/v1/numbers",
        "/v1/numbers/17000000001",
        "/v1/explain?caller=-&x=17000000001",
        "/v1/calls",
    ] {
        world.get(path).await;
    }
    assert_eq!(world.audit().await.len(), before, "nobody was looked for");
    let journal = world.journal_masked().await;
    assert!(
        !journal.contains(A) && !journal.contains(NOBODY),
        "{journal}"
    );
    world.end().await;
}

#[tokio::test]
async fn a_number_of_a_person_asked_for_as_something_else_does_not_enter_the_journal() {
    let world = World::stocked().await;
    let masked = "x=138******78";
    let cases = [
        (
            "/v1/bindings?x=13812345678&reveal=true",
            format!("bindings {masked}"),
        ),
        (
            "/v1/bindings?x=13812345678&state=live&reveal=true",
            format!("bindings {masked} state=live"),
        ),
        (
            "/v1/bindings?x=13812345678&party=13812345678",
            format!("bindings {masked} party=138******78"),
        ),
        (
            "/v1/bindings?before=13812345678&reveal=true",
            "bindings page=later".to_owned(),
        ),
        (
            "/v1/calls?x=13812345678&reveal=true",
            format!("calls {masked}"),
        ),
        (
            "/v1/calls?x=13812345678&pool=FC1&reveal=true",
            format!("calls {masked} pool=FC1"),
        ),
        (
            "/v1/calls?x=17000000001&reveal=true&until=2100-01-01%2000:00:00",
            "calls x=17000000001 until=\"2100-01-01 00:00:00\"".to_owned(),
        ),
        (
            "/v1/explain?caller=-&x=13812345678&reveal=true",
            format!("explanation {masked}"),
        ),
        (
            "/v1/explain?caller=13812345678&x=13812345678",
            format!("explanation caller=138******78 {masked}"),
        ),
    ];
    let mut wrong = Vec::new();
    for (path, what) in cases {
        world.get(path).await;
        let (_, facts) = world.audit().await.swap_remove(0);
        if facts["what"] != what.as_str() {
            wrong.push((path, facts));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let before = world.audit().await.len();
    for path in [
        "/v1/bindings?pool=13812345678&party=17000000001",
        "/v1/bindings?account=13812345678&reveal=true",
        "/v1/bindings?x=1381234567a&reveal=true",
        "/v1/calls?pool=13812345678&reveal=true",
        "/v1/calls?account=13812345678&reveal=true",
        "/v1/calls?situation=13812345678&reveal=true",
        "/v1/calls?since=13812345678&reveal=true",
        "/v1/bindings?state=13812345678&reveal=true",
        "/v1/explain?caller=-&x=17000000001&digits=ask+13812345678&reveal=true",
        "/v1/explain?caller=-&x=17000000001&digits=&reveal=true",
        "/v1/calls/live?account=acme&reveal=true",
        "/v1/numbers/17000000001?pool=FC1&reveal=true",
        "/v1/audit?account=acme",
    ] {
        let (status, answer) = world.ask(Method::GET, path, Value::Null).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {answer}");
    }
    let told = json!({ "what": "the row of 13812345678" });
    world.ok(Method::POST, "/v1/reveals", told).await;
    let (_, facts) = world.audit().await.swap_remove(0);
    assert_eq!(facts["what"], "the row of 138******78");
    let before = before + 1;
    let path = "/v1/numbers/13812345678?reveal=true";
    let (status, _) = world.ask(Method::GET, path, Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(world.audit().await.len(), before);
    let journal = world.journal_masked().await;
    assert!(!journal.contains(NOBODY), "{journal}");
    world.end().await;
}

#[tokio::test]
async fn a_drain_and_a_trusted_clock_leave_who_did_it() {
    let world = World::stocked().await;
    world.ok(Method::POST, "/v1/drain", json!({})).await;
    let newest = world.audit().await.swap_remove(0);
    assert_eq!(newest, ("drained".to_owned(), json!({ "calls": 0 })));
    world.ok(Method::POST, "/v1/clock/trust", json!({})).await;
    let (action, facts) = world.audit().await.swap_remove(0);
    assert_eq!(action, "clock_trusted");
    assert!(facts["at"].as_i64().is_some_and(|at| at > 0), "{facts}");
    let audit = world.get("/v1/audit?limit=2").await;
    for item in audit["items"].as_array().expect("items") {
        assert_eq!(item["actor"], "operator:admin");
        assert_eq!(item["remark"], "tester", "what a client says of itself");
    }
    world.end().await;
}

#[tokio::test]
async fn wrong_tokens_leave_one_line_and_not_five_hundred() {
    let world = World::new().await;
    for _ in 0..500 {
        let request = Request::get("/v1/keys").header("authorization", "Bearer guessed");
        let (status, _) = world.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    // What is told is written by a task of its own.
    let mut lines = Vec::new();
    while lines.is_empty() {
        tokio::task::yield_now().await;
        lines = world.audit().await;
    }
    let expected = json!({ "from": "unknown", "count": 1 });
    assert_eq!(lines, [("token_refused".to_owned(), expected)]);
    world.end().await;
}

#[tokio::test]
async fn free_texts_are_shown_when_they_are_revealed_alone() {
    let world = World::stocked().await;
    let ring_config = r#"{"AXNRing_N":"007"}"#;
    let id = world.bind_with(Some(ring_config)).await;
    let path = format!("/v1/bindings/{id}");
    for ended in [false, true] {
        let masked = world.get(&path).await;
        for field in ["out_id", "ring_config"] {
            assert_eq!(masked[field], "***", "{masked}");
        }
        assert_eq!(masked["extend"], Value::Null);
        let whole = world.get(&format!("{path}?reveal=true")).await;
        assert_eq!(
            (&whole["out_id"], &whole["ring_config"]),
            (&json!("order-7"), &json!(ring_config))
        );
        if !ended {
            world.ok(Method::DELETE, &path, Value::Null).await;
        }
    }
    world.end().await;
}

#[tokio::test]
async fn bindings_are_listed_by_owner_and_state_ended_ones_too() {
    let world = World::stocked().await;
    let document = json!({
        "account": [{ "id": "rival", "real_name_verified": true }],
        "pool": [{ "key": "FC2", "account": "rival", "product": "axn" }],
    });
    world.ok(Method::POST, "/v1/apply", document).await;
    let mut ended = Vec::new();
    for _ in 0..3 {
        let id = world.bind().await.to_string();
        world
            .ok(Method::DELETE, &format!("/v1/bindings/{id}"), Value::Null)
            .await;
        ended.insert(0, id);
    }
    let moved = json!({ "numbers": [{ "pool": "FC2", "city": "北京", "list": [X] }] });
    world.ok(Method::POST, "/v1/apply", moved).await;
    let live = world.bind_in("FC2").await.to_string();

    let listed = async |query: &str| {
        let answer = world.get(&format!("/v1/bindings{query}")).await;
        let items = answer["items"].as_array().expect("items").clone();
        let ids: Vec<String> = items
            .iter()
            .map(|item| item["subs_id"].as_str().expect("an id").to_owned())
            .collect();
        (ids, answer["more"].clone(), answer["next"].clone(), items)
    };
    let all = [std::slice::from_ref(&live), &ended[..]].concat();
    for (query, expected) in [
        (String::new(), all.clone()),
        ("?state=live,over".into(), vec![live.clone()]),
        ("?state=ended".into(), ended.clone()),
        // X is in FC2 now; what was bound before was bound in FC1.
        ("?pool=FC1".into(), ended.clone()),
        ("?pool=FC2".into(), vec![live.clone()]),
        ("?account=acme".into(), ended.clone()),
        ("?account=rival".into(), vec![live.clone()]),
        (format!("?x={X}"), all.clone()),
        (format!("?party={A}&state=ended"), ended.clone()),
        (format!("?before={}", ended[0]), ended[1..].to_vec()),
    ] {
        let (ids, more, next, _) = listed(&query).await;
        assert_eq!(ids, expected, "{query}");
        assert_eq!((more, next), (json!(false), Value::Null), "{query}");
    }
    for (query, told) in [
        ("account=rivel", "did you mean rival?"),
        ("pool=FC3", "there is no pool `FC3`"),
    ] {
        let path = format!("/v1/bindings?{query}");
        let (status, answer) = world.ask(Method::GET, &path, Value::Null).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
        assert!(answer["reason"].to_string().contains(told), "{answer}");
    }
    let (.., items) = listed("?state=ended").await;
    assert_eq!(
        (&items[0]["state"], &items[0]["pool"], &items[0]["account"]),
        (&json!("ended"), &json!("FC1"), &json!("acme"))
    );
    assert_eq!(items[0]["a"], "139******11");

    // Page by page.
    let mut seen = Vec::new();
    let mut before = String::new();
    loop {
        let (ids, more, next, _) = listed(&format!("?limit=1{before}")).await;
        seen.extend(ids);
        if more == json!(false) {
            break;
        }
        before = format!("&before={}", next.as_str().expect("a next page"));
    }
    assert_eq!(seen, all);

    let (status, answer) = world
        .ask(Method::GET, "/v1/bindings?state=dead", Value::Null)
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        answer["reason"]
            .as_str()
            .unwrap()
            .contains("live, over and ended"),
        "{answer}"
    );
    let numbers = world.get("/v1/numbers?account=rival").await;
    assert_eq!(numbers["items"].as_array().unwrap().len(), 1);
    world.end().await;
}
