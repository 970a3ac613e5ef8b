//! Both have answered, until somebody hangs up or a bound is reached.

use super::changes::Changes;
use super::{Call, Deed, Ending, Happening, Moment, Reason, Side, State, passed_on};

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Talking {
    pub changes: Changes,
}

impl Call {
    pub(super) fn on_talking(&mut self, happening: Happening, now: Moment) -> Vec<Deed> {
        let State::Talking(Talking { changes }) = &mut self.state else {
            return Vec::new();
        };
        if let Some(mut deeds) = changes.take(&happening) {
            deeds.extend(changes.tell());
            return deeds;
        }
        match happening {
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
