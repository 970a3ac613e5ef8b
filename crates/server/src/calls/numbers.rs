//! Telephone numbers as they stand in SIP messages, read into the national form that we keep, and who
//! calls. How digits are spelt on a trunk is a rule of `domain::trunk`; here is where they stand.

use maskline_domain::trunk::{self, IdentityIn};
use maskline_domain::{PhoneNumber, Trunk};
use maskline_sip::message::{Message, Name, NameAddr};
use maskline_sip::uri::{Scheme, Uri};

/// What a message says of who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The number, where the peer gives one.
    pub number: Option<PhoneNumber>,
    /// Whether the caller wants it kept from others (RFC 3323). A network that we trust may give it
    /// nevertheless, for routing; it is never shown to the callee, who sees X.
    pub withheld: bool,
}

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
    read_caller(invite, IdentityIn::Pai, true, None).number
}

/// Who calls on this trunk, from the header that it uses; what it asserts is read only if it is
/// trusted (RFC 3325 section 7).
pub fn caller_on(invite: &Message, trunk: &Trunk) -> Caller {
    let (header, area) = (trunk.identity_in, trunk.home_area);
    read_caller(invite, header, trunk.trusted, area)
}

fn read_caller(
    invite: &Message,
    header: IdentityIn,
    trusted: bool,
    home_area: Option<PhoneNumber>,
) -> Caller {
    let asserted = match header {
        IdentityIn::Pai if trusted => Some(Name::PAssertedIdentity),
        IdentityIn::Rpid if trusted => Some(Name::RemotePartyId),
        IdentityIn::Pai | IdentityIn::Rpid | IdentityIn::From => None,
    };
    let asserted = asserted
        .into_iter()
        .flat_map(|name| invite.values(name))
        .filter_map(NameAddr::parse);
    let from = invite.header(Name::From).and_then(NameAddr::parse);
    let mut is_anonymous = false;
    let mut number = None;
    for party in asserted.chain(from) {
        let Some(uri) = party.parsed_uri() else {
            continue;
        };
        is_anonymous |= uri.user.is_some_and(is_anonymous_user);
        number = number.or_else(|| from_uri(&uri, home_area));
    }
    Caller {
        number,
        withheld: is_anonymous || wants_privacy(invite),
    }
}

/// RFC 3323 section 4.1.1.3; carriers write other words too.
fn is_anonymous_user(user: &[u8]) -> bool {
    ["anonymous", "restricted", "unavailable", "unknown"]
        .iter()
        .any(|word| user.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether `Privacy` asks for anything (RFC 3323 section 4.2, RFC 3325 section 9.3).
fn wants_privacy(invite: &Message) -> bool {
    invite
        .values(Name::Privacy)
        .flat_map(|value| value.split(|&byte| byte == b';'))
        .map(<[u8]>::trim_ascii)
        .any(|word| {
            ["id", "user", "header", "session"]
                .iter()
                .any(|wanted| word.eq_ignore_ascii_case(wanted.as_bytes()))
        })
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
    use maskline_domain::TrunkName;

    fn invite(uri: &str, from: &str, extra: &str) -> Message {
        let text = format!("INVITE {uri} SIP/2.0\r\nFrom: {from};tag=1\r\n{extra}\r\n");
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
            let message = invite(uri, "<sip:13900000000@h>", "");
            let read = dialled_on(&message, home).map(PhoneNumber::reveal);
            assert_eq!(read.as_deref(), kept, "{uri}");
        }
    }

    const PAI: &str = "P-Asserted-Identity: \"x\" <sip:+8613900000000@h>, <tel:+8613900000001>\r\n";
    const RPID: &str = "Remote-Party-ID: <sip:013900000002@h>;party=calling;privacy=off\r\n";

    #[test]
    fn who_calls_is_read_from_the_header_of_the_trunk() {
        use IdentityIn::{From, Pai, Rpid};
        let named = "<sip:13800000000@h>";
        let anonymous = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";
        let both = format!("{PAI}{RPID}");
        let private = format!("{PAI}Privacy: id\r\n");
        let shown = format!("{PAI}Privacy: none\r\n");
        let (both, private, shown) = (both.as_str(), private.as_str(), shown.as_str());
        let rows = [
            (named, "", Pai, true, Some("13800000000"), false),
            (named, both, Pai, true, Some("13900000000"), false),
            (named, both, Rpid, true, Some("13900000002"), false),
            (named, both, From, true, Some("13800000000"), false),
            // A peer that we do not trust may assert what it likes.
            (named, both, Pai, false, Some("13800000000"), false),
            (named, both, Rpid, false, Some("13800000000"), false),
            (named, RPID, Pai, true, Some("13800000000"), false),
            // Withheld: known to the network, or to nobody.
            (anonymous, "", Pai, true, None, true),
            (anonymous, PAI, Pai, true, Some("13900000000"), true),
            (anonymous, PAI, Pai, false, None, true),
            (named, private, Pai, true, Some("13900000000"), true),
            (named, shown, Pai, true, Some("13900000000"), false),
            (
                named,
                "Privacy: user;critical\r\n",
                From,
                true,
                Some("13800000000"),
                true,
            ),
        ];
        for (from, extra, header, trusted, number, withheld) in rows {
            let trunk = Trunk {
                identity_in: header,
                trusted,
                ..Trunk::new(TrunkName::new("t"), "192.0.2.1:5060")
            };
            let read = caller_on(&invite("sip:17000000001@h", from, extra), &trunk);
            let shown = read.number.map(PhoneNumber::reveal);
            assert_eq!(
                (shown.as_deref(), read.withheld),
                (number, withheld),
                "{from} {extra} {header:?} {trusted}"
            );
        }
    }
}
