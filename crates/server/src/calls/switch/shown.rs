//! What the switch shows of itself to people.

use super::live::Live;
use super::{CallKey, Switch};
use crate::calls::board::{LiveCall, Stage, TurnedAway};

impl Switch {
    /// The calls that live, the oldest first.
    pub fn live_calls(&self) -> Vec<LiveCall> {
        self.calls.values().map(shown).collect()
    }

    /// The keys of the calls that live.
    pub fn keys(&self) -> Vec<CallKey> {
        self.calls.keys().copied().collect()
    }

    /// Legs that live.
    pub fn legs(&self) -> usize {
        self.endpoint.legs()
    }

    /// What became no call.
    pub fn counts(&self) -> TurnedAway {
        let (mut sip, ours) = (self.endpoint.counts(), self.turned_away.sip);
        sip.overload += ours.overload;
        sip.screened += ours.screened;
        TurnedAway {
            sip,
            ..self.turned_away
        }
    }
}

fn shown(live: &Live) -> LiveCall {
    let record = &live.record;
    let stage = if live.call.is_talking() {
        Stage::Talking
    } else if live.callee_leg.is_some() {
        Stage::Dialling
    } else {
        Stage::Routing
    };
    LiveCall {
        call_id: record.call_id.clone(),
        stage,
        arrived_at: record.arrived_at,
        x: record.x,
        caller: record.caller,
        callee: record.callee,
        pool: record.pool.clone(),
        subs_id: record.subs_id,
        trunk_in: record.trunk_in.clone(),
        trunk_out: record.trunk_out.clone(),
    }
}
