//! What two user agents share for the length of a call (RFC 3261 section 12), and the requests within it.

use crate::hop::{Hop, Transport};
use crate::message::{Message, Method, Name, NameAddr, Writer};
use crate::uri::{self, Uri};

/// The most hops of a route set that we keep.
const ROUTES_MAX: usize = 16;

#[derive(Clone)]
pub(super) struct Dialog {
    pub call_id: Box<[u8]>,
    /// Ours; unique among all legs, so that it alone finds the leg.
    pub local_tag: u64,
    /// Theirs; none before the first response with a tag, or for a peer of RFC 2543 times.
    pub remote_tag: Option<Box<[u8]>>,
    /// The whole value of our `From` in requests.
    local: Box<[u8]>,
    /// The whole value of our `To` in requests.
    remote: Box<[u8]>,
    /// Where their `Contact` points.
    target: Box<[u8]>,
    routes: Vec<Box<[u8]>>,
    pub local_cseq: u32,
    pub remote_cseq: Option<u32>,
}

/// What every request of ours begins with.
pub(super) struct Head<'a> {
    pub method: Method,
    pub uri: &'a [u8],
    /// The whole value of the `Via`.
    pub via: &'a [u8],
    pub from: &'a [u8],
    pub to: &'a [u8],
    pub call_id: &'a [u8],
    pub cseq: u32,
    pub max_forwards: u8,
}

impl Head<'_> {
    pub fn write<'r>(&self, routes: impl Iterator<Item = &'r [u8]>) -> Writer {
        let mut writer = Writer::request(self.method.as_str(), self.uri);
        writer.line(Name::Via, &[self.via]);
        for route in routes {
            writer.line(Name::Route, &[route]);
        }
        writer
            .line(
                Name::MaxForwards,
                &[self.max_forwards.to_string().as_bytes()],
            )
            .line(Name::From, &[self.from])
            .line(Name::To, &[self.to])
            .line(Name::CallId, &[self.call_id])
            .line(
                Name::CSeq,
                &[
                    self.cseq.to_string().as_bytes(),
                    b" ",
                    self.method.as_str().as_bytes(),
                ],
            );
        writer
    }
}

impl Dialog {
    /// The side that was asked, from the INVITE (section 12.1.1). None where the INVITE lacks what it needs.
    pub fn answering(invite: &Message, local_tag: u64) -> Option<Self> {
        let essentials = invite.essentials().ok()?;
        let target = contact_of(invite).or_else(|| uri::request_uri(essentials.from.uri))?;
        Some(Self {
            call_id: essentials.call_id.into(),
            local_tag,
            remote_tag: essentials.from.tag().map(Into::into),
            local: [
                invite.header(Name::To)?,
                b";tag=",
                crate::text::hex64(local_tag).as_bytes(),
            ]
            .concat()
            .into(),
            remote: invite.header(Name::From)?.into(),
            target: target.into(),
            routes: invite
                .values(Name::RecordRoute)
                .take(ROUTES_MAX)
                .map(Into::into)
                .collect(),
            local_cseq: 0,
            remote_cseq: Some(essentials.cseq.number),
        })
    }

    /// The side that asks, before anything is known of the other.
    pub fn asking(
        call_id: Vec<u8>,
        local_tag: u64,
        local: Vec<u8>,
        remote: Vec<u8>,
        target: &[u8],
    ) -> Self {
        Self {
            call_id: call_id.into(),
            local_tag,
            remote_tag: None,
            local: local.into(),
            remote: remote.into(),
            target: target.into(),
            routes: Vec::new(),
            local_cseq: 1,
            remote_cseq: None,
        }
    }

    /// The dialog to which a request of ours belongs, or which it would begin, read back from what was sent.
    pub fn of_request(request: &Message) -> Option<Self> {
        let essentials = request.essentials().ok()?;
        let tag = crate::text::parse_hex64(essentials.from.tag()?)?;
        Some(Self {
            call_id: essentials.call_id.into(),
            local_tag: tag,
            remote_tag: essentials.to.tag().map(Into::into),
            local: request.header(Name::From)?.into(),
            remote: request.header(Name::To)?.into(),
            target: request.request_uri().into(),
            routes: request.values(Name::Route).map(Into::into).collect(),
            local_cseq: essentials.cseq.number,
            remote_cseq: None,
        })
    }

    /// Takes over what a response with a tag says of the other side (section 12.1.2).
    pub fn learn(&mut self, response: &Message) {
        let Some(to) = response.header(Name::To) else {
            return;
        };
        let Some(tag) = NameAddr::parse(to).and_then(|to| to.tag()) else {
            return;
        };
        self.remote_tag = Some(tag.into());
        self.remote = to.into();
        self.refresh_target(response);
        let mut routes: Vec<Box<[u8]>> = response
            .values(Name::RecordRoute)
            .take(ROUTES_MAX)
            .map(Into::into)
            .collect();
        routes.reverse();
        self.routes = routes;
    }

    /// A re-INVITE or UPDATE and its success say where requests go from now on (sections 12.2.1.2 and 12.2.2).
    pub fn refresh_target(&mut self, message: &Message) {
        if let Some(target) = contact_of(message) {
            self.target = target.into();
        }
    }

    /// Whether a request with these tags and this Call-ID belongs here. While their tag is unknown, or
    /// they have none, it is not asked for.
    pub fn matches(&self, call_id: &[u8], remote_tag: Option<&[u8]>) -> bool {
        *self.call_id == *call_id
            && self
                .remote_tag
                .as_deref()
                .is_none_or(|known| remote_tag == Some(known))
    }

    /// Takes the number of a request of theirs. Gaps are allowed, going back is not (section 12.2.2).
    pub fn advance(&mut self, number: u32) -> bool {
        let goes_on = self.remote_cseq.is_none_or(|last| number > last);
        if goes_on {
            self.remote_cseq = Some(number);
        }
        goes_on
    }

    /// Begins a request within the dialog (section 12.2.1.1) with the sequence number `local_cseq`.
    pub fn request(&self, method: Method, via: &[u8]) -> Writer {
        self.numbered(method, self.local_cseq, via)
    }

    /// Begins a request within the dialog with a number of its own: an ACK has that of its INVITE.
    pub fn numbered(&self, method: Method, cseq: u32, via: &[u8]) -> Writer {
        let strict = self
            .first_route_uri()
            .filter(|uri| !uri::is_loose(uri))
            .and_then(uri::request_uri);
        let head = Head {
            method,
            uri: strict.unwrap_or(&self.target),
            via,
            from: &self.local,
            to: &self.remote,
            call_id: &self.call_id,
            cseq,
            max_forwards: 70,
        };
        let routes = self.routes.iter().map(|route| &**route);
        match strict {
            // A strict router moves itself into the Request-URI and the target to the end.
            Some(_) => {
                let target = [b"<", &*self.target, b">"].concat();
                head.write(routes.skip(1).chain([target.as_slice()]))
            }
            None => head.write(routes),
        }
    }

    fn first_route_uri(&self) -> Option<&[u8]> {
        self.routes
            .first()
            .and_then(|route| NameAddr::parse(route))
            .map(|route| route.uri)
    }

    /// Whether a proxy wants to stay on the way.
    pub fn has_route(&self) -> bool {
        !self.routes.is_empty()
    }

    /// Where requests go: the first route, or the target, if that is an address; else `fallback`.
    pub fn next_hop(&self, fallback: Hop) -> Hop {
        let uri = self.first_route_uri().unwrap_or(&self.target);
        Uri::parse(uri)
            .and_then(|uri| uri.hop(fallback.transport))
            // What began within TLS stays there.
            .filter(|hop| fallback.transport != Transport::Tls || hop.transport == Transport::Tls)
            .unwrap_or(fallback)
    }
}

/// Where the other side wants to be asked, if that can stand in a request line.
fn contact_of(message: &Message) -> Option<&[u8]> {
    let contact = message.values(Name::Contact).next()?;
    uri::request_uri(NameAddr::parse(contact)?.uri)
}

/// The ACK for a failure, or the CANCEL, that belongs to `invite` (RFC 3261 sections 17.1.1.3 and 9.1):
/// same branch, same everything but the method. The ACK takes its `To` from the response.
pub(super) fn beside_invite(
    invite: &Message,
    method: Method,
    response: Option<&Message>,
) -> Option<Writer> {
    let essentials = invite.essentials().ok()?;
    let to = response
        .and_then(|response| response.header(Name::To))
        .or_else(|| invite.header(Name::To))?;
    let head = Head {
        method,
        uri: invite.request_uri(),
        via: invite.header(Name::Via)?,
        from: invite.header(Name::From)?,
        to,
        call_id: essentials.call_id,
        cseq: essentials.cseq.number,
        max_forwards: 70,
    };
    Some(head.write(invite.headers(Name::Route)))
}
