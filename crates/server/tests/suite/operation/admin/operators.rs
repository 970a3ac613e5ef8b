//! Operators: what each role may, tokens that are taken back, and the first token.

use std::path::Path;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use maskline_domain::Role;
use maskline_server::admin::{ROUTES, first_token};
use serde_json::{Value, json};

use super::World;

/// The audit, with all that was answered before.
async fn audit(world: &World) -> Value {
    // The history of a binding that is not there waits for the projection, and so for the audit.
    let _ = world.ask(Method::GET, "/v1/bindings/1", Value::Null).await;
    world.get("/v1/audit").await
}

async fn newest_line(world: &World) -> Value {
    audit(world).await["items"][0].take()
}

/// The token of a new operator.
async fn add(world: &World, name: &str, role: Role) -> String {
    let body = json!({ "name": name, "role": role });
    let made = world.ok(Method::POST, "/v1/operators", body).await;
    made["token"].as_str().expect("a token").to_owned()
}

async fn status_of(world: &World, token: &str) -> StatusCode {
    let asked = world.ask_as(token, Method::GET, "/v1/status", Value::Null);
    asked.await.0
}

#[tokio::test]
async fn each_role_may_what_the_table_of_routes_says_and_no_more() {
    let world = World::new().await;
    for role in Role::ALL {
        let token = add(&world, role.name(), role).await;
        for (path, methods) in ROUTES {
            for (method, needed) in *methods {
                if path.ends_with("/retire") {
                    continue;
                }
                let method: Method = method.to_uppercase().parse().expect("a method");
                let path = path.replace(['{', '}'], "");
                let (status, answer) = world.ask_as(&token, method.clone(), &path, json!({})).await;
                let is_refused = status == StatusCode::FORBIDDEN;
                assert_eq!(is_refused, role < *needed, "{role:?} {method} {path}");
                if is_refused {
                    let reason = answer["reason"].as_str().expect("a reason");
                    assert!(reason.contains(needed.name()), "{reason}");
                }
            }
        }
    }
    world.end().await;
}

#[tokio::test]
async fn what_looks_is_for_viewers_and_what_says_who_may_what_for_administrators() {
    let for_administrators = ["accounts", "users", "keys", "operators", "first-token"];
    for (path, methods) in ROUTES {
        for (method, needed) in *methods {
            let noun = path.split('/').nth(2).expect("a noun");
            let expected = match *method {
                "get" => Role::Viewer,
                _ if for_administrators.contains(&noun) => Role::Administrator,
                _ if ["reseal", "erasures", "retention", "holds"].contains(&noun) => {
                    Role::Administrator
                }
                _ => Role::Operator,
            };
            assert_eq!(*needed, expected, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_document_about_who_may_what_is_for_administrators_alone() {
    let world = World::stocked().await;
    let operator = add(&world, "bob", Role::Operator).await;
    let apply = |token: String, document: Value| {
        let world = &world;
        async move {
            let path = "/v1/apply?dry_run=true";
            world.ask_as(&token, Method::POST, path, document).await.0
        }
    };
    let pool = json!({ "pool": [{ "key": "FC1", "cooling_s": 9 }] });
    assert_eq!(apply(operator.clone(), pool).await, StatusCode::OK);
    for document in [
        json!({ "account": [{ "id": "acme", "real_name_verified": false }] }),
        json!({ "key": [{ "id": "K1", "account": "acme" }] }),
        json!({ "user": [{ "account": "acme", "name": "u" }] }),
        json!({ "remove": { "keys": ["K1"] } }),
        json!({ "remove": { "users": ["acme/u"] } }),
    ] {
        let told = apply(operator.clone(), document.clone()).await;
        assert_eq!(told, StatusCode::FORBIDDEN, "{document}");
    }
    world.end().await;
}

#[tokio::test]
async fn whole_numbers_are_not_for_viewers() {
    let world = World::stocked().await;
    world.bind().await;
    let viewer = add(&world, "eve", Role::Viewer).await;
    let operator = add(&world, "bob", Role::Operator).await;
    let look = |token: String, path: &'static str| {
        let world = &world;
        async move { world.ask_as(&token, Method::GET, path, Value::Null).await }
    };
    let (status, masked) = look(viewer.clone(), "/v1/bindings").await;
    assert_eq!(status, StatusCode::OK);
    assert!(!masked.to_string().contains(super::A), "{masked}");
    for path in [
        "/v1/bindings?reveal=true",
        "/v1/calls?reveal=true",
        "/v1/numbers/17000000001?reveal=true",
        "/v1/explain?caller=13800000000&x=17000000001&reveal=true",
        "/v1/explain/bind?pool=FC1&a=13800000000&reveal=true",
    ] {
        let (status, answer) = look(viewer.clone(), path).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}: {answer}");
        let (status, _) = look(operator.clone(), path).await;
        assert_ne!(status, StatusCode::FORBIDDEN, "{path}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_token_that_is_taken_back_is_refused_at_once_and_stands_nowhere() {
    let world = World::new().await;
    let first = add(&world, "alice", Role::Administrator).await;
    assert_eq!(status_of(&world, &first).await, StatusCode::OK);
    let rotate = world
        .ok(Method::POST, "/v1/operators/alice/rotate", json!({}))
        .await;
    let second = rotate["token"].as_str().expect("a token").to_owned();
    assert_eq!(status_of(&world, &first).await, StatusCode::UNAUTHORIZED);
    let switch = |enabled: bool| {
        let body = json!({ "enabled": enabled });
        world.ok(Method::PATCH, "/v1/operators/alice", body)
    };
    for (enabled, expected) in [
        (true, StatusCode::OK),
        (false, StatusCode::UNAUTHORIZED),
        (true, StatusCode::OK),
    ] {
        switch(enabled).await;
        assert_eq!(status_of(&world, &second).await, expected);
    }
    world
        .ok(Method::DELETE, "/v1/operators/alice", Value::Null)
        .await;
    assert_eq!(status_of(&world, &second).await, StatusCode::UNAUTHORIZED);
    let told = [world.journal().await, audit(&world).await.to_string()];
    for text in told {
        assert!(text.contains("operator_set") && text.contains("alice"));
        assert!(!text.contains(&first) && !text.contains(&second) && !text.contains("token_hash"));
    }
    world.end().await;
}

#[tokio::test]
async fn the_name_in_the_audit_is_that_of_the_token() {
    let world = World::new().await;
    let token = add(&world, "alice", Role::Administrator).await;
    let account = json!({ "id": "acme" });
    let put = world.ask_as(&token, Method::PUT, "/v1/accounts/acme", account);
    assert_eq!(put.await.0, StatusCode::OK);
    let newest = &newest_line(&world).await;
    assert_eq!(
        (&newest["actor"], &newest["remark"], &newest["deed"]),
        (
            &json!("operator:alice"),
            &json!("tester"),
            &json!("account_set")
        )
    );
    let unremarked = Request::put("/v1/accounts/other")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(Body::from(r#"{"id":"other"}"#))
        .expect("a request");
    assert_eq!(world.send(unremarked).await.0, StatusCode::OK);
    let newest = &newest_line(&world).await;
    assert_eq!(
        (&newest["actor"], &newest["remark"]),
        (&json!("operator:alice"), &Value::Null)
    );
    world.end().await;
}

#[tokio::test]
async fn names_are_checked_and_given_once() {
    let world = World::new().await;
    add(&world, "alice", Role::Viewer).await;
    for (name, expected) in [
        ("alice", StatusCode::CONFLICT),
        ("admin", StatusCode::BAD_REQUEST),
        ("two words", StatusCode::BAD_REQUEST),
        ("", StatusCode::BAD_REQUEST),
    ] {
        let body = json!({ "name": name, "role": "viewer" });
        let (status, answer) = world.ask(Method::POST, "/v1/operators", body).await;
        assert_eq!(status, expected, "{name}: {answer}");
    }
    let listed = world.get("/v1/operators").await;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(listed["items"][0]["role"], "viewer");
    assert_eq!(listed["first_token"], "in use");
    world.end().await;
}

#[tokio::test]
async fn the_first_token_is_retired_for_an_administrator_and_comes_back() {
    let world = World::new().await;
    let retire = || world.ask(Method::POST, "/v1/first-token/retire", json!({}));
    add(&world, "bob", Role::Operator).await;
    let alice = add(&world, "alice", Role::Administrator).await;
    let as_alice = |method: Method, path: &'static str, body: Value| {
        let (world, alice) = (&world, &alice);
        async move { world.ask_as(alice, method, path, body).await.0 }
    };
    let switch = |enabled: bool| {
        let body = json!({ "enabled": enabled });
        as_alice(Method::PATCH, "/v1/operators/alice", body)
    };
    assert_eq!(switch(false).await, StatusCode::OK);
    assert_eq!(retire().await.0, StatusCode::CONFLICT);
    let enable = json!({ "enabled": true });
    world.ok(Method::PATCH, "/v1/operators/alice", enable).await;
    assert_eq!(retire().await.0, StatusCode::OK);

    assert_eq!(retire().await.0, StatusCode::UNAUTHORIZED);
    // Nobody would be left.
    assert_eq!(switch(false).await, StatusCode::CONFLICT);
    let remove = as_alice(Method::DELETE, "/v1/operators/alice", Value::Null);
    assert_eq!(remove.await, StatusCode::CONFLICT);

    let data = world.dir.path().join("data");
    restore(&world, &data).await;
    assert_eq!(
        status_of(&world, &world.token).await,
        StatusCode::UNAUTHORIZED
    );
    first_token::ask(&data).expect("a file");
    restore(&world, &data).await;
    assert_eq!(status_of(&world, &world.token).await, StatusCode::OK);
    let newest = &newest_line(&world).await;
    assert_eq!(
        (&newest["actor"], &newest["deed"]),
        (&json!("job:restore-first"), &json!("first_token_restored"))
    );
    assert_eq!(switch(false).await, StatusCode::OK);
    world.end().await;
}

async fn restore(world: &World, data: &Path) {
    let restored = first_token::restore_if_asked(&world.ledger, data);
    restored.await.expect("restored or not asked for");
}
