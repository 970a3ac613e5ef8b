//! Requests whose end two readers could see at different places, and heads that RFC 9112 forbids:
//! refused, and nothing behind them is read.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};

use crate::api::world::World;

/// Far more than an answer takes.
const WATCHDOG: Duration = Duration::from_secs(20);

/// Everything that the server says to these bytes until it closes.
async fn said(world: &World, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(world.http)
        .await
        .expect("the server is up");
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    // A reset after the answer is as good as an end.
    let _ = timeout(WATCHDOG, stream.read_to_end(&mut answer))
        .await
        .expect("the connection stays open");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn ambiguous_requests_are_refused_and_end_the_connection() {
    let world = World::start().await;
    let rows = [
        ("no host", "GET / HTTP/1.1\r\n\r\n"),
        (
            "no host and other headers",
            "GET / HTTP/1.1\r\nX: y\r\n\r\n",
        ),
        (
            "no host beside the one in the target",
            "GET http://a/ HTTP/1.1\r\nX: y\r\n\r\n",
        ),
        (
            "no host, and a name that only begins so",
            "GET / HTTP/1.1\r\nHost-Name: a\r\n\r\n",
        ),
        (
            "no host and a body",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\na",
        ),
        ("two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        (
            "the same host twice",
            "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
        ),
        (
            "a bare LF behind the request line",
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
        ),
        (
            "a bare LF between headers",
            "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
        ),
        (
            "a bare LF as the end of the head",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
        ),
        ("bare LF everywhere", "GET / HTTP/1.1\nHost: a\n\n"),
        (
            "a bare CR in a value",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        ),
        (
            "a NUL in a value",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        ),
        (
            "a folded header",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        ),
        (
            "a blank before the colon",
            "GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
        ),
        (
            "a header without a colon",
            "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
        ),
        (
            "the same length twice",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        ),
        (
            "two lengths",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
        ),
        (
            "a list of lengths",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\na",
        ),
        (
            "a length with a sign",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na",
        ),
        (
            "a length that is no number",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\na",
        ),
        (
            "a length over 64 bits",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551617\r\n\r\na",
        ),
        (
            "length and then encoding",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "encoding and then length",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        ),
        (
            "an encoding that is not chunked",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        ),
        (
            "an encoding that only looks chunked",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "chunked in chunked",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "two encodings",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "chunked in HTTP/1.0",
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "a bare LF behind the size of a chunk",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
        ),
        (
            "a bare LF in the extension of a chunk",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x\na\r\n0\r\n\r\n",
        ),
        (
            "a chunk without its end",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        ),
        (
            "the size of a chunk over 64 bits",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000001\r\na\r\n0\r\n\r\n",
        ),
        (
            "a bare LF in a trailer",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\nZ: y\r\n\r\n",
        ),
    ];
    for (what, request) in rows {
        let smuggled = format!("{request}GET /?smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = said(&world, smuggled.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{what}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{what}: {answer}");
    }
    world.stop().await;
}

/// What the door must not mistake for one of the above.
#[tokio::test]
async fn unusual_but_plain_requests_are_served() {
    let world = World::start().await;
    let rows = [
        ("an empty line ahead", "\r\nGET / HTTP/1.1\r\nHost: a\r\n"),
        ("no blank behind the colon", "GET / HTTP/1.1\r\nHost:a\r\n"),
        (
            "a tab in a value",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\tb\r\n",
        ),
        ("an empty value", "GET / HTTP/1.1\r\nHost: a\r\nX:\r\n"),
        ("an empty host", "GET / HTTP/1.1\r\nHost:\r\n"),
        ("no host in HTTP/1.0", "GET / HTTP/1.0\r\n"),
        (
            "a length of nothing",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n",
        ),
    ];
    for (what, head) in rows {
        let answer = said(
            &world,
            format!("{head}Connection: close\r\n\r\n").as_bytes(),
        )
        .await;
        assert!(answer.contains("MissingAction"), "{what}: {answer}");
    }
    let bodies = [
        (
            "line feeds in a body",
            "Content-Type: text/plain\r\nContent-Length: 10\r\n",
            "a\nb\n\nHost\n".to_owned(),
        ),
        (
            "chunks with an extension and a trailer",
            "Transfer-Encoding: Chunked\r\n",
            "3;a=b\r\na\nb\r\n0A\r\n0123456789\r\n0\r\nX: y\r\n\r\n".to_owned(),
        ),
        (
            "a long body",
            "Content-Type: text/plain\r\nContent-Length: 60000\r\n",
            "\n".repeat(60_000),
        ),
    ];
    for (what, head, body) in bodies {
        // A second request behind it shows that the end of the body was found.
        let bytes = format!(
            "POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n{body}GET /?Action=Second HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        );
        let answer = said(&world, bytes.as_bytes()).await;
        assert!(answer.contains("MissingAction"), "{what}: {answer}");
        assert!(answer.contains("MissingVersion"), "{what}: {answer}");
    }
    world.stop().await;
}
