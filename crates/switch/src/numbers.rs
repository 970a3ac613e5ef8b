//! Telephone numbers as they stand in SIP messages, read into the national form that we keep. How digits
//! are spelt on a trunk is a rule of `domain::trunk`; here is where they stand.

use maskline_domain::PhoneNumber;
use maskline_domain::trunk;
use maskline_sip::identity::{self, IdentityIn};
use maskline_sip::message::Message;
use maskline_sip::uri::{Scheme, Uri};

/// The number that the caller dialled: the user part of the Request-URI. Every form is read.
pub fn dialled(invite: &Message) -> Option<PhoneNumber> {
    dialled_on(invite, None)
}

/// The same, where a number without an area code is one of the trunk's home.
pub fn dialled_on(invite: &Message, home_area: Option<PhoneNumber>) -> Option<PhoneNumber> {
    from_uri(&Uri::parse(invite.request_uri())?, home_area)
}

/// Who calls on a trunk of which no more is said: a peer that we trust, P-Asserted-Identity first.
pub fn caller(invite: &Message) -> Option<PhoneNumber> {
    let read = |uri: &Uri<'_>| from_uri(uri, None);
    identity::caller(invite, IdentityIn::AssertedIdentity, true, read).number
}

/// The number in a SIP or `tel:` URI. A local number whose `phone-context` is the beginning of a global
/// one is put behind it (RFC 3966 section 5.1.5).
pub fn from_uri(uri: &Uri<'_>, home_area: Option<PhoneNumber>) -> Option<PhoneNumber> {
    let number = uri.number()?;
    if !number.starts_with('+')
        && let Some(context) = phone_context(uri)
    {
        // 571 behind +86; a national number may bring its own area code.
        let national = number.strip_prefix('0').unwrap_or(&number);
        let alone = trunk::read(&format!("{context}{national}"), home_area);
        if let Some(whole) = alone.filter(|whole| whole.is_party()) {
            return Some(whole);
        }
    }
    trunk::read(&number, home_area)
}

/// The `phone-context` that is the beginning of a global number: for `tel:` a parameter of the URI, for
/// SIP one of the user part (RFC 3261 section 19.1.6). A domain as context says nothing of digits.
fn phone_context(uri: &Uri<'_>) -> Option<String> {
    let context = match uri.scheme {
        Scheme::Tel => uri.params.get("phone-context")?,
        Scheme::Sip | Scheme::Sips => {
            uri.user?
                .split(|&byte| byte == b';')
                .skip(1)
                .find_map(|param| {
                    let (name, value) = param.split_at(param.iter().position(|&b| b == b'=')?);
                    name.eq_ignore_ascii_case(b"phone-context")
                        .then_some(&value[1..])
                })?
        }
    };
    let text = std::str::from_utf8(context).ok()?.replace("%2B", "+");
    let digits = text.strip_prefix('+')?;
    let plain: String = digits
        .chars()
        .filter(|c| !matches!(c, '-' | '.' | '(' | ')'))
        .collect();
    (!plain.is_empty() && plain.len() <= 15 && plain.bytes().all(|b| b.is_ascii_digit()))
        .then(|| format!("+{plain}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite(uri: &str) -> Message {
        let text = format!("INVITE {uri} SIP/2.0\r\nFrom: <sip:13900000000@h>;tag=1\r\n\r\n");
        Message::parse(text.as_bytes()).expect("a message")
    }

    #[test]
    fn every_spelling_of_a_dialled_number_is_read() {
        let home = PhoneNumber::parse("0571").ok();
        let rows = [
            ("sip:13800000000@h", None, Some("13800000000")),
            ("sip:+8613800000000@h", None, Some("13800000000")),
            ("sip:8613800000000@h", None, Some("13800000000")),
            ("sip:008613800000000@h", None, Some("13800000000")),
            ("sip:013800000000@h", None, Some("13800000000")),
            ("sip:+8613800000000@h;user=phone", None, Some("13800000000")),
            ("sips:%2B8613800000000@h", None, Some("13800000000")),
            ("tel:+86-138-0000-0000", None, Some("13800000000")),
            ("tel:+86(138)0000.0000", None, Some("13800000000")),
            (
                "tel:13800000000;phone-context=+86",
                None,
                Some("13800000000"),
            ),
            (
                "tel:88888888;phone-context=+86571",
                None,
                Some("057188888888"),
            ),
            (
                "tel:88888888;phone-context=+86-571",
                None,
                Some("057188888888"),
            ),
            (
                "tel:057188888888;phone-context=+86",
                None,
                Some("057188888888"),
            ),
            ("tel:95001;phone-context=+86", None, Some("95001")),
            (
                "tel:88888888;phone-context=example.com",
                home,
                Some("057188888888"),
            ),
            (
                "sip:88888888;phone-context=+86571@h;user=phone",
                None,
                Some("057188888888"),
            ),
            ("sip:57188888888@h", None, Some("057188888888")),
            ("sip:+8657188888888@h", None, Some("057188888888")),
            ("sip:88888888@h", home, Some("057188888888")),
            ("sip:88888888@h", None, Some("88888888")),
            ("sip:95001@h", None, Some("95001")),
            ("sip:4001234567@h", None, Some("4001234567")),
            ("tel:+864001234567", None, Some("4001234567")),
            ("sip:+85200000000@h", None, Some("0085200000000")),
            ("sip:110@h", None, Some("110")),
            ("sip:*21*13800000000@h", None, None),
            ("sip:alice@h", None, None),
            ("sip:h", None, None),
            ("sip:1380000000000000000@h", None, None),
            ("tel:+", None, None),
            ("http://13800000000", None, None),
        ];
        for (uri, home, kept) in rows {
            let message = invite(uri);
            let read = dialled_on(&message, home).map(PhoneNumber::reveal);
            assert_eq!(read.as_deref(), kept, "{uri}");
        }
    }
}
