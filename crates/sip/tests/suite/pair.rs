//! Two endpoints call each other over a network that loses, copies and reorders, in virtual time.

use maskline_fixtures::sip::{DEAF, FINE, NetworkFaults, OTHER, SDP, Side, World, address, name};
use maskline_sip::endpoint::{Event, Input, LegId, Refusal};
use maskline_sip::hop::{Hop, Transport};
use std::collections::BTreeMap;

#[test]
fn a_call_is_made_and_ended_by_the_caller() {
    let (mut world, caller, callee) = World::incoming_call();
    world.give(Side::Callee, Input::Progress(callee, 180, None));
    world.run(10);
    world.give(Side::Callee, Input::Answer(callee, SDP.to_vec()));
    world.run(10);
    world.give(Side::Caller, Input::HangUp(caller, Some(16)));
    world.run(10);
    assert_eq!(world.seen(Side::Caller), ["progress 180", "answered"]);
    assert_eq!(world.seen(Side::Callee), ["incoming", "confirmed", "ended"]);
    assert!(matches!(
        world.events.last(),
        Some((
            _,
            Event::Ended {
                cause: Some(16),
                ..
            }
        ))
    ));
    world.run(40_000);
    assert!(
        world.caller.is_idle() && world.callee.is_idle(),
        "nothing is left"
    );
}

#[test]
fn the_callee_hangs_up() {
    let (mut world, _, callee) = World::talking(|_, _| {});
    world.give(Side::Callee, Input::HangUp(callee, None));
    world.run(40_000);
    assert_eq!(world.seen(Side::Caller), ["answered", "ended"]);
    assert!(world.caller.is_idle() && world.callee.is_idle());
}

#[test]
fn both_hang_up_at_once() {
    let (mut world, caller, callee) = World::talking(|_, _| {});
    world.give(Side::Callee, Input::HangUp(callee, None));
    world.give(Side::Caller, Input::HangUp(caller, None));
    world.run(40_000);
    assert_eq!(
        world.times(Side::Caller, "SIP/2.0 200 OK").len(),
        1,
        "the other's BYE is answered"
    );
    assert_eq!(
        world.seen(Side::Caller),
        ["answered"],
        "who hung up hears no more"
    );
    assert!(world.caller.is_idle() && world.callee.is_idle());
}

#[test]
fn a_refusal_passes_with_its_cause() {
    let (mut world, _, callee) = World::incoming_call();
    world.give(
        Side::Callee,
        Input::Refuse(
            callee,
            Refusal {
                status: 486,
                cause: Some(17),
            },
        ),
    );
    world.run(40_000);
    assert!(matches!(
        world.events.last(),
        Some((
            Side::Caller,
            Event::Refused {
                status: 486,
                cause: Some(17),
                silent: false,
                ..
            }
        ))
    ));
    assert!(world.caller.is_idle() && world.callee.is_idle());
}

#[test]
fn a_caller_who_gives_up_stops_the_ringing() {
    let (mut world, caller, callee) = World::incoming_call();
    world.give(Side::Callee, Input::Progress(callee, 180, None));
    world.run(10);
    world.give(Side::Caller, Input::HangUp(caller, Some(16)));
    world.run(40_000);
    assert_eq!(world.times(Side::Caller, "CANCEL ").len(), 1);
    assert_eq!(world.times(Side::Callee, "SIP/2.0 487").len(), 1);
    assert!(matches!(
        world.events.last(),
        Some((
            Side::Callee,
            Event::Cancelled {
                cause: Some(16),
                ..
            }
        ))
    ));
    assert!(world.caller.is_idle() && world.callee.is_idle());
}

#[test]
fn a_cancel_waits_until_something_was_heard() {
    let mut world = World::new(1, DEAF);
    let caller = world.dial();
    world.give(Side::Caller, Input::HangUp(caller, None));
    world.run(300);
    assert!(world.times(Side::Caller, "CANCEL ").is_empty());
    world.set_faults(FINE);
    world.run(300);
    assert_eq!(
        world.times(Side::Caller, "CANCEL ").len(),
        1,
        "sent once the copy of the INVITE was heard"
    );
    world.run(40_000);
    assert_eq!(world.seen(Side::Callee), ["incoming", "cancelled"]);
    assert_eq!(world.seen(Side::Caller), Vec::<String>::new());
    assert!(world.caller.is_idle() && world.callee.is_idle());
}

#[test]
fn an_answer_that_crosses_the_cancel_is_acknowledged_and_hung_up() {
    let (mut world, caller, callee) = World::incoming_call();
    world.give(Side::Callee, Input::Answer(callee, SDP.to_vec()));
    world.give(Side::Caller, Input::HangUp(caller, None));
    world.run(40_000);
    assert_eq!(world.seen(Side::Caller), Vec::<String>::new());
    assert_eq!(world.seen(Side::Callee), ["incoming", "confirmed", "ended"]);
    assert!(world.caller.is_idle() && world.callee.is_idle());
}

#[test]
fn a_peer_that_stays_silent_is_given_up_after_32_s() {
    let mut world = World::new(1, DEAF);
    world.dial();
    world.run(40_000);
    assert_eq!(
        world.times(Side::Caller, "INVITE"),
        [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]
    );
    assert_eq!(world.seen(Side::Caller), ["refused 408 silent"]);
    assert!(world.caller.is_idle());
}

/// When an answer is sent that is never acknowledged, in milliseconds from its first time (RFC 3261 section
/// 13.3.1.4).
const REPEATS_MS: [u64; 11] = [
    0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500,
];

/// When the callee sent a success after `began`, counted from then.
fn successes(world: &World, began: u64) -> Vec<u64> {
    let times = world.times(Side::Callee, "SIP/2.0 200");
    let since = times.iter().filter_map(|time| time.checked_sub(began));
    since.collect()
}

#[test]
fn an_answer_is_repeated_until_acknowledged_and_then_hung_up_over_any_transport() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        let (mut world, _, callee) = World::by(transport, 1, FINE).called();
        world.set_faults(DEAF);
        world.give(Side::Callee, Input::Answer(callee, SDP.to_vec()));
        let began = world.times(Side::Callee, "SIP/2.0 200")[0];
        world.run(120_000);
        assert_eq!(successes(&world, began), REPEATS_MS, "{transport:?}");
        assert_eq!(world.times(Side::Callee, "BYE ")[0] - began, 32_000);
        assert_eq!(world.seen(Side::Callee), ["incoming", "ended silent"]);
        assert!(world.callee.is_idle());
    }
}

#[test]
fn an_answer_is_repeated_no_more_once_it_is_acknowledged_over_any_transport() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        let (mut world, _, callee) = World::by(transport, 1, FINE).called();
        world.set_faults(DEAF);
        world.give(Side::Callee, Input::Answer(callee, SDP.to_vec()));
        let began = world.times(Side::Callee, "SIP/2.0 200")[0];
        world.run(1_000);
        // A proxy on the way lost it; the next one arrives.
        world.set_faults(FINE);
        world.run(60_000);
        assert_eq!(successes(&world, began), [0, 500, 1_500], "{transport:?}");
        assert_eq!(world.seen(Side::Callee), ["incoming", "confirmed"]);
        assert_eq!(world.seen(Side::Caller), ["answered"]);
    }
}

#[test]
fn the_answer_to_a_re_invite_is_repeated_over_any_transport() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        let (mut world, caller, callee) = World::by(transport, 1, FINE).called();
        world.give(Side::Callee, Input::Answer(callee, SDP.to_vec()));
        world.run(1_000);
        world.give(Side::Caller, Input::Offer(caller, OTHER.to_vec()));
        world.run(1_000);
        world.set_faults(DEAF);
        world.give(Side::Callee, Input::AcceptOffer(callee, SDP.to_vec()));
        let began = world.times(Side::Callee, "SIP/2.0 200");
        let began = began.last().copied().unwrap_or_default();
        world.run(120_000);
        assert_eq!(successes(&world, began), REPEATS_MS, "{transport:?}");
        let told = world.seen(Side::Callee);
        assert_eq!(told.last().map(String::as_str), Some("ended silent"));
        assert!(world.callee.is_idle());
    }
}

#[test]
fn hanging_up_waits_for_the_acknowledgement() {
    let (mut world, _, callee) = World::incoming_call();
    world.give(Side::Callee, Input::Answer(callee, SDP.to_vec()));
    world.give(Side::Callee, Input::HangUp(callee, Some(16)));
    assert!(world.times(Side::Callee, "BYE ").is_empty());
    world.run(40_000);
    assert_eq!(world.times(Side::Callee, "BYE ").len(), 1);
    assert_eq!(world.seen(Side::Caller), ["answered", "ended"]);
    assert!(world.caller.is_idle() && world.callee.is_idle());
}

#[test]
fn a_phone_that_rings_for_ever_is_stopped() {
    let (mut world, _, callee) = World::incoming_call();
    world.give(Side::Callee, Input::Progress(callee, 180, None));
    world.run(350_000);
    assert_eq!(
        world.times(Side::Callee, "SIP/2.0 180").len(),
        6,
        "refreshed each minute"
    );
    world.run(100_000);
    assert_eq!(world.seen(Side::Callee), ["incoming", "cancelled"]);
    assert_eq!(
        world.seen(Side::Caller).last().map(String::as_str),
        Some("refused 408 silent")
    );
    assert!(world.caller.is_idle() && world.callee.is_idle());
}

/// Whatever the network does, short of cutting the line: each call has one end on each side, both sides
/// agree on whether it was answered, and nothing is left behind.
#[test]
fn a_thousand_calls_over_a_bad_network_all_end_cleanly() {
    for seed in 0..1_000 {
        let mut world = World::new(
            seed,
            NetworkFaults {
                loss_percent: 20,
                copies_percent: 10,
                delay_max_ms: 400,
            },
        );
        let outcome = play(&mut world);
        assert!(
            world.caller.is_idle(),
            "the caller is left with something, seed {seed}"
        );
        assert!(
            world.callee.is_idle(),
            "the callee is left with something, seed {seed}"
        );
        for (leg, events) in &outcome.events {
            let ends = events.iter().filter(|name| is_end(name)).count();
            assert!(
                ends <= 1,
                "{leg:?} ended {ends} times, seed {seed}: {events:?}"
            );
            assert!(
                ends == 0 || is_end(&events[events.len() - 1]),
                "something after the end, seed {seed}: {events:?}"
            );
            let over = ends == 1 || outcome.given_up.contains(leg);
            assert!(over, "{leg:?} never ended, seed {seed}: {events:?}");
        }
    }
}

type Leg = (bool, LegId);

struct Outcome {
    events: BTreeMap<Leg, Vec<String>>,
    given_up: Vec<Leg>,
}

fn is_end(name: &str) -> bool {
    ["refused", "cancelled", "ended"]
        .iter()
        .any(|end| name.starts_with(end))
}

/// A call in which each side does something at a random time, and then ten minutes pass.
fn play(world: &mut World) -> Outcome {
    let mut given_up = Vec::new();
    let caller = world.dial();
    let acts = world.chance.below(4) + 1;
    for _ in 0..acts {
        let pause = world.chance.below(3_000);
        world.run(pause);
        let callee = world.incoming();
        match (world.chance.below(6), callee) {
            (0, Some(callee)) => world.give(
                Side::Callee,
                Input::Progress(callee, 183, Some(SDP.to_vec())),
            ),
            (1 | 2, Some(callee)) => world.give(Side::Callee, Input::Answer(callee, SDP.to_vec())),
            (3, Some(callee)) => {
                world.give(Side::Callee, Input::HangUp(callee, None));
                given_up.push((false, callee));
            }
            (4, Some(callee)) => {
                // Too late if it was answered: then hanging up is what a phone does.
                world.give(
                    Side::Callee,
                    Input::Refuse(
                        callee,
                        Refusal {
                            status: 603,
                            cause: None,
                        },
                    ),
                );
                world.give(Side::Callee, Input::HangUp(callee, None));
                given_up.push((false, callee));
            }
            (5, _) => {
                world.give(Side::Caller, Input::HangUp(caller, None));
                given_up.push((true, caller));
            }
            _ => {}
        }
    }
    world.run(60_000);
    world.give(Side::Caller, Input::HangUp(caller, None));
    given_up.push((true, caller));
    world.run(540_000);
    let mut events: BTreeMap<Leg, Vec<String>> = BTreeMap::new();
    for (side, event) in &world.events {
        if let Some(leg) = event.leg() {
            events
                .entry((*side == Side::Caller, leg))
                .or_default()
                .push(name(event));
        }
    }
    Outcome { events, given_up }
}

#[test]
fn over_a_stream_nothing_that_arrives_is_repeated_and_the_via_says_so() {
    for (transport, via, param) in [
        (Transport::Tcp, "SIP/2.0/TCP", "transport=tcp"),
        (Transport::Tls, "SIP/2.0/TLS", "transport=tls"),
    ] {
        let (mut world, caller, callee) = World::by(transport, 1, FINE).called();
        let Some((_, Event::Incoming { invite, .. })) = world.events.first() else {
            panic!("a call came");
        };
        let text = String::from_utf8_lossy(invite.bytes()).into_owned();
        assert!(text.contains(via) && text.contains(param), "{text}");
        // Nobody answers for ten seconds; then the callee does, and the ACK is lost with its connection.
        world.run(10_000);
        assert_eq!(world.times(Side::Caller, "INVITE").len(), 1);
        world.give(Side::Callee, Input::Answer(callee, SDP.to_vec()));
        world.run(10);
        world.set_faults(DEAF);
        world.give(Side::Caller, Input::HangUp(caller, None));
        world.run(31_000);
        assert_eq!(world.times(Side::Caller, "BYE").len(), 1);
        assert_eq!(world.times(Side::Callee, "SIP/2.0 200").len(), 1);
        world.run(40_000);
        assert!(world.caller.is_idle(), "timer F ends it all the same");
    }
}

#[test]
fn a_hop_that_cannot_be_reached_refuses_at_once() {
    let mut world = World::by(Transport::Tcp, 1, DEAF);
    world.dial();
    let hop = Hop::tcp(address("127.0.0.1:5002"));
    world.give(
        Side::Caller,
        Input::Unreachable(Hop {
            transport: Transport::Tls,
            ..hop
        }),
    );
    assert!(world.seen(Side::Caller).is_empty(), "that is another hop");
    world.give(Side::Caller, Input::Unreachable(hop));
    assert_eq!(world.seen(Side::Caller), ["refused 503 silent"]);
    assert!(world.caller.is_idle());
}
