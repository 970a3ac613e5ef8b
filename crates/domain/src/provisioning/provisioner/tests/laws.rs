//! What holds whatever comes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A request that was taken and is not settled.
#[derive(Debug, Clone, Copy)]
struct Open {
    binding: u64,
    x: u64,
    /// None of one that is owed.
    deadline: Option<Timestamp>,
    /// When it was last answered in vain.
    failed_at: Option<Timestamp>,
}

proptest! {
    /// Never two about one X, also of those given up, never more than may be, each settled once, and by its deadline; those for which somebody
    /// waits in the order of their fences; none after a newer one about its binding; one that is owed never without its
    /// rest.
    #[test]
    fn each_request_is_settled_once(
        steps in prop::collection::vec((0..11_u8, 0..4_u64, 0..6_u8), 1..200),
        concurrency in 1..4_usize,
    ) {
        use Answer::{Done, NotSent, Refused, Stale, Unavailable, Unclear};
        let mut machine = provisioner(concurrency);
        let mut now = Timestamp(0);
        let mut fence = 0;
        let mut under_way: BTreeMap<u64, PhoneNumber> = BTreeMap::new();
        let mut open: BTreeMap<u64, Open> = BTreeMap::new();
        let mut newest: BTreeMap<u64, u64> = BTreeMap::new();
        for (step, pick, answer) in steps {
            // Two bindings of each X.
            let binding = pick * 2 + u64::from(answer % 2);
            let taken = |deadline| Open { binding, x: pick, deadline, failed_at: None };
            match step {
                0..3 => {
                    fence += 1;
                    let deadline = now.plus_millis(500);
                    newest.insert(binding, fence);
                    let asked = of_binding(binding, fence, pick);
                    if machine.ask(asked, deadline, now).is_ok() {
                        open.insert(fence, taken(Some(deadline)));
                    }
                }
                3 => {
                    fence += 1;
                    newest.insert(binding, fence);
                    if machine.tell(of_binding(binding, fence, pick), now).is_ok() {
                        open.insert(fence, taken(None));
                    }
                }
                // What is owed is told again and again.
                4 => {
                    let owed = open.iter().filter(|&(fence, its)| {
                        its.deadline.is_none() && newest.get(&its.binding) == Some(fence)
                    });
                    let owed: Vec<Request> = owed
                        .map(|(&fence, its)| of_binding(its.binding, fence, its.x))
                        .collect();
                    for request in owed {
                        let _ = machine.tell(request, now);
                    }
                }
                5..9 => {
                    let chosen = under_way.keys().copied().nth(pick as usize);
                    if let Some(chosen) = chosen {
                        under_way.remove(&chosen);
                        let answers = [Done, Refused, Stale, Unclear, Unavailable, NotSent];
                        if let Some(its) = open.get_mut(&chosen) {
                            its.failed_at = (answer > 0).then_some(now);
                        }
                        machine.answered(chosen, answers[answer as usize], now);
                    }
                }
                _ => {
                    now = now.plus_millis(i64::from(answer) * 100);
                    machine.advance(now);
                }
            }
            for output in outputs(&mut machine) {
                match output {
                    Output::Send(request) => {
                        let Some(its) = open.get(&request.fence).copied() else {
                            return Err(TestCaseError::fail("settled and sent"));
                        };
                        let mut same_x = under_way.iter().filter(|(_, x)| **x == request.x);
                        prop_assert!(same_x.next().is_none(), "two about one X");
                        let newest = newest.get(&its.binding).copied();
                        prop_assert_eq!(newest, Some(request.fence), "a newer one is known");
                        match its.deadline {
                            Some(deadline) => {
                                prop_assert!(now < deadline, "sent when nobody waits");
                                let mut before = open.range(..request.fence);
                                let is_passed = before.any(|(_, other)| {
                                    other.x == its.x && other.deadline.is_some()
                                });
                                prop_assert!(!is_passed, "one that came before is passed");
                            }
                            None => {
                                let rested = its.failed_at.map(|at| at.plus_millis(OWED_REST_MS));
                                prop_assert!(rested.is_none_or(|at| at <= now), "without its rest");
                            }
                        }
                        under_way.insert(request.fence, request.x);
                    }
                    Output::Settle(settled) => {
                        let Some(its) = open.remove(&settled.fence) else {
                            return Err(TestCaseError::fail("settled twice"));
                        };
                        if its.deadline.is_none() && settled.settlement == Settlement::Stale {
                            let rested = its.failed_at.map(|at| at.plus_millis(OWED_REST_MS));
                            prop_assert!(rested.is_some_and(|at| at <= now), "stale without a rest");
                        }
                    }
                }
            }
            prop_assert!(under_way.len() <= concurrency);
            prop_assert_eq!(machine.under_way(), under_way.len());
            let mut deadlines = open.values().filter_map(|its| its.deadline);
            prop_assert!(deadlines.all(|deadline| deadline >= now), "somebody waits beyond the deadline");
        }
    }
}
