//! Who is calling: what we say of it in an INVITE, and what we read of it from one.
//!
//! Saying is built anew from [`Identity`] alone: nothing of the other side's message takes part (RFC 3261
//! `From`; RFC 3325 `P-Asserted-Identity` and `P-Preferred-Identity`; RFC 3323 `Privacy`; RFC 5806
//! `Diversion`; the `Remote-Party-ID` of draft-ietf-sip-privacy-04, which carriers still ask for).

use crate::message::{Message, Name, NameAddr, Writer};
use crate::text;
use crate::uri::Uri;

/// The header that carries the shown number, beside `From` or instead of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shown {
    /// `From` alone.
    #[default]
    From,
    /// `P-Asserted-Identity` (RFC 3325 section 9.1).
    AssertedIdentity,
    /// `P-Preferred-Identity` (RFC 3325 section 9.2).
    PreferredIdentity,
    /// `Remote-Party-ID`.
    RemotePartyId,
}

/// What the called side's network is asked to do with the shown number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Privacy {
    /// Nothing is said.
    #[default]
    Unsaid,
    /// `Privacy: none`: show it.
    None,
    /// `Privacy: id`: show it to nobody beyond the trusted network; `From` is then anonymous, unless it is
    /// the only header that carries the number.
    Id,
}

/// Who we say is calling. Every address in it is ours or shown on purpose.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The URI of the number that is shown.
    pub number: String,
    /// Which header carries it.
    pub shown: Shown,
    /// What is asked for it.
    pub privacy: Privacy,
    /// The URI of the carrier's own number for this trunk: it stands in `From` where another header
    /// carries the shown number.
    pub pilot: Option<String>,
    /// Whether `Diversion` names the pilot number, for carriers that let foreign numbers pass only as a
    /// call diverted by their customer.
    pub diverted_by_pilot: bool,
}

impl From<String> for Identity {
    /// The URI in `From`, and nothing else.
    fn from(number: String) -> Self {
        Self {
            number,
            shown: Shown::From,
            privacy: Privacy::Unsaid,
            pilot: None,
            diverted_by_pilot: false,
        }
    }
}

const ANONYMOUS: &str = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";

impl Identity {
    /// The value of `From`, without a tag.
    pub(crate) fn calling_party(&self) -> String {
        match (self.shown, self.privacy, &self.pilot) {
            (Shown::From, _, _) => format!("<{}>", self.number),
            (_, Privacy::Id, None) => ANONYMOUS.to_owned(),
            (_, _, Some(pilot)) => format!("<{pilot}>"),
            (_, _, None) => format!("<{}>", self.number),
        }
    }

    /// Writes the headers that say who is calling, but for `From`.
    pub(crate) fn write(&self, writer: &mut Writer) {
        let number = self.number.as_bytes();
        match self.shown {
            Shown::From => {}
            Shown::AssertedIdentity => {
                writer.line(Name::PAssertedIdentity, &[b"<", number, b">"]);
            }
            Shown::PreferredIdentity => {
                writer.line(Name::PPreferredIdentity, &[b"<", number, b">"]);
            }
            Shown::RemotePartyId => {
                let privacy: &[u8] = match self.privacy {
                    Privacy::Id => b"full",
                    Privacy::Unsaid | Privacy::None => b"off",
                };
                let parts: &[&[u8]] = &[
                    b"<",
                    number,
                    b">;party=calling;screen=yes;privacy=",
                    privacy,
                ];
                writer.line(Name::RemotePartyId, parts);
            }
        }
        match self.privacy {
            Privacy::Unsaid => {}
            Privacy::None => drop(writer.line(Name::Privacy, &[b"none"])),
            Privacy::Id => drop(writer.line(Name::Privacy, &[b"id"])),
        }
        if let Some(pilot) = self.pilot.as_deref().filter(|_| self.diverted_by_pilot) {
            let parts: &[&[u8]] = &[b"<", pilot.as_bytes(), b">;reason=unconditional"];
            writer.line(Name::Diversion, parts);
        }
    }
}

/// Where a trunk says who is calling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdentityIn {
    /// The first of `P-Asserted-Identity` (if the peer is trusted), `Remote-Party-ID` and `From` that
    /// holds a number.
    #[default]
    Best,
    /// `P-Asserted-Identity`, if the peer is trusted; else `From`.
    AssertedIdentity,
    /// `Remote-Party-ID`, else `From`.
    RemotePartyId,
    /// `From` alone.
    From,
}

/// Who calls, by the caller's own network. Its `Debug` does not show the number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Caller<N> {
    /// The number; none where there is no number at all.
    pub number: Option<N>,
    /// Whether the caller does not want the number to be shown. A trusted network tells it all the same.
    pub withheld: bool,
}

impl<N> std::fmt::Debug for Caller<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let known = self.number.is_some();
        write!(f, "Caller(known {known}, withheld {})", self.withheld)
    }
}

/// Reads who calls from an INVITE. `trusted`: the peer's `P-Asserted-Identity` is believed; that of a peer
/// which is not trusted is passed over (RFC 3325 section 5). `read` turns a URI into a number, if it is one.
pub fn caller<N>(
    invite: &Message,
    source: IdentityIn,
    trusted: bool,
    read: impl Fn(&Uri<'_>) -> Option<N>,
) -> Caller<N> {
    let number = |party: &NameAddr<'_>| number(party, &read);
    let asserted = || {
        let believed = trusted && matches!(source, IdentityIn::Best | IdentityIn::AssertedIdentity);
        let values = believed.then(|| invite.values(Name::PAssertedIdentity));
        values
            .into_iter()
            .flatten()
            .filter_map(NameAddr::parse)
            .find_map(|party| number(&party))
    };
    let remote = match source {
        IdentityIn::Best | IdentityIn::RemotePartyId => remote_party(invite),
        IdentityIn::AssertedIdentity | IdentityIn::From => None,
    };
    let from = invite.header(Name::From).and_then(NameAddr::parse);
    let found = asserted()
        .or_else(|| remote.as_ref().and_then(number))
        .or_else(|| from.as_ref().and_then(number));
    let withheld = asks_for_privacy(invite)
        || remote.is_some_and(|party| is_private(&party))
        || from.is_some_and(|from| is_anonymous(&from));
    Caller {
        number: found,
        withheld,
    }
}

/// Whether a call comes from another number that it was sent to first: `Diversion` (RFC 5806), or in
/// `History-Info` a change of target (`mp` of RFC 7044, or a `cause` of RFC 4458).
pub fn is_forwarded(invite: &Message) -> bool {
    let is_change = |entry: NameAddr<'_>| {
        let cause = entry
            .parsed_uri()
            .is_some_and(|uri| uri.params.get("cause").is_some());
        cause || entry.params.get("mp").is_some()
    };
    let mut history = invite.values(Name::HistoryInfo);
    invite.header(Name::Diversion).is_some()
        || history.any(|entry| NameAddr::parse(entry).is_some_and(is_change))
}

fn number<N>(party: &NameAddr<'_>, read: impl Fn(&Uri<'_>) -> Option<N>) -> Option<N> {
    let uri = party.parsed_uri()?;
    // A host that says `anonymous.invalid` beside a number is nobody's number.
    let is_nobody = uri.host.eq_ignore_ascii_case(b"anonymous.invalid");
    if is_nobody { None } else { read(&uri) }
}

/// The calling party among those that `Remote-Party-ID` names; without `party` it is the calling one.
fn remote_party(invite: &Message) -> Option<NameAddr<'_>> {
    invite
        .values(Name::RemotePartyId)
        .filter_map(NameAddr::parse)
        .find(|party| {
            party
                .params
                .get("party")
                .is_none_or(|party| party.eq_ignore_ascii_case(b"calling"))
        })
}

fn is_private(party: &NameAddr<'_>) -> bool {
    party.params.get("privacy").is_some_and(|privacy| {
        // `full`, `uri`, `name`, or several with hyphens, as in `full-network`.
        let wanted = unquoted(privacy);
        wanted
            .split(|&byte| byte == b'-')
            .any(|part| part.eq_ignore_ascii_case(b"full") || part.eq_ignore_ascii_case(b"uri"))
    })
}

fn asks_for_privacy(invite: &Message) -> bool {
    invite
        .headers(Name::Privacy)
        .flat_map(|value| value.split(|byte| matches!(byte, b';' | b',')))
        .map(text::trim)
        .any(|wish| {
            [b"id".as_slice(), b"user", b"header"]
                .iter()
                .any(|known| wish.eq_ignore_ascii_case(known))
        })
}

/// RFC 3323 section 4.1.1.3, and what networks write besides. A display name alone counts only where there
/// is no number, since anyone may be called so.
fn is_anonymous(from: &NameAddr<'_>) -> bool {
    let name = unquoted(from.display);
    let Some(uri) = from.parsed_uri() else {
        return false;
    };
    let user = uri.user.unwrap_or_default();
    let unnamed = [
        b"anonymous".as_slice(),
        b"unavailable",
        b"restricted",
        b"unknown",
    ];
    uri.host.eq_ignore_ascii_case(b"anonymous.invalid")
        || unnamed.iter().any(|word| user.eq_ignore_ascii_case(word))
        || (uri.number().is_none() && name.eq_ignore_ascii_case(b"anonymous"))
}

fn unquoted(bytes: &[u8]) -> &[u8] {
    match bytes {
        [b'"', inner @ .., b'"'] => inner,
        _ => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite(headers: &str) -> Message {
        let text = format!("INVITE sip:1@h SIP/2.0\r\n{headers}\r\n");
        Message::parse(text.as_bytes()).expect("a message")
    }

    #[test]
    fn the_caller_is_read_as_the_trunk_says_it() {
        use IdentityIn::{AssertedIdentity, Best, From, RemotePartyId};
        let all = "From: <sip:111@h>;tag=a\r\nP-Asserted-Identity: <sip:222@h>\r\nRemote-Party-ID: <sip:333@h>;party=calling\r\n";
        let only_from = "From: <sip:111@h>;tag=a\r\n";
        #[rustfmt::skip]
        let rows: &[(&str, IdentityIn, bool, Option<&str>, bool)] = &[
            // Which header.
            (all, Best, true, Some("222"), false),
            (all, Best, false, Some("333"), false),
            (all, AssertedIdentity, true, Some("222"), false),
            (all, AssertedIdentity, false, Some("111"), false),
            (all, RemotePartyId, true, Some("333"), false),
            (all, From, true, Some("111"), false),
            (only_from, Best, true, Some("111"), false),
            (only_from, AssertedIdentity, true, Some("111"), false),
            (only_from, RemotePartyId, true, Some("111"), false),
            // How the number is written.
            ("f: \"\u{fffd}x\" <sip:+8613800000000@h;user=phone>;tag=a\r\n", Best, true, Some("+8613800000000"), false),
            ("From: tel:+86-138-0000-0000;tag=a\r\n", Best, true, Some("+8613800000000"), false),
            ("From: <tel:13800000000;phone-context=+86>;tag=a\r\n", Best, true, Some("13800000000"), false),
            ("From: <sip:013800000000;phone-context=x@h;user=phone>;tag=a\r\n", Best, true, Some("013800000000"), false),
            ("From: <sip:008613800000000@h>;tag=a\r\n", Best, true, Some("008613800000000"), false),
            ("From: <sips:8613800000000@h>;tag=a\r\n", Best, true, Some("8613800000000"), false),
            ("From: <sip:alice@h>;tag=a\r\n", Best, true, None, false),
            ("From: <mailto:alice@h>;tag=a\r\n", Best, true, None, false),
            // Two asserted identities: the one that is a number.
            ("From: <sip:1@h>\r\nP-Asserted-Identity: <sip:alice@h>, <tel:+86138>\r\n", Best, true, Some("+86138"), false),
            // Withheld, but a trusted network tells it.
            ("From: \"Anonymous\" <sip:anonymous@anonymous.invalid>\r\nP-Asserted-Identity: <sip:222@h>\r\nPrivacy: id\r\n", Best, true, Some("222"), true),
            ("From: \"Anonymous\" <sip:anonymous@anonymous.invalid>\r\nP-Asserted-Identity: <sip:222@h>\r\nPrivacy: id\r\n", Best, false, None, true),
            ("From: <sip:111@h>\r\nPrivacy: critical; ID\r\n", Best, true, Some("111"), true),
            ("From: <sip:111@h>\r\nPrivacy: none\r\n", Best, true, Some("111"), false),
            ("From: <sip:anonymous@h>\r\n", Best, true, None, true),
            ("From: <sip:Unavailable@h>\r\n", Best, true, None, true),
            ("From: <sip:123@anonymous.invalid>\r\n", Best, true, None, true),
            ("From: Anonymous <sip:h>\r\n", Best, true, None, true),
            ("From: <sip:111@h>\r\nRemote-Party-ID: <sip:333@h>;privacy=full;party=calling\r\n", Best, true, Some("333"), true),
            ("From: <sip:111@h>\r\nRemote-Party-ID: <sip:333@h>;privacy=full;party=calling\r\n", From, true, Some("111"), false),
            ("From: <sip:111@h>\r\nRemote-Party-ID: <sip:333@h>;party=called\r\n", Best, true, Some("111"), false),
            ("", Best, true, None, false),
        ];
        for (headers, source, trusted, digits, withheld) in rows {
            let found = caller(&invite(headers), *source, *trusted, |uri| uri.number());
            assert_eq!(found.number.as_deref(), *digits, "{headers} {source:?}");
            assert_eq!(found.withheld, *withheld, "{headers} {source:?}");
        }
    }

    #[test]
    fn a_caller_does_not_show_itself_in_logs() {
        let found = caller(
            &invite("From: <sip:13800000000@h>\r\n"),
            IdentityIn::Best,
            true,
            |uri| uri.number(),
        );
        assert_eq!(format!("{found:?}"), "Caller(known true, withheld false)");
    }

    #[test]
    fn a_forwarded_call_is_known_by_what_it_tells_of_its_way() {
        for (headers, forwarded) in [
            ("", false),
            ("Diversion: <sip:139@h>;reason=no-answer\r\n", true),
            ("History-Info: <sip:170@h>;index=1\r\n", false),
            (
                "History-Info: <sip:170@h>;index=1, <sip:170@i>;index=1.1;rc=1\r\n",
                false,
            ),
            (
                "History-Info: <sip:139@h>;index=1, <sip:170@h>;index=1.1;mp=1\r\n",
                true,
            ),
            (
                "History-Info: <sip:139@h>;index=1\r\nHistory-Info: <sip:170@h;cause=302>;index=1.1\r\n",
                true,
            ),
        ] {
            assert_eq!(is_forwarded(&invite(headers)), forwarded, "{headers}");
        }
    }

    fn written(identity: &Identity) -> String {
        let mut writer = Writer::request("INVITE", b"sip:b@h");
        identity.write(&mut writer);
        let bytes = writer.finish().to_vec();
        let text = String::from_utf8(bytes).expect("text");
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| {
                !line.is_empty() && !line.starts_with("INVITE") && !line.starts_with("Content")
            })
            .collect();
        format!("{} | {}", identity.calling_party(), lines.join(" | "))
    }

    #[test]
    fn the_shown_number_stands_where_the_trunk_wants_it() {
        let plain = Identity::from("sip:x@us".to_owned());
        let pilot = Identity {
            pilot: Some("sip:p@us".into()),
            ..plain.clone()
        };
        let in_header = |base: &Identity, shown, privacy| Identity {
            shown,
            privacy,
            ..base.clone()
        };
        #[rustfmt::skip]
        let rows = [
            (plain.clone(), "<sip:x@us> | "),
            (in_header(&plain, Shown::From, Privacy::Id), "<sip:x@us> | Privacy: id"),
            (in_header(&plain, Shown::AssertedIdentity, Privacy::Unsaid), "<sip:x@us> | P-Asserted-Identity: <sip:x@us>"),
            (in_header(&plain, Shown::AssertedIdentity, Privacy::None), "<sip:x@us> | P-Asserted-Identity: <sip:x@us> | Privacy: none"),
            (in_header(&plain, Shown::AssertedIdentity, Privacy::Id), "\"Anonymous\" <sip:anonymous@anonymous.invalid> | P-Asserted-Identity: <sip:x@us> | Privacy: id"),
            (in_header(&plain, Shown::PreferredIdentity, Privacy::Unsaid), "<sip:x@us> | P-Preferred-Identity: <sip:x@us>"),
            (in_header(&plain, Shown::RemotePartyId, Privacy::Unsaid), "<sip:x@us> | Remote-Party-ID: <sip:x@us>;party=calling;screen=yes;privacy=off"),
            (in_header(&plain, Shown::RemotePartyId, Privacy::Id), "\"Anonymous\" <sip:anonymous@anonymous.invalid> | Remote-Party-ID: <sip:x@us>;party=calling;screen=yes;privacy=full | Privacy: id"),
            (in_header(&pilot, Shown::AssertedIdentity, Privacy::Unsaid), "<sip:p@us> | P-Asserted-Identity: <sip:x@us>"),
            (Identity { diverted_by_pilot: true, ..pilot.clone() }, "<sip:x@us> | Diversion: <sip:p@us>;reason=unconditional"),
            (Identity { diverted_by_pilot: true, ..plain }, "<sip:x@us> | "),
        ];
        for (identity, text) in rows {
            assert_eq!(written(&identity), text);
        }
    }
}
