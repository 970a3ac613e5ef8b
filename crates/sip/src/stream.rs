//! Cutting messages out of a stream (RFC 3261 sections 7.5, 18.3 and RFC 5626 section 4.4.1).
//!
//! In a stream only `Content-Length` says where a message ends, so a message without it, or one that is
//! not SIP at all, leaves no way to find the next: the stream is then to be closed.

use crate::message::{LINE_BYTES_MAX, MESSAGE_BYTES_MAX, Name};
use crate::text;

/// The most bytes of header lines in one message.
pub const HEAD_BYTES_MAX: usize = 32_768;

/// Why a stream is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The header lines never end.
    #[error("more than {HEAD_BYTES_MAX} bytes of header lines")]
    HeadTooLong,
    /// The message as a whole is longer than [`MESSAGE_BYTES_MAX`].
    #[error("a message longer than {MESSAGE_BYTES_MAX} bytes")]
    TooLong,
    /// The first line is not one of SIP.
    #[error("not SIP")]
    NotSip,
    /// There is no `Content-Length`, there are two that differ, or it is no number.
    #[error("no usable Content-Length")]
    ContentLength,
}

/// One thing that came out of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A message, to be given to the endpoint as a datagram is.
    Message(Vec<u8>),
    /// Two line breaks: the other side asks whether we are there. Answer with [`PONG`].
    Ping,
}

/// What answers a [`Frame::Ping`]: a single line break.
pub const PONG: &[u8] = b"\r\n";

/// The bytes of one stream that have come and not yet been cut. It never holds more than one message and
/// what was pushed last.
#[derive(Debug, Default)]
pub struct Framer {
    bytes: Vec<u8>,
    /// So far the end of the header lines has been looked for in vain.
    searched: usize,
    /// Line breaks in a row before the next message.
    breaks: usize,
}

impl Framer {
    /// A stream that has just begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes came. Take out all frames before pushing again, or the bound does not hold.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Bytes that wait for more.
    pub fn held(&self) -> usize {
        self.bytes.len()
    }

    /// The next frame that is complete.
    ///
    /// # Errors
    /// When no further message can be found; the stream is to be closed.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.skip_breaks() {
            return Ok(Some(Frame::Ping));
        }
        let Some(head) = self.head_end()? else {
            return Ok(None);
        };
        let length = content_length(&self.bytes[..head])?;
        let total = head.saturating_add(length);
        if total > MESSAGE_BYTES_MAX {
            return Err(FrameError::TooLong);
        }
        if self.bytes.len() < total {
            return Ok(None);
        }
        let rest = self.bytes.split_off(total);
        let message = std::mem::replace(&mut self.bytes, rest);
        self.searched = 0;
        Ok(Some(Frame::Message(message)))
    }

    /// Takes line breaks from the front; true for two of them, which are a ping. One alone is what an
    /// answer to a ping looks like, or the end of a sloppy message.
    fn skip_breaks(&mut self) -> bool {
        while self.searched == 0 {
            let taken = match self.bytes.as_slice() {
                [b'\r', b'\n', ..] => 2,
                [b'\n', ..] => 1,
                _ => break,
            };
            self.bytes.drain(..taken);
            self.breaks += 1;
            if self.breaks.is_multiple_of(2) {
                return true;
            }
        }
        false
    }

    /// Where the body begins, if the header lines are all here.
    fn head_end(&mut self) -> Result<Option<usize>, FrameError> {
        if !self.bytes.is_empty() && self.bytes != b"\r" {
            self.breaks = 0;
        }
        if self.searched == 0 {
            check_first_line(&self.bytes)?;
        }
        // The end may lie across two pushes, so the last few bytes are looked at again.
        let from = self.searched.saturating_sub(3);
        let found = (from..self.bytes.len()).find_map(|at| match &self.bytes[at..] {
            [b'\n', b'\r', b'\n', ..] => Some(at + 3),
            [b'\n', b'\n', ..] => Some(at + 2),
            _ => None,
        });
        match found {
            Some(end) if end <= HEAD_BYTES_MAX => Ok(Some(end)),
            None if self.bytes.len() <= HEAD_BYTES_MAX => {
                // Until the first line is whole it is looked at again.
                if self.bytes.contains(&b'\n') {
                    self.searched = self.bytes.len();
                }
                Ok(None)
            }
            _ => Err(FrameError::HeadTooLong),
        }
    }
}

/// Bytes that are not SIP are told by their first line, before anybody waits for their end.
fn check_first_line(bytes: &[u8]) -> Result<(), FrameError> {
    let Some(feed) = bytes.iter().position(|&byte| byte == b'\n') else {
        return if bytes.len() > LINE_BYTES_MAX {
            Err(FrameError::NotSip)
        } else {
            Ok(())
        };
    };
    let line = text::trim(&bytes[..feed]);
    let begins = |part: &[u8]| part.len() >= 4 && part[..4].eq_ignore_ascii_case(b"SIP/");
    let last = line.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    if begins(line) || begins(last) {
        Ok(())
    } else {
        Err(FrameError::NotSip)
    }
}

fn content_length(head: &[u8]) -> Result<usize, FrameError> {
    let mut found = None;
    for line in head.split(|&byte| byte == b'\n').skip(1) {
        // A folded line goes on with the one before; a folded Content-Length is read nowhere.
        if matches!(line.first(), Some(b' ' | b'\t')) {
            continue;
        }
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            continue;
        };
        if Name::parse(text::trim(&line[..colon])) != Name::ContentLength {
            continue;
        }
        let length = text::number::<u32>(text::trim(&line[colon + 1..]))
            .and_then(|length| usize::try_from(length).ok())
            .ok_or(FrameError::ContentLength)?;
        if found.is_some_and(|other| other != length) {
            return Err(FrameError::ContentLength);
        }
        found = Some(length);
    }
    found.ok_or(FrameError::ContentLength)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str =
        "OPTIONS sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TCP h\r\nl : 4\r\n\r\nbody";

    fn all(framer: &mut Framer) -> Vec<Frame> {
        std::iter::from_fn(|| framer.next_frame().expect("a good stream")).collect()
    }

    fn message(text: &str) -> Frame {
        Frame::Message(text.as_bytes().to_vec())
    }

    #[test]
    fn messages_are_found_however_the_stream_is_cut() {
        let second = "SIP/2.0 200 OK\nContent-Length: 0\n\n";
        let stream = format!("{PLAIN}{second}{PLAIN}");
        for size in [1, 2, 3, 7, 50, stream.len()] {
            let mut framer = Framer::new();
            let mut found = Vec::new();
            for part in stream.as_bytes().chunks(size) {
                framer.push(part);
                found.extend(all(&mut framer));
            }
            assert_eq!(
                found,
                [message(PLAIN), message(second), message(PLAIN)],
                "{size} bytes at a time"
            );
            assert_eq!(framer.held(), 0);
        }
    }

    #[test]
    fn two_line_breaks_are_a_ping_and_one_is_nothing() {
        let mut framer = Framer::new();
        framer.push(b"\r\n\r\n");
        assert_eq!(all(&mut framer), [Frame::Ping]);
        framer.push(b"\r\n");
        assert_eq!(all(&mut framer), []);
        framer.push(PLAIN.as_bytes());
        assert_eq!(all(&mut framer), [message(PLAIN)]);
        // Byte by byte too.
        for byte in b"\r\n\r\n" {
            framer.push(&[*byte]);
        }
        assert_eq!(all(&mut framer), [Frame::Ping]);
    }

    #[test]
    fn a_stream_without_a_next_message_is_given_up() {
        let no_length = PLAIN.replace("l : 4\r\n", "");
        let two = PLAIN.replace("l : 4", "l: 4\r\nContent-Length: 5");
        let negative = PLAIN.replace("l : 4", "l: -4");
        let huge = PLAIN.replace("l : 4", "l: 4000000");
        let rows = [
            (no_length, FrameError::ContentLength),
            (two, FrameError::ContentLength),
            (negative, FrameError::ContentLength),
            (huge, FrameError::TooLong),
            ("GET / HTTP/1.1\r\n".to_owned(), FrameError::NotSip),
            ("x".repeat(LINE_BYTES_MAX + 1), FrameError::NotSip),
            ("\r".repeat(LINE_BYTES_MAX + 1), FrameError::NotSip),
            (
                format!("{}{}", &PLAIN[..33], "a: b\r\n".repeat(6_000)),
                FrameError::HeadTooLong,
            ),
        ];
        for (text, error) in rows {
            let mut framer = Framer::new();
            framer.push(text.as_bytes());
            assert_eq!(framer.next_frame(), Err(error), "{error}");
        }
    }
}
