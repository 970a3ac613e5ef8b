//! What is listed while others write: nothing is missing, and nothing is told that may be undone.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::http::Method;
use futures_util::future::{FusedFuture, join};
use futures_util::{FutureExt, poll};
use maskline_domain::call::Stage;
use maskline_domain::{BindRequest, Product, SubsId, Timestamp};
use maskline_fixtures::domain::{bind_request, number, operator, unbind};
use maskline_server::calls::calls_handle::Ask;
use maskline_server::ledger::Touch;
use maskline_store::directory;
use maskline_switch::LiveCall;
use serde_json::{Value, json};

use super::{World, X};

/// How long anything may take on a busy machine.
const WATCHDOG: Duration = Duration::from_secs(60);

/// How many times a list is read to its end.
const ROUNDS: usize = 25;

/// How often an answer is asked for that must not come.
const POLLS: usize = 50;

fn live_call(n: usize) -> LiveCall {
    LiveCall {
        call_id: format!("call-{n:02}"),
        stage: Stage::Talking,
        arrived_at: Timestamp(1_800_000_000_000),
        x: Some(number(X)),
        caller: Some(number("13812345678")),
        callee: None,
        pool: Some("FC1".into()),
        subs_id: None,
        trunk_in: None,
        trunk_out: None,
    }
}

/// The ids on the pages of a list, in order. `between` is done between pages.
async fn walk(
    world: &World,
    (path, id): (&str, &str),
    limit: usize,
    mut between: impl FnMut(),
) -> Vec<String> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let page = world.get(&format!("{path}?limit={limit}{after}")).await;
        let rows = page["items"].as_array().expect("rows");
        assert!(rows.len() <= limit, "{path}");
        let ids = rows.iter().map(|row| row[id].as_str().expect("an id"));
        all.extend(ids.map(str::to_owned));
        match page["next"].as_str() {
            None => return all,
            Some(next) => after = format!("&after={next}"),
        }
        between();
    }
}

#[tokio::test]
async fn live_calls_are_given_once_each_in_pages_of_any_size_while_some_come_and_go() {
    let world = World::stocked().await;
    let calls = Arc::new(Mutex::new(Vec::new()));
    let mut asks = world.calls.take_asks().expect("nobody else answers");
    let answering = tokio::spawn({
        let calls = Arc::clone(&calls);
        async move {
            while let Some(ask) = asks.recv().await {
                if let Ask::Live(answer) = ask {
                    let now = calls.lock().expect("whole").clone();
                    let _ = answer.send(now);
                }
            }
        }
    });
    for (count, limit) in [
        (0, 1),
        (1, 1),
        (2, 1),
        (12, 1),
        (12, 2),
        (12, 5),
        (12, 11),
        (12, 12),
        (12, 13),
        (40, 7),
        (40, 100),
    ] {
        let wanted: Vec<String> = (0..count).map(|n| live_call(n).call_id).collect();
        // They come in no order.
        let shown: Vec<LiveCall> = (0..count).rev().map(live_call).collect();
        *calls.lock().expect("whole") = shown;
        let list = ("/v1/calls/live", "call_id");
        let whole = walk(&world, list, limit, || ()).await;
        assert_eq!(whole, wanted, "{count}, {limit} a page");
        assert_eq!(world.get("/v1/calls/live").await["calls"], json!(count));
        // The last one that is left goes, the first one that was shown too, and others come at both ends.
        let mut n = 0;
        let moving = walk(&world, list, limit, || {
            let mut calls = calls.lock().expect("whole");
            n += 1;
            calls.retain(|call| call.call_id != format!("call-{:02}", 3 * n));
            calls.push(LiveCall {
                call_id: format!("call-9{n:03}"),
                ..live_call(0)
            });
            calls.push(LiveCall {
                arrived_at: Timestamp(1_700_000_000_000),
                call_id: format!("early-{n}"),
                ..live_call(0)
            });
            assert!(n < 1_000, "it does not end");
            if n > 4 {
                let before = calls.len() - 2;
                calls.truncate(before);
            }
        });
        let moving = moving.await;
        let once: BTreeSet<&String> = moving.iter().collect();
        assert_eq!(once.len(), moving.len(), "{count}, {limit}: {moving:?}");
        let left = calls.lock().expect("whole").clone();
        for stayed in wanted
            .iter()
            .filter(|id| left.iter().any(|call| call.call_id == **id))
        {
            assert!(once.contains(stayed), "{count}, {limit}: {stayed}");
        }
    }
    answering.abort();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_binding_is_missing_while_bindings_come_and_go_without_a_pause() {
    let world = World::stocked().await;
    let stop = AtomicBool::new(false);
    // Those of which somebody has been told.
    let told: Mutex<Vec<SubsId>> = Mutex::default();
    let writing = async {
        let now = world.ledger.read(Touch::None, |_, now| now).await;
        let expires_at = now.expect("a time").plus_secs(3_600);
        let request = BindRequest {
            expires_at,
            ..bind_request("FC1", Product::Axn, number("13900001111"), None)
        };
        while !stop.load(Ordering::Relaxed) {
            let bound = world.ledger.submit(operator(Box::new(request.clone())));
            let binding = bound.await.expect("bound");
            told.lock().expect("whole").push(binding.subs_id);
            let end = operator(unbind(binding.subs_id, binding.x));
            world.ledger.submit(end).await.expect("unbound");
        }
    };
    let reading = async {
        for round in 0..ROUNDS {
            let before = told.lock().expect("whole").clone();
            let limit = [10_000, 500, 150][round % 3];
            let listed = walk(&world, ("/v1/bindings", "subs_id"), limit, || ()).await;
            let once: BTreeSet<&String> = listed.iter().collect();
            assert_eq!(once.len(), listed.len(), "round {round}");
            for id in before {
                assert!(
                    once.contains(&id.to_string()),
                    "round {round}: {id} is missing"
                );
            }
        }
        stop.store(true, Ordering::Relaxed);
    };
    join(writing, reading).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_still_be_undone_is_not_told() {
    for (path, shown) in [
        ("/v1/imports", "stock"),
        ("/v1/imports?limit=1", "stock"),
        ("/v1/imports/stock", "7"),
        ("/v1/accounts", "\"bindings\":1"),
        ("/v1/accounts?limit=1", "\"bindings\":1"),
        ("/v1/accounts/acme", "\"bindings\":1"),
        ("/v1/numbers", "bound"),
        ("/v1/numbers?status=bound", "bound"),
        ("/v1/numbers/17000000001", "bound"),
        ("/v1/bindings?state=live", X),
        ("/v1/pools", "\"free\":9"),
        ("/v1/pools/FC1", "\"free\":9"),
    ] {
        let world = World::stocked().await;
        let file = world.dir.path().join("data").join(directory::FILE);
        let url = format!("sqlite://{}", file.display());
        let intruder = sqlx::SqlitePool::connect(&url).await.expect("it opens");
        let mut held = intruder.acquire().await.expect("a connection");
        sqlx::query("BEGIN IMMEDIATE")
            .execute(&mut *held)
            .await
            .expect("nobody writes");
        {
            let now = world.ledger.read(Touch::None, |_, now| now).await;
            let request = BindRequest {
                x: Some(number(X)),
                expires_at: now.expect("a time").plus_secs(3_600),
                ..bind_request("FC1", Product::Axn, number("13900001111"), None)
            };
            // On a busy machine it may take too long, and is undone then.
            let write = async {
                if path.contains("imports") {
                    let rows = json!({ "rows": 7 });
                    let (status, _) = world.ask(Method::PUT, "/v1/imports/stock", rows).await;
                    status.is_success()
                } else {
                    let bound = world.ledger.submit(operator(Box::new(request)));
                    bound.await.is_ok()
                }
            };
            let mut writing = pin!(write.fuse());
            let begun = Instant::now();
            let is_decided = || {
                let look = |state: &maskline_domain::State, _| {
                    state.import("stock").is_some() || state.bindings_len() > 0
                };
                world.ledger.try_read(Touch::None, look) == Some(true)
            };
            while !is_decided() {
                let _ = poll!(writing.as_mut());
                if writing.is_terminated() {
                    break;
                }
                assert!(begun.elapsed() < WATCHDOG, "{path}: it is not decided");
                tokio::task::yield_now().await;
            }
            let mut reading = pin!(world.ask(Method::GET, path, Value::Null).fuse());
            for _ in 0..POLLS {
                if let Poll::Ready((_, answer)) = poll!(reading.as_mut()) {
                    let is_told = answer.to_string().contains(shown);
                    assert!(!is_told, "{path} tells {answer}");
                    break;
                }
                tokio::task::yield_now().await;
            }
            sqlx::query("ROLLBACK")
                .execute(&mut *held)
                .await
                .expect("it was begun");
            if writing.is_terminated() || reading.is_terminated() {
                eprintln!("{path}: it took too long to be seen");
            } else {
                let (is_written, (_, answer)) = join(writing, reading).await;
                let is_told = answer.to_string().contains(shown);
                assert!(is_told || !is_written, "{path}: {answer}");
            }
        }
        drop(held);
        intruder.close().await;
        world.end().await;
    }
}
