//! Where a side really is, and where its reports go.

use super::*;

pub(super) fn there(text: &str) -> SocketAddr {
    text.parse().expect("a literal")
}

/// Where the caller says that it is.
pub(super) const TOLD: &str = "10.0.0.5:4000";
/// Where its SBC speaks from.
pub(super) const SBC: &str = "203.0.113.5:4000";

impl World {
    /// A world whose caller tells `TOLD`, and is behind NAT or not.
    pub(super) fn of(nat: bool) -> Self {
        let mut world = Self::new();
        world.change(|path| {
            path.caller = Some(MediaEnd {
                address: there(TOLD),
                nat,
                networks: ["203.0.113.0/24", "192.0.2.1/32"]
                    .map(|network| network.parse().expect("a literal"))
                    .into(),
                ..end(CALLER, 101)
            });
        });
        world
    }

    /// A packet to the caller's port; whether it crosses.
    pub(super) fn speaks(&mut self, source: &str, ssrc: u32, sequence: u16) -> bool {
        let mut bytes = Vec::new();
        let packet = Packet {
            ssrc,
            ..sound(sequence, b"sound")
        };
        packet.write(&mut bytes);
        let mut fresh = std::mem::take(&mut self.fresh);
        let passed =
            (self.bridge).on_rtp(Side::Caller, there(source), &bytes, self.now_us, &mut fresh);
        self.fresh = fresh;
        passed.to.is_some()
    }

    /// Where the callee's next packet goes.
    pub(super) fn destination(&mut self) -> Option<SocketAddr> {
        let sequence = (self.now_us / STEP_US) as u16;
        self.say(Side::Callee, CALLEE, sound(sequence, b"sound"))
            .map(|(to, _)| to)
    }

    pub(super) fn report_from(&mut self, source: &str) {
        let mut bytes = Vec::new();
        rtcp::write(&mut bytes, 77, None, None, "name");
        self.bridge
            .on_rtcp(Side::Caller, there(source), &bytes, self.now_us);
    }

    pub(super) fn report_to(&mut self) -> Option<SocketAddr> {
        let mut fresh = Vec::new();
        self.bridge.report(Side::Caller, self.now_us, 0, &mut fresh)
    }
}

/// Packets 20 ms apart from one place: a pause before them in milliseconds, the address they come from, the
/// name of the stream, and how many.
type Stretch = (u64, &'static str, u32, u16);

/// Why, whether there is NAT, who speaks, how many packets of it cross, and where the side is at the end.
type Row = (
    &'static str,
    bool,
    &'static [Stretch],
    std::ops::RangeInclusive<u16>,
    &'static str,
);

const SIDES: &[Row] = &[
    (
        "its source gets another name",
        true,
        &[(0, SBC, 1, 10), (0, SBC, 2, 10), (0, SBC, 3, 10)],
        30..=30,
        SBC,
    ),
    (
        "two names take turns",
        true,
        &[
            (0, SBC, 1, 1),
            (0, SBC, 2, 1),
            (0, SBC, 1, 1),
            (0, SBC, 2, 1),
        ],
        4..=4,
        SBC,
    ),
    (
        "without NAT its source gets another name",
        false,
        &[(0, TOLD, 1, 10), (0, TOLD, 2, 10)],
        20..=20,
        TOLD,
    ),
    (
        "without NAT another port is somebody else",
        false,
        &[(0, TOLD, 1, 10), (5_000, "10.0.0.5:4002", 1, 50)],
        10..=10,
        TOLD,
    ),
    (
        "its port is bound anew, and the stream goes on",
        true,
        &[(0, SBC, 1, 50), (0, "203.0.113.5:6000", 1, 50)],
        90..=97,
        "203.0.113.5:6000",
    ),
    (
        "its port is bound anew, and the stream has another name",
        true,
        &[(0, SBC, 1, 50), (0, "203.0.113.5:6000", 2, 100)],
        98..=102,
        "203.0.113.5:6000",
    ),
    (
        "another machine of its network takes over",
        true,
        &[(0, SBC, 1, 50), (300, "203.0.113.9:4000", 2, 100)],
        110..=120,
        "203.0.113.9:4000",
    ),
    (
        "a stranger is first",
        true,
        &[(0, "198.51.100.66:9", 9, 1), (0, SBC, 1, 10)],
        10..=10,
        SBC,
    ),
    (
        "a stray packet from where it could be is first",
        true,
        &[(0, "203.0.113.77:9", 9, 1), (0, SBC, 1, 50)],
        45..=49,
        SBC,
    ),
    (
        "a stray packet from where it could be comes in between",
        true,
        &[
            (0, SBC, 1, 10),
            (0, "203.0.113.77:9", 9, 1),
            (0, SBC, 1, 10),
        ],
        20..=20,
        SBC,
    ),
    (
        "a stray packet comes while it says nothing",
        true,
        &[
            (0, SBC, 1, 10),
            (3_000, "203.0.113.77:9", 9, 2),
            (0, SBC, 1, 10),
        ],
        20..=20,
        SBC,
    ),
    (
        "a stranger speaks while it says nothing",
        true,
        &[(0, SBC, 1, 10), (3_000, "198.51.100.66:9", 9, 200)],
        10..=10,
        SBC,
    ),
    (
        "it is where it says after all",
        true,
        &[(0, TOLD, 1, 10)],
        10..=10,
        TOLD,
    ),
    (
        "it is another machine at the address that it says",
        true,
        &[(0, "10.0.0.5:7777", 1, 10)],
        10..=10,
        "10.0.0.5:7777",
    ),
    (
        "a port of our own is nobody",
        true,
        &[(0, "192.0.2.1:20002", 1, 10), (0, SBC, 1, 10)],
        10..=10,
        SBC,
    ),
    (
        "another port at our own address is a PBX beside us",
        true,
        &[(0, "192.0.2.1:40002", 1, 10)],
        10..=10,
        "192.0.2.1:40002",
    ),
];

#[test]
fn a_side_is_where_it_speaks_from_whatever_it_calls_its_stream() {
    for (why, nat, stretches, crossed, at_last) in SIDES {
        let mut world = World::of(*nat);
        let (mut count, mut sequence) = (0, 0);
        for (pause_ms, source, ssrc, packets) in *stretches {
            world.now_us += pause_ms * 1_000;
            for _ in 0..*packets {
                world.now_us += STEP_US;
                sequence += 1;
                count += u16::from(world.speaks(source, *ssrc, sequence));
            }
        }
        assert!(crossed.contains(&count), "{why}: {count} packets");
        assert_eq!(world.destination(), Some(there(at_last)), "{why}");
    }
}

#[test]
fn a_call_whose_sides_both_get_new_names_is_not_silent() {
    let mut world = World::of(true);
    world.change(|path| {
        path.callee = path.callee.take().map(|end| MediaEnd { nat: true, ..end });
    });
    for second in 0..120_u16 {
        // Both networks put another source in place each ten seconds.
        let ssrc = u32::from(second / 10);
        assert!(world.speaks(SBC, ssrc, second));
        let packet = Packet {
            ssrc,
            ..sound(second, b"sound")
        };
        assert!(world.say(Side::Callee, CALLEE, packet).is_some());
        world.now_us = u64::from(second) * 1_000_000;
        assert!(!world.bridge.take_silence(world.now_us), "{second}");
    }
}

#[test]
fn a_new_description_or_the_answer_lets_it_move_at_once_and_its_sound_goes_on_meanwhile() {
    let mut world = World::of(true);
    assert!(world.speaks("203.0.113.77:9", 9, 1), "early, and not it");
    world.now_us += STEP_US;
    let renewed = |path: &mut MediaPath| {
        path.caller = path.caller.take().map(|end| MediaEnd {
            version: end.version + 1,
            ..end
        });
    };
    world.change(renewed);
    assert_eq!(world.destination(), Some(there("203.0.113.77:9")));
    assert!(world.speaks(SBC, 1, 1), "it itself");
    assert_eq!(world.destination(), Some(there(SBC)));
    assert!(!world.speaks("203.0.113.77:9", 9, 2));
    // The same again is no new one.
    world.change(|_| {});
    assert!(!world.speaks("203.0.113.77:9", 9, 3));
    // Another address is another side.
    world.change(|path| {
        path.caller = path.caller.take().map(|end| MediaEnd {
            address: there("10.0.0.6:4000"),
            version: 7,
            ..end
        });
    });
    assert_eq!(world.destination(), Some(there("10.0.0.6:4000")));
}

#[test]
fn reports_go_where_a_side_wants_them_and_where_it_can_get_them() {
    struct Row {
        why: &'static str,
        nat: bool,
        rtcp: Option<&'static str>,
        /// Where sound, and then where a report comes from.
        heard: [Option<&'static str>; 2],
        to: Option<&'static str>,
        foreign: u64,
    }
    let row = |why, nat, rtcp, heard, to, foreign| Row {
        why,
        nat,
        rtcp,
        heard,
        to,
        foreign,
    };
    let above = Some("10.0.0.5:4001");
    let other = Some("10.0.0.5:53020");
    let rows = [
        row("the port above", false, None, [None, None], above, 0),
        row("a=rtcp:53020", false, other, [None, None], other, 0),
        row(
            "from another port",
            false,
            None,
            [None, Some("10.0.0.5:9")],
            Some("10.0.0.5:9"),
            0,
        ),
        row(
            "elsewhere, unheard",
            false,
            Some("10.0.0.9:9"),
            [None, None],
            None,
            0,
        ),
        row(
            "elsewhere, heard",
            false,
            Some("10.0.0.9:9"),
            [None, Some("10.0.0.9:9")],
            Some("10.0.0.9:9"),
            0,
        ),
        row(
            "a stranger's",
            false,
            None,
            [None, Some("203.0.113.5:9")],
            above,
            1,
        ),
        row("NAT, nothing heard", true, None, [None, None], above, 0),
        row(
            "NAT, its sound alone",
            true,
            None,
            [Some(SBC), None],
            None,
            0,
        ),
        row(
            "NAT, from the same place",
            true,
            None,
            [Some(SBC), Some("203.0.113.5:9")],
            Some("203.0.113.5:9"),
            0,
        ),
        row(
            "NAT, first of all",
            true,
            None,
            [None, Some("203.0.113.5:9")],
            Some("203.0.113.5:9"),
            0,
        ),
        row(
            "NAT, a stranger's",
            true,
            None,
            [None, Some("198.51.100.66:9")],
            above,
            1,
        ),
        row(
            "NAT, another's",
            true,
            None,
            [Some(SBC), Some("203.0.113.77:9")],
            None,
            1,
        ),
        row(
            "NAT, our own port",
            true,
            None,
            [None, Some("192.0.2.1:20003")],
            above,
            1,
        ),
        row(
            "NAT, where it says",
            true,
            other,
            [Some(TOLD), None],
            other,
            0,
        ),
    ];
    for row in rows {
        let why = row.why;
        let mut world = World::of(row.nat);
        world.change(|path| {
            path.caller = path.caller.take().map(|end| MediaEnd {
                rtcp: row.rtcp.map(there),
                ..end
            });
        });
        let [sound, report] = row.heard;
        if let Some(source) = sound {
            assert!(world.speaks(source, 1, 1), "{why}");
        }
        if let Some(source) = report {
            world.report_from(source);
        }
        assert_eq!(world.report_to(), row.to.map(there), "{why}");
        let received = world.bridge.received(Side::Caller);
        assert_eq!(received.foreign, row.foreign, "{why}");
    }
}

#[test]
fn comfort_noise_is_for_who_took_it() {
    for takes in [false, true] {
        let mut world = World::new();
        world.change(|path| {
            path.callee = path.callee.take().map(|end| MediaEnd {
                noise: takes,
                ..end
            });
        });
        let noise = Packet {
            payload_type: 13,
            ..sound(1, &[60])
        };
        let got = world.say(Side::Caller, CALLER, noise);
        assert_eq!(got.is_some(), takes);
        // The sound after it is not missed.
        let (_, after) = world
            .say(Side::Caller, CALLER, sound(2, b"sound"))
            .expect("crosses");
        assert_eq!(after.payload_type, 8);
        assert_eq!(world.bridge.received(Side::Caller).odd, 0);
    }
}

#[test]
fn a_packet_is_relayed_whole_or_not_at_all() {
    for (length, crosses) in [
        (160, true),
        (1_460, true),
        (1_488, true),
        (1_489, true),
        (2_000, true),
        (PACKET_BYTES_MAX - 12, true),
        (PACKET_BYTES_MAX - 11, false),
    ] {
        let mut world = World::new();
        let payload = vec![7; length];
        let got = world.say(Side::Caller, CALLER, sound(1, &payload));
        assert_eq!(got.is_some(), crosses, "{length}");
        if let Some((_, packet)) = got {
            assert_eq!(packet.payload, payload);
        }
        let odd = world.bridge.received(Side::Caller).odd;
        assert_eq!(odd, u64::from(!crosses), "{length}");
    }
}

#[test]
fn nobody_is_believed_at_an_address_that_leads_here_by_now() {
    let at = "203.0.113.5:20000";
    assert!(World::of(true).speaks(at, 7, 1), "it is the side's own");
    let mut world = World::of(true);
    let mut local = LocalMedia::clone(&local_media());
    local.add(there(at).ip());
    world.bridge.set_local_media(&Arc::new(local));
    assert!(!world.speaks(at, 7, 1));
}
