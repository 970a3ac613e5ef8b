//! What phones and their carriers do.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use maskline_domain::PhoneNumber;
use maskline_sip::endpoint::{Dial, Event, Input as SipInput, Output as SipOutput};
use maskline_sip::hop::Hop;
use maskline_sip::identity::Identity;
use maskline_sip::message::{Message, Method, Name};
use maskline_sip::sdp::{self, Codec};
use maskline_sip::time::Time;
use maskline_switch::Input;
use maskline_switch::numbers;

use super::carriers::{CARRIERS, WorldCarrier};
use super::{
    CARRIER_PORT, Coming, DELAYED_ROUNDS, EVENTS, FIRST_PHONE_PORT, HOPS, OUR_EVENTS, World, hop_of,
};
use crate::calls::addresses::{PhoneId, SWITCH};
use crate::calls::laws::Track;
use crate::calls::phone::{
    Act, Make, Phone, callee_behaviour, caller_behaviour, offered_behaviour, talker_behaviour,
};

/// After so long without a word of media nothing is under way any more: a phone that never replies to an
/// offer is waited for so long.
const SETTLED_MS: u64 = 25_000;
/// And after so long nothing that was lost can be repeated any more: 64 T1, and a little.
const LOST_MS: u64 = 34_000;

impl World {
    pub(super) fn begin_call(&mut self) {
        if self.calls_left == 0 {
            return;
        }
        self.calls_left -= 1;
        self.tally.calls += 1;
        let pause = self.chance.below(300);
        self.plan(pause, Coming::Call);
        let (caller, x) = self.bindings.dial(&mut self.chance);
        let call = self.tracks.len();
        let WorldCarrier {
            address: carrier,
            prompts,
            ..
        } = self.chance.one_of(CARRIERS);
        let make = Make {
            events: Some(events_mark(call)),
            codecs: self.chance.one_of(["8 0", "8", "0 8", "8", "18"]),
            ..self.make(carrier)
        };
        let is_delayed = may_be_delayed(call) && self.phone_options.is_delayed(&mut self.chance);
        let make = match is_delayed {
            true => Make {
                events: Some(OUR_EVENTS),
                is_delayed,
                ..make
            },
            false => make,
        };
        let id = self.add_phone(carrier, call, true, make);
        self.tracks.push(Track::new(caller, x, id, prompts));
        self.tracks[call].is_delayed = is_delayed;
        let Some(phone) = self.phones.get_mut(&id) else {
            return;
        };
        let leg = phone.endpoint.new_leg();
        phone.leg = Some(leg);
        let user = caller.map_or_else(|| "anonymous".to_owned(), PhoneNumber::reveal);
        let dial = Dial {
            hop: switch_from(carrier),
            target: format!("sip:{}@{SWITCH}", x.reveal()),
            identity: Identity::from(format!("sip:{user}@{carrier}")),
            max_forwards: hops_mark(call),
            sdp: phone.first_offer(),
        };
        let now = Time::from_millis(self.now_ms);
        phone.endpoint.handle_input(SipInput::Dial(leg, dial), now);
        self.drain_phone(id);
        for (after, act) in caller_behaviour(&mut self.chance) {
            self.plan(after, Coming::Act(id, act));
        }
    }

    /// A phone at this carrier, with options of its own.
    fn make(&mut self, carrier: Ipv4Addr) -> Make {
        Make {
            transport: switch_from(carrier).transport,
            change: self.phone_options.change(&mut self.chance),
            is_multipart: self.phone_options.is_multipart(&mut self.chance),
            is_named: self.phone_options.is_named(&mut self.chance),
            offers_by_prack: self.phone_options.offers_by_prack(&mut self.chance),
            elsewhere: self
                .phone_options
                .answers_elsewhere(&mut self.chance)
                .then(|| self.chance.one_of(["8", "0", "8 0"])),
            ..Make::PLAIN
        }
    }

    pub(super) fn add_phone(
        &mut self,
        carrier: Ipv4Addr,
        call: usize,
        is_caller: bool,
        make: Make,
    ) -> PhoneId {
        self.last_phone += 1;
        let id = self.last_phone;
        let port = FIRST_PHONE_PORT + (id % 50_000) as u16;
        let address = SocketAddr::new(carrier.into(), port);
        let phone = Phone::new(id, address, call, is_caller, make, &mut self.chance);
        self.by_address.insert(address, (id, call));
        self.phones.insert(id, phone);
        id
    }

    pub(super) fn act(&mut self, id: PhoneId, act: Act) {
        let Some(phone) = self.phones.get_mut(&id) else {
            return;
        };
        let call = phone.call;
        if matches!(act, Act::Vanish | Act::GoDeaf) {
            self.tally.phone_faults += 1;
        }
        if let Act::Key(key) = act {
            self.tracks[call].pressed[usize::from(!phone.is_caller)].push(key);
        }
        if act == Act::HangUp && phone.is_talking {
            self.look_at_codecs(call);
        }
        let Some(phone) = self.phones.get_mut(&id) else {
            return;
        };
        phone.is_talking &= act != Act::HangUp;
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

    /// The law that both hear each other: the one codec, as the phones of a call see it once nothing is under
    /// way, and their media goes where they listen.
    fn look_at_codecs(&mut self, call: usize) {
        let track = &self.tracks[call];
        let callees = track.callee_phones.iter();
        let talking: Vec<&Phone> = callees
            .chain([&track.caller_phone])
            .filter_map(|id| self.phones.get(id))
            .filter(|phone| phone.is_talking && !phone.is_deaf)
            .collect();
        let is_quiet = |phone: &&Phone| phone.described_ms + SETTLED_MS < self.now_ms;
        let [callee, caller] = talking[..] else {
            return;
        };
        if !talking.iter().all(is_quiet) {
            return;
        }
        self.tally.compared += 1;
        let (one, other) = (callee.codec(), caller.codec());
        if one != other {
            let what = format!("the callee speaks {one:?} and the caller {other:?}");
            return self.break_law(what, Some(call));
        }
        let hears = [caller.hears_at(), callee.hears_at()];
        // Its answer to our offer was lost with its ACK: the call ends once that is known.
        let is_unheard = track.path.is_none() && track.is_delayed;
        let is_over = |phone: &&Phone| phone.described_ms + LOST_MS < self.now_ms;
        let is_unheeded = |phone: &&Phone| self.is_unheeded(phone.described_ms);
        let is_unfound = track.is_unfound || talking.iter().any(is_unheeded);
        if is_unheard || is_unfound || !talking.iter().all(is_over) {
            return;
        }
        let ends = track.path.as_ref().map(|path| [&path.caller, &path.callee]);
        let ends = ends
            .map(|ends| ends.map(Option::as_ref))
            .unwrap_or_default();
        let goes = ends.map(|end| end.map(|end| end.address));
        let is_known = one.is_some() && hears.iter().all(Option::is_some);
        if goes != hears && is_known {
            let what = format!("the phones listen at {hears:?}, and media goes to {goes:?}");
            return self.break_law(what, Some(call));
        }
        let law = ends[0].and_then(|end| end.law);
        if one.is_some() && law != one.map(Codec::law) {
            let what = format!("the phones speak {one:?}, and the relay takes it for {law:?}");
            self.break_law(what, Some(call));
        }
    }

    /// When nobody is left who could speak, the relay notices after a while.
    pub(super) fn listen_for_silence(&mut self, call: usize) {
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

    /// A carrier gives a call to a phone, and what follows to the same one.
    pub(super) fn phone_of_carrier(
        &mut self,
        carrier: SocketAddr,
        bytes: &[u8],
    ) -> Option<PhoneId> {
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
        let make = Make {
            events: (!self.chance.one_in(3)).then_some(EVENTS.0),
            codecs: self.chance.one_of(["8", "8", "8 0", "0"]),
            ..self.make(ip)
        };
        let id = self.add_phone(ip, call, false, make);
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
        if let Some(callee) = callee
            && let Err(what) = self.may_be_called(ip, self.tracks[call].x, callee)
        {
            self.break_law(what, Some(call));
        }
        Some(id)
    }

    /// The law of the right trunk: a call leaves by none that may not show its X, or does not take its callee.
    fn may_be_called(
        &self,
        carrier: Ipv4Addr,
        x: PhoneNumber,
        callee: PhoneNumber,
    ) -> Result<(), String> {
        let mut carriers = CARRIERS.iter();
        let carrier = carriers.find(|it| it.address == carrier);
        let is_right = carrier.is_some_and(|it| {
            it.is_called && self.bindings.may_leave(it.presents, it.routes, x, callee)
        });
        match is_right {
            true => Ok(()),
            false => Err(format!(
                "a call left by a trunk that is not for it: {carrier:?}"
            )),
        }
    }

    /// The youngest call with these marks that is still under way.
    pub(super) fn call_marked(&self, hops: u8, events: Option<u8>) -> Option<usize> {
        let events = events?;
        (0..self.tracks.len())
            .rev()
            .take(HOPS.1 * EVENTS.1)
            .find(|&call| {
                let is_it = match self.tracks[call].is_delayed {
                    true => events == OUR_EVENTS,
                    false => events == events_mark(call),
                };
                is_it && hops_mark(call) == hops + 1
            })
    }

    pub(super) fn drain_phone(&mut self, id: PhoneId) {
        let mut events = Vec::new();
        let Some(phone) = self.phones.get_mut(&id) else {
            return;
        };
        let (address, call, is_caller) = (phone.address, phone.call, phone.is_caller);
        let (mut packets, now) = (Vec::new(), Time::from_millis(self.now_ms));
        while let Some(output) = phone.endpoint.poll_output() {
            match output {
                SipOutput::Send { to, bytes } => {
                    let sent = phone.really_sent(&bytes, now);
                    packets.extend(sent.map(|bytes| (to.address, bytes)));
                }
                SipOutput::Event(event) => events.push(event),
            }
        }
        self.tally.multiparts += std::mem::take(&mut phone.multiparts);
        self.tally.elsewhere += std::mem::take(&mut phone.answered_elsewhere);
        for (to, bytes) in packets {
            self.send(address, to, &bytes, call, is_caller);
        }
        for event in events {
            self.on_phone_event(id, event);
        }
        self.wake_phone(id);
    }

    pub(super) fn wake_phone(&mut self, id: PhoneId) {
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

    pub(super) fn on_phone_event(&mut self, id: PhoneId, event: Event) {
        let Some(phone) = self.phones.get_mut(&id) else {
            return;
        };
        let (call, is_caller) = (phone.call, phone.is_caller);
        phone.is_talking &= !matches!(event, Event::Ended { .. });
        let talk = 500 + self.chance.below(60_000);
        match event {
            Event::Incoming { leg, .. } => {
                phone.leg = Some(leg);
                for (after, act) in callee_behaviour(&mut self.chance) {
                    self.plan(after, Coming::Act(id, act));
                }
            }
            Event::Answered { .. } | Event::Confirmed { .. } => {
                phone.is_talking = true;
                self.plan(talk, Coming::Act(id, Act::HangUp));
                for (after, act) in talker_behaviour(&mut self.chance) {
                    self.plan(after, Coming::Act(id, act));
                }
            }
            Event::Offered { sdp, .. } => {
                if let Some(Ok(described)) = sdp.as_deref().map(sdp::parse) {
                    phone.take_offer(&described.audio);
                }
                if let Some((after, act)) = offered_behaviour(&mut self.chance) {
                    self.plan(after, Coming::Act(id, act));
                }
            }
            Event::OfferAccepted { .. } => {
                self.tally.changes += 1;
                self.tally.early += u64::from(!phone.is_talking);
            }
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

    pub(super) fn key_arrives(&mut self, call: usize, by_caller: bool, key: char) {
        self.tally.keys += 1;
        if let Err(what) = self.tracks[call].may_hear_key(by_caller, key) {
            self.break_law(what, Some(call));
        }
    }
}

/// The switch as phones at this carrier reach it.
fn switch_from(carrier: Ipv4Addr) -> Hop {
    let at = SocketAddr::new(carrier.into(), CARRIER_PORT);
    Hop {
        address: SWITCH,
        transport: hop_of(at).transport,
    }
}

/// Whether the marks of a call suffice although it brings no offer.
fn may_be_delayed(call: usize) -> bool {
    (call / HOPS.1).is_multiple_of(DELAYED_ROUNDS)
}

fn hops_mark(call: usize) -> u8 {
    HOPS.0 + (call % HOPS.1) as u8
}

fn events_mark(call: usize) -> u8 {
    EVENTS.0 + (call / HOPS.1 % EVENTS.1) as u8
}
