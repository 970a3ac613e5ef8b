//! What we say to one side, from the first description to the last.

use super::write::{PLAIN, head, m_lines};
use super::{Agreed, Audio, Description, MediaLine, parse_media, write};
use std::net::SocketAddr;

/// Our descriptions on one leg. The number in `o=` goes up by one with each change and only then
/// (RFC 3264 section 8), and no media line ever disappears.
#[derive(Clone, Debug)]
pub struct OurSide {
    session: u64,
    version: u32,
    said: Vec<u8>,
}

impl OurSide {
    /// Nothing has been said yet. `session` is a number for `o=`: random, since an address or a clock would
    /// tell of us or of the other side.
    pub fn new(session: u64) -> Self {
        Self {
            session,
            version: 1,
            said: Vec::new(),
        }
    }

    /// What was said last; empty if nothing.
    pub fn said(&self) -> &[u8] {
        &self.said
    }

    /// Offers `audio`, received at our address `ours`: the first offer, or a new one.
    pub fn offer(&mut self, audio: &Audio, ours: SocketAddr) -> Vec<u8> {
        let body = reoffer(&self.said, audio, ours, self.session);
        self.say(body)
    }

    /// Answers `offered` with what was agreed; `answered` is what the other side of the call said.
    pub fn answer(
        &mut self,
        offered: &Description,
        answered: &Audio,
        agreement: &impl Agreed,
        ours: SocketAddr,
    ) -> Vec<u8> {
        let body = write::answer(offered, answered, agreement, ours, self.session);
        self.say(body)
    }

    /// Numbers a description that was written as version 1.
    fn say(&mut self, body: Vec<u8>) -> Vec<u8> {
        let before = numbered(&body, self.session, self.version);
        if before == self.said {
            return before;
        }
        if !self.said.is_empty() {
            self.version += 1;
        }
        self.said = numbered(&body, self.session, self.version);
        self.said.clone()
    }
}

fn numbered(body: &[u8], session: u64, version: u32) -> Vec<u8> {
    let session = write::short(session);
    let (first, then) = (
        format!("o=- {session} 1 IN"),
        format!("o=- {session} {version} IN"),
    );
    let at = b"v=0\r\n".len();
    let rest = body
        .get(at..)
        .and_then(|rest| rest.strip_prefix(first.as_bytes()));
    match rest {
        Some(rest) => [&body[..at], then.as_bytes(), rest].concat(),
        None => body.to_vec(),
    }
}

/// Offers `audio` anew on a leg where we said `before`: as many media lines as before, the ones that we do
/// not carry with port 0. The version is 1; [`OurSide`] counts.
pub fn reoffer(before: &[u8], audio: &Audio, ours: SocketAddr, session: u64) -> Vec<u8> {
    let mut media = parse_media(before).unwrap_or_default();
    if media.is_empty() {
        media.push(MediaLine::Carried(PLAIN.to_owned()));
    }
    let mut text = head(ours, session);
    m_lines(&mut text, &media, audio, ours);
    text.into_bytes()
}
