//! What is predicted of calls is what phones see.

use maskline_sim::calls::predicted::{self, Plan, Slip};

#[test]
fn explanations_agree_with_what_phones_saw() {
    let sum = predicted::campaign(1, 300, 2, |_| ())
        .unwrap_or_else(|found| panic!("{}\nagain: {}", found.what, found.command()));
    assert_eq!(sum.states, 300);
    for (what, count) in sum.lines() {
        assert!(count > 0, "these states had no {what}");
    }
}

#[test]
fn a_seed_makes_the_same_state_again() {
    let tally = |seed| {
        predicted::state(Plan { seed, slip: None }).unwrap_or_else(|found| panic!("{}", found.what))
    };
    assert_eq!(tally(7), tally(7));
}

#[test]
fn each_wrong_explanation_is_found() {
    for slip in Slip::ALL {
        let found = (1..100).find_map(|seed| {
            let plan = Plan {
                seed,
                slip: Some(slip),
            };
            predicted::state(plan).err()
        });
        let found = found.unwrap_or_else(|| panic!("{slip:?} is not found"));
        assert!(found.what.contains("phones: "), "{}", found.what);
        assert!(found.command().contains(&found.plan.seed.to_string()));
    }
}
