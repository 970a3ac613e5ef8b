//! Carriers, and their secrets, which nobody sees again; what is reserved though nobody asks a carrier for it.

use std::time::Duration;

use crate::support::{MASTER_KEY, sealer};
use axum::http::{Method, StatusCode};
use maskline_domain::{BindRequest, Carrier, Product, Timestamp};
use maskline_fixtures::domain::{bind_request, operator, party};
use maskline_server::ledger::Touch;
use maskline_store::records::audit;
use serde_json::{Value, json};

use super::World;

const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";
const PATH: &str = "/v1/carriers/unicom";

fn wanted() -> Value {
    json!({
        "name": "unicom", "kind": "http", "url": "https://carrier.example/maskline", "secret": SECRET,
        "deadline_ms": 2000, "breaker_failures": 3,
    })
}

async fn kept(world: &World) -> Carrier {
    let first = |state: &maskline_domain::State, _| state.carriers().next().cloned();
    let found = world.ledger.read(Touch::Lists, first).await;
    found.expect("a state").expect("a carrier")
}

#[tokio::test]
async fn a_carrier_is_made_shown_changed_and_taken_away_and_its_secret_never_shows() {
    let world = World::new().await;
    let made = world.ok(Method::PUT, PATH, wanted()).await;
    assert_eq!(made["changes"][0]["verb"], "create");
    let again = world.ok(Method::PUT, PATH, wanted()).await;
    assert_eq!(again["changes"], json!([]), "it is as it should be");

    let shown = world.get(PATH).await;
    let expected = json!({
        "name": "unicom", "kind": "http", "url": "https://carrier.example/maskline", "secret": "sealed",
        "ca": null, "connect_timeout_ms": 1000, "request_timeout_ms": 2000, "deadline_ms": 2000,
        "concurrency": 32, "breaker_failures": 3, "breaker_open_ms": 10000, "reconcile_every_s": 86400,
        "breaker": "closed", "waiting": 0, "owed": 0, "under_way": 0,
        "reconciled_at": null, "note": null,
    });
    for (member, value) in expected.as_object().expect("members") {
        assert_eq!(&shown[member], value, "{member}");
    }
    let listed = world.get("/v1/carriers").await;
    assert_eq!(listed["items"], json!([shown]));

    let other = json!({ "name": "unicom", "secret": format!("whsec_{}", "A".repeat(32)) });
    let changed = world.ok(Method::PUT, PATH, other).await;
    let fields = &changed["changes"][0]["fields"];
    assert_eq!(*fields, json!([["secret", "sealed", "another"]]));
    let carrier = kept(&world).await;
    let sealed = carrier.sealed_secret.as_deref().expect("sealed");
    let opened = sealer().open_for_carrier(&carrier.name, sealed);
    assert_eq!(opened.expect("ours").expose(), [0; 24]);

    let told = world.journal().await;
    let entries = audit::list(world.ledger.readers(), None, 100)
        .await
        .expect("deeds");
    let told = format!("{told}{entries:?}{shown}{made}{changed}");
    assert!(told.contains("carrier_set"), "the audit tells of carriers");
    assert!(!told.contains("MDEy") && !told.contains("sealed_secret"));

    world.ok(Method::DELETE, PATH, json!(null)).await;
    let (status, _) = world.ask(Method::GET, PATH, json!(null)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = world.ask(Method::DELETE, PATH, json!(null)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    world.end().await;
}

#[tokio::test]
async fn a_carrier_that_cannot_be_is_refused_with_its_reason() {
    let world = World::new().await;
    for (member, value, reason) in [
        ("url", json!("carrier.example"), "url is http://"),
        ("url", json!(""), "carrier url"),
        ("secret", json!(""), "carrier secret"),
        ("secret", json!("whsec_MDEy"), "24 to 64 bytes in base64"),
        ("kind", json!("none"), "carrier url"),
        ("kind", json!("smoke"), "unknown variant"),
        ("ca", json!("no PEM"), "ca: "),
        ("connect_timeout_ms", json!(49), "50 to 10000"),
        ("request_timeout_ms", json!(60_001), "50 to 60000"),
        ("deadline_ms", json!(99), "100 to 60000"),
        ("concurrency", json!(0), "1 to 1024"),
        ("breaker_failures", json!(0), "1 to 1000"),
        ("breaker_open_ms", json!(600_001), "100 to 600000"),
        ("reconcile_every_s", json!(59), "60 to 2678400"),
        ("colour", json!("red"), "unknown field"),
    ] {
        let mut wanted = wanted();
        wanted[member] = value;
        let (status, answer) = world.ask(Method::PUT, PATH, wanted).await;
        assert!(status.is_client_error(), "{member}: {status}");
        let told = answer["reason"].as_str().expect("a reason");
        assert!(told.contains(reason), "{member}: {told}");
    }
    // A trunk names a carrier or a pool, so no carrier can be called as a pool can.
    let pool_like = json!({ "name": "FC12345" });
    let asked = world.ask(Method::PUT, "/v1/carriers/FC12345", pool_like);
    let (status, answer) = asked.await;
    assert!(status.is_client_error(), "{answer}");
    assert_eq!(world.get("/v1/carriers").await["items"], json!([]));
    world.end().await;
}

/// Two carriers with one book would each have it let go what the other has bound.
#[tokio::test]
async fn the_url_of_another_carrier_is_refused() {
    let world = World::new().await;
    world.ok(Method::PUT, PATH, wanted()).await;
    let mut second = wanted();
    second["name"] = json!("mobile");
    second["url"] = json!("HTTPS://Carrier.example:443/maskline");
    let path = "/v1/carriers/mobile";
    let (status, answer) = world.ask(Method::PUT, path, second.clone()).await;
    assert_eq!(status, StatusCode::CONFLICT, "{answer}");
    let told = answer["reason"].as_str().expect("a reason");
    assert!(told.contains("carrier `unicom` has this url"), "{told}");
    second["url"] = json!("https://carrier.example/mobile");
    world.ok(Method::PUT, path, second).await;
    let moved = json!({ "name": "mobile", "url": "https://carrier.example/maskline" });
    let (status, answer) = world.ask(Method::PUT, path, moved).await;
    assert_eq!(status, StatusCode::CONFLICT, "{answer}");
    world.end().await;
}

#[tokio::test]
async fn a_pool_names_a_carrier_which_stays_as_long_as_it_does() {
    let world = World::new().await;
    let document = json!({
        "account": [{ "id": "acme" }],
        "carrier": [{ "name": "unicom" }],
        "pool": [{ "key": "FC1", "account": "acme", "product": "axn", "carrier": "unicom" }],
    });
    world.ok(Method::POST, "/v1/apply", document).await;
    assert_eq!(world.get("/v1/pools/FC1").await["carrier"], "unicom");
    let (status, answer) = world.ask(Method::DELETE, PATH, json!(null)).await;
    assert_eq!(status, StatusCode::CONFLICT, "{answer}");
    let told = answer["reason"].as_str().expect("a reason");
    assert!(told.contains("pool(s) FC1 name it"), "{told}");
    let unknown = json!({ "key": "FC1", "carrier": "unicon" });
    let (status, answer) = world.ask(Method::PUT, "/v1/pools/FC1", unknown).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let told = answer["reason"].as_str().expect("a reason");
    assert!(told.contains("did you mean unicom?"), "{told}");
    let free = json!({ "key": "FC1", "carrier": "" });
    let freed = world.ok(Method::PUT, "/v1/pools/FC1", free).await;
    assert_eq!(
        freed["changes"][0]["fields"],
        json!([["carrier", "unicom", "none"]])
    );
    world.ok(Method::DELETE, PATH, json!(null)).await;
    world.end().await;
}

#[tokio::test]
async fn secrets_of_carriers_are_sealed_anew_too() {
    let world = World::new().await;
    world.ok(Method::PUT, PATH, wanted()).await;
    let resealed = world.ok(Method::POST, "/v1/reseal", json!({})).await;
    assert_eq!(resealed["resealed"], 0);
    let before = kept(&world).await;
    let dir = world.end().await;
    let keys = format!("{}\n{}\n", "08".repeat(32), MASTER_KEY);
    let world = World::on(dir, &keys).await;
    let resealed = world.ok(Method::POST, "/v1/reseal", json!({})).await;
    assert_eq!(resealed["resealed"], 1);
    let after = kept(&world).await;
    assert_ne!(after.sealed_secret, before.sealed_secret);
    // Sealed anew, it is the same secret: what names it is no change.
    let again = world.ok(Method::PUT, PATH, wanted()).await;
    assert_eq!(again["changes"], json!([]));
    let resealed = world.ok(Method::POST, "/v1/reseal", json!({})).await;
    assert_eq!(resealed["resealed"], 0);
    world.end().await;
}

/// Whoever gave the command is gone, and with it who would have asked the carrier.
#[tokio::test]
async fn what_is_reserved_and_nobody_asks_for_is_given_up() {
    let world = World::stocked().await;
    let document = json!({
        "carrier": [{
            "name": "unicom", "kind": "http", "url": "http://127.0.0.1:9/", "secret": SECRET, "deadline_ms": 100,
        }],
        "pool": [{ "key": "FC1", "carrier": "unicom" }],
    });
    world.ok(Method::POST, "/v1/apply", document).await;
    let request = BindRequest {
        expires_at: Timestamp::from_secs(4_000_000_000),
        ..bind_request("FC1", Product::Axn, party(1), None)
    };
    let bound = world.ledger.submit(operator(Box::new(request))).await;
    let bound = bound.expect("a number is free");
    let phase = |state: &maskline_domain::State, _| {
        let provision = state.provision(bound.subs_id);
        provision.map_or("gone", |provision| provision.phase.name())
    };
    let mut seen = vec!["reserved"];
    let given_up = async {
        while seen.last() == Some(&"reserved") {
            tokio::time::sleep(Duration::from_millis(100)).await;
            seen.push(
                world
                    .ledger
                    .read(Touch::Scan, phase)
                    .await
                    .expect("a state"),
            );
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), given_up).await;
    waited.expect("it is reserved for ever");
    assert_eq!(seen.last(), Some(&"releasing"));
    world.end().await;
}
