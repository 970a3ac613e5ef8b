//! When the requests outside calls are sent that `registration` and `probing` make, and what becomes of their
//! answers: each kind is a task for each peer that wants it. Tasks go on for as long as the peer is known,
//! and none keeps the endpoint from being idle. A peer with several places is asked at the next where one
//! does not answer, and only when none does is it unreachable.

use super::dialog::Head;
use super::table::{Owner, TaskKind, Timers};
use super::{ClientKey, Endpoint, Event, Peer, PeerId};
use crate::hop::Hop;
use crate::message::{Message, Method, Writer};
use crate::text::hex64;
use crate::time::Time;
use std::collections::BTreeMap;
use std::time::Duration;

/// The shortest time between two probes of one peer, in seconds.
const PROBE_EVERY_S_MIN: u16 = 5;
/// The lifetimes of a registration that we ask for or believe, in seconds.
pub(super) const EXPIRES_S_MIN: u32 = 60;
pub(super) const EXPIRES_S_MAX: u32 = 86_400;

/// What came of asking a peer once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tested {
    /// Where it was asked.
    pub at: Hop,
    /// The status of its answer; none if it did not answer, or could not be connected to.
    pub status: Option<u16>,
}

/// What the requests of one task have in common: by what they are told apart from others, and the number
/// of the last one.
pub(super) struct Sequence {
    call_id: String,
    tag: u64,
    cseq: u32,
}

impl Sequence {
    /// Begins a request. `from` and `to` are values of their headers without a tag.
    pub fn request(&self, method: Method, uri: &str, via: &str, from: &str, to: &str) -> Writer {
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

/// One task for one peer: a request that is sent again and again, in a sequence of its own.
pub(super) struct Task {
    pub sequence: Sequence,
    pub pending: Option<ClientKey>,
    pub scheduled: Option<Time>,
    /// For a registration: the lifetime to ask for.
    pub expires_s: u32,
    /// Failures in a row.
    pub failures: u32,
    /// How the last one ended.
    pub status: Option<u16>,
    /// Whether that was the peer's own word.
    pub is_refused: bool,
    /// Whether the peer is there, as far as this tells.
    pub is_well: Option<bool>,
    /// For a registration: until when it holds.
    pub until: Option<Time>,
    /// Where the last one was sent.
    pub at: Option<Hop>,
    /// Places that did not answer, in a row.
    pub silent: usize,
}

impl Task {
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

/// A registration that is to be removed (RFC 3261 section 10.2.2): its peer is no more, or is another.
struct Removal {
    peer: Peer,
    sequence: Sequence,
}

/// All tasks of all peers.
#[derive(Default)]
pub(super) struct PeerTasks {
    pub work: BTreeMap<(PeerId, TaskKind), Task>,
    pub reachable: BTreeMap<PeerId, (bool, Hop)>,
    clients: BTreeMap<ClientKey, (PeerId, TaskKind)>,
    removals: Vec<Removal>,
    /// Requests that give a registration up, and the peer as it was. Nobody waits for their answer.
    leaving: BTreeMap<ClientKey, Peer>,
    /// What came of the last test of a peer, until somebody asks or it is tested again.
    pub tested: BTreeMap<PeerId, Tested>,
    timers: Timers,
}

impl PeerTasks {
    /// The peer that a request of a task goes to.
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
        if self.removals.is_empty() {
            self.timers.next()
        } else {
            Some(Time::default())
        }
    }

    pub fn schedule(&mut self, task: (PeerId, TaskKind), due: Option<Time>) {
        if let Some(work) = self.work.get_mut(&task) {
            self.timers
                .set(Owner::PeerTask(task.0, task.1), &mut work.scheduled, due);
        }
    }

    fn remove(&mut self, task: (PeerId, TaskKind)) -> Option<Task> {
        self.schedule(task, None);
        self.work.remove(&task)
    }
}

impl Endpoint {
    /// Begins the tasks that `peers` bring, and ends those that they no longer bring. What is the same as
    /// before goes on undisturbed.
    pub(super) fn update_tasks(&mut self, before: &[Peer]) {
        let same = |peer: &Peer, kind| match kind {
            TaskKind::Register => before.iter().any(|old| {
                (old.id, &old.registration, &old.credentials)
                    == (peer.id, &peer.registration, &peer.credentials)
                    && old.advertised == peer.advertised
            }),
            TaskKind::Probe => before.iter().any(|old| {
                (old.id, &old.host, old.probe_every_s) == (peer.id, &peer.host, peer.probe_every_s)
            }),
            TaskKind::Test => true,
        };
        // It may have moved among places that it keeps; where none was asked yet the first must be the same.
        let stays = |peer: &Peer, at: Option<Hop>| match at {
            Some(at) => peer.hops().any(|hop| hop == at),
            None => before
                .iter()
                .any(|old| (old.id, old.hop) == (peer.id, peer.hop)),
        };
        let wants = |peer: &Peer, kind| match kind {
            TaskKind::Register => peer.registration.is_some(),
            TaskKind::Probe => peer.probe_every_s.is_some(),
            TaskKind::Test => true,
        };
        let known: Vec<((PeerId, TaskKind), Option<Hop>)> = self
            .peer_tasks
            .work
            .iter()
            .map(|(task, work)| (*task, work.at))
            .collect();
        for (task, at) in known {
            let peer = self.peers.iter().find(|peer| peer.id == task.0);
            let goes_on =
                |peer: &Peer| wants(peer, task.1) && same(peer, task.1) && stays(peer, at);
            if !peer.is_some_and(goes_on) {
                self.drop_task(task, before);
            }
        }
        let wanted: Vec<(PeerId, TaskKind, u32)> = self
            .peers
            .iter()
            .flat_map(|peer| [(peer, TaskKind::Register), (peer, TaskKind::Probe)])
            .filter(|(peer, kind)| wants(peer, *kind))
            .map(|(peer, kind)| {
                let expires_s = peer.registration.as_ref().map_or(0, |r| r.expires_s);
                (peer.id, kind, expires_s.clamp(EXPIRES_S_MIN, EXPIRES_S_MAX))
            })
            .collect();
        for (peer, kind, expires_s) in wanted {
            if self.peer_tasks.work.contains_key(&(peer, kind)) {
                continue;
            }
            let work = self.fresh_task(expires_s);
            self.peer_tasks.work.insert((peer, kind), work);
            self.peer_tasks
                .schedule((peer, kind), Some(Time::default()));
        }
        // What was heard of a peer holds while it is asked at the same place.
        let peers = &self.peers;
        let known = |id: &PeerId| peers.iter().any(|peer| peer.id == *id);
        self.peer_tasks.tested.retain(|id, _| known(id));
        self.peer_tasks.reachable.retain(|id, (_, at)| {
            let peer = peers.iter().find(|peer| peer.id == *id);
            peer.is_some_and(|peer| {
                let is_asked = wants(peer, TaskKind::Register) || wants(peer, TaskKind::Probe);
                is_asked && peer.hops().any(|hop| hop == *at)
            })
        });
    }

    pub(super) fn fresh_task(&mut self, expires_s: u32) -> Task {
        let sequence = Sequence {
            call_id: format!("{:032x}", self.chance.next_u128()),
            tag: self.chance.next_u64(),
            cseq: 0,
        };
        Task {
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

    fn drop_task(&mut self, task: (PeerId, TaskKind), before: &[Peer]) {
        let Some(work) = self.peer_tasks.remove(task) else {
            return;
        };
        let old = before.iter().find(|peer| peer.id == task.0);
        if task.1 == TaskKind::Register
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
            self.peer_tasks.removals.push(Removal { peer, sequence });
        }
        if let Some(key) = work.pending {
            self.forget_client(key);
        }
    }

    /// Tasks whose time has come.
    pub(super) fn on_task_timeout(&mut self, now: Time) {
        for removal in std::mem::take(&mut self.peer_tasks.removals) {
            let hop = removal.peer.hop;
            let Some(registration) = removal.peer.registration.clone() else {
                continue;
            };
            let (key, via) = self.fresh_via(hop.into());
            let peer = &removal.peer;
            let bytes = self.write_register(&registration, peer, &via, &removal.sequence, 0);
            self.peer_tasks.leaving.insert(key, removal.peer);
            self.start_plain_client(key, bytes, hop, None, now);
        }
        while let Some(owner) = self.peer_tasks.timers.pop_due(now) {
            let Owner::PeerTask(peer, kind) = owner else {
                continue;
            };
            if let Some(work) = self.peer_tasks.work.get_mut(&(peer, kind)) {
                work.scheduled = None;
                self.do_task((peer, kind), now);
            }
        }
    }

    fn do_task(&mut self, task: (PeerId, TaskKind), now: Time) {
        let Some(peer) = self.peers.iter().find(|peer| peer.id == task.0).cloned() else {
            return;
        };
        let Some(work) = self.peer_tasks.work.get_mut(&task) else {
            return;
        };
        // The last one was never answered, though there was time enough.
        if let Some(key) = work.pending.take() {
            self.forget_client(key);
            self.on_task_end(task, None, 408, now);
        }
        let Some(hop) = self
            .peer_tasks
            .work
            .get(&task)
            .map(|work| work.place(&peer))
        else {
            return;
        };
        let (key, via) = self.fresh_via(hop.into());
        let Some(work) = self.peer_tasks.work.get_mut(&task) else {
            return;
        };
        work.at = Some(hop);
        work.sequence.cseq += 1;
        work.pending = Some(key);
        let Some(work) = self.peer_tasks.work.get(&task) else {
            return;
        };
        let (sequence, expires_s) = (&work.sequence, work.expires_s);
        let bytes = match (task.1, &peer.registration) {
            (TaskKind::Register, Some(registration)) => {
                let peer = Peer {
                    hop,
                    ..peer.clone()
                };
                self.write_register(registration, &peer, &via, sequence, expires_s)
            }
            (TaskKind::Register, None) => return,
            (TaskKind::Probe | TaskKind::Test, _) => {
                self.write_probe(hop, peer.host.as_deref(), &via, sequence)
            }
        };
        if task.1 == TaskKind::Probe {
            let every_s = peer.probe_every_s.unwrap_or_default();
            let every_s = every_s.max(PROBE_EVERY_S_MIN);
            let due = now + Duration::from_secs(every_s.into());
            self.peer_tasks.schedule(task, Some(due));
        }
        self.peer_tasks.clients.insert(key, task);
        self.start_plain_client(key, bytes, hop, None, now);
    }

    /// The final answer to a request of a task; false if it was of none. None for `response`: nobody
    /// answered.
    pub(super) fn end_task(
        &mut self,
        key: ClientKey,
        response: Option<&Message>,
        status: u16,
        now: Time,
    ) -> bool {
        let Some(task) = self.peer_tasks.clients.get(&key).copied() else {
            return false;
        };
        if let Some(work) = self.peer_tasks.work.get_mut(&task)
            && work.pending == Some(key)
        {
            work.pending = None;
            // Credentials may have taken numbers of the sequence.
            let number =
                response.and_then(|response| Some(response.essentials().ok()?.cseq.number));
            work.sequence.cseq = work.sequence.cseq.max(number.unwrap_or_default());
            self.on_task_end(task, response, status, now);
        }
        true
    }

    fn on_task_end(
        &mut self,
        task: (PeerId, TaskKind),
        response: Option<&Message>,
        status: u16,
        now: Time,
    ) {
        if task.1 == TaskKind::Test {
            let at = self.peer_tasks.remove(task).and_then(|work| work.at);
            if let Some(at) = at {
                let status = response.map(|_| status);
                self.peer_tasks.tested.insert(task.0, Tested { at, status });
            }
            return;
        }
        // Whoever refuses is there; 503 says that calls make no sense now.
        let is_there = response.is_some() && !matches!(status, 408 | 503);
        let peer = self.peers.iter().find(|peer| peer.id == task.0);
        let Some(work) = self.peer_tasks.work.get_mut(&task) else {
            return;
        };
        if is_there {
            work.silent = 0;
        } else if peer.is_some_and(|peer| work.pass_on(peer)) {
            return self.peer_tasks.schedule(task, Some(now));
        }
        match task.1 {
            TaskKind::Probe | TaskKind::Test => self.set_well(task, is_there),
            TaskKind::Register => self.on_registered(task, response, status, now),
        }
    }

    /// What a task tells of its peer: calls make sense where none tells otherwise.
    pub(super) fn set_well(&mut self, task: (PeerId, TaskKind), is_well: bool) {
        let Some(work) = self.peer_tasks.work.get_mut(&task) else {
            return;
        };
        work.is_well = Some(is_well);
        let id = task.0;
        // Where it was asked by OPTIONS counts most: that is done most often.
        let kinds = [TaskKind::Probe, TaskKind::Register];
        let works: Vec<&Task> = kinds
            .iter()
            .filter_map(|kind| self.peer_tasks.work.get(&(id, *kind)))
            .collect();
        let reachable = works.iter().all(|work| work.is_well != Some(false));
        let Some(at) = works.iter().find_map(|work| work.at) else {
            return;
        };
        let before = self.peer_tasks.reachable.insert(id, (reachable, at));
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
}
