//! The second leg: dialled by one trunk after the other until one takes the call, then ringing until an answer.

use super::forecast::rung;
use super::hold::Changes;
use super::progress::Heard;
use super::talking::Talking;
use super::trunk_failover::{Attempt, TrunkRefusal};
use super::{
    Action, Call, CallerMedia, Ending, Input, MediaAccess, Milestone, Moment, Plan, Reached,
    Reason, Releaser, Side, State, passed_on,
};
use crate::tone::ToneCode;

#[derive(Clone, Copy, Debug)]
pub(super) struct Dialling {
    attempt: Attempt,
    /// What the caller hears.
    heard: Heard,
    /// Offers before the answer. Nobody is told then of what has changed: the answer may change it again.
    changes: Changes,
}

impl Call {
    pub(super) fn dial(&mut self, plan: Plan, trunk: usize, now: Moment) -> Vec<Action> {
        self.milestones.dialled.get_or_insert(now.wall);
        let attempt = Attempt::new(plan, trunk, now);
        let dialling = Dialling {
            attempt,
            heard: Heard::default(),
            changes: Changes::default(),
        };
        self.state = State::Dialling(plan, dialling);
        self.deadline_ms = Some(attempt.deadline_ms(plan));
        let silent = attempt.silent_place(plan).map(Action::PlaceSilent);
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
                dialling.attempt.is_trying = true;
                self.deadline_ms = Some(dialling.attempt.deadline_ms(plan));
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
            } if !was.attempt.is_reached => {
                self.tone = None;
                vec![self.dial_callee(plan, was.attempt.trunk)]
            }
            Input::CalleeRefused {
                status,
                cause,
                silent,
                narrowed: _,
            } => {
                let refusal = TrunkRefusal {
                    status,
                    cause,
                    silent,
                };
                self.refused(plan, was, refusal, now)
            }
            // A trunk that is full is as good as one that refuses, and says nothing of the callee.
            Input::TrunkFull => {
                let refusal = TrunkRefusal {
                    status: 503,
                    cause: None,
                    silent: true,
                };
                self.refused(plan, was, refusal, now)
            }
            Input::Gone(Side::Callee, _) => {
                let ending = Ending::of(Reason::Failed);
                self.fail_without_callee(ending, Releaser::Callee, was, now)
            }
            Input::Gone(Side::Caller, cause) => {
                let mut actions = vec![Action::CancelCallee(passed_on(cause))];
                actions.extend(self.close(Ending::of(Reason::CallerGaveUp), Releaser::Caller, now));
                actions
            }
            Input::Timeout
                if let Some(next) = was.attempt.next_after_silence(plan)
                    && now.tick_ms < was.attempt.ring_end_ms =>
            {
                let mut actions = vec![Action::CancelCallee(Ending::of(Reason::Unreachable).q850)];
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
        dialling.attempt.is_reached = true;
        let is_first = self.milestones.ringing.is_none();
        self.milestones.ringing.get_or_insert(now.wall);
        self.deadline_ms = Some(dialling.attempt.ring_end_ms);
        let told = dialling
            .heard
            .on_progress(status, early_media, caller, tone);
        let reached = is_first.then_some(Action::Reached(Reached {
            milestone: Milestone::Ringing,
            at: now.wall,
        }));
        reached.into_iter().chain(told).collect()
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
        let reached = Action::Reached(Reached {
            milestone: Milestone::Answered,
            at: now.wall,
        });
        let mut actions: Vec<Action> = stop.into_iter().collect();
        actions.extend([Action::AnswerCaller, reached]);
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
        refusal: TrunkRefusal,
        now: Moment,
    ) -> Vec<Action> {
        if let Some(next) = was.attempt.next_after_refusal(plan, refusal) {
            return self.dial(plan, next, now);
        }
        let by = match refusal.silent {
            true => Releaser::Platform,
            false => Releaser::Callee,
        };
        let ending = Ending::of_callee(refusal.status, refusal.cause);
        self.fail_without_callee(ending, by, was, now)
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
        let mut actions = vec![Action::CancelCallee(ending.q850)];
        actions.extend(self.fail_without_callee(ending, Releaser::Platform, was, now));
        actions
    }
}
