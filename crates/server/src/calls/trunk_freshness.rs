//! Whether calls go by the trunks that the state has now: who changed them waits for that, so that what was
//! answered holds from the next call on.

use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// How far the trunks that calls go by are behind those of the state, as numbers that only grow.
#[derive(Default)]
pub(super) struct TrunkFreshness {
    /// Looks at the state that were asked for.
    wanted: watch::Sender<u64>,
    /// The newest of them that calls have caught up with.
    reached: watch::Sender<u64>,
    /// Lists of trunks that the loop has taken.
    taken: watch::Sender<u64>,
}

impl TrunkFreshness {
    /// Asks for a look at the state and waits until calls go by what it found, at most so long. Says whether
    /// they do.
    pub async fn wait(&self, wait_max: Duration) -> bool {
        let mut reached = self.reached.subscribe();
        let mut look = 0;
        self.wanted.send_modify(|wanted| {
            *wanted += 1;
            look = *wanted;
        });
        let caught_up = reached.wait_for(|reached| *reached >= look);
        timeout(wait_max, caught_up).await.is_ok()
    }

    /// The looks that are asked for, for who looks.
    pub fn wanted_looks(&self) -> watch::Receiver<u64> {
        self.wanted.subscribe()
    }

    /// The loop goes by a newer list of trunks.
    pub fn taken(&self) {
        self.taken.send_modify(|taken| *taken += 1);
    }

    /// Waits until the loop has taken so many lists of trunks, then says that calls have caught up with this
    /// look.
    pub async fn caught_up(&self, lists: u64, look: u64) {
        let mut taken = self.taken.subscribe();
        if taken.wait_for(|taken| *taken >= lists).await.is_ok() {
            self.reached.send_replace(look);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// Longer than anything takes on a busy machine.
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn who_asks_waits_until_calls_go_by_the_newest_list() {
        let freshness = Arc::new(TrunkFreshness::default());
        let mut wanted = freshness.wanted_looks();
        let asker = Arc::clone(&freshness);
        let waits = tokio::spawn(async move { asker.wait(LONG).await });
        wanted.changed().await.expect("a look");
        let look = *wanted.borrow_and_update();
        let asker = Arc::clone(&freshness);
        let looks = tokio::spawn(async move { asker.caught_up(2, look).await });
        freshness.taken();
        // Who waits looks at the first list now.
        tokio::task::yield_now().await;
        assert!(!looks.is_finished(), "one list of two is taken");
        assert!(!waits.is_finished(), "one list of two is taken");
        freshness.taken();
        looks.await.expect("no panic");
        assert!(waits.await.expect("no panic"));
    }

    #[tokio::test]
    async fn the_wait_has_an_end() {
        let freshness = TrunkFreshness::default();
        assert!(
            !freshness.wait(Duration::from_millis(1)).await,
            "nobody looks"
        );
    }
}
