//! Hold and resume, and the other changes of the media, before the answer and after it: a handover from one machine
//! of a side to another, and what a side must hear of the other.

use super::{Action, Input, Side};

/// A change of the media that is under way. One at a time: who comes with another is told so, and tries
/// again a little later (RFC 3261 section 14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// This side has offered and waits for the other one's word.
    Offered(Side),
    /// This side has offered and waits no longer; the other one's word is still to come.
    Withdrawn(Side),
    /// This side wanted to be offered what is, and has not answered yet.
    Wanted(Side),
    /// This side is told how the other one's media has changed.
    Told(Side),
}

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Changes {
    under_way: Option<Change>,
    /// Whether the caller, and whether the callee, must still be told how the other one's media has changed:
    /// what came while something else was under way, and before the answer.
    behind: [bool; 2],
}

impl Changes {
    /// Takes in what happened, and says what to do; none if it is nothing of media.
    pub fn take(&mut self, input: &Input) -> Option<Vec<Action>> {
        Some(match *input {
            // It is answered by what was agreed, whatever else is under way.
            Input::OfferFits(side) => vec![Action::AcceptOffer(side)],
            Input::Offered(side) | Input::OfferWanted(side) if self.under_way.is_some() => {
                vec![Action::RefuseOffer(side, 491)]
            }
            Input::Offered(side) => {
                self.under_way = Some(Change::Offered(side));
                vec![Action::Offer(side.other())]
            }
            Input::OfferWanted(side) => {
                self.under_way = Some(Change::Wanted(side));
                vec![Action::OfferWhatIs(side)]
            }
            Input::OfferWithdrawn(side) => {
                if self.under_way == Some(Change::Offered(side)) {
                    self.under_way = Some(Change::Withdrawn(side));
                }
                Vec::new()
            }
            Input::MediaChanged(side) => {
                self.behind[place(side.other())] = true;
                Vec::new()
            }
            Input::OfferAccepted(side) => self.on_accepted(side),
            Input::OfferRefused { side, status, .. } => {
                let status = if status == 491 { 491 } else { 488 };
                self.on_refused(side, status)
            }
            // It believes that its answer holds: it must hear what does.
            Input::AnswerUnfit(side) => {
                let actions = self.on_refused(side, 488);
                self.behind[place(side)] = true;
                actions
            }
            _ => return None,
        })
    }

    fn on_refused(&mut self, side: Side, status: u16) -> Vec<Action> {
        match self.under_way.take_if(|change| change.awaits(side)) {
            Some(Change::Offered(by)) => vec![Action::RefuseOffer(by, status)],
            _ => Vec::new(),
        }
    }

    fn on_accepted(&mut self, side: Side) -> Vec<Action> {
        match self.under_way.take_if(|change| change.awaits(side)) {
            Some(Change::Offered(by)) => vec![Action::AcceptOffer(by)],
            // It took what does not hold: it must hear what does.
            Some(Change::Withdrawn(_)) => {
                self.behind[place(side)] = true;
                self.tell().into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// What a side is to be told now, if nothing else is under way.
    pub fn tell(&mut self) -> Option<Action> {
        if self.under_way.is_some() {
            return None;
        }
        let mut sides = Side::BOTH.into_iter();
        let side = sides.find(|side| self.behind[place(*side)])?;
        self.behind[place(side)] = false;
        self.under_way = Some(Change::Told(side));
        Some(Action::TellChange(side))
    }

    /// The callee is gone: whoever waits for its word does not wait any longer.
    pub fn without_callee(self) -> Option<Action> {
        // It may try again, though there will be nobody to ask: 500 says nothing of its offer.
        (self.under_way == Some(Change::Offered(Side::Caller)))
            .then_some(Action::RefuseOffer(Side::Caller, 500))
    }
}

impl Change {
    /// Whether it is this side's word that is awaited.
    fn awaits(self, side: Side) -> bool {
        match self {
            Self::Offered(by) | Self::Withdrawn(by) => by == side.other(),
            Self::Wanted(by) | Self::Told(by) => by == side,
        }
    }
}

fn place(side: Side) -> usize {
    match side {
        Side::Caller => 0,
        Side::Callee => 1,
    }
}
