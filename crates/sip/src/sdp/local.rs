//! What we say to one side, from the first description to the last: each is a value of its own and is printed
//! from that value, once and whole.

use super::{Agreed, Audio, Description, Direction, MediaLine};
use std::net::SocketAddr;

/// How audio goes where nobody has said it otherwise.
const PLAIN: &str = "RTP/AVP";

/// A description of ours. Nothing stands in what is printed but what stands here, and the number of its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LocalDescription {
    /// The number of this description in `o=`, from 1.
    pub version: u32,
    /// Every media line in order; one of them is `audio`'s.
    pub media: Vec<MediaLine>,
    /// Where we receive, and what.
    pub audio: Audio,
}

/// Our session on one leg: the descriptions that its side is given. The version in `o=` goes up by one with each
/// change and only then (RFC 3264 section 8), and no media line ever disappears.
#[derive(Clone, Debug)]
pub struct LocalSession {
    id: u64,
    said: Option<LocalDescription>,
    printed: Vec<u8>,
}

impl LocalSession {
    /// Nothing has been said yet. `id` is a number for `o=`: random, since an address or a clock would tell of us
    /// or of the other side.
    pub fn new(id: u64) -> Self {
        Self {
            id,
            said: None,
            printed: Vec::new(),
        }
    }

    /// What was said last; empty if nothing.
    pub fn said(&self) -> &[u8] {
        &self.printed
    }

    /// The direction that was said last, as seen from us. None if nothing was said.
    pub fn direction(&self) -> Option<Direction> {
        Some(self.said.as_ref()?.audio.direction)
    }

    /// Offers `audio`, received at our address `ours`: the first offer, or a new one, which has as many media lines
    /// as what was said before, those that we do not carry with port 0.
    pub fn offer(&mut self, audio: &Audio, ours: SocketAddr) -> Vec<u8> {
        let media = match &self.said {
            Some(said) => said.media.clone(),
            None => vec![MediaLine::Carried(PLAIN.to_owned())],
        };
        self.say(media, audio.clone(), ours)
    }

    /// Answers `offered` with what was agreed; `answered` is what the other side of the call said to our offer. Every
    /// media line of the offer gets its own, the ones that we do not carry with port 0 (RFC 3264 section 6).
    pub fn answer(
        &mut self,
        offered: &Description,
        answered: &Audio,
        agreement: &impl Agreed,
        ours: SocketAddr,
    ) -> Vec<u8> {
        let audio = Audio {
            // Nobody may be answered with what they did not offer.
            noise: answered.noise && offered.audio.noise,
            ..agreement.narrow(answered)
        };
        self.say(offered.media.clone(), audio, ours)
    }

    /// Whether what was said last in this session is what was said last in `other`, but for how much sound is in a
    /// packet and for comfort noise.
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        let facts = |said: &Option<LocalDescription>| {
            let said = said.as_ref()?;
            let audio = Audio {
                ptime_ms: None,
                noise: false,
                ..said.audio.clone()
            };
            Some((said.media.clone(), audio))
        };
        let said = facts(&self.said);
        said.is_some() && said == facts(&other.said)
    }

    fn say(&mut self, media: Vec<MediaLine>, audio: Audio, ours: SocketAddr) -> Vec<u8> {
        let audio = received_at(audio, ours);
        let version = match &self.said {
            Some(said) if said.media == media && said.audio == audio => said.version,
            Some(said) => said.version.saturating_add(1),
            None => 1,
        };
        let said = LocalDescription {
            version,
            media,
            audio,
        };
        self.printed = said.print(self.id);
        self.said = Some(said);
        self.printed.clone()
    }
}

/// The same audio as far as it is told: received at our address, its reports at the port above, and keys under no
/// clock that no codec has.
fn received_at(audio: Audio, ours: SocketAddr) -> Audio {
    let has_clock = |clock_hz| {
        let mut pass_through = audio.pass_through.iter();
        pass_through.any(|format| format.codec.clock_hz() == clock_hz)
    };
    let mut events_at = audio.events_at.clone();
    events_at.retain(|(clock_hz, _)| has_clock(*clock_hz));
    Audio {
        address: ours,
        rtcp: None,
        events_at,
        ..audio
    }
}
