//! The phone itself, without sockets or clocks: a SIP endpoint, and for each of its calls a voice.
//!
//! Like the endpoint below it: after every input drain the outputs, then ask [`Machine::poll_timeout`]
//! when to come back.
//!
//! `calling` and `called` begin a call, `changing` is what happens while it stands, `wire` is the SIP.

mod called;
mod calling;
mod changing;
mod types;
mod wire;

pub use types::{Input, Order, Output, Settings};

use super::event::{EndedBy, Event, EventKind, Packets, Report};
use super::reply::Reply;
use super::sound::Sound;
use super::voice::{Taken, Voice};
use maskline_sip::endpoint::{self, Endpoint, Input as SipInput, LegId, Peer, PeerId};
use maskline_sip::hop::Hop;
use maskline_sip::sdp::{Audio, Description, Direction, LocalSession};
use maskline_sip::time::Time;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// A packet of sound is sent so often.
const TICK: Duration = Duration::from_millis(20);
/// Further behind than this, packets are left out rather than sent in a burst.
const LATE_MAX: Duration = Duration::from_millis(200);

struct PhoneCall {
    report: Report,
    stage: Stage,
    voice: Voice,
    media: Option<SocketAddr>,
    session: LocalSession,
    /// Whether the other side has put us on hold.
    held: bool,
    due: Option<(Time, Due)>,
}

impl PhoneCall {
    fn offer(&mut self, direction: Direction) -> Option<Vec<u8>> {
        let own = self.media?;
        let audio = Audio {
            direction,
            ..Audio::ours(own)
        };
        Some(self.session.offer(&audio, own))
    }
}

enum Stage {
    /// Waits for a media address; then it is dialled.
    Dialling(Box<Order>),
    /// Dialled.
    Calling {
        keys: String,
        hang_up: Option<Duration>,
    },
    /// Came in; it waits for a media address, or rings.
    Ringing {
        /// None: the caller wants our offer.
        offer: Option<Box<Description>>,
        reply: Reply,
    },
    Talking,
}

/// What a call does by itself when its time has come.
#[derive(Clone, Copy)]
enum Due {
    Answer,
    Refuse(u16, Option<u8>),
    HangUp,
}

/// The machine; see the module.
pub struct Machine {
    settings: Settings,
    endpoint: Endpoint,
    seed: [u8; 32],
    calls: BTreeMap<LegId, PhoneCall>,
    /// Which call a message belongs to.
    by_call_id: BTreeMap<Box<[u8]>, LegId>,
    dues: BTreeSet<(Time, LegId)>,
    /// When the voices speak next.
    tick: Option<Time>,
    outputs: VecDeque<Output>,
}

impl Machine {
    /// A phone without calls. Whatever others must not guess follows from `seed`.
    pub fn new(settings: Settings, seed: [u8; 32]) -> Self {
        let mut config = endpoint::Config::new(settings.advertised);
        config.legs_max = settings.calls_max;
        let peers = settings.peer.map(peer).into_iter().collect();
        Self {
            endpoint: Endpoint::new(config, peers, seed),
            settings,
            seed,
            calls: BTreeMap::new(),
            by_call_id: BTreeMap::new(),
            dues: BTreeSet::new(),
            tick: None,
            outputs: VecDeque::new(),
        }
    }

    /// A number for a call that is to be made.
    pub fn new_call(&mut self) -> LegId {
        self.endpoint.new_leg()
    }

    /// Calls that are not over.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Whether something on the wire is unfinished: a call, or the end of one that nobody confirmed.
    pub fn is_busy(&self) -> bool {
        !self.calls.is_empty() || self.endpoint.legs() > 0
    }

    /// Whether nothing at all is remembered or awaited.
    pub fn is_idle(&self) -> bool {
        self.calls.is_empty()
            && self.by_call_id.is_empty()
            && self.dues.is_empty()
            && self.outputs.is_empty()
            && self.endpoint.is_idle()
    }

    /// What is to be done now.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Time> {
        let due = self.dues.first().map(|(due, _)| *due);
        let all = [self.endpoint.poll_timeout(), self.tick, due];
        all.into_iter().flatten().min()
    }

    /// Takes one input. Drain [`Machine::poll_output`] before the next.
    pub fn handle_input(&mut self, input: Input<'_>, now: Time) {
        match input {
            Input::Datagram { from, bytes } => self.on_datagram(from, bytes, now),
            Input::MediaOpened(call, address) => self.on_media_opened(call, address, now),
            Input::Media {
                call,
                from,
                control,
                bytes,
            } => {
                self.capture(call, from, control, bytes, now);
                if control {
                    self.count_control(call);
                } else {
                    self.on_media(call, from, bytes, now);
                }
            }
            Input::Timeout => self.on_timeout(now),
            Input::Dial(call, order) => self.dial(call, order, now),
            Input::Answer(call) => self.answer(call, now),
            Input::Refuse(call, status, cause) => self.refuse(call, status, cause, now),
            Input::HangUp(call) => self.hang_up(call, now),
            Input::Press(call, keys) => self.press(call, &keys, now),
            Input::Play(call, sounds) => {
                if let Some(call) = self.calls.get_mut(&call) {
                    call.voice.play(sounds);
                }
            }
            Input::Hold(call) => self.offer(call, Direction::SendOnly, now),
            Input::Resume(call) => self.offer(call, Direction::SendRecv, now),
            Input::HangUpAll => {
                let calls: Vec<LegId> = self.calls.keys().copied().collect();
                for call in calls {
                    self.hang_up(call, now);
                }
            }
        }
    }

    fn insert(&mut self, id: LegId, report: Report, stage: Stage, play: Option<Vec<Sound>>) {
        let chance = self.chance(id);
        let play = play.unwrap_or_else(|| self.settings.play.clone());
        let call = PhoneCall {
            report,
            stage,
            voice: Voice::new(play, chance, self.settings.listens),
            media: None,
            session: LocalSession::new(chance.rotate_left(17)),
            held: false,
            due: None,
        };
        self.calls.insert(id, call);
        self.outputs.push_back(Output::OpenMedia(id));
    }

    fn on_media_opened(&mut self, id: LegId, address: Option<SocketAddr>, now: Time) {
        let Some(call) = self.calls.get_mut(&id) else {
            self.outputs.push_back(Output::CloseMedia(id));
            return;
        };
        call.media = address;
        match (&call.stage, address) {
            (Stage::Dialling(_), None) => self.over(id, EndedBy::Us, Some(500), Some(47), now),
            (_, None) => self.refuse(id, 500, Some(47), now),
            (Stage::Dialling(_), Some(_)) => self.send_invite(id, now),
            (Stage::Ringing { .. }, Some(_)) => self.ring(id, now),
            (Stage::Calling { .. } | Stage::Talking, Some(_)) => {}
        }
    }

    /// The call is answered, whoever did it.
    fn talk(&mut self, id: LegId, now: Time) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        call.report.answered_ms = Some(now.as_millis());
        call.voice.speak();
        let kind = EventKind::Answered {
            shown: call.report.shown,
        };
        self.tell(Some(id), kind, now);
    }

    fn hang_up(&mut self, id: LegId, now: Time) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        if matches!(call.stage, Stage::Ringing { .. }) {
            return self.refuse(id, 480, Some(19), now);
        }
        if !matches!(call.stage, Stage::Dialling(_)) {
            self.sip(SipInput::HangUp(id, Some(16)), now);
        }
        self.over(id, EndedBy::Us, None, Some(16), now);
    }

    fn capture(&mut self, id: LegId, from: SocketAddr, control: bool, bytes: &[u8], now: Time) {
        if self.settings.captures && self.calls.contains_key(&id) {
            let kind = EventKind::Packet {
                from,
                control,
                bytes: bytes.into(),
            };
            self.tell(Some(id), kind, now);
        }
    }

    fn count_control(&mut self, id: LegId) {
        if let Some(call) = self.calls.get_mut(&id) {
            call.report.packets.control += 1;
        }
    }

    fn on_media(&mut self, id: LegId, from: SocketAddr, bytes: &[u8], now: Time) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Taken {
            samples,
            key,
            heard,
            echo,
        } = call.voice.take(from, bytes);
        if let Some(bytes) = echo {
            let echo = Output::SendMedia {
                call: id,
                to: from,
                bytes,
            };
            self.outputs.push_back(echo);
        }
        call.report.keys.extend(key);
        if self.settings.records && !samples.is_empty() {
            self.outputs.push_back(Output::Sound(id, samples));
        }
        let key = key.map(EventKind::Key);
        for kind in key.into_iter().chain(heard.map(EventKind::Heard)) {
            self.tell(Some(id), kind, now);
        }
    }

    fn on_timeout(&mut self, now: Time) {
        self.speak(now);
        while let Some((due, id)) = self.dues.first().copied().filter(|(due, _)| *due <= now) {
            self.dues.remove(&(due, id));
            let Some(call) = self.calls.get_mut(&id) else {
                continue;
            };
            match call.due.take() {
                Some((_, Due::Answer)) => self.answer(id, now),
                Some((_, Due::Refuse(status, cause))) => self.refuse(id, status, cause, now),
                Some((_, Due::HangUp)) => self.hang_up(id, now),
                None => {}
            }
        }
        self.sip(SipInput::Timeout, now);
    }

    /// Every voice says its next 20 ms.
    fn speak(&mut self, now: Time) {
        while let Some(tick) = self.tick.filter(|tick| *tick <= now) {
            let mut voices = 0;
            for (id, call) in &mut self.calls {
                let Some(to) = call.voice.path().map(|path| path.peer) else {
                    continue;
                };
                voices += 1;
                let packet = call.voice.tick();
                self.outputs.extend(packet.map(|bytes| Output::SendMedia {
                    call: *id,
                    to,
                    bytes,
                }));
            }
            let next = if now - tick > LATE_MAX { now } else { tick } + TICK;
            self.tick = (voices > 0).then_some(next);
        }
    }

    fn set_due(&mut self, id: LegId, due: Option<(Time, Due)>) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let before = std::mem::replace(&mut call.due, due);
        if let Some((before, _)) = before {
            self.dues.remove(&(before, id));
        }
        self.dues.extend(due.map(|(due, _)| (due, id)));
    }

    /// The call is over: tells its report and gives back its media.
    fn over(&mut self, id: LegId, by: EndedBy, status: Option<u16>, cause: Option<u8>, now: Time) {
        self.set_due(id, None);
        let Some(call) = self.calls.remove(&id) else {
            return;
        };
        self.forget_call_id(id);
        let heard = call.voice.heard().map(|detector| detector.totals.clone());
        let report = Report {
            ended_ms: now.as_millis(),
            by,
            status,
            cause,
            packets: Packets {
                control: call.report.packets.control,
                ..call.voice.packets()
            },
            heard: heard.unwrap_or_default(),
            ..call.report
        };
        self.outputs.push_back(Output::CloseMedia(id));
        self.tell(Some(id), EventKind::Over(Box::new(report)), now);
    }

    fn tell(&mut self, call: Option<LegId>, kind: EventKind, now: Time) {
        self.outputs.push_back(Output::Tell(Event {
            at_ms: now.as_millis(),
            call,
            kind,
        }));
    }

    /// A number for one call that others cannot guess.
    fn chance(&self, id: LegId) -> u64 {
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(b"voice");
        hash.update(id.as_u64().to_be_bytes());
        let digest = hash.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        u64::from_be_bytes(first)
    }
}

fn peer(address: SocketAddr) -> Peer {
    Peer::new(PeerId(0), Hop::udp(address))
}

#[cfg(test)]
mod tests;
