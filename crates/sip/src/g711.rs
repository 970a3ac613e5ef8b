//! G.711, the audio of the telephone network: one byte for each of 8,000 samples a second, in one of two
//! forms, called laws.

/// Samples in a second; also the rate of the RTP clock (RFC 3551 section 4.5.14).
pub const SAMPLES_PER_SECOND: u32 = 8_000;

/// Samples in a packet of 20 ms, which is how much sound of our own a packet has (RFC 3551 section 4.2).
pub const SAMPLES_PER_PACKET: u32 = SAMPLES_PER_SECOND / 50;

/// Silence in A-law: the positive value nearest to zero.
pub const ALAW_SILENCE: u8 = 0xd5;

/// Silence in µ-law.
pub const ULAW_SILENCE: u8 = 0xff;

/// One period of 1 kHz at 0 dBm0 in A-law (ITU-T G.711, table 5).
pub const ALAW_1KHZ: [u8; 8] = [0x34, 0x21, 0x21, 0x34, 0xb4, 0xa1, 0xa1, 0xb4];

/// One period of 1 kHz at 0 dBm0 in µ-law (ITU-T G.711, table 6).
pub const ULAW_1KHZ: [u8; 8] = [0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e];

/// Which of the two forms a byte has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Law {
    /// A-law, used in China and Europe.
    A,
    /// µ-law, used in America and Japan.
    Mu,
}

impl Law {
    /// A byte of silence.
    pub const fn silence(self) -> u8 {
        match self {
            Self::A => ALAW_SILENCE,
            Self::Mu => ULAW_SILENCE,
        }
    }

    /// The linear value of a byte.
    pub const fn to_linear(self, byte: u8) -> i16 {
        match self {
            Self::A => alaw_to_linear(byte),
            Self::Mu => ulaw_to_linear(byte),
        }
    }

    /// The byte for a linear value.
    pub const fn from_linear(self, value: i16) -> u8 {
        match self {
            Self::A => linear_to_alaw(value),
            Self::Mu => linear_to_ulaw(value),
        }
    }

    /// The same sound in this law, read from another.
    pub const fn convert(self, byte: u8, from: Self) -> u8 {
        match (from, self) {
            (Self::A, Self::A) | (Self::Mu, Self::Mu) => byte,
            _ => self.from_linear(from.to_linear(byte)),
        }
    }
}

/// The linear value of an A-law byte, within ±32,256 (ITU-T G.711, table 1, scaled to 16 bits).
pub const fn alaw_to_linear(byte: u8) -> i16 {
    let code = byte ^ 0x55;
    let mantissa = ((code & 0x0f) as i16) << 4;
    let magnitude = match (code >> 4) & 0x07 {
        0 => mantissa + 8,
        segment => (mantissa + 0x108) << (segment - 1),
    };
    if code & 0x80 != 0 {
        magnitude
    } else {
        -magnitude
    }
}

/// The A-law byte for a linear value: the one in whose step it lies.
pub const fn linear_to_alaw(value: i16) -> u8 {
    let (sign, magnitude) = if value >= 0 {
        (0x80, value)
    } else {
        (0, -1 - value)
    };
    let segment = segment_of(magnitude);
    let step = if segment == 0 { 4 } else { segment + 3 };
    let code = sign | (segment << 4) | ((magnitude >> step) & 0x0f) as u8;
    code ^ 0x55
}

/// What is added before a µ-law value is cut into segments, in 16 bits.
const ULAW_BIAS: i16 = 0x84;
/// The loudest that µ-law has, so that the bias fits.
const ULAW_MAX: i16 = 32_635;

/// The linear value of a µ-law byte, within ±32,124 (ITU-T G.711, table 2, scaled to 16 bits).
pub const fn ulaw_to_linear(byte: u8) -> i16 {
    let code = !byte;
    let mantissa = ((code & 0x0f) as i16) << 3;
    let magnitude = ((mantissa + ULAW_BIAS) << ((code >> 4) & 0x07)) - ULAW_BIAS;
    if code & 0x80 != 0 {
        -magnitude
    } else {
        magnitude
    }
}

/// The µ-law byte for a linear value.
pub const fn linear_to_ulaw(value: i16) -> u8 {
    let (sign, magnitude) = if value >= 0 {
        (0, value)
    } else {
        (0x80, if value == i16::MIN { i16::MAX } else { -value })
    };
    let magnitude = if magnitude > ULAW_MAX {
        ULAW_MAX
    } else {
        magnitude
    } + ULAW_BIAS;
    let segment = segment_of(magnitude);
    !(sign | (segment << 4) | ((magnitude >> (segment + 3)) & 0x0f) as u8)
}

/// The segment in which a magnitude lies: 0 below 256, then one more for each doubling.
const fn segment_of(magnitude: i16) -> u8 {
    let bits = i16::BITS - magnitude.leading_zeros();
    bits.saturating_sub(8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LAWS: [Law; 2] = [Law::A, Law::Mu];

    #[test]
    fn the_tone_is_one_symmetric_period_and_silence_is_almost_zero() {
        let samples = ALAW_1KHZ.map(alaw_to_linear);
        assert!(samples[0] == samples[3] && samples[1] == samples[2] && samples[1] < samples[0]);
        for at in 0..4 {
            assert_eq!(
                samples[at],
                -samples[at + 4],
                "the second half mirrors the first, which is negative"
            );
        }
        assert_eq!(alaw_to_linear(ALAW_SILENCE), 8);
        assert_eq!(alaw_to_linear(0xaa), 32_256, "the loudest");
    }

    /// Ends of segments from the tables of ITU-T G.711, scaled to 16 bits.
    #[test]
    fn known_values() {
        let rows = [
            (Law::A, 0x55, -8),
            (Law::A, 0xd5, 8),
            (Law::A, 0x2a, -32_256),
            (Law::A, 0x80, 5_504),
            (Law::Mu, 0xff, 0),
            (Law::Mu, 0x7f, 0),
            (Law::Mu, 0x00, -32_124),
            (Law::Mu, 0x80, 32_124),
            (Law::Mu, 0xf0, 120),
            (Law::Mu, 0xef, 132),
        ];
        for (law, byte, linear) in rows {
            assert_eq!(law.to_linear(byte), linear, "{law:?} {byte:#x}");
        }
        for law in LAWS {
            assert_eq!(law.from_linear(i16::MAX), law.from_linear(32_200));
            assert_eq!(law.from_linear(i16::MIN), law.from_linear(-32_200));
        }
    }

    #[test]
    fn every_byte_comes_back_from_its_linear_value() {
        for law in LAWS {
            for byte in 0..=u8::MAX {
                let linear = law.to_linear(byte);
                // µ-law has two zeros; the negative one reads as the positive.
                let expected = if linear == 0 { law.silence() } else { byte };
                assert_eq!(law.from_linear(linear), expected, "{law:?} {byte:#x}");
            }
        }
    }

    #[test]
    fn conversion_keeps_the_sound_within_a_step_or_two() {
        for byte in 0..=u8::MAX {
            let (before, after) = (
                i32::from(alaw_to_linear(byte)),
                i32::from(ulaw_to_linear(Law::Mu.convert(byte, Law::A))),
            );
            assert!(
                (before - after).abs() <= 16 + before.abs() / 16,
                "{byte:#x}: {before} became {after}"
            );
            assert_eq!(Law::A.convert(byte, Law::A), byte);
        }
    }

    proptest! {
        /// Steps grow with the value: a sixteenth of it, of which the middle is taken.
        #[test]
        fn a_value_changes_by_half_a_step_at_most(value in any::<i16>()) {
            for law in LAWS {
                let near = i32::from(law.to_linear(law.from_linear(value)));
                let error = (near - i32::from(value)).abs();
                prop_assert!(error <= 16 + i32::from(value).abs() / 31, "{:?} {} became {}", law, value, near);
            }
        }
    }
}
