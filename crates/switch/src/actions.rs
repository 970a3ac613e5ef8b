//! What a call wants done becomes messages and outputs.

use super::codecs::Codecs;
use super::ladder::Way;
use super::media::Unfit;
use super::media_reach::Reach;
use super::types::recording_file;
use super::{CallKey, LeaseWish, Output, RecordWish, Repeat, Switch};
use crate::{Trunk, peers};
use maskline_domain::call::{
    Action as CallAction, Ending, Input as CallInput, Moment, Reason, Side, Sound,
};
use maskline_domain::call_record::CallRecord;
use maskline_sip::endpoint::{self, Input as SipInput, LegId, Refusal, Warning};

impl Switch {
    pub(super) fn carry_out(&mut self, key: CallKey, action: CallAction, now: Moment) {
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        let caller_leg = live.caller_leg;
        match action {
            CallAction::OpenRow(connection) => {
                live.take_binding(&connection.binding);
                live.record.callee = Some(connection.callee);
                // Dialling follows once the row is durable; should the node die, this is what is known.
                let row = CallRecord {
                    dialled_at: Some(now.wall),
                    ..live.record.clone()
                };
                self.outputs.push_back(Output::OpenRow(key, Box::new(row)));
            }
            CallAction::DialCallee(callee, trunk) => {
                live.callee = Some(callee);
                let before = std::mem::replace(&mut live.trunk, trunk);
                let is_further = live.further.checked_shr(trunk as u32).unwrap_or(0) & 1 == 1;
                // The call goes to a further place of a trunk only where it was not taken at the one before.
                let silent = live.trunks.get(before).filter(|_| is_further);
                if let Some(silent) = silent.map(|trunk| trunk.peer.hop) {
                    self.note_silent(silent, now);
                }
                self.dial(key, now);
            }
            CallAction::TellCaller {
                status,
                early_media,
            } => {
                // Who has heard a ring tone of ours has its answer already. Who does not want to hear anything yet
                // waits for its answer all the same, before it says that it is ready.
                let is_told = early_media || !live.media.is_caller_listening();
                let is_news = is_told && !live.media.has_rung();
                let sdp = is_news.then(|| live.media.answer()).flatten();
                if sdp.is_some() {
                    live.media.tell_caller();
                }
                // A 180 would let its telephone ring over what it hears.
                let status = match live.media.has_rung() && status == 180 {
                    true => 183,
                    false => status,
                };
                live.note(now, Side::Caller, Way::Out, status, early(sdp.is_some()));
                self.sip(SipInput::Progress(caller_leg, status, sdp), now);
            }
            CallAction::AnswerCaller => {
                if let Some(sdp) = live.media.answer() {
                    live.media.tell_caller();
                    let note = match live.media.is_understood() {
                        true => "",
                        false => "relayed without prompts or recording",
                    };
                    live.note(now, Side::Caller, Way::Out, 200, note);
                    self.sip(SipInput::Answer(caller_leg, sdp), now);
                }
            }
            CallAction::RefuseCaller(ending) => {
                let unfit = live.media.why_unfit();
                let unfit = unfit.filter(|unfit| ending.reason == Reason::from(*unfit));
                let mut note = format!("cause {}, {}", ending.q850, ending.reason.name());
                if let Some(why) = unfit.map(Unfit::note).filter(|why| !why.is_empty()) {
                    note = format!("{note}: {why}");
                }
                live.note(now, Side::Caller, Way::Out, ending.status, note);
                match unfit.and_then(Unfit::warning) {
                    Some(warning) => self.refuse_leg_for(caller_leg, ending, warning, now),
                    None => self.refuse_leg(caller_leg, ending, now),
                }
            }
            CallAction::HangUp(side, cause) => self.hang_up(key, side, cause, now),
            CallAction::Ring(tone) => self.ring(key, tone, now),
            CallAction::StopRinging => {
                self.outputs
                    .push_back(Output::StopPlaying(key, Side::Caller));
            }
            CallAction::Announce { sound, answer } => {
                live.announcement = Some((sound, answer));
                self.announce(key, now);
            }
            // Its codec is not known yet.
            late @ (CallAction::Play(..) | CallAction::Record) if live.media.is_late() => {
                live.late.push(late)
            }
            CallAction::Play(..) if !live.media.is_understood() => {}
            CallAction::Play(side, prompt) => self.play(key, side, prompt.into()),
            // What we do not understand we cannot record; the ladder says so.
            CallAction::Record if !live.media.is_understood() => {}
            CallAction::Record => {
                let file = recording_file(now.wall, &live.record.call_id);
                live.record.recording = Some(file.clone());
                self.outputs
                    .push_back(Output::Record(key, RecordWish { file }));
            }
            CallAction::Offer(side) => self.pass_offer_on(key, side, now),
            CallAction::OfferWhatIs(side) => self.offer_what_is(key, side, now),
            CallAction::TellChange(side) => self.tell_change(key, side, now),
            CallAction::AcceptOffer(side) => self.accept_offer(key, side, now),
            CallAction::RefuseOffer(side, status) => self.refuse_offer(key, side, status, now),
            CallAction::WriteRow(binding, closing) => {
                if let Some(binding) = binding {
                    live.take_binding(&binding);
                }
                live.take_closing(&closing);
            }
            CallAction::CloseRow(closing) => live.take_closing(&closing),
            CallAction::Forget => self.forget(key),
        }
    }

    /// Media first: a call whose media we cannot carry is not dialled.
    fn dial(&mut self, key: CallKey, now: Moment) {
        let Some(live) = self.calls.get(&key) else {
            return;
        };
        if !live.media.is_usable() {
            let why = live.media.why_unfit().unwrap_or(Unfit::Codec);
            self.happen(key, CallInput::MediaRefused(why.into()), now);
        } else if live.media.is_leased() {
            self.send_invite(key, now);
        } else {
            self.ask_for_ports(key);
        }
    }

    fn ask_for_ports(&mut self, key: CallKey) {
        if let Some(live) = self.calls.get(&key) {
            let wish = LeaseWish {
                caller_advertised: live.trunk_in.said.rtp_advertised,
            };
            self.outputs.push_back(Output::LeaseMedia(key, wish));
        }
    }

    pub(super) fn on_lease(&mut self, key: CallKey, lease: Option<super::Lease>, now: Moment) {
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        let Some(lease) = lease else {
            return self.happen(key, CallInput::MediaRefused(Reason::Overload), now);
        };
        live.media.lease(lease);
        self.chains.enter(key, &lease);
        // Its ports are known only now, but could be guessed.
        if self.is_circular(key) {
            if let Some(live) = self.calls.get_mut(&key) {
                live.media.is_found_unfit(Unfit::Circle);
            }
            let refused = CallInput::MediaRefused(Reason::NoCommonCodec);
            return self.happen(key, refused, now);
        }
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        match live.announcement {
            Some(_) => self.announce(key, now),
            None => self.send_invite(key, now),
        }
    }

    pub(super) fn send_invite(&mut self, key: CallKey, now: Moment) {
        let leg = self.endpoint.new_leg();
        let session = self.session(key, &leg.as_u64().to_be_bytes(), now);
        let usual = self.setup.advertised;
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        let trunk = live.trunks.get(live.trunk);
        let (Some(callee), Some(trunk)) = (live.callee, trunk.cloned()) else {
            return self.happen(key, CallInput::MediaRefused(Reason::Unreachable), now);
        };
        // Others may have filled it since it was chosen.
        if self.admit(&trunk, now).is_err() {
            return self.pass_over(key, &trunk, now);
        }
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        let (codecs, reach) = (
            Codecs::of(&trunk.said),
            Reach::of_callee(&trunk, &self.setup),
        );
        let advertised = trunk.said.rtp_advertised;
        let Some(sdp) = live.media.offer_by(advertised, codecs, reach, session) else {
            return self.happen(key, CallInput::MediaRefused(Reason::NoCommonCodec), now);
        };
        live.callee_leg = Some(leg);
        live.trunk_out = Some(trunk.said.name.clone());
        self.loads.dial(&trunk.said, now.tick_ms);
        live.record.trunk_out = Some(trunk.said.name.to_string());
        let advertised = trunk.said.sip_advertised.unwrap_or(usual);
        let note = format!("to {callee} by {}, shown {}", trunk.said.name, live.x);
        live.note(now, Side::Callee, Way::Out, "INVITE", note);
        let dial = endpoint::Dial {
            hop: trunk.peer.hop,
            target: peers::target(&trunk.said, callee, trunk.peer.hop.address),
            identity: peers::identity(&trunk.said, live.x, advertised),
            max_forwards: live.max_forwards,
            sdp,
        };
        self.legs.insert(leg, (key, Side::Callee));
        self.sip(SipInput::Dial(leg, dial), now);
    }

    /// A trunk that is full is as good as one that refuses.
    fn pass_over(&mut self, key: CallKey, trunk: &Trunk, now: Moment) {
        if let Some(live) = self.calls.get_mut(&key) {
            let note = format!("{} is full", trunk.said.name);
            live.note(now, Side::Callee, Way::In, 503, note);
        }
        self.happen(key, CallInput::CalleeRefused(503, None, true), now);
    }

    /// Has the caller hear why the call fails. If that cannot be, it is refused without.
    fn announce(&mut self, key: CallKey, now: Moment) {
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        let Some((sound, by_answer)) = live.announcement else {
            return;
        };
        if live.media.is_usable() && !live.media.is_leased() {
            return self.ask_for_ports(key);
        }
        let Some((sdp, path)) = live.media.answer_alone() else {
            let refused = CallInput::MediaRefused(Reason::NoCommonCodec);
            return self.happen(key, refused, now);
        };
        let leg = live.caller_leg;
        let note = format!("plays {sound}");
        self.relay_by(key, path);
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        let said = match by_answer {
            true => {
                live.note(now, Side::Caller, Way::Out, 200, note);
                SipInput::Answer(leg, sdp)
            }
            // Who has heard a ring tone is listening already.
            false if live.media.has_rung() => return self.play(key, Side::Caller, sound),
            false => {
                live.note(now, Side::Caller, Way::Out, 183, note);
                SipInput::Progress(leg, 183, Some(sdp))
            }
        };
        self.sip(said, now);
        self.play(key, Side::Caller, sound);
    }

    fn play(&mut self, key: CallKey, side: Side, sound: Sound) {
        self.outputs
            .push_back(Output::Play(key, side, sound, Repeat::Once));
    }

    pub(super) fn refuse_leg(&mut self, leg: LegId, ending: Ending, now: Moment) {
        self.legs.remove(&leg);
        let refusal = Refusal {
            status: ending.status,
            cause: Some(ending.q850),
        };
        self.sip(SipInput::Refuse(leg, refusal), now);
    }

    /// The same, saying what is wrong with its media.
    fn refuse_leg_for(&mut self, leg: LegId, ending: Ending, warning: Warning, now: Moment) {
        self.legs.remove(&leg);
        let refusal = Refusal {
            status: ending.status,
            cause: Some(ending.q850),
        };
        self.sip(SipInput::RefuseFor(leg, refusal, warning), now);
    }

    fn hang_up(&mut self, key: CallKey, side: Side, cause: u8, now: Moment) {
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        let is_answered = side == Side::Caller || live.call.milestones().answered.is_some();
        let what = if is_answered { "BYE" } else { "CANCEL" };
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
            self.chains.leave(key, &lease);
        }
        self.call_limits.leave(live.x, live.record.caller);
        self.loads.leave(&live.trunk_in.said.name);
        self.legs.remove(&live.caller_leg);
        live.callee_leg.map(|leg| self.legs.remove(&leg));
        let is_recorded = live.record.released_at.is_some();
        self.outputs.push_back(Output::Finish(
            key,
            is_recorded.then(|| Box::new(live.record)),
        ));
    }
}

pub(super) fn early(with_media: bool) -> &'static str {
    if with_media { "with media" } else { "" }
}
