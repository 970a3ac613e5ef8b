//! Reconciliation: what a carrier holds is compared with what is bound, page by page.
//!
//! What it holds though it is none of ours is looked at twice before it is to let that go; what it lacks it is told
//! again, if that is as it was when the comparison began. That all was compared is noted only when all of that is done.

use std::collections::BTreeSet;

use maskline_domain::Timestamp;
use maskline_domain::binding::{Phase, SubsId};
use maskline_domain::ops::{RenewProvision, Settlement};
use maskline_domain::provisioning::{HeldThere, Operation, Request, Settled};

use super::wire::Place;
use super::{Carriers, Given, Side};
use crate::faults::Fault;
use crate::laws::Held;
use crate::model::Model;
use crate::world::World;

/// How often a page is asked for that does not come.
const TRIES_MAX: u32 = 4;
/// How long a carrier may take to let go what is none of ours, in milliseconds.
const RELEASED_WITHIN_MS: i64 = 60_000;

/// A comparison that is under way.
pub(super) struct Comparing {
    number: u64,
    began_at: i64,
    epoch: u32,
    /// What had come by the beginning.
    fence: u64,
    held: BTreeSet<(SubsId, u64)>,
    /// Ours at the beginning, for the fault that looks but once.
    ours: BTreeSet<SubsId>,
    after: Option<Place>,
    /// The page that is asked for, by its number.
    asked: Option<u64>,
    tries: u32,
    page: Option<(Vec<HeldThere>, Option<Place>)>,
    /// What was none of ours at the first look.
    strangers: Option<Vec<HeldThere>>,
    is_read: bool,
    /// Commands that are being decided.
    mending: usize,
    /// Fences by which what is none of ours is let go.
    releasing: BTreeSet<u64>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Theirs,
    Ours,
    Noting,
    Failed,
}

impl Side {
    /// A page has come, or does not.
    pub(super) fn page_came(&mut self, number: u64, page: Option<(Vec<HeldThere>, Option<Place>)>) {
        if let Some(comparing) = &mut self.comparing
            && comparing.asked == Some(number)
        {
            comparing.asked = None;
            match page {
                Some(page) => comparing.page = Some(page),
                None if comparing.tries < TRIES_MAX => {}
                None => comparing.stage = Stage::Failed,
            }
        }
    }
}

impl Carriers {
    /// Begins to compare, unless that is under way.
    pub(super) fn begin_to_compare(&mut self, at: usize, durable: &Model) {
        let now = self.ms;
        let side = &mut self.sides[at];
        if side.comparing.is_some() || !durable.carriers.contains_key(&side.name) {
            return;
        }
        self.comparisons += 1;
        side.comparing = Some(Comparing {
            number: self.comparisons,
            began_at: now,
            epoch: durable.epoch,
            fence: durable.next_id(durable.now),
            held: BTreeSet::new(),
            ours: durable.bindings_of(&side.name).map(|b| b.subs_id).collect(),
            after: None,
            asked: None,
            tries: 0,
            page: None,
            strangers: None,
            is_read: false,
            mending: 0,
            releasing: BTreeSet::new(),
            stage: Stage::Theirs,
        });
    }

    /// Goes on with a comparison as far as it can.
    pub(super) fn compare_on(&mut self, at: usize, durable: &Model, fault: Option<Fault>) {
        let now = self.ms;
        let side = &mut self.sides[at];
        let Some(mut comparing) = side.comparing.take() else {
            return;
        };
        let is_stranger = |held: &&HeldThere| !durable.is_provisioned(held.subs_id, held.x);
        let one_look = fault == Some(Fault::OrphanReleasedAfterOneLook);
        let mut due = Vec::new();
        if let Some((page, next)) = comparing.page.take() {
            comparing.tries = 0;
            (comparing.held).extend(page.iter().map(|held| (held.subs_id, held.fence)));
            let strangers: Vec<HeldThere> = match one_look {
                true => (page.iter().filter(|h| !comparing.ours.contains(&h.subs_id)))
                    .copied()
                    .collect(),
                false => page.iter().filter(is_stranger).copied().collect(),
            };
            let again = comparing.strangers.take();
            if again.is_none() && !strangers.is_empty() && !one_look {
                // They may have ended while the page was on its way.
                comparing.strangers = Some(strangers);
            } else {
                let was_there = |held: &HeldThere| {
                    one_look
                        || again.as_ref().is_some_and(|again| {
                            again
                                .iter()
                                .any(|b| (b.x, b.subs_id) == (held.x, held.subs_id))
                        })
                };
                let fence = comparing.fence;
                let orphans = strangers.into_iter().filter(was_there);
                let orphans = orphans.filter(|held| one_look || held.fence < fence);
                due.extend(orphans.map(|held| Given::Orphan(at, comparing.number, held)));
                comparing.after = next;
                comparing.is_read = next.is_none();
            }
        }
        comparing.mending += due.len();
        if comparing.stage == Stage::Theirs && comparing.asked.is_none() {
            if comparing.is_read {
                comparing.stage = Stage::Ours;
                let lacking = missing(durable, side, &comparing);
                comparing.mending += lacking.len();
                let renewed = lacking.into_iter();
                due.extend(renewed.map(|renew| Given::Renew(at, comparing.number, renew)));
            } else {
                comparing.tries += 1;
                comparing.asked = Some(side.query(comparing.after, &mut self.chance, now));
            }
        }
        let is_mended = comparing.mending == 0 && comparing.releasing.is_empty();
        if comparing.stage == Stage::Ours && is_mended {
            comparing.stage = Stage::Noting;
            due.push(Given::Reconciled(at, comparing.epoch));
        }
        let is_late = now > comparing.began_at + RELEASED_WITHIN_MS;
        let has_failed = comparing.stage == Stage::Failed || (is_late && !is_mended);
        self.sides[at].comparing = (!has_failed).then_some(comparing);
        self.due.extend(due);
    }

    /// A command of a comparison is decided.
    pub(super) fn mended(&mut self, at: usize, number: u64) {
        if let Some(comparing) = &mut self.sides[at].comparing
            && comparing.number == number
        {
            comparing.mending = comparing.mending.saturating_sub(1);
        }
    }

    /// A fence was drawn by which a carrier lets go what is none of ours.
    pub(super) fn let_orphan_go(&mut self, at: usize, number: u64, held: HeldThere, fence: u64) {
        self.mended(at, number);
        let side = &mut self.sides[at];
        if let Some(comparing) = &mut side.comparing
            && comparing.number == number
        {
            comparing.releasing.insert(fence);
        }
        let request = Request {
            subs_id: held.subs_id,
            revision: held.revision + 1,
            fence,
            x: held.x,
            operation: Operation::Unbind,
        };
        // There is room for all that this world can owe.
        let _ = side.provisioner.tell(request, Timestamp(self.ms));
    }

    /// Whether what was settled is that a carrier lets go what is none of ours.
    pub(super) fn released_orphan(&mut self, at: usize, settled: Settled) -> bool {
        let Some(comparing) = &mut self.sides[at].comparing else {
            return false;
        };
        if !comparing.releasing.contains(&settled.fence) {
            return false;
        }
        match settled.settlement {
            Settlement::Done => {
                comparing.releasing.remove(&settled.fence);
            }
            // The next comparison will find it.
            _ => comparing.stage = Stage::Failed,
        }
        true
    }
}

/// What is confirmed here since before the beginning and not held there by the same request.
fn missing(durable: &Model, side: &Side, comparing: &Comparing) -> Vec<RenewProvision> {
    let ours = durable.bindings_of(&side.name);
    let ours = ours.filter_map(|binding| Some((binding.subs_id, binding.provision.as_deref()?)));
    ours.filter(|(_, its)| its.phase == Phase::Confirmed && its.fence < comparing.fence)
        .filter(|(id, its)| {
            let by = its.held.unwrap_or(its.fence);
            !comparing.held.contains(&(*id, by))
        })
        .map(|(subs_id, its)| RenewProvision {
            subs_id,
            fence: its.fence,
        })
        .collect()
}

impl World {
    /// It is noted that all was compared.
    pub(super) fn compared(&mut self, at: usize) -> Held {
        let Some(carriers) = &mut self.carriers else {
            return Ok(());
        };
        self.tally.reconciled += 1;
        let Some(comparing) = carriers.sides[at].comparing.take() else {
            return Ok(());
        };
        let side = &carriers.sides[at];
        let is_newer = |lost: i64| comparing.began_at > lost && !side.has_old_requests(lost);
        // What is being decided may detach bindings from it.
        let mut given = carriers.given.values();
        let is_forgotten = given.any(|given| matches!(given, Given::Forget(its, _) if *its == at));
        if side.lost_at.is_some_and(is_newer) && !is_forgotten && self.agrees(at).is_ok() {
            // From here on they must agree.
            if let Some(carriers) = &mut self.carriers {
                carriers.sides[at].lost_at = None;
            }
        }
        Ok(())
    }
}
