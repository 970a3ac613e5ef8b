//! Callers that hear a ring tone of ours.

use super::world::sdp_again;
use super::*;
use maskline_domain::trunk::PromptPolicy;

fn with_tone() -> World {
    let mut world = World::new();
    world.answers.tone = Some(tone());
    world
}

fn tone() -> ToneCode {
    ToneCode::parse("100000001").expect("a code")
}

fn progress(world: &World) -> Vec<(u16, bool)> {
    let progress = |event: &Event| match event {
        Event::Progress { status, sdp, .. } => Some((*status, sdp.is_some())),
        _ => None,
    };
    world.caller_events.iter().filter_map(progress).collect()
}

/// What the caller was answered with, early and late.
fn answers(world: &World) -> Vec<Vec<u8>> {
    let sdp = |event: &Event| match event {
        Event::Progress { sdp, .. } | Event::Answered { sdp, .. } => {
            sdp.as_deref().map(<[u8]>::to_vec)
        }
        _ => None,
    };
    world.caller_events.iter().filter_map(sdp).collect()
}

/// What the callee was offered.
fn offered(world: &World) -> Vec<u8> {
    match world.callee_events.first() {
        Some(Event::Incoming { invite, .. }) => invite.body().to_vec(),
        other => panic!("the callee is called, not {other:?}"),
    }
}

#[test]
fn a_caller_hears_the_tone_from_the_ringing_to_the_answer() {
    let mut world = with_tone();
    world.call();
    let callee = world.callee_leg();
    assert!(world.played.is_empty(), "nothing rings yet");
    world.callee_does(SipInput::Progress(callee, 180, None));
    assert_eq!(progress(&world), [(183, true)]);
    assert_eq!(world.played, [(Side::Caller, Sound::Tone(tone()))]);
    let path = world.paths[0].clone();
    assert_eq!(
        path.caller.as_ref().map(|end| (end.address, end.law)),
        Some((address(CALLER_MEDIA), Some(Law::A)))
    );
    assert_eq!(path.callee, None, "the callee is not heard yet");
    world.callee_does(SipInput::Progress(callee, 180, None));
    assert_eq!(progress(&world)[1..], [(183, false)], "no other ringing");
    assert_eq!(world.silenced, 0);
    world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "8")));
    assert_eq!((world.silenced, world.played.len()), (1, 1));
    let [early, late] = &answers(&world)[..] else {
        panic!("answered twice")
    };
    assert_eq!(early, late, "an answer stays as it is");
    let path = world.paths.last().cloned().expect("a path");
    let address_of = |end: Option<&MediaEnd>| end.map(|end| end.address);
    assert_eq!(
        (
            address_of(path.caller.as_ref()),
            address_of(path.callee.as_ref())
        ),
        (Some(address(CALLER_MEDIA)), Some(address(CALLEE_MEDIA)))
    );
    assert_eq!(
        path.caller.as_ref().and_then(|end| end.payloads.events),
        Some(101),
        "it was told that its keys are heard"
    );
    world.callee_does(SipInput::HangUp(callee, None));
    assert!(world.is_clean());
}

#[test]
fn the_callee_is_offered_the_codec_of_the_tone_alone() {
    let mut world = with_tone();
    world.dial(sdp_at(CALLER_MEDIA, "18 0 8 101"), 70);
    assert!(holds(&offered(&world), "RTP/AVP 0 101\r\n"));
    // As far as its trunk takes it.
    let mut world = with_tone();
    world.answers.trunks[0].definition.codecs = vec!["pcma".into()];
    world.dial(sdp_at(CALLER_MEDIA, "0 8 101"), 70);
    assert!(holds(&offered(&world), "RTP/AVP 8 101\r\n"));
    let callee = world.callee_leg();
    world.callee_does(SipInput::Progress(callee, 180, None));
    assert!(holds(&answers(&world)[0], "RTP/AVP 8 101\r\n"));
    // And without comfort noise, which the caller is not granted.
    let mut world = with_tone();
    world.dial(sdp_at(CALLER_MEDIA, "8 13 101"), 70);
    assert!(holds(&offered(&world), "RTP/AVP 8 101\r\n"));
    // Without a tone nothing is taken away.
    let mut world = World::new();
    world.dial(sdp_at(CALLER_MEDIA, "18 0 8 101"), 70);
    assert!(holds(&offered(&world), "RTP/AVP 0 8 "));
}

#[test]
fn what_the_callees_network_plays_takes_the_place_of_the_tone() {
    let mut world = with_tone();
    world.call();
    let callee = world.callee_leg();
    world.callee_does(SipInput::Progress(callee, 180, None));
    let media = sdp_at(CALLEE_MEDIA, "8 101");
    world.callee_does(SipInput::Progress(callee, 183, Some(media.clone())));
    assert_eq!(world.silenced, 1);
    assert!(world.paths.last().is_some_and(|path| path.callee.is_some()));
    assert_eq!(progress(&world), [(183, true), (183, false)]);
    // Whose network has spoken is not rung over again, and is not spoken over.
    world.callee_does(SipInput::Progress(callee, 180, None));
    assert_eq!(progress(&world)[2..], [(183, false)]);
    let refusal = Refusal {
        status: 486,
        cause: None,
    };
    world.callee_does(SipInput::Refuse(callee, refusal));
    assert_eq!(world.played.len(), 1);
    assert_eq!(world.caller_end(), (486, Some(17)));
    assert!(world.is_clean());
}

#[test]
fn a_callee_that_plays_at_once_leaves_no_place_for_a_tone() {
    let mut world = with_tone();
    world.call();
    let callee = world.callee_leg();
    let media = sdp_at(CALLEE_MEDIA, "8 101");
    world.callee_does(SipInput::Progress(callee, 180, Some(media)));
    world.callee_does(SipInput::Progress(callee, 180, None));
    assert_eq!(progress(&world), [(180, true), (180, false)]);
    assert!(world.played.is_empty());
}

#[test]
fn a_caller_that_cannot_hear_it_rings_as_ever() {
    let rings = |world: &mut World| {
        let callee = world.callee_leg();
        world.callee_does(SipInput::Progress(callee, 180, None));
        assert_eq!(progress(world), [(180, false)]);
        assert!(world.played.is_empty());
        world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "8 0 18")));
        let answered = |event: &Event| matches!(event, Event::Answered { .. });
        assert!(world.caller_events.iter().any(answered));
    };
    // It wants our offer.
    let mut world = with_tone();
    world.dial(Vec::new(), 70);
    rings(&mut world);
    // It speaks nothing that we speak.
    let mut world = with_tone();
    world.dial(sdp_at(CALLER_MEDIA, "18"), 70);
    rings(&mut world);
    // Its trunk has no early media.
    for prompts in [PromptPolicy::Answer, PromptPolicy::None] {
        let mut world = with_tone();
        let mut incoming = trunk("in", CALLER, true);
        incoming.definition.prompts = prompts;
        world.tell(Input::Trunks(vec![incoming]));
        world.call();
        rings(&mut world);
    }
    // There is no tone.
    let mut world = World::new();
    world.call();
    rings(&mut world);
}

#[test]
fn a_caller_that_is_not_ready_has_its_answer_where_no_tone_can_be_played() {
    // What the caller offers, what the callee answers, and whether it refuses the codec of the tone first.
    let rows = [("18", "18", false), ("0 8 101", "8 101", true)];
    for (offered, answered, is_dialled_again) in rows {
        let mut world = with_tone();
        let offer = sdp_again(1, CALLER_MEDIA, offered, "inactive");
        let caller = world.dial(offer, 70);
        if is_dialled_again {
            let refusal = Refusal {
                status: 488,
                cause: None,
            };
            world.callee_does(SipInput::Refuse(world.callee_leg(), refusal));
        }
        let invites = invites(&world);
        let (callee, _) = invites.last().expect("it is called");
        let said = sdp_again(1, CALLEE_MEDIA, answered, "inactive");
        world.callee_does(SipInput::Progress(*callee, 180, Some(said)));
        assert_eq!(progress(&world), [(180, true)], "{offered}");
        assert!(world.played.is_empty());
        world.caller_does(SipInput::HangUp(caller, None));
        assert!(world.is_clean());
    }
}

#[test]
fn a_caller_that_heard_the_tone_hears_why_nobody_answered() {
    let mut world = with_tone();
    world.call();
    let callee = world.callee_leg();
    world.callee_does(SipInput::Progress(callee, 180, None));
    world.pass(30_100);
    let no_answer = Sound::from(Prompt::NoAnswer);
    assert_eq!(world.played[1..], [(Side::Caller, no_answer)]);
    let answers = answers(&world);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(world.caller_end(), (480, Some(19)));
    assert!(world.is_clean());
}

#[test]
fn a_caller_who_gives_up_while_it_rings_leaves_nothing() {
    let mut world = with_tone();
    let caller = world.call();
    let callee = world.callee_leg();
    world.callee_does(SipInput::Progress(callee, 180, None));
    world.caller_does(SipInput::HangUp(caller, None));
    assert!(matches!(
        world.callee_events.last(),
        Some(Event::Cancelled { .. })
    ));
    assert!(world.is_clean());
}

#[test]
fn an_a_without_anybody_to_reach_hears_its_tone_once() {
    let mut world = with_tone();
    world.answers.route = Some(Route::Refuse {
        situation: Situation::VacantNumber,
        binding: None,
    });
    world.call();
    assert_eq!(world.played, [(Side::Caller, Sound::Tone(tone()))]);
    assert_eq!(world.caller_end(), (404, Some(1)));
    assert!(world.is_clean());
}

#[test]
fn keys_that_are_pressed_while_it_rings_reach_nobody() {
    let mut world = with_tone();
    let caller = world.call();
    let callee = world.callee_leg();
    world.callee_does(SipInput::Progress(callee, 180, None));
    world.tell(Input::Digit(CallKey::from(1), Side::Caller, '5'));
    let (kind, body) = (b"application/dtmf".to_vec(), b"5".to_vec());
    world.caller_does(SipInput::Info(caller, kind, body));
    assert!(!holds(&world.to_callee, "INFO sip:") && world.digits.is_empty());
}

/// The legs of all INVITEs that the callee got, and what they offered.
fn invites(world: &World) -> Vec<(LegId, Vec<u8>)> {
    let invite = |event: &Event| match event {
        Event::Incoming { leg, invite, .. } => Some((*leg, invite.body().to_vec())),
        _ => None,
    };
    world.callee_events.iter().filter_map(invite).collect()
}

#[test]
fn a_callee_that_does_not_speak_the_codec_of_the_tone_is_offered_all_that_there_are() {
    for status in [488, 606] {
        let mut world = with_tone();
        world.dial(sdp_at(CALLER_MEDIA, "0 8 101"), 70);
        let refusal = Refusal {
            status,
            cause: None,
        };
        world.callee_does(SipInput::Refuse(world.callee_leg(), refusal));
        let [(_, first), (callee, second)] = &invites(&world)[..] else {
            panic!("it is dialled again")
        };
        assert!(holds(first, "RTP/AVP 0 101\r\n") && holds(second, "RTP/AVP 0 8 101\r\n"));
        world.callee_does(SipInput::Progress(*callee, 180, None));
        assert_eq!(progress(&world), [(180, false)], "there is no tone");
        world.callee_does(SipInput::Answer(*callee, sdp_at(CALLEE_MEDIA, "8 101")));
        let path = world.paths.last().and_then(|path| path.clone().callee);
        assert_eq!(path.and_then(|end| end.law), Some(Law::A));
        world.callee_does(SipInput::HangUp(*callee, None));
        assert_eq!(world.only_record().situation.as_deref(), Some("hung_up"));
        assert!(world.is_clean());
    }
}

#[test]
fn a_callee_is_dialled_again_only_to_be_offered_more_and_only_once() {
    let refuse = |world: &mut World, leg| {
        let refusal = Refusal {
            status: 488,
            cause: None,
        };
        world.callee_does(SipInput::Refuse(leg, refusal));
    };
    // Nothing else is left, it rings already, or it has had its second offer.
    for (codecs, rings, dialled) in [("8 101", false, 1), ("0 8 101", true, 1), ("0 8", false, 2)] {
        let mut world = with_tone();
        world.dial(sdp_at(CALLER_MEDIA, codecs), 70);
        let callee = world.callee_leg();
        if rings {
            world.callee_does(SipInput::Progress(callee, 180, None));
        }
        refuse(&mut world, callee);
        if let Some((callee, _)) = invites(&world).get(1).cloned() {
            refuse(&mut world, callee);
        }
        assert_eq!(invites(&world).len(), dialled, "{codecs}");
        assert_eq!(world.caller_end(), (488, Some(65)));
        assert!(world.is_clean());
    }
}

#[test]
fn a_caller_that_heard_the_tone_hears_of_a_callee_that_holds_as_it_answers() {
    for (direction, told) in [("sendonly", true), ("inactive", true), ("sendrecv", false)] {
        let mut world = with_tone();
        let caller = world.call();
        let callee = world.callee_leg();
        world.callee_does(SipInput::Progress(callee, 180, None));
        let answer = sdp_again(1, CALLEE_MEDIA, "8 101", direction);
        world.callee_does(SipInput::Answer(callee, answer));
        // It is told once its ACK is there.
        world.pass(10);
        let offer = super::world::offered(&world.caller_events);
        let says = format!("a={direction}\r\n");
        assert_eq!(
            offer.as_ref().map(|offer| offer.contains(&says)),
            told.then_some(true)
        );
        if offer.is_some() {
            let reply = sdp_again(2, CALLER_MEDIA, "8 101", "recvonly");
            world.caller_does(SipInput::AcceptOffer(caller, reply));
        }
        assert_eq!(world.switch.calls(), 1);
        world.callee_does(SipInput::HangUp(callee, None));
        assert!(world.is_clean());
    }
}

#[test]
fn what_a_callee_says_beforehand_without_sending_leaves_the_tone_and_the_words() {
    for direction in ["inactive", "recvonly"] {
        let mut world = with_tone();
        world.call();
        let callee = world.callee_leg();
        let silent = sdp_again(1, CALLEE_MEDIA, "8 101", direction);
        world.callee_does(SipInput::Progress(callee, 183, Some(silent.clone())));
        assert_eq!(progress(&world), [(183, false)]);
        world.callee_does(SipInput::Progress(callee, 180, None));
        assert_eq!(progress(&world)[1..], [(183, true)], "{direction}");
        world.callee_does(SipInput::Progress(callee, 183, Some(silent)));
        assert_eq!((world.played.len(), world.silenced), (1, 0));
        let path = world.paths.last().cloned().expect("a path");
        assert!(
            path.callee.is_some(),
            "it may answer without a word of its media"
        );
        let refusal = Refusal {
            status: 486,
            cause: None,
        };
        world.callee_does(SipInput::Refuse(callee, refusal));
        assert_eq!(world.played[1..], [(Side::Caller, Prompt::Busy.into())]);
        assert_eq!(world.caller_end(), (486, Some(17)));
        assert!(world.is_clean());
    }
}
