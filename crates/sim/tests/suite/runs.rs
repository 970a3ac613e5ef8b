//! Worlds in which no law is broken, and what such runs must have gone through.

use std::sync::Arc;

use maskline_journal::batch::Batch;
use maskline_journal::{PLAIN, personal};
use maskline_sealing::FixedKey;
use maskline_sim::campaign::{Plan, campaign, play};
use maskline_sim::world::run;
use maskline_sim::{Fault, Tally, World};

fn held(world: World, steps: u64) -> World {
    match run(world, steps, |_| ()) {
        Ok(world) => world,
        Err(broken) => panic!("{}", broken.1),
    }
}

#[test]
fn no_law_is_broken() {
    let first = Plan {
        seed: 100,
        steps: 10_000,
        fault: None,
        carriers: false,
    };
    let sum = campaign(first, 4, 2, |_, _| ()).unwrap_or_else(|found| {
        panic!("{}\nagain: {}", found.what, found.command());
    });
    assert_eq!(sum.steps, 40_000);
    for (what, count) in sum.lines() {
        assert!(count > 0, "these runs had no {what}");
    }
}

/// Carriers that refuse, are late, lose what they had, and go down, with crashes and restores of ours.
#[test]
fn no_law_is_broken_with_carriers() {
    let first = Plan {
        seed: 230,
        steps: 10_000,
        fault: None,
        carriers: true,
    };
    let sum = campaign(first, 4, 2, |_, _| ()).unwrap_or_else(|found| {
        panic!("{}\nagain: {}", found.what, found.command());
    });
    for (what, count) in sum.lines() {
        assert!(count > 0, "these runs had no {what}");
    }
}

/// Under a key that everybody knows, so that a seed plays the same world again.
#[test]
fn no_law_is_broken_where_personal_values_are_sealed() {
    let mut erased = 0;
    for seed in [300, 301] {
        let codec = PLAIN.with_keys(Arc::new(FixedKey::default()));
        let world = held(World::with_codec(seed, None, codec), 10_000);
        let tally = world.tally();
        assert!(tally.bound > 100 && tally.crashes > 5, "{tally:?}");
        erased += tally.erased;
        let (batches, _) = world.disk().contents();
        let is_sealed = |batch: &Batch| personal::sealed_under(&batch.personal).is_some();
        assert!(batches.iter().any(is_sealed));
    }
    assert!(erased > 0);
}

#[test]
fn worlds_play_both_forms_of_the_journal_and_the_change_between_them() {
    let mut mixed = 0;
    for seed in [11, 12, 13, 15] {
        let mut world = World::new(seed, None);
        let mut is_mixed = false;
        for _ in 0..4_000 {
            world
                .step()
                .unwrap_or_else(|broken| panic!("{seed}: {broken:?}"));
            let forms = world
                .disk()
                .contents()
                .0
                .iter()
                .map(|batch| batch.payload[0]);
            let forms: Vec<u8> = forms.collect();
            assert!(forms.is_sorted(), "{seed}: form 1 comes first");
            is_mixed |= forms.first() == Some(&1) && forms.last() == Some(&2);
        }
        mixed += usize::from(is_mixed);
        assert!(seed % 2 == 1 || !is_mixed);
    }
    assert_eq!(mixed, 3);
}

#[test]
fn the_plain_pipeline_breaks_no_law_either() {
    let tally = held(World::with_reference_pipeline(7), 10_000).tally();
    assert!(tally.bound > 100 && tally.crashes > 5, "{tally:?}");
}

#[test]
fn a_seed_plays_the_same_world_again() {
    let story = |seed, steps| {
        let mut world = World::new(seed, None);
        world.keep_step_log();
        held(world, steps).step_log().to_vec()
    };
    let once = story(3, 1_500);
    assert_eq!(once, story(3, 1_500));
    assert_eq!(once[..500], story(3, 3_000)[..500], "however long it lasts");
    assert_ne!(once, story(4, 1_500));
}

#[test]
fn a_failing_run_is_found_again_by_its_command() {
    let plan = Plan {
        seed: 1,
        steps: 100_000,
        fault: Some(Fault::ReadDoesNotWait),
        carriers: false,
    };
    let found = play(plan, |_: Tally| ()).expect_err("planted");
    assert_eq!(
        found.command(),
        format!(
            "maskline-sim --seed 1 --steps {} --fault read-does-not-wait",
            found.plan.steps
        )
    );
    let again = play(found.plan, |_| ()).expect_err("planted");
    assert_eq!(found, again);
    let before = Plan {
        steps: found.plan.steps - 1,
        ..found.plan
    };
    assert!(play(before, |_| ()).is_ok(), "no shorter run fails");
}
