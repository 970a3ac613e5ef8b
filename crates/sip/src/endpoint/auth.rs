//! Digest in the endpoint: we authenticate ourselves, and have peers do so (RFC 3261 section 22,
//! RFC 7616, RFC 8760).
//!
//! A request that is challenged is sent once more with credentials, by a transaction of its own; whose request
//! it is does not notice. The nonce is kept, and later requests to that peer carry credentials from the start.

use super::addresses::Way;
use super::auth_limit::{Look, NONCE_LIFE, millis};
use super::local_offer::PENDING_MAX;
use super::table::ClientMachine;
use super::{ClientKey, Endpoint, LegId, Peer, PeerId, State};
use crate::chance::Chance;
use crate::digest::{self, Answer, Challenge, Credentials, Request};
use crate::hop::{Hop, Transport};
use crate::message::{self, Message, Method, Name};
use crate::text::{self, hex64};
use crate::time::Time;
use crate::transaction::{InviteClient, PlainClient};
use crate::uri::Uri;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// How often one request is sent with new credentials: for a proxy and a server, and once more for either
/// whose nonce was too old.
const AUTH_ATTEMPTS_MAX: u8 = 4;

/// Who asks for credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ChallengeKind {
    Server,
    Proxy,
}

impl ChallengeKind {
    fn of(status: u16) -> Option<Self> {
        match status {
            401 => Some(Self::Server),
            407 => Some(Self::Proxy),
            _ => None,
        }
    }

    fn challenge(self) -> Name {
        match self {
            Self::Server => Name::WwwAuthenticate,
            Self::Proxy => Name::ProxyAuthenticate,
        }
    }

    fn answer(self) -> Name {
        match self {
            Self::Server => Name::Authorization,
            Self::Proxy => Name::ProxyAuthorization,
        }
    }
}

struct Session {
    challenge: Challenge,
    /// How often its nonce was used.
    count: u32,
}

/// The last challenge of each peer that we can answer: at most two a peer.
#[derive(Default)]
pub(super) struct Sessions(BTreeMap<(PeerId, ChallengeKind), Session>);

impl Sessions {
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

enum Verdict {
    Authenticated,
    Missing,
    Stale,
    Wrong,
    /// Not looked at: too many wrong ones came from there just now, and one of them to this nonce.
    Spoilt,
    /// Not looked at: who asked for the nonce has answered too many of them wrongly just now.
    TooMany,
}

impl Endpoint {
    /// Whose request this is: the peer that a task is for, or the one at the other end of the leg.
    fn peer_of(&self, key: ClientKey, leg: Option<LegId>, to: Hop) -> Option<&Peer> {
        if let Some(peer) = self.peer_tasks.left_by(key) {
            return Some(peer);
        }
        let id = match self.peer_tasks.peer_of(key) {
            Some(id) => Some(id),
            None => {
                let leg = leg.and_then(|id| self.legs.get(&id));
                leg.map_or_else(|| self.peer_at(to), |leg| leg.origin.peer)
            }
        };
        self.peers.iter().find(|peer| Some(peer.id) == id)
    }

    /// Adds credentials to a request that is about to be sent, if the peer has asked for some before.
    pub(super) fn authorize_ahead(
        &mut self,
        key: ClientKey,
        request: Arc<[u8]>,
        to: Hop,
        leg: Option<LegId>,
    ) -> Arc<[u8]> {
        if key.is_cancel || self.sessions.0.is_empty() {
            return request;
        }
        let Some((id, credentials)) = self
            .peer_of(key, leg, to)
            .and_then(|peer| Some((peer.id, peer.credentials.clone()?)))
        else {
            return request;
        };
        let Ok(parsed) = Message::parse(&request) else {
            return request;
        };
        let authenticated = Request {
            method: parsed.method_text(),
            uri: parsed.request_uri(),
            body: parsed.body(),
        };
        let mut bytes = request;
        for kind in [ChallengeKind::Server, ChallengeKind::Proxy] {
            let Some(session) = self.sessions.0.get_mut(&(id, kind)) else {
                continue;
            };
            session.count = session.count.saturating_add(1);
            let cnonce = hex64(self.chance.next_u64());
            let value =
                session
                    .challenge
                    .answer(&credentials, &authenticated, session.count, &cnonce);
            bytes = message::with_line(&bytes, kind.answer(), value.as_bytes());
        }
        bytes
    }

    /// A 401 or 407 came. If it can be answered the request goes out again and true is returned; the
    /// transaction that was challenged is over, and nobody is to hear of it.
    pub(super) fn answer_challenge(
        &mut self,
        key: ClientKey,
        response: &Message,
        status: u16,
        now: Time,
    ) -> bool {
        self.try_to_answer(key, response, status, now).is_some()
    }

    fn try_to_answer(
        &mut self,
        key: ClientKey,
        response: &Message,
        status: u16,
        now: Time,
    ) -> Option<()> {
        let kind = ChallengeKind::of(status)?;
        let client = self.clients.get(&key)?;
        let (leg, to, auth_attempts) = (client.leg, client.to, client.auth_attempts);
        if key.is_cancel || auth_attempts >= AUTH_ATTEMPTS_MAX {
            return None;
        }
        // Nobody waits for it any more: the leg is gone, or its call was cancelled.
        if let Some(id) = leg
            && !self.legs.get(&id)?.waits_for(key)
        {
            return None;
        }
        let peer = self.peer_of(key, leg, to)?;
        let id = peer.id;
        peer.credentials.as_ref()?;
        let request = Message::parse(&client.request).ok()?;
        let is_invite = client.invite().is_some();
        let challenge = Challenge::choose(response.headers(kind.challenge()))?;
        let had_authorization = request.header(kind.answer()).is_some();
        if had_authorization && auth_attempts > 0 && !challenge.stale {
            self.sessions.0.remove(&(id, kind));
            return None;
        }
        let session = Session {
            challenge,
            count: 0,
        };
        self.sessions.0.insert((id, kind), session);
        let mut cseq = request.essentials().ok()?.cseq.number.saturating_add(1);
        if let Some(leg) = leg.and_then(|id| self.legs.get_mut(&id)) {
            cseq = cseq.max(leg.dialog.local_cseq.saturating_add(1));
            leg.dialog.local_cseq = cseq;
        }
        let hop = leg.and_then(|id| self.legs.get(&id)).map(|leg| leg.hop);
        let (again, via) = self.fresh_via(Way {
            to,
            peer: hop.unwrap_or(to),
        });
        let bytes = message::again(&request, via.as_bytes(), cseq, &[]);
        let (timing, reliability) = (self.config.timing, to.transport.reliability());
        let is_within = request.essentials().ok()?.to.tag().is_some();
        let machine = if is_invite {
            let machine = InviteClient::new(timing, reliability, now);
            ClientMachine::Invite(match is_within {
                true => machine.with_limit(PENDING_MAX),
                false => machine,
            })
        } else {
            ClientMachine::Plain(PlainClient::new(timing, reliability, now))
        };
        self.peer_tasks.rekey(key, again);
        if let Some(leg) = leg.and_then(|id| self.legs.get_mut(&id)) {
            leg.rekey(key, again);
        }
        self.start_client(again, machine, bytes, to, leg);
        if let Some(client) = self.clients.get_mut(&again) {
            client.auth_attempts = auth_attempts + 1;
        }
        Some(())
    }

    /// Asks a peer for credentials, if it must give them and this request has none that hold. True if it was
    /// asked, and the request goes no further.
    pub(super) fn challenge_request(
        &mut self,
        request: &Message,
        from: Hop,
        peer: PeerId,
        now: Time,
    ) -> bool {
        let Some(credentials) = self
            .peers
            .iter()
            .find(|known| known.id == peer)
            .and_then(|peer| peer.challenge.clone())
        else {
            return false;
        };
        let stale = match self.verify_authorization(request, from, peer, &credentials, now) {
            Verdict::Authenticated => return false,
            Verdict::Missing => false,
            Verdict::Stale => true,
            // Who has guessed too often is told no more than that: told that it was too late he would try
            // again at once.
            Verdict::Wrong | Verdict::TooMany => {
                self.counts.unauthenticated += 1;
                false
            }
            // It may be the right one, to a nonce that somebody else has spoilt: with another it is heard.
            Verdict::Spoilt => {
                self.counts.unauthenticated += 1;
                true
            }
        };
        let (time, random) = (now.as_millis(), self.random_for(from));
        let mac = nonce_mac(&self.chance, (time, random), peer);
        let nonce = format!("{}{}{mac:032x}", hex64(time), hex64(random));
        let tag = self.stateless_tag(request);
        let mut writer = message::reply(request, from, 401, Some(tag.as_bytes()));
        for value in digest::challenge(&self.config.realm, &nonce, stale) {
            writer.line(Name::WwwAuthenticate, &[value.as_bytes()]);
        }
        self.send_answer(request, from, writer.finish());
        true
    }

    fn verify_authorization(
        &mut self,
        request: &Message,
        from: Hop,
        peer: PeerId,
        credentials: &Credentials,
        now: Time,
    ) -> Verdict {
        let realm = self.config.realm.as_str();
        let Some(answer) = Answer::find(request.headers(Name::Authorization), realm) else {
            return Verdict::Missing;
        };
        let Some(nonce) = read_nonce(&self.chance, &answer.nonce(), peer) else {
            // Of an earlier run, perhaps.
            return Verdict::Stale;
        };
        // What was overheard long ago, or is repeated, is neither right nor wrong.
        let age_ms = now.as_millis().saturating_sub(nonce.0);
        let is_fresh = age_ms <= millis(NONCE_LIFE) && nonce.0 <= now.as_millis();
        let count = answer.count().unwrap_or_default();
        if !is_fresh || !self.auth_limit.nonces.is_new(nonce, count) {
            return Verdict::Stale;
        }
        // Only who has read a nonce of ours comes so far: nobody can use up the guesses of an address that he
        // does not hear at.
        match self.auth_limit.guesses.look(from, nonce, now) {
            Look::Now => {}
            Look::Spoilt => return Verdict::Spoilt,
            Look::Later => return Verdict::TooMany,
        }
        if !answer.is_right(credentials, realm, request.method_text())
            || !self.is_asked(&answer.uri(), request, peer)
        {
            self.auth_limit.guesses.count_wrong(from, nonce, now);
            return Verdict::Wrong;
        }
        if !self.auth_limit.nonces.take(nonce, count, now) {
            return Verdict::Stale;
        }
        self.auth_limit.guesses.trust(from, now);
        Verdict::Authenticated
    }
}

impl Endpoint {
    /// What is random in a nonce: its lower half is a mark of who asked for it, the same each time, by which
    /// wrong answers are counted. Any other sender's mark is the same by chance only, once in 2^32.
    fn random_for(&mut self, asker: Hop) -> u64 {
        let (ip, port) = (asker.address.ip(), asker.address.port());
        let ip = match ip.to_canonical() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let transport = [asker.transport as u8];
        let parts: [&[u8]; 3] = [&ip.octets(), &port.to_be_bytes(), &transport];
        let mark = self.chance.keyed(b"asker", &parts) as u32;
        self.chance.next_u64() << 32 | u64::from(mark)
    }

    /// Whether the URI of credentials is what was asked. Proxies may have rewritten the Request-URI on its way, so
    /// the user must be the same, and the host one of ours or the same (RFC 7616 section 3.4.6 leaves it to the
    /// server): credentials that were made for another number, or for another service, help nobody here.
    fn is_asked(&self, said: &[u8], request: &Message, peer: PeerId) -> bool {
        let (Some(said), Some(asked)) = (Uri::parse(said), Uri::parse(request.request_uri()))
        else {
            return false;
        };
        if said.plain_user() != asked.plain_user() {
            return false;
        }
        let is_same = said.host.eq_ignore_ascii_case(asked.host);
        let domains = &self.config.domains;
        let is_domain = || {
            let mut domains = domains.iter();
            domains.any(|domain| domain.as_bytes().eq_ignore_ascii_case(said.host))
        };
        let is_address = || {
            let address = crate::params::host_address(said.host);
            address.is_some_and(|address| self.is_ours(address, peer))
        };
        // A telephone number has no host.
        (is_same && (domains.is_empty() || said.host.is_empty())) || is_domain() || is_address()
    }

    /// Whether peers are told that we are at this address.
    fn is_ours(&self, address: IpAddr, peer: PeerId) -> bool {
        let peer = self.peers.iter().find(|known| known.id == peer);
        let told = peer.and_then(|peer| peer.advertised);
        [Transport::Udp, Transport::Tcp, Transport::Tls]
            .map(|transport| self.config.advertised_by(transport))
            .into_iter()
            .chain(told)
            .any(|own| own.ip() == address)
    }
}

impl super::Leg {
    /// Whether the answer to this request of ours still matters to the leg.
    fn waits_for(&self, key: ClientKey) -> bool {
        match &self.state {
            State::Calling(calling) => calling.waits_for(key),
            _ => true,
        }
    }

    /// The request that the leg waits for goes on under another key.
    fn rekey(&mut self, before: ClientKey, after: ClientKey) {
        if let State::Calling(calling) = &mut self.state {
            calling.rekey(before, after);
        }
        self.rekey_offer(before, after);
    }
}

/// The credentials in a request of ours: the ACK of its success carries the same (RFC 3261 section 13.2.2.4).
pub(super) fn authorizations_of(request: &[u8]) -> Vec<(Name, Vec<u8>)> {
    let Ok(request) = Message::parse(request) else {
        return Vec::new();
    };
    [Name::Authorization, Name::ProxyAuthorization]
        .into_iter()
        .filter_map(|name| Some((name, request.header(name)?.to_vec())))
        .collect()
}

/// The address that asked is not part of it: a carrier's cluster may send the credentials from another address than
/// the request that was challenged, and would be challenged for ever.
fn nonce_mac(chance: &Chance, (time, random): (u64, u64), peer: PeerId) -> u128 {
    let parts: [&[u8]; 3] = [
        &time.to_be_bytes(),
        &random.to_be_bytes(),
        &peer.0.to_be_bytes(),
    ];
    chance.keyed(b"nonce", &parts)
}

/// When and how a nonce was made, if we made it for this peer.
fn read_nonce(chance: &Chance, nonce: &[u8], peer: PeerId) -> Option<(u64, u64)> {
    if nonce.len() != 64 {
        return None;
    }
    let time = text::parse_hex64(&nonce[..16])?;
    let random = text::parse_hex64(&nonce[16..32])?;
    let mac = text::parse_hex128(&nonce[32..])?;
    (mac == nonce_mac(chance, (time, random), peer)).then_some((time, random))
}

/// Whether a peer has to authenticate itself before it may ask for this.
pub(super) fn needs_auth(method: Method) -> bool {
    // A probe gets what any stranger could find out; all else outside a dialog is answered 481 anyway.
    method == Method::Invite
}
