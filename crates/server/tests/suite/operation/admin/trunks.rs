//! Trunks, and their passwords, which nobody sees again.

use crate::support::{MASTER_KEY, sealer};
use axum::http::{Method, StatusCode};
use maskline_server::seal::TrunkSecret;
use maskline_store::records::audit;
use serde_json::json;

use super::World;

const SECRET: &str = "a-password-of-ours";

#[tokio::test]
async fn a_trunk_is_made_shown_changed_and_taken_away_and_its_password_never_shows() {
    let world = World::new().await;
    let path = "/v1/trunks/carrier";
    let wanted = json!({
        "name": "carrier", "peer": "192.0.2.1:5060", "number_out": "+86", "calls_max": 30,
        "identity_out": "pai", "auth_username": "line-1", "auth_secret": SECRET,
    });
    let made = world.ok(Method::PUT, path, wanted.clone()).await;
    assert_eq!(made["changes"][0]["verb"], "create");
    let again = world.ok(Method::PUT, path, wanted).await;
    assert_eq!(again["changes"], json!([]), "it is as it should be");

    let shown = world.get(path).await;
    assert_eq!(shown["calls_max"], 30);
    assert_eq!(shown["number_out"], "+86");
    assert_eq!(shown["auth_username"], "line-1");
    assert_eq!(shown["auth_secret"], "sealed");
    assert_eq!(shown["challenge_secret"], json!(null));
    let listed = world.get("/v1/trunks").await;
    assert_eq!(listed["items"][0], shown);

    let other = json!({ "name": "carrier", "auth_secret": "another", "enabled": false });
    let changed = world.ok(Method::PUT, path, other).await;
    let fields = changed["changes"][0]["fields"].to_string();
    assert_eq!(
        fields,
        r#"[["enabled","true","false"],["auth_secret","sealed","another"]]"#
    );

    let sealed = world
        .ledger
        .read(maskline_server::ledger::Touch::Lists, |state, _| {
            let trunk = state.trunks().next().expect("one").clone();
            (trunk.name, trunk.auth.expect("credentials").sealed_secret)
        })
        .await
        .expect("a state");
    let sealer = sealer();
    let opened = sealer.open_for_trunk(&sealed.0, TrunkSecret::Auth, &sealed.1);
    assert_eq!(opened.expect("ours").expose(), b"another");
    assert!(
        sealer
            .open_for_trunk(&sealed.0, TrunkSecret::Challenge, &sealed.1)
            .is_err(),
        "sealed for one purpose alone"
    );

    let told = world.journal().await;
    let entries = audit::list(world.ledger.readers(), None, 100)
        .await
        .expect("deeds");
    let told = format!("{told}{entries:?}{shown}{made}{changed}");
    assert!(!told.contains(SECRET) && !told.contains("sealed_secret"));

    world.ok(Method::DELETE, path, json!(null)).await;
    let (status, _) = world.ask(Method::GET, path, json!(null)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    world.end().await;
}

#[tokio::test]
async fn a_trunk_that_cannot_be_is_refused_with_its_reason() {
    let world = World::new().await;
    for (member, value, reason) in [
        ("peer", json!("192.0.2.1"), "an IP address and a port"),
        ("peer", json!("carrier..example"), "a host name"),
        ("domain", json!("carrier.example:5060"), "without a port"),
        ("media_networks", json!(["198.51.100.0/33"]), "no network"),
        (
            "media_networks",
            json!(["198.51.100.9/24"]),
            "did you mean 198.51.100.0/24",
        ),
        (
            "pilot",
            json!("057100000000"),
            "identity_out must be another",
        ),
        ("home_prefixes", json!(["139"]), "only with number_out"),
        ("presents", json!(["a b"]), "names of carriers"),
        ("routes", json!(["0086571"]), "without 0086"),
        ("routes", json!(["+86"]), "digits only"),
        ("auth_secret", json!("x"), "no auth_username"),
        ("registrar", json!("sip.example"), "needs auth_username"),
        ("options_every_s", json!(1), "5 to 3600"),
        ("transport", json!("sctp"), "unknown variant `sctp`"),
    ] {
        let mut wanted = json!({ "name": "carrier", "peer": "192.0.2.1:5060" });
        wanted[member] = value;
        let (status, answer) = world.ask(Method::PUT, "/v1/trunks/carrier", wanted).await;
        assert!(status.is_client_error(), "{member}: {status}");
        let told = answer["reason"].as_str().expect("a reason");
        assert!(told.contains(reason), "{member}: {told}");
    }
    assert_eq!(world.get("/v1/trunks").await["items"], json!([]));
    world.end().await;
}

#[tokio::test]
async fn passwords_of_trunks_are_sealed_anew_too() {
    let world = World::new().await;
    let wanted = json!({
        "name": "carrier", "peer": "192.0.2.1:5060", "challenge_username": "carrier",
        "challenge_secret": SECRET,
    });
    world.ok(Method::PUT, "/v1/trunks/carrier", wanted).await;
    let resealed = world.ok(Method::POST, "/v1/reseal", json!({})).await;
    assert_eq!(resealed["resealed"], 0);
    let dir = world.end().await;
    let keys = format!("{}\n{}\n", "08".repeat(32), MASTER_KEY);
    let world = World::on(dir, &keys).await;
    let resealed = world.ok(Method::POST, "/v1/reseal", json!({})).await;
    assert_eq!(resealed["resealed"], 1);
    let resealed = world.ok(Method::POST, "/v1/reseal", json!({})).await;
    assert_eq!(resealed["resealed"], 0);
    world.end().await;
}
