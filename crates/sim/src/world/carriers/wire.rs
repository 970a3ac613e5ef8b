//! The network between us and the carriers, and how they answer.

use maskline_domain::binding::SubsId;
use maskline_domain::ops::Settlement;
use maskline_domain::provisioning::{Answer, HeldThere, Output, Request, Settled};
use maskline_domain::{PhoneNumber, Timestamp};

use super::{Carriers, Side};
use crate::chance::Chance;
use crate::faults::Fault;

/// How long a request may take, in milliseconds.
const TIMEOUT_MS: i64 = 2_000;
/// How much longer everything takes with a slow carrier.
const SLOW_MS: i64 = 4_000;
/// How many bindings a page has.
const PAGE: usize = 3;

/// The place of a binding in pages.
pub(super) type Place = (PhoneNumber, SubsId);

/// Something that is on its way, or a time-out.
#[derive(Debug, Clone)]
pub(super) struct Message {
    at: i64,
    sent_at: i64,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    /// A request comes to the carrier; whether its answer goes to somebody.
    Request(Request, Option<Try>),
    /// An answer to a try comes back to us.
    Answer(Try, Answer),
    Query(u64, Option<Place>),
    Page(u64, Vec<HeldThere>, Option<Place>),
    QueryTimeOut(u64),
}

/// One try of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Try {
    number: u64,
    fence: u64,
    subs_id: SubsId,
}

/// How a carrier answers a request that it has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Well,
    Refuses,
    /// It has done it and says nothing that is understood; or has not.
    Nonsense(bool),
    /// It says that there is trouble.
    Trouble(bool),
    /// It has done it, and dies.
    Dies,
}

impl Carriers {
    /// Lets all that happens until now happen in its order. Gives back who was told too late that a request is done.
    pub fn let_time_pass(&mut self, fault: Option<Fault>) -> Vec<SubsId> {
        let mut late = Vec::new();
        for at in 0..self.sides.len() {
            let now = self.ms;
            let side = &mut self.sides[at];
            let mut settled = Vec::new();
            loop {
                side.poll(&mut self.chance, now, fault, &mut settled);
                let message = side.messages.iter().map(|message| message.at).min();
                let timer = side.provisioner.next_at().map(|at| at.0);
                let Some(next) = message.into_iter().chain(timer).min().filter(|&t| t <= now)
                else {
                    break;
                };
                let place = (side.messages.iter()).position(|message| message.at <= next);
                match place {
                    Some(place) => {
                        let message = side.messages.remove(place);
                        let missed = side.deliver(message, next, &mut self.chance);
                        late.extend(missed);
                    }
                    None => side.provisioner.advance(Timestamp(next)),
                }
            }
            side.provisioner.advance(Timestamp(now));
            side.poll(&mut self.chance, now, fault, &mut settled);
            for settled in settled {
                match self.released_orphan(at, settled) {
                    true => {}
                    false => self.settle(settled),
                }
            }
        }
        match fault {
            Some(Fault::LateAnswerConfirms) => late,
            _ => Vec::new(),
        }
    }
}

impl Side {
    /// Carries out what the machine wants.
    fn poll(
        &mut self,
        chance: &mut Chance,
        now: i64,
        fault: Option<Fault>,
        settled: &mut Vec<Settled>,
    ) {
        while let Some(output) = self.provisioner.poll() {
            match output {
                Output::Send(request) => self.send(request, chance, now, fault),
                Output::Settle(one) => settled.push(Settled {
                    settlement: match one.settlement {
                        Settlement::Unsure if fault == Some(Fault::ReleasedBeforeAnswer) => {
                            Settlement::NotDone
                        }
                        Settlement::Unsure
                            if fault == Some(Fault::SilenceTakenForDone)
                                && one.answer == Answer::Unavailable =>
                        {
                            Settlement::Done
                        }
                        settlement => settlement,
                    },
                    ..one
                }),
            }
        }
    }

    fn post(&mut self, at: i64, sent_at: i64, what: What) {
        self.messages.push(Message { at, sent_at, what });
    }

    fn send(&mut self, mut request: Request, chance: &mut Chance, now: i64, fault: Option<Fault>) {
        self.next_try += 1;
        let one = Try {
            number: self.next_try,
            fence: request.fence,
            subs_id: request.subs_id,
        };
        self.tries.insert(request.fence, one.number);
        let sent = self.sent.entry(request.fence).or_default();
        *sent += 1;
        if *sent > 1 && fault == Some(Fault::RetryWithNewKey) {
            request.fence += 1;
            request.revision += 1;
        }
        self.post(
            now + TIMEOUT_MS,
            now,
            What::Answer(one, Answer::Unavailable),
        );
        if self.down_until > now {
            // There is nobody to connect to, or nothing comes back.
            if chance.one_in(2) {
                self.post(now + 1, now, What::Answer(one, Answer::NotSent));
            }
            return;
        }
        let slow_ms = match self.slow_until > now {
            true => SLOW_MS,
            false => 0,
        };
        let is_faultless = self.is_faultless(now);
        let arrives_ms = match chance.below(40) {
            _ if is_faultless => 5,
            0 => return,
            1 | 2 => chance.between(1_500, 6_000),
            3 => chance.between(6_000, 120_000),
            _ => chance.between(1, 60),
        };
        let arrives_at = now + arrives_ms + slow_ms;
        if !is_faultless && chance.one_in(15) {
            // Somebody on the way hears nothing, and sends it once more.
            let unheard = What::Request(request.clone(), None);
            self.post(arrives_at, now, unheard);
            let again_at = arrives_at + chance.between(1, 30_000);
            self.post(again_at, now, What::Request(request, Some(one)));
        } else {
            self.post(arrives_at, now, What::Request(request, Some(one)));
        }
    }

    /// Nothing goes wrong any more, as far as it is up to chance.
    fn is_faultless(&self, now: i64) -> bool {
        self.down_until < 0 && self.slow_until <= now
    }

    /// Something comes to where it goes. Gives back whose answer came too late to be heard, though it is done.
    fn deliver(&mut self, message: Message, now: i64, chance: &mut Chance) -> Option<SubsId> {
        match message.what {
            What::Request(request, one) => {
                self.got(&request, one, now, chance);
                None
            }
            What::Answer(one, answer) => {
                if self.tries.get(&one.fence) != Some(&one.number) {
                    return (answer == Answer::Done).then_some(one.subs_id);
                }
                self.tries.remove(&one.fence);
                self.provisioner.answered(one.fence, answer, Timestamp(now));
                None
            }
            What::Query(number, after) => {
                if self.down_until > now {
                    return None;
                }
                let (page, next) = self.book.page(after, PAGE);
                let takes_ms = match chance.below(20) {
                    _ if self.is_faultless(now) => 5,
                    0 => TIMEOUT_MS + 1,
                    _ => chance.between(1, 400),
                };
                self.post(now + takes_ms, now, What::Page(number, page, next));
                None
            }
            What::Page(number, page, next) => {
                self.page_came(number, Some((page, next)));
                None
            }
            What::QueryTimeOut(number) => {
                self.page_came(number, None);
                None
            }
        }
    }

    /// A request has come to the carrier.
    fn got(&mut self, request: &Request, one: Option<Try>, now: i64, chance: &mut Chance) {
        if self.down_until > now {
            return;
        }
        let manner = match chance.weighed(&[170, 12, 4, 3, 3, 3, 3]) {
            _ if self.is_faultless(now) => Manner::Well,
            0 => Manner::Well,
            1 => Manner::Refuses,
            2 => Manner::Nonsense(true),
            3 => Manner::Nonsense(false),
            4 => Manner::Trouble(true),
            5 => Manner::Trouble(false),
            _ => Manner::Dies,
        };
        let answer = match manner {
            Manner::Nonsense(false) => Answer::Unclear,
            Manner::Trouble(false) => Answer::Unavailable,
            _ => {
                let answer = self.book.carry_out(request, manner == Manner::Refuses);
                if answer == Answer::Done {
                    self.done.insert(request.fence);
                }
                match manner {
                    Manner::Nonsense(_) => Answer::Unclear,
                    Manner::Trouble(_) => Answer::Unavailable,
                    _ => answer,
                }
            }
        };
        if manner == Manner::Dies {
            self.down_until = now + chance.between(100, 5_000);
            return;
        }
        let Some(one) = one else {
            return;
        };
        let takes_ms = match chance.below(30) {
            _ if self.is_faultless(now) => 5,
            0 => return,
            1 => chance.between(1_500, 9_000),
            _ => chance.between(1, 80),
        };
        self.post(now + takes_ms, now, What::Answer(one, answer));
        if !self.is_faultless(now) && chance.one_in(15) {
            // It answers twice.
            let again_ms = takes_ms + chance.between(1, 3_000);
            self.post(now + again_ms, now, What::Answer(one, answer));
        }
    }

    /// Asks for a page; what comes of it comes by this number.
    pub(super) fn query(&mut self, after: Option<Place>, chance: &mut Chance, now: i64) -> u64 {
        self.next_try += 1;
        let number = self.next_try;
        self.post(now + TIMEOUT_MS, now, What::QueryTimeOut(number));
        if self.is_faultless(now) || !chance.one_in(25) {
            let ms = chance.between(1, 300);
            self.post(now + ms, now, What::Query(number, after));
        }
        number
    }

    /// Whether a request is still on its way that was sent before or at a moment.
    pub(super) fn has_old_requests(&self, sent_at: i64) -> bool {
        self.messages
            .iter()
            .any(|message| matches!(message.what, What::Request(..)) && message.sent_at <= sent_at)
    }

    /// Whether a request or a page is on its way.
    pub(super) fn has_messages(&self) -> bool {
        let counts = |message: &&Message| {
            matches!(
                message.what,
                What::Request(..) | What::Query(..) | What::Page(..)
            )
        };
        self.messages.iter().any(|message| counts(&message)) || !self.tries.is_empty()
    }

    /// When something happens next.
    pub(super) fn next_at(&self) -> Option<i64> {
        let messages = self.messages.iter().map(|message| message.at);
        let timer = self.provisioner.next_at().map(|at| at.0);
        messages.chain(timer).min()
    }
}
