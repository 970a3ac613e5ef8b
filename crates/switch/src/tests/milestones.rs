//! By which write of its record each milestone of a call comes out.

use super::*;

/// How the callee of a call behaves.
#[derive(Clone, Copy)]
enum Callee {
    Absent,
    PicksUp,
    Busy,
    Rings,
    RingsTwice,
}

const STARTED: &str = "open: started";
const RINGS: &str = "on its own: ringing";
const TALKS: &str = "on its own: answered";
const ENDED: &str = "closed: ended";
/// Of a call that is never dialled.
const ONLY: &[&str] = &["closed: started", ENDED];

#[test]
fn milestones_come_with_the_row_that_is_written_or_on_their_own() {
    use Callee::{Absent, Busy, PicksUp, Rings, RingsTwice};
    let refused = |situation| Answers {
        route: Some(Route::Refuse {
            situation,
            binding: None,
        }),
        ..well()
    };
    let recorded = || {
        let mut answers = well();
        if let Some(Route::Connect(connection)) = &mut answers.route {
            connection.binding.record = true;
        }
        answers
    };
    let no_trunk = Answers {
        trunks: Vec::new(),
        ..well()
    };
    let not_durable = Answers {
        durable: false,
        ..well()
    };
    let unreadable = Answers {
        route: None,
        ..well()
    };
    let no_port = Answers {
        ports: false,
        ..well()
    };
    #[rustfmt::skip]
    let rows: Vec<(&str, Answers, Callee, &[&str])> = vec![
        ("answered", well(), PicksUp, &[STARTED, TALKS, ENDED]),
        ("rings, then answered", well(), Rings, &[STARTED, RINGS, TALKS, ENDED]),
        ("rings twice", well(), RingsTwice, &[STARTED, RINGS, TALKS, ENDED]),
        ("busy", well(), Busy, &[STARTED, ENDED]),
        ("recorded", recorded(), Rings, &[STARTED, RINGS, TALKS, ENDED]),
        ("no binding", refused(Situation::NoBinding), Absent, ONLY),
        ("restricted", refused(Situation::Restricted), Absent, ONLY),
        ("another's number", refused(Situation::XUnknown), Absent, &[]),
        ("no trunk", no_trunk, Absent, ONLY),
        ("not durable", not_durable, Absent, &[STARTED, ENDED]),
        ("no route", unreadable, Absent, &[]),
        ("no port", no_port, Absent, &[STARTED, ENDED]),
    ];
    for (row, answers, callee, expected) in rows {
        let mut world = World::new();
        world.answers = answers;
        let caller = world.call();
        if !matches!(callee, Absent) {
            let leg = world.callee_leg();
            let ringings = match callee {
                Rings => 1,
                RingsTwice => 2,
                Absent | PicksUp | Busy => 0,
            };
            for _ in 0..ringings {
                world.callee_does(SipInput::Progress(leg, 180, None));
            }
            let refusal = Refusal {
                status: 486,
                cause: None,
            };
            match callee {
                Busy => world.callee_does(SipInput::Refuse(leg, refusal)),
                _ => {
                    world.callee_does(SipInput::Answer(leg, sdp_at(CALLEE_MEDIA, "8 101")));
                    world.caller_does(SipInput::HangUp(caller, None));
                }
            }
        }
        assert_eq!(world.milestones, expected, "{row}");
        assert!(world.is_clean(), "{row}");
    }
}
