//! What callers hear, and what is recorded.

use super::world::sdp_again;
use super::*;
use maskline_domain::trunk::PromptPolicy;

fn refused(situation: Situation) -> Answers {
    Answers {
        route: Some(Route::Refuse {
            situation,
            binding: None,
        }),
        ..well()
    }
}

fn progress(world: &World) -> Vec<(u16, bool)> {
    let progress = |event: &Event| match event {
        Event::Progress { status, sdp, .. } => Some((*status, sdp.is_some())),
        _ => None,
    };
    world.caller_events.iter().filter_map(progress).collect()
}

#[test]
fn a_refused_caller_hears_why_as_early_media() {
    let mut world = World::new();
    world.answers = refused(Situation::VacantNumber);
    world.call();
    assert_eq!(progress(&world), [(183, true)]);
    assert_eq!(world.played, [(Side::Caller, Prompt::VacantNumber.into())]);
    assert_eq!(world.caller_end(), (404, Some(1)));
    let path = world.paths[0].clone();
    assert_eq!(
        path.caller.as_ref().map(|end| end.address),
        Some(address(CALLER_MEDIA))
    );
    assert_eq!(
        path.caller.as_ref().map(|end| end.payloads.codec),
        Some(8),
        "the caller's first choice"
    );
    assert_eq!(path.callee, None);
    assert_eq!(world.only_record().sip_status, Some(404));
    assert!(world.is_clean());
}

#[test]
fn a_trunk_may_want_an_answer_for_the_prompt_or_none() {
    let rows = [
        (PromptPolicy::Answer, 200, 1, true),
        (PromptPolicy::None, 404, 0, false),
    ];
    for (prompts, status, prompts_played, is_answered) in rows {
        let mut world = World::new();
        world.answers = refused(Situation::NoBinding);
        let mut incoming = trunk("in", CALLER, true);
        incoming.definition.prompts = prompts;
        world.tell(Input::Trunks(vec![incoming]));
        world.call();
        assert_eq!(world.played.len(), prompts_played);
        let answered = world
            .caller_events
            .iter()
            .any(|event| matches!(event, Event::Answered { .. }));
        assert_eq!(answered, is_answered);
        assert_eq!(world.caller_end_cause(), Some(1));
        let record = world.only_record();
        assert_eq!(
            (record.sip_status, record.answered_at),
            (Some(status), None),
            "nobody was reached"
        );
        assert!(world.is_clean());
    }
}

#[test]
fn a_caller_whose_media_we_cannot_speak_gets_the_status_at_once() {
    use PromptPolicy::{Answer, Early};
    for (codecs, ports, prompts) in [
        ("18", true, Early),
        ("77", true, Early),
        ("8", false, Early),
        ("18", true, Answer),
        ("77", true, Answer),
        ("8", false, Answer),
    ] {
        let mut world = World::new();
        let mut incoming = trunk("in", CALLER, true);
        incoming.definition.prompts = prompts;
        world.tell(Input::Trunks(vec![incoming]));
        world.answers = Answers {
            ports,
            ..refused(Situation::Restricted)
        };
        world.dial(sdp_at(CALLER_MEDIA, codecs), 70);
        assert_eq!(world.caller_end(), (403, Some(21)));
        assert!(world.played.is_empty());
        let record = world.only_record();
        assert_eq!(
            (record.situation.as_deref(), record.sip_status),
            (Some("restricted"), Some(403)),
            "{codecs} {prompts:?}"
        );
        assert!(world.is_clean());
    }
}

#[test]
fn a_caller_who_leaves_during_a_prompt_is_recorded_so() {
    let mut world = World::new();
    world.answers = Answers {
        plays: false,
        ..refused(Situation::NoBinding)
    };
    let caller = world.call();
    assert!(world.finished.is_empty());
    world.caller_does(SipInput::HangUp(caller, None));
    let record = world.only_record();
    assert_eq!(
        (record.situation.as_deref(), record.release_by.as_deref()),
        (Some("no_binding"), Some("caller"))
    );
    assert_eq!(record.sip_status, Some(487));
    assert!(world.is_clean());
}

#[test]
fn busy_is_told_by_one_voice_only() {
    for (early_media, expected) in [(None, 1), (Some(sdp_at(CALLEE_MEDIA, "8")), 0)] {
        let mut world = World::new();
        world.call();
        let callee = world.callee_leg();
        world.callee_does(SipInput::Progress(callee, 183, early_media));
        let refusal = Refusal {
            status: 486,
            cause: None,
        };
        world.callee_does(SipInput::Refuse(callee, refusal));
        assert_eq!(world.played.len(), expected);
        assert_eq!(world.caller_end(), (486, Some(17)));
        assert!(world.is_clean());
    }
}

#[test]
fn a_recorded_call_names_its_file_without_a_number_and_both_are_told() {
    let mut world = World::new();
    let Some(Route::Connect(connection)) = &mut world.answers.route else {
        panic!("it connects")
    };
    connection.binding.record = true;
    let (caller, _) = world.talk();
    let notice = Sound::from(Prompt::RecordingNotice);
    assert_eq!(
        world.played,
        [(Side::Caller, notice), (Side::Callee, notice)]
    );
    world.caller_does(SipInput::HangUp(caller, None));
    let record = world.only_record();
    assert_eq!(record.recording.as_ref(), world.files.first());
    let expected = format!("2023-11-15/{}.wav", record.call_id);
    assert_eq!(record.recording.as_deref(), Some(expected.as_str()));
    assert!(world.is_clean());
}

#[test]
fn a_call_that_is_not_recorded_has_no_file() {
    let mut world = World::new();
    let (caller, _) = world.talk();
    world.caller_does(SipInput::HangUp(caller, None));
    assert!(world.files.is_empty() && world.played.is_empty());
    assert_eq!(world.only_record().recording, None);
}

#[test]
fn a_callee_that_is_silent_beforehand_does_not_silence_us() {
    let mut world = World::new();
    world.call();
    let callee = world.callee_leg();
    let silent = sdp_again(1, CALLEE_MEDIA, "8 101", "inactive");
    world.callee_does(SipInput::Progress(callee, 183, Some(silent)));
    let refusal = Refusal {
        status: 486,
        cause: None,
    };
    world.callee_does(SipInput::Refuse(callee, refusal));
    assert_eq!(world.played, [(Side::Caller, Prompt::Busy.into())]);
    assert_eq!(progress(&world), [(183, false), (183, true)]);
    assert!(!holds(&world.to_caller, "a=inactive"), "it is to listen");
    assert_eq!(world.caller_end(), (486, Some(17)));
    assert!(world.is_clean());
}

#[test]
fn a_warning_about_addresses_comes_only_where_they_are_the_reason() {
    let rows = [(Situation::VacantNumber, 404), (Situation::NoBinding, 404)];
    for (situation, status) in rows {
        let mut world = World::new();
        world.answers = refused(situation);
        world.dial(sdp_at("[2001:db8::7]:7000", "8"), 70);
        assert_eq!(world.caller_end().0, status, "{situation:?}");
        assert!(!holds(&world.to_caller, "Warning: 301"), "{situation:?}");
    }
}
