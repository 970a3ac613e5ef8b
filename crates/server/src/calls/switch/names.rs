//! Host names where a description should have an address (RFC 8866 section 5.7): the shell is asked, and what
//! happens on a leg waits for the answer, in its order. A name that is not known in time is unknown.

use super::{Output, Switch};
use maskline_domain::call::Moment;
use maskline_sip::endpoint::{Event, LegId};
use maskline_sip::sdp;
use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

/// How long an answer is waited for, in milliseconds.
const WAIT_MS: u64 = 3_000;
/// How long an address is believed, and how long that there is none, in milliseconds.
const KNOWN_MS: u64 = 60_000;
const UNKNOWN_MS: u64 = 5_000;
/// The most names that are remembered, and the most that are asked for at once.
const NAMES_MAX: usize = 512;
const ASKED_MAX: usize = 32;

/// See the module.
#[derive(Default)]
pub(super) struct Names {
    /// What is known of a name, and until when, on the clock that never jumps.
    known: BTreeMap<Box<str>, (Option<IpAddr>, u64)>,
    /// Names that were asked for, and until when they are waited for.
    asked: BTreeMap<Box<str>, u64>,
    /// Legs that wait, each for one name, and what happened on them meanwhile.
    waiting: BTreeMap<LegId, (Box<str>, VecDeque<Event>)>,
}

impl Names {
    /// When a name has been waited for long enough.
    pub fn deadline(&self) -> Option<u64> {
        self.asked.values().copied().min()
    }

    /// Whether nothing waits.
    pub fn is_idle(&self) -> bool {
        self.asked.is_empty() && self.waiting.is_empty()
    }

    /// What is known of this name now; none if it must be asked for.
    fn known(&self, name: &str, now_ms: u64) -> Option<Option<IpAddr>> {
        let (address, until) = self.known.get(name)?;
        (now_ms < *until).then_some(*address)
    }

    fn learn(&mut self, name: &str, address: Option<IpAddr>, now_ms: u64) {
        self.asked.remove(name);
        if self.known.len() >= NAMES_MAX {
            self.known.retain(|_, (_, until)| now_ms < *until);
        }
        if self.known.len() >= NAMES_MAX {
            self.known.pop_first();
        }
        let lasts = if address.is_some() {
            KNOWN_MS
        } else {
            UNKNOWN_MS
        };
        self.known.insert(name.into(), (address, now_ms + lasts));
    }

    /// Those that wait for this name, with what happened on them.
    fn release(&mut self, name: &str) -> Vec<(LegId, VecDeque<Event>)> {
        let legs: Vec<LegId> = self
            .waiting
            .iter()
            .filter(|(_, (waited, _))| **waited == *name)
            .map(|(leg, _)| *leg)
            .collect();
        let take = |leg| Some((leg, self.waiting.remove(&leg)?.1));
        legs.into_iter().filter_map(take).collect()
    }
}

impl Switch {
    /// What happened on a leg, unless it must wait for a name.
    pub(super) fn on_event(&mut self, event: Event, now: Moment) {
        let Some(leg) = leg_of(&event) else {
            return self.take_event(event, now);
        };
        if let Some((_, events)) = self.names.waiting.get_mut(&leg) {
            return events.push_back(event);
        }
        let name = sdp_of(&event).and_then(sdp::host_name);
        match name.filter(|name| self.names.known(name, now.tick_ms).is_none()) {
            None => {
                let event = self.with_addresses(event, now);
                self.take_event(event, now);
            }
            Some(name) => {
                let name: Box<str> = name.into();
                self.ask_for_name(&name, now);
                self.names.waiting.insert(leg, (name, [event].into()));
            }
        }
    }

    fn ask_for_name(&mut self, name: &str, now: Moment) {
        let until = now.tick_ms.saturating_add(WAIT_MS);
        // One too many is not asked for, and is unknown when its time has come.
        let is_new = !self.names.asked.contains_key(name);
        if is_new {
            let asks = self.names.asked.len() < ASKED_MAX;
            self.names.asked.insert(name.into(), until);
            self.outputs
                .extend(asks.then(|| Output::Resolve(name.into())));
        }
    }

    /// The shell has looked the name up: all its addresses, none if there are none. We take one of a family
    /// that our media speaks, if there is one.
    pub(super) fn on_resolved(&mut self, name: &str, addresses: &[IpAddr], now: Moment) {
        if !self.names.asked.contains_key(name) {
            return;
        }
        let ours = &self.setup.ours;
        let mut usual = (addresses.iter()).filter(|it| ours.can_speak_with(**it, None));
        let address = usual.next().or(addresses.first()).copied();
        self.names.learn(name, address, now.tick_ms);
        for (_, events) in self.names.release(name) {
            for event in events {
                self.on_event(event, now);
            }
        }
    }

    /// Names that were not found in time are unknown.
    pub(super) fn give_up_names(&mut self, now: Moment) {
        let asked = self.names.asked.iter();
        let due: Vec<Box<str>> = asked
            .filter(|(_, until)| **until <= now.tick_ms)
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            self.on_resolved(&name, &[], now);
        }
    }

    /// A description with the address in the place of its host name, as far as that is known.
    pub(super) fn with_address<'a>(&self, body: &'a [u8], now: Moment) -> Cow<'a, [u8]> {
        let name = sdp::host_name(body);
        let known = name.and_then(|name| Some((name, self.names.known(name, now.tick_ms)??)));
        match known {
            Some((name, address)) => sdp::with_address(body, name, address).into(),
            None => body.into(),
        }
    }
}

impl Switch {
    /// What happened, with an address in the place of each host name. That of an INVITE is put in where the
    /// INVITE is read.
    fn with_addresses(&self, mut event: Event, now: Moment) -> Event {
        let named = sdp_of(&event).filter(|sdp| sdp::host_name(sdp).is_some());
        let Some(known) = named.map(|sdp| self.with_address(sdp, now).into_owned()) else {
            return event;
        };
        match &mut event {
            Event::Progress { sdp, .. } | Event::Answered { sdp, .. } => *sdp = Some(known.into()),
            Event::Confirmed { sdp, .. } | Event::Offered { sdp, .. } => *sdp = Some(known),
            Event::OfferAccepted { sdp, .. } => *sdp = known,
            _ => {}
        }
        event
    }
}

fn leg_of(event: &Event) -> Option<LegId> {
    match event {
        Event::Incoming { leg, .. }
        | Event::Trying { leg }
        | Event::Progress { leg, .. }
        | Event::Answered { leg, .. }
        | Event::Refused { leg, .. }
        | Event::Confirmed { leg, .. }
        | Event::Offered { leg, .. }
        | Event::OfferWithdrawn { leg }
        | Event::OfferAccepted { leg, .. }
        | Event::OfferRefused { leg, .. }
        | Event::Info { leg, .. }
        | Event::Cancelled { leg, .. }
        | Event::Ended { leg, .. } => Some(*leg),
        Event::PeerState { .. } | Event::Registered { .. } | Event::Stranger { .. } => None,
    }
}

fn sdp_of(event: &Event) -> Option<&[u8]> {
    match event {
        Event::Incoming { invite, .. } => invite.sdp(),
        Event::Progress { sdp, .. } | Event::Answered { sdp, .. } => sdp.as_deref(),
        Event::Confirmed { sdp, .. } | Event::Offered { sdp, .. } => sdp.as_deref(),
        Event::OfferAccepted { sdp, .. } => Some(sdp),
        _ => None,
    }
}
