//! Host names where a description should have an address (RFC 8866 section 5.7): the shell is asked, and what
//! happens on a leg waits for the answer, in its order. Each trunk has its share of the look-ups
//! ([`shares`]), and what was found holds for a while ([`known`]). That a name was not answered in time is never
//! taken for an answer.

mod known;
mod shares;

pub use shares::LOOKUP_MS;

use super::media::Unfit;
use super::{Output, Resolution, Switch};
use crate::TrunkPeer;
use known::KnownNames;
use maskline_domain::TrunkName;
use maskline_domain::call::{Moment, Side};
use maskline_sip::endpoint::{Event, LegId};
use maskline_sip::sdp;
use shares::Shares;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

/// How long a leg waits for a name, its turn and its look-up, in milliseconds.
const WAIT_MS: u64 = 4_000;
/// The most legs of one trunk that wait.
const LEGS_MAX: usize = 256;
/// The most that happens on a leg while it waits. With more it waits no longer.
const EVENTS_MAX: usize = 32;

/// What the host name of a description stands for; no address where it names no host.
pub(super) type Resolved = Result<Option<IpAddr>, Unfit>;

/// A leg that waits for a name, and what happened on it meanwhile.
struct Waiting {
    name: Box<str>,
    trunk: TrunkName,
    until_ms: u64,
    events: VecDeque<Event>,
}

/// See the module.
#[derive(Default)]
pub(super) struct MediaNames {
    known: KnownNames,
    shares: Shares,
    waiting: BTreeMap<LegId, Waiting>,
    /// Until when each of them waits, on the clock that never jumps.
    deadlines: BTreeSet<(u64, LegId)>,
    /// How many of them each trunk has.
    counts: BTreeMap<TrunkName, usize>,
}

impl MediaNames {
    /// When something has been waited for long enough.
    pub fn deadline(&self) -> Option<u64> {
        let leg = self.deadlines.first().map(|(until_ms, _)| *until_ms);
        leg.into_iter().chain(self.shares.deadline()).min()
    }

    /// Whether nothing waits, and nothing is looked up.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.shares.is_idle()
    }

    /// Has a leg wait, unless too many do.
    fn enter(&mut self, leg: LegId, waiting: Waiting) -> Result<(), Waiting> {
        let count = self.counts.get(&waiting.trunk).copied().unwrap_or(0);
        if count >= LEGS_MAX || self.shares.ask(&waiting.trunk, &waiting.name).is_err() {
            return Err(waiting);
        }
        self.counts.insert(waiting.trunk.clone(), count + 1);
        self.deadlines.insert((waiting.until_ms, leg));
        self.waiting.insert(leg, waiting);
        Ok(())
    }

    fn leave(&mut self, leg: LegId) -> Option<VecDeque<Event>> {
        let waiting = self.waiting.remove(&leg)?;
        self.deadlines.remove(&(waiting.until_ms, leg));
        if let Some(count) = self.counts.get_mut(&waiting.trunk) {
            *count = count.saturating_sub(1);
        }
        self.counts.retain(|_, count| *count > 0);
        Some(waiting.events)
    }

    /// The legs that wait for this name.
    fn legs(&self, name: &str) -> Vec<LegId> {
        let waiting = self.waiting.iter();
        waiting
            .filter(|(_, waiting)| *waiting.name == *name)
            .map(|(leg, _)| *leg)
            .collect()
    }

    /// What nobody waits for any more has no turn.
    fn withdraw(&mut self) {
        let waiting = self.waiting.values();
        let wanted: BTreeSet<(&TrunkName, &str)> =
            waiting.map(|leg| (&leg.trunk, &*leg.name)).collect();
        self.shares
            .retain(|trunk, name| wanted.contains(&(trunk, name)));
    }
}

impl Switch {
    /// What happened on a leg, unless it must wait for a name.
    pub(super) fn on_event(&mut self, event: Event, now: Moment) {
        let Some(leg) = event.leg() else {
            return self.take_event(event, Ok(None), now);
        };
        if let Some(waiting) = self.media_names.waiting.get_mut(&leg) {
            let is_cancelled = matches!(event, Event::Cancelled { .. });
            let is_over = is_cancelled || waiting.events.len() >= EVENTS_MAX;
            waiting.events.push_back(event);
            if is_over {
                self.release(leg, &Err(Unfit::HostUnanswered), now);
                self.media_names.withdraw();
            }
            return;
        }
        let name = sdp_of(&event).and_then(sdp::host_name);
        let Some(name) = name.map(str::to_ascii_lowercase) else {
            return self.take_event(event, Ok(None), now);
        };
        match self.media_names.known.get(&name, now.tick_ms) {
            Some(found) => self.take_named(event, &found, now),
            None => self.wait_for_name(leg, name.into(), event, now),
        }
    }

    fn wait_for_name(&mut self, leg: LegId, name: Box<str>, event: Event, now: Moment) {
        let trunk = self
            .trunk_behind(&event)
            .map(|trunk| &trunk.definition.name);
        let Some(trunk) = trunk.cloned() else {
            // It belongs to no call any more.
            return self.take_event(event, Err(Unfit::HostUnanswered), now);
        };
        let waiting = Waiting {
            name,
            trunk,
            until_ms: now.tick_ms.saturating_add(WAIT_MS),
            events: [event].into(),
        };
        match self.media_names.enter(leg, waiting) {
            Ok(()) => self.begin_lookups(now),
            Err(mut refused) => {
                for event in refused.events.drain(..) {
                    self.take_event(event, Err(Unfit::HostUnanswered), now);
                }
            }
        }
    }

    fn begin_lookups(&mut self, now: Moment) {
        while let Some(name) = self.media_names.shares.begin(now.tick_ms) {
            self.outputs.push_back(Output::Resolve(name));
        }
    }

    /// The shell has looked the name up. One that was given up, or that nobody asked for, is passed over.
    pub(super) fn on_resolved(&mut self, name: &str, resolution: Resolution, now: Moment) {
        let names = &mut self.media_names;
        let Some(trunk) = names.shares.end(name) else {
            return;
        };
        match resolution {
            Resolution::Found {
                addresses,
                holds_ms,
            } => names
                .known
                .learn(name, addresses, holds_ms, trunk, now.tick_ms),
            Resolution::NoAddress => names.known.learn(name, Vec::new(), 0, trunk, now.tick_ms),
            Resolution::Unanswered => {}
        }
        let found = names.known.get(name, now.tick_ms);
        let found = found.unwrap_or(Err(Unfit::HostUnanswered));
        for leg in self.media_names.legs(name) {
            self.release(leg, &found, now);
        }
        self.begin_lookups(now);
    }

    /// Names that were not found in time, and legs that have waited long enough.
    pub(super) fn give_up_names(&mut self, now: Moment) {
        let mut is_any = false;
        while let Some((_, leg)) = self
            .media_names
            .deadlines
            .first()
            .copied()
            .filter(|(until_ms, _)| *until_ms <= now.tick_ms)
        {
            self.release(leg, &Err(Unfit::HostUnanswered), now);
            is_any = true;
        }
        if is_any {
            self.media_names.withdraw();
        }
        for name in self.media_names.shares.overdue(now.tick_ms) {
            self.on_resolved(&name, Resolution::Unanswered, now);
        }
        self.begin_lookups(now);
    }

    /// Calls that have not begun wait no longer: none begins any more.
    pub(super) fn release_newcomers(&mut self, now: Moment) {
        let waiting = self.media_names.waiting.iter();
        let is_new = |leg: &Waiting| matches!(leg.events.front(), Some(Event::Incoming { .. }));
        let newcomers: Vec<LegId> = waiting
            .filter(|(_, leg)| is_new(leg))
            .map(|(leg, _)| *leg)
            .collect();
        for leg in newcomers {
            self.release(leg, &Err(Unfit::HostUnanswered), now);
        }
        self.media_names.withdraw();
    }

    /// What happened on a leg that waited.
    fn release(&mut self, leg: LegId, found: &Result<Vec<IpAddr>, Unfit>, now: Moment) {
        let mut events = self.media_names.leave(leg).unwrap_or_default();
        if let Some(event) = events.pop_front() {
            self.take_named(event, found, now);
        }
        for event in events {
            self.on_event(event, now);
        }
    }

    /// What happened, with the address that its host name stands for. Of several we take one of a family that
    /// our media speaks on this trunk, if there is one.
    fn take_named(&mut self, event: Event, found: &Result<Vec<IpAddr>, Unfit>, now: Moment) {
        let addresses = match found {
            Ok(addresses) => addresses,
            Err(why) => return self.take_event(event, Err(*why), now),
        };
        let advertised = self
            .trunk_behind(&event)
            .and_then(|it| it.definition.rtp_advertised);
        let local = &self.setup.local_media;
        let mut usual = (addresses.iter()).filter(|ip| local.can_speak_with(**ip, advertised));
        let Some(address) = usual.next().or(addresses.first()).copied() else {
            return self.take_event(event, Err(Unfit::NoSuchHost), now);
        };
        self.take_event(event, Ok(Some(address)), now);
    }

    /// The trunk of the leg on which something happened; none if it is of no call any more.
    fn trunk_behind(&self, event: &Event) -> Option<&TrunkPeer> {
        if let Event::Incoming { peer, .. } = event {
            return self.trunk_of(*peer);
        }
        let (key, side) = self.legs.get(&event.leg()?)?;
        let live = self.calls.get(key)?;
        match side {
            Side::Caller => Some(&live.trunk_in),
            Side::Callee => live.trunks.get(live.trunk),
        }
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
