//! Who is taken for a side behind NAT where several speak.

use super::nat::{SBC, TOLD, there};
use super::*;

/// Who of several that can be the side it is taken to be, where they all speak, silent or not. The address that
/// it says is `TOLD`, that of its signalling is `SIGNALLING`; all others are in its trunk's networks.
const SIGNALLING: &str = "203.0.113.1:4000";
const GATEWAY: &str = SBC;
const OTHER_GATEWAY: &str = "203.0.113.9:4000";
const UNKNOWN_SOURCE: &str = "203.0.113.77:9";

/// Why; who speaks: a pause before them in milliseconds, and all who then speak in turn, for so many rounds of
/// 20 ms; and where the side is at the end.
type Turns = (
    &'static str,
    &'static [(u64, &'static [&'static str], u16)],
    &'static str,
);

const TURNS: &[Turns] = &[
    (
        "who was left for being silent speaks again, though the other goes on",
        &[
            (0, &[GATEWAY], 50),
            (2_000, &[UNKNOWN_SOURCE], 50),
            (0, &[UNKNOWN_SOURCE, GATEWAY], 20),
        ],
        GATEWAY,
    ),
    (
        "the other has spoken for a long time",
        &[
            (0, &[GATEWAY], 50),
            (2_000, &[UNKNOWN_SOURCE], 3_000),
            (0, &[UNKNOWN_SOURCE, GATEWAY], 20),
        ],
        GATEWAY,
    ),
    (
        "its signalling's address speaks again",
        &[
            (0, &[SIGNALLING], 50),
            (2_000, &[UNKNOWN_SOURCE], 50),
            (0, &[UNKNOWN_SOURCE, SIGNALLING], 20),
        ],
        SIGNALLING,
    ),
    (
        "the address that it says speaks again",
        &[
            (0, &[TOLD], 50),
            (2_000, &[UNKNOWN_SOURCE], 50),
            (0, &[UNKNOWN_SOURCE, TOLD], 20),
        ],
        TOLD,
    ),
    (
        "its signalling's address speaks for the first time",
        &[
            (0, &[UNKNOWN_SOURCE], 50),
            (0, &[UNKNOWN_SOURCE, SIGNALLING], 20),
        ],
        SIGNALLING,
    ),
    (
        "the address that it says speaks for the first time",
        &[(0, &[GATEWAY], 50), (0, &[GATEWAY, TOLD], 20)],
        TOLD,
    ),
    (
        "a stranger speaks while it does",
        &[
            (0, &[SIGNALLING], 50),
            (0, &[SIGNALLING, UNKNOWN_SOURCE], 500),
        ],
        SIGNALLING,
    ),
    (
        "another of the same right speaks while it does",
        &[(0, &[GATEWAY], 50), (0, &[GATEWAY, OTHER_GATEWAY], 500)],
        GATEWAY,
    ),
    (
        "another gateway has taken over, and nobody comes back",
        &[(0, &[GATEWAY], 50), (1_100, &[OTHER_GATEWAY], 500)],
        OTHER_GATEWAY,
    ),
    (
        "another gateway has taken over, and single packets come late",
        &[
            (0, &[GATEWAY], 50),
            (1_100, &[OTHER_GATEWAY], 50),
            (0, &[GATEWAY], 2),
            (0, &[OTHER_GATEWAY], 100),
        ],
        OTHER_GATEWAY,
    ),
    (
        "who came back is left again, and the stranger has no right to come back",
        &[
            (0, &[GATEWAY], 50),
            (2_000, &[UNKNOWN_SOURCE], 50),
            (2_000, &[GATEWAY], 50),
            (0, &[GATEWAY, UNKNOWN_SOURCE], 100),
        ],
        GATEWAY,
    ),
    (
        "two strangers take turns in a pause",
        &[
            (0, &[GATEWAY], 50),
            (2_000, &[UNKNOWN_SOURCE], 50),
            (2_000, &["203.0.113.78:9"], 50),
            (0, &["203.0.113.78:9", GATEWAY], 20),
        ],
        GATEWAY,
    ),
    (
        "another stranger speaks between its packets as it comes back",
        &[
            (0, &[GATEWAY], 50),
            (2_000, &[UNKNOWN_SOURCE], 50),
            (
                0,
                &["203.0.113.78:9", UNKNOWN_SOURCE, GATEWAY, "203.0.113.79:9"],
                20,
            ),
        ],
        GATEWAY,
    ),
    (
        "a stranger speaks in a pause and the side does not come back",
        &[(0, &[GATEWAY], 50), (2_000, &[UNKNOWN_SOURCE], 50)],
        UNKNOWN_SOURCE,
    ),
    (
        "it comes back from another port of its machine",
        &[
            (0, &[GATEWAY], 50),
            (2_000, &[UNKNOWN_SOURCE], 50),
            (0, &[UNKNOWN_SOURCE, "203.0.113.5:9000"], 20),
        ],
        "203.0.113.5:9000",
    ),
];

#[test]
fn who_was_taken_for_a_silent_side_gives_way_when_it_speaks_again() {
    for (why, turns, at_last) in TURNS {
        let mut world = World::of(true);
        world.change(|path| {
            path.caller = path.caller.take().map(|end| MediaEnd {
                sources: Arc::new([there(SIGNALLING).ip()]),
                ..end
            });
        });
        let mut sequence = 0;
        for (pause_ms, who, rounds) in *turns {
            world.now_us += pause_ms * 1_000;
            for _ in 0..*rounds {
                world.now_us += STEP_US;
                sequence += 1;
                for (ssrc, source) in (1..).zip(*who) {
                    world.speaks(source, ssrc, sequence);
                }
            }
        }
        assert_eq!(world.destination(), Some(there(at_last)), "{why}");
    }
}

#[test]
fn after_a_new_description_what_is_still_under_way_from_before_takes_nothing_back() {
    for late in 0..5 {
        let mut world = World::of(true);
        for sequence in 0..50 {
            world.now_us += STEP_US;
            world.speaks(GATEWAY, 1, sequence);
        }
        world.change(|path| {
            path.caller = path.caller.take().map(|end| MediaEnd {
                version: end.version + 1,
                ..end
            });
        });
        assert!(world.speaks(OTHER_GATEWAY, 2, 1), "{late}");
        for sequence in 0..late {
            assert!(!world.speaks(GATEWAY, 1, 50 + sequence), "{late}");
            assert!(world.speaks(OTHER_GATEWAY, 2, 2 + sequence), "{late}");
        }
        assert_eq!(world.destination(), Some(there(OTHER_GATEWAY)), "{late}");
    }
}
