//! A telephone that writes its SIP by hand, with everything about its owner in every message.
//!
//! It does what the script of a test says and answers by itself what asks for nothing but an answer. It is
//! plain on purpose: what it does never depends on whose it is.

use crate::leaks::parties::Party;
use maskline_sip::digest::{Challenge, Credentials, Request};
use std::net::SocketAddr;

pub const EVENTS: &str = "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n";

/// What belongs to one call.
#[derive(Clone, Default)]
struct Dialog {
    call_id: String,
    local: String,
    remote: String,
    target: String,
    cseq: u32,
    /// Of the INVITE that we sent last.
    branch: String,
    invite_target: String,
    invite_cseq: u32,
}

pub struct Phone {
    pub party: Party,
    pub switch: SocketAddr,
    is_caller: bool,
    dialog: Dialog,
    /// The INVITE that was sent to us last.
    invite: String,
    /// A second phone that rings for the same number.
    fork: usize,
    branches: u32,
    pub outbox: Vec<String>,
    /// Every status and method that came, for the script to look at.
    pub heard: Vec<String>,
    /// Whether responses to our INVITE are acknowledged, and requests are answered.
    pub is_polite: bool,
    /// Whether provisional responses are wanted, and sent, reliably.
    pub is_reliable: bool,
    rseq: u32,
    /// What the body of its first INVITE is.
    pub body_kind: &'static str,
    /// What its own answers to the first INVITE are.
    pub reply_kind: &'static str,
    /// What an offer is answered with.
    pub accepts: Option<String>,
    /// With what it authenticates itself.
    pub credentials: Option<Credentials>,
    /// Whether it wants to know who calls or registers.
    pub asks_who: bool,
    /// The request that it sent last, to be authenticated if it must be.
    asked: Asked,
}

#[derive(Clone, Default)]
struct Asked {
    method: String,
    headers: String,
    kind: String,
    body: Option<String>,
    auth_attempts: u32,
}

/// The value of the first header of this name.
fn field<'a>(message: &'a str, name: &'a str) -> Option<&'a str> {
    fields(message, name).next()
}

fn fields<'a>(message: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let head = message.split("\r\n\r\n").next().unwrap_or_default();
    head.lines().filter_map(move |line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn uri(value: &str) -> &str {
    let begin = value.find('<').map_or(0, |at| at + 1);
    let end = value.find('>').unwrap_or(value.len());
    &value[begin..end]
}

impl Phone {
    pub fn new(party: Party, switch: SocketAddr, is_caller: bool) -> Self {
        Self {
            is_caller,
            dialog: Dialog {
                cseq: party.cseq,
                ..Dialog::default()
            },
            party,
            switch,
            invite: String::new(),
            fork: 0,
            branches: 0,
            outbox: Vec::new(),
            heard: Vec::new(),
            is_polite: true,
            is_reliable: false,
            rseq: 0,
            body_kind: "application/sdp",
            accepts: None,
            reply_kind: "application/sdp",
            credentials: None,
            asks_who: false,
            asked: Asked::default(),
        }
    }

    fn tag(&self) -> String {
        format!("{}-{}-{}", self.party.word, self.party.number, self.fork)
    }

    fn contact(&self) -> String {
        let Party {
            name,
            written,
            host,
            word,
            ..
        } = &self.party;
        format!(
            "Contact: \"{name}\" <sip:{written};x-user={word}@{host};x-line={word}>;+sip.instance=\"<urn:uuid:{word}>\"\r\n"
        )
    }

    pub fn audio(&self) -> String {
        self.party.sdp("8 0 101", EVENTS, "sendrecv")
    }

    // What the script makes it do.

    /// Dials X. Its asserted identity is that of its network, and `From` holds its number too.
    pub fn dial(&mut self, x: &str, body: Option<&str>) {
        let Party {
            name,
            written,
            host,
            ..
        } = &self.party;
        let identity = format!(
            "P-Asserted-Identity: \"{name}\" <sip:{written}@{}>\r\n",
            host.ip()
        );
        let from = format!("\"{name}\" <sip:{written}@{host};x-line=1>");
        self.dial_as(x, &from, &identity, body);
    }

    /// The same with another `From` and other headers.
    pub fn dial_as(&mut self, x: &str, from: &str, headers: &str, body: Option<&str>) {
        let ip = self.party.host.ip();
        self.dialog.call_id = format!("{}-{}@{ip}", self.party.word, self.party.number);
        self.dialog.local = format!("{from};tag={}", self.tag());
        let target = format!("sip:{x}@{};user=phone", self.switch);
        self.dialog.remote = format!("<{target}>");
        self.dialog.target = target;
        let route = format!(
            "Record-Route: <sip:{};lr;x={}>\r\n",
            self.party.proxy, self.party.word
        );
        let reliable = if self.is_reliable {
            "Supported: 100rel, timer\r\n"
        } else {
            ""
        };
        self.ask(
            "INVITE",
            &format!("{route}{reliable}{headers}"),
            self.body_kind,
            body,
        );
        self.note_invite();
    }

    fn note_invite(&mut self) {
        self.dialog.branch = self.branch();
        self.dialog.invite_target = self.dialog.target.clone();
        self.dialog.invite_cseq = self.dialog.cseq;
    }

    pub fn cancel(&mut self) {
        let reason = self.reason();
        let branch = self.dialog.branch.clone();
        let target = self.dialog.invite_target.clone();
        let cseq = self.dialog.invite_cseq;
        let text = self.request("CANCEL", &target, cseq, &branch, &reason, "", None);
        self.outbox.push(text);
    }

    pub fn bye(&mut self) {
        let reason = self.reason();
        self.ask("BYE", &reason, "", None);
    }

    /// Asks for another kind of media: `method` is INVITE or UPDATE.
    pub fn offer(&mut self, method: &str, body: Option<&str>) {
        self.ask(method, "", "application/sdp", body);
        if method == "INVITE" {
            self.note_invite();
        }
    }

    /// Any request within the dialog.
    pub fn ask(&mut self, method: &str, headers: &str, kind: &str, body: Option<&str>) {
        self.branches += 1;
        self.dialog.cseq += 1;
        if method != "PRACK" {
            self.asked = Asked {
                method: method.to_owned(),
                headers: headers.to_owned(),
                kind: kind.to_owned(),
                body: body.map(str::to_owned),
                auth_attempts: 0,
            };
        }
        let (target, branch) = (self.dialog.target.clone(), self.branch());
        let text = self.request(
            method,
            &target,
            self.dialog.cseq,
            &branch,
            headers,
            kind,
            body,
        );
        self.outbox.push(text);
    }

    /// Answers the INVITE that was sent to us.
    pub fn reply(&mut self, status: u16, headers: &str, body: Option<&str>) {
        let reliable = self.is_reliable && (101..200).contains(&status) && body.is_some();
        let rseq = if reliable {
            self.rseq += 1;
            format!("Require: 100rel\r\nRSeq: {}\r\n", self.rseq)
        } else {
            String::new()
        };
        let invite = self.invite.clone();
        let text = self.response(&invite, status, &format!("{rseq}{headers}"), body);
        self.outbox.push(text);
    }

    /// From now on it is another phone that rings for the same number.
    pub fn fork(&mut self) {
        self.fork += 1;
        let tag = self.tag();
        let to = field(&self.invite, "To").unwrap_or_default();
        self.dialog.local = format!("{};tag={tag}", bare(to));
    }

    fn reason(&self) -> String {
        let Party { name, number, .. } = &self.party;
        format!("Reason: Q.850;cause=16;text=\"{name} {number} hung up\"\r\n")
    }

    fn branch(&self) -> String {
        format!(
            "z9hG4bK{}{}",
            self.party.word.replace(['.', '_'], "-"),
            self.branches
        )
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a request")]
    fn request(
        &self,
        method: &str,
        target: &str,
        cseq: u32,
        branch: &str,
        headers: &str,
        kind: &str,
        body: Option<&str>,
    ) -> String {
        let Party {
            host, proxy, word, ..
        } = &self.party;
        let Dialog {
            call_id,
            local,
            remote,
            ..
        } = &self.dialog;
        let contact = match method {
            "INVITE" | "UPDATE" => self.contact(),
            _ => String::new(),
        };
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {host};rport;branch={branch}\r\n\
             Via: SIP/2.0/UDP {proxy};branch=z9hG4bK{word}inner;received={proxy}\r\nMax-Forwards: 66\r\n\
             From: {local}\r\nTo: {remote}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n{contact}{}{headers}{}",
            self.party.baggage(),
            with_body(kind, body)
        )
    }

    fn response(&self, request: &str, status: u16, headers: &str, body: Option<&str>) -> String {
        let Party { number, name, .. } = &self.party;
        let mut head = format!("SIP/2.0 {status} {name} {number} says so\r\n");
        for name in ["Via", "Record-Route", "From", "Call-ID", "CSeq"] {
            for value in fields(request, name) {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        let to = field(request, "To").unwrap_or_default();
        let to = match to.contains(";tag=") {
            true => to.to_owned(),
            false => format!("{to};tag={}", self.tag()),
        };
        if !self.is_caller && field(request, "CSeq").is_some_and(|cseq| cseq.ends_with("INVITE")) {
            head.push_str(&format!("Record-Route: <sip:{};lr>\r\n", self.party.proxy));
        }
        let asserted = format!(
            "P-Asserted-Identity: \"{name}\" <tel:{}>\r\n",
            self.party.written
        );
        format!(
            "{head}To: {to}\r\n{}{asserted}{}{headers}{}",
            self.contact(),
            self.party.baggage(),
            with_body(self.reply_kind, body)
        )
    }

    /// Repeats what it asked for, with the credentials that were wanted.
    fn authenticate(&mut self, text: &str, status: u16, wanted: &str) {
        let Some(credentials) = self.credentials.clone() else {
            return;
        };
        let (asks, answers) = match status {
            401 => ("WWW-Authenticate", "Authorization"),
            _ => ("Proxy-Authenticate", "Proxy-Authorization"),
        };
        let asked = self.asked.clone();
        let challenge = Challenge::choose(fields(text, asks).map(str::as_bytes));
        let (Some(challenge), true) = (
            challenge,
            asked.method == wanted && asked.auth_attempts == 0,
        ) else {
            return;
        };
        let request = Request {
            method: asked.method.as_bytes(),
            uri: self.dialog.target.as_bytes(),
            body: asked.body.as_deref().unwrap_or_default().as_bytes(),
        };
        let authorization = challenge.answer(&credentials, &request, 1, "0a4f113b");
        let headers = format!("{}{answers}: {authorization}\r\n", asked.headers);
        self.ask(&asked.method, &headers, &asked.kind, asked.body.as_deref());
        self.asked.auth_attempts = 1;
        if asked.method == "INVITE" {
            self.note_invite();
        }
    }

    /// What a network asks that knows nobody without credentials.
    fn ask_who(&mut self, request: &str, status: u16, header: &str) {
        let Party {
            name, number, word, ..
        } = &self.party;
        let challenge = format!(
            "{header}: Digest realm=\"{name} {number}\", nonce=\"{word}\", opaque=\"{number}\", algorithm=MD5, qop=\"auth\"\r\n"
        );
        let text = self.response(request, status, &challenge, None);
        self.outbox.push(text);
    }

    // What it does by itself.

    pub fn hear(&mut self, bytes: &[u8]) {
        let text = String::from_utf8(bytes.to_vec()).expect("the switch writes UTF-8");
        let first = text.lines().next().unwrap_or_default().to_owned();
        match first.strip_prefix("SIP/2.0 ") {
            Some(status) => self.hear_response(&text, status[..3].parse().expect("a status")),
            None => self.hear_request(&text, first.split(' ').next().unwrap_or_default()),
        }
    }

    fn hear_response(&mut self, text: &str, status: u16) {
        let (number, method) = field(text, "CSeq")
            .and_then(|cseq| cseq.split_once(' '))
            .expect("every response has one");
        self.heard.push(format!("{status} {method}"));
        if method != "INVITE" || status == 100 {
            if matches!(status, 401 | 407) {
                let method = method.to_owned();
                self.authenticate(text, status, &method);
            }
            return;
        }
        let cseq: u32 = number.parse().expect("a number");
        let to = field(text, "To").unwrap_or_default().to_owned();
        if status < 300 {
            self.dialog.remote = to.clone();
            if let Some(contact) = field(text, "Contact") {
                self.dialog.target = uri(contact).to_owned();
            }
        }
        if !self.is_polite {
            return;
        }
        match status {
            101..200 => {
                if let Some(rseq) = field(text, "RSeq") {
                    let rack = format!("RAck: {rseq} {cseq} INVITE\r\n");
                    self.ask("PRACK", &rack, "", None);
                }
            }
            200..300 => {
                self.branches += 1;
                let branch = self.branch();
                let body = self.accepts.take();
                let target = self.dialog.target.clone();
                let ack = self.request(
                    "ACK",
                    &target,
                    cseq,
                    &branch,
                    "",
                    "application/sdp",
                    body.as_deref(),
                );
                self.outbox.push(ack);
            }
            _ => {
                let branch = self.dialog.branch.clone();
                let target = self.dialog.invite_target.clone();
                let before = std::mem::replace(&mut self.dialog.remote, to);
                let ack = self.request("ACK", &target, cseq, &branch, "", "", None);
                self.dialog.remote = before;
                self.outbox.push(ack);
                if matches!(status, 401 | 407) {
                    self.authenticate(text, status, "INVITE");
                }
            }
        }
    }

    fn hear_request(&mut self, text: &str, method: &str) {
        self.heard.push(method.to_owned());
        let has_tag = field(text, "To").is_some_and(|to| to.contains(";tag="));
        let has_offer = text.contains("\r\nm=audio");
        let is_authenticated =
            field(text, "Authorization").is_some() || field(text, "Proxy-Authorization").is_some();
        match (method, has_tag) {
            ("INVITE", false) if self.asks_who && !is_authenticated => {
                self.ask_who(text, 407, "Proxy-Authenticate");
            }
            ("REGISTER", false) if self.asks_who && !is_authenticated => {
                self.ask_who(text, 401, "WWW-Authenticate");
            }
            ("REGISTER", _) => {
                // It repeats what it was told, and how long that holds.
                let contact = field(text, "Contact").unwrap_or_default();
                let bound = format!("Contact: {contact};expires=600\r\n");
                let ok = self.response(text, 200, &bound, None);
                self.outbox.push(ok);
            }
            ("INVITE", false) => {
                self.invite = text.to_owned();
                let tag = self.tag();
                let to = field(text, "To").unwrap_or_default();
                self.dialog.call_id = field(text, "Call-ID").unwrap_or_default().to_owned();
                self.dialog.local = format!("{to};tag={tag}");
                self.dialog.remote = field(text, "From").unwrap_or_default().to_owned();
                self.dialog.target = uri(field(text, "Contact").unwrap_or_default()).to_owned();
            }
            ("ACK", _) => {}
            _ if !self.is_polite => {}
            ("CANCEL", _) => {
                let ok = self.response(text, 200, "", None);
                self.outbox.push(ok);
                self.reply(487, "", None);
            }
            ("INVITE" | "UPDATE", true) => {
                let answer = self.accepts.clone().unwrap_or_else(|| self.audio());
                let body = (has_offer || method == "INVITE").then_some(answer);
                let ok = self.response(text, 200, "", body.as_deref());
                self.outbox.push(ok);
            }
            _ => {
                let ok = self.response(text, 200, "", None);
                self.outbox.push(ok);
            }
        }
    }

    /// How often this was said to it.
    pub fn count(&self, what: &str) -> usize {
        self.heard.iter().filter(|heard| *heard == what).count()
    }

    /// Whether this was said to it: a method, or a status and a method.
    pub fn has_heard(&self, what: &str) -> bool {
        self.heard.iter().any(|heard| heard == what)
    }
}

fn bare(value: &str) -> &str {
    value.split(";tag=").next().unwrap_or_default()
}

fn with_body(kind: &str, body: Option<&str>) -> String {
    match body {
        Some(body) => format!(
            "Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
        None => "Content-Length: 0\r\n\r\n".to_owned(),
    }
}
