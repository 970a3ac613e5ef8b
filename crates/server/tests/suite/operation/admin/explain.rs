//! What an operator is told of a call before anybody makes it.

use axum::http::{Method, StatusCode};
use maskline_domain::ToneCode;
use serde_json::{Value, json};

use super::{A, World, X};

#[tokio::test]
async fn a_call_is_explained_now_and_as_it_would_have_been() {
    let world = World::stocked().await;
    let before = world.now().await;
    // The wire's time has whole seconds, so the past must be one away.
    while world.now().await == before {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    world.bind().await;
    let asked = format!("/v1/explain?caller=13800002222&x={X}");
    let now = world.get(&asked).await;
    assert_eq!(
        (&now["route"]["connect"], &now["route"]["shown"]),
        (&json!(true), &json!(X))
    );
    let at = before.replace(' ', "%20");
    let then = world.get(&format!("{asked}&at={at}")).await;
    assert_eq!(then["route"]["connect"], false, "{then}");
    let question = then["question"].as_str().unwrap();
    assert!(
        question.ends_with("by the bindings of that moment."),
        "{question}"
    );
    world.end().await;
}

#[tokio::test]
async fn an_explanation_says_who_rings_and_what_the_caller_meets() {
    let world = World::stocked().await;
    let asked = format!("/v1/explain?caller=13800002222&x={X}");
    let unbound = world.get(&asked).await;
    let expected = json!({
        "rings": null, "shown": null, "ring_tone": null, "prompt": "not_in_use", "status": 404, "cause": 1,
        "reason": "no_binding",
    });
    assert_eq!(unbound["expect"], expected);
    let result = unbound["result"].as_str().unwrap();
    assert!(
        result
            .ends_with("The caller hears the prompt not_in_use and gets status 404 with cause 1."),
        "{result}"
    );
    world.bind().await;
    let without = world.get(&asked).await;
    assert_eq!(without["expect"]["rings"], Value::Null);
    assert_eq!(
        (&without["expect"]["status"], &without["expect"]["prompt"]),
        (&json!(502), &json!("unreachable"))
    );
    let trunk = json!({ "name": "carrier", "peer": "127.0.0.1:5070", "enabled": true });
    world.ok(Method::PUT, "/v1/trunks/carrier", trunk).await;
    let with = world.get(&asked).await;
    assert_eq!(with["expect"]["rings"], with["route"]["callee"]);
    assert_eq!(
        (&with["expect"]["shown"], &with["expect"]["status"]),
        (&json!(X), &json!(200))
    );
    world.end().await;
}

#[tokio::test]
async fn an_explanation_goes_by_the_trunk_that_the_call_comes_from() {
    let world = World::stocked().await;
    for (name, enabled, prompts) in [
        ("a-closed", false, "early"),
        ("b-silent", true, "none"),
        ("c-answering", true, "answer"),
    ] {
        let trunk = json!({
            "name": name, "peer": "127.0.0.1:5070", "enabled": enabled, "prompts": prompts,
        });
        let path = format!("/v1/trunks/{name}");
        world.ok(Method::PUT, &path, trunk).await;
    }
    let asked = format!("/v1/explain?caller=13800002222&x={X}");
    for (trunk, prompt, status) in [
        ("", Value::Null, 404),
        ("&trunk=b-silent", Value::Null, 404),
        ("&trunk=c-answering", json!("not_in_use"), 200),
    ] {
        let answer = world.get(&format!("{asked}{trunk}")).await;
        let expect = &answer["expect"];
        assert_eq!(
            (&expect["prompt"], &expect["status"], &expect["cause"]),
            (&prompt, &json!(status), &json!(1)),
            "{trunk}"
        );
    }
    for trunk in ["a-closed", "none"] {
        let path = format!("{asked}&trunk={trunk}");
        let (status, answer) = world.ask(Method::GET, &path, Value::Null).await;
        assert_eq!(
            (status, &answer["error"]),
            (StatusCode::NOT_FOUND, &json!("not_found")),
            "{trunk}"
        );
    }
    world.end().await;
}

#[tokio::test]
async fn an_explanation_names_the_ring_tone_that_the_caller_hears() {
    let world = World::stocked().await;
    let there = ["0", "7", "100000001"].into_iter().map(ToneCode::parse);
    let there = there.collect::<Option<_>>().expect("codes");
    world.calls.set_tones(std::sync::Arc::new(there));
    for (name, prompts) in [("early", "early"), ("silent", "none")] {
        let trunk = json!({
            "name": name, "peer": "127.0.0.1:5070", "enabled": true, "prompts": prompts,
        });
        let path = format!("/v1/trunks/{name}");
        world.ok(Method::PUT, &path, trunk).await;
    }
    let pool = json!({
        "key": "FC1", "account": "acme", "product": "axn", "ring_tone_a_alone": "7",
        "ring_tone_other": "8",
    });
    world.ok(Method::PUT, "/v1/pools/FC1", pool).await;
    // There is no file of 9, so the pool's tone is heard.
    let config = r#"{"AXNRing_A":"9","AXNRing_N":"100000001"}"#;
    world.bind_with(Some(config)).await;
    for (caller, trunk, ring_tone, prompt, said) in [
        (
            A,
            "early",
            Value::Null,
            json!("ring tone 7"),
            "The caller hears ring tone 7 and gets status 404 with cause 1.",
        ),
        (
            A,
            "silent",
            Value::Null,
            Value::Null,
            "The caller hears no prompt and gets status 404 with cause 1.",
        ),
        (
            "-",
            "early",
            json!("100000001"),
            Value::Null,
            "For the caller it rings with tone 100000001.",
        ),
        ("-", "silent", Value::Null, Value::Null, "rung for 60 s."),
    ] {
        let path = format!("/v1/explain?caller={caller}&x={X}&trunk={trunk}");
        let answer = world.get(&path).await;
        let expect = &answer["expect"];
        assert_eq!(
            (&expect["ring_tone"], &expect["prompt"]),
            (&ring_tone, &prompt),
            "{answer}"
        );
        let result = answer["result"].as_str().expect("a sentence");
        assert!(result.ends_with(said), "{result}");
    }
    world.end().await;
}

#[tokio::test]
async fn an_explanation_says_of_each_trunk_why_the_call_does_not_leave_by_it() {
    let world = World::stocked().await;
    world.bind().await;
    let trunks = [
        ("a-other", json!({ "presents": ["FC9"] })),
        ("b-south", json!({ "routes": ["0755", "95"] })),
        ("c-closed", json!({ "enabled": false })),
        ("d-inward", json!({ "outgoing": false })),
        ("e-any", json!({ "priority": 1 })),
        (
            "f-mobiles",
            json!({ "presents": ["FC1"], "routes": ["1", "13"], "priority": 9 }),
        ),
    ];
    for (name, mut trunk) in trunks {
        (trunk["name"], trunk["peer"]) = (json!(name), json!("127.0.0.1:5070"));
        let path = format!("/v1/trunks/{name}");
        world.ok(Method::PUT, &path, trunk).await;
    }
    let asked = format!("/v1/explain?caller=13800002222&x={X}");
    let told = world.get(&asked).await;
    let steps: Vec<&str> = (told["steps"].as_array().expect("steps").iter())
        .filter_map(Value::as_str)
        .filter(|step| step.starts_with("Trunk "))
        .collect();
    let expected = [
        "Trunk f-mobiles may show X and takes this callee, by the first 2 digits of its number.",
        "Trunk e-any may show X and takes any callee.",
        "Trunk a-other does not present pool FC1, which names no carrier.",
        "Trunk b-south has no route that begins the callee's number.",
        "Trunk c-closed is disabled.",
        "Trunk d-inward only brings calls.",
    ];
    assert_eq!(steps, expected);
    let fit = |name: &str, digits: Value, why: Value| json!({ "trunk": name, "fits": why.is_null(), "route_digits": digits, "why": why });
    let expected = json!([
        fit("f-mobiles", json!(2), Value::Null),
        fit("e-any", json!(0), Value::Null),
        fit("a-other", Value::Null, json!("other_x")),
        fit("b-south", Value::Null, json!("other_callee")),
        fit("c-closed", Value::Null, json!("disabled")),
        fit("d-inward", Value::Null, json!("brings_only")),
    ]);
    assert_eq!(told["trunks"], expected);
    for name in ["e-any", "f-mobiles"] {
        let closed = json!({ "name": name, "enabled": false });
        world
            .ok(Method::PUT, &format!("/v1/trunks/{name}"), closed)
            .await;
    }
    let told = world.get(&asked).await;
    assert_eq!(told["expect"]["reason"], "unreachable");
    assert_eq!(told["expect"]["rings"], Value::Null);
    world.end().await;
}
