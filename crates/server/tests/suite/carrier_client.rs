//! Carriers over HTTP: what is sent, what an answer means, and what no answer means.

mod answers;
mod pages;
mod peer;

use crate::support::sealer;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use maskline_domain::provisioning::{Answer, Operation, Request, Terms};
use maskline_domain::{
    Carrier, CarrierKind, CarrierName, PhoneNumber, PoolKey, Product, SubsId, Timestamp,
};
use maskline_fixtures::certificates::SelfSigned;
use maskline_server::carrier_client::CarrierClient;
use maskline_server::seal::Secret;
use peer::{Heard, Peer, Reply, answer};
use serde_json::Value;
use sha2::Sha256;
use std::time::Duration;
use tokio::time::timeout;

const KEY: [u8; 24] = *b"a key of just 24 letters";
const A: &str = "13800138000";
const FENCE: u64 = 1_788_000_000_000_007;

fn carrier(url: String) -> Carrier {
    let name = CarrierName::new("unicom");
    let sealed = sealer().seal_for_carrier(&name, &Secret::new(KEY.to_vec()));
    Carrier {
        kind: CarrierKind::Http,
        url: Some(url.into()),
        sealed_secret: Some(sealed.expect("random bytes").into()),
        // What is not about time-outs waits for a busy machine.
        connect_timeout_ms: 60_000,
        request_timeout_ms: 60_000,
        ..Carrier::new(name)
    }
}

fn client(peer: &Peer) -> CarrierClient {
    let url = format!("http://{}/maskline?of=us", peer.address);
    CarrierClient::new(&carrier(url), &sealer()).expect("one that is told")
}

fn digits(text: &str) -> PhoneNumber {
    PhoneNumber::parse(text).expect("digits")
}

fn bind(revision: u32) -> Request {
    Request {
        subs_id: SubsId(1_788_000_000_000_000),
        revision,
        fence: FENCE,
        x: digits("17000000001"),
        operation: Operation::Bind(Terms {
            pool: PoolKey::new("FC100"),
            product: Product::Axn,
            a: digits(A),
            b: None,
            expires_at: Timestamp(1_796_040_000_000),
        }),
    }
}

/// Waits much longer than anything here takes.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(120), work).await.expect("soon")
}

/// `ok`, as an adapter says it that lets its connections be used again.
fn ok_for(heard: &Heard) -> Vec<u8> {
    let id = heard.header("webhook-id").expect("an id");
    let echo = format!("webhook-id: {id}\r\n");
    answer("200 OK", &echo, r#"{"result":"ok"}"#)
}

#[tokio::test]
async fn a_request_is_signed_and_says_what_the_protocol_has() {
    let peer = Peer::new(|heard| Reply::Bytes(ok_for(heard))).await;
    let client = client(&peer);
    let update = |terms: Request| match terms.operation {
        Operation::Bind(terms) => Operation::Update(terms),
        other => other,
    };
    let requests = [
        bind(1),
        Request {
            operation: update(bind(2)),
            ..bind(2)
        },
        Request {
            operation: Operation::Unbind,
            ..bind(3)
        },
    ];
    for request in &requests {
        let (found, seen) = soon(client.ask(request)).await;
        assert_eq!(found, Answer::Done, "{seen}");
    }
    let heard = peer.heard();
    let bodies: Vec<Value> = (heard.iter())
        .map(|heard| serde_json::from_slice(&heard.body).expect("JSON"))
        .collect();
    let operations: Vec<_> = bodies.iter().map(|body| body["op"].clone()).collect();
    assert_eq!(operations, ["bind", "update", "unbind"]);
    assert_eq!(bodies[0]["a"], A);
    for (heard, revision) in heard.iter().zip(1..) {
        assert!(heard.head.starts_with("POST /maskline?of=us HTTP/1.1\r\n"));
        let header = |name| heard.header(name).unwrap_or_default();
        assert_eq!(header("host"), peer.address.to_string());
        assert_eq!(header("content-type"), "application/json; charset=utf-8");
        let id = header("webhook-id");
        assert_eq!(id, format!("1788000000000000-{revision}"));
        let at = header("webhook-timestamp");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let age = now.expect("later").as_secs() as i64 - at.parse::<i64>().expect("seconds");
        assert!((0..300).contains(&age), "{age} s");
        let mut mac = Hmac::<Sha256>::new_from_slice(&KEY).expect("any length");
        mac.update(format!("{id}.{at}.").as_bytes());
        mac.update(&heard.body);
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        assert_eq!(header("webhook-signature"), format!("v1,{signature}"));
        assert_eq!(heard.header("authorization"), None);
    }
}

#[tokio::test]
async fn who_does_not_answer_is_unavailable_after_the_time_that_is_set() {
    let stuck = Peer::new(|_| Reply::Stuck(Vec::new())).await;
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"result\":".to_vec();
    let half = Peer::new(move |_| Reply::Stuck(half.clone())).await;
    // Bound, so that nobody else takes it, but nobody listens.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().expect("an address");
    socket.bind(&any.into()).expect("a port");
    let closed = socket.local_addr().ok().and_then(|at| at.as_socket());
    let closed = closed.expect("an address");
    for (name, url, told) in [
        (
            "silent",
            format!("http://{}/", stuck.address),
            "no answer within 300 ms",
        ),
        (
            "half",
            format!("http://{}/", half.address),
            "no answer within 300 ms",
        ),
        (
            "no TLS",
            format!("https://{}/", stuck.address),
            "no connection within 200 ms",
        ),
        (
            "closed",
            format!("http://{closed}/"),
            "no connection: Connection refused",
        ),
        (
            "no name",
            "http://carrier.invalid/".to_owned(),
            "no connection",
        ),
    ] {
        let limited = Carrier {
            connect_timeout_ms: 200,
            request_timeout_ms: 300,
            ca: url.starts_with("https").then(|| {
                String::from_utf8(SelfSigned::new("h").chain)
                    .expect("PEM")
                    .into()
            }),
            ..carrier(url)
        };
        let client = CarrierClient::new(&limited, &sealer()).expect("one that is told");
        let (found, seen) = soon(client.ask(&bind(1))).await;
        let means = match told.starts_with("no connection") {
            true => Answer::NotSent,
            false => Answer::Unavailable,
        };
        assert_eq!(found, means, "{name}: {seen}");
        assert!(seen.as_str().contains(told), "{name}: {seen}");
    }
}

#[tokio::test]
async fn a_connection_is_used_again_only_after_an_answer_that_names_its_request() {
    for (name, names_it, connections) in [("named", true, 1), ("not named", false, 5)] {
        let peer = Peer::new(move |heard| {
            Reply::Bytes(match names_it {
                true => ok_for(heard),
                false => answer("200 OK", "", r#"{"result":"ok"}"#),
            })
        });
        let peer = peer.await;
        let client = client(&peer);
        for revision in 1..=5 {
            let (found, seen) = soon(client.ask(&bind(revision))).await;
            assert_eq!(found, Answer::Done, "{name}: {seen}");
        }
        assert_eq!(peer.connections(), connections, "{name}");
    }
}

#[tokio::test]
async fn an_answer_that_comes_twice_is_never_taken_for_that_to_the_next_request() {
    // Both at once: the next request goes elsewhere, or is answered by its own.
    let peer = Peer::new(|heard| {
        let bytes = ok_for(heard);
        Reply::Bytes(if heard.place == 0 {
            bytes.repeat(2)
        } else {
            bytes
        })
    });
    let peer = peer.await;
    let asking = client(&peer);
    for revision in 1..=3 {
        let (found, seen) = soon(asking.ask(&bind(revision))).await;
        // The second request may have met the end of the connection.
        let is_fine = found == Answer::Done || revision == 2 && found != Answer::Refused;
        assert!(is_fine, "{found:?}: {seen}");
        let done = peer.heard().len();
        assert!(
            found != Answer::Done || done >= revision as usize,
            "nobody was asked"
        );
    }
    // A moment later, when the next request is there already, which is refused.
    for names_it in [true, false] {
        let peer = Peer::new(move |heard| {
            let first = answer(
                "200 OK",
                "webhook-id: 1788000000000000-1\r\n",
                r#"{"result":"ok"}"#,
            );
            let late = match names_it {
                true => first.clone(),
                false => answer("200 OK", "", r#"{"result":"ok"}"#),
            };
            let refused = answer("400 No", "", r#"{"result":"refused"}"#);
            Reply::Bytes(match heard.place {
                0 => first,
                1 => [late, refused].concat(),
                _ => refused,
            })
        });
        let peer = peer.await;
        let client = client(&peer);
        let mut found = Vec::new();
        for revision in 1..=3 {
            found.push(soon(client.ask(&bind(revision))).await.0);
        }
        let expected = [Answer::Done, Answer::Unclear, Answer::Refused];
        assert_eq!(found, expected, "its id is there: {names_it}");
        assert_eq!(peer.connections(), 2, "what follows has a new connection");
    }
}

#[tokio::test]
async fn a_request_that_may_have_arrived_is_not_sent_again() {
    let peer = Peer::new(|heard| match heard.place {
        0 => Reply::Bytes(ok_for(heard)),
        1 => Reply::Last(Vec::new()),
        _ => Reply::Bytes(ok_for(heard)),
    });
    let peer = peer.await;
    let client = client(&peer);
    let mut found = Vec::new();
    for revision in 1..=3 {
        found.push(soon(client.ask(&bind(revision))).await.0);
    }
    let expected = [Answer::Done, Answer::Unavailable, Answer::Done];
    assert_eq!(found, expected);
    let heard = peer.heard();
    assert_eq!(heard.len(), 3);
    assert_eq!(heard[1].connection, 0, "over the kept connection");
}

#[tokio::test]
async fn a_carrier_is_known_by_its_certificate() {
    let (own, other) = (SelfSigned::new("127.0.0.1"), SelfSigned::new("127.0.0.1"));
    let elsewhere = SelfSigned::new("other.example");
    let text = |pem: &[u8]| Box::from(std::str::from_utf8(pem).expect("PEM"));
    for (name, shown, believed, means) in [
        ("its own", &own, Some(&own), Answer::Done),
        ("another's", &own, Some(&other), Answer::NotSent),
        (
            "another name",
            &elsewhere,
            Some(&elsewhere),
            Answer::NotSent,
        ),
        ("the system's", &own, None, Answer::NotSent),
    ] {
        let pair = (shown.chain.clone(), shown.key.clone());
        let peer = Peer::with(Some(pair), |heard| Reply::Bytes(ok_for(heard))).await;
        let carrier = Carrier {
            ca: believed.map(|authority| text(&authority.chain)),
            ..carrier(format!("https://{}/", peer.address))
        };
        let client = CarrierClient::new(&carrier, &sealer()).expect("one that is told");
        let (found, seen) = soon(client.ask(&bind(1))).await;
        assert_eq!(found, means, "{name}: {seen}");
        let is_heard = !peer.heard().is_empty();
        assert_eq!(
            is_heard,
            means == Answer::Done,
            "{name}: nothing goes to others"
        );
    }
}

#[tokio::test]
async fn who_cannot_be_asked_is_unavailable_and_says_why() {
    let whole = || carrier("http://127.0.0.1:1/".to_owned());
    for (name, carrier, told) in [
        (
            "a secret of another",
            Carrier {
                name: CarrierName::new("other"),
                ..whole()
            },
            "its secret: ",
        ),
        (
            "no secret",
            Carrier {
                sealed_secret: None,
                ..whole()
            },
            "it has no secret",
        ),
        (
            "no certificates",
            Carrier {
                ca: Some("none".into()),
                ..carrier("https://127.0.0.1:1/".to_owned())
            },
            "its certificates: ",
        ),
        (
            "no address",
            Carrier {
                url: Some("http://a b/".into()),
                ..whole()
            },
            "its url: ",
        ),
    ] {
        let client = CarrierClient::new(&carrier, &sealer()).expect("one that is told");
        let (found, seen) = soon(client.ask(&bind(1))).await;
        assert_eq!(found, Answer::NotSent, "{name}");
        assert!(seen.as_str().contains(told), "{name}: {seen}");
        let asked = soon(client.query(None, 500)).await;
        assert_eq!(asked.expect_err(name).0, Answer::NotSent, "{name}");
    }
    let silent = Carrier::new(CarrierName::new("unicom"));
    assert!(CarrierClient::new(&silent, &sealer()).is_none());
}
