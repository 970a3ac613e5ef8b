//! Every scene of the matrix, played with one side in two variants: the other side must not see a difference,
//! and find nothing in either.

use crate::leaks::matrix::{SCENES, Scene};
use crate::leaks::parties::Parties;
use crate::leaks::scanner::Scanner;
use crate::leaks::world::{Sent, World};
use maskline_domain::call::Side;

/// What is wrong with a scene, in one sentence for each thing.
pub fn complaints(scene: &Scene, world: impl Fn(Parties) -> World) -> Vec<String> {
    let mut complaints = Vec::new();
    let first = world(Parties::new(0, 0));
    let worlds = [
        (Side::Callee, world(Parties::new(1, 0))),
        (Side::Caller, world(Parties::new(0, 1))),
    ];
    for (side, other) in &worlds {
        if let Some(difference) = difference(first.sent(*side), other.sent(*side)) {
            complaints.push(format!("{}: {side:?} sees {difference}", scene.name));
        }
    }
    for world in [&first, &worlds[0].1, &worlds[1].1] {
        let parties = &world.parties;
        let both = [parties.caller.secrets(), parties.callee.secrets()].concat();
        let scanner = Scanner::new(both);
        for told in &world.told {
            for finding in scanner.scan(told.as_bytes()) {
                complaints.push(format!("{}: {finding} is told in {told}", scene.name));
            }
        }
        // Who speaks for a side learns no more than he has said: nothing of the other.
        for (side, bytes) in &world.to_unknown_source {
            let other = match side {
                Side::Caller => parties.callee.secrets(),
                Side::Callee => parties.caller.secrets(),
            };
            for finding in Scanner::new(other).scan(bytes) {
                let text = String::from_utf8_lossy(bytes);
                complaints.push(format!(
                    "{}: a stranger gets {finding} in\n{text}",
                    scene.name
                ));
            }
        }
        for (side, secrets) in [
            (Side::Callee, parties.caller.secrets()),
            (Side::Caller, parties.callee.secrets()),
        ] {
            let scanner = Scanner::new(secrets);
            for sent in world.sent(side) {
                for finding in scanner.scan(&sent.bytes) {
                    let text = String::from_utf8_lossy(&sent.bytes);
                    complaints.push(format!(
                        "{}: {side:?} gets {finding} in\n{text}",
                        scene.name
                    ));
                }
            }
        }
    }
    complaints
}

/// The first message in which two runs differ.
fn difference(one: &[Sent], other: &[Sent]) -> Option<String> {
    let tell = |sent: Option<&Sent>| match sent {
        Some(sent) => {
            let text = String::from_utf8_lossy(&sent.bytes);
            format!("at {} ms, to {}:\n{text}", sent.at_ms, sent.to)
        }
        None => "nothing".to_owned(),
    };
    let length = one.len().max(other.len());
    (0..length).find_map(|at| {
        let (one, other) = (one.get(at), other.get(at));
        (one != other).then(|| format!("{}\nrather than {}", tell(one), tell(other)))
    })
}

#[test]
fn nothing_of_one_side_changes_a_byte_for_the_other() {
    let complaints: Vec<String> = SCENES
        .iter()
        .flat_map(|scene| complaints(scene, |parties| scene.play(parties)))
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn the_same_seed_and_the_same_people_give_the_same_bytes() {
    for scene in SCENES {
        let (one, other) = (
            scene.play(Parties::new(0, 0)),
            scene.play(Parties::new(0, 0)),
        );
        for side in [Side::Caller, Side::Callee] {
            let difference = difference(one.sent(side), other.sent(side));
            assert_eq!(difference, None, "{}", scene.name);
        }
    }
}
