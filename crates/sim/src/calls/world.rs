//! One world: everything that is under way, in order of time.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use maskline_domain::call::{Moment, Notice};
use maskline_domain::routing::{Dial as Query, Route};
use maskline_domain::trunk::PromptPolicy;
use maskline_domain::{AccountId, PhoneNumber, Timestamp, ToneCode, TrunkName};
use maskline_server::calls::switch::{
    CallKey, Input, Lease, Output, Prompt, Repeat, Routing, Setup, Side, Sound, Switch,
};
use maskline_server::calls::{Trunk, numbers};
use maskline_sip::endpoint::{Dial, Event, Input as SipInput, Output as SipOutput, Peer, PeerId};
use maskline_sip::hop::Hop;
use maskline_sip::identity::Identity;
use maskline_sip::message::{Message, Method, Name};
use maskline_sip::sdp::{self, Direction};
use maskline_sip::time::Time;
use maskline_store::records::call::CallRecord;

use super::laws::Track;
use super::network::{Network, Weather};
use super::phone::{
    Act, Phone, PhoneId, callee_temper, caller_temper, offered_temper, talker_temper,
};
use super::town::{Expected, Town};
use super::{Plan, Slip};
use crate::chance::Chance;

/// Where the switch is.
pub(super) const SWITCH: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5060);
/// The carriers: phones are behind one of them, at ports of its address.
const CARRIERS: [(&str, Ipv4Addr, PromptPolicy); 3] = [
    ("north", Ipv4Addr::new(198, 51, 100, 1), PromptPolicy::Early),
    ("west", Ipv4Addr::new(203, 0, 113, 1), PromptPolicy::Answer),
    ("east", Ipv4Addr::new(203, 0, 113, 2), PromptPolicy::None),
];
/// Where a carrier takes calls.
const CARRIER_PORT: u16 = 5060;
const FIRST_PHONE_PORT: u16 = 10_000;
/// Ports for media, in pairs of calls at once.
const LEASES_MAX: usize = 60;
/// So long after the last call everything must be over.
const AFTERMATH_MS: u64 = 1_200_000;
/// Lines that are kept of the story of a call.
const STORY_LINES: usize = 120;
/// What the wall clock says at the beginning.
const BEGIN: Timestamp = Timestamp::from_secs(1_772_424_000);
/// Marks of calls: Max-Forwards and the payload type of keys reach the callee, and nothing else does.
const HOPS: (u8, usize) = (11, 58);
const EVENTS: (u8, usize) = (96, 31);

/// What rounds did, to see that they were not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Calls that were begun.
    pub calls: u64,
    /// Calls that left a record.
    pub recorded: u64,
    /// Calls that were answered.
    pub answered: u64,
    /// Calls that were refused by the bindings.
    pub refused: u64,
    /// Prompts that were played to a caller.
    pub prompts: u64,
    /// Ring tones that were played to a caller.
    pub tones: u64,
    /// Calls that another trunk took over.
    pub failovers: u64,
    /// Calls that were one too many on X or by a caller.
    pub crowded: u64,
    /// Calls of which no side was heard any more.
    pub media_lost: u64,
    /// Phones that vanished or went deaf.
    pub mishaps: u64,
    /// Changes of the media that the other side took: hold and resume.
    pub changes: u64,
    /// Keys that reached the other side.
    pub keys: u64,
    /// Calls that were still up when their binding was none any more.
    pub outlived: u64,
    /// Callers who were answered to hear why nobody rings.
    pub answered_in_vain: u64,
    /// Outages of carriers.
    pub outages: u64,
    /// Packets that were sent.
    pub packets: u64,
}

impl Tally {
    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        let Self {
            calls,
            recorded,
            answered,
            refused,
            prompts,
            tones,
            failovers,
            crowded,
            media_lost,
            mishaps,
            changes,
            keys,
            outlived,
            answered_in_vain,
            outages,
            packets,
        } = other;
        self.calls += calls;
        self.recorded += recorded;
        self.answered += answered;
        self.refused += refused;
        self.prompts += prompts;
        self.tones += tones;
        self.failovers += failovers;
        self.crowded += crowded;
        self.media_lost += media_lost;
        self.mishaps += mishaps;
        self.changes += changes;
        self.keys += keys;
        self.outlived += outlived;
        self.answered_in_vain += answered_in_vain;
        self.outages += outages;
        self.packets += packets;
    }

    /// Each count with its name.
    pub fn lines(&self) -> [(&'static str, u64); 16] {
        [
            ("calls", self.calls),
            ("with a record", self.recorded),
            ("answered", self.answered),
            ("refused by the bindings", self.refused),
            ("prompts", self.prompts),
            ("ring tones", self.tones),
            ("taken over by another trunk", self.failovers),
            ("one too many", self.crowded),
            ("without sound", self.media_lost),
            ("mishaps of phones", self.mishaps),
            ("changes of media", self.changes),
            ("keys", self.keys),
            ("outlived their bindings", self.outlived),
            ("answered only for a prompt", self.answered_in_vain),
            ("outages of carriers", self.outages),
            ("packets", self.packets),
        ]
    }
}

/// A law is broken.
#[derive(Debug)]
pub(super) struct Broken {
    pub what: String,
    /// In which call, if in one.
    pub call: Option<usize>,
    pub story: Vec<String>,
}

enum Coming {
    Packet(SocketAddr, SocketAddr, Vec<u8>),
    PhoneWakes(PhoneId),
    SwitchWakes,
    Act(PhoneId, Act),
    Call,
    Change,
    Outage,
    TrunksChange,
    Tell(Input<'static>),
    RouteIsRead(CallKey, Query),
}

pub(super) struct World {
    chance: Chance,
    now_ms: u64,
    calls_left: u64,
    slip: Option<Slip>,
    coming: BTreeMap<(u64, u64), Coming>,
    sent: u64,
    switch: Switch,
    switch_wakes_at: Option<u64>,
    town: Town,
    network: Network,
    phones: BTreeMap<PhoneId, Phone>,
    /// Phones that have vanished, too: what they said may still be under way.
    by_address: BTreeMap<SocketAddr, (PhoneId, usize)>,
    /// Which phone a carrier gave a call to.
    by_call_id: BTreeMap<Vec<u8>, PhoneId>,
    last_phone: PhoneId,
    tracks: Vec<Track>,
    keys: BTreeMap<CallKey, usize>,
    /// The call whose packet the switch is hearing.
    hearing: Option<usize>,
    leases: usize,
    tally: Tally,
    broken: Option<(String, Option<usize>)>,
    /// The call whose story is kept.
    watched: Option<usize>,
    story: Vec<String>,
}

impl World {
    pub fn new(plan: Plan, watched: Option<usize>) -> Self {
        let mut chance = Chance::new(plan.seed);
        let mut switch = Switch::new(Setup {
            advertised: SWITCH,
            advertised_tls: None,
            node: "n1".into(),
            boot: "b1".into(),
            calls_max: 90,
            per_x_max: 5,
            per_caller_max: 7,
            duration_max_s: 45,
            notice: Notice::Both,
            seed: chance.bytes(),
        });
        let moment = Moment {
            wall: BEGIN,
            tick_ms: 0,
        };
        switch.handle_input(Input::Trunks(trunks(None)), moment);
        let weather = Weather::new(&mut chance);
        let mut world = Self {
            chance,
            now_ms: 0,
            calls_left: plan.calls,
            slip: plan.slip,
            coming: BTreeMap::new(),
            sent: 0,
            switch,
            switch_wakes_at: None,
            town: Town::new(BEGIN),
            network: Network::new(weather),
            phones: BTreeMap::new(),
            by_address: BTreeMap::new(),
            by_call_id: BTreeMap::new(),
            last_phone: 0,
            tracks: Vec::new(),
            keys: BTreeMap::new(),
            hearing: None,
            leases: 0,
            tally: Tally::default(),
            broken: None,
            watched,
            story: Vec::new(),
        };
        for _ in 0..30 {
            world.town.change(&mut world.chance, BEGIN);
        }
        world.plan(0, Coming::Call);
        world.plan(0, Coming::Change);
        world.plan(20_000, Coming::Outage);
        world.plan(30_000, Coming::TrunksChange);
        world
    }

    /// Plays it to its end.
    pub fn run(mut self) -> Result<Tally, Broken> {
        let mut end = None;
        while let Some(((at, _), coming)) = self.coming.pop_first() {
            if self.calls_left == 0 && end.is_none() {
                end = Some(self.now_ms + AFTERMATH_MS);
            }
            if end.is_some_and(|end| at > end) {
                break;
            }
            self.now_ms = at;
            self.happen(coming);
            if self.broken.is_some() {
                break;
            }
        }
        if self.broken.is_none() {
            self.look_at_what_is_left();
        }
        match self.broken {
            None => Ok(self.tally),
            Some((what, call)) => Err(Broken {
                what,
                call,
                story: self.story,
            }),
        }
    }

    fn moment(&self) -> Moment {
        Moment {
            wall: BEGIN.plus_millis(self.now_ms as i64),
            tick_ms: self.now_ms,
        }
    }

    fn plan(&mut self, after_ms: u64, coming: Coming) {
        self.sent += 1;
        self.coming
            .insert((self.now_ms + after_ms, self.sent), coming);
    }

    fn break_law(&mut self, what: String, call: Option<usize>) {
        self.broken.get_or_insert((what, call));
    }

    fn tell_story(&mut self, call: usize, line: impl FnOnce() -> String) {
        if self.watched == Some(call) {
            let line = format!("{:>9} ms  {}", self.now_ms, line());
            self.story.push(line);
            if self.story.len() > STORY_LINES {
                self.story.remove(0);
            }
        }
    }

    fn happen(&mut self, coming: Coming) {
        match coming {
            Coming::Packet(from, to, bytes) => self.deliver(from, to, &bytes),
            Coming::PhoneWakes(id) => {
                if let Some(phone) = self.phones.get_mut(&id)
                    && phone.wakes_at == Some(self.now_ms)
                {
                    phone.wakes_at = None;
                    let now = Time::from_millis(self.now_ms);
                    phone.endpoint.handle_input(SipInput::Timeout, now);
                    self.drain_phone(id);
                }
            }
            Coming::SwitchWakes => {
                if self.switch_wakes_at == Some(self.now_ms) {
                    self.switch_wakes_at = None;
                    self.tell(Input::Timeout);
                }
            }
            Coming::Act(id, act) => self.act(id, act),
            Coming::Call => self.begin_call(),
            Coming::Change => {
                let now = self.moment().wall;
                self.town.change(&mut self.chance, now);
                if self.calls_left > 0 {
                    let pause = self.chance.below(2_000);
                    self.plan(pause, Coming::Change);
                }
            }
            Coming::Outage => {
                if self.calls_left > 0 {
                    let (_, carrier, _) = self.chance.one_of(CARRIERS);
                    let until = self.now_ms + 1_000 + self.chance.below(40_000);
                    self.network.cut(carrier.into(), until);
                    self.tally.outages += 1;
                    self.plan(60_000, Coming::Outage);
                }
            }
            Coming::TrunksChange => {
                let (name, ..) = self.chance.one_of(CARRIERS);
                let is_off = self.calls_left > 0 && self.chance.one_in(2);
                self.tell(Input::Trunks(trunks(is_off.then_some(name))));
                if self.calls_left > 0 {
                    self.plan(15_000, Coming::TrunksChange);
                }
            }
            Coming::Tell(input) => self.tell(input),
            Coming::RouteIsRead(key, query) => self.read_route(key, query),
        }
    }

    fn begin_call(&mut self) {
        if self.calls_left == 0 {
            return;
        }
        self.calls_left -= 1;
        self.tally.calls += 1;
        let pause = self.chance.below(300);
        self.plan(pause, Coming::Call);
        let (caller, x) = self.town.dial(&mut self.chance);
        let call = self.tracks.len();
        let (_, carrier, prompts) = self.chance.one_of(CARRIERS);
        let id = self.add_phone(carrier, call, true, Some(events_mark(call)));
        self.tracks.push(Track::new(caller, x, id, prompts));
        let codecs = self.chance.one_of(["8 0", "8", "0 8", "8", "18"]);
        let Some(phone) = self.phones.get_mut(&id) else {
            return;
        };
        let leg = phone.endpoint.new_leg();
        phone.leg = Some(leg);
        let user = caller.map_or_else(|| "anonymous".to_owned(), PhoneNumber::reveal);
        let dial = Dial {
            hop: Hop::udp(SWITCH),
            target: format!("sip:{}@{SWITCH}", x.reveal()),
            identity: Identity::from(format!("sip:{user}@{carrier}")),
            max_forwards: hops_mark(call),
            sdp: phone.sdp(codecs),
        };
        let now = Time::from_millis(self.now_ms);
        phone.endpoint.handle_input(SipInput::Dial(leg, dial), now);
        self.drain_phone(id);
        for (after, act) in caller_temper(&mut self.chance) {
            self.plan(after, Coming::Act(id, act));
        }
    }

    fn add_phone(
        &mut self,
        carrier: Ipv4Addr,
        call: usize,
        is_caller: bool,
        events: Option<u8>,
    ) -> PhoneId {
        self.last_phone += 1;
        let id = self.last_phone;
        let port = FIRST_PHONE_PORT + (id % 50_000) as u16;
        let address = SocketAddr::new(carrier.into(), port);
        let phone = Phone::new(id, address, call, is_caller, events, &mut self.chance);
        self.by_address.insert(address, (id, call));
        self.phones.insert(id, phone);
        id
    }

    fn act(&mut self, id: PhoneId, act: Act) {
        let Some(phone) = self.phones.get_mut(&id) else {
            return;
        };
        let call = phone.call;
        if matches!(act, Act::Vanish | Act::GoDeaf) {
            self.tally.mishaps += 1;
        }
        if let Act::Key(key) = act {
            self.tracks[call].pressed[usize::from(!phone.is_caller)].push(key);
        }
        phone.act(act, self.now_ms);
        let who = if phone.is_caller { "caller" } else { "callee" };
        self.tell_story(call, || format!("{who} {act:?}"));
        if act == Act::Vanish {
            self.phones.remove(&id);
            self.listen_for_silence(call);
        } else {
            self.drain_phone(id);
        }
    }

    /// When nobody is left who could speak, the relay notices after a while.
    fn listen_for_silence(&mut self, call: usize) {
        let track = &self.tracks[call];
        let is_there = |id: &PhoneId| self.phones.contains_key(id);
        if is_there(&track.caller_phone) || track.callee_phones.iter().any(is_there) {
            return;
        }
        let key = self.keys.iter().find(|(_, at)| **at == call);
        if let Some((key, _)) = key {
            let lost = Input::MediaLost(*key);
            self.plan(10_000, Coming::Tell(lost));
        }
    }

    fn deliver(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let now = Time::from_millis(self.now_ms);
        if to == SWITCH {
            self.hearing = self.by_address.get(&from).map(|(_, call)| *call);
            let from = Hop::udp(from);
            self.tell(Input::Datagram { from, bytes });
            self.hearing = None;
            return;
        }
        let id = match to.port() {
            CARRIER_PORT => self.phone_of_carrier(to, bytes),
            _ => self.by_address.get(&to).map(|(id, _)| *id),
        };
        let Some(id) = id else { return };
        let Some(phone) = self.phones.get_mut(&id) else {
            return;
        };
        if phone.is_deaf {
            return;
        }
        let from = Hop::udp(SWITCH);
        phone
            .endpoint
            .handle_input(SipInput::Datagram { from, bytes }, now);
        self.drain_phone(id);
    }

    /// A carrier gives a call to a phone, and what follows to the same one.
    fn phone_of_carrier(&mut self, carrier: SocketAddr, bytes: &[u8]) -> Option<PhoneId> {
        let message = Message::parse(bytes).ok()?;
        let call_id = message.header(Name::CallId)?.to_vec();
        if let Some(id) = self.by_call_id.get(&call_id) {
            return Some(*id);
        }
        if message.method() != Some(Method::Invite) {
            return None;
        }
        let hops = message.essentials().ok()?.max_forwards;
        let events = sdp::parse(message.body()).ok()?.audio.events;
        let Some(call) = self.call_marked(hops, events) else {
            self.break_law(
                format!("a call came from nowhere: {hops:?} {events:?}"),
                None,
            );
            return None;
        };
        let IpAddr::V4(ip) = carrier.ip() else {
            return None;
        };
        let events = (!self.chance.one_in(3)).then_some(EVENTS.0);
        let id = self.add_phone(ip, call, false, events);
        self.by_call_id.insert(call_id, id);
        self.tracks[call].callee_phones.push(id);
        if self.tracks[call].callee_phones.len() > 1 {
            self.tally.failovers += 1;
        }
        let callee = numbers::dialled(&message);
        let shown = numbers::caller(&message);
        if let Err(what) = self.tracks[call].may_ring(callee, shown) {
            self.break_law(what, Some(call));
        }
        Some(id)
    }

    /// The youngest call with these marks that is still under way.
    fn call_marked(&self, hops: u8, events: Option<u8>) -> Option<usize> {
        let events = events?;
        (0..self.tracks.len())
            .rev()
            .take(HOPS.1 * EVENTS.1)
            .find(|&call| hops_mark(call) == hops + 1 && events_mark(call) == events)
    }

    fn drain_phone(&mut self, id: PhoneId) {
        let mut events = Vec::new();
        let Some(phone) = self.phones.get_mut(&id) else {
            return;
        };
        let (address, call, is_caller) = (phone.address, phone.call, phone.is_caller);
        let mut packets = Vec::new();
        while let Some(output) = phone.endpoint.poll_output() {
            match output {
                SipOutput::Send { to, bytes } => packets.push((to.address, bytes)),
                SipOutput::Event(event) => events.push(event),
            }
        }
        for (to, bytes) in packets {
            self.send(address, to, &bytes, call, is_caller);
        }
        for event in events {
            self.on_phone_event(id, event);
        }
        self.wake_phone(id);
    }

    fn wake_phone(&mut self, id: PhoneId) {
        let Some(phone) = self.phones.get_mut(&id) else {
            return;
        };
        let due = phone.endpoint.poll_timeout().map(Time::as_millis);
        if due.is_some() && due != phone.wakes_at {
            phone.wakes_at = due.map(|due| due.max(self.now_ms));
            let after = phone.wakes_at.unwrap_or(self.now_ms) - self.now_ms;
            self.plan(after, Coming::PhoneWakes(id));
        }
    }

    fn on_phone_event(&mut self, id: PhoneId, event: Event) {
        let Some(phone) = self.phones.get_mut(&id) else {
            return;
        };
        let (call, is_caller) = (phone.call, phone.is_caller);
        let talk = 500 + self.chance.below(60_000);
        match event {
            Event::Incoming { leg, .. } => {
                phone.leg = Some(leg);
                for (after, act) in callee_temper(&mut self.chance) {
                    self.plan(after, Coming::Act(id, act));
                }
            }
            Event::Answered { .. } | Event::Confirmed { .. } => {
                self.plan(talk, Coming::Act(id, Act::HangUp));
                for (after, act) in talker_temper(&mut self.chance) {
                    self.plan(after, Coming::Act(id, act));
                }
            }
            Event::Offered { sdp, .. } => {
                let described = sdp.as_deref().map(sdp::parse);
                phone.offered = match described {
                    Some(Ok(described)) => described.audio.direction,
                    _ => Direction::SendRecv,
                };
                if let Some((after, act)) = offered_temper(&mut self.chance) {
                    self.plan(after, Coming::Act(id, act));
                }
            }
            Event::OfferAccepted { .. } => self.tally.changes += 1,
            Event::Info { body, .. } => {
                let key = body.strip_prefix(b"Signal=").and_then(<[u8]>::first);
                self.key_arrives(call, !is_caller, key.map_or(' ', |&key| key.into()));
            }
            Event::Ended {
                cause,
                silent: false,
                ..
            } if is_caller => self.tracks[call].ended = Some(cause),
            Event::Refused {
                status,
                cause,
                silent: false,
                ..
            } if is_caller => self.tracks[call].refused = Some((status, cause)),
            _ => {}
        }
    }

    fn key_arrives(&mut self, call: usize, by_caller: bool, key: char) {
        self.tally.keys += 1;
        if let Err(what) = self.tracks[call].may_hear_key(by_caller, key) {
            self.break_law(what, Some(call));
        }
    }

    fn send(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
        call: usize,
        is_caller: bool,
    ) {
        self.tally.packets += 1;
        let is_cut = [from, to]
            .iter()
            .any(|end| self.network.is_cut(*end, self.now_ms));
        let delays = match is_cut {
            true => Vec::new(),
            false => self.network.delays(&mut self.chance),
        };
        let fate = match delays.len() {
            0 => "lost",
            1 => "",
            _ => "twice",
        };
        self.tell_story(call, || {
            let who = if is_caller { "caller" } else { "callee" };
            let arrow = if from == SWITCH { "<-" } else { "->" };
            format!("{who} {arrow} {} {fate}", first_line(bytes))
        });
        for delay in delays {
            self.plan(delay, Coming::Packet(from, to, bytes.to_vec()));
        }
    }

    fn tell(&mut self, input: Input<'_>) {
        let moment = self.moment();
        self.switch.handle_input(input, moment);
        while let Some(output) = self.switch.poll_output() {
            self.carry_out(output);
        }
        let due = self.switch.poll_timeout();
        if due.is_some() && due != self.switch_wakes_at {
            self.switch_wakes_at = due.map(|due| due.max(self.now_ms));
            let after = self.switch_wakes_at.unwrap_or(self.now_ms) - self.now_ms;
            self.plan(after, Coming::SwitchWakes);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send { to, bytes } => self.send_from_switch(to.address, &bytes),
            Output::AskRoute(key, query) => self.ask_route(key, query),
            Output::OpenRow(key, record) => {
                let durable = !self.chance.one_in(60);
                if let Some(track) = self.track_of(key) {
                    let twice = track.opened.replace(record.call_id).is_some();
                    if twice {
                        self.break_law("a row was opened twice".to_owned(), self.call_of(key));
                    }
                }
                // Now and then nobody ever says.
                if !self.chance.one_in(300) {
                    let after = self.chance.below(60);
                    self.plan(after, Coming::Tell(Input::RowOpened(key, durable)));
                }
            }
            Output::LeaseMedia(key, _) => {
                let lease = (self.leases < LEASES_MAX).then(|| {
                    let port = 20_000 + (self.sent % 5_000) as u16 * 4;
                    let at = |port| SocketAddr::new(SWITCH.ip(), port);
                    Lease {
                        caller: at(port),
                        callee: at(port + 2),
                    }
                });
                if lease.is_some() {
                    self.leases += 1;
                    if let Some(track) = self.track_of(key) {
                        let twice = std::mem::replace(&mut track.has_ports, true);
                        if twice {
                            self.break_law("ports were asked for twice".into(), self.call_of(key));
                        }
                    }
                }
                self.plan(0, Coming::Tell(Input::MediaLeased(key, lease)));
            }
            Output::Play(key, side, sound, repeat) => self.play(key, side, sound, repeat),
            Output::Relay(key, mut path) => {
                if let Some(caller) = &mut path.caller
                    && self.slips(Slip::StrayMedia)
                {
                    caller.address.set_ip(SWITCH.ip());
                }
                let call = self.call_of(key);
                let track = self.track_of(key).map(|track| track.may_relay(&path));
                if let Some(Err(what)) = track {
                    self.break_law(what, call);
                }
            }
            Output::SendDigit(key, to, digit) => {
                let digit = match self.slips(Slip::WrongKey) {
                    true => 'A',
                    false => digit,
                };
                if let Some(call) = self.call_of(key) {
                    self.key_arrives(call, to == Side::Callee, digit);
                }
            }
            Output::StopPlaying(..) | Output::Record(..) => {}
            Output::Finish(..) if self.slips(Slip::NoEnd) => {}
            Output::Finish(key, _) if self.slips(Slip::NoRecord) => self.finish(key, None),
            Output::Finish(key, record) => self.finish(key, record.as_deref()),
        }
    }

    fn call_of(&self, key: CallKey) -> Option<usize> {
        self.keys.get(&key).copied()
    }

    fn track_of(&mut self, key: CallKey) -> Option<&mut Track> {
        let call = self.call_of(key)?;
        self.tracks.get_mut(call)
    }

    fn ask_route(&mut self, key: CallKey, query: Query) {
        let Some(call) = self.hearing else {
            return self.break_law("a call began without an INVITE".to_owned(), None);
        };
        self.keys.insert(key, call);
        let track = &mut self.tracks[call];
        // A caller with a slow network may come twice under two names of one transaction, never under one.
        let is_first = !std::mem::replace(&mut track.is_asked, true);
        let is_right = (query.caller, query.x) == (track.caller, track.x);
        if !is_first || !is_right {
            return self.break_law(
                format!("the route was asked for {query:?}, first: {is_first}"),
                Some(call),
            );
        }
        if !self.chance.one_in(300) {
            let after = self.chance.below(25);
            self.plan(after, Coming::RouteIsRead(key, query));
        }
    }

    fn read_route(&mut self, key: CallKey, query: Query) {
        if self.chance.one_in(100) {
            return self.tell(Input::Routed(key, None));
        }
        let now = self.moment().wall;
        let expected = self.town.expected(&query, now);
        if let Some(track) = self.track_of(key) {
            track.expected = Some(expected);
        }
        if !matches!(expected, Expected::Rings(_)) {
            self.tally.refused += 1;
        }
        let route = self.town.route(&query, now);
        let mut trunks = trunks(None);
        trunks.remove(0);
        if self.chance.one_in(2) {
            trunks.reverse();
        }
        let routing = Routing {
            route: self.slip_on_route(route),
            pool: self.town.pool(query.x),
            account: Some(AccountId::new("acme")),
            trunks,
            tone: self.chance.one_in(3).then_some(ToneCode::NETWORK),
        };
        self.tell(Input::Routed(key, Some(Box::new(routing))));
    }

    /// Whether a planted slip happens now.
    fn slips(&mut self, slip: Slip) -> bool {
        self.slip == Some(slip) && self.chance.one_in(30)
    }

    fn slip_on_route(&mut self, mut route: Route) -> Route {
        if let Route::Connect(connection) = &mut route
            && self.slips(Slip::WrongParty)
        {
            connection.callee = connection.binding.x;
        }
        route
    }

    fn play(&mut self, key: CallKey, side: Side, sound: Sound, repeat: Repeat) {
        let prompt = match sound {
            Sound::Prompt(prompt) => prompt,
            Sound::Tone(_) => return self.play_tone(key, side, repeat),
        };
        if prompt != Prompt::RecordingNotice {
            self.tally.prompts += 1;
            if let Some(track) = self.track_of(key) {
                track.played = Some(prompt);
            }
        }
        // Now and then it never ends.
        if !self.chance.one_in(50) {
            let after = 500 + self.chance.below(5_000);
            self.plan(after, Coming::Tell(Input::Played(key, side)));
        }
    }

    fn play_tone(&mut self, key: CallKey, side: Side, repeat: Repeat) {
        self.tally.tones += 1;
        let (is_right, call) = (side == Side::Caller, self.call_of(key));
        if !is_right {
            self.break_law("a callee heard a ring tone".to_owned(), call);
        }
        if repeat == Repeat::Once {
            self.plan(3_000, Coming::Tell(Input::Played(key, side)));
        }
    }

    fn finish(&mut self, key: CallKey, record: Option<&CallRecord>) {
        let Some(call) = self.call_of(key) else {
            return self.break_law("a call ended that had not begun".to_owned(), None);
        };
        let track = &mut self.tracks[call];
        track.finished += 1;
        let has_ports = track.has_ports;
        if let Err(what) = track.may_end_with(record) {
            return self.break_law(what, Some(call));
        }
        if has_ports && !self.slips(Slip::KeptPorts) {
            self.leases -= 1;
        }
        self.tell_story(call, || format!("over: {record:?}"));
        let Some(record) = record else { return };
        self.tally.recorded += 1;
        self.tally.answered += u64::from(record.answered_at.is_some());
        let is_in_vain = record.answered_at.is_none() && record.sip_status == Some(200);
        self.tally.answered_in_vain += u64::from(is_in_vain);
        if let (Some(_), Some(x)) = (record.answered_at, record.x) {
            let dial = Query {
                caller: record.caller,
                x,
            };
            let is_still = self.town.expected(&dial, self.moment().wall);
            let was = self.tracks[call].expected;
            self.tally.outlived += u64::from(was != Some(is_still));
        }
        match record.situation.as_deref() {
            Some("x_full" | "caller_full") => self.tally.crowded += 1,
            Some("media_lost") => self.tally.media_lost += 1,
            _ => {}
        }
        self.tracks[call].situation = record.situation.clone();
    }

    fn send_from_switch(&mut self, to: SocketAddr, bytes: &[u8]) {
        let named;
        let bytes = match self.slip {
            Some(Slip::Telltale) => {
                named = telltale(bytes, &self.tracks);
                &named
            }
            _ => bytes,
        };
        let id = match to.port() {
            CARRIER_PORT => Message::parse(bytes)
                .ok()
                .and_then(|message| message.header(Name::CallId).map(<[u8]>::to_vec))
                .and_then(|call_id| self.by_call_id.get(&call_id).copied()),
            _ => self.by_address.get(&to).map(|(id, _)| *id),
        };
        let phone = id.and_then(|id| self.phones.get(&id));
        let (call, is_caller) = match phone {
            Some(phone) => (phone.call, phone.is_caller),
            // The first INVITE to a callee, or what goes to somebody who has vanished.
            None => return self.send(SWITCH, to, bytes, usize::MAX, false),
        };
        if let Some(secret) = self.secret_in(bytes, call, is_caller) {
            return self.break_law(
                format!("{secret} was told to the other side: {}", first_line(bytes)),
                Some(call),
            );
        }
        self.send(SWITCH, to, bytes, call, is_caller);
    }

    /// What must not be in a message to one side: the other's number and address.
    fn secret_in(&self, bytes: &[u8], call: usize, is_caller: bool) -> Option<&'static str> {
        let track = &self.tracks[call];
        let (own, other) = match (is_caller, track.expected) {
            (true, Some(Expected::Rings(callee))) => (track.caller, Some(callee)),
            (true, _) => (track.caller, None),
            (false, Some(Expected::Rings(callee))) => (Some(callee), track.caller),
            (false, _) => (None, track.caller),
        };
        let is_secret = |number: &PhoneNumber| Some(*number) != own && *number != track.x;
        if let Some(number) = other.filter(is_secret)
            && holds(bytes, number.reveal().as_bytes())
        {
            return Some("a number");
        }
        // Media addresses of phones all begin so, and none of ours does.
        holds(bytes, b" 10.").then_some("an address")
    }

    fn look_at_what_is_left(&mut self) {
        for call in 0..self.tracks.len() {
            let track = &self.tracks[call];
            if track.is_asked && track.finished != 1 {
                let what = format!("it ended {} times", track.finished);
                return self.break_law(what, Some(call));
            }
            if let Err(what) = track.was_told_rightly() {
                return self.break_law(what, Some(call));
            }
        }
        if self.leases != 0 {
            return self.break_law(format!("{} leases are left", self.leases), None);
        }
        if !self.switch.is_idle() {
            let what = format!("the switch is left with {} calls", self.switch.calls());
            return self.break_law(what, None);
        }
        let busy = self.phones.values().find(|phone| !phone.endpoint.is_idle());
        if let Some(phone) = busy {
            let (what, call) = ("a phone is left with something".to_owned(), phone.call);
            self.break_law(what, Some(call));
        }
    }
}

/// The message with the caller of the last call in a header of its own, as a careless gateway would have it.
fn telltale(bytes: &[u8], tracks: &[Track]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(caller) = tracks.iter().rev().find_map(|track| track.caller) {
        bytes.extend_from_slice(format!("P-Note: {}", caller.reveal()).as_bytes());
    }
    bytes
}

fn hops_mark(call: usize) -> u8 {
    HOPS.0 + (call % HOPS.1) as u8
}

fn events_mark(call: usize) -> u8 {
    EVENTS.0 + (call / HOPS.1 % EVENTS.1) as u8
}

/// The carriers as the switch knows them, perhaps without one.
fn trunks(without: Option<&str>) -> Vec<Trunk> {
    CARRIERS
        .iter()
        .map(|(name, address, prompts)| Trunk {
            said: maskline_domain::Trunk {
                enabled: without != Some(name),
                prompts: *prompts,
                ..maskline_domain::Trunk::new(TrunkName::new(name), String::new())
            },
            peer: Peer::new(
                PeerId(0),
                Hop::udp(SocketAddr::new((*address).into(), CARRIER_PORT)),
            ),
        })
        .collect()
}

fn first_line(bytes: &[u8]) -> String {
    let line = bytes
        .split(|&byte| byte == b'\r')
        .next()
        .unwrap_or_default();
    String::from_utf8_lossy(line).into_owned()
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}
