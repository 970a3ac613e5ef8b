//! The sound of one call, packet by packet (RFC 3550, RFC 3551), without a socket.

use super::event::Packets;
use super::sound::{Playlist, Sound};
use super::tone_detector::{DetectedSound, ToneDetector};
use maskline_sip::dtmf::{HELD_MS, KeyReader, KeyWriter};
use maskline_sip::g711::{SAMPLES_PER_PACKET, SAMPLES_PER_SECOND};
use maskline_sip::rtp::{HEADER_BYTES, Outgoing, Packet, Reception};
use maskline_sip::sdp::{Agreement, Audio, Codec, Description, Payloads, SdpError, agree};
use std::net::SocketAddr;

const PTIME_MS: u8 = 20;
/// A gap in the sender's clock up to here is filled with silence; beyond it the clock has jumped.
const GAP_SAMPLES_MAX: u32 = 5 * SAMPLES_PER_SECOND;

/// Our answer to an offer: its first codec, its keys, and its direction seen from our side. So a call that
/// is put on hold is accepted as such (RFC 3264 section 8.4).
pub fn answering_audio(
    offer: &Description,
    address: SocketAddr,
) -> Result<(Audio, Agreement), SdpError> {
    let offered = &offer.audio;
    let audio = Audio {
        address,
        ptime_ms: Some(PTIME_MS),
        direction: offered.direction.reversed(),
        ..offered.clone()
    };
    let agreement = agree(offered, &audio)?;
    Ok((audio, agreement))
}

/// Where sound goes and what its numbers mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// The other side: packets go there, and are taken only from there.
    pub peer: SocketAddr,
    /// The codec.
    pub codec: Codec,
    /// The payload types of what we send.
    pub send: Payloads,
    /// Those of what we receive.
    pub receive: Payloads,
    /// Whether we send at all: not on hold.
    pub sends: bool,
}

impl Path {
    /// After the other side has answered our offer.
    pub fn of_answer(answer: &Audio, own: &Audio) -> Result<Self, SdpError> {
        let agreement = agree(own, answer)?;
        Ok(Self {
            peer: answer.address,
            codec: agreement.codec,
            send: agreement.answerer,
            receive: agreement.offerer,
            sends: answer.direction.receives(),
        })
    }

    /// After we have answered the other side's offer.
    pub fn of_offer(offered: &Audio, agreement: Agreement) -> Self {
        Self {
            peer: offered.address,
            codec: agreement.codec,
            send: agreement.offerer,
            receive: agreement.offerer,
            sends: offered.direction.receives(),
        }
    }
}

/// What came of a packet.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Its sound, with silence before it for what is missing.
    pub samples: Vec<i16>,
    /// A key that was pressed.
    pub key: Option<char>,
    /// What is heard has become something else.
    pub heard: Option<DetectedSound>,
    /// The packet that goes back at once.
    pub echo: Option<Vec<u8>>,
}

/// One call's sound.
#[derive(Debug)]
pub struct Voice {
    path: Option<Path>,
    /// Before the answer the caller listens and does not speak.
    speaks: bool,
    playlist: Playlist,
    pressing: KeyWriter,
    sent: Outgoing,
    /// Samples from the timestamp of the last packet that was sent to that of the next sound.
    since_sent: u32,
    detector: Option<ToneDetector>,
    pressed: KeyReader,
    received: Reception,
    /// The timestamp that follows what was heard.
    expected: Option<u32>,
    foreign: u64,
}

impl Voice {
    /// A voice that is silent until it has a path. `chance` sets where its counts begin; `listens` says
    /// whether to find out what is heard, which costs.
    pub fn new(play: Vec<Sound>, chance: u64, listens: bool) -> Self {
        Self {
            path: None,
            speaks: false,
            playlist: Playlist::new(play),
            pressing: KeyWriter::default(),
            sent: Outgoing::new(chance as u32, (chance >> 32) as u16, (chance >> 24) as u32),
            since_sent: 0,
            detector: listens.then(ToneDetector::default),
            pressed: KeyReader::default(),
            received: Reception::default(),
            expected: None,
            foreign: 0,
        }
    }

    /// From now on sound goes this way.
    pub fn set_path(&mut self, path: Path) {
        self.path = Some(path);
    }

    /// From now on it speaks.
    pub fn speak(&mut self) {
        self.speaks = true;
    }

    /// Says this instead of what it said.
    pub fn play(&mut self, sounds: Vec<Sound>) {
        self.playlist = Playlist::new(sounds);
    }

    /// Where sound goes.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_ref()
    }

    /// Presses keys; false if the other side takes none.
    pub fn press(&mut self, keys: &str) -> bool {
        let takes = self.path.is_some_and(|path| path.send.events.is_some());
        if takes {
            for key in keys.chars() {
                self.pressing.press(key, HELD_MS);
            }
        }
        takes
    }

    /// The packet for the next 20 ms.
    pub fn tick(&mut self) -> Option<Vec<u8>> {
        let path = self.path.filter(|path| path.sends && self.speaks)?;
        if let Some(events) = path.send.events
            && let Some(press) = self.pressing.next_packet()
        {
            // All packets about a key have the timestamp of its beginning; sound goes on at the time that has
            // passed since (RFC 4733 section 2.5.1.2).
            let (samples, before) = match press.first {
                true => (self.since_sent, 0),
                false => (0, self.since_sent),
            };
            self.since_sent = before + SAMPLES_PER_PACKET;
            let payload = press.event.to_bytes();
            return Some(self.packet(press.first, events, samples, &payload));
        }
        let samples = self.playlist.next_frame()?;
        let since = std::mem::replace(&mut self.since_sent, SAMPLES_PER_PACKET);
        let law = path.codec.law();
        let payload = samples.map(|sample| law.from_linear(sample));
        Some(self.packet(false, path.send.codec, since, &payload))
    }

    /// A packet so many samples after the last one.
    fn packet(
        &mut self,
        is_key_begun: bool,
        payload_type: u8,
        samples: u32,
        payload: &[u8],
    ) -> Vec<u8> {
        // The stream needs the time for a second beginning and for sender reports; here is neither.
        const NOW_US: u64 = 0;
        let mut stamp = match self.sent.sent() {
            (0, _) => self.sent.begin(payload.len(), NOW_US),
            _ => self.sent.go_on(samples, payload.len(), NOW_US),
        };
        stamp.marker |= is_key_begun;
        let mut bytes = Vec::with_capacity(payload.len() + HEADER_BYTES);
        self.sent.write(stamp, payload_type, payload, &mut bytes);
        bytes
    }

    /// Takes what came.
    pub fn take(&mut self, from: SocketAddr, bytes: &[u8]) -> Taken {
        let (Some(path), Some(packet)) = (
            self.path.filter(|path| path.peer == from),
            Packet::parse(bytes),
        ) else {
            self.foreign += 1;
            return Taken::default();
        };
        let is_key = path.receive.events == Some(packet.payload_type);
        if !is_key && packet.payload_type != path.receive.codec {
            self.foreign += 1;
            return Taken::default();
        }
        self.received.count(packet.ssrc, packet.sequence, None);
        let mut taken = Taken::default();
        if is_key {
            taken.key = self
                .pressed
                .hear(packet.ssrc, packet.timestamp, packet.payload);
            return taken;
        }
        taken.samples = self.in_order(&packet, path.codec);
        taken.heard = self
            .detector
            .as_mut()
            .and_then(|detector| detector.take(&taken.samples));
        if self.playlist.is_echo() && self.speaks && path.sends {
            let samples = packet.payload.len() as u32;
            let since = std::mem::replace(&mut self.since_sent, samples);
            taken.echo = Some(self.packet(false, path.send.codec, since, packet.payload));
        }
        taken
    }

    /// The sound of a packet after what was heard before. One that comes late is left out: its place was
    /// filled with silence.
    fn in_order(&mut self, packet: &Packet<'_>, codec: Codec) -> Vec<i16> {
        let ahead = self
            .expected
            .map_or(0, |expected| packet.timestamp.wrapping_sub(expected));
        let late = ahead.wrapping_neg();
        if ahead != 0 && late <= GAP_SAMPLES_MAX {
            return Vec::new();
        }
        let gap = if ahead <= GAP_SAMPLES_MAX { ahead } else { 0 };
        let mut samples = vec![0; gap as usize];
        samples.extend(
            packet
                .payload
                .iter()
                .map(|&byte| codec.law().to_linear(byte)),
        );
        self.expected = Some(packet.timestamp.wrapping_add(packet.payload.len() as u32));
        samples
    }

    /// What was counted of the sound.
    pub fn packets(&self) -> Packets {
        let (sent, _) = self.sent.sent();
        Packets {
            sent: sent.into(),
            received: self.received.packets(),
            lost: self.received.lost(),
            foreign: self.foreign,
            control: 0,
        }
    }

    /// What was heard.
    pub fn heard(&self) -> Option<&ToneDetector> {
        self.detector.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::super::sound::melody;
    use super::*;
    use maskline_sip::sdp::{self, Direction, LocalSession};

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    /// Two voices that agreed: the first offered.
    fn pair(play: Vec<Sound>, other: Vec<Sound>) -> (Voice, Voice) {
        let own = Audio::ours(address(1));
        let offer = sdp::parse(&LocalSession::new(7).offer(&own, address(1))).unwrap();
        let (audio, agreement) = answering_audio(&offer, address(2)).unwrap();
        let answer = LocalSession::new(8).answer(&offer, &audio, &agreement, address(2));
        let answer = sdp::parse(&answer).unwrap();
        let (mut one, mut two) = (Voice::new(play, 1 << 40, true), Voice::new(other, 99, true));
        one.set_path(Path::of_answer(&answer.audio, &own).unwrap());
        two.set_path(Path::of_offer(&offer.audio, agreement));
        one.speak();
        two.speak();
        (one, two)
    }

    #[test]
    fn a_tone_is_heard_and_every_packet_is_counted() {
        let (mut one, mut two) = pair(vec![Sound::Tone(440, None)], vec![]);
        for _ in 0..50 {
            let packet = one.tick().unwrap();
            two.take(address(1), &packet);
        }
        assert_eq!(two.heard().unwrap().totals.tone_ms(440), 1_000);
        let packets = two.packets();
        assert_eq!(
            (packets.received, packets.lost, packets.foreign),
            (50, 0, 0)
        );
    }

    #[test]
    fn lost_packets_are_silence_late_ones_are_left_out_and_strangers_are_not_heard() {
        let (mut one, mut two) = pair(vec![Sound::Tone(440, None)], vec![]);
        let mut packets: Vec<_> = (0..10).map(|_| one.tick().unwrap()).collect();
        packets.swap(7, 8);
        packets.remove(3);
        let taken: Vec<usize> = packets
            .iter()
            .map(|packet| two.take(address(1), packet).samples.len())
            .collect();
        assert_eq!(taken, [160, 160, 160, 320, 160, 160, 320, 0, 160]);
        assert_eq!(two.take(address(9), &packets[0]), Taken::default());
        assert_eq!(two.take(address(1), b"noise"), Taken::default());
        let packets = two.packets();
        assert_eq!((packets.received, packets.lost, packets.foreign), (9, 1, 2));
    }

    #[test]
    fn keys_pass_beside_the_sound() {
        let (mut one, mut two) = pair(melody(), vec![]);
        assert!(one.press("42#"));
        let mut keys = String::new();
        for _ in 0..60 {
            keys.extend(
                one.tick()
                    .and_then(|packet| two.take(address(1), &packet).key),
            );
        }
        assert_eq!(keys, "42#");
        let own = Audio::ours(address(1));
        let silent = Audio {
            events: None,
            ..Audio::ours(address(2))
        };
        one.set_path(Path::of_answer(&silent, &own).unwrap());
        assert!(!one.press("1"), "the other side takes no keys");
    }

    #[test]
    fn an_echo_gives_each_packet_back() {
        let (mut one, mut two) = pair(vec![Sound::Tone(440, None)], vec![Sound::Echo]);
        assert_eq!(two.tick(), None);
        let said = one.tick().unwrap();
        let echo = two.take(address(1), &said).echo.unwrap();
        let (said, echo) = (Packet::parse(&said).unwrap(), Packet::parse(&echo).unwrap());
        assert_eq!(said.payload, echo.payload);
        assert_ne!((said.ssrc, said.sequence), (echo.ssrc, echo.sequence));
    }

    #[test]
    fn hold_is_accepted_and_nothing_is_sent_meanwhile() {
        let held = Audio {
            direction: Direction::SendOnly,
            ..Audio::ours(address(1))
        };
        let offer = sdp::parse(&LocalSession::new(7).offer(&held, address(1))).unwrap();
        let (audio, agreement) = answering_audio(&offer, address(2)).unwrap();
        assert_eq!(audio.direction, Direction::RecvOnly);
        let mut voice = Voice::new(melody(), 1, false);
        voice.speak();
        voice.set_path(Path::of_offer(&offer.audio, agreement));
        assert_eq!(voice.tick(), None);
    }

    #[test]
    fn a_new_count_is_no_loss() {
        let (mut one, mut two) = pair(melody(), vec![]);
        for _ in 0..3 {
            let packet = one.tick().unwrap();
            two.take(address(1), &packet);
        }
        one.sent = Outgoing::new(one.sent.ssrc(), 20_000, 0);
        for _ in 0..3 {
            let packet = one.tick().unwrap();
            two.take(address(1), &packet);
        }
        assert_eq!(two.packets().lost, 0);
    }
}
