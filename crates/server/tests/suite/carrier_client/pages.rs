//! Pages of what a carrier holds.

use super::peer::{Peer, Reply, answer};
use super::{client, digits, soon};
use maskline_domain::SubsId;
use maskline_domain::provisioning::{Answer, HeldThere};
use serde_json::{Value, json};

#[tokio::test]
async fn pages_of_what_is_held_are_read_or_mean_something() {
    let held =
        |x: &str, subs_id: &str| json!({ "x": x, "subs_id": subs_id, "revision": 2, "fence": 9 });
    let page = |held: Vec<Value>, next: Value| {
        let page = json!({ "result": "ok", "held": held, "next": next });
        answer("200 OK", "", &page.to_string())
    };
    let two = || vec![held("17000000001", "7"), held("17000000001", "8")];
    let there = |subs_id| HeldThere {
        x: digits("17000000001"),
        subs_id: SubsId(subs_id),
        revision: 2,
        fence: 9,
    };
    #[rustfmt::skip]
    let good = [
        (page(two(), json!("more")), vec![there(7), there(8)], Some("more")),
        (page(two(), json!(null)), vec![there(7), there(8)], None),
        (page(vec![], json!(null)), vec![], None),
        (answer("200 OK", "", r#"{"result":"ok","held":[]}"#), vec![], None),
    ];
    for (bytes, rows, next) in good {
        let peer = Peer::new(move |_| Reply::Bytes(bytes.clone())).await;
        let found = soon(client(&peer).query(Some("here"), 2)).await;
        let found = found.expect("a page");
        assert_eq!((found.held, found.next.as_deref()), (rows, next));
        let heard = peer.heard();
        assert_eq!(heard[0].body, br#"{"op":"query","after":"here","limit":2}"#);
        let id = heard[0].header("webhook-id").unwrap_or_default();
        assert!(id.starts_with("query-") && id.len() > 20, "{id}");
    }
    let changed = |member: &str, value: Value| {
        let mut one = held("17000000001", "7");
        one[member] = value;
        page(vec![one], json!(null))
    };
    let three = [two(), vec![held("17000000002", "9")]].concat();
    let long = format!(
        r#"{{"result":"ok","held":[],"more":"{}"}}"#,
        "x".repeat(1 << 20)
    );
    #[rustfmt::skip]
    let bad = [
        ("more than asked", page(three, json!(null)), Answer::Unclear, "more bindings"),
        ("twice", page([two(), two()].concat()[1..3].to_vec(), json!(null)), Answer::Done, ""),
        ("the same twice", page(vec![held("1", "7"), held("1", "7")], json!(null)), Answer::Unclear, "twice"),
        ("the same page", page(two(), json!("here")), Answer::Unclear, "the same one"),
        ("no cursor", page(two(), json!("")), Answer::Unclear, "empty"),
        ("a long cursor", page(two(), json!("x".repeat(257))), Answer::Unclear, "too long"),
        ("a cursor that is a number", page(two(), json!(7)), Answer::Unclear, "another kind"),
        ("no held", answer("200 OK", "", r#"{"result":"ok"}"#), Answer::Unclear, "missing"),
        ("no number", changed("x", json!("one")), Answer::Unclear, "no number"),
        ("no id", changed("subs_id", json!("x")), Answer::Unclear, "no id"),
        ("an id that is a number", changed("subs_id", json!(7)), Answer::Unclear, "another kind"),
        ("no revision", changed("revision", json!(0)), Answer::Unclear, "no revision"),
        ("a large fence", changed("fence", json!(1_u64 << 53)), Answer::Unclear, "no fence"),
        ("a long page", answer("200 OK", "", &long), Answer::Unclear, "longer than 1024 KiB"),
        ("refused", answer("400 No", "", r#"{"result":"refused","reason":"no"}"#), Answer::Refused, "no"),
        ("stale", answer("409 No", "", r#"{"result":"stale","fence":9}"#), Answer::Unclear, "to a query"),
        ("trouble", answer("503 No", "", ""), Answer::Unavailable, "status 503"),
    ];
    for (name, bytes, means, told) in bad {
        let peer = Peer::new(move |_| Reply::Bytes(bytes.clone())).await;
        let asked = soon(client(&peer).query(Some("here"), 2)).await;
        match asked {
            Ok(_) => assert_eq!(means, Answer::Done, "{name}"),
            Err((found, seen)) => {
                assert_eq!(found, means, "{name}: {seen}");
                assert!(seen.as_str().contains(told), "{name}: {seen}");
            }
        }
    }
}
