//! The admin API over its router, on a ledger of its own.

mod calls;
mod carriers;
mod explain;
mod explain_bind;
mod lists;
mod meanwhile;
mod operators;
mod traces;
mod trunks;
mod visits;

use maskline_store::UNSEALED;
use std::sync::Arc;
use std::time::Instant;

use crate::support::{self, MASTER_KEY};
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use maskline_domain::binding::Extras;
use maskline_domain::call::Notice;
use maskline_domain::{Actor, BindRequest, Envelope, Product, RingConfig, SubsId};
use maskline_fixtures::domain::{bind_request, number};
use maskline_journal::show;
use maskline_server::admin::{self, Admin, AdminToken, FaultForecast, TokenRefusals};
use maskline_server::api::fault_numbers::fault_of;
use maskline_server::api::permissions::permissions;
use maskline_server::api::refusals::failure_of;
use maskline_server::calls::CallsHandle;
use maskline_server::carriers::Carriers;
use maskline_server::ledger::{Ledger, Running, Touch};
use maskline_server::seal::{MasterKeys, Sealer};
use maskline_server::telemetry::Readiness;
use maskline_store::journal;
use serde_json::{Value, json};
use tower::ServiceExt;

const A: &str = "13900001111";
const X: &str = "17000000001";

#[tokio::test]
async fn nothing_is_told_without_the_token() {
    let world = World::new().await;
    for path in [
        "/v1/accounts",
        "/v1/keys",
        "/v1/status",
        "/v1/explain?caller=1&x=2",
        "/v1/none",
    ] {
        for token in [None, Some("Bearer wrong"), Some("Basic x"), Some("")] {
            let mut request = Request::get(path);
            if let Some(token) = token {
                request = request.header("authorization", token);
            }
            let response = world.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(response.0, StatusCode::UNAUTHORIZED, "{path} {token:?}");
        }
    }
    world.end().await;
}

#[tokio::test]
async fn a_secret_is_shown_once_and_its_key_is_switched_and_deleted() {
    let world = World::stocked().await;
    let made = world
        .ok(Method::POST, "/v1/keys", json!({ "account": "acme" }))
        .await;
    let id = made["access_key_id"].as_str().unwrap();
    let secret = made["access_key_secret"].as_str().unwrap();
    assert!(secret.len() >= 30);
    let listed = world.get("/v1/keys?account=acme").await;
    assert!(listed.to_string().contains(id) && !listed.to_string().contains(secret));
    assert_eq!(listed["items"][0]["active"], true);

    let path = format!("/v1/keys/{id}");
    world
        .ok(Method::PATCH, &path, json!({ "active": false }))
        .await;
    assert_eq!(world.get("/v1/keys").await["items"][0]["active"], false);
    world.ok(Method::DELETE, &path, Value::Null).await;
    assert_eq!(world.get("/v1/keys").await["items"], json!([]));
    let (status, gone) = world.ask(Method::DELETE, &path, Value::Null).await;
    assert_eq!(
        (status, &gone["error"]),
        (StatusCode::NOT_FOUND, &json!("not_found"))
    );
    assert!(!world.journal().await.contains(secret));
    world.end().await;
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_a_second_run_neither() {
    let world = World::new().await;
    let document = json!({
        "account": [{ "id": "acme", "real_name_verified": true }],
        "key": [{ "id": "KEY1", "account": "acme" }],
    });
    let dry = world
        .ok(Method::POST, "/v1/apply?dry_run=true", document.clone())
        .await;
    assert_eq!(dry["changes"].as_array().unwrap().len(), 2);
    assert_eq!(
        dry["new_keys"],
        json!([]),
        "a secret that will not be kept is not shown"
    );
    assert_eq!(world.get("/v1/accounts").await["items"], json!([]));
    let done = world.ok(Method::POST, "/v1/apply", document.clone()).await;
    assert_eq!(done["new_keys"][0]["access_key_id"], "KEY1");
    let again = world.ok(Method::POST, "/v1/apply", document).await;
    assert_eq!(
        (&again["changes"], &again["new_keys"]),
        (&json!([]), &json!([]))
    );
    world.end().await;
}

#[tokio::test]
async fn what_is_malformed_is_told_with_its_reason() {
    let world = World::new().await;
    for (method, path, body, reason) in [
        (
            Method::POST,
            "/v1/apply",
            json!({ "colour": 1 }),
            "unknown field `colour`",
        ),
        (
            Method::POST,
            "/v1/apply",
            json!({ "pool": [{}] }),
            "missing field `key`",
        ),
        (
            Method::GET,
            "/v1/numbers?colour=1",
            Value::Null,
            "unknown field `colour`",
        ),
        (Method::GET, "/v1/numbers/abc", Value::Null, "digits only"),
        (
            Method::GET,
            "/v1/explain?caller=1390000&x=17&at=now",
            Value::Null,
            "yyyy-MM-dd",
        ),
        (
            Method::GET,
            "/v1/bindings/abc",
            Value::Null,
            "SubsId is a number",
        ),
    ] {
        let (status, answer) = world.ask(method, path, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {answer}");
        assert!(
            answer["reason"].as_str().unwrap().contains(reason),
            "{path}: {answer}"
        );
    }
    world.end().await;
}

#[tokio::test]
async fn numbers_of_people_are_masked_and_revealing_them_is_journalled() {
    let world = World::stocked().await;
    let id = world.bind().await;
    let path = format!("/v1/bindings/{id}");
    let masked = world.get(&path).await;
    assert_eq!(
        (&masked["a"], &masked["x"]),
        (&json!("139******11"), &json!(X))
    );
    assert_eq!(masked["out_id"], "***");
    assert!(!world.journal().await.contains("revealed"));

    let whole = world.get(&format!("{path}?reveal=true")).await;
    assert_eq!(
        (&whole["a"], &whole["out_id"]),
        (&json!(A), &json!("order-7"))
    );
    let journal = world.journal().await;
    assert!(
        journal.contains("operator admin (tester)") && journal.contains("revealed"),
        "{journal}"
    );
    for path in [
        "/v1/bindings".to_owned(),
        format!("/v1/bindings?party={A}"),
        format!("/v1/numbers/{X}"),
        format!("/v1/explain?caller=13800002222&x={X}"),
    ] {
        let answer = world.get(&path).await.to_string();
        assert!(
            answer.contains("139******11") && !answer.contains(A),
            "{path}: {answer}"
        );
    }
    world.end().await;
}

#[tokio::test]
async fn an_ended_binding_is_still_shown() {
    let world = World::stocked().await;
    let id = world.bind().await;
    let path = format!("/v1/bindings/{id}");
    world.ok(Method::DELETE, &path, Value::Null).await;
    let past = world.get(&path).await;
    assert_eq!(
        (&past["state"], &past["a"]),
        (&json!("ended"), &json!("139******11"))
    );
    assert_eq!(past["ended_by"], "operator:admin");
    world.end().await;
}

#[tokio::test]
async fn a_locked_number_is_shown_as_such_and_put_back() {
    let world = World::stocked().await;
    let path = format!("/v1/numbers/{X}");
    world
        .ok(Method::PATCH, &path, json!({ "locked": true }))
        .await;
    assert_eq!(world.get(&path).await["status"], "locked");
    let locked = world.get("/v1/numbers?pool=FC1&status=locked").await;
    assert_eq!(locked["items"].as_array().unwrap().len(), 1);
    world
        .ok(Method::PATCH, &path, json!({ "locked": false }))
        .await;
    assert_eq!(world.get(&path).await["status"], "free");
    world.end().await;
}

#[tokio::test]
async fn a_pool_shows_its_ring_tones_by_the_names_by_which_they_are_set() {
    let world = World::stocked().await;
    let pool = json!({ "key": "FC1", "ring_tone_other": "007" });
    let document = json!({ "pool": [pool] });
    world.ok(Method::POST, "/v1/apply", document).await;
    let shown = world.get("/v1/pools/FC1").await;
    assert_eq!(shown["ring_tone_other"], "007");
    for absent in ["ring_tones", "ring_tone_a", "ring_tone_a_alone"] {
        assert_eq!(shown.get(absent), None, "{absent}");
    }
    world.end().await;
}

#[tokio::test]
async fn lists_are_bounded_and_say_so() {
    let world = World::stocked().await;
    let some = world.get("/v1/numbers?pool=FC1&limit=3").await;
    assert_eq!(
        (some["items"].as_array().unwrap().len(), &some["more"]),
        (3, &json!(true))
    );
    let all = world.get("/v1/numbers?pool=FC1&limit=10000").await;
    assert_eq!(
        (all["items"].as_array().unwrap().len(), &all["more"]),
        (10, &json!(false))
    );
    world.end().await;
}

#[tokio::test]
async fn a_person_is_erased_from_what_has_ended() {
    let world = World::stocked().await;
    let id = world.bind().await;
    let person = json!({ "number": A });
    let live = world.ok(Method::POST, "/v1/erasures", person.clone()).await;
    assert_eq!((&live["bindings"], &live["live"]), (&json!(0), &json!(1)));
    world
        .ok(Method::DELETE, &format!("/v1/bindings/{id}"), Value::Null)
        .await;
    let done = world.ok(Method::POST, "/v1/erasures", person).await;
    assert_eq!((&done["bindings"], &done["live"]), (&json!(1), &json!(0)));
    assert_eq!(
        world.get(&format!("/v1/bindings/{id}")).await["erased"],
        true
    );
    world.end().await;
}

#[tokio::test]
async fn secrets_are_sealed_anew_after_a_rotation() {
    let old = "07".repeat(32);
    let new = "08".repeat(32);
    let dir = tempfile::tempdir().unwrap();
    let world = World::on(dir, &old).await;
    world.stock().await;
    world
        .ok(
            Method::POST,
            "/v1/keys",
            json!({ "account": "acme", "id": "KEY1" }),
        )
        .await;
    let dir = world.end().await;

    let world = World::on(dir, &format!("{new}\n{old}")).await;
    let reseal =
        |world| async move { World::ok(world, Method::POST, "/v1/reseal", json!({})).await };
    assert_eq!(reseal(&world).await["resealed"], 1);
    assert_eq!(reseal(&world).await["resealed"], 0);
    let sealer = Sealer::new(&MasterKeys::parse(&new).unwrap());
    let opens = world
        .ledger
        .read(Touch::Lists, |state, _| {
            state
                .keys()
                .all(|key| sealer.open(&key.id, &key.sealed_secret).is_ok())
        })
        .await
        .unwrap();
    assert!(opens);
    world.end().await;
}

/// An admin API on a ledger in a directory of its own.
struct World {
    ledger: Ledger,
    running: Running,
    router: Router,
    calls: CallsHandle,
    token: String,
    dir: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self::on(dir, MASTER_KEY).await
    }

    /// With account `acme` and pool `FC1` of ten numbers.
    async fn stocked() -> Self {
        let world = Self::new().await;
        world.stock().await;
        world
    }

    async fn stock(&self) {
        let document = json!({
            "account": [{ "id": "acme", "real_name_verified": true }],
            "pool": [{ "key": "FC1", "account": "acme", "product": "axn" }],
            "numbers": [{ "pool": "FC1", "city": "北京", "first": X, "count": 10 }],
        });
        self.ok(Method::POST, "/v1/apply", document).await;
    }

    async fn on(dir: tempfile::TempDir, master_keys: &str) -> Self {
        let data = dir.path().join("data");
        let (ledger, running) = support::open(&data).await;
        let token_file = dir.path().join("token");
        let token = AdminToken::read_or_make(&token_file).expect("a token");
        let text = token.expose().to_owned();
        let calls = CallsHandle::default();
        let sealer = Arc::new(Sealer::new(&MasterKeys::parse(master_keys).expect("keys")));
        let carriers = Carriers::start(ledger.clone(), sealer.clone());
        let admin = Arc::new(Admin {
            ledger: ledger.clone(),
            carriers: carriers.await.expect("the carriers"),
            sealer,
            token,
            permissions: permissions(),
            code_of: |refusal| failure_of(refusal).label(),
            fault_of: Box::new(|a| {
                fault_of(a).map(|fault| FaultForecast {
                    code: fault.code(),
                    binds: fault.binds(),
                    words: fault.words(),
                })
            }),
            readiness: Readiness::default(),
            started: Instant::now(),
            calls: calls.clone(),
            notice: Notice::Caller,
            data,
            past: tokio::sync::Mutex::default(),
            refused: TokenRefusals::default(),
        });
        let timeout = admin::BodyTimeout(std::time::Duration::from_secs(10));
        let router = admin::router(admin, 1 << 20, timeout);
        Self {
            ledger,
            running,
            router,
            calls,
            token: text,
            dir,
        }
    }

    async fn end(self) -> tempfile::TempDir {
        self.running.close().await;
        self.dir
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, Value) {
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("infallible");
        let status = response.status();
        let body = response
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        self.ask_as(&self.token, method, path, body).await
    }

    /// The same with another token.
    async fn ask_as(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {token}"))
            .header("maskline-operator", "tester")
            .header("content-type", "application/json");
        let body = if body.is_null() {
            Body::empty()
        } else {
            Body::from(body.to_string())
        };
        self.send(request.body(body).expect("a request")).await
    }

    async fn ok(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(method, path, body).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    async fn get(&self, path: &str) -> Value {
        self.ok(Method::GET, path, Value::Null).await
    }

    async fn now(&self) -> String {
        self.get("/v1/status").await["time"]
            .as_str()
            .expect("a time")
            .to_owned()
    }

    async fn bind(&self) -> SubsId {
        self.bind_with(None).await
    }

    async fn bind_with(&self, ring_config: Option<&str>) -> SubsId {
        self.bind_so("FC1", ring_config).await
    }

    async fn bind_in(&self, pool: &str) -> SubsId {
        self.bind_so(pool, None).await
    }

    /// AXN without a default B.
    async fn bind_so(&self, pool: &str, ring_config: Option<&str>) -> SubsId {
        let now = self
            .ledger
            .read(Touch::None, |_, now| now)
            .await
            .expect("a time");
        let request = BindRequest {
            x: Some(number(X)),
            expires_at: now.plus_secs(3600),
            extras: Extras {
                ring_config: ring_config.map(|text| RingConfig::parse(text).expect("tones")),
                out_id: Some("order-7".into()),
                ..Extras::default()
            },
            ..bind_request(pool, Product::Axn, number(A), None)
        };
        let envelope = Envelope {
            by: Actor::Operator {
                name: "customer".into(),
                remark: None,
            },
            id: None,
            command: Box::new(request),
        };
        self.ledger.submit(envelope).await.expect("bound").subs_id
    }

    /// The whole journal as text.
    async fn journal(&self) -> String {
        self.journal_shown(true).await
    }

    /// The whole journal as it is shown to everybody.
    async fn journal_masked(&self) -> String {
        self.journal_shown(false).await
    }

    async fn journal_shown(&self, reveal: bool) -> String {
        let mut conn = self.ledger.readers().acquire().await.expect("a connection");
        let batches = journal::read(&mut conn, 1, 1000).await.expect("batches");
        batches
            .iter()
            .map(|batch| show::batch(batch, &UNSEALED, reveal).expect("readable"))
            .collect()
    }
}
