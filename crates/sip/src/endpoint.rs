//! The machine that speaks SIP: datagrams and wishes in, datagrams and events out.
//!
//! The call above knows *legs*. A leg is one party's side of a call: it begins with [`Input::Dial`] or
//! [`Event::Incoming`], and ends with one of [`Event::Refused`], [`Event::Cancelled`], [`Event::Ended`],
//! or because the call says [`Input::Refuse`] or [`Input::HangUp`]. After its end a leg is never
//! mentioned again; what is left to do on the wire (repeating, acknowledging, hanging up on an answer
//! that crossed our CANCEL) the endpoint does by itself. A wish for a leg that has just ended is ignored.
//!
//! **After every input, drain the outputs**, then ask [`Endpoint::poll_timeout`] when to come back.
//!
//! Who is who inside: `stateless` answers what needs no memory, `table` keeps transactions and deadlines, `by_hop`
//! what goes over each connection, `clients` sends our requests, `addresses` knows who is where and who we are
//! there, `origin` who is believed from where, `leg` is one party's side, `leg_state` what is kept of it while it
//! is called, rings or waits for its ACK, `dialog` what both sides share of it; `uac` and `uas` are the two kinds
//! of leg, `cancelling` stops the first kind, `early_dialog` is what is known of phones that ring, `in_dialog` the
//! requests that come while a leg lives. `negotiation` is where offer and answer stand; `remote_offer` and
//! `local_offer` change the media, theirs and ours, `prack` acknowledges provisional responses, `session_timer`
//! keeps long calls alive, `info` carries keys. `auth` is digest both ways and `auth_limit` its memory.
//! `registration` (REGISTER) and `probing` (OPTIONS) make the requests outside calls, `peer_tasks` says when they
//! are sent, and `types` is what the shell sees.

mod addresses;
mod auth;
mod auth_limit;
mod by_hop;
mod cancelling;
mod clients;
mod dialog;
mod early_dialog;
mod in_dialog;
mod info;
mod leg;
mod leg_state;
mod local_offer;
mod negotiation;
mod origin;
mod peer_tasks;
mod prack;
mod probing;
mod registration;
mod remote_offer;
mod session_timer;
mod stateless;
mod table;
mod types;
mod uac;
mod uas;

pub use peer_tasks::Tested;
pub use types::{
    Config, Counts, Dial, Event, Input, LegId, Output, Peer, PeerId, Refusal, Registration,
    RegistrationState, Warning,
};

use crate::chance::Chance;
use crate::hop::Hop;
use crate::message::{Message, Method};
use crate::time::Time;
use by_hop::ByHop;
use leg::Leg;
use leg_state::State;
use stateless::Hint;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use table::{Client, Ids, Owner, Server, ServerMachine, Servers, Timers};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ServerId(u64);

/// A branch of ours. A CANCEL has the branch of its INVITE (RFC 3261 section 9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ClientKey {
    branch: u128,
    is_cancel: bool,
}

/// Looks at a new call before anything is remembered of it: a status and a Q.850 cause refuse it,
/// statelessly, at a part of the cost of a leg. It must answer from memory, and the same for each copy
/// of a request.
pub type Screen = Box<dyn Fn(&Message) -> Option<(u16, u8)> + Send + Sync>;

/// The machine. It holds no socket and no clock; see the module.
pub struct Endpoint {
    config: Config,
    chance: Chance,
    peers: Vec<Peer>,
    peer_tasks: peer_tasks::PeerTasks,
    screen: Option<Screen>,
    sessions: auth::Sessions,
    auth_limit: auth_limit::AuthLimit,
    // Boxed, since what is moved within the map should be small.
    legs: BTreeMap<LegId, Box<Leg>>,
    by_tag: BTreeMap<u64, LegId>,
    legs_by_hop: ByHop<LegId>,
    /// Call-ID, tag and number of each INVITE that is not answered yet: the same one by another path
    /// is a loop (RFC 3261 section 8.2.2.2).
    unanswered: BTreeSet<Box<[u8]>>,
    clients: BTreeMap<ClientKey, Client>,
    clients_by_hop: ByHop<ClientKey>,
    servers: Servers,
    timers: Timers,
    outputs: VecDeque<Output>,
    counts: Counts,
    last_leg: u64,
}

impl Endpoint {
    /// A new endpoint. Tags, branches and Call-IDs follow from `seed`, which must be secret and fresh.
    pub fn new(config: Config, peers: Vec<Peer>, seed: [u8; 32]) -> Self {
        let mut endpoint = Self {
            config,
            chance: Chance::new(seed),
            peers: Vec::new(),
            peer_tasks: peer_tasks::PeerTasks::default(),
            screen: None,
            sessions: auth::Sessions::default(),
            auth_limit: auth_limit::AuthLimit::default(),
            legs: BTreeMap::new(),
            by_tag: BTreeMap::new(),
            legs_by_hop: ByHop::default(),
            unanswered: BTreeSet::new(),
            clients: BTreeMap::new(),
            clients_by_hop: ByHop::default(),
            servers: Servers::default(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            counts: Counts::default(),
            last_leg: 0,
        };
        endpoint.set_peers(peers);
        endpoint
    }

    /// From now on calls are taken from these peers; calls that stand go on. Those that want it are
    /// registered with and probed, beginning at once: [`Endpoint::poll_timeout`] may be due.
    pub fn set_peers(&mut self, peers: Vec<Peer>) {
        let before = std::mem::replace(&mut self.peers, peers);
        self.sessions.clear();
        self.update_tasks(&before);
    }

    /// From now on `screen` is asked about each new call.
    pub fn set_screen(&mut self, screen: Screen) {
        self.screen = Some(screen);
    }

    /// A number for a leg that is to be dialled.
    pub fn new_leg(&mut self) -> LegId {
        self.last_leg += 1;
        LegId(self.last_leg)
    }

    /// Takes one input. Drain [`Endpoint::poll_output`] before the next.
    pub fn handle_input(&mut self, input: Input<'_>, now: Time) {
        match input {
            Input::Datagram { from, bytes } => self.on_datagram(from, bytes, now),
            Input::Timeout => self.on_timeout(now),
            Input::Dial(leg, dial) => self.dial(leg, dial, now),
            Input::Progress(leg, status, sdp) => self.progress(leg, status, sdp, now),
            Input::Answer(leg, sdp) => self.answer(leg, &sdp, now),
            Input::Refuse(leg, refusal) => self.refuse(leg, refusal, now),
            Input::RefuseFor(leg, refusal, warning) => {
                self.refuse_for(leg, refusal, warning, now);
            }
            Input::AcceptOffer(leg, sdp) => self.accept_offer(leg, &sdp, now),
            Input::RefuseOffer(leg, status) => self.refuse_offer(leg, status, None, now),
            Input::RefuseOfferFor(leg, status, warning) => {
                self.refuse_offer(leg, status, Some(warning), now);
            }
            Input::Offer(leg, sdp) => self.offer(leg, &sdp, now),
            Input::Info(leg, kind, body) => self.send_info(leg, &kind, &body, now),
            Input::HangUp(leg, cause) => self.hang_up(leg, cause, now),
            Input::Unreachable(hop) => self.on_unreachable(hop, now),
        }
    }

    /// What is to be done now; none when all is done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due; none when nothing is awaited.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers
            .next()
            .into_iter()
            .chain(self.peer_tasks.next())
            .min()
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Legs that live.
    pub fn legs(&self) -> usize {
        self.legs.len()
    }

    /// Transactions of both kinds that live.
    pub fn transactions(&self) -> usize {
        self.clients.len() + self.servers.len()
    }

    /// Whether nothing is remembered or awaited but what registering and probing bring along: the state of
    /// a new endpoint.
    pub fn is_idle(&self) -> bool {
        self.legs.is_empty()
            && self.by_tag.is_empty()
            && self.legs_by_hop.is_empty()
            && self.unanswered.is_empty()
            && self.servers.len() == 0
            && self.clients.len() == self.peer_tasks.under_way()
            && self.timers.len() <= self.clients.len()
            && self.outputs.is_empty()
    }

    fn on_datagram(&mut self, from: Hop, bytes: &[u8], now: Time) {
        match Message::parse(bytes) {
            Err(crate::message::ParseError::Empty) => {}
            Err(_) => self.counts.not_sip += 1,
            Ok(message) if message.method().is_some() => self.on_request(message, from, now),
            Ok(message) => self.on_response(&message, from, now),
        }
    }

    fn on_request(&mut self, request: Message, from: Hop, now: Time) {
        let essentials = match request.essentials() {
            Ok(essentials) => essentials,
            Err(reason) => {
                self.counts.malformed += 1;
                return self.answer_malformed(&request, from, reason);
            }
        };
        let method = request.method().unwrap_or(Method::Unknown);
        let invite_key = || table::server_key(&request, &essentials, Method::Invite);
        match method {
            Method::Ack => {
                let server = self.servers.find(&invite_key());
                return self.on_ack(&request, from, server, now);
            }
            Method::Cancel => {
                let server = self.servers.find(&invite_key());
                return self.on_cancel(&request, from, server, now);
            }
            _ => {}
        }
        let key = table::server_key(&request, &essentials, method);
        if let Some(id) = self.servers.find(&key) {
            return match self.server_for(id, &essentials, from) {
                Some(id) => self.on_copy(id, from),
                None => self.turn_away(&request, from),
            };
        }
        if self.servers.len() >= self.config.transactions_max.saturating_mul(2) {
            self.counts.overload += 1;
            let hint = Hint::RetryAfter(self.config.retry_after_s);
            return self.answer_at_once(&request, from, 503, hint);
        }
        if essentials.to.tag().is_some() {
            return self.on_request_within(request, from, key, now);
        }
        let Some(peer) = self.peer_at(from) else {
            self.counts.unknown_sources += 1;
            self.event(Event::UnknownSource { from, method });
            return self.answer_at_once(&request, from, 403, Hint::None);
        };
        if let Some((status, hint)) = stateless::inspect(&request, essentials.max_forwards) {
            return self.answer_at_once(&request, from, status, hint);
        }
        if auth::needs_auth(method) && self.challenge_request(&request, from, peer, now) {
            return;
        }
        match method {
            Method::Invite => match self.screen.as_ref().and_then(|screen| screen(&request)) {
                Some((status, cause)) => {
                    self.counts.screened += 1;
                    self.answer_at_once(&request, from, status, Hint::Cause(cause));
                }
                None => self.on_invite(request, from, peer, key, now),
            },
            Method::Options => {
                let bytes = self.write_options(&request, from);
                self.send_answer(&request, from, bytes);
            }
            // The rest has a meaning only within a dialog.
            _ => self.answer_at_once(&request, from, 481, Hint::None),
        }
    }

    /// A request that is under way, or was answered, came again.
    fn on_copy(&mut self, id: ServerId, from: Hop) {
        // By another connection, since the first one is gone.
        if from.transport.is_stream() {
            self.servers.move_to(id, from);
        }
        self.repeat_answer(id);
    }

    /// Says again what was answered last, if the transaction has something to say.
    fn repeat_answer(&mut self, id: ServerId) {
        let Some(server) = self.servers.get_mut(id) else {
            return;
        };
        if server.on_request().send
            && let Some(bytes) = server.last.clone()
        {
            self.outputs.push_back(Output::Send {
                to: server.to,
                bytes,
            });
        }
    }

    fn on_timeout(&mut self, now: Time) {
        while let Some(owner) = self.timers.pop_due(now) {
            match owner {
                Owner::Client(key) => self.on_client_timeout(key, now),
                Owner::Server(id) => self.on_server_timeout(id, now),
                Owner::Leg(leg) => self.on_leg_timeout(leg, now),
                // Those have a table of their own.
                Owner::PeerTask(..) => {}
            }
        }
        self.on_task_timeout(now);
    }

    fn on_server_timeout(&mut self, id: ServerId, now: Time) {
        let Some(server) = self.servers.get_mut(id) else {
            return;
        };
        server.scheduled = None;
        let step = server.on_timeout(now);
        if step.send
            && let Some(bytes) = server.last.clone()
        {
            self.outputs.push_back(Output::Send {
                to: server.to,
                bytes,
            });
        }
        let deadline = server.deadline();
        self.timers
            .set(Owner::Server(id), &mut server.scheduled, deadline);
        if step.end.is_some() {
            self.servers.remove(id);
        }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn add_server(
        &mut self,
        machine: ServerMachine,
        key: Box<[u8]>,
        (to, elsewhere): (Hop, Option<Hop>),
        ids: Option<Ids>,
        leg: Option<LegId>,
    ) -> ServerId {
        self.servers.insert(Server {
            machine,
            key,
            to,
            elsewhere,
            ids,
            last: None,
            leg,
            scheduled: None,
        })
    }

    /// Sends the response of a server transaction, unless it has a final one already.
    fn respond(&mut self, id: ServerId, status: u16, bytes: Arc<[u8]>, now: Time) {
        let Some(server) = self.servers.get_mut(id) else {
            return;
        };
        if !server.respond(status, now) {
            return;
        }
        let is_answered_invite =
            (200..300).contains(&status) && matches!(server.machine, ServerMachine::Invite(_));
        server.last = (!is_answered_invite).then(|| bytes.clone());
        let deadline = server.deadline();
        self.timers
            .set(Owner::Server(id), &mut server.scheduled, deadline);
        self.outputs.push_back(Output::Send {
            to: server.to,
            bytes,
        });
    }
}

/// The value of a `Reason` header.
fn reason(cause: u8) -> String {
    format!("Q.850;cause={cause}")
}

/// The SDP in a message, if it has some.
fn sdp_of(message: &Message) -> Option<Box<[u8]>> {
    message.sdp().map(Into::into)
}

/// The same, for events that give it away.
fn body_of(message: &Message) -> Option<Vec<u8>> {
    sdp_of(message).map(Vec::from)
}
