//! The listeners over real sockets, with a handler that echoes.

use super::*;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
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
        status: 200,
        content_type: "text/plain",
        body,
    }
}

async fn start<H, F>(bounds: Bounds, handler: H) -> Running
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
    let running = start(Bounds::default(), echo).await;
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
    let running = start(Bounds::default(), echo).await;
    let request = b"POST /?a=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nb=2GET /?c=3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let answer = exchange(running.http, request).await;
    assert!(answer.contains("a=1|h|b=2"), "{answer}");
    assert!(answer.ends_with("c=3|h|"), "{answer}");
    running.stop().await;
}

#[tokio::test]
async fn chunked_bodies_are_joined_and_expectations_met() {
    let running = start(Bounds::default(), echo).await;
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
        ..Bounds::default()
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
        head_bytes_max: 8192,
        ..Bounds::default()
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

    let running = start(Bounds::default(), echo).await;
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

#[tokio::test]
async fn slow_heads_end_the_connection_and_slow_bodies_get_an_error() {
    let bounds = Bounds {
        head_timeout: Duration::from_millis(50),
        body_timeout: Duration::from_millis(50),
        ..Bounds::default()
    };
    let running = start(bounds, echo).await;
    assert_eq!(exchange(running.http, b"").await, "");
    assert_eq!(exchange(running.http, b"GET / HTTP/1.1\r\nHo").await, "");
    let answer = exchange(
        running.http,
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab",
    )
    .await;
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    assert!(answer.ends_with("RequestTimeout"), "{answer}");
    // An idle connection ends, too.
    let answer = exchange(running.http, b"GET /?a HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(answer.ends_with("a|h|"), "{answer}");
    running.stop().await;
}

#[tokio::test]
async fn connections_above_the_bound_wait_for_their_turn() {
    let bounds = Bounds {
        connections_max: 1,
        ..Bounds::default()
    };
    let running = start(bounds, echo).await;
    let mut first = TcpStream::connect(running.http).await.unwrap();
    first
        .write_all(b"GET /?first HTTP/1.1\r\nHost: h\r\n\r\n")
        .await
        .unwrap();
    let mut some = [0; 16];
    assert!(first.read(&mut some).await.unwrap() > 0);

    let request = b"GET /?second HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let second = exchange(running.http, request);
    tokio::pin!(second);
    assert!(
        timeout(Duration::from_millis(100), &mut second)
            .await
            .is_err()
    );
    drop(first);
    assert!(second.await.ends_with("second|h|"));
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
    let mut running = start(Bounds::default(), handler).await;

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
        drain_timeout: Duration::from_millis(50),
        ..Bounds::default()
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
    let [one, two] =
        [0, 1].map(|_| rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap());
    let (one_der, two_der) = (one.cert.der().clone(), two.cert.der().clone());
    let certificate = Certificate::from_pem(
        one.cert.pem().as_bytes(),
        one.signing_key.serialize_pem().as_bytes(),
    )
    .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let listeners = Listeners {
        http: None,
        https: Some((listener, certificate.clone())),
    };
    let served = tokio::spawn(serve(listeners, Bounds::default(), echo, async {
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
    certificate
        .replace(
            two.cert.pem().as_bytes(),
            two.signing_key.serialize_pem().as_bytes(),
        )
        .unwrap();
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
