//! One world: everything that is under way, in order of time. Which carriers there are, what phones do, what becomes of packets and
//! what the switch asks for is a file each.

mod carriers;
mod phones;
mod platform;
mod tally;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use maskline_domain::Timestamp;
use maskline_domain::call::{Moment, Notice};
use maskline_domain::routing::RouteQuery;
use maskline_sip::endpoint::Input as SipInput;
use maskline_sip::hop::{Hop, Transport};
use maskline_sip::relay::LocalMedia;
use maskline_sip::time::Time;
use maskline_switch::{CallKey, Input, Setup, Switch};

use super::addresses::{PhoneId, SWITCH};
use super::bindings::BindingWorld;
use super::laws::Track;
use super::network::{Network, NetworkFaults, PhoneOptions};
use super::phone::{Act, Phone};
use super::{Plan, Slip};
use crate::chance::Chance;
use carriers::{CARRIERS, trunks};
pub use tally::Tally;

/// The carrier that speaks over streams.
const STREAMS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
/// Where a carrier takes calls.
const CARRIER_PORT: u16 = 5060;
const FIRST_PHONE_PORT: u16 = 10_000;
/// Ports for media, in pairs of calls at once.
const LEASES_MAX: usize = 60;
/// As many pairs are given away before one is given again.
const LEASES_APART: u64 = 2_000;
/// So long after the last call everything must be over.
const AFTERMATH_MS: u64 = 1_200_000;
/// Lines that are kept of the story of a call.
const STORY_LINES: usize = 120;
/// What the wall clock says at the beginning.
const BEGIN: Timestamp = Timestamp::from_secs(1_772_424_000);
/// Marks of calls: Max-Forwards and the payload type of keys reach the callee, and nothing else does.
const HOPS: (u8, usize) = (11, 58);
const EVENTS: (u8, usize) = (102, 25);
/// The mark of a call whose caller made no offer: the payload type of our own.
const OUR_EVENTS: u8 = 101;
/// Of so many rounds of marks by Max-Forwards, such calls are in one, so that they are told apart by it.
const DELAYED_ROUNDS: usize = 8;

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
    /// Who sent this way learns that the stream is gone.
    Broken(SocketAddr, SocketAddr),
    PhoneWakes(PhoneId),
    SwitchWakes,
    Act(PhoneId, Act),
    Call,
    Change,
    Outage,
    TrunksChange,
    Tell(Input<'static>),
    RouteIsRead(CallKey, RouteQuery),
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
    bindings: BindingWorld,
    network: Network,
    phone_options: PhoneOptions,
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
    /// When look-ups began that nobody answered: other names may have waited too long for their turn, too.
    unanswered: Vec<u64>,
    leases_given: u64,
    /// Offers whose media would come back: from where, and their method and number.
    media_loops: BTreeSet<(SocketAddr, Vec<u8>)>,
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
            domains: Vec::new(),
            node: "n1".into(),
            boot: "b1".into(),
            calls_max: 90,
            per_x_max: 5,
            per_caller_max: 7,
            duration_max_s: 45,
            notice: Notice::Both,
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
            wall: BEGIN,
            tick_ms: 0,
        };
        switch.handle_input(Input::Trunks(trunks(None)), moment);
        let faults = NetworkFaults::new(&mut chance);
        let phone_options = PhoneOptions::new(&mut chance);
        let mut world = Self {
            chance,
            now_ms: 0,
            calls_left: plan.calls,
            slip: plan.slip,
            coming: BTreeMap::new(),
            sent: 0,
            switch,
            switch_wakes_at: None,
            bindings: BindingWorld::new(BEGIN),
            network: Network::new(faults),
            phone_options,
            phones: BTreeMap::new(),
            by_address: BTreeMap::new(),
            by_call_id: BTreeMap::new(),
            last_phone: 0,
            tracks: Vec::new(),
            keys: BTreeMap::new(),
            hearing: None,
            leases: 0,
            unanswered: Vec::new(),
            leases_given: 0,
            media_loops: BTreeSet::new(),
            tally: Tally::default(),
            broken: None,
            watched,
            story: Vec::new(),
        };
        for _ in 0..30 {
            world.bindings.change(&mut world.chance, BEGIN);
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
            self.on_coming(coming);
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

    fn on_coming(&mut self, coming: Coming) {
        match coming {
            Coming::Packet(from, to, bytes) => self.deliver(from, to, &bytes),
            Coming::Broken(from, to) => self.break_stream(from, to),
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
                self.bindings.change(&mut self.chance, now);
                if self.calls_left > 0 {
                    let pause = self.chance.below(2_000);
                    self.plan(pause, Coming::Change);
                }
            }
            Coming::Outage => {
                if self.calls_left > 0 {
                    let carrier = self.chance.one_of(CARRIERS).address;
                    let until = self.now_ms + 1_000 + self.chance.below(40_000);
                    self.network.cut(carrier.into(), until);
                    self.tally.outages += 1;
                    self.plan(60_000, Coming::Outage);
                }
            }
            Coming::TrunksChange => {
                let name = self.chance.one_of(CARRIERS).name;
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

/// The end of a way, by what it is reached there.
fn hop_of(address: SocketAddr) -> Hop {
    let transport = match address.ip() == IpAddr::V4(STREAMS) {
        true => Transport::Tcp,
        false => Transport::Udp,
    };
    Hop { address, transport }
}
