//! G.711, the audio of the telephone network: one byte for each of 8,000 samples a second.

/// Silence in A-law: the positive value nearest to zero.
pub const ALAW_SILENCE: u8 = 0xd5;

/// Silence in µ-law.
pub const ULAW_SILENCE: u8 = 0xff;

/// One period of 1 kHz at 0 dBm0 in A-law (ITU-T G.711, table 5).
pub const ALAW_1KHZ: [u8; 8] = [0x34, 0x21, 0x21, 0x34, 0xb4, 0xa1, 0xa1, 0xb4];

/// One period of 1 kHz at 0 dBm0 in µ-law (ITU-T G.711, table 6).
pub const ULAW_1KHZ: [u8; 8] = [0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e];

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
