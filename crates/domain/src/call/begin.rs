//! From the INVITE to the durable open row: nobody is dialled before it.

use super::{
    Call, Deed, Ending, Happening, Moment, Plan, Prospects, Reason, Releaser, Row, Side, State,
    foreseen,
};
use crate::routing::{Route, Situation};

impl Call {
    pub(super) fn on_routing(&mut self, happening: Happening, now: Moment) -> Vec<Deed> {
        match happening {
            Happening::Routed(route, prospects) => self.on_route(route, prospects, now),
            // Nothing is known that could be recorded, not even whether X is ours.
            Happening::RouteUnknown | Happening::Timeout => {
                let mut deeds = Vec::new();
                if !self.has_caller_left() {
                    deeds.push(Deed::RefuseCaller(Ending::of(Reason::NotDurable)));
                }
                self.over(now);
                deeds.push(Deed::Forget);
                deeds
            }
            other => self.on_waiting(other),
        }
    }

    fn on_route(&mut self, route: Route, prospects: Prospects, now: Moment) -> Vec<Deed> {
        self.milestones.routed = Some(now.wall);
        self.tone = prospects.tone;
        if let Route::Refuse {
            situation: Situation::XUnknown,
            ..
        } = route
        {
            // Somebody else's number: answered, counted, not recorded.
            let refusal = Deed::RefuseCaller(Ending::of(Reason::XUnknown));
            let left = self.has_caller_left();
            self.over(now);
            return match left {
                true => vec![Deed::Forget],
                false => vec![refusal, Deed::Forget],
            };
        }
        let foreseen = foreseen(&route, prospects, &self.terms);
        let connection = match route {
            Route::Connect(connection) => connection,
            Route::Refuse { binding, .. } => {
                self.row = Row::Unwritten(binding);
                return self.refuse_before_dialling(foreseen.ending.reason, now);
            }
        };
        if foreseen.rings.is_none() || self.halted.is_some() {
            self.row = Row::Unwritten(Some(Box::new(connection.binding)));
            return self.refuse_before_dialling(foreseen.ending.reason, now);
        }
        self.state = State::Opening(Plan {
            callee: connection.callee,
            ring_timeout_s: connection.ring_timeout_s,
            record: connection.binding.record,
            trunks: prospects.tried(),
            further: prospects.further,
        });
        self.wait_for(super::ANSWER_WAIT_MAX_S, now);
        self.row = Row::Opened;
        vec![Deed::OpenRow(connection)]
    }

    pub(super) fn on_opening(
        &mut self,
        plan: Plan,
        happening: Happening,
        now: Moment,
    ) -> Vec<Deed> {
        match happening {
            Happening::RowOpened(true) if self.halted.is_none() => self.dial(plan, 0, now),
            Happening::RowOpened(true) => self.refuse_before_dialling(Reason::Overload, now),
            // No call without its record. The row may have become durable all the same, so it is closed;
            // closing one that was never opened writes it.
            Happening::RowOpened(false) | Happening::Timeout => {
                self.refuse_before_dialling(Reason::NotDurable, now)
            }
            other => self.on_waiting(other),
        }
    }

    /// While an answer is awaited a call cannot end; it remembers that it should.
    fn on_waiting(&mut self, happening: Happening) -> Vec<Deed> {
        match happening {
            Happening::Gone(Side::Caller, _) => {
                self.halted = Some((Reason::CallerGaveUp, Releaser::Caller));
                Vec::new()
            }
            Happening::Stopping if self.halted.is_none() => {
                self.halted = Some((Reason::Overload, Releaser::Platform));
                Vec::new()
            }
            Happening::Offered(side)
            | Happening::OfferFits(side)
            | Happening::OfferWanted(side) => {
                vec![Deed::RefuseOffer(side, 491)]
            }
            _ => Vec::new(),
        }
    }

    fn has_caller_left(&self) -> bool {
        matches!(self.halted, Some((_, Releaser::Caller)))
    }

    /// The end of a call that reached nobody; what halted it meanwhile counts before `reason`.
    fn refuse_before_dialling(&mut self, reason: Reason, now: Moment) -> Vec<Deed> {
        match self.halted {
            Some((reason, Releaser::Caller)) => {
                self.close(Ending::of(reason), Releaser::Caller, now).into()
            }
            Some((reason, by)) => self.farewell(Ending::of(reason), by, false, now),
            None => self.farewell(Ending::of(reason), Releaser::Platform, false, now),
        }
    }
}
