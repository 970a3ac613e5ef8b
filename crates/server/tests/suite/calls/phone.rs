//! A telephone for tests: the same SIP machine, on a socket of its own.

use maskline_server::clocks;
use maskline_sip::endpoint::{Config, Dial, Endpoint, Event, Input, LegId, Output, Peer, PeerId};
use maskline_sip::hop::Hop;
use maskline_sip::identity::Identity;
use maskline_sip::rtp::Packet;
use maskline_sip::sdp;
use maskline_sip::time::Time;
use maskline_sip::uri::sip_uri;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;

/// Longer than anything here takes; a test that waits so long has failed.
const WATCHDOG: Duration = Duration::from_secs(10);

/// What the server said about the call.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    Progress(u16),
    Answered,
    Refused(u16, Option<u8>),
    Ended,
}

pub struct MediaPacket {
    pub payload: Vec<u8>,
}

pub struct Phone {
    socket: UdpSocket,
    media: UdpSocket,
    endpoint: Endpoint,
    server: SocketAddr,
    leg: Option<LegId>,
    /// Where the server wants our sound.
    media_peer: Option<SocketAddr>,
    said: VecDeque<Said>,
}

impl Phone {
    pub async fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let media = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let own = socket.local_addr().expect("bound");
        let peers = vec![Peer::new(PeerId(0), Hop::udp(server))];
        let mut seed = [0; 32];
        seed[..2].copy_from_slice(&own.port().to_be_bytes());
        let endpoint = Endpoint::new(Config::new(own), peers, seed);
        Self {
            socket,
            media,
            endpoint,
            server,
            leg: None,
            media_peer: None,
            said: VecDeque::new(),
        }
    }

    pub async fn dial(&mut self, x: &str, caller: &str) {
        let leg = self.endpoint.new_leg();
        let media = self.media.local_addr().expect("bound");
        let own = self.socket.local_addr().expect("bound");
        let offer = format!(
            "v=0\r\no=- 1 1 IN IP4 {}\r\ns=-\r\nc=IN IP4 {}\r\nt=0 0\r\nm=audio {} RTP/AVP 8\r\n",
            media.ip(),
            media.ip(),
            media.port()
        );
        let dial = Dial {
            hop: Hop::udp(self.server),
            target: sip_uri(x, self.server),
            identity: Identity::from(sip_uri(caller, own)),
            max_forwards: 70,
            sdp: offer.into_bytes(),
        };
        self.leg = Some(leg);
        self.give(Input::Dial(leg, dial)).await;
    }

    pub async fn hang_up(&mut self) {
        if let Some(leg) = self.leg.take() {
            self.give(Input::HangUp(leg, Some(16))).await;
        }
    }

    async fn give(&mut self, input: Input<'_>) {
        self.endpoint
            .handle_input(input, Time::from_millis(clocks::read().monotonic_ms));
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Send { to, bytes } => {
                    self.socket.send_to(&bytes, to.address).await.expect("sent");
                }
                Output::Event(event) => {
                    let said = self.translate(&event);
                    self.said.extend(said);
                }
            }
        }
    }

    fn translate(&mut self, event: &Event) -> Option<Said> {
        match event {
            Event::Progress { status, .. } => Some(Said::Progress(*status)),
            Event::Answered { sdp, .. } => {
                let answer =
                    sdp::parse(sdp.as_deref().unwrap_or_default()).expect("an answer has SDP");
                self.media_peer = Some(answer.audio.address);
                Some(Said::Answered)
            }
            Event::Refused { status, cause, .. } => Some(Said::Refused(*status, *cause)),
            Event::Ended { .. } => Some(Said::Ended),
            _ => None,
        }
    }

    pub async fn next_event(&mut self) -> Said {
        let mut bytes = vec![0; 4_096];
        loop {
            if let Some(said) = self.said.pop_front() {
                return said;
            }
            let got = tokio::time::timeout(WATCHDOG, self.socket.recv_from(&mut bytes)).await;
            let (length, from) = got
                .expect("the server says something")
                .expect("the socket works");
            self.give(Input::Datagram {
                from: Hop::udp(from),
                bytes: &bytes[..length],
            })
            .await;
        }
    }

    /// The next packet of sound.
    pub async fn hear(&mut self) -> MediaPacket {
        let mut bytes = vec![0; 2_048];
        let got = tokio::time::timeout(WATCHDOG, self.media.recv_from(&mut bytes)).await;
        let (length, from) = got.expect("something is heard").expect("the socket works");
        assert_eq!(
            Some(from),
            self.media_peer,
            "sound comes from where we send ours"
        );
        let packet = Packet::parse(&bytes[..length]).expect("it is RTP");
        MediaPacket {
            payload: packet.payload.to_vec(),
        }
    }

    /// Says something again and again until it comes back.
    pub async fn speak_until_heard(&mut self, words: &[u8]) {
        let peer = self.media_peer.expect("the call is answered");
        for sequence in 0.. {
            let mut bytes = Vec::new();
            Packet {
                marker: false,
                payload_type: 8,
                sequence,
                timestamp: 0,
                ssrc: 1,
                payload: words,
            }
            .write(&mut bytes);
            self.media.send_to(&bytes, peer).await.expect("sent");
            if self.hear().await.payload == words {
                return;
            }
            assert!(sequence < 500, "what was said never came back");
        }
    }
}
