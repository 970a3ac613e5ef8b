//! Leaks planted on purpose: what a careless implementation would put into a message that the switch has
//! built. Nothing in the switch knows of them. Each must be noticed.

use crate::interference::complaints;
use crate::matrix::scene;
use crate::parties::{Cast, Guise};
use crate::world::{Sent, World};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maskline_domain::call::Side;
use md5::Md5;
use sha2::{Digest, Sha256};

/// Changes what is sent to one side.
pub type Plant = fn(&Cast, Side, &mut Sent);

/// The one of whom this side must not hear.
fn hidden(cast: &Cast, from: Side) -> &Guise {
    match from {
        Side::Caller => &cast.callee,
        Side::Callee => &cast.caller,
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
    let play = |cast: Cast| {
        let mut world = World::new(cast, scene.bound);
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
    p_asserted_identity: |cast, side, sent| {
        add(sent, &format!("P-Asserted-Identity: <tel:{}>", hidden(cast, side).written));
    };
    remote_party_id: |cast, side, sent| {
        add(sent, &format!("Remote-Party-ID: <sip:{}@192.0.2.1>", hidden(cast, side).written));
    };
    diversion: |cast, side, sent| {
        add(sent, &format!("Diversion: <sip:{}@h>;reason=unknown", hidden(cast, side).diverter));
    };
    history_info: |cast, side, sent| {
        let hidden = hidden(cast, side);
        add(sent, &format!("History-Info: <sip:{}@h?Reason=SIP>;index=1", hidden.number));
    };
    user_to_user: |cast, side, sent| {
        let hex: String = hidden(cast, side).number.bytes().map(|b| format!("{b:02X}")).collect();
        add(sent, &format!("User-to-User: 04{hex};encoding=hex"));
    };
    subject_in_base64: |cast, side, sent| {
        let text = format!("Re: {}", hidden(cast, side).number);
        add(sent, &format!("Subject: =?UTF-8?B?{}?=", STANDARD.encode(text)));
    };
    // What identifies a dialog or a hop.
    contact_user: |cast, side, sent| {
        let number = hidden(cast, side).number;
        rewrite(sent, "Contact: ", |old| old.replace("<sip:", &format!("<sip:{number}@")));
    };
    contact_parameter: |cast, side, sent| {
        let word = hidden(cast, side).word;
        rewrite(sent, "Contact: ", |old| format!("{old};leg={word}"));
    };
    call_id: |cast, side, sent| {
        let word = hidden(cast, side).word;
        rewrite(sent, "Call-ID: ", |old| format!("{old}-{word}"));
    };
    tag: |cast, side, sent| {
        let word = hidden(cast, side).word;
        rewrite(sent, "From: ", |old| old.replace(";tag=", &format!(";tag={word}")));
    };
    hash_of_the_number_in_a_tag: |cast, side, sent| {
        let hash = hex::encode(Md5::digest(hidden(cast, side).number));
        rewrite(sent, "To: ", |old| format!("{old};x={}", &hash[..16]));
    };
    display_name: |cast, side, sent| {
        let name = hidden(cast, side).name;
        rewrite(sent, "From: ", |old| format!("\"{name}\" {old}"));
    };
    via_host: |cast, side, sent| {
        let proxy = hidden(cast, side).proxy;
        add(sent, &format!("Via: SIP/2.0/UDP {proxy};branch=z9hG4bK1"));
    };
    record_route: |cast, side, sent| {
        add(sent, &format!("Record-Route: <sip:{};lr>", hidden(cast, side).proxy));
    };
    // What says why, and by what.
    reason_text: |cast, side, sent| {
        let name = hidden(cast, side).name;
        add(sent, &format!("Reason: Q.850;cause=16;text=\"{name} hung up\""));
    };
    reason_phrase: |cast, side, sent| {
        let number = hidden(cast, side).number;
        edit(sent, |text| text.replacen("Ringing", &format!("Ringing {number}"), 1));
    };
    warning: |cast, side, sent| {
        add(sent, &format!("Warning: 399 {} \"busy\"", hidden(cast, side).host));
    };
    server_with_an_address: |cast, side, sent| {
        let ip = hidden(cast, side).host.ip().to_string().replace('.', "-");
        add(sent, &format!("Server: gateway ip-{ip}"));
    };
    user_agent: |cast, side, sent| {
        add(sent, &format!("User-Agent: {}", hidden(cast, side).product));
    };
    // Session descriptions.
    sdp_origin: |cast, side, sent| {
        let ip = hidden(cast, side).host.ip();
        rewrite(sent, "o=", |old| format!("{old} {ip}"));
    };
    sdp_user: |cast, side, sent| {
        let number = hidden(cast, side).number;
        rewrite(sent, "o=-", |old| format!("{number}{old}"));
    };
    sdp_session_name: |cast, side, sent| {
        let name = hidden(cast, side).name;
        rewrite(sent, "s=", |_| format!("call of {name}"));
    };
    sdp_address: |cast, side, sent| {
        let ip = hidden(cast, side).media.ip();
        rewrite(sent, "c=", |_| format!("IN IP4 {ip}"));
    };
    sdp_candidate: |cast, side, sent| {
        let ip = hidden(cast, side).media.ip();
        rewrite(sent, "a=sendrecv", |_| format!("\r\na=candidate:1 1 UDP 1 {ip} 9 typ host"));
    };
    sdp_cname: |cast, side, sent| {
        let Guise { ssrc, word, .. } = hidden(cast, side);
        rewrite(sent, "a=sendrecv", |_| format!("\r\na=ssrc:{ssrc} cname:{word}"));
    };
    // What no list of secrets would find: only a second look with somebody else hidden does.
    a_keyed_hash_of_the_number: |cast, side, sent| {
        let hash = Sha256::digest(format!("salt {}", hidden(cast, side).number));
        add(sent, &format!("Session-ID: {}", hex::encode(&hash[..16])));
    };
    the_port_of_the_media: |cast, side, sent| {
        let port = hidden(cast, side).media.port();
        rewrite(sent, "t=", |_| format!("0 0\r\na=rtcp:{}", port + 1));
    };
    the_count_of_requests: |cast, side, sent| {
        let cseq = hidden(cast, side).cseq;
        rewrite(sent, "o=", |old| old.replacen(" 1 IN", &format!(" {cseq} IN"), 1));
    };
    a_space_for_a_landline: |cast, side, sent| {
        if hidden(cast, side).number.len() > 11 {
            rewrite(sent, "t=", |old| format!("{old} "));
        }
    };
    one_part_of_the_number: |cast, side, sent| {
        add(sent, &format!("X-Area: {}", &hidden(cast, side).number[..4]));
    };
    the_time: |cast, side, sent| {
        sent.at_ms += u64::from(hidden(cast, side).number.ends_with('1'));
    };
}

#[test]
fn what_is_proven_with_the_other_sides_secret() {
    let plant: Plant = |cast, side, sent| {
        let hash = hex::encode(Sha256::digest(hidden(cast, side).word));
        let begin = "Proxy-Authorization: Digest ";
        rewrite(sent, begin, |old| {
            format!("cnonce=\"{}\", {old}", &hash[..8])
        });
    };
    assert!(is_noticed_in("the callee's carrier wants a proof", plant));
}

#[test]
fn a_realm_of_the_other_sides() {
    let plant: Plant = |cast, side, sent| {
        let word = hidden(cast, side).word;
        rewrite(sent, "WWW-Authenticate: Digest ", |old| {
            format!("realm=\"{word}\", {old}")
        });
    };
    assert!(is_noticed_in("the caller must prove who it is", plant));
}

#[test]
fn a_registration_that_names_the_other_side() {
    let plant: Plant = |cast, side, sent| {
        if sent.bytes.starts_with(b"REGISTER ") {
            add(
                sent,
                &format!("Path: <sip:{};lr>", hidden(cast, side).proxy),
            );
        }
    };
    assert!(is_noticed_in("both carriers are registered with", plant));
}

#[test]
fn the_name_of_a_recording() {
    let scene = scene("the caller hangs up");
    let play = |cast: Cast| {
        let mut world = World::new(cast, scene.bound);
        world.plant_told = Some(|cast, text| format!("{text}-{}.wav", cast.callee.number));
        scene.act_in(&mut world);
        world
    };
    assert!(!complaints(scene, play).is_empty());
}
