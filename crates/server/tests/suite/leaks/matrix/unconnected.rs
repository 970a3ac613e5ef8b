//! Calls that reach nobody.

use crate::leaks::world::{World, X};
use maskline_domain::trunk::PromptPolicy;

pub(super) fn gives_up_at_once(world: &mut World) {
    world.dial();
    world.caller.cancel();
    world.settle();
    world.pass(1_000);
    world.reply(180, None);
}

pub(super) fn gives_up_ringing(world: &mut World) {
    world.dial();
    world.reply(180, None);
    world.pass(4_000);
    world.caller.cancel();
    world.settle();
    assert!(world.callee.has_heard("CANCEL"));
}

pub(super) fn gives_up_too_late(world: &mut World) {
    world.callee.is_polite = false;
    world.dial();
    world.reply(180, None);
    world.caller.cancel();
    world.settle();
    world.callee.is_polite = true;
    world.answer();
}

pub(super) fn no_answer(world: &mut World) {
    world.dial();
    world.reply(180, None);
    world.pass(40_000);
    assert!(world.callee.has_heard("CANCEL"));
}

pub(super) fn refused(world: &mut World, status: u16, headers: &str) {
    world.dial();
    world.callee.reply(status, headers, None);
    world.settle();
}

pub(super) fn challenged(world: &mut World) {
    world.dial();
    let party = &world.callee.party;
    let challenge = format!(
        "Proxy-Authenticate: Digest realm=\"{} {}\", nonce=\"{}\"\r\n",
        party.name, party.number, party.word
    );
    world.callee.reply(407, &challenge, None);
    world.settle();
}

pub(super) fn refused_ringing(world: &mut World) {
    world.dial();
    let body = world.callee.audio();
    world.reply(183, Some(&body));
    world.pass(2_000);
    world.reply(486, None);
}

pub(super) fn foreign_codec(world: &mut World) {
    let body = world.caller.party.sdp("8", "", "sendrecv");
    world.caller.dial(X, Some(&body));
    world.settle();
    let body = world.callee.party.sdp("0", "", "sendrecv");
    world.reply(200, Some(&body));
}

pub(super) fn no_codec(world: &mut World) {
    let body = world
        .caller
        .party
        .sdp("18", "a=rtpmap:18 G729/8000\r\n", "sendrecv");
    world.caller.dial(X, Some(&body));
    world.settle();
    world.answer();
}

pub(super) fn turned_away(world: &mut World) {
    world.dial();
    assert!(world.to_callee.is_empty(), "the callee is left in peace");
}

pub(super) fn all_trunks_refuse(world: &mut World) {
    world.trunks = 2;
    world.dial();
    world.reply(503, None);
    world.reply(500, None);
}

pub(super) fn told_by_answer(world: &mut World) {
    world.agree(|trunk| trunk.prompts = PromptPolicy::Answer);
    world.dial();
    assert!(world.caller.has_heard("200 INVITE"));
    world.pass(10_000);
    assert!(world.caller.has_heard("BYE"));
}

pub(super) fn told_by_answer_busy(world: &mut World) {
    world.agree(|trunk| trunk.prompts = PromptPolicy::Answer);
    world.dial();
    world.reply(486, None);
    world.pass(10_000);
}

pub(super) fn told_by_none(world: &mut World) {
    world.agree(|trunk| trunk.prompts = PromptPolicy::None);
    world.dial();
    assert!(world.caller.has_heard("403 INVITE"));
}

pub(super) fn unknown_x(world: &mut World) {
    let body = world.caller.audio();
    world.caller.dial("17099999999", Some(&body));
    world.settle();
    assert!(world.caller.has_heard("404 INVITE"));
}

pub(super) fn looped(world: &mut World) {
    let body = world.caller.audio();
    let from = format!("<sip:{X}@{}>", world.caller.party.host);
    world.caller.dial_as(X, &from, "", Some(&body));
    world.settle();
    assert!(world.to_callee.is_empty(), "the callee is left in peace");
}

pub(super) fn drained(world: &mut World) {
    world.drain();
    world.dial();
    assert!(world.caller.has_heard("503 INVITE"));
}

pub(super) fn silence(world: &mut World) {
    world.is_callee_deaf = true;
    world.dial();
}
