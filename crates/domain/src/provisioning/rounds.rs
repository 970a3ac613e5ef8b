//! Going through what a carrier is owed, again and again, where not all of it has room at once.

use super::provisioner::NotTaken;
use super::request::Request;

/// How far a round through what is owed has come. It goes by fences, and the next one begins only at the end of all: what
/// the carrier always refuses would keep the rest from being told otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rounds {
    next_fence: u64,
    is_at_end: bool,
}

impl Rounds {
    /// The first fence that is not told in this round.
    pub fn next_fence(&self) -> u64 {
        self.next_fence
    }

    /// Begins a round, if the one before is over; says whether it was.
    pub fn begin_again(&mut self) -> bool {
        if self.is_at_end {
            *self = Self::default();
            return true;
        }
        false
    }

    /// Tells what is owed from [`next_fence`](Self::next_fence) on, by fence, of which a page has `page_len` at most. Says
    /// whether there may be more, and room for it.
    pub fn tell(
        &mut self,
        page: Vec<Request>,
        page_len: usize,
        mut tell: impl FnMut(Request) -> Result<(), NotTaken>,
    ) -> bool {
        let is_last = page.len() < page_len;
        self.is_at_end = false;
        for request in page {
            let fence = request.fence;
            if tell(request).is_err() {
                return false;
            }
            self.next_fence = fence.saturating_add(1);
        }
        self.is_at_end = is_last;
        !is_last
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::binding::SubsId;
    use crate::clock::Timestamp;
    use crate::number::PhoneNumber;
    use crate::provisioning::{Answer, OWED_MAX, Operation, Output, Provisioner, Settings};

    fn unbind(fence: u64) -> Request {
        Request {
            subs_id: SubsId(fence),
            revision: 2,
            fence,
            x: PhoneNumber::parse(&(17_000_000_000 + fence).to_string()).expect("digits"),
            operation: Operation::Unbind,
        }
    }

    /// More than twice what has room, and the carrier refuses all of it, always.
    #[test]
    fn everything_that_is_owed_has_its_turn() {
        let owed = OWED_MAX as u64 * 5 / 2;
        let mut carrier = Provisioner::new(Settings {
            concurrency: 8,
            breaker_failures: 3,
            breaker_open_ms: 1_000,
        });
        let mut rounds = Rounds::default();
        let mut told = BTreeSet::new();
        for second in 0..600 {
            let now = Timestamp(second * 1_000);
            if second % 60 == 0 {
                rounds.begin_again();
            }
            loop {
                let page: Vec<Request> = (rounds.next_fence().max(1)..=owed)
                    .take(256)
                    .map(unbind)
                    .collect();
                if !rounds.tell(page, 256, |one| carrier.tell(one, now)) {
                    break;
                }
            }
            carrier.advance(now);
            while let Some(output) = carrier.poll() {
                if let Output::Send(request) = output {
                    told.insert(request.fence);
                    carrier.answered(request.fence, Answer::Refused, now);
                }
            }
        }
        assert_eq!(told.len() as u64, owed);
    }

    #[test]
    fn a_round_is_over_at_the_end_of_all_and_not_where_there_is_no_room() {
        let mut carrier = Provisioner::new(Settings {
            concurrency: 1,
            breaker_failures: 3,
            breaker_open_ms: 1_000,
        });
        let mut rounds = Rounds::default();
        let now = Timestamp(0);
        let room = OWED_MAX as u64;
        assert!(!rounds.begin_again());
        assert!(rounds.tell((1..=4).map(unbind).collect(), 4, |one| {
            carrier.tell(one, now)
        }));
        assert_eq!((rounds.next_fence(), rounds.begin_again()), (5, false));
        assert!(
            !rounds.tell((5..=room).map(unbind).collect(), 9_999, |one| carrier
                .tell(one, now))
        );
        // At the end something comes for which there is no room: that is where it goes on.
        assert!(!rounds.tell(vec![unbind(room + 1)], 4, |one| carrier.tell(one, now)));
        assert_eq!(
            (rounds.next_fence(), rounds.begin_again()),
            (room + 1, false)
        );
        while let Some(output) = carrier.poll() {
            if let Output::Send(request) = output {
                carrier.answered(request.fence, Answer::Done, now);
            }
        }
        assert!(!rounds.tell(vec![unbind(room + 1)], 4, |one| carrier.tell(one, now)));
        assert_eq!((rounds.begin_again(), rounds.next_fence()), (true, 0));
    }
}
