//! Packets on their way, and what must not be in them.

use std::net::SocketAddr;

use maskline_domain::PhoneNumber;
use maskline_sip::endpoint::Input as SipInput;
use maskline_sip::hop::{Hop, Transport};
use maskline_sip::message::{Message, Method, Name};
use maskline_sip::time::Time;
use maskline_switch::Input;

use super::{CARRIER_PORT, Coming, World, hop_of};
use crate::calls::Slip;
use crate::calls::addresses::SWITCH;
use crate::calls::bindings::Expected;
use crate::calls::laws::Track;
use crate::calls::phone::audio_in;

impl World {
    pub(super) fn deliver(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let now = Time::from_millis(self.now_ms);
        if to == SWITCH {
            self.hearing = self.by_address.get(&from).map(|(_, call)| *call);
            let calls = self.switch.calls();
            let is_media_loop = self.note_media_loop(from, bytes);
            let from = hop_of(from);
            self.tell(Input::Datagram { from, bytes });
            if is_media_loop && self.switch.calls() != calls {
                let what = "an offer whose media would come back ended the call".to_owned();
                self.break_law(what, self.hearing);
            }
            self.hearing = None;
            return;
        }
        let id = match to.port() {
            CARRIER_PORT => self.phone_of_carrier(to, bytes),
            _ => self.by_address.get(&to).map(|(id, _)| *id),
        };
        let Some(id) = id else { return };
        let Some(phone) = self.phones.get_mut(&id) else {
            return;
        };
        if phone.is_deaf {
            return;
        }
        let from = Hop {
            address: SWITCH,
            transport: hop_of(to).transport,
        };
        let done = phone.hear(from, bytes, now);
        self.tally.count(done);
        self.drain_phone(id);
    }

    /// Notes an offer that says that its maker hears at a port of the switch; whether it is one.
    fn note_media_loop(&mut self, from: SocketAddr, bytes: &[u8]) -> bool {
        let is_media_loop = audio_in(bytes).is_some_and(|audio| audio.address.ip() == SWITCH.ip());
        let offer = Message::parse(bytes).ok().filter(|_| is_media_loop);
        let cseq = offer.filter(|it| matches!(it.method(), Some(Method::Invite | Method::Update)));
        let cseq = cseq.and_then(|offer| offer.header(Name::CSeq).map(<[u8]>::to_vec));
        cseq.map(|cseq| self.media_loops.insert((from, cseq)))
            .is_some()
    }

    /// The law of media loops: no such offer is taken. This is sent, and perhaps the answer to one.
    fn check_media_loop(&mut self, to: SocketAddr, bytes: &[u8]) {
        let answer = Message::parse(bytes).ok();
        let answered = answer.and_then(|answer| {
            let status = answer.status().filter(|status| *status >= 200)?;
            Some((status, answer.header(Name::CSeq)?.to_vec()))
        });
        // One that is only put off comes again under another number.
        let Some((status, _)) = answered.filter(|(_, cseq)| {
            let asked = (to, cseq.clone());
            self.media_loops.remove(&asked)
        }) else {
            return;
        };
        self.tally.media_loops += u64::from(status == 488);
        if status < 300 {
            let call = self.by_address.get(&to).map(|(_, call)| *call);
            self.break_law("an offer whose media comes back was taken".to_owned(), call);
        }
    }

    /// A stream is gone, and what was sent on it is lost.
    pub(super) fn break_stream(&mut self, from: SocketAddr, to: SocketAddr) {
        if from == SWITCH {
            return self.tell(Input::Unreachable(hop_of(to)));
        }
        let id = self.by_address.get(&from).map(|(id, _)| *id);
        let Some((id, phone)) = id.and_then(|id| Some((id, self.phones.get_mut(&id)?))) else {
            return;
        };
        let hop = Hop {
            address: to,
            transport: Transport::Tcp,
        };
        let now = Time::from_millis(self.now_ms);
        phone.endpoint.handle_input(SipInput::Unreachable(hop), now);
        self.drain_phone(id);
    }

    pub(super) fn send(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
        call: usize,
        is_caller: bool,
    ) {
        self.tally.packets += 1;
        let is_cut = [from, to]
            .iter()
            .any(|end| self.network.is_cut(*end, self.now_ms));
        let is_stream = [from, to]
            .iter()
            .any(|end| hop_of(*end).transport.is_stream());
        let delays = match (is_cut, is_stream) {
            (true, _) => Vec::new(),
            (false, true) => {
                vec![
                    self.network
                        .stream_delay((from, to), self.now_ms, &mut self.chance),
                ]
            }
            (false, false) => self.network.delays(&mut self.chance),
        };
        if is_cut && is_stream {
            self.plan(1_000, Coming::Broken(from, to));
        }
        self.tally.streamed += u64::from(is_stream);
        let outcome = match delays.len() {
            0 => "lost",
            1 => "",
            _ => "twice",
        };
        self.tell_story(call, || {
            let who = if is_caller { "caller" } else { "callee" };
            let arrow = if from == SWITCH { "<-" } else { "->" };
            format!("{who} {arrow} {} {outcome}", first_line(bytes))
        });
        for delay in delays {
            self.plan(delay, Coming::Packet(from, to, bytes.to_vec()));
        }
    }

    pub(super) fn send_from_switch(&mut self, to: SocketAddr, bytes: &[u8]) {
        let named;
        let bytes = match self.slip {
            Some(Slip::Telltale) => {
                named = telltale(bytes, &self.tracks);
                &named
            }
            Some(Slip::MediaLoop) if bytes.starts_with(REFUSED) => {
                named = [TAKEN, &bytes[REFUSED.len()..]].concat();
                &named
            }
            _ => bytes,
        };
        self.check_media_loop(to, bytes);
        let id = match to.port() {
            CARRIER_PORT => Message::parse(bytes)
                .ok()
                .and_then(|message| message.header(Name::CallId).map(<[u8]>::to_vec))
                .and_then(|call_id| self.by_call_id.get(&call_id).copied()),
            _ => self.by_address.get(&to).map(|(id, _)| *id),
        };
        let phone = id.and_then(|id| self.phones.get(&id));
        let (call, is_caller) = match phone {
            Some(phone) => (phone.call, phone.is_caller),
            // The first INVITE to a callee, or what goes to somebody who has vanished.
            None => return self.send(SWITCH, to, bytes, usize::MAX, false),
        };
        if let Some(secret) = self.secret_in(bytes, call, is_caller) {
            return self.break_law(
                format!("{secret} was told to the other side: {}", first_line(bytes)),
                Some(call),
            );
        }
        self.send(SWITCH, to, bytes, call, is_caller);
    }

    /// What must not be in a message to one side: the other's number and address.
    pub(super) fn secret_in(
        &self,
        bytes: &[u8],
        call: usize,
        is_caller: bool,
    ) -> Option<&'static str> {
        let track = &self.tracks[call];
        let (own, other) = match (is_caller, track.expected) {
            (true, Some(Expected::Rings(callee))) => (track.caller, Some(callee)),
            (true, _) => (track.caller, None),
            (false, Some(Expected::Rings(callee))) => (Some(callee), track.caller),
            (false, _) => (None, track.caller),
        };
        let is_secret = |number: &PhoneNumber| Some(*number) != own && *number != track.x;
        if let Some(number) = other.filter(is_secret)
            && holds(bytes, number.reveal().as_bytes())
        {
            return Some("a number");
        }
        // Media addresses of phones all begin so, and none of ours does.
        holds(bytes, b" 10.").then_some("an address")
    }
}

/// How an answer begins that does not take an offer, and how one does that takes it.
const REFUSED: &[u8] = b"SIP/2.0 488 ";
const TAKEN: &[u8] = b"SIP/2.0 200 ";

/// The message with the caller of the last call in a header of its own, as a careless gateway would have it.
fn telltale(bytes: &[u8], tracks: &[Track]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(caller) = tracks.iter().rev().find_map(|track| track.caller) {
        bytes.extend_from_slice(format!("P-Note: {}", caller.reveal()).as_bytes());
    }
    bytes
}

fn first_line(bytes: &[u8]) -> String {
    let line = bytes
        .split(|&byte| byte == b'\r')
        .next()
        .unwrap_or_default();
    String::from_utf8_lossy(line).into_owned()
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}
