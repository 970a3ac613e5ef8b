//! Codecs that we carry without understanding them, and what may be said of them.

use crate::text;

/// A codec whose packets can be passed on between two sides that both know it. No prompt, recording or
/// key can be made of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the codec it is named after")]
pub enum PassThrough {
    G729,
    G722,
    Amr,
    AmrWb,
    Ilbc,
    Opus,
}

/// One such codec in a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// Which.
    pub codec: PassThrough,
    /// Under what number.
    pub payload_type: u8,
    /// Its parameters, written anew from those that are known, each with a value that can hold no name or
    /// number of a person. Empty if there are none.
    pub(super) parameters: String,
}

/// How much of one parameter's value is read, in bytes.
const VALUE_BYTES_MAX: usize = 16;

impl PassThrough {
    /// All of them: what a trunk may allow.
    pub const ALL: [Self; 6] = [
        Self::G729,
        Self::G722,
        Self::Amr,
        Self::AmrWb,
        Self::Ilbc,
        Self::Opus,
    ];

    /// As it stands in `rtpmap`: name, clock rate, channels.
    pub fn map(self) -> &'static str {
        match self {
            Self::G729 => "G729/8000",
            // Sampled at 16 kHz; the 8 is an old error that must be repeated (RFC 3551 section 4.5.2).
            Self::G722 => "G722/8000",
            Self::Amr => "AMR/8000",
            Self::AmrWb => "AMR-WB/16000",
            Self::Ilbc => "iLBC/8000",
            Self::Opus => "opus/48000/2",
        }
    }

    /// The name alone, for settings and logs.
    pub fn name(self) -> &'static str {
        self.map().split('/').next().unwrap_or_default()
    }

    /// The number that it has without being told (RFC 3551 table 4).
    pub(super) fn usual_payload_type(self) -> Option<u8> {
        match self {
            Self::G729 => Some(18),
            Self::G722 => Some(9),
            _ => None,
        }
    }

    /// Its clock in Hz, as `rtpmap` has it.
    pub fn clock_hz(self) -> u32 {
        match self {
            Self::G729 | Self::G722 | Self::Amr | Self::Ilbc => 8_000,
            Self::AmrWb => 16_000,
            Self::Opus => 48_000,
        }
    }

    /// Whether `rtpmap` speaks of this codec; one channel need not be said. Some write the names and the
    /// clock of two codecs otherwise than RFC 3551 does, and mean the same packets.
    pub(super) fn is_mapped(self, map: &[u8]) -> bool {
        let map = match map.strip_suffix(b"/1") {
            Some(shorter) if self != Self::Opus => shorter,
            _ => map,
        };
        let others: &[&str] = match self {
            Self::G729 => &["G729A/8000", "G729AB/8000", "G729"],
            Self::G722 => &["G722/16000", "G722"],
            Self::Opus => &["opus/48000"],
            Self::Amr | Self::AmrWb | Self::Ilbc => &[],
        };
        let is_it = |spelling: &str| map.eq_ignore_ascii_case(spelling.as_bytes());
        is_it(self.map()) || others.iter().any(|spelling| is_it(spelling))
    }

    /// What may be said of it (RFC 4855 annexb, RFC 4867, RFC 3952, RFC 7587).
    fn known_parameters(self) -> &'static [&'static str] {
        match self {
            Self::G729 => &["annexb"],
            Self::G722 => &[],
            Self::Amr | Self::AmrWb => &[
                "octet-align",
                "mode-set",
                "mode-change-period",
                "mode-change-capability",
                "mode-change-neighbor",
                "crc",
                "robust-sorting",
                "max-red",
            ],
            Self::Ilbc => &["mode"],
            Self::Opus => &[
                "maxplaybackrate",
                "sprop-maxcapturerate",
                "maxaveragebitrate",
                "minptime",
                "useinbandfec",
                "stereo",
                "sprop-stereo",
                "cbr",
                "usedtx",
            ],
        }
    }

    /// The parameters of `fmtp` that may cross, written anew.
    pub(super) fn parameters(self, said: &[u8]) -> String {
        let mut written = String::new();
        for name in self.known_parameters() {
            let value = said.split(|&byte| byte == b';').find_map(|part| {
                let equals = part.iter().position(|&byte| byte == b'=')?;
                let (found, value) = (text::trim(&part[..equals]), text::trim(&part[equals + 1..]));
                let fits = found.eq_ignore_ascii_case(name.as_bytes()) && is_harmless(value);
                fits.then(|| String::from_utf8_lossy(value).into_owned())
            });
            if let Some(value) = value {
                let gap = if written.is_empty() { "" } else { ";" };
                written.push_str(&format!("{gap}{name}={value}"));
            }
        }
        written
    }
}

/// `yes`, `no`, a number of at most six digits, or a list of single digits: not enough for a telephone
/// number.
fn is_harmless(value: &[u8]) -> bool {
    let is_number = (1..=6).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    let is_list = value.len() <= VALUE_BYTES_MAX
        && value
            .split(|&byte| byte == b',')
            .all(|mode| matches!(mode, [b'0'..=b'8']));
    matches!(value, b"yes" | b"no") || is_number || is_list
}
