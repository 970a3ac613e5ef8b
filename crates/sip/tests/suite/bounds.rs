//! What lasts too long or comes too often before the answer: INVITEs that expire, and floods of ringing.

use maskline_fixtures::sip::{
    SDP, Wire, cseqs, first_leg, invite_with, name, response_with, statuses, to_tag, within,
};
use maskline_sip::endpoint::{Event, Input};
use maskline_sip::message::Message;

/// After how many seconds a call is given up by itself, and with what, if the caller says this.
#[test]
fn an_invite_is_answered_487_when_it_expires() {
    let rows = [
        ("Expires: 2\r\n", 2_u64, 487),
        ("Expires: 0\r\n", 0, 487),
        ("expires:  30 \r\n", 30, 487),
        ("Expires: 359\r\n", 359, 487),
        ("Require: 100rel\r\nExpires: 5\r\n", 5, 487),
        // Longer than anybody waits, and what binds nobody.
        ("Expires: 361\r\n", 360, 480),
        ("Expires: 4294967295\r\n", 360, 480),
        ("Expires: 4294967296\r\n", 360, 480),
        ("Expires: -1\r\n", 360, 480),
        ("Expires: soon\r\n", 360, 480),
        ("Expires:\r\n", 360, 480),
        ("Session-Expires: 100\r\n", 360, 480),
        ("", 360, 480),
    ];
    for (lines, seconds, status) in rows {
        let mut wire = Wire::new();
        wire.say(invite_with(lines, SDP));
        let leg = first_leg(&wire);
        // 183 without SDP: nobody must acknowledge it but who insists.
        if !lines.contains("100rel") {
            wire.give(Input::Progress(leg, 180, None));
        }
        let before = match seconds {
            0 => Vec::new(),
            _ => wire.pass(seconds * 1_000 - 10),
        };
        let is_early = |message: &Message| message.status().is_some_and(|status| status < 200);
        assert!(before.iter().all(is_early), "{lines}");
        let after = wire.pass(20);
        assert_eq!(statuses(&after), [status], "{lines}");
        assert_eq!(wire.seen(), ["incoming", "cancelled"], "{lines}");
        let tag = to_tag(&after[0]);
        wire.say(within("ACK", 1, &tag));
        wire.pass(40_000);
        assert!(wire.endpoint.is_idle(), "{lines}");
    }
}

#[test]
fn an_invite_that_is_answered_in_time_does_not_expire() {
    let mut wire = Wire::new();
    wire.say(invite_with("Expires: 2\r\n", SDP));
    let leg = first_leg(&wire);
    let answer = wire.give(Input::Answer(leg, SDP.to_vec()));
    wire.say(within("ACK", 1, &to_tag(&answer[0])));
    wire.pass(10_000);
    assert_eq!(wire.seen(), ["incoming", "confirmed"]);
}

/// How the n-th word of a flood is put: status, tag, further lines, whether with SDP.
type Flood = fn(u32) -> (String, String, String, bool);

#[test]
fn a_flood_of_ringing_is_heard_in_part() {
    let floods: [(&str, Flood); 8] = [
        ("one phone rings", |_| {
            ("180 Ringing".into(), "b".into(), String::new(), false)
        }),
        ("one phone has media", |_| {
            (
                "183 Session Progress".into(),
                "b".into(),
                String::new(),
                true,
            )
        }),
        ("many phones ring", |at| {
            ("180 Ringing".into(), format!("b{at}"), String::new(), false)
        }),
        ("many phones have media", |at| {
            ("183 P".into(), format!("b{at}"), String::new(), true)
        }),
        ("one phone is reliable", |at| {
            let lines = format!("Require: 100rel\r\nRSeq: {}\r\n", at + 1);
            ("180 Ringing".into(), "b".into(), lines, false)
        }),
        ("many phones are reliable", |at| {
            let lines = "Require: 100rel\r\nRSeq: 1\r\n".into();
            ("183 P".into(), format!("b{at}"), lines, true)
        }),
        ("it changes its mind", |at| {
            let status = ["180 Ringing", "182 Queued", "183 P", "181 F"][at as usize % 4];
            (status.into(), "b".into(), String::new(), at % 3 == 0)
        }),
        ("odd ones", |at| {
            (
                format!("1{:02} X", 50 + at % 50),
                "b".into(),
                String::new(),
                false,
            )
        }),
    ];
    for (what, flood) in floods {
        let mut wire = Wire::new();
        let (_, invite) = wire.dial();
        let mut sent = Vec::new();
        let mut say = |wire: &mut Wire, from: u32, count: u32| {
            for at in from..from + count {
                let (status, tag, lines, with_sdp) = flood(at);
                let lines = format!("{lines}Contact: <sip:x@127.0.0.1:5070>\r\n");
                let sdp = if with_sdp { SDP } else { b"" };
                let text = response_with(&invite, &status, &tag, &lines, sdp);
                sent.extend(wire.say(&text));
            }
        };
        say(&mut wire, 0, 1_000);
        let words = |wire: &Wire| {
            let heard = wire.events.iter().map(name);
            heard.filter(|name| name.starts_with("progress")).count()
        };
        assert!(words(&wire) <= 32, "{what}: {} words", words(&wire));
        assert!(words(&wire) >= 8, "{what}: {} words", words(&wire));
        let before = words(&wire);
        // And in the next ten seconds, one for each.
        for second in 0..10 {
            wire.now = wire.now + std::time::Duration::from_secs(1);
            say(&mut wire, 1_000 + second * 100, 100);
        }
        assert!(
            words(&wire) - before <= 10,
            "{what}: {} words",
            words(&wire)
        );
        assert!(sent.len() <= 42, "{what}: {} messages", sent.len());
        assert!(cseqs(&sent).iter().all(|cseq| cseq.ends_with("PRACK")));
        // It may still answer.
        let lines = "Contact: <sip:x@127.0.0.1:5070>\r\n";
        let ok = response_with(&invite, "200 OK", "b", lines, SDP);
        wire.say(&ok);
        assert!(
            matches!(wire.events.last(), Some(Event::Answered { .. })),
            "{what}"
        );
    }
}
