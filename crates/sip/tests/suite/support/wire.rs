//! One endpoint, and a peer that writes its messages by hand.

use super::{SDP, address, at, endpoint, endpoint_with, name, udp};
use maskline_sip::endpoint::{Config, Dial, Endpoint, Event, Input, LegId, Output};
use maskline_sip::hop::Hop;
use maskline_sip::identity::Identity;
use maskline_sip::message::{Message, Name, NameAddr};
use maskline_sip::time::Time;
use std::time::Duration;

pub const US: &str = "127.0.0.1:5060";
pub const PEER: &str = "127.0.0.1:5070";

/// One endpoint, and a peer that writes its messages by hand.
pub struct Wire {
    pub endpoint: Endpoint,
    pub now: Time,
    /// All but [`Event::Proven`],
    pub events: Vec<Event>,
    /// and whether that has come.
    pub is_proven: bool,
}

impl Wire {
    pub fn new() -> Self {
        Self::of(endpoint(US, PEER, 1))
    }

    /// With other bounds between refreshes: what we want, and the least that we take, in seconds.
    pub fn with_session(expires_s: u32, min_s: u32) -> Self {
        let mut config = Config::new(address(US));
        config.session_expires_s = expires_s;
        config.min_se_s = min_s;
        Self::of(endpoint_with(config, PEER, 1))
    }

    pub fn of(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            now: at(0),
            events: Vec::new(),
            is_proven: false,
        }
    }

    /// Gives a datagram from the peer and returns what was sent back.
    pub fn say(&mut self, bytes: &[u8]) -> Vec<Message> {
        self.say_from(PEER, bytes)
    }

    pub fn say_from(&mut self, from: &str, bytes: &[u8]) -> Vec<Message> {
        self.give(Input::Datagram {
            from: udp(from),
            bytes,
        })
    }

    pub fn give(&mut self, input: Input<'_>) -> Vec<Message> {
        self.endpoint.handle_input(input, self.now);
        self.drain()
            .into_iter()
            .map(|(_, message)| message)
            .collect()
    }

    pub fn drain(&mut self) -> Vec<(Hop, Message)> {
        let mut sent = Vec::new();
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Event(Event::Proven { .. }) => self.is_proven = true,
                Output::Event(event) => self.events.push(event),
                Output::Send { to, bytes } => {
                    sent.push((to, Message::parse(&bytes).expect("we write SIP")))
                }
            }
        }
        sent
    }

    pub fn pass(&mut self, millis: u64) -> Vec<Message> {
        let end = self.now + Duration::from_millis(millis);
        let mut sent = Vec::new();
        while let Some(due) = self.endpoint.poll_timeout().filter(|due| *due <= end) {
            self.now = due;
            sent.extend(self.give(Input::Timeout));
        }
        self.now = end;
        sent
    }

    pub fn seen(&self) -> Vec<String> {
        self.events.iter().map(name).collect()
    }

    pub fn incoming(&mut self) -> LegId {
        self.say(INVITE.as_bytes());
        match self.events.last() {
            Some(Event::Incoming { leg, .. }) => *leg,
            _ => panic!("the INVITE made no call"),
        }
    }

    /// An incoming call that was answered and acknowledged, and the tag that we gave.
    pub fn talking(&mut self) -> String {
        let leg = self.incoming();
        let answer = self.give(Input::Answer(leg, SDP.to_vec()));
        let tag = to_tag(&answer[0]);
        let acks = self.say(within("ACK", 1, &tag).as_bytes());
        assert!(acks.is_empty(), "an ACK is not answered");
        assert_eq!(self.seen(), ["incoming", "confirmed"]);
        tag
    }

    /// A call of ours that was answered with these header lines, and how it was acknowledged.
    pub fn dialled(&mut self, lines: &str) -> (LegId, Message) {
        let (leg, invite) = self.dial();
        let lines = format!("Contact: <sip:x@127.0.0.1:5070>\r\n{lines}");
        let ok = response_with(&invite, "200 OK", "b", &lines, SDP);
        let ack = self.say(ok.as_bytes()).remove(0);
        assert_eq!(self.seen(), ["answered"]);
        (leg, ack)
    }

    /// A request of the called side within a call of ours that `ack` acknowledged.
    pub fn from_callee(ack: &Message, method: &str, cseq: u32, lines: &str, sdp: &[u8]) -> String {
        let header = |name| String::from_utf8_lossy(ack.header(name).unwrap_or_default());
        let sdp = String::from_utf8_lossy(sdp);
        let kind = match sdp.is_empty() {
            true => "",
            false => "Content-Type: application/sdp\r\n",
        };
        format!(
            "{method} sip:127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKc{method}{cseq};rport\r\n\
             From: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n{lines}{kind}Content-Length: {}\r\n\r\n{sdp}",
            header(Name::To),
            header(Name::From),
            header(Name::CallId),
            sdp.len(),
        )
    }

    /// Dials, and returns the INVITE.
    pub fn dial(&mut self) -> (LegId, Message) {
        let leg = self.endpoint.new_leg();
        let dial = Dial {
            hop: udp(PEER),
            target: "sip:13900000000@127.0.0.1:5070".into(),
            identity: Identity::from("sip:17000000001@127.0.0.1:5060".to_owned()),
            max_forwards: 69,
            sdp: SDP.to_vec(),
        };
        let mut sent = self.give(Input::Dial(leg, dial));
        (leg, sent.remove(0))
    }
}

pub const INVITE: &str = "INVITE sip:17000000001@127.0.0.1:5060 SIP/2.0\r\n\
    Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1;rport\r\n\
    From: <sip:13800000000@127.0.0.1>;tag=a\r\n\
    To: <sip:17000000001@127.0.0.1:5060>\r\n\
    Call-ID: call\r\n\
    CSeq: 1 INVITE\r\n\
    Contact: <sip:13800000000@127.0.0.1:5070>\r\n\
    Max-Forwards: 70\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 12\r\n\
    \r\n\
    v=0\r\no=- 1 1";

/// The INVITE with one piece of text replaced.
pub fn with(old: &str, new: &str) -> String {
    assert!(INVITE.contains(old), "{old} is in the INVITE");
    INVITE.replacen(old, new, 1)
}

/// A request of the caller within the dialog.
pub fn within(method: &str, cseq: u32, tag: &str) -> String {
    format!(
        "{method} sip:127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK{method}{cseq};rport\r\n\
         From: <sip:13800000000@127.0.0.1>;tag=a\r\nTo: <sip:17000000001@127.0.0.1:5060>;tag={tag}\r\n\
         Call-ID: call\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n"
    )
}

/// The same with more header lines and perhaps SDP.
pub fn within_with(method: &str, cseq: u32, tag: &str, lines: &str, sdp: &[u8]) -> String {
    let sdp = String::from_utf8_lossy(sdp);
    let kind = match sdp.is_empty() {
        true => "",
        false => "Content-Type: application/sdp\r\n",
    };
    let end = format!("{lines}{kind}Content-Length: {}\r\n\r\n{sdp}", sdp.len());
    within(method, cseq, tag).replace("Content-Length: 0\r\n\r\n", &end)
}

/// The INVITE with more header lines and this SDP or none.
pub fn invite_with(lines: &str, sdp: &[u8]) -> String {
    let sdp = String::from_utf8_lossy(sdp);
    let kind = match sdp.is_empty() {
        true => "",
        false => "Content-Type: application/sdp\r\n",
    };
    let head = INVITE.split("Content-Type").next().unwrap_or_default();
    format!(
        "{head}{lines}{kind}Content-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    )
}

/// A response to a request of ours, with SDP.
pub fn response_with(
    request: &Message,
    status: &str,
    tag: &str,
    lines: &str,
    sdp: &[u8],
) -> String {
    let sdp = String::from_utf8_lossy(sdp);
    let kind = "Content-Type: application/sdp\r\n";
    response(request, status, tag, &format!("{lines}{kind}")) + &sdp
}

/// A response to a request of ours within the dialog.
pub fn response_within(request: &Message, status: &str, lines: &str, sdp: &[u8]) -> String {
    let text = response_with(request, status, "none", lines, sdp).replace(";tag=none", "");
    match sdp.is_empty() {
        true => text.replace("Content-Type: application/sdp\r\n", ""),
        false => text,
    }
}

/// A response to a request of ours.
pub fn response(request: &Message, status: &str, tag: &str, rest: &str) -> String {
    let header =
        |name| String::from_utf8_lossy(request.header(name).unwrap_or_default()).into_owned();
    format!(
        "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag={tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n{rest}\r\n",
        header(Name::Via),
        header(Name::From),
        header(Name::To),
        header(Name::CallId),
        header(Name::CSeq),
    )
}

pub fn statuses(messages: &[Message]) -> Vec<u16> {
    messages.iter().filter_map(Message::status).collect()
}

pub fn to_tag(message: &Message) -> String {
    let to = message
        .header(Name::To)
        .and_then(NameAddr::parse)
        .expect("we write whole messages");
    String::from_utf8_lossy(to.tag().unwrap_or_default()).into_owned()
}

pub fn header(message: &Message, name: Name) -> &str {
    std::str::from_utf8(message.header(name).unwrap_or_default())
        .expect("what we write here is ASCII")
}

/// SDP of theirs that says something new, and SDP of ours.
pub const OTHER: &[u8] =
    b"v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
    m=audio 4000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=sendonly\r\n";
pub const OURS: &[u8] = b"v=0\r\no=- 7 2 IN IP4 127.0.0.1\r\n";

pub fn cseqs(messages: &[Message]) -> Vec<&str> {
    messages
        .iter()
        .map(|message| header(message, Name::CSeq))
        .collect()
}

/// The leg of the first call that came in.
pub fn first_leg(wire: &Wire) -> LegId {
    wire.events
        .iter()
        .find_map(|event| match event {
            Event::Incoming { leg, .. } => Some(*leg),
            _ => None,
        })
        .expect("there is a call")
}
