//! Two endpoints change the media of a call, send keys and keep it alive, in virtual time.

use maskline_fixtures::sip::{DEAF, FINE, NetworkFaults, SDP, Side, World};
use maskline_sip::endpoint::{Event, Input, LegId};

/// SDP of the same side in another state.
fn sdp(version: u32, direction: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(SDP).replace("o=- 1 1 ", &format!("o=- 1 {version} "));
    format!("{text}a={direction}\r\n").into_bytes()
}

/// A call that stands, of which nothing has been told yet.
fn talking() -> (World, LegId, LegId) {
    let (mut world, caller, callee) = World::talking(|_, _| {});
    world.events.clear();
    (world, caller, callee)
}

fn assert_ends_cleanly(mut world: World, caller: LegId) {
    world.give(Side::Caller, Input::HangUp(caller, Some(16)));
    world.run(80_000);
    assert!(world.caller.is_idle(), "the caller is left with something");
    assert!(world.callee.is_idle(), "the callee is left with something");
}

#[test]
fn hold_and_resume() {
    let (mut world, caller, callee) = talking();
    world.give(Side::Caller, Input::Offer(caller, sdp(2, "sendonly")));
    world.run(10);
    let Some((
        _,
        Event::Offered {
            sdp: Some(offer), ..
        },
    )) = world.events.last()
    else {
        panic!("the callee sees the offer")
    };
    assert_eq!(*offer, sdp(2, "sendonly"));
    world.give(Side::Callee, Input::AcceptOffer(callee, sdp(2, "recvonly")));
    world.run(10);
    let Some((_, Event::OfferAccepted { sdp: answer, .. })) = world.events.last() else {
        panic!("the caller sees the answer")
    };
    assert_eq!(*answer, sdp(2, "recvonly"));
    world.give(Side::Callee, Input::Offer(callee, sdp(3, "sendrecv")));
    world.run(10);
    world.give(Side::Caller, Input::AcceptOffer(caller, sdp(3, "sendrecv")));
    world.run(60_000);
    assert_eq!(world.seen(Side::Caller), ["offer accepted", "offered"]);
    assert_eq!(world.seen(Side::Callee), ["offered", "offer accepted"]);
    assert_eq!(world.times(Side::Caller, "ACK").len(), 2);
    assert_ends_cleanly(world, caller);
}

#[test]
fn a_refused_offer_leaves_the_call_as_it_was() {
    let (mut world, caller, callee) = talking();
    world.give(Side::Caller, Input::Offer(caller, sdp(2, "inactive")));
    world.run(10);
    world.give(Side::Callee, Input::RefuseOffer(callee, 488));
    world.run(60_000);
    assert_eq!(world.seen(Side::Caller), ["offer refused 488"]);
    assert_eq!(world.seen(Side::Callee), ["offered"]);
    assert_ends_cleanly(world, caller);
}

#[test]
fn offers_that_cross_are_both_made_again_the_callers_later() {
    let (mut world, caller, callee) = talking();
    let begin = world.now.as_millis() - 1_000;
    world.give(Side::Caller, Input::Offer(caller, sdp(2, "sendonly")));
    world.give(Side::Callee, Input::Offer(callee, sdp(2, "sendonly")));
    for _ in 0..6_000 {
        world.run(1);
        let open: Vec<Side> = world
            .events
            .iter()
            .filter(|(_, event)| matches!(event, Event::Offered { .. }))
            .map(|(side, _)| *side)
            .collect();
        for side in open {
            let leg = if side == Side::Caller { caller } else { callee };
            world.give(side, Input::AcceptOffer(leg, sdp(3, "recvonly")));
        }
    }
    // The caller's first INVITE of all was the call itself.
    let caller_again = world.times(Side::Caller, "INVITE")[2] - begin;
    let callee_again = world.times(Side::Callee, "INVITE")[1] - begin;
    assert!((2_100..=4_010).contains(&caller_again), "{caller_again}");
    assert!(callee_again <= 2_010, "{callee_again}");
    assert_eq!(world.seen(Side::Caller), ["offered", "offer accepted"]);
    assert_eq!(world.seen(Side::Callee), ["offer accepted", "offered"]);
    assert_ends_cleanly(world, caller);
}

#[test]
fn an_offer_that_nobody_answers_is_declined_after_20_s() {
    let (mut world, caller, callee) = talking();
    world.give(Side::Caller, Input::Offer(caller, sdp(2, "sendonly")));
    world.run(19_000);
    assert!(world.seen(Side::Caller).is_empty());
    world.run(2_000);
    assert_eq!(world.seen(Side::Caller), ["offer refused 500"]);
    assert_eq!(world.seen(Side::Callee), ["offered", "withdrawn"]);
    world.give(Side::Callee, Input::AcceptOffer(callee, sdp(2, "recvonly")));
    world.run(10);
    assert_eq!(world.seen(Side::Caller).len(), 1, "too late");
    assert_ends_cleanly(world, caller);
}

#[test]
fn an_offer_waits_for_the_acknowledgement() {
    let (mut world, caller, callee) = World::incoming_call();
    world.give(Side::Callee, Input::Answer(callee, SDP.to_vec()));
    world.give(Side::Callee, Input::Offer(callee, sdp(2, "sendonly")));
    assert!(world.times(Side::Callee, "INVITE").is_empty());
    world.run(10);
    assert_eq!(world.times(Side::Callee, "INVITE").len(), 1);
    world.give(Side::Caller, Input::AcceptOffer(caller, sdp(2, "recvonly")));
    world.run(10);
    assert_eq!(
        world.seen(Side::Callee),
        ["incoming", "confirmed", "offer accepted"]
    );
    assert_ends_cleanly(world, caller);
}

#[test]
fn one_offer_at_a_time() {
    let (mut world, caller, callee) = talking();
    world.give(Side::Caller, Input::Offer(caller, sdp(2, "sendonly")));
    world.give(Side::Caller, Input::Offer(caller, sdp(3, "inactive")));
    assert_eq!(world.seen(Side::Caller), ["offer refused 491"]);
    world.run(10);
    world.give(Side::Callee, Input::Offer(callee, sdp(2, "inactive")));
    assert_eq!(world.seen(Side::Callee), ["offered", "offer refused 491"]);
    assert_ends_cleanly(world, caller);
}

#[test]
fn who_does_not_answer_an_offer_at_all_is_hung_up_on() {
    let (mut world, caller, _) = talking();
    world.set_faults(DEAF);
    world.give(Side::Caller, Input::Offer(caller, sdp(2, "sendonly")));
    world.run(32_100);
    assert_eq!(world.seen(Side::Caller), ["ended silent"]);
    assert_eq!(world.times(Side::Caller, "BYE").len(), 1);
    world.run(40_000);
    assert!(world.caller.is_idle());
}

#[test]
fn a_call_that_ends_while_an_offer_waits_leaves_nothing() {
    for who in [Side::Caller, Side::Callee] {
        let (mut world, caller, callee) = talking();
        world.give(Side::Caller, Input::Offer(caller, sdp(2, "sendonly")));
        world.run(10);
        let leg = if who == Side::Caller { caller } else { callee };
        world.give(who, Input::HangUp(leg, None));
        world.run(80_000);
        assert_eq!(world.times(Side::Callee, "SIP/2.0 487").len(), 1);
        assert!(world.caller.is_idle() && world.callee.is_idle());
    }
}

#[test]
fn keys_travel_both_ways() {
    let (mut world, caller, callee) = talking();
    let kind = b"application/dtmf-relay".to_vec();
    let body = b"Signal=5\r\nDuration=160\r\n".to_vec();
    world.give(
        Side::Caller,
        Input::Info(caller, kind.clone(), body.clone()),
    );
    world.run(10);
    world.give(
        Side::Callee,
        Input::Info(callee, kind.clone(), body.clone()),
    );
    world.run(10);
    assert_eq!(world.seen(Side::Caller), ["info"]);
    let Some((
        Side::Callee,
        Event::Info {
            content_type,
            body: heard,
            ..
        },
    )) = world.events.first()
    else {
        panic!("the callee hears the key")
    };
    assert_eq!((content_type, heard), (&kind, &body));
    world.set_faults(DEAF);
    let before = world.times(Side::Caller, "INFO").len();
    for _ in 0..12 {
        world.give(
            Side::Caller,
            Input::Info(caller, kind.clone(), body.clone()),
        );
    }
    assert_eq!(world.times(Side::Caller, "INFO").len() - before, 8);
    world.run(40_000);
    world.set_faults(FINE);
    world.give(Side::Caller, Input::Info(caller, kind, body));
    world.run(10);
    assert_eq!(
        world.seen(Side::Callee).len(),
        2,
        "and then there is room again"
    );
    assert_ends_cleanly(world, caller);
}

/// Ninety seconds between refreshes on both sides.
fn brief(_: Side, config: &mut maskline_sip::endpoint::Config) {
    config.session_expires_s = 90;
}

#[test]
fn a_long_call_is_refreshed_by_the_caller() {
    let (mut world, caller, _) = World::talking(brief);
    world.events.clear();
    world.run(600_000);
    assert_eq!(world.times(Side::Caller, "UPDATE").len(), 13);
    assert!(world.times(Side::Callee, "UPDATE").is_empty());
    assert!(world.events.is_empty(), "nobody needs to know");
    assert_ends_cleanly(world, caller);
}

#[test]
fn a_call_whose_other_side_vanished_ends_by_itself() {
    let (mut world, ..) = World::talking(brief);
    world.run(50_000);
    world.set_faults(DEAF);
    world.run(200_000);
    assert_eq!(world.seen(Side::Caller), ["answered", "ended silent"]);
    assert_eq!(
        world.seen(Side::Callee),
        ["incoming", "confirmed", "ended silent"]
    );
    // Refreshed at 45 s; 90 s after that less a third.
    let bye = world.times(Side::Callee, "BYE")[0];
    assert!((105_000..=105_100).contains(&bye), "{bye}");
    assert!(world.caller.is_idle() && world.callee.is_idle());
}

#[test]
fn a_callee_that_wants_longer_intervals_gets_them() {
    let (mut world, caller, _) = World::talking(|side, config| match side {
        Side::Caller => config.session_expires_s = 90,
        Side::Callee => config.min_se_s = 300,
    });
    assert_eq!(world.times(Side::Callee, "SIP/2.0 422").len(), 1);
    assert_eq!(world.times(Side::Caller, "INVITE").len(), 2);
    assert_eq!(world.seen(Side::Caller), ["answered"]);
    world.run(310_000);
    let updates = world.times(Side::Caller, "UPDATE");
    assert_eq!(updates.len(), 2, "each 150 s: {updates:?}");
    assert_ends_cleanly(world, caller);
}

#[test]
fn without_session_timers_nothing_is_refreshed() {
    let (mut world, caller, _) = World::talking(|_, config| config.session_expires_s = 0);
    world.run(4_000_000);
    assert!(world.times(Side::Caller, "UPDATE").is_empty());
    assert_ends_cleanly(world, caller);
}

#[test]
fn early_media_is_acknowledged_and_the_answer_waits_for_that() {
    let (mut world, caller, callee) = World::incoming_call();
    world.set_faults(DEAF);
    world.give(
        Side::Callee,
        Input::Progress(callee, 183, Some(SDP.to_vec())),
    );
    world.give(Side::Callee, Input::Answer(callee, SDP.to_vec()));
    world.run(400);
    world.set_faults(FINE);
    world.run(500);
    assert_eq!(world.times(Side::Callee, "SIP/2.0 183").len(), 2);
    assert_eq!(world.times(Side::Caller, "PRACK").len(), 1);
    assert_eq!(world.seen(Side::Caller), ["progress 183", "answered"]);
    assert_eq!(world.seen(Side::Callee), ["incoming", "confirmed"]);
    assert_ends_cleanly(world, caller);
}

#[test]
fn early_media_that_is_never_acknowledged_ends_the_call() {
    let (mut world, _, callee) = World::incoming_call();
    world.set_faults(DEAF);
    world.give(
        Side::Callee,
        Input::Progress(callee, 183, Some(SDP.to_vec())),
    );
    let begin = world.times(Side::Callee, "SIP/2.0 183")[0];
    world.run(32_100);
    let times: Vec<u64> = world.times(Side::Callee, "SIP/2.0 183");
    let times: Vec<u64> = times.iter().map(|time| time - begin).collect();
    assert_eq!(times, [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]);
    assert_eq!(world.seen(Side::Callee), ["incoming", "cancelled"]);
    assert_eq!(world.times(Side::Callee, "SIP/2.0 504").len(), 1);
    world.run(60_000);
    assert!(world.callee.is_idle());
}

#[test]
fn an_early_dialog_is_changed_by_update() {
    let (mut world, caller, callee) = World::incoming_call();
    world.give(
        Side::Callee,
        Input::Progress(callee, 183, Some(SDP.to_vec())),
    );
    world.run(10);
    world.give(Side::Callee, Input::Offer(callee, sdp(2, "sendonly")));
    world.run(10);
    world.give(Side::Caller, Input::AcceptOffer(caller, sdp(2, "recvonly")));
    world.run(10);
    world.give(Side::Caller, Input::Offer(caller, sdp(3, "sendrecv")));
    world.run(10);
    world.give(Side::Callee, Input::AcceptOffer(callee, sdp(3, "sendrecv")));
    world.run(10);
    assert_eq!(world.times(Side::Caller, "UPDATE").len(), 1);
    assert_eq!(world.times(Side::Callee, "UPDATE").len(), 1);
    world.give(Side::Callee, Input::Answer(callee, sdp(3, "sendrecv")));
    world.run(10);
    assert_eq!(
        world.seen(Side::Caller),
        ["progress 183", "offered", "offer accepted", "answered"]
    );
    assert_eq!(
        world.seen(Side::Callee),
        ["incoming", "offer accepted", "offered", "confirmed"]
    );
    assert_ends_cleanly(world, caller);
}

/// Whatever the network does: each offer has one outcome, unless the call ended before; nothing is left.
#[test]
fn five_hundred_calls_with_offers_over_a_bad_network_end_cleanly() {
    for seed in 0..500 {
        let mut world = World::with(
            seed,
            NetworkFaults {
                loss_percent: 20,
                copies_percent: 10,
                delay_max_ms: 400,
            },
            brief,
        );
        let caller = world.dial();
        world.run(3_000);
        let callee = world.incoming();
        if let Some(callee) = callee {
            let early = (world.chance.below(2) == 0).then(|| SDP.to_vec());
            world.give(Side::Callee, Input::Progress(callee, 183, early));
            world.run(1_000);
            world.give(Side::Callee, Input::Answer(callee, SDP.to_vec()));
        }
        let mut offers = [0, 0];
        let mut seen = 0;
        for version in 2..8 {
            for _ in 0..40 {
                world.run(100);
                while let Some((side, event)) = world.events.get(seen) {
                    let (side, is_offer) = (*side, matches!(event, Event::Offered { .. }));
                    seen += 1;
                    if let (true, Some(callee)) = (is_offer, callee) {
                        let leg = if side == Side::Caller { caller } else { callee };
                        let input = match world.chance.below(3) {
                            0 => Input::RefuseOffer(leg, 488),
                            _ => Input::AcceptOffer(leg, sdp(version, "sendrecv")),
                        };
                        world.give(side, input);
                    }
                }
            }
            if let Some(callee) = callee {
                let (side, leg) = match world.chance.below(2) {
                    0 => (Side::Caller, caller),
                    _ => (Side::Callee, callee),
                };
                offers[side as usize] += 1;
                world.give(side, Input::Offer(leg, sdp(version, "sendrecv")));
            }
        }
        world.run(80_000);
        world.give(Side::Caller, Input::HangUp(caller, None));
        world.run(500_000);
        for side in [Side::Caller, Side::Callee] {
            let seen = world.seen(side);
            let outcomes = seen
                .iter()
                .filter(|name| name.starts_with("offer "))
                .count();
            assert!(outcomes <= offers[side as usize], "seed {seed}: {seen:?}");
            let stood = seen
                .iter()
                .any(|name| ["answered", "confirmed"].contains(&name.as_str()));
            let ended = seen.iter().any(|name| name.starts_with("ended"));
            if stood && !ended {
                assert_eq!(
                    outcomes, offers[side as usize],
                    "seed {seed}: {side:?} {seen:?}"
                );
            }
        }
        assert!(world.caller.is_idle(), "seed {seed}: the caller");
        assert!(world.callee.is_idle(), "seed {seed}: the callee");
    }
}
