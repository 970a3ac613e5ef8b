//! What one carrier is asked, in which order, and for how long.
//!
//! A machine without clock and socket: whoever drives it sends what it says, tells it what came back, and settles what
//! it has settled. Requests about one X go one at a time and in the order of their fences, so that none makes another
//! one stale that is still worth something: one for which a customer waits keeps its place while it rests. One that is
//! owed and rests lets others pass; it is told with a newer fence then. Those for which a customer waits go before those
//! that are owed, and have a deadline; the others are told until they are done, or until a newer one about their binding
//! takes their place.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::breaker::{Attempt, Breaker, BreakerState, Through};
use super::request::{Answer, Request};
use crate::binding::SubsId;
use crate::carrier::Carrier;
use crate::clock::Timestamp;
use crate::number::PhoneNumber;
use crate::ops::Settlement;

/// The most requests at once for which somebody waits.
pub const ASKED_MAX: usize = 4_096;
/// The most requests at once that are owed. What is more is told later.
pub const OWED_MAX: usize = 4_096;
/// After how many tries, and a last rest, an owed request makes room for others, until it is told again.
const TRIES_MAX: u32 = 7;
/// How long a request for which somebody waits rests after the first try, doubling with each, in milliseconds.
const ASKED_REST_MS: i64 = 100;
/// The same of one that is owed.
const OWED_REST_MS: i64 = 1_000;
/// The longest rest, in milliseconds.
const REST_MAX_MS: i64 = 60_000;

/// The settings of a carrier that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How many requests it may have at once.
    pub concurrency: usize,
    /// After how many failures in a row it is left alone.
    pub breaker_failures: u32,
    /// For how long, in milliseconds.
    pub breaker_open_ms: i64,
}

impl Settings {
    /// Those of a carrier.
    pub fn of(carrier: &Carrier) -> Self {
        Self {
            concurrency: usize::from(carrier.concurrency),
            breaker_failures: u32::from(carrier.breaker_failures),
            breaker_open_ms: i64::from(carrier.breaker_open_ms),
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send it; what comes of it is told by [`Provisioner::answered`], once.
    Send(Request),
    /// Settle it.
    Settle(Settled),
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// The binding.
    pub subs_id: SubsId,
    /// The fence of the request.
    pub fence: u64,
    /// What is known of it at the carrier.
    pub settlement: Settlement,
    /// Why: the last answer.
    pub answer: Answer,
}

/// A request was not taken: the carrier is left alone, or has too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotTaken;

#[derive(Debug)]
struct Item {
    request: Request,
    /// When nobody waits any more; none of one that is owed.
    deadline: Option<Timestamp>,
    place: Place,
    tries: u32,
    /// Whether the carrier may have carried it out without saying so.
    is_unsure: bool,
    /// Whether a newer one about its binding is known, so that it is not sent again.
    is_superseded: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the line of its X.
    InLine,
    /// Sent.
    UnderWay,
    /// Resting.
    Resting(Timestamp, AfterRest),
}

/// What becomes of a request when it has rested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AfterRest {
    /// It is sent again.
    Again,
    /// It is settled as stale: it needs a newer fence.
    Stale,
    /// It makes room for others.
    Forget,
}

/// The requests about one X that could be sent.
#[derive(Debug, Default)]
struct OfX {
    /// One is under way, whether or not somebody waits for it still, or rests and is waited for.
    is_busy: bool,
    /// By fence, and whether somebody waits for it.
    line: BTreeMap<u64, bool>,
    /// Where it stands among the others: whether nobody waits for any of them, and the fence of the first.
    listed: Option<(bool, u64)>,
}

/// The requests to one carrier.
#[derive(Debug)]
pub struct Provisioner {
    concurrency: usize,
    breaker: Breaker,
    /// By fence.
    items: BTreeMap<u64, Item>,
    asked: usize,
    /// The fences of the items about each binding.
    of_bindings: BTreeSet<(PhoneNumber, SubsId, u64)>,
    /// How often what is owed about a binding was tried when it was stale, so that rests grow though its fence is new.
    stale_tries: BTreeMap<(PhoneNumber, SubsId), u32>,
    by_x: BTreeMap<PhoneNumber, OfX>,
    /// The X numbers about which something can be sent, those first for which somebody waits.
    ready: BTreeSet<(bool, u64, PhoneNumber)>,
    /// When to look at an item again.
    times: BTreeSet<(Timestamp, u64)>,
    /// The requests that are under way, also those for which nobody waits any more: fence, X, and which try it is.
    under_way: BTreeMap<u64, (PhoneNumber, Attempt)>,
    outputs: VecDeque<Output>,
}

impl Provisioner {
    /// One that asks nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            concurrency: settings.concurrency,
            breaker: Breaker::new(settings.breaker_failures, settings.breaker_open_ms),
            items: BTreeMap::new(),
            asked: 0,
            of_bindings: BTreeSet::new(),
            stale_tries: BTreeMap::new(),
            by_x: BTreeMap::new(),
            ready: BTreeSet::new(),
            times: BTreeSet::new(),
            under_way: BTreeMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Other settings from now on; they show when time is told next.
    pub fn set(&mut self, settings: Settings) {
        self.concurrency = settings.concurrency;
        self.breaker
            .set(settings.breaker_failures, settings.breaker_open_ms);
    }

    /// Whether a request for which somebody would wait is not taken now.
    pub fn is_down(&self, now: Timestamp) -> bool {
        let is_open = match self.breaker.state() {
            BreakerState::Closed { .. } => false,
            BreakerState::Open { until } => until > now,
            BreakerState::HalfOpen { probing } => probing,
        };
        is_open || self.asked >= ASKED_MAX
    }

    /// Whether the carrier is asked at all.
    pub fn breaker(&self) -> BreakerState {
        self.breaker.state()
    }

    /// How many requests there are for which somebody waits.
    pub fn asked_len(&self) -> usize {
        self.asked
    }

    /// How many owed ones there are here.
    pub fn owed_len(&self) -> usize {
        self.items.len() - self.asked
    }

    /// How many are under way.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Asks the carrier, and settles it at the latest at the deadline.
    ///
    /// # Errors
    /// It is not taken, and the carrier will not learn of it; nor is what comes at its deadline or later.
    pub fn ask(
        &mut self,
        request: Request,
        deadline: Timestamp,
        now: Timestamp,
    ) -> Result<(), NotTaken> {
        self.advance(now);
        if self.is_known(request.fence) || self.is_superseded(&request) {
            return Err(NotTaken);
        }
        self.supersede(&request);
        if deadline <= now || self.is_down(now) {
            return Err(NotTaken);
        }
        self.asked += 1;
        self.times.insert((deadline, request.fence));
        self.put(request, Some(deadline), 0);
        self.send();
        Ok(())
    }

    /// Tells the carrier, until that is done. What is known already changes nothing, nor what is older than what is known
    /// of its binding.
    ///
    /// # Errors
    /// There is no room; it is to be told again later.
    pub fn tell(&mut self, request: Request, now: Timestamp) -> Result<(), NotTaken> {
        if self.is_known(request.fence) || self.is_superseded(&request) {
            return Ok(());
        }
        self.supersede(&request);
        if self.owed_len() >= OWED_MAX {
            return Err(NotTaken);
        }
        let stale = self.stale_tries.get(&(request.x, request.subs_id));
        let tries = stale.copied().unwrap_or(0);
        self.put(request, None, tries);
        self.advance(now);
        Ok(())
    }

    /// Nothing of what it was told matters any more: nobody waits longer, and nothing is sent again.
    pub fn withdraw(&mut self) {
        let all: Vec<u64> = self.items.keys().copied().collect();
        for fence in all {
            let Some(item) = self.items.get_mut(&fence) else {
                continue;
            };
            match (item.place, item.deadline) {
                (_, Some(_)) => self.give_up(fence),
                (Place::UnderWay, None) => item.is_superseded = true,
                (_, None) => self.forget(fence),
            }
        }
        self.stale_tries.clear();
    }

    /// What came of a request that was sent.
    pub fn answered(&mut self, fence: u64, answer: Answer, now: Timestamp) {
        let Some((x, attempt)) = self.under_way.remove(&fence) else {
            return;
        };
        self.breaker.answered(fence, answer, attempt, now);
        self.came_of(fence, x, answer, now);
        self.fail_fast();
        self.advance(now);
    }

    /// What becomes of a request that is not under way any more.
    fn came_of(&mut self, fence: u64, x: PhoneNumber, answer: Answer, now: Timestamp) {
        if let Some(item) = self.items.get_mut(&fence) {
            item.is_unsure |= matches!(answer, Answer::Unavailable | Answer::Unclear);
            let subs_id = item.request.subs_id;
            let next = match item.deadline {
                Some(deadline) => after_asked(item, answer, deadline, now),
                None => after_owed(item, answer, now),
            };
            // One for which somebody waits keeps its place.
            let frees = match next {
                Next::Rest(until, then) => {
                    item.place = Place::Resting(until, then);
                    self.times.insert((until, fence));
                    item.deadline.is_none()
                }
                Next::Settle(_) | Next::Forget => true,
            };
            let stale_tries = item.tries;
            match (item.deadline.is_some(), answer) {
                (false, Answer::Stale) => self.note_stale((x, subs_id), stale_tries),
                (false, Answer::Done) => {
                    self.stale_tries.remove(&(x, subs_id));
                }
                _ => {}
            }
            match next {
                Next::Settle(settlement) => self.settle(fence, settlement, answer),
                Next::Forget => self.forget(fence),
                Next::Rest(..) => {}
            }
            if frees {
                self.free(x);
            }
        } else {
            self.free(x);
        }
    }

    /// The carrier is somewhere else now: what is under way went elsewhere, and counts as not answered.
    pub fn moved(&mut self, now: Timestamp) {
        // Nothing is known of how it answers there.
        self.breaker.reset();
        for (fence, (x, _)) in std::mem::take(&mut self.under_way) {
            self.came_of(fence, x, Answer::Unavailable, now);
        }
        self.advance(now);
    }

    /// Time has come to `now`.
    pub fn advance(&mut self, now: Timestamp) {
        self.breaker.advance(now);
        while let Some(&(at, fence)) = self.times.first()
            && at <= now
        {
            self.times.pop_first();
            let Some(item) = self.items.get_mut(&fence) else {
                continue;
            };
            if item.deadline.is_some_and(|deadline| deadline <= now) {
                self.give_up(fence);
            } else if let Place::Resting(until, then) = item.place
                && until == at
            {
                self.wake(fence, then);
            }
        }
        self.send();
    }

    /// When time matters next.
    pub fn next_at(&self) -> Option<Timestamp> {
        let times = self.times.first().map(|&(at, _)| at);
        let opens = self.breaker.next_at();
        times.into_iter().chain(opens).min()
    }

    /// What is to be done, in order; none when it waits.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn is_known(&self, fence: u64) -> bool {
        self.items.contains_key(&fence) || self.under_way.contains_key(&fence)
    }

    /// Whether a newer one about the same binding is known.
    fn is_superseded(&self, request: &Request) -> bool {
        let (x, subs_id) = (request.x, request.subs_id);
        let newest = self
            .of_bindings
            .range((x, subs_id, 0)..=(x, subs_id, u64::MAX));
        (newest.last()).is_some_and(|&(_, _, newest)| newest > request.fence)
    }

    /// What is older about the binding is not worth sending any more, and could undo what is newer where that is lost
    /// or settled otherwise.
    fn supersede(&mut self, request: &Request) {
        let (x, subs_id) = (request.x, request.subs_id);
        let older = self
            .of_bindings
            .range((x, subs_id, 0)..(x, subs_id, request.fence));
        let older: Vec<u64> = older.map(|&(_, _, fence)| fence).collect();
        for fence in older {
            let Some(item) = self.items.get_mut(&fence) else {
                continue;
            };
            match (item.place, item.deadline) {
                (Place::UnderWay, _) => item.is_superseded = true,
                (_, Some(_)) => self.give_up(fence),
                (_, None) => self.forget(fence),
            }
        }
    }

    /// Sends as much as may be under way.
    fn send(&mut self) {
        while self.under_way.len() < self.concurrency {
            let Some((fence, x)) = self.next_to_send() else {
                return;
            };
            let Some(item) = self.items.get_mut(&fence) else {
                return;
            };
            item.place = Place::UnderWay;
            item.tries = item.tries.saturating_add(1);
            let attempt = match item.deadline {
                None => Attempt::Owed,
                Some(_) if item.tries == 1 => Attempt::First,
                Some(_) => Attempt::Again,
            };
            let request = item.request.clone();
            if let Some(of_x) = self.by_x.get_mut(&x) {
                of_x.line.remove(&fence);
                of_x.is_busy = true;
            }
            self.list(x);
            self.under_way.insert(fence, (x, attempt));
            self.breaker.sent(fence);
            self.outputs.push_back(Output::Send(request));
        }
    }

    fn next_to_send(&self) -> Option<(u64, PhoneNumber)> {
        let is_owed = |&&(is_owed, ..): &&(bool, u64, PhoneNumber)| is_owed;
        let first = || self.ready.first();
        let next = match self.breaker.lets_through() {
            Through::Nobody => None,
            Through::All => first(),
            Through::One => self.ready.last().filter(is_owed).or_else(first),
            // One that is owed may go before it on its X.
            Through::OneAwaited => self.ready.iter().take_while(|its| !its.0).find(|its| {
                let item = self.items.get(&its.1);
                item.is_some_and(|item| item.deadline.is_some())
            }),
        };
        next.map(|&(_, fence, x)| (fence, x))
    }

    /// It has rested.
    fn wake(&mut self, fence: u64, then: AfterRest) {
        match then {
            AfterRest::Again => {
                let Some(item) = self.items.get_mut(&fence) else {
                    return;
                };
                item.place = Place::InLine;
                let (x, is_asked) = (item.request.x, item.deadline.is_some());
                self.put_in_line(x, fence, is_asked);
                if is_asked {
                    self.free(x);
                }
            }
            AfterRest::Stale => self.settle(fence, Settlement::Stale, Answer::Stale),
            AfterRest::Forget => self.forget(fence),
        }
    }

    fn note_stale(&mut self, of: (PhoneNumber, SubsId), tries: u32) {
        self.stale_tries.insert(of, tries);
        if self.stale_tries.len() > OWED_MAX {
            self.stale_tries.pop_first();
        }
    }

    /// A carrier that is left alone keeps nobody waiting.
    fn fail_fast(&mut self) {
        if !matches!(self.breaker.state(), BreakerState::Open { .. }) || self.asked == 0 {
            return;
        }
        let waiting = self
            .items
            .iter()
            .filter(|(_, item)| item.deadline.is_some() && item.place != Place::UnderWay);
        let waiting: Vec<u64> = waiting.map(|(&fence, _)| fence).collect();
        waiting.into_iter().for_each(|fence| self.give_up(fence));
    }

    /// Nobody waits for it any more. While it is under way no other goes about its X.
    fn give_up(&mut self, fence: u64) {
        let Some(item) = self.items.get(&fence) else {
            return;
        };
        let settlement = match item.is_unsure || item.place == Place::UnderWay {
            true => Settlement::Unsure,
            // It never reached the carrier.
            false => Settlement::NotDone,
        };
        self.settle(fence, settlement, Answer::Unavailable);
    }

    fn settle(&mut self, fence: u64, settlement: Settlement, answer: Answer) {
        let Some(item) = self.items.get(&fence) else {
            return;
        };
        self.outputs.push_back(Output::Settle(Settled {
            subs_id: item.request.subs_id,
            fence,
            settlement,
            answer,
        }));
        self.forget(fence);
    }

    fn forget(&mut self, fence: u64) {
        let Some(item) = self.items.remove(&fence) else {
            return;
        };
        let x = item.request.x;
        self.of_bindings.remove(&(x, item.request.subs_id, fence));
        if let Some(deadline) = item.deadline {
            self.asked -= 1;
            self.times.remove(&(deadline, fence));
        }
        match item.place {
            Place::Resting(until, _) => {
                self.times.remove(&(until, fence));
                if item.deadline.is_some() {
                    self.free(x);
                }
            }
            Place::InLine => {
                if let Some(of_x) = self.by_x.get_mut(&x) {
                    of_x.line.remove(&fence);
                }
                self.list(x);
            }
            Place::UnderWay => {}
        }
    }

    fn put(&mut self, request: Request, deadline: Option<Timestamp>, tries: u32) {
        let (fence, x) = (request.fence, request.x);
        self.of_bindings.insert((x, request.subs_id, fence));
        let item = Item {
            request,
            deadline,
            place: Place::InLine,
            tries,
            is_unsure: false,
            is_superseded: false,
        };
        self.items.insert(fence, item);
        self.put_in_line(x, fence, deadline.is_some());
    }

    fn put_in_line(&mut self, x: PhoneNumber, fence: u64, is_asked: bool) {
        let of_x = self.by_x.entry(x).or_default();
        of_x.line.insert(fence, is_asked);
        self.list(x);
    }

    /// Nothing about X is under way any more that counts.
    fn free(&mut self, x: PhoneNumber) {
        if let Some(of_x) = self.by_x.get_mut(&x) {
            of_x.is_busy = false;
        }
        self.list(x);
    }

    /// Puts X to its place among those about which something can be sent.
    fn list(&mut self, x: PhoneNumber) {
        let Some(of_x) = self.by_x.get_mut(&x) else {
            return;
        };
        if let Some((is_owed, fence)) = of_x.listed.take() {
            self.ready.remove(&(is_owed, fence, x));
        }
        let first = of_x.line.keys().next().copied();
        match first.filter(|_| !of_x.is_busy) {
            Some(fence) => {
                let is_owed = !of_x.line.values().any(|&is_asked| is_asked);
                of_x.listed = Some((is_owed, fence));
                self.ready.insert((is_owed, fence, x));
            }
            None if of_x.line.is_empty() && !of_x.is_busy => {
                self.by_x.remove(&x);
            }
            None => {}
        }
    }
}

/// What becomes of a request after an answer.
#[derive(Debug, Clone, Copy)]
enum Next {
    Settle(Settlement),
    Rest(Timestamp, AfterRest),
    Forget,
}

fn rest(first_ms: i64, tries: u32) -> i64 {
    let doubled = 1_i64 << tries.saturating_sub(1).min(16);
    first_ms.saturating_mul(doubled).min(REST_MAX_MS)
}

fn after_asked(item: &Item, answer: Answer, deadline: Timestamp, now: Timestamp) -> Next {
    // What is not done now may have been done by a try before that was not answered.
    let not_done = match item.is_unsure {
        true => Settlement::Unsure,
        false => Settlement::NotDone,
    };
    match answer {
        Answer::Done => Next::Settle(Settlement::Done),
        Answer::Refused | Answer::Stale => Next::Settle(not_done),
        Answer::Unclear => Next::Settle(Settlement::Unsure),
        Answer::Unavailable | Answer::NotSent => {
            let until = now.plus_millis(rest(ASKED_REST_MS, item.tries));
            match until < deadline && !item.is_superseded {
                true => Next::Rest(until, AfterRest::Again),
                false => Next::Settle(not_done),
            }
        }
    }
}

fn after_owed(item: &Item, answer: Answer, now: Timestamp) -> Next {
    let until = now.plus_millis(rest(OWED_REST_MS, item.tries));
    match answer {
        Answer::Done => Next::Settle(Settlement::Done),
        _ if item.is_superseded => Next::Forget,
        // A carrier may say so whatever the fence is, and each newer one is written down.
        Answer::Stale => Next::Rest(until, AfterRest::Stale),
        _ if item.tries >= TRIES_MAX => Next::Rest(until, AfterRest::Forget),
        _ => Next::Rest(until, AfterRest::Again),
    }
}

#[cfg(test)]
mod tests;
