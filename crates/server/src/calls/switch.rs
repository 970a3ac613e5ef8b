//! Where legs become calls: the SIP endpoint on one side, the calls of two legs on the other.
//!
//! Like the machines below it, the switch does no I/O: datagrams, answers from the state and the records,
//! and the time go in; what to send, to ask and to relay comes out. Every message to one side is made
//! here from a few facts, never from the other side's message: who is shown (X), our own address, and an
//! SDP written anew.

mod live;

use super::call::{Bounds, Call, Deed, Happening, Moment};
use super::ending::{Ending, Reason};
use super::{Trunk, numbers};
use live::{Live, Media};
use maskline_domain::routing::{Dial as Query, Route};
use maskline_domain::{AccountId, PhoneNumber, PoolKey};
use maskline_sip::endpoint::{
    self, Endpoint, Event, Input as SipInput, LegId, Output as SipOutput, PeerId, Refusal,
};
use maskline_sip::g711::Law;
use maskline_sip::message::Message;
use maskline_sip::sdp::{Direction, Payloads};
use maskline_sip::time::Time;
use maskline_sip::uri::sip_uri;
use maskline_store::records::call::CallRecord;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// One call, for as long as the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey(u64);

impl CallKey {
    /// Its number.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl From<u64> for CallKey {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

/// What the state said about a call.
#[derive(Debug)]
pub struct Routing {
    /// What is to be done.
    pub route: Route,
    /// The pool of X.
    pub pool: Option<PoolKey>,
    /// The account that owns the pool.
    pub account: Option<AccountId>,
    /// Where the second leg is dialled; none if there is no trunk.
    pub trunk: Option<Trunk>,
}

/// What a call needs of the media plane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseWish {
    /// What the caller's side is told instead of the usual address.
    pub caller_advertised: Option<IpAddr>,
    /// What the callee's side is told instead of the usual address.
    pub callee_advertised: Option<IpAddr>,
}

/// The two addresses at which the relay receives: RTP from the caller, RTP from the callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What the caller is told.
    pub caller: SocketAddr,
    /// What the callee is told.
    pub callee: SocketAddr,
}

/// One side of a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaEnd {
    /// Where its description says that it is: from there its RTP must come, and there it is sent.
    pub address: SocketAddr,
    /// What its payload types mean.
    pub payloads: Payloads,
    /// The form of its sound. None is a codec that is passed on without being understood: then there are
    /// no prompts and no recording.
    pub law: Option<Law>,
    /// Who sends, seen from this side.
    pub direction: Direction,
    /// Whether it may be behind a translator of addresses: then its first packet says where it really is.
    pub nat: bool,
    /// Counts its descriptions. With each new one its address may be learnt anew.
    pub version: u32,
}

/// Both sides of a relay. A caller who only hears a prompt has nobody across.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MediaPath {
    /// The caller's.
    pub caller: Option<MediaEnd>,
    /// The callee's.
    pub callee: Option<MediaEnd>,
}

/// One of the two parties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The party that dialled X.
    Caller,
    /// The party that is reached.
    Callee,
}

impl Side {
    /// Both, the caller first.
    pub const BOTH: [Self; 2] = [Self::Caller, Self::Callee];

    /// The one across.
    pub fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }
}

/// What a party is told by voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Prompt {
    /// The number dialled does not exist.
    VacantNumber,
    /// The number dialled is not in use.
    NotInUse,
    /// The call cannot be connected.
    CannotConnect,
    /// The party is busy.
    Busy,
    /// Nobody answers.
    NoAnswer,
    /// The party refuses the call.
    Refused,
    /// The party cannot be reached for now.
    Unreachable,
    /// The call will be recorded.
    RecordingNotice,
    /// It rings.
    Ringback,
}

impl Prompt {
    /// Each of them.
    pub const ALL: [Self; 9] = [
        Self::VacantNumber,
        Self::NotInUse,
        Self::CannotConnect,
        Self::Busy,
        Self::NoAnswer,
        Self::Refused,
        Self::Unreachable,
        Self::RecordingNotice,
        Self::Ringback,
    ];

    /// In one word, for settings, files and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::VacantNumber => "vacant_number",
            Self::NotInUse => "not_in_use",
            Self::CannotConnect => "cannot_connect",
            Self::Busy => "busy",
            Self::NoAnswer => "no_answer",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::RecordingNotice => "recording_notice",
            Self::Ringback => "ringback",
        }
    }
}

/// How often a prompt is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Once; then [`Input::Played`] follows.
    Once,
    /// Until it is stopped.
    Forever,
}

/// What is to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordWish {
    /// The file below the directory of recordings, in a folder for its day: `2026-11-25/NAME.wav`.
    pub file: String,
}

/// What the switch is given.
pub enum Input<'a> {
    /// A SIP datagram.
    Datagram {
        /// From where.
        from: SocketAddr,
        /// What.
        bytes: &'a [u8],
    },
    /// The answer to [`Output::AskRoute`]; none if the state could not be read in time.
    Routed(CallKey, Option<Box<Routing>>),
    /// The answer to [`Output::OpenRow`]: whether the row is durable.
    RowOpened(CallKey, bool),
    /// The answer to [`Output::LeaseMedia`]; none if no port is free.
    MediaLeased(CallKey, Option<Lease>),
    /// The relay of this call has heard nothing for too long.
    MediaLost(CallKey),
    /// What was to be played once to this side has been played, or cannot be.
    Played(CallKey, Side),
    /// This side pressed a key that cannot be told to the other one by RTP.
    Digit(CallKey, Side, char),
    /// [`Switch::poll_timeout`] has come.
    Timeout,
    /// The trunks from which calls are taken from now on.
    Trunks(Vec<Trunk>),
    /// Take no new calls from now on.
    Drain,
    /// End all calls.
    HangUpAll,
}

/// What the switch wants done.
pub enum Output {
    /// Send this SIP datagram.
    Send {
        /// To whom.
        to: SocketAddr,
        /// What.
        bytes: Arc<[u8]>,
    },
    /// Ask the state for the route.
    AskRoute(CallKey, Query),
    /// Make the open row durable.
    OpenRow(CallKey, Box<CallRecord>),
    /// Find two pairs of ports for media.
    LeaseMedia(CallKey, LeaseWish),
    /// Relay between these two from now on.
    Relay(CallKey, MediaPath),
    /// Play this to this side, instead of what it would hear.
    Play(CallKey, Side, Prompt, Repeat),
    /// Stop what is played to this side.
    StopPlaying(CallKey, Side),
    /// Record both sides from now on, until the call is over.
    Record(CallKey, RecordWish),
    /// Send this key to this side by RTP.
    SendDigit(CallKey, Side, char),
    /// The call is over. Stop its relay if it has one; close its record if it has one.
    Finish(CallKey, Option<Box<CallRecord>>),
}

/// What the switch starts with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The address that peers are told for signalling.
    pub advertised: SocketAddr,
    /// The name of this node, for the records.
    pub node: String,
    /// The name of this run of the process, for the records.
    pub boot: String,
    /// The most calls at once.
    pub calls_max: usize,
    /// The longest call, in seconds.
    pub duration_max_s: u32,
    /// A fresh secret.
    pub seed: [u8; 32],
}

/// See the module.
pub struct Switch {
    setup: Setup,
    endpoint: Endpoint,
    /// In the order of their [`PeerId`]. A trunk keeps its place as long as the process lives, so that a
    /// number never means another one.
    trunks: Vec<Trunk>,
    calls: BTreeMap<CallKey, Live>,
    legs: BTreeMap<LegId, (CallKey, Side)>,
    deadlines: BTreeSet<(u64, CallKey)>,
    outputs: VecDeque<Output>,
    last_call: u64,
    draining: bool,
}

impl Switch {
    /// A switch without calls and without trunks.
    pub fn new(setup: Setup) -> Self {
        let mut config = endpoint::Config::new(setup.advertised);
        config.legs_max = setup.calls_max.saturating_mul(2);
        let endpoint = Endpoint::new(config, Vec::new(), setup.seed);
        Self {
            setup,
            endpoint,
            trunks: Vec::new(),
            calls: BTreeMap::new(),
            legs: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            outputs: VecDeque::new(),
            last_call: 0,
            draining: false,
        }
    }

    /// Calls that live.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Whether no call and no SIP transaction is left.
    pub fn is_idle(&self) -> bool {
        self.calls.is_empty()
            && self.legs.is_empty()
            && self.deadlines.is_empty()
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
        sip.into_iter().chain(call).min()
    }

    /// Takes one input. Drain [`Switch::poll_output`] before the next.
    pub fn handle_input(&mut self, input: Input<'_>, now: Moment) {
        match input {
            Input::Datagram { from, bytes } => self.sip(SipInput::Datagram { from, bytes }, now),
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
                    self.happen(key, Happening::Timeout, now);
                }
                self.sip(SipInput::Timeout, now);
            }
            Input::Routed(key, None) => self.happen(key, Happening::RouteUnknown, now),
            Input::Routed(key, Some(routing)) => self.on_route(key, *routing, now),
            Input::RowOpened(key, durable) => self.happen(key, Happening::RowOpened(durable), now),
            Input::MediaLeased(key, lease) => self.on_lease(key, lease, now),
            Input::MediaLost(key) => self.happen(key, Happening::MediaLost, now),
            // Nothing is played yet, and every key crosses by RTP.
            Input::Played(..) | Input::Digit(..) => {}
            Input::Trunks(trunks) => self.set_trunks(trunks),
            Input::Drain => self.draining = true,
            Input::HangUpAll => {
                let keys: Vec<CallKey> = self.calls.keys().copied().collect();
                for key in keys {
                    self.happen(key, Happening::Stopping, now);
                }
            }
        }
    }

    fn set_trunks(&mut self, trunks: Vec<Trunk>) {
        for known in &mut self.trunks {
            known.enabled = false;
        }
        for trunk in trunks {
            match self
                .trunks
                .iter_mut()
                .find(|known| known.name == trunk.name)
            {
                Some(known) => *known = trunk,
                None => self.trunks.push(trunk),
            }
        }
        self.endpoint.set_peers(peers(&self.trunks));
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

    fn on_event(&mut self, event: Event, now: Moment) {
        match event {
            Event::Incoming {
                leg,
                peer,
                invite,
                max_forwards,
            } => self.on_incoming(leg, peer, &invite, max_forwards, now),
            Event::Progress { leg, status, sdp } => {
                let Some((key, _)) = self.legs.get(&leg).copied() else {
                    return;
                };
                // Early media that we cannot carry is no reason to end a call that is only ringing.
                let early_media = sdp.is_some_and(|sdp| self.take_answer(key, &sdp).is_ok());
                self.happen(
                    key,
                    Happening::CalleeProgress {
                        status,
                        early_media,
                    },
                    now,
                );
            }
            Event::Answered { leg, sdp } => {
                let Some((key, _)) = self.legs.get(&leg).copied() else {
                    return;
                };
                let happening = match self.take_answer(key, &sdp.unwrap_or_default()) {
                    Ok(()) => Happening::CalleeAnswered,
                    Err(reason) => Happening::MediaRefused(reason),
                };
                self.happen(key, happening, now);
            }
            Event::Refused {
                leg,
                status,
                cause,
                silent,
            } => {
                self.leg_ended(
                    leg,
                    |_| Happening::CalleeRefused(status, cause, silent),
                    now,
                );
            }
            Event::Confirmed { .. } => {}
            Event::Cancelled { leg, cause } => {
                self.leg_ended(leg, |_| Happening::CallerGone(cause), now)
            }
            Event::Ended { leg, cause, .. } => {
                let gone = |side| match side {
                    Side::Caller => Happening::CallerGone(cause),
                    Side::Callee => Happening::CalleeGone(cause),
                };
                self.leg_ended(leg, gone, now);
            }
        }
    }

    fn leg_ended(&mut self, leg: LegId, happening: impl FnOnce(Side) -> Happening, now: Moment) {
        if let Some((key, side)) = self.legs.remove(&leg) {
            self.happen(key, happening(side), now);
        }
    }

    fn on_incoming(
        &mut self,
        leg: LegId,
        peer: PeerId,
        invite: &Message,
        max_forwards: u8,
        now: Moment,
    ) {
        if self.draining || self.calls.len() >= self.setup.calls_max {
            return self.refuse_leg(leg, Ending::of(Reason::Overload), now);
        }
        let Some(x) = numbers::dialled(invite) else {
            return self.refuse_leg(leg, Ending::of(Reason::XUnknown), now);
        };
        self.last_call += 1;
        let key = CallKey(self.last_call);
        let caller = numbers::caller(invite);
        let record = CallRecord {
            call_id: self.call_id(key, now),
            node: self.setup.node.clone(),
            boot: self.setup.boot.clone(),
            x: Some(x),
            caller,
            trunk_in: self.trunk_of(peer).map(|trunk| trunk.name.clone()),
            arrived_at: now.wall,
            ..CallRecord::default()
        };
        let live = Live {
            call: Call::new(
                Bounds {
                    duration_max_s: self.setup.duration_max_s,
                },
                now,
            ),
            record,
            x,
            caller_leg: leg,
            callee_leg: None,
            callee: None,
            trunk_out: None,
            max_forwards: max_forwards.saturating_sub(1),
            media: Media::from_offer(invite.body()),
            scheduled: None,
        };
        self.calls.insert(key, live);
        self.legs.insert(leg, (key, Side::Caller));
        self.outputs
            .push_back(Output::AskRoute(key, Query { caller, x }));
    }

    fn on_route(&mut self, key: CallKey, routing: Routing, now: Moment) {
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        live.record.pool = routing.pool.map(|pool| pool.to_string());
        live.record.account = routing.account.map(|account| account.to_string());
        live.trunk_out = routing.trunk;
        self.happen(key, Happening::Routed(routing.route), now);
    }

    /// The callee's SDP: what was agreed, and whither the relay sends.
    fn take_answer(&mut self, key: CallKey, sdp: &[u8]) -> Result<(), Reason> {
        let live = self.calls.get_mut(&key).ok_or(Reason::Failed)?;
        let path = live.media.take_answer(sdp)?;
        self.outputs
            .extend(path.map(|path| Output::Relay(key, path)));
        Ok(())
    }

    fn on_lease(&mut self, key: CallKey, lease: Option<Lease>, now: Moment) {
        let Some(lease) = lease else {
            return self.happen(key, Happening::MediaRefused(Reason::Overload), now);
        };
        let session = u64::from_be_bytes(first_bytes(&self.digest(b"session", key, now)));
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        let (Some(callee), Some(trunk)) = (live.callee, live.trunk_out.take()) else {
            return self.happen(key, Happening::MediaRefused(Reason::Unreachable), now);
        };
        let Some(offer) = live.media.lease(lease, session) else {
            return;
        };
        let leg = self.endpoint.new_leg();
        live.callee_leg = Some(leg);
        live.record.trunk_out = Some(trunk.name);
        let dial = endpoint::Dial {
            hop: trunk.peer,
            target: sip_uri(&callee.reveal(), trunk.peer),
            identity: sip_uri(&live.x.reveal(), self.setup.advertised),
            max_forwards: live.max_forwards,
            sdp: offer,
        };
        self.legs.insert(leg, (key, Side::Callee));
        self.sip(SipInput::Dial(leg, dial), now);
    }

    fn happen(&mut self, key: CallKey, happening: Happening, now: Moment) {
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        let deeds = live.call.handle(happening, now);
        let deadline = live.call.deadline();
        if live.scheduled != deadline {
            self.deadlines
                .extend(deadline.map(|deadline| (deadline, key)));
            let before = std::mem::replace(&mut live.scheduled, deadline);
            before.map(|before| self.deadlines.remove(&(before, key)));
        }
        for deed in deeds {
            self.carry_out(key, deed, now);
        }
    }

    fn carry_out(&mut self, key: CallKey, deed: Deed, now: Moment) {
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        let (caller_leg, callee_leg) = (live.caller_leg, live.callee_leg);
        match deed {
            Deed::OpenRow(connection) => {
                live.take_binding(&connection.binding);
                live.record.callee = Some(connection.callee);
                self.outputs
                    .push_back(Output::OpenRow(key, Box::new(live.record.clone())));
            }
            Deed::DialCallee(callee) => self.prepare_media(key, callee, now),
            Deed::TellCaller {
                status,
                early_media,
            } => {
                let sdp = live.media.answer().filter(|_| early_media);
                self.sip(SipInput::Progress(caller_leg, status, sdp), now);
            }
            Deed::AnswerCaller => {
                if let Some(sdp) = live.media.answer() {
                    self.sip(SipInput::Answer(caller_leg, sdp), now);
                }
            }
            Deed::RefuseCaller(ending) => self.refuse_leg(caller_leg, ending, now),
            Deed::HangUpCaller(cause) => self.hang_up(Some(caller_leg), cause, now),
            Deed::HangUpCallee(cause) => self.hang_up(callee_leg, cause, now),
            Deed::WriteRow(binding, closing) => {
                if let Some(binding) = binding {
                    live.take_binding(&binding);
                }
                live.take_closing(&closing);
            }
            Deed::CloseRow(closing) => live.take_closing(&closing),
            Deed::Forget => self.forget(key),
        }
    }

    /// Media first: a call that has no trunk, or whose media we cannot carry, is not dialled.
    fn prepare_media(&mut self, key: CallKey, callee: PhoneNumber, now: Moment) {
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        live.callee = Some(callee);
        if live.trunk_out.is_none() {
            self.happen(key, Happening::MediaRefused(Reason::Unreachable), now);
        } else if live.media.is_usable() {
            self.outputs
                .push_back(Output::LeaseMedia(key, LeaseWish::default()));
        } else {
            self.happen(key, Happening::MediaRefused(Reason::NoCommonCodec), now);
        }
    }

    fn refuse_leg(&mut self, leg: LegId, ending: Ending, now: Moment) {
        self.legs.remove(&leg);
        let refusal = Refusal {
            status: ending.status,
            cause: Some(ending.q850),
        };
        self.sip(SipInput::Refuse(leg, refusal), now);
    }

    fn hang_up(&mut self, leg: Option<LegId>, cause: u8, now: Moment) {
        if let Some(leg) = leg {
            self.legs.remove(&leg);
            self.sip(SipInput::HangUp(leg, Some(cause)), now);
        }
    }

    fn forget(&mut self, key: CallKey) {
        let Some(live) = self.calls.remove(&key) else {
            return;
        };
        if let Some(deadline) = live.scheduled {
            self.deadlines.remove(&(deadline, key));
        }
        self.legs.remove(&live.caller_leg);
        live.callee_leg.map(|leg| self.legs.remove(&leg));
        let is_recorded = live.record.released_at.is_some();
        self.outputs.push_back(Output::Finish(
            key,
            is_recorded.then(|| Box::new(live.record)),
        ));
    }

    fn trunk_of(&self, peer: PeerId) -> Option<&Trunk> {
        self.trunks.get(usize::try_from(peer.0).ok()?)
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

    fn digest(&self, purpose: &[u8], key: CallKey, now: Moment) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.setup.seed);
        hash.update(purpose);
        hash.update(key.0.to_be_bytes());
        hash.update(now.wall.millis().to_be_bytes());
        hash.finalize().into()
    }
}

fn first_bytes(digest: &[u8; 32]) -> [u8; 8] {
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    first
}

fn peers(trunks: &[Trunk]) -> Vec<endpoint::Peer> {
    let peer = |(id, trunk): (u32, &Trunk)| endpoint::Peer {
        id: PeerId(id),
        address: trunk.peer,
    };
    (0..)
        .zip(trunks)
        .filter(|(_, trunk)| trunk.enabled)
        .map(peer)
        .collect()
}

#[cfg(test)]
mod tests;
