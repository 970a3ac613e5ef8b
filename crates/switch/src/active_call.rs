//! What the switch knows of a live call besides its state: legs, media, and the record as it grows.

use super::ladder::{Ladder, Way};
use super::media::Media;
use crate::TrunkPeer;
use maskline_domain::call::{AnnounceBy, Call, CallLimit, Closing, Moment, Reached, Side, Sound};
use maskline_domain::call_record::CallRecord;
use maskline_domain::{PhoneNumber, TrunkName};
use maskline_sip::endpoint::LegId;

/// What is done once a call has ports for its media: what was last wanted of it.
#[derive(Clone, Copy)]
pub(super) enum WaitsForPorts {
    /// The second leg is dialled.
    Invite,
    /// The caller hears this.
    Announcement(Sound, AnnounceBy),
}

pub(super) struct ActiveCall {
    pub call: Call,
    pub record: CallRecord,
    /// Milestones to which it has come, and that go with the next write of its row.
    pub reached: Vec<Reached>,
    pub ladder: Ladder,
    /// When it arrived, on the clock that never jumps.
    pub began_ms: u64,
    pub x: PhoneNumber,
    pub over_limit: Option<CallLimit>,
    pub caller_leg: LegId,
    pub trunk_in: TrunkPeer,
    pub callee_leg: Option<LegId>,
    /// By which the second leg may be dialled, in order: a trunk at several places stands here once for each.
    pub trunks: Vec<TrunkPeer>,
    /// By which it is.
    pub trunk: usize,
    /// The trunk on which its second leg is counted.
    pub trunk_out: Option<TrunkName>,
    pub max_forwards: u8,
    pub media: Media,
    /// What is done once there are ports.
    pub waits_for_ports: Option<WaitsForPorts>,
    /// The answer for a side whose offer the other one has taken.
    pub reply: Option<Vec<u8>>,
    pub scheduled: Option<u64>,
}

impl ActiveCall {
    pub fn leg(&self, side: Side) -> Option<LegId> {
        match side {
            Side::Caller => Some(self.caller_leg),
            Side::Callee => self.callee_leg,
        }
    }

    pub fn note(
        &mut self,
        now: Moment,
        side: Side,
        way: Way,
        what: impl ToString,
        note: impl ToString,
    ) {
        let ms = now.tick_ms.saturating_sub(self.began_ms);
        self.ladder.note(ms, side, way, what, note);
    }

    pub fn take_closing(&mut self, closing: &Closing) {
        self.record.take_closing(closing);
        self.record.ladder = self.ladder.to_json();
    }
}
