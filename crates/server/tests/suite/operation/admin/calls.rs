//! Call records, live calls and draining, as an operator sees them.

use axum::http::{Method, StatusCode};
use maskline_domain::call::Reason;
use maskline_domain::call_record::{CallRecord, NODE_LOST};
use maskline_domain::{PhoneNumber, Timestamp};
use serde_json::{Value, json};

use super::{A, World, X};

const N: &str = "13812345678";

fn record(call_id: &str, at_s: i64, pool: &str, situation: Option<&str>) -> CallRecord {
    let number = |text| PhoneNumber::parse(text).ok();
    CallRecord {
        call_id: call_id.into(),
        node: "node".into(),
        boot: "boot".into(),
        pool: Some(pool.into()),
        x: number(X),
        caller: number(N),
        callee: number(A),
        a: number(A),
        arrived_at: Timestamp(at_s * 1_000),
        situation: situation.map(str::to_owned),
        ladder: Some(format!(
            r#"[{{"at_ms":0,"leg":"caller","dir":"in","what":"INVITE","note":"from {N}"}}]"#
        )),
        ..CallRecord::default()
    }
}

async fn recorded() -> World {
    let world = World::new().await;
    let pool = |key: &str| json!({ "key": key, "account": "acme", "product": "axn" });
    let pools = json!({ "account": [{ "id": "acme" }], "pool": [pool("FC1"), pool("FC2")] });
    world.ok(Method::POST, "/v1/apply", pools).await;
    let records = world.ledger.call_records();
    for (id, at_s, pool, situation) in [
        ("c1", 1_800_000_000, "FC1", "busy"),
        ("c2", 1_800_000_060, "FC1", "no_answer"),
        ("c3", 1_800_000_120, "FC2", "busy"),
    ] {
        let closed = record(id, at_s, pool, Some(situation));
        records.close_call(closed).await.expect("written");
    }
    let open = record("c4", 1_800_000_180, "FC1", None);
    records.open_call(open).await.expect("written");
    world
}

#[tokio::test]
async fn call_records_are_found_by_what_is_known_of_them() {
    let world = recorded().await;
    let time = |s: i64| {
        let text = Timestamp(s * 1_000).format_china();
        text.replace(' ', "%20").replace(':', "%3A")
    };
    for (query, found) in [
        (String::new(), "c4 c3 c2 c1"),
        (format!("x={X}"), "c4 c3 c2 c1"),
        ("x=17000000009".into(), ""),
        ("pool=FC1".into(), "c4 c2 c1"),
        ("situation=busy".into(), "c3 c1"),
        ("pool=FC1&situation=busy".into(), "c1"),
        ("open=true".into(), "c4"),
        ("open=false".into(), "c3 c2 c1"),
        (format!("since={}", time(1_800_000_060)), "c4 c3 c2"),
        (format!("until={}", time(1_800_000_060)), "c1"),
        ("limit=2".into(), "c4 c3"),
        (format!("party={N}"), "c4 c3 c2 c1"),
        (format!("party={A}"), "c4 c3 c2 c1"),
        (format!("caller={N}&pool=FC1"), "c4 c2 c1"),
        (format!("caller={A}"), ""),
        (format!("caller={N}&party={A}&situation=busy"), "c3 c1"),
        ("party=13811111111".into(), ""),
    ] {
        let answer = world.get(&format!("/v1/calls?{query}")).await;
        let items = answer["items"].as_array().expect("items");
        let ids: Vec<&str> = items.iter().filter_map(|i| i["call_id"].as_str()).collect();
        assert_eq!(ids.join(" "), found, "{query}");
        assert_eq!(answer["more"], query == "limit=2");
    }
    for (query, told) in [
        ("since=yesterday", "yyyy-MM-dd"),
        ("situation=bussy", "did you mean busy?"),
        ("pool=FC3", "there is no pool `FC3`"),
        ("situatoin=busy", "did you mean situation?"),
    ] {
        let path = format!("/v1/calls?{query}");
        let (status, answer) = world.ask(Method::GET, &path, Value::Null).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
        let reason = answer["reason"].as_str().expect("a reason");
        assert!(reason.contains(told), "{query}: {reason}");
    }
    world.end().await;
}

/// How the rules end a call, and how the next start ends the calls of a node that was lost.
#[tokio::test]
async fn every_situation_that_a_record_can_have_can_be_asked_for() {
    let world = recorded().await;
    let situations = Reason::ALL.into_iter().map(Reason::name);
    let situations: Vec<&str> = situations.chain([NODE_LOST]).collect();
    assert!(situations.len() > 20);
    let records = world.ledger.call_records();
    for situation in &situations {
        let closed = record(
            &format!("of {situation}"),
            1_700_000_000,
            "FC1",
            Some(situation),
        );
        records.close_call(closed).await.expect("written");
    }
    for situation in situations {
        let path = format!("/v1/calls?situation={situation}");
        let (status, answer) = world.ask(Method::GET, &path, Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{situation}: {answer}");
        let items = answer["items"].as_array().expect("items");
        let last = items.last().expect("what was written");
        assert_eq!(last["call_id"], format!("of {situation}"));
        assert!(items.iter().all(|item| item["situation"] == situation));
    }
    world.end().await;
}

#[tokio::test]
async fn a_ladder_shows_no_whole_number_unless_it_is_revealed_and_that_is_written_down() {
    let world = recorded().await;
    let shown = world.get("/v1/calls/c1").await;
    assert_eq!(shown["ladder"][0]["note"], "from 138******78");
    let text = shown.to_string();
    assert!(!text.contains(N) && !text.contains(A), "{text}");
    assert!(!world.journal().await.contains("revealed"));

    let whole = world.get("/v1/calls/c1?reveal=true").await;
    assert_eq!(whole["ladder"][0]["note"], format!("from {N}"));
    assert_eq!(whole["caller"], N);
    assert!(world.journal().await.contains("revealed"));
    world.end().await;
}

#[tokio::test]
async fn draining_is_told_and_calls_that_nobody_serves_cannot_be_looked_at() {
    let world = World::new().await;
    let (status, answer) = world.ask(Method::GET, "/v1/calls/live", Value::Null).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    let before = world.get("/v1/status").await;
    assert_eq!(
        (&before["draining"], &before["ready"], &before["calls"]),
        (&json!(false), &json!(true), &json!(0))
    );
    let told = world.ok(Method::POST, "/v1/drain", json!({})).await;
    assert_eq!(told["calls"], 0);
    let after = world.get("/v1/status").await;
    assert_eq!(
        (&after["draining"], &after["ready"]),
        (&json!(true), &json!(false))
    );
    assert!(after["blocked_by"]["drain"].is_string());
    world.end().await;
}
