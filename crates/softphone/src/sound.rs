//! What a phone says: tones, silence, a recording, or what it hears.

use maskline_sip::g711::{SAMPLES_PER_PACKET, SAMPLES_PER_SECOND};
use std::collections::VecDeque;
use std::f64::consts::TAU;
use std::sync::Arc;

/// Samples in a packet.
pub const FRAME: usize = SAMPLES_PER_PACKET as usize;
/// The peak of a tone: with it 1 kHz is the reference tone of G.711, 0 dBm0.
const PEAK: f64 = 22_900.0;

/// One piece of what is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sound {
    /// Nothing; for so many milliseconds, or for ever.
    Silence(Option<u32>),
    /// A tone of so many Hz; for so many milliseconds, or for ever.
    Tone(u16, Option<u32>),
    /// Samples, once.
    Samples(Arc<[i16]>),
    /// Each packet goes back as it came, for ever.
    Echo,
}

/// A second of the reference tone and two notes: what the phones of the demo say when they answer.
pub fn melody() -> Vec<Sound> {
    vec![
        Sound::Tone(1_000, Some(1_000)),
        Sound::Tone(800, Some(500)),
        Sound::Tone(1_250, Some(500)),
    ]
}

/// The three rising tones before an announcement that a number cannot be reached (ITU-T E.180), twice.
pub fn special_information() -> Vec<Sound> {
    let once = [
        Sound::Tone(950, Some(330)),
        Sound::Tone(1_400, Some(330)),
        Sound::Tone(1_800, Some(330)),
        Sound::Silence(Some(500)),
    ];
    once.iter().chain(&once).cloned().collect()
}

/// Plays one piece after another, and silence after the last.
#[derive(Clone, Debug)]
pub struct Playlist {
    pieces: VecDeque<Sound>,
    /// Samples of the first piece that were played.
    played: usize,
}

impl Playlist {
    /// Plays `pieces` from the beginning.
    pub fn new(pieces: Vec<Sound>) -> Self {
        Self {
            pieces: pieces.into(),
            played: 0,
        }
    }

    /// Whether packets go back as they come now.
    pub fn is_echo(&self) -> bool {
        self.pieces.front() == Some(&Sound::Echo)
    }

    /// The next 20 ms; none while packets go back as they come.
    pub fn next_frame(&mut self) -> Option<[i16; FRAME]> {
        let mut samples = [0; FRAME];
        let mut filled = 0;
        while filled < FRAME {
            let Some(piece) = self.pieces.front() else {
                break;
            };
            let length = match piece {
                // A piece that ends within the frame leaves the rest of it silent.
                Sound::Echo if filled == 0 => return None,
                Sound::Echo => break,
                Sound::Silence(ms) | Sound::Tone(_, ms) => ms.map(|ms| ms as usize * 8),
                Sound::Samples(recorded) => Some(recorded.len()),
            };
            let left = length.map_or(usize::MAX, |length| length.saturating_sub(self.played));
            let end = filled + left.min(FRAME - filled);
            for place in &mut samples[filled..end] {
                *place = sample(piece, self.played);
                self.played += 1;
            }
            if left <= end - filled {
                self.pieces.pop_front();
                self.played = 0;
            }
            filled = end;
        }
        Some(samples)
    }
}

fn sample(piece: &Sound, at: usize) -> i16 {
    match piece {
        Sound::Tone(hz, _) => {
            // Downwards first and half a sample late, as the reference tone in G.711 has it. Whole
            // seconds are left out, so that a long tone stays exact.
            let turns = at as u64 % u64::from(SAMPLES_PER_SECOND);
            let phase = TAU * f64::from(*hz) * (turns as f64 + 0.5) / f64::from(SAMPLES_PER_SECOND);
            (-PEAK * phase.sin()) as i16
        }
        Sound::Samples(recorded) => recorded.get(at).copied().unwrap_or(0),
        Sound::Silence(_) | Sound::Echo => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maskline_sip::g711::{ALAW_1KHZ, Law, ULAW_1KHZ};

    fn frame(playlist: &mut Playlist) -> [i16; FRAME] {
        playlist.next_frame().expect("no echo")
    }

    #[test]
    fn a_kilohertz_is_the_reference_tone() {
        let samples = frame(&mut Playlist::new(vec![Sound::Tone(1_000, None)]));
        let alaw = samples.map(|sample| Law::A.from_linear(sample));
        assert_eq!(alaw.to_vec(), ALAW_1KHZ.repeat(FRAME / 8));
        let ulaw = samples.map(|sample| Law::Mu.from_linear(sample));
        assert_eq!(ulaw.to_vec(), ULAW_1KHZ.repeat(FRAME / 8));
    }

    #[test]
    fn pieces_follow_each_other_and_silence_the_last() {
        let recorded: Arc<[i16]> = Arc::from([7; 100]);
        let mut playlist = Playlist::new(vec![
            Sound::Silence(Some(10)),
            Sound::Samples(recorded),
            Sound::Echo,
        ]);
        let samples = frame(&mut playlist);
        assert_eq!((samples[79], samples[80], samples[159]), (0, 7, 7));
        let samples = frame(&mut playlist);
        assert_eq!((samples[19], samples[20]), (7, 0));
        assert_eq!(playlist.next_frame(), None);
        let mut playlist = Playlist::new(Vec::new());
        assert_eq!(frame(&mut playlist), [0; FRAME]);
    }

    #[test]
    fn empty_pieces_are_passed_over() {
        let nothing = [Sound::Tone(440, Some(0)), Sound::Samples(Arc::from([]))];
        let mut playlist = Playlist::new([&nothing[..], &[Sound::Echo]].concat());
        assert_eq!(playlist.next_frame(), None);
    }
}
