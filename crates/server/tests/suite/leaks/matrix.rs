//! The call matrix: what two parties do to each other, as scripts. None of them looks at who they are.

mod changed;
mod connected;
mod unconnected;

use crate::leaks::parties::Parties;
use crate::leaks::world::{Bound, World};
use maskline_domain::call::Side;

/// One cell: what X is bound to, and what is done.
pub struct Scene {
    pub name: &'static str,
    pub bound: Bound,
    act: fn(&mut World),
}

impl Scene {
    /// Plays it with these people to its very end.
    pub fn play(&self, parties: Parties) -> World {
        let mut world = World::new(parties, self.bound);
        self.act_in(&mut world);
        world
    }

    /// Plays it in a world that something was done to before.
    pub fn act_in(&self, world: &mut World) {
        (self.act)(world);
        world.finish();
    }
}

pub fn scene(name: &str) -> &'static Scene {
    let found = SCENES.iter().find(|scene| scene.name == name);
    found.expect("a scene of this name")
}

use Bound::*;

#[rustfmt::skip]
pub const SCENES: &[Scene] = &[
    // Connected.
    Scene { name: "the caller hangs up", bound: ToCallee, act: connected::caller_hangs_up },
    Scene { name: "the callee hangs up", bound: ToCallee, act: connected::callee_hangs_up },
    Scene { name: "both hang up at once", bound: ToCallee, act: connected::both_hang_up },
    Scene { name: "A reaches its default B", bound: ToCallerWithB, act: connected::caller_hangs_up },
    Scene { name: "A reaches B", bound: Pair, act: connected::callee_hangs_up },
    Scene { name: "B reaches A", bound: PairReversed, act: connected::caller_hangs_up },
    Scene { name: "a withheld number", bound: ToCallee, act: connected::withheld },
    Scene { name: "early media", bound: ToCallee, act: connected::early_media },
    Scene { name: "a ring tone of ours", bound: ToCallee, act: connected::ring_tone },
    Scene { name: "a ring tone of ours before early media", bound: ToCallee, act: connected::ring_tone_then_early_media },
    Scene { name: "a ring tone of ours in vain", bound: ToCallee, act: connected::ring_tone_in_vain },
    Scene { name: "several provisional responses", bound: ToCallee, act: connected::several_provisional },
    Scene { name: "reliable provisional responses to the caller", bound: ToCallee, act: connected::reliable_to_caller },
    Scene { name: "reliable provisional responses from the callee", bound: ToCallee, act: connected::reliable_from_callee },
    Scene { name: "two phones ring", bound: ToCallee, act: connected::forked },
    Scene { name: "an offer only in the answer", bound: ToCallee, act: connected::delayed_offer },
    Scene { name: "video and a stranger's codec", bound: ToCallee, act: connected::several_media },
    Scene { name: "a codec that we only pass on", bound: ToCallee, act: connected::passed_on_codec },
    Scene { name: "an offer in a multipart body", bound: ToCallee, act: connected::multipart_offer },
    Scene { name: "an answer in a multipart body", bound: ToCallee, act: connected::multipart_answer },
    Scene { name: "phones behind NAT", bound: ToCallee, act: |world| connected::agreed(world, |trunk| trunk.nat = true) },
    Scene { name: "the callee's carrier wants credentials", bound: ToCallee, act: connected::we_authenticate },
    Scene { name: "the caller must authenticate itself", bound: ToCallee, act: connected::caller_authenticates },
    Scene { name: "a caller who cannot authenticate itself", bound: ToCallee, act: connected::caller_fails_to_authenticate },
    Scene { name: "both carriers are registered with", bound: ToCallee, act: connected::registered },
    Scene { name: "the answer is never acknowledged", bound: ToCallee, act: connected::no_ack },
    Scene { name: "strangers speak for both sides", bound: ToCallee, act: connected::unknown_sources_speak },
    Scene { name: "nobody answers a goodbye", bound: ToCallee, act: connected::no_goodbye },
    Scene { name: "all calls are ended", bound: ToCallee, act: connected::ended_by_us },
    Scene { name: "the longest time", bound: ToCallee, act: connected::longest },
    Scene { name: "the preferred identity is X", bound: ToCallee, act: |world| connected::agreed(world, connected::preferred) },
    Scene { name: "the line's own number", bound: PairReversed, act: |world| connected::agreed(world, connected::pilot) },
    Scene { name: "identities by another header", bound: Pair, act: |world| connected::agreed(world, connected::other_header) },
    Scene { name: "forwarded calls are not taken", bound: ToCallee, act: connected::forwarded },
    Scene { name: "another trunk after a refusal", bound: ToCallee, act: connected::another_trunk },
    Scene { name: "another trunk after silence", bound: ToCallee, act: connected::another_trunk_after_silence },
    // Changed while it stands.
    Scene { name: "the caller holds and resumes", bound: ToCallee, act: |world| changed::hold(world, Side::Caller, "INVITE") },
    Scene { name: "the callee holds and resumes", bound: ToCallee, act: |world| changed::hold(world, Side::Callee, "INVITE") },
    Scene { name: "the caller holds by UPDATE", bound: ToCallee, act: |world| changed::hold(world, Side::Caller, "UPDATE") },
    Scene { name: "the callee holds by UPDATE", bound: ToCallee, act: |world| changed::hold(world, Side::Callee, "UPDATE") },
    Scene { name: "the caller moves", bound: ToCallee, act: |world| changed::ask_for_offer(world, Side::Caller) },
    Scene { name: "the callee moves", bound: ToCallee, act: |world| changed::ask_for_offer(world, Side::Callee) },
    Scene { name: "a fax is tried", bound: ToCallee, act: changed::fax },
    Scene { name: "the caller presses keys", bound: ToCallee, act: |world| changed::keys(world, Side::Caller) },
    Scene { name: "the callee presses keys", bound: ToCallee, act: |world| changed::keys(world, Side::Callee) },
    Scene { name: "the caller asks for odd things", bound: ToCallee, act: |world| changed::odd(world, Side::Caller) },
    Scene { name: "the callee asks for odd things", bound: ToCallee, act: |world| changed::odd(world, Side::Callee) },
    // Not connected.
    Scene { name: "the caller gives up at once", bound: ToCallee, act: unconnected::gives_up_at_once },
    Scene { name: "the caller gives up while it rings", bound: ToCallee, act: unconnected::gives_up_ringing },
    Scene { name: "giving up crosses the answer", bound: ToCallee, act: unconnected::gives_up_too_late },
    Scene { name: "no answer", bound: ToCallee, act: unconnected::no_answer },
    Scene { name: "busy", bound: ToCallee, act: |world| unconnected::refused(world, 486, "") },
    Scene { name: "busy in another city", bound: ToCallee, act: |world| unconnected::refused(world, 600, "Reason: Q.850;cause=34\r\n") },
    Scene { name: "declined", bound: ToCallee, act: |world| unconnected::refused(world, 603, "") },
    Scene { name: "not there", bound: ToCallee, act: |world| unconnected::refused(world, 480, "Reason: Q.850;cause=20\r\n") },
    Scene { name: "no such number", bound: ToCallee, act: |world| unconnected::refused(world, 404, "") },
    Scene { name: "moved", bound: ToCallee, act: |world| unconnected::refused(world, 302, "Reason: Q.850;cause=23\r\n") },
    Scene { name: "who are you", bound: ToCallee, act: unconnected::challenged },
    Scene { name: "out of order", bound: ToCallee, act: |world| unconnected::refused(world, 503, "Retry-After: 17\r\n") },
    Scene { name: "refused after ringing", bound: ToCallee, act: unconnected::refused_ringing },
    Scene { name: "silence", bound: ToCallee, act: unconnected::silence },
    Scene { name: "a codec that nobody offered", bound: ToCallee, act: unconnected::foreign_codec },
    Scene { name: "no codec of ours", bound: ToCallee, act: unconnected::no_codec },
    Scene { name: "X is bound to nobody", bound: Nobody, act: unconnected::turned_away },
    Scene { name: "A has nobody to reach", bound: ToCallerAlone, act: unconnected::turned_away },
    Scene { name: "A may not call back", bound: ToCallerWithoutCallBack, act: unconnected::turned_away },
    Scene { name: "the binding forbids it", bound: Restricted, act: unconnected::turned_away },
    Scene { name: "all trunks refuse", bound: ToCallee, act: unconnected::all_trunks_refuse },
    Scene { name: "told by an answer that X is bound to nobody", bound: Nobody, act: unconnected::told_by_answer },
    Scene { name: "told by an answer that it is busy", bound: ToCallee, act: unconnected::told_by_answer_busy },
    Scene { name: "told by no prompt", bound: Restricted, act: unconnected::told_by_none },
    Scene { name: "an unknown X", bound: ToCallee, act: unconnected::unknown_x },
    Scene { name: "a loop", bound: ToCallee, act: unconnected::looped },
    Scene { name: "no more calls", bound: ToCallee, act: unconnected::drained },
];
