//! With which addresses our media speaks, what is sent to one that has not been heard, and what would come back.

use super::*;
use crate::media_reach::Reach;
use maskline_sip::relay::LocalMedia;
use std::net::IpAddr;
use world::{offered, refused, sdp_again};

/// Where the relay of each test receives.
const FOR_CALLER: &str = "192.0.2.1:20000";
const FOR_CALLEE: &str = "192.0.2.1:20002";

fn ip(text: &str) -> IpAddr {
    text.parse().expect("a literal")
}

impl World {
    fn bound_to(bound: &str, told: &str) -> Self {
        let mut world = Self::new();
        let local = LocalMedia::new(ip(bound), ip(told), [], (20_000, 29_999));
        world.switch.setup.local_media = Arc::new(local);
        world
    }

    fn is_answered(&self) -> bool {
        let mut events = self.caller_events.iter();
        events.any(|event| matches!(event, Event::Answered { .. }))
    }

    fn is_refused_for_family(&self) -> bool {
        let warning = format!("Warning: 301 {SWITCH} \"Incompatible network address formats\"\r\n");
        self.caller_end().0 == 488 && holds(&self.to_caller, &warning)
    }
}

/// Two lines of audio, at these addresses.
fn sdp_of_two(first: &str, second: &str) -> Vec<u8> {
    let line = |at: &str| {
        let at = address(at);
        let kind = if at.is_ipv4() { "IP4" } else { "IP6" };
        let (ip, port) = (at.ip(), at.port());
        format!("m=audio {port} RTP/AVP 8\r\nc=IN {kind} {ip}\r\n")
    };
    let head = "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nt=0 0\r\n";
    [head, &line(first), &line(second)].concat().into_bytes()
}

const IPV4: &str = "198.51.100.7:7000";
const IPV6: &str = "[2001:db8::7]:7000";

#[test]
fn an_offer_is_taken_in_a_family_that_we_speak_or_refused_with_a_warning() {
    // Where media is received, what peers are told, what the caller offers, and what is taken of it.
    let one = |at: &str| sdp_at(at, "8");
    let rows = [
        ("192.0.2.1", "192.0.2.1", one(IPV4), Some(IPV4)),
        ("192.0.2.1", "192.0.2.1", one(IPV6), None),
        ("0.0.0.0", "192.0.2.1", one(IPV6), None),
        ("0.0.0.0", "192.0.2.1", sdp_of_two(IPV6, IPV4), Some(IPV4)),
        ("0.0.0.0", "192.0.2.1", sdp_of_two(IPV4, IPV6), Some(IPV4)),
        ("0.0.0.0", "192.0.2.1", sdp_of_two(IPV6, IPV6), None),
        ("2001:db8::1", "2001:db8::1", one(IPV4), None),
        ("2001:db8::1", "2001:db8::1", one(IPV6), Some(IPV6)),
        (
            "2001:db8::1",
            "2001:db8::1",
            sdp_of_two(IPV4, IPV6),
            Some(IPV6),
        ),
        ("::", "2001:db8::1", one(IPV6), Some(IPV6)),
        ("::", "2001:db8::1", one(IPV4), None),
        ("::", "192.0.2.1", one(IPV4), Some(IPV4)),
        ("::", "192.0.2.1", sdp_of_two(IPV6, IPV4), Some(IPV4)),
    ];
    for (bound, told, sdp, taken) in rows {
        let mut world = World::bound_to(bound, told);
        let text = String::from_utf8_lossy(&sdp).into_owned();
        world.dial(sdp, 70);
        let Some(taken) = taken else {
            assert!(world.is_refused_for_family(), "{bound} {told} {text}");
            continue;
        };
        let callee = world.callee_leg();
        let answer = sdp_at(
            if ip(told).is_ipv4() {
                CALLEE_MEDIA
            } else {
                IPV6
            },
            "8",
        );
        world.callee_does(SipInput::Answer(callee, answer));
        assert!(world.is_answered(), "{bound} {told} {text}");
        let path = world.paths.last().cloned().expect("a path");
        let at = path.caller.map(|end| end.address);
        assert_eq!(at, Some(address(taken)), "{bound} {told} {text}");
    }
}

#[test]
fn an_answer_in_another_family_ends_the_call_and_a_later_offer_in_one_is_refused() {
    let mut world = World::new();
    world.call();
    let callee = world.callee_leg();
    world.callee_does(SipInput::Answer(callee, sdp_at(IPV6, "8 101")));
    assert_eq!(world.caller_end().0, 488);
    let mut world = World::new();
    let (caller, _) = world.talk();
    world.caller_does(SipInput::Offer(
        caller,
        sdp_again(2, IPV6, "8 101", "sendrecv"),
    ));
    assert_eq!(refused(&world.caller_events), Some(488));
    assert_eq!(offered(&world.callee_events), None);
    assert_eq!(world.paths.len(), 1, "what was agreed stays");
}

#[test]
fn what_may_be_sent_before_it_is_heard_depends_on_who_can_have_asked_for_it() {
    let bound = |bytes, ms, is_source_verified| {
        Some(Unheard {
            bytes,
            ms,
            is_source_verified,
        })
    };
    let (few, many) = (bound(4_096, 10_000, false), bound(786_432, 60_000, true));
    let (none, none_verified) = (bound(0, 0, false), bound(0, 0, true));
    let plain = || trunk("in", CALLER, true);
    let listing = |networks: &[&str]| {
        let mut trunk = plain();
        let networks = networks.iter().map(|it| it.parse().expect("a literal"));
        trunk.definition.media_networks = networks.collect();
        trunk
    };
    let over = |transport| {
        let mut trunk = plain();
        trunk.peer.hop.transport = transport;
        trunk
    };
    let mut challenged = plain();
    challenged.peer.challenge = Some(maskline_sip::digest::Credentials {
        username: "u".to_owned(),
        password: "p".to_owned(),
    });
    use maskline_sip::hop::Transport::{Tcp, Tls, Udp};
    let rows = [
        ("UDP", plain(), "198.51.100.7", few, many),
        ("UDP, elsewhere", over(Udp), "203.0.113.66", few, many),
        ("TCP", over(Tcp), "198.51.100.7", many, many),
        ("TLS", over(Tls), "198.51.100.7", many, many),
        ("with a password", challenged, "198.51.100.7", many, many),
        (
            "listed",
            listing(&["198.51.100.0/24"]),
            "198.51.100.7",
            None,
            None,
        ),
        (
            "second of a list",
            listing(&["10.0.0.0/8", "198.51.100.7/32"]),
            "198.51.100.7",
            None,
            None,
        ),
        (
            "not listed",
            listing(&["10.0.0.0/8"]),
            "198.51.100.7",
            none,
            none_verified,
        ),
        (
            "the victim",
            listing(&["198.51.100.7/32"]),
            "198.51.100.8",
            none,
            none_verified,
        ),
        (
            "listed, IPv6",
            listing(&["2001:db8::/32"]),
            "2001:db8::9",
            None,
            None,
        ),
        (
            "not listed, IPv6",
            listing(&["2001:db8::/32"]),
            "2001:db9::9",
            none,
            none_verified,
        ),
    ];
    for (why, trunk, at, as_caller, as_callee) in rows {
        let setup = world::setup();
        let caller = Reach::of_caller(&trunk, &setup);
        assert_eq!(caller.unheard(ip(at)), as_caller, "{why}");
        let callee = Reach::of_callee(&trunk, &setup);
        assert_eq!(callee.unheard(ip(at)), as_callee, "{why}");
    }
}

#[test]
fn a_caller_that_acknowledges_something_may_be_sent_as_much_as_one_that_is_verified() {
    let verified = Unheard {
        bytes: 786_432,
        ms: 60_000,
        is_source_verified: true,
    };
    // Whether the caller acknowledges what comes before the answer.
    for acknowledges in [false, true] {
        let mut world = World::new();
        world.without_100rel = (!acknowledges).then_some(CALLER);
        world.call();
        let callee = world.callee_leg();
        let early = SipInput::Progress(callee, 183, Some(sdp_at(CALLEE_MEDIA, "8 101")));
        world.callee_does(early);
        let so_far = world.unheard.len();
        assert_eq!(so_far, usize::from(acknowledges));
        world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "8 101")));
        assert_eq!(world.unheard, [(Side::Caller, verified)], "told once");
    }
    // Nothing is told where its trunk says where its media is, and there is no bound.
    let mut world = World::new();
    let mut listing = trunk("in", CALLER, true);
    listing.definition.media_networks = vec!["198.51.100.0/24".parse().expect("a literal")];
    world.tell(Input::Trunks(vec![listing, trunk("out", CALLEE, true)]));
    world.talk();
    assert_eq!(world.unheard, []);
}

#[test]
fn behind_nat_a_side_is_sought_where_its_trunk_is_and_anew_at_the_answer() {
    let mut world = World::new();
    let nat = |name: &str, peer: &str| {
        let mut trunk = trunk(name, peer, true);
        trunk.definition.nat = true;
        trunk.definition.media_networks = vec!["10.0.0.0/8".parse().expect("a literal")];
        trunk.peer.sources = vec![ip("198.51.100.200")];
        trunk
    };
    world.answers.trunks = vec![nat("out", CALLEE)];
    let trunks = vec![nat("in", CALLER), nat("out", CALLEE)];
    world.tell(Input::Trunks(trunks));
    world.call();
    let callee = world.callee_leg();
    world.callee_does(SipInput::Progress(
        callee,
        183,
        Some(sdp_at(CALLEE_MEDIA, "8 101")),
    ));
    let early = world.paths.last().cloned().expect("early media");
    let caller = early.caller.expect("a caller");
    let networks: Vec<String> = caller.networks.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8"]);
    assert_eq!(*caller.sources, [ip("198.51.100.7"), ip("198.51.100.200")]);
    world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "8 101")));
    let answered = world.paths.last().cloned().expect("a path");
    let later = answered.caller.expect("a caller");
    assert_eq!(later.version, caller.version + 1, "sought anew");
    let callees = [early.callee, answered.callee].map(|end| end.map_or(0, |end| end.version));
    assert!(callees[0] < callees[1], "{callees:?}");
}

#[test]
fn media_that_would_come_back_is_refused_before_and_after_the_answer() {
    // What the callee says in its answer.
    for at in [
        FOR_CALLEE,
        FOR_CALLER,
        "192.0.2.1:20003",
        "[::ffff:192.0.2.1]:20000",
    ] {
        let mut world = World::new();
        world.call();
        let callee = world.callee_leg();
        world.callee_does(SipInput::Answer(callee, sdp_at(at, "8 101")));
        assert_eq!(world.caller_end().0, 488, "{at}");
        assert!(world.paths.is_empty(), "{at}");
        assert!(world.is_clean(), "{at}");
    }
    // What the caller guesses in its offer, before it can know any port.
    for at in [FOR_CALLER, FOR_CALLEE] {
        let mut world = World::new();
        world.dial(sdp_at(at, "8 101"), 70);
        assert_eq!(world.caller_end().0, 488, "{at}");
        assert!(world.is_clean(), "{at}");
    }
    // What either says later.
    for at in [FOR_CALLER, FOR_CALLEE] {
        let mut world = World::new();
        let (caller, callee) = world.talk();
        world.caller_does(SipInput::Offer(
            caller,
            sdp_again(2, at, "8 101", "sendrecv"),
        ));
        assert_eq!(refused(&world.caller_events), Some(488), "{at}");
        world.callee_does(SipInput::Offer(
            callee,
            sdp_again(2, at, "8 101", "sendrecv"),
        ));
        assert_eq!(refused(&world.callee_events), Some(488), "{at}");
        assert_eq!(world.paths.len(), 1, "what was agreed stays");
        // An answer to a new offer cannot be refused any more.
        let offer = sdp_again(2, CALLER_MEDIA, "8 101", "sendonly");
        world.caller_does(SipInput::Offer(caller, offer));
        let answer = sdp_again(3, at, "8 101", "recvonly");
        world.callee_does(SipInput::AcceptOffer(callee, answer));
        assert!(matches!(
            world.caller_events.last(),
            Some(Event::Ended { .. })
        ));
        assert_eq!(world.paths.len(), 1, "nothing went round");
        assert!(world.is_clean(), "{at}");
    }
    // Other ports of ours may be anybody's: a PBX beside us.
    for at in ["192.0.2.1:30000", "192.0.2.1:20004", "192.0.2.1:40000"] {
        let mut world = World::new();
        world.dial(sdp_at(at, "8 101"), 70);
        let callee = world.callee_leg();
        world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "8 101")));
        assert!(world.is_answered(), "{at}");
    }
}

#[test]
fn an_interface_that_came_up_leads_back_too_and_is_handed_on_once() {
    let mut world = World::bound_to("0.0.0.0", "192.0.2.1");
    let moment = world.moment();
    let mut handed_on = Vec::new();
    for _ in 0..2 {
        let interfaces = Input::Interfaces(vec![ip("10.0.0.5")]);
        world.switch.handle_input(interfaces, moment);
        while let Some(output) = world.switch.poll_output() {
            if let Output::LocalMedia(local) = output {
                handed_on.push(local);
            }
        }
    }
    assert_eq!(handed_on.len(), 1, "the second time it is nothing new");
    assert!(handed_on[0].is_media(address("10.0.0.5:20000")));
    world.dial(sdp_at("10.0.0.5:20002", "8 101"), 70);
    assert_eq!(world.caller_end().0, 488);
}
