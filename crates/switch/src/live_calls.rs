//! What the switch shows of itself to people.

use super::active_call::ActiveCall;
use super::{CallKey, Switch};
use maskline_domain::call::Stage;
use maskline_domain::call::admission::NotTaken;
use maskline_domain::{PhoneNumber, SubsId, Timestamp};
use maskline_sip::endpoint::Counts;

/// A call that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveCall {
    /// The id that its record has.
    pub call_id: String,
    /// How far it is.
    pub stage: Stage,
    /// When the INVITE came.
    pub arrived_at: Timestamp,
    /// The number dialled.
    pub x: Option<PhoneNumber>,
    /// Who dialled, if they said.
    pub caller: Option<PhoneNumber>,
    /// Who is, or is to be, reached.
    pub callee: Option<PhoneNumber>,
    /// The pool of X.
    pub pool: Option<String>,
    /// The binding that decided.
    pub subs_id: Option<SubsId>,
    /// The trunk it came from.
    pub trunk_in: Option<String>,
    /// The trunk it goes to.
    pub trunk_out: Option<String>,
}

/// What became no call, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TurnedAway {
    /// What the SIP endpoint counted.
    pub sip: Counts,
    /// Calls from a trunk that had as many as it may have.
    pub trunk_full: u64,
    /// Calls that were forwarded to X, by a trunk that takes none such.
    pub forwarded: u64,
}

impl TurnedAway {
    /// Counts a call that is not taken.
    pub(super) fn count(&mut self, why: NotTaken) {
        *match why {
            NotTaken::Overload => &mut self.sip.overload,
            NotTaken::TrunkFull => &mut self.trunk_full,
            NotTaken::Forwarded => &mut self.forwarded,
            NotTaken::NoNumber => &mut self.sip.screened,
        } += 1;
    }
}

impl Switch {
    /// The calls that live, the oldest first.
    pub fn live_calls(&self) -> Vec<LiveCall> {
        self.calls.values().filter_map(|live| shown(live)).collect()
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

fn shown(live: &ActiveCall) -> Option<LiveCall> {
    let record = &live.record;
    Some(LiveCall {
        call_id: record.call_id.clone(),
        stage: live.call.stage()?,
        arrived_at: record.arrived_at,
        x: record.x,
        caller: record.caller,
        callee: record.callee,
        pool: record.pool.clone(),
        subs_id: record.subs_id,
        trunk_in: record.trunk_in.clone(),
        trunk_out: record.trunk_out.clone(),
    })
}
