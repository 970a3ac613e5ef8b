//! The milestones of calls of every sort, and the write of the record that each goes with.

use super::scenarios::{connect, connect_recorded};
use super::{
    ANSWERED, EARLY, LISTENING, ONE_TRUNK, TERMS, binding, callee_refused, connection, moment,
    progress,
};
use maskline_domain::call::{
    Action, Call, CallLimit, CallTerms, DialOptions, Input, MediaAccess, Milestone, Reached, Side,
};
use maskline_domain::routing::{Route, Situation};

/// The milestones of a call in order, each with the row that is written with it, if one is. A second lies between what
/// happens, and a time-out comes when it is due.
fn told(terms: CallTerms, story: Vec<Input>) -> Vec<String> {
    let (mut told, mut waiting) = (Vec::new(), Vec::new());
    let mut call = Call::new(terms, moment(0));
    let mut tick_ms = 0;
    for input in story {
        tick_ms = match input {
            Input::Timeout => call.deadline().unwrap_or(tick_ms),
            _ => tick_ms + 1_000,
        };
        for action in call.handle(input, moment(tick_ms)) {
            let row = match action {
                Action::Reached(Reached { milestone, .. }) => {
                    waiting.push(milestone.name());
                    continue;
                }
                Action::OpenRow(_) => "open row",
                Action::CloseRow(_) => "close row",
                Action::WriteRow(..) => "only row",
                _ => continue,
            };
            told.extend(waiting.drain(..).map(|name| format!("{name}: {row}")));
        }
        told.extend(waiting.drain(..).map(str::to_owned));
    }
    assert_eq!(call.deadline(), None, "the story goes on to the end");
    told
}

fn connect_by(trunks: usize) -> Input {
    let options = DialOptions {
        trunks,
        ..ONE_TRUNK
    };
    Input::Routed(connection(), options)
}

fn refuse(situation: Situation) -> Input {
    let binding = Some(Box::new(binding()));
    Input::Routed(Route::Refuse { situation, binding }, ONE_TRUNK)
}

fn over_limit() -> Input {
    let options = DialOptions {
        over_limit: Some(CallLimit::X),
        ..ONE_TRUNK
    };
    Input::Routed(connection(), options)
}

const STARTED: &str = "started: open row";
const ENDED: &str = "ended: close row";
/// Of a call that is never dialled.
const ONLY: &[&str] = &["started: only row", "ended: only row"];

#[test]
fn each_call_tells_its_milestones_once_and_in_order() {
    let durable = || Input::RowOpened(true);
    let rings = || progress(180, false);
    let gone = |side| Input::Gone(side, Some(16));
    let busy = || callee_refused(486, None, false);
    let full = || callee_refused(503, None, false);
    let played = || Input::Played(Side::Caller);
    let answered = Input::CalleeAnswered;
    #[rustfmt::skip]
    let rows: Vec<(&str, CallTerms, Vec<Input>, &[&str])> = vec![
        ("a call as it should be", TERMS,
            vec![connect(), durable(), rings(), ANSWERED, gone(Side::Callee)],
            &[STARTED, "ringing", "answered", ENDED]),
        ("it rings again and again", TERMS,
            vec![connect(), durable(), rings(), progress(183, true), Input::CalleeHeard, rings(), ANSWERED, gone(Side::Caller)],
            &[STARTED, "ringing", "answered", ENDED]),
        ("nobody rings before the answer", TERMS,
            vec![connect(), durable(), Input::TrunkTrying, ANSWERED, gone(Side::Caller)],
            &[STARTED, "answered", ENDED]),
        ("an early dialog that ends is no ringing", TERMS,
            vec![connect(), durable(), progress(199, false), busy()],
            &[STARTED, ENDED]),
        ("it rings, and nobody answers", TERMS,
            vec![connect(), durable(), rings(), Input::Timeout],
            &[STARTED, "ringing", ENDED]),
        ("it rings, and the caller gives up", TERMS,
            vec![connect(), durable(), rings(), gone(Side::Caller)],
            &[STARTED, "ringing", ENDED]),
        ("busy, and the caller is told so", EARLY,
            vec![connect(), durable(), busy(), played()],
            &[STARTED, ENDED]),
        ("the second trunk takes it", TERMS,
            vec![connect_by(2), durable(), full(), rings(), ANSWERED, gone(Side::Callee)],
            &[STARTED, "ringing", "answered", ENDED]),
        ("no trunk takes it", TERMS,
            vec![connect_by(2), durable(), full(), full()],
            &[STARTED, ENDED]),
        ("recorded", TERMS,
            vec![connect_recorded(), durable(), rings(), ANSWERED, gone(Side::Callee)],
            &[STARTED, "ringing", "answered", ENDED]),
        ("recorded from the caller's late answer on", TERMS,
            vec![connect_recorded(), durable(), answered(MediaAccess::Awaited), Input::CallerAnswered, gone(Side::Caller)],
            &[STARTED, "answered", ENDED]),
        ("to be recorded, but over before it can be", TERMS,
            vec![connect_recorded(), durable(), answered(MediaAccess::Awaited), gone(Side::Caller)],
            &[STARTED, "answered", ENDED]),
        ("to be recorded, but not understood", TERMS,
            vec![connect_recorded(), durable(), answered(MediaAccess::PassedThrough), gone(Side::Caller)],
            &[STARTED, "answered", ENDED]),
        ("to be recorded, and not answered", TERMS,
            vec![connect_recorded(), durable(), rings(), busy()],
            &[STARTED, "ringing", ENDED]),
        ("it stands for as long as it may", TERMS,
            vec![connect(), durable(), ANSWERED, Input::Timeout],
            &[STARTED, "answered", ENDED]),
        ("the process stops", TERMS,
            vec![connect_recorded(), durable(), ANSWERED, Input::Stopping],
            &[STARTED, "answered", ENDED]),
        ("its row is not durable", TERMS,
            vec![connect(), Input::RowOpened(false)],
            &[STARTED, ENDED]),
        ("nobody says whether its row is durable", TERMS,
            vec![connect(), Input::Timeout],
            &[STARTED, ENDED]),
        ("the caller leaves before the row is durable", TERMS,
            vec![connect(), gone(Side::Caller), durable()],
            &[STARTED, ENDED]),
        ("the caller leaves before the route is known", TERMS,
            vec![gone(Side::Caller), connect()], ONLY),
        ("no binding", TERMS, vec![refuse(Situation::NoBinding)], ONLY),
        ("restricted, and the caller is told so", EARLY,
            vec![refuse(Situation::Restricted), played()], ONLY),
        ("one call too many", TERMS, vec![over_limit()], ONLY),
        ("no trunk at all", TERMS, vec![connect_by(0)], ONLY),
        ("another's number leaves no record", TERMS, vec![refuse(Situation::XUnknown)], &[]),
        ("a route that cannot be read leaves no record", TERMS, vec![Input::RouteUnknown], &[]),
    ];
    for (row, terms, story, expected) in rows {
        assert_eq!(told(terms, story), expected, "{row}");
    }
}

#[test]
fn milestones_have_the_times_of_the_record() {
    let mut call = Call::new(EARLY, moment(0));
    let mut times = Vec::new();
    let story = [
        (1, connect_recorded()),
        (20, Input::RowOpened(true)),
        (300, progress(180, false)),
        (
            350,
            Input::CalleeProgress {
                status: 183,
                early_media: true,
                caller: LISTENING,
            },
        ),
        (4_000, ANSWERED),
        (50_000, Input::Gone(Side::Callee, None)),
    ];
    let mut closing = None;
    for (at_ms, input) in story {
        for action in call.handle(input, moment(at_ms)) {
            match action {
                Action::Reached(reached) => times.push((reached.milestone, Some(reached.at))),
                Action::CloseRow(closed) => closing = Some(closed),
                _ => {}
            }
        }
    }
    let known = closing.expect("it is closed").milestones;
    let expected = [
        (Milestone::Started, known.routed),
        (Milestone::Ringing, known.ringing),
        (Milestone::Answered, known.answered),
        (Milestone::Ended, known.released),
    ];
    assert_eq!(times, expected);

    // A row that is written at the end alone still tells when the call began.
    let mut call = Call::new(EARLY, moment(0));
    call.handle(refuse(Situation::NoBinding), moment(7));
    let actions = call.handle(Input::Played(Side::Caller), moment(2_000));
    let reached: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Reached(reached) => Some((reached.milestone, reached.at)),
            _ => None,
        })
        .collect();
    let expected = [
        (Milestone::Started, moment(7).wall),
        (Milestone::Ended, moment(2_000).wall),
    ];
    assert_eq!(reached, expected);
}
