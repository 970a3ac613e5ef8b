//! The files of a phone: what it plays, and what it heard as 16-bit samples. What a WAV file is stands in
//! [`maskline_sip::wav`].

use maskline_sip::wav::{self, Format, WavError};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The largest file that is read: an hour of 16-bit sound and a little more, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// The most that is recorded: the sizes in the header have 32 bits.
const SAMPLES_MAX: u32 = 1 << 30;

/// Why a file cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum SoundFileError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Larger than an hour of sound.
    #[error("it is longer than an hour")]
    TooLong,
    /// Not a WAV file, or a form of sound that a phone does not play.
    #[error(transparent)]
    Unsuitable(#[from] WavError),
}

/// Reads a file.
///
/// # Errors
/// See [`SoundFileError`].
pub fn read(path: &Path) -> Result<Vec<i16>, SoundFileError> {
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(SoundFileError::TooLong);
    }
    Ok(wav::read_mono(&bytes)?.to_linear())
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

fn header(samples: u32) -> [u8; wav::HEADER_BYTES] {
    wav::header(Format::Linear16, 1, samples.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use maskline_sip::g711::Law;

    #[test]
    fn what_is_recorded_can_be_played() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("heard.wav");
        let mut writer = Writer::create(&path).unwrap();
        writer.add(&[1, -2, i16::MAX]).unwrap();
        writer.add(&[i16::MIN]).unwrap();
        writer.finish().unwrap();
        assert_eq!(read(&path).unwrap(), [1, -2, i16::MAX, i16::MIN]);
        assert_eq!(
            std::fs::metadata(&path).unwrap().len(),
            wav::HEADER_BYTES as u64 + 8
        );
    }

    #[test]
    fn one_channel_in_either_law_is_read_and_two_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("said.wav");
        let put = |law, channels, byte: u8| {
            let header = wav::header(Format::G711(law), channels, 1);
            std::fs::write(&path, [header.as_slice(), &[byte]].concat()).unwrap();
            read(&path)
        };
        assert_eq!(put(Law::A, 1, 0xd5).unwrap(), [8]);
        assert_eq!(put(Law::Mu, 1, 0xff).unwrap(), [0]);
        let two = put(Law::A, 2, 0);
        assert!(matches!(
            two,
            Err(SoundFileError::Unsuitable(WavError::Channels(2)))
        ));
    }
}
