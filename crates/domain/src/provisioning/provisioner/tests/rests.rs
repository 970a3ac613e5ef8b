//! What rests keep apart: whoever comes meanwhile, a carrier that is dead, one that always says no.

use std::collections::BTreeSet;

use super::*;

/// Lets time pass until a moment, and answers what is sent at once; says which were sent, and when.
fn pass(
    machine: &mut Provisioner,
    from: Timestamp,
    until: Timestamp,
    mut answer: impl FnMut(u64) -> Answer,
) -> Vec<(Timestamp, u64)> {
    let (mut now, mut seen) = (from, Vec::new());
    loop {
        machine.advance(now);
        loop {
            let fences = sent(&outputs(machine));
            if fences.is_empty() {
                break;
            }
            for fence in fences {
                seen.push((now, fence));
                machine.answered(fence, answer(fence), now);
                assert!(seen.len() < 100_000, "it never rests");
            }
        }
        match machine.next_at().filter(|&at| at <= until) {
            Some(at) => now = at.max(now),
            None => return seen,
        }
    }
}

/// Opens the breaker by requests for which somebody waits, at 0; gives when it is half open.
fn opened(machine: &mut Provisioner) -> Timestamp {
    for fence in 901..=903 {
        let asked = machine.ask(request(fence, fence), Timestamp(50), Timestamp(0));
        asked.expect("closed");
        assert_eq!(sent(&outputs(machine)), [fence]);
        machine.answered(fence, Answer::Unavailable, Timestamp(0));
        outputs(machine);
    }
    assert!(machine.is_down(Timestamp(0)));
    let BreakerState::Open { until } = machine.breaker() else {
        panic!("it is open");
    };
    until
}

#[test]
fn a_dead_carrier_is_tried_by_what_is_owed_once_in_a_while() {
    let mut machine = provisioner(4);
    opened(&mut machine);
    for fence in 1..=500 {
        machine
            .tell(request(fence, fence), Timestamp(0))
            .expect("room");
    }
    let until = Timestamp(60_000);
    let seen = pass(&mut machine, Timestamp(0), until, |_| Answer::Unavailable);
    // It is open for a second each time.
    assert!((20..=61).contains(&seen.len()), "{} tries", seen.len());
    let times: BTreeSet<Timestamp> = seen.iter().map(|&(at, _)| at).collect();
    assert_eq!(times.len(), seen.len(), "one at a time");
    // Once it is back, all is told.
    let back = Timestamp(600_000);
    let seen = pass(&mut machine, until, back, |_| Answer::Done);
    let told: BTreeSet<u64> = seen.iter().map(|&(_, fence)| fence).collect();
    assert_eq!((told.len(), machine.owed_len()), (500, 0));
}

/// One owed request that the carrier cannot bear keeps no customer out for longer than twice the time for which the
/// carrier is left alone.
#[test]
fn a_request_that_always_fails_does_not_keep_customers_out() {
    let mut machine = provisioner(4);
    let half_open = opened(&mut machine);
    machine.tell(request(1, 1), Timestamp(0)).expect("room");
    let seen = pass(&mut machine, Timestamp(0), half_open, |_| {
        Answer::Unavailable
    });
    assert_eq!(seen, [(half_open, 1)], "what is owed tries it first");
    assert!(machine.is_down(half_open), "it seems to be dead still");
    let second = half_open.plus_millis(1_000);
    let seen = pass(&mut machine, half_open, second, |_| Answer::Unavailable);
    assert_eq!(seen, [], "it is the turn of a customer");
    machine
        .ask(request(2, 2), second.plus_millis(500), second)
        .expect("half open");
    assert_eq!(sent(&outputs(&mut machine)), [2]);
    machine.answered(2, Answer::Done, second);
    assert_eq!(sent(&outputs(&mut machine)), [1]);
    machine.answered(1, Answer::Unavailable, second);
    let closed = BreakerState::Closed { failures: 0 };
    assert_eq!(machine.breaker(), closed);
    // And it opens nothing by itself.
    let later = second.plus_millis(600_000);
    let seen = pass(&mut machine, second, later, |_| Answer::Unavailable);
    assert!(!seen.is_empty());
    assert_eq!(machine.breaker(), closed);
}

#[test]
fn what_is_owed_tries_again_where_no_customer_comes() {
    let mut machine = provisioner(4);
    let half_open = opened(&mut machine);
    machine.tell(request(1, 1), Timestamp(0)).expect("room");
    let mut failures = 1;
    let seen = pass(&mut machine, Timestamp(0), Timestamp(600_000), |_| {
        failures -= 1;
        match failures {
            0 => Answer::Unavailable,
            _ => Answer::Done,
        }
    });
    let again = half_open.plus_millis(2_000);
    assert_eq!(seen, [(half_open, 1), (again, 1)]);
    assert_eq!(machine.breaker(), BreakerState::Closed { failures: 0 });
}

/// A carrier whose fences are an hour ahead, as after a restore: each answer draws a new fence.
#[test]
fn what_is_stale_rests_before_a_newer_fence_is_drawn() {
    let mut machine = provisioner(4);
    let mut fence = 100;
    machine
        .tell(of_binding(7, fence, 1), Timestamp(0))
        .expect("room");
    let (mut now, mut times) = (Timestamp(0), Vec::new());
    while now < Timestamp(3_600_000) {
        for output in outputs(&mut machine) {
            match output {
                Output::Send(request) => machine.answered(request.fence, Answer::Stale, now),
                Output::Settle(settled) => {
                    assert_eq!(settled.settlement, Settlement::Stale);
                    times.push(now.0);
                    assert!(times.len() < 1_000, "without a rest: {times:?}");
                    fence += 1;
                    machine.tell(of_binding(7, fence, 1), now).expect("room");
                }
            }
        }
        now = machine.next_at().unwrap_or(now).max(now);
        machine.advance(now);
    }
    assert_eq!(times[..4], [1_000, 3_000, 7_000, 15_000]);
    assert!(times.len() <= 70, "{} fences in an hour", times.len());
    // Once it is done, the next one about the binding begins anew.
    outputs(&mut machine);
    for answer in [Answer::Done, Answer::Refused] {
        fence += 1;
        machine.tell(of_binding(7, fence, 1), now).expect("room");
        assert_eq!(sent(&outputs(&mut machine)), [fence]);
        machine.answered(fence, answer, now);
        outputs(&mut machine);
    }
    assert_eq!(machine.next_at(), Some(now.plus_millis(OWED_REST_MS)));
}

/// What comes while a request for which somebody waits rests: whether it goes before that one, which could not be done
/// any more then.
#[test]
fn one_at_rest_for_which_somebody_waits_is_not_overtaken_on_its_x() {
    for answer in [Answer::Unavailable, Answer::NotSent] {
        let mut machine = provisioner(4);
        let (now, deadline) = (Timestamp(0), Timestamp(2_500));
        machine.ask(request(1, 1), deadline, now).expect("room");
        assert_eq!(sent(&outputs(&mut machine)), [1]);
        machine.answered(1, answer, now);
        machine.ask(request(2, 1), deadline, now).expect("room");
        machine.tell(request(3, 1), now).expect("room");
        machine.ask(request(4, 2), deadline, now).expect("room");
        assert_eq!(sent(&outputs(&mut machine)), [4], "another X goes on");
        let woken = machine.next_at().expect("it rests");
        assert_eq!(woken, Timestamp(100));
        machine.advance(woken);
        for fence in 1..=3 {
            let seen = outputs(&mut machine);
            assert_eq!(sent(&seen), [fence], "{answer:?}");
            machine.answered(fence, Answer::Done, woken);
        }
    }
}

#[test]
fn one_that_is_given_up_frees_its_x() {
    let mut machine = provisioner(4);
    let now = Timestamp(0);
    let (soon, late) = (Timestamp(150), Timestamp(2_000));
    machine.ask(request(1, 1), soon, now).expect("room");
    outputs(&mut machine);
    machine.answered(1, Answer::NotSent, now);
    machine.ask(request(2, 1), late, now).expect("room");
    machine.advance(Timestamp(100));
    assert_eq!(sent(&outputs(&mut machine)), [1]);
    machine.answered(1, Answer::NotSent, Timestamp(100));
    let seen = outputs(&mut machine);
    assert_eq!(settled(&seen).len(), 1, "its deadline leaves no rest");
    assert_eq!(sent(&seen), [2]);
    // It rests when the carrier is left alone.
    machine.answered(2, Answer::NotSent, Timestamp(100));
    let other = request(9, 9);
    machine.ask(other, late, Timestamp(100)).expect("room");
    outputs(&mut machine);
    machine.answered(9, Answer::NotSent, Timestamp(100));
    let seen = outputs(&mut machine);
    let not_sent = |fence| (fence, Settlement::NotDone, Answer::Unavailable);
    assert_eq!(settled(&seen), [2, 9].map(not_sent));
    machine.tell(request(3, 1), Timestamp(100)).expect("room");
    assert_eq!(outputs(&mut machine), []);
    machine.advance(Timestamp(1_100));
    assert_eq!(sent(&outputs(&mut machine)), [3]);
}

#[test]
fn one_at_rest_that_is_owed_lets_others_of_its_x_go() {
    let mut machine = provisioner(4);
    let now = Timestamp(0);
    machine.tell(request(1, 1), now).expect("room");
    outputs(&mut machine);
    machine.answered(1, Answer::Unavailable, now);
    machine
        .ask(request(2, 1), Timestamp(500), now)
        .expect("room");
    assert_eq!(sent(&outputs(&mut machine)), [2]);
}

/// How far an older request about a binding has come, whether somebody waits for it, and what becomes of it.
#[test]
fn a_newer_request_about_a_binding_takes_the_place_of_older_ones() {
    use Answer::{Done, NotSent, Refused, Unavailable, Unclear};
    let given_up = |settlement| vec![(1, settlement, Unavailable)];
    // Whether somebody waits; what was answered to it before; what is answered once the newer one has come.
    type Row = (
        bool,
        Option<Answer>,
        Option<Answer>,
        Vec<(u64, Settlement, Answer)>,
    );
    let rows: [Row; 12] = [
        (false, Some(Unavailable), None, vec![]),
        (false, Some(NotSent), None, vec![]),
        (false, Some(Refused), None, vec![]),
        (false, Some(Unclear), None, vec![]),
        (false, Some(Answer::Stale), None, vec![]),
        (false, None, Some(Unavailable), vec![]),
        (false, None, Some(Refused), vec![]),
        (false, None, Some(Done), vec![(1, Settlement::Done, Done)]),
        (true, Some(NotSent), None, given_up(Settlement::NotDone)),
        (true, Some(Unavailable), None, given_up(Settlement::Unsure)),
        (true, None, Some(Unavailable), given_up(Settlement::Unsure)),
        (true, None, Some(Done), vec![(1, Settlement::Done, Done)]),
    ];
    for (is_awaited, before, after, expected) in rows {
        let row = format!("{is_awaited} {before:?} {after:?}");
        let mut machine = provisioner(4);
        let now = Timestamp(0);
        let older = of_binding(7, 1, 1);
        match is_awaited {
            true => machine.ask(older, Timestamp(2_500), now),
            false => machine.tell(older, now),
        }
        .expect("room");
        assert_eq!(sent(&outputs(&mut machine)), [1]);
        if let Some(answer) = before {
            machine.answered(1, answer, now);
        }
        assert_eq!(outputs(&mut machine), [], "{row}");
        machine.tell(of_binding(7, 2, 1), now).expect("room");
        let mut seen = outputs(&mut machine);
        if let Some(answer) = after {
            assert_eq!(seen, [], "{row}: one at a time");
            machine.answered(1, answer, now);
            seen = outputs(&mut machine);
        }
        assert_eq!(settled(&seen), expected, "{row}");
        assert_eq!(sent(&seen), [2], "{row}");
        machine.answered(2, Done, now);
        assert_eq!(settled(&outputs(&mut machine)).len(), 1, "{row}");
        let later = Timestamp(600_000);
        assert_eq!(pass(&mut machine, now, later, |_| Done), [], "{row}");
        assert_eq!((machine.asked_len(), machine.owed_len()), (0, 0), "{row}");
    }
}

/// A dead carrier is owed a renewal; the binding ends; the carrier comes back.
#[test]
fn what_has_ended_is_not_switched_on_again() {
    let mut machine = provisioner(4);
    opened(&mut machine);
    machine
        .tell(of_binding(7, 1, 1), Timestamp(0))
        .expect("room");
    machine
        .tell(of_binding(7, 2, 1), Timestamp(0))
        .expect("room");
    // Whoever read the state before comes late.
    let late = machine.tell(of_binding(7, 1, 1), Timestamp(0));
    assert_eq!(late, Ok(()));
    assert_eq!(machine.owed_len(), 1);
    let seen = pass(&mut machine, Timestamp(0), Timestamp(60_000), |_| {
        Answer::Done
    });
    let seen: Vec<u64> = seen.into_iter().map(|(_, fence)| fence).collect();
    assert_eq!(seen, [2]);
}

#[test]
fn what_comes_after_its_deadline_is_not_asked() {
    for (deadline, is_taken) in [(0, false), (999, false), (1_000, false), (1_001, true)] {
        let mut machine = provisioner(4);
        let asked = machine.ask(request(1, 1), Timestamp(deadline), Timestamp(1_000));
        assert_eq!(asked.is_ok(), is_taken, "{deadline}");
        let expected: &[u64] = if is_taken { &[1] } else { &[] };
        assert_eq!(sent(&outputs(&mut machine)), expected, "{deadline}");
        assert_eq!(machine.asked_len(), expected.len(), "{deadline}");
    }
}
