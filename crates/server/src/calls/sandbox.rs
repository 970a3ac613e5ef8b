//! A phone that answers by itself, so that a call in the demo reaches somebody.
//!
//! It takes any call from its one peer, rings for half a second, answers, gives a tone of one second, and
//! then says back what it hears. It hangs up when the other side does.

use super::{now, stopped};
use maskline_sip::endpoint::{self, Endpoint, Event, Input, LegId, Output, Peer, PeerId, Refusal};
use maskline_sip::g711::{ALAW_1KHZ, ULAW_1KHZ};
use maskline_sip::hop::Hop;
use maskline_sip::rtp::Packet;
use maskline_sip::sdp::{self, Agreement, Codec, Description};
use maskline_sip::time::Time;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

const RINGING: Duration = Duration::from_millis(500);
/// The tone: packets of 20 ms.
const TONE_PACKETS: u16 = 50;
const SAMPLES_PER_PACKET: u16 = 160;
const PACKET_EVERY: Duration = Duration::from_millis(20);
/// Calls at once: it is a toy.
const CALLS_MAX: usize = 100;
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// A sandbox phone that is running.
#[derive(Debug)]
pub struct Sandbox {
    /// Where it listens.
    pub address: SocketAddr,
    /// Ends when it is told to.
    pub task: JoinHandle<()>,
}

/// Starts a phone at `listen` that takes calls from `peer`, until `stop` becomes true or its sender is gone.
///
/// # Errors
/// When the address cannot be bound (another phone may be there already: then that one answers), or the
/// system has no randomness to give.
pub async fn start(
    listen: SocketAddr,
    peer: SocketAddr,
    stop: watch::Receiver<bool>,
) -> io::Result<Sandbox> {
    let socket = UdpSocket::bind(listen).await?;
    let address = socket.local_addr()?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
    let mut config = endpoint::Config::new(address);
    config.legs_max = CALLS_MAX;
    let peers = vec![Peer::new(PeerId(0), Hop::udp(peer))];
    let (ringing, answers) = mpsc::channel(CALLS_MAX);
    let phone = Phone {
        socket,
        endpoint: Endpoint::new(config, peers, seed),
        calls: BTreeMap::new(),
        ringing,
    };
    Ok(Sandbox {
        address,
        task: tokio::spawn(phone.run(answers, stop)),
    })
}

struct Phone {
    socket: UdpSocket,
    endpoint: Endpoint,
    calls: BTreeMap<LegId, Voice>,
    /// Legs that have rung long enough.
    ringing: mpsc::Sender<LegId>,
}

/// The media of one call; it ends with this value.
struct Voice {
    offer: Description,
    agreement: Agreement,
    socket: Option<UdpSocket>,
    speaking: Option<JoinHandle<()>>,
}

impl Drop for Voice {
    fn drop(&mut self) {
        if let Some(speaking) = &self.speaking {
            speaking.abort();
        }
    }
}

impl Phone {
    async fn run(mut self, mut answers: mpsc::Receiver<LegId>, mut stop: watch::Receiver<bool>) {
        let mut bytes = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            let due = self.endpoint.poll_timeout().map(Time::as_millis);
            let wait = due.map(|due| Duration::from_millis(due.saturating_sub(now().tick_ms)));
            tokio::select! {
                got = self.socket.recv_from(&mut bytes) => if let Ok((length, from)) = got {
                    self.give(Input::Datagram { from: Hop::udp(from), bytes: &bytes[..length] }).await;
                },
                Some(leg) = answers.recv() => self.answer(leg).await,
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => self.give(Input::Timeout).await,
                () = stopped(&mut stop) => return,
            }
        }
    }

    async fn give(&mut self, input: Input<'_>) {
        self.endpoint
            .handle_input(input, Time::from_millis(now().tick_ms));
        let mut rung = Vec::new();
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Send { to, bytes } => drop(self.socket.try_send_to(&bytes, to.address)),
                Output::Event(Event::Incoming { leg, invite, .. }) => {
                    rung.push((leg, Voice::prepare(invite.body()).await))
                }
                Output::Event(Event::Cancelled { leg, .. } | Event::Ended { leg, .. }) => {
                    drop(self.calls.remove(&leg))
                }
                Output::Event(_) => {}
            }
        }
        for (leg, voice) in rung {
            self.ring(leg, voice);
        }
    }

    fn ring(&mut self, leg: LegId, voice: Option<Voice>) {
        let input = match voice {
            Some(voice) => {
                self.calls.insert(leg, voice);
                let ringing = self.ringing.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(RINGING).await;
                    let _ = ringing.send(leg).await;
                });
                Input::Progress(leg, 180, None)
            }
            None => Input::Refuse(
                leg,
                Refusal {
                    status: 488,
                    cause: Some(65),
                },
            ),
        };
        self.endpoint
            .handle_input(input, Time::from_millis(now().tick_ms));
        self.flush();
    }

    async fn answer(&mut self, leg: LegId) {
        let Some(voice) = self.calls.get_mut(&leg) else {
            return;
        };
        if let Some(sdp) = voice.speak(leg) {
            self.endpoint
                .handle_input(Input::Answer(leg, sdp), Time::from_millis(now().tick_ms));
            self.flush();
        }
    }

    /// What our own wishes cause is only to be sent: they bring no events.
    fn flush(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            if let Output::Send { to, bytes } = output {
                // What the kernel does not take now is repeated.
                let _ = self.socket.try_send_to(&bytes, to.address);
            }
        }
    }
}

impl Voice {
    async fn prepare(sdp: &[u8]) -> Option<Self> {
        let offer = sdp::parse(sdp).ok()?;
        // An answer that takes all: the first codec counts.
        let agreement = sdp::agree(&offer.audio, &offer.audio).ok()?;
        let here = if offer.audio.address.is_ipv4() {
            "127.0.0.1:0"
        } else {
            "[::1]:0"
        };
        let socket = UdpSocket::bind(here).await.ok();
        Some(Self {
            offer,
            agreement,
            socket,
            speaking: None,
        })
    }

    /// Begins to speak and gives the answer; none if it speaks already.
    fn speak(&mut self, leg: LegId) -> Option<Vec<u8>> {
        let socket = self.socket.take()?;
        let ours = socket.local_addr().ok()?;
        let audio = &self.offer.audio;
        let answer = sdp::answer(&self.offer, audio, &self.agreement, ours, leg.as_u64());
        self.speaking = Some(tokio::spawn(speak(socket, audio.address, self.agreement)));
        Some(answer)
    }
}

async fn speak(socket: UdpSocket, to: SocketAddr, agreement: Agreement) {
    let period = match agreement.codec {
        Codec::Pcma => ALAW_1KHZ,
        Codec::Pcmu => ULAW_1KHZ,
    };
    let payload = period.repeat(usize::from(SAMPLES_PER_PACKET) / period.len());
    let mut ticks = tokio::time::interval(PACKET_EVERY);
    let mut packet = Packet {
        marker: true,
        payload_type: agreement.offerer.codec,
        sequence: 0,
        timestamp: 0,
        ssrc: 0x4d61_736b,
        payload: &payload,
    };
    let mut bytes = Vec::new();
    for _ in 0..TONE_PACKETS {
        ticks.tick().await;
        packet.write(&mut bytes);
        let _ = socket.send_to(&bytes, to).await;
        packet = next(packet);
    }
    let mut heard = vec![0; 2_048];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut heard).await else {
            return;
        };
        let Some(said) = Packet::parse(&heard[..length]).filter(|_| from == to) else {
            continue;
        };
        // The numbers go on from the tone, whatever theirs are.
        Packet {
            payload_type: said.payload_type,
            payload: said.payload,
            ..packet
        }
        .write(&mut bytes);
        let _ = socket.send_to(&bytes, to).await;
        packet = next(packet);
    }
}

fn next(packet: Packet<'_>) -> Packet<'_> {
    Packet {
        marker: false,
        sequence: packet.sequence.wrapping_add(1),
        timestamp: packet.timestamp.wrapping_add(u32::from(SAMPLES_PER_PACKET)),
        ..packet
    }
}
