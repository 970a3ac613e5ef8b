//! Where legs become calls: the SIP endpoint on one side, the calls of two legs on the other.
//!
//! Like the machines below it, the switch does no I/O: datagrams, answers from the state and the records,
//! and the time go in; what to send, to ask and to relay comes out. Every message to one side is made
//! here from a few facts, never from the other side's message: who is shown (X), our own address, and an
//! SDP written anew.
//!
//! Each stretch is a file: `arrival` up to the route, `events` from legs to calls, `actions` from calls to
//! legs: what is to be done is decided by the call, how it is said in SIP here. `caller` tells it what
//! becomes of its call, `media` holds what was agreed and `offers` changes it, `dtmf` passes keys on that
//! come as INFO, `call_limits` and `trunk_load` count calls by number and by trunk, `trunks` keeps who may be
//! called and who answers, `media_reach` where their media can be, `media_loops` finds media that would
//! loop, `ladder` remembers what was said. `media_names` waits for host names in descriptions.

mod actions;
mod active_call;
mod arrival;
mod call_limits;
mod caller;
mod codecs;
mod dtmf;
mod events;
mod ladder;
mod live_calls;
mod media;
mod media_loops;
mod media_names;
mod media_reach;
pub mod numbers;
mod offers;
pub mod peers;
mod trunk_load;
mod trunks;
mod types;

pub use types::{
    Input, Output, Resolution, Routing, Setup, TrunkChange, TrunkPeer, recording_file,
};

use active_call::ActiveCall;
use call_limits::CallLimits;
pub use live_calls::{LiveCall, TurnedAway};
pub use maskline_domain::call::CallKey;
use maskline_domain::call::{Input as CallInput, Moment};
pub use maskline_domain::call::{Prompt, Side, Sound};
use maskline_sip::endpoint::{
    self, Endpoint, Input as SipInput, LegId, Output as SipOutput, PeerId, Screen,
};
use maskline_sip::hop::Hop;
pub use maskline_sip::relay::{
    Lease, LeaseRequest, MediaEnd, MediaPath, RecordingRequest, Repeat, Unheard,
};
use maskline_sip::time::Time;
use media_loops::MediaLoops;
pub use media_names::LOOKUP_MS;
use media_names::MediaNames;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use trunk_load::Loads;
pub use trunks::{Registration, TrunkHealth};

/// See the module.
pub struct Switch {
    setup: Setup,
    endpoint: Endpoint,
    /// In the order of their [`PeerId`]. A trunk keeps its place as long as the process lives, so that a
    /// number never means another one.
    trunks: Vec<TrunkPeer>,
    // Boxed, since what is moved within the map should be small.
    calls: BTreeMap<CallKey, Box<ActiveCall>>,
    call_limits: CallLimits,
    loads: Loads,
    media_loops: MediaLoops,
    /// Calls whose media would come back to themselves, and that are to be ended for it.
    looped_calls: BTreeSet<CallKey>,
    legs: BTreeMap<LegId, (CallKey, Side)>,
    deadlines: BTreeSet<(u64, CallKey)>,
    media_names: MediaNames,
    /// Peers that were asked whether they are there, whether they said so, and where that was.
    answering: BTreeMap<PeerId, (bool, Hop)>,
    /// Places of trunks where nobody answered a call, and until when they are tried after others.
    silent: BTreeMap<Hop, u64>,
    outputs: VecDeque<Output>,
    last_call: u64,
    draining: bool,
    /// Whether the peers were told that we are gone.
    has_left: bool,
    turned_away: TurnedAway,
}

impl Switch {
    /// A switch without calls and without trunks.
    pub fn new(setup: Setup) -> Self {
        let mut config = endpoint::Config::new(setup.advertised);
        config.advertised_tls = setup.advertised_tls;
        config.domains = setup.domains.clone();
        config.legs_max = setup.calls_max.saturating_mul(2);
        let endpoint = Endpoint::new(config, Vec::new(), setup.seed);
        Self {
            setup,
            endpoint,
            trunks: Vec::new(),
            calls: BTreeMap::new(),
            call_limits: CallLimits::default(),
            loads: Loads::default(),
            media_loops: MediaLoops::default(),
            looped_calls: BTreeSet::new(),
            legs: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            media_names: MediaNames::default(),
            answering: BTreeMap::new(),
            silent: BTreeMap::new(),
            outputs: VecDeque::new(),
            last_call: 0,
            draining: false,
            has_left: false,
            turned_away: TurnedAway::default(),
        }
    }

    /// From now on `screen` is asked about each new call.
    pub fn set_screen(&mut self, screen: Screen) {
        self.endpoint.set_screen(screen);
    }

    /// Calls that live.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Whether no call and no SIP transaction is left.
    pub fn is_idle(&self) -> bool {
        self.calls.is_empty()
            && self.call_limits.is_empty()
            && self.loads.is_empty()
            && self.media_loops.is_empty()
            && self.legs.is_empty()
            && self.deadlines.is_empty()
            && self.media_names.is_idle()
            && self.endpoint.is_idle()
    }

    /// What is to be done now.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due, on the clock that never jumps.
    pub fn poll_timeout(&self) -> Option<u64> {
        let sip = self.endpoint.poll_timeout().map(Time::as_millis);
        let call = self.deadlines.first().map(|(deadline, _)| *deadline);
        let name = self.media_names.deadline();
        sip.into_iter().chain(call).chain(name).min()
    }

    /// Takes one input. Drain [`Switch::poll_output`] before the next.
    pub fn handle_input(&mut self, input: Input<'_>, now: Moment) {
        match input {
            Input::Datagram { from, bytes } => self.sip(SipInput::Datagram { from, bytes }, now),
            Input::Unreachable(hop) => self.sip(SipInput::Unreachable(hop), now),
            Input::Timeout => {
                while let Some((deadline, key)) = self
                    .deadlines
                    .first()
                    .copied()
                    .filter(|(at, _)| *at <= now.tick_ms)
                {
                    self.deadlines.remove(&(deadline, key));
                    if let Some(live) = self.calls.get_mut(&key) {
                        live.scheduled = None;
                    }
                    self.give_to_call(key, CallInput::Timeout, now);
                }
                self.give_up_names(now);
                self.sip(SipInput::Timeout, now);
            }
            Input::Resolved(name, found) => self.on_resolved(&name, found, now),
            Input::Routed(key, None) => self.give_to_call(key, CallInput::RouteUnknown, now),
            Input::Routed(key, Some(routing)) => self.on_route(key, *routing, now),
            Input::RowOpened(key, durable) => {
                self.give_to_call(key, CallInput::RowOpened(durable), now)
            }
            Input::MediaLeased(key, lease) => self.on_lease(key, lease, now),
            Input::Played(key, side) => self.give_to_call(key, CallInput::Played(side), now),
            Input::Digit(key, side, digit) => self.on_digit(key, side, digit, now),
            Input::MediaLost(key) => self.give_to_call(key, CallInput::MediaLost, now),
            Input::Trunks(trunks) => self.set_trunks(trunks),
            Input::Interfaces(addresses) => {
                self.change_local_media(|local| local.set_interfaces(addresses));
            }
            Input::Drain => {
                self.draining = true;
                self.release_newcomers(now);
            }
            Input::Leave => self.leave(now),
            Input::HangUpAll => {
                for key in self.keys() {
                    self.give_to_call(key, CallInput::Stopping, now);
                }
            }
        }
        self.end_looped_calls(now);
    }

    fn sip(&mut self, input: SipInput<'_>, now: Moment) {
        self.endpoint
            .handle_input(input, Time::from_millis(now.tick_ms));
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                SipOutput::Send { to, bytes } => self.outputs.push_back(Output::Send { to, bytes }),
                SipOutput::Event(event) => self.on_event(event, now),
            }
        }
    }

    /// Gives this to the machine of a call that is still there, and carries out what it wants.
    fn give_to_call(&mut self, key: CallKey, input: CallInput, now: Moment) {
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        let actions = live.call.handle(input, now);
        self.reschedule(key);
        for action in actions {
            self.carry_out(key, action, now);
        }
    }

    fn reschedule(&mut self, key: CallKey) {
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        let deadline = live.call.deadline();
        if live.scheduled != deadline {
            self.deadlines
                .extend(deadline.map(|deadline| (deadline, key)));
            let before = std::mem::replace(&mut live.scheduled, deadline);
            before.map(|before| self.deadlines.remove(&(before, key)));
        }
    }

    /// Ascending in time, so that records lie together; its second half cannot be guessed.
    fn call_id(&self, key: CallKey, now: Moment) -> String {
        let random = u64::from_be_bytes(first_bytes(&self.digest(b"call id", key, now)));
        format!(
            "{:012x}{:012x}",
            now.wall.millis() & 0xffff_ffff_ffff,
            random >> 16
        )
    }

    /// A number for `o=` that tells nothing.
    fn session(&self, key: CallKey, whose: &[u8], now: Moment) -> u64 {
        let purpose = [b"session", whose].concat();
        u64::from_be_bytes(first_bytes(&self.digest(&purpose, key, now)))
    }

    fn digest(&self, purpose: &[u8], key: CallKey, now: Moment) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.setup.seed);
        hash.update(purpose);
        hash.update(key.number().to_be_bytes());
        hash.update(now.wall.millis().to_be_bytes());
        hash.finalize().into()
    }
}

fn first_bytes(digest: &[u8; 32]) -> [u8; 8] {
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    first
}

#[cfg(test)]
mod tests;
