//! When a caller is answered, and what a failed append leaves behind.

use maskline_domain::ops::{ExpireDue, ReleaseNumbers, SetEmergencyNumbers};
use maskline_domain::{Outcome, Refusal, SubsId, Work};
use maskline_journal::Append;
use maskline_journal::pipeline::{Input, Limits, Output, PROBE_EVERY_MS, SubmitError, Touch};

use crate::machine::{Answer, LIMITS, Machine, not_written};
use crate::world::{bind, hopeless, operator, unbind};
use maskline_fixtures::domain::{founding, party, x};

const HOUR_MS: i64 = 3_600_000;

fn bound(answer: Option<Answer>) -> SubsId {
    match answer {
        Some(Ok(Outcome::Bound(binding))) => binding.subs_id,
        other => panic!("not bound: {other:?}"),
    }
}

#[test]
fn nobody_is_answered_before_their_batch_is_durable() {
    let mut machine = Machine::founded(10);
    let expires_at = machine.wall().plus_millis(HOUR_MS);
    let callers = [1, 2, 3].map(|a| machine.submit(bind(a, None, expires_at)));
    machine.drain();
    assert!(machine.in_flight().is_some());
    assert_eq!(machine.answers, []);

    machine.settle(Append::Written);
    let ids = callers.map(|caller| bound(machine.answer_to(caller)));
    assert!(ids.is_sorted());
    assert_eq!(machine.settled, [true]);
    assert_eq!(machine.rows(), machine.replayed());
}

#[test]
fn commands_that_come_meanwhile_are_decided_into_the_next_batch() {
    let mut machine = Machine::founded(10);
    let expires_at = machine.wall().plus_millis(HOUR_MS);
    let first = machine.submit(bind(1, None, expires_at));
    machine.drain();
    let before = machine.journal.len();
    let later = [2, 3].map(|a| machine.submit(bind(a, None, expires_at)));
    machine.drain();
    assert_eq!(machine.pipeline.queued(), 0, "they are decided");
    assert_eq!(machine.journal.len(), before, "nothing is appended twice");

    machine.settle(Append::Written);
    bound(machine.answer_to(first));
    let answers = |machine: &Machine| later.map(|caller| machine.answer_to(caller));
    assert_eq!(answers(&machine), [None, None]);
    machine.settle(Append::Written);
    assert!(answers(&machine).iter().all(Option::is_some));
    assert_eq!(machine.journal.len(), before + 2);
    assert_eq!(machine.rows(), machine.replayed());
}

/// What was decided on top of a batch that is not written goes with it.
#[test]
fn a_batch_that_is_not_written_takes_the_gathered_one_with_it() {
    let mut machine = Machine::founded(10);
    let before = machine.rows();
    let expires_at = machine.wall().plus_millis(HOUR_MS);
    let first = machine.submit(bind(1, Some(x(0)), expires_at));
    machine.drain();
    machine.pass(5);
    let taken = machine.submit(bind(2, Some(x(0)), expires_at));
    let later = machine.submit(bind(2, Some(x(1)), expires_at));
    machine.drain();
    machine.settle(not_written());
    for caller in [first, taken, later] {
        assert_eq!(
            machine.answer_to(caller),
            Some(Err(SubmitError::NotDurable)),
            "{caller}"
        );
    }
    assert_eq!(machine.settled, [false, false]);
    assert_eq!(machine.rows(), before);
    assert!(machine.pipeline.is_idle());
}

/// What changes nothing has no batch of its own to wait for, but rests on the one in flight.
#[test]
fn a_refusal_without_an_event_waits_for_the_batch_in_flight() {
    let mut machine = Machine::founded(1);
    let before = machine.journal.len();
    machine.submit(operator(SetEmergencyNumbers(vec![party(9)])));
    machine.drain();
    let refused = machine.submit(operator(ReleaseNumbers(vec![x(7)])));
    machine.drain();
    assert_eq!(machine.answer_to(refused), None);
    machine.settle(Append::Written);
    assert!(matches!(
        machine.answer_to(refused),
        Some(Err(SubmitError::Refused(_)))
    ));
    assert_eq!(machine.journal.len(), before + 1);
    assert!(machine.pipeline.is_idle());
}

#[test]
fn commands_of_a_batch_are_decided_at_their_own_time_and_it_bears_the_last() {
    let mut machine = Machine::founded(10);
    let begun = machine.wall();
    let ends_soon = begun.plus_millis(60_001);
    machine.done(bind(1, Some(x(0)), ends_soon)).expect("free");
    machine.submit(operator(SetEmergencyNumbers(vec![party(9)])));
    machine.drain();

    let while_bound = machine.submit(bind(2, Some(x(0)), begun.plus_millis(HOUR_MS)));
    machine.drain();
    machine.pass(60_001);
    let when_over = machine.submit(bind(3, Some(x(0)), begun.plus_millis(HOUR_MS)));
    machine.drain();
    machine.settle(Append::Written);
    machine.settle(Append::Written);
    assert_eq!(
        machine.answer_to(while_bound),
        Some(Err(SubmitError::Refused(Refusal::NumberTaken)))
    );
    bound(machine.answer_to(when_over));
    let last = machine.journal.last().expect("written");
    assert_eq!(last.at, ends_soon.0);
    assert_eq!(machine.rows(), machine.replayed());
}

/// A read waits for the newest batch that it has seen, by its place among the unsettled ones.
#[test]
fn reads_wait_for_the_newest_batch_that_touches_what_they_saw() {
    let mut machine = Machine::founded(10);
    let expires_at = machine.wall().plus_millis(HOUR_MS);
    let unsettled = |machine: &Machine| {
        [x(0), x(1), x(2)].map(|x| machine.pipeline.unsettled(Touch::Number(x)))
    };
    machine.submit(bind(1, Some(x(0)), expires_at));
    machine.submit(bind(1, Some(x(1)), expires_at));
    machine.drain();
    assert_eq!(unsettled(&machine), [Some(0), Some(0), None]);
    let unbound = machine.submit(bind(2, Some(x(1)), expires_at));
    machine.submit(bind(2, Some(x(2)), expires_at));
    machine.drain();
    assert_eq!(machine.answer_to(unbound), None);
    assert_eq!(unsettled(&machine), [Some(0), Some(0), Some(1)]);
    assert_eq!(machine.pipeline.unsettled(Touch::Scan), Some(1));
    machine.settle(Append::Written);
    assert_eq!(machine.settled, [true]);
    assert_eq!(unsettled(&machine), [None, None, Some(0)]);
    machine.settle(Append::Written);
    assert_eq!(machine.settled, [true, true]);
    assert_eq!(unsettled(&machine), [None, None, None]);
}

#[test]
fn a_refusal_waits_for_the_batch_it_rests_on() {
    let mut machine = Machine::founded(1);
    let expires_at = machine.wall().plus_millis(HOUR_MS);
    let winner = machine.submit(bind(1, Some(x(0)), expires_at));
    let loser = machine.submit(bind(2, Some(x(0)), expires_at));
    machine.drain();
    assert_eq!(
        machine.answer_to(loser),
        None,
        "the winner may yet be undone"
    );

    machine.settle(not_written());
    assert_eq!(
        machine.answer_to(winner),
        Some(Err(SubmitError::NotDurable))
    );
    assert_eq!(machine.answer_to(loser), Some(Err(SubmitError::NotDurable)));
}

#[test]
fn a_refusal_that_rests_on_nothing_in_flight_comes_at_once() {
    let mut machine = Machine::founded(1);
    let caller = machine.submit(hopeless());
    machine.drain();
    assert!(machine.in_flight().is_none());
    assert_eq!(
        machine.answer_to(caller),
        Some(Err(SubmitError::Refused(Refusal::BindingUnknown)))
    );
}

#[test]
fn what_is_not_written_is_undone_and_only_reads_are_served() {
    let mut machine = Machine::founded(10);
    let expires_at = machine.wall().plus_millis(HOUR_MS);
    let kept = bound(Some(machine.done(bind(1, None, expires_at))));
    let x_of_kept = machine.pipeline.state().binding(kept).expect("bound").x;
    let before = machine.rows();

    machine.pass(10);
    let flying = machine.submit(bind(2, None, expires_at));
    let ending = machine.submit(unbind(kept, x_of_kept));
    machine.drain();
    let queued = machine.submit(bind(3, None, expires_at));
    assert_ne!(machine.rows(), before);
    machine.settle(not_written());

    assert_eq!(machine.rows(), before);
    assert_eq!(machine.rows(), machine.replayed());
    let after = machine.submit(bind(4, None, expires_at));
    machine.drain();
    for caller in [flying, ending, queued, after] {
        assert_eq!(
            machine.answer_to(caller),
            Some(Err(SubmitError::NotDurable))
        );
    }
    assert_eq!(machine.settled.last(), Some(&false));
    assert!(!machine.pipeline.takes_commands());
    assert!(machine.in_flight().is_none());
}

#[test]
fn commands_are_taken_again_after_a_probe_goes_through() {
    let mut machine = Machine::founded(10);
    let expires_at = machine.wall().plus_millis(HOUR_MS);
    machine.submit(bind(1, None, expires_at));
    machine.drain();
    machine.settle(not_written());
    let tip = machine.pipeline.tip();

    machine.pass(PROBE_EVERY_MS as i64 - 1);
    machine.input(Input::Tick);
    machine.drain();
    assert_eq!(machine.probes, 0, "not yet");
    machine.pass(1);
    machine.input(Input::Tick);
    machine.drain();
    assert_eq!(machine.probes, 1);
    machine.input(Input::Probed(not_written()));
    machine.drain();
    assert!(!machine.pipeline.takes_commands());

    machine.pass(PROBE_EVERY_MS as i64);
    machine.input(Input::Tick);
    machine.drain();
    assert_eq!(machine.probes, 2);
    machine.input(Input::Probed(Append::Written));
    assert!(machine.pipeline.takes_commands());
    bound(Some(machine.done(bind(1, None, expires_at))));
    assert_eq!(
        machine.pipeline.tip().seq,
        tip.seq + 1,
        "no number is skipped"
    );
    assert_eq!(machine.rows(), machine.replayed());
}

#[test]
fn an_unknown_outcome_stops_the_machine_and_answers_nobody() {
    let mut machine = Machine::founded(10);
    let expires_at = machine.wall().plus_millis(HOUR_MS);
    machine.submit(bind(1, None, expires_at));
    machine.drain();
    machine.submit(bind(2, None, expires_at));
    machine.settle(Append::Unknown("fsync failed".into()));
    assert_eq!(machine.exit.as_deref(), Some("fsync failed"));
    machine.submit(bind(3, None, expires_at));
    machine.drain();
    assert_eq!(machine.answers, []);
    assert!(machine.in_flight().is_none());
}

#[test]
fn an_unknown_outcome_of_a_probe_stops_the_machine() {
    let mut machine = Machine::founded(1);
    let expires_at = machine.wall().plus_millis(HOUR_MS);
    machine.submit(bind(1, None, expires_at));
    machine.drain();
    machine.settle(not_written());
    machine.pass(PROBE_EVERY_MS as i64);
    machine.input(Input::Tick);
    machine.drain();
    machine.input(Input::Probed(Append::Unknown("I/O error".into())));
    machine.drain();
    assert_eq!(machine.exit.as_deref(), Some("I/O error"));
}

#[test]
fn the_queue_is_bounded() {
    let limits = Limits {
        queue_max: 3,
        ..LIMITS
    };
    let mut machine = Machine::founded_with(10, limits);
    let expires_at = machine.wall().plus_millis(HOUR_MS);
    let callers: Vec<u64> = (0..5)
        .map(|a| machine.submit(bind(a, None, expires_at)))
        .collect();
    machine.write_all();
    let busy = |&&caller: &&u64| machine.answer_to(caller) == Some(Err(SubmitError::Busy));
    assert_eq!(callers.iter().filter(busy).count(), 2);
    assert_eq!(machine.pipeline.counters().busy, 2);
}

/// How many batches ten binds make that come at once.
fn batches_of_ten_binds(limits: Limits) -> usize {
    let mut machine = Machine::founded_with(20, limits);
    let written = machine.journal.len();
    let expires_at = machine.wall().plus_millis(HOUR_MS);
    for a in 0..10 {
        machine.submit(bind(a, None, expires_at));
    }
    machine.write_all();
    machine.journal.len() - written
}

#[test]
fn a_batch_is_bounded_by_commands() {
    let limits = Limits {
        batch_commands_max: 4,
        ..LIMITS
    };
    assert_eq!(batches_of_ten_binds(limits), 3);
}

#[test]
fn a_batch_is_bounded_by_bytes() {
    let limits = Limits {
        batch_bytes: 1,
        ..LIMITS
    };
    assert_eq!(batches_of_ten_binds(limits), 10);
}

#[test]
fn a_command_that_does_too_much_changes_nothing() {
    for limits in [
        Limits {
            command_bytes_max: 400,
            ..LIMITS
        },
        Limits {
            command_events_max: 5,
            ..LIMITS
        },
    ] {
        let mut machine = Machine::with_limits(limits);
        for envelope in founding(0) {
            machine.done(envelope).expect("small");
        }
        let before = machine.rows();
        machine.pass(10);
        let many = founding(6).pop().expect("numbers");
        assert_eq!(machine.done(many), Err(SubmitError::TooLarge));
        assert_eq!(machine.rows(), before);
        assert_eq!(machine.rows(), machine.replayed());
    }
}

#[test]
fn a_command_whose_caller_has_left_is_not_decided() {
    let mut machine = Machine::founded(10);
    let expires_at = machine.wall().plus_millis(HOUR_MS);
    let first = machine.submit(bind(1, None, expires_at));
    machine.drain();
    let deadline = machine.clocks.monotonic_ms + 50;
    let late = machine.submit_until(bind(2, None, expires_at), Some(deadline));
    let patient = machine.submit_until(bind(3, None, expires_at), Some(deadline + 1));
    machine.pass(50);
    machine.settle(Append::Written);
    machine.write_all();
    bound(machine.answer_to(first));
    assert_eq!(machine.answer_to(late), Some(Err(SubmitError::Deadline)));
    bound(machine.answer_to(patient));
}

#[test]
fn reads_wait_only_for_what_is_in_flight_under_their_eyes() {
    let mut machine = Machine::founded(10);
    let expires_at = machine.wall().plus_millis(HOUR_MS);
    let touches = [
        Touch::None,
        Touch::Lists,
        Touch::Number(x(0)),
        Touch::Number(x(1)),
        Touch::Scan,
    ];
    let waits = |machine: &Machine| touches.map(|touch| machine.pipeline.must_wait(touch));
    assert_eq!(waits(&machine), [false; 5]);

    machine.submit(bind(1, Some(x(0)), expires_at));
    machine.drain();
    assert_eq!(waits(&machine), [false, false, true, false, true]);
    machine.settle(Append::Written);
    assert_eq!(waits(&machine), [false; 5]);

    machine.submit(operator(SetEmergencyNumbers(vec![party(9)])));
    machine.drain();
    assert_eq!(waits(&machine), [false, true, true, true, true]);
    machine.settle(not_written());
    assert_eq!(waits(&machine), [false; 5]);
}

#[test]
fn who_looks_between_two_commands_of_a_batch_waits_for_what_the_first_did() {
    let mut machine = Machine::founded(10);
    let expires_at = machine.wall().plus_millis(HOUR_MS);
    let touches = [Touch::Lists, Touch::Number(x(0)), Touch::Number(x(1))];
    let waits = |machine: &Machine| touches.map(|touch| machine.pipeline.must_wait(touch));
    let before = machine.rows();

    for n in [0, 1] {
        machine.submit(bind(1, Some(x(n)), expires_at));
    }
    let output = machine.pipeline.poll_output();
    assert!(
        matches!(output, Some(Output::Decided { events: 1 })),
        "{output:?}"
    );
    assert_eq!(waits(&machine), [false, true, false]);
    assert!(machine.pipeline.must_wait(Touch::Scan));
    assert!(!machine.pipeline.is_idle());

    machine.drain();
    assert_eq!(waits(&machine), [false, true, true]);
    machine.settle(not_written());
    assert_eq!(waits(&machine), [false; 3]);
    assert_eq!(machine.rows(), before);
}

#[test]
fn what_a_large_batch_touches_is_known_as_exactly_as_what_a_small_one_does() {
    let mut machine = Machine::founded(1_500);
    let expires_at = machine.wall().plus_millis(HOUR_MS);
    let touched = 0..1_500;
    for n in touched.clone().step_by(3) {
        machine.submit(bind(1_000 + n, Some(x(n)), expires_at));
    }
    machine.drain();
    for n in touched {
        let waits = machine.pipeline.must_wait(Touch::Number(x(n)));
        assert_eq!(waits, n.is_multiple_of(3), "number {n}");
    }
}

#[test]
fn a_slot_whose_binding_is_over_is_taken_without_a_sweep() {
    let mut machine = Machine::founded(1);
    let expires_at = machine.wall().plus_millis(61_000);
    bound(Some(machine.done(bind(1, Some(x(0)), expires_at))));
    machine.pass(61_000);
    let later = machine.wall().plus_millis(HOUR_MS);
    bound(Some(machine.done(bind(2, Some(x(0)), later))));
    assert_eq!(machine.rows(), machine.replayed());
}

#[test]
fn while_the_clocks_disagree_no_binding_is_ended_by_time() {
    let mut machine = Machine::founded(2);
    let expires_at = machine.wall().plus_millis(HOUR_MS);
    bound(Some(machine.done(bind(1, Some(x(0)), expires_at))));
    let before = machine.rows();

    machine.clocks.wall = machine.clocks.wall.plus_millis(2 * HOUR_MS);
    let far = machine.wall().plus_millis(HOUR_MS);
    assert_eq!(
        machine.done(bind(2, Some(x(0)), far)),
        Err(SubmitError::Refused(Refusal::NumberTaken)),
        "by the monotonic clock it is not over"
    );
    machine.pass(2 * HOUR_MS);
    assert!(machine.pipeline.clocks_disagree());
    assert_eq!(
        machine.done(operator(ExpireDue { at_most: 10 })),
        Err(SubmitError::ClocksDisagree)
    );
    assert_eq!(
        machine.done(bind(2, Some(x(0)), far.plus_millis(4 * HOUR_MS))),
        Err(SubmitError::ClocksDisagree)
    );
    assert_eq!(machine.rows(), before);

    machine.input(Input::TrustClock);
    assert!(!machine.pipeline.clocks_disagree());
    assert_eq!(
        machine.done(operator(ExpireDue { at_most: 10 })),
        Ok(Outcome::Worked(Work {
            count: 1,
            more: false
        }))
    );
}

#[test]
fn time_in_the_journal_never_goes_back() {
    let mut machine = Machine::founded(10);
    let expires_at = machine.wall().plus_millis(HOUR_MS);
    machine.done(bind(1, None, expires_at)).expect("bound");
    let reached = machine.pipeline.state().now();
    machine.clocks.wall = machine.clocks.wall.plus_millis(-4_000);
    machine.done(bind(2, None, expires_at)).expect("bound");
    assert_eq!(machine.pipeline.state().now(), reached);
    assert!(machine.pipeline.now(machine.clocks) >= reached);
    assert!(machine.journal.is_sorted_by_key(|batch| batch.at));
}
