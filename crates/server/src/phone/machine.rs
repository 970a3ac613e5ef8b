//! The phone itself, without sockets or clocks: a SIP endpoint, and for each of its calls a voice.
//!
//! Like the endpoint below it: after every input drain the outputs, then ask [`Machine::poll_timeout`]
//! when to come back.

use super::event::{By, Event, Packets, Report, Seen, Way, What, number, number_in};
use super::keys;
use super::reply::{Answering, Reply};
use super::sound::Sound;
use super::voice::{self, Path, Taken, Voice, answering_audio};
use maskline_sip::endpoint::{
    self, Endpoint, Event as SipEvent, Input as SipInput, LegId, Output as SipOutput, Peer, PeerId,
    Refusal,
};
use maskline_sip::hop::Hop;
use maskline_sip::message::{Message, Method, Name};
use maskline_sip::sdp::{self, Audio, Description, Direction};
use maskline_sip::time::Time;
use maskline_sip::uri::{Uri, sip_uri};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A packet of sound is sent so often.
const TICK: Duration = Duration::from_millis(20);
/// Further behind than this, packets are left out rather than sent in a burst.
const LATE_MAX: Duration = Duration::from_millis(200);
/// The hops that a call of ours may take.
const MAX_FORWARDS: u8 = 70;

/// How a phone behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where others reach it.
    pub advertised: SocketAddr,
    /// Whose calls are taken, by address whatever the port; none: anybody's.
    pub peer: Option<SocketAddr>,
    /// The most calls at once.
    pub calls_max: usize,
    /// How calls are answered.
    pub answering: Answering,
    /// What it says once a call is answered.
    pub play: Vec<Sound>,
    /// Whether it finds out what it hears.
    pub listens: bool,
    /// Whether it tells of each SIP message.
    pub traces: bool,
    /// Whether it gives away what it hears, to be recorded.
    pub records: bool,
    /// Whether it tells of each packet that comes, for whoever looks for what must not be in it.
    pub captures: bool,
}

impl Settings {
    /// A phone that answers after a second, says a melody, listens and tells everything.
    pub fn new(advertised: SocketAddr) -> Self {
        Self {
            advertised,
            peer: None,
            calls_max: 100,
            answering: Answering::Always(Reply::Answer {
                ring: Duration::from_secs(1),
                hang_up: None,
            }),
            play: super::sound::melody(),
            listens: true,
            traces: true,
            records: false,
            captures: false,
        }
    }
}

/// A call to be made.
#[derive(Clone, Debug)]
pub struct Order {
    /// Where the INVITE is sent.
    pub server: SocketAddr,
    /// The number that is dialled.
    pub to: String,
    /// The number that this phone says it has.
    pub from: String,
    /// What is said, instead of what the phone usually says.
    pub play: Option<Vec<Sound>>,
    /// Keys to be pressed once it is answered.
    pub keys: String,
    /// When to hang up, after the answer.
    pub hang_up: Option<Duration>,
}

/// What the machine is given.
pub enum Input<'a> {
    /// A SIP datagram came.
    Datagram {
        /// From where.
        from: SocketAddr,
        /// What.
        bytes: &'a [u8],
    },
    /// The answer to [`Output::OpenMedia`]: where this call's sound is received; none if it cannot be.
    MediaOpened(LegId, Option<SocketAddr>),
    /// A packet came on the media address of a call.
    Media {
        /// Which call.
        call: LegId,
        /// From where.
        from: SocketAddr,
        /// Whether it came to the port for RTCP.
        control: bool,
        /// What.
        bytes: &'a [u8],
    },
    /// [`Machine::poll_timeout`] has come.
    Timeout,
    /// Call somebody, as the call that [`Machine::new_call`] gave.
    Dial(LegId, Order),
    /// Answer a call that rings.
    Answer(LegId),
    /// Refuse a call that rings.
    Refuse(LegId, u16, Option<u8>),
    /// End a call whatever its state.
    HangUp(LegId),
    /// Press keys.
    Press(LegId, String),
    /// Say something else.
    Play(LegId, Vec<Sound>),
    /// Put the other side on hold: it is no longer listened to, and hears what this phone plays.
    Hold(LegId),
    /// Talk again after [`Input::Hold`].
    Resume(LegId),
    /// End all calls.
    HangUpAll,
}

/// What the machine wants done.
pub enum Output {
    /// Send this SIP datagram.
    Send {
        /// To whom.
        to: SocketAddr,
        /// What.
        bytes: Arc<[u8]>,
    },
    /// Find an address for the sound of a call.
    OpenMedia(LegId),
    /// Send this packet from the media address of a call.
    SendMedia {
        /// Which call.
        call: LegId,
        /// To whom.
        to: SocketAddr,
        /// What.
        bytes: Vec<u8>,
    },
    /// This was heard in a call; only if the settings want it.
    Sound(LegId, Vec<i16>),
    /// The call has no more sound.
    CloseMedia(LegId),
    /// Tell this.
    Tell(Event),
}

struct Call {
    report: Report,
    stage: Stage,
    voice: Voice,
    media: Option<SocketAddr>,
    session: u64,
    /// Descriptions of ours so far; each is a new version of the session.
    versions: u32,
    /// Whether the other side has put us on hold.
    held: bool,
    due: Option<(Time, Due)>,
}

impl Call {
    /// Our description is the next version of the session (RFC 3264 section 8).
    fn versioned(&mut self, description: Vec<u8>) -> Vec<u8> {
        self.versions += 1;
        voice::with_version(description, self.versions)
    }

    fn offer(&mut self, direction: Direction) -> Option<Vec<u8>> {
        let own = self.media?;
        let audio = Audio {
            direction,
            ..Audio::ours(own)
        };
        let offer = sdp::offer(&audio, own, self.session);
        Some(self.versioned(offer))
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
    calls: BTreeMap<LegId, Call>,
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

    // Calls that we make.

    fn dial(&mut self, id: LegId, order: Order, now: Time) {
        let report = Report::new(true, number(&order.to), now.as_millis());
        let play = order.play.clone();
        self.insert(id, report, Stage::Dialling(Box::new(order)), play);
    }

    fn insert(&mut self, id: LegId, report: Report, stage: Stage, play: Option<Vec<Sound>>) {
        let chance = self.chance(id);
        let play = play.unwrap_or_else(|| self.settings.play.clone());
        let call = Call {
            report,
            stage,
            voice: Voice::new(play, chance, self.settings.listens),
            media: None,
            session: chance.rotate_left(17),
            versions: 0,
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
        let Some(offer) = call.offer(Direction::SendRecv) else {
            return match call.stage {
                Stage::Dialling(_) => self.over(id, By::Us, Some(500), Some(47), now),
                _ => self.refuse(id, 500, Some(47), now),
            };
        };
        match &mut call.stage {
            Stage::Dialling(order) => {
                let dial = endpoint::Dial {
                    hop: Hop::udp(order.server),
                    target: sip_uri(&order.to, order.server),
                    identity: sip_uri(&order.from, self.settings.advertised).into(),
                    max_forwards: MAX_FORWARDS,
                    sdp: offer,
                };
                call.stage = Stage::Calling {
                    keys: std::mem::take(&mut order.keys),
                    hang_up: order.hang_up,
                };
                self.sip_for(Some(id), SipInput::Dial(id, dial), now);
            }
            Stage::Ringing { .. } => self.ring(id, now),
            Stage::Calling { .. } | Stage::Talking => {}
        }
    }

    fn on_progress(&mut self, id: LegId, status: u16, sdp: Option<&[u8]>, now: Time) {
        let early_media = sdp.is_some_and(|sdp| self.take_answer(id, sdp, now));
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        call.report.ringing_ms.get_or_insert(now.as_millis());
        call.report.early_media |= early_media;
        let what = What::Progress {
            status,
            early_media,
        };
        self.tell(Some(id), what, now);
    }

    fn on_answered(&mut self, id: LegId, sdp: Option<&[u8]>, now: Time) {
        if !self.take_answer(id, sdp.unwrap_or_default(), now) {
            // Answered with what we never offered: nobody could talk.
            self.sip(SipInput::HangUp(id, Some(65)), now);
            return self.over(id, By::Us, None, Some(65), now);
        }
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let stage = std::mem::replace(&mut call.stage, Stage::Talking);
        self.talk(id, now);
        if let Stage::Calling { keys, hang_up } = stage {
            if !keys.is_empty() {
                self.press(id, &keys, now);
            }
            self.set_due(id, hang_up.map(|after| (now + after, Due::HangUp)));
        }
    }

    /// The other side's answer to our offer; false if we cannot talk so.
    fn take_answer(&mut self, id: LegId, sdp: &[u8], now: Time) -> bool {
        let Some(call) = self.calls.get_mut(&id) else {
            return false;
        };
        let path = call.media.and_then(|own| {
            let answer = sdp::parse(sdp).ok()?;
            Path::of_answer(&answer.audio, &Audio::ours(own)).ok()
        });
        let Some(path) = path else {
            return false;
        };
        call.report.codec = Some(path.codec);
        call.voice.set_path(path);
        self.tick.get_or_insert(now + TICK);
        true
    }

    // Calls that come.

    fn on_incoming(&mut self, id: LegId, invite: &Message, now: Time) {
        let dialled = Uri::parse(invite.request_uri()).and_then(|uri| uri.number());
        let dialled = dialled.unwrap_or_default();
        let shown = number_in(invite, Name::PAssertedIdentity).or(number_in(invite, Name::From));
        let mut report = Report::new(false, number(&dialled), now.as_millis());
        report.shown = shown;
        self.learn_call_id(invite, id);
        let what = What::Incoming {
            shown,
            dialled: number(&dialled),
        };
        self.tell(Some(id), what, now);
        let reply = self.settings.answering.reply(&dialled);
        // The report must have its call, even if that is over at once.
        let wanted = match (&reply, invite.sdp().unwrap_or_default()) {
            (Reply::Refuse { status, cause }, _) => Err((*status, *cause)),
            (_, []) => Ok(None),
            (_, body) => sdp::parse(body)
                .map(|offer| Some(Box::new(offer)))
                .map_err(|_| (488, Some(65))),
        };
        match wanted {
            Err((status, cause)) => {
                self.sip(SipInput::Refuse(id, Refusal { status, cause }), now);
                report.status = Some(status);
                report.cause = cause;
                self.forget_call_id(id);
                self.tell(Some(id), What::Over(Box::new(report)), now);
            }
            Ok(offer) => {
                let play = match &reply {
                    Reply::Announce { sound, .. } => Some(sound.clone()),
                    _ => None,
                };
                self.insert(id, report, Stage::Ringing { offer, reply }, play);
            }
        }
    }

    fn ring(&mut self, id: LegId, now: Time) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Stage::Ringing { reply, .. } = &call.stage else {
            return;
        };
        call.report.ringing_ms = Some(now.as_millis());
        let (due, announces) = match reply {
            Reply::Answer { ring, .. } => (Some((now + *ring, Due::Answer)), false),
            Reply::Ring => (None, false),
            Reply::Refuse { status, cause } => (Some((now, Due::Refuse(*status, *cause))), false),
            Reply::Announce {
                length,
                status,
                cause,
                ..
            } => (Some((now + *length, Due::Refuse(*status, *cause))), true),
        };
        self.set_due(id, due);
        if !announces {
            return self.sip(SipInput::Progress(id, 180, None), now);
        }
        if let Some(answer) = self.accept_first(id, now) {
            if let Some(call) = self.calls.get_mut(&id) {
                call.report.early_media = true;
                call.voice.speak();
            }
            self.sip(SipInput::Progress(id, 183, Some(answer)), now);
        }
    }

    fn answer(&mut self, id: LegId, now: Time) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let Stage::Ringing { reply, .. } = &call.stage else {
            return;
        };
        let hang_up = match reply {
            Reply::Answer { hang_up, .. } => *hang_up,
            _ => None,
        };
        let Some(answer) = self.accept_first(id, now) else {
            return self.refuse(id, 488, Some(65), now);
        };
        if let Some(call) = self.calls.get_mut(&id) {
            call.stage = Stage::Talking;
        }
        self.sip(SipInput::Answer(id, answer), now);
        self.talk(id, now);
        self.set_due(id, hang_up.map(|after| (now + after, Due::HangUp)));
    }

    /// Our answer to the caller's offer; our own offer if it made none.
    fn accept_first(&mut self, id: LegId, now: Time) -> Option<Vec<u8>> {
        let call = self.calls.get_mut(&id)?;
        let Stage::Ringing { offer, .. } = &mut call.stage else {
            return None;
        };
        match offer.take() {
            Some(offer) => {
                let answer = self.accept(id, &offer, now);
                // It may be answered again: after an announcement, or early media.
                if let Some(call) = self.calls.get_mut(&id)
                    && let Stage::Ringing { offer: place, .. } = &mut call.stage
                {
                    *place = Some(offer);
                }
                answer
            }
            None => call.offer(Direction::SendRecv),
        }
    }

    /// The voice goes whither the other side's offer says; gives our answer to it.
    fn accept(&mut self, id: LegId, offer: &Description, now: Time) -> Option<Vec<u8>> {
        let call = self.calls.get_mut(&id)?;
        let own = call.media?;
        let (audio, agreement) = answering_audio(offer, own).ok()?;
        let answer = sdp::answer(offer, &audio, &agreement, own, call.session);
        let answer = call.versioned(answer);
        call.report.codec = Some(agreement.codec);
        call.voice.set_path(Path::of_offer(&offer.audio, agreement));
        self.tick.get_or_insert(now + TICK);
        Some(answer)
    }

    fn refuse(&mut self, id: LegId, status: u16, cause: Option<u8>, now: Time) {
        let rings = |call: &Call| matches!(call.stage, Stage::Ringing { .. });
        if self.calls.get(&id).is_some_and(rings) {
            self.sip(SipInput::Refuse(id, Refusal { status, cause }), now);
            self.over(id, By::Us, Some(status), cause, now);
        }
    }

    // Changes of the media while a call stands.

    fn offer(&mut self, id: LegId, direction: Direction, now: Time) {
        let talking = |call: &&mut Call| matches!(call.stage, Stage::Talking);
        let call = self.calls.get_mut(&id).filter(talking);
        if let Some(offer) = call.and_then(|call| call.offer(direction)) {
            self.sip(SipInput::Offer(id, offer), now);
        }
    }

    /// The other side wants the media to change: as on hold, and back.
    fn on_offered(&mut self, id: LegId, offer: Option<&[u8]>, now: Time) {
        let Some(offer) = offer else {
            let own = self
                .calls
                .get_mut(&id)
                .and_then(|call| call.offer(Direction::SendRecv));
            return match own {
                Some(own) => self.sip(SipInput::AcceptOffer(id, own), now),
                None => self.sip(SipInput::RefuseOffer(id, 488), now),
            };
        };
        let description = sdp::parse(offer).ok();
        let answer = description
            .as_ref()
            .and_then(|offer| self.accept(id, offer, now));
        let (Some(description), Some(answer)) = (description, answer) else {
            return self.sip(SipInput::RefuseOffer(id, 488), now);
        };
        self.sip(SipInput::AcceptOffer(id, answer), now);
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let holds = [Direction::SendOnly, Direction::Inactive];
        let held = holds.contains(&description.audio.direction);
        if held != call.held {
            call.held = held;
            let what = if held { What::Held } else { What::Resumed };
            self.tell(Some(id), what, now);
        }
    }

    /// A key that came within the signalling.
    fn on_info(&mut self, id: LegId, content_type: &[u8], body: &[u8], now: Time) {
        let key = keys::in_info(content_type, body);
        if let (Some(call), Some(key)) = (self.calls.get_mut(&id), key) {
            call.report.keys.push(key);
            self.tell(Some(id), What::Key(key), now);
        }
    }

    // Both kinds.

    /// The call is answered, whoever did it.
    fn talk(&mut self, id: LegId, now: Time) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        call.report.answered_ms = Some(now.as_millis());
        call.voice.speak();
        let what = What::Answered {
            shown: call.report.shown,
        };
        self.tell(Some(id), what, now);
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
        self.over(id, By::Us, None, Some(16), now);
    }

    fn press(&mut self, id: LegId, keys: &str, now: Time) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if !call.voice.press(keys) {
            self.tell(Some(id), What::NoKeys, now);
        }
    }

    fn capture(&mut self, id: LegId, from: SocketAddr, control: bool, bytes: &[u8], now: Time) {
        if self.settings.captures && self.calls.contains_key(&id) {
            let what = What::Packet {
                from,
                control,
                bytes: bytes.into(),
            };
            self.tell(Some(id), what, now);
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
        let key = key.map(What::Key);
        for what in key.into_iter().chain(heard.map(What::Heard)) {
            self.tell(Some(id), what, now);
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
    fn over(&mut self, id: LegId, by: By, status: Option<u16>, cause: Option<u8>, now: Time) {
        self.set_due(id, None);
        let Some(call) = self.calls.remove(&id) else {
            return;
        };
        self.forget_call_id(id);
        let heard = call.voice.heard().map(|hearing| hearing.totals.clone());
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
        self.tell(Some(id), What::Over(Box::new(report)), now);
    }

    // The wire.

    fn on_datagram(&mut self, from: SocketAddr, bytes: &[u8], now: Time) {
        if self.settings.peer.is_none() {
            // Whoever sends is the one whose calls are taken.
            self.endpoint.set_peers(vec![peer(from)]);
        }
        if let Ok(message) = Message::parse(bytes) {
            let call = message
                .header(Name::CallId)
                .and_then(|id| self.by_call_id.get(id));
            let call = call.copied();
            self.note_shown(call, &message);
            if self.settings.traces {
                let seen = Seen::new(Way::In, from, &message);
                self.tell(call, What::Message(Arc::new(seen)), now);
            }
        }
        let from = Hop::udp(from);
        self.sip(SipInput::Datagram { from, bytes }, now);
    }

    /// Whom the answer to a call of ours says that we reached.
    fn note_shown(&mut self, call: Option<LegId>, message: &Message) {
        let Some(call) = call.and_then(|id| self.calls.get_mut(&id)) else {
            return;
        };
        if call.report.outgoing && message.status().is_some() {
            let shown =
                number_in(message, Name::PAssertedIdentity).or(number_in(message, Name::To));
            call.report.shown = shown.or(call.report.shown);
        }
    }

    fn sip(&mut self, input: SipInput<'_>, now: Time) {
        self.sip_for(None, input, now);
    }

    /// `dialled` is the call whose INVITE this input sends.
    fn sip_for(&mut self, dialled: Option<LegId>, input: SipInput<'_>, now: Time) {
        self.endpoint.handle_input(input, now);
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                SipOutput::Send { to, bytes } => self.send(dialled, to.address, bytes, now),
                SipOutput::Event(event) => self.on_event(event, now),
            }
        }
    }

    fn send(&mut self, dialled: Option<LegId>, to: SocketAddr, bytes: Arc<[u8]>, now: Time) {
        if dialled.is_some() || self.settings.traces {
            // What our own endpoint wrote can be read.
            if let Ok(message) = Message::parse(&bytes) {
                if let Some(id) = dialled
                    && message.method() == Some(Method::Invite)
                {
                    self.learn_call_id(&message, id);
                }
                if self.settings.traces {
                    let call = message
                        .header(Name::CallId)
                        .and_then(|id| self.by_call_id.get(id));
                    let call = call.copied();
                    let seen = Seen::new(Way::Out, to, &message);
                    self.tell(call, What::Message(Arc::new(seen)), now);
                }
            }
        }
        self.outputs.push_back(Output::Send { to, bytes });
    }

    fn on_event(&mut self, event: SipEvent, now: Time) {
        match event {
            SipEvent::Incoming { leg, invite, .. } => self.on_incoming(leg, &invite, now),
            SipEvent::Progress { leg, status, sdp } => {
                self.on_progress(leg, status, sdp.as_deref(), now);
            }
            SipEvent::Answered { leg, sdp } => self.on_answered(leg, sdp.as_deref(), now),
            SipEvent::Refused {
                leg,
                status,
                cause,
                silent,
            } => {
                let by = if silent { By::Silence } else { By::Them };
                self.over(leg, by, Some(status), cause, now);
            }
            SipEvent::Cancelled { leg, cause } => self.over(leg, By::Them, Some(487), cause, now),
            SipEvent::Ended { leg, cause, silent } => {
                let by = if silent { By::Silence } else { By::Them };
                self.over(leg, by, None, cause, now);
            }
            // A phone neither registers nor asks whether others are there.
            SipEvent::PeerState { .. } | SipEvent::Registered { .. } => {}
            // It answers offers at once, and that it tries tells nobody anything.
            SipEvent::OfferWithdrawn { .. } | SipEvent::Trying { .. } => {}
            // That the call stands is known already; where its sound goes, perhaps not.
            SipEvent::Confirmed { leg, sdp } => {
                if let Some(sdp) = sdp
                    && !self.take_answer(leg, &sdp, now)
                {
                    self.hang_up(leg, now);
                }
            }
            SipEvent::Offered { leg, sdp } => self.on_offered(leg, sdp.as_deref(), now),
            SipEvent::OfferAccepted { leg, sdp } => {
                self.take_answer(leg, &sdp, now);
                self.tell(Some(leg), What::OfferAccepted, now);
            }
            SipEvent::OfferRefused { leg, status } => {
                self.tell(Some(leg), What::OfferRefused(status), now);
            }
            SipEvent::Info {
                leg,
                content_type,
                body,
            } => self.on_info(leg, &content_type, &body, now),
        }
    }

    fn learn_call_id(&mut self, message: &Message, id: LegId) {
        if let Some(call_id) = message.header(Name::CallId) {
            self.by_call_id.insert(call_id.into(), id);
        }
    }

    fn forget_call_id(&mut self, id: LegId) {
        self.by_call_id.retain(|_, known| *known != id);
    }

    fn tell(&mut self, call: Option<LegId>, what: What, now: Time) {
        self.outputs.push_back(Output::Tell(Event {
            at_ms: now.as_millis(),
            call,
            what,
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
