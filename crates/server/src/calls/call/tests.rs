//! Each story of a call, told as what happens and what is done.

use super::*;
use maskline_domain::binding::{Extras, Restriction};
use maskline_domain::kinds::{Product, Role};
use maskline_domain::{PoolKey, SubsId};

const BOUNDS: Bounds = Bounds {
    duration_max_s: 3_600,
};

fn number(digits: &str) -> PhoneNumber {
    PhoneNumber::parse(digits).expect("digits")
}

fn binding() -> Binding {
    Binding {
        subs_id: SubsId(1),
        product: Product::Axn,
        x: number("17000000001"),
        a: number("13900000000"),
        b: None,
        created_at: Timestamp(0),
        expires_at: Timestamp(i64::MAX),
        restriction: Restriction::None,
        record: false,
        speech_recognition: false,
        ring_timeout_s: None,
        extras: Extras::default(),
    }
}

fn connect() -> Happening {
    Happening::Routed(Route::Connect(Box::new(Connection {
        callee: binding().a,
        binding: binding(),
        pool: PoolKey::new("FC1"),
        caller_role: Role::Other,
        ring_timeout_s: 60,
    })))
}

fn refuse(situation: Situation) -> Happening {
    Happening::Routed(Route::Refuse {
        situation,
        binding: Some(Box::new(binding())),
    })
}

fn progress(status: u16, early_media: bool) -> Happening {
    Happening::CalleeProgress {
        status,
        early_media,
    }
}

/// What is done, in short.
fn name(deed: &Deed) -> String {
    let ending =
        |ending: &Ending| format!("{} {} {}", ending.reason.name(), ending.status, ending.q850);
    let closing = |closing: &Closing| {
        format!(
            "{} by {}",
            ending(&closing.ending),
            closing.released_by.name()
        )
    };
    match deed {
        Deed::OpenRow(_) => "open row".into(),
        Deed::DialCallee(callee) => format!("dial {}", callee.reveal()),
        Deed::TellCaller {
            status,
            early_media: false,
        } => format!("tell {status}"),
        Deed::TellCaller {
            status,
            early_media: true,
        } => format!("tell {status} with media"),
        Deed::AnswerCaller => "answer".into(),
        Deed::RefuseCaller(refusal) => format!("refuse {} {}", refusal.status, refusal.q850),
        Deed::HangUpCaller(cause) => format!("hang up caller {cause}"),
        Deed::HangUpCallee(cause) => format!("hang up callee {cause}"),
        Deed::WriteRow(_, end) => format!("write row: {}", closing(end)),
        Deed::CloseRow(end) => format!("close row: {}", closing(end)),
        Deed::Forget => "forget".into(),
    }
}

/// Plays a story, one second between what happens, and checks what is done each time.
fn play(story: Vec<(Happening, &[&str])>) {
    let mut tick_ms = 0;
    let moment = |tick_ms: u64| Moment {
        wall: Timestamp(1_000_000 + tick_ms as i64),
        tick_ms,
    };
    let mut call = Call::new(BOUNDS, moment(0));
    for (happening, expected) in story {
        tick_ms = match happening {
            Happening::Timeout => call.deadline().unwrap_or(tick_ms),
            _ => tick_ms + 1_000,
        };
        let shown = format!("{happening:?}");
        let done: Vec<String> = call
            .handle(happening, moment(tick_ms))
            .iter()
            .map(name)
            .collect();
        assert_eq!(done, expected, "after {shown}");
    }
    assert_eq!(
        call.deadline(),
        None,
        "a call that is over waits for nothing"
    );
    assert!(
        call.handle(Happening::CallerGone(None), moment(tick_ms))
            .is_empty(),
        "and does nothing"
    );
}

#[test]
fn a_call_is_recorded_dialled_answered_and_ended_by_the_caller() {
    play(vec![
        (connect(), &["open row"]),
        (Happening::RowOpened(true), &["dial 13900000000"]),
        (progress(180, false), &["tell 180"]),
        (progress(183, true), &["tell 183 with media"]),
        (progress(181, false), &["tell 180"]),
        (progress(199, false), &[]),
        (Happening::CalleeAnswered, &["answer"]),
        (
            Happening::CallerGone(Some(16)),
            &[
                "hang up callee 16",
                "close row: hung_up 200 16 by caller",
                "forget",
            ],
        ),
    ]);
}

#[test]
fn the_callee_ends_it_with_a_cause_of_its_own() {
    play(vec![
        (connect(), &["open row"]),
        (Happening::RowOpened(true), &["dial 13900000000"]),
        (Happening::CalleeAnswered, &["answer"]),
        (
            Happening::CalleeGone(Some(31)),
            &[
                "hang up caller 31",
                "close row: hung_up 200 31 by callee",
                "forget",
            ],
        ),
    ]);
}

#[test]
fn nobody_is_dialled_without_a_durable_row() {
    play(vec![
        (connect(), &["open row"]),
        (Happening::RowOpened(false), &["refuse 503 41", "forget"]),
    ]);
}

#[test]
fn a_route_that_cannot_be_read_refuses_the_call() {
    play(vec![(
        Happening::RouteUnknown,
        &["refuse 503 41", "forget"],
    )]);
}

#[test]
fn each_situation_is_refused_in_its_own_way_and_recorded() {
    let rows: [(Situation, &[&str]); 6] = [
        (
            Situation::NoBinding,
            &[
                "refuse 404 1",
                "write row: no_binding 404 1 by platform",
                "forget",
            ],
        ),
        (
            Situation::VacantNumber,
            &[
                "refuse 404 1",
                "write row: vacant_number 404 1 by platform",
                "forget",
            ],
        ),
        (
            Situation::CallBackOff,
            &[
                "refuse 403 21",
                "write row: call_back_off 403 21 by platform",
                "forget",
            ],
        ),
        (
            Situation::Restricted,
            &[
                "refuse 403 21",
                "write row: restricted 403 21 by platform",
                "forget",
            ],
        ),
        (
            Situation::Loop,
            &[
                "refuse 482 25",
                "write row: loop 482 25 by platform",
                "forget",
            ],
        ),
        (Situation::XUnknown, &["refuse 404 1", "forget"]),
    ];
    for (situation, expected) in rows {
        play(vec![(refuse(situation), expected)]);
    }
}

#[test]
fn a_caller_may_give_up_at_any_time_before_the_answer() {
    let gone = || Happening::CallerGone(None);
    play(vec![
        (gone(), &[]),
        (
            connect(),
            &["write row: caller_gave_up 487 16 by caller", "forget"],
        ),
    ]);
    play(vec![
        (gone(), &[]),
        (
            refuse(Situation::NoBinding),
            &["write row: caller_gave_up 487 16 by caller", "forget"],
        ),
    ]);
    play(vec![
        (connect(), &["open row"]),
        (gone(), &[]),
        (
            Happening::RowOpened(true),
            &["close row: caller_gave_up 487 16 by caller", "forget"],
        ),
    ]);
    play(vec![
        (connect(), &["open row"]),
        (Happening::RowOpened(true), &["dial 13900000000"]),
        (progress(180, false), &["tell 180"]),
        (
            gone(),
            &[
                "hang up callee 16",
                "close row: caller_gave_up 487 16 by caller",
                "forget",
            ],
        ),
    ]);
}

#[test]
fn a_callee_that_does_not_answer_is_given_up_in_time() {
    play(vec![
        (connect(), &["open row"]),
        (Happening::RowOpened(true), &["dial 13900000000"]),
        (progress(180, false), &["tell 180"]),
        (
            Happening::Timeout,
            &[
                "hang up callee 19",
                "refuse 480 19",
                "close row: no_answer 480 19 by platform",
                "forget",
            ],
        ),
    ]);
}

#[test]
fn what_the_callee_refuses_with_is_told() {
    let rows: [(Happening, &[&str]); 3] = [
        (
            Happening::CalleeRefused(486, None, false),
            &[
                "refuse 486 17",
                "close row: busy 486 17 by callee",
                "forget",
            ],
        ),
        (
            Happening::CalleeRefused(603, Some(88), false),
            &[
                "refuse 603 88",
                "close row: declined 603 88 by callee",
                "forget",
            ],
        ),
        (
            Happening::CalleeRefused(408, None, true),
            &[
                "refuse 502 38",
                "close row: unreachable 502 38 by platform",
                "forget",
            ],
        ),
    ];
    for (refused, expected) in rows {
        play(vec![
            (connect(), &["open row"]),
            (Happening::RowOpened(true), &["dial 13900000000"]),
            (refused, expected),
        ]);
    }
}

#[test]
fn media_that_cannot_be_carried_ends_the_call() {
    play(vec![
        (connect(), &["open row"]),
        (Happening::RowOpened(true), &["dial 13900000000"]),
        (
            Happening::MediaRefused(Reason::NoCommonCodec),
            &[
                "hang up callee 65",
                "refuse 488 65",
                "close row: no_common_codec 488 65 by platform",
                "forget",
            ],
        ),
    ]);
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
    for (happening, expected) in rows {
        play(vec![
            (connect(), &["open row"]),
            (Happening::RowOpened(true), &["dial 13900000000"]),
            (Happening::CalleeAnswered, &["answer"]),
            (happening, expected),
        ]);
    }
}

#[test]
fn the_milestones_are_the_moments_at_which_things_happened() {
    let moment = |second: i64| Moment {
        wall: Timestamp(second * 1_000),
        tick_ms: second as u64 * 1_000,
    };
    let mut call = Call::new(BOUNDS, moment(1));
    call.handle(connect(), moment(2));
    call.handle(Happening::RowOpened(true), moment(3));
    call.handle(progress(180, false), moment(4));
    call.handle(progress(180, false), moment(5));
    call.handle(Happening::CalleeAnswered, moment(6));
    let deeds = call.handle(Happening::CalleeGone(None), moment(7));
    let Some(Deed::CloseRow(closing)) = deeds
        .into_iter()
        .find(|deed| matches!(deed, Deed::CloseRow(_)))
    else {
        panic!("the row is closed");
    };
    let at = |second: i64| Some(Timestamp(second * 1_000));
    let expected = Milestones {
        arrived: Timestamp(1_000),
        routed: at(2),
        dialled: at(3),
        ringing: at(4),
        answered: at(6),
        released: at(7),
    };
    assert_eq!(closing.milestones, expected);
}

#[test]
fn a_timeout_that_comes_early_is_ignored() {
    let moment = |tick_ms: u64| Moment {
        wall: Timestamp(0),
        tick_ms,
    };
    let mut call = Call::new(BOUNDS, moment(0));
    call.handle(connect(), moment(0));
    call.handle(Happening::RowOpened(true), moment(0));
    assert!(call.handle(Happening::Timeout, moment(59_999)).is_empty());
    assert_eq!(call.handle(Happening::Timeout, moment(60_000)).len(), 4);
}
