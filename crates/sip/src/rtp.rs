//! RTP (RFC 3550): the header of a packet, here; what came from a source, in [`Reception`]; and a stream of
//! our own that carries several sources one after the other, in [`Outgoing`].

mod outgoing;
mod reception;

pub use outgoing::{Outgoing, Stamp};
pub use reception::{Loss, Reception};

/// How far behind the newest packet of its source one may be, in packets, and only be late (RFC 3550
/// appendix A.1).
const MISORDER_MAX: u16 = 100;

/// The payload type of comfort noise (RFC 3389), always the same.
pub const COMFORT_NOISE: u8 = 13;

/// The length of the header that we write, in bytes.
pub const HEADER_BYTES: usize = 12;

/// A packet read in place. Contributing sources, extension and padding are skipped: none is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// For audio: the first packet of a burst of sound. For RFC 4733: the first packet of an event.
    pub marker: bool,
    /// What the payload is, below 128; agreed by SDP.
    pub payload_type: u8,
    /// Grows by one for each packet.
    pub sequence: u16,
    /// Grows by one for each sample.
    pub timestamp: u32,
    /// Who sends.
    pub ssrc: u32,
    /// The sound, or the event.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a packet; none if it is not RTP version 2 or is cut off.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_at_checked(HEADER_BYTES)?;
        let (first, second) = (header[0], header[1]);
        if first >> 6 != 2 {
            return None;
        }
        let mut payload = rest.get(usize::from(first & 0x0f) * 4..)?;
        if first & 0x10 != 0 {
            let words = u16::from_be_bytes([*payload.get(2)?, *payload.get(3)?]);
            payload = payload.get(4 + usize::from(words) * 4..)?;
        }
        if first & 0x20 != 0 {
            let padding = usize::from(*payload.last()?);
            if padding == 0 {
                return None;
            }
            payload = payload.get(..payload.len().checked_sub(padding)?)?;
        }
        Some(Self {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([header[2], header[3]]),
            timestamp: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            ssrc: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
            payload,
        })
    }

    /// Writes the packet anew in place of what is in `buffer`.
    pub fn write(&self, buffer: &mut Vec<u8>) {
        buffer.clear();
        buffer.push(0x80);
        buffer.push(u8::from(self.marker) << 7 | self.payload_type & 0x7f);
        buffer.extend_from_slice(&self.sequence.to_be_bytes());
        buffer.extend_from_slice(&self.timestamp.to_be_bytes());
        buffer.extend_from_slice(&self.ssrc.to_be_bytes());
        buffer.extend_from_slice(self.payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: Packet<'_> = Packet {
        marker: true,
        payload_type: 8,
        sequence: 65_535,
        timestamp: 160,
        ssrc: 0xdead_beef,
        payload: b"sound",
    };

    #[test]
    fn what_is_written_reads_the_same() {
        let mut bytes = b"left over".to_vec();
        PLAIN.write(&mut bytes);
        assert_eq!(bytes.len(), HEADER_BYTES + 5);
        assert_eq!(Packet::parse(&bytes), Some(PLAIN));
    }

    #[test]
    fn sources_extension_and_padding_are_left_out() {
        let mut bytes = vec![
            0x80 | 0x20 | 0x10 | 2,
            0x88,
            0xff,
            0xff,
            0,
            0,
            0,
            160,
            0xde,
            0xad,
            0xbe,
            0xef,
        ];
        bytes.extend_from_slice(&[1; 8]); // two contributing sources
        bytes.extend_from_slice(&[0xbe, 0xde, 0, 1, 9, 9, 9, 9]); // an extension of one word
        bytes.extend_from_slice(b"sound");
        bytes.extend_from_slice(&[0, 0, 3]); // padding
        assert_eq!(Packet::parse(&bytes), Some(PLAIN));
    }

    #[test]
    fn what_is_cut_off_or_no_rtp_is_refused() {
        let mut bytes = Vec::new();
        PLAIN.write(&mut bytes);
        assert_eq!(Packet::parse(&bytes[..11]), None);
        for first in [0x00, 0x40, 0xc0, 0x8f, 0x90, 0xa0] {
            // Another version; fifteen sources, an extension, or padding that is not there.
            bytes[0] = first;
            bytes.truncate(14);
            assert_eq!(Packet::parse(&bytes), None, "{first:x}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(packet) = Packet::parse(&bytes) {
                prop_assert!(packet.payload.len() + HEADER_BYTES <= bytes.len());
            }
        }
    }
}
