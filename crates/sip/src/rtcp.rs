//! Reports about RTP (RFC 3550 section 6).
//!
//! Nothing that a peer reports is passed on: a description of a source may name a person, a host or a
//! program, and its other names and numbers belong to its side alone. Each side gets reports of our own,
//! about our stream to it and about what came from it, under names that name nobody.

use crate::rtp::Loss;

/// How often a report is sent, in milliseconds (RFC 3550 section 6.2: five seconds).
pub const REPORT_EVERY_MS: u64 = 5_000;
/// The longest packet that is read, in bytes.
pub const RTCP_BYTES_MAX: usize = 1_500;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
/// A description's only item that must be there (RFC 3550 section 6.5.1).
const CNAME: u8 = 1;
const BLOCK_BYTES: usize = 24;
const SENDER_INFO_BYTES: usize = 20;
/// Seconds from 1900, where NTP begins, to 1970.
const NTP_OFFSET_S: u64 = 2_208_988_800;

/// What a sender says of its stream (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The time of day, as [`ntp`] makes it.
    pub ntp: u64,
    /// The timestamp that a sample would have at that time.
    pub timestamp: u32,
    /// Packets so far.
    pub packets: u32,
    /// Bytes of payload so far.
    pub octets: u32,
}

/// What a receiver says of one source (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// What came, and what did not.
    pub loss: Loss,
    /// The middle of the NTP time in the source's last report; 0 if there was none.
    pub last_report: u32,
    /// How long ago that report came, in 65,536ths of a second.
    pub delay: u32,
}

/// What a peer said, as far as it concerns us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerReport {
    /// The peer's last sender report.
    pub sender: Option<Sender>,
    /// What it says of our stream.
    pub ours: Option<Block>,
    /// Whether it says goodbye. Only SIP ends a call; this does not.
    pub goodbye: bool,
}

/// The time of day in NTP's form, from microseconds since 1970.
pub fn ntp(unix_us: u64) -> u64 {
    let (seconds, part) = (unix_us / 1_000_000, unix_us % 1_000_000);
    ((seconds + NTP_OFFSET_S) << 32) | ((part << 32) / 1_000_000)
}

/// The middle 32 bits of an NTP time, by which reports name each other.
pub fn ntp_middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

/// Reads a compound packet; `ours` is the name of our stream to this peer. None if it is no RTCP or does
/// not add up.
pub fn read(bytes: &[u8], ours: u32) -> Option<PeerReport> {
    let mut heard = PeerReport::default();
    let mut rest = bytes.get(..bytes.len().min(RTCP_BYTES_MAX))?;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let [first, kind, high, low, ..] = *rest else {
            return None;
        };
        if first >> 6 != 2 {
            return None;
        }
        let length = (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
        let (packet, after) = rest.split_at_checked(length)?;
        rest = after;
        let body = &packet[4..];
        match kind {
            SENDER_REPORT => {
                let info = body.get(4..4 + SENDER_INFO_BYTES)?;
                heard.sender = Some(Sender {
                    ntp: u64::from(word(info, 0)?) << 32 | u64::from(word(info, 4)?),
                    timestamp: word(info, 8)?,
                    packets: word(info, 12)?,
                    octets: word(info, 16)?,
                });
                blocks(
                    first & 0x1f,
                    &body[4 + SENDER_INFO_BYTES..],
                    ours,
                    &mut heard,
                )?;
            }
            RECEIVER_REPORT => blocks(first & 0x1f, body.get(4..)?, ours, &mut heard)?,
            GOODBYE => heard.goodbye = true,
            // Descriptions, applications' own and whatever is new: not for us, and for nobody else.
            _ => {}
        }
    }
    Some(heard)
}

fn blocks(count: u8, bytes: &[u8], ours: u32, heard: &mut PeerReport) -> Option<()> {
    for at in 0..usize::from(count) {
        let block = bytes.get(at * BLOCK_BYTES..(at + 1) * BLOCK_BYTES)?;
        let ssrc = word(block, 0)?;
        if ssrc == ours {
            heard.ours = Some(Block {
                loss: Loss {
                    ssrc,
                    fraction: block[4],
                    // Signed, and negative when packets came twice.
                    total: match word(block, 4)? & 0xff_ffff {
                        negative if negative & 0x80_0000 != 0 => 0,
                        total => total,
                    },
                    highest: word(block, 8)?,
                    jitter: word(block, 12)?,
                },
                last_report: word(block, 16)?,
                delay: word(block, 20)?,
            });
        }
    }
    Some(())
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// Writes a report of ours in place of what is in `buffer`: by a sender if we send, about a source if one
/// was heard, and always with the name `cname`, at most 255 bytes, that says nothing.
pub fn write(
    buffer: &mut Vec<u8>,
    ssrc: u32,
    sender: Option<&Sender>,
    about: Option<&Block>,
    cname: &str,
) {
    buffer.clear();
    let kind = match sender {
        Some(_) => SENDER_REPORT,
        None => RECEIVER_REPORT,
    };
    let words =
        1 + sender.map_or(0, |_| SENDER_INFO_BYTES / 4) + about.map_or(0, |_| BLOCK_BYTES / 4);
    head(buffer, u8::from(about.is_some()), kind, words);
    buffer.extend_from_slice(&ssrc.to_be_bytes());
    if let Some(sender) = sender {
        buffer.extend_from_slice(&sender.ntp.to_be_bytes());
        for word in [sender.timestamp, sender.packets, sender.octets] {
            buffer.extend_from_slice(&word.to_be_bytes());
        }
    }
    if let Some(Block {
        loss,
        last_report,
        delay,
    }) = about
    {
        let missing = u32::from(loss.fraction) << 24 | loss.total.min(0x7f_ffff);
        for word in [
            loss.ssrc,
            missing,
            loss.highest,
            loss.jitter,
            *last_report,
            *delay,
        ] {
            buffer.extend_from_slice(&word.to_be_bytes());
        }
    }
    let cname = &cname.as_bytes()[..cname.len().min(255)];
    // The items end with at least one zero, and at a multiple of four.
    let words = (4 + 2 + cname.len() + 4) / 4;
    head(buffer, 1, DESCRIPTION, words);
    let begin = buffer.len();
    buffer.extend_from_slice(&ssrc.to_be_bytes());
    buffer.extend_from_slice(&[CNAME, cname.len() as u8]);
    buffer.extend_from_slice(cname);
    buffer.resize(begin + words * 4, 0);
}

fn head(buffer: &mut Vec<u8>, count: u8, kind: u8, words: usize) {
    buffer.extend_from_slice(&[0x80 | count, kind]);
    buffer.extend_from_slice(&(words as u16).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SENDER: Sender = Sender {
        ntp: 0xdead_beef_0123_4567,
        timestamp: 160,
        packets: 3,
        octets: 480,
    };

    const BLOCK: Block = Block {
        loss: Loss {
            ssrc: 7,
            fraction: 128,
            total: 5,
            highest: 65_540,
            jitter: 12,
        },
        last_report: 0xbeef_0123,
        delay: 65_536,
    };

    #[test]
    fn what_is_written_reads_the_same_and_fills_whole_words() {
        for sender in [None, Some(SENDER)] {
            for ours in [None, Some(BLOCK)] {
                for cname in ["", "a", "ab", "abc", "abcd", "0123456789abcdef"] {
                    let mut bytes = b"left over".to_vec();
                    write(&mut bytes, 99, sender.as_ref(), ours.as_ref(), cname);
                    assert_eq!(bytes.len() % 4, 0);
                    let expected = PeerReport {
                        sender,
                        ours,
                        goodbye: false,
                    };
                    assert_eq!(read(&bytes, 7), Some(expected), "{cname}");
                }
            }
        }
    }

    #[test]
    fn of_a_peers_packet_only_numbers_about_us_are_taken() {
        let mut bytes = Vec::new();
        write(&mut bytes, 99, Some(&SENDER), Some(&BLOCK), "alice@home");
        bytes.extend_from_slice(&[0x81, GOODBYE, 0, 1, 0, 0, 0, 99]);
        bytes.extend_from_slice(&[0x80, 204, 0, 2, 0, 0, 0, 99, b'n', b'a', b'm', b'e']);
        let heard = read(&bytes, 8).expect("a compound packet");
        assert_eq!(
            (heard.sender, heard.ours, heard.goodbye),
            (Some(SENDER), None, true)
        );
    }

    #[test]
    fn what_does_not_add_up_is_refused() {
        let mut bytes = Vec::new();
        write(&mut bytes, 99, Some(&SENDER), Some(&BLOCK), "name");
        for length in [0, 3, 27, 51, bytes.len() - 1] {
            assert_eq!(read(&bytes[..length], 7), None, "{length}");
        }
        bytes[0] = 0x82;
        assert_eq!(read(&bytes, 7), None, "a block more than there is");
        bytes[0] = 0x41;
        assert_eq!(read(&bytes, 7), None, "another version");
    }

    #[test]
    fn the_time_of_day_counts_from_1900() {
        assert_eq!(ntp(0) >> 32, 2_208_988_800);
        assert_eq!(ntp(500_000) as u32, 1 << 31, "half a second");
        assert_eq!(ntp_middle(0x0011_2233_4455_6677), 0x2233_4455);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            read(&bytes, 7);
            let mut framed = vec![0x81, SENDER_REPORT, 0, (bytes.len() / 4) as u8];
            framed.extend_from_slice(&bytes);
            read(&framed, 7);
        }
    }
}
