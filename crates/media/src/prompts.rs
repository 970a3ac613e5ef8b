//! What can be played: our own prompts, built into the program, or the operator's in their place; and the
//! tones of the telephone network, which are computed.
//!
//! An operator replaces a prompt by `prompts/LANGUAGE/NAME.wav` in the data directory (one channel, 8,000
//! samples a second, 16 bits or G.711) or by the same with `.al`, raw A-law. The ring tones that bindings and
//! pools name lie beside them as `prompts/tones/CODE.wav`. The files are read at start.

use maskline_domain::ToneCode;
use maskline_domain::call::{Prompt, Sound};
use maskline_sip::g711::{Law, SAMPLES_PER_SECOND};
use maskline_sip::wav::{self, WavError};
use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

/// The longest file of an operator's that is read: 65 s of linear samples, or 131 s of G.711.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The endings of files that can be played, the one that is taken first before the other.
const ENDINGS: [&str; 2] = ["wav", "al"];
/// The most ring tones that are kept. Each is held in both laws: at their longest they are 200 MiB.
const TONES_MAX: usize = 100;
/// Between two languages, in samples.
const PAUSE: usize = 2_400;
/// The tone of the Chinese network (GF002-9002.1).
const TONE_HZ: f64 = 450.0;
/// Its level, as a share of the loudest: about -10 dBm0.
const TONE_LEVEL: f64 = 0.22;

/// A language of prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Mandarin.
    Chinese,
    /// English.
    English,
}

impl Language {
    /// The name of its folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chinese => "zh",
            Self::English => "en",
        }
    }
}

/// A-law, as `scripts/make-prompts` makes it.
macro_rules! spoken {
    ($($prompt:ident $name:literal),* $(,)?) => {
        fn built_in(prompt: Prompt, language: Language) -> Option<&'static [u8]> {
            match (prompt, language) {
                $(
                    (Prompt::$prompt, Language::Chinese) => {
                        Some(include_bytes!(concat!("../assets/prompts/zh/", $name, ".al")))
                    }
                    (Prompt::$prompt, Language::English) => {
                        Some(include_bytes!(concat!("../assets/prompts/en/", $name, ".al")))
                    }
                )*
                (Prompt::Ringback, _) => None,
            }
        }
    };
}

spoken! {
    VacantNumber "vacant_number",
    NotInUse "not_in_use",
    CannotConnect "cannot_connect",
    Busy "busy",
    NoAnswer "no_answer",
    Refused "refused",
    Unreachable "unreachable",
    RecordingNotice "recording_notice",
}

/// Every prompt and every ring tone, ready to be sent in either law.
#[derive(Clone, Debug)]
pub struct Library {
    /// In the order of [`Prompt::ALL`].
    prompts: Vec<InBothLaws>,
    tones: BTreeMap<ToneCode, InBothLaws>,
}

/// A-law, then µ-law.
type InBothLaws = [Arc<[u8]>; 2];

/// Why a file of an operator's is not played.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Wav(#[from] WavError),
    #[error("longer than {FILE_BYTES_MAX} bytes")]
    TooLong,
    #[error("no sound in it")]
    Empty,
    #[error("its name is not the code of a ring tone, 1 to 18 digits, and .wav or .al")]
    Name,
    #[error("there are {TONES_MAX} ring tones already")]
    TooMany,
}

impl Library {
    /// Our own prompts in these languages, one after the other, each replaced by what lies in `folder`. A
    /// file there that cannot be played is told in the log, and ours is played. Ring tones are what lies in
    /// its folder `tones`.
    pub fn load(folder: Option<&Path>, languages: &[Language]) -> Self {
        let prompts = Prompt::ALL.map(|prompt| in_both_laws(sound(prompt, folder, languages)));
        let tones = folder.map(|folder| tones(&folder.join("tones")));
        Self {
            prompts: prompts.into(),
            tones: tones.unwrap_or_default(),
        }
    }

    /// The ring tones that can be played: the files, and that of the network.
    pub fn tones(&self) -> impl Iterator<Item = ToneCode> {
        self.tones.keys().copied().chain([ToneCode::NETWORK])
    }

    /// A prompt or a ring tone in this law; one that is not there sounds as the network does.
    pub fn sound(&self, sound: impl Into<Sound>, law: Law) -> Arc<[u8]> {
        let prompt = match sound.into() {
            Sound::Prompt(prompt) => prompt,
            Sound::Tone(code) => match self.tones.get(&code) {
                Some(tone) => return in_law(tone, law),
                None => Prompt::Ringback,
            },
        };
        let at = Prompt::ALL.iter().position(|known| *known == prompt);
        in_law(&self.prompts[at.unwrap_or(0)], law)
    }
}

fn in_law([alaw, ulaw]: &InBothLaws, law: Law) -> Arc<[u8]> {
    Arc::clone(match law {
        Law::A => alaw,
        Law::Mu => ulaw,
    })
}

fn in_both_laws(alaw: Vec<u8>) -> InBothLaws {
    let ulaw = alaw.iter().map(|byte| Law::Mu.convert(*byte, Law::A));
    let ulaw: Arc<[u8]> = ulaw.collect();
    [alaw.into(), ulaw]
}

/// The operator's ring tones: files named by a code. Others, and what cannot be played, are told in the log.
/// Of two for one code that of the first ending is taken; of too many, those with the lowest codes.
fn tones(folder: &Path) -> BTreeMap<ToneCode, InBothLaws> {
    let mut files = BTreeMap::new();
    // Most have no such folder.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match named(&path) {
            Some(name) => drop(files.insert(name, path)),
            None => not_played(&path, &FileError::Name),
        }
    }
    let mut tones = BTreeMap::new();
    for ((code, _), path) in files {
        if tones.contains_key(&code) {
            continue;
        }
        let sound = match tones.len() < TONES_MAX {
            true => read(&path),
            false => Err(FileError::TooMany),
        };
        match sound {
            Ok(sound) => drop(tones.insert(code, in_both_laws(sound))),
            Err(error) => not_played(&path, &error),
        }
    }
    tones
}

/// The code in the name of a file, and the place of its ending.
fn named(path: &Path) -> Option<(ToneCode, usize)> {
    let ending = path.extension()?;
    let place = ENDINGS.iter().position(|known| ending == *known)?;
    Some((ToneCode::parse(path.file_stem()?.to_str()?)?, place))
}

fn not_played(path: &Path, error: &FileError) {
    tracing::error!(file = %path.display(), %error, "a ring tone cannot be played");
}

fn sound(prompt: Prompt, folder: Option<&Path>, languages: &[Language]) -> Vec<u8> {
    let mut all: Vec<u8> = Vec::new();
    for language in languages {
        let theirs = folder.and_then(|folder| replacement(&folder.join(language.name()), prompt));
        let ours = || built_in(prompt, *language).map(<[u8]>::to_vec);
        if let Some(one) = theirs.or_else(ours) {
            if !all.is_empty() {
                all.resize(all.len() + PAUSE, Law::A.silence());
            }
            all.extend(one);
        }
    }
    match prompt {
        Prompt::Ringback if all.is_empty() => tone(&[(1_000, true), (4_000, false)]),
        // Whoever did not listen still knows by the tone.
        Prompt::Busy => {
            all.extend(tone(&[(350, false), (350, true)].repeat(4)));
            all
        }
        _ => all,
    }
}

/// The operator's file for a prompt, if there is one that can be played.
fn replacement(folder: &Path, prompt: Prompt) -> Option<Vec<u8>> {
    ENDINGS.into_iter().find_map(|ending| {
        let path = folder.join(format!("{}.{ending}", prompt.name()));
        match read(&path) {
            Ok(sound) => Some(sound),
            Err(FileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::error!(file = %path.display(), %error, "a prompt cannot be played; ours is played instead");
                None
            }
        }
    })
}

fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(FileError::TooLong);
    }
    let sound = if path.extension().is_some_and(|ending| ending == "al") {
        bytes
    } else {
        wav::read_mono(&bytes)?.to_law(Law::A)
    };
    match sound.is_empty() {
        true => Err(FileError::Empty),
        false => Ok(sound),
    }
}

/// The tone for so many milliseconds, and its absence.
fn tone(cadence: &[(u32, bool)]) -> Vec<u8> {
    let mut sound = Vec::new();
    for (milliseconds, is_on) in cadence {
        let samples = milliseconds * SAMPLES_PER_SECOND / 1_000;
        sound.extend((0..samples).map(|at| {
            if !is_on {
                return Law::A.silence();
            }
            let phase = TAU * TONE_HZ * f64::from(at) / f64::from(SAMPLES_PER_SECOND);
            Law::A.from_linear((phase.sin() * TONE_LEVEL * f64::from(i16::MAX)) as i16)
        }));
    }
    sound
}

#[cfg(test)]
mod tests {
    use super::*;
    use maskline_sip::wav::Format;
    use std::fs;

    const BOTH: [Language; 2] = [Language::Chinese, Language::English];

    #[test]
    fn every_prompt_is_heard_in_both_laws_and_no_longer_than_a_call_waits() {
        let library = Library::load(None, &BOTH);
        for prompt in Prompt::ALL {
            let (alaw, ulaw) = (
                library.sound(prompt, Law::A),
                library.sound(prompt, Law::Mu),
            );
            assert_eq!(alaw.len(), ulaw.len());
            let loudest = |sound: &[u8], law: Law| {
                let loud = |byte: &u8| law.to_linear(*byte).unsigned_abs();
                sound.iter().map(loud).max().unwrap_or(0)
            };
            for (sound, law) in [(&alaw, Law::A), (&ulaw, Law::Mu)] {
                assert!(
                    loudest(sound, law) > 6_000,
                    "{prompt:?} in {law:?} is too low"
                );
            }
            assert!((2 * 8_000..30 * 8_000).contains(&alaw.len()), "{prompt:?}");
        }
        let english = Library::load(None, &[Language::English]);
        let both = library.sound(Prompt::Busy, Law::A);
        assert!(english.sound(Prompt::Busy, Law::A).len() < both.len());
    }

    #[test]
    fn ringback_is_a_second_of_450_hz_in_five() {
        let sound = Library::load(None, &BOTH).sound(Prompt::Ringback, Law::A);
        assert_eq!(sound.len(), 40_000);
        let linear: Vec<i16> = sound.iter().map(|byte| Law::A.to_linear(*byte)).collect();
        let rises = linear[..8_000]
            .windows(2)
            .filter(|two| two[0] < 0 && two[1] >= 0);
        assert!((448..=450).contains(&rises.count()));
        assert!(linear[8_000..].iter().all(|value| value.abs() <= 8));
    }

    #[test]
    fn an_operators_file_replaces_ours_and_a_bad_one_does_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let zh = folder.path().join("zh");
        fs::create_dir(&zh).expect("a folder in it");
        let wave = |law, channels, data: &[u8]| {
            [
                wav::header(Format::G711(law), channels, data.len() as u64).as_slice(),
                data,
            ]
            .concat()
        };
        let ulaw: Vec<u8> = [0x80, 0x00].repeat(100);
        fs::write(zh.join("busy.wav"), wave(Law::Mu, 1, &ulaw)).expect("written");
        fs::write(zh.join("refused.wav"), wave(Law::A, 2, &ulaw)).expect("written");
        fs::write(zh.join("no_answer.al"), [0x2a; 500]).expect("written");
        let ours = Library::load(None, &[Language::Chinese]);
        let theirs = Library::load(Some(folder.path()), &[Language::Chinese]);
        let busy = theirs.sound(Prompt::Busy, Law::Mu);
        assert!(Law::Mu.to_linear(busy[0]) > 30_000 && Law::Mu.to_linear(busy[1]) < -30_000);
        assert_eq!(*theirs.sound(Prompt::NoAnswer, Law::A), [0x2a; 500]);
        for kept in [Prompt::Refused, Prompt::VacantNumber] {
            assert_eq!(theirs.sound(kept, Law::A), ours.sound(kept, Law::A));
        }
    }

    #[test]
    fn ring_tones_are_files_named_by_their_codes_and_one_is_always_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let tones = folder.path().join("tones");
        fs::create_dir(&tones).expect("a folder in it");
        fs::write(tones.join("100000001.al"), [0x2a; 500]).expect("written");
        fs::write(tones.join("007.wav"), b"ID3").expect("written");
        fs::write(tones.join("waltz.al"), [0x2a; 500]).expect("written");
        let wave = [
            wav::header(Format::G711(Law::A), 1, 3).as_slice(),
            b"\x11\x22\x33",
        ]
        .concat();
        fs::write(tones.join("1.txt"), wave).expect("written");
        let library = Library::load(Some(folder.path()), &BOTH);
        let code = ToneCode::parse("100000001").expect("a code");
        let found: Vec<ToneCode> = library.tones().collect();
        assert_eq!(found, [code, ToneCode::NETWORK]);
        assert_eq!(*library.sound(Sound::Tone(code), Law::A), [0x2a; 500]);
        assert_eq!(
            library.sound(Sound::Tone(ToneCode::NETWORK), Law::A),
            library.sound(Prompt::Ringback, Law::A)
        );
    }

    #[test]
    fn of_two_files_for_one_ring_tone_the_wave_is_played_if_it_can_be() {
        let folder = tempfile::tempdir().expect("a folder");
        let tones = folder.path().join("tones");
        fs::create_dir(&tones).expect("a folder in it");
        let wave = [
            wav::header(Format::G711(Law::A), 1, 3).as_slice(),
            b"\x11\x22\x33",
        ]
        .concat();
        // Whatever the order of the folder.
        for code in ["1", "2", "3", "4", "5", "6", "7", "8"] {
            fs::write(tones.join(format!("{code}.al")), [0x2a; 5]).expect("written");
            let wave: &[u8] = if code == "8" { b"ID3" } else { &wave };
            fs::write(tones.join(format!("{code}.wav")), wave).expect("written");
        }
        let library = Library::load(Some(folder.path()), &BOTH);
        for code in library.tones().filter(|code| *code != ToneCode::NETWORK) {
            let plays: &[u8] = match code.to_string() == "8" {
                true => &[0x2a; 5],
                false => b"\x11\x22\x33",
            };
            assert_eq!(*library.sound(Sound::Tone(code), Law::A), *plays, "{code}");
        }
    }

    #[test]
    fn why_a_file_is_refused_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let told = |bytes: &[u8]| {
            let path = folder.path().join("x.wav");
            fs::write(&path, bytes).expect("written");
            read(&path).expect_err("refused").to_string()
        };
        assert_eq!(told(b"ID3"), "not a WAV file");
        assert_eq!(
            told(&wav::header(Format::G711(Law::A), 2, 0)),
            "2 channels; one is needed"
        );
        assert_eq!(
            told(&wav::header(Format::G711(Law::A), 1, 0)),
            "no sound in it"
        );
        assert!(told(&vec![0; FILE_BYTES_MAX as usize + 1]).starts_with("longer than"));
    }
}
