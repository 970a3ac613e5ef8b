//! Reading numbers and lists out of header bytes, which need not be UTF-8.

/// Space, tab, and the line break of a folded header (RFC 3261 section 7.3.1).
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes {
        if !is_space(*first) {
            break;
        }
        bytes = rest;
    }
    while let [rest @ .., last] = bytes {
        if !is_space(*last) {
            break;
        }
        bytes = rest;
    }
    bytes
}

/// A whole number of at most ten digits; anything else, a sign included, is none.
pub(crate) fn number<N: TryFrom<u64>>(bytes: &[u8]) -> Option<N> {
    if bytes.is_empty() || bytes.len() > 10 {
        return None;
    }
    let mut value = 0u64;
    for byte in bytes {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u64::from(byte - b'0');
    }
    N::try_from(value).ok()
}

/// Where `wanted` first stands outside quotes and, if `skip_angles`, outside `<…>`.
pub(crate) fn find_outside(bytes: &[u8], wanted: u8, skip_angles: bool) -> Option<usize> {
    let mut quoted = false;
    let mut angled = false;
    let mut escaped = false;
    for (at, &byte) in bytes.iter().enumerate() {
        if escaped {
            escaped = false;
            continue;
        }
        match byte {
            b'\\' if quoted => escaped = true,
            b'"' if !angled => quoted = !quoted,
            _ if quoted => {}
            _ if byte == wanted && !(angled && skip_angles) => return Some(at),
            b'<' => angled = true,
            b'>' => angled = false,
            _ => {}
        }
    }
    None
}

/// The parts of a header value that holds several, such as `Via` or `Route`. Empty parts are left out.
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let bytes = rest?;
        match find_outside(bytes, b',', true) {
            Some(comma) => {
                rest = Some(&bytes[comma + 1..]);
                Some(trim(&bytes[..comma]))
            }
            None => {
                rest = None;
                Some(trim(bytes))
            }
        }
    })
    .filter(|part| !part.is_empty())
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex64(value: u64) -> String {
    format!("{value:016x}")
}

pub(crate) fn parse_hex64(bytes: &[u8]) -> Option<u64> {
    if bytes.len() != 16 {
        return None;
    }
    u64::try_from(parse_hex(bytes)?).ok()
}

pub(crate) fn parse_hex128(bytes: &[u8]) -> Option<u128> {
    if bytes.len() != 32 {
        return None;
    }
    parse_hex(bytes)
}

fn parse_hex(bytes: &[u8]) -> Option<u128> {
    bytes.iter().try_fold(0u128, |value, byte| {
        // Lower case only: that is how we write them.
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u128::from(digit))
    })
}
