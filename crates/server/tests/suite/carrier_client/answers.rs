//! Every kind of answer to a request, and what it means.

use super::peer::{Heard, Peer, Reply, answer};
use super::{FENCE, bind, client, soon};
use maskline_domain::provisioning::Answer;

#[tokio::test]
async fn what_an_answer_means() {
    use Answer::{Done, Refused, Stale, Unavailable, Unclear};
    let ok = r#"{"result":"ok"}"#;
    let refused = r#"{"result":"refused","reason":"not ours"}"#;
    let newer = format!(r#"{{"result":"stale","fence":{}}}"#, FENCE + 1);
    let same = format!(r#"{{"result":"stale","fence":{FENCE}}}"#);
    let older = format!(r#"{{"result":"stale","fence":{}}}"#, FENCE - 1);
    let long = format!(r#"{{"result":"ok","more":"{}"}}"#, "x".repeat(64 << 10));
    let deep = format!(
        r#"{{"result":"ok","more":{}{}}}"#,
        "[".repeat(500),
        "]".repeat(500)
    );
    let plain = |status: &str, body: &str| Reply::Bytes(answer(status, "", body));
    let head = |status: &str, headers: &str| Reply::Bytes(answer(status, headers, ok));
    let raw = |bytes: &str| Reply::Last(bytes.as_bytes().to_vec());
    #[rustfmt::skip]
    let rows: Vec<(&str, Reply, Answer, &str)> = vec![
        ("ok", plain("200 OK", ok), Done, "status 200"),
        ("ok with more", plain("200 OK", r#" {"result":"ok","reason":"x","when":7} "#), Done, "status 200"),
        ("ok in chunks", raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"result\r\n7\r\n\":\"ok\"}\r\n0\r\n\r\n"), Done, ""),
        ("ok until the end of the connection", raw("HTTP/1.0 200 OK\r\n\r\n{\"result\":\"ok\"}"), Done, ""),
        ("ok behind an interim answer", raw("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"result\":\"ok\"}"), Done, ""),
        ("refused", plain("422 No", refused), Refused, "status 422: not ours"),
        ("refused with 409", plain("409 Conflict", refused), Refused, "not ours"),
        ("refused with 499", plain("499 No", refused), Refused, "not ours"),
        ("refused without a reason", plain("400 No", r#"{"result":"refused"}"#), Refused, "without a reason"),
        ("refused for a list", plain("400 No", r#"{"result":"refused","reason":["x"]}"#), Refused, "without a reason"),
        ("refused with a number", plain("400 No", r#"{"result":"refused","reason":"138 0013 8000 is barred"}"#), Refused, "status 400: *** is barred"),
        ("stale", plain("409 Conflict", &newer), Stale, "stale"),
        ("stale by the same fence", plain("409 Conflict", &same), Unclear, "no newer one"),
        ("stale by an older fence", plain("409 Conflict", &older), Unclear, "no newer one"),
        ("stale without a fence", plain("409 Conflict", r#"{"result":"stale"}"#), Unclear, "without a fence"),
        ("stale with a text", plain("409 Conflict", r#"{"result":"stale","fence":"9"}"#), Unclear, "another kind"),
        ("stale with a fraction", plain("409 Conflict", r#"{"result":"stale","fence":9.5}"#), Unclear, "another kind"),
        ("stale with 400", plain("400 No", &newer), Unclear, "does not go with it"),
        ("stale with 200", plain("200 OK", &newer), Unclear, "does not go with it"),
        ("refused with 200", plain("200 OK", refused), Unclear, "does not go with it"),
        ("ok with 400", plain("400 No", ok), Unclear, "does not go with it"),
        ("ok with 201", plain("201 Created", ok), Unclear, "status 201"),
        ("ok with 202", plain("202 Accepted", ok), Unclear, "status 202"),
        ("nothing with 204", raw("HTTP/1.1 204 No Content\r\n\r\n"), Unclear, "status 204"),
        ("both", plain("200 OK", r#"{"result":"ok","result":"refused"}"#), Unclear, "twice there"),
        ("an unknown result", plain("200 OK", r#"{"result":"OK"}"#), Unclear, "an unknown result"),
        ("an unknown result with a number", plain("200 OK", r#"{"result":"13800138000"}"#), Unclear, "an unknown result"),
        ("no result", plain("200 OK", r#"{"status":"ok"}"#), Unclear, "missing"),
        ("a result that is no text", plain("200 OK", r#"{"result":true}"#), Unclear, "another kind"),
        ("a list", plain("200 OK", r#"["ok"]"#), Unclear, "no JSON object"),
        ("a text", plain("200 OK", r#""ok""#), Unclear, "no JSON object"),
        ("nothing", plain("200 OK", ""), Unclear, "no JSON object"),
        ("a page of a proxy", plain("200 OK", "<html>Log in</html>"), Unclear, "no JSON object"),
        ("half of an object", plain("200 OK", r#"{"result":"ok""#), Unclear, "no JSON (line 1"),
        ("two objects", plain("200 OK", r#"{"result":"ok"}{"result":"ok"}"#), Unclear, "no JSON (line 1"),
        ("other bytes than text", Reply::Bytes([ answer("200 OK", "", "")[..15].to_vec(), b"\r\nContent-Length: 3\r\n\r\n{\xff}".to_vec(), ] .concat()), Unclear, "no JSON"),
        ("ok with depths that nobody reads", plain("200 OK", &deep), Done, ""),
        ("a body that is too long", plain("200 OK", &long), Unclear, "longer than 64 KiB"),
        ("an endless head", Reply::Stuck(format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(64 << 10)).into_bytes()), Unclear, "not HTTP"),
        ("a redirect", head("307 There", "Location: /maskline\r\n"), Unclear, "status 307: a redirect, which is not followed"),
        ("another protocol", raw("HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), Unclear, "status 101"),
        ("no signature known", plain("401 No", r#"{"error":"the signature is not right"}"#), Unclear, "status 401: the signature was refused: is the secret the same on both sides"),
        ("another path", plain("404 No", "<html>no such page</html>"), Unclear, "status 404: nothing speaks the protocol there"),
        ("too many", plain("429 No", "slow down"), Unclear, "status 429"),
        ("not HTTP", raw("SSH-2.0-OpenSSH_9.6\r\n"), Unclear, "not HTTP"),
        ("the answer to another", head("200 OK", "webhook-id: 1-1\r\n"), Unclear, "another request"),
        ("trouble", plain("500 No", ""), Unavailable, "status 500"),
        ("trouble that says ok", plain("503 No", ok), Unavailable, "status 503"),
        ("trouble that says refused", plain("502 No", refused), Unavailable, "status 502"),
        ("trouble with another id", head("503 No", "webhook-id: 1-1\r\n"), Unavailable, "status 503"),
        ("an end without an answer", Reply::Last(Vec::new()), Unavailable, "no answer"),
        ("an end within the head", raw("HTTP/1.1 200 OK\r\nContent-"), Unavailable, "no answer"),
        ("an end within the body", raw("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"result\":\"ok\"}"), Unavailable, "broke off"),
        ("an end within the chunks", raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n{\"result\":\"ok\"}\r\n"), Unavailable, "broke off"),
    ];
    assert!(rows.len() >= 50);
    for (name, reply, means, told) in rows {
        let reply = parking_lot::Mutex::new(Some(reply));
        let once = move |_: &Heard| reply.lock().take().unwrap_or(Reply::Last(Vec::new()));
        let peer = Peer::new(once).await;
        let (found, seen) = soon(client(&peer).ask(&bind(1))).await;
        assert_eq!(found, means, "{name}: {seen}");
        assert!(seen.as_str().contains(told), "{name}: {seen}");
        assert!(!seen.as_str().contains("138"), "{name}: {seen}");
        assert_eq!(peer.heard().len(), 1, "{name}: asked once");
    }
}
