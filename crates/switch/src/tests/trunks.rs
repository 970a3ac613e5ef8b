//! What is said of a trunk, and what becomes of calls by it.

use super::*;
use maskline_sip::endpoint::Registration;
use maskline_sip::message::Message;

/// A call may go by one trunk or the other; of the first more is said.
fn world(say: impl Fn(&mut maskline_domain::Trunk)) -> World {
    let mut world = World::new();
    let mut out = trunk("out", CALLEE, true);
    say(&mut out.definition);
    world.switch.setup.per_x_max = 10;
    world.switch.setup.per_caller_max = 10;
    world.answers.trunks = vec![out, trunk("spare", SPARE, true)];
    world
}

fn incoming(world: &World) -> [usize; 2] {
    [&world.callee_events, &world.spare_events].map(|events| {
        let calls = events.iter();
        calls
            .filter(|event| matches!(event, Event::Incoming { .. }))
            .count()
    })
}

/// The SDP that the callee was offered first.
fn offered(events: &[Event]) -> String {
    match events.first() {
        Some(Event::Incoming { invite, .. }) => String::from_utf8_lossy(invite.body()).into_owned(),
        other => panic!("called, not {other:?}"),
    }
}

#[test]
fn a_trunk_carries_so_many_calls_and_the_next_one_goes_elsewhere() {
    let mut world = world(|out| out.calls_max = Some(1));
    let (caller, _) = world.talk();
    world.call();
    assert_eq!(incoming(&world), [1, 1]);
    world.caller_does(SipInput::HangUp(caller, None));
    world.call();
    assert_eq!(incoming(&world), [2, 1], "there is room again");
    world.tell(Input::HangUpAll);
    assert!(world.is_clean());
}

#[test]
fn a_trunk_is_sent_so_many_calls_a_second() {
    let mut world = world(|out| out.calls_per_s_max = Some(1));
    world.call();
    world.pass(900);
    world.call();
    assert_eq!(incoming(&world), [1, 1]);
    world.pass(100);
    world.call();
    assert_eq!(incoming(&world), [2, 1]);
}

#[test]
fn a_trunk_that_failed_carries_the_call_no_more() {
    let mut world = world(|out| out.calls_max = Some(1));
    world.call();
    let callee = world.callee_leg();
    let refusal = Refusal {
        status: 503,
        cause: None,
    };
    world.callee_does(SipInput::Refuse(callee, refusal));
    assert_eq!(incoming(&world), [1, 1]);
    world.call();
    assert_eq!(incoming(&world), [2, 1]);
}

#[test]
fn when_all_trunks_are_full_the_call_is_recorded_and_refused() {
    let mut world = world(|out| out.calls_max = Some(1));
    world.answers.trunks.truncate(1);
    world.call();
    world.call();
    assert_eq!(world.caller_end(), (502, Some(38)));
    assert_eq!(
        world.only_record().situation.as_deref(),
        Some("unreachable")
    );
    assert_eq!(incoming(&world), [1, 0]);
}

#[test]
fn more_calls_than_a_trunk_may_have_are_turned_away_and_counted() {
    let mut world = World::new();
    let mut from = trunk("in", CALLER, true);
    from.definition.calls_max = Some(1);
    world.tell(Input::Trunks(vec![from, trunk("out", CALLEE, true)]));
    world.call();
    world.call();
    assert_eq!(world.caller_end(), (503, Some(42)));
    assert!(holds(&world.to_caller, "Retry-After: 5\r\n"));
    assert_eq!(world.switch.counts().trunk_full, 1);
    assert!(world.finished.is_empty());
    world.tell(Input::HangUpAll);
    world.call();
    assert_eq!(world.switch.calls(), 1, "there is room again");
}

#[test]
fn a_trunk_that_does_not_answer_is_tried_last_until_it_is_asked_no_more() {
    let mut world = world(|_| ());
    let probed = |every_s| {
        let mut trunks = vec![
            trunk("in", CALLER, true),
            trunk("out", CALLEE, true),
            trunk("spare", SPARE, true),
        ];
        trunks[1].peer.probe_every_s = every_s;
        Input::Trunks(trunks)
    };
    world.tell(probed(Some(30)));
    world.switch.on_peer_state(PeerId(1), false, udp(CALLEE));
    assert_eq!(reachable(&world), [None, Some(false), None]);
    world.call();
    assert_eq!(incoming(&world), [0, 1]);
    world.answers.trunks.truncate(1);
    world.call();
    assert_eq!(incoming(&world), [1, 1], "nobody else is left");
    world.tell(probed(None));
    assert_eq!(reachable(&world), [None, None, None]);
}

/// Of each enabled trunk, whether it answered.
fn reachable(world: &World) -> Vec<Option<bool>> {
    let health = world.switch.health(world.moment());
    health.iter().map(|trunk| trunk.reachable).collect()
}

#[test]
fn forwarded_calls_are_taken_or_refused_as_the_trunk_says() {
    for (diversion, taken) in [
        (maskline_domain::trunk::Diversion::Ignore, 1),
        (maskline_domain::trunk::Diversion::Refuse, 0),
    ] {
        let mut world = World::new();
        let mut from = trunk("in", CALLER, true);
        from.definition.diversion = diversion;
        world.tell(Input::Trunks(vec![from, trunk("out", CALLEE, true)]));
        let leg = world.caller.new_leg();
        let dial = Dial {
            hop: udp(SWITCH),
            target: format!("sip:{X}@{SWITCH}"),
            identity: Identity {
                pilot: Some(format!("sip:13855556666@{CALLER}")),
                diverted_by_pilot: true,
                ..Identity::from(format!("sip:{N}@{CALLER}"))
            },
            max_forwards: 70,
            sdp: sdp_at(CALLER_MEDIA, "8"),
        };
        world.caller_does(SipInput::Dial(leg, dial));
        assert_eq!(world.switch.calls(), taken);
        assert_eq!(world.switch.counts().forwarded, 1 - taken as u64);
        if taken == 0 {
            assert_eq!(world.caller_end(), (403, Some(21)));
        }
        assert!(!holds(&world.to_callee, "13855556666"));
    }
}

#[test]
fn a_trunk_is_offered_the_codecs_that_it_may_use_the_best_first() {
    for (codecs, formats) in [
        (&[][..], Some("8 0 18 101")),
        (&["pcmu"], Some("0 101")),
        (&["pcmu", "pcma"], Some("0 8 101")),
        (&["g729"], Some("18 101")),
        (&["opus"], None),
    ] {
        let mut world = world(|out| out.codecs = codecs.iter().map(|&name| name.into()).collect());
        world.call();
        match formats {
            Some(formats) => {
                let sdp = offered(&world.callee_events);
                let line = format!("RTP/AVP {formats}\r\n");
                assert!(sdp.contains(&line), "{codecs:?}: {sdp}");
            }
            None => assert_eq!(incoming(&world), [0, 1], "the next one carries it"),
        }
    }
}

#[test]
fn trunks_whose_codecs_do_not_fit_are_passed_over_and_only_when_all_are_it_is_said() {
    let full = |out: &mut maskline_domain::Trunk| {
        out.codecs = vec!["opus".into()];
        out.calls_max = Some(0);
    };
    let mut world = world(full);
    // More of them than are tried.
    let misfit = world.answers.trunks[0].clone();
    world.answers.trunks.splice(0..0, vec![misfit; 8]);
    world.call();
    assert_eq!(incoming(&world), [0, 1]);
    // One that fits but is full does not make the codecs the reason.
    let spare = world.answers.trunks.last_mut().expect("the spare one");
    spare.definition.calls_max = Some(1);
    world.call();
    assert_eq!(world.caller_end(), (502, Some(38)));
    let mut world = self::world(|out| out.codecs = vec!["opus".into()]);
    world.answers.trunks[1].definition.codecs = vec!["g722".into()];
    world.call();
    assert_eq!(world.caller_end(), (488, Some(65)));
    assert_eq!(incoming(&world), [0, 0]);
    let situation = world.only_record().situation.as_deref();
    assert_eq!(situation, Some("no_common_codec"));
}

#[test]
fn what_a_callers_trunk_may_not_use_is_offered_to_nobody() {
    let mut world = World::new();
    let mut from = trunk("in", CALLER, true);
    from.definition.codecs = vec!["pcma".into()];
    world.tell(Input::Trunks(vec![from, trunk("out", CALLEE, true)]));
    world.call();
    let sdp = offered(&world.callee_events);
    assert!(sdp.contains("RTP/AVP 8 101\r\n"), "{sdp}");
    world.dial(sdp_at(CALLER_MEDIA, "0"), 70);
    assert_eq!(world.caller_end(), (488, Some(65)));
}

#[test]
fn each_trunk_is_told_its_own_address_for_media() {
    let mut world = world(|out| out.rtp_advertised = "198.51.100.99".parse().ok());
    world.call();
    let callee = world.callee_leg();
    let refusal = Refusal {
        status: 503,
        cause: None,
    };
    world.callee_does(SipInput::Refuse(callee, refusal));
    let told = [&world.callee_events, &world.spare_events].map(|events| {
        let sdp = offered(events);
        let line = sdp.lines().find(|line| line.starts_with("c="));
        line.map(str::to_owned)
    });
    assert_eq!(
        told.map(|line| line.unwrap_or_default()),
        ["c=IN IP4 198.51.100.99", "c=IN IP4 192.0.2.1"]
    );
}

#[test]
fn each_trunk_is_told_its_own_address_for_signalling() {
    let mut world = World::new();
    let mut trunks = vec![
        trunk("in", CALLER, true),
        trunk("out", CALLEE, true),
        trunk("spare", SPARE, true),
    ];
    trunks[0].peer.advertised = Some(address("198.51.100.97:5070"));
    trunks[1].peer.advertised = Some(address("198.51.100.98:5070"));
    trunks[1].definition.sip_advertised = trunks[1].peer.advertised;
    world.answers.trunks = vec![trunks[1].clone()];
    world.tell(Input::Trunks(trunks));
    world.call();
    let callee = world.callee_leg();
    world.callee_does(SipInput::Progress(callee, 180, None));
    let Some(Event::Incoming { invite, .. }) = world.callee_events.first() else {
        panic!("called")
    };
    use maskline_sip::message::Name;
    for name in [Name::Via, Name::Contact, Name::From] {
        let value = invite.header(name).expect("it is there");
        assert!(holds(value, "198.51.100.98:5070"), "{name:?}");
    }
    assert!(holds(
        &world.to_caller,
        "Contact: <sip:198.51.100.97:5070>\r\n"
    ));
    assert!(!holds(&world.to_caller, "198.51.100.98"));
}

#[test]
fn who_leaves_gives_up_its_registrations_and_makes_no_new_ones() {
    let mut world = World::new();
    let mut carrier = trunk("carrier", DEAD, true);
    carrier.peer.registration = Some(Registration {
        address_of_record: "sip:us@carrier.example".into(),
        registrar: None,
        contact_user: "us".into(),
        expires_s: 600,
    });
    let mut registers = |input: Input<'_>| {
        let moment = world.moment();
        world.switch.handle_input(input, moment);
        let mut sent = Vec::new();
        while let Some(output) = world.switch.poll_output() {
            if let Output::Send { to, bytes } = output {
                assert_eq!(to, udp(DEAD));
                sent.push(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        sent
    };
    assert!(registers(Input::Trunks(vec![carrier.clone()])).is_empty());
    let sent = registers(Input::Timeout);
    let [register] = &sent[..] else {
        panic!("one registration, not {sent:?}")
    };
    assert!(register.contains("\r\nExpires: 600\r\n"), "{register}");
    let head: String = register
        .lines()
        .filter(|line| {
            let names = ["Via:", "From:", "To:", "Call-ID:", "CSeq:", "Contact:"];
            names.iter().any(|name| line.starts_with(name))
        })
        .map(|line| match line.starts_with("To:") {
            true => format!("{line};tag=t\r\n"),
            false => format!("{line}\r\n"),
        })
        .collect();
    let granted = format!("SIP/2.0 200 OK\r\n{head}Content-Length: 0\r\n\r\n");
    assert!(Message::parse(granted.as_bytes()).is_ok());
    let granted = Input::Datagram {
        from: udp(DEAD),
        bytes: granted.as_bytes(),
    };
    assert!(registers(granted).is_empty());
    let sent = registers(Input::Leave);
    let [unregister] = &sent[..] else {
        panic!("one unregister, not {sent:?}")
    };
    assert!(unregister.contains("\r\nExpires: 0\r\n"), "{unregister}");
    carrier.peer.probe_every_s = Some(30);
    registers(Input::Trunks(vec![carrier]));
    assert!(registers(Input::Timeout).is_empty(), "it has left");
}
