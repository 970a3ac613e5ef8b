//! The two sides of one call's media, without sockets: packets go in, packets for the other side come out.
//!
//! A packet is taken only from its side's own address, which is for `remote` to know; all others are counted
//! and dropped, so nobody can listen in or speak in by guessing a port. Of a packet that is taken only the
//! sound crosses, under names and numbers of ours: header extensions and contributing sources, which may name
//! somebody, stay behind, and so does everything said by RTCP.

mod latch;
mod remote;

use super::player::Player;
use super::statistics::Received;
use super::unheard::UnheardBudget;
use maskline_domain::call::Side;
use maskline_sip::dtmf::{HELD_MS, KeyReader, KeyWriter};
use maskline_sip::g711::{Law, SAMPLES_PER_PACKET, SAMPLES_PER_SECOND};
use maskline_sip::relay::LocalMedia;
use maskline_sip::relay::{MediaEnd, MediaPath, Unheard};
use maskline_sip::rtcp::{self, Block, Sender};
use maskline_sip::rtp::{COMFORT_NOISE, HEADER_BYTES, Outgoing, Packet, Reception};
use maskline_sip::sdp::{Direction, Payloads};
use remote::Remote;
use std::net::SocketAddr;
use std::sync::Arc;

/// The longest packet that is relayed, in bytes: longer than what most networks carry in one piece, and far
/// above 60 ms of any codec.
pub const PACKET_BYTES_MAX: usize = 4_096;
/// A report of ours is at most so long, in bytes.
const REPORT_BYTES: usize = 96;

/// How long silence may last.
#[derive(Clone, Copy, Debug)]
pub struct SilenceMax {
    /// While both sides may speak, in microseconds.
    pub usual_us: u64,
    /// While one holds the other, in microseconds.
    pub held_us: u64,
}

/// See the module. Times are in microseconds on a clock that never jumps.
#[derive(Debug)]
pub struct Bridge {
    caller: Leg,
    callee: Leg,
    silence_max: SilenceMax,
    /// When a packet was last taken, or silence last told, or a new path given.
    heard_us: u64,
}

#[derive(Debug)]
struct Leg {
    end: Option<End>,
    remote: Remote,
    reception: Reception,
    keys: KeyReader,
    foreign: u64,
    odd: u64,
    missed: Option<u32>,
    /// Packets that were not sent to it, since nothing came from there.
    withheld: u64,
    /// What it hears.
    outgoing: Outgoing,
    /// Whether the last packet of what it is played was not sent to it.
    is_interrupted: bool,
    player: Option<Player>,
    pressing: KeyWriter,
    cname: String,
    /// The middle of its last report's time, and when it came.
    reported: Option<(u32, u64)>,
    reported_packets: u32,
}

/// What matters of a [`MediaEnd`] for each packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    payloads: Payloads,
    law: Option<Law>,
    direction: Direction,
    takes_noise: bool,
}

impl From<&MediaEnd> for End {
    fn from(end: &MediaEnd) -> Self {
        Self {
            payloads: end.payloads,
            law: end.law,
            direction: end.direction,
            takes_noise: end.noise,
        }
    }
}

/// What became of a packet.
#[derive(Debug, Default)]
pub struct Passed<'a> {
    /// Where to send what was written.
    pub to: Option<SocketAddr>,
    /// The sound in it, if it is understood.
    pub sound: Option<(Law, Packet<'a>)>,
    /// A key that cannot be told to the other side by RTP.
    pub key: Option<char>,
}

/// What came of a tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Where to send what was written.
    pub to: Option<SocketAddr>,
    /// Whether what was played once is over.
    pub is_over: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sound,
    Comfort,
    Key,
}

impl Bridge {
    /// A bridge that passes nothing yet. `chance` makes the names and numbers of its two streams; nobody but
    /// we are at the addresses of `local_media`; `budget` is what all bridges send to those of whom nothing was heard.
    pub fn new(
        silence_max: SilenceMax,
        (local_media, budget): (&Arc<LocalMedia>, &Arc<UnheardBudget>),
        now_us: u64,
        mut chance: impl FnMut() -> u64,
    ) -> Self {
        Self {
            caller: Leg::new(local_media, budget, &mut chance),
            callee: Leg::new(local_media, budget, &mut chance),
            silence_max,
            heard_us: now_us,
        }
    }

    /// Media of ours has these addresses from now on.
    pub fn set_local_media(&mut self, local_media: &Arc<LocalMedia>) {
        for leg in [&mut self.caller, &mut self.callee] {
            leg.remote.set_local_media(local_media);
        }
    }

    /// Passes between these two from now on.
    pub fn set_path(&mut self, path: &MediaPath, now_us: u64) {
        self.heard_us = now_us;
        for side in Side::BOTH {
            let end = match side {
                Side::Caller => path.caller.as_ref(),
                Side::Callee => path.callee.as_ref(),
            };
            let (leg, other) = self.legs(side);
            if leg.remote.tell(end) {
                other.outgoing.cut();
            }
            leg.end = end.map(End::from);
        }
    }

    /// Sends this side so much before it has been heard, from now on. Nothing changes where that has no bound.
    pub fn allow(&mut self, side: Side, unheard: Unheard) {
        self.legs(side).0.remote.allow(unheard);
    }

    /// The form of sound that this side understands.
    pub fn law(&self, side: Side) -> Option<Law> {
        self.leg(side).end.and_then(|end| end.law)
    }

    /// Takes a packet that came to the port for this side. If it crosses, it is written anew into `fresh`.
    pub fn on_rtp<'a>(
        &mut self,
        side: Side,
        source: SocketAddr,
        bytes: &'a [u8],
        now_us: u64,
        fresh: &mut Vec<u8>,
    ) -> Passed<'a> {
        let (from, to) = self.legs(side);
        let Some(end) = from.end else {
            from.foreign += 1;
            return Passed::default();
        };
        if !from.remote.may_be(source) {
            from.foreign += 1;
            return Passed::default();
        }
        let Some((packet, kind)) = understand(bytes, &end, to.end.as_ref()) else {
            from.odd += 1;
            return Passed::default();
        };
        if !from.remote.hear(source, packet.ssrc, now_us) {
            from.foreign += 1;
            return Passed::default();
        }
        let arrival = samples(now_us);
        let timing = (kind == Kind::Sound).then_some((packet.timestamp, arrival));
        from.reception.count(packet.ssrc, packet.sequence, timing);
        let mut passed = Passed::default();
        if end.direction.sends() {
            passed.to = to.pass(&packet, kind, now_us, fresh);
            passed.sound = end
                .law
                .filter(|_| kind == Kind::Sound)
                .map(|law| (law, packet));
            // Where nobody is across, there is nobody to be told of a key.
            let is_deaf = to.end.is_some_and(|end| end.payloads.events.is_none());
            if kind == Kind::Key && is_deaf {
                passed.key = from
                    .keys
                    .hear(packet.ssrc, packet.timestamp, packet.payload);
            }
        }
        self.heard_us = now_us;
        passed
    }

    /// Takes a report that came to the port above the one for this side.
    pub fn on_rtcp(&mut self, side: Side, source: SocketAddr, bytes: &[u8], now_us: u64) {
        let (leg, _) = self.legs(side);
        if !leg.remote.may_report(source) {
            leg.foreign += 1;
            return;
        }
        let Some(heard) = rtcp::read(bytes, leg.outgoing.ssrc()) else {
            leg.odd += 1;
            return;
        };
        leg.remote.hear_report(source, now_us);
        if let Some(sender) = heard.sender {
            leg.reported = Some((rtcp::ntp_middle(sender.ntp), now_us));
        }
        if let Some(ours) = heard.ours {
            leg.missed = Some(ours.loss.total);
        }
    }

    /// Writes a report for this side and says where it goes. `unix_us` is the time of day.
    pub fn report(
        &mut self,
        side: Side,
        now_us: u64,
        unix_us: u64,
        fresh: &mut Vec<u8>,
    ) -> Option<SocketAddr> {
        let (leg, _) = self.legs(side);
        let to = leg.remote.rtcp_address()?;
        if !leg.remote.may_be_sent(to, REPORT_BYTES, now_us) {
            return None;
        }
        let (packets, octets) = leg.outgoing.sent();
        let sender = (packets != leg.reported_packets).then(|| Sender {
            ntp: rtcp::ntp(unix_us),
            timestamp: leg.outgoing.timestamp_at(now_us),
            packets,
            octets,
        });
        leg.reported_packets = packets;
        let about = leg.reception.report().map(|loss| Block {
            loss,
            last_report: leg.reported.map_or(0, |(middle, _)| middle),
            delay: leg.reported.map_or(0, |(_, at)| {
                u32::try_from((now_us.saturating_sub(at) << 16) / 1_000_000).unwrap_or(u32::MAX)
            }),
        });
        let ssrc = leg.outgoing.ssrc();
        rtcp::write(fresh, ssrc, sender.as_ref(), about.as_ref(), &leg.cname);
        Some(to)
    }

    /// Plays to this side, instead of what it would hear. False if it cannot hear anything of ours.
    pub fn play(&mut self, side: Side, player: Player) -> bool {
        let (leg, _) = self.legs(side);
        let is_heard = leg.end.is_some_and(|end| end.law.is_some());
        leg.player = is_heard.then_some(player);
        is_heard
    }

    /// Stops what is played to this side.
    pub fn stop_playing(&mut self, side: Side) {
        self.legs(side).0.player = None;
    }

    /// Presses a key for this side to hear. Nothing happens if it did not agree on events.
    pub fn press(&mut self, side: Side, key: char) {
        let (leg, _) = self.legs(side);
        if leg.end.is_some_and(|end| end.payloads.events.is_some()) {
            leg.pressing.press(key, HELD_MS);
        }
    }

    /// Whether [`Bridge::tick`] is wanted every 20 ms.
    pub fn wants_ticks(&self) -> bool {
        [&self.caller, &self.callee]
            .iter()
            .any(|leg| leg.player.is_some() || !leg.pressing.is_idle())
    }

    /// Writes what is played to this side now, if anything, into `fresh`.
    pub fn tick(&mut self, side: Side, now_us: u64, fresh: &mut Vec<u8>) -> Ticked {
        self.legs(side).0.tick(now_us, fresh)
    }

    /// Whether nobody has been heard for too long. It is told once, and again when as much time has passed.
    pub fn take_silence(&mut self, now_us: u64) -> bool {
        let (Some(caller), Some(callee)) = (self.caller.end, self.callee.end) else {
            return false;
        };
        let talks = |end: End| end.direction.sends() && end.direction.receives();
        let silence_max = match talks(caller) && talks(callee) {
            true => self.silence_max.usual_us,
            false => self.silence_max.held_us,
        };
        if self.wants_ticks() {
            self.heard_us = now_us;
        }
        let is_silent = now_us.saturating_sub(self.heard_us) >= silence_max;
        if is_silent {
            self.heard_us = now_us;
        }
        is_silent
    }

    /// What came from this side.
    pub fn received(&self, side: Side) -> Received {
        let leg = self.leg(side);
        Received {
            packets: leg.reception.packets(),
            lost: leg.reception.lost(),
            jitter_ms: leg.reception.jitter() * 1_000 / SAMPLES_PER_SECOND,
            foreign: leg.foreign,
            odd: leg.odd,
            missed: leg.missed,
            withheld: leg.withheld,
        }
    }

    fn leg(&self, side: Side) -> &Leg {
        match side {
            Side::Caller => &self.caller,
            Side::Callee => &self.callee,
        }
    }

    /// This side's leg, then the other one.
    fn legs(&mut self, side: Side) -> (&mut Leg, &mut Leg) {
        match side {
            Side::Caller => (&mut self.caller, &mut self.callee),
            Side::Callee => (&mut self.callee, &mut self.caller),
        }
    }
}

impl Leg {
    fn new(
        local_media: &Arc<LocalMedia>,
        budget: &Arc<UnheardBudget>,
        chance: &mut impl FnMut() -> u64,
    ) -> Self {
        let (names, numbers) = (chance(), chance());
        Self {
            end: None,
            remote: Remote::new(Arc::clone(local_media), Arc::clone(budget)),
            reception: Reception::default(),
            keys: KeyReader::default(),
            foreign: 0,
            odd: 0,
            missed: None,
            withheld: 0,
            outgoing: Outgoing::new(names as u32, numbers as u16, (numbers >> 32) as u32),
            is_interrupted: false,
            player: None,
            pressing: KeyWriter::default(),
            cname: format!("{:016x}", chance()),
            reported: None,
            reported_packets: 0,
        }
    }

    /// Where it is sent a packet with so much payload, unless it has been sent enough before it was heard.
    fn address_for(&mut self, payload_bytes: usize, now_us: u64) -> Option<SocketAddr> {
        let address = self.remote.address()?;
        let may = (self.remote).may_be_sent(address, HEADER_BYTES + payload_bytes, now_us);
        self.withheld += u64::from(!may);
        may.then_some(address)
    }

    /// Writes a packet from the other side for this one.
    fn pass(
        &mut self,
        packet: &Packet<'_>,
        kind: Kind,
        now_us: u64,
        fresh: &mut Vec<u8>,
    ) -> Option<SocketAddr> {
        let end = self.end.filter(|end| end.direction.receives())?;
        if self.player.is_some() || !self.pressing.is_idle() {
            return None;
        }
        let payload_type = match kind {
            Kind::Sound => end.payloads.codec,
            // RFC 3389 section 4: only to who said that it knows it.
            Kind::Comfort => end.takes_noise.then_some(COMFORT_NOISE)?,
            Kind::Key => end.payloads.events?,
        };
        let address = self.address_for(packet.payload.len(), now_us)?;
        let stamp = self.outgoing.pass(packet, now_us)?;
        self.outgoing
            .write(stamp, payload_type, packet.payload, fresh);
        Some(address)
    }

    fn tick(&mut self, now_us: u64, fresh: &mut Vec<u8>) -> Ticked {
        let hears = self.end.filter(|end| end.direction.receives());
        if !self.pressing.is_idle() {
            let to = self.tick_key(hears, now_us, fresh);
            return Ticked { to, is_over: false };
        }
        let Some(player) = &mut self.player else {
            return Ticked::default();
        };
        let is_first = player.is_at_begin();
        let Some(sound) = player.next_packet() else {
            self.player = None;
            return Ticked {
                to: None,
                is_over: true,
            };
        };
        let to = hears.and_then(|end| Some((end, self.address_for(sound.len(), now_us)?)));
        let goes_on = !is_first && !self.is_interrupted;
        self.is_interrupted = to.is_none();
        let to = to.map(|(end, address)| {
            let stamp = match goes_on {
                true => self.outgoing.go_on(SAMPLES_PER_PACKET, sound.len(), now_us),
                false => self.outgoing.begin(sound.len(), now_us),
            };
            self.outgoing
                .write(stamp, end.payloads.codec, &sound, fresh);
            address
        });
        Ticked { to, is_over: false }
    }

    fn tick_key(
        &mut self,
        hears: Option<End>,
        now_us: u64,
        fresh: &mut Vec<u8>,
    ) -> Option<SocketAddr> {
        let packet = self.pressing.next_packet();
        if self.pressing.is_idle() {
            self.outgoing.cut();
        }
        let packet = packet?;
        let payload = packet.event.to_bytes();
        let payload_type = hears?.payloads.events?;
        let address = self.address_for(payload.len(), now_us)?;
        let stamp = match packet.first {
            true => self.outgoing.begin(payload.len(), now_us),
            false => self.outgoing.go_on(0, payload.len(), now_us),
        };
        self.outgoing.write(stamp, payload_type, &payload, fresh);
        Some(address)
    }
}

/// What a packet is, by the numbers that its side agreed on. A side may use the numbers of its own
/// description or of ours, which are the other side's.
fn understand<'a>(bytes: &'a [u8], end: &End, other: Option<&End>) -> Option<(Packet<'a>, Kind)> {
    // The kernel has cut it; the rest of it is gone.
    if bytes.len() > PACKET_BYTES_MAX {
        return None;
    }
    let packet = Packet::parse(bytes)?;
    let (ours, theirs) = (&end.payloads, other.map(|other| &other.payloads));
    let number = Some(packet.payload_type);
    let kind = if number == Some(ours.codec) {
        Kind::Sound
    } else if number == ours.events {
        Kind::Key
    } else if number == Some(COMFORT_NOISE) {
        Kind::Comfort
    } else if number == theirs.map(|theirs| theirs.codec) {
        Kind::Sound
    } else if ours.events.is_some() && number == theirs.and_then(|theirs| theirs.events) {
        Kind::Key
    } else {
        return None;
    };
    Some((packet, kind))
}

fn samples(us: u64) -> u32 {
    // Cut on purpose: only differences count.
    (us * u64::from(SAMPLES_PER_SECOND) / 1_000_000) as u32
}

#[cfg(test)]
mod tests;
