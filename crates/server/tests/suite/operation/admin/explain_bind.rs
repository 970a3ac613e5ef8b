//! What an operator is told of a bind before anybody asks for it.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{A, World, X};

const OTHER: &str = "13700000000";

async fn explained(world: &World, query: &str) -> Value {
    world.get(&format!("/v1/explain/bind?{query}")).await
}

#[tokio::test]
async fn a_bind_is_foretold_with_what_it_goes_by_and_nothing_is_bound() {
    let world = World::stocked().await;
    let more = json!({
        "account": [{ "id": "acme", "bindings_max": 7 }],
        "numbers": [{ "pool": "FC1", "city": "上海", "list": ["17000000099"] }],
    });
    world.ok(Method::POST, "/v1/apply", more).await;
    let query =
        format!("pool=FC1&a={A}&city=%E5%8C%97%E4%BA%AC%E5%B8%82&expiration=2099-01-31%2023:59:59");
    let told = explained(&world, &query).await;
    let question = told["question"].as_str().expect("a sentence");
    assert_eq!(
        question,
        "139******11 is to be bound in pool FC1 until 2099-01-31 23:59:59."
    );
    let steps = json!([
        "The pool sells AXN to account acme.",
        "The account has 0 bindings, and may have 7.",
        "Taken is any of the free numbers of 北京, or else of any other city.",
        "In 北京 10 of 10 numbers can be given out; in all cities 11 of 11.",
    ]);
    assert_eq!(told["steps"], steps);
    let bind = &told["bind"];
    assert_eq!(
        (&bind["bound"], &bind["code"]),
        (&json!(true), &json!("OK"))
    );
    assert_eq!((&bind["city"], &bind["free"]), (&json!("北京"), &json!(11)));
    let x = bind["x"].as_str().expect("an X");
    let expected = format!("Bound to X {x} of 北京, by one draw; another may give another one.");
    assert_eq!(told["result"], expected);
    let cities = json!([
        { "city": "北京", "numbers": 10, "free": 10 },
        { "city": "上海", "numbers": 1, "free": 1 },
    ]);
    assert_eq!(bind["cities"], cities);
    assert_eq!(world.get("/v1/bindings").await["items"], json!([]));
    let wanted = explained(&world, &format!("pool=FC1&a={A}&b={OTHER}&x={X}")).await;
    assert_eq!(wanted["result"], format!("Bound to X {X} of 北京."));
    let steps = wanted["steps"].to_string();
    assert!(steps.contains(&format!("X {X} is wanted.")), "{steps}");
    let question = wanted["question"].as_str().expect("a sentence");
    assert!(question.contains(" with 137******00 in pool"), "{question}");
    world.end().await;
}

#[tokio::test]
async fn the_rule_that_refuses_and_the_code_of_the_customer_are_told() {
    let world = World::stocked().await;
    world.bind().await;
    for (query, refusal, code) in [
        (
            format!("pool=FC9&a={A}"),
            "PoolUnknown",
            "isv.POOLKEY_NOT_EXISTS",
        ),
        (
            "pool=FC1&a=110".to_owned(),
            "NumberIllegal",
            "isv.MOBILE_NUMBER_ILLEGAL",
        ),
        (
            format!("pool=FC1&a={A}&b={A}"),
            "NumbersEqual",
            "isv.ILLEGAL_ARGUMENT",
        ),
        (
            format!("pool=FC1&a={A}&x={X}"),
            "BindConflict",
            "isv.BIND_CONFLICT",
        ),
        (
            format!("pool=FC1&a={OTHER}&x={X}"),
            "NumberTaken",
            "isv.NO_USED_BY_OTHERS",
        ),
        (
            format!("pool=FC1&a={OTHER}&x=17099999999"),
            "NumberUnknown",
            "isv.NO_NOT_EXIST",
        ),
        (
            format!("pool=FC1&a={OTHER}&expiration=2017-09-18%2017:00:00"),
            "ExpirationIllegal",
            "isv.EXPIRE_DATE_ILLEGAL",
        ),
    ] {
        let told = explained(&world, &query).await;
        let bind = &told["bind"];
        let found = (&bind["bound"], &bind["refusal"], &bind["code"]);
        assert_eq!(
            found,
            (&json!(false), &json!(refusal), &json!(code)),
            "{query}"
        );
        let result = told["result"].as_str().expect("a sentence");
        assert!(
            result.starts_with("Refused: ") && result.ends_with(&format!("gets {code}.")),
            "{result}"
        );
        assert!(
            !told.to_string().contains(OTHER) && !told.to_string().contains(A),
            "{told}"
        );
    }
    for (query, told) in [
        ("pool=FC1", "missing field `a`"),
        ("pool=FC1&a=x", "digits"),
        ("pool=FC1&a=13700000000&city=", "1 to 64 bytes"),
        ("pool=FC1&a=13700000000&expiration=soon", "yyyy-MM-dd"),
        ("pool=FC1&a=13700000000&colour=red", "unknown field"),
    ] {
        let path = format!("/v1/explain/bind?{query}");
        let (status, answer) = world.ask(Method::GET, &path, Value::Null).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
        let reason = answer["reason"].as_str().expect("a reason");
        assert!(reason.contains(told), "{query}: {reason}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_fault_number_has_its_way_before_the_rules() {
    let world = World::stocked().await;
    let explained = async |a: &str| explained(&world, &format!("pool=FC1&a={a}")).await;
    let refused = explained("17900000014").await;
    let told = "Refused: A is a fault number. The customer gets isp.VENDOR_UNAVAILABLE.";
    assert_eq!(refused["result"], told);
    assert_eq!(refused["bind"]["bound"], false);
    assert_eq!(refused["bind"]["code"], "isp.VENDOR_UNAVAILABLE");
    let lost = explained("17900000101").await;
    assert_eq!(lost["bind"]["bound"], true);
    assert_eq!(lost["bind"]["code"], "unanswered");
    let steps = lost["steps"].to_string();
    assert!(
        steps.contains("A is a fault number: it is bound, and"),
        "{steps}"
    );
    world.end().await;
}

#[tokio::test]
async fn whole_numbers_are_shown_only_if_they_are_wanted() {
    let world = World::stocked().await;
    let query = format!("pool=FC1&a={OTHER}&b={A}");
    let masked = explained(&world, &query).await.to_string();
    assert!(!masked.contains(OTHER) && !masked.contains(A), "{masked}");
    let told = explained(&world, &format!("{query}&reveal=true")).await;
    let question = told["question"].as_str().expect("a sentence");
    assert!(question.starts_with(&format!("{OTHER} is to be bound with {A} ")));
    world.end().await;
}

#[tokio::test]
async fn the_carrier_that_must_agree_is_told() {
    let world = World::stocked().await;
    let document = json!({
        "carrier": [
            { "name": "silent" },
            {
                "name": "unicom", "kind": "http", "url": "http://carrier.example/",
                "secret": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
            },
        ],
        "pool": [{ "key": "FC1", "carrier": "silent" }],
    });
    world.ok(Method::POST, "/v1/apply", document).await;
    let told = explained(&world, &format!("pool=FC1&a={A}&x={X}")).await;
    let steps = told["steps"].to_string();
    assert!(
        steps.contains("of carrier silent, which is told nothing."),
        "{steps}"
    );
    assert_eq!(told["result"], format!("Bound to X {X} of 北京."));
    let other = json!({ "key": "FC1", "carrier": "unicom" });
    world.ok(Method::PUT, "/v1/pools/FC1", other).await;
    let told = explained(&world, &format!("pool=FC1&a={A}&x={X}")).await;
    let steps = told["steps"].to_string();
    assert!(
        steps.contains("Carrier unicom must agree, and can be asked."),
        "{steps}"
    );
    assert_eq!(
        told["result"],
        format!("Bound to X {X} of 北京, if carrier unicom agrees.")
    );
    let carrier =
        json!({ "name": "unicom", "kind": "http", "reconciled": true, "breaker": "closed" });
    assert_eq!(told["bind"]["carrier"], carrier);
    world.end().await;
}
