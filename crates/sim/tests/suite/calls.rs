//! Calls in which no law is broken, and what they must have gone through.

use maskline_sim::calls::{self, Found, Plan, Slip};

fn tell(found: Found) -> String {
    let story = found.story.join("\n");
    format!("{story}\n{}\nagain: {}", found.what, found.command())
}

#[test]
fn no_law_is_broken_by_calls() {
    // Calls of which both phones vanish are rare; these rounds have some.
    let sum =
        calls::campaign(6, 4_000, 2, |_| ()).unwrap_or_else(|found| panic!("{}", tell(found)));
    assert_eq!(sum.calls, 4_000);
    for (what, count) in sum.lines() {
        assert!(count > 0, "these calls had no {what}");
    }
}

#[test]
fn a_seed_plays_the_same_calls_again() {
    let played = |seed| {
        let plan = Plan {
            seed,
            calls: 200,
            slip: None,
        };
        calls::round(plan).unwrap_or_else(|found| panic!("{}", tell(found)))
    };
    assert_eq!(played(7), played(7));
    assert_ne!(played(7), played(8));
}

#[test]
fn each_slip_is_found() {
    let rows = [
        (Slip::WrongParty, "rang where"),
        (Slip::Telltale, "a number was told to the other side"),
        (Slip::NoEnd, "it ended 0 times"),
        (Slip::NoRecord, "it left no record"),
        (Slip::NoMilestone, "it told the milestones"),
        (Slip::KeptPorts, "leases are left"),
        (Slip::StrayMedia, "media goes to somebody else"),
        (Slip::WrongKey, "which nobody pressed"),
        (Slip::TwoCodecs, "the sides have two codecs"),
        (Slip::LongTone, "went on after the answer"),
        (Slip::StaleMedia, "and media goes to"),
        (Slip::MediaLoop, "whose media comes back was taken"),
        (Slip::OtherX, "left by a trunk that is not for it"),
        (Slip::OtherCallee, "left by a trunk that is not for it"),
    ];
    assert_eq!(rows.map(|(slip, _)| slip), Slip::ALL);
    for (slip, expected) in rows {
        // Some are rare.
        let found = (4..12).find_map(|seed| {
            let plan = Plan {
                seed,
                calls: 500,
                slip: Some(slip),
            };
            calls::round(plan).err()
        });
        let found = found.expect("a slip is no way to carry calls");
        assert!(found.what.contains(expected), "{slip:?}: {}", found.what);
    }
}
