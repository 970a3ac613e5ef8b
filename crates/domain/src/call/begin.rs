//! From the INVITE to the durable open row: nobody is dialled before it.

use super::progress::Heard;
use super::{
    Action, Call, DialOptions, Ending, Input, Moment, Plan, Reason, Releaser, Row, Side, State,
    forecast,
};
use crate::routing::{Route, Situation};

impl Call {
    pub(super) fn on_routing(&mut self, input: Input, now: Moment) -> Vec<Action> {
        match input {
            Input::Routed(route, options) => self.on_route(route, options, now),
            // Nothing is known that could be recorded, not even whether X is ours.
            Input::RouteUnknown | Input::Timeout => {
                let mut actions = Vec::new();
                if !self.has_caller_left() {
                    actions.push(Action::RefuseCaller(Ending::of(Reason::NotDurable)));
                }
                self.over(now);
                actions.push(Action::Forget);
                actions
            }
            other => self.on_waiting(other),
        }
    }

    fn on_route(&mut self, route: Route, options: DialOptions, now: Moment) -> Vec<Action> {
        self.milestones.routed = Some(now.wall);
        self.tone = options.tone;
        if let Route::Refuse {
            situation: Situation::XUnknown,
            ..
        } = route
        {
            // Somebody else's number: answered, counted, not recorded.
            let refusal = Action::RefuseCaller(Ending::of(Reason::XUnknown));
            let left = self.has_caller_left();
            self.over(now);
            return match left {
                true => vec![Action::Forget],
                false => vec![refusal, Action::Forget],
            };
        }
        let forecast = forecast(&route, options, &self.terms);
        let connection = match route {
            Route::Connect(connection) => connection,
            Route::Refuse { binding, .. } => {
                self.row = Row::Unwritten(binding);
                return self.refuse_before_dialling(forecast.ending.reason, now);
            }
        };
        if forecast.rings.is_none() || self.halted.is_some() {
            self.row = Row::Unwritten(Some(Box::new(connection.binding)));
            return self.refuse_before_dialling(forecast.ending.reason, now);
        }
        self.state = State::Opening(Plan {
            callee: connection.callee,
            ring_timeout_s: connection.ring_timeout_s,
            record: connection.binding.record,
            trunks: options.tried(),
            further: options.further,
        });
        self.wait_for(super::ANSWER_WAIT_MAX_S, now);
        self.row = Row::Opened;
        vec![self.started(now), Action::OpenRow(connection)]
    }

    pub(super) fn on_opening(&mut self, plan: Plan, input: Input, now: Moment) -> Vec<Action> {
        match input {
            Input::RowOpened(true) if self.halted.is_none() => self.dial(plan, 0, now),
            Input::RowOpened(true) => self.refuse_before_dialling(Reason::Overload, now),
            // No call without its record. The row may have become durable all the same, so it is closed;
            // closing one that was never opened writes it.
            Input::RowOpened(false) | Input::Timeout => {
                self.refuse_before_dialling(Reason::NotDurable, now)
            }
            other => self.on_waiting(other),
        }
    }

    /// While an answer is awaited a call cannot end; it remembers that it should.
    fn on_waiting(&mut self, input: Input) -> Vec<Action> {
        match input {
            Input::Gone(Side::Caller, _) => {
                self.halted = Some((Reason::CallerGaveUp, Releaser::Caller));
                Vec::new()
            }
            Input::Stopping if self.halted.is_none() => {
                self.halted = Some((Reason::Overload, Releaser::Platform));
                Vec::new()
            }
            Input::Offered(side) | Input::OfferFits(side) | Input::OfferWanted(side) => {
                vec![Action::RefuseOffer(side, 491)]
            }
            _ => Vec::new(),
        }
    }

    fn has_caller_left(&self) -> bool {
        matches!(self.halted, Some((_, Releaser::Caller)))
    }

    /// The end of a call that reached nobody; what halted it meanwhile counts before `reason`.
    fn refuse_before_dialling(&mut self, reason: Reason, now: Moment) -> Vec<Action> {
        match self.halted {
            Some((reason, Releaser::Caller)) => {
                self.close(Ending::of(reason), Releaser::Caller, now)
            }
            Some((reason, by)) => self.announce(Ending::of(reason), by, Heard::default(), now),
            None => self.announce(
                Ending::of(reason),
                Releaser::Platform,
                Heard::default(),
                now,
            ),
        }
    }
}
