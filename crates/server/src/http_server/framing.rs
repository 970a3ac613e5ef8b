//! Where a request ends: a strict reader in front of `hyper`.
//!
//! `hyper` is lenient in what other programs between a customer and us may read otherwise: it takes
//! a bare LF as the end of a line, one length said twice, and a length beside `Transfer-Encoding`.
//! Two readers that disagree on where a request ends let one customer's bytes become another's
//! request (request smuggling, RFC 9112 section 11.2). So the bytes are looked at on their way in,
//! and where a head or the frame of a chunked body breaks a rule of RFC 9112, the line's end is made
//! a NUL, which no line may hold: `hyper` then answers 400 and closes, and reads nothing behind it.
//!
//! The rules: lines end in CRLF (2.2), none is folded (5.2), one `Host` but in HTTP/1.0, which need not
//! have it, and never two (3.2), at most one `Content-Length` and that of digits (6.3), at most one
//! `Transfer-Encoding` and that `chunked` alone, never both (6.1), chunks as in 7.1. Everything else
//! about a head `hyper` judges.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much of a line is kept, in bytes: more than the lines need that are looked into.
const LINE_BYTES_KEPT: usize = 128;
/// The end of a request line that asks by HTTP/1.0.
const HTTP_10: &[u8] = b" HTTP/1.0\r";

/// A stream whose incoming bytes are held to the rules.
#[derive(Debug)]
pub struct Strict<S> {
    stream: S,
    framing: Framing,
}

impl<S> Strict<S> {
    /// A stream on which the next byte is the first of a request.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            framing: Framing::default(),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Strict<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.framing.pass(&mut buf.filled_mut()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Strict<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// A line ahead of or in the request line.
    #[default]
    RequestLine,
    /// A header line, or the empty one that ends the head.
    Header,
    /// The body, so many bytes of it to come.
    Body(u64),
    /// The line with the size of a chunk.
    ChunkSize,
    /// A chunk, so many bytes of it to come.
    Chunk(u64),
    /// The empty line behind a chunk.
    ChunkEnd,
    /// A trailer, or the empty line that ends the body.
    Trailer,
    /// A rule was broken; `hyper` refuses what it was given.
    Refused,
}

/// What the head has said so far about the body, and of whom it is asked.
#[derive(Debug, Clone, Copy, Default)]
struct Said {
    is_http_10: bool,
    host: bool,
    length: Option<u64>,
    chunked: bool,
}

/// A rule of RFC 9112 is broken.
#[derive(Debug, PartialEq, Eq)]
struct Broken;

#[derive(Debug, Default)]
struct Framing {
    place: Place,
    said: Said,
    /// The line that is being read, its first bytes.
    line: Vec<u8>,
    /// The length of that line.
    line_bytes: usize,
    /// The last bytes of that line.
    tail: Vec<u8>,
}

impl Framing {
    /// Follows bytes as they arrive. In the first line that breaks a rule, the LF becomes a NUL.
    fn pass(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let count = match self.place {
                Place::Refused => return,
                Place::Body(left) => self.skip(left, bytes.len(), Place::RequestLine, Place::Body),
                Place::Chunk(left) => self.skip(left, bytes.len(), Place::ChunkEnd, Place::Chunk),
                _ => self.read_line(bytes),
            };
            bytes = &mut bytes[count..];
        }
    }

    /// Passes over content. Gives how many of `there` bytes belong to it.
    fn skip(&mut self, left: u64, there: usize, then: Place, more: fn(u64) -> Place) -> usize {
        let taken = usize::try_from(left).map_or(there, |left| left.min(there));
        let left = left - taken as u64;
        self.place = if left == 0 { then } else { more(left) };
        taken
    }

    /// Reads up to the end of a line. Gives how many bytes that were.
    fn read_line(&mut self, bytes: &mut [u8]) -> usize {
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
            self.keep(bytes);
            return bytes.len();
        };
        self.keep(&bytes[..end]);
        match self.end_line() {
            Ok(place) => self.place = place,
            Err(Broken) => {
                self.place = Place::Refused;
                bytes[end] = 0;
            }
        }
        self.line.clear();
        self.line_bytes = 0;
        self.tail.clear();
        end + 1
    }

    fn keep(&mut self, bytes: &[u8]) {
        let free = LINE_BYTES_KEPT - self.line.len();
        self.line.extend_from_slice(&bytes[..free.min(bytes.len())]);
        self.line_bytes = self.line_bytes.saturating_add(bytes.len());
        self.tail
            .extend_from_slice(bytes.rchunks(HTTP_10.len()).next().unwrap_or_default());
        let over = self.tail.len().saturating_sub(HTTP_10.len());
        self.tail.drain(..over);
    }

    /// What comes behind the line that has ended.
    fn end_line(&mut self) -> Result<Place, Broken> {
        if self.tail.last() != Some(&b'\r') {
            return Err(Broken);
        }
        let is_whole = self.line_bytes == self.line.len();
        let line = match is_whole {
            true => &self.line[..self.line.len() - 1],
            false => &self.line[..],
        };
        let is_empty = line.is_empty();
        match self.place {
            // Empty lines ahead of a request are passed over (2.2).
            Place::RequestLine if is_empty => Ok(Place::RequestLine),
            Place::RequestLine => {
                self.said = Said {
                    is_http_10: self.tail == HTTP_10,
                    ..Said::default()
                };
                Ok(Place::Header)
            }
            Place::Header if is_empty => self.said.body(),
            Place::Header => {
                self.said.take(line, is_whole)?;
                Ok(Place::Header)
            }
            Place::ChunkSize => match chunk_size(line)? {
                0 => Ok(Place::Trailer),
                size => Ok(Place::Chunk(size)),
            },
            Place::ChunkEnd if is_empty => Ok(Place::ChunkSize),
            Place::ChunkEnd => Err(Broken),
            Place::Trailer if is_empty => Ok(Place::RequestLine),
            Place::Trailer if is_folded(line) => Err(Broken),
            place => Ok(place),
        }
    }
}

impl Said {
    /// Takes in one header line; `is_whole` says that nothing of it was cut.
    fn take(&mut self, line: &[u8], is_whole: bool) -> Result<(), Broken> {
        if is_folded(line) {
            return Err(Broken);
        }
        // A line without a colon is no header, which `hyper` says.
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return Ok(());
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"host") {
            return first(&mut self.host);
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = is_whole.then(|| number(value)).flatten().ok_or(Broken)?;
            return match self.length.replace(length) {
                None => Ok(()),
                Some(_) => Err(Broken),
            };
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if !is_whole || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Broken);
            }
            return first(&mut self.chunked);
        }
        Ok(())
    }

    /// Where the body begins, or the next request where there is none.
    fn body(self) -> Result<Place, Broken> {
        if !self.host && !self.is_http_10 {
            return Err(Broken);
        }
        match (self.length, self.chunked) {
            (Some(_), true) => Err(Broken),
            (None, true) => Ok(Place::ChunkSize),
            (None | Some(0), false) => Ok(Place::RequestLine),
            (Some(length), false) => Ok(Place::Body(length)),
        }
    }
}

fn first(seen: &mut bool) -> Result<(), Broken> {
    if std::mem::replace(seen, true) {
        Err(Broken)
    } else {
        Ok(())
    }
}

fn is_folded(line: &[u8]) -> bool {
    matches!(line.first(), Some(b' ' | b'\t'))
}

/// Digits and nothing else, of a number below 2^64.
fn number(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// The size in the line ahead of a chunk: hexadecimal digits, then perhaps an extension.
fn chunk_size(line: &[u8]) -> Result<u64, Broken> {
    let size = line.split(|byte| *byte == b';').next().unwrap_or(line);
    let size = std::str::from_utf8(size.trim_ascii_end()).map_err(|_| Broken)?;
    if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Broken);
    }
    u64::from_str_radix(size, 16).map_err(|_| Broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is handed on of these bytes when they arrive `at_once` at a time.
    fn passed(bytes: &[u8], at_once: usize) -> Vec<u8> {
        let mut framing = Framing::default();
        let mut bytes = bytes.to_vec();
        for piece in bytes.chunks_mut(at_once) {
            framing.pass(piece);
        }
        bytes
    }

    #[test]
    fn plain_requests_pass_however_they_are_cut() {
        let long = format!("GET /?{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(300));
        let requests = [
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n\n\r\n\nGET / HTTP/1.0\r\n\r\n",
            "\r\nPOST / HTTP/1.1\r\nHOST:\r\nTransfer-Encoding: CHUNKED\r\n\r\n2;a=b\r\n\n\n\r\n0a \r\n0123456789\r\n000\r\nX: y\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            &long,
        ];
        for request in requests {
            for at_once in [1, 2, 3, 7, 4096] {
                let passed = passed(request.as_bytes(), at_once);
                assert_eq!(String::from_utf8_lossy(&passed), request, "{at_once}");
            }
        }
    }

    #[test]
    fn the_first_broken_line_loses_its_end() {
        let long = format!("Content-Length: {}4\r\n", " ".repeat(200));
        let long_target = format!("GET /?{} HTTP/1.1\r\n", "x".repeat(200));
        let rows = [
            ("", "GET / HTTP/1.1\n"),
            ("GET / HTTP/1.1\r\nHost: a\r\n", "Host: a\r\n"),
            ("GET / HTTP/1.1\r\nX: y\r\n", " z\r\n"),
            ("GET / HTTP/1.1\r\nX: y\r\n", "\r\n"),
            (&long_target, "\r\n"),
            (
                "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n",
                "\r\n",
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 1\r\n",
                "Content-Length: 1\r\n",
            ),
            ("POST / HTTP/1.1\r\n", "Content-Length: 1 1\r\n"),
            ("POST / HTTP/1.1\r\n", "Content-Length:\r\n"),
            ("POST / HTTP/1.1\r\n", &long),
            ("POST / HTTP/1.1\r\n", "Transfer-Encoding: chunked;x\r\n"),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n",
                "\r\n",
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                "\r\n",
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                "-1\r\n",
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na",
                "b\r\n",
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
                " x\r\n",
            ),
        ];
        for (before, line) in rows {
            for at_once in [1, 5, 4096] {
                let request = format!("{before}{line}GET / HTTP/1.1\n\n");
                let passed = passed(request.as_bytes(), at_once);
                let end = before.len() + line.len() - 1;
                let mut expected = request.into_bytes();
                expected[end] = 0;
                assert_eq!(
                    String::from_utf8_lossy(&passed),
                    String::from_utf8_lossy(&expected),
                    "{at_once}"
                );
            }
        }
    }

    proptest::proptest! {
        /// Whatever comes, at most one byte is changed, and it was an LF; and how the bytes were cut
        /// makes no difference.
        #[test]
        fn any_bytes_pass_with_at_most_one_change(bytes: Vec<u8>, at_once in 1_usize..9) {
            let one = passed(&bytes, usize::MAX);
            let changed: Vec<u8> = bytes
                .iter()
                .zip(&one)
                .filter(|(was, is)| was != is)
                .map(|(was, _)| *was)
                .collect();
            proptest::prop_assert!(changed.is_empty() || changed == b"\n");
            proptest::prop_assert_eq!(passed(&bytes, at_once), one);
        }
    }
}
