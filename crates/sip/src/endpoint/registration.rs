//! Registration with peers that want it (RFC 3261 section 10.2): what a REGISTER says, what its answer grants, and
//! when the next one is due. `peer_tasks` sends it.

use super::peer_tasks::{EXPIRES_S_MAX, EXPIRES_S_MIN, Sequence};
use super::table::TaskKind;
use super::{Endpoint, Event, Peer, PeerId, Registration, RegistrationState};
use crate::message::{Message, Method, Name, NameAddr};
use crate::text;
use crate::time::Time;
use crate::uri::{Scheme, Uri, host_text};
use std::sync::Arc;
use std::time::Duration;

/// After a registration that failed: the first wait, which doubles, and the longest (RFC 5626 section 4.5).
const BACK_OFF_S: u64 = 30;
const BACK_OFF_S_MAX: u64 = 1_800;
/// The longest `Retry-After` that is heeded, in seconds.
const RETRY_AFTER_S_MAX: u64 = 3_600;

impl Endpoint {
    pub(super) fn write_register(
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

    /// How the registration with a peer is; none if there is to be none.
    pub fn registration(&self, peer: PeerId) -> Option<RegistrationState> {
        let work = self.peer_tasks.work.get(&(peer, TaskKind::Register))?;
        Some(RegistrationState {
            until: work.until,
            failed: work.status.filter(|status| *status != 200),
            is_refused: work.is_refused,
        })
    }

    pub(super) fn on_registered(
        &mut self,
        task: (PeerId, TaskKind),
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
        let Some(work) = self.peer_tasks.work.get_mut(&task) else {
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
        self.peer_tasks.schedule(task, Some(now + wait));
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
