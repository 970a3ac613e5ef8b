//! The listeners over real sockets, with a handler that echoes.

use super::*;
use crate::http_server::TrustedProxies;
use crate::http_server::connections::{self, Connections};
use crate::tls::{Pem, Tls};
use maskline_fixtures::certificates::SelfSigned;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

struct Running {
    http: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

impl Running {
    async fn stop(mut self) {
        drop(self.stop.take());
        self.served.await.unwrap();
    }
}

async fn echo(head: request::Parts, body: Result<Bytes, GatewayError>) -> Reply {
    let host = head.headers.get("host").map(|h| h.as_bytes().to_vec());
    let body = match body {
        Ok(body) => [
            head.uri.query().unwrap_or("").as_bytes(),
            b"|",
            &host.unwrap_or_default(),
            b"|",
            &body,
        ]
        .concat(),
        Err(error) => error.code().as_bytes().to_vec(),
    };
    Reply {
        request_id: "ID-1".to_owned(),
        status: 200,
        content_type: "text/plain",
        body,
        is_lost: false,
    }
}

async fn start<H, F>(bounds: Bounds, handler: H) -> Running
where
    H: Fn(request::Parts, Result<Bytes, GatewayError>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    start_with(bounds, handler, MANY, TrustedProxies::default()).await
}

/// Bounds that no test meets that does not want to.
fn usual() -> Bounds {
    Bounds {
        requests: http_server::Bounds {
            head_bytes_max: HEAD_BYTES_MAX,
            head_timeout: LONG,
            drain_timeout: LONG,
        },
        body_bytes_max: 64 * 1024,
        body_timeout: LONG,
    }
}

/// More connections than a test makes.
const MANY: connections::Bounds = connections::Bounds {
    total_max: 100,
    per_source_max: 100,
};

async fn start_with<H, F>(
    bounds: Bounds,
    handler: H,
    connections: connections::Bounds,
    proxies: TrustedProxies,
) -> Running
where
    H: Fn(request::Parts, Result<Bytes, GatewayError>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let listeners = Listeners {
        http: Some(listener),
        https: None,
        connections: Connections::new(connections),
        proxies: Arc::new(proxies),
    };
    let served = tokio::spawn(serve(listeners, bounds, handler, async {
        let _ = stopped.await;
    }));
    Running {
        http,
        stop: Some(stop),
        served,
    }
}

async fn exchange(to: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    // A reset after the answer is as good as an end.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_host_with_a_scheme_in_it_is_served() {
    let running = start(usual(), echo).await;
    let request =
        b"GET /?a=%20 HTTP/1.1\r\nHost: http://127.0.0.1:8080\r\nConnection: close\r\n\r\n";
    let answer = exchange(running.http, request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-type: text/plain\r\n"), "{answer}");
    assert!(answer.ends_with("a=%20|http://127.0.0.1:8080|"), "{answer}");
    running.stop().await;
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_turn() {
    let running = start(usual(), echo).await;
    let request = b"POST /?a=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nb=2GET /?c=3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let answer = exchange(running.http, request).await;
    assert!(answer.contains("a=1|h|b=2"), "{answer}");
    assert!(answer.ends_with("c=3|h|"), "{answer}");
    running.stop().await;
}

#[tokio::test]
async fn chunked_bodies_are_joined_and_expectations_met() {
    let running = start(usual(), echo).await;
    let request = b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\na=\r\n1\r\n1\r\n0\r\n\r\n";
    let answer = exchange(running.http, request).await;
    assert!(
        answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"),
        "{answer}"
    );
    assert!(answer.ends_with("|h|a=1"), "{answer}");
    running.stop().await;
}

#[tokio::test]
async fn bodies_above_the_bound_are_refused_and_the_error_is_read() {
    let bounds = Bounds {
        body_bytes_max: 10,
        ..usual()
    };
    let running = start(bounds, echo).await;
    for (length, ending) in [
        (10, "|h|xxxxxxxxxx"),
        (11, "InvalidParameter.TooLarge"),
        (900_000, "InvalidParameter.TooLarge"),
    ] {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        let answer = exchange(
            running.http,
            &[head.as_bytes(), &vec![b'x'; length]].concat(),
        )
        .await;
        assert!(answer.ends_with(ending), "{length}: {answer}");
    }
    running.stop().await;
}

#[tokio::test]
async fn heads_above_the_bounds_are_refused() {
    let bounds = Bounds {
        requests: http_server::Bounds {
            head_bytes_max: 8192,
            ..usual().requests
        },
        ..usual()
    };
    let running = start(bounds, echo).await;
    let long = format!(
        "GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n",
        "x".repeat(8192)
    );
    assert!(
        exchange(running.http, long.as_bytes())
            .await
            .starts_with("HTTP/1.1 431 ")
    );
    let many = format!(
        "GET / HTTP/1.1\r\nHost: h\r\n{}\r\n",
        "X: y\r\n".repeat(100)
    );
    assert!(
        exchange(running.http, many.as_bytes())
            .await
            .starts_with("HTTP/1.1 431 ")
    );
    running.stop().await;

    let running = start(usual(), echo).await;
    let target = format!("GET /?{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(70_000));
    assert!(
        exchange(running.http, target.as_bytes())
            .await
            .starts_with("HTTP/1.1 414 ")
    );
    assert!(
        exchange(running.http, b"nonsense\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 400 ")
    );
    running.stop().await;
}

/// What somebody has time for who says something, on any machine.
const LONG: Duration = Duration::from_secs(60);
/// What somebody waits for in vain.
const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn slow_heads_end_the_connection() {
    let bounds = Bounds {
        requests: http_server::Bounds {
            head_timeout: SHORT,
            ..usual().requests
        },
        body_timeout: LONG,
        ..usual()
    };
    let running = start(bounds, echo).await;
    assert_eq!(exchange(running.http, b"").await, "");
    assert_eq!(exchange(running.http, b"GET / HTTP/1.1\r\nHo").await, "");
    running.stop().await;
}

#[tokio::test]
async fn slow_bodies_get_an_error() {
    let bounds = Bounds {
        requests: http_server::Bounds {
            head_timeout: LONG,
            ..usual().requests
        },
        body_timeout: SHORT,
        ..usual()
    };
    let running = start(bounds, echo).await;
    let answer = exchange(
        running.http,
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab",
    )
    .await;
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    assert!(answer.ends_with("RequestTimeout"), "{answer}");
    running.stop().await;
}

#[tokio::test]
async fn an_idle_connection_ends_after_its_answer() {
    // The head is read in this time, too: far more than a machine stands still.
    let bounds = Bounds {
        requests: http_server::Bounds {
            head_timeout: Duration::from_secs(5),
            ..usual().requests
        },
        body_timeout: LONG,
        ..usual()
    };
    let running = start(bounds, echo).await;
    let answer = exchange(running.http, b"GET /?a HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(answer.ends_with("a|h|"), "{answer}");
    running.stop().await;
}

const ONE: connections::Bounds = connections::Bounds {
    total_max: 1,
    per_source_max: 1,
};

#[tokio::test]
async fn at_the_bound_an_idle_connection_makes_room() {
    let running = start_with(usual(), echo, ONE, TrustedProxies::default()).await;
    let mut first = TcpStream::connect(running.http).await.unwrap();
    first
        .write_all(b"GET /?first HTTP/1.1\r\nHost: h\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 12];
    first.read_exact(&mut answer).await.unwrap();

    let request = b"GET /?second HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let second = exchange(running.http, request).await;
    assert!(second.ends_with("second|h|"), "{second}");
    let mut rest = Vec::new();
    first.read_to_end(&mut rest).await.unwrap();
    assert!(
        rest.ends_with(b"first|h|"),
        "it was answered before it was closed"
    );
    running.stop().await;
}

#[tokio::test]
async fn at_the_bound_a_busy_connection_is_left_alone_and_the_next_is_closed() {
    let (arrived, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (arrived, release) = (Arc::clone(&arrived), Arc::clone(&release));
        move |head: request::Parts, body| {
            let (arrived, release) = (Arc::clone(&arrived), Arc::clone(&release));
            async move {
                arrived.notify_one();
                release.notified().await;
                echo(head, body).await
            }
        }
    };
    let running = start_with(usual(), handler, ONE, TrustedProxies::default()).await;
    let request = b"GET /?first HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let first = tokio::spawn(exchange(running.http, request));
    arrived.notified().await;
    let mut second = TcpStream::connect(running.http).await.unwrap();
    let mut nothing = Vec::new();
    let _ = second.read_to_end(&mut nothing).await;
    assert!(nothing.is_empty());
    release.notify_one();
    assert!(first.await.unwrap().ends_with("first|h|"));
    running.stop().await;
}

/// This machine as a proxy.
fn proxies(proxy_protocol: bool) -> TrustedProxies {
    TrustedProxies {
        networks: vec!["127.0.0.0/8".parse().unwrap()],
        proxy_protocol,
    }
}

/// Many connections, but one of each source.
const ONE_EACH: connections::Bounds = connections::Bounds {
    total_max: 100,
    per_source_max: 1,
};

async fn silent(to: SocketAddr, opening: &str) -> TcpStream {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let request = format!("{opening}GET /?silent HTTP/1.1\r\nHost: h\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    stream
}

#[tokio::test]
async fn clients_behind_a_proxy_are_counted_apart_by_the_proxy_protocol() {
    let running = start_with(usual(), echo, ONE_EACH, proxies(true)).await;
    let from = |client: &str| format!("PROXY TCP4 {client} 127.0.0.1 4660 8080\r\n");
    let mut one = silent(running.http, &from("198.51.100.1")).await;
    let mut two = silent(running.http, &from("198.51.100.2")).await;
    let last = b"GET /?last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let again = [from("198.51.100.1").as_bytes(), last].concat();
    let answer = exchange(running.http, &again).await;
    assert!(answer.ends_with("last|h|"), "{answer}");
    let mut rest = Vec::new();
    one.read_to_end(&mut rest).await.unwrap();
    two.write_all(last).await.unwrap();
    rest.clear();
    two.read_to_end(&mut rest).await.unwrap();
    assert!(
        rest.ends_with(b"last|h|"),
        "the other client was left alone"
    );
    // Without the header, or with another, nothing is answered.
    assert_eq!(exchange(running.http, last).await, "");
    running.stop().await;
}

#[tokio::test]
async fn requests_behind_a_proxy_are_counted_apart_by_x_forwarded_for() {
    let arrived = Arc::new(Notify::new());
    let handler = {
        let arrived = Arc::clone(&arrived);
        move |head: request::Parts, body| {
            let arrived = Arc::clone(&arrived);
            async move {
                if head.uri.query() == Some("slow") {
                    arrived.notify_one();
                    std::future::pending::<()>().await;
                }
                echo(head, body).await
            }
        }
    };
    let bounds = Bounds {
        requests: http_server::Bounds {
            drain_timeout: Duration::ZERO,
            ..usual().requests
        },
        ..usual()
    };
    let running = start_with(bounds, handler, ONE_EACH, proxies(false)).await;
    let request = |query: &str, client: &str| {
        format!(
            "GET /?{query} HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: {client}\r\nConnection: close\r\n\r\n"
        )
    };
    let slow = request("slow", "203.0.113.9, 198.51.100.1");
    let http = running.http;
    let slow = tokio::spawn(async move { exchange(http, slow.as_bytes()).await });
    arrived.notified().await;
    for (client, ending) in [
        ("198.51.100.2", "quick|h|"),
        ("198.51.100.1", "ServiceUnavailable"),
        // What the client itself wrote in front does not count.
        ("198.51.100.9, 198.51.100.1", "ServiceUnavailable"),
        ("127.0.0.1", "quick|h|"),
    ] {
        let answer = exchange(http, request("quick", client).as_bytes()).await;
        assert!(answer.ends_with(ending), "{client}: {answer}");
    }
    running.stop().await;
    assert_eq!(slow.await.unwrap(), "");
}

#[tokio::test]
async fn what_strangers_say_of_whom_they_ask_for_is_not_looked_at() {
    let trusted = TrustedProxies {
        networks: vec!["192.0.2.0/24".parse().unwrap()],
        proxy_protocol: true,
    };
    let running = start_with(usual(), echo, ONE_EACH, trusted).await;
    let answer = exchange(
        running.http,
        b"PROXY TCP4 198.51.100.1 127.0.0.1 4660 8080\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let mut first = silent(running.http, "").await;
    let request =
        b"GET /?a HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 198.51.100.1\r\nConnection: close\r\n\r\n";
    assert!(exchange(running.http, request).await.ends_with("a|h|"));
    let mut rest = Vec::new();
    first.read_to_end(&mut rest).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn a_stop_answers_what_was_accepted_and_ends_idle_connections() {
    let (arrived, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (arrived, release) = (Arc::clone(&arrived), Arc::clone(&release));
        move |head: request::Parts, body| {
            let (arrived, release) = (Arc::clone(&arrived), Arc::clone(&release));
            async move {
                if head.uri.query() == Some("slow") {
                    arrived.notify_one();
                    release.notified().await;
                }
                echo(head, body).await
            }
        }
    };
    let mut running = start(usual(), handler).await;

    let mut idle = TcpStream::connect(running.http).await.unwrap();
    idle.write_all(b"GET /?idle HTTP/1.1\r\nHost: h\r\n\r\n")
        .await
        .unwrap();
    let mut head = [0; 12];
    idle.read_exact(&mut head).await.unwrap();
    let slow = tokio::spawn(exchange(
        running.http,
        b"GET /?slow HTTP/1.1\r\nHost: h\r\n\r\n",
    ));
    arrived.notified().await;

    drop(running.stop.take());
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    assert!(!slow.is_finished());
    release.notify_one();
    let answer = slow.await.unwrap();
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    assert!(answer.ends_with("slow|h|"), "{answer}");
    running.served.await.unwrap();
    assert!(TcpStream::connect(running.http).await.is_err());
}

#[tokio::test]
async fn a_stop_waits_no_longer_than_it_may() {
    let bounds = Bounds {
        requests: http_server::Bounds {
            drain_timeout: Duration::from_millis(50),
            ..usual().requests
        },
        ..usual()
    };
    let arrived = Arc::new(Notify::new());
    let handler = {
        let arrived = Arc::clone(&arrived);
        move |_, _| {
            arrived.notify_one();
            std::future::pending::<Reply>()
        }
    };
    let running = start(bounds, handler).await;
    let stuck = tokio::spawn(exchange(running.http, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    arrived.notified().await;
    running.stop().await;
    assert_eq!(stuck.await.unwrap(), "");
}

/// Which certificate a handshake shows, and what a request over it gives.
async fn secure_exchange(
    to: SocketAddr,
    roots: &[rustls_pki_types::CertificateDer<'static>],
) -> io::Result<String> {
    let mut store = rustls::RootCertStore::empty();
    for root in roots {
        store.add(root.clone()).unwrap();
    }
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_root_certificates(store)
    .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(to).await?;
    let mut stream = connector
        .connect("localhost".try_into().unwrap(), stream)
        .await?;
    stream
        .write_all(b"GET /?tls HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        .await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn https_serves_and_takes_a_new_certificate_while_running() {
    let [one, two] = [0, 1].map(|_| SelfSigned::new("localhost"));
    let (one_der, two_der) = (one.der.clone(), two.der.clone());
    let of = |made: &SelfSigned| {
        Tls::new(&Pem {
            own: Some((made.chain.clone(), made.key.clone())),
            protocols: http_server::PROTOCOLS,
            ..Pem::default()
        })
        .unwrap()
    };
    let certificate = of(&one);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let listeners = Listeners {
        http: None,
        https: Some((listener, certificate.clone())),
        connections: Connections::new(MANY),
        proxies: Arc::default(),
    };
    let served = tokio::spawn(serve(listeners, usual(), echo, async {
        let _ = stopped.await;
    }));

    assert!(
        secure_exchange(address, std::slice::from_ref(&one_der))
            .await
            .unwrap()
            .ends_with("tls|h|")
    );
    assert!(
        secure_exchange(address, std::slice::from_ref(&two_der))
            .await
            .is_err()
    );
    certificate.replace(&of(&two));
    assert!(
        secure_exchange(address, &[two_der])
            .await
            .unwrap()
            .ends_with("tls|h|")
    );
    assert!(secure_exchange(address, &[one_der]).await.is_err());
    assert_eq!(
        exchange(address, b"GET / HTTP/1.1\r\n\r\n")
            .await
            .find("HTTP/1.1 200"),
        None
    );

    drop(stop);
    served.await.unwrap();
}
