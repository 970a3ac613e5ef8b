//! Each story of a call.

use super::{EARLY, ONE_TRUNK, TERMS, binding, connection, moment, name, play};
use maskline_domain::Timestamp;
use maskline_domain::call::{
    Call, Crowd, Deed, Happening, Milestones, Notice, Prospects, Reason, Side, Terms,
};
use maskline_domain::routing::{Route, Situation};
use maskline_domain::trunk::PromptPolicy;

pub(super) type Part = (Happening, &'static [&'static str]);

const NOTICE: Terms = Terms {
    notice: Notice::Both,
    ..TERMS
};

fn connect() -> Happening {
    Happening::Routed(connection(), ONE_TRUNK)
}

fn connect_by(trunks: usize) -> Happening {
    let prospects = Prospects {
        trunks,
        ..ONE_TRUNK
    };
    Happening::Routed(connection(), prospects)
}

fn connect_recorded() -> Happening {
    let Route::Connect(mut recorded) = connection() else {
        panic!("it connects")
    };
    recorded.binding.record = true;
    Happening::Routed(Route::Connect(recorded), ONE_TRUNK)
}

fn refuse(situation: Situation) -> Happening {
    let binding = Some(Box::new(binding()));
    Happening::Routed(Route::Refuse { situation, binding }, ONE_TRUNK)
}

fn progress(status: u16, early_media: bool) -> Happening {
    Happening::CalleeProgress {
        status,
        early_media,
    }
}

fn refused(status: u16) -> Happening {
    Happening::CalleeRefused(status, None, false)
}

fn silent() -> Happening {
    Happening::CalleeRefused(408, None, true)
}

fn gone(side: Side) -> Happening {
    Happening::Gone(side, None)
}

fn played() -> Happening {
    Happening::Played(Side::Caller)
}

/// The second leg is dialled; then `rest`.
pub(super) fn dialled(terms: Terms, rest: Vec<Part>) {
    let mut story: Vec<Part> = vec![
        (connect(), &["open row"]),
        (Happening::RowOpened(true), &["dial 13900000000 by 0"]),
    ];
    story.extend(rest);
    play(terms, story);
}

/// Both talk; then `rest`.
pub(super) fn talking(rest: Vec<Part>) {
    let mut story: Vec<Part> = vec![(Happening::CalleeAnswered, &["answer"])];
    story.extend(rest);
    dialled(TERMS, story);
}

pub(super) const CALLER_HANGS_UP: Part = (
    Happening::Gone(Side::Caller, Some(16)),
    &[
        "hang up callee 16",
        "close row: hung_up 200 16 by caller",
        "forget",
    ],
);

#[test]
fn a_call_is_recorded_dialled_answered_and_ended_by_the_caller() {
    dialled(
        TERMS,
        vec![
            (progress(180, false), &["tell 180"]),
            (progress(183, true), &["tell 183 with media"]),
            (progress(181, false), &["tell 180"]),
            (progress(182, false), &["tell 182"]),
            (progress(199, false), &[]),
            (Happening::CalleeAnswered, &["answer"]),
            CALLER_HANGS_UP,
        ],
    );
}

#[test]
fn the_callee_ends_it_with_a_cause_of_its_own() {
    talking(vec![(
        Happening::Gone(Side::Callee, Some(31)),
        &[
            "hang up caller 31",
            "close row: hung_up 200 31 by callee",
            "forget",
        ],
    )]);
}

#[test]
fn when_both_hang_up_at_once_the_first_ends_it() {
    talking(vec![
        CALLER_HANGS_UP,
        (Happening::Gone(Side::Callee, Some(16)), &[]),
    ]);
}

#[test]
fn an_answer_that_crosses_the_caller_leaving_changes_nothing() {
    dialled(
        TERMS,
        vec![
            (
                gone(Side::Caller),
                &[
                    "hang up callee 16",
                    "close row: caller_gave_up 487 16 by caller",
                    "forget",
                ],
            ),
            (Happening::CalleeAnswered, &[]),
        ],
    );
}

#[test]
fn nobody_is_dialled_without_a_durable_row() {
    let refused: &[&str] = &[
        "refuse 503 41",
        "close row: not_durable 503 41 by platform",
        "forget",
    ];
    for not_durable in [Happening::RowOpened(false), Happening::Timeout] {
        play(
            TERMS,
            vec![(connect(), &["open row"]), (not_durable, refused)],
        );
    }
}

#[test]
fn a_route_that_cannot_be_read_refuses_the_call() {
    for unknown in [Happening::RouteUnknown, Happening::Timeout] {
        play(TERMS, vec![(unknown, &["refuse 503 41", "forget"])]);
    }
    play(
        TERMS,
        vec![
            (gone(Side::Caller), &[]),
            (Happening::RouteUnknown, &["forget"]),
        ],
    );
}

#[test]
fn each_situation_is_told_in_its_own_way_and_recorded() {
    let rows: [(Situation, &[&str], &[&str]); 6] = [
        (
            Situation::NoBinding,
            &["play not_in_use"],
            &[
                "refuse 404 1",
                "write row: no_binding 404 1 by platform",
                "forget",
            ],
        ),
        (
            Situation::VacantNumber,
            &["play vacant_number"],
            &[
                "refuse 404 1",
                "write row: vacant_number 404 1 by platform",
                "forget",
            ],
        ),
        (
            Situation::CallBackOff,
            &["play cannot_connect"],
            &[
                "refuse 403 21",
                "write row: call_back_off 403 21 by platform",
                "forget",
            ],
        ),
        (
            Situation::Restricted,
            &["play cannot_connect"],
            &[
                "refuse 403 21",
                "write row: restricted 403 21 by platform",
                "forget",
            ],
        ),
        (
            Situation::Loop,
            &[],
            &[
                "refuse 482 25",
                "write row: loop 482 25 by platform",
                "forget",
            ],
        ),
        (Situation::XUnknown, &[], &["refuse 404 1", "forget"]),
    ];
    for (situation, prompt, end) in rows {
        play(TERMS, vec![(refuse(situation), end)]);
        match prompt {
            [] => play(EARLY, vec![(refuse(situation), end)]),
            _ => play(EARLY, vec![(refuse(situation), prompt), (played(), end)]),
        }
    }
}

#[test]
fn a_caller_may_give_up_at_any_time_before_the_answer() {
    let written: &[&str] = &["write row: caller_gave_up 487 16 by caller", "forget"];
    for route in [connect(), refuse(Situation::NoBinding)] {
        play(EARLY, vec![(gone(Side::Caller), &[]), (route, written)]);
    }
    play(
        TERMS,
        vec![
            (connect(), &["open row"]),
            (gone(Side::Caller), &[]),
            (
                Happening::RowOpened(true),
                &["close row: caller_gave_up 487 16 by caller", "forget"],
            ),
        ],
    );
    dialled(
        TERMS,
        vec![
            (progress(180, false), &["tell 180"]),
            (
                gone(Side::Caller),
                &[
                    "hang up callee 16",
                    "close row: caller_gave_up 487 16 by caller",
                    "forget",
                ],
            ),
        ],
    );
}

#[test]
fn a_callee_that_does_not_answer_is_given_up_in_time() {
    let end: &[&str] = &[
        "refuse 480 19",
        "close row: no_answer 480 19 by platform",
        "forget",
    ];
    dialled(
        EARLY,
        vec![
            (progress(180, false), &["tell 180"]),
            (Happening::Timeout, &["hang up callee 19", "play no_answer"]),
            (played(), end),
        ],
    );
}

#[test]
fn what_the_callee_refuses_with_is_told() {
    let rows: [(Happening, &[&str], &[&str]); 5] = [
        (
            refused(486),
            &["play busy"],
            &[
                "refuse 486 17",
                "close row: busy 486 17 by callee",
                "forget",
            ],
        ),
        (
            Happening::CalleeRefused(603, Some(88), false),
            &["play refused"],
            &[
                "refuse 603 88",
                "close row: declined 603 88 by callee",
                "forget",
            ],
        ),
        (
            refused(404),
            &["play vacant_number"],
            &[
                "refuse 404 1",
                "close row: no_such_number 404 1 by callee",
                "forget",
            ],
        ),
        (
            silent(),
            &["play unreachable"],
            &[
                "refuse 502 38",
                "close row: unreachable 502 38 by platform",
                "forget",
            ],
        ),
        (
            gone(Side::Callee),
            &["play unreachable"],
            &[
                "refuse 480 31",
                "close row: failed 480 31 by callee",
                "forget",
            ],
        ),
    ];
    for (refused, prompt, end) in rows {
        dialled(EARLY, vec![(refused, prompt), (played(), end)]);
    }
}

#[test]
fn what_the_callees_network_has_said_is_not_said_again() {
    dialled(
        EARLY,
        vec![
            (progress(183, true), &["tell 183 with media"]),
            (
                refused(486),
                &[
                    "refuse 486 17",
                    "close row: busy 486 17 by callee",
                    "forget",
                ],
            ),
        ],
    );
    // A 180 without media is only ringing.
    dialled(
        EARLY,
        vec![
            (progress(180, false), &["tell 180"]),
            (refused(486), &["play busy"]),
            (
                played(),
                &[
                    "refuse 486 17",
                    "close row: busy 486 17 by callee",
                    "forget",
                ],
            ),
        ],
    );
}

#[test]
fn a_trunk_without_early_media_is_answered_for_the_prompt() {
    let terms = Terms {
        prompts: PromptPolicy::Answer,
        ..TERMS
    };
    play(
        terms,
        vec![
            (
                refuse(Situation::NoBinding),
                &["answer and play not_in_use"],
            ),
            (
                played(),
                &[
                    "hang up caller 1",
                    "write row: no_binding 200 1 by platform",
                    "forget",
                ],
            ),
        ],
    );
    play(
        terms,
        vec![(
            refuse(Situation::Loop),
            &[
                "refuse 482 25",
                "write row: loop 482 25 by platform",
                "forget",
            ],
        )],
    );
}

#[test]
fn a_caller_may_leave_during_a_prompt() {
    play(
        EARLY,
        vec![
            (refuse(Situation::VacantNumber), &["play vacant_number"]),
            (
                gone(Side::Caller),
                &["write row: vacant_number 487 1 by caller", "forget"],
            ),
        ],
    );
}

#[test]
fn a_prompt_that_does_not_end_is_ended() {
    for stuck in [
        Happening::Timeout,
        Happening::Stopping,
        Happening::MediaLost,
    ] {
        play(
            EARLY,
            vec![
                (refuse(Situation::VacantNumber), &["play vacant_number"]),
                (
                    stuck,
                    &[
                        "refuse 404 1",
                        "write row: vacant_number 404 1 by platform",
                        "forget",
                    ],
                ),
            ],
        );
    }
}

#[test]
fn media_that_cannot_be_carried_ends_the_call() {
    dialled(
        EARLY,
        vec![(
            Happening::MediaRefused(Reason::NoCommonCodec),
            &[
                "hang up callee 65",
                "refuse 488 65",
                "close row: no_common_codec 488 65 by platform",
                "forget",
            ],
        )],
    );
}

#[test]
fn the_next_trunk_is_tried_when_one_fails() {
    play(
        TERMS,
        vec![
            (connect_by(3), &["open row"]),
            (Happening::RowOpened(true), &["dial 13900000000 by 0"]),
            (refused(503), &["dial 13900000000 by 1"]),
            (silent(), &["dial 13900000000 by 2"]),
            (progress(180, false), &["tell 180"]),
            (Happening::CalleeAnswered, &["answer"]),
            CALLER_HANGS_UP,
        ],
    );
}

#[test]
fn a_trunk_that_says_nothing_is_left_for_the_next_one() {
    play(
        TERMS,
        vec![
            (connect_by(2), &["open row"]),
            (Happening::RowOpened(true), &["dial 13900000000 by 0"]),
            (
                Happening::Timeout,
                &["hang up callee 38", "dial 13900000000 by 1"],
            ),
            (
                Happening::Timeout,
                &[
                    "hang up callee 19",
                    "refuse 480 19",
                    "close row: no_answer 480 19 by platform",
                    "forget",
                ],
            ),
        ],
    );
}

#[test]
fn a_trunk_that_tries_is_given_longer_but_not_for_ever() {
    let begun = |trunks| {
        let mut call = Call::new(TERMS, moment(0));
        call.handle(connect_by(trunks), moment(0));
        call.handle(Happening::RowOpened(true), moment(1_000));
        call
    };
    let mut call = begun(2);
    assert_eq!(call.deadline(), Some(17_000));
    call.handle(Happening::TrunkTrying, moment(1_500));
    assert_eq!(call.deadline(), Some(33_000), "from the INVITE on");
    let deeds = call.handle(Happening::Timeout, moment(33_000));
    let done: Vec<String> = deeds.iter().map(name).collect();
    assert_eq!(done, ["hang up callee 38", "dial 13900000000 by 1"]);
    // The last one may ring as long as any, and so may one that has rung.
    assert_eq!(call.deadline(), Some(93_000));
    call.handle(Happening::TrunkTrying, moment(33_500));
    assert_eq!(call.deadline(), Some(93_000));
    let mut call = begun(2);
    call.handle(progress(180, false), moment(2_000));
    call.handle(Happening::TrunkTrying, moment(3_000));
    assert_eq!(call.deadline(), Some(61_000));
}

#[test]
fn when_all_trunks_have_failed_the_caller_hears_unreachable() {
    play(
        EARLY,
        vec![
            (connect_by(2), &["open row"]),
            (Happening::RowOpened(true), &["dial 13900000000 by 0"]),
            (refused(500), &["dial 13900000000 by 1"]),
            (refused(502), &["play unreachable"]),
            (
                played(),
                &[
                    "refuse 502 38",
                    "close row: unreachable 502 38 by callee",
                    "forget",
                ],
            ),
        ],
    );
    play(
        TERMS,
        vec![(
            connect_by(0),
            &[
                "refuse 502 38",
                "write row: unreachable 502 38 by platform",
                "forget",
            ],
        )],
    );
}

#[test]
fn no_other_trunk_is_tried_once_the_callee_has_spoken() {
    let rows: [Vec<Part>; 3] = [
        vec![(
            refused(486),
            &[
                "refuse 486 17",
                "close row: busy 486 17 by callee",
                "forget",
            ],
        )],
        vec![(
            Happening::CalleeRefused(500, Some(17), false),
            &[
                "refuse 486 17",
                "close row: busy 486 17 by callee",
                "forget",
            ],
        )],
        vec![
            (progress(180, false), &["tell 180"]),
            (
                refused(503),
                &[
                    "refuse 502 38",
                    "close row: unreachable 502 38 by callee",
                    "forget",
                ],
            ),
        ],
    ];
    for rest in rows {
        let mut story: Vec<Part> = vec![
            (connect_by(2), &["open row"]),
            (Happening::RowOpened(true), &["dial 13900000000 by 0"]),
        ];
        story.extend(rest);
        play(TERMS, story);
    }
}

#[test]
fn a_crowd_on_x_or_by_a_caller_is_refused_and_recorded() {
    let rows: [(Crowd, &[&str]); 2] = [
        (
            Crowd::X,
            &[
                "refuse 486 17",
                "write row: x_full 486 17 by platform",
                "forget",
            ],
        ),
        (
            Crowd::Caller,
            &[
                "refuse 486 17",
                "write row: caller_full 486 17 by platform",
                "forget",
            ],
        ),
    ];
    for (crowd, expected) in rows {
        let prospects = Prospects {
            crowd: Some(crowd),
            ..ONE_TRUNK
        };
        play(
            TERMS,
            vec![(Happening::Routed(connection(), prospects), expected)],
        );
    }
}

#[test]
fn a_recorded_call_is_recorded_from_the_answer_on_and_both_are_told() {
    let hung_up: Part = (
        gone(Side::Callee),
        &[
            "hang up caller 16",
            "close row: hung_up 200 16 by callee",
            "forget",
        ],
    );
    let caller_only = Terms {
        notice: Notice::Caller,
        ..TERMS
    };
    let rows: [(Terms, &[&str]); 3] = [
        (TERMS, &["answer", "record"]),
        (
            caller_only,
            &["answer", "record", "play recording_notice to caller"],
        ),
        (
            NOTICE,
            &[
                "answer",
                "record",
                "play recording_notice to caller",
                "play recording_notice to callee",
            ],
        ),
    ];
    for (terms, answered) in rows {
        let hung_up = (gone(Side::Callee), hung_up.1);
        play(
            terms,
            vec![
                (connect_recorded(), &["open row"]),
                (Happening::RowOpened(true), &["dial 13900000000 by 0"]),
                (Happening::CalleeAnswered, answered),
                (Happening::Played(Side::Callee), &[]),
                hung_up,
            ],
        );
    }
    // A notice without a recording would be untrue.
    dialled(
        NOTICE,
        vec![(Happening::CalleeAnswered, &["answer"]), hung_up],
    );
}

#[test]
fn silence_the_longest_time_and_the_end_of_the_process_hang_up_on_both() {
    let rows: [(Happening, &[&str]); 3] = [
        (
            Happening::MediaLost,
            &[
                "hang up caller 41",
                "hang up callee 41",
                "close row: media_lost 200 41 by platform",
                "forget",
            ],
        ),
        (
            Happening::Timeout,
            &[
                "hang up caller 31",
                "hang up callee 31",
                "close row: duration_max 200 31 by platform",
                "forget",
            ],
        ),
        (
            Happening::Stopping,
            &[
                "hang up caller 41",
                "hang up callee 41",
                "close row: stopped 200 41 by platform",
                "forget",
            ],
        ),
    ];
    for row in rows {
        talking(vec![row]);
    }
}

#[test]
fn a_process_that_stops_dials_nobody_any_more() {
    play(
        EARLY,
        vec![
            (Happening::Stopping, &[]),
            (
                connect(),
                &[
                    "refuse 503 42",
                    "write row: overload 503 42 by platform",
                    "forget",
                ],
            ),
        ],
    );
    play(
        EARLY,
        vec![
            (connect(), &["open row"]),
            (Happening::Stopping, &[]),
            (
                Happening::RowOpened(true),
                &[
                    "refuse 503 42",
                    "close row: overload 503 42 by platform",
                    "forget",
                ],
            ),
        ],
    );
}

#[test]
fn the_milestones_are_the_moments_at_which_things_happened() {
    let moment = |second: i64| maskline_domain::call::Moment {
        wall: Timestamp(second * 1_000),
        tick_ms: second as u64 * 1_000,
    };
    let mut call = Call::new(TERMS, moment(1));
    call.handle(connect_by(2), moment(2));
    call.handle(Happening::RowOpened(true), moment(3));
    call.handle(refused(503), moment(4));
    call.handle(progress(180, false), moment(5));
    call.handle(progress(180, false), moment(6));
    call.handle(Happening::CalleeAnswered, moment(7));
    let deeds = call.handle(gone(Side::Callee), moment(8));
    let closing = deeds.into_iter().find_map(|deed| match deed {
        Deed::CloseRow(closing) => Some(closing),
        _ => None,
    });
    let at = |second: i64| Some(Timestamp(second * 1_000));
    let expected = Milestones {
        arrived: Timestamp(1_000),
        routed: at(2),
        dialled: at(3),
        ringing: at(5),
        answered: at(7),
        released: at(8),
    };
    assert_eq!(closing.map(|closing| closing.milestones), Some(expected));
}

#[test]
fn a_timeout_that_comes_early_is_ignored() {
    let mut call = Call::new(TERMS, moment(0));
    call.handle(connect(), moment(0));
    call.handle(Happening::RowOpened(true), moment(0));
    assert!(call.handle(Happening::Timeout, moment(59_999)).is_empty());
    assert_eq!(call.handle(Happening::Timeout, moment(60_000)).len(), 4);
}
