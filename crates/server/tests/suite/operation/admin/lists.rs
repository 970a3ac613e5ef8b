//! Lists, page by page: every row once, whatever is written meanwhile.

use std::collections::BTreeSet;

use axum::http::{Method, StatusCode};
use maskline_domain::call_record::CallRecord;
use maskline_domain::{Actor, PhoneNumber, SubsId};
use maskline_domain::{BindRequest, Envelope, Product, Timestamp};
use maskline_fixtures::domain::{bind_request, number};
use maskline_server::ledger::Touch;
use serde_json::{Value, json};

use super::World;

/// Every list, and the field that tells its rows apart.
const LISTS: [(&str, &str); 20] = [
    ("/v1/accounts", "id"),
    ("/v1/users", "name"),
    ("/v1/users?account=account-1", "name"),
    ("/v1/keys", "id"),
    ("/v1/pools", "key"),
    ("/v1/trunks", "name"),
    ("/v1/numbers", "x"),
    ("/v1/imports", "name"),
    ("/v1/numbers?pool=FC0001", "x"),
    ("/v1/bindings", "subs_id"),
    ("/v1/bindings?party=13812345678", "subs_id"),
    ("/v1/bindings?pool=FC0001", "subs_id"),
    ("/v1/bindings?account=account-1", "subs_id"),
    ("/v1/bindings?state=ended", "subs_id"),
    ("/v1/calls", "call_id"),
    ("/v1/calls?party=13812345678", "call_id"),
    ("/v1/calls?caller=13812345678", "call_id"),
    ("/v1/calls?pool=FC0001", "call_id"),
    ("/v1/calls?open=false", "call_id"),
    ("/v1/audit", "facts"),
];

/// Who calls everybody, and is the other party of every binding.
const EVERYBODYS: &str = "13812345678";

impl World {
    /// With as many of everything as pages are to be made of: all calls came in one millisecond, half
    /// of the bindings have ended.
    async fn filled(count: usize) -> Self {
        let world = Self::new().await;
        let each = |make: &dyn Fn(usize) -> Value| -> Value { (1..=count).map(make).collect() };
        let document = json!({
            "account": each(&|n| json!({ "id": format!("account-{n}"), "real_name_verified": true })),
            "user": each(&|n| json!({ "account": format!("account-{}", n % 3 + 1), "name": format!("user-{n}") })),
            "key": each(&|n| json!({ "id": format!("KEY{n}"), "account": "account-1" })),
            "pool": each(&|n| json!({ "key": pool(n), "account": "account-1", "product": "axn" })),
            "trunk": each(&|n| json!({ "name": format!("trunk-{n}"), "peer": format!("127.0.0.1:{}", 5_100 + n) })),
            "numbers": [{ "pool": pool(1), "city": "北京", "first": x(1).reveal(), "count": count }],
        });
        world.ok(Method::POST, "/v1/apply", document).await;
        for n in 1..=count {
            let path = format!("/v1/imports/import-{n}");
            world.ok(Method::PUT, &path, json!({ "rows": n })).await;
            let id = world.bind_on(n).await;
            if n.is_multiple_of(2) {
                world.unbind(id).await;
            }
            world.call(n).await;
        }
        world
    }

    async fn bind_on(&self, n: usize) -> SubsId {
        let now = self.ledger.read(Touch::None, |_, now| now).await;
        let request = BindRequest {
            x: Some(x(n)),
            expires_at: now.expect("a time").plus_secs(3600),
            ..bind_request(&pool(1), Product::Axn, party(n), Some(number(EVERYBODYS)))
        };
        let by = Actor::Operator {
            name: "customer".into(),
            remark: None,
        };
        let envelope = Envelope {
            by,
            id: None,
            command: Box::new(request),
        };
        self.ledger.submit(envelope).await.expect("bound").subs_id
    }

    async fn unbind(&self, id: SubsId) {
        let path = format!("/v1/bindings/{id}");
        self.ok(Method::DELETE, &path, Value::Null).await;
    }

    /// The record of a call to the person of that place.
    async fn call(&self, n: usize) {
        let closed = CallRecord {
            call_id: format!("call-{n}"),
            x: Some(x(n)),
            account: Some("account-1".into()),
            pool: Some(pool(1)),
            caller: Some(number(EVERYBODYS)),
            callee: Some(party(n)),
            a: Some(party(n)),
            arrived_at: Timestamp(1_800_000_000_123),
            ..CallRecord::default()
        };
        let records = self.ledger.call_records();
        records.close_call(closed).await.expect("written");
    }

    /// One of each goes, and others come at both ends. Four times at most.
    async fn write_around(&self, n: usize) {
        let (first, last, gone) = (format!("0-{n}"), format!("z-{n}"), format!("{}", 3 * n - 1));
        let peer = |n: usize| format!("127.0.0.1:{}", 5_200 + n);
        let document = json!({
            "account": [{ "id": first }, { "id": last }],
            "user": [{ "account": "account-1", "name": first }, { "account": "account-3", "name": last }],
            "key": [{ "id": format!("A{n}"), "account": "account-1" }, { "id": format!("Z{n}"), "account": "account-1" }],
            "pool": [{ "key": format!("FC0000{n}"), "account": "account-1", "product": "axn" }],
            "trunk": [{ "name": first, "peer": peer(n) }, { "name": last, "peer": peer(n + 10) }],
            "numbers": [{ "pool": pool(2), "city": "北京", "list": [format!("1600000000{n}"), format!("1800000000{n}")] }],
            "remove": {
                "users": [format!("account-{}/user-{gone}", (3 * n - 1) % 3 + 1)],
                "keys": [format!("KEY{gone}")],
                "trunks": [format!("trunk-{gone}")],
            },
        });
        self.ok(Method::POST, "/v1/apply", document).await;
        for path in [
            format!("/v1/imports/{first}"),
            format!("/v1/imports/{last}"),
        ] {
            self.ok(Method::PUT, &path, json!({ "rows": n })).await;
        }
        let gone = format!("/v1/imports/import-{gone}");
        self.ok(Method::DELETE, &gone, Value::Null).await;
        self.call(100 + n).await;
    }

    /// The next page of a list: rows, and where the one after it begins.
    async fn page(
        &self,
        path: &str,
        limit: usize,
        after: Option<&str>,
    ) -> (Vec<Value>, Option<String>) {
        let sign = if path.contains('?') { '&' } else { '?' };
        let after = after.map(|after| format!("&after={}", escaped(after)));
        let path = format!("{path}{sign}limit={limit}{}", after.unwrap_or_default());
        let answer = self.get(&path).await;
        let rows = answer["items"].as_array().expect("rows").clone();
        let next = answer["next"].as_str().map(str::to_owned);
        assert_eq!(answer["more"], next.is_some(), "{path}");
        assert!(rows.len() <= limit, "{path}");
        (rows, next)
    }

    /// What a list gives page by page; `between` is done between pages.
    async fn walk(
        &self,
        path: &str,
        limit: usize,
        mut between: impl AsyncFnMut(&Self),
    ) -> Vec<Value> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let (rows, next) = self.page(path, limit, after.as_deref()).await;
            all.extend(rows);
            if next.is_none() {
                return all;
            }
            after = next;
            between(self).await;
        }
    }
}

fn pool(n: usize) -> String {
    format!("FC{n:04}")
}

fn x(n: usize) -> PhoneNumber {
    number(&format!("1700000{n:04}"))
}

fn party(n: usize) -> PhoneNumber {
    number(&format!("1390000{n:04}"))
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25")
        .replace('/', "%2F")
        .replace('.', "%2E")
}

fn names(rows: &[Value], field: &str) -> Vec<String> {
    let name = |row: &Value| row[field].as_str().expect("a name").to_owned();
    rows.iter().map(name).collect()
}

#[tokio::test]
async fn every_list_gives_each_row_once_in_pages_of_any_size() {
    let world = World::filled(12).await;
    // The audit is read from the journal, as the bindings are that have ended.
    let audited = world.get("/v1/bindings?state=ended").await;
    assert_eq!(audited["items"].as_array().map(Vec::len), Some(6));
    for (path, _) in LISTS {
        let (whole, next) = world.page(path, 10_000, None).await;
        assert_eq!(next, None, "{path}");
        let count = whole.len();
        assert!(count >= 4, "{path}: {count}");
        for limit in [1, 2, 3, 5, count - 1, count, count + 1] {
            let all = world.walk(path, limit, async |_| ()).await;
            assert_eq!(all, whole, "{path}, {limit} a page");
        }
    }
    for (path, field) in &LISTS[..19] {
        let (whole, _) = world.page(path, 10_000, None).await;
        let names: BTreeSet<String> = names(&whole, field).into_iter().collect();
        assert_eq!(names.len(), whole.len(), "{path}");
    }
    world.end().await;
}

#[tokio::test]
async fn rows_that_stay_are_given_once_whatever_comes_and_goes() {
    let cases = LISTS[..19]
        .iter()
        .flat_map(|list| [1, 5].map(|limit| (list, limit)));
    for ((path, field), limit) in cases {
        let world = World::filled(12).await;
        let all = async || -> BTreeSet<String> {
            let (rows, _) = world.page(path, 10_000, None).await;
            names(&rows, field).into_iter().collect()
        };
        let before = all().await;
        let mut n = 0;
        let walked = world.walk(path, limit, async |world| {
            n += 1;
            if n <= 4 {
                world.write_around(n).await;
            }
        });
        let walked = names(&walked.await, field);
        let once: BTreeSet<String> = walked.iter().cloned().collect();
        assert_eq!(
            once.len(),
            walked.len(),
            "{path}, {limit} a page: {walked:?}"
        );
        let after = all().await;
        let stayed: BTreeSet<String> = before.intersection(&after).cloned().collect();
        assert!(
            once.is_superset(&stayed),
            "{path}, {limit} a page: {walked:?}"
        );
        world.end().await;
    }
}

#[tokio::test]
async fn a_binding_that_ends_between_two_pages_is_listed_once() {
    for limit in [1, 2, 3, 7] {
        let world = World::filled(16).await;
        let whole = names(&world.page("/v1/bindings", 100, None).await.0, "subs_id");
        assert_eq!(whole.len(), 16);
        let mut live: Vec<usize> = (1..=16).step_by(2).collect();
        let walked = world.walk("/v1/bindings", limit, async |world| {
            // One that was listed, or will be; and a new one comes.
            let place = live.len() / 2;
            if let Some(n) = (!live.is_empty()).then(|| live.remove(place)) {
                let listed = world
                    .get(&format!("/v1/bindings?state=live&x={}", x(n).reveal()))
                    .await;
                let id = listed["items"][0]["subs_id"]
                    .as_str()
                    .expect("an id")
                    .parse();
                world.unbind(SubsId(id.expect("a number"))).await;
                world.bind_on(n + 1).await;
            }
        });
        assert_eq!(names(&walked.await, "subs_id"), whole, "{limit} a page");
        world.end().await;
    }
}

#[tokio::test]
async fn bindings_and_calls_of_a_person_are_those_of_nobody_else() {
    let world = World::filled(12).await;
    world.bind_on(4).await;
    world.bind_on(4 + 2).await;
    for (query, states) in [
        (format!("party={}", party(4).reveal()), "live ended"),
        (format!("party={}&state=live", party(4).reveal()), "live"),
        (format!("party={}&state=ended", party(4).reveal()), "ended"),
        (format!("party={}&state=over", party(4).reveal()), ""),
        (
            format!("party={}&state=live,over", party(5).reveal()),
            "live",
        ),
        (format!("party={}&state=ended", party(5).reveal()), ""),
        (
            format!("party={}&x={}", party(4).reveal(), x(4).reveal()),
            "live ended",
        ),
        (
            format!("party={}&x={}", party(4).reveal(), x(5).reveal()),
            "",
        ),
        (
            format!("party={}&pool={}", party(4).reveal(), pool(1)),
            "live ended",
        ),
        (format!("party={}&pool={}", party(4).reveal(), pool(2)), ""),
        (format!("party={}&account=account-2", party(4).reveal()), ""),
        ("party=13899999999".into(), ""),
    ] {
        for limit in [1, 100] {
            let path = format!("/v1/bindings?{query}");
            let rows = world.walk(&path, limit, async |_| ()).await;
            assert_eq!(names(&rows, "state").join(" "), states, "{query}");
        }
    }
    for (query, calls) in [
        (format!("party={}", party(4).reveal()), "call-4"),
        (format!("caller={}", party(4).reveal()), ""),
        (
            format!("caller=13812345678&party={}", party(5).reveal()),
            "call-5",
        ),
        (
            format!("party={}&x={}", party(5).reveal(), x(4).reveal()),
            "",
        ),
    ] {
        let rows = world
            .walk(&format!("/v1/calls?{query}"), 1, async |_| ())
            .await;
        assert_eq!(names(&rows, "call_id").join(" "), calls, "{query}");
    }
    let calls = world
        .walk("/v1/calls?party=13812345678", 5, async |_| ())
        .await;
    assert_eq!(calls.len(), 12);
    // Once erased, a person is found no more, and the other party of the calls still is.
    let person = json!({ "number": party(8).reveal() });
    world.ok(Method::POST, "/v1/erasures", person).await;
    for (query, found) in [("party=13900000008", 0), ("party=13812345678", 12)] {
        let rows = world
            .walk(&format!("/v1/calls?{query}"), 100, async |_| ())
            .await;
        assert_eq!(rows.len(), found, "{query}");
    }
    let path = "/v1/bindings?party=13900000008";
    assert_eq!(world.get(path).await["items"], json!([]));
    world.end().await;
}

#[tokio::test]
async fn a_page_begins_at_a_key_of_its_list_or_not_at_all() {
    let world = World::filled(4).await;
    for path in [
        "/v1/users?after=nobody",
        "/v1/users?account=account-2&after=account-1%2Fuser-3",
        "/v1/users?account=account-1&after=account-2%2Fuser-1",
        "/v1/users?account=account-1&after=nobody%2F",
        "/v1/numbers?after=x",
        "/v1/numbers?after=",
        "/v1/bindings?after=x",
        "/v1/bindings?after=-1",
        "/v1/bindings?after=1&before=1",
        "/v1/calls?after=call-1",
        "/v1/calls?after=x.call-1",
        "/v1/calls?after=",
        "/v1/calls/live?after=x",
        "/v1/audit?after=17",
        "/v1/audit?after=1.x",
        "/v1/audit?after=-1.0",
    ] {
        let (status, answer) = world.ask(Method::GET, path, Value::Null).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {answer}");
        // A number that is none is told as such, as it is anywhere else.
        let is_told = answer["reason"].to_string().contains("of the same list");
        let is_number = path.starts_with("/v1/numbers") || path.contains("&before=");
        assert!(is_told || is_number, "{path}: {answer}");
    }
    // One that is not there any more is as good as one that is.
    for (path, rows) in [
        ("/v1/accounts?after=account-2x", 2),
        ("/v1/users?after=account-2%2F", 3),
        ("/v1/users?account=account-2&after=account-2%2F", 2),
        ("/v1/users?account=account-2&after=account-2%2Fuser-1", 1),
        ("/v1/users?account=account-2&after=account-2%2Fz", 0),
        ("/v1/keys?after=KEY", 4),
        ("/v1/keys?after=KEY9", 0),
        ("/v1/pools?after=FC0003x", 1),
        ("/v1/trunks?after=a", 4),
        ("/v1/numbers?after=16999999999", 4),
        ("/v1/numbers?after=17000000002", 2),
        ("/v1/imports?after=import-3", 1),
        ("/v1/bindings?after=1", 0),
        ("/v1/bindings?before=9007199254740991", 4),
        ("/v1/calls?after=1800000000124.", 4),
        ("/v1/calls?after=1800000000123.call-3", 2),
        ("/v1/calls?after=1800000000123.", 0),
        ("/v1/audit?after=1.0", 0),
    ] {
        let rows_found = world.get(path).await["items"].as_array().map(Vec::len);
        assert_eq!(rows_found, Some(rows), "{path}");
    }
    world.end().await;
}
