//! A call that fails: the caller hears why, if the trunk lets it, and then gets the status and the cause.

use super::forecast::{told, worded};
use super::progress::Heard;
use super::{
    Action, AnnounceBy, Call, Ending, Input, Moment, PROMPT_MAX_S, Reason, Releaser, Side, State,
};
use crate::trunk::PromptPolicy;

/// What is still to be said to the caller.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announcing {
    ending: Ending,
    /// The status for a caller who cannot hear it and so is not answered.
    unheard: u16,
    by: Releaser,
    /// Whether the caller was answered for the prompt.
    is_answered: bool,
}

impl Call {
    /// Nobody is left but the caller, who has heard this already.
    pub(super) fn announce(
        &mut self,
        ending: Ending,
        by: Releaser,
        heard: Heard,
        now: Moment,
    ) -> Vec<Action> {
        let unheard = ending.status;
        let (ending, prompt) = told(ending, self.terms.prompts, heard.callee);
        let announcing = Announcing {
            ending,
            unheard,
            by,
            is_answered: prompt.is_some() && self.terms.prompts == PromptPolicy::Answer,
        };
        let Some(prompt) = prompt else {
            return self.part(announcing, now);
        };
        // Once somebody was dialled it is the callee's number that is vacant, and no B of A's is missing.
        let tone = self.tone.filter(|_| self.milestones.dialled.is_none());
        self.state = State::Announcing(announcing);
        self.wait_for(PROMPT_MAX_S, now);
        let by = match (announcing.is_answered, heard.opened) {
            (true, _) => AnnounceBy::Answer,
            (false, true) => AnnounceBy::Opened,
            (false, false) => AnnounceBy::EarlyMedia,
        };
        let sound = worded(prompt, tone);
        vec![Action::Announce { sound, by }]
    }

    pub(super) fn on_announcing(
        &mut self,
        announcing: Announcing,
        input: Input,
        now: Moment,
    ) -> Vec<Action> {
        match input {
            Input::MediaRefused(_) => {
                let ending = Ending {
                    status: announcing.unheard,
                    ..announcing.ending
                };
                let announcing = Announcing {
                    ending,
                    is_answered: false,
                    ..announcing
                };
                self.part(announcing, now)
            }
            Input::Played(Side::Caller) | Input::MediaLost | Input::Stopping | Input::Timeout => {
                self.part(announcing, now)
            }
            // Why the call failed stays; the status is what this caller got.
            Input::Gone(Side::Caller, _) => {
                let status = match announcing.is_answered {
                    true => announcing.ending.status,
                    false => Ending::of(Reason::CallerGaveUp).status,
                };
                let ending = Ending {
                    status,
                    ..announcing.ending
                };
                self.close(ending, Releaser::Caller, now)
            }
            // It hears on at its new address.
            Input::OfferFits(Side::Caller) => vec![Action::AcceptOffer(Side::Caller)],
            Input::Offered(side) | Input::OfferWanted(side) => {
                vec![Action::RefuseOffer(side, 488)]
            }
            _ => Vec::new(),
        }
    }

    fn part(&mut self, announcing: Announcing, now: Moment) -> Vec<Action> {
        let mut actions = vec![match announcing.is_answered {
            true => Action::HangUp(Side::Caller, announcing.ending.q850),
            false => Action::RefuseCaller(announcing.ending),
        }];
        actions.extend(self.close(announcing.ending, announcing.by, now));
        actions
    }
}
