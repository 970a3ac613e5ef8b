//! The stateless front: what is answered at once, from the request alone, and then forgotten.
//!
//! A request that is sent again gets the same answer again, since the tag in it is derived from the
//! request. Nothing here uses memory, so nothing here can be exhausted.

use super::{Endpoint, Output, Warning};
use crate::hop::Hop;
use crate::message::{self, Malformed, Message, Method, Name, Via};
use crate::uri::{Uri, host_text};
use std::net::SocketAddr;
use std::sync::Arc;

/// What we understand, for `Allow`.
pub(super) const ALLOW: &[u8] = b"INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO";
/// The extensions that we understand, for `Supported` (RFC 3262, RFC 4028).
pub(super) const SUPPORTED: &[u8] = b"100rel, timer";

/// What a refusal adds to its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    None,
    /// The methods that we understand.
    Allow,
    /// The body that we understand.
    Accept,
    /// The sender asks for extensions that we do not have.
    Unsupported,
    /// We are full: come back in so many seconds.
    RetryAfter(u16),
    /// Something else is under way: come back in so many seconds.
    RetrySoon(u16),
    /// The shortest time between refreshes that we agree to, in seconds.
    MinSe(u32),
    /// The types of INFO that we understand.
    AcceptInfo,
    /// The cause after Q.850.
    Cause(u8),
    /// What is wrong with the description.
    Warning(Warning),
}

/// Inspects method and headers of any request, within a dialog or not (RFC 3261 sections 8.2.1 to 8.2.3).
/// None: go on.
pub(super) fn inspect(request: &Message, max_forwards: u8) -> Option<(u16, Hint)> {
    let method = request.method()?;
    if !request.is_version_2() {
        return Some((505, Hint::None));
    }
    match method {
        Method::Unknown => return Some((501, Hint::Allow)),
        Method::Invite | Method::Ack | Method::Cancel | Method::Bye | Method::Options => {}
        Method::Prack | Method::Update | Method::Info => {}
        _ => return Some((405, Hint::Allow)),
    }
    if Uri::parse(request.request_uri()).is_none() {
        return Some((416, Hint::None));
    }
    // Only a call goes on from here; for all else we are where it goes.
    if max_forwards == 0 && method == Method::Invite {
        return Some((483, Hint::None));
    }
    if unknown_extensions(request).next().is_some() {
        return Some((420, Hint::Unsupported));
    }
    let may_offer = matches!(method, Method::Invite | Method::Update | Method::Prack);
    if may_offer && !request.is_body_readable() {
        return Some((415, Hint::Accept));
    }
    if method == Method::Invite && !takes_sdp(request) {
        return Some((406, Hint::None));
    }
    None
}

fn unknown_extensions(request: &Message) -> impl Iterator<Item = &[u8]> {
    request.values(Name::Require).filter(|wanted| {
        !wanted.eq_ignore_ascii_case(b"100rel") && !wanted.eq_ignore_ascii_case(b"timer")
    })
}

/// Whether the asking side can read our answer (RFC 3261 section 20.1). It can if it does not say.
fn takes_sdp(request: &Message) -> bool {
    let mut kinds = request
        .values(Name::Accept)
        .filter_map(|kind| kind.split(|&byte| byte == b';').next())
        .map(crate::text::trim)
        .peekable();
    let known = [b"application/sdp".as_slice(), b"application/*", b"*/*"];
    kinds.peek().is_none()
        || kinds.any(|kind| known.iter().any(|known| kind.eq_ignore_ascii_case(known)))
}

/// Where the answer to a request goes when the connection is gone by which it came: to the address from which
/// it came and the port in its `Via`, or the usual one (RFC 3261 section 18.2.2). None for datagrams.
pub(super) fn answer_elsewhere(via: &Via<'_>, source: Hop) -> Option<Hop> {
    let transport = source.transport;
    let port = via.port.unwrap_or(transport.usual_port());
    let there = SocketAddr::new(source.address.ip(), port);
    transport.is_stream().then(|| Hop::new(transport, there))
}

impl Endpoint {
    /// Where the answer to a request goes (RFC 3261 section 18.2.2, RFC 3581): back over the connection it
    /// came by; for a datagram to the address it came from, and to the port it came from only if asked, or if
    /// the peer is behind NAT, else to the port that it names.
    pub(super) fn answer_to(&self, via: &Via<'_>, source: Hop) -> Hop {
        if source.transport.is_stream() {
            return source;
        }
        let port = if via.wants_rport() || self.is_nat(source) {
            source.address.port()
        } else {
            via.port.unwrap_or(5060)
        };
        Hop::udp(SocketAddr::new(source.address.ip(), port))
    }

    /// Answers without memory.
    pub(super) fn answer_at_once(
        &mut self,
        request: &Message,
        source: Hop,
        status: u16,
        hint: Hint,
    ) {
        let bytes = self.write_answer(request, source, status, hint);
        self.send_answer(request, source, bytes);
    }

    pub(super) fn write_answer(
        &self,
        request: &Message,
        source: Hop,
        status: u16,
        hint: Hint,
    ) -> Arc<[u8]> {
        let tag = self.stateless_tag(request);
        let mut writer = message::reply(request, source, status, Some(tag.as_bytes()));
        match hint {
            Hint::None => {}
            Hint::Warning(warning) => {
                let value = warning.value(&host_text(self.config.advertised));
                writer.line(Name::Warning, &[value.as_bytes()]);
            }
            Hint::Cause(cause) => {
                writer.line(Name::Reason, &[super::reason(cause).as_bytes()]);
            }
            Hint::Allow => {
                writer.line(Name::Allow, &[ALLOW]);
            }
            Hint::Accept => {
                writer.line(Name::Accept, &[b"application/sdp"]);
            }
            Hint::RetryAfter(seconds) => {
                // Q.850 cause 42: congestion.
                writer.line(Name::Reason, &[super::reason(42).as_bytes()]);
                writer.line(Name::RetryAfter, &[seconds.to_string().as_bytes()]);
            }
            Hint::RetrySoon(seconds) => {
                writer.line(Name::RetryAfter, &[seconds.to_string().as_bytes()]);
            }
            Hint::MinSe(seconds) => {
                writer.line(Name::MinSe, &[seconds.to_string().as_bytes()]);
            }
            Hint::AcceptInfo => {
                writer.line(
                    Name::Accept,
                    &[&crate::dtmf::INFO_TYPES.join(b", ".as_slice())],
                );
            }
            Hint::Unsupported => {
                let wanted: Vec<&[u8]> = unknown_extensions(request).collect();
                writer.line(Name::Unsupported, &[&wanted.join(b", ".as_slice())]);
            }
        }
        writer.finish()
    }

    /// Answers 400 with the reason in its phrase, if there is a `Via` to answer by.
    pub(super) fn answer_malformed(&mut self, request: &Message, source: Hop, reason: Malformed) {
        if request.method() == Some(Method::Ack) || request.top_via().is_none() {
            return;
        }
        let status = if request.is_version_2() { 400 } else { 505 };
        let mut writer = message::Writer::response(status, &reason.to_string());
        let tag = self.stateless_tag(request);
        message::reply_head(&mut writer, request, source, Some(tag.as_bytes()));
        let bytes = writer.finish();
        self.send_answer(request, source, bytes);
    }

    /// OPTIONS from a peer: we are here (RFC 3261 section 11.2).
    pub(super) fn write_options(&self, request: &Message, source: Hop) -> Arc<[u8]> {
        let tag = self.stateless_tag(request);
        let mut writer = message::reply(request, source, 200, Some(tag.as_bytes()));
        writer
            .line(Name::Allow, &[ALLOW])
            .line(Name::Accept, &[b"application/sdp"])
            .line(Name::Supported, &[SUPPORTED]);
        writer.finish()
    }

    pub(super) fn send_answer(&mut self, request: &Message, source: Hop, bytes: Arc<[u8]>) {
        if let Some(via) = request.top_via() {
            let to = self.answer_to(&via, source);
            self.outputs.push_back(Output::Send { to, bytes });
        }
    }

    /// The same for each copy of a request (RFC 3261 section 8.2.7).
    pub(super) fn stateless_tag(&self, request: &Message) -> String {
        let parts = [Name::Via, Name::From, Name::CallId]
            .map(|name| request.header(name).unwrap_or_default());
        crate::text::hex64(self.chance.keyed(b"stateless tag", &parts) as u64)
    }
}
