//! The description in a message: its body, or one part of it where an exchange sends other parts along
//! (RFC 5621, RFC 2046 section 5.1).

use super::{Message, Name};
use crate::text::{find_outside, trim};

/// The most parts that are looked at.
const PARTS_MAX: usize = 8;
/// The longest boundary (RFC 2046 section 5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;

impl Message {
    /// The session description, which is never empty; none where there is no body, or no such part in it. A
    /// body of which nothing is said is taken for one.
    pub fn sdp(&self) -> Option<&[u8]> {
        let body = Some(self.body()).filter(|body| !body.is_empty())?;
        if self.is_encoded() {
            return None;
        }
        let Some(kind) = self.header(Name::ContentType) else {
            return Some(body);
        };
        match parts(kind, body) {
            Some(mut parts) => {
                let part = parts.find(Part::is_sdp).map(|part| part.body);
                part.filter(|body| !body.is_empty())
            }
            None => is_sdp(kind).then_some(body),
        }
    }

    /// Whether all of the body that must be understood can be: there is none, or it is a description,
    /// perhaps among parts that its sender calls required only where they are one. Strictly a part of which
    /// nothing is said would be required; exchanges leave that out of what nobody needs.
    pub(crate) fn is_body_readable(&self) -> bool {
        if self.body().is_empty() {
            return true;
        }
        let Some(kind) = self.header(Name::ContentType) else {
            return false;
        };
        let is_needless = |part: Part<'_>| part.is_sdp() || !part.is_required();
        self.sdp().is_some()
            && parts(kind, self.body()).is_none_or(|mut parts| parts.all(is_needless))
    }

    fn is_encoded(&self) -> bool {
        self.header(Name::ContentEncoding)
            .is_some_and(|name| !name.eq_ignore_ascii_case(b"identity"))
    }
}

/// A part of a body.
#[derive(Clone, Copy)]
struct Part<'a> {
    head: &'a [u8],
    body: &'a [u8],
}

impl<'a> Part<'a> {
    fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.head.split(|&byte| byte == b'\n').find_map(|line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            let is_it = trim(&line[..colon]).eq_ignore_ascii_case(name.as_bytes());
            is_it.then(|| trim(&line[colon + 1..]))
        })
    }

    /// One for an early session (RFC 3959) speaks of another dialog's media.
    fn is_sdp(&self) -> bool {
        let disposition = self.header("Content-Disposition").unwrap_or_default();
        !before_semicolon(disposition).eq_ignore_ascii_case(b"early-session")
            && self.header("Content-Type").is_some_and(is_sdp)
    }

    fn is_required(&self) -> bool {
        self.header("Content-Disposition")
            .and_then(|disposition| parameter(disposition, "handling"))
            .is_some_and(|handling| handling.eq_ignore_ascii_case(b"required"))
    }
}

/// The parts of a body of this kind; none if it is no multipart.
fn parts<'a>(kind: &'a [u8], body: &'a [u8]) -> Option<impl Iterator<Item = Part<'a>>> {
    let family = kind.split(|&byte| byte == b'/').next().map(trim)?;
    if !family.eq_ignore_ascii_case(b"multipart") {
        return None;
    }
    let boundary = parameter(kind, "boundary")
        .filter(|boundary| (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len()))
        .unwrap_or_default();
    let mut rest = Some(body).filter(|_| !boundary.is_empty());
    // What comes before the first delimiter is no part.
    rest = rest.and_then(|body| after_delimiter(body, boundary).map(|(_, rest)| rest));
    let parts = std::iter::from_fn(move || {
        let (text, after) = after_delimiter(rest?, boundary)?;
        rest = Some(after);
        let (head, body) = split_head(text);
        Some(Part { head, body })
    });
    Some(parts.take(PARTS_MAX))
}

/// What stands before the next delimiter line, and what behind it.
fn after_delimiter<'a>(text: &'a [u8], boundary: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut line = 0;
    loop {
        let rest = &text[line..];
        let is_delimiter = rest
            .strip_prefix(b"--")
            .and_then(|rest| rest.strip_prefix(boundary))
            .is_some_and(ends_delimiter);
        let next = rest
            .iter()
            .position(|&byte| byte == b'\n')
            .map(|at| line + at + 1);
        if is_delimiter {
            // The line break before it belongs to it.
            let before = &text[..line];
            let before = before.strip_suffix(b"\n").unwrap_or(before);
            let before = before.strip_suffix(b"\r").unwrap_or(before);
            return Some((before, next.map_or(&[], |next| &text[next..])));
        }
        line = next?;
    }
}

/// Whether this is what may follow a boundary in its line: nothing, or blanks, behind `--` at the last one.
fn ends_delimiter(rest: &[u8]) -> bool {
    let rest = rest.strip_prefix(b"--").unwrap_or(rest);
    let line = rest.split(|&byte| byte == b'\n').next().unwrap_or_default();
    trim(line).is_empty()
}

/// The header lines of a part, and what follows their empty line.
fn split_head(part: &[u8]) -> (&[u8], &[u8]) {
    let mut line = 0;
    while let Some(length) = part[line..].iter().position(|&byte| byte == b'\n') {
        let next = line + length + 1;
        if trim(&part[line..next]).is_empty() {
            return (&part[..line], &part[next..]);
        }
        line = next;
    }
    (part, &[])
}

fn is_sdp(kind: &[u8]) -> bool {
    before_semicolon(kind).eq_ignore_ascii_case(b"application/sdp")
}

fn before_semicolon(value: &[u8]) -> &[u8] {
    trim(value.split(|&byte| byte == b';').next().unwrap_or_default())
}

/// The value of a parameter behind a semicolon, without quotes.
fn parameter<'a>(value: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut rest = value;
    while let Some(at) = find_outside(rest, b';', false) {
        rest = &rest[at + 1..];
        let end = find_outside(rest, b';', false).unwrap_or(rest.len());
        let one = &rest[..end];
        if let Some(equals) = one.iter().position(|&byte| byte == b'=')
            && trim(&one[..equals]).eq_ignore_ascii_case(name.as_bytes())
        {
            let text = trim(&one[equals + 1..]);
            let bare = text
                .strip_prefix(b"\"")
                .and_then(|text| text.strip_suffix(b"\""));
            return Some(bare.unwrap_or(text));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: &str, body: &str) -> Message {
        let text = format!("INVITE sip:x SIP/2.0\r\nContent-Type: {kind}\r\n\r\n{body}");
        Message::parse(text.as_bytes()).expect("a message")
    }

    fn part(kind: &str, more: &str, body: &str) -> String {
        format!("--x\r\nContent-Type: {kind}\r\n{more}\r\n{body}\r\n")
    }

    #[test]
    fn a_description_is_found_alone_and_among_parts() {
        // The lines in it that begin like a delimiter are none.
        let sdp = "v=0\r\ns=-\r\n--x-y\r\n--x z\r\n--x--y\r\n";
        let isup = part(
            "application/isup;base=itu-t92+",
            "Content-Disposition: signal;handling=optional\r\n",
            "\u{1}\n--y\n",
        );
        let rows = [
            ("application/sdp", sdp.to_owned()),
            ("Application/SDP; charset=utf-8", sdp.to_owned()),
            (
                "multipart/mixed;boundary=x",
                format!("{isup}{}--x--\r\n", part("application/sdp", "", sdp)),
            ),
            (
                "multipart/mixed; boundary=\"x\"",
                format!("before\r\n{}{isup}--x--", part("application/SDP", "", sdp)),
            ),
            // Blanks may stand behind a delimiter.
            (
                "multipart/mixed;boundary=x",
                format!("--x \t\r\n{}--x-- \r\n", part("application/sdp", "", sdp)),
            ),
            // The first is about an early session.
            (
                "multipart/mixed;boundary=x",
                format!(
                    "{}{}--x--",
                    part(
                        "application/sdp",
                        "Content-Disposition: Early-Session; handling=optional\r\n",
                        "v=1"
                    ),
                    part("application/sdp", "", sdp)
                ),
            ),
            // The last delimiter may be lost, the first may be the first line.
            (
                "multipart/mixed;boundary=x",
                format!("{}--x", part("application/sdp", "", sdp)),
            ),
        ];
        for (kind, body) in rows {
            let message = message(kind, &body);
            assert_eq!(message.sdp(), Some(sdp.as_bytes()), "{kind}");
            assert!(message.is_body_readable());
        }
    }

    #[test]
    fn what_is_none_is_found_nowhere() {
        let sdp = part("application/sdp", "", "v=0");
        let rows = [
            ("text/plain", "v=0".to_owned()),
            ("multipart/mixed;boundary=y", format!("{sdp}--x--")),
            ("multipart/mixed", format!("{sdp}--x--")),
            ("multipart/mixed;boundary=x", part("text/plain", "", "v=0")),
            // Not the line that it is: the boundary goes on.
            (
                "multipart/mixed;boundary=x",
                "--xx\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--xx--".to_owned(),
            ),
            ("multipart/mixed;boundary=x", "--x".to_owned()),
            // A part that says nothing: whoever sent it neither offers nor wants an offer.
            (
                "multipart/mixed;boundary=x",
                format!("{}--x--", part("application/sdp", "", "")),
            ),
        ];
        for (kind, body) in rows {
            let message = message(kind, &body);
            assert_eq!(message.sdp(), None, "{kind} {body}");
            assert!(!message.is_body_readable(), "{kind} {body}");
        }
        let many = part("text/plain", "", "").repeat(PARTS_MAX);
        assert_eq!(
            message("multipart/mixed;boundary=x", &format!("{many}{sdp}--x--")).sdp(),
            None
        );
        assert!(
            Message::parse(b"SIP/2.0 200 OK\r\n\r\nv=0")
                .expect("a message")
                .sdp()
                .is_some()
        );
    }

    #[test]
    fn a_part_that_is_required_and_unknown_makes_it_unreadable() {
        let sdp = part("application/sdp", "", "v=0");
        for (more, is_readable) in [
            ("Content-Disposition: signal;handling=required\r\n", false),
            ("Content-Disposition: signal;handling=optional\r\n", true),
            ("", true),
        ] {
            let body = format!("{sdp}{}--x--", part("application/isup", more, "x"));
            let message = message("multipart/mixed;boundary=x", &body);
            assert_eq!(message.is_body_readable(), is_readable, "{more}");
        }
    }
}
