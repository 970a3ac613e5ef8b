//! What is changed or asked for while a call stands.

use crate::leaks::world::World;
use maskline_domain::call::Side;

pub(super) fn hold(world: &mut World, side: Side, method: &str) {
    world.talk();
    let other = side.other();
    let before = world.phone(other).count("INVITE");
    for (direction, answer) in [("sendonly", "recvonly"), ("sendrecv", "sendrecv")] {
        let events = crate::leaks::phone::EVENTS;
        let body = world.phone(side).party.sdp("8 101", events, direction);
        let accepted = world.phone(other).party.sdp("8 101", events, answer);
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

pub(super) fn ask_for_offer(world: &mut World, side: Side) {
    world.talk();
    let body = world.phone(side).audio();
    world.phone(side).accepts = Some(body);
    world.phone(side).offer("INVITE", None);
    world.settle();
    world.pass(3_000);
    world.callee.bye();
    world.settle();
}

pub(super) fn fax(world: &mut World) {
    world.talk();
    let party = &world.callee.party;
    let body = format!(
        "{}m=image {} udptl t38\r\na=T38FaxVersion:0\r\n{}",
        party.sdp_head(),
        party.media.port(),
        party.sdp_tail()
    );
    world.callee.offer("INVITE", Some(&body));
    world.settle();
    world.pass(3_000);
    world.callee.bye();
    world.settle();
}

pub(super) fn keys(world: &mut World, side: Side) {
    world.talk();
    let number = world.phone(side).party.number;
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

pub(super) fn odd(world: &mut World, side: Side) {
    world.talk();
    let party = world.phone(side).party.clone();
    let (number, ip) = (party.number, party.host.ip());
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
