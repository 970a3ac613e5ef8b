//! The second leg, with trunk failover: one trunk after the other until one takes the call, then ringing until an
//! answer.

use super::changes::Changes;
use super::ending::is_trunk_failure;
use super::forecast::rung;
use super::progress::Heard;
use super::talking::Talking;
use super::{
    Action, Call, CallerMedia, Ending, Input, MediaAccess, Moment, Plan, Reason, Releaser, Side,
    State, TRUNK_TRYING_WAIT_S, TRUNK_WAIT_S, passed_on,
};
use crate::tone::ToneCode;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Dialling {
    /// The trunk by which it is dialled, in the order of the candidates.
    trunk: usize,
    /// Whether the callee's side has shown itself: from then on its word counts and no other trunk is
    /// tried, or the callee would be rung twice.
    is_reached: bool,
    /// Whether it has said that it tries (100): its other places lead to the same callee, who may be rung
    /// already. They are for a place that says nothing, or 503 (RFC 3263 section 4.3).
    is_trying: bool,
    /// What the caller hears.
    heard: Heard,
    /// Offers before the answer. Nobody is told then of what has changed: the answer may change it again.
    changes: Changes,
    /// When it was dialled, on the clock that never jumps.
    began_ms: u64,
    /// When ringing has been long enough, on the clock that never jumps.
    ring_end_ms: u64,
}

impl Call {
    pub(super) fn dial(&mut self, plan: Plan, trunk: usize, now: Moment) -> Vec<Action> {
        self.milestones.dialled.get_or_insert(now.wall);
        let ring_end_ms = now
            .tick_ms
            .saturating_add(u64::from(plan.ring_timeout_s) * 1_000);
        self.state = State::Dialling(
            plan,
            Dialling {
                trunk,
                began_ms: now.tick_ms,
                ring_end_ms,
                ..Dialling::default()
            },
        );
        let patience_ms = now.tick_ms.saturating_add(TRUNK_WAIT_S * 1_000);
        self.deadline_ms = Some(match trunk + 1 < plan.trunks {
            true => ring_end_ms.min(patience_ms),
            false => ring_end_ms,
        });
        // A further place is tried only where the call was not taken at the one before.
        let silent = trunk.checked_sub(1).filter(|_| plan.is_further(trunk));
        let silent = silent.map(Action::PlaceSilent);
        silent
            .into_iter()
            .chain([self.dial_callee(plan, trunk)])
            .collect()
    }

    fn dial_callee(&self, plan: Plan, trunk: usize) -> Action {
        Action::DialCallee {
            callee: plan.callee,
            trunk,
            toned: self.early_tone().is_some(),
        }
    }

    /// The ring tone that the caller is to hear while the callee rings.
    fn early_tone(&self) -> Option<ToneCode> {
        rung(self.tone, self.terms.prompts)
    }

    pub(super) fn on_dialling(&mut self, input: Input, now: Moment) -> Vec<Action> {
        let State::Dialling(plan, dialling) = &mut self.state else {
            return Vec::new();
        };
        let (plan, was) = (*plan, *dialling);
        let left_for = |is_trying: bool| {
            let next = plan.next(was.trunk, !is_trying);
            next.filter(|_| !was.is_reached)
        };
        match input {
            // Its offer comes with the answer.
            Input::OfferWanted(side) => return vec![Action::RefuseOffer(side, 491)],
            _ => {
                if let Some(actions) = dialling.changes.take(&input) {
                    return actions;
                }
            }
        }
        match input {
            Input::TrunkTrying => {
                dialling.is_trying = true;
                self.deadline_ms = Some(match left_for(true) {
                    Some(_) => {
                        let patience_ms = was.began_ms.saturating_add(TRUNK_TRYING_WAIT_S * 1_000);
                        was.ring_end_ms.min(patience_ms)
                    }
                    None => was.ring_end_ms,
                });
                Vec::new()
            }
            // The end of an early dialog (RFC 6228): others may still ring.
            Input::CalleeProgress { status: 199, .. } => Vec::new(),
            Input::CalleeProgress {
                status,
                early_media,
                caller,
            } => self.progress(status, early_media, caller, now),
            Input::CalleeHeard => self.progress(183, true, CallerMedia::default(), now),
            Input::CalleeAnswered(access) => self.answered(plan, was, access, now),
            // It does not speak the one codec that was left for the tone. It is offered all that there are,
            // in the same time, and nobody hears a tone.
            Input::CalleeRefused {
                status: 488 | 606,
                narrowed: true,
                ..
            } if !was.is_reached => {
                self.tone = None;
                vec![self.dial_callee(plan, was.trunk)]
            }
            Input::CalleeRefused {
                status,
                cause,
                silent,
                narrowed: _,
            } => self.refused(plan, was, (status, cause, silent), now),
            // A trunk that is full is as good as one that refuses, and says nothing of the callee.
            Input::TrunkFull => self.refused(plan, was, (503, None, true), now),
            Input::Gone(Side::Callee, _) => {
                let ending = Ending::of(Reason::Failed);
                self.fail_without_callee(ending, Releaser::Callee, was, now)
            }
            Input::Gone(Side::Caller, cause) => {
                let mut actions = vec![Action::HangUp(Side::Callee, passed_on(cause))];
                actions.extend(self.close(Ending::of(Reason::CallerGaveUp), Releaser::Caller, now));
                actions
            }
            Input::Timeout
                if let Some(next) = left_for(was.is_trying)
                    && now.tick_ms < was.ring_end_ms =>
            {
                let mut actions = vec![Action::HangUp(
                    Side::Callee,
                    Ending::of(Reason::Unreachable).q850,
                )];
                actions.extend(self.dial(plan, next, now));
                actions
            }
            Input::Timeout => self.give_up(Reason::NoAnswer, was, now),
            Input::MediaRefused(fault) => self.give_up(fault.into(), was, now),
            Input::Stopping => self.give_up(Reason::Overload, was, now),
            _ => Vec::new(),
        }
    }

    /// The callee's side has shown itself.
    fn progress(
        &mut self,
        status: u16,
        early_media: bool,
        caller: CallerMedia,
        now: Moment,
    ) -> Vec<Action> {
        let tone = self.early_tone();
        let State::Dialling(_, dialling) = &mut self.state else {
            return Vec::new();
        };
        dialling.is_reached = true;
        self.milestones.ringing.get_or_insert(now.wall);
        self.deadline_ms = Some(dialling.ring_end_ms);
        dialling
            .heard
            .on_progress(status, early_media, caller, tone)
    }

    fn answered(
        &mut self,
        plan: Plan,
        was: Dialling,
        access: MediaAccess,
        now: Moment,
    ) -> Vec<Action> {
        self.milestones.answered = Some(now.wall);
        self.wait_for(u64::from(self.terms.duration_max_s), now);
        let mut changes = was.changes;
        let told = changes.tell();
        self.state = State::Talking(Talking {
            changes,
            records_later: plan.record && access == MediaAccess::Awaited,
        });
        let stop = was.heard.tone_plays.then_some(Action::StopRinging);
        let mut actions: Vec<Action> = stop.into_iter().collect();
        actions.push(Action::AnswerCaller);
        // What we do not understand we cannot record, nor speak into.
        if plan.record && access == MediaAccess::Ready {
            actions.extend(self.record());
        }
        actions.extend(told);
        actions
    }

    /// Another trunk is tried, or the caller hears why it was refused.
    fn refused(
        &mut self,
        plan: Plan,
        was: Dialling,
        (status, cause, silent): (u16, Option<u8>, bool),
        now: Moment,
    ) -> Vec<Action> {
        // Who says no at one place says no at the others.
        let next = plan.next(was.trunk, silent && !was.is_trying || status == 503);
        if let Some(next) = next
            && !was.is_reached
            && is_trunk_failure(status, cause)
        {
            return self.dial(plan, next, now);
        }
        let by = match silent {
            true => Releaser::Platform,
            false => Releaser::Callee,
        };
        self.fail_without_callee(Ending::of_callee(status, cause), by, was, now)
    }

    /// The callee's leg is over: the caller hears why.
    fn fail_without_callee(
        &mut self,
        ending: Ending,
        by: Releaser,
        was: Dialling,
        now: Moment,
    ) -> Vec<Action> {
        let announcing = self.announce(ending, by, was.heard, now);
        let refused = was.changes.without_callee();
        refused.into_iter().chain(announcing).collect()
    }

    /// We end it while the callee's leg still lives.
    fn give_up(&mut self, reason: Reason, was: Dialling, now: Moment) -> Vec<Action> {
        let ending = Ending::of(reason);
        let mut actions = vec![Action::HangUp(Side::Callee, ending.q850)];
        actions.extend(self.fail_without_callee(ending, Releaser::Platform, was, now));
        actions
    }
}
