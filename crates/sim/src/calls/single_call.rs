//! One call through the switch, over a network that loses nothing: what the phones see of it, and nothing
//! else, is the answer.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;

use maskline_domain::call::{Moment, Notice, ring_tone};
use maskline_domain::routing::{Route, RouteQuery};
use maskline_domain::trunk::candidates;
use maskline_domain::{AccountId, PhoneNumber, Timestamp, ToneCode};
use maskline_sip::endpoint::{Dial, Event, Input as SipInput, Output as SipOutput, Peer, PeerId};
use maskline_sip::hop::Hop;
use maskline_sip::identity::Identity;
use maskline_sip::relay::LocalMedia;
use maskline_sip::rtp::Packet;
use maskline_sip::sdp;
use maskline_sip::time::Time;
use maskline_switch::{
    CallKey, Input, Lease, MediaPath, Output, Prompt, Repeat, Resolution, Routing, Setup, Side,
    Sound, Switch,
};
use maskline_switch::{TrunkPeer, numbers, peers};

use super::addresses::SWITCH;
use super::bindings::BindingWorld;
use super::phone::{Act, Make, Phone};
use crate::chance::Chance;

/// Beside the carrier's own, which is where a callee is.
const CALLER_PORT: u16 = 10_000;
/// Where phones hear their media.
const MEDIA_PORTS: Range<u16> = 4_000..5_000;
/// By then a call is over, with everything that belongs to it.
const STEPS_MAX: u32 = 10_000;

/// What can be seen of a call from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ObservedCall {
    /// Who rang.
    pub rang: Option<PhoneNumber>,
    /// The number that the callee saw.
    pub shown: Option<PhoneNumber>,
    /// The ring tone of ours that the caller heard while somebody rang.
    pub ring_tone: Option<ToneCode>,
    /// What else the caller heard from us.
    pub sound: Option<Sound>,
    /// The last final status that the caller got.
    pub status: u16,
    /// The cause that the caller got at the end.
    pub cause: Option<u8>,
}

impl fmt::Display for ObservedCall {
    /// In full: these numbers are nobody's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: Option<PhoneNumber>| {
            number.map_or_else(|| "nobody".to_owned(), PhoneNumber::reveal)
        };
        let tone = self
            .ring_tone
            .map_or_else(String::new, |tone| format!(" with tone {tone}"));
        let heard = self
            .sound
            .map_or_else(|| "nothing".to_owned(), |it| it.to_string());
        write!(
            f,
            "{} rang{tone} and saw {}; the caller heard {heard}, got {} and {:?}",
            number(self.rang),
            number(self.shown),
            self.status,
            self.cause
        )
    }
}

/// What a call came to.
pub(super) struct Outcome {
    pub seen: ObservedCall,
    /// When the route was read, or the call ended without one.
    pub routed_at: Timestamp,
    /// Whether the callee's telephone rang before it answered.
    pub has_rung: bool,
    /// Whether nothing is left of it.
    pub is_over: bool,
}

enum Coming {
    Packet(SocketAddr, SocketAddr, Vec<u8>),
    /// Something of the callee's.
    Act(Act),
    /// The callee hangs up and gives no cause.
    HangUp,
    Tell(Input<'static>),
}

/// See the module.
pub(super) struct SingleCall<'a> {
    bindings: &'a BindingWorld,
    chance: &'a mut Chance,
    begin: Timestamp,
    now_ms: u64,
    sent: u64,
    coming: BTreeMap<(u64, u64), Coming>,
    switch: Switch,
    caller: Phone,
    callee: Option<Phone>,
    /// Where the caller expects its media from, by the descriptions that it got.
    hears_from: Option<SocketAddr>,
    /// The relay: its port towards the caller, and where it sends what.
    lease: Option<Lease>,
    path: MediaPath,
    seen: ObservedCall,
    has_rung: bool,
    routed_at: Option<Timestamp>,
}

/// Plays one call that comes by this trunk, at `begin`.
pub(super) fn call(
    bindings: &BindingWorld,
    chance: &mut Chance,
    query: &RouteQuery,
    by: &maskline_domain::Trunk,
    notice: Notice,
    begin: Timestamp,
) -> Outcome {
    let mut switch = Switch::new(Setup {
        advertised: SWITCH,
        advertised_tls: None,
        domains: Vec::new(),
        node: "n1".into(),
        boot: "b1".into(),
        calls_max: 10,
        per_x_max: 5,
        per_caller_max: 5,
        duration_max_s: 60,
        notice,
        local_media: Arc::new(LocalMedia::new(
            SWITCH.ip(),
            SWITCH.ip(),
            [],
            (20_000, 29_999),
        )),
        unheard_bytes_max: 4 * 1_024,
        tells_milestones: true,
        seed: chance.bytes(),
    });
    let moment = Moment {
        wall: begin,
        tick_ms: 0,
    };
    let trunks = bindings.state().trunks().filter_map(known).collect();
    switch.handle_input(Input::Trunks(trunks), moment);
    let carrier = peers::hop(by).map_or(SWITCH, |hop| hop.address);
    let address = SocketAddr::new(carrier.ip(), CALLER_PORT);
    let make = Make {
        codecs: "8 0",
        ..Make::PLAIN
    };
    let mut caller = Phone::new(1, address, 0, true, make, chance);
    let leg = caller.endpoint.new_leg();
    caller.leg = Some(leg);
    // Numbers come in whatever form the carrier writes them.
    let user = query
        .caller
        .map_or_else(|| "anonymous".to_owned(), |number| by.write(number));
    let dial = Dial {
        hop: Hop::udp(SWITCH),
        target: format!("sip:{}@{SWITCH}", by.write(query.x)),
        identity: Identity::from(format!("sip:{user}@{}", carrier.ip())),
        max_forwards: 70,
        sdp: caller.first_offer(),
    };
    let now = Time::from_millis(0);
    caller.endpoint.handle_input(SipInput::Dial(leg, dial), now);
    let call = SingleCall {
        bindings,
        chance,
        begin,
        now_ms: 0,
        sent: 0,
        coming: BTreeMap::new(),
        switch,
        caller,
        callee: None,
        hears_from: None,
        lease: None,
        path: MediaPath::default(),
        seen: ObservedCall::default(),
        has_rung: false,
        routed_at: None,
    };
    call.play()
}

impl SingleCall<'_> {
    fn play(mut self) -> Outcome {
        self.drain_phone(Side::Caller);
        let mut is_over = false;
        for _ in 0..STEPS_MAX {
            let Some(at) = self.next() else {
                is_over = true;
                break;
            };
            self.now_ms = self.now_ms.max(at);
            self.step();
        }
        let is_idle = |phone: &Phone| phone.endpoint.is_idle();
        Outcome {
            seen: self.seen,
            has_rung: self.has_rung,
            routed_at: self.routed_at.unwrap_or(self.begin),
            is_over: is_over
                && self.switch.is_idle()
                && is_idle(&self.caller)
                && self.callee.as_ref().is_none_or(is_idle),
        }
    }

    fn moment(&self) -> Moment {
        Moment {
            wall: self.begin.plus_millis(self.now_ms as i64),
            tick_ms: self.now_ms,
        }
    }

    fn next(&self) -> Option<u64> {
        let coming = self.coming.first_key_value().map(|((at, _), _)| *at);
        let phones = [Some(&self.caller), self.callee.as_ref()];
        let timeouts = phones
            .into_iter()
            .flatten()
            .filter_map(|phone| phone.endpoint.poll_timeout())
            .map(Time::as_millis);
        let all = timeouts.chain(coming).chain(self.switch.poll_timeout());
        all.min()
    }

    /// What is due now, one thing at a time.
    fn step(&mut self) {
        let now_ms = self.now_ms;
        if let Some(first) = self.coming.first_entry()
            && first.key().0 <= now_ms
        {
            let coming = first.remove();
            return self.on_coming(coming);
        }
        if self.switch.poll_timeout().is_some_and(|at| at <= now_ms) {
            return self.tell(Input::Timeout);
        }
        for side in Side::BOTH {
            if let Some(phone) = self.phone(side)
                && let Some(due) = phone.endpoint.poll_timeout()
                && due.as_millis() <= now_ms
            {
                let now = Time::from_millis(now_ms);
                phone.endpoint.handle_input(SipInput::Timeout, now);
                self.drain_phone(side);
            }
        }
    }

    fn phone(&mut self, side: Side) -> Option<&mut Phone> {
        match side {
            Side::Caller => Some(&mut self.caller),
            Side::Callee => self.callee.as_mut(),
        }
    }

    fn plan(&mut self, after_ms: u64, coming: Coming) {
        self.sent += 1;
        self.coming
            .insert((self.now_ms + after_ms, self.sent), coming);
    }

    fn on_coming(&mut self, coming: Coming) {
        let now_ms = self.now_ms;
        match coming {
            Coming::Packet(from, SWITCH, bytes) => self.tell(Input::Datagram {
                from: Hop::udp(from),
                bytes: &bytes,
            }),
            Coming::Packet(from, to, bytes) if MEDIA_PORTS.contains(&to.port()) => {
                self.hear(from, to, &bytes);
            }
            Coming::Packet(_, to, bytes) => self.deliver(to, &bytes),
            Coming::Tell(input) => self.tell(input),
            Coming::Act(act) => {
                self.has_rung |= act == Act::Ring;
                if let Some(callee) = &mut self.callee {
                    callee.act(act, now_ms);
                }
                self.drain_phone(Side::Callee);
            }
            Coming::HangUp => {
                if let Some(callee) = &mut self.callee
                    && let Some(leg) = callee.leg
                {
                    let now = Time::from_millis(now_ms);
                    let hang_up = SipInput::HangUp(leg, None);
                    callee.endpoint.handle_input(hang_up, now);
                }
                self.drain_phone(Side::Callee);
            }
        }
    }

    /// A SIP message for one of the phones. Whoever is reached at a carrier's own port is the callee.
    fn deliver(&mut self, to: SocketAddr, bytes: &[u8]) {
        let side = match to == self.caller.address {
            true => Side::Caller,
            false => Side::Callee,
        };
        if side == Side::Callee && self.callee.is_none() {
            self.callee = Some(Phone::new(2, to, 0, false, Make::PLAIN, self.chance));
        }
        let now = Time::from_millis(self.now_ms);
        if let Some(phone) = self.phone(side)
            && phone.address == to
        {
            let from = Hop::udp(SWITCH);
            let datagram = SipInput::Datagram { from, bytes };
            phone.endpoint.handle_input(datagram, now);
            self.drain_phone(side);
        }
    }

    /// Sound reaches the caller. It hears what comes from where it was told that it would.
    fn hear(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let is_for_caller = to.ip() == IpAddr::V4(self.caller.media_address());
        if let Some(packet) = Packet::parse(bytes)
            && is_for_caller
            && self.hears_from == Some(from)
        {
            match heard(packet.payload) {
                Some(Sound::Tone(tone)) if self.seen.rang.is_some() => {
                    self.seen.ring_tone = Some(tone);
                }
                sound => self.seen.sound = sound,
            }
        }
    }

    fn drain_phone(&mut self, side: Side) {
        let mut events = Vec::new();
        while let Some(phone) = self.phone(side)
            && let Some(output) = phone.endpoint.poll_output()
        {
            let from = phone.address;
            match output {
                SipOutput::Send { to, bytes } => {
                    self.plan(1, Coming::Packet(from, to.address, bytes.to_vec()));
                }
                SipOutput::Event(event) => events.push(event),
            }
        }
        for event in events {
            match side {
                Side::Caller => self.caller_sees(event),
                Side::Callee => self.callee_sees(event),
            }
        }
    }

    fn caller_sees(&mut self, event: Event) {
        let description = match &event {
            Event::Progress { sdp, .. } | Event::Answered { sdp, .. } => sdp.as_deref(),
            _ => None,
        };
        if let Some(Ok(described)) = description.map(sdp::parse) {
            self.hears_from = Some(described.audio.address);
        }
        match event {
            Event::Answered { .. } => self.seen.status = 200,
            Event::Refused { status, cause, .. } => {
                (self.seen.status, self.seen.cause) = (status, cause);
            }
            Event::Ended { cause, .. } => self.seen.cause = cause,
            _ => {}
        }
    }

    fn callee_sees(&mut self, event: Event) {
        match event {
            Event::Incoming { leg, invite, .. } => {
                if let Some(callee) = &mut self.callee {
                    callee.leg = Some(leg);
                }
                self.seen.rang = numbers::dialled(&invite);
                self.seen.shown = numbers::caller(&invite);
                if self.chance.one_in(2) {
                    self.plan(50, Coming::Act(Act::Ring));
                }
                self.plan(500, Coming::Act(Act::Answer));
            }
            Event::Confirmed { .. } => self.plan(3_000, Coming::HangUp),
            _ => {}
        }
    }

    fn tell(&mut self, input: Input<'_>) {
        let moment = self.moment();
        self.switch.handle_input(input, moment);
        while let Some(output) = self.switch.poll_output() {
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::UnknownSource(..) | Output::TrunkChanged(..) | Output::LocalMedia(_) => {}
            Output::Send { to, bytes } => {
                self.plan(1, Coming::Packet(SWITCH, to.address, bytes.to_vec()));
            }
            Output::AskRoute(key, query) => {
                let routing = self.read_route(&query);
                let routed = Input::Routed(key, Some(Box::new(routing)));
                self.plan(1, Coming::Tell(routed));
            }
            Output::OpenRow(key, ..) => self.plan(1, Coming::Tell(Input::RowOpened(key, true))),
            Output::LeaseMedia(key, _) => {
                let at = |port| SocketAddr::new(SWITCH.ip(), port);
                let lease = Lease {
                    caller: at(20_000),
                    callee: at(20_002),
                };
                self.lease = Some(lease);
                self.plan(1, Coming::Tell(Input::MediaLeased(key, Some(lease))));
            }
            Output::Relay(_, path) => self.path = path,
            Output::Unheard(..) => {}
            Output::Play(key, side, sound, repeat) => self.play_sound(key, side, sound, repeat),
            Output::Resolve(name) => {
                self.plan(
                    20,
                    Coming::Tell(Input::Resolved(name, Resolution::NoAddress)),
                );
            }
            Output::StopPlaying(..)
            | Output::Record(..)
            | Output::Reached(..)
            | Output::SendDigit(..)
            | Output::Finish(..) => {}
        }
    }

    /// As the server reads it, now.
    fn read_route(&mut self, query: &RouteQuery) -> Routing {
        let now = self.moment().wall;
        self.routed_at = Some(now);
        let seed = self.chance.word();
        let route = self.bindings.route(query, now);
        let pool = self.bindings.pool(query.x);
        let said = pool
            .as_ref()
            .and_then(|key| self.bindings.state().pool(key));
        let carrier = said.and_then(|pool| pool.carrier.as_ref());
        let trunks = match &route {
            Route::Connect(connection) => {
                let call = connection.outbound(carrier);
                candidates(self.bindings.state().trunks(), &call, seed)
            }
            Route::Refuse { .. } => Vec::new(),
        };
        Routing {
            tone: ring_tone::tone(&route, said, |code| self.bindings.has_tone(code)),
            route,
            pool,
            account: Some(AccountId::new("acme")),
            trunks: trunks.into_iter().filter_map(known).collect(),
        }
    }

    /// The relay plays: one packet stands for all the sound.
    fn play_sound(&mut self, key: CallKey, side: Side, sound: Sound, repeat: Repeat) {
        let end = match side {
            Side::Caller => self.path.caller.as_ref(),
            Side::Callee => self.path.callee.as_ref(),
        };
        if let (Some(end), Some(lease)) = (end, self.lease) {
            let from = match side {
                Side::Caller => lease.caller,
                Side::Callee => lease.callee,
            };
            let name = sound.to_string();
            let packet = Packet {
                marker: true,
                payload_type: end.payloads.codec,
                sequence: 1,
                timestamp: 1,
                ssrc: 1,
                payload: name.as_bytes(),
            };
            let mut bytes = Vec::new();
            packet.write(&mut bytes);
            self.plan(20, Coming::Packet(from, end.address, bytes));
        }
        if repeat == Repeat::Once {
            self.plan(1_000, Coming::Tell(Input::Played(key, side)));
        }
    }
}

/// What a packet of the relay stands for.
fn heard(payload: &[u8]) -> Option<Sound> {
    let name = std::str::from_utf8(payload).ok()?;
    let prompt = Prompt::ALL.into_iter().find(|it| it.name() == name);
    let tone = || name.strip_prefix("ring tone ").and_then(ToneCode::parse);
    prompt.map(Sound::from).or_else(|| tone().map(Sound::Tone))
}

/// A trunk as calls know it.
fn known(definition: &maskline_domain::Trunk) -> Option<TrunkPeer> {
    Some(TrunkPeer {
        definition: definition.clone(),
        peer: Peer::new(PeerId(0), peers::hop(definition)?),
    })
}
