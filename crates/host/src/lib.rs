//! Host names: the one place that says what is one, for trunks, settings and descriptions of media.

use std::net::IpAddr;

/// The longest host name, in bytes (RFC 1035 section 2.3.4).
const NAME_BYTES_MAX: usize = 253;
/// The longest part of one between dots, in bytes.
const LABEL_BYTES_MAX: usize = 63;

/// Whether this is the name of a host: labels of letters, digits and hyphens that neither begin nor end with
/// a hyphen (RFC 1123 section 2.1). The last one is no number, so that a mistyped address is no name (RFC 3261
/// section 25.1). An underscore stands in the owner names of SRV records alone, which we make ourselves; a dot
/// at the end is for [`is_host_name_from_root`].
pub fn is_host_name(text: &str) -> bool {
    let last = text.rsplit('.').next().unwrap_or(text);
    text.len() <= NAME_BYTES_MAX
        && text.split('.').all(is_label)
        && !last.bytes().all(|byte| byte.is_ascii_digit())
}

/// The same where a dot at the end is allowed, by which a name says that it counts from the root.
pub fn is_host_name_from_root(text: &str) -> bool {
    is_host_name(text.strip_suffix('.').unwrap_or(text))
}

/// Whether this may stand as the host of a URI: a host name, or an address, IPv6 without its brackets. The
/// addresses that stand for every address are nobody's.
pub fn is_host(text: &str) -> bool {
    match text.parse::<IpAddr>() {
        Ok(address) => !address.is_unspecified(),
        Err(_) => is_host_name(text),
    }
}

fn is_label(label: &str) -> bool {
    let is_within = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=LABEL_BYTES_MAX).contains(&label.len())
        && label.bytes().all(is_within)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_has_labels_of_letters_digits_and_hyphens() {
        let label = |bytes| "a".repeat(bytes);
        // 253 and 254 bytes.
        let long = format!("{}{}", format!("{}.", label(62)).repeat(4), "a");
        let longer = format!("{}{}", format!("{}.", label(62)).repeat(4), "ab");
        let rows = [
            ("pbx", true),
            ("localhost", true),
            ("sip.carrier.example", true),
            ("SIP.Carrier.Example", true),
            ("3com.example", true),
            ("m-1.example", true),
            ("a--b.example", true),
            ("xn--fsqu00a.example", true),
            ("10.0.0.a1", true),
            (&format!("{}.example", label(63)), true),
            (&format!("{}.example", label(64)), false),
            (&long, true),
            (&longer, false),
            ("", false),
            (".", false),
            (".example", false),
            ("sip..example", false),
            ("example.", false),
            ("-a.example", false),
            ("a-.example", false),
            ("a.-b", false),
            ("a_b.example", false),
            ("_sip._udp.example", false),
            ("a b.example", false),
            ("a$b.example", false),
            ("sip:carrier.example", false),
            ("carrier.example:5060", false),
            ("m\u{fc}ller.example", false),
            ("192.0.2.1", false),
            ("192.0.2.300", false),
            ("192.0.2", false),
            ("2001:db8::1", false),
            ("[2001:db8::1]", false),
        ];
        for (text, expected) in rows {
            assert_eq!(is_host_name(text), expected, "{text}");
            // An address, and a name from the root, where those may stand.
            let is_address = matches!(text, "192.0.2.1" | "2001:db8::1");
            assert_eq!(is_host(text), expected || is_address, "{text}");
            let from_root = expected || text == "example.";
            assert_eq!(is_host_name_from_root(text), from_root, "{text}");
            let whole = format!("{text}.");
            assert_eq!(is_host_name_from_root(&whole), expected, "{whole}");
        }
        assert!(!is_host("0.0.0.0") && !is_host("::"));
    }
}
