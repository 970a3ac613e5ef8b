mod latch;
mod nat;
mod unheard;

use super::*;
use crate::unheard::Limits;
use maskline_fixtures::sip::media_end;
use maskline_sip::dtmf::Event;
use maskline_sip::relay::Repeat;
use maskline_sip::rtp::Loss;
use maskline_sip::sdp::{Direction, Payloads};

const SILENCE_MAX: SilenceMax = SilenceMax {
    usual_us: 30_000_000,
    held_us: 300_000_000,
};
const STEP_US: u64 = 20_000;

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn end(port: u16, events: u8) -> MediaEnd {
    MediaEnd {
        payloads: Payloads {
            codec: 8,
            events: Some(events),
        },
        noise: true,
        ..media_end(at(port))
    }
}

/// We are at other addresses than anybody here.
fn local_media() -> Arc<LocalMedia> {
    let ip = std::net::IpAddr::from([192, 0, 2, 1]);
    Arc::new(LocalMedia::new(ip, ip, [], (20_000, 29_999)))
}

fn budget() -> Arc<UnheardBudget> {
    Arc::new(UnheardBudget::new(Limits::for_calls(4_096)))
}

const CALLER: u16 = 4_000;
const CALLEE: u16 = 5_000;

struct World {
    bridge: Bridge,
    path: MediaPath,
    now_us: u64,
    fresh: Vec<u8>,
}

/// What a side got: where it went, and the packet.
type Got = (SocketAddr, OwnedPacket);

#[derive(Clone, Debug, PartialEq, Eq)]
struct OwnedPacket {
    marker: bool,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    payload: Vec<u8>,
}

impl World {
    fn new() -> Self {
        Self::with_chance(1, &budget())
    }

    /// One of several calls.
    fn beside(budget: &Arc<UnheardBudget>) -> Self {
        Self::with_chance(1, budget)
    }

    fn with_chance(mut seed: u64, budget: &Arc<UnheardBudget>) -> Self {
        let mut world = Self {
            bridge: Bridge::new(SILENCE_MAX, (&local_media(), budget), 0, || {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                seed
            }),
            path: MediaPath {
                caller: Some(end(CALLER, 101)),
                callee: Some(end(CALLEE, 96)),
            },
            now_us: 0,
            fresh: Vec::new(),
        };
        world.bridge.set_path(&world.path, 0);
        world
    }

    fn change(&mut self, change: impl FnOnce(&mut MediaPath)) {
        change(&mut self.path);
        self.bridge.set_path(&self.path, self.now_us);
    }

    fn say(&mut self, side: Side, source: u16, packet: Packet<'_>) -> Option<Got> {
        self.hear(side, source, packet).0
    }

    /// What was sent on, and which key is to be told otherwise.
    fn hear(&mut self, side: Side, source: u16, packet: Packet<'_>) -> (Option<Got>, Option<char>) {
        let mut bytes = Vec::new();
        packet.write(&mut bytes);
        self.now_us += STEP_US;
        let mut fresh = std::mem::take(&mut self.fresh);
        let passed = (self.bridge).on_rtp(side, at(source), &bytes, self.now_us, &mut fresh);
        let (to, key) = (passed.to, passed.key);
        self.fresh = fresh;
        (to.map(|to| (to, self.written())), key)
    }

    fn tick(&mut self, side: Side) -> (Option<Got>, bool) {
        self.now_us += STEP_US;
        let mut fresh = std::mem::take(&mut self.fresh);
        let ticked = self.bridge.tick(side, self.now_us, &mut fresh);
        self.fresh = fresh;
        (ticked.to.map(|to| (to, self.written())), ticked.is_over)
    }

    fn written(&self) -> OwnedPacket {
        let packet = Packet::parse(&self.fresh).expect("we write RTP");
        OwnedPacket {
            marker: packet.marker,
            payload_type: packet.payload_type,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            ssrc: packet.ssrc,
            payload: packet.payload.to_vec(),
        }
    }
}

fn sound(sequence: u16, payload: &[u8]) -> Packet<'_> {
    Packet {
        marker: false,
        payload_type: 8,
        sequence,
        timestamp: u32::from(sequence) * 160,
        ssrc: 77,
        payload,
    }
}

fn key(sequence: u16, payload_type: u8, payload: &[u8; 4]) -> Packet<'_> {
    Packet {
        payload_type,
        timestamp: 5_000,
        ..sound(sequence, payload)
    }
}

const FIVE: [u8; 4] = [5, 10, 0, 160];

#[test]
fn sound_crosses_both_ways_under_names_of_ours() {
    let mut world = World::new();
    let (to, first) = world
        .say(Side::Caller, CALLER, sound(1, b"hello"))
        .expect("crosses");
    assert_eq!(
        (to, first.payload.as_slice()),
        (at(CALLEE), b"hello".as_slice())
    );
    let (_, second) = world
        .say(Side::Caller, CALLER, sound(2, b"again"))
        .expect("crosses");
    assert_eq!(second.sequence, first.sequence.wrapping_add(1));
    assert_eq!(second.timestamp, first.timestamp.wrapping_add(160));
    assert!(first.ssrc != 77 && first.ssrc == second.ssrc);
    let (to, back) = world
        .say(Side::Callee, CALLEE, sound(9, b"yes"))
        .expect("crosses");
    assert_eq!(to, at(CALLER));
    assert_ne!(back.ssrc, first.ssrc);
    assert_eq!(world.bridge.received(Side::Caller).packets, 2);
}

#[test]
fn nothing_of_a_sides_own_numbers_shows() {
    let run = |ssrc: u32, first: u16, begun: u32| {
        let mut world = World::new();
        let mut out = Vec::new();
        for n in [0_u16, 1, 3, 2, 4] {
            let packet = Packet {
                sequence: first.wrapping_add(n),
                timestamp: begun.wrapping_add(u32::from(n) * 160),
                ssrc,
                ..sound(0, b"sound")
            };
            out.push(world.say(Side::Caller, CALLER, packet));
        }
        out
    };
    assert_eq!(run(0xdead_beef, 65_534, u32::MAX - 200), run(1, 1, 1));
}

#[test]
fn strangers_are_neither_heard_nor_do_they_hear() {
    let mut world = World::new();
    assert_eq!(world.say(Side::Caller, 6_666, sound(1, b"evil")), None);
    assert_eq!(world.say(Side::Caller, CALLEE, sound(1, b"evil")), None);
    let odd = Packet {
        payload_type: 18,
        ..sound(1, b"odd")
    };
    assert_eq!(world.say(Side::Caller, CALLER, odd), None);
    let received = world.bridge.received(Side::Caller);
    assert_eq!(
        (received.foreign, received.odd, received.packets),
        (2, 1, 0)
    );
}

#[test]
fn keys_and_comfort_noise_cross_with_the_other_sides_numbers() {
    let mut world = World::new();
    let (_, got) = world
        .say(Side::Caller, CALLER, key(1, 101, &FIVE))
        .expect("crosses");
    assert_eq!(
        (got.payload_type, got.payload.as_slice()),
        (96, FIVE.as_slice())
    );
    let noise = Packet {
        payload_type: 13,
        ..sound(2, &[60])
    };
    let (_, got) = world.say(Side::Callee, CALLEE, noise).expect("crosses");
    assert_eq!(got.payload_type, 13);
    // A side may use the numbers of what it was told, too.
    let (_, got) = world
        .say(Side::Caller, CALLER, key(3, 96, &FIVE))
        .expect("crosses");
    assert_eq!(got.payload_type, 96);
}

#[test]
fn keys_cross_beside_a_codec_that_is_only_passed_on() {
    let mut world = World::new();
    world.change(|path| {
        for (end, codec) in [(&mut path.caller, 104), (&mut path.callee, 97)] {
            let end = end.as_mut().expect("both are there");
            (end.law, end.payloads.codec) = (None, codec);
        }
    });
    let wide = Packet {
        payload_type: 104,
        ..sound(1, &[7; 60])
    };
    let (_, got) = world.say(Side::Caller, CALLER, wide).expect("crosses");
    assert_eq!((got.payload_type, got.payload), (97, vec![7; 60]));
    let (_, got) = world
        .say(Side::Caller, CALLER, key(2, 101, &FIVE))
        .expect("crosses");
    assert_eq!((got.payload_type, got.payload), (96, FIVE.to_vec()));
}

#[test]
fn a_key_that_the_other_side_cannot_take_by_rtp_is_told_once() {
    let mut world = World::new();
    world.change(|path| {
        path.callee = path.callee.take().map(|mut end| {
            end.payloads.events = None;
            end
        });
    });
    let heard: Vec<_> = (1..6)
        .map(|n| world.hear(Side::Caller, CALLER, key(n, 101, &FIVE)))
        .collect();
    let keys: Vec<_> = heard.iter().map(|(_, key)| *key).collect();
    assert_eq!(keys, [Some('5'), None, None, None, None]);
    assert!(heard.iter().all(|(got, _)| got.is_none()));
}

#[test]
fn a_pressed_key_is_heard_between_sound_without_a_break_in_the_numbers() {
    let mut world = World::new();
    let (_, before) = world
        .say(Side::Caller, CALLER, sound(1, b"hello"))
        .expect("crosses");
    world.bridge.press(Side::Callee, '7');
    assert!(world.bridge.wants_ticks());
    let mut packets = Vec::new();
    let mut sequence = 2;
    while world.bridge.wants_ticks() {
        packets.extend(world.tick(Side::Callee).0);
        if world.bridge.wants_ticks() {
            let meanwhile = world.say(Side::Caller, CALLER, sound(sequence, b"hidden"));
            assert_eq!(meanwhile, None);
            sequence += 1;
        }
    }
    let events: Vec<Event> = packets
        .iter()
        .filter_map(|(_, got)| Event::parse(&got.payload))
        .collect();
    assert!(events.iter().all(|event| event.code == 7) && events.len() == packets.len());
    assert_eq!(events.iter().filter(|event| event.end).count(), 3);
    assert!(packets.iter().all(|(_, got)| got.payload_type == 96));
    assert!(
        packets
            .iter()
            .all(|(_, got)| got.timestamp == packets[0].1.timestamp)
    );
    let markers: Vec<bool> = packets.iter().map(|(_, got)| got.marker).collect();
    assert!(markers[0] && !markers[1..].contains(&true));
    let (_, after) = world
        .say(Side::Caller, CALLER, sound(sequence, b"hello"))
        .expect("crosses");
    let count = u16::try_from(packets.len()).expect("few");
    assert_eq!(after.sequence, before.sequence.wrapping_add(count + 1));
    assert!(after.timestamp.wrapping_sub(packets[0].1.timestamp) < 80_000);
}

#[test]
fn a_prompt_takes_the_place_of_the_other_side_and_ends() {
    let mut world = World::new();
    let (_, before) = world
        .say(Side::Callee, CALLEE, sound(1, b"ring"))
        .expect("crosses");
    let prompt = Player::new(vec![3; 400].into(), Law::A, Repeat::Once);
    assert!(world.bridge.play(Side::Caller, prompt));
    assert_eq!(world.say(Side::Callee, CALLEE, sound(2, b"hidden")), None);
    let ticks: Vec<_> = (0..4).map(|_| world.tick(Side::Caller)).collect();
    let packets: Vec<_> = ticks.iter().filter_map(|(got, _)| got.clone()).collect();
    let over: Vec<bool> = ticks.iter().map(|(_, is_over)| *is_over).collect();
    assert_eq!(over, [false, false, false, true]);
    assert!(!world.bridge.wants_ticks());
    for (n, (to, got)) in (1..).zip(&packets) {
        assert_eq!(
            (*to, got.payload_type, got.payload.len()),
            (at(CALLER), 8, 160)
        );
        assert_eq!(got.sequence, before.sequence.wrapping_add(n));
        assert_eq!((got.marker, got.ssrc), (n == 1, before.ssrc));
    }
    assert_eq!(packets[2].1.payload[79..81], [3, Law::A.silence()]);
    let (_, after) = world
        .say(Side::Callee, CALLEE, sound(9, b"voice"))
        .expect("crosses");
    assert_eq!(after.sequence, before.sequence.wrapping_add(4));
    assert!(after.marker);
}

#[test]
fn a_caller_alone_hears_a_prompt_and_without_a_known_codec_nobody_does() {
    let mut world = World::new();
    world.change(|path| path.callee = None);
    let prompt = || Player::new(vec![3; 400].into(), Law::A, Repeat::Once);
    assert!(world.bridge.play(Side::Caller, prompt()));
    assert!(world.tick(Side::Caller).0.is_some());
    assert!(
        !world.bridge.play(Side::Callee, prompt()),
        "nobody is there"
    );
    assert_eq!(world.say(Side::Caller, CALLER, sound(1, b"hello")), None);
    world.change(|path| path.caller = path.caller.take().map(|end| MediaEnd { law: None, ..end }));
    assert!(!world.bridge.play(Side::Caller, prompt()));
}

#[test]
fn hold_is_honoured_in_each_direction() {
    let rows = [
        (Direction::SendRecv, true, true),
        (Direction::SendOnly, true, false),
        (Direction::RecvOnly, false, true),
        (Direction::Inactive, false, false),
    ];
    for (direction, sends, receives) in rows {
        let mut world = World::new();
        world.change(|path| {
            path.caller = path.caller.take().map(|end| MediaEnd { direction, ..end })
        });
        let from = world.say(Side::Caller, CALLER, sound(1, b"out"));
        let to = world.say(Side::Callee, CALLEE, sound(1, b"in"));
        assert_eq!(
            (from.is_some(), to.is_some()),
            (sends, receives),
            "{direction:?}"
        );
    }
    // Old phones hold by an address that is none.
    let mut world = World::new();
    world.change(|path| {
        path.caller = path.caller.take().map(|end| MediaEnd {
            address: SocketAddr::from(([0, 0, 0, 0], CALLER)),
            ..end
        });
    });
    assert_eq!(world.say(Side::Callee, CALLEE, sound(1, b"in")), None);
}

#[test]
fn silence_is_told_after_the_time_that_the_path_allows() {
    let mut world = World::new();
    assert!(!world.bridge.take_silence(29_999_999));
    world.now_us = 29_000_000;
    world.say(Side::Callee, CALLEE, sound(1, b"alive"));
    assert!(!world.bridge.take_silence(58_000_000));
    assert!(world.bridge.take_silence(60_000_000));
    assert!(!world.bridge.take_silence(61_000_000), "told once");
    world.now_us = 61_000_000;
    let direction = Direction::SendOnly;
    world.change(|path| path.callee = path.callee.take().map(|end| MediaEnd { direction, ..end }));
    assert!(!world.bridge.take_silence(360_000_000));
    assert!(world.bridge.take_silence(361_000_000));
    world.change(|path| path.callee = None);
    assert!(
        !world.bridge.take_silence(u64::MAX),
        "nobody is expected to speak"
    );
}

#[test]
fn loss_and_unevenness_are_counted_for_each_side() {
    let mut world = World::new();
    for sequence in [1, 2, 5, 6] {
        world.say(Side::Caller, CALLER, sound(sequence, b"sound"));
    }
    let received = world.bridge.received(Side::Caller);
    assert_eq!((received.packets, received.lost), (4, 2));
    assert!(
        received.jitter_ms > 0,
        "two packets less time than their numbers say"
    );
    assert_eq!(world.bridge.received(Side::Callee), Received::default());
}

#[test]
fn reports_are_ours_and_nothing_of_theirs_crosses() {
    let mut world = World::new();
    let mut fresh = Vec::new();
    world.bridge.report(Side::Caller, 0, 0, &mut fresh);
    let heard = rtcp::read(&fresh, 77).expect("ours adds up");
    assert_eq!(
        (heard.sender, heard.ours),
        (None, None),
        "nothing sent, nothing heard"
    );
    let (_, got) = world
        .say(Side::Callee, CALLEE, sound(1, b"sound"))
        .expect("crosses");
    world.say(Side::Caller, CALLER, sound(1, b"sound"));
    world.say(Side::Caller, CALLER, sound(3, b"sound"));
    // The caller reports that it misses four packets of ours, under a name that says who it is.
    let block = Block {
        loss: Loss {
            ssrc: got.ssrc,
            total: 4,
            ..Loss::default()
        },
        ..Block::default()
    };
    let mut theirs = Vec::new();
    let sender = Sender {
        ntp: 0x1234_5678_9abc_def0,
        timestamp: 1,
        packets: 2,
        octets: 3,
    };
    rtcp::write(
        &mut theirs,
        77,
        Some(&sender),
        Some(&block),
        "13800000000@home",
    );
    world
        .bridge
        .on_rtcp(Side::Caller, at(CALLER + 1), &theirs, 1_000_000);
    let stranger = SocketAddr::from(([127, 0, 0, 2], CALLER + 1));
    world
        .bridge
        .on_rtcp(Side::Caller, stranger, &theirs, 1_000_000);
    let received = world.bridge.received(Side::Caller);
    assert_eq!((received.missed, received.foreign), (Some(4), 1));
    let to = world.bridge.report(Side::Caller, 1_500_000, 0, &mut fresh);
    assert_eq!(to, Some(at(CALLER + 1)));
    let heard = rtcp::read(&fresh, 77).expect("ours adds up");
    assert_eq!(
        heard.sender.map(|sender| (sender.packets, sender.octets)),
        Some((1, 5))
    );
    let about = heard.ours.expect("it was heard");
    assert_eq!(
        (about.loss.total, about.last_report, about.delay),
        (1, 0x5678_9abc, 32_768)
    );
    for side in Side::BOTH {
        world.bridge.report(side, 1_500_000, 0, &mut fresh);
        let shows = |text: &[u8]| fresh.windows(text.len()).any(|part| part == text);
        assert!(!shows(b"138") && !shows(b"home"));
    }
}

#[test]
fn a_key_that_is_pressed_while_nobody_is_across_is_told_to_nobody() {
    let mut world = World::new();
    world.change(|path| path.callee = None);
    let heard = world.hear(Side::Caller, CALLER, key(1, 101, &FIVE));
    assert_eq!(heard, (None, None));
}
