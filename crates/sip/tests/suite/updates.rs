//! What each request about media gets in each state of a dialog, whoever sends it: RFC 3261 section 14.2,
//! RFC 3311 section 5.2, RFC 3262 section 5, RFC 6337 section 2.

use maskline_fixtures::sip::{
    OTHER, OURS, SDP, Wire, first_leg, header, invite_with, request_of_callee, response_with,
    statuses, to_tag, within_with,
};
use maskline_sip::endpoint::{Event, Input, LegId};
use maskline_sip::message::{Message, Name};

/// A state of a dialog, in which the other side asks for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// They called with an offer, and have no answer to it.
    Offered,
    /// They have it, but we do not know that.
    Told,
    /// It went reliably, and they have not said PRACK.
    ToldReliably,
    /// They have said PRACK.
    Agreed,
    /// And since then they have asked by UPDATE, or we have.
    AgreedAsked,
    AgreedAsking,
    /// They called without an offer, and have none of ours.
    Delayed,
    /// They have ours, and have not answered it.
    DelayedOffered,
    /// We have answered and have no ACK: with our answer, or with our offer.
    Answered,
    AnsweredByOffer,
    /// The call stands, and nothing is under way.
    Talking,
    /// They have asked by INVITE, by UPDATE, or we have by INVITE.
    AskedByInvite,
    AskedByUpdate,
    Asking,
    /// We have accepted their INVITE and have no ACK: with our answer, or with our offer.
    Confirming,
    ConfirmingOffer,
    /// We have hung up, or will as soon as there is an ACK.
    HungUp,
    AnsweredHungUp,
    /// We called: nothing is agreed, they have answered unreliably, reliably.
    Calling,
    CallingTold,
    CallingAgreed,
    /// And since then they have asked by UPDATE, or we have.
    CallingAsked,
    CallingAsking,
    /// We have given up, and their last word is not there yet.
    GivenUp,
    /// They have answered.
    Dialled,
}

/// What they ask.
const ASKED: [(&str, bool); 6] = [
    ("INVITE", true),
    ("INVITE", false),
    ("UPDATE", true),
    ("UPDATE", false),
    ("PRACK", true),
    ("PRACK", false),
];

/// It is taken up: the call above is asked.
const TAKEN: u16 = 0;

/// The statuses of [`ASKED`].
const ROWS: [(At, [u16; 6]); 25] = [
    // A second INVITE before the first has its answer is put off, and so is an offer behind theirs.
    (At::Offered, [500, 500, 500, 200, 481, 481]),
    (At::Told, [500, 500, 500, 200, 481, 481]),
    (At::ToldReliably, [500, 500, 500, 200, TAKEN, 200]),
    (At::Agreed, [500, 500, TAKEN, 200, 481, 481]),
    (At::AgreedAsked, [500, 500, 500, 500, 481, 481]),
    // 491 is for an offer that meets one of ours, and only for that.
    (At::AgreedAsking, [500, 500, 491, 200, 481, 481]),
    (At::Delayed, [500, 500, 500, 200, 481, 481]),
    // What a PRACK says then is the answer.
    (At::DelayedOffered, [500, 500, 491, 200, 200, 200]),
    // Their INVITE before their ACK: one of the two is late (RFC 5407 section 3.1.5).
    (At::Answered, [491, 491, TAKEN, 200, 481, 481]),
    (At::AnsweredByOffer, [491, 491, 491, 200, 481, 481]),
    (At::Talking, [TAKEN, TAKEN, TAKEN, 200, 481, 481]),
    (At::AskedByInvite, [500, 500, 500, 200, 481, 481]),
    (At::AskedByUpdate, [500, 500, 500, 500, 481, 481]),
    (At::Asking, [491, 491, 491, 200, 481, 481]),
    (At::Confirming, [491, 491, 500, 200, 481, 481]),
    (At::ConfirmingOffer, [491, 491, 491, 200, 481, 481]),
    (At::HungUp, [481, 481, 481, 481, 481, 481]),
    (At::AnsweredHungUp, [481, 481, 481, 200, 481, 481]),
    // Our own INVITE is under way.
    (At::Calling, [491, 491, 491, 200, 481, 481]),
    (At::CallingTold, [491, 491, 491, 200, 481, 481]),
    (At::CallingAgreed, [491, 491, TAKEN, 200, 481, 481]),
    (At::CallingAsked, [491, 491, 500, 500, 481, 481]),
    (At::CallingAsking, [491, 491, 491, 200, 481, 481]),
    (At::GivenUp, [481, 481, 481, 200, 481, 481]),
    (At::Dialled, [TAKEN, TAKEN, TAKEN, 200, 481, 481]),
];

const ALLOW: &str = "Allow: INVITE, ACK, BYE, CANCEL, PRACK, UPDATE\r\n";

/// A dialog in one state.
struct Reached {
    wire: Wire,
    leg: LegId,
    /// A message of ours within it, if we called; else our tag.
    sides: Result<Message, String>,
    /// What a PRACK acknowledges.
    rack: String,
    /// The number of their next request.
    next: u32,
}

impl Reached {
    fn ask(&mut self, (method, offers): (&str, bool)) -> Vec<Message> {
        let number = self.next;
        self.next += 1;
        // Each says something new.
        let offer = String::from_utf8_lossy(OTHER).replace(" 1 2 IN", &format!(" 1 {number} IN"));
        let offer = if offers { offer.as_bytes() } else { b"" };
        let rack = format!("RAck: {}\r\n", self.rack);
        let lines = if method == "PRACK" { rack.as_str() } else { "" };
        let text = match &self.sides {
            Ok(sides) => request_of_callee(sides, method, number, lines, offer),
            Err(tag) => within_with(method, number, tag, lines, offer),
        };
        self.wire.say(&text)
    }
}

fn reach(at: At) -> Reached {
    match at {
        At::Calling
        | At::CallingTold
        | At::CallingAgreed
        | At::CallingAsked
        | At::CallingAsking
        | At::GivenUp
        | At::Dialled => reach_by_calling(at),
        _ => reach_by_being_called(at),
    }
}

fn reach_by_being_called(at: At) -> Reached {
    let is_delayed = matches!(at, At::Delayed | At::DelayedOffered | At::AnsweredByOffer);
    let is_reliable = matches!(
        at,
        At::ToldReliably | At::Agreed | At::AgreedAsked | At::AgreedAsking | At::DelayedOffered
    );
    let lines = match is_reliable {
        true => format!("{ALLOW}Supported: 100rel\r\n"),
        false => ALLOW.to_owned(),
    };
    let mut wire = Wire::new();
    wire.say(invite_with(&lines, if is_delayed { b"" } else { SDP }));
    let leg = first_leg(&wire);
    let said = match at {
        At::Offered | At::Delayed => wire.give(Input::Progress(leg, 180, None)),
        At::Told => wire.give(Input::Progress(leg, 183, Some(OURS.to_vec()))),
        _ if is_reliable => wire.give(Input::Progress(leg, 183, Some(OURS.to_vec()))),
        _ => wire.give(Input::Answer(leg, OURS.to_vec())),
    };
    let rack = match said[0].header(Name::RSeq) {
        Some(_) => format!("{} 1 INVITE", header(&said[0], Name::RSeq)),
        None => "7 1 INVITE".to_owned(),
    };
    let mut reached = Reached {
        wire,
        leg,
        sides: Err(to_tag(&said[0])),
        rack,
        next: 2,
    };
    match at {
        At::Agreed | At::AgreedAsked | At::AgreedAsking => {
            assert_eq!(statuses(&reached.ask(("PRACK", false))), [200], "{at:?}");
        }
        At::Talking
        | At::AskedByInvite
        | At::AskedByUpdate
        | At::Asking
        | At::Confirming
        | At::ConfirmingOffer
        | At::HungUp => {
            let ack = within_with("ACK", 1, &to_tag(&said[0]), "", b"");
            reached.wire.say(&ack);
        }
        _ => {}
    }
    match at {
        At::AgreedAsked | At::AskedByUpdate => assert!(reached.ask(("UPDATE", true)).is_empty()),
        At::AskedByInvite => {
            reached.ask(("INVITE", true));
        }
        At::Confirming | At::ConfirmingOffer => {
            reached.ask(("INVITE", at == At::Confirming));
            let accepted = Input::AcceptOffer(leg, OURS.to_vec());
            assert_eq!(statuses(&reached.wire.give(accepted)), [200], "{at:?}");
        }
        At::AgreedAsking | At::Asking => {
            let sent = reached.wire.give(Input::Offer(leg, SDP.to_vec()));
            assert_eq!(sent.len(), 1, "{at:?}");
        }
        At::HungUp | At::AnsweredHungUp => {
            reached.wire.give(Input::HangUp(leg, None));
        }
        _ => {}
    }
    reached
}

fn reach_by_calling(at: At) -> Reached {
    let mut wire = Wire::new();
    let (leg, invite) = wire.dial();
    let contact = format!("Contact: <sip:x@127.0.0.1:5070>\r\n{ALLOW}");
    let reliable = format!("{contact}Require: 100rel\r\nRSeq: 1\r\n");
    let say =
        |status: &str, lines: &str, sdp: &[u8]| response_with(&invite, status, "b", lines, sdp);
    let said = match at {
        At::Calling => say("180 Ringing", &contact, b""),
        At::CallingTold => say("183 Session Progress", &contact, SDP),
        At::Dialled => say("200 OK", &contact, SDP),
        _ => say("183 Session Progress", &reliable, SDP),
    };
    wire.say(&said);
    // What a request of ours would say of both sides.
    let text = said.replacen("SIP/2.0 ", "ACK sip:x SIP/2.0\r\nX: ", 1);
    let sides = Message::parse(text.as_bytes()).expect("it can be split");
    let mut reached = Reached {
        wire,
        leg,
        sides: Ok(sides),
        rack: "1 1 INVITE".to_owned(),
        next: 1,
    };
    match at {
        At::CallingAsked => assert!(reached.ask(("UPDATE", true)).is_empty()),
        At::CallingAsking => {
            let sent = reached.wire.give(Input::Offer(leg, OURS.to_vec()));
            assert_eq!(sent.len(), 1, "{at:?}");
        }
        At::GivenUp => {
            reached.wire.give(Input::HangUp(leg, None));
        }
        _ => {}
    }
    reached
}

#[test]
fn each_request_gets_what_the_state_of_the_dialog_wants() {
    for (at, expected) in ROWS {
        for (asked, status) in ASKED.into_iter().zip(expected) {
            let why = format!("{at:?}: {} with offer: {}", asked.0, asked.1);
            let mut reached = reach(at);
            let events = reached.wire.events.len();
            let answers = reached.ask(asked);
            let finals: Vec<u16> = statuses(&answers);
            let finals: Vec<u16> = finals.into_iter().filter(|it| *it >= 200).collect();
            let offered = reached.wire.events[events..]
                .iter()
                .filter(|event| matches!(event, Event::Offered { leg, .. } if *leg == reached.leg));
            let offered = offered.count();
            match status {
                TAKEN => assert_eq!((finals, offered), (vec![], 1), "{why}"),
                status => assert_eq!((finals, offered), (vec![status], 0), "{why}"),
            }
            if let Some(refused) = answers.iter().find(|it| it.status() >= Some(300)) {
                // RFC 3261 section 14.2: between 0 and 10 seconds.
                let after = refused.header(Name::RetryAfter);
                let seconds = after.map(|_| header(refused, Name::RetryAfter).parse::<u16>());
                match status {
                    500 => assert!(matches!(seconds, Some(Ok(0..=10))), "{why}"),
                    _ => assert_eq!(seconds, None, "{why}"),
                }
            }
        }
    }
}

#[test]
fn what_was_put_off_is_taken_when_it_comes_again() {
    for (at, method) in [
        (At::AgreedAsked, "UPDATE"),
        (At::AskedByInvite, "INVITE"),
        (At::AskedByUpdate, "UPDATE"),
        (At::CallingAsked, "UPDATE"),
    ] {
        let mut reached = reach(at);
        assert_eq!(statuses(&reached.ask(("UPDATE", true))), [500], "{at:?}");
        let accepted = Input::AcceptOffer(reached.leg, OURS.to_vec());
        let answers = reached.wire.give(accepted);
        assert_eq!(statuses(&answers), [200], "{at:?}");
        if method == "INVITE" {
            let Err(tag) = reached.sides.clone() else {
                panic!("they called")
            };
            let ack = within_with("ACK", 2, &tag, "", b"");
            reached.wire.say(&ack);
        }
        assert!(reached.ask(("UPDATE", true)).is_empty(), "{at:?}");
        assert!(matches!(
            reached.wire.events.last(),
            Some(Event::Offered { .. })
        ));
    }
}

#[test]
fn an_offer_of_theirs_that_waits_is_refused_when_we_give_up() {
    for at in [At::CallingAsked, At::AgreedAsked, At::AskedByInvite] {
        let mut reached = reach(at);
        let sent = reached.wire.give(Input::HangUp(reached.leg, None));
        let refused: Vec<u16> = statuses(&sent);
        assert!(refused.contains(&487), "{at:?} {refused:?}");
        reached.wire.pass(100_000);
        let told = reached.wire.seen();
        assert!(!told.iter().any(|it| it == "withdrawn"), "{at:?} {told:?}");
    }
}
