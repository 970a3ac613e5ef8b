//! A call arrives, and learns its route.

use super::active_call::ActiveCall;
use super::codecs::Codecs;
use super::ladder::Way;
use super::media::Media;
use super::media_names::{Resolved, with_address};
use super::media_reach::Reach;
use super::{CallKey, Output, Routing, Switch};
use crate::{Trunk, numbers, peers};
use maskline_domain::call::{
    Call, DialOptions, Ending, Input as CallInput, Moment, Reason, Side, TRUNKS_TRIED_MAX, Terms,
};
use maskline_domain::call_record::CallRecord;
use maskline_domain::routing::Dial as Query;
use maskline_domain::trunk::{Diversion, Load, PromptPolicy};
use maskline_sip::endpoint::{LegId, PeerId};
use maskline_sip::identity::is_forwarded;
use maskline_sip::message::Message;

impl Switch {
    pub(super) fn on_incoming(
        &mut self,
        leg: LegId,
        peer: PeerId,
        invite: &Message,
        max_forwards: u8,
        named: Resolved,
        now: Moment,
    ) {
        // Whose trunk is gone is no peer any more.
        let trunk_in = self.trunk_of(peer).cloned();
        let (Some(trunk_in), false) = (trunk_in, self.is_full()) else {
            self.turned_away.sip.overload += 1;
            return self.refuse_leg(leg, Ending::of(Reason::Overload), now);
        };
        let load = self.loads.of(&trunk_in.said.name, now.tick_ms);
        // How many it is sent in a second says nothing of those that it sends.
        let load = Load {
            begun_last_s: 0,
            ..load
        };
        if trunk_in.said.admits(load).is_err() {
            self.turned_away.trunk_full += 1;
            return self.refuse_leg(leg, Ending::of(Reason::Overload), now);
        }
        if trunk_in.said.diversion == Diversion::Refuse && is_forwarded(invite) {
            self.turned_away.forwarded += 1;
            return self.refuse_leg(leg, Ending::of(Reason::Restricted), now);
        }
        let Some(x) = numbers::dialled_on(invite, trunk_in.said.home_area) else {
            self.turned_away.sip.screened += 1;
            return self.refuse_leg(leg, Ending::of(Reason::XUnknown), now);
        };
        self.last_call += 1;
        let key = CallKey::from(self.last_call);
        let caller = peers::caller(&trunk_in.said, invite).number;
        let record = CallRecord {
            call_id: self.call_id(key, now),
            node: self.setup.node.clone(),
            boot: self.setup.boot.clone(),
            x: Some(x),
            caller,
            trunk_in: Some(trunk_in.said.name.to_string()),
            arrived_at: now.wall,
            ..CallRecord::default()
        };
        let terms = Terms {
            duration_max_s: self.setup.duration_max_s,
            prompts: trunk_in.said.prompts,
            notice: self.setup.notice,
        };
        let sessions = [
            self.session(key, b"caller", now),
            self.session(key, b"callee", now),
        ];
        let codecs = Codecs::of(&trunk_in.said);
        let said = invite.sdp().unwrap_or_default();
        let offer = match named {
            Ok(Some(address)) => with_address(said, address),
            Ok(None) | Err(_) => said.into(),
        };
        let reach = Reach::of_caller(&trunk_in, &self.setup);
        let mut media = Media::from_offer(&offer, codecs, reach, sessions);
        if let Err(why) = named {
            media.is_found_unfit(why);
        }
        let mut live = ActiveCall {
            call: Call::new(terms, now),
            record,
            ladder: Default::default(),
            began_ms: now.tick_ms,
            x,
            over_limit: self.call_limits.enter(x, caller, &self.setup),
            caller_leg: leg,
            media,
            trunk_in,
            callee_leg: None,
            callee: None,
            trunks: Vec::new(),
            further: 0,
            trunk: 0,
            trunk_out: None,
            max_forwards: max_forwards.saturating_sub(1),
            announcement: None,
            late: Vec::new(),
            reply: None,
            scheduled: None,
        };
        let who = caller.map_or_else(|| "a withheld number".into(), |caller| caller.to_string());
        let note = format!("{who} dials {x}");
        live.note(now, Side::Caller, Way::In, "INVITE", note);
        self.loads.enter(&live.trunk_in.said.name);
        self.calls.insert(key, Box::new(live));
        self.legs.insert(leg, (key, Side::Caller));
        self.reschedule(key);
        self.outputs
            .push_back(Output::AskRoute(key, Query { caller, x }));
    }

    fn is_full(&self) -> bool {
        self.draining || self.calls.len() >= self.setup.calls_max
    }

    pub(super) fn on_route(&mut self, key: CallKey, routing: Routing, now: Moment) {
        let Some(live) = self.calls.get(&key) else {
            return;
        };
        // A trunk whose codecs do not fit is passed over. Where none fits, that is why the call fails.
        let fits = |trunk: &Trunk| live.media.fits(&Codecs::of(&trunk.said));
        let (fitting, others): (Vec<_>, Vec<_>) = routing.trunks.into_iter().partition(fits);
        let trunks = if fitting.is_empty() { others } else { fitting };
        let mut trunks = self.choose(trunks, now);
        trunks.truncate(TRUNKS_TRIED_MAX);
        let (trunks, further) = self.places(trunks, now);
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        live.record.pool = routing.pool.map(|pool| pool.to_string());
        live.record.account = routing.account.map(|account| account.to_string());
        live.trunks = trunks;
        live.further = further;
        let options = DialOptions {
            trunks: live.trunks.len(),
            further,
            over_limit: live.over_limit,
            tone: routing.tone,
        };
        if routing.tone.is_some() && live.trunk_in.said.prompts == PromptPolicy::Early {
            live.media.expect_tone();
        }
        self.happen(key, CallInput::Routed(routing.route, options), now);
    }
}
