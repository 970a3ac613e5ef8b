//! What a phone tells while its calls go on, and what it says of each at its end.

use super::tone_detector::{DetectedSound, Totals};
use maskline_domain::PhoneNumber;
use maskline_sip::endpoint::LegId;
use maskline_sip::message::{Message, Name, NameAddr};
use maskline_sip::sdp::Codec;
use std::net::SocketAddr;
use std::sync::Arc;

/// Something that a phone saw or did.
#[derive(Clone, Debug)]
pub struct Event {
    /// When, in milliseconds since the phone was made.
    pub at_ms: u64,
    /// In which call; none for a message that belongs to no call yet.
    pub call: Option<LegId>,
    /// What the phone saw or did.
    pub kind: EventKind,
}

/// What a phone saw or did.
#[derive(Clone, Debug)]
pub enum EventKind {
    /// A SIP message came or went.
    Message(Arc<MessageSummary>),
    /// Somebody calls.
    Incoming {
        /// The number that is shown.
        shown: Option<PhoneNumber>,
        /// The number that was dialled to reach this phone.
        dialled: Option<PhoneNumber>,
    },
    /// The other side rings, or has something to say before it answers.
    Progress {
        /// 101 to 199.
        status: u16,
        /// Whether it can be heard already.
        early_media: bool,
    },
    /// The call was answered, by the other side or by this phone.
    Answered {
        /// The number of the other side, as it is shown.
        shown: Option<PhoneNumber>,
    },
    /// The other side has put this phone on hold.
    Held,
    /// The other side talks again.
    Resumed,
    /// The other side agreed to a change of the media that this phone wanted.
    OfferAccepted,
    /// It did not agree, with this status; what was agreed before stays.
    OfferRefused(u16),
    /// The other side pressed a key.
    Key(char),
    /// The other side takes no keys, so none are sent.
    NoKeys,
    /// What is heard has become something else.
    Heard(DetectedSound),
    /// A packet came to the call's sound; only if the settings want it.
    Packet {
        /// From where.
        from: SocketAddr,
        /// Whether it came to the port for RTCP.
        control: bool,
        /// What.
        bytes: Arc<[u8]>,
    },
    /// The call is over.
    Over(Box<Report>),
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To this phone.
    In,
    /// From this phone.
    Out,
}

/// One SIP message, with the few things of it that are worth a line.
#[derive(Clone, PartialEq, Eq)]
pub struct MessageSummary {
    /// Which way.
    pub way: Way,
    /// From whom, or to whom.
    pub peer: SocketAddr,
    /// The method of the request, or of the request that is answered.
    pub method: String,
    /// The status and its phrase; none for a request.
    pub status: Option<(u16, String)>,
    /// The number in `From`.
    pub from: Option<PhoneNumber>,
    /// The number in `To`.
    pub to: Option<PhoneNumber>,
    /// The number in P-Asserted-Identity.
    pub asserted: Option<PhoneNumber>,
    /// The Q.850 cause in `Reason`.
    pub cause: Option<u8>,
    /// Whether it carries a session description.
    pub has_sdp: bool,
    /// The message itself, as it was on the wire.
    pub bytes: Arc<[u8]>,
}

impl std::fmt::Debug for MessageSummary {
    /// Numbers are masked; the bytes hold whole ones and are left out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MessageSummary")
            .field("way", &self.way)
            .field("method", &self.method)
            .field("status", &self.status)
            .field("from", &self.from)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

impl MessageSummary {
    pub(super) fn new(way: Way, peer: SocketAddr, message: &Message) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let status = message
            .status()
            .map(|status| (status, text(message.phrase())));
        let method = match status {
            None => text(message.method_text()),
            Some(_) => {
                let cseq = message.header(Name::CSeq).unwrap_or_default();
                let method = cseq.rsplit(|&byte| byte == b' ').next();
                text(method.unwrap_or_default())
            }
        };
        Self {
            way,
            peer,
            method,
            status,
            from: number_in(message, Name::From),
            to: number_in(message, Name::To),
            asserted: number_in(message, Name::PAssertedIdentity),
            cause: message.q850(),
            has_sdp: message.sdp().is_some(),
            bytes: message.bytes().into(),
        }
    }
}

/// The number in a header, in digits; none for a withheld one.
pub(super) fn number_in(message: &Message, name: Name) -> Option<PhoneNumber> {
    let parties = message.values(name).filter_map(NameAddr::parse);
    let mut numbers = parties.filter_map(|party| number(&party.parsed_uri()?.number()?));
    numbers.next()
}

/// A number as it is written in a URI.
pub(super) fn number(text: &str) -> Option<PhoneNumber> {
    PhoneNumber::parse(text.strip_prefix('+').unwrap_or(text)).ok()
}

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// This phone.
    Us,
    /// The other side.
    Them,
    /// Nobody: the other side said nothing.
    Silence,
}

/// A call, from its beginning to its end. Moments are in milliseconds since the phone was made.
#[derive(Clone, Debug)]
pub struct Report {
    /// Whether this phone called.
    pub outgoing: bool,
    /// The number of the other side, as it is shown.
    pub shown: Option<PhoneNumber>,
    /// The number that was dialled.
    pub dialled: Option<PhoneNumber>,
    /// It was dialled, or came in.
    pub began_ms: u64,
    /// The first sign that somebody is being called.
    pub ringing_ms: Option<u64>,
    /// It was answered.
    pub answered_ms: Option<u64>,
    /// It was over.
    pub ended_ms: u64,
    /// Who ended it.
    pub by: EndedBy,
    /// The status with which it was refused, if it was.
    pub status: Option<u16>,
    /// The Q.850 cause that was given.
    pub cause: Option<u8>,
    /// Whether something was heard, or could have been, before the answer.
    pub early_media: bool,
    /// The codec of the sound.
    pub codec: Option<Codec>,
    /// What became of the packets.
    pub packets: Packets,
    /// The keys that the other side pressed.
    pub keys: String,
    /// What was heard.
    pub heard: Totals,
}

impl Report {
    pub(super) fn new(outgoing: bool, dialled: Option<PhoneNumber>, began_ms: u64) -> Self {
        Self {
            outgoing,
            shown: None,
            dialled,
            began_ms,
            ringing_ms: None,
            answered_ms: None,
            ended_ms: began_ms,
            by: EndedBy::Us,
            status: None,
            cause: None,
            early_media: false,
            codec: None,
            packets: Packets::default(),
            keys: String::new(),
            heard: Totals::default(),
        }
    }

    /// Whether it was answered.
    pub fn is_answered(&self) -> bool {
        self.answered_ms.is_some()
    }

    /// How long both could talk.
    pub fn talked_ms(&self) -> u64 {
        self.answered_ms
            .map_or(0, |answered| self.ended_ms.saturating_sub(answered))
    }
}

/// What was counted of the packets of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packets {
    /// Sent.
    pub sent: u64,
    /// Received from the other side.
    pub received: u64,
    /// Missing between the first and the last received.
    pub lost: u64,
    /// From anywhere else, or no RTP of this call.
    pub foreign: u64,
    /// To the port for RTCP.
    pub control: u64,
}

/// What a Q.850 cause means, for the usual ones.
pub fn cause_name(cause: u8) -> &'static str {
    match cause {
        1 => "unallocated number",
        16 => "normal clearing",
        17 => "user busy",
        18 => "no user responding",
        19 => "no answer",
        20 => "subscriber absent",
        21 => "call rejected",
        25 => "routing loop",
        27 => "destination out of order",
        28 => "invalid number",
        31 => "normal, unspecified",
        34 => "no circuit",
        38 => "network out of order",
        41 => "temporary failure",
        42 => "congestion",
        44 => "circuit not available",
        47 => "resource unavailable",
        57 => "not authorised",
        65 => "bearer not implemented",
        88 => "incompatible destination",
        102 => "timer expired",
        127 => "interworking",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_session_description_is_told_as_one() {
        for (kind, has_sdp) in [("application/sdp", true), ("application/dtmf", false)] {
            let text = format!("INFO sip:x SIP/2.0\r\nContent-Type: {kind}\r\n\r\n5");
            let message = Message::parse(text.as_bytes()).expect("a message");
            let peer = SocketAddr::from(([192, 0, 2, 1], 5060));
            assert_eq!(
                MessageSummary::new(Way::In, peer, &message).has_sdp,
                has_sdp,
                "{kind}"
            );
        }
    }
}
