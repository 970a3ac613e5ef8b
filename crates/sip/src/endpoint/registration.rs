//! What we do about peers without being asked: registering (RFC 3261 section 10.2) and probing with
//! OPTIONS (section 11.1). Both go on for as long as the peer is known, and neither keeps the endpoint
//! from being idle. A peer with several places is asked at the next where one does not answer, and only
//! when none does is it unreachable.

use super::dialog::Head;
use super::table::{Owner, Timers};
use super::{ClientKey, Endpoint, Event, Peer, PeerId, Registration, RegistrationState};
use crate::hop::Hop;
use crate::message::{Message, Method, Name, NameAddr, Writer};
use crate::text::{self, hex64};
use crate::time::Time;
use crate::uri::{Scheme, Uri, host_text};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The shortest time between two probes of one peer, in seconds.
const PROBE_EVERY_S_MIN: u16 = 5;
/// The lifetimes of a registration that we ask for or believe, in seconds.
const EXPIRES_S_MIN: u32 = 60;
const EXPIRES_S_MAX: u32 = 86_400;
/// After a registration that failed: the first wait, which doubles, and the longest (RFC 5626 section 4.5).
const BACK_OFF_S: u64 = 30;
const BACK_OFF_S_MAX: u64 = 1_800;
/// The longest `Retry-After` that is heeded, in seconds.
const RETRY_AFTER_S_MAX: u64 = 3_600;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Chore {
    Register,
    Probe,
    /// OPTIONS, once, because somebody wants to know.
    Test,
}

/// What came of asking a peer once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tested {
    /// Where it was asked.
    pub at: Hop,
    /// The status of its answer; none if it did not answer, or could not be connected to.
    pub status: Option<u16>,
}

/// What the requests of one chore have in common: by what they are told apart from others, and the number
/// of the last one.
struct Sequence {
    call_id: String,
    tag: u64,
    cseq: u32,
}

impl Sequence {
    /// Begins a request. `from` and `to` are values of their headers without a tag.
    fn request(&self, method: Method, uri: &str, via: &str, from: &str, to: &str) -> Writer {
        let from = format!("{from};tag={}", hex64(self.tag));
        let head = Head {
            method,
            uri: uri.as_bytes(),
            via: via.as_bytes(),
            from: from.as_bytes(),
            to: to.as_bytes(),
            call_id: self.call_id.as_bytes(),
            cseq: self.cseq,
            max_forwards: 70,
        };
        head.write(std::iter::empty())
    }
}

/// One chore for one peer: a request that is sent again and again, in a sequence of its own.
struct Work {
    sequence: Sequence,
    pending: Option<ClientKey>,
    scheduled: Option<Time>,
    /// For a registration: the lifetime to ask for.
    expires_s: u32,
    /// Failures in a row.
    failures: u32,
    /// How the last one ended.
    status: Option<u16>,
    /// Whether that was the peer's own word.
    is_refused: bool,
    /// Whether the peer is there, as far as this tells.
    is_well: Option<bool>,
    /// For a registration: until when it holds.
    until: Option<Time>,
    /// Where the last one was sent.
    at: Option<Hop>,
    /// Places that did not answer, in a row.
    silent: usize,
}

impl Work {
    /// Where the next request goes: where the last one went, if the peer is still there.
    fn place(&self, peer: &Peer) -> Hop {
        let kept = self.at.filter(|at| peer.hops().any(|hop| hop == *at));
        kept.unwrap_or(peer.hop)
    }

    /// The last place did not answer. True if the peer has another that was not asked since one did.
    fn pass_on(&mut self, peer: &Peer) -> bool {
        let places = peer.hops().count();
        let asked = self.place(peer);
        let at = peer.hops().position(|hop| hop == asked).unwrap_or_default();
        self.at = peer.hops().nth((at + 1) % places);
        self.silent += 1;
        let is_more = self.silent < places;
        if !is_more {
            self.silent = 0;
        }
        is_more
    }
}

/// A registration that is to be given up: its peer is no more, or is another.
struct Farewell {
    peer: Peer,
    sequence: Sequence,
}

/// All chores of all peers.
#[derive(Default)]
pub(super) struct Care {
    work: BTreeMap<(PeerId, Chore), Work>,
    reachable: BTreeMap<PeerId, (bool, Hop)>,
    clients: BTreeMap<ClientKey, (PeerId, Chore)>,
    farewells: Vec<Farewell>,
    /// Requests that give a registration up, and the peer as it was. Nobody waits for their answer.
    leaving: BTreeMap<ClientKey, Peer>,
    /// What came of the last test of a peer, until somebody asks or it is tested again.
    tested: BTreeMap<PeerId, Tested>,
    timers: Timers,
}

impl Care {
    /// The peer that a request is a chore for.
    pub fn peer_of(&self, key: ClientKey) -> Option<PeerId> {
        self.clients.get(&key).map(|(peer, _)| *peer)
    }

    /// The peer, as it was, whose registration a request gives up.
    pub fn left_by(&self, key: ClientKey) -> Option<&Peer> {
        self.leaving.get(&key)
    }

    /// Requests that live and that the endpoint need not wait for.
    pub fn under_way(&self) -> usize {
        self.clients.len()
    }

    pub fn rekey(&mut self, before: ClientKey, after: ClientKey) {
        if let Some(peer) = self.leaving.get(&before).cloned() {
            self.leaving.insert(after, peer);
        }
        let Some(task) = self.clients.get(&before).copied() else {
            return;
        };
        self.clients.insert(after, task);
        if let Some(work) = self.work.get_mut(&task)
            && work.pending == Some(before)
        {
            work.pending = Some(after);
        }
    }

    pub fn forget(&mut self, key: ClientKey) {
        self.clients.remove(&key);
        self.leaving.remove(&key);
    }

    pub fn next(&self) -> Option<Time> {
        if self.farewells.is_empty() {
            self.timers.next()
        } else {
            Some(Time::default())
        }
    }

    fn schedule(&mut self, task: (PeerId, Chore), due: Option<Time>) {
        if let Some(work) = self.work.get_mut(&task) {
            self.timers
                .set(Owner::Chore(task.0, task.1), &mut work.scheduled, due);
        }
    }

    fn remove(&mut self, task: (PeerId, Chore)) -> Option<Work> {
        self.schedule(task, None);
        self.work.remove(&task)
    }
}

impl Endpoint {
    /// Begins the chores that `peers` bring, and ends those that they no longer bring. What is the same as
    /// before goes on undisturbed.
    pub(super) fn take_care_of(&mut self, before: &[Peer]) {
        let same = |peer: &Peer, chore| match chore {
            Chore::Register => before.iter().any(|old| {
                (old.id, &old.registration, &old.credentials)
                    == (peer.id, &peer.registration, &peer.credentials)
                    && old.advertised == peer.advertised
            }),
            Chore::Probe => before.iter().any(|old| {
                (old.id, &old.host, old.probe_every_s) == (peer.id, &peer.host, peer.probe_every_s)
            }),
            Chore::Test => true,
        };
        // It may have moved among places that it keeps; where none was asked yet the first must be the same.
        let stays = |peer: &Peer, at: Option<Hop>| match at {
            Some(at) => peer.hops().any(|hop| hop == at),
            None => before
                .iter()
                .any(|old| (old.id, old.hop) == (peer.id, peer.hop)),
        };
        let wants = |peer: &Peer, chore| match chore {
            Chore::Register => peer.registration.is_some(),
            Chore::Probe => peer.probe_every_s.is_some(),
            Chore::Test => true,
        };
        let known: Vec<((PeerId, Chore), Option<Hop>)> = self
            .care
            .work
            .iter()
            .map(|(task, work)| (*task, work.at))
            .collect();
        for (task, at) in known {
            let peer = self.peers.iter().find(|peer| peer.id == task.0);
            let goes_on =
                |peer: &Peer| wants(peer, task.1) && same(peer, task.1) && stays(peer, at);
            if !peer.is_some_and(goes_on) {
                self.drop_chore(task, before);
            }
        }
        let wanted: Vec<(PeerId, Chore, u32)> = self
            .peers
            .iter()
            .flat_map(|peer| [(peer, Chore::Register), (peer, Chore::Probe)])
            .filter(|(peer, chore)| wants(peer, *chore))
            .map(|(peer, chore)| {
                let expires_s = peer.registration.as_ref().map_or(0, |r| r.expires_s);
                (
                    peer.id,
                    chore,
                    expires_s.clamp(EXPIRES_S_MIN, EXPIRES_S_MAX),
                )
            })
            .collect();
        for (peer, chore, expires_s) in wanted {
            if self.care.work.contains_key(&(peer, chore)) {
                continue;
            }
            let work = self.fresh_work(expires_s);
            self.care.work.insert((peer, chore), work);
            self.care.schedule((peer, chore), Some(Time::default()));
        }
        // What was heard of a peer holds while it is asked at the same place.
        let peers = &self.peers;
        let known = |id: &PeerId| peers.iter().any(|peer| peer.id == *id);
        self.care.tested.retain(|id, _| known(id));
        self.care.reachable.retain(|id, (_, at)| {
            let peer = peers.iter().find(|peer| peer.id == *id);
            peer.is_some_and(|peer| {
                let is_asked = wants(peer, Chore::Register) || wants(peer, Chore::Probe);
                is_asked && peer.hops().any(|hop| hop == *at)
            })
        });
    }

    fn fresh_work(&mut self, expires_s: u32) -> Work {
        let sequence = Sequence {
            call_id: format!("{:032x}", self.chance.next_u128()),
            tag: self.chance.next_u64(),
            cseq: 0,
        };
        Work {
            sequence,
            pending: None,
            scheduled: None,
            expires_s,
            failures: 0,
            status: None,
            is_refused: false,
            is_well: None,
            until: None,
            at: None,
            silent: 0,
        }
    }

    /// Asks a peer by OPTIONS once, at the next time-out, which is at once, and where it was heard last.
    /// What comes of it is had by [`Endpoint::tested`]. False for a peer that is not known, or is being
    /// tested.
    pub fn test(&mut self, peer: PeerId) -> bool {
        let task = (peer, Chore::Test);
        let is_known = self.peers.iter().any(|known| known.id == peer);
        if !is_known || self.care.work.contains_key(&task) {
            return false;
        }
        self.care.tested.remove(&peer);
        let at = self.care.reachable.get(&peer).map(|(_, at)| *at);
        let work = Work {
            at,
            ..self.fresh_work(0)
        };
        self.care.work.insert(task, work);
        self.care.schedule(task, Some(Time::default()));
        true
    }

    /// What came of a test, once.
    pub fn tested(&mut self, peer: PeerId) -> Option<Tested> {
        self.care.tested.remove(&peer)
    }

    fn drop_chore(&mut self, task: (PeerId, Chore), before: &[Peer]) {
        let Some(work) = self.care.remove(task) else {
            return;
        };
        let old = before.iter().find(|peer| peer.id == task.0);
        if task.1 == Chore::Register
            && work.until.is_some()
            && let Some(old) = old
        {
            let mut sequence = work.sequence;
            sequence.cseq += 1;
            // Where it was made, and nowhere else.
            let peer = Peer {
                hop: work.at.unwrap_or(old.hop),
                ..old.clone()
            };
            self.care.farewells.push(Farewell { peer, sequence });
        }
        if let Some(key) = work.pending {
            self.forget_client(key);
        }
    }

    /// Chores whose time has come.
    pub(super) fn on_care_timeout(&mut self, now: Time) {
        for farewell in std::mem::take(&mut self.care.farewells) {
            let hop = farewell.peer.hop;
            let Some(registration) = farewell.peer.registration.clone() else {
                continue;
            };
            let (key, via) = self.fresh_via(hop.into());
            let peer = &farewell.peer;
            let bytes = self.write_register(&registration, peer, &via, &farewell.sequence, 0);
            self.care.leaving.insert(key, farewell.peer);
            self.start_plain_client(key, bytes, hop, None, now);
        }
        while let Some(owner) = self.care.timers.pop_due(now) {
            let Owner::Chore(peer, chore) = owner else {
                continue;
            };
            if let Some(work) = self.care.work.get_mut(&(peer, chore)) {
                work.scheduled = None;
                self.do_chore((peer, chore), now);
            }
        }
    }

    fn do_chore(&mut self, task: (PeerId, Chore), now: Time) {
        let Some(peer) = self.peers.iter().find(|peer| peer.id == task.0).cloned() else {
            return;
        };
        let Some(work) = self.care.work.get_mut(&task) else {
            return;
        };
        // The last one was never answered, though there was time enough.
        if let Some(key) = work.pending.take() {
            self.forget_client(key);
            self.on_chore_end(task, None, 408, now);
        }
        let Some(hop) = self.care.work.get(&task).map(|work| work.place(&peer)) else {
            return;
        };
        let (key, via) = self.fresh_via(hop.into());
        let Some(work) = self.care.work.get_mut(&task) else {
            return;
        };
        work.at = Some(hop);
        work.sequence.cseq += 1;
        work.pending = Some(key);
        let Some(work) = self.care.work.get(&task) else {
            return;
        };
        let (sequence, expires_s) = (&work.sequence, work.expires_s);
        let bytes = match (task.1, &peer.registration) {
            (Chore::Register, Some(registration)) => {
                let peer = Peer {
                    hop,
                    ..peer.clone()
                };
                self.write_register(registration, &peer, &via, sequence, expires_s)
            }
            (Chore::Register, None) => return,
            (Chore::Probe | Chore::Test, _) => {
                self.write_probe(hop, peer.host.as_deref(), &via, sequence)
            }
        };
        if task.1 == Chore::Probe {
            let every_s = peer.probe_every_s.unwrap_or_default();
            let every_s = every_s.max(PROBE_EVERY_S_MIN);
            let due = now + Duration::from_secs(every_s.into());
            self.care.schedule(task, Some(due));
        }
        self.care.clients.insert(key, task);
        self.start_plain_client(key, bytes, hop, None, now);
    }

    fn write_register(
        &self,
        registration: &Registration,
        peer: &Peer,
        via: &str,
        sequence: &Sequence,
        expires_s: u32,
    ) -> Arc<[u8]> {
        let record = registration.address_of_record.as_str();
        let said = registration.registrar.clone();
        let registrar = said
            .or_else(|| registrar_of(record))
            .unwrap_or_else(|| format!("sip:{}", host_text(peer.hop.address)));
        let party = format!("<{record}>");
        let mut writer = sequence.request(Method::Register, &registrar, via, &party, &party);
        let contact = self.registered_contact(registration, peer);
        let expires = expires_s.to_string();
        writer
            .line(
                Name::Contact,
                &[b"<", contact.as_bytes(), b">;expires=", expires.as_bytes()],
            )
            .line(Name::Expires, &[expires.as_bytes()]);
        writer.finish()
    }

    /// By the peer as it was told, which may be none of ours any more.
    fn registered_contact(&self, registration: &Registration, peer: &Peer) -> String {
        let hop = peer.hop;
        let usual = self.config.advertised_by(hop.transport);
        let address = peer.advertised.unwrap_or(usual);
        let uri = crate::uri::sip_uri(&registration.contact_user, address);
        if hop.transport.is_stream() {
            format!("{uri};transport={}", hop.transport.as_param())
        } else {
            uri
        }
    }

    fn write_probe(
        &self,
        hop: Hop,
        host: Option<&str>,
        via: &str,
        sequence: &Sequence,
    ) -> Arc<[u8]> {
        let target = match host {
            Some(host) => format!("sip:{host}"),
            None => format!("sip:{}", host_text(hop.address)),
        };
        let contact = self.contact(hop.into());
        let to = format!("<{target}>");
        let mut writer = sequence.request(Method::Options, &target, via, &contact, &to);
        writer
            .line(Name::Contact, &[contact.as_bytes()])
            .line(Name::Accept, &[b"application/sdp"]);
        writer.finish()
    }

    /// The final answer to a request that was a chore; false if it was none. None for `response`: nobody
    /// answered.
    pub(super) fn end_chore(
        &mut self,
        key: ClientKey,
        response: Option<&Message>,
        status: u16,
        now: Time,
    ) -> bool {
        let Some(task) = self.care.clients.get(&key).copied() else {
            return false;
        };
        if let Some(work) = self.care.work.get_mut(&task)
            && work.pending == Some(key)
        {
            work.pending = None;
            // A proof may have taken numbers of the sequence.
            let number =
                response.and_then(|response| Some(response.essentials().ok()?.cseq.number));
            work.sequence.cseq = work.sequence.cseq.max(number.unwrap_or_default());
            self.on_chore_end(task, response, status, now);
        }
        true
    }

    fn on_chore_end(
        &mut self,
        task: (PeerId, Chore),
        response: Option<&Message>,
        status: u16,
        now: Time,
    ) {
        if task.1 == Chore::Test {
            let at = self.care.remove(task).and_then(|work| work.at);
            if let Some(at) = at {
                let status = response.map(|_| status);
                self.care.tested.insert(task.0, Tested { at, status });
            }
            return;
        }
        // Whoever refuses is there; 503 says that calls make no sense now.
        let is_there = response.is_some() && !matches!(status, 408 | 503);
        let peer = self.peers.iter().find(|peer| peer.id == task.0);
        let Some(work) = self.care.work.get_mut(&task) else {
            return;
        };
        if is_there {
            work.silent = 0;
        } else if peer.is_some_and(|peer| work.pass_on(peer)) {
            return self.care.schedule(task, Some(now));
        }
        match task.1 {
            Chore::Probe | Chore::Test => self.set_well(task, is_there),
            Chore::Register => self.on_registered(task, response, status, now),
        }
    }

    /// What a chore tells of its peer: calls make sense where none tells otherwise.
    fn set_well(&mut self, task: (PeerId, Chore), is_well: bool) {
        let Some(work) = self.care.work.get_mut(&task) else {
            return;
        };
        work.is_well = Some(is_well);
        let id = task.0;
        // Where it was asked by OPTIONS counts most: that is done most often.
        let chores = [Chore::Probe, Chore::Register];
        let works: Vec<&Work> = chores
            .iter()
            .filter_map(|chore| self.care.work.get(&(id, *chore)))
            .collect();
        let reachable = works.iter().all(|work| work.is_well != Some(false));
        let Some(at) = works.iter().find_map(|work| work.at) else {
            return;
        };
        let before = self.care.reachable.insert(id, (reachable, at));
        let is_news =
            before.is_none_or(|(was, place)| was != reachable || reachable && place != at);
        if is_news {
            self.event(Event::PeerState {
                peer: id,
                reachable,
                at,
            });
        }
    }

    /// How the registration with a peer is; none if there is to be none.
    pub fn registration(&self, peer: PeerId) -> Option<RegistrationState> {
        let work = self.care.work.get(&(peer, Chore::Register))?;
        Some(RegistrationState {
            until: work.until,
            failed: work.status.filter(|status| *status != 200),
            is_refused: work.is_refused,
        })
    }

    fn on_registered(
        &mut self,
        task: (PeerId, Chore),
        response: Option<&Message>,
        status: u16,
        now: Time,
    ) {
        let contact = self
            .peers
            .iter()
            .find(|peer| peer.id == task.0)
            .and_then(|peer| {
                let registration = peer.registration.as_ref()?;
                Some(self.registered_contact(registration, peer))
            })
            .unwrap_or_default();
        let jitter = self.chance.next_u64();
        let Some(work) = self.care.work.get_mut(&task) else {
            return;
        };
        let seconds =
            |name| response.and_then(|response| text::number::<u32>(response.header(name)?));
        let too_brief = seconds(Name::MinExpires)
            .filter(|least| status == 423 && (work.expires_s + 1..=EXPIRES_S_MAX).contains(least));
        let wait = if let Some(least) = too_brief {
            work.expires_s = least;
            Duration::ZERO
        } else if (200..300).contains(&status) {
            work.failures = 0;
            let granted = response
                .and_then(|response| granted(response, contact.as_bytes()))
                .unwrap_or(work.expires_s)
                .clamp(EXPIRES_S_MIN / 6, EXPIRES_S_MAX);
            work.until = Some(now + Duration::from_secs(granted.into()));
            // Time is left for a few tries before it ends.
            Duration::from_millis(u64::from(granted) * 800)
        } else {
            let doubled = BACK_OFF_S << work.failures.min(10);
            work.failures = work.failures.saturating_add(1);
            // Between half of it and all: many that lost the same registrar come back one by one.
            let wait_ms = doubled.min(BACK_OFF_S_MAX) * 1_000;
            let wait_ms = wait_ms / 2 + jitter % (wait_ms / 2);
            let asked_ms = u64::from(seconds(Name::RetryAfter).unwrap_or_default())
                .min(RETRY_AFTER_S_MAX)
                * 1_000;
            Duration::from_millis(wait_ms.max(asked_ms))
        };
        let status = if (200..300).contains(&status) {
            200
        } else {
            status
        };
        let is_news = too_brief.is_none() && work.status != Some(status);
        if too_brief.is_none() {
            work.status = Some(status);
            work.is_refused = status != 200 && response.is_some();
            // While nobody answers, what was granted may still hold.
            let is_over = work.until.is_some_and(|until| until <= now);
            if is_over || work.is_refused {
                work.until = None;
            }
        }
        self.care.schedule(task, Some(now + wait));
        if too_brief.is_none() {
            self.set_well(task, status == 200);
        }
        if is_news {
            self.event(Event::Registered {
                peer: task.0,
                status,
            });
        }
    }
}

/// The registrar of an address of record: its host, without the user.
fn registrar_of(record: &str) -> Option<String> {
    let uri = Uri::parse(record.as_bytes())?;
    let scheme = match uri.scheme {
        Scheme::Sip => "sip",
        Scheme::Sips => "sips",
        Scheme::Tel => return None,
    };
    let host = std::str::from_utf8(uri.host).ok()?;
    Some(match uri.port {
        Some(port) => format!("{scheme}:{host}:{port}"),
        None => format!("{scheme}:{host}"),
    })
}

/// The lifetime that a registrar granted to our contact, in seconds (RFC 3261 section 10.2.4).
fn granted(response: &Message, contact: &[u8]) -> Option<u32> {
    let own = response
        .values(Name::Contact)
        .filter_map(NameAddr::parse)
        .find(|found| found.uri == contact)
        .and_then(|found| text::number(found.params.get("expires")?));
    own.or_else(|| text::number(response.header(Name::Expires)?))
}
