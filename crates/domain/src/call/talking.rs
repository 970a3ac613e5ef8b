//! Both have answered: hold and resume, until somebody hangs up or a bound is reached.

use super::{Call, Deed, Ending, Happening, Moment, Reason, Side, State, passed_on};

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Talking {
    /// Who has offered other media and waits for the other side's word.
    offering: Option<Side>,
}

impl Call {
    pub(super) fn on_talking(&mut self, happening: Happening, now: Moment) -> Vec<Deed> {
        let State::Talking(Talking { offering }) = &mut self.state else {
            return Vec::new();
        };
        match happening {
            Happening::Offered(side) if offering.is_none() => {
                *offering = Some(side);
                vec![Deed::Offer(side.other())]
            }
            // One change at a time. Who is told so tries again a little later (RFC 3261 section 14.2).
            Happening::Offered(side) => vec![Deed::RefuseOffer(side, 491)],
            Happening::OfferAccepted(side) if *offering == Some(side.other()) => {
                *offering = None;
                vec![Deed::AcceptOffer(side.other())]
            }
            Happening::OfferRefused(side, status) if *offering == Some(side.other()) => {
                *offering = None;
                let status = if status == 491 { 491 } else { 488 };
                vec![Deed::RefuseOffer(side.other(), status)]
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
