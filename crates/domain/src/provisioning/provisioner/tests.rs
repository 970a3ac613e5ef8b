mod laws;
mod rests;

use super::*;
use crate::provisioning::Operation;

fn request(fence: u64, x: u64) -> Request {
    of_binding(fence, fence, x)
}

/// A request about a binding of that number.
fn of_binding(binding: u64, fence: u64, x: u64) -> Request {
    Request {
        subs_id: SubsId(binding),
        revision: 1,
        fence,
        x: PhoneNumber::parse(&(17_000_000_000 + x).to_string()).expect("digits"),
        operation: Operation::Unbind,
    }
}

fn provisioner(concurrency: usize) -> Provisioner {
    Provisioner::new(Settings {
        concurrency,
        breaker_failures: 3,
        breaker_open_ms: 1_000,
    })
}

fn outputs(of: &mut Provisioner) -> Vec<Output> {
    std::iter::from_fn(|| of.poll()).collect()
}

fn sent(outputs: &[Output]) -> Vec<u64> {
    let fence = |output: &Output| match output {
        Output::Send(request) => Some(request.fence),
        Output::Settle(_) => None,
    };
    outputs.iter().filter_map(fence).collect()
}

fn settled(outputs: &[Output]) -> Vec<(u64, Settlement, Answer)> {
    let fence = |output: &Output| match output {
        Output::Send(_) => None,
        Output::Settle(settled) => Some((settled.fence, settled.settlement, settled.answer)),
    };
    outputs.iter().filter_map(fence).collect()
}

/// What one answer, or the deadline, makes of a request for which somebody waits.
#[test]
fn what_was_asked_is_settled_by_what_is_known_of_it() {
    use Answer::{Done, NotSent, Refused, Stale, Unavailable, Unclear};
    let rows: [(&[Answer], Settlement, Answer); 12] = [
        (&[Done], Settlement::Done, Done),
        (&[Refused], Settlement::NotDone, Refused),
        (&[Stale], Settlement::NotDone, Stale),
        (&[Unclear], Settlement::Unsure, Unclear),
        (&[Unavailable, Done], Settlement::Done, Done),
        (&[Unavailable, Refused], Settlement::Unsure, Refused),
        (&[NotSent, Refused], Settlement::NotDone, Refused),
        (&[NotSent, Unavailable, Stale], Settlement::Unsure, Stale),
        (&[NotSent, Done], Settlement::Done, Done),
        (&[NotSent], Settlement::NotDone, Unavailable),
        (&[Unavailable], Settlement::Unsure, Unavailable),
        (&[], Settlement::Unsure, Unavailable),
    ];
    for (answers, settlement, answer) in rows {
        let mut asked = provisioner(1);
        let mut now = Timestamp(0);
        asked
            .ask(request(7, 0), Timestamp(2_500), now)
            .expect("room");
        for &answer in answers {
            while sent(&outputs(&mut asked)).is_empty() {
                now = asked.next_at().expect("it waits for a time");
                asked.advance(now);
            }
            asked.answered(7, answer, now);
        }
        let mut seen = settled(&outputs(&mut asked));
        if seen.is_empty() {
            asked.advance(Timestamp(2_500));
            seen = settled(&outputs(&mut asked));
        }
        assert_eq!(seen, [(7, settlement, answer)], "{answers:?}");
        assert_eq!(asked.asked_len(), 0, "{answers:?}");
    }
}

#[test]
fn what_is_owed_is_told_until_it_is_done() {
    let mut owed = provisioner(1);
    let mut now = Timestamp(0);
    owed.tell(request(7, 0), now).expect("room");
    for answer in [Answer::Refused, Answer::Unclear, Answer::Unavailable] {
        assert_eq!(sent(&outputs(&mut owed)), [7]);
        owed.answered(7, answer, now);
        assert_eq!(outputs(&mut owed), []);
        now = owed.next_at().expect("it rests");
        owed.advance(now);
    }
    assert_eq!(now, Timestamp(7_000), "1, 2 and 4 seconds");
    assert_eq!(sent(&outputs(&mut owed)), [7]);
    owed.answered(7, Answer::Stale, now);
    assert_eq!(outputs(&mut owed), []);
    owed.advance(Timestamp(15_000));
    let stale = (7, Settlement::Stale, Answer::Stale);
    assert_eq!(settled(&outputs(&mut owed)), [stale]);
}

/// Nobody waits any longer, and nothing is sent again; what is under way may still be answered.
#[test]
fn what_is_withdrawn_is_not_sent_again() {
    let mut all = provisioner(2);
    let (now, deadline) = (Timestamp(0), Timestamp(60_000));
    all.ask(request(1, 1), deadline, now).expect("room");
    all.tell(request(2, 2), now).expect("room");
    assert_eq!(sent(&outputs(&mut all)), [1, 2]);
    all.ask(request(3, 3), deadline, now).expect("room");
    for fence in [4, 5] {
        all.tell(request(fence, fence), now).expect("room");
    }
    all.withdraw();
    let given_up = [
        (1, Settlement::Unsure, Answer::Unavailable),
        (3, Settlement::NotDone, Answer::Unavailable),
    ];
    let seen = outputs(&mut all);
    assert_eq!((settled(&seen), sent(&seen)), (given_up.into(), vec![]));
    for fence in [1, 2] {
        all.answered(fence, Answer::Unavailable, now);
    }
    all.advance(deadline);
    assert_eq!(outputs(&mut all), []);
    let left = (all.asked_len(), all.owed_len(), all.under_way());
    assert_eq!(left, (0, 0, 0));
    all.tell(request(6, 4), deadline).expect("room");
    assert_eq!(sent(&outputs(&mut all)), [6]);
}

#[test]
fn requests_about_one_x_go_in_the_order_of_their_fences() {
    let mut asked = provisioner(8);
    let (now, deadline) = (Timestamp(0), Timestamp(1_000));
    for (fence, x) in [(3, 1), (5, 1), (4, 1), (6, 2)] {
        asked.ask(request(fence, x), deadline, now).expect("room");
    }
    assert_eq!(sent(&outputs(&mut asked)), [3, 6]);
    asked.answered(3, Answer::Done, now);
    assert_eq!(sent(&outputs(&mut asked)), [4]);
    // X is free when the request that was given up has ended; its late answer changes nothing else.
    asked.advance(deadline);
    let later = Timestamp(2_000);
    asked.ask(request(7, 1), later, deadline).expect("room");
    let seen = outputs(&mut asked);
    assert!(sent(&seen).is_empty());
    asked.answered(4, Answer::Done, deadline);
    assert_eq!(outputs(&mut asked), [Output::Send(request(7, 1))]);
    let given_up = |fence, settlement| (fence, settlement, Answer::Unavailable);
    assert_eq!(
        settled(&seen),
        [
            (3, Settlement::Done, Answer::Done),
            given_up(4, Settlement::Unsure),
            given_up(5, Settlement::NotDone),
            given_up(6, Settlement::Unsure)
        ][1..]
    );
    assert_eq!(asked.under_way(), 2, "6 was never answered, nor 7");
}

/// However often it is sent until its deadline; what comes of a try after that counts no more.
#[test]
fn one_request_that_fails_again_and_again_leaves_no_carrier_alone() {
    let mut asked = provisioner(8);
    let fail = |asked: &mut Provisioner, fence: u64, start: i64| {
        let (mut now, deadline) = (Timestamp(start), Timestamp(start + 2_500));
        asked
            .ask(request(fence, fence), deadline, now)
            .expect("taken");
        let mut tries = 0;
        while now < deadline {
            for fence in sent(&outputs(asked)) {
                asked.answered(fence, Answer::NotSent, now);
                tries += 1;
            }
            now = asked.next_at().unwrap_or(deadline);
            asked.advance(now);
        }
        tries
    };
    assert_eq!(fail(&mut asked, 1, 0), 5);
    assert_eq!(asked.breaker(), BreakerState::Closed { failures: 1 });
    fail(&mut asked, 2, 3_000);
    assert_eq!(asked.breaker(), BreakerState::Closed { failures: 2 });
    // One whose first try ends after its deadline counts.
    let (now, deadline) = (Timestamp(6_000), Timestamp(7_000));
    asked.ask(request(3, 3), deadline, now).expect("taken");
    asked.advance(deadline);
    asked.answered(3, Answer::Unavailable, Timestamp(8_000));
    assert!(asked.is_down(Timestamp(8_000)), "the third in a row");
}

#[test]
fn what_is_under_way_to_a_carrier_that_moves_is_sent_anew_and_says_nothing_of_it() {
    let mut asked = provisioner(8);
    let (now, deadline) = (Timestamp(0), Timestamp(1_000));
    for fence in 1..=6 {
        let request = request(fence, fence);
        asked.ask(request, deadline, now).expect("room");
    }
    asked.tell(request(7, 7), now).expect("room");
    assert_eq!(sent(&outputs(&mut asked)), [1, 2, 3, 4, 5, 6, 7]);
    asked.moved(now);
    assert_eq!((asked.under_way(), outputs(&mut asked)), (0, vec![]));
    assert_eq!(asked.breaker(), BreakerState::Closed { failures: 0 });
    asked.advance(Timestamp(100));
    assert_eq!(sent(&outputs(&mut asked)), [1, 2, 3, 4, 5, 6]);
    asked.answered(1, Answer::Done, Timestamp(200));
    // Nobody knows what became of it where it went first.
    asked.answered(2, Answer::Refused, Timestamp(200));
    let seen = [
        (1, Settlement::Done, Answer::Done),
        (2, Settlement::Unsure, Answer::Refused),
    ];
    assert_eq!(settled(&outputs(&mut asked)), seen);
    asked.advance(Timestamp(1_000));
    assert!(sent(&outputs(&mut asked)).contains(&7));
}

#[test]
fn a_carrier_that_does_not_answer_keeps_nobody_waiting() {
    let mut asked = provisioner(2);
    let (now, deadline) = (Timestamp(0), Timestamp(10_000));
    for fence in 1..=6 {
        asked
            .ask(request(fence, fence), deadline, now)
            .expect("room");
    }
    asked.tell(request(9, 9), now).expect("room");
    let mut answered = 0;
    while !asked.is_down(now) {
        for fence in sent(&outputs(&mut asked)) {
            asked.answered(fence, Answer::Unavailable, now);
            answered += 1;
        }
    }
    assert!((3..=4).contains(&answered), "{answered}");
    let waits = asked.ask(request(10, 10), deadline, now);
    assert_eq!(waits, Err(NotTaken));
    let mut seen = settled(&outputs(&mut asked));
    for fence in asked.under_way.clone().into_keys() {
        asked.answered(fence, Answer::Unavailable, now);
    }
    seen.extend(settled(&outputs(&mut asked)));
    assert_eq!(asked.asked_len(), 0, "{seen:?}");
    // What is owed tries it, and nobody waits meanwhile.
    let until = asked.next_at().expect("it opens again");
    asked.advance(until);
    assert_eq!(sent(&outputs(&mut asked)), [9]);
    assert!(asked.is_down(until));
    asked.answered(9, Answer::Done, until);
    assert!(!asked.is_down(until));
}
