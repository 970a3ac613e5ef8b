//! A call that fails: the caller hears why, if the trunk lets it, and then gets the status and the cause.

use super::foreseen::{told, worded};
use super::{Call, Deed, Ending, Happening, Moment, PROMPT_MAX_S, Reason, Releaser, Side, State};
use crate::trunk::PromptPolicy;

/// What is still to be said to the caller.
#[derive(Clone, Copy, Debug)]
pub(super) struct Farewell {
    ending: Ending,
    /// The status for a caller who cannot hear it and so is not answered.
    unheard: u16,
    by: Releaser,
    /// Whether the caller was answered for the prompt.
    is_answered: bool,
}

impl Call {
    /// Nobody is left but the caller. `heard`: the callee's network has played something already.
    pub(super) fn farewell(
        &mut self,
        ending: Ending,
        by: Releaser,
        heard: bool,
        now: Moment,
    ) -> Vec<Deed> {
        let unheard = ending.status;
        let (ending, prompt) = told(ending, self.terms.prompts, heard);
        let farewell = Farewell {
            ending,
            unheard,
            by,
            is_answered: prompt.is_some() && self.terms.prompts == PromptPolicy::Answer,
        };
        let Some(prompt) = prompt else {
            return self.part(farewell, now);
        };
        // Once somebody was dialled it is the callee's number that is vacant, and no B of A's is missing.
        let tone = self.tone.filter(|_| self.milestones.dialled.is_none());
        self.state = State::Farewell(farewell);
        self.wait_for(PROMPT_MAX_S, now);
        vec![Deed::Announce {
            sound: worded(prompt, tone),
            answer: farewell.is_answered,
        }]
    }

    pub(super) fn on_farewell(
        &mut self,
        farewell: Farewell,
        happening: Happening,
        now: Moment,
    ) -> Vec<Deed> {
        match happening {
            Happening::MediaRefused(_) => {
                let ending = Ending {
                    status: farewell.unheard,
                    ..farewell.ending
                };
                let farewell = Farewell {
                    ending,
                    is_answered: false,
                    ..farewell
                };
                self.part(farewell, now)
            }
            Happening::Played(Side::Caller)
            | Happening::MediaLost
            | Happening::Stopping
            | Happening::Timeout => self.part(farewell, now),
            // Why the call failed stays; the status is what this caller got.
            Happening::Gone(Side::Caller, _) => {
                let status = match farewell.is_answered {
                    true => farewell.ending.status,
                    false => Ending::of(Reason::CallerGaveUp).status,
                };
                let ending = Ending {
                    status,
                    ..farewell.ending
                };
                self.close(ending, Releaser::Caller, now).into()
            }
            // It hears on at its new address.
            Happening::OfferFits(Side::Caller) => vec![Deed::AcceptOffer(Side::Caller)],
            Happening::Offered(side) | Happening::OfferWanted(side) => {
                vec![Deed::RefuseOffer(side, 488)]
            }
            _ => Vec::new(),
        }
    }

    fn part(&mut self, farewell: Farewell, now: Moment) -> Vec<Deed> {
        let mut deeds = vec![match farewell.is_answered {
            true => Deed::HangUp(Side::Caller, farewell.ending.q850),
            false => Deed::RefuseCaller(farewell.ending),
        }];
        deeds.extend(self.close(farewell.ending, farewell.by, now));
        deeds
    }
}
