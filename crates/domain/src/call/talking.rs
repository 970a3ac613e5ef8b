//! Both have answered: hold and resume, until somebody hangs up or a bound is reached.

use super::{Call, Deed, Ending, Happening, Moment, Reason, Side, State, passed_on};

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

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Talking {
    change: Option<Change>,
}

impl Call {
    pub(super) fn on_talking(&mut self, happening: Happening, now: Moment) -> Vec<Deed> {
        let State::Talking(Talking { change }) = &mut self.state else {
            return Vec::new();
        };
        match happening {
            Happening::Offered(side) | Happening::OfferWanted(side) if change.is_some() => {
                vec![Deed::RefuseOffer(side, 491)]
            }
            Happening::Offered(side) => {
                *change = Some(Change::Offered(side));
                vec![Deed::Offer(side.other())]
            }
            Happening::OfferWanted(side) => {
                *change = Some(Change::Wanted(side));
                vec![Deed::OfferWhatIs(side)]
            }
            Happening::OfferWithdrawn(side) => {
                if *change == Some(Change::Offered(side)) {
                    *change = Some(Change::Withdrawn(side));
                }
                Vec::new()
            }
            Happening::MediaChanged(side) if change.is_none() => {
                *change = Some(Change::Told(side.other()));
                vec![Deed::TellChange(side.other())]
            }
            Happening::OfferAccepted(side) => match change.take_if(|change| change.awaits(side)) {
                Some(Change::Offered(by)) => vec![Deed::AcceptOffer(by)],
                // It took what does not hold: it must hear what does.
                Some(Change::Withdrawn(_)) => {
                    *change = Some(Change::Told(side));
                    vec![Deed::TellChange(side)]
                }
                _ => Vec::new(),
            },
            Happening::OfferRefused(side, status) => {
                let status = if status == 491 { 491 } else { 488 };
                match change.take_if(|change| change.awaits(side)) {
                    Some(Change::Offered(by)) => vec![Deed::RefuseOffer(by, status)],
                    _ => Vec::new(),
                }
            }
            Happening::Gone(side, cause) => {
                let cause = passed_on(cause);
                let ending = Ending {
                    q850: cause,
                    ..Ending::of(Reason::HungUp)
                };
                let mut deeds = vec![Deed::HangUp(side.other(), cause)];
                deeds.extend(self.close(ending, side.into(), now));
                deeds
            }
            // The caller's answer came with its ACK, and fits nothing.
            Happening::MediaRefused(reason) => self.hang_up_on_both(reason, now),
            Happening::MediaLost => self.hang_up_on_both(Reason::MediaLost, now),
            Happening::Stopping => self.hang_up_on_both(Reason::Stopped, now),
            Happening::Timeout => self.hang_up_on_both(Reason::DurationMax, now),
            _ => Vec::new(),
        }
    }

    fn hang_up_on_both(&mut self, reason: Reason, now: Moment) -> Vec<Deed> {
        let ending = Ending {
            status: 200,
            ..Ending::of(reason)
        };
        let mut deeds: Vec<Deed> = Side::BOTH
            .map(|side| Deed::HangUp(side, ending.q850))
            .into();
        deeds.extend(self.close(ending, super::Releaser::Platform, now));
        deeds
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
