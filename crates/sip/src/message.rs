//! A SIP message: the bytes as they came, with an index of where things stand.
//!
//! [`Message::parse`] only splits; it judges nothing that a header says, so one odd header never hides
//! the others, and bytes that are not UTF-8 (a display name in GBK is an everyday thing) stay what they
//! are. Meaning is read on demand by the typed views. What a request must have before it can be answered
//! is [`Message::essentials`].

mod multipart;
mod name;
mod parts;
mod write;

pub use crate::params::Params;
pub use name::{Method, Name};
pub use parts::{CSeq, NameAddr, Via};
pub use write::{Writer, phrase, reply};
pub(crate) use write::{again, reply_head, with_line};

use crate::text;
use std::fmt;

/// The longest message that we read, in bytes: what fits one UDP datagram.
pub const MESSAGE_BYTES_MAX: usize = 65_535;
/// The most header lines in one message.
pub const HEADERS_MAX: usize = 128;
/// The longest header line, folded ones counted together, in bytes.
pub const LINE_BYTES_MAX: usize = 8_192;

/// Why bytes are not a message at all. Nothing can be answered to such bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Nothing but line breaks, as sent to keep a path through a NAT open.
    #[error("empty")]
    Empty,
    /// Longer than [`MESSAGE_BYTES_MAX`].
    #[error("longer than {MESSAGE_BYTES_MAX} bytes")]
    TooLong,
    /// The first line is neither a request line nor a status line.
    #[error("no request line or status line")]
    StartLine,
    /// A header line without a colon or without a name.
    #[error("a header line without a name")]
    HeaderLine,
    /// More than [`HEADERS_MAX`] header lines.
    #[error("more than {HEADERS_MAX} header lines")]
    TooManyHeaders,
    /// A line longer than [`LINE_BYTES_MAX`].
    #[error("a line longer than {LINE_BYTES_MAX} bytes")]
    LineTooLong,
    /// The bytes end in the middle of the header lines.
    #[error("cut off within the headers")]
    Truncated,
}

/// What a request lacks. Where the topmost `Via` is readable the answer is 400 with this as its phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant is its sentence")]
pub enum Malformed {
    #[error("Bad Request Line")]
    RequestLine,
    #[error("Missing or Bad Via")]
    Via,
    #[error("Missing or Bad From")]
    From,
    #[error("Missing or Bad To")]
    To,
    #[error("Missing or Bad Call-ID")]
    CallId,
    #[error("Missing or Bad CSeq")]
    CSeq,
    #[error("CSeq Method Mismatch")]
    CSeqMethod,
    #[error("Bad Max-Forwards")]
    MaxForwards,
    #[error("Bad Content-Length")]
    ContentLength,
    #[error("Repeated Header")]
    Repeated,
}

/// Where something stands in the bytes. A message is never longer than `u16` can count.
#[derive(Clone, Copy)]
struct Span {
    start: u16,
    end: u16,
}

#[derive(Clone, Copy)]
struct Line {
    name: Name,
    label: Span,
    value: Span,
}

#[derive(Clone, Copy)]
enum Start {
    Request {
        method: Method,
        label: Span,
        uri: Span,
        version: Span,
    },
    Response {
        status: u16,
        phrase: Span,
        version: Span,
    },
}

/// A message as it came. Its `Debug` shows what kind it is and how long, never a number or a name.
#[derive(Clone)]
pub struct Message {
    bytes: Box<[u8]>,
    start: Start,
    lines: Vec<Line>,
    body: Span,
    content_length_fits: bool,
}

/// The headers without which a request cannot be matched or answered (RFC 3261 section 8.1.1).
#[derive(Clone, Copy)]
pub struct Essentials<'a> {
    /// The topmost `Via`: who sent this and how it is to be answered.
    pub via: Via<'a>,
    /// The sender.
    pub from: NameAddr<'a>,
    /// The addressee.
    pub to: NameAddr<'a>,
    /// The `Call-ID`.
    pub call_id: &'a [u8],
    /// The sequence number.
    pub cseq: CSeq<'a>,
    /// Hops that are left; 70 where nothing is said.
    pub max_forwards: u8,
}

impl Message {
    /// Splits one datagram. Leading line breaks are skipped; without `Content-Length` the rest is the body.
    pub fn parse(datagram: &[u8]) -> Result<Self, ParseError> {
        let begin = datagram
            .iter()
            .position(|byte| !matches!(byte, b'\r' | b'\n'))
            .ok_or(ParseError::Empty)?;
        let bytes: Box<[u8]> = datagram[begin..].into();
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(ParseError::TooLong);
        }
        let (first, mut at) = line_at(&bytes, 0)?;
        let start = parse_start(&bytes, first)?;
        let mut lines = Vec::with_capacity(24);
        while at < bytes.len() {
            let (line, mut next) = line_at(&bytes, at)?;
            if line.start == line.end {
                at = next;
                break;
            }
            let mut end = line.end;
            while matches!(bytes.get(next), Some(b' ' | b'\t')) {
                let (folded, after) = line_at(&bytes, next)?;
                end = folded.end;
                next = after;
            }
            if lines.len() == HEADERS_MAX {
                return Err(ParseError::TooManyHeaders);
            }
            lines.push(parse_line(
                &bytes,
                Span {
                    start: line.start,
                    end,
                },
            )?);
            at = next;
        }
        let mut message = Self {
            start,
            lines,
            body: span(at, bytes.len()),
            content_length_fits: true,
            bytes,
        };
        message.cut_body();
        Ok(message)
    }

    /// Over UDP a body shorter than announced is an error and a longer one is cut (RFC 3261 section 18.3).
    fn cut_body(&mut self) {
        let Some(announced) = self.header(Name::ContentLength) else {
            return;
        };
        match text::number::<u32>(announced).map(|length| length as usize) {
            Some(length) if length <= self.body().len() => {
                self.body = span(
                    usize::from(self.body.start),
                    usize::from(self.body.start) + length,
                );
            }
            _ => self.content_length_fits = false,
        }
    }

    fn get(&self, span: Span) -> &[u8] {
        &self.bytes[usize::from(span.start)..usize::from(span.end)]
    }

    /// All the bytes, without the line breaks before the first line.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The method of a request; none for a response.
    pub fn method(&self) -> Option<Method> {
        match self.start {
            Start::Request { method, .. } => Some(method),
            Start::Response { .. } => None,
        }
    }

    /// The method as it was written; empty for a response.
    pub fn method_text(&self) -> &[u8] {
        match self.start {
            Start::Request { label, .. } => self.get(label),
            Start::Response { .. } => &[],
        }
    }

    /// The Request-URI; empty for a response.
    pub fn request_uri(&self) -> &[u8] {
        match self.start {
            Start::Request { uri, .. } => self.get(uri),
            Start::Response { .. } => &[],
        }
    }

    /// The status of a response; none for a request.
    pub fn status(&self) -> Option<u16> {
        match self.start {
            Start::Request { .. } => None,
            Start::Response { status, .. } => Some(status),
        }
    }

    /// The reason phrase of a response; empty for a request.
    pub fn phrase(&self) -> &[u8] {
        match self.start {
            Start::Request { .. } => &[],
            Start::Response { phrase, .. } => self.get(phrase),
        }
    }

    /// Whether the first line says `SIP/2.0`, in any case.
    pub fn is_version_2(&self) -> bool {
        let (Start::Request { version, .. } | Start::Response { version, .. }) = self.start;
        self.get(version).eq_ignore_ascii_case(b"SIP/2.0")
    }

    /// The value of the first header line of this name.
    pub fn header(&self, name: Name) -> Option<&[u8]> {
        self.headers(name).next()
    }

    /// The values of all header lines of this name, in order.
    pub fn headers(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        self.lines
            .iter()
            .filter(move |line| line.name == name)
            .map(|line| self.get(line.value))
    }

    /// The values of a header that may hold several in one line, in order.
    pub fn values(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        self.headers(name).flat_map(text::list)
    }

    /// Every header line as it came: what it was called, and its value.
    pub fn all_headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines
            .iter()
            .map(|line| (self.get(line.label), self.get(line.value)))
    }

    /// Whether a header that lists tokens, such as `Supported` or `Allow`, has this one, in any case.
    pub fn lists(&self, name: Name, token: &str) -> bool {
        self.values(name)
            .any(|value| value.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// The body; empty where there is none.
    pub fn body(&self) -> &[u8] {
        self.get(self.body)
    }

    /// The topmost `Via`.
    pub fn top_via(&self) -> Option<Via<'_>> {
        Via::parse(self.values(Name::Via).next()?)
    }

    /// Reads what every request and response must carry.
    pub fn essentials(&self) -> Result<Essentials<'_>, Malformed> {
        let via = self.top_via().ok_or(Malformed::Via)?;
        if self
            .values(Name::Via)
            .any(|value| Via::parse(value).is_none())
        {
            return Err(Malformed::Via);
        }
        if let Start::Request { label, uri, .. } = self.start {
            let (method, uri) = (self.get(label), self.get(uri));
            if method.is_empty()
                || uri.is_empty()
                || uri.iter().any(|&byte| text::is_space(byte) || byte == b'<')
                || crate::uri::has_headers(uri)
            {
                return Err(Malformed::RequestLine);
            }
        }
        for name in [
            Name::From,
            Name::To,
            Name::CallId,
            Name::CSeq,
            Name::MaxForwards,
            Name::ContentLength,
        ] {
            if self.headers(name).nth(1).is_some() {
                return Err(Malformed::Repeated);
            }
        }
        let from = self
            .header(Name::From)
            .and_then(NameAddr::parse)
            .ok_or(Malformed::From)?;
        let to = self
            .header(Name::To)
            .and_then(NameAddr::parse)
            .ok_or(Malformed::To)?;
        let call_id = self
            .header(Name::CallId)
            .filter(|id| !id.is_empty())
            .ok_or(Malformed::CallId)?;
        let cseq = self
            .header(Name::CSeq)
            .and_then(CSeq::parse)
            .ok_or(Malformed::CSeq)?;
        if self.method().is_some() && cseq.method != self.method_text() {
            return Err(Malformed::CSeqMethod);
        }
        let max_forwards = match self.header(Name::MaxForwards) {
            None => 70,
            Some(value) => text::number(value).ok_or(Malformed::MaxForwards)?,
        };
        if !self.content_length_fits {
            return Err(Malformed::ContentLength);
        }
        Ok(Essentials {
            via,
            from,
            to,
            call_id,
            cseq,
            max_forwards,
        })
    }

    /// The Q.850 cause of the first `Reason` header that has one (RFC 3326), such as 16 for normal clearing.
    pub fn q850(&self) -> Option<u8> {
        self.reason("Q.850").and_then(text::number)
    }

    /// The status of the first `Reason` header that speaks of SIP, such as 200 in a CANCEL: answered elsewhere.
    pub fn sip_reason(&self) -> Option<u16> {
        self.reason("SIP").and_then(text::number)
    }

    /// Why, as a Q.850 cause: the one that is given, or the one that the given SIP status stands for.
    pub fn cause(&self) -> Option<u8> {
        let of_sip = || crate::cause::of_status(self.sip_reason()?);
        self.q850().or_else(of_sip)
    }

    fn reason(&self, protocol: &str) -> Option<&[u8]> {
        self.values(Name::Reason).find_map(|reason| {
            let semicolon = reason.iter().position(|&byte| byte == b';')?;
            let found = text::trim(&reason[..semicolon]);
            let params = Params::new(&reason[semicolon..]);
            found
                .eq_ignore_ascii_case(protocol.as_bytes())
                .then(|| params.get("cause"))
                .flatten()
        })
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.start {
            Start::Request { method, .. } => {
                write!(f, "Message({method:?}, {} bytes)", self.bytes.len())
            }
            Start::Response { status, .. } => {
                write!(f, "Message({status}, {} bytes)", self.bytes.len())
            }
        }
    }
}

/// The caller has checked that `bytes` is no longer than a `u16` counts.
fn span(start: usize, end: usize) -> Span {
    let short = |at: usize| u16::try_from(at).expect("a message is at most 65,535 bytes long");
    Span {
        start: short(start),
        end: short(end),
    }
}

/// The line that begins at `at`, without its line break, and where the next one begins. A bare line feed
/// ends a line too.
fn line_at(bytes: &[u8], at: usize) -> Result<(Span, usize), ParseError> {
    let rest = &bytes[at..];
    let feed = rest
        .iter()
        .position(|&byte| byte == b'\n')
        .ok_or(ParseError::Truncated)?;
    if feed > LINE_BYTES_MAX {
        return Err(ParseError::LineTooLong);
    }
    let end = if feed > 0 && rest[feed - 1] == b'\r' {
        feed - 1
    } else {
        feed
    };
    Ok((span(at, at + end), at + feed + 1))
}

fn parse_start(bytes: &[u8], line: Span) -> Result<Start, ParseError> {
    let offset = usize::from(line.start);
    // White space behind the line may be passed over (RFC 4475 section 3.1.2.10).
    let text = bytes[offset..usize::from(line.end)].trim_ascii_end();
    let within = |start: usize, end: usize| span(offset + start, offset + end);
    let first = text
        .iter()
        .position(|&byte| byte == b' ')
        .ok_or(ParseError::StartLine)?;
    if text.len() >= 4 && text[..4].eq_ignore_ascii_case(b"SIP/") {
        let status = text
            .get(first + 1..first + 4)
            .ok_or(ParseError::StartLine)?;
        let status = text::number(status)
            .filter(|status| (100..700).contains(status))
            .ok_or(ParseError::StartLine)?;
        let phrase = match text.get(first + 4) {
            None => within(text.len(), text.len()),
            Some(b' ') => within(first + 5, text.len()),
            Some(_) => return Err(ParseError::StartLine),
        };
        return Ok(Start::Response {
            status,
            phrase,
            version: within(0, first),
        });
    }
    let last = text
        .iter()
        .rposition(|&byte| byte == b' ')
        .ok_or(ParseError::StartLine)?;
    // Only `SIP/` at the end makes it a request line; which version is judged later, and answered.
    let version = &text[last + 1..];
    if last == first || version.len() < 4 || !version[..4].eq_ignore_ascii_case(b"SIP/") {
        return Err(ParseError::StartLine);
    }
    Ok(Start::Request {
        method: Method::parse(&text[..first]),
        label: within(0, first),
        uri: within(first + 1, last),
        version: within(last + 1, text.len()),
    })
}

fn parse_line(bytes: &[u8], line: Span) -> Result<Line, ParseError> {
    let offset = usize::from(line.start);
    let text = &bytes[offset..usize::from(line.end)];
    if text.len() > LINE_BYTES_MAX {
        return Err(ParseError::LineTooLong);
    }
    let colon = text
        .iter()
        .position(|&byte| byte == b':')
        .ok_or(ParseError::HeaderLine)?;
    let label = text::trim(&text[..colon]);
    if label.is_empty()
        || text[0] == b' '
        || text[0] == b'\t'
        || label.iter().any(|&byte| text::is_space(byte))
    {
        return Err(ParseError::HeaderLine);
    }
    let value = text::trim(&text[colon + 1..]);
    // `trim` gives a part of `text`; where it begins follows from what it cut off in front.
    let before = text[colon + 1..]
        .iter()
        .take_while(|&&byte| text::is_space(byte))
        .count();
    let value_at = offset + (colon + 1 + before).min(text.len());
    Ok(Line {
        name: Name::parse(label),
        label: span(offset, offset + label.len()),
        value: span(value_at, value_at + value.len()),
    })
}

#[cfg(test)]
mod tests;
