//! Leaks planted on purpose: what a careless implementation would put into a message that the switch has
//! built. Nothing in the switch knows of them. Each must be noticed.

use crate::leaks::interference::complaints;
use crate::leaks::matrix::scene;
use crate::leaks::parties::{Parties, Party};
use crate::leaks::world::{Sent, World};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maskline_domain::call::Side;
use md5::Md5;
use sha2::{Digest, Sha256};

/// Changes what is sent to one side.
pub type Plant = fn(&Parties, Side, &mut Sent);

/// The one of whom this side must not hear.
fn hidden(parties: &Parties, from: Side) -> &Party {
    match from {
        Side::Caller => &parties.callee,
        Side::Callee => &parties.caller,
    }
}

fn edit(sent: &mut Sent, change: impl FnOnce(String) -> String) {
    let text = String::from_utf8(std::mem::take(&mut sent.bytes)).expect("what we write is UTF-8");
    sent.bytes = change(text).into_bytes();
}

/// Puts a header line behind the first line.
fn add(sent: &mut Sent, line: &str) {
    edit(sent, |text| {
        text.replacen("\r\n", &format!("\r\n{line}\r\n"), 1)
    });
}

/// Writes the value of every header, or session line, that begins so anew.
fn rewrite(sent: &mut Sent, begin: &str, value: impl Fn(&str) -> String) {
    edit(sent, |text| {
        let line = |line: &str| match line.strip_prefix(begin) {
            Some(old) => format!("{begin}{}", value(old)),
            None => line.to_owned(),
        };
        text.split("\r\n")
            .map(line)
            .collect::<Vec<_>>()
            .join("\r\n")
    });
}

/// Plays one call with the leak planted.
fn is_noticed(plant: Plant) -> bool {
    is_noticed_in("the caller hangs up", plant)
}

fn is_noticed_in(scene_name: &str, plant: Plant) -> bool {
    let scene = scene(scene_name);
    let play = |parties: Parties| {
        let mut world = World::new(parties, scene.bound);
        world.plant = Some(plant);
        scene.act_in(&mut world);
        world
    };
    !complaints(scene, play).is_empty()
}

/// One test for each leak.
macro_rules! noticed {
    ($($name:ident: $plant:expr;)*) => {
        $(
            #[test]
            fn $name() {
                assert!(is_noticed($plant));
            }
        )*
    };
}

noticed! {
    // Headers in which networks tell each other who calls.
    p_asserted_identity: |parties, side, sent| {
        add(sent, &format!("P-Asserted-Identity: <tel:{}>", hidden(parties, side).written));
    };
    remote_party_id: |parties, side, sent| {
        add(sent, &format!("Remote-Party-ID: <sip:{}@192.0.2.1>", hidden(parties, side).written));
    };
    diversion: |parties, side, sent| {
        add(sent, &format!("Diversion: <sip:{}@h>;reason=unknown", hidden(parties, side).diverter));
    };
    history_info: |parties, side, sent| {
        let hidden = hidden(parties, side);
        add(sent, &format!("History-Info: <sip:{}@h?Reason=SIP>;index=1", hidden.number));
    };
    user_to_user: |parties, side, sent| {
        let hex: String = hidden(parties, side).number.bytes().map(|b| format!("{b:02X}")).collect();
        add(sent, &format!("User-to-User: 04{hex};encoding=hex"));
    };
    subject_in_base64: |parties, side, sent| {
        let text = format!("Re: {}", hidden(parties, side).number);
        add(sent, &format!("Subject: =?UTF-8?B?{}?=", STANDARD.encode(text)));
    };
    // What identifies a dialog or a hop.
    contact_user: |parties, side, sent| {
        let number = hidden(parties, side).number;
        rewrite(sent, "Contact: ", |old| old.replace("<sip:", &format!("<sip:{number}@")));
    };
    contact_parameter: |parties, side, sent| {
        let word = hidden(parties, side).word;
        rewrite(sent, "Contact: ", |old| format!("{old};leg={word}"));
    };
    call_id: |parties, side, sent| {
        let word = hidden(parties, side).word;
        rewrite(sent, "Call-ID: ", |old| format!("{old}-{word}"));
    };
    tag: |parties, side, sent| {
        let word = hidden(parties, side).word;
        rewrite(sent, "From: ", |old| old.replace(";tag=", &format!(";tag={word}")));
    };
    hash_of_the_number_in_a_tag: |parties, side, sent| {
        let hash = hex::encode(Md5::digest(hidden(parties, side).number));
        rewrite(sent, "To: ", |old| format!("{old};x={}", &hash[..16]));
    };
    display_name: |parties, side, sent| {
        let name = hidden(parties, side).name;
        rewrite(sent, "From: ", |old| format!("\"{name}\" {old}"));
    };
    via_host: |parties, side, sent| {
        let proxy = hidden(parties, side).proxy;
        add(sent, &format!("Via: SIP/2.0/UDP {proxy};branch=z9hG4bK1"));
    };
    record_route: |parties, side, sent| {
        add(sent, &format!("Record-Route: <sip:{};lr>", hidden(parties, side).proxy));
    };
    // What says why, and by what.
    reason_text: |parties, side, sent| {
        let name = hidden(parties, side).name;
        add(sent, &format!("Reason: Q.850;cause=16;text=\"{name} hung up\""));
    };
    reason_phrase: |parties, side, sent| {
        let number = hidden(parties, side).number;
        edit(sent, |text| text.replacen("Ringing", &format!("Ringing {number}"), 1));
    };
    warning: |parties, side, sent| {
        add(sent, &format!("Warning: 399 {} \"busy\"", hidden(parties, side).host));
    };
    server_with_an_address: |parties, side, sent| {
        let ip = hidden(parties, side).host.ip().to_string().replace('.', "-");
        add(sent, &format!("Server: gateway ip-{ip}"));
    };
    user_agent: |parties, side, sent| {
        add(sent, &format!("User-Agent: {}", hidden(parties, side).product));
    };
    // Session descriptions.
    sdp_origin: |parties, side, sent| {
        let ip = hidden(parties, side).host.ip();
        rewrite(sent, "o=", |old| format!("{old} {ip}"));
    };
    sdp_user: |parties, side, sent| {
        let number = hidden(parties, side).number;
        rewrite(sent, "o=-", |old| format!("{number}{old}"));
    };
    sdp_session_name: |parties, side, sent| {
        let name = hidden(parties, side).name;
        rewrite(sent, "s=", |_| format!("call of {name}"));
    };
    sdp_address: |parties, side, sent| {
        let ip = hidden(parties, side).media.ip();
        rewrite(sent, "c=", |_| format!("IN IP4 {ip}"));
    };
    sdp_candidate: |parties, side, sent| {
        let ip = hidden(parties, side).media.ip();
        rewrite(sent, "a=sendrecv", |_| format!("\r\na=candidate:1 1 UDP 1 {ip} 9 typ host"));
    };
    sdp_cname: |parties, side, sent| {
        let Party { ssrc, word, .. } = hidden(parties, side);
        rewrite(sent, "a=sendrecv", |_| format!("\r\na=ssrc:{ssrc} cname:{word}"));
    };
    // What no list of secrets would find: only a second look with somebody else hidden does.
    a_keyed_hash_of_the_number: |parties, side, sent| {
        let hash = Sha256::digest(format!("salt {}", hidden(parties, side).number));
        add(sent, &format!("Session-ID: {}", hex::encode(&hash[..16])));
    };
    the_port_of_the_media: |parties, side, sent| {
        let port = hidden(parties, side).media.port();
        rewrite(sent, "t=", |_| format!("0 0\r\na=rtcp:{}", port + 1));
    };
    the_count_of_requests: |parties, side, sent| {
        let cseq = hidden(parties, side).cseq;
        rewrite(sent, "o=", |old| old.replacen(" 1 IN", &format!(" {cseq} IN"), 1));
    };
    a_space_for_a_landline: |parties, side, sent| {
        if hidden(parties, side).number.len() > 11 {
            rewrite(sent, "t=", |old| format!("{old} "));
        }
    };
    one_part_of_the_number: |parties, side, sent| {
        add(sent, &format!("X-Area: {}", &hidden(parties, side).number[..4]));
    };
    the_time: |parties, side, sent| {
        sent.at_ms += u64::from(hidden(parties, side).number.ends_with('1'));
    };
}

#[test]
fn what_is_authenticated_with_the_other_sides_secret() {
    let plant: Plant = |parties, side, sent| {
        let hash = hex::encode(Sha256::digest(hidden(parties, side).word));
        let begin = "Proxy-Authorization: Digest ";
        rewrite(sent, begin, |old| {
            format!("cnonce=\"{}\", {old}", &hash[..8])
        });
    };
    assert!(is_noticed_in(
        "the callee's carrier wants credentials",
        plant
    ));
}

#[test]
fn a_realm_of_the_other_sides() {
    let plant: Plant = |parties, side, sent| {
        let word = hidden(parties, side).word;
        rewrite(sent, "WWW-Authenticate: Digest ", |old| {
            format!("realm=\"{word}\", {old}")
        });
    };
    assert!(is_noticed_in("the caller must authenticate itself", plant));
}

#[test]
fn a_registration_that_names_the_other_side() {
    let plant: Plant = |parties, side, sent| {
        if sent.bytes.starts_with(b"REGISTER ") {
            add(
                sent,
                &format!("Path: <sip:{};lr>", hidden(parties, side).proxy),
            );
        }
    };
    assert!(is_noticed_in("both carriers are registered with", plant));
}

#[test]
fn the_name_of_a_recording() {
    let scene = scene("the caller hangs up");
    let play = |parties: Parties| {
        let mut world = World::new(parties, scene.bound);
        world.plant_told = Some(|parties, text| format!("{text}-{}.wav", parties.callee.number));
        scene.act_in(&mut world);
        world
    };
    assert!(!complaints(scene, play).is_empty());
}
