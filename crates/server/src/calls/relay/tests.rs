use super::*;
use crate::calls::ports::Ports;
use maskline_sip::sdp::{Direction, Payloads};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::net::UdpSocket;
use tokio::sync::oneshot;

const ALAW: Payloads = Payloads {
    codec: 8,
    events: Some(101),
};

struct Phones {
    caller: UdpSocket,
    callee: UdpSocket,
    relay: Relay,
    to_caller_port: SocketAddr,
    to_callee_port: SocketAddr,
    ports: Arc<Ports>,
}

async fn phone() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.expect("a free port")
}

async fn phones(
    first_port: u16,
    callee_payloads: Payloads,
    silence_max: Duration,
) -> (Phones, oneshot::Receiver<()>) {
    let ports = Ports::new(IpAddr::from([127, 0, 0, 1]), first_port, first_port + 19);
    let (a, b) = (ports.lend().expect("a port"), ports.lend().expect("a port"));
    let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let (to_caller_port, to_callee_port) = (at(a.port()), at(b.port()));
    let (lost, is_lost) = oneshot::channel();
    let relay = Relay::start(a, b, silence_max, move || {
        let _ = lost.send(());
    });
    let (caller, callee) = (phone().await, phone().await);
    let end = |phone: &UdpSocket, payloads| MediaEnd {
        address: phone.local_addr().expect("bound"),
        payloads,
        direction: Direction::SendRecv,
        nat: false,
        version: 0,
    };
    relay.set_path(MediaPath {
        caller: Some(end(&caller, ALAW)),
        callee: Some(end(&callee, callee_payloads)),
    });
    (
        Phones {
            caller,
            callee,
            relay,
            to_caller_port,
            to_callee_port,
            ports,
        },
        is_lost,
    )
}

fn packet(payload_type: u8, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Packet {
        marker: false,
        payload_type,
        sequence,
        timestamp: 160,
        ssrc: 7,
        payload,
    }
    .write(&mut bytes);
    bytes
}

async fn hear(phone: &UdpSocket) -> Vec<u8> {
    let mut bytes = vec![0; 2_000];
    let heard = tokio::time::timeout(Duration::from_secs(5), phone.recv(&mut bytes)).await;
    bytes.truncate(
        heard
            .expect("something is heard")
            .expect("the socket works"),
    );
    bytes
}

#[tokio::test]
async fn sound_crosses_both_ways_and_strangers_are_not_heard() {
    let callee_payloads = Payloads {
        codec: 8,
        events: Some(96),
    };
    let (phones, _lost) = phones(47_340, callee_payloads, Duration::from_secs(30)).await;
    let Phones {
        caller,
        callee,
        relay,
        to_caller_port,
        to_callee_port,
        ports,
    } = phones;
    let stranger = phone().await;
    // The relay learns its path in its own time: speak until heard.
    let mut sent = 0;
    let heard = loop {
        stranger
            .send_to(&packet(8, 1, b"evil"), to_caller_port)
            .await
            .expect("sent");
        caller
            .send_to(&packet(8, sent, b"hello"), to_caller_port)
            .await
            .expect("sent");
        sent += 1;
        let mut bytes = vec![0; 2_000];
        let waited = tokio::time::timeout(Duration::from_millis(50), callee.recv(&mut bytes)).await;
        if let Ok(Ok(length)) = waited {
            bytes.truncate(length);
            break bytes;
        }
        assert!(sent < 100, "nothing is ever heard");
    };
    assert_eq!(
        Packet::parse(&heard).map(|packet| packet.payload),
        Some(b"hello".as_slice())
    );
    callee
        .send_to(&packet(8, 9, b"yes"), to_callee_port)
        .await
        .expect("sent");
    assert_eq!(hear(&caller).await, packet(8, 9, b"yes"));
    caller
        .send_to(&packet(101, 500, b"key"), to_caller_port)
        .await
        .expect("sent");
    assert_eq!(
        hear(&callee).await,
        packet(96, 500, b"key"),
        "keys have the callee's number"
    );
    caller
        .send_to(&packet(18, 501, b"odd"), to_caller_port)
        .await
        .expect("sent");
    callee
        .send_to(&packet(8, 10, b"last"), to_callee_port)
        .await
        .expect("sent");
    assert_eq!(hear(&caller).await, packet(8, 10, b"last"));
    let statistics = relay.stop().await;
    assert_eq!((statistics.callee.packets, statistics.caller.odd), (2, 1));
    assert!(statistics.caller.foreign >= 1 && statistics.caller.packets >= 2);
    assert!(!statistics.is_one_way());
    assert_eq!(ports.lent(), 0, "the ports are given back");
}

#[tokio::test]
async fn a_long_silence_is_reported() {
    let (phones, lost) = phones(47_360, ALAW, LOOK_EVERY).await;
    tokio::time::timeout(LOOK_EVERY * 10, lost)
        .await
        .expect("in time")
        .expect("the silence is noticed");
    assert_eq!(phones.relay.stop().await.caller.packets, 0);
}

#[test]
fn missing_packets_are_counted_across_the_turn_of_the_numbers() {
    let mut received = Received::default();
    for sequence in [65_534, 65_535, 1, 0, 4, 5] {
        received.count(sequence);
    }
    assert_eq!((received.packets, received.lost), (6, 2));
}
