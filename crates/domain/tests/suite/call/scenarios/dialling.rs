//! One trunk after the other, and ringing until an answer.

use super::{
    ANSWERED, CALLER_HANGS_UP, Part, callee_refused, connect, connect_by, dialled, gone, played,
    progress, refuse, refused, silent,
};
use crate::call::{EARLY, ONE_TRUNK, TERMS, connection, moment, names, play};
use maskline_domain::call::{Action, Call, DialOptions, Input, MediaFault, Side};
use maskline_domain::routing::Situation;

#[test]
fn an_answer_that_crosses_the_caller_leaving_changes_nothing() {
    dialled(
        TERMS,
        vec![
            (
                gone(Side::Caller),
                &[
                    "cancel callee 16",
                    "close row: caller_gave_up 487 16 by caller",
                    "forget",
                ],
            ),
            (ANSWERED, &[]),
        ],
    );
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
                Input::RowOpened(true),
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
                    "cancel callee 16",
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
            (Input::Timeout, &["cancel callee 19", "play no_answer"]),
            (played(), end),
        ],
    );
}

#[test]
fn media_that_cannot_be_carried_ends_the_call() {
    dialled(
        EARLY,
        vec![(
            Input::MediaRefused(MediaFault::Unfit),
            &[
                "cancel callee 65",
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
            (Input::RowOpened(true), &["dial 13900000000 by 0"]),
            (refused(503), &["dial 13900000000 by 1"]),
            (silent(), &["dial 13900000000 by 2"]),
            (progress(180, false), &["tell 180"]),
            (ANSWERED, &["answer"]),
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
            (Input::RowOpened(true), &["dial 13900000000 by 0"]),
            (
                Input::Timeout,
                &["cancel callee 38", "dial 13900000000 by 1"],
            ),
            (
                Input::Timeout,
                &[
                    "cancel callee 19",
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
        call.handle(Input::RowOpened(true), moment(1_000));
        call
    };
    let mut call = begun(2);
    assert_eq!(call.deadline(), Some(17_000));
    call.handle(Input::TrunkTrying, moment(1_500));
    assert_eq!(call.deadline(), Some(33_000), "from the INVITE on");
    let done = names(call.handle(Input::Timeout, moment(33_000)));
    assert_eq!(done, ["cancel callee 38", "dial 13900000000 by 1"]);
    // The last one may ring as long as any, and so may one that has rung.
    assert_eq!(call.deadline(), Some(93_000));
    call.handle(Input::TrunkTrying, moment(33_500));
    assert_eq!(call.deadline(), Some(93_000));
    let mut call = begun(2);
    call.handle(progress(180, false), moment(2_000));
    call.handle(Input::TrunkTrying, moment(3_000));
    assert_eq!(call.deadline(), Some(61_000));
}

#[test]
fn when_all_trunks_have_failed_the_caller_hears_unreachable() {
    play(
        EARLY,
        vec![
            (connect_by(2), &["open row"]),
            (Input::RowOpened(true), &["dial 13900000000 by 0"]),
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
            callee_refused(500, Some(17), false),
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
            (Input::RowOpened(true), &["dial 13900000000 by 0"]),
        ];
        story.extend(rest);
        play(TERMS, story);
    }
}

#[test]
fn a_timeout_that_comes_early_is_ignored() {
    let mut call = Call::new(TERMS, moment(0));
    call.handle(connect(), moment(0));
    call.handle(Input::RowOpened(true), moment(0));
    assert!(call.handle(Input::Timeout, moment(59_999)).is_empty());
    let done = names(call.handle(Input::Timeout, moment(60_000)));
    assert_eq!(done.len(), 4);
}

/// The places that are dialled one after the other, by these options and while this happens.
fn dialled_places(trunks: usize, further: u16, inputs: Vec<Input>) -> Vec<usize> {
    let options = DialOptions {
        trunks,
        further,
        ..ONE_TRUNK
    };
    let mut call = Call::new(TERMS, moment(0));
    let begins = [Input::Routed(connection(), options), Input::RowOpened(true)];
    let inputs = begins.into_iter().chain(inputs);
    let actions = inputs.flat_map(|input| call.handle(input, moment(0)));
    actions
        .filter_map(|action| match action {
            Action::DialCallee { trunk: place, .. } => Some(place),
            _ => None,
        })
        .collect()
}

#[test]
fn a_further_place_is_tried_where_nobody_answered_and_another_trunk_where_somebody_said_no() {
    // Two trunks, the first at three places, the second at two.
    let dialled = |inputs| dialled_places(5, 0b10110, inputs);
    let no_connection = || callee_refused(503, Some(38), true);
    let rows: [(Vec<Input>, &[usize]); 13] = [
        (vec![silent()], &[0, 1]),
        (vec![refused(503)], &[0, 1]),
        (vec![no_connection()], &[0, 1]),
        (vec![refused(500)], &[0, 3]),
        (vec![refused(502)], &[0, 3]),
        (vec![refused(504)], &[0, 3]),
        (vec![refused(401)], &[0, 3]),
        (vec![refused(302)], &[0, 3]),
        // What the callee says is final.
        (vec![refused(486)], &[0]),
        (vec![silent(), refused(500), silent()], &[0, 1, 3, 4]),
        (vec![silent(), silent(), silent()], &[0, 1, 2, 3]),
        (vec![refused(500), refused(500)], &[0, 3]),
        // Whoever rings is there.
        (vec![progress(180, false), silent()], &[0]),
    ];
    for (row, (inputs, expected)) in rows.into_iter().enumerate() {
        assert_eq!(dialled(inputs), expected, "row {row}");
    }
}

#[test]
fn who_has_said_100_is_not_asked_again_at_its_next_place() {
    type Row = (usize, u16, Vec<Input>, u64, &'static [usize]);
    // Two trunks, the first at two places; then one trunk at three.
    let rows: [Row; 6] = [
        (3, 0b010, vec![], 16_000, &[0, 1]),
        (3, 0b010, vec![Input::TrunkTrying], 32_000, &[0, 2]),
        (3, 0b110, vec![], 16_000, &[0, 1]),
        // Nobody else is left, so that it may search as long as a callee may ring.
        (3, 0b110, vec![Input::TrunkTrying], 32_000, &[0]),
        (3, 0b010, vec![Input::TrunkTrying, silent()], 0, &[0, 2]),
        (3, 0b010, vec![Input::TrunkTrying, refused(503)], 0, &[0, 1]),
    ];
    for (row, (trunks, further, inputs, timeout_ms, expected)) in rows.into_iter().enumerate() {
        let options = DialOptions {
            trunks,
            further,
            ..ONE_TRUNK
        };
        let mut call = Call::new(TERMS, moment(0));
        let begins = [Input::Routed(connection(), options), Input::RowOpened(true)];
        let mut actions = Vec::new();
        for input in begins.into_iter().chain(inputs) {
            actions.extend(call.handle(input, moment(0)));
        }
        actions.extend(call.handle(Input::Timeout, moment(timeout_ms)));
        let dialled: Vec<usize> = actions
            .into_iter()
            .filter_map(|action| match action {
                Action::DialCallee { trunk: place, .. } => Some(place),
                _ => None,
            })
            .collect();
        assert_eq!(dialled, expected, "row {row}");
    }
}

#[test]
fn a_place_that_did_not_take_the_call_is_tried_later_by_others_and_a_full_trunk_refuses() {
    type Row<'a> = (u16, Vec<Input>, &'a [&'a str]);
    let by = ["dial 13900000000 by 1", "dial 13900000000 by 2"];
    let hung_up = "cancel callee 38";
    let unreachable = "close row: unreachable 502 38 by platform";
    // Three places, of which some are only further places of the trunk before.
    let rows: [Row<'_>; 10] = [
        (0b000, vec![silent()], &[by[0]]),
        (0b010, vec![silent()], &["silent place 0", by[0]]),
        (0b010, vec![refused(503)], &["silent place 0", by[0]]),
        (0b010, vec![refused(500)], &[by[1]]),
        (
            0b100,
            vec![silent(), silent()],
            &[by[0], "silent place 1", by[1]],
        ),
        (
            0b110,
            vec![silent(), silent()],
            &["silent place 0", by[0], "silent place 1", by[1]],
        ),
        (
            0b010,
            vec![Input::Timeout],
            &[hung_up, "silent place 0", by[0]],
        ),
        (0b000, vec![Input::TrunkFull], &[by[0]]),
        (0b000, vec![Input::TrunkFull, silent()], &by),
        (
            0b000,
            vec![Input::TrunkFull, Input::TrunkFull, Input::TrunkFull],
            &[by[0], by[1], "refuse 502 38", unreachable, "forget"],
        ),
    ];
    for (row, (further, inputs, expected)) in rows.into_iter().enumerate() {
        let options = DialOptions {
            trunks: 3,
            further,
            ..ONE_TRUNK
        };
        let mut call = Call::new(TERMS, moment(0));
        call.handle(Input::Routed(connection(), options), moment(0));
        call.handle(Input::RowOpened(true), moment(0));
        let mut done = Vec::new();
        for input in inputs {
            let at_ms = match input {
                Input::Timeout => call.deadline().unwrap_or_default(),
                _ => 0,
            };
            done.extend(names(call.handle(input, moment(at_ms))));
        }
        assert_eq!(done, expected, "row {row}");
    }
}

#[test]
fn places_do_not_count_against_the_trunks_that_are_tried() {
    // Two trunks at three places each, and three more: the fifth is not tried.
    let all_silent = || (0..20).map(|_| silent()).collect();
    let dialled = dialled_places(9, 0b000_110_110, all_silent());
    assert_eq!(dialled, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(dialled_places(9, 0, all_silent()), [0, 1, 2, 3]);
}
