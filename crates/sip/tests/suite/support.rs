//! Two endpoints and a network in virtual time.

pub mod corpus;
pub mod harness;
pub mod wire;

use maskline_sip::endpoint::{Config, Dial, Endpoint, Event, Input, LegId, Output, Peer, PeerId};
use maskline_sip::hop::{Hop, Transport};
use maskline_sip::identity::Identity;
use maskline_sip::time::Time;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

pub const SDP: &[u8] = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
    m=audio 4000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n";

pub fn address(text: &str) -> SocketAddr {
    text.parse().expect("a literal address")
}

pub fn udp(text: &str) -> Hop {
    Hop::udp(address(text))
}

pub fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

/// Numbers from a seed (SplitMix64).
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (value ^ value >> 31) % bound
    }
}

pub fn endpoint(own: &str, peer: &str, seed: u8) -> Endpoint {
    endpoint_with(Config::new(address(own)), peer, seed)
}

pub fn endpoint_with(config: Config, peer: &str, seed: u8) -> Endpoint {
    let peers = vec![Peer::new(PeerId(1), udp(peer))];
    Endpoint::new(config, peers, [seed; 32])
}

/// What the network does to packets.
#[derive(Clone, Copy)]
pub struct NetworkFaults {
    pub loss_percent: u64,
    pub copies_percent: u64,
    pub delay_max_ms: u64,
}

pub const FINE: NetworkFaults = NetworkFaults {
    loss_percent: 0,
    copies_percent: 0,
    delay_max_ms: 1,
};

/// Nothing arrives.
pub const DEAF: NetworkFaults = NetworkFaults {
    loss_percent: 100,
    copies_percent: 0,
    delay_max_ms: 1,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Caller,
    Callee,
}

/// A caller at 127.0.0.1:5001 and a callee at 127.0.0.1:5002.
pub struct World {
    pub now: Time,
    pub caller: Endpoint,
    pub callee: Endpoint,
    pub chance: Chance,
    faults: NetworkFaults,
    transport: Transport,
    flying: BTreeMap<(Time, u64), (Hop, Hop, Vec<u8>)>,
    sent: u64,
    /// Every datagram that was sent, lost ones too: when, by whom, and its first line.
    pub log: Vec<(u64, Side, String)>,
    pub events: Vec<(Side, Event)>,
}

const CALLER: &str = "127.0.0.1:5001";
const CALLEE: &str = "127.0.0.1:5002";

impl World {
    pub fn new(seed: u64, faults: NetworkFaults) -> Self {
        Self::with(seed, faults, |_, _| {})
    }

    /// A world in which the two are set up differently.
    pub fn with(seed: u64, faults: NetworkFaults, set_up: fn(Side, &mut Config)) -> Self {
        Self::made(Transport::Udp, seed, faults, set_up)
    }

    /// A call that stands, in fine faults, and both its legs.
    pub fn talking(set_up: fn(Side, &mut Config)) -> (Self, LegId, LegId) {
        let mut world = Self::with(1, FINE, set_up);
        let caller = world.dial();
        world.run(10);
        let callee = world.callee_leg();
        world.give(Side::Callee, Input::Answer(callee, SDP.to_vec()));
        world.run(10);
        assert_eq!(world.seen(Side::Callee), ["incoming", "confirmed"]);
        (world, caller, callee)
    }

    pub fn by(transport: Transport, seed: u64, faults: NetworkFaults) -> Self {
        Self::made(transport, seed, faults, |_, _| {})
    }

    fn made(
        transport: Transport,
        seed: u64,
        faults: NetworkFaults,
        set_up: fn(Side, &mut Config),
    ) -> Self {
        let make = |side, own, peer, seed| {
            let mut config = Config::new(address(own));
            set_up(side, &mut config);
            endpoint_with(config, peer, seed)
        };
        Self {
            now: at(1_000),
            caller: make(Side::Caller, CALLER, CALLEE, 1),
            callee: make(Side::Callee, CALLEE, CALLER, 2),
            chance: Chance(seed),
            faults,
            transport,
            flying: BTreeMap::new(),
            sent: 0,
            log: Vec::new(),
            events: Vec::new(),
        }
    }

    pub fn side(&mut self, side: Side) -> &mut Endpoint {
        match side {
            Side::Caller => &mut self.caller,
            Side::Callee => &mut self.callee,
        }
    }

    pub fn dial(&mut self) -> LegId {
        let leg = self.caller.new_leg();
        let dial = Dial {
            hop: Hop::new(self.transport, address(CALLEE)),
            target: format!("sip:13900000000@{CALLEE}"),
            identity: Identity::from(format!("sip:17000000001@{CALLER}")),
            max_forwards: 69,
            sdp: SDP.to_vec(),
        };
        self.give(Side::Caller, Input::Dial(leg, dial));
        leg
    }

    pub fn give(&mut self, side: Side, input: Input<'_>) {
        let now = self.now;
        self.side(side).handle_input(input, now);
        self.drain(side);
    }

    fn drain(&mut self, side: Side) {
        let (from, sender) = match side {
            Side::Caller => (Hop::new(self.transport, address(CALLER)), Side::Caller),
            Side::Callee => (Hop::new(self.transport, address(CALLEE)), Side::Callee),
        };
        while let Some(output) = self.side(side).poll_output() {
            match output {
                Output::Event(Event::Proven { .. }) => {}
                Output::Event(event) => self.events.push((side, event)),
                Output::Send { to, bytes } => {
                    let first = bytes
                        .split(|&byte| byte == b'\r')
                        .next()
                        .unwrap_or_default();
                    self.log.push((
                        self.now.as_millis() - 1_000,
                        sender,
                        String::from_utf8_lossy(first).into_owned(),
                    ));
                    let copies = 1 + u64::from(self.chance.below(100) < self.faults.copies_percent);
                    for _ in 0..copies {
                        if self.chance.below(100) < self.faults.loss_percent {
                            continue;
                        }
                        let delay =
                            Duration::from_millis(1 + self.chance.below(self.faults.delay_max_ms));
                        self.sent += 1;
                        self.flying
                            .insert((self.now + delay, self.sent), (from, to, bytes.to_vec()));
                    }
                }
            }
        }
    }

    /// Moves on to the next thing that happens; false when nothing is left to happen until `end`.
    pub fn step(&mut self, end: Time) -> bool {
        let packet = self.flying.first_key_value().map(|((time, _), _)| *time);
        let caller = self.caller.poll_timeout();
        let callee = self.callee.poll_timeout();
        let Some(next) = [packet, caller, callee]
            .into_iter()
            .flatten()
            .min()
            .filter(|next| *next <= end)
        else {
            self.now = end;
            return false;
        };
        self.now = self.now.max(next);
        if packet == Some(next) {
            let Some((_, (from, to, bytes))) = self.flying.pop_first() else {
                return false;
            };
            let side = if to.address == address(CALLER) {
                Side::Caller
            } else {
                Side::Callee
            };
            self.give(
                side,
                Input::Datagram {
                    from,
                    bytes: &bytes,
                },
            );
        } else if caller == Some(next) {
            self.give(Side::Caller, Input::Timeout);
        } else {
            self.give(Side::Callee, Input::Timeout);
        }
        true
    }

    /// Lets `millis` pass.
    pub fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while self.step(end) {}
    }

    /// The leg of the first call that the callee saw, if it saw one.
    pub fn incoming(&self) -> Option<LegId> {
        self.events.iter().find_map(|(_, event)| match event {
            Event::Incoming { leg, .. } => Some(*leg),
            _ => None,
        })
    }

    pub fn callee_leg(&self) -> LegId {
        self.incoming().expect("the callee saw a call")
    }

    /// When one side sent messages that begin like this, in milliseconds from the start.
    pub fn times(&self, side: Side, begin: &str) -> Vec<u64> {
        self.log
            .iter()
            .filter(|(_, sender, line)| *sender == side && line.starts_with(begin))
            .map(|(time, _, _)| *time)
            .collect()
    }

    /// Names of the events of one side, in order. That an INVITE has arrived is not among them.
    pub fn seen(&self, side: Side) -> Vec<String> {
        self.events
            .iter()
            .filter(|(at, event)| *at == side && !matches!(event, Event::Trying { .. }))
            .map(|(_, event)| name(event))
            .collect()
    }

    pub fn set_faults(&mut self, faults: NetworkFaults) {
        self.faults = faults;
    }
}

pub fn name(event: &Event) -> String {
    match event {
        Event::Incoming { .. } => "incoming".into(),
        Event::Proven { .. } => "proven".into(),
        Event::Trying { .. } => "trying".into(),
        Event::Progress { status, .. } => format!("progress {status}"),
        Event::Answered { .. } => "answered".into(),
        Event::Refused { status, silent, .. } => {
            format!("refused {status}{}", if *silent { " silent" } else { "" })
        }
        Event::Confirmed { .. } => "confirmed".into(),
        Event::Offered { sdp, .. } => {
            format!("offered{}", if sdp.is_some() { "" } else { " nothing" })
        }
        Event::OfferWithdrawn { .. } => "withdrawn".into(),
        Event::OfferAccepted { .. } => "offer accepted".into(),
        Event::OfferRefused { status, .. } => format!("offer refused {status}"),
        Event::Info { .. } => "info".into(),
        Event::Cancelled { .. } => "cancelled".into(),
        Event::UnknownSource { method, .. } => format!("stranger {}", method.as_str()),
        Event::PeerState { reachable, .. } => (if *reachable {
            "reachable"
        } else {
            "unreachable"
        })
        .into(),
        Event::Registered { status, .. } => format!("registered {status}"),
        Event::Ended { silent, .. } => format!("ended{}", if *silent { " silent" } else { "" }),
    }
}
