//! What the SIP machine of a phone does not do by itself, done to its messages on their way: a change of
//! the media by UPDATE or by an INVITE without an offer, and answers that come late, in an ACK or a PRACK.

use std::collections::{BTreeMap, BTreeSet};

use maskline_sip::message::{Message, Method, Name};
use maskline_sip::sdp::{self, Audio};

/// How a phone asks for other media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// By INVITE with an offer, as its machine does.
    Offer,
    /// By UPDATE.
    Update,
    /// By INVITE without an offer: the other side is to make one.
    Ask,
}

/// What came of it, to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    /// The answer to the first offer went in the ACK.
    AnsweredByAck,
    /// It went in a PRACK.
    AnsweredByPrack,
    /// An UPDATE was taken.
    Updated,
    /// An offer was asked for, came and was answered.
    Asked,
    /// An offer in a PRACK was answered.
    OfferedByPrack,
}

/// A request within one dialog: its method, its number.
type Request = (&'static str, u32);

/// See the module.
#[derive(Debug)]
pub(super) struct Rewriter {
    /// How changes of the media are asked for from now on.
    pub change: Change,
    /// Whether its first INVITE brings no offer, and nothing was answered yet.
    owes_first: bool,
    /// How each change was asked for, by the number of its INVITE.
    changes: BTreeMap<u32, Change>,
    /// What goes into a request of its, and into its repetitions.
    bodies: BTreeMap<Request, Vec<u8>>,
    /// UPDATEs whose answers were heard.
    updated: BTreeSet<u32>,
    /// Whether it offers anew in a PRACK.
    offers_by_prack: bool,
    /// The PRACKs that brought an offer, by their numbers; and of those the ones that were answered.
    pracked: BTreeMap<u32, Vec<u8>>,
    pracks_answered: BTreeSet<u32>,
    /// What an early answer said that nobody acknowledges.
    early: Option<Vec<u8>>,
    /// What its answer says instead.
    other: Option<Vec<u8>>,
}

impl Rewriter {
    pub fn new(change: Change, is_delayed: bool, offers_by_prack: bool) -> Self {
        Self {
            change,
            owes_first: is_delayed,
            changes: BTreeMap::new(),
            bodies: BTreeMap::new(),
            updated: BTreeSet::new(),
            offers_by_prack,
            pracked: BTreeMap::new(),
            pracks_answered: BTreeSet::new(),
            early: None,
            other: None,
        }
    }

    /// Whether its first INVITE brings no offer, and nothing was answered yet.
    pub fn owes_first(&self) -> bool {
        self.owes_first
    }

    /// A message of the phone, as it is really sent; none if it is not. `offer` describes its media anew.
    pub fn outgoing(&mut self, bytes: &[u8], offer: impl FnOnce() -> Vec<u8>) -> Option<Vec<u8>> {
        let as_it_is = || Some(bytes.to_vec());
        let Ok(message) = Message::parse(bytes) else {
            return as_it_is();
        };
        let (Some(method), Ok(essentials)) = (message.method(), message.essentials()) else {
            return as_it_is();
        };
        let number = essentials.cseq.number;
        let is_within = essentials.to.tag().is_some();
        match method {
            Method::Invite if is_within => {
                let change = self.change;
                match self.changes.entry(number).or_insert(change) {
                    Change::Offer => as_it_is(),
                    Change::Update => Some(with_method(bytes, "INVITE", "UPDATE")),
                    Change::Ask => Some(with_body(bytes, b"")),
                }
            }
            Method::Ack | Method::Cancel if self.changes.get(&number) == Some(&Change::Update) => {
                None
            }
            Method::Ack => self.with_answer(bytes, ("ACK", number)),
            Method::Prack => {
                let request = ("PRACK", rseq_in(&message, Name::RAck)?);
                if self.bodies.contains_key(&request) || self.owes_first || !self.offers_by_prack {
                    return self.with_answer(bytes, request);
                }
                let offered = self.pracked.entry(number).or_insert_with(offer);
                Some(with_body(bytes, offered))
            }
            _ => as_it_is(),
        }
    }

    /// A response of the phone with what it really answers, if that is not what its machine says. That keeps to
    /// what it has said early (RFC 3261 section 13.2.1), as many a ring-tone server does not whose phone answers.
    pub fn answered(&mut self, bytes: &[u8], other: impl FnOnce() -> Vec<u8>) -> Option<Vec<u8>> {
        let message = Message::parse(bytes).ok()?;
        let (status, essentials) = (message.status()?, message.essentials().ok()?);
        let said = message.sdp()?;
        if Method::parse(essentials.cseq.method) != Method::Invite {
            return None;
        }
        match status {
            101..200 => {
                let is_acknowledged = message.header(Name::RSeq).is_some();
                self.early = (!is_acknowledged).then(|| said.to_vec());
                None
            }
            200 if self.early.as_deref() == Some(said) => {
                let other = self.other.get_or_insert_with(other);
                Some(with_body(bytes, other))
            }
            _ => None,
        }
    }

    fn with_answer(&self, bytes: &[u8], request: Request) -> Option<Vec<u8>> {
        Some(match self.bodies.get(&request) {
            Some(body) => with_body(bytes, body),
            None => bytes.to_vec(),
        })
    }

    /// A message to the phone, as its machine is to hear it. `answer` describes its media, given what it
    /// was offered.
    pub fn incoming(
        &mut self,
        bytes: &[u8],
        answer: impl FnOnce(&Audio) -> Vec<u8>,
    ) -> (Vec<u8>, Option<Done>) {
        let as_it_is = bytes.to_vec();
        let Ok(message) = Message::parse(bytes) else {
            return (as_it_is, None);
        };
        let (Some(status), Ok(essentials)) = (message.status(), message.essentials()) else {
            return (as_it_is, None);
        };
        let number = essentials.cseq.number;
        match (
            Method::parse(essentials.cseq.method),
            self.changes.get(&number),
        ) {
            (Method::Update, Some(Change::Update)) => {
                let is_taken = status == 200 && self.updated.insert(number);
                let done = is_taken.then_some(Done::Updated);
                (with_method(bytes, "UPDATE", "INVITE"), done)
            }
            (Method::Prack, _) => {
                let is_answer = status == 200 && message.sdp().is_some();
                let is_new = is_answer && self.pracks_answered.insert(number);
                let done = is_new.then_some(Done::OfferedByPrack);
                (as_it_is, done)
            }
            (Method::Invite, change) if (101..300).contains(&status) => {
                let is_first = change.is_none();
                let owes = match change {
                    None => self.owes_first,
                    Some(change) => *change == Change::Ask && status == 200,
                };
                let offered = sdp::parse(message.body()).ok().filter(|_| owes);
                let request = match (status, rseq_in(&message, Name::RSeq)) {
                    (200, _) => Some(("ACK", number)),
                    (_, rseq) => rseq.map(|rseq| ("PRACK", rseq)),
                };
                let (Some(offered), Some(request)) = (offered, request) else {
                    return (as_it_is, None);
                };
                let done = match (is_first, request.0) {
                    (true, "PRACK") => Done::AnsweredByPrack,
                    (true, _) => Done::AnsweredByAck,
                    (false, _) => Done::Asked,
                };
                self.owes_first &= !is_first;
                // A repetition is answered as before.
                let is_new = !self.bodies.contains_key(&request);
                if is_new {
                    let body = answer(&offered.audio);
                    self.bodies.insert(request, body);
                }
                (as_it_is, is_new.then_some(done))
            }
            _ => (as_it_is, None),
        }
    }
}

/// The number that a response or its acknowledgement goes by (RFC 3262).
fn rseq_in(message: &Message, name: Name) -> Option<u32> {
    let value = std::str::from_utf8(message.header(name)?).ok()?;
    value.split_whitespace().next()?.parse().ok()
}

/// The same message from somebody who acknowledges no early answers.
pub(super) fn without_100rel(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    match text.contains("\r\nSupported: 100rel") {
        true => text
            .replacen("\r\nSupported: 100rel", "\r\nSupported: none", 1)
            .into_bytes(),
        false => bytes.to_vec(),
    }
}

/// The same message with another method: in its first line, if it is a request, and in its CSeq.
fn with_method(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let lines = head.split("\r\n").map(|line| {
        let is_cseq = line.starts_with("CSeq:");
        match (line.strip_prefix(from), line.strip_suffix(from)) {
            (Some(rest), _) if rest.starts_with(' ') => format!("{to}{rest}"),
            (_, Some(rest)) if is_cseq => format!("{rest}{to}"),
            _ => line.to_owned(),
        }
    });
    let head: Vec<String> = lines.collect();
    format!("{}\r\n\r\n{body}", head.join("\r\n")).into_bytes()
}

/// The same message with its description in a multipart body, as an exchange sends it (RFC 5621); none if it has no
/// description.
pub(super) fn as_multipart(bytes: &[u8]) -> Option<Vec<u8>> {
    let message = Message::parse(bytes).ok()?;
    let optional = "Content-Disposition: signal;handling=optional";
    let parts = [
        format!("--p\r\nContent-Type: application/isup\r\n{optional}\r\n\r\n\u{1}10.0.0.1\r\n")
            .as_bytes(),
        b"--p\r\nContent-Type: application/sdp\r\n\r\n",
        message.sdp()?,
        b"\r\n--p--\r\n",
    ]
    .concat();
    Some(with_kind(bytes, "multipart/mixed;boundary=p", &parts))
}

/// The same message with this description, or with none.
fn with_body(bytes: &[u8], sdp: &[u8]) -> Vec<u8> {
    with_kind(bytes, "application/sdp", sdp)
}

fn with_kind(bytes: &[u8], kind: &str, body: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    let is_of_body =
        |line: &&str| !line.starts_with("Content-Type:") && !line.starts_with("Content-Length:");
    let mut lines: Vec<String> = head
        .split("\r\n")
        .filter(is_of_body)
        .map(str::to_owned)
        .collect();
    if !body.is_empty() {
        lines.push(format!("Content-Type: {kind}"));
    }
    lines.push(format!("Content-Length: {}\r\n\r\n", body.len()));
    [lines.join("\r\n").as_bytes(), body].concat()
}
