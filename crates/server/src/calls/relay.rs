//! The media relay of one call: RTP from one side is written anew and sent to the other.
//!
//! Each side has a socket of ours. A packet is taken only from the address in that side's SDP; all others
//! are counted and dropped, so nobody can listen in or speak in by guessing a port. Of a packet that is
//! taken only the sound crosses: header extensions and contributing sources, which may name somebody,
//! stay behind, and so does RTCP.

use super::ports::MediaSocket;
use super::switch::{MediaEnd, MediaPath};
use maskline_sip::rtp::Packet;
use serde::Serialize;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

/// The longest packet that is relayed, in bytes: far above 60 ms of G.711.
const PACKET_BYTES_MAX: usize = 1_500;

/// How often silence is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What came from one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Received {
    /// Packets taken from the side's own address.
    pub packets: u64,
    /// Packets missing between the first and the last one, by their numbers.
    pub lost: u64,
    /// Packets from elsewhere, dropped.
    pub foreign: u64,
    /// Packets from the side's own address that were no RTP of an agreed kind, dropped.
    pub odd: u64,
    #[serde(skip)]
    first: Option<u64>,
    #[serde(skip)]
    highest: u64,
}

/// What came from both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Statistics {
    /// From the caller.
    pub caller: Received,
    /// From the callee.
    pub callee: Received,
}

impl Statistics {
    /// Whether sound came from one side only.
    pub fn is_one_way(&self) -> bool {
        (self.caller.packets == 0) != (self.callee.packets == 0)
    }
}

/// A running relay.
#[derive(Debug)]
pub struct Relay {
    path: watch::Sender<Option<MediaPath>>,
    task: JoinHandle<Statistics>,
}

impl Relay {
    /// Starts a relay that passes nothing yet. `on_lost` is called once when neither side was heard for
    /// `silence_max`, counted from the moment that there is a path.
    pub fn start(
        caller: MediaSocket,
        callee: MediaSocket,
        silence_max: Duration,
        on_lost: impl FnOnce() + Send + 'static,
    ) -> Self {
        let (path, watched) = watch::channel(None);
        let task = tokio::spawn(run(caller, callee, watched, silence_max, on_lost));
        Self { path, task }
    }

    /// Relays between these two from now on.
    pub fn set_path(&self, path: MediaPath) {
        self.path.send_replace(Some(path));
    }

    /// Ends it and gives back the ports.
    pub async fn stop(self) -> Statistics {
        drop(self.path);
        self.task.await.unwrap_or_default()
    }
}

async fn run(
    caller: MediaSocket,
    callee: MediaSocket,
    mut watched: watch::Receiver<Option<MediaPath>>,
    silence_max: Duration,
    on_lost: impl FnOnce(),
) -> Statistics {
    let mut statistics = Statistics::default();
    let mut path: Option<MediaPath> = None;
    let mut from_caller = [0; PACKET_BYTES_MAX];
    let mut from_callee = [0; PACKET_BYTES_MAX];
    let mut fresh = Vec::with_capacity(PACKET_BYTES_MAX);
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut on_lost = Some(on_lost);
    let mut silent = Duration::ZERO;
    loop {
        tokio::select! {
            changed = watched.changed() => match changed {
                Ok(()) => path = *watched.borrow_and_update(),
                Err(_) => return statistics,
            },
            got = caller.socket.recv_from(&mut from_caller) => if let (Ok((length, source)), Some((to_caller, to_callee))) = (got, both(&path)) {
                let bytes = &from_caller[..length];
                if pass(bytes, source, to_caller, to_callee, &mut statistics.caller, &mut fresh) {
                    silent = Duration::ZERO;
                    // A full send queue drops a packet, as any network may.
                    let _ = callee.socket.try_send_to(&fresh, to_callee.address);
                }
            },
            got = callee.socket.recv_from(&mut from_callee) => if let (Ok((length, source)), Some((to_caller, to_callee))) = (got, both(&path)) {
                let bytes = &from_callee[..length];
                if pass(bytes, source, to_callee, to_caller, &mut statistics.callee, &mut fresh) {
                    silent = Duration::ZERO;
                    let _ = caller.socket.try_send_to(&fresh, to_caller.address);
                }
            },
            _ = looks.tick() => if path.is_some() {
                silent += LOOK_EVERY;
                if silent > silence_max && let Some(on_lost) = on_lost.take() {
                    on_lost();
                }
            },
        }
    }
}

/// Both ends, once there are two.
fn both(path: &Option<MediaPath>) -> Option<(&MediaEnd, &MediaEnd)> {
    let path = path.as_ref()?;
    path.caller.as_ref().zip(path.callee.as_ref())
}

/// Judges a packet and, if it may cross, writes it anew into `fresh`.
fn pass(
    bytes: &[u8],
    source: SocketAddr,
    from: &MediaEnd,
    to: &MediaEnd,
    received: &mut Received,
    fresh: &mut Vec<u8>,
) -> bool {
    if source != from.address {
        received.foreign += 1;
        return false;
    }
    // A side may use the numbers of its own SDP or of ours, which are the other side's.
    let crossing = Packet::parse(bytes).and_then(|packet| {
        let is = |a: u8, b: u8| packet.payload_type == a || packet.payload_type == b;
        let payload_type = if is(from.payloads.codec, to.payloads.codec) {
            to.payloads.codec
        } else {
            let (theirs, ours) = from.payloads.events.zip(to.payloads.events)?;
            is(theirs, ours).then_some(ours)?
        };
        Some(Packet {
            payload_type,
            ..packet
        })
    });
    let Some(packet) = crossing else {
        received.odd += 1;
        return false;
    };
    received.count(packet.sequence);
    packet.write(fresh);
    true
}

impl Received {
    /// Counts a packet, and what is missing before it (RFC 3550 appendix A.3): numbers of 16 bits, made
    /// longer by taking the nearest.
    fn count(&mut self, sequence: u16) {
        let Some(first) = self.first else {
            // Begun one round up, so that an earlier packet that comes later has a number too.
            let begin = u64::from(sequence) + (1 << 16);
            (self.first, self.highest, self.packets) = (Some(begin), begin, 1);
            return;
        };
        let ahead = sequence.wrapping_sub(self.highest as u16) as i16;
        self.highest = self
            .highest
            .max(self.highest.saturating_add_signed(i64::from(ahead)));
        self.packets += 1;
        self.lost = (self.highest - first + 1).saturating_sub(self.packets);
    }
}

#[cfg(test)]
mod tests;
