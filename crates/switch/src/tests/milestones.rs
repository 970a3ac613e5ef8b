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
    /// The caller ends the call before anybody answers.
    IsGivenUp,
    /// The trunk says 503, and the callee rings at the next one.
    IsBehindTheSpare,
    /// Two phones ring, and the second answers.
    IsTwo,
}

const STARTED: &str = "open: started";
const RINGS: &str = "on its own: ringing";
const TALKS: &str = "on its own: answered";
const ENDED: &str = "closed: ended";
/// Of a call that is never dialled.
const ONLY: &[&str] = &["closed: started", ENDED];

#[test]
fn milestones_come_with_the_row_that_is_written_or_on_their_own() {
    use Callee::{Absent, Busy, IsBehindTheSpare, IsGivenUp, IsTwo, PicksUp, Rings, RingsTwice};
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
    let two_trunks = || Answers {
        trunks: vec![trunk("out", CALLEE, true), trunk("spare", SPARE, true)],
        ..well()
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
        ("given up while it rings", well(), IsGivenUp, &[STARTED, RINGS, ENDED]),
        ("by the second trunk", two_trunks(), IsBehindTheSpare, &[STARTED, RINGS, TALKS, ENDED]),
        ("forked", well(), IsTwo, &[STARTED, RINGS, TALKS, ENDED]),
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
            take_place(&mut world, caller, callee);
        }
        assert_eq!(world.milestones, expected, "{row}");
        assert!(world.is_clean(), "{row}");
    }
}

/// What a callee who is called does, until the call is over.
fn take_place(world: &mut World, caller: LegId, callee: Callee) {
    let leg = world.callee_leg();
    let ring = |world: &mut World| world.callee_does(SipInput::Progress(leg, 180, None));
    let refuse = |world: &mut World, status| {
        let cause = None;
        world.callee_does(SipInput::Refuse(leg, Refusal { status, cause }));
    };
    let answer = || sdp_at(CALLEE_MEDIA, "8 101");
    match callee {
        Callee::Absent | Callee::PicksUp => {}
        Callee::Rings => ring(world),
        Callee::RingsTwice => {
            ring(world);
            ring(world);
        }
        Callee::Busy => return refuse(world, 486),
        Callee::IsGivenUp => {
            ring(world);
            return world.caller_does(SipInput::HangUp(caller, None));
        }
        Callee::IsBehindTheSpare => {
            refuse(world, 503);
            let Some(&Event::Incoming { leg, .. }) = world.spare_events.first() else {
                panic!("the spare trunk is called");
            };
            for does in [
                SipInput::Progress(leg, 180, None),
                SipInput::Answer(leg, answer()),
            ] {
                let now = Time::from_millis(world.now_ms);
                world.spare.handle_input(does, now);
                world.settle();
            }
            return world.caller_does(SipInput::HangUp(caller, None));
        }
        Callee::IsTwo => {
            ring(world);
            let other = of_another_phone(&world.from_callee);
            let from = udp(CALLEE);
            for bytes in [other.replace("180 Ringing", "183 Session Progress"), other] {
                let bytes = bytes.as_bytes();
                world.tell(Input::Datagram { from, bytes });
            }
        }
    }
    world.callee_does(SipInput::Answer(leg, answer()));
    world.caller_does(SipInput::HangUp(caller, None));
}

/// The same response as another phone behind the same proxy would give it, with a tag of its own (RFC 3261 section
/// 16.7).
fn of_another_phone(response: &[u8]) -> String {
    let text = String::from_utf8_lossy(response);
    assert!(text.starts_with("SIP/2.0 180 Ringing\r\n"), "{text}");
    let lines = text
        .split("\r\n")
        .map(|line| match line.split_once(";tag=") {
            Some((to, _)) if line.starts_with("To:") => format!("{to};tag=another"),
            _ => line.to_owned(),
        });
    lines.collect::<Vec<_>>().join("\r\n")
}

#[test]
fn milestones_that_nobody_wants_cost_no_copy_and_are_in_the_record_all_the_same() {
    let mut world = World::of(Setup {
        tells_milestones: false,
        ..setup()
    });
    let caller = world.call();
    take_place(&mut world, caller, Callee::Rings);
    assert_eq!(world.milestones, [STARTED, ENDED]);
    let record = world.only_record();
    assert!(record.ringing_at.is_some() && record.answered_at.is_some());
    assert!(world.is_clean());
}
