//! What the writer hands on to those who follow the journal: the projector and
//! the snapshotter. Each has a [`Feed`] of its own, which says what it finds
//! there and what it must read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use maskline_journal::feed::{Bounds, Feed, Next};
use maskline_journal::replay::Decoded;
use parking_lot::Mutex;

/// How much may wait for a follower: with two of them at most 64 MiB in all.
/// Under full load that is a third of a second, and a second at a third of it.
const BOUNDS: Bounds = Bounds {
    batches: 4_096,
    bytes: 32 << 20,
};

/// The feeds of all followers.
#[derive(Debug)]
pub(super) struct Feeds {
    /// Of the binding history and the audit.
    pub projection: FollowerFeed,
    /// Of the state that snapshots are made of.
    pub snapshots: FollowerFeed,
}

/// How a follower came to what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Followed {
    /// Batches that it got by memory.
    pub handed_on: u64,
    /// Batches that it was sent to the journal for.
    pub read: u64,
}

/// One feed, and how often it spared its follower a reading.
#[derive(Debug)]
pub(super) struct FollowerFeed {
    feed: Mutex<Feed>,
    handed_on: AtomicU64,
    read: AtomicU64,
}

impl Default for Feeds {
    fn default() -> Self {
        let followed = || FollowerFeed {
            feed: Mutex::new(Feed::new(BOUNDS)),
            handed_on: AtomicU64::new(0),
            read: AtomicU64::new(0),
        };
        Self {
            projection: followed(),
            snapshots: followed(),
        }
    }
}

impl Feeds {
    /// Hands on a batch that is durable, which takes so many bytes in memory.
    /// Must come before the new tip is told.
    pub fn push(&self, batch: Decoded, bytes: usize) {
        let batch = Arc::new(batch);
        for followed in [&self.projection, &self.snapshots] {
            // A follower has a low priority and may lose the processor while it
            // holds this; the writer does not wait for it. What is left out is
            // read from the journal.
            if let Some(mut feed) = followed.feed.try_lock() {
                feed.push(&batch, bytes);
            }
        }
    }
}

impl FollowerFeed {
    /// Where the batches after `has` are, see [`Feed::next`].
    pub fn next(&self, has: u64, tip: u64, batches_max: usize) -> Next {
        let next = self.feed.lock().next(has, tip, batches_max);
        match &next {
            Next::Nothing => {}
            Next::Batches(batches) => {
                self.handed_on
                    .fetch_add(batches.len() as u64, Ordering::Relaxed);
            }
            Next::Journal { from, upto } => {
                self.read.fetch_add(upto + 1 - from, Ordering::Relaxed);
            }
        }
        next
    }

    /// The follower will not ask for a while; nothing is kept for it.
    pub fn leave(&self) {
        let kept = self.feed.lock().leave();
        drop(kept);
    }

    /// How its follower came to what it has.
    pub fn followed(&self) -> Followed {
        Followed {
            handed_on: self.handed_on.load(Ordering::Relaxed),
            read: self.read.load(Ordering::Relaxed),
        }
    }
}
