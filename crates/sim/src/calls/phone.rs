//! A phone: a SIP machine with a temper.

use std::net::{Ipv4Addr, SocketAddr};

use maskline_sip::endpoint::{Config, Endpoint, Input, LegId, Peer, PeerId, Refusal};
use maskline_sip::hop::{Hop, Transport};
use maskline_sip::message::Message;
use maskline_sip::sdp::{self, Audio, Codec, Direction};
use maskline_sip::time::Time;

use super::addresses::{PORTS_APART, PhoneId, SWITCH, media_of, name_of};
use super::agreed::Agreements;
use super::rewriting::{Change, Done, Rewriter, as_multipart, without_100rel};
use crate::chance::Chance;

/// What a phone does at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Ring,
    Speak,
    Answer,
    Refuse(u16),
    HangUp,
    /// It keeps the other one waiting.
    Hold,
    /// It speaks again.
    Resume,
    /// Another machine of its side takes its place: another port, perhaps another codec.
    HandOver(&'static str),
    /// It says that it hears at a media port of the switch: the one that it sends to, or the other side's.
    MediaLoop(bool),
    /// It takes what it was offered last.
    Accept,
    /// It declines what it was offered last.
    Decline,
    /// A key is pressed, and told by INFO.
    Key(char),
    /// It hears nothing any more, but does not know.
    GoDeaf,
    /// Its battery is out.
    Vanish,
}

pub(super) struct Phone {
    pub endpoint: Endpoint,
    pub address: SocketAddr,
    /// Which call it is in.
    pub call: usize,
    pub is_caller: bool,
    pub leg: Option<LegId>,
    pub is_deaf: bool,
    /// When its next timer is due, if a wake-up is under way.
    pub wakes_at: Option<u64>,
    media: Media,
    rewriter: Rewriter,
    is_multipart: bool,
    /// Descriptions that were sent in a multipart body.
    pub multiparts: u64,
    elsewhere: Option<&'static str>,
    /// Answers that differ from an early one.
    pub answered_elsewhere: u64,
    agreements: Agreements,
    /// Where it was told last to send its media.
    told: Option<SocketAddr>,
    /// When it last said or heard something of media.
    pub described_ms: u64,
    pub is_talking: bool,
}

/// What a phone says of its media.
struct Media {
    id: PhoneId,
    /// The payload type of its keys, which is the mark of its call; none if it tells keys by INFO alone.
    events: Option<u8>,
    /// The codecs that it speaks.
    codecs: &'static str,
    /// What it does with its media.
    direction: Direction,
    /// Counts its descriptions.
    version: u32,
    /// What the other side does, and by which codec, in the offer that waits for a reply.
    offered: (Direction, &'static str),
    /// From which description on it says a host name in the place of its address, if it does.
    named_from: Option<u32>,
}

impl Media {
    fn sdp(&self, codecs: &str) -> Vec<u8> {
        let is_named = self.named_from.is_some_and(|from| from <= self.version);
        let at = match is_named {
            true => name_of(self.id),
            false => media_of(self.id).to_string(),
        };
        self.sdp_at(codecs, &at, media_port(self.version))
    }

    fn sdp_at(&self, codecs: &str, at: &str, port: u16) -> Vec<u8> {
        let (media, direction) = (media_of(self.id), self.direction.attribute());
        let (formats, map) = match self.events {
            Some(events) => (
                format!("{codecs} {events}"),
                format!("a=rtpmap:{events} telephone-event/8000\r\n"),
            ),
            None => (codecs.to_owned(), String::new()),
        };
        format!(
            "v=0\r\no=phone {} {} IN IP4 {media}\r\ns=-\r\nc=IN IP4 {at}\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP {formats}\r\n{map}a={direction}\r\n",
            self.id, self.version
        )
        .into_bytes()
    }

    /// Its description, now that it does something else with its media.
    fn new_sdp(&mut self, direction: Direction, codecs: &str) -> Vec<u8> {
        self.direction = direction;
        self.version += 1;
        self.sdp(codecs)
    }

    /// A description that says that it hears at this port of the switch.
    fn media_loop(&mut self, told: SocketAddr, is_own: bool) -> Vec<u8> {
        self.version += 1;
        // The ports of the two sides lie side by side.
        let port = told.port() ^ if is_own { 0 } else { PORTS_APART };
        self.sdp_at(self.codecs, &told.ip().to_string(), port)
    }

    /// Its answer to an offer that it had asked for: it does as it did, as far as the other side lets it.
    fn late_answer(&mut self, offered: &Audio) -> Vec<u8> {
        let direction = match offered.direction {
            Direction::SendRecv => self.direction,
            other => other.reversed(),
        };
        self.new_sdp(direction, first_codec(offered))
    }
}

/// What the other side wants most.
fn first_codec(offered: &Audio) -> &'static str {
    match offered.codecs.first() {
        Some((Codec::Pcmu, _)) => "0",
        _ => "8",
    }
}

/// How a phone is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Make {
    pub transport: Transport,
    /// The payload type of its keys.
    pub events: Option<u8>,
    /// The codecs that it speaks, at first.
    pub codecs: &'static str,
    /// How it asks for other media.
    pub change: Change,
    /// Whether its first INVITE brings no offer.
    pub is_delayed: bool,
    /// Whether its exchange puts each description in a multipart body, beside parts of its own.
    pub is_multipart: bool,
    /// Whether it says a host name in the place of its address.
    pub is_named: bool,
    /// Whether it offers anew in a PRACK.
    pub offers_by_prack: bool,
    /// By which codecs it answers from elsewhere than it spoke early, if it does.
    pub elsewhere: Option<&'static str>,
}

impl Make {
    /// A phone like most.
    pub const PLAIN: Self = Self {
        transport: Transport::Udp,
        events: Some(101),
        codecs: "8",
        change: Change::Offer,
        is_delayed: false,
        is_multipart: false,
        is_named: false,
        offers_by_prack: false,
        elsewhere: None,
    };
}

impl Phone {
    pub fn new(
        id: PhoneId,
        address: SocketAddr,
        call: usize,
        is_caller: bool,
        make: Make,
        chance: &mut Chance,
    ) -> Self {
        let hop = Hop {
            address: SWITCH,
            transport: make.transport,
        };
        let peers = vec![Peer::new(PeerId(0), hop)];
        Self {
            endpoint: Endpoint::new(Config::new(address), peers, chance.bytes()),
            address,
            call,
            is_caller,
            leg: None,
            is_deaf: false,
            wakes_at: None,
            media: Media {
                id,
                events: make.events,
                codecs: make.codecs,
                direction: Direction::SendRecv,
                version: 1,
                offered: (Direction::SendRecv, "8"),
                // A call that began by its name could not be told from others.
                named_from: make.is_named.then(|| 1 + u32::from(is_caller)),
            },
            rewriter: Rewriter::new(make.change, make.is_delayed, make.offers_by_prack),
            elsewhere: make.elsewhere,
            answered_elsewhere: 0,
            is_multipart: make.is_multipart,
            multiparts: 0,
            agreements: Agreements::default(),
            told: None,
            described_ms: 0,
            is_talking: false,
        }
    }

    /// Where it would hear its media: nobody but the switch may learn that.
    pub fn media_address(&self) -> Ipv4Addr {
        media_of(self.media.id)
    }

    /// What it offers when it calls; nothing if it wants the other side's offer.
    pub fn first_offer(&self) -> Vec<u8> {
        match self.rewriter.owes_first() {
            true => Vec::new(),
            false => self.media.sdp(self.media.codecs),
        }
    }

    /// Takes the other side's offer, which it will reply to.
    pub fn take_offer(&mut self, offered: &Audio) {
        self.media.offered = (offered.direction, first_codec(offered));
    }

    /// A message comes.
    pub fn hear(&mut self, from: Hop, bytes: &[u8], now: Time) -> Option<Done> {
        if self.agreements.note(bytes, false) {
            self.described_ms = now.as_millis();
        }
        self.told = audio_in(bytes).map(|it| it.address).or(self.told);
        let media = &mut self.media;
        let (bytes, done) = self
            .rewriter
            .incoming(bytes, |offered| media.late_answer(offered));
        let bytes = match self.elsewhere {
            Some(_) => without_100rel(&bytes),
            None => bytes,
        };
        let bytes = &bytes;
        self.endpoint
            .handle_input(Input::Datagram { from, bytes }, now);
        done
    }

    /// A message of its machine as it is sent; none if it is not.
    pub fn really_sent(&mut self, bytes: &[u8], now: Time) -> Option<Vec<u8>> {
        let media = &mut self.media;
        let sent = self.rewriter.outgoing(bytes, || {
            let codecs = media.codecs;
            media.new_sdp(media.direction, codecs)
        })?;
        let other = self.elsewhere.and_then(|codecs| {
            let media = &mut self.media;
            self.rewriter
                .answered(&sent, || media.new_sdp(Direction::SendRecv, codecs))
        });
        self.answered_elsewhere += u64::from(other.is_some());
        let sent = other.unwrap_or(sent);
        let multiparts = self.is_multipart.then(|| as_multipart(&sent)).flatten();
        self.multiparts += u64::from(multiparts.is_some());
        let sent = multiparts.unwrap_or(sent);
        if self.agreements.note(&sent, true) {
            self.described_ms = now.as_millis();
        }
        Some(sent)
    }

    /// The codec that it sends and expects.
    pub fn codec(&self) -> Option<Codec> {
        self.agreements.codec()
    }

    /// Where it hears, by what it has agreed to.
    pub fn hears_at(&self) -> Option<SocketAddr> {
        self.agreements.address()
    }

    pub fn act(&mut self, act: Act, now_ms: u64) {
        let Some(leg) = self.leg else { return };
        let input = match act {
            Act::Ring => Input::Progress(leg, 180, None),
            Act::Speak => Input::Progress(leg, 183, Some(self.media.sdp(self.media.codecs))),
            Act::Answer => Input::Answer(leg, self.media.sdp(self.media.codecs)),
            Act::Refuse(status) => Input::Refuse(
                leg,
                Refusal {
                    status,
                    cause: None,
                },
            ),
            Act::HangUp => Input::HangUp(leg, Some(16)),
            Act::Hold => Input::Offer(leg, self.media.new_sdp(Direction::SendOnly, "8")),
            Act::Resume => Input::Offer(leg, self.media.new_sdp(Direction::SendRecv, "8")),
            Act::HandOver(codecs) => {
                Input::Offer(leg, self.media.new_sdp(Direction::SendRecv, codecs))
            }
            Act::MediaLoop(is_own) => match self.told {
                Some(told) => Input::Offer(leg, self.media.media_loop(told, is_own)),
                None => return,
            },
            Act::Accept => {
                let (offered, codec) = self.media.offered;
                Input::AcceptOffer(leg, self.media.new_sdp(offered.reversed(), codec))
            }
            Act::Decline => Input::RefuseOffer(leg, 488),
            Act::Key(key) => {
                let body = format!("Signal={key}\r\nDuration=160\r\n");
                Input::Info(leg, b"application/dtmf-relay".to_vec(), body.into_bytes())
            }
            Act::GoDeaf => {
                self.is_deaf = true;
                return;
            }
            Act::Vanish => return,
        };
        self.endpoint.handle_input(input, Time::from_millis(now_ms));
    }
}

/// What a message says of media, if it says something that is read here.
pub(super) fn audio_in(bytes: &[u8]) -> Option<Audio> {
    let message = Message::parse(bytes).ok()?;
    Some(sdp::parse(message.sdp()?).ok()?.audio)
}

/// Each description of a phone has a port of its own, as if it came from another machine.
fn media_port(version: u32) -> u16 {
    4_000 + (version % 1_000) as u16 * 2
}

/// What somebody does once the call stands, besides hanging up.
pub(super) fn talker_behaviour(chance: &mut Chance) -> Vec<(u64, Act)> {
    let mut acts = Vec::new();
    media_loop(chance, 0, &mut acts);
    if chance.one_in(4) {
        let hold = chance.below(10_000);
        acts.push((hold, Act::Hold));
        if !chance.one_in(4) {
            acts.push((hold + chance.below(8_000), Act::Resume));
        }
    }
    if chance.one_in(4) {
        for _ in 0..=chance.below(4) {
            let key = chance.one_of(['0', '1', '5', '9', '*', '#', 'D']);
            acts.push((chance.below(10_000), Act::Key(key)));
        }
    }
    acts
}

/// What somebody does who is offered other media. Some never say a word.
pub(super) fn offered_behaviour(chance: &mut Chance) -> Option<(u64, Act)> {
    let after = chance.below(600);
    match chance.below(12) {
        0 => None,
        1 => Some((after, Act::Decline)),
        _ => Some((after, Act::Accept)),
    }
}

/// What a callee does once it is called, and after how many milliseconds.
pub(super) fn callee_behaviour(chance: &mut Chance) -> Vec<(u64, Act)> {
    let ring = 20 + chance.below(800);
    let later = |chance: &mut Chance, most: u64| ring + 1 + chance.below(most);
    let mut acts = Vec::new();
    match chance.below(20) {
        // It answers at once, without ringing.
        0 => acts.push((ring, Act::Answer)),
        1..=9 => {
            acts.push((ring, Act::Ring));
            if chance.one_in(3) {
                let speaks = later(chance, 1_000);
                acts.push((speaks, Act::Speak));
                hand_over(chance, speaks, &mut acts);
                media_loop(chance, speaks, &mut acts);
            }
            if chance.one_in(3) {
                acts.push((later(chance, 1_000), Act::Ring));
            }
            if chance.one_in(8) {
                acts.push((later(chance, 4_000), Act::Hold));
            }
            acts.push((later(chance, 12_000), Act::Answer));
        }
        10 => {
            // A colour ring, then an announcement that it is switched off.
            acts.push((ring, Act::Speak));
            acts.push((later(chance, 6_000), Act::Refuse(480)));
        }
        11 => acts.push((ring, Act::Ring)),
        12 | 13 => {
            let status = chance.one_of([500, 502, 503, 408]);
            acts.push((ring, Act::Refuse(status)));
        }
        // Not a word.
        14 => {}
        _ => {
            if chance.one_in(2) {
                acts.push((ring, Act::Ring));
            }
            let status = chance.one_of([486, 603, 404, 480, 600, 403, 302, 488]);
            acts.push((later(chance, 5_000), Act::Refuse(status)));
        }
    }
    misfortune(chance, &mut acts);
    acts
}

/// What a caller does after dialling, whatever comes of it.
pub(super) fn caller_behaviour(chance: &mut Chance) -> Vec<(u64, Act)> {
    let mut acts = Vec::new();
    if chance.one_in(5) {
        acts.push((chance.below(15_000), Act::HangUp));
    }
    if chance.one_in(12) {
        acts.push((500 + chance.below(8_000), Act::Hold));
    }
    if chance.one_in(8) {
        hand_over(chance, 0, &mut acts);
    }
    media_loop(chance, 0, &mut acts);
    misfortune(chance, &mut acts);
    acts
}

/// As a ring-tone server does that hands over to the phone, several times perhaps.
fn hand_over(chance: &mut Chance, begin: u64, acts: &mut Vec<(u64, Act)>) {
    let mut at = begin;
    while chance.one_in(2) {
        at += 50 + chance.below(3_000);
        acts.push((
            at,
            Act::HandOver(chance.one_of(["8", "8 0", "0", "0 8", "18"])),
        ));
    }
}

/// As somebody does who would have media go round.
fn media_loop(chance: &mut Chance, begin: u64, acts: &mut Vec<(u64, Act)>) {
    if chance.one_in(10) {
        let at = begin + 50 + chance.below(6_000);
        acts.push((at, Act::MediaLoop(chance.one_in(2))));
    }
}

fn misfortune(chance: &mut Chance, acts: &mut Vec<(u64, Act)>) {
    if chance.one_in(8) {
        acts.push((chance.below(30_000), Act::Vanish));
    } else if chance.one_in(20) {
        acts.push((chance.below(30_000), Act::GoDeaf));
    }
}
