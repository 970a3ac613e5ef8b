//! What a phone hears: silence, one tone and which, or anything else.

use maskline_sip::g711::SAMPLES_PER_SECOND;
use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::fmt;

/// Judged at once: 100 ms.
const WINDOW: usize = SAMPLES_PER_SECOND as usize / 10;
const WINDOW_MS: u64 = 100;
/// Below this level (root of the mean square) it is silence; the quietest of G.711 is 8.
const SILENCE_MAX: f64 = 100.0;
/// So much of the power at one frequency is a tone.
const TONE_SHARE_MIN: f64 = 0.85;
/// Tones that differ less are the same, in Hz.
const SAME_TONE_HZ: u16 = 20;
/// Different tones that are told apart in the summary.
const TONES_MAX: usize = 16;

/// A kind of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DetectedSound {
    /// Nothing.
    Silence,
    /// One tone of so many Hz, to the nearest 10.
    Tone(u16),
    /// Anything else: speech, music, noise.
    Speech,
}

impl DetectedSound {
    fn is_same(self, other: Self) -> bool {
        match (self, other) {
            (Self::Tone(one), Self::Tone(other)) => one.abs_diff(other) <= SAME_TONE_HZ,
            _ => self == other,
        }
    }
}

impl fmt::Display for DetectedSound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silence => f.write_str("silence"),
            Self::Tone(hz) => write!(f, "a tone of {hz} Hz"),
            Self::Speech => f.write_str("speech or music"),
        }
    }
}

/// How long what was heard, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Silence.
    pub silence_ms: u64,
    /// Neither silence nor a tone.
    pub speech_ms: u64,
    /// Each tone in Hz, with its time.
    pub tones: BTreeMap<u16, u64>,
}

impl Totals {
    /// How long a tone of this frequency was heard.
    pub fn tone_ms(&self, hz: u16) -> u64 {
        let near = |tone: &u16| tone.abs_diff(hz) <= SAME_TONE_HZ;
        let times = self.tones.iter().filter(|(tone, _)| near(tone));
        times.map(|(_, ms)| ms).sum()
    }

    fn add(&mut self, heard: DetectedSound) {
        match heard {
            DetectedSound::Silence => self.silence_ms += WINDOW_MS,
            DetectedSound::Speech => self.speech_ms += WINDOW_MS,
            DetectedSound::Tone(hz) => {
                let near = |tone: &&u16| tone.abs_diff(hz) <= SAME_TONE_HZ;
                let known = self.tones.keys().find(near).copied().unwrap_or(hz);
                if self.tones.len() < TONES_MAX || self.tones.contains_key(&known) {
                    *self.tones.entry(known).or_default() += WINDOW_MS;
                } else {
                    self.speech_ms += WINDOW_MS;
                }
            }
        }
    }
}

/// Listens to one call.
#[derive(Clone, Debug, Default)]
pub struct ToneDetector {
    window: Vec<i16>,
    last: Option<DetectedSound>,
    told: Option<DetectedSound>,
    /// All so far.
    pub totals: Totals,
}

impl ToneDetector {
    /// Takes samples; gives the kind of sound when it has become another. A change takes two windows in
    /// a row, lest the edge between two tones counts as speech.
    pub fn take(&mut self, samples: &[i16]) -> Option<DetectedSound> {
        let mut told = None;
        for &sample in samples {
            self.window.push(sample);
            if self.window.len() == WINDOW {
                let heard = classify(&self.window);
                self.window.clear();
                told = self.on_window(heard).or(told);
            }
        }
        told
    }

    fn on_window(&mut self, heard: DetectedSound) -> Option<DetectedSound> {
        self.totals.add(heard);
        let settled = self.last.is_some_and(|last| last.is_same(heard));
        self.last = Some(heard);
        let is_news = !self.told.is_some_and(|told| told.is_same(heard));
        if !settled || !is_news {
            return None;
        }
        self.told = Some(heard);
        self.told
    }
}

fn classify(window: &[i16]) -> DetectedSound {
    let energy: f64 = window.iter().map(|&sample| f64::from(sample).powi(2)).sum();
    if (energy / window.len() as f64).sqrt() < SILENCE_MAX {
        return DetectedSound::Silence;
    }
    match frequency(window) {
        Some(hz) if share(window, hz, energy) >= TONE_SHARE_MIN => {
            // Below half the rate, so it fits.
            DetectedSound::Tone((hz / 10.0).round() as u16 * 10)
        }
        _ => DetectedSound::Speech,
    }
}

/// What the frequency would be if it were a tone: from the first and the last time that it rises
/// through zero, and how often in between.
fn frequency(window: &[i16]) -> Option<f64> {
    let mut rises = window.windows(2).enumerate().filter_map(|(at, pair)| {
        let (before, after) = (f64::from(pair[0]), f64::from(pair[1]));
        (before < 0.0 && after >= 0.0).then(|| at as f64 + before / (before - after))
    });
    let first = rises.next()?;
    let (count, last) = rises.fold((0u32, first), |(count, _), at| (count + 1, at));
    (count > 0).then(|| f64::from(count) * f64::from(SAMPLES_PER_SECOND) / (last - first))
}

/// The share of the power that lies at one frequency, by Goertzel's algorithm.
fn share(window: &[i16], hz: f64, energy: f64) -> f64 {
    let turn = 2.0 * (TAU * hz / f64::from(SAMPLES_PER_SECOND)).cos();
    let (last, before) = window.iter().fold((0.0, 0.0), |(last, before), &sample| {
        (f64::from(sample) + turn * last - before, last)
    });
    let power = last * last + before * before - turn * last * before;
    2.0 * power / (window.len() as f64 * energy)
}

#[cfg(test)]
mod tests {
    use super::super::sound::{Playlist, Sound};
    use super::*;

    fn said(pieces: Vec<Sound>, frames: usize) -> Vec<i16> {
        let mut playlist = Playlist::new(pieces);
        let frames = (0..frames).filter_map(|_| playlist.next_frame());
        frames.flatten().collect()
    }

    #[test]
    fn tones_are_told_by_their_frequency() {
        for hz in [300, 440, 697, 1_000, 1_250, 3_000] {
            let mut detector = ToneDetector::default();
            let told = detector.take(&said(vec![Sound::Tone(hz, None)], 15));
            let Some(DetectedSound::Tone(found)) = told else {
                panic!("{hz} Hz is {told:?}");
            };
            assert!(found.abs_diff(hz) <= 10, "{hz} Hz is {found} Hz");
            assert_eq!(detector.totals.tone_ms(hz), 300);
        }
    }

    #[test]
    fn silence_two_tones_at_once_and_noise_are_no_tone() {
        assert_eq!(classify(&[8; WINDOW]), DetectedSound::Silence);
        let (one, other) = (
            said(vec![Sound::Tone(697, None)], 5),
            said(vec![Sound::Tone(1_209, None)], 5),
        );
        let both: Vec<i16> = one.iter().zip(&other).map(|(a, b)| a / 2 + b / 2).collect();
        assert_eq!(classify(&both), DetectedSound::Speech);
        let mut state = 1u32;
        let noise: Vec<i16> = (0..WINDOW)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 18) as i16 - 8_192
            })
            .collect();
        assert_eq!(classify(&noise), DetectedSound::Speech);
    }

    #[test]
    fn a_change_is_told_once() {
        let mut detector = ToneDetector::default();
        let pieces = vec![Sound::Tone(440, Some(1_000)), Sound::Silence(None)];
        let told: Vec<_> = said(pieces, 100)
            .chunks(160)
            .filter_map(|frame| detector.take(frame))
            .collect();
        assert_eq!(told, [DetectedSound::Tone(440), DetectedSound::Silence]);
        assert_eq!(detector.totals.silence_ms, 1_000);
    }
}
