//! Keys that a party presses, when its network sends them as INFO instead of RTP events.

use maskline_sip::dtmf::{self, HELD_MS, RELAY_TYPE};

/// The key that an INFO tells, if it tells one.
pub(super) fn from_info(content_type: &[u8], body: &[u8]) -> Option<char> {
    dtmf::read_info(content_type, body).map(|(key, _)| key)
}

/// An INFO that tells this key: what it holds, and the body. None for what is no key.
pub(super) fn to_info(key: char) -> Option<(Vec<u8>, Vec<u8>)> {
    let body = dtmf::relay_body(key, HELD_MS)?;
    Some((RELAY_TYPE.as_bytes().to_vec(), body.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use maskline_sip::dtmf::PLAIN_TYPE;

    const RELAY: &[u8] = RELAY_TYPE.as_bytes();
    const PLAIN: &[u8] = PLAIN_TYPE.as_bytes();

    #[test]
    fn keys_are_read_from_both_bodies() {
        let rows: [(&[u8], &[u8], Option<char>); 10] = [
            (RELAY, b"Signal=5\r\nDuration=160\r\n", Some('5')),
            (RELAY, b"Signal= #\nDuration= 250\n", Some('#')),
            (b"Application/DTMF-Relay; x=y", b"signal=a\r\n", Some('A')),
            (PLAIN, b"7\r\n", Some('7')),
            (PLAIN, b"10", Some('*')),
            (PLAIN, b"", None),
            (PLAIN, b"55", None),
            (RELAY, b"Duration=160\r\n", None),
            (RELAY, b"Signal=\xff\r\n", None),
            (b"application/media_control+xml", b"5", None),
        ];
        for (kind, body, expected) in rows {
            assert_eq!(from_info(kind, body), expected, "{body:?}");
        }
    }

    #[test]
    fn what_is_written_reads_as_the_same_key() {
        for key in "0123456789*#ABCD".chars() {
            let (kind, body) = to_info(key).expect("a key");
            assert_eq!(from_info(&kind, &body), Some(key));
        }
    }
}
