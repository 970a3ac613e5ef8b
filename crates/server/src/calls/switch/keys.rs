//! Keys that a party presses, when its network sends them as INFO instead of RTP events.

/// The two bodies in use: `application/dtmf-relay` and `application/dtmf`.
const RELAY: &[u8] = b"application/dtmf-relay";
const PLAIN: &[u8] = b"application/dtmf";

/// The key that an INFO tells, if it tells one.
pub(super) fn from_info(content_type: &[u8], body: &[u8]) -> Option<char> {
    let kind = content_type.split(|&byte| byte == b';').next()?;
    let kind = kind.trim_ascii();
    let text = std::str::from_utf8(body).ok()?;
    if kind.eq_ignore_ascii_case(PLAIN) {
        return key(text);
    }
    if !kind.eq_ignore_ascii_case(RELAY) {
        return None;
    }
    text.lines()
        .filter_map(|line| line.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("signal"))
        .and_then(|(_, signal)| key(signal))
}

/// An INFO that tells this key: what it holds, and the body.
pub(super) fn to_info(key: char) -> (Vec<u8>, Vec<u8>) {
    let body = format!("Signal={key}\r\nDuration=160\r\n");
    (RELAY.to_vec(), body.into_bytes())
}

/// Some write the keys by their numbers as events (RFC 4733 section 3.2).
fn key(text: &str) -> Option<char> {
    match text.trim() {
        "10" => Some('*'),
        "11" => Some('#'),
        text => {
            let mut chars = text.chars();
            let key = chars.next()?.to_ascii_uppercase();
            let is_key = matches!(key, '0'..='9' | '*' | '#' | 'A'..='D');
            (is_key && chars.next().is_none()).then_some(key)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let (kind, body) = to_info(key);
            assert_eq!(from_info(&kind, &body), Some(key));
        }
    }
}
