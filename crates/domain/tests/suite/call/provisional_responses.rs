//! What a caller is told and hears before the answer: which provisional response, with whose media.

use super::{
    EARLY, LISTENING, ONE_TRUNK, TERMS, callee_refused, connection, moment, names, progress,
};
use maskline_domain::ToneCode;
use maskline_domain::call::{
    Call, CallTerms, CallerMedia, DialOptions, Input, MediaFault, Side, Stage,
};
use maskline_domain::trunk::PromptPolicy;

const ANSWERING: CallTerms = CallTerms {
    prompts: PromptPolicy::Answer,
    ..TERMS
};

/// A call with or without a ring tone that is dialled by the first of two trunks.
fn dialled(terms: CallTerms, has_tone: bool) -> Call {
    let options = DialOptions {
        trunks: 2,
        tone: ToneCode::parse("7").filter(|_| has_tone),
        ..ONE_TRUNK
    };
    let mut call = Call::new(terms, moment(0));
    let dialled = [Input::Routed(connection(), options), Input::RowOpened(true)];
    for input in dialled {
        call.handle(input, moment(0));
    }
    call
}

/// What is done after it is dialled; a time-out comes when it is due.
fn done(terms: CallTerms, has_tone: bool, story: Vec<Input>) -> Vec<String> {
    let mut call = dialled(terms, has_tone);
    let mut done = Vec::new();
    for input in story {
        let at_ms = match input {
            Input::Timeout => call.deadline().unwrap_or_default(),
            _ => 0,
        };
        done.extend(names(call.handle(input, moment(at_ms))));
    }
    done
}

fn progress_to(caller: CallerMedia, status: u16, early_media: bool) -> Input {
    Input::CalleeProgress {
        status,
        early_media,
        caller,
    }
}

/// A caller that has offered nothing that we speak, or no description.
const NO_TONE: CallerMedia = CallerMedia {
    takes_tone: false,
    awaits_answer: false,
};

/// A caller that is not ready to hear anything, and waits for its answer.
const NOT_READY: CallerMedia = CallerMedia {
    takes_tone: false,
    awaits_answer: true,
};

#[test]
fn each_progress_is_told_by_what_the_caller_hears() {
    let begins = "tell 183 with tone 7";
    let goes_on = "tell 183, the tone goes on";
    type Row<'a> = (CallTerms, bool, Vec<Input>, &'a [&'a str]);
    let rows: [Row<'_>; 29] = [
        // Without a tone it is told what the callee's side said, but not that a number is forwarded.
        (EARLY, false, vec![progress(180, false)], &["tell 180"]),
        (EARLY, false, vec![progress(181, false)], &["tell 180"]),
        (EARLY, false, vec![progress(182, false)], &["tell 182"]),
        (EARLY, false, vec![progress(183, false)], &["tell 183"]),
        (EARLY, false, vec![progress(199, true)], &[]),
        (
            EARLY,
            false,
            vec![progress(180, true)],
            &["tell 180 with media"],
        ),
        (
            EARLY,
            false,
            vec![progress(183, true)],
            &["tell 183 with media"],
        ),
        (
            EARLY,
            false,
            vec![Input::CalleeHeard],
            &["tell 183 with media"],
        ),
        // A caller that is not ready has its answer all the same.
        (
            EARLY,
            false,
            vec![progress_to(NOT_READY, 180, false)],
            &["tell 180 with media"],
        ),
        (
            EARLY,
            false,
            vec![progress_to(NOT_READY, 183, false)],
            &["tell 183 with media"],
        ),
        // With one it hears the tone as soon as it rings.
        (EARLY, true, vec![progress(180, false)], &[begins]),
        (EARLY, true, vec![progress(181, false)], &[begins]),
        (EARLY, true, vec![progress(182, false)], &["tell 182"]),
        (EARLY, true, vec![progress(183, false)], &["tell 183"]),
        (
            EARLY,
            true,
            vec![progress(183, false), progress(180, false)],
            &["tell 183", begins],
        ),
        // Once.
        (
            EARLY,
            true,
            vec![progress(180, false), progress(180, false)],
            &[begins, goes_on],
        ),
        (
            EARLY,
            true,
            vec![progress(180, false), progress(183, false)],
            &[begins, "tell 183"],
        ),
        (
            EARLY,
            true,
            vec![progress(180, false), progress(182, false)],
            &[begins, "tell 182"],
        ),
        (
            EARLY,
            true,
            vec![progress(180, false), progress_to(NOT_READY, 180, false)],
            &[begins, goes_on],
        ),
        // A tone is early media, and needs a caller who takes it.
        (ANSWERING, true, vec![progress(180, false)], &["tell 180"]),
        (TERMS, true, vec![progress(180, false)], &["tell 180"]),
        (
            EARLY,
            true,
            vec![progress_to(NO_TONE, 180, false)],
            &["tell 180"],
        ),
        (
            EARLY,
            true,
            vec![progress_to(NOT_READY, 180, false)],
            &["tell 180 with media"],
        ),
        // It may take it later.
        (
            EARLY,
            true,
            vec![progress_to(NO_TONE, 180, false), progress(180, false)],
            &["tell 180", begins],
        ),
        // What the callee's network plays comes before it, and takes its place. No 180 comes over what is heard.
        (
            EARLY,
            true,
            vec![progress(180, true)],
            &["tell 180 with media"],
        ),
        (
            EARLY,
            true,
            vec![progress(183, true), progress(180, false)],
            &["tell 183 with media", "tell 180"],
        ),
        (
            EARLY,
            true,
            vec![
                progress(180, false),
                progress(180, true),
                progress(180, false),
            ],
            &[begins, "stop ringing", "tell 183", "tell 183"],
        ),
        (
            EARLY,
            true,
            vec![progress(180, false), Input::CalleeHeard, Input::CalleeHeard],
            &[begins, "stop ringing", "tell 183", "tell 183"],
        ),
        // Only before the answer.
        (
            EARLY,
            true,
            vec![super::ANSWERED, Input::CalleeHeard],
            &["answer"],
        ),
    ];
    for (row, (terms, has_tone, story, expected)) in rows.into_iter().enumerate() {
        assert_eq!(done(terms, has_tone, story), expected, "row {row}");
    }
}

#[test]
fn a_tone_that_plays_is_over_with_the_answer() {
    let begins = "tell 183 with tone 7";
    let answered = || super::ANSWERED;
    let rows: [(Vec<Input>, &[&str]); 4] = [
        (vec![answered()], &["answer"]),
        (
            vec![progress(180, false), answered()],
            &[begins, "stop ringing", "answer"],
        ),
        (
            vec![progress_to(NO_TONE, 180, false), answered()],
            &["tell 180", "answer"],
        ),
        (
            vec![progress(180, false), progress(183, true), answered()],
            &[begins, "stop ringing", "tell 183", "answer"],
        ),
    ];
    for (row, (story, expected)) in rows.into_iter().enumerate() {
        assert_eq!(done(EARLY, true, story), expected, "row {row}");
    }
}

/// The callee's leg fails, and it was offered the codec of the tone alone though there are others.
fn refused_narrowed(status: u16) -> Input {
    Input::CalleeRefused {
        status,
        cause: None,
        silent: false,
        narrowed: true,
    }
}

#[test]
fn a_callee_that_does_not_speak_the_codec_of_the_tone_is_dialled_once_more_without() {
    let again = "dial 13900000000 by 0";
    let next = "dial 13900000000 by 1";
    let other = "dial 13900000000 by 1 with a tone";
    let refused: &[&str] = &[
        "refuse 488 65",
        "close row: no_common_codec 488 65 by callee",
        "forget",
    ];
    let rang: &[&str] = &[
        "tell 183 with tone 7",
        "refuse 488 65",
        "close row: no_common_codec 488 65 by callee",
        "forget",
    ];
    let twice: &[&str] = &[
        again,
        "refuse 488 65",
        "close row: no_common_codec 488 65 by callee",
        "forget",
    ];
    let rows: [(Vec<Input>, &[&str]); 13] = [
        (vec![refused_narrowed(488)], &[again]),
        (vec![refused_narrowed(606)], &[again]),
        (vec![Input::TrunkTrying, refused_narrowed(488)], &[again]),
        // It was offered all that there are.
        (vec![callee_refused(488, None, false)], refused),
        (vec![callee_refused(606, None, false)], refused),
        // It is there, and may ring.
        (vec![progress(180, false), refused_narrowed(488)], rang),
        // Once only.
        (
            vec![refused_narrowed(488), callee_refused(488, None, false)],
            twice,
        ),
        // No other status speaks of the offer.
        (vec![refused_narrowed(503)], &[other]),
        (vec![refused_narrowed(500)], &[other]),
        // Nobody hears a tone from then on, by whatever trunk.
        (
            vec![refused_narrowed(488), progress(180, false)],
            &[again, "tell 180"],
        ),
        (
            vec![refused_narrowed(488), callee_refused(503, None, false)],
            &[again, next],
        ),
        (
            vec![
                refused_narrowed(488),
                callee_refused(503, None, false),
                progress(180, false),
            ],
            &[again, next, "tell 180"],
        ),
        (
            vec![refused_narrowed(488), Input::TrunkFull],
            &[again, next],
        ),
    ];
    for (row, (story, expected)) in rows.into_iter().enumerate() {
        assert_eq!(done(EARLY, true, story), expected, "row {row}");
    }
}

#[test]
fn dialling_once_more_without_a_tone_takes_no_more_time() {
    let mut call = dialled(EARLY, true);
    let before = call.deadline();
    call.handle(refused_narrowed(488), moment(9_000));
    assert_eq!(call.deadline(), before);
}

#[test]
fn why_a_call_fails_is_heard_by_early_media_an_answer_or_what_is_open_already() {
    let busy = || callee_refused(486, None, false);
    let rings = || progress(180, false);
    let silent = || callee_refused(408, None, true);
    let refused: &[&str] = &[
        "refuse 486 17",
        "close row: busy 486 17 by callee",
        "forget",
    ];
    let heard: &[&str] = &[
        "tell 183 with media",
        "refuse 486 17",
        "close row: busy 486 17 by callee",
        "forget",
    ];
    let begins = "tell 183 with tone 7";
    type Row<'a> = (CallTerms, bool, Vec<Input>, &'a [&'a str]);
    let rows: [Row<'_>; 15] = [
        (EARLY, false, vec![busy()], &["play busy"]),
        (EARLY, true, vec![busy()], &["play busy"]),
        (ANSWERING, false, vec![busy()], &["answer and play busy"]),
        (ANSWERING, true, vec![busy()], &["answer and play busy"]),
        (TERMS, false, vec![busy()], refused),
        // It has its answer, for the tone.
        (
            EARLY,
            true,
            vec![rings(), busy()],
            &[begins, "go on to play busy"],
        ),
        (
            EARLY,
            true,
            vec![rings(), Input::Timeout],
            &[begins, "cancel callee 19", "go on to play no_answer"],
        ),
        (
            EARLY,
            true,
            vec![rings(), Input::Gone(Side::Callee, None)],
            &[begins, "go on to play unreachable"],
        ),
        (
            EARLY,
            false,
            vec![rings(), busy()],
            &["tell 180", "play busy"],
        ),
        (
            EARLY,
            true,
            vec![progress_to(NO_TONE, 180, false), busy()],
            &["tell 180", "play busy"],
        ),
        (
            ANSWERING,
            true,
            vec![rings(), busy()],
            &["tell 180", "answer and play busy"],
        ),
        // What the callee's network has said is not said again; anything else is.
        (EARLY, false, vec![progress(183, true), busy()], heard),
        (
            EARLY,
            true,
            vec![
                rings(),
                progress(183, true),
                callee_refused(503, None, false),
            ],
            &[
                begins,
                "stop ringing",
                "tell 183",
                "go on to play unreachable",
            ],
        ),
        (
            EARLY,
            true,
            vec![silent(), silent()],
            &["dial 13900000000 by 1 with a tone", "play unreachable"],
        ),
        // Where there is no way for words there are none.
        (
            EARLY,
            false,
            vec![busy(), Input::MediaRefused(MediaFault::Unfit)],
            &[
                "play busy",
                "refuse 486 17",
                "close row: busy 486 17 by callee",
                "forget",
            ],
        ),
    ];
    for (row, (terms, has_tone, story, expected)) in rows.into_iter().enumerate() {
        assert_eq!(done(terms, has_tone, story), expected, "row {row}");
    }
}

#[test]
fn a_call_tells_how_far_it_is() {
    let routed = || Input::Routed(connection(), ONE_TRUNK);
    let opened = || Input::RowOpened(true);
    let refused = || callee_refused(486, None, false);
    let gone = || Input::Gone(Side::Caller, None);
    let rows: [(Vec<Input>, Option<Stage>); 14] = [
        (vec![], Some(Stage::Routing)),
        (vec![gone()], Some(Stage::Routing)),
        (vec![Input::RouteUnknown], None),
        (vec![routed()], Some(Stage::Routing)),
        (vec![routed(), Input::RowOpened(false)], None),
        (vec![routed(), opened()], Some(Stage::Dialling)),
        (
            vec![routed(), opened(), progress(180, false)],
            Some(Stage::Dialling),
        ),
        (vec![routed(), opened(), gone()], None),
        (
            vec![routed(), opened(), super::ANSWERED],
            Some(Stage::Talking),
        ),
        (vec![routed(), opened(), super::ANSWERED, gone()], None),
        (vec![routed(), opened(), refused()], Some(Stage::Announcing)),
        (
            vec![routed(), opened(), refused(), super::ANSWERED],
            Some(Stage::Announcing),
        ),
        (
            vec![routed(), opened(), refused(), Input::Played(Side::Caller)],
            None,
        ),
        (vec![routed(), opened(), refused(), gone()], None),
    ];
    for (row, (story, expected)) in rows.into_iter().enumerate() {
        let mut call = Call::new(EARLY, moment(0));
        for input in story {
            call.handle(input, moment(0));
        }
        assert_eq!(call.stage(), expected, "row {row}");
        assert_eq!(
            call.is_talking(),
            expected == Some(Stage::Talking),
            "row {row}"
        );
        assert_eq!(
            call.is_announcing(),
            expected == Some(Stage::Announcing),
            "row {row}"
        );
    }
}

#[test]
fn keys_go_on_from_the_answer_on() {
    let mut call = dialled(EARLY, true);
    for input in [progress(180, false), progress_to(LISTENING, 183, true)] {
        call.handle(input, moment(0));
        assert!(!call.passes_keys());
    }
    call.handle(super::ANSWERED, moment(0));
    assert!(call.passes_keys());
}

#[test]
fn media_that_cannot_be_carried_ends_a_call_by_what_is_wrong_with_it() {
    use MediaFault::{NoPort, Unfit, Unresolved};
    let busy = || callee_refused(486, None, false);
    let refused = Input::MediaRefused;
    // What is done with the two legs, and how the call ends.
    type Row = (
        Vec<Input>,
        MediaFault,
        &'static [&'static str],
        &'static str,
    );
    let both_65: &[&str] = &["hang up caller 65", "hang up callee 65"];
    let rows: [Row; 10] = [
        (
            vec![],
            Unfit,
            &["cancel callee 65", "refuse 488 65"],
            "no_common_codec 488 65",
        ),
        (
            vec![],
            Unresolved,
            &["cancel callee 41", "refuse 503 41"],
            "media_unresolved 503 41",
        ),
        (
            vec![],
            NoPort,
            &["cancel callee 42", "refuse 503 42"],
            "overload 503 42",
        ),
        (
            vec![progress(180, true)],
            Unfit,
            &["cancel callee 65", "refuse 488 65"],
            "no_common_codec 488 65",
        ),
        (
            vec![progress(180, false)],
            Unresolved,
            &["cancel callee 41", "refuse 503 41"],
            "media_unresolved 503 41",
        ),
        // Once both have answered it is 200.
        (
            vec![super::ANSWERED],
            Unfit,
            both_65,
            "no_common_codec 200 65",
        ),
        (
            vec![super::ANSWERED],
            Unresolved,
            &["hang up caller 41", "hang up callee 41"],
            "media_unresolved 200 41",
        ),
        // A caller who cannot be told by voice gets the status alone, and why the call failed stays.
        (vec![busy()], Unfit, &["refuse 486 17"], "busy 486 17"),
        (vec![busy()], Unresolved, &["refuse 486 17"], "busy 486 17"),
        (vec![busy()], NoPort, &["refuse 486 17"], "busy 486 17"),
    ];
    for (row, (before, fault, legs, ending)) in rows.into_iter().enumerate() {
        let mut call = dialled(EARLY, true);
        for input in before {
            call.handle(input, moment(0));
        }
        let done = names(call.handle(refused(fault), moment(0)));
        let (legs_done, rest) = done.split_at(legs.len());
        assert_eq!(legs_done, legs, "row {row}");
        assert!(
            rest[0].starts_with(&format!("close row: {ending} by")),
            "row {row}: {rest:?}"
        );
        assert_eq!(rest[1..], ["forget"], "row {row}");
    }
}
