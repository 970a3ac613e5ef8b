//! What a simulated carrier holds, by the rule of fences of the carrier protocol (`docs/carrier-protocol.md`).

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use maskline_domain::provisioning::{Answer, HeldThere, Operation, Request, Terms};
use maskline_domain::{PhoneNumber, SubsId};

/// Bindings by X, and of each X the newest request.
#[derive(Debug, Clone, Default)]
pub struct Book {
    pub held: BTreeMap<(PhoneNumber, SubsId), Holding>,
    /// Kept after an unbind too.
    newest: BTreeMap<PhoneNumber, Newest>,
}

/// One binding that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    pub revision: u32,
    pub fence: u64,
    pub terms: Terms,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Newest {
    fence: u64,
    key: (SubsId, u32),
    is_done: bool,
}

impl Book {
    /// Carries a request out, or refuses it. What was done already is done; what was refused is looked at again.
    pub fn carry_out(&mut self, request: &Request, refuses: bool) -> Answer {
        let key = (request.subs_id, request.revision);
        let newest = self.newest.get(&request.x);
        match newest.map(|newest| (newest.fence.cmp(&request.fence), newest)) {
            Some((Ordering::Greater, _)) => return Answer::Stale,
            Some((Ordering::Equal, newest)) if newest.key != key => return Answer::Refused,
            Some((Ordering::Equal, newest)) if newest.is_done => return Answer::Done,
            _ => {}
        }
        let answer = match refuses {
            true => Answer::Refused,
            false => Answer::Done,
        };
        let newest = Newest {
            fence: request.fence,
            key,
            is_done: !refuses,
        };
        self.newest.insert(request.x, newest);
        if !refuses {
            self.hold(request);
        }
        answer
    }

    fn hold(&mut self, request: &Request) {
        let place = (request.x, request.subs_id);
        match &request.operation {
            Operation::Bind(terms) | Operation::Update(terms) => {
                let holding = Holding {
                    revision: request.revision,
                    fence: request.fence,
                    terms: terms.clone(),
                };
                self.held.insert(place, holding);
            }
            Operation::Unbind => {
                self.held.remove(&place);
            }
        }
    }

    /// So many of what is held, behind a place, and the place of the last if there are more.
    pub fn page(
        &self,
        after: Option<(PhoneNumber, SubsId)>,
        limit: usize,
    ) -> (Vec<HeldThere>, Option<(PhoneNumber, SubsId)>) {
        let behind = |place: &(PhoneNumber, SubsId)| after.is_none_or(|after| *place > after);
        let mut left = self.held.iter().filter(|(place, _)| behind(place));
        let shown: Vec<HeldThere> = left
            .by_ref()
            .take(limit)
            .map(|(&(x, subs_id), holding)| HeldThere {
                x,
                subs_id,
                revision: holding.revision,
                fence: holding.fence,
            })
            .collect();
        let last = shown.last().map(|last| (last.x, last.subs_id));
        (shown, last.filter(|_| left.next().is_some()))
    }

    /// Forgets some of what it holds, but no fence.
    pub fn lose(&mut self, lost: &BTreeSet<(PhoneNumber, SubsId)>) {
        self.held.retain(|place, _| !lost.contains(place));
    }
}
