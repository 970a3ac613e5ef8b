//! How a request proves who sent it: the two schemes that official clients use.
//!
//! [`rpc`] is the older one (HMAC-SHA1, or HMAC-SHA256 over the same text), [`acs3`] the newer.
//! Both sign the decoded parameters in their RFC 3986 form, never the text as sent, since clients
//! differ in how they write a space or an asterisk on the wire.

pub mod acs3;
pub mod rpc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use subtle::ConstantTimeEq;

/// Everything but the unreserved characters of RFC 3986 section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Text in the form of RFC 3986: `A-Z a-z 0-9 - _ . ~` stay, every other byte of the UTF-8 text
/// becomes `%XX` in upper case.
pub fn encode(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}

/// Compares a signature with ours in a time that does not depend on where they differ.
#[must_use]
pub fn equal(given: &str, ours: &str) -> bool {
    given.as_bytes().ct_eq(ours.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreserved_characters_stay_and_all_others_are_escaped() {
        assert_eq!(encode("AZaz09-_.~").to_string(), "AZaz09-_.~");
        assert_eq!(
            encode("a b*+/=&'()!").to_string(),
            "a%20b%2A%2B%2F%3D%26%27%28%29%21"
        );
        assert_eq!(encode("北京").to_string(), "%E5%8C%97%E4%BA%AC");
    }

    #[test]
    fn only_equal_texts_are_equal() {
        assert!(equal("abc", "abc"));
        assert!(!equal("abc", "abd"));
        assert!(!equal("abc", "abcd"));
        assert!(!equal("", "a"));
    }
}
