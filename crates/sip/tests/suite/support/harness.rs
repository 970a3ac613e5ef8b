//! One endpoint, and a peer that writes its messages by hand.

use super::{address, at, name, udp};
use maskline_sip::endpoint::{Config, Dial, Endpoint, Event, Input, LegId, Output, Peer};
use maskline_sip::hop::Hop;
use maskline_sip::identity::Identity;
use maskline_sip::message::{Message, Name, NameAddr};
use maskline_sip::time::Time;
use std::time::Duration;

pub const US: &str = "127.0.0.1:5060";
pub const PEER: &str = "127.0.0.1:5070";

pub struct Harness {
    pub endpoint: Endpoint,
    pub now: Time,
    pub events: Vec<Event>,
}

impl Harness {
    pub fn new(peers: Vec<Peer>) -> Self {
        Self {
            endpoint: Endpoint::new(Config::new(address(US)), peers, [7; 32]),
            now: at(0),
            events: Vec::new(),
        }
    }

    /// Gives an input and returns what was sent.
    pub fn give(&mut self, input: Input<'_>) -> Vec<(Hop, Message)> {
        self.endpoint.handle_input(input, self.now);
        let mut sent = Vec::new();
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Event(Event::Proven { .. }) => {}
                Output::Event(event) => self.events.push(event),
                Output::Send { to, bytes } => {
                    sent.push((to, Message::parse(&bytes).expect("we write SIP")))
                }
            }
        }
        sent
    }

    /// A message of the peer comes; what is sent back.
    pub fn say(&mut self, text: &str) -> Vec<Message> {
        self.hear(text.as_bytes())
    }

    /// A message comes from another place.
    pub fn say_from(&mut self, from: Hop, text: &str) -> Vec<Message> {
        let bytes = text.as_bytes();
        let sent = self.give(Input::Datagram { from, bytes });
        sent.into_iter().map(|(_, message)| message).collect()
    }

    /// The same for bytes that are not text.
    pub fn hear(&mut self, bytes: &[u8]) -> Vec<Message> {
        let input = Input::Datagram {
            from: udp(PEER),
            bytes,
        };
        self.give(input)
            .into_iter()
            .map(|(_, message)| message)
            .collect()
    }

    /// Lets time pass; what is sent, and when.
    pub fn pass(&mut self, millis: u64) -> Vec<(u64, Message)> {
        let end = self.now + Duration::from_millis(millis);
        let mut sent = Vec::new();
        while let Some(due) = self.endpoint.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            let time = self.now.as_millis();
            let now = self.give(Input::Timeout);
            sent.extend(now.into_iter().map(|(_, message)| (time, message)));
        }
        self.now = end;
        sent
    }

    /// Lets time pass; what is sent, and where to.
    pub fn pass_to(&mut self, millis: u64) -> Vec<(Hop, Message)> {
        let end = self.now + Duration::from_millis(millis);
        let mut sent = Vec::new();
        while let Some(due) = self.endpoint.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            sent.extend(self.give(Input::Timeout));
        }
        self.now = end;
        sent
    }

    /// Lets time pass until something is sent; that, and when.
    pub fn wait(&mut self) -> (u64, Message) {
        loop {
            let due = self.endpoint.poll_timeout().expect("something is due");
            self.now = self.now.max(due);
            if let Some((_, message)) = self.give(Input::Timeout).into_iter().next() {
                return (self.now.as_millis(), message);
            }
        }
    }

    pub fn dial(&mut self) -> (LegId, Message) {
        let (leg, dial) = self.dial_quietly();
        let mut sent = self.give(Input::Dial(leg, dial));
        (leg, sent.remove(0).1)
    }

    /// A call that is still to be made.
    pub fn dial_quietly(&mut self) -> (LegId, Dial) {
        let leg = self.endpoint.new_leg();
        let dial = Dial {
            hop: udp(PEER),
            target: "sip:13900000000@127.0.0.1:5070".into(),
            identity: Identity::from("sip:17000000001@127.0.0.1:5060".to_owned()),
            max_forwards: 69,
            sdp: super::SDP.to_vec(),
        };
        (leg, dial)
    }

    /// The names of the events since the last time.
    pub fn heard(&mut self) -> Vec<String> {
        self.events.drain(..).map(|event| name(&event)).collect()
    }
}

/// A response to a request of ours; `rest` are whole header lines.
pub fn response(request: &Message, status: &str, rest: &str) -> String {
    let header = |name| text(request, name);
    let to = header(Name::To);
    let tag = if to.contains(";tag=") { "" } else { ";tag=b" };
    format!(
        "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n{rest}\r\n",
        header(Name::Via),
        header(Name::From),
        header(Name::CallId),
        header(Name::CSeq),
    )
}

/// The value of a header; empty where there is none.
pub fn text(message: &Message, name: Name) -> String {
    String::from_utf8_lossy(message.header(name).unwrap_or_default()).into_owned()
}

pub fn to_tag(message: &Message) -> String {
    let to = message.header(Name::To).and_then(NameAddr::parse);
    let tag = to.and_then(|to| to.tag()).unwrap_or_default();
    String::from_utf8_lossy(tag).into_owned()
}

/// What a message is: its status, or its method.
pub fn kind(message: &Message) -> String {
    match message.status() {
        Some(status) => status.to_string(),
        None => String::from_utf8_lossy(message.method_text()).into_owned(),
    }
}

pub fn kinds(messages: &[Message]) -> Vec<String> {
    messages.iter().map(kind).collect()
}
