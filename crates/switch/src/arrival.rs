//! A call arrives, and learns its route.

use super::active_call::ActiveCall;
use super::codecs::Codecs;
use super::ladder::Way;
use super::media::Media;
use super::media_names::Resolved;
use super::media_reach::Reach;
use super::{CallKey, Output, Routing, Switch};
use crate::{TrunkPeer, numbers, peers};
use maskline_domain::PhoneNumber;
use maskline_domain::call::admission::{Arrival, NotTaken, admit};
use maskline_domain::call::{Call, CallTerms, DialOptions, Input as CallInput, Moment, Side};
use maskline_domain::call_record::CallRecord;
use maskline_domain::routing::RouteQuery;
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
        let (trunk_in, x) = match self.admit_from(peer, invite, now) {
            Ok(admitted) => admitted,
            Err(why) => {
                self.turned_away.count(why);
                return self.refuse_leg(leg, why.ending(), now);
            }
        };
        self.last_call += 1;
        let key = CallKey::from(self.last_call);
        let caller = peers::caller(&trunk_in.definition, invite).number;
        let record = CallRecord {
            call_id: self.call_id(key, now),
            node: self.setup.node.clone(),
            boot: self.setup.boot.clone(),
            x: Some(x),
            caller,
            trunk_in: Some(trunk_in.definition.name.to_string()),
            arrived_at: now.wall,
            ..CallRecord::default()
        };
        let terms = CallTerms {
            duration_max_s: self.setup.duration_max_s,
            prompts: trunk_in.definition.prompts,
            notice: self.setup.notice,
        };
        let sessions = [
            self.session(key, b"caller", now),
            self.session(key, b"callee", now),
        ];
        let codecs = Codecs::of(&trunk_in.definition);
        let said = invite.sdp().unwrap_or_default();
        let reach = Reach::of_caller(&trunk_in, &self.setup);
        let mut media = Media::from_offer(said, named.ok().flatten(), codecs, reach, sessions);
        if let Err(why) = named {
            media.mark_unfit(why);
        }
        let mut live = ActiveCall {
            call: Call::new(terms, now),
            record,
            reached: Vec::new(),
            ladder: Default::default(),
            began_ms: now.tick_ms,
            x,
            over_limit: self.call_limits.enter(x, caller, &self.setup),
            caller_leg: leg,
            media,
            trunk_in,
            callee_leg: None,
            trunks: Vec::new(),
            trunk: 0,
            trunk_out: None,
            max_forwards: max_forwards.saturating_sub(1),
            waits_for_ports: None,
            reply: None,
            scheduled: None,
        };
        let who = caller.map_or_else(|| "a withheld number".into(), |caller| caller.to_string());
        let note = format!("{who} dials {x}");
        live.note(now, Side::Caller, Way::In, "INVITE", note);
        self.loads.enter(&live.trunk_in.definition.name);
        self.calls.insert(key, Box::new(live));
        self.legs.insert(leg, (key, Side::Caller));
        self.reschedule(key);
        self.outputs
            .push_back(Output::AskRoute(key, RouteQuery { caller, x }));
    }

    /// The trunk by which a call comes and the number that it dials, if it is taken.
    fn admit_from(
        &mut self,
        peer: PeerId,
        invite: &Message,
        now: Moment,
    ) -> Result<(TrunkPeer, PhoneNumber), NotTaken> {
        let trunk = self.trunk_of(peer).ok_or(NotTaken::Overload)?.clone();
        let arrival = Arrival {
            is_draining: self.draining,
            calls: self.calls.len(),
            calls_max: self.setup.calls_max,
            load: self.loads.of(&trunk.definition.name, now.tick_ms),
            is_forwarded: is_forwarded(invite),
            x: numbers::dialled_on(invite, trunk.definition.home_area),
        };
        let x = admit(&trunk.definition, arrival)?;
        Ok((trunk, x))
    }

    pub(super) fn on_route(&mut self, key: CallKey, routing: Routing, now: Moment) {
        let Some(live) = self.calls.get(&key) else {
            return;
        };
        let fits = |trunk: TrunkPeer| (live.media.fits(&Codecs::of(&trunk.definition)), trunk);
        let trunks: Vec<_> = routing.trunks.into_iter().map(fits).collect();
        let (trunks, further) = self.choose(trunks, now);
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        live.record.pool = routing.pool.map(|pool| pool.to_string());
        live.record.account = routing.account.map(|account| account.to_string());
        live.trunks = trunks;
        let options = DialOptions {
            trunks: live.trunks.len(),
            further,
            over_limit: live.over_limit,
            tone: routing.tone,
        };
        self.give_to_call(key, CallInput::Routed(routing.route, options), now);
    }
}
