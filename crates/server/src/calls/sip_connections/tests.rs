use super::*;
use crate::tls::Pem;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

const HELLO: &str = "OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nContent-Length: 0\r\n\r\n";

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn bytes(text: &str) -> Arc<[u8]> {
    Arc::from(text.as_bytes())
}

/// More than a test meets that does not want to.
const BOUNDS: Bounds = Bounds {
    incoming_max: 1_024,
    outgoing_max: 1_024,
    message_max: Duration::from_secs(30),
};

/// SipConnections that listen by both transports and know this machine.
fn connections(tls: Option<Tls>) -> (SipConnections, SocketAddr, SocketAddr) {
    connections_within(tls, BOUNDS)
}

fn connections_within(
    tls: Option<Tls>,
    bounds: Bounds,
) -> (SipConnections, SocketAddr, SocketAddr) {
    let (_, tcp) = open(local(0), true).expect("a free port");
    let tcp = tcp.expect("it was wanted");
    let secure = bind_streams(local(0)).expect("a free port");
    let addresses = (
        tcp.local_addr().expect("bound"),
        secure.local_addr().expect("bound"),
    );
    let connections = SipConnections::new(
        Some(tcp),
        Some(secure),
        tls,
        bounds,
        UnknownSources::default(),
    );
    connections.know([(local(0).ip(), "here".into())].into_iter());
    (connections, addresses.0, addresses.1)
}

async fn message(connections: &mut SipConnections) -> (Hop, String) {
    match connections.next_event().await {
        ConnectionEvent::Message(from, bytes) => (from, String::from_utf8(bytes).expect("text")),
        ConnectionEvent::Unreachable(hop) => panic!("{hop} is gone"),
    }
}

async fn gone(connections: &mut SipConnections) -> Hop {
    match connections.next_event().await {
        ConnectionEvent::Unreachable(hop) => hop,
        ConnectionEvent::Message(..) => panic!("nothing was said"),
    }
}

#[tokio::test]
async fn both_ports_are_the_same() {
    let (datagrams, streams) = open(local(0), true).unwrap();
    let address = datagrams.local_addr().unwrap();
    assert_eq!(streams.unwrap().local_addr().unwrap(), address);
    assert!(
        open(address, true).is_err(),
        "a port that was named is not exchanged"
    );
}

#[tokio::test]
async fn one_connection_serves_both_ways_and_is_used_again() {
    let (mut ours, _, _) = connections(None);
    let (mut theirs, address, _) = connections(None);
    let there = Hop::tcp(address);
    ours.send(there, bytes(HELLO)).unwrap();
    ours.send(there, bytes(HELLO)).unwrap();
    let (from, text) = message(&mut theirs).await;
    assert_eq!(text, HELLO);
    assert_eq!(message(&mut theirs).await.0, from, "the same connection");
    theirs.send(from, bytes(HELLO)).unwrap();
    assert_eq!(message(&mut ours).await, (there, HELLO.to_owned()));
    assert_eq!((ours.connections.len(), theirs.connections.len()), (1, 1));
    // When one side goes, the other hears of it, and what is sent next makes another.
    drop(theirs);
    assert_eq!(gone(&mut ours).await, there);
    assert!(ours.connections.is_empty());
}

#[tokio::test]
async fn what_cannot_be_reached_is_told() {
    let (mut connections, _, _) = connections(None);
    let free = bind_streams(local(0)).unwrap().local_addr().unwrap();
    connections.send(Hop::tcp(free), bytes(HELLO)).unwrap();
    assert_eq!(gone(&mut connections).await, Hop::tcp(free));
    assert_eq!(
        connections.send(Hop::tls(free), bytes(HELLO)),
        Err(NoConnection),
        "there is nobody to believe"
    );
}

#[tokio::test]
async fn strangers_are_not_heard_and_nonsense_ends_a_connection() {
    let (mut connections, address, _) = connections(None);
    let mut peer = TcpStream::connect(address).await.unwrap();
    peer.write_all(b"\r\n\r\n").await.unwrap();
    let mut pong = [0; 2];
    tokio::select! {
        read = peer.read_exact(&mut pong) => drop(read.unwrap()),
        _ = connections.next_event() => panic!("a ping is nobody's business"),
    }
    assert_eq!(&pong, b"\r\n");
    peer.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    gone(&mut connections).await;
    assert_eq!(peer.read(&mut pong).await.unwrap_or(0), 0, "it is closed");

    connections.know(std::iter::empty());
    let mut stranger = TcpStream::connect(address).await.unwrap();
    // It is closed unheard; whether writing fails first is the kernel's choice.
    let _ = stranger.write_all(HELLO.as_bytes()).await;
    assert_eq!(stranger.read(&mut pong).await.unwrap_or(0), 0);
    assert!(connections.connections.is_empty());
}

#[tokio::test]
async fn a_message_has_its_time_to_arrive_however_it_trickles_in() {
    let bounds = Bounds {
        message_max: Duration::from_millis(300),
        ..BOUNDS
    };
    let (mut connections, address, _) = connections_within(None, bounds);
    #[rustfmt::skip]
    let rows: &[(&str, &[&str])] = &[
        ("the first word", &["OPT"]),
        ("a line", &["OPTIONS sip:a@127.0.0.1 SIP/2.0\r\n"]),
        ("a head that trickles in", &["OPTIONS sip:a@127.0.0.1 SIP/2.0\r\n", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"]),
        ("a head without its body", &["OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nContent-Length: 9\r\n\r\n"]),
        ("a body that trickles in", &["OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nContent-Length: 99\r\n\r\n", "a", "b", "c", "d", "e", "f", "g", "h"]),
        ("half a message behind a whole one", &["OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nContent-Length: 0\r\n\r\nOPT"]),
    ];
    for (what, parts) in rows {
        let mut peer = TcpStream::connect(address).await.unwrap();
        let said = async {
            for part in *parts {
                // It may be closed by then.
                let _ = peer.write_all(part.as_bytes()).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            std::future::pending::<()>().await;
        };
        let ended = async {
            loop {
                if let ConnectionEvent::Unreachable(_) = connections.next_event().await {
                    break;
                }
            }
        };
        tokio::select! {
            () = said => {}
            () = ended => {}
            () = tokio::time::sleep(Duration::from_secs(60)) => panic!("{what}: it is held"),
        }
    }
    assert_eq!(connections.counts().late, 6);
    // Who says nothing at all, or only that it is there, is left alone.
    let mut quiet = TcpStream::connect(address).await.unwrap();
    quiet.write_all(b"\r\n\r\n").await.unwrap();
    tokio::select! {
        _ = connections.next_event() => panic!("it is left alone"),
        () = tokio::time::sleep(Duration::from_millis(700)) => {}
    }
    assert_eq!(connections.counts().late, 6);
}

#[tokio::test]
async fn one_peer_cannot_take_all_places() {
    let bounds = Bounds {
        incoming_max: 8,
        ..BOUNDS
    };
    let (mut connections, address, _) = connections_within(None, bounds);
    let other: IpAddr = [127, 0, 0, 2].into();
    connections.know([(local(0).ip(), "here".into()), (other, "other".into())].into_iter());
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(TcpStream::connect(address).await.unwrap());
    }
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(other, 0)).unwrap();
    let mut peer = socket.connect(address).await.unwrap();
    peer.write_all(HELLO.as_bytes()).await.unwrap();
    let from = loop {
        match connections.next_event().await {
            ConnectionEvent::Message(from, _) => break from,
            ConnectionEvent::Unreachable(_) => {}
        }
    };
    assert_eq!(from.address.ip(), other);
    let counts = connections.counts();
    assert_eq!((counts.incoming, counts.over_share), (5, 4));
    drop(held);
    // Places that are given back can be taken again.
    loop {
        let _ = tokio::time::timeout(Duration::from_millis(10), connections.next_event()).await;
        if connections.counts().incoming == 1 {
            break;
        }
    }
    let again = TcpStream::connect(address).await.unwrap();
    while connections.counts().incoming < 2 {
        let _ = tokio::time::timeout(Duration::from_millis(10), connections.next_event()).await;
    }
    drop(again);
}

#[tokio::test]
async fn a_peer_that_reads_nothing_is_given_up() {
    let (mut connections, _, _) = connections(None);
    let deaf = bind_streams(local(0)).unwrap();
    let hop = Hop::tcp(deaf.local_addr().unwrap());
    let large = format!("{HELLO}{}", "x".repeat(60_000));
    let mut sent = 0;
    while connections.send(hop, bytes(&large)).is_ok() {
        tokio::task::yield_now().await;
        sent += 1;
        assert!(sent < 10_000, "the queue has a bound");
    }
    assert_eq!(gone(&mut connections).await, hop);
}

/// An authority, and a certificate for this machine that it signed.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    fn sign(&self, name: &str) -> (Vec<u8>, Vec<u8>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (
            certificate.pem().into_bytes(),
            key.serialize_pem().into_bytes(),
        )
    }
}

#[tokio::test]
async fn tls_is_spoken_both_ways_with_those_who_prove_themselves() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    let tls = |own: Option<(Vec<u8>, Vec<u8>)>, servers: &Authority| {
        let pem = Pem {
            own,
            clients: Some(ours.pem()),
            servers: Some(servers.pem()),
            ..Pem::default()
        };
        Some(Tls::new(&pem).unwrap())
    };
    let (mut server, _, address) = connections(tls(Some(ours.sign("127.0.0.1")), &ours));
    let there = Hop::tls(address);

    let (mut good, _, _) = connections(tls(Some(ours.sign("127.0.0.1")), &ours));
    good.send(there, bytes(HELLO)).unwrap();
    let (from, text) = message(&mut server).await;
    assert_eq!((from.transport, text.as_str()), (Transport::Tls, HELLO));
    server.send(from, bytes(HELLO)).unwrap();
    assert_eq!(message(&mut good).await, (there, HELLO.to_owned()));

    let rows = [
        ("no certificate", tls(None, &ours)),
        (
            "one of another authority",
            tls(Some(foreign.sign("127.0.0.1")), &ours),
        ),
        (
            "who believes another authority",
            tls(Some(ours.sign("127.0.0.1")), &foreign),
        ),
    ];
    for (who, tls) in rows {
        let (mut bad, _, _) = connections(tls);
        bad.send(there, bytes(HELLO)).unwrap();
        tokio::select! {
            hop = gone(&mut bad) => assert_eq!(hop, there, "{who}"),
            _ = server.next_event() => panic!("{who} is not heard"),
        }
    }

    let (mut named, _, address) = connections(tls(Some(ours.sign("sip.example")), &ours));
    good.name([(address, "sip.example".into())].into());
    good.send(Hop::tls(address), bytes(HELLO)).unwrap();
    assert_eq!(
        message(&mut named).await.1,
        HELLO,
        "a name that was agreed on"
    );

    let (_, _, elsewhere) = connections(tls(Some(ours.sign("192.0.2.1")), &ours));
    good.send(Hop::tls(elsewhere), bytes(HELLO)).unwrap();
    assert_eq!(
        gone(&mut good).await,
        Hop::tls(elsewhere),
        "the name must fit"
    );
}

#[tokio::test]
async fn renewed_files_count_from_the_next_connection_on() {
    let (old, new) = (Authority::new(), Authority::new());
    let taking = |authority: &Authority| {
        let pem = Pem {
            own: Some(authority.sign("127.0.0.1")),
            ..Pem::default()
        };
        Tls::new(&pem).unwrap()
    };
    let believing = |authority: &Authority| {
        let pem = Pem {
            servers: Some(authority.pem()),
            ..Pem::default()
        };
        Tls::new(&pem).unwrap()
    };
    let (shown, believed) = (taking(&old), believing(&old));
    let (mut server, _, address) = connections(Some(shown.clone()));
    let there = Hop::tls(address);
    let (mut first, _, _) = connections(Some(believed.clone()));
    first.send(there, bytes(HELLO)).unwrap();
    let (from, _) = message(&mut server).await;

    shown.replace(&taking(&new));
    let (mut second, _, _) = connections(Some(believed.clone()));
    second.send(there, bytes(HELLO)).unwrap();
    assert_eq!(gone(&mut second).await, there, "it believes the old ones");
    believed.replace(&believing(&new));
    second.send(there, bytes(HELLO)).unwrap();
    assert_eq!(message(&mut server).await.1, HELLO);
    first.send(there, bytes(HELLO)).unwrap();
    assert_eq!(message(&mut server).await.0, from, "what stands is left");

    // Where nothing is said any more, the listener goes on with what it has.
    shown.replace(&Tls::new(&Pem::default()).unwrap());
    let (mut third, _, _) = connections(Some(believed));
    third.send(there, bytes(HELLO)).unwrap();
    assert_eq!(message(&mut server).await.1, HELLO);
}

#[test]
fn files_that_cannot_be_used_are_told() {
    let authority = Authority::new();
    let (chain, key) = authority.sign("127.0.0.1");
    let (_, other_key) = authority.sign("127.0.0.1");
    let rows = [
        (Some((Vec::new(), key.clone())), None),
        (Some((chain.clone(), Vec::new())), None),
        (Some((chain.clone(), other_key)), None),
        (Some((chain, key)), Some(b"nonsense".to_vec())),
    ];
    for (own, clients) in rows {
        let pem = Pem {
            own,
            clients,
            ..Pem::default()
        };
        assert!(Tls::new(&pem).is_err());
    }
}
