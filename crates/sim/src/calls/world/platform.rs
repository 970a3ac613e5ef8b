//! What the switch asks of the server around it: the ledger, the records, the relay.

use std::net::SocketAddr;

use maskline_domain::call::Reached;
use maskline_domain::call_record::CallRecord;
use maskline_domain::routing::{Route, RouteQuery};
use maskline_domain::trunk::candidates;
use maskline_domain::{AccountId, PoolKey, ToneCode};
use maskline_sip::g711::Law;
use maskline_switch::{
    CallKey, Input, Lease, Output, Prompt, Repeat, Resolution, Routing, Side, Sound, TrunkPeer,
};

use super::carriers::trunks;
use super::{Coming, LEASES_APART, LEASES_MAX, World};
use crate::calls::Slip;
use crate::calls::addresses::{PORTS_APART, SWITCH, address_named, phone_named};
use crate::calls::bindings::Expected;
use crate::calls::laws::Track;
use crate::calls::pool_kinds::POOL_KINDS;

/// How long the switch waits for the answer to a look-up, and how long at most for a host name in all.
const LOOKUP_MS: u64 = 2_000;
const NAME_WAIT_MS: u64 = 4_000;

impl World {
    pub(super) fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send { to, bytes } => self.send_from_switch(to.address, &bytes),
            Output::UnknownSource(..) | Output::TrunkChanged(..) | Output::LocalMedia(_) => {}
            Output::AskRoute(key, query) => self.ask_route(key, query),
            Output::OpenRow(key, record, reached) => {
                self.note_milestones(key, reached);
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
                    self.leases_given += 1;
                    let pair = (self.leases_given % LEASES_APART) as u16;
                    let port = 20_000 + pair * PORTS_APART * 2;
                    let at = |port| SocketAddr::new(SWITCH.ip(), port);
                    Lease {
                        caller: at(port),
                        callee: at(port + PORTS_APART),
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
            // Everybody here speaks.
            Output::Unheard(..) => {}
            Output::Relay(key, mut path) => {
                if let Some(caller) = &mut path.caller
                    && self.slips(Slip::StrayMedia)
                {
                    caller.address.set_ip(SWITCH.ip());
                }
                if let Some(callee) = &mut path.callee
                    && self.slips(Slip::TwoCodecs)
                {
                    callee.law = callee.law.xor(Some(Law::Mu));
                }
                let call = self.call_of(key);
                let is_stale = self.slip == Some(Slip::StaleMedia);
                let track = self.track_of(key).map(|track| {
                    if let Some(before) = track.path.take().filter(|_| is_stale) {
                        path = before;
                    }
                    track.path = Some(path.clone());
                    track.may_relay(&path)
                });
                if let Some(Err(what)) = track {
                    self.break_law(what, call);
                }
            }
            Output::Resolve(name) => self.look_up(name),
            Output::SendDigit(key, to, digit) => {
                let digit = match self.slips(Slip::WrongKey) {
                    true => 'A',
                    false => digit,
                };
                if let Some(call) = self.call_of(key) {
                    self.key_arrives(call, to == Side::Callee, digit);
                }
            }
            // There are few: each of them goes on.
            Output::StopPlaying(..) if self.slip == Some(Slip::LongTone) => {}
            Output::StopPlaying(key, _) => {
                if let Some(track) = self.track_of(key) {
                    track.hears_tone = false;
                }
            }
            Output::Record(..) => {}
            Output::Reached(..) if self.slips(Slip::NoMilestone) => {}
            Output::Reached(key, _, reached) => self.note_milestones(key, vec![reached]),
            Output::Finish(..) if self.slips(Slip::NoEnd) => {}
            Output::Finish(key, ..) if self.slips(Slip::NoRecord) => self.finish(key, None),
            Output::Finish(key, record, reached) => {
                self.note_milestones(key, reached);
                self.finish(key, record.as_deref());
            }
        }
    }

    fn note_milestones(&mut self, key: CallKey, reached: Vec<Reached>) {
        if let Some(track) = self.track_of(key) {
            track.milestones.extend(reached);
        }
    }

    fn look_up(&mut self, name: Box<str>) {
        let found = match address_named(&name) {
            Some(address) => Resolution::Found {
                addresses: vec![address],
                holds_ms: self.chance.below(20_000),
            },
            None => Resolution::NoAddress,
        };
        // Now and then nobody ever says.
        let after = self.chance.below(100) * self.chance.below(20);
        let is_told = !self.chance.one_in(40);
        if is_told && after < LOOKUP_MS {
            return self.plan(after, Coming::Tell(Input::Resolved(name, found)));
        }
        self.unanswered.push(self.now_ms);
        let phone = phone_named(&name).and_then(|id| self.phones.get(&id));
        if let Some(track) = phone.and_then(|phone| self.tracks.get_mut(phone.call)) {
            track.is_unfound = true;
        }
    }

    /// Whether a name that was said then may have waited too long for its turn.
    pub(super) fn is_unheeded(&self, said_ms: u64) -> bool {
        let mut unanswered = self.unanswered.iter();
        unanswered.any(|began_ms| {
            let until_ms = began_ms + LOOKUP_MS + NAME_WAIT_MS;
            (began_ms.saturating_sub(NAME_WAIT_MS)..=until_ms).contains(&said_ms)
        })
    }

    pub(super) fn call_of(&self, key: CallKey) -> Option<usize> {
        self.keys.get(&key).copied()
    }

    pub(super) fn track_of(&mut self, key: CallKey) -> Option<&mut Track> {
        let call = self.call_of(key)?;
        self.tracks.get_mut(call)
    }

    pub(super) fn ask_route(&mut self, key: CallKey, query: RouteQuery) {
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

    pub(super) fn read_route(&mut self, key: CallKey, query: RouteQuery) {
        if self.chance.one_in(100) {
            return self.tell(Input::Routed(key, None));
        }
        let now = self.moment().wall;
        let expected = self.bindings.expected(&query, now);
        if let Some(track) = self.track_of(key) {
            track.expected = Some(expected);
        }
        if !matches!(expected, Expected::Rings(_)) {
            self.tally.refused += 1;
        }
        let route = self.bindings.route(&query, now);
        let trunks = self.choose_trunks(&route);
        let routing = Routing {
            route: self.slip_on_route(route),
            pool: self.bindings.pool(query.x),
            account: Some(AccountId::new("acme")),
            trunks,
            tone: self.chance.one_in(3).then_some(ToneCode::NETWORK),
        };
        self.tell(Input::Routed(key, Some(Box::new(routing))));
    }

    /// By which trunks a call with this route may leave, as the server chooses them.
    fn choose_trunks(&mut self, route: &Route) -> Vec<TrunkPeer> {
        let Route::Connect(connection) = route else {
            return Vec::new();
        };
        let mut connection = connection.clone();
        if self.slips(Slip::OtherX) {
            // As if X were of the next pool.
            let place = POOL_KINDS
                .iter()
                .position(|kind| kind.key == connection.pool.as_str());
            let next = place.map_or(0, |place| (place + 1) % POOL_KINDS.len());
            connection.pool = PoolKey::new(POOL_KINDS[next].key);
        }
        if self.slips(Slip::OtherCallee) {
            connection.callee = self
                .bindings
                .dial(&mut self.chance)
                .0
                .unwrap_or(connection.callee);
        }
        let pool = self.bindings.state().pool(&connection.pool);
        let call = connection.outbound(pool.and_then(|pool| pool.carrier.as_ref()));
        let known = trunks(None);
        let chosen = candidates(
            known.iter().map(|it| &it.definition),
            &call,
            self.chance.word(),
        );
        self.tally.without_trunk += u64::from(chosen.is_empty());
        let chosen = chosen.into_iter();
        chosen
            .filter_map(|chosen| known.iter().find(|it| it.definition == *chosen).cloned())
            .collect()
    }

    /// Whether a planted slip happens now.
    pub(super) fn slips(&mut self, slip: Slip) -> bool {
        self.slip == Some(slip) && self.chance.one_in(30)
    }

    pub(super) fn slip_on_route(&mut self, mut route: Route) -> Route {
        if let Route::Connect(connection) = &mut route
            && self.slips(Slip::WrongParty)
        {
            connection.callee = connection.binding.x;
        }
        route
    }

    pub(super) fn play(&mut self, key: CallKey, side: Side, sound: Sound, repeat: Repeat) {
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

    pub(super) fn play_tone(&mut self, key: CallKey, side: Side, repeat: Repeat) {
        self.tally.tones += 1;
        let call = self.call_of(key);
        let track = self.track_of(key);
        if let Some(Err(what)) = track.map(|track| track.may_hear_tone(side, repeat)) {
            return self.break_law(what, call);
        }
        if repeat == Repeat::Once {
            self.plan(3_000, Coming::Tell(Input::Played(key, side)));
        }
    }

    pub(super) fn finish(&mut self, key: CallKey, record: Option<&CallRecord>) {
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
            let query = RouteQuery {
                caller: record.caller,
                x,
            };
            let is_still = self.bindings.expected(&query, self.moment().wall);
            let was = self.tracks[call].expected;
            self.tally.outlived += u64::from(was != Some(is_still));
        }
        match record.situation.as_deref() {
            Some("x_full" | "caller_full") => self.tally.over_limit += 1,
            Some("media_lost") => self.tally.media_lost += 1,
            _ => {}
        }
        self.tracks[call].situation = record.situation.clone();
    }
}
