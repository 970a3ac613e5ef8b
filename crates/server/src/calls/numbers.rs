//! Telephone numbers as they look on a trunk's wire, read into the national form that we keep.

use maskline_domain::PhoneNumber;
use maskline_sip::message::{Message, Name, NameAddr};
use maskline_sip::uri::Uri;

/// The number that the caller dialled: the user part of the Request-URI.
pub fn dialled(invite: &Message) -> Option<PhoneNumber> {
    from_wire(&Uri::parse(invite.request_uri())?.number()?)
}

/// Who calls: P-Asserted-Identity if the trunk gives one (RFC 3325; a trunk is a peer that we trust),
/// else `From`. None for a withheld number.
pub fn caller(invite: &Message) -> Option<PhoneNumber> {
    let asserted = invite
        .values(Name::PAssertedIdentity)
        .filter_map(NameAddr::parse);
    let from = invite.header(Name::From).and_then(NameAddr::parse);
    asserted
        .chain(from)
        .filter_map(|party| party.parsed_uri()?.number())
        .find_map(|number| from_wire(&number))
}

/// Undoes `+86`, `0086`, `86` before a mobile, and the `0` before a mobile of another town; gives a
/// landline back the `0` that the country code took. Other countries keep `00`.
pub fn from_wire(text: &str) -> Option<PhoneNumber> {
    let national = |digits: &str| match digits {
        _ if is_mobile(digits) || digits.starts_with('0') || is_service(digits) => {
            digits.to_owned()
        }
        _ => format!("0{digits}"),
    };
    let number = if let Some(digits) = text
        .strip_prefix("+86")
        .or_else(|| text.strip_prefix("0086"))
    {
        national(digits)
    } else if let Some(foreign) = text.strip_prefix('+').filter(|foreign| !foreign.is_empty()) {
        format!("00{foreign}")
    } else {
        text.to_owned()
    };
    let number = match number
        .strip_prefix("86")
        .or_else(|| number.strip_prefix('0'))
    {
        Some(mobile) if is_mobile(mobile) => mobile,
        _ => &number,
    };
    PhoneNumber::parse(number).ok()
}

fn is_mobile(digits: &str) -> bool {
    matches!(digits.as_bytes(), [b'1', b'3'..=b'9', ..]) && digits.len() == 11
}

fn is_service(digits: &str) -> bool {
    ["95", "400", "800"]
        .iter()
        .any(|prefix| digits.starts_with(prefix))
        || digits.len() < 7
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_gives_the_national_number() {
        let rows = [
            ("13800000000", "13800000000"),
            ("+8613800000000", "13800000000"),
            ("008613800000000", "13800000000"),
            ("8613800000000", "13800000000"),
            ("013800000000", "13800000000"),
            ("+8657100000001", "057100000001"),
            ("+861000000001", "01000000001"),
            ("057100000001", "057100000001"),
            ("+8695000", "95000"),
            ("+864000000000", "4000000000"),
            ("+85200000000", "0085200000000"),
            ("8610", "8610"),
        ];
        for (wire, kept) in rows {
            let number = from_wire(wire).unwrap_or_else(|| panic!("{wire} is not read"));
            assert_eq!(number.reveal(), kept, "{wire}");
        }
        for wire in ["", "+", "*21#", "1234567890123456789"] {
            assert!(from_wire(wire).is_none(), "{wire}");
        }
    }

    #[test]
    fn the_asserted_number_counts_before_the_one_in_from() {
        let invite = |extra: &str, from: &str| {
            let text =
                format!("INVITE sip:+8617000000001@h SIP/2.0\r\nFrom: {from};tag=1\r\n{extra}\r\n");
            Message::parse(text.as_bytes()).expect("a message")
        };
        let shown = |extra: &str, from: &str| caller(&invite(extra, from)).map(PhoneNumber::reveal);
        let asserted =
            "P-Asserted-Identity: \"x\" <sip:+8613900000000@h>, <tel:+8613900000001>\r\n";
        assert_eq!(
            shown(asserted, "<sip:13800000000@h>").as_deref(),
            Some("13900000000")
        );
        assert_eq!(
            shown("", "<sip:13800000000@h>").as_deref(),
            Some("13800000000")
        );
        assert_eq!(
            shown("", "\"Anonymous\" <sip:anonymous@anonymous.invalid>"),
            None
        );
        assert_eq!(
            dialled(&invite("", "<sip:a@h>"))
                .map(PhoneNumber::reveal)
                .as_deref(),
            Some("17000000001")
        );
    }
}
