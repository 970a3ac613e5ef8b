//! Who is in what transaction, and when each must be looked at again.

use super::by_hop::ByHop;
use super::{ClientKey, LegId, PeerId, ServerId};
use crate::hop::Hop;
use crate::message::{Essentials, Message, Method};
use crate::text;
use crate::time::Time;
use crate::transaction::{InviteClient, InviteServer, PlainClient, PlainServer, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most forks of one INVITE whose answers we remember.
pub(super) const FORKS_MAX: usize = 8;

/// A kind of request outside calls that is made for a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TaskKind {
    Register,
    Probe,
    /// OPTIONS, once, for an operator that asked.
    Test,
}

pub(super) enum ClientMachine {
    Invite(InviteClient),
    Plain(PlainClient),
}

/// A request of ours that is under way, or whose late responses are still awaited.
pub(super) struct Client {
    pub machine: ClientMachine,
    pub request: Arc<[u8]>,
    pub to: Hop,
    /// Whose request it is; none for the BYE to a fork that nobody wants.
    pub leg: Option<LegId>,
    /// For an INVITE: each tag that answered with a success, and the ACK that went to it.
    pub acks: Vec<Acknowledged>,
    /// How often it was sent anew because it was challenged.
    pub auth_attempts: u8,
    pub scheduled: Option<Time>,
}

pub(super) struct Acknowledged {
    pub tag: Box<[u8]>,
    pub ack: Arc<[u8]>,
    pub to: Hop,
}

impl ClientMachine {
    /// Sends the request no more than so many times in all while nothing comes back.
    #[must_use]
    pub fn with_sends(self, sends: u8) -> Self {
        match self {
            Self::Invite(machine) => Self::Invite(machine.with_sends(sends)),
            Self::Plain(machine) => Self::Plain(machine.with_sends(sends)),
        }
    }
}

impl Client {
    pub fn on_response(&mut self, status: u16, now: Time) -> Step {
        match &mut self.machine {
            ClientMachine::Invite(machine) => machine.on_response(status, now),
            ClientMachine::Plain(machine) => machine.on_response(status, now),
        }
    }

    pub fn on_timeout(&mut self, now: Time) -> Step {
        match &mut self.machine {
            ClientMachine::Invite(machine) => machine.on_timeout(now),
            ClientMachine::Plain(machine) => machine.on_timeout(now),
        }
    }

    pub fn deadline(&self) -> Option<Time> {
        match &self.machine {
            ClientMachine::Invite(machine) => machine.deadline(),
            ClientMachine::Plain(machine) => machine.deadline(),
        }
    }

    /// Whether nothing has come back yet.
    pub fn is_unheard(&self) -> bool {
        match &self.machine {
            ClientMachine::Invite(machine) => !machine.is_proceeding() && !machine.is_final(),
            ClientMachine::Plain(machine) => machine.is_trying(),
        }
    }

    pub fn invite(&self) -> Option<&InviteClient> {
        match &self.machine {
            ClientMachine::Invite(machine) => Some(machine),
            ClientMachine::Plain(_) => None,
        }
    }
}

/// By what an ACK or a CANCEL must be recognized as that of an INVITE.
pub(super) struct Ids {
    /// Call-ID, tag of the sender, number.
    key: Box<[u8]>,
    /// Our tag.
    tag: u64,
    /// Whether the INVITE had our tag already.
    is_within: bool,
}

impl Ids {
    /// Those of an INVITE that is answered with this tag of ours.
    pub fn of_invite(essentials: &Essentials<'_>, tag: u64) -> Self {
        Self {
            key: key(essentials),
            tag,
            is_within: essentials.to.tag().is_some(),
        }
    }

    /// Whether the request is of the same call, dialog and number. A CANCEL has the `To` of its INVITE
    /// (section 9.1), an ACK that of the response (section 17.1.1.3).
    pub fn fit(&self, essentials: &Essentials<'_>, method: Method) -> bool {
        let tag = match essentials.to.tag() {
            None => method == Method::Cancel && !self.is_within,
            Some(tag) => text::parse_hex64(tag) == Some(self.tag),
        };
        tag && *self.key == *key(essentials)
    }
}

/// Call-ID, tag of the sender and number in one.
pub(super) fn key(essentials: &Essentials<'_>) -> Box<[u8]> {
    let parts: [&[u8]; 3] = [
        essentials.call_id,
        essentials.from.tag().unwrap_or_default(),
        &essentials.cseq.number.to_be_bytes(),
    ];
    parts.join(&0).into()
}

pub(super) enum ServerMachine {
    Invite(InviteServer),
    Plain(PlainServer),
}

/// A request of theirs, until no copy of it can come any more. The request itself is not kept.
pub(super) struct Server {
    pub machine: ServerMachine,
    pub key: Box<[u8]>,
    /// Where it is answered. It is changed by [`Servers::move_to`] alone.
    pub to: Hop,
    /// Where it is answered when the connection that it came by is gone; none for datagrams, and none once
    /// that was tried.
    pub elsewhere: Option<Hop>,
    /// For an INVITE: what its ACK and its CANCEL must have.
    pub ids: Option<Ids>,
    /// What was answered last; none after the success of an INVITE, which its leg repeats.
    pub last: Option<Arc<[u8]>>,
    pub leg: Option<LegId>,
    pub scheduled: Option<Time>,
}

impl Server {
    /// Whether a final answer was given that may not have arrived.
    fn is_unconfirmed(&self) -> bool {
        match &self.machine {
            ServerMachine::Invite(machine) => machine.is_unconfirmed(),
            ServerMachine::Plain(machine) => machine.is_final(),
        }
    }

    pub fn respond(&mut self, status: u16, now: Time) -> bool {
        match &mut self.machine {
            ServerMachine::Invite(machine) => machine.respond(status, now),
            ServerMachine::Plain(machine) => machine.respond(status, now),
        }
    }

    pub fn on_request(&mut self) -> Step {
        match &mut self.machine {
            ServerMachine::Invite(machine) => machine.on_request(),
            ServerMachine::Plain(machine) => machine.on_request(),
        }
    }

    pub fn on_timeout(&mut self, now: Time) -> Step {
        match &mut self.machine {
            ServerMachine::Invite(machine) => machine.on_timeout(now),
            ServerMachine::Plain(machine) => machine.on_timeout(now),
        }
    }

    pub fn deadline(&self) -> Option<Time> {
        match &self.machine {
            ServerMachine::Invite(machine) => machine.deadline(),
            ServerMachine::Plain(machine) => machine.deadline(),
        }
    }
}

/// All server transactions, found by number or by what identifies the request on the wire.
#[derive(Default)]
pub(super) struct Servers {
    entries: BTreeMap<ServerId, Server>,
    by_key: BTreeMap<Box<[u8]>, ServerId>,
    by_hop: ByHop<ServerId>,
    last: u64,
}

impl Servers {
    pub fn insert(&mut self, server: Server) -> ServerId {
        self.last += 1;
        let id = ServerId(self.last);
        self.by_key.insert(server.key.clone(), id);
        self.by_hop.insert(server.to, id);
        self.entries.insert(id, server);
        id
    }

    pub fn find(&self, key: &[u8]) -> Option<ServerId> {
        self.by_key.get(key).copied()
    }

    pub fn get(&self, id: ServerId) -> Option<&Server> {
        self.entries.get(&id)
    }

    /// Those that are answered at a hop are answered elsewhere from now on, as far as that is known. Gives what
    /// is to be sent there at once: final answers whose receipt nobody has confirmed.
    pub fn redirect(&mut self, hop: Hop) -> Vec<(Hop, Arc<[u8]>)> {
        let mut again = Vec::new();
        for id in self.at(hop) {
            let elsewhere = self.get_mut(id).and_then(|server| server.elsewhere.take());
            let Some(elsewhere) = elsewhere else {
                continue;
            };
            self.move_to(id, elsewhere);
            if let Some(server) = self.entries.get(&id)
                && server.is_unconfirmed()
                && let Some(last) = &server.last
            {
                again.push((elsewhere, last.clone()));
            }
        }
        again
    }

    /// Those that are answered at a hop, the oldest first.
    pub fn at(&self, hop: Hop) -> Vec<ServerId> {
        self.by_hop.at(hop)
    }

    /// Whether all that are answered at a hop are found: a look at all there are.
    pub fn knows_all_at(&self, hop: Hop) -> bool {
        let there = self.entries.iter().filter(|(_, server)| server.to == hop);
        there.map(|(id, _)| *id).eq(self.at(hop))
    }

    /// One is answered at another hop from now on.
    pub fn move_to(&mut self, id: ServerId, to: Hop) {
        if let Some(server) = self.entries.get_mut(&id) {
            let before = std::mem::replace(&mut server.to, to);
            self.by_hop.remove(before, id);
            self.by_hop.insert(to, id);
        }
    }

    pub fn get_mut(&mut self, id: ServerId) -> Option<&mut Server> {
        self.entries.get_mut(&id)
    }

    pub fn remove(&mut self, id: ServerId) {
        if let Some(server) = self.entries.remove(&id) {
            self.by_key.remove(&server.key);
            self.by_hop.remove(server.to, id);
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

/// What makes two requests the same one (RFC 3261 section 17.2.3). ACK and CANCEL look for their INVITE.
pub(super) fn server_key(
    request: &Message,
    essentials: &Essentials<'_>,
    method: Method,
) -> Box<[u8]> {
    let method_text = match method {
        Method::Unknown => request.method_text(),
        known => known.as_str().as_bytes(),
    };
    let port = essentials.via.port.unwrap_or(5060).to_be_bytes();
    let parts: &[&[u8]] = match essentials.via.branch() {
        Some(branch) => &[b"3261", branch, essentials.via.host, &port, method_text],
        // A sender of RFC 2543 times has no unique branch.
        None => &[
            b"2543",
            request.request_uri(),
            essentials.from.tag().unwrap_or_default(),
            essentials.call_id,
            &essentials.cseq.number.to_be_bytes(),
            essentials.via.host,
            &port,
            method_text,
        ],
    };
    parts.join(&0).into()
}

/// Whose deadline it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    Client(ClientKey),
    Server(ServerId),
    Leg(LegId),
    PeerTask(PeerId, TaskKind),
}

/// All deadlines. An owner has at most one, which it remembers as `scheduled`.
#[derive(Default)]
pub(super) struct Timers(BTreeSet<(Time, Owner)>);

impl Timers {
    pub fn set(&mut self, owner: Owner, scheduled: &mut Option<Time>, deadline: Option<Time>) {
        if *scheduled == deadline {
            return;
        }
        if let Some(before) = *scheduled {
            self.0.remove(&(before, owner));
        }
        if let Some(deadline) = deadline {
            self.0.insert((deadline, owner));
        }
        *scheduled = deadline;
    }

    pub fn next(&self) -> Option<Time> {
        self.0.first().map(|(time, _)| *time)
    }

    /// An owner whose deadline has come. The caller clears that owner's `scheduled`.
    pub fn pop_due(&mut self, now: Time) -> Option<Owner> {
        if self.next()? > now {
            return None;
        }
        self.0.pop_first().map(|(_, owner)| owner)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}
