use maskline_domain::Timestamp;

use super::*;
use crate::batch::{Hash, Tip};
use crate::payload::Opened;

const LARGE: Bounds = Bounds {
    batches: 100,
    bytes: 1_000_000,
};

fn batch(seq: u64) -> Arc<Decoded> {
    let hash = Hash([seq as u8; 32]);
    Arc::new(Decoded {
        tip: Tip { seq, hash },
        bytes: 1,
        opened: Opened {
            at: Timestamp(seq as i64),
            entries: Vec::new(),
            erased: Vec::new(),
        },
    })
}

/// A feed whose follower has everything up to batch `tip`.
fn followed(bounds: Bounds, tip: u64) -> Feed {
    let mut feed = Feed::new(bounds);
    assert_eq!(feed.next(tip, tip, 64), Next::Nothing);
    feed
}

fn push(feed: &mut Feed, seqs: impl IntoIterator<Item = u64>) {
    for seq in seqs {
        feed.push(&batch(seq), 10);
    }
}

fn journal(from: u64, upto: u64) -> Next {
    Next::Journal { from, upto }
}

fn batches(seqs: impl IntoIterator<Item = u64>) -> Next {
    Next::Batches(seqs.into_iter().map(batch).collect())
}

#[test]
fn where_the_next_batches_are_follows_from_their_numbers() {
    struct Row {
        name: &'static str,
        /// What waits.
        waiting: &'static [u64],
        has: u64,
        tip: u64,
        at_most: usize,
        next: Next,
    }
    let row = |name, waiting, (has, tip), at_most, next| Row {
        name,
        waiting,
        has,
        tip,
        at_most,
        next,
    };
    for row in [
        row("all is there", &[], (5, 5), 64, Next::Nothing),
        row("an empty journal", &[], (0, 0), 64, Next::Nothing),
        row("all wait", &[6, 7, 8], (5, 8), 64, batches(6..=8)),
        row(
            "not more than wanted",
            &[6, 7, 8],
            (5, 8),
            2,
            batches(6..=7),
        ),
        row("wanting none gives one", &[6, 7], (5, 7), 0, batches(6..=6)),
        row(
            "up to what is left out",
            &[6, 8],
            (5, 8),
            64,
            batches(6..=6),
        ),
        row("what is left out", &[8, 9], (5, 9), 64, journal(6, 7)),
        row("a piece of it", &[20], (5, 20), 4, journal(6, 9)),
        row(
            "what the follower has",
            &[3, 4, 5, 6],
            (5, 6),
            64,
            batches(6..=6),
        ),
        row("nothing new waits", &[3, 4, 5], (5, 5), 64, Next::Nothing),
        row("after a start", &[], (2, 40), 64, journal(3, 40)),
        row("far behind", &[], (2, 400), 64, journal(3, 66)),
        row("not told of yet", &[6], (5, 5), 64, batches(6..=6)),
        row("ahead of what was seen", &[], (7, 5), 64, Next::Nothing),
    ] {
        let mut feed = followed(LARGE, 1);
        push(&mut feed, row.waiting.iter().copied());
        let next = feed.next(row.has, row.tip, row.at_most);
        assert_eq!(next, row.next, "{}", row.name);
    }
}

#[test]
fn nothing_is_kept_before_the_follower_asks_and_after_it_left() {
    let mut feed = Feed::new(LARGE);
    push(&mut feed, 1..=3);
    assert_eq!(feed.waiting(), (0, 0));
    assert_eq!(feed.next(0, 3, 64), journal(1, 3));
    push(&mut feed, 4..=5);
    assert_eq!(feed.waiting(), (2, 20));
    assert_eq!(feed.leave(), [batch(4), batch(5)]);
    push(&mut feed, 6..=7);
    assert_eq!(feed.waiting(), (0, 0));
    assert_eq!(feed.next(3, 7, 64), journal(4, 7));
}

#[test]
fn a_follower_that_stalls_costs_no_more_than_the_bounds_and_catches_up_by_the_journal() {
    for bounds in [
        Bounds {
            batches: 3,
            ..LARGE
        },
        Bounds { bytes: 39, ..LARGE },
    ] {
        let mut feed = followed(bounds, 0);
        push(&mut feed, 1..=500);
        assert_eq!(feed.waiting(), (3, 30));
        assert_eq!(feed.next(0, 500, 64), batches(1..=3));
        push(&mut feed, 501..=501);
        assert_eq!(feed.waiting(), (0, 0), "it is still far behind");
        let mut has = 3;
        while let Next::Journal { from, upto } = feed.next(has, 501, 64) {
            assert_eq!(from, has + 1);
            has = upto;
        }
        assert_eq!(has, 501);
        push(&mut feed, 502..=503);
        assert_eq!(feed.next(has, 503, 64), batches(502..=503));
    }
}

#[test]
fn what_is_appended_during_the_last_stretch_waits() {
    let mut feed = Feed::new(LARGE);
    assert_eq!(feed.next(0, 100, 64), journal(1, 64));
    push(&mut feed, 101..=110);
    assert_eq!(feed.next(64, 110, 64), journal(65, 110));
    push(&mut feed, 111..=112);
    assert_eq!(feed.next(110, 112, 64), batches(111..=112));
}

#[test]
fn a_batch_beyond_all_bounds_is_read_from_the_journal() {
    let mut feed = followed(Bounds { bytes: 9, ..LARGE }, 0);
    for seq in 1..=5 {
        push(&mut feed, [seq]);
        assert_eq!(feed.next(seq - 1, seq, 64), journal(seq, seq));
    }
}

#[test]
fn a_follower_that_could_not_use_what_it_got_reads_it_again() {
    let mut feed = followed(LARGE, 0);
    push(&mut feed, 1..=4);
    assert_eq!(feed.next(0, 4, 64), batches(1..=4));
    push(&mut feed, 5..=6);
    assert_eq!(feed.next(2, 6, 64), journal(3, 4));
    assert_eq!(feed.next(4, 6, 64), batches(5..=6));
}

/// Chance enough for a test: a linear congruential generator.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

#[test]
fn every_batch_comes_once_and_in_order_whatever_is_left_out() {
    let (mut by_memory, mut by_journal) = (0, 0);
    for seed in 0..300 {
        let mut chance = Chance(seed);
        let bounds = Bounds {
            batches: 1 + chance.below(6) as usize,
            bytes: 10 + chance.below(60) as usize,
        };
        let mut feed = Feed::new(bounds);
        let (mut written, mut told, mut has) = (0, 0, 0);
        // How often batches are left out, and how seldom the follower comes.
        let (left_out, stall) = (chance.below(4), 1 + chance.below(8));
        for _ in 0..400 {
            match chance.below(3 + stall) {
                0 => told = written,
                1 | 2 => {
                    let seen = told;
                    let at_most = 1 + chance.below(5) as usize;
                    match feed.next(has, seen, at_most) {
                        Next::Nothing => assert!(has >= seen, "{seed}: it has {has} of {seen}"),
                        Next::Batches(batches) => {
                            assert!((1..=at_most).contains(&batches.len()));
                            for batch in batches {
                                assert_eq!(batch.tip.seq, has + 1, "{seed}");
                                has += 1;
                                by_memory += 1;
                            }
                        }
                        Next::Journal { from, upto } => {
                            assert_eq!(from, has + 1, "{seed}");
                            assert!(from <= upto && upto <= written, "{seed}");
                            assert!(upto - has <= at_most as u64, "{seed}");
                            by_journal += upto - has;
                            has = upto;
                        }
                    }
                }
                _ => {
                    // Only when it is told is the next one decided.
                    told = written;
                    written += 1;
                    if chance.below(12) >= left_out {
                        feed.push(&batch(written), 5 + chance.below(12) as usize);
                    }
                    let (batches, bytes) = feed.waiting();
                    assert!(batches <= bounds.batches && bytes <= bounds.bytes);
                }
            }
        }
    }
    assert!(
        by_memory > 10_000 && by_journal > 10_000,
        "{by_memory} {by_journal}"
    );
}
