//! Calls that are answered.

use crate::leaks::parties::Party;
use crate::leaks::world::{Sent, World, X};
use maskline_domain::call::Side;
use maskline_domain::trunk::{Diversion, IdentityIn, IdentityOut, NumberForm, Privacy, Trunk};
use maskline_domain::{PhoneNumber, ToneCode};
use maskline_sip::digest::Credentials;
use maskline_sip::endpoint::Registration;

pub(super) fn caller_hangs_up(world: &mut World) {
    world.talk();
    world.caller.bye();
    world.settle();
    assert!(world.callee.has_heard("BYE"));
}

pub(super) fn callee_hangs_up(world: &mut World) {
    world.talk();
    world.callee.bye();
    world.settle();
    assert!(world.caller.has_heard("BYE"));
}

pub(super) fn both_hang_up(world: &mut World) {
    world.talk();
    world.caller.bye();
    world.callee.bye();
    world.settle();
}

pub(super) fn withheld(world: &mut World) {
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

pub(super) fn early_media(world: &mut World) {
    world.dial();
    let body = world.callee.audio();
    world.reply(183, Some(&body));
    world.pass(2_000);
    world.answer();
    world.pass(1_000);
    world.callee.bye();
    world.settle();
}

pub(super) fn ring_tone(world: &mut World) {
    world.tone = Some(ToneCode::NETWORK);
    world.talk();
    let hears = |what: &[u8]| world.to_caller.iter().any(|sent| sent.bytes == what);
    assert!(hears(b"plays ring tone 0") && hears(b"plays no more"));
    world.callee.bye();
    world.settle();
}

pub(super) fn ring_tone_then_early_media(world: &mut World) {
    world.tone = Some(ToneCode::NETWORK);
    world.dial();
    world.reply(180, None);
    world.pass(2_000);
    let body = world.callee.audio();
    world.reply(183, Some(&body));
    world.pass(2_000);
    world.reply(486, None);
}

pub(super) fn ring_tone_in_vain(world: &mut World) {
    world.tone = Some(ToneCode::NETWORK);
    world.caller.is_reliable = true;
    world.dial();
    world.reply(180, None);
    world.pass(60_000);
    assert!(world.callee.has_heard("CANCEL"));
}

pub(super) fn several_provisional(world: &mut World) {
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

pub(super) fn reliable_to_caller(world: &mut World) {
    world.caller.is_reliable = true;
    early_media(world);
}

pub(super) fn reliable_from_callee(world: &mut World) {
    world.callee.is_reliable = true;
    early_media(world);
}

pub(super) fn forked(world: &mut World) {
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

pub(super) fn delayed_offer(world: &mut World) {
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

pub(super) fn several_media(world: &mut World) {
    let audio = world.caller.party.sdp(
        "96 8 101 13",
        "a=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\na=rtpmap:13 CN/8000\r\n",
        "sendrecv",
    );
    let body = format!("{audio}m=video 0 RTP/AVP 97\r\nm=application 9 UDP/BFCP *\r\n");
    world.caller.dial(X, Some(&body));
    world.settle();
    let body = world.callee.party.sdp(
        "8 101",
        "a=rtpmap:101 telephone-event/8000\r\na=ptime:30\r\n",
        "sendrecv",
    );
    world.reply(200, Some(&body));
    world.pass(1_000);
    world.callee.bye();
    world.settle();
}

pub(super) fn passed_on_codec(world: &mut World) {
    let sdp = |party: &Party| {
        let Party {
            number, word, name, ..
        } = party;
        let attributes = format!(
            "a=rtpmap:96 AMR/8000/1\r\na=fmtp:96 octet-align=1; x-{word}={number}; mode-set={number}; max-red={name}\r\n\
             a=rtpmap:97 x-{word}/8000\r\na=fmtp:97 {number}\r\na=rtpmap:101 telephone-event/8000\r\n\
             a=fmtp:101 0-15,{number}\r\n"
        );
        party.sdp("96 97 101", &attributes, "sendrecv")
    };
    let body = sdp(&world.caller.party);
    world.caller.dial(X, Some(&body));
    world.settle();
    let body = sdp(&world.callee.party);
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
pub(super) fn as_multipart(party: &Party, sdp: &str) -> String {
    let Party { number, name, .. } = party;
    format!(
        "--x\r\nContent-Type: application/isup;base=itu-t92+\r\nContent-Disposition: signal;handling=optional\r\n\r\n\
         \u{1}{number}\r\n--x\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n\
         --x\r\nContent-Type: text/x-card\r\n\r\nFN:{name}\r\n--x--\r\n"
    )
}

pub(super) const MULTIPART: &str = "multipart/mixed;boundary=x";

pub(super) fn multipart_offer(world: &mut World) {
    let body = as_multipart(&world.caller.party, &world.caller.audio());
    world.caller.body_kind = MULTIPART;
    world.caller.dial(X, Some(&body));
    world.settle();
    assert!(world.callee.has_heard("INVITE"), "the call crosses");
    world.answer();
    world.caller.bye();
    world.settle();
}

pub(super) fn multipart_answer(world: &mut World) {
    world.dial();
    let body = as_multipart(&world.callee.party, &world.callee.audio());
    world.callee.reply_kind = MULTIPART;
    world.reply(183, Some(&body));
    world.pass(1_000);
    world.reply(200, Some(&body));
    assert!(world.caller.has_heard("200 INVITE"));
    world.callee.reply_kind = "application/sdp";
    world.callee.bye();
    world.settle();
}

/// A name and a password that nobody else has.
pub(super) fn credentials(party: &Party) -> Credentials {
    Credentials {
        username: party.word.to_owned(),
        password: party.number.to_owned(),
    }
}

pub(super) fn we_authenticate(world: &mut World) {
    world.bind_carriers(|party, peer| peer.credentials = Some(credentials(party)));
    world.callee.asks_who = true;
    world.talk();
    assert_eq!(
        world.callee.count("INVITE"),
        2,
        "once more, with credentials"
    );
    world.callee.bye();
    world.settle();
}

pub(super) fn caller_authenticates(world: &mut World) {
    world.bind_carriers(|party, peer| peer.challenge = Some(credentials(party)));
    world.caller.credentials = Some(credentials(&world.parties.caller));
    world.talk();
    assert!(world.caller.has_heard("401 INVITE") || world.caller.has_heard("407 INVITE"));
    world.caller.bye();
    world.settle();
    assert!(world.callee.has_heard("BYE"));
}

pub(super) fn caller_fails_to_authenticate(world: &mut World) {
    world.bind_carriers(|party, peer| peer.challenge = Some(credentials(party)));
    world.dial();
    assert!(world.to_callee.is_empty(), "the callee is left in peace");
}

pub(super) fn registered(world: &mut World) {
    world.caller.asks_who = true;
    world.callee.asks_who = true;
    world.bind_carriers(|party, peer| {
        peer.credentials = Some(credentials(party));
        peer.registration = Some(Registration {
            address_of_record: format!("sip:{}@{}", party.word, party.host.ip()),
            registrar: None,
            contact_user: party.number.to_owned(),
            expires_s: 600,
        });
    });
    world.pass(2_000);
    // By two trunks with the callee's; each REGISTER once more, with credentials.
    for (side, count) in [(Side::Caller, 2), (Side::Callee, 4)] {
        assert_eq!(world.phone(side).count("REGISTER"), count, "{side:?}");
    }
    world.talk();
    world.callee.bye();
    world.settle();
    world.leave();
    world.pass(2_000);
}

pub(super) fn no_ack(world: &mut World) {
    world.caller.is_polite = false;
    world.dial();
    world.answer();
}

pub(super) fn no_goodbye(world: &mut World) {
    world.talk();
    world.callee.is_polite = false;
    world.caller.bye();
    world.settle();
}

pub(super) fn ended_by_us(world: &mut World) {
    world.talk();
    world.drain();
}

pub(super) fn longest(world: &mut World) {
    world.talk();
    world.pass(700_000);
}

pub(super) fn preferred(trunk: &mut Trunk) {
    trunk.identity_out = IdentityOut::Ppi;
    trunk.privacy = Privacy::Id;
    trunk.number_out = NumberForm::Plus;
}

pub(super) fn pilot(trunk: &mut Trunk) {
    trunk.identity_out = IdentityOut::Pai;
    trunk.pilot = PhoneNumber::parse("057100000000").ok();
    trunk.number_out = NumberForm::Zero;
}

pub(super) fn other_header(trunk: &mut Trunk) {
    trunk.identity_in = IdentityIn::Rpid;
    trunk.identity_out = IdentityOut::Rpid;
    trunk.privacy = Privacy::None;
}

pub(super) fn agreed(world: &mut World, terms: fn(&mut Trunk)) {
    world.agree(terms);
    caller_hangs_up(world);
}

pub(super) fn forwarded(world: &mut World) {
    world.agree(|trunk| trunk.diversion = Diversion::Refuse);
    world.dial();
}

pub(super) fn another_trunk(world: &mut World) {
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

pub(super) fn another_trunk_after_silence(world: &mut World) {
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

pub(super) fn unknown_sources_speak(world: &mut World) {
    world.talk();
    let heard = |world: &World| (world.to_caller.len(), world.to_callee.len());
    let before = heard(world);
    let paths = world.paths.len();
    for side in [Side::Caller, Side::Callee] {
        let body = match side {
            Side::Caller => world.caller.audio(),
            Side::Callee => world.callee.audio(),
        };
        let rows = [
            ("OPTIONS", "", None),
            ("INFO", "application/dtmf", Some("5")),
            ("UPDATE", "application/sdp", Some(body.as_str())),
            ("INVITE", "application/sdp", Some(body.as_str())),
            ("PRACK", "", None),
            ("BYE", "", None),
        ];
        for (method, kind, body) in rows {
            let answer = world.forge(side, method, kind, body);
            assert!(answer.starts_with("SIP/2.0 403"), "{method}: {answer}");
        }
        let ack = world.forge(side, "ACK", "", None);
        assert!(ack.is_empty(), "{ack}");
    }
    assert_eq!(heard(world), before, "nobody is told anything");
    assert_eq!(world.paths.len(), paths, "the sound goes where it went");
    world.caller.bye();
    world.settle();
    assert!(world.callee.has_heard("BYE"));
}
