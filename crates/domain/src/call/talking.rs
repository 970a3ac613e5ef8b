//! Both have answered, until somebody hangs up or a bound is reached.

use super::hold::Changes;
use super::{Action, Call, Ending, Input, Moment, Prompt, Reason, Side, State, passed_on};

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Talking {
    pub changes: Changes,
    /// Whether recording begins when the caller has answered our offer.
    pub records_later: bool,
}

impl Call {
    pub(super) fn on_talking(&mut self, input: Input, now: Moment) -> Vec<Action> {
        let State::Talking(Talking {
            changes,
            records_later,
        }) = &mut self.state
        else {
            return Vec::new();
        };
        if let Some(mut actions) = changes.take(&input) {
            actions.extend(changes.tell());
            if settles_on_two_codecs(&input) {
                actions.extend(self.hang_up_on_both(Reason::NoCommonCodec, now));
            }
            return actions;
        }
        match input {
            Input::Gone(side, cause) => {
                let cause = passed_on(cause);
                let ending = Ending {
                    q850: cause,
                    ..Ending::of(Reason::HungUp)
                };
                let mut actions = vec![Action::HangUp(side.other(), cause)];
                actions.extend(self.close(ending, side.into(), now));
                actions
            }
            Input::CallerAnswered if std::mem::take(records_later) => self.record(),
            Input::CodecsDiffer => self.hang_up_on_both(Reason::NoCommonCodec, now),
            // The caller's answer came with its ACK, and fits nothing.
            Input::MediaRefused(fault) => self.hang_up_on_both(fault.into(), now),
            Input::MediaLost => self.hang_up_on_both(Reason::MediaLost, now),
            Input::Stopping => self.hang_up_on_both(Reason::Stopped, now),
            Input::Timeout => self.hang_up_on_both(Reason::DurationMax, now),
            _ => Vec::new(),
        }
    }

    /// Recording begins, with the notice. That is part of it, which shows that it was given.
    pub(super) fn record(&self) -> Vec<Action> {
        let told = self.terms.notice.heard_by().iter();
        let notices = told.map(|&side| Action::Play(side, Prompt::RecordingNotice));
        [Action::Record].into_iter().chain(notices).collect()
    }

    fn hang_up_on_both(&mut self, reason: Reason, now: Moment) -> Vec<Action> {
        let ending = Ending {
            status: 200,
            ..Ending::of(reason)
        };
        let mut actions: Vec<Action> = Side::BOTH
            .map(|side| Action::HangUp(side, ending.q850))
            .into();
        actions.extend(self.close(ending, super::Releaser::Platform, now));
        actions
    }
}

/// Whether a side that believes in another codec will not take the call's. Offers that cross (491) are made again
/// (RFC 3261 section 14.1).
fn settles_on_two_codecs(input: &Input) -> bool {
    matches!(
        *input,
        Input::OfferRefused {
            status,
            speaks_another: true,
            ..
        } if status != 491
    )
}
