//! The call matrix: what two parties do to each other, as scripts. None of them looks at who they are.

use crate::people::{Cast, Guise};
use crate::world::{Bound, Sent, World, X};
use maskline_domain::call::Side;
use maskline_domain::trunk::{
    Diversion, IdentityIn, IdentityOut, NumberForm, Privacy, PromptPolicy, Trunk,
};
use maskline_domain::{PhoneNumber, ToneCode};
use maskline_sip::digest::Credentials;
use maskline_sip::endpoint::Registration;

/// One cell: what X is bound to, and what is done.
pub struct Scene {
    pub name: &'static str,
    pub bound: Bound,
    act: fn(&mut World),
}

impl Scene {
    /// Plays it with these people to its very end.
    pub fn play(&self, cast: Cast) -> World {
        let mut world = World::new(cast, self.bound);
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
    Scene { name: "the caller hangs up", bound: ToCallee, act: caller_hangs_up },
    Scene { name: "the callee hangs up", bound: ToCallee, act: callee_hangs_up },
    Scene { name: "both hang up at once", bound: ToCallee, act: both_hang_up },
    Scene { name: "A reaches its default B", bound: ToCallerWithB, act: caller_hangs_up },
    Scene { name: "A reaches B", bound: Pair, act: callee_hangs_up },
    Scene { name: "B reaches A", bound: PairReversed, act: caller_hangs_up },
    Scene { name: "a withheld number", bound: ToCallee, act: withheld },
    Scene { name: "early media", bound: ToCallee, act: early_media },
    Scene { name: "a ring tone of ours", bound: ToCallee, act: ring_tone },
    Scene { name: "a ring tone of ours before early media", bound: ToCallee, act: ring_tone_then_early_media },
    Scene { name: "a ring tone of ours in vain", bound: ToCallee, act: ring_tone_in_vain },
    Scene { name: "several provisional responses", bound: ToCallee, act: several_provisional },
    Scene { name: "reliable provisional responses to the caller", bound: ToCallee, act: reliable_to_caller },
    Scene { name: "reliable provisional responses from the callee", bound: ToCallee, act: reliable_from_callee },
    Scene { name: "two phones ring", bound: ToCallee, act: forked },
    Scene { name: "an offer only in the answer", bound: ToCallee, act: delayed_offer },
    Scene { name: "video and a stranger's codec", bound: ToCallee, act: several_media },
    Scene { name: "a codec that we only pass on", bound: ToCallee, act: passed_on_codec },
    Scene { name: "papers of an exchange beside the offer", bound: ToCallee, act: papers },
    Scene { name: "papers of an exchange beside the answer", bound: ToCallee, act: papers_in_answer },
    Scene { name: "phones behind NAT", bound: ToCallee, act: |world| agreed(world, |trunk| trunk.nat = true) },
    Scene { name: "the callee's carrier wants a proof", bound: ToCallee, act: we_prove },
    Scene { name: "the caller must prove who it is", bound: ToCallee, act: caller_proves },
    Scene { name: "a caller who cannot prove who it is", bound: ToCallee, act: caller_proves_nothing },
    Scene { name: "both carriers are registered with", bound: ToCallee, act: registered },
    Scene { name: "the answer is never acknowledged", bound: ToCallee, act: no_ack },
    Scene { name: "nobody answers a goodbye", bound: ToCallee, act: no_goodbye },
    Scene { name: "all calls are ended", bound: ToCallee, act: ended_by_us },
    Scene { name: "the longest time", bound: ToCallee, act: longest },
    Scene { name: "the preferred identity is X", bound: ToCallee, act: |world| agreed(world, preferred) },
    Scene { name: "the line's own number", bound: PairReversed, act: |world| agreed(world, pilot) },
    Scene { name: "identities by another header", bound: Pair, act: |world| agreed(world, other_header) },
    Scene { name: "forwarded calls are not taken", bound: ToCallee, act: forwarded },
    Scene { name: "another trunk after a refusal", bound: ToCallee, act: another_trunk },
    Scene { name: "another trunk after silence", bound: ToCallee, act: another_trunk_after_silence },
    // Changed while it stands.
    Scene { name: "the caller holds and resumes", bound: ToCallee, act: |world| hold(world, Side::Caller, "INVITE") },
    Scene { name: "the callee holds and resumes", bound: ToCallee, act: |world| hold(world, Side::Callee, "INVITE") },
    Scene { name: "the caller holds by UPDATE", bound: ToCallee, act: |world| hold(world, Side::Caller, "UPDATE") },
    Scene { name: "the callee holds by UPDATE", bound: ToCallee, act: |world| hold(world, Side::Callee, "UPDATE") },
    Scene { name: "the caller moves", bound: ToCallee, act: |world| ask_for_offer(world, Side::Caller) },
    Scene { name: "the callee moves", bound: ToCallee, act: |world| ask_for_offer(world, Side::Callee) },
    Scene { name: "a fax is tried", bound: ToCallee, act: fax },
    Scene { name: "the caller presses keys", bound: ToCallee, act: |world| keys(world, Side::Caller) },
    Scene { name: "the callee presses keys", bound: ToCallee, act: |world| keys(world, Side::Callee) },
    Scene { name: "the caller asks for odd things", bound: ToCallee, act: |world| odd(world, Side::Caller) },
    Scene { name: "the callee asks for odd things", bound: ToCallee, act: |world| odd(world, Side::Callee) },
    // Not connected.
    Scene { name: "the caller gives up at once", bound: ToCallee, act: gives_up_at_once },
    Scene { name: "the caller gives up while it rings", bound: ToCallee, act: gives_up_ringing },
    Scene { name: "giving up crosses the answer", bound: ToCallee, act: gives_up_too_late },
    Scene { name: "no answer", bound: ToCallee, act: no_answer },
    Scene { name: "busy", bound: ToCallee, act: |world| refused(world, 486, "") },
    Scene { name: "busy in another town", bound: ToCallee, act: |world| refused(world, 600, "Reason: Q.850;cause=34\r\n") },
    Scene { name: "declined", bound: ToCallee, act: |world| refused(world, 603, "") },
    Scene { name: "not there", bound: ToCallee, act: |world| refused(world, 480, "Reason: Q.850;cause=20\r\n") },
    Scene { name: "no such number", bound: ToCallee, act: |world| refused(world, 404, "") },
    Scene { name: "moved", bound: ToCallee, act: |world| refused(world, 302, "Reason: Q.850;cause=23\r\n") },
    Scene { name: "who are you", bound: ToCallee, act: challenged },
    Scene { name: "out of order", bound: ToCallee, act: |world| refused(world, 503, "Retry-After: 17\r\n") },
    Scene { name: "refused after ringing", bound: ToCallee, act: refused_ringing },
    Scene { name: "silence", bound: ToCallee, act: silence },
    Scene { name: "a codec that nobody offered", bound: ToCallee, act: foreign_codec },
    Scene { name: "no codec of ours", bound: ToCallee, act: no_codec },
    Scene { name: "X is bound to nobody", bound: Nobody, act: turned_away },
    Scene { name: "A has nobody to reach", bound: ToCallerAlone, act: turned_away },
    Scene { name: "A may not call back", bound: ToCallerWithoutCallBack, act: turned_away },
    Scene { name: "the binding forbids it", bound: Restricted, act: turned_away },
    Scene { name: "all trunks refuse", bound: ToCallee, act: all_trunks_refuse },
    Scene { name: "told by an answer that X is bound to nobody", bound: Nobody, act: told_by_answer },
    Scene { name: "told by an answer that it is busy", bound: ToCallee, act: told_by_answer_busy },
    Scene { name: "told by no prompt", bound: Restricted, act: told_by_none },
    Scene { name: "an unknown X", bound: ToCallee, act: unknown_x },
    Scene { name: "a loop", bound: ToCallee, act: looped },
    Scene { name: "no more calls", bound: ToCallee, act: drained },
];

fn caller_hangs_up(world: &mut World) {
    world.talk();
    world.caller.bye();
    world.settle();
    assert!(world.callee.has_heard("BYE"));
}

fn callee_hangs_up(world: &mut World) {
    world.talk();
    world.callee.bye();
    world.settle();
    assert!(world.caller.has_heard("BYE"));
}

fn both_hang_up(world: &mut World) {
    world.talk();
    world.caller.bye();
    world.callee.bye();
    world.settle();
}

fn withheld(world: &mut World) {
    let body = world.caller.audio();
    let from = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";
    world
        .caller
        .dial_as(X, from, "Privacy: id\r\n", Some(&body));
    world.settle();
    world.reply(180, None);
    world.answer();
    world.caller.bye();
    world.settle();
}

fn early_media(world: &mut World) {
    world.dial();
    let body = world.callee.audio();
    world.reply(183, Some(&body));
    world.pass(2_000);
    world.answer();
    world.pass(1_000);
    world.callee.bye();
    world.settle();
}

fn ring_tone(world: &mut World) {
    world.tone = Some(ToneCode::NETWORK);
    world.talk();
    let hears = |what: &[u8]| world.to_caller.iter().any(|sent| sent.bytes == what);
    assert!(hears(b"plays ring tone 0") && hears(b"plays no more"));
    world.callee.bye();
    world.settle();
}

fn ring_tone_then_early_media(world: &mut World) {
    world.tone = Some(ToneCode::NETWORK);
    world.dial();
    world.reply(180, None);
    world.pass(2_000);
    let body = world.callee.audio();
    world.reply(183, Some(&body));
    world.pass(2_000);
    world.reply(486, None);
}

fn ring_tone_in_vain(world: &mut World) {
    world.tone = Some(ToneCode::NETWORK);
    world.caller.is_reliable = true;
    world.dial();
    world.reply(180, None);
    world.pass(60_000);
    assert!(world.callee.has_heard("CANCEL"));
}

fn several_provisional(world: &mut World) {
    world.dial();
    let body = world.callee.audio();
    for (status, body) in [
        (100, None),
        (180, None),
        (183, Some(body.as_str())),
        (182, None),
        (180, Some(body.as_str())),
        (199, None),
        (181, None),
    ] {
        world.reply(status, body);
        world.pass(700);
    }
    world.reply(200, None);
    world.pass(1_000);
    world.caller.bye();
    world.settle();
}

fn reliable_to_caller(world: &mut World) {
    world.caller.is_reliable = true;
    early_media(world);
}

fn reliable_from_callee(world: &mut World) {
    world.callee.is_reliable = true;
    early_media(world);
}

fn forked(world: &mut World) {
    world.dial();
    let body = world.callee.audio();
    world.reply(183, Some(&body));
    world.callee.fork();
    world.reply(180, None);
    world.answer();
    world.pass(1_000);
    world.caller.bye();
    world.settle();
}

fn delayed_offer(world: &mut World) {
    let body = world.caller.audio();
    world.caller.accepts = Some(body);
    world.caller.dial(X, None);
    world.settle();
    world.reply(180, None);
    world.answer();
    world.pass(1_000);
    world.caller.bye();
    world.settle();
}

fn several_media(world: &mut World) {
    let audio = world.caller.guise.sdp(
        "96 8 101 13",
        "a=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\na=rtpmap:13 CN/8000\r\n",
        "sendrecv",
    );
    let body = format!("{audio}m=video 0 RTP/AVP 97\r\nm=application 9 UDP/BFCP *\r\n");
    world.caller.dial(X, Some(&body));
    world.settle();
    let body = world.callee.guise.sdp(
        "8 101",
        "a=rtpmap:101 telephone-event/8000\r\na=ptime:30\r\n",
        "sendrecv",
    );
    world.reply(200, Some(&body));
    world.pass(1_000);
    world.callee.bye();
    world.settle();
}

fn passed_on_codec(world: &mut World) {
    let sdp = |guise: &Guise| {
        let Guise {
            number, word, name, ..
        } = guise;
        let attributes = format!(
            "a=rtpmap:96 AMR/8000/1\r\na=fmtp:96 octet-align=1; x-{word}={number}; mode-set={number}; max-red={name}\r\n\
             a=rtpmap:97 x-{word}/8000\r\na=fmtp:97 {number}\r\na=rtpmap:101 telephone-event/8000\r\n\
             a=fmtp:101 0-15,{number}\r\n"
        );
        guise.sdp("96 97 101", &attributes, "sendrecv")
    };
    let body = sdp(&world.caller.guise);
    world.caller.dial(X, Some(&body));
    world.settle();
    let body = sdp(&world.callee.guise);
    world.reply(200, Some(&body));
    for side in Side::BOTH {
        let is_told = |sent: &Sent| String::from_utf8_lossy(&sent.bytes).contains("AMR/8000");
        assert!(world.sent(side).iter().any(is_told), "it crosses");
    }
    assert!(world.caller.has_heard("200 INVITE"));
    world.pass(1_000);
    world.callee.bye();
    world.settle();
}

/// A description among what an exchange sends along.
fn with_papers(guise: &Guise, sdp: &str) -> String {
    let Guise { number, name, .. } = guise;
    format!(
        "--x\r\nContent-Type: application/isup;base=itu-t92+\r\nContent-Disposition: signal;handling=optional\r\n\r\n\
         \u{1}{number}\r\n--x\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n\
         --x\r\nContent-Type: text/x-card\r\n\r\nFN:{name}\r\n--x--\r\n"
    )
}

const PAPERS: &str = "multipart/mixed;boundary=x";

fn papers(world: &mut World) {
    let body = with_papers(&world.caller.guise, &world.caller.audio());
    world.caller.body_kind = PAPERS;
    world.caller.dial(X, Some(&body));
    world.settle();
    assert!(world.callee.has_heard("INVITE"), "the call crosses");
    world.answer();
    world.caller.bye();
    world.settle();
}

fn papers_in_answer(world: &mut World) {
    world.dial();
    let body = with_papers(&world.callee.guise, &world.callee.audio());
    world.callee.reply_kind = PAPERS;
    world.reply(183, Some(&body));
    world.pass(1_000);
    world.reply(200, Some(&body));
    assert!(world.caller.has_heard("200 INVITE"));
    world.callee.reply_kind = "application/sdp";
    world.callee.bye();
    world.settle();
}

/// A name and a password that nobody else has.
fn credentials(guise: &Guise) -> Credentials {
    Credentials {
        username: guise.word.to_owned(),
        password: guise.number.to_owned(),
    }
}

fn we_prove(world: &mut World) {
    world.bind_carriers(|guise, peer| peer.credentials = Some(credentials(guise)));
    world.callee.asks_who = true;
    world.talk();
    assert_eq!(world.callee.count("INVITE"), 2, "once more, with a proof");
    world.callee.bye();
    world.settle();
}

fn caller_proves(world: &mut World) {
    world.bind_carriers(|guise, peer| peer.challenge = Some(credentials(guise)));
    world.caller.credentials = Some(credentials(&world.cast.caller));
    world.talk();
    assert!(world.caller.has_heard("401 INVITE") || world.caller.has_heard("407 INVITE"));
    world.caller.bye();
    world.settle();
    assert!(world.callee.has_heard("BYE"));
}

fn caller_proves_nothing(world: &mut World) {
    world.bind_carriers(|guise, peer| peer.challenge = Some(credentials(guise)));
    world.dial();
    assert!(world.to_callee.is_empty(), "the callee is left in peace");
}

fn registered(world: &mut World) {
    world.caller.asks_who = true;
    world.callee.asks_who = true;
    world.bind_carriers(|guise, peer| {
        peer.credentials = Some(credentials(guise));
        peer.registration = Some(Registration {
            address_of_record: format!("sip:{}@{}", guise.word, guise.host.ip()),
            contact_user: guise.number.to_owned(),
            expires_s: 600,
        });
    });
    world.pass(2_000);
    // By two trunks with the callee's; each REGISTER once more, with a proof.
    for (side, count) in [(Side::Caller, 2), (Side::Callee, 4)] {
        assert_eq!(world.phone(side).count("REGISTER"), count, "{side:?}");
    }
    world.talk();
    world.callee.bye();
    world.settle();
    world.leave();
    world.pass(2_000);
}

fn no_ack(world: &mut World) {
    world.caller.is_polite = false;
    world.dial();
    world.answer();
}

fn no_goodbye(world: &mut World) {
    world.talk();
    world.callee.is_polite = false;
    world.caller.bye();
    world.settle();
}

fn ended_by_us(world: &mut World) {
    world.talk();
    world.drain();
}

fn longest(world: &mut World) {
    world.talk();
    world.pass(700_000);
}

fn hold(world: &mut World, side: Side, method: &str) {
    world.talk();
    let other = side.other();
    let before = world.phone(other).count("INVITE");
    for (direction, answer) in [("sendonly", "recvonly"), ("sendrecv", "sendrecv")] {
        let events = crate::phone::EVENTS;
        let body = world.phone(side).guise.sdp("8 101", events, direction);
        let accepted = world.phone(other).guise.sdp("8 101", events, answer);
        world.phone(other).accepts = Some(accepted);
        world.phone(side).offer(method, Some(&body));
        world.settle();
        world.pass(3_000);
    }
    let after = world.phone(other).count("INVITE");
    assert_eq!(after - before, 2, "both changes reach the other side");
    world.caller.bye();
    world.settle();
}

fn ask_for_offer(world: &mut World, side: Side) {
    world.talk();
    let body = world.phone(side).audio();
    world.phone(side).accepts = Some(body);
    world.phone(side).offer("INVITE", None);
    world.settle();
    world.pass(3_000);
    world.callee.bye();
    world.settle();
}

fn fax(world: &mut World) {
    world.talk();
    let guise = &world.callee.guise;
    let body = format!(
        "{}m=image {} udptl t38\r\na=T38FaxVersion:0\r\n{}",
        guise.sdp_head(),
        guise.media.port(),
        guise.sdp_tail()
    );
    world.callee.offer("INVITE", Some(&body));
    world.settle();
    world.pass(3_000);
    world.callee.bye();
    world.settle();
}

fn keys(world: &mut World, side: Side) {
    world.talk();
    let number = world.phone(side).guise.number;
    for (kind, body) in [
        (
            "application/dtmf-relay",
            "Signal=5\r\nDuration=160\r\n".to_owned(),
        ),
        ("application/dtmf", "#".to_owned()),
        (
            "application/dtmf-relay",
            format!("Signal=1\r\nX-Who={number}\r\n"),
        ),
        ("text/plain", format!("I am {number}")),
    ] {
        world.phone(side).ask("INFO", "", kind, Some(&body));
        world.settle();
        world.pass(500);
    }
    let heard = |key: &str| {
        let mut all = world.sent(side.other()).iter();
        all.any(|sent| sent.bytes == format!("hears key {key}").as_bytes())
    };
    assert!(heard("5") && heard("#"), "keys cross, rewritten");
    world.caller.bye();
    world.settle();
}

fn odd(world: &mut World, side: Side) {
    world.talk();
    let guise = world.phone(side).guise.clone();
    let (number, ip) = (guise.number, guise.host.ip());
    let refer = format!("Refer-To: <sip:{number}@{ip}>\r\n");
    let event = format!("Event: {number}\r\n");
    for (method, headers) in [
        ("REFER", refer.as_str()),
        ("NOTIFY", &event),
        ("MESSAGE", ""),
        ("OPTIONS", ""),
        ("SUBSCRIBE", &event),
        ("WHOAMI", ""),
        ("PRACK", "RAck: 1 1 INVITE\r\n"),
    ] {
        let body = format!("from {number}");
        world
            .phone(side)
            .ask(method, headers, "text/plain", Some(&body));
        world.settle();
        world.pass(100);
    }
    world.caller.bye();
    world.settle();
}

fn gives_up_at_once(world: &mut World) {
    world.dial();
    world.caller.cancel();
    world.settle();
    world.pass(1_000);
    world.reply(180, None);
}

fn gives_up_ringing(world: &mut World) {
    world.dial();
    world.reply(180, None);
    world.pass(4_000);
    world.caller.cancel();
    world.settle();
    assert!(world.callee.has_heard("CANCEL"));
}

fn gives_up_too_late(world: &mut World) {
    world.callee.is_polite = false;
    world.dial();
    world.reply(180, None);
    world.caller.cancel();
    world.settle();
    world.callee.is_polite = true;
    world.answer();
}

fn no_answer(world: &mut World) {
    world.dial();
    world.reply(180, None);
    world.pass(40_000);
    assert!(world.callee.has_heard("CANCEL"));
}

fn refused(world: &mut World, status: u16, headers: &str) {
    world.dial();
    world.callee.reply(status, headers, None);
    world.settle();
}

fn challenged(world: &mut World) {
    world.dial();
    let guise = &world.callee.guise;
    let challenge = format!(
        "Proxy-Authenticate: Digest realm=\"{} {}\", nonce=\"{}\"\r\n",
        guise.name, guise.number, guise.word
    );
    world.callee.reply(407, &challenge, None);
    world.settle();
}

fn refused_ringing(world: &mut World) {
    world.dial();
    let body = world.callee.audio();
    world.reply(183, Some(&body));
    world.pass(2_000);
    world.reply(486, None);
}

fn silence(world: &mut World) {
    world.is_callee_deaf = true;
    world.dial();
}

fn foreign_codec(world: &mut World) {
    let body = world.caller.guise.sdp("8", "", "sendrecv");
    world.caller.dial(X, Some(&body));
    world.settle();
    let body = world.callee.guise.sdp("0", "", "sendrecv");
    world.reply(200, Some(&body));
}

fn no_codec(world: &mut World) {
    let body = world
        .caller
        .guise
        .sdp("18", "a=rtpmap:18 G729/8000\r\n", "sendrecv");
    world.caller.dial(X, Some(&body));
    world.settle();
    world.answer();
}

fn turned_away(world: &mut World) {
    world.dial();
    assert!(world.to_callee.is_empty(), "the callee is left in peace");
}

fn preferred(trunk: &mut Trunk) {
    trunk.identity_out = IdentityOut::Ppi;
    trunk.privacy = Privacy::Id;
    trunk.number_out = NumberForm::Plus;
}

fn pilot(trunk: &mut Trunk) {
    trunk.identity_out = IdentityOut::Pai;
    trunk.pilot = PhoneNumber::parse("057100000000").ok();
    trunk.number_out = NumberForm::Zero;
}

fn other_header(trunk: &mut Trunk) {
    trunk.identity_in = IdentityIn::Rpid;
    trunk.identity_out = IdentityOut::Rpid;
    trunk.privacy = Privacy::None;
}

fn agreed(world: &mut World, terms: fn(&mut Trunk)) {
    world.agree(terms);
    caller_hangs_up(world);
}

fn forwarded(world: &mut World) {
    world.agree(|trunk| trunk.diversion = Diversion::Refuse);
    world.dial();
}

fn another_trunk(world: &mut World) {
    world.trunks = 2;
    world.dial();
    world.reply(503, None);
    assert_eq!(world.callee.count("INVITE"), 2, "{:?}", world.callee.heard);
    world.reply(180, None);
    world.answer();
    world.pass(1_000);
    world.callee.bye();
    world.settle();
}

fn another_trunk_after_silence(world: &mut World) {
    world.trunks = 2;
    world.is_callee_deaf = true;
    world.dial();
    world.pass(10_000);
    world.is_callee_deaf = false;
    world.pass(8_000);
    world.reply(180, None);
    world.answer();
    world.pass(1_000);
    world.caller.bye();
    world.settle();
}

fn all_trunks_refuse(world: &mut World) {
    world.trunks = 2;
    world.dial();
    world.reply(503, None);
    world.reply(500, None);
}

fn told_by_answer(world: &mut World) {
    world.agree(|trunk| trunk.prompts = PromptPolicy::Answer);
    world.dial();
    assert!(world.caller.has_heard("200 INVITE"));
    world.pass(10_000);
    assert!(world.caller.has_heard("BYE"));
}

fn told_by_answer_busy(world: &mut World) {
    world.agree(|trunk| trunk.prompts = PromptPolicy::Answer);
    world.dial();
    world.reply(486, None);
    world.pass(10_000);
}

fn told_by_none(world: &mut World) {
    world.agree(|trunk| trunk.prompts = PromptPolicy::None);
    world.dial();
    assert!(world.caller.has_heard("403 INVITE"));
}

fn unknown_x(world: &mut World) {
    let body = world.caller.audio();
    world.caller.dial("17099999999", Some(&body));
    world.settle();
    assert!(world.caller.has_heard("404 INVITE"));
}

fn looped(world: &mut World) {
    let body = world.caller.audio();
    let from = format!("<sip:{X}@{}>", world.caller.guise.host);
    world.caller.dial_as(X, &from, "", Some(&body));
    world.settle();
    assert!(world.to_callee.is_empty(), "the callee is left in peace");
}

fn drained(world: &mut World) {
    world.drain();
    world.dial();
    assert!(world.caller.has_heard("503 INVITE"));
}
