//! WAV files: with G.711 as it arrives, which needs half the room and no conversion, or with linear samples.

use crate::g711::{Law, SAMPLES_PER_SECOND};

/// The length of the header that [`header`] writes, in bytes.
pub const HEADER_BYTES: usize = 58;

const PCM: u16 = 1;
const ALAW: u16 = 6;
const ULAW: u16 = 7;

/// The header of a file with `frames` samples on each of `channels` channels. The sound follows it, one
/// or two bytes a sample, the channels in turn. Lengths that do not fit in 32 bits are cut to the largest.
pub fn header(format: Format, channels: u16, frames: u64) -> [u8; HEADER_BYTES] {
    let (format, width) = match format {
        Format::Linear16 => (PCM, 2),
        Format::G711(Law::A) => (ALAW, 1),
        Format::G711(Law::Mu) => (ULAW, 1),
    };
    let frame = channels.saturating_mul(width);
    let bytes = frames.saturating_mul(frame.into());
    let fits = |length: u64| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let mut header = [0; HEADER_BYTES];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        header[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(b"RIFF");
    put(&fits(bytes.saturating_add(HEADER_BYTES as u64 - 8)));
    put(b"WAVEfmt ");
    put(&18_u32.to_le_bytes());
    put(&format.to_le_bytes());
    put(&channels.to_le_bytes());
    put(&SAMPLES_PER_SECOND.to_le_bytes());
    put(&SAMPLES_PER_SECOND
        .saturating_mul(frame.into())
        .to_le_bytes());
    put(&frame.to_le_bytes()); // bytes in a frame
    put(&(8 * width).to_le_bytes()); // bits in a sample
    put(&0_u16.to_le_bytes()); // nothing is added for this format
    put(b"fact");
    put(&4_u32.to_le_bytes());
    put(&fits(frames));
    put(b"data");
    put(&fits(bytes));
    header
}

/// Sound as a file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sound<'a> {
    /// How a sample is written.
    pub format: Format,
    /// Channels, taking turns.
    pub channels: u16,
    /// The samples; a file that was cut off has fewer than its header says.
    pub data: &'a [u8],
}

/// How a sample is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Linear, 16 bits, little-endian.
    Linear16,
    /// One byte of G.711.
    G711(Law),
}

impl Sound<'_> {
    /// The samples as linear ones.
    pub fn to_linear(&self) -> Vec<i16> {
        match self.format {
            Format::Linear16 => {
                let samples = self.data.chunks_exact(2);
                samples
                    .map(|two| i16::from_le_bytes([two[0], two[1]]))
                    .collect()
            }
            Format::G711(law) => self.data.iter().map(|&byte| law.to_linear(byte)).collect(),
        }
    }

    /// The samples in this law.
    pub fn to_law(&self, law: Law) -> Vec<u8> {
        match self.format {
            Format::Linear16 => {
                let samples = self.to_linear().into_iter();
                samples.map(|sample| law.from_linear(sample)).collect()
            }
            Format::G711(from) => {
                let bytes = self.data.iter();
                bytes.map(|&byte| law.convert(byte, from)).collect()
            }
        }
    }
}

/// Why a file is not for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WavError {
    /// It is no WAV file, or is cut off within its header.
    #[error("not a WAV file")]
    NotWav,
    /// Another format: its number and how many bits a sample has.
    #[error("format {0} with {1} bits; 16 bit linear, A-law or µ-law is needed")]
    Format(u16, u16),
    /// Another rate, in samples a second.
    #[error("{0} samples a second; 8000 are needed")]
    Rate(u32),
    /// More channels than one, or none.
    #[error("{0} channels; one is needed")]
    Channels(u16),
}

/// Reads a file with 8,000 samples a second on one channel, as it is played.
///
/// # Errors
/// See [`WavError`].
pub fn read_mono(bytes: &[u8]) -> Result<Sound<'_>, WavError> {
    let sound = read(bytes)?;
    match sound.channels {
        1 => Ok(sound),
        channels => Err(WavError::Channels(channels)),
    }
}

/// Reads a file with 8,000 samples a second.
pub fn read(bytes: &[u8]) -> Result<Sound<'_>, WavError> {
    let rest = bytes.strip_prefix(b"RIFF").ok_or(WavError::NotWav)?;
    let mut rest = rest.get(4..).and_then(|rest| rest.strip_prefix(b"WAVE"));
    let mut format = None;
    while let Some((head, body)) = rest.and_then(|rest| rest.split_at_checked(8)) {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let chunk = &body[..length.min(body.len())];
        match &head[..4] {
            b"fmt " => format = Some(read_format(chunk)?),
            b"data" => {
                let (format, channels) = format.ok_or(WavError::NotWav)?;
                return Ok(Sound {
                    format,
                    channels,
                    data: chunk,
                });
            }
            _ => {}
        }
        // A chunk of odd length is followed by a byte of nothing.
        rest = body.get(length.saturating_add(length % 2)..);
    }
    Err(WavError::NotWav)
}

fn read_format(chunk: &[u8]) -> Result<(Format, u16), WavError> {
    let short = |at: usize| {
        let bytes = chunk.get(at..at + 2).ok_or(WavError::NotWav)?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    };
    let (kind, channels, bits) = (short(0)?, short(2)?, short(14)?);
    let rate = u32::from(short(4)?) | u32::from(short(6)?) << 16;
    let format = match (kind, bits) {
        (PCM, 16) => Format::Linear16,
        (ALAW, 8) => Format::G711(Law::A),
        (ULAW, 8) => Format::G711(Law::Mu),
        _ => return Err(WavError::Format(kind, bits)),
    };
    if rate != SAMPLES_PER_SECOND {
        return Err(WavError::Rate(rate));
    }
    Ok((format, channels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(law: Law, channels: u16, data: &[u8]) -> Vec<u8> {
        let frames = data.len() as u64 / u64::from(channels);
        [header(Format::G711(law), channels, frames).as_slice(), data].concat()
    }

    #[test]
    fn lengths_stand_where_the_format_wants_them() {
        let header = header(Format::G711(Law::A), 2, 8_000);
        let long = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        assert_eq!((&header[..4], long(4)), (b"RIFF".as_slice(), 16_050));
        assert_eq!((&header[12..16], long(16)), (b"fmt ".as_slice(), 18));
        assert_eq!(
            (long(24), long(28)),
            (8_000, 16_000),
            "samples, bytes a second"
        );
        assert_eq!((&header[38..42], long(46)), (b"fact".as_slice(), 8_000));
        assert_eq!((&header[50..54], long(54)), (b"data".as_slice(), 16_000));
    }

    #[test]
    fn one_channel_is_played_in_either_law_and_no_other_number_of_them() {
        for law in [Law::A, Law::Mu] {
            for from in [Law::A, Law::Mu] {
                let bytes = file(from, 1, &[0x10, 0x90, from.silence()]);
                let sound = read_mono(&bytes).expect("one channel");
                let expected = [0x10, 0x90, from.silence()].map(|byte| law.convert(byte, from));
                assert_eq!(sound.to_law(law), expected, "{from:?} as {law:?}");
            }
            let linear = [8_i16, -8, 32_256];
            let data: Vec<u8> = linear.iter().flat_map(|it| it.to_le_bytes()).collect();
            let bytes = [header(Format::Linear16, 1, 3).as_slice(), &data].concat();
            let sound = read_mono(&bytes).expect("one channel");
            assert_eq!(sound.to_law(law), linear.map(|it| law.from_linear(it)));
        }
        for channels in [0, 2, 6] {
            let bytes = header(Format::G711(Law::A), channels, 0);
            assert_eq!(read_mono(&bytes), Err(WavError::Channels(channels)));
        }
    }

    #[test]
    fn what_is_written_reads_the_same_and_a_cut_file_gives_what_it_has() {
        for law in [Law::A, Law::Mu] {
            let data: Vec<u8> = (0..=99).collect();
            let bytes = file(law, 2, &data);
            let sound = read(&bytes).expect("ours");
            assert_eq!((sound.format, sound.channels), (Format::G711(law), 2));
            assert_eq!(sound.data, data);
            let cut = read(&bytes[..bytes.len() - 30]).expect("still ours");
            assert_eq!(cut.data, &data[..70]);
            assert_eq!(read(&bytes[..HEADER_BYTES - 1]), Err(WavError::NotWav));
        }
    }

    #[test]
    fn linear_samples_are_written_and_read_too() {
        let data = [1, 0, 0xff, 0xff, 2, 0, 3, 0];
        let bytes = [header(Format::Linear16, 2, 2).as_slice(), &data].concat();
        let sound = read(&bytes).expect("ours");
        assert_eq!((sound.format, sound.channels), (Format::Linear16, 2));
        assert_eq!(sound.data, data);
        let a_second = u32::from_le_bytes([bytes[28], bytes[29], bytes[30], bytes[31]]);
        assert_eq!((a_second, bytes[32], bytes[34]), (32_000, 4, 16));
    }

    #[test]
    fn files_of_another_kind_are_refused_with_the_reason() {
        let with = |kind: u16, rate: u32, bits: u16| {
            let mut bytes = file(Law::A, 1, &[0; 4]);
            bytes[20..22].copy_from_slice(&kind.to_le_bytes());
            bytes[24..28].copy_from_slice(&rate.to_le_bytes());
            bytes[34..36].copy_from_slice(&bits.to_le_bytes());
            bytes
        };
        let rows = [
            (with(1, 8_000, 16), Ok(Format::Linear16)),
            (with(7, 8_000, 8), Ok(Format::G711(Law::Mu))),
            (with(1, 44_100, 16), Err(WavError::Rate(44_100))),
            (with(1, 8_000, 24), Err(WavError::Format(1, 24))),
            (with(0xfffe, 8_000, 16), Err(WavError::Format(0xfffe, 16))),
            (b"OggS and so on".to_vec(), Err(WavError::NotWav)),
        ];
        for (bytes, expected) in rows {
            assert_eq!(read(&bytes).map(|sound| sound.format), expected);
        }
    }

    #[test]
    fn chunks_of_other_kinds_are_passed_over() {
        let mut bytes = file(Law::Mu, 1, b"sound");
        let list = b"LIST\x03\0\0\0abc\0";
        bytes.splice(12..12, list.iter().copied());
        assert_eq!(
            read(&bytes).map(|sound| sound.data),
            Ok(b"sound".as_slice())
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = read(&bytes);
            bytes.splice(0..0, *b"RIFF    WAVEfmt ");
            let _ = read(&bytes);
        }
    }
}
