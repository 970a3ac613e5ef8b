//! Both have answered.

use super::{
    ANSWERED, CALLER_HANGS_UP, NOTICE, Part, connect_by, connect_recorded, dialled, gone, progress,
    refused, talking,
};
use crate::call::{TERMS, play};
use maskline_domain::Timestamp;
use maskline_domain::call::{Action, Call, CallTerms, Input, Milestones, Notice, Side};

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
            (ANSWERED, &["answer"]),
            CALLER_HANGS_UP,
        ],
    );
}

#[test]
fn the_callee_ends_it_with_a_cause_of_its_own() {
    talking(vec![(
        Input::Gone(Side::Callee, Some(31)),
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
        (Input::Gone(Side::Callee, Some(16)), &[]),
    ]);
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
    let caller_only = CallTerms {
        notice: Notice::Caller,
        ..TERMS
    };
    let rows: [(CallTerms, &[&str]); 3] = [
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
                (Input::RowOpened(true), &["dial 13900000000 by 0"]),
                (ANSWERED, answered),
                (Input::Played(Side::Callee), &[]),
                hung_up,
            ],
        );
    }
    // A notice without a recording would be untrue.
    dialled(NOTICE, vec![(ANSWERED, &["answer"]), hung_up]);
}

#[test]
fn silence_the_longest_time_and_the_end_of_the_process_hang_up_on_both() {
    let rows: [(Input, &[&str]); 3] = [
        (
            Input::MediaLost,
            &[
                "hang up caller 41",
                "hang up callee 41",
                "close row: media_lost 200 41 by platform",
                "forget",
            ],
        ),
        (
            Input::Timeout,
            &[
                "hang up caller 31",
                "hang up callee 31",
                "close row: duration_max 200 31 by platform",
                "forget",
            ],
        ),
        (
            Input::Stopping,
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
fn the_milestones_are_the_moments_at_which_things_happened() {
    let moment = |second: i64| maskline_domain::call::Moment {
        wall: Timestamp(second * 1_000),
        tick_ms: second as u64 * 1_000,
    };
    let mut call = Call::new(TERMS, moment(1));
    call.handle(connect_by(2), moment(2));
    call.handle(Input::RowOpened(true), moment(3));
    call.handle(refused(503), moment(4));
    call.handle(progress(180, false), moment(5));
    call.handle(progress(180, false), moment(6));
    call.handle(ANSWERED, moment(7));
    let actions = call.handle(gone(Side::Callee), moment(8));
    let closing = actions.into_iter().find_map(|action| match action {
        Action::CloseRow(closing) => Some(closing),
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
