//! What neither interface can show of its ports.

use super::*;
use crate::tls::Pem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn connections_that_have_ended_are_not_counted_as_cut_off() {
    let mut tasks = JoinSet::new();
    tasks.spawn(std::future::pending());
    let ended = tasks.spawn(async {});
    while !ended.is_finished() {
        tokio::task::yield_now().await;
    }
    let answered = std::future::pending();
    assert_eq!(drain(answered, Duration::ZERO, &mut tasks).await, Some(1));
}

/// A certificate is there wherever the port is opened; should that ever change, no secret is said in the clear.
#[tokio::test]
async fn a_secure_port_without_a_certificate_says_nothing() {
    let listener = tcp::listen("127.0.0.1:0".parse().unwrap(), 1).unwrap();
    let address = listener.local_addr().unwrap();
    let tls = Tls::new(&Pem::default()).unwrap();
    assert!(tls.acceptor().is_none());
    let listeners = Listeners {
        http: None,
        https: Some((listener, tls)),
        connections: Connections::new(connections::Bounds {
            total_max: 1,
            per_source_max: 1,
        }),
        proxies: Arc::default(),
    };
    let bounds = Bounds {
        head_bytes_max: 8192,
        head_timeout: Duration::from_secs(60),
        drain_timeout: Duration::from_secs(60),
    };
    let messages = Messages {
        not_accepted: "cannot accept a connection",
        cut_off: "stopping with connections still open",
    };
    let handler = |_, _| async { Response::new("in the clear".to_owned()) };
    let served = serve(listeners, bounds, messages, handler, std::future::pending());
    let asked = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        // It may be closed already.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::select! {
        () = served => panic!("nobody stops it"),
        answer = asked => assert_eq!(answer, ""),
    }
}
