//! Host names in descriptions: asked for outside, waited for, and not for long.

use super::world::{offered, refused, sdp_again};
use super::*;

const HOST: &str = "media.caller.example";

fn named(media: &str, host: &str) -> Vec<u8> {
    let text = String::from_utf8(sdp_at(media, "8 101")).expect("ASCII");
    let at = address(media).ip();
    text.replace(&format!("c=IN IP4 {at}"), &format!("c=IN IP4 {host}"))
        .into_bytes()
}

fn found(media: &str) -> Resolution {
    let other = "2001:db8::1".parse().expect("a literal");
    Resolution::Found {
        addresses: vec![other, address(media).ip()],
        holds_ms: 60_000,
    }
}

/// The world where all names are told to be so at once.
fn world(named: Resolution) -> World {
    let mut world = World::new();
    world.named = Some(named);
    world
}

const NO_ADDRESS: &str = "No address was found for the host name in c=";

#[test]
fn a_call_waits_for_the_address_of_its_caller() {
    let mut world = World::new();
    let caller = world.dial(named(CALLER_MEDIA, HOST), 70);
    assert_eq!(world.asked, [HOST]);
    assert!(world.callee_events.is_empty());
    world.tell(Input::Resolved(HOST.into(), found(CALLER_MEDIA)));
    let callee = world.callee_leg();
    // Its second description asks nobody.
    world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "8 101")));
    let path = world.paths.last().and_then(|path| path.caller.clone());
    assert_eq!(path.map(|end| end.address), Some(address(CALLER_MEDIA)));
    assert!(!holds(&world.to_callee, HOST), "names stay behind");
    let held = String::from_utf8(named(CALLER_MEDIA, HOST)).expect("ASCII");
    let held = held.replace(" 1 1 IN", " 1 2 IN") + "a=sendonly\r\n";
    world.caller_does(SipInput::Offer(caller, held.into_bytes()));
    assert!(offered(&world.callee_events).is_some());
    assert_eq!(world.asked.len(), 1);
    world.caller_does(SipInput::HangUp(caller, None));
    assert!(world.is_clean());
}

#[test]
fn each_message_with_a_description_may_have_a_name() {
    // Early media, the answer, an ACK and an offer.
    let mut world = World::new();
    world.named = Some(found(CALLEE_MEDIA));
    world.call();
    let callee = world.callee_leg();
    let early = Some(named(CALLEE_MEDIA, "early.example"));
    world.callee_does(SipInput::Progress(callee, 183, early));
    assert_eq!(world.asked, ["early.example"]);
    let path = world.paths.last().and_then(|path| path.callee.clone());
    assert_eq!(path.map(|end| end.address), Some(address(CALLEE_MEDIA)));
    let moved = named("203.0.113.9:8100", "later.example");
    world.callee_does(SipInput::Offer(callee, moved));
    let path = world.paths.last().and_then(|path| path.callee.clone());
    let at = path.map(|end| end.address);
    assert_eq!(at, Some(address("203.0.113.9:8100")));
    world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "8 101")));
    assert!(matches!(
        world.caller_events.last(),
        Some(Event::Answered { .. })
    ));

    let mut world = World::new();
    world.named = Some(found(CALLER_MEDIA));
    world.ack = Some(named(CALLER_MEDIA, HOST));
    world.without_100rel = Some(CALLER);
    world.dial(Vec::new(), 70);
    let callee = world.callee_leg();
    world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "8 101")));
    let path = world.paths.last().and_then(|path| path.caller.clone());
    assert_eq!(path.map(|end| end.address), Some(address(CALLER_MEDIA)));
}

#[test]
fn a_caller_whose_name_has_no_address_is_refused_and_one_that_nobody_answers_for_comes_again() {
    // What is said of the name and after how long; how the call ends, what is said with it and why in the
    // record; and whether that is believed for a while.
    let no = (488, Some(65));
    let later = (503, Some(41));
    let rows = [
        (
            Some(Resolution::NoAddress),
            0,
            no,
            NO_ADDRESS,
            "no_common_codec",
            true,
        ),
        (
            Some(Resolution::Unanswered),
            0,
            later,
            "Retry-After: 5",
            "media_unresolved",
            false,
        ),
        (
            None,
            2_000,
            later,
            "Retry-After: 5",
            "media_unresolved",
            false,
        ),
    ];
    for (named, wait_ms, end, said, situation, is_believed) in rows {
        let mut world = World::new();
        world.named = named;
        world.dial(named_caller(), 70);
        world.pass(wait_ms);
        assert_eq!(world.caller_end(), end);
        assert!(holds(&world.to_caller, said));
        assert!(world.callee_events.is_empty());
        assert_eq!(world.only_record().situation.as_deref(), Some(situation));
        let ladder = world.only_record().ladder.clone().unwrap_or_default();
        assert!(ladder.contains("host of its media"), "{ladder}");
        assert!(!ladder.contains(HOST), "{ladder}");
        // An answer that comes too late changes nothing.
        world.tell(Input::Resolved(HOST.into(), found(CALLER_MEDIA)));
        assert!(world.callee_events.is_empty());
        // Only what was answered is not asked for again at once.
        world.named = Some(found(CALLER_MEDIA));
        world.dial(named_caller(), 70);
        assert_eq!(world.asked.len(), if is_believed { 1 } else { 2 });
        assert_eq!(world.callee_events.is_empty(), is_believed);
        world.pass(5_000);
        world.callee_events.clear();
        world.dial(named_caller(), 70);
        assert!(!world.callee_events.is_empty());
    }
}

fn named_caller() -> Vec<u8> {
    named(CALLER_MEDIA, HOST)
}

#[test]
fn a_name_that_has_only_an_address_of_the_other_family_is_refused_for_that() {
    let mut world = world(Resolution::Found {
        addresses: vec!["2001:db8::1".parse().expect("a literal")],
        holds_ms: 60_000,
    });
    world.dial(named_caller(), 70);
    assert_eq!(world.caller_end(), (488, Some(65)));
    assert!(holds(&world.to_caller, "Warning: 301 "));
    assert!(!holds(&world.to_caller, "Warning: 399 "));
    assert!(world.is_clean());
}

/// Where a name can stand but in an INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Progress,
    Answer,
    Prack,
    Ack,
    ReinviteOfCaller,
    ReinviteOfCallee,
    Update,
    PrackOffer,
    Reply,
}

/// What becomes of the call.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// It goes on, as if that had not been said.
    GoesOn,
    /// So does it, and what was offered is refused with 488 and a warning.
    OfferRefused,
    /// The caller is refused so, and the callee is hung up on where it was answered.
    Refused(u16, u8),
    /// Both are hung up on with this cause.
    HungUp(u8),
}

impl Place {
    fn outcome(self, why: &Resolution) -> Outcome {
        let (status, cause) = match why {
            Resolution::NoAddress => (488, 65),
            _ => (503, 41),
        };
        match self {
            Self::Progress | Self::Reply => Outcome::GoesOn,
            Self::Answer | Self::Prack => Outcome::Refused(status, cause),
            Self::Ack => Outcome::HungUp(cause),
            _ => Outcome::OfferRefused,
        }
    }

    /// Brings a call there. The name is asked for, and answered, on the way.
    fn play(self, world: &mut World) {
        let answer = || sdp_at(CALLEE_MEDIA, "8 101");
        let named_callee = || named(CALLEE_MEDIA, "callee.example");
        let again = |media, host| {
            let text = String::from_utf8(named(media, host)).expect("ASCII");
            text.replace(" 1 1 IN", " 1 2 IN").into_bytes()
        };
        match self {
            Self::Progress => {
                world.call();
                let callee = world.callee_leg();
                world.callee_does(SipInput::Progress(callee, 183, Some(named_callee())));
            }
            Self::Answer => {
                world.call();
                let callee = world.callee_leg();
                world.callee_does(SipInput::Answer(callee, named_callee()));
            }
            Self::Prack => {
                world.prack = Some(named_caller());
                world.dial(Vec::new(), 70);
                let callee = world.callee_leg();
                world.callee_does(SipInput::Progress(callee, 183, Some(answer())));
            }
            Self::Ack => {
                world.ack = Some(named_caller());
                world.without_100rel = Some(CALLER);
                world.dial(Vec::new(), 70);
                let callee = world.callee_leg();
                world.callee_does(SipInput::Answer(callee, answer()));
            }
            Self::ReinviteOfCaller => {
                let (caller, _) = world.talk();
                world.caller_does(SipInput::Offer(caller, again(CALLER_MEDIA, HOST)));
            }
            Self::ReinviteOfCallee => {
                let (_, callee) = world.talk();
                let offer = again(CALLEE_MEDIA, "callee.example");
                world.callee_does(SipInput::Offer(callee, offer));
            }
            Self::Update => {
                world.call();
                let callee = world.callee_leg();
                world.callee_does(SipInput::Progress(callee, 183, Some(answer())));
                let offer = again(CALLEE_MEDIA, "callee.example");
                world.callee_does(SipInput::Offer(callee, offer));
            }
            Self::PrackOffer => {
                world.prack = Some(again(CALLER_MEDIA, HOST));
                world.without_100rel = Some(CALLEE);
                world.call();
                let callee = world.callee_leg();
                world.callee_does(SipInput::Progress(callee, 183, Some(answer())));
            }
            Self::Reply => {
                let (caller, callee) = world.talk();
                let offer = sdp_again(2, CALLER_MEDIA, "8 101", "sendonly");
                world.caller_does(SipInput::Offer(caller, offer));
                let reply = again(CALLEE_MEDIA, "callee.example");
                world.callee_does(SipInput::AcceptOffer(callee, reply));
            }
        }
    }
}

#[test]
fn what_becomes_of_a_call_hangs_on_where_the_name_stands() {
    use Place::*;
    let places = [
        Progress,
        Answer,
        Prack,
        Ack,
        ReinviteOfCaller,
        ReinviteOfCallee,
        Update,
        PrackOffer,
        Reply,
    ];
    for place in places {
        for (why, waits_ms) in [
            (Resolution::NoAddress, 0),
            (Resolution::Unanswered, 0),
            // Nobody says anything.
            (Resolution::Unanswered, 2_000),
        ] {
            let mut world = world(why.clone());
            if waits_ms > 0 {
                world.named = None;
            }
            place.play(&mut world);
            assert_eq!(world.asked.len(), 1, "{place:?}");
            if waits_ms > 0 {
                assert!(!holds(&world.to_caller, "SIP/2.0 503"), "{place:?} waits");
            }
            world.pass(waits_ms + 100);
            let outcome = place.outcome(&why);
            let row = format!("{place:?} {why:?} {waits_ms}");
            let warned = [&world.to_caller, &world.to_callee].map(|said| {
                let said = String::from_utf8_lossy(said).into_owned();
                said.contains("SIP/2.0 488") && said.contains(NO_ADDRESS)
            });
            match outcome {
                Outcome::GoesOn => assert_eq!(world.switch.calls(), 1, "{row}"),
                Outcome::OfferRefused => {
                    assert_eq!(world.switch.calls(), 1, "{row}");
                    assert!(warned.contains(&true), "{row}");
                }
                Outcome::Refused(status, cause) => {
                    assert_eq!(world.caller_end(), (status, Some(cause)), "{row}");
                    // It hears nothing of the callee's names.
                    assert!(
                        place != Answer || !holds(&world.to_caller, "Warning"),
                        "{row}"
                    );
                    let cause = Some(cause);
                    let is_over = |event: &Event| match event {
                        Event::Ended { cause: ended, .. } => *ended == cause,
                        Event::Cancelled { .. } => place == Prack,
                        _ => false,
                    };
                    assert!(world.callee_events.iter().any(is_over), "{row}");
                }
                Outcome::HungUp(cause) => {
                    assert_eq!(world.caller_end_cause(), Some(cause), "{row}");
                    assert_eq!(world.switch.calls(), 0, "{row}");
                }
            }
            // What has not been taken changes nothing, and the call is as it was.
            if matches!(place, ReinviteOfCaller) {
                assert_eq!(refused(&world.caller_events), Some(488), "{row}");
                let path = world.paths.last().and_then(|path| path.caller.clone());
                assert_eq!(path.map(|end| end.address), Some(address(CALLER_MEDIA)));
            }
            if world.switch.calls() == 1 {
                world.tell(Input::HangUpAll);
            }
            assert!(world.is_clean(), "{row}");
        }
    }
}

#[test]
fn a_caller_that_gives_up_meanwhile_rings_nobody() {
    let mut world = World::new();
    let caller = world.dial(named_caller(), 70);
    world.caller_does(SipInput::HangUp(caller, None));
    // Nobody waits for the name before the call is over.
    assert!(holds(&world.to_caller, "SIP/2.0 487 "));
    assert_eq!(world.switch.calls(), 0);
    assert_eq!(
        world.only_record().situation.as_deref(),
        Some("caller_gave_up")
    );
    world.tell(Input::Resolved(HOST.into(), found(CALLER_MEDIA)));
    assert!(world.callee_events.is_empty());
    assert!(world.is_clean());
}

/// A world that takes many calls.
fn over_limit() -> World {
    let mut world = World::new();
    let setup = Setup {
        calls_max: 1_000,
        per_x_max: 1_000,
        per_caller_max: 1_000,
        ..world.switch.setup.clone()
    };
    world.switch = Switch::new(setup);
    let trunks = vec![trunk("in", CALLER, true), trunk("out", CALLEE, true)];
    world.switch.set_trunks(trunks);
    world
}

#[test]
fn one_trunks_slow_names_keep_nobody_else_waiting() {
    let mut world = over_limit();
    // Two are looked up, 32 wait, and the rest is refused at once; nothing is believed of any.
    for number in 0..100 {
        world.dial(named(CALLER_MEDIA, &format!("m{number}.example")), 70);
    }
    assert_eq!(world.asked.len(), 2);
    let refused = |world: &World| {
        let events = world.caller_events.iter();
        let ends = events.filter_map(|event| match event {
            Event::Refused { status, .. } => Some(*status),
            _ => None,
        });
        ends.collect::<Vec<_>>()
    };
    assert_eq!(refused(&world), [503; 66]);
    // A name on the other trunk goes first.
    let callee = world.callee.new_leg();
    let dial = Dial {
        hop: udp(SWITCH),
        target: format!("sip:+86{X}@{SWITCH}"),
        identity: Identity::from(format!("sip:{N}@{CALLEE}")),
        max_forwards: 70,
        sdp: named(CALLEE_MEDIA, "other.example"),
    };
    world.callee_does(SipInput::Dial(callee, dial));
    assert_eq!(
        world.asked.last().map(String::as_str),
        Some("other.example")
    );
    world.tell(Input::Resolved("other.example".into(), found(CALLEE_MEDIA)));
    assert!(world.switch.calls() >= 1);
    // Nobody answers for those of the first: none waits longer than it may, and none is asked for after that.
    world.pass(4_000);
    assert_eq!(refused(&world), [503; 100]);
    assert_eq!(world.asked.len(), 2 + 1 + 2);
    // Once the server of names answers again, so does the call.
    world.named = Some(found(CALLER_MEDIA));
    world.dial(named(CALLER_MEDIA, "m99.example"), 70);
    assert_eq!(world.asked.last().map(String::as_str), Some("m99.example"));
    assert_eq!(refused(&world).len(), 100);
    world.tell(Input::HangUpAll);
    assert!(world.is_clean());
}

#[test]
fn calls_that_name_the_same_host_wait_for_one_look_up() {
    let mut world = over_limit();
    for _ in 0..300 {
        world.dial(named_caller(), 70);
    }
    assert_eq!((world.asked.len(), world.switch.calls()), (1, 0));
    // A trunk has so many legs that wait, and no more.
    let refused = |event: &&Event| matches!(event, Event::Refused { status: 503, .. });
    assert_eq!(
        world.caller_events.iter().filter(refused).count(),
        300 - 256
    );
    // Case is no difference.
    world.named = Some(found(CALLER_MEDIA));
    world.tell(Input::Resolved(HOST.into(), found(CALLER_MEDIA)));
    assert_eq!(world.switch.calls(), 256);
    world.dial(named(CALLER_MEDIA, "MEDIA.Caller.example"), 70);
    assert_eq!((world.asked.len(), world.switch.calls()), (1, 257));
    world.tell(Input::HangUpAll);
    assert!(world.is_clean());
}

#[test]
fn what_happens_while_a_leg_waits_is_bounded() {
    let mut world = World::new();
    let (caller, _) = world.talk();
    let offer = String::from_utf8(named_caller()).expect("ASCII");
    let offer = offer.replace(" 1 1 IN", " 1 2 IN").into_bytes();
    world.caller_does(SipInput::Offer(caller, offer));
    let press = |world: &mut World| {
        let kind = b"application/dtmf-relay".to_vec();
        let key = b"Signal=5\r\nDuration=100\r\n".to_vec();
        world.caller_does(SipInput::Info(caller, kind, key));
    };
    for _ in 0..31 {
        press(&mut world);
    }
    assert_eq!(
        (world.digits.len(), refused(&world.caller_events)),
        (0, None)
    );
    press(&mut world);
    // Nothing of it is lost, and it comes in its order.
    assert_eq!(world.digits.len(), 32);
    assert_eq!(refused(&world.caller_events), Some(488));
    world.caller_does(SipInput::HangUp(caller, None));
    assert!(world.is_clean());
}

#[test]
fn who_takes_no_more_calls_lets_none_wait() {
    let mut world = World::new();
    world.dial(named_caller(), 70);
    world.tell(Input::Drain);
    assert_eq!(world.caller_end().0, 503);
    world.tell(Input::Resolved(HOST.into(), found(CALLER_MEDIA)));
    assert!(world.callee_events.is_empty());
    assert!(world.is_clean());
}
