//! The second leg: one trunk after the other until one takes the call, then ringing until an answer.

use super::changes::Changes;
use super::ending::is_trunk_failure;
use super::forecast::rung;
use super::talking::Talking;
use super::{
    Action, Call, Ending, Input, Moment, Plan, Prompt, Reason, Releaser, Side, State,
    TRUNK_TRYING_WAIT_S, TRUNK_WAIT_S, passed_on,
};

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
    /// Whether the caller hears the callee's network.
    early_media: bool,
    /// Whether the caller hears a ring tone of ours.
    ring_tone: bool,
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
        vec![Action::DialCallee(plan.callee, trunk)]
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
            } => {
                dialling.is_reached = true;
                dialling.early_media |= early_media;
                self.milestones.ringing.get_or_insert(now.wall);
                // Whether the callee's number is forwarded is the callee's business.
                let status = if matches!(status, 182 | 183) {
                    status
                } else {
                    180
                };
                let tone = rung(self.tone, self.terms.prompts)
                    .filter(|_| status == 180 && !dialling.early_media);
                // What the callee's network plays comes before ours.
                let stops = dialling.ring_tone && early_media;
                dialling.ring_tone = tone.is_some() || dialling.ring_tone && !early_media;
                self.deadline_ms = Some(was.ring_end_ms);
                let tell = match tone {
                    Some(tone) => Action::Ring(tone),
                    None => Action::TellCaller {
                        status,
                        early_media,
                    },
                };
                let stop = stops.then_some(Action::StopRinging);
                stop.into_iter().chain([tell]).collect()
            }
            Input::CalleeAnswered => self.answered(plan, was, now),
            Input::CalleeRefused(status, cause, silent) => {
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
                let ending = Ending::of_callee(status, cause);
                let announcing = self.announce(ending, by, was.early_media, now);
                was.changes
                    .without_callee()
                    .into_iter()
                    .chain(announcing)
                    .collect()
            }
            Input::Gone(Side::Callee, _) => {
                let ending = Ending::of(Reason::Failed);
                let announcing = self.announce(ending, Releaser::Callee, was.early_media, now);
                was.changes
                    .without_callee()
                    .into_iter()
                    .chain(announcing)
                    .collect()
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
            Input::MediaRefused(reason) => self.give_up(reason, was, now),
            Input::Stopping => self.give_up(Reason::Overload, was, now),
            _ => Vec::new(),
        }
    }

    fn answered(&mut self, plan: Plan, was: Dialling, now: Moment) -> Vec<Action> {
        self.milestones.answered = Some(now.wall);
        self.wait_for(u64::from(self.terms.duration_max_s), now);
        let mut changes = was.changes;
        let told = changes.tell();
        self.state = State::Talking(Talking { changes });
        let mut actions: Vec<Action> = was
            .ring_tone
            .then_some(Action::StopRinging)
            .into_iter()
            .collect();
        actions.push(Action::AnswerCaller);
        if plan.record {
            // The notice is part of the recording: it shows that it was given.
            actions.push(Action::Record);
            let told = self.terms.notice.heard_by().iter();
            actions.extend(told.map(|&side| Action::Play(side, Prompt::RecordingNotice)));
        }
        actions.extend(told);
        actions
    }

    /// We end it while the callee's leg still lives.
    fn give_up(&mut self, reason: Reason, was: Dialling, now: Moment) -> Vec<Action> {
        let ending = Ending::of(reason);
        let mut actions = vec![Action::HangUp(Side::Callee, ending.q850)];
        actions.extend(was.changes.without_callee());
        actions.extend(self.announce(ending, Releaser::Platform, was.early_media, now));
        actions
    }
}
