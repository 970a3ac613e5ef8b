//! Requests of ours: how they go out, and what comes of each.

use super::local_offer::PENDING_MAX;
use super::table::{Client, ClientMachine, Owner};
use super::{ClientKey, Endpoint, LegId, Output, State};
use crate::hop::Hop;
use crate::message::{Message, Method, Name, NameAddr};
use crate::text;
use crate::time::Time;
use crate::transaction::{End, InviteClient, PlainClient};
use std::sync::Arc;

/// Up to so many transactions builds with assertions check what is noted of hops.
const CHECKED_MAX: usize = 1_000;
/// A request is sent so often to an address that somebody has only named. The third goes out after 1.5 s.
const UNHEARD_SENDS_MAX: u8 = 3;

impl Endpoint {
    /// The BYE to a phone that nobody wants; `is_heard` says whether something has come from where it goes.
    pub(super) fn start_bye_to_fork(
        &mut self,
        key: ClientKey,
        request: Arc<[u8]>,
        (to, is_heard): (Hop, bool),
        now: Time,
    ) {
        let reliability = to.transport.reliability();
        let machine = ClientMachine::Plain(PlainClient::new(self.config.timing, reliability, now));
        let machine = match is_heard {
            true => machine,
            false => machine.with_sends(UNHEARD_SENDS_MAX),
        };
        self.start_client(key, machine, request, to, None);
    }

    /// Sends a request. To where nothing of its leg has come from ([`Leg::is_trusted`](super::Leg::is_trusted))
    /// it is sent a few times only, since whoever wrote the address there need not be there himself. A request
    /// without a leg goes where the settings say.
    pub(super) fn start_client(
        &mut self,
        key: ClientKey,
        machine: ClientMachine,
        request: Arc<[u8]>,
        to: Hop,
        leg: Option<LegId>,
    ) {
        let is_trusted = leg
            .and_then(|id| self.legs.get(&id))
            .is_none_or(|leg| leg.is_trusted(to));
        let machine = match is_trusted {
            true => machine,
            false => machine.with_sends(UNHEARD_SENDS_MAX),
        };
        let request = self.authorize_ahead(key, request, to, leg);
        self.outputs.push_back(Output::Send {
            to,
            bytes: request.clone(),
        });
        let mut client = Client {
            machine,
            request,
            to,
            leg,
            acks: Vec::new(),
            auth_attempts: 0,
            scheduled: None,
        };
        let deadline = client.deadline();
        self.timers
            .set(Owner::Client(key), &mut client.scheduled, deadline);
        self.clients.insert(key, client);
        self.clients_by_hop.insert(to, key);
    }

    /// Starts a re-INVITE.
    pub(super) fn start_invite_within(
        &mut self,
        key: ClientKey,
        request: Arc<[u8]>,
        to: Hop,
        leg: LegId,
        now: Time,
    ) {
        let reliability = to.transport.reliability();
        let machine = InviteClient::new(self.config.timing, reliability, now);
        let machine = ClientMachine::Invite(machine.with_limit(PENDING_MAX));
        self.start_client(key, machine, request, to, Some(leg));
    }

    pub(super) fn start_plain_client(
        &mut self,
        key: ClientKey,
        request: Arc<[u8]>,
        to: Hop,
        leg: Option<LegId>,
        now: Time,
    ) {
        let reliability = to.transport.reliability();
        let machine = ClientMachine::Plain(PlainClient::new(self.config.timing, reliability, now));
        self.start_client(key, machine, request, to, leg);
    }

    pub(super) fn on_response(&mut self, response: &Message, from: Hop, now: Time) {
        let Some((key, status)) = self.client_key_of(response) else {
            self.counts.stray_responses += 1;
            return;
        };
        let tag = response.header(Name::To).and_then(NameAddr::parse);
        let tag = tag.and_then(|to| to.tag());
        let is_believed = |client: &Client| self.may_answer(client, tag, from);
        if !self.clients.get(&key).is_some_and(is_believed) {
            self.counts.stray_responses += 1;
            return;
        }
        let Some(client) = self.clients.get_mut(&key) else {
            return;
        };
        let step = client.on_response(status, now);
        let (leg, is_invite) = (client.leg, client.invite().is_some());
        let deadline = client.deadline();
        self.timers
            .set(Owner::Client(key), &mut client.scheduled, deadline);
        if let Some(leg) = leg {
            self.follow(leg, from);
        }
        if step.ack {
            self.acknowledge_failure(key, response);
        }
        let is_final = step.deliver && status >= 200;
        if is_final
            && (self.answer_challenge(key, response, status, now)
                || self.end_task(key, Some(response), status, now))
        {
            // Its leg, if it has one, hears nothing of it.
        } else if step.deliver && is_invite {
            self.on_invite_response(key, response, (status, from), now);
        } else if step.deliver
            && status >= 200
            && !key.is_cancel
            && let Some(leg) = leg
        {
            self.on_plain_outcome(leg, key, status, Some(response), now);
        }
        if step.end.is_some() {
            self.forget_client(key);
        }
    }

    /// Which request of ours a response belongs to: one `Via`, with a branch of ours, and the method.
    fn client_key_of(&self, response: &Message) -> Option<(ClientKey, u16)> {
        let essentials = response.essentials().ok()?;
        if response.values(Name::Via).nth(1).is_some() {
            return None;
        }
        let branch = text::parse_hex128(essentials.via.branch()?.get(7..)?)?;
        let key = ClientKey {
            branch,
            is_cancel: essentials.cseq.method == b"CANCEL",
        };
        let is_invite = self.clients.get(&key)?.invite().is_some();
        (is_invite == (essentials.cseq.method == b"INVITE")).then_some((key, response.status()?))
    }

    pub(super) fn on_client_timeout(&mut self, key: ClientKey, now: Time) {
        let Some(client) = self.clients.get_mut(&key) else {
            return;
        };
        client.scheduled = None;
        let heard = client.invite().is_some_and(|invite| invite.is_proceeding());
        let step = client.on_timeout(now);
        let (leg, is_invite) = (client.leg, client.invite().is_some());
        if step.send {
            self.outputs.push_back(Output::Send {
                to: client.to,
                bytes: client.request.clone(),
            });
        }
        let deadline = client.deadline();
        self.timers
            .set(Owner::Client(key), &mut client.scheduled, deadline);
        if step.end == Some(End::TimedOut) {
            self.on_silence(key, leg, (is_invite, heard), 408, now);
        }
        if step.end.is_some() {
            self.forget_client(key);
        }
    }

    /// The end of a request of ours other than INVITE: a final response, or none at all (408 or 503).
    fn on_plain_outcome(
        &mut self,
        leg: LegId,
        key: ClientKey,
        status: u16,
        response: Option<&Message>,
        now: Time,
    ) {
        let Some(client) = self.clients.get(&key) else {
            return;
        };
        match Method::parse(
            client
                .request
                .split(|&byte| byte == b' ')
                .next()
                .unwrap_or(&[]),
        ) {
            // Whatever was said to our BYE, the leg is over.
            Method::Bye => self.forget_closing(leg, now),
            Method::Update if response.is_none() => self.on_offer_silence(leg, key, false, now),
            Method::Update => self.on_offer_outcome(leg, key, status, response, now),
            Method::Info => {
                let Some(found) = self.legs.get_mut(&leg) else {
                    return;
                };
                found.infos = found.infos.saturating_sub(1);
                if status == 481 && matches!(found.state, State::Talking) {
                    self.end_lost(leg, status, now);
                }
            }
            _ => {}
        }
    }

    /// Nobody answered a request of ours, or could.
    fn on_silence(
        &mut self,
        key: ClientKey,
        leg: Option<LegId>,
        (is_invite, heard): (bool, bool),
        status: u16,
        now: Time,
    ) {
        if self.end_task(key, None, status, now) {
            return;
        }
        if is_invite {
            self.on_invite_silence(key, heard, status, now);
        } else if !key.is_cancel
            && let Some(leg) = leg
        {
            self.on_plain_outcome(leg, key, status, None, now);
        }
    }

    /// What was sent to this hop and got no answer at all is lost (RFC 3261 section 8.1.3.1). A request
    /// whose receipt was confirmed may still be answered over another connection.
    pub(super) fn on_unreachable(&mut self, hop: Hop, now: Time) {
        // Held against a look at everything where that is little.
        debug_assert!(
            self.transactions() > CHECKED_MAX || self.knows_all_at(hop),
            "a hop is not noted"
        );
        let there = self.clients_by_hop.at(hop).into_iter();
        let lost: Vec<(ClientKey, Option<LegId>, bool)> = there
            .filter_map(|key| {
                let client = self
                    .clients
                    .get(&key)
                    .filter(|client| client.is_unheard())?;
                Some((key, client.leg, client.invite().is_some()))
            })
            .collect();
        for (key, leg, is_invite) in lost {
            self.on_silence(key, leg, (is_invite, false), 503, now);
            self.forget_client(key);
        }
        self.answer_elsewhere(hop, now);
    }

    pub(super) fn forget_client(&mut self, key: ClientKey) {
        if let Some(mut client) = self.clients.remove(&key) {
            self.timers
                .set(Owner::Client(key), &mut client.scheduled, None);
            self.clients_by_hop.remove(client.to, key);
        }
        self.peer_tasks.forget(key);
    }
}
