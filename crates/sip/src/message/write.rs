//! Writing messages. Every message that we send is made here, line by line.

use super::{Message, Name, Via};
use crate::hop::Hop;
use crate::text;
use std::sync::Arc;

/// Writes one message.
pub struct Writer(Vec<u8>);

impl Writer {
    /// Begins a request.
    pub fn request(method: &str, uri: &[u8]) -> Self {
        let mut writer = Self(Vec::with_capacity(1_024));
        writer.put(method.as_bytes());
        writer.put(b" ");
        writer.put(uri);
        writer.put(b" SIP/2.0\r\n");
        writer
    }

    /// Begins a response.
    pub fn response(status: u16, phrase: &str) -> Self {
        let mut writer = Self(Vec::with_capacity(1_024));
        writer.put(b"SIP/2.0 ");
        writer.put(status.to_string().as_bytes());
        writer.put(b" ");
        writer.put(phrase.as_bytes());
        writer.put(b"\r\n");
        writer
    }

    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Adds a header line whose value is `parts` one after another. A line break within them is only
    /// allowed where it folds the line; any other becomes a space, so no value can begin a header.
    pub fn line(&mut self, name: Name, parts: &[&[u8]]) -> &mut Self {
        self.put(name.as_str().as_bytes());
        self.put(b": ");
        let begin = self.0.len();
        for part in parts {
            self.put(part);
        }
        for at in begin..self.0.len() {
            let folds = matches!(self.0.get(at + 1), Some(b' ' | b'\t'));
            let before_feed = self.0[at] == b'\r'
                && self.0.get(at + 1) == Some(&b'\n')
                && matches!(self.0.get(at + 2), Some(b' ' | b'\t'));
            if (self.0[at] == b'\n' && !folds) || (self.0[at] == b'\r' && !before_feed) {
                self.0[at] = b' ';
            }
        }
        self.put(b"\r\n");
        self
    }

    /// Ends the message without a body.
    pub fn finish(mut self) -> Arc<[u8]> {
        self.put(b"Content-Length: 0\r\n\r\n");
        self.0.into()
    }

    /// Ends the message with a body of SDP.
    pub fn finish_with_sdp(self, sdp: &[u8]) -> Arc<[u8]> {
        self.finish_with(b"application/sdp", sdp)
    }

    /// Ends the message with a body of the given type.
    pub fn finish_with(mut self, content_type: &[u8], body: &[u8]) -> Arc<[u8]> {
        let length = body.len().to_string();
        self.line(Name::ContentType, &[content_type]);
        self.line(Name::ContentLength, &[length.as_bytes()]);
        self.put(b"\r\n");
        self.put(body);
        self.0.into()
    }
}

/// A request of our own once more, as a transaction of its own: another `Via` and sequence number, and
/// without its credentials, which are made anew. Each line of `instead` takes the place of those of its name,
/// or is added.
pub(crate) fn again(
    request: &Message,
    via: &[u8],
    cseq: u32,
    instead: &[(Name, &[u8])],
) -> Arc<[u8]> {
    let method = request.method_text();
    let mut writer = Writer(Vec::with_capacity(request.bytes().len() + 64));
    for part in [method, b" ", request.request_uri(), b" SIP/2.0\r\n"] {
        writer.put(part);
    }
    for (label, value) in request.all_headers() {
        match Name::parse(label) {
            Name::Via => writer.line(Name::Via, &[via]),
            Name::CSeq => writer.line(Name::CSeq, &[cseq.to_string().as_bytes(), b" ", method]),
            Name::Authorization | Name::ProxyAuthorization => &mut writer,
            name if instead.iter().any(|(other, _)| *other == name) => &mut writer,
            name => writer.line(name, &[value]),
        };
    }
    for (name, value) in instead {
        writer.line(*name, &[value]);
    }
    writer.put(b"\r\n");
    writer.put(request.body());
    writer.0.into()
}

/// A message of our own with one header line more, behind all others.
pub(crate) fn with_line(message: &[u8], name: Name, value: &[u8]) -> Arc<[u8]> {
    let break_at = message
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map_or(message.len(), |at| at + 2);
    let mut writer = Writer(Vec::with_capacity(message.len() + value.len() + 32));
    writer.put(&message[..break_at]);
    writer.line(name, &[value]);
    writer.put(&message[break_at..]);
    writer.0.into()
}

/// Begins the answer to `request`, which came from `source`: what RFC 3261 section 8.2.6 has copied, and
/// the topmost `Via` completed (sections 18.2.1 and RFC 3581). `tag` is added to a `To` without one.
///
/// A response goes back to the side that the request came from, so copying here carries nothing across.
pub fn reply(request: &Message, source: Hop, status: u16, tag: Option<&[u8]>) -> Writer {
    let mut writer = Writer::response(status, phrase(status));
    reply_head(&mut writer, request, source, tag);
    writer
}

pub(crate) fn reply_head(writer: &mut Writer, request: &Message, source: Hop, tag: Option<&[u8]>) {
    let mut vias = request.headers(Name::Via);
    if let Some(first) = vias.next() {
        write_top_via(writer, first, source);
    }
    for via in vias {
        writer.line(Name::Via, &[via]);
    }
    if let Some(from) = request.header(Name::From) {
        writer.line(Name::From, &[from]);
    }
    if let Some(to) = request.header(Name::To) {
        let has_tag = super::NameAddr::parse(to).is_some_and(|to| to.tag().is_some());
        match tag {
            Some(tag) if !has_tag => writer.line(Name::To, &[to, b";tag=", tag]),
            _ => writer.line(Name::To, &[to]),
        };
    }
    for name in [Name::CallId, Name::CSeq] {
        if let Some(value) = request.header(name) {
            writer.line(name, &[value]);
        }
    }
}

/// The first element of the first line gets `received` and, if asked for, `rport`.
fn write_top_via(writer: &mut Writer, line: &[u8], source: Hop) {
    let Some(top) = text::list(line).next() else {
        return;
    };
    let mut value = Vec::with_capacity(line.len() + 48);
    let head = top
        .iter()
        .position(|&byte| byte == b';')
        .unwrap_or(top.len());
    value.extend_from_slice(&top[..head]);
    let mut asked_for_port = false;
    if let Some(via) = Via::parse(top) {
        for (name, given) in via.params.iter() {
            if name.eq_ignore_ascii_case(b"rport") {
                asked_for_port = true;
                continue;
            }
            if name.eq_ignore_ascii_case(b"received") {
                continue;
            }
            value.push(b';');
            value.extend_from_slice(name);
            if let Some(given) = given {
                value.push(b'=');
                value.extend_from_slice(given);
            }
        }
    }
    value.extend_from_slice(format!(";received={}", source.address.ip()).as_bytes());
    if asked_for_port {
        value.extend_from_slice(format!(";rport={}", source.address.port()).as_bytes());
    }
    let mut rest = text::list(line).skip(1).peekable();
    if rest.peek().is_some() {
        for via in rest {
            value.extend_from_slice(b", ");
            value.extend_from_slice(via);
        }
    }
    writer.line(Name::Via, &[&value]);
}

/// The usual phrase of a status (RFC 3261 section 21 and the IANA registry).
pub fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        433 => "Anonymity Disallowed",
        439 => "First Hop Lacks Outbound Support",
        469 => "Bad Info Package",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        _ => match status / 100 {
            1 => "Progress",
            2 => "OK",
            3 => "Redirected",
            4 => "Request Failure",
            5 => "Server Failure",
            _ => "Global Failure",
        },
    }
}
