//! What came of requests to a carrier, until it is written down, and who waits to hear of it.
//!
//! A machine without clock and socket, beside the [`Provisioner`](super::Provisioner): whoever drives it writes down
//! what it says, tells it what came of that, and tells those who wait what it gives back. Who waits is told once: from
//! then on, if they were told that it failed, all that is done leads to a binding that is let go, or is as it was.

use std::collections::BTreeMap;

use super::provisioner::Settled;
use super::request::Answer;
use crate::binding::SubsId;
use crate::clock::Timestamp;
use crate::ops::Settlement;
use crate::refusal::Refusal;

/// After how long a settlement is written again that could not be, in milliseconds.
const WRITTEN_AGAIN_MS: i64 = 500;

/// What came of writing a settlement down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written<E> {
    /// It is durable.
    Done,
    /// Something was decided before: an end, or an answer.
    Superseded {
        /// Whether the carrier holds what was asked for.
        is_held: bool,
    },
    /// It is not durable, or nobody knows.
    Not {
        /// Why.
        error: E,
        /// Whether to write it again.
        again: bool,
    },
}

/// Why a request for which somebody waited did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotDone<E> {
    /// For a reason that the carrier gave, or for want of one.
    Refused(Refusal),
    /// What came of it cannot be written down.
    NotSettled(E),
}

/// What somebody who would wait is to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Wait<W> {
    /// The carrier is to be asked.
    Ask,
    /// It was asked, or it is known already what came of it.
    Joined,
    /// Others were told that it failed, and so is this one.
    Failed(W),
}

/// Those who waited, and what they are told.
#[derive(Debug, PartialEq, Eq)]
pub struct Told<W, E> {
    /// What came of the request.
    pub settled: Settled,
    /// Who waited for it.
    pub waiting: Vec<W>,
    /// What each is told.
    ///
    /// # Errors
    /// [`NotDone`].
    pub answer: Result<(), NotDone<E>>,
    /// Whether the carrier may be owed something now.
    pub may_owe: bool,
}

/// A settlement that is not written down yet. There is one for each request.
#[derive(Debug)]
struct Unsettled {
    settled: Settled,
    /// When to write it again; none while it is being written.
    again_at: Option<Timestamp>,
    /// Whether whoever waited was told that it failed.
    was_told: bool,
}

/// Requests by their fences: who waits for them, and what came of them.
#[derive(Debug)]
pub struct Settling<W> {
    /// Several where one order is bound twice.
    waiting: BTreeMap<u64, Vec<W>>,
    unsettled: BTreeMap<u64, Unsettled>,
    /// Those that the state has as asked, and of which nothing is known here: since when.
    strays: BTreeMap<u64, Timestamp>,
}

impl<W> Default for Settling<W> {
    fn default() -> Self {
        Self {
            waiting: BTreeMap::new(),
            unsettled: BTreeMap::new(),
            strays: BTreeMap::new(),
        }
    }
}

impl<W> Settling<W> {
    /// Lets somebody wait for what comes of a request.
    pub fn wait(&mut self, fence: u64, who: W) -> Wait<W> {
        let unsettled = self.unsettled.get(&fence);
        if unsettled.is_some_and(|known| known.was_told) {
            return Wait::Failed(who);
        }
        let is_known = unsettled.is_some();
        let waiting = self.waiting.entry(fence).or_default();
        waiting.push(who);
        match waiting.len() > 1 || is_known {
            true => Wait::Joined,
            false => Wait::Ask,
        }
    }

    /// Whether it is known what came of a request, and not written down.
    pub fn is_settling(&self, fence: u64) -> bool {
        self.unsettled.contains_key(&fence)
    }

    /// The requests of which it is known what came of them, and which is not written down: their fences, ascending.
    pub fn unsettled(&self) -> impl Iterator<Item = u64> + '_ {
        self.unsettled.keys().copied()
    }

    /// Whether nobody waits, and all that came of requests is written down.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.unsettled.is_empty()
    }

    /// Takes in what came of a request, unless something did before. Says whether it is to be written down now.
    #[must_use]
    pub fn settle(&mut self, settled: Settled) -> bool {
        if self.is_settling(settled.fence) {
            return false;
        }
        let unsettled = Unsettled {
            settled,
            again_at: None,
            was_told: false,
        };
        self.unsettled.insert(settled.fence, unsettled);
        true
    }

    /// Takes in what came of writing it down; gives those who hear of it, none for a request of which nothing is known.
    pub fn written<E: Clone>(
        &mut self,
        fence: u64,
        written: Written<E>,
        now: Timestamp,
    ) -> Option<Told<W, E>> {
        let unsettled = self.unsettled.get_mut(&fence)?;
        let waiting = self.waiting.remove(&fence).unwrap_or_default();
        let settled = unsettled.settled;
        let answer = answer_of(&settled, &written);
        let may_owe = match written {
            Written::Not { again: false, .. } => false,
            Written::Not { again: true, .. } => {
                if !waiting.is_empty() {
                    unsettled.was_told = true;
                    unsettled.settled.settlement = Settlement::Abandoned;
                }
                unsettled.again_at = Some(now.plus_millis(WRITTEN_AGAIN_MS));
                false
            }
            Written::Done | Written::Superseded { .. } => {
                self.unsettled.remove(&fence);
                answer.is_err()
            }
        };
        Some(Told {
            settled,
            waiting,
            answer,
            may_owe,
        })
    }

    /// What is to be written again now.
    pub fn due(&mut self, now: Timestamp) -> Vec<Settled> {
        let unsettled = self.unsettled.values_mut();
        let due = unsettled.filter(|unsettled| unsettled.again_at.is_some_and(|at| at <= now));
        due.map(|unsettled| {
            unsettled.again_at = None;
            unsettled.settled
        })
        .collect()
    }

    /// When something is to be written again.
    pub fn next_at(&self) -> Option<Timestamp> {
        let unsettled = self.unsettled.values();
        unsettled.filter_map(|unsettled| unsettled.again_at).min()
    }

    /// Of what the state has as asked: what nobody here has known of for so long that it is to be given up. A command
    /// whose sender went may have reserved something for which nobody asks.
    pub fn strays(
        &mut self,
        asked: &[(SubsId, u64)],
        after_ms: i64,
        now: Timestamp,
    ) -> Vec<Settled> {
        let is_known =
            |fence: &u64| self.waiting.contains_key(fence) || self.unsettled.contains_key(fence);
        let strays: Vec<(SubsId, u64)> = (asked.iter().copied())
            .filter(|(_, fence)| !is_known(fence))
            .collect();
        self.strays
            .retain(|fence, _| strays.iter().any(|(_, stray)| stray == fence));
        let mut given_up = Vec::new();
        for (subs_id, fence) in strays {
            let since = *self.strays.entry(fence).or_insert(now);
            if since.plus_millis(after_ms) <= now {
                given_up.push(Settled {
                    subs_id,
                    fence,
                    settlement: Settlement::Abandoned,
                    answer: Answer::NotSent,
                });
            }
        }
        given_up
    }
}

/// What is told to whoever waited for it.
fn answer_of<E: Clone>(settled: &Settled, written: &Written<E>) -> Result<(), NotDone<E>> {
    let refusal = match (settled.settlement, written, settled.answer) {
        (_, Written::Not { error, .. }, _) => return Err(NotDone::NotSettled(error.clone())),
        (Settlement::Done, Written::Done | Written::Superseded { is_held: true }, _) => {
            return Ok(());
        }
        (_, Written::Superseded { .. }, _) => Refusal::CarrierUnavailable,
        (_, Written::Done, Answer::Refused | Answer::Stale) => Refusal::CarrierRefused,
        (_, Written::Done, Answer::Unclear) => Refusal::CarrierUnclear,
        (_, Written::Done, _) => Refusal::CarrierUnavailable,
    };
    Err(NotDone::Refused(refusal))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(fence: u64, settlement: Settlement, answer: Answer) -> Settled {
        Settled {
            subs_id: SubsId(fence),
            fence,
            settlement,
            answer,
        }
    }

    fn done(fence: u64) -> Settled {
        settled(fence, Settlement::Done, Answer::Done)
    }

    const FULL: Written<&str> = Written::Not {
        error: "disk full",
        again: true,
    };

    #[test]
    fn all_who_wait_are_told_once_what_came_of_it() {
        let mut settling = Settling::default();
        assert_eq!(settling.wait(7, "first"), Wait::Ask);
        assert_eq!(settling.wait(7, "second"), Wait::Joined);
        assert!(settling.settle(done(7)));
        assert!(!settling.settle(settled(7, Settlement::Unsure, Answer::Unavailable)));
        assert_eq!(settling.wait(7, "third"), Wait::Joined);
        let told = settling.written(7, Written::<&str>::Done, Timestamp(0));
        let told = told.expect("it was settled");
        assert_eq!(
            (told.settled, told.answer, told.may_owe),
            (done(7), Ok(()), false)
        );
        assert_eq!(told.waiting, ["first", "second", "third"]);
        assert_eq!(
            settling.written(7, Written::<&str>::Done, Timestamp(0)),
            None
        );
        assert_eq!(settling.wait(7, "fourth"), Wait::Ask);
    }

    #[test]
    fn what_is_told_follows_what_is_written_and_then_the_answer() {
        let refused = |refusal| Err(NotDone::Refused(refusal));
        use Answer::{Done, Refused, Stale, Unavailable, Unclear};
        use Settlement::{NotDone as NotDoneThere, Unsure};
        let superseded = |is_held| Written::Superseded { is_held };
        for (settlement, answer, written, expected) in [
            (Settlement::Done, Done, Written::Done, Ok(())),
            (Settlement::Done, Done, superseded(true), Ok(())),
            (
                Settlement::Done,
                Done,
                superseded(false),
                refused(Refusal::CarrierUnavailable),
            ),
            (
                Settlement::Done,
                Done,
                FULL,
                Err(NotDone::NotSettled("disk full")),
            ),
            (
                NotDoneThere,
                Refused,
                Written::Done,
                refused(Refusal::CarrierRefused),
            ),
            (
                NotDoneThere,
                Stale,
                Written::Done,
                refused(Refusal::CarrierRefused),
            ),
            (
                Unsure,
                Unclear,
                Written::Done,
                refused(Refusal::CarrierUnclear),
            ),
            (
                Unsure,
                Unavailable,
                Written::Done,
                refused(Refusal::CarrierUnavailable),
            ),
            (
                Unsure,
                Unclear,
                superseded(true),
                refused(Refusal::CarrierUnavailable),
            ),
        ] {
            let mut settling = Settling::default();
            assert_eq!(settling.wait(7, ()), Wait::Ask);
            assert!(settling.settle(settled(7, settlement, answer)));
            let told = settling.written(7, written, Timestamp(0));
            let told = told.expect("it was settled");
            let may_owe = !matches!(expected, Ok(()) | Err(NotDone::NotSettled(_)));
            assert_eq!((told.answer, told.may_owe), (expected, may_owe));
        }
    }

    #[test]
    fn what_failed_for_one_who_waited_never_succeeds() {
        let mut settling = Settling::default();
        assert_eq!(settling.wait(7, "first"), Wait::Ask);
        assert!(settling.settle(done(7)));
        let told = settling.written(7, FULL, Timestamp(0)).expect("settled");
        assert_eq!(told.waiting, ["first"]);
        assert_eq!(told.answer, Err(NotDone::NotSettled("disk full")));
        assert_eq!(settling.wait(7, "second"), Wait::Failed("second"));
        assert_eq!(settling.next_at(), Some(Timestamp(500)));
        assert_eq!(settling.due(Timestamp(499)), []);
        let abandoned = settled(7, Settlement::Abandoned, Answer::Done);
        assert_eq!(settling.due(Timestamp(500)), [abandoned]);
        assert_eq!(
            settling.due(Timestamp(9_000)),
            [],
            "while it is being written"
        );
        let told = settling.written(7, Written::<&str>::Done, Timestamp(501));
        let told = told.expect("settled");
        assert!(told.waiting.is_empty() && told.may_owe, "{told:?}");
        assert!(!settling.is_settling(7) && settling.is_idle());
    }

    #[test]
    fn what_nobody_waits_for_is_written_again_as_it_is() {
        let mut settling: Settling<()> = Settling::default();
        assert!(settling.settle(done(7)));
        settling.written(7, FULL, Timestamp(0));
        assert_eq!(settling.wait(7, ()), Wait::Joined);
        assert_eq!(settling.due(Timestamp(500)), [done(7)]);
        let closed = Written::Not {
            error: "closed",
            again: false,
        };
        settling.written(7, closed, Timestamp(500));
        assert_eq!(settling.next_at(), None, "the next start settles it");
    }

    #[test]
    fn what_nobody_asks_for_is_given_up_after_a_while() {
        let mut settling: Settling<()> = Settling::default();
        let asked = [(SubsId(1), 1), (SubsId(2), 2), (SubsId(3), 3)];
        settling.wait(2, ());
        assert_eq!(settling.strays(&asked, 100, Timestamp(0)), []);
        assert_eq!(settling.strays(&asked[1..], 100, Timestamp(50)), []);
        let given_up = settling.strays(&asked, 100, Timestamp(100));
        let given_up: Vec<u64> = given_up.iter().map(|its| its.fence).collect();
        assert_eq!(given_up, [3], "1 was seen anew, and 2 is waited for");
    }
}
