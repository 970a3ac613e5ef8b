//! WAV files: one voice at 8 kHz, read in the three forms that telephony uses, written as 16-bit PCM.

use super::sound::RATE;
use maskline_sip::g711::Law;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The largest file that is read: an hour of 16-bit sound and a little more, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// The most that is recorded: the sizes in the header have 32 bits.
const SAMPLES_MAX: u32 = 1 << 30;
const HEADER_BYTES: usize = 44;

const PCM: u16 = 1;
const ALAW: u16 = 6;
const ULAW: u16 = 7;

/// Why a WAV file cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Larger than an hour of sound.
    #[error("it is longer than an hour")]
    TooLong,
    /// Not a WAV file, or cut off within its head.
    #[error("it is no WAV file")]
    NotWav,
    /// A form of sound that a phone does not play.
    #[error("it must have one channel of 8000 samples a second, as 16-bit PCM, A-law or µ-law")]
    Unsuitable,
}

/// Reads a file.
///
/// # Errors
/// See [`WavError`].
pub fn read(path: &Path) -> Result<Vec<i16>, WavError> {
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(WavError::TooLong);
    }
    parse(&bytes)
}

/// Reads what is in a file. A last chunk that is shorter than announced is taken as far as it goes, since
/// a recording that was cut off looks so.
fn parse(bytes: &[u8]) -> Result<Vec<i16>, WavError> {
    let (riff, mut rest) = bytes.split_at_checked(12).ok_or(WavError::NotWav)?;
    if &riff[..4] != b"RIFF" || &riff[8..] != b"WAVE" {
        return Err(WavError::NotWav);
    }
    let mut form = None;
    while let Some((head, body)) = rest.split_at_checked(8) {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let chunk = &body[..length.min(body.len())];
        match &head[..4] {
            b"fmt " => form = Some(read_form(chunk)?),
            b"data" => {
                let form = form.ok_or(WavError::NotWav)?;
                return Ok(samples(form, chunk));
            }
            _ => {}
        }
        // Chunks are padded to even lengths.
        rest = body.get(length.saturating_add(length % 2)..).unwrap_or(&[]);
    }
    Err(WavError::NotWav)
}

fn read_form(chunk: &[u8]) -> Result<u16, WavError> {
    let word = |at: usize| Some(u16::from_le_bytes([*chunk.get(at)?, *chunk.get(at + 1)?]));
    let read = || {
        let rate = u32::from(word(4)?) | u32::from(word(6)?) << 16;
        Some((word(0)?, word(2)?, rate, word(14)?))
    };
    match read().ok_or(WavError::NotWav)? {
        (form @ PCM, 1, RATE, 16) | (form @ (ALAW | ULAW), 1, RATE, 8) => Ok(form),
        _ => Err(WavError::Unsuitable),
    }
}

fn samples(form: u16, data: &[u8]) -> Vec<i16> {
    let pairs = || data.chunks_exact(2);
    match form {
        PCM => pairs()
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect(),
        ALAW => data.iter().map(|&byte| Law::A.to_linear(byte)).collect(),
        _ => data.iter().map(|&byte| Law::Mu.to_linear(byte)).collect(),
    }
}

/// A file that grows while a call lasts.
#[derive(Debug)]
pub struct Writer {
    file: BufWriter<File>,
    samples: u32,
}

impl Writer {
    /// Begins a file, in place of one that is there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        let mut file = BufWriter::new(file);
        file.write_all(&header(0))?;
        Ok(Self { file, samples: 0 })
    }

    /// Adds samples.
    ///
    /// # Errors
    /// When the disk takes no more.
    pub fn add(&mut self, samples: &[i16]) -> io::Result<()> {
        for sample in samples {
            if self.samples < SAMPLES_MAX {
                self.file.write_all(&sample.to_le_bytes())?;
                self.samples += 1;
            }
        }
        Ok(())
    }

    /// Writes the lengths into the header. Without it the file is there but says that it is empty.
    ///
    /// # Errors
    /// When the disk takes no more.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header(self.samples))?;
        self.file.flush()
    }
}

fn header(samples: u32) -> [u8; HEADER_BYTES] {
    let data = samples * 2;
    let mut header = [0; HEADER_BYTES];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"RIFF");
    put(4, &(data + HEADER_BYTES as u32 - 8).to_le_bytes());
    put(8, b"WAVEfmt ");
    put(16, &16u32.to_le_bytes());
    put(20, &PCM.to_le_bytes());
    put(22, &1u16.to_le_bytes());
    put(24, &RATE.to_le_bytes());
    put(28, &(RATE * 2).to_le_bytes());
    put(32, &2u16.to_le_bytes());
    put(34, &16u16.to_le_bytes());
    put(36, b"data");
    put(40, &data.to_le_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_can_be_played() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("heard.wav");
        let mut writer = Writer::create(&path).unwrap();
        writer.add(&[1, -2, i16::MAX]).unwrap();
        writer.add(&[i16::MIN]).unwrap();
        writer.finish().unwrap();
        assert_eq!(read(&path).unwrap(), [1, -2, i16::MAX, i16::MIN]);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 44 + 8);
    }

    fn with_form(form: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
        let mut bytes = header(0).to_vec();
        bytes[20..22].copy_from_slice(&form.to_le_bytes());
        bytes[22..24].copy_from_slice(&channels.to_le_bytes());
        bytes[24..28].copy_from_slice(&rate.to_le_bytes());
        bytes[34..36].copy_from_slice(&bits.to_le_bytes());
        bytes[40..44].copy_from_slice(&(data.len() as u32).to_le_bytes());
        bytes.extend_from_slice(data);
        bytes
    }

    #[test]
    fn both_laws_are_read_and_other_forms_are_refused() {
        assert_eq!(parse(&with_form(ALAW, 1, 8_000, 8, &[0xd5])).unwrap(), [8]);
        assert_eq!(parse(&with_form(ULAW, 1, 8_000, 8, &[0xff])).unwrap(), [0]);
        let rows = [
            (PCM, 2, 8_000, 16),
            (PCM, 1, 44_100, 16),
            (PCM, 1, 8_000, 8),
            (3, 1, 8_000, 32),
        ];
        for (form, channels, rate, bits) in rows {
            let read = parse(&with_form(form, channels, rate, bits, &[0; 8]));
            assert!(
                matches!(read, Err(WavError::Unsuitable)),
                "{form} {channels} {rate} {bits}"
            );
        }
    }

    #[test]
    fn other_chunks_are_passed_over_and_a_cut_off_file_is_read_as_far_as_it_goes() {
        let mut bytes = with_form(PCM, 1, 8_000, 16, &[1, 0, 2, 0]);
        bytes[40..44].copy_from_slice(&1_000u32.to_le_bytes());
        bytes.splice(12..12, *b"LIST\x03\0\0\0abc\0");
        assert_eq!(parse(&bytes).unwrap(), [1, 2]);
        for end in 0..bytes.len() - 4 {
            // No panic, whatever is missing.
            let _ = parse(&bytes[..end]);
        }
        assert!(matches!(parse(b"RIFF\0\0\0\0WAVE"), Err(WavError::NotWav)));
    }
}
