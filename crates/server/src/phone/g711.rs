//! G.711 both ways (ITU-T G.711, tables 1 and 2, scaled to 16 bits). A phone makes and hears sound; the
//! service itself only carries it.

use maskline_sip::g711::alaw_to_linear;
use maskline_sip::sdp::Codec;

/// What is added before a µ-law segment is looked for.
const ULAW_BIAS: u16 = 0x84;
/// The loudest that µ-law has.
const ULAW_MAX: u16 = 32_635;

/// One sample as a byte.
pub fn encode(codec: Codec, sample: i16) -> u8 {
    match codec {
        Codec::Pcma => linear_to_alaw(sample),
        Codec::Pcmu => linear_to_ulaw(sample),
    }
}

/// A byte as one sample.
pub fn decode(codec: Codec, byte: u8) -> i16 {
    match codec {
        Codec::Pcma => alaw_to_linear(byte),
        Codec::Pcmu => ulaw_to_linear(byte),
    }
}

fn linear_to_alaw(sample: i16) -> u8 {
    let magnitude = if sample < 0 { !sample } else { sample }.unsigned_abs();
    let (segment, mantissa) = match magnitude.checked_ilog2() {
        Some(top @ 8..) => (top - 7, magnitude >> (top - 4)),
        _ => (0, magnitude >> 4),
    };
    let sign = if sample < 0 { 0 } else { 0x80 };
    // At most 7 and 15: both fit.
    (sign | (segment as u8) << 4 | (mantissa & 0x0f) as u8) ^ 0x55
}

fn linear_to_ulaw(sample: i16) -> u8 {
    let biased = sample.unsigned_abs().min(ULAW_MAX) + ULAW_BIAS;
    let segment = biased.ilog2() - 7;
    let mantissa = biased >> (segment + 3) & 0x0f;
    let sign = if sample < 0 { 0x80 } else { 0 };
    !(sign | (segment as u8) << 4 | mantissa as u8)
}

fn ulaw_to_linear(byte: u8) -> i16 {
    let code = !byte;
    let mantissa = i32::from(code & 0x0f) << 3;
    let magnitude =
        ((mantissa + i32::from(ULAW_BIAS)) << (code >> 4 & 0x07)) - i32::from(ULAW_BIAS);
    // Within ±32,124.
    let magnitude = magnitude as i16;
    if code & 0x80 != 0 {
        -magnitude
    } else {
        magnitude
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back_from_its_sample() {
        for byte in 0..=u8::MAX {
            assert_eq!(encode(Codec::Pcma, decode(Codec::Pcma, byte)), byte);
            // µ-law has two zeros.
            if byte != 0x7f {
                assert_eq!(encode(Codec::Pcmu, decode(Codec::Pcmu, byte)), byte);
            }
        }
    }

    #[test]
    fn no_sample_moves_further_than_its_step() {
        for sample in [i16::MIN, -20_000, -300, -1, 0, 1, 255, 256, 4_000, i16::MAX] {
            for codec in [Codec::Pcma, Codec::Pcmu] {
                let back = i32::from(decode(codec, encode(codec, sample)));
                let step = (i32::from(sample).abs() / 16).max(16);
                assert!((back - i32::from(sample)).abs() <= step, "{sample} {back}");
            }
        }
    }
}
