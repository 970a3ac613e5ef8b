//! What every answer carries beside its body.

use crate::api::client::Answer;
use crate::api::world::{A, AXN, EXPIRATION, World};

const BIND: [(&str, &str); 3] = [
    ("PoolKey", AXN),
    ("PhoneNoA", A),
    ("Expiration", EXPIRATION),
];

/// The text between the tags or quotes of `RequestId`.
fn request_id(answer: &Answer) -> String {
    if answer.body.starts_with('<') {
        let (_, rest) = answer.body.split_once("<RequestId>").expect("one in XML");
        return rest.split('<').next().unwrap_or_default().to_owned();
    }
    answer.json()["RequestId"].as_str().expect("one").to_owned()
}

/// One answer of each kind, in each form.
async fn kinds(world: &World) -> Vec<Answer> {
    let mut answers = Vec::new();
    for format in ["JSON", "XML"] {
        let late = ("Expiration", "2017-09-05 12:00:00");
        for (action, pairs) in [
            ("BindAxn", BIND.to_vec()),
            ("BindAxn", vec![BIND[0], BIND[1], late]),
            ("NoSuchAction", vec![]),
        ] {
            let mut request = world.rpc(action, &pairs);
            request.set("Format", format);
            answers.push(world.send(request).await);
        }
        let mut forged = world.rpc("BindAxn", &BIND);
        forged.set("Format", format);
        forged.sign("wrong");
        let answer = world.connection().exchange(&forged.bytes()).await;
        answers.push(answer.expect("an answer"));
    }
    let mut acs3 = world.acs3("BindAxn", &BIND);
    acs3.sign(&world.signer.secret);
    let unreadable = b"GET /?a=%zz HTTP/1.1\r\nHost: h\r\n\r\n".to_vec();
    for bytes in [acs3.bytes(), unreadable] {
        let answer = world.connection().exchange(&bytes).await;
        answers.push(answer.expect("an answer"));
    }
    answers
}

#[tokio::test]
async fn headers_carry_the_ids_of_the_request_and_how_long_a_connection_is_kept() {
    let world = World::start().await;
    let mut traces = Vec::new();
    for answer in kinds(&world).await {
        assert_eq!(
            answer.header("x-acs-request-id"),
            Some(request_id(&answer).as_str()),
            "{answer:?}"
        );
        let trace = answer.header("x-acs-trace-id").unwrap_or_default();
        let is_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        assert!(trace.len() == 32 && trace.bytes().all(is_hex), "{answer:?}");
        traces.push(trace.to_owned());
        let kept = answer.header("keep-alive").unwrap_or_default();
        let seconds = kept
            .strip_prefix("timeout=")
            .and_then(|s| s.parse::<u64>().ok());
        // Shorter than the time after which we close, so that no request meets a closing connection.
        assert!(seconds.is_some_and(|s| (1..60).contains(&s)), "{answer:?}");
    }
    let count = traces.len();
    traces.sort();
    traces.dedup();
    assert_eq!(traces.len(), count);
    world.stop().await;
}

#[tokio::test]
async fn a_connection_that_is_not_kept_says_nothing_of_a_time() {
    let world = World::start().await;
    for head in [
        "GET /?a=1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n",
        "GET /?a=1 HTTP/1.0\r\nHost: h\r\n",
    ] {
        let bytes = format!("{head}\r\n");
        let answer = world.connection().exchange(bytes.as_bytes()).await.unwrap();
        assert!(answer.header("x-acs-request-id").is_some(), "{answer:?}");
        assert_eq!(answer.header("keep-alive"), None, "{answer:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_recommendation_is_the_address_of_the_codes_own_paragraph() {
    let world = World::start().await;
    let mut seen = Vec::new();
    for answer in kinds(&world).await {
        if answer.status == 200 || answer.body.starts_with('<') {
            continue;
        }
        let body = answer.json();
        let address = body["Recommend"].as_str().expect("a string").to_owned();
        let (page, anchor) = address.split_once('#').expect("an anchor");
        assert!(page.starts_with("https://"), "{address}");
        assert!(page.ends_with("/docs/errors-api.md"), "{address}");
        seen.push((answer.code(), anchor.to_owned()));
    }
    let pair = |code: &str, anchor: &str| (code.to_owned(), anchor.to_owned());
    assert_eq!(
        seen,
        [
            pair("InvalidAction.NotFound", "invalidactionnotfound"),
            pair("SignatureDoesNotMatch", "signaturedoesnotmatch"),
            pair("InvalidParameter.Format", "invalidparameterformat"),
        ]
    );
    world.stop().await;
}
