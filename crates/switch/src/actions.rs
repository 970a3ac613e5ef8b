//! What a call wants done becomes messages and outputs.

use super::active_call::{ActiveCall, WaitsForPorts};
use super::codecs::Codecs;
use super::ladder::Way;
use super::media::Unfit;
use super::media_reach::Reach;
use super::types::recording_file;
use super::{CallKey, LeaseRequest, Output, RecordingRequest, Switch};
use crate::{TrunkPeer, peers};
use maskline_domain::call::{
    Action as CallAction, Input as CallInput, MediaFault, Milestone, Moment, Reached, Side,
};
use maskline_sip::endpoint::{self, Input as SipInput};

impl Switch {
    pub(super) fn carry_out(&mut self, key: CallKey, action: CallAction, now: Moment) {
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        match action {
            CallAction::Reached(reached) => self.reach(key, reached),
            CallAction::OpenRow(connection) => {
                live.record.take_binding(&connection.binding);
                live.record.callee = Some(connection.callee);
                let row = Box::new(live.record.opened(now.wall));
                let reached = std::mem::take(&mut live.reached);
                self.outputs.push_back(Output::OpenRow(key, row, reached));
            }
            CallAction::PlaceSilent(place) => {
                let silent = live.trunks.get(place).map(|trunk| trunk.peer.hop);
                if let Some(silent) = silent {
                    self.note_silent(silent, now);
                }
            }
            CallAction::DialCallee {
                callee,
                trunk,
                toned,
            } => {
                live.record.callee = Some(callee);
                live.trunk = trunk;
                live.media.set_toned(toned);
                self.dial(key, now);
            }
            CallAction::TellCaller { status, media } => self.tell_caller(key, status, media, now),
            CallAction::AnswerCaller => self.answer_caller(key, now),
            CallAction::RefuseCaller(ending) => self.refuse_caller(key, ending, now),
            CallAction::HangUp(side, cause) => self.end_leg(key, side, "BYE", cause, now),
            CallAction::CancelCallee(cause) => {
                self.end_leg(key, Side::Callee, "CANCEL", cause, now);
            }
            CallAction::StopRinging => {
                self.outputs
                    .push_back(Output::StopPlaying(key, Side::Caller));
            }
            CallAction::Announce { sound, by } => self.announce(key, sound, by, now),
            CallAction::Play(side, prompt) => self.play(key, side, prompt.into()),
            CallAction::Record => {
                let file = recording_file(now.wall, &live.record.call_id);
                live.record.recording = Some(file.clone());
                self.outputs
                    .push_back(Output::Record(key, RecordingRequest { file }));
            }
            CallAction::Offer(side) => self.pass_offer_on(key, side, now),
            CallAction::OfferWhatIs(side) => self.offer_what_is(key, side, now),
            CallAction::TellChange(side) => self.tell_change(key, side, now),
            CallAction::AcceptOffer(side) => self.accept_offer(key, side, now),
            CallAction::RefuseOffer(side, status) => self.refuse_offer(key, side, status, now),
            CallAction::WriteRow(binding, closing) => {
                if let Some(binding) = binding {
                    live.record.take_binding(&binding);
                }
                live.take_closing(&closing);
            }
            CallAction::CloseRow(closing) => live.take_closing(&closing),
            CallAction::Forget => self.forget(key),
        }
    }

    /// Its beginning and its end go with rows that are written anyway; what is between has none.
    fn reach(&mut self, key: CallKey, reached: Reached) {
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        live.record.take_milestone(reached);
        match reached.milestone {
            // The record has their times; nobody asks for more.
            Milestone::Ringing | Milestone::Answered if !self.setup.tells_milestones => {}
            Milestone::Ringing | Milestone::Answered => {
                let record = Box::new(live.record.clone());
                let output = Output::Reached(key, record, reached);
                self.outputs.push_back(output);
            }
            Milestone::Started | Milestone::Ended | Milestone::Recorded => {
                live.reached.push(reached);
            }
        }
    }

    /// Media first: a call whose media we cannot carry is not dialled.
    fn dial(&mut self, key: CallKey, now: Moment) {
        let Some(live) = self.calls.get(&key) else {
            return;
        };
        if !live.media.is_usable() {
            let why = live.media.why_unfit().unwrap_or(Unfit::Codec);
            self.give_to_call(key, CallInput::MediaRefused(why.into()), now);
        } else if live.media.is_leased() {
            self.send_invite(key, now);
        } else {
            self.ask_for_ports(key, WaitsForPorts::Invite);
        }
    }

    pub(super) fn ask_for_ports(&mut self, key: CallKey, then: WaitsForPorts) {
        if let Some(live) = self.calls.get_mut(&key) {
            live.waits_for_ports = Some(then);
            let request = LeaseRequest {
                caller_advertised: live.trunk_in.definition.rtp_advertised,
            };
            self.outputs.push_back(Output::LeaseMedia(key, request));
        }
    }

    pub(super) fn on_lease(&mut self, key: CallKey, lease: Option<super::Lease>, now: Moment) {
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        let Some(lease) = lease else {
            return self.give_to_call(key, CallInput::MediaRefused(MediaFault::NoPort), now);
        };
        live.media.lease(lease);
        self.media_loops.enter(key, &lease);
        // Its ports are known only now, but could be guessed.
        if self.has_media_loop(key) {
            if let Some(live) = self.calls.get_mut(&key) {
                live.media.mark_unfit(Unfit::MediaLoop);
            }
            let refused = CallInput::MediaRefused(MediaFault::Unfit);
            return self.give_to_call(key, refused, now);
        }
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        match live.waits_for_ports.take() {
            Some(WaitsForPorts::Announcement(sound, by)) => self.announce(key, sound, by, now),
            Some(WaitsForPorts::Invite) => self.send_invite(key, now),
            None => {}
        }
    }

    fn send_invite(&mut self, key: CallKey, now: Moment) {
        let leg = self.endpoint.new_leg();
        let session = self.session(key, &leg.as_u64().to_be_bytes(), now);
        let usual = self.setup.advertised;
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        // The call dials only trunks of which it was told.
        let trunk = live.trunks.get(live.trunk);
        let (Some(callee), Some(trunk)) = (live.record.callee, trunk.cloned()) else {
            return self.give_to_call(key, CallInput::TrunkFull, now);
        };
        // Others may have filled it since it was chosen.
        if !self.has_room(&trunk, now) {
            return self.pass_over(key, &trunk, now);
        }
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        let (codecs, reach) = (
            Codecs::of(&trunk.definition),
            Reach::of_callee(&trunk, &self.setup),
        );
        let advertised = trunk.definition.rtp_advertised;
        let Some(sdp) = live.media.offer_by(advertised, codecs, reach, session) else {
            return self.give_to_call(key, CallInput::MediaRefused(MediaFault::Unfit), now);
        };
        live.callee_leg = Some(leg);
        live.trunk_out = Some(trunk.definition.name.clone());
        self.loads.dial(&trunk.definition, now.tick_ms);
        live.record.trunk_out = Some(trunk.definition.name.to_string());
        let advertised = trunk.definition.sip_advertised.unwrap_or(usual);
        let note = format!("to {callee} by {}, shown {}", trunk.definition.name, live.x);
        live.note(now, Side::Callee, Way::Out, "INVITE", note);
        let dial = endpoint::Dial {
            hop: trunk.peer.hop,
            target: peers::target(&trunk.definition, callee, trunk.peer.hop.address),
            identity: peers::identity(&trunk.definition, live.x, advertised),
            max_forwards: live.max_forwards,
            sdp,
        };
        self.legs.insert(leg, (key, Side::Callee));
        self.sip(SipInput::Dial(leg, dial), now);
    }

    fn pass_over(&mut self, key: CallKey, trunk: &TrunkPeer, now: Moment) {
        if let Some(live) = self.calls.get_mut(&key) {
            let note = format!("{} is full", trunk.definition.name);
            live.note(now, Side::Callee, Way::In, 503, note);
        }
        self.give_to_call(key, CallInput::TrunkFull, now);
    }

    /// `what` is how the ladder shows it. On the wire the leg's own state decides: its answer and our CANCEL may
    /// cross (RFC 3261 section 9.1).
    fn end_leg(&mut self, key: CallKey, side: Side, what: &str, cause: u8, now: Moment) {
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        if let Some(leg) = live.leg(side)
            && self.legs.remove(&leg).is_some()
        {
            live.note(now, side, Way::Out, what, format!("cause {cause}"));
            if side == Side::Callee {
                self.leave_trunk_out(key);
            }
            self.sip(SipInput::HangUp(leg, Some(cause)), now);
        }
    }

    fn forget(&mut self, key: CallKey) {
        self.leave_trunk_out(key);
        let Some(live) = self.calls.remove(&key) else {
            return;
        };
        if let Some(deadline) = live.scheduled {
            self.deadlines.remove(&(deadline, key));
        }
        if let Some(lease) = live.media.leased() {
            self.media_loops.leave(key, &lease);
        }
        self.call_limits.leave(live.x, live.record.caller);
        self.loads.leave(&live.trunk_in.definition.name);
        self.legs.remove(&live.caller_leg);
        live.callee_leg.map(|leg| self.legs.remove(&leg));
        let is_recorded = live.record.released_at.is_some();
        let ActiveCall {
            record, reached, ..
        } = *live;
        let record = is_recorded.then(|| Box::new(record));
        self.outputs.push_back(Output::Finish(key, record, reached));
    }
}
