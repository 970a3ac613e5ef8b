//! Seeded nonsense: mutated messages for the parser, the framer and the whole endpoint.
//!
//! Each seed is a run of its own, so a failure names the seed that makes it happen again. A run takes a
//! few seconds in all; `MASKLINE_FUZZ_S` gives it longer. What is mutated lies in `corpus`; a message
//! that does harm belongs there too.

use crate::corpus;
use maskline_fixtures::Chance;
use maskline_fixtures::sip::{PEER, SDP, Wire, address, udp};
use maskline_sip::digest::Credentials;
use maskline_sip::endpoint::{Event, Input, LegId, Peer, PeerId, Refusal, Registration};
use maskline_sip::hop::Hop;
use maskline_sip::identity::{IdentityIn, caller};
use maskline_sip::message::{Message, Name, NameAddr};
use maskline_sip::stream::Framer;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Real time for each test here, in seconds.
const SECONDS: u64 = 2;
/// The most messages or events that one input may cause.
const OUTPUTS_MAX: usize = 64;

/// Seeds, one after another, until the time is over; but some in any case.
fn seeds() -> impl Iterator<Item = u64> {
    let seconds = std::env::var("MASKLINE_FUZZ_S").ok();
    let seconds = seconds
        .and_then(|text| text.parse().ok())
        .unwrap_or(SECONDS);
    let end = Instant::now() + Duration::from_secs(seconds);
    (0..).take_while(move |seed| *seed < 20 || Instant::now() < end)
}

/// Tells the seed if the test fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed was {}", self.0);
        }
    }
}

fn corpus_of_all() -> Vec<Vec<u8>> {
    ["torture", "plain"]
        .into_iter()
        .flat_map(|kind| {
            let names = corpus::names(kind);
            names.into_iter().map(move |name| corpus::load(kind, &name))
        })
        .collect()
}

fn pick<'a, T>(chance: &mut Chance, from: &'a [T]) -> &'a T {
    let at = chance.below(from.len() as u64);
    &from[at as usize]
}

/// Words that mean something somewhere.
const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b"<",
    b">",
    b"\"",
    b"\\",
    b"=",
    b"@",
    b"%",
    b"?",
    b"%00",
    b"\0",
    b"\xff",
    b"\xc4\xe3",
    b"0",
    b"-1",
    b"4294967296",
    b"99999999999999999999",
    b"[",
    b"]",
    b"[::1]",
    b"sip:",
    b"tel:",
    b"SIP/2.0",
    b"z9hG4bK",
    b";tag=",
    b";rport",
    b"\r\n ",
    b"Content-Length: 9\r\n",
    b"Via: ",
    b"Require: 100rel\r\n",
    b"\r\n\r\n",
    b"v=0\r\n",
    b"m=audio ",
];

fn mutate(chance: &mut Chance, bytes: &mut Vec<u8>) {
    for _ in 0..=chance.below(4) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len() as u64;
        let at = chance.below(length) as usize;
        match chance.below(7) {
            0 => bytes[at] = chance.below(256) as u8,
            1 => drop(bytes.remove(at)),
            2 => {
                let word = *pick(chance, WORDS);
                bytes.splice(at..at, word.iter().copied());
            }
            3 => bytes.truncate(at),
            4 => {
                let end = (at + 1 + chance.below(40) as usize).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            5 => {
                let end = (at + 1 + chance.below(40) as usize).min(bytes.len());
                bytes.drain(at..end);
            }
            // A whole line twice, or the lines of a header in another order.
            _ => {
                let line = bytes[at..].iter().position(|&byte| byte == b'\n');
                let line = bytes[at..=at + line.unwrap_or(0)].to_vec();
                let to = chance.below(length) as usize;
                bytes.splice(to..to, line);
            }
        }
    }
}

/// Everything that may be asked of a message.
fn read_all(message: &Message) {
    let _ = message.essentials();
    let _ = message.sdp();
    for name in [Name::Via, Name::Contact, Name::From, Name::To, Name::Route] {
        for party in message.values(name).filter_map(NameAddr::parse) {
            let _ = party.params.iter().count();
            let uri = party.parsed_uri();
            let _ = uri.map(|uri| (uri.number(), uri.address(), uri.params.get("lr")));
        }
    }
    for source in [IdentityIn::Best, IdentityIn::RemotePartyId] {
        let _ = caller(message, source, true, |uri| uri.number());
    }
    let _ = message.q850();
    let _ = maskline_sip::sdp::parse(message.body());
    let _ = maskline_sip::digest::Challenge::choose(message.headers(Name::WwwAuthenticate));
}

#[test]
fn no_message_harms_the_parser() {
    let corpus = corpus_of_all();
    for seed in seeds() {
        let _told = Seed(seed);
        let mut chance = Chance(seed);
        for _ in 0..100 {
            let mut bytes = pick(&mut chance, &corpus).clone();
            mutate(&mut chance, &mut bytes);
            if let Ok(message) = Message::parse(&bytes) {
                read_all(&message);
            }
        }
    }
}

#[test]
fn no_stream_harms_the_framer() {
    let corpus = corpus_of_all();
    for seed in seeds() {
        let _told = Seed(seed);
        let mut chance = Chance(seed);
        let mut stream = Vec::new();
        for _ in 0..4 {
            let mut bytes = pick(&mut chance, &corpus).clone();
            if chance.below(3) == 0 {
                mutate(&mut chance, &mut bytes);
            }
            stream.extend(bytes);
        }
        // However it is cut, the same comes out.
        let whole = frames(&stream, stream.len());
        let size = 1 + chance.below(200) as usize;
        assert_eq!(frames(&stream, size), whole, "{size} bytes at a time");
    }
}

/// What comes out of a stream that is read `size` bytes at a time, and whether it was given up.
fn frames(stream: &[u8], size: usize) -> (Vec<maskline_sip::stream::Frame>, bool) {
    let mut framer = Framer::new();
    let mut found = Vec::new();
    for part in stream.chunks(size.max(1)) {
        framer.push(part);
        loop {
            match framer.next_frame() {
                Ok(Some(frame)) => found.push(frame),
                Ok(None) => break,
                Err(_) => return (found, true),
            }
        }
    }
    (found, false)
}

/// An endpoint with everything switched on, and what it said.
struct World {
    wire: Wire,
    chance: Chance,
    said: Vec<Message>,
    /// Whether each leg is over, as far as the call above was told.
    legs: BTreeMap<LegId, bool>,
}

fn peer() -> Peer {
    let credentials = |username: &str| {
        Some(Credentials {
            username: username.into(),
            password: "secret".into(),
        })
    };
    Peer {
        credentials: credentials("us"),
        registration: Some(Registration {
            address_of_record: "sip:us@carrier.example".into(),
            registrar: None,
            contact_user: "us".into(),
            expires_s: 600,
        }),
        probe_every_s: Some(30),
        ..Peer::new(PeerId(1), udp(PEER))
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed);
        let mut peer = peer();
        if chance.below(3) == 0 {
            peer.challenge = peer.credentials.clone();
        }
        Self {
            wire: Wire::with_peers(vec![peer]),
            chance,
            said: Vec::new(),
            legs: BTreeMap::new(),
        }
    }

    fn give(&mut self, input: Input<'_>) {
        let before = self.wire.events.len();
        let sent = self.wire.give(input);
        let events = self.wire.events.len() - before;
        assert!(sent.len() + events <= OUTPUTS_MAX, "one input, one burst");
        for message in sent {
            // The answer to something malformed carries back what it was.
            if !matches!(message.status(), Some(400 | 505)) {
                message.essentials().expect("what we write is whole");
            }
            if self.said.len() >= 40 {
                self.said.remove(0);
            }
            self.said.push(message);
        }
        for event in self.wire.events.drain(before..) {
            let (leg, over) = match &event {
                Event::Incoming { leg, .. } => (*leg, false),
                Event::Refused { leg, .. }
                | Event::Cancelled { leg, .. }
                | Event::Ended { leg, .. } => (*leg, true),
                _ => continue,
            };
            let before = self.legs.insert(leg, over);
            assert_ne!(
                before,
                Some(true),
                "a leg that is over is not mentioned again"
            );
        }
    }

    fn step(&mut self, corpus: &[Vec<u8>]) {
        let legs: Vec<LegId> = self.legs.keys().copied().collect();
        match self.chance.below(16) {
            0 => {
                let leg = self.wire.dial_quietly();
                self.legs.insert(leg.0, false);
                self.give(Input::Dial(leg.0, leg.1));
            }
            1 => {
                let later = Duration::from_millis(self.chance.below(40_000));
                self.pass(later);
            }
            2 => {
                let by = Hop::tcp(address(PEER));
                let hop = *pick(&mut self.chance, &[udp(PEER), by]);
                self.give(Input::Unreachable(hop));
            }
            3..=6 if !legs.is_empty() => {
                let leg = *pick(&mut self.chance, &legs);
                let refusal = Refusal {
                    status: 486,
                    cause: Some(17),
                };
                let input = match self.chance.below(10) {
                    5 => Input::Offer(leg, SDP.to_vec()),
                    6 => Input::AcceptOffer(leg, SDP.to_vec()),
                    7 => Input::RefuseOffer(leg, 488),
                    8 => Input::Info(
                        leg,
                        b"application/dtmf-relay".to_vec(),
                        b"Signal=1\r\n".to_vec(),
                    ),
                    0 => Input::Progress(leg, 180, None),
                    1 => Input::Progress(leg, 183, Some(SDP.to_vec())),
                    2 => Input::Answer(leg, SDP.to_vec()),
                    3 => Input::Refuse(leg, refusal),
                    _ => Input::HangUp(leg, Some(16)),
                };
                if matches!(input, Input::HangUp(..)) {
                    self.legs.remove(&leg);
                }
                self.give(input);
            }
            7..=11 if !self.said.is_empty() => {
                let mut bytes = self.reply();
                if self.chance.below(3) == 0 {
                    mutate(&mut self.chance, &mut bytes);
                }
                self.hear(&bytes);
            }
            _ => {
                let mut bytes = pick(&mut self.chance, corpus).clone();
                if self.chance.below(4) > 0 {
                    mutate(&mut self.chance, &mut bytes);
                }
                self.hear(&bytes);
            }
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        let from = [
            udp(PEER),
            udp(PEER),
            Hop::tcp(address(PEER)),
            udp("192.0.2.9:5060"),
        ];
        let from = *pick(&mut self.chance, &from);
        self.give(Input::Datagram { from, bytes });
    }

    /// Something that fits what the endpoint has said: an answer to its request, or a request within the
    /// dialog that its answer began.
    fn reply(&mut self) -> Vec<u8> {
        let said = pick(&mut self.chance, &self.said).clone();
        let value =
            |name| String::from_utf8_lossy(said.header(name).unwrap_or_default()).into_owned();
        let (via, from, to) = (value(Name::Via), value(Name::From), value(Name::To));
        let (call, cseq) = (value(Name::CallId), value(Name::CSeq));
        let body = if self.chance.below(2) == 0 { SDP } else { b"" };
        let extra = *pick(
            &mut self.chance,
            &[
                "",
                "Require: 100rel\r\nRSeq: 1\r\n",
                "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n",
                "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\", stale=true, algorithm=SHA-256\r\n",
                "Session-Expires: 90;refresher=uas\r\n",
                "Min-Expires: 700\r\n",
                "Retry-After: 10\r\nReason: Q.850;cause=34\r\n",
            ],
        );
        let tail = format!(
            "{extra}Contact: <sip:b@127.0.0.1:5070>\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        let head = if said.status().is_none() {
            let status = *pick(
                &mut self.chance,
                &[
                    100, 180, 183, 200, 200, 202, 302, 401, 407, 408, 422, 423, 481, 486, 491, 503,
                    603,
                ],
            );
            let tag = self.chance.below(3);
            let tag = if to.contains(";tag=") {
                String::new()
            } else {
                format!(";tag=b{tag}")
            };
            format!(
                "SIP/2.0 {status} X\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to}{tag}\r\nCall-ID: {call}\r\nCSeq: {cseq}\r\n"
            )
        } else {
            let methods = [
                "ACK", "BYE", "CANCEL", "INVITE", "OPTIONS", "UPDATE", "PRACK", "INFO", "REFER",
            ];
            let method = *pick(&mut self.chance, &methods);
            let number = 1 + self.chance.below(4);
            let branch = self.chance.below(1_000);
            format!(
                "{method} sip:127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK{branch};rport\r\n\
                 From: {from}\r\nTo: {to}\r\nCall-ID: {call}\r\nCSeq: {number} {method}\r\nMax-Forwards: 70\r\nRAck: 1 1 INVITE\r\n"
            )
        };
        [head.as_bytes(), tail.as_bytes(), body].concat()
    }

    fn pass(&mut self, time: Duration) {
        let end = self.wire.now + time;
        let mut rounds = 0;
        while let Some(due) = self.wire.endpoint.poll_timeout().filter(|due| *due <= end) {
            self.wire.now = self.wire.now.max(due);
            self.give(Input::Timeout);
            rounds += 1;
            assert!(rounds < 100_000, "time stands still");
        }
        self.wire.now = end;
    }
}

#[test]
fn no_conversation_harms_the_endpoint() {
    let corpus = corpus_of_all();
    let mut calls = 0;
    for seed in seeds() {
        let _told = Seed(seed);
        let mut world = World::new(seed);
        for _ in 0..60 {
            world.step(&corpus);
        }
        calls += world.legs.len();
        // The call above loses interest, the peers go, and time passes: then nothing is left.
        let legs: Vec<LegId> = world.legs.keys().copied().collect();
        for leg in legs {
            world.legs.remove(&leg);
            world.give(Input::HangUp(leg, None));
        }
        world.wire.endpoint.set_peers(Vec::new());
        world.pass(Duration::from_secs(900));
        assert!(world.wire.endpoint.is_idle(), "something is left");
        assert_eq!(world.wire.endpoint.transactions(), 0);
        assert_eq!(world.wire.endpoint.poll_timeout(), None);
    }
    assert!(calls > 20, "the nonsense does reach calls");
}
