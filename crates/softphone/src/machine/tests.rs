//! Phone against phone in virtual time.

use super::*;
use crate::DetectedSound;
use crate::event::{Way, number};
use crate::reply::Answering;
use crate::sound::{melody, special_information};
use std::sync::Arc;

const CALLER: usize = 0;
const CALLEE: usize = 1;
const TO: &str = "13933334444";
const FROM: &str = "13811112222";

fn sip(phone: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1 + phone as u8], 5060))
}

fn media(phone: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1 + phone as u8], 4000))
}

enum Packet {
    Sip(Arc<[u8]>),
    Sound(Vec<u8>),
}

/// Two phones and the wire between them, on which everything takes a millisecond.
struct World {
    phones: [Machine; 2],
    told: [Vec<EventKind>; 2],
    /// When, to which phone, what.
    wire: VecDeque<(Time, usize, Packet)>,
    lines: [Option<LegId>; 2],
    sounds: Vec<i16>,
    /// The n-th SIP message is lost.
    lost: Option<usize>,
    carried: usize,
    now: Time,
}

impl World {
    fn new(answering: Answering, caller_says: Vec<Sound>, callee_says: Vec<Sound>) -> Self {
        let phone = |at: usize, answering, play| {
            let settings = Settings {
                peer: Some(sip(1 - at)),
                answering,
                play,
                records: at == CALLER,
                ..Settings::new(sip(at))
            };
            Machine::new(settings, [at as u8; 32])
        };
        let caller = phone(CALLER, Answering::Always(Reply::BUSY), caller_says);
        Self {
            phones: [caller, phone(CALLEE, answering, callee_says)],
            told: [Vec::new(), Vec::new()],
            wire: VecDeque::new(),
            lines: [None, None],
            sounds: Vec::new(),
            lost: None,
            carried: 0,
            now: Time::from_millis(0),
        }
    }

    fn answering(reply: Reply) -> Self {
        Self::new(
            Answering::Always(reply),
            vec![Sound::Tone(440, None)],
            melody(),
        )
    }

    fn call(&mut self, hang_up_s: u64) -> LegId {
        let call = self.phones[CALLER].new_call();
        let order = Order {
            hang_up: Some(Duration::from_secs(hang_up_s)),
            ..Order::new(sip(CALLEE), TO, FROM)
        };
        self.give(CALLER, Input::Dial(call, order));
        call
    }

    fn give(&mut self, phone: usize, input: Input<'_>) {
        let now = self.now;
        self.phones[phone].handle_input(input, now);
        let arrives = now + Duration::from_millis(1);
        while let Some(output) = self.phones[phone].poll_output() {
            match output {
                Output::Send { bytes, .. } => {
                    self.carried += 1;
                    if self.lost != Some(self.carried) {
                        self.wire
                            .push_back((arrives, 1 - phone, Packet::Sip(bytes)));
                    }
                }
                Output::SendMedia { to, bytes, .. } => {
                    assert_eq!(to, media(1 - phone));
                    self.wire
                        .push_back((arrives, 1 - phone, Packet::Sound(bytes)));
                }
                Output::OpenMedia(call) => {
                    self.lines[phone] = Some(call);
                    self.phones[phone]
                        .handle_input(Input::MediaOpened(call, Some(media(phone))), now);
                }
                Output::CloseMedia(call) => assert_eq!(self.lines[phone].take(), Some(call)),
                Output::Sound(_, samples) => self.sounds.extend(samples),
                Output::Tell(event) => self.told[phone].push(event.kind),
            }
        }
    }

    fn run_until(&mut self, end_ms: u64) {
        let end = Time::from_millis(end_ms);
        loop {
            let carried = self.wire.front().map(|(at, _, _)| *at);
            let due = |phone: &Machine| phone.poll_timeout();
            let dues = self.phones.iter().filter_map(due);
            let Some(next) = dues.chain(carried).min().filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            while self.wire.front().is_some_and(|(at, _, _)| *at <= self.now) {
                let Some((_, to, packet)) = self.wire.pop_front() else {
                    break;
                };
                match packet {
                    Packet::Sip(bytes) => {
                        let from = sip(1 - to);
                        self.give(
                            to,
                            Input::Datagram {
                                from,
                                bytes: &bytes,
                            },
                        );
                    }
                    Packet::Sound(bytes) => {
                        if let Some(call) = self.lines[to] {
                            let from = media(1 - to);
                            let control = false;
                            self.give(
                                to,
                                Input::Media {
                                    call,
                                    from,
                                    control,
                                    bytes: &bytes,
                                },
                            );
                        }
                    }
                }
            }
            for phone in [CALLER, CALLEE] {
                if self.phones[phone]
                    .poll_timeout()
                    .is_some_and(|due| due <= self.now)
                {
                    self.give(phone, Input::Timeout);
                }
            }
        }
    }

    fn report(&self, phone: usize) -> &Report {
        let reports: Vec<_> = self.told[phone]
            .iter()
            .filter_map(|kind| match kind {
                EventKind::Over(report) => Some(report),
                _ => None,
            })
            .collect();
        assert_eq!(reports.len(), 1, "one call, one report");
        reports[0]
    }

    fn heard(&self, phone: usize) -> Vec<DetectedSound> {
        let heard = self.told[phone].iter().filter_map(|kind| match kind {
            EventKind::Heard(heard) => Some(*heard),
            _ => None,
        });
        heard.collect()
    }

    fn assert_idle(&mut self) {
        self.run_until(self.now.as_millis() + 60_000);
        assert!(self.phones.iter().all(Machine::is_idle));
        assert_eq!(self.lines, [None, None]);
        assert!(self.wire.is_empty());
    }
}

fn number_of(text: &str) -> Option<maskline_domain::PhoneNumber> {
    number(text)
}

const AT_ONCE: Reply = Reply::Answer {
    ring: Duration::from_millis(500),
    hang_up: None,
};

#[test]
fn both_hear_each_other_see_each_others_number_and_count_every_packet() {
    let mut world = World::answering(AT_ONCE);
    world.call(4);
    world.run_until(10_000);
    let (caller, callee) = (world.report(CALLER).clone(), world.report(CALLEE).clone());
    assert_eq!(caller.shown, number_of(TO));
    assert_eq!(
        (callee.shown, callee.dialled),
        (number_of(FROM), number_of(TO))
    );
    assert_eq!((caller.by, callee.by), (EndedBy::Us, EndedBy::Them));
    assert_eq!(callee.cause, Some(16));
    assert!(
        (4_000..4_100).contains(&caller.talked_ms()),
        "{}",
        caller.talked_ms()
    );
    let first = &world.heard(CALLER)[..3];
    assert_eq!(
        first,
        [
            DetectedSound::Tone(1_000),
            DetectedSound::Tone(800),
            DetectedSound::Tone(1_250)
        ]
    );
    assert_eq!(world.heard(CALLEE), [DetectedSound::Tone(440)]);
    assert!(
        caller.packets.sent >= 195 && caller.packets.received >= 195,
        "{:?}",
        caller.packets
    );
    assert_eq!((caller.packets.lost, callee.packets.lost), (0, 0));
    let recorded_ms = world.sounds.len() as u64 / 8;
    assert_eq!(
        recorded_ms,
        caller.packets.received * 20,
        "what is heard can be recorded"
    );
    world.assert_idle();
}

#[test]
fn every_message_is_told_on_both_sides() {
    let mut world = World::answering(AT_ONCE);
    world.call(1);
    world.run_until(3_000);
    let told = |phone: usize, way: Way| -> Vec<String> {
        let lines = world.told[phone].iter().filter_map(|kind| match kind {
            EventKind::Message(seen) if seen.way == way => Some(match &seen.status {
                Some((status, _)) => format!("{status} {}", seen.method),
                None => seen.method.clone(),
            }),
            _ => None,
        });
        lines.collect()
    };
    assert_eq!(told(CALLER, Way::Out), ["INVITE", "ACK", "BYE"]);
    assert_eq!(
        told(CALLER, Way::In),
        ["100 INVITE", "180 INVITE", "200 INVITE", "200 BYE"]
    );
    assert_eq!(told(CALLER, Way::Out), told(CALLEE, Way::In));
    assert_eq!(told(CALLER, Way::In), told(CALLEE, Way::Out));
    let hidden = format!("{:?}", world.told);
    assert!(
        !hidden.contains(TO) && !hidden.contains(FROM),
        "events show numbers masked"
    );
}

#[test]
fn a_refusal_is_told_with_its_cause() {
    let rows = [
        (Reply::BUSY, 486, Some(17)),
        (Reply::DECLINED, 603, Some(21)),
        (Reply::UNREACHABLE, 503, Some(27)),
        (Reply::UNKNOWN, 404, Some(1)),
    ];
    for (reply, status, cause) in rows {
        let mut world = World::answering(reply);
        world.call(1);
        world.run_until(1_000);
        for phone in [CALLER, CALLEE] {
            let report = world.report(phone);
            assert_eq!((report.status, report.cause), (Some(status), cause));
            assert!(!report.is_answered());
        }
        assert_eq!(world.report(CALLER).by, EndedBy::Them);
        world.assert_idle();
    }
}

#[test]
fn an_announcement_is_heard_before_the_refusal() {
    let mut world = World::answering(Reply::Announce {
        sound: special_information(),
        length: Duration::from_secs(3),
        status: 480,
        cause: Some(20),
    });
    world.call(1);
    world.run_until(5_000);
    let report = world.report(CALLER);
    assert_eq!((report.status, report.cause), (Some(480), Some(20)));
    assert!(report.early_media && !report.is_answered());
    assert!(report.heard.tone_ms(950) >= 400 && report.heard.tone_ms(1_800) >= 400);
    assert_eq!(
        report.packets.sent, 0,
        "the caller does not speak before an answer"
    );
    assert!(report.packets.received >= 145);
    world.assert_idle();
}

#[test]
fn a_phone_that_rings_is_given_up_by_the_caller() {
    let mut world = World::answering(Reply::Ring);
    let call = world.call(1);
    world.run_until(20_000);
    assert!(
        world.told[CALLER]
            .iter()
            .any(|kind| matches!(kind, EventKind::Progress { status: 180, .. }))
    );
    world.give(CALLER, Input::HangUp(call));
    world.run_until(21_000);
    assert_eq!(world.report(CALLER).by, EndedBy::Us);
    let callee = world.report(CALLEE);
    assert_eq!((callee.by, callee.status), (EndedBy::Them, Some(487)));
    world.assert_idle();
}

#[test]
fn a_phone_answers_and_refuses_by_hand() {
    for answers in [true, false] {
        let mut world = World::answering(Reply::Ring);
        world.call(1);
        world.run_until(2_000);
        let Some(call) = world.lines[CALLEE] else {
            panic!("it does not ring");
        };
        let wish = match answers {
            true => Input::Answer(call),
            false => Input::Refuse(call, 486, Some(17)),
        };
        world.give(CALLEE, wish);
        world.run_until(5_000);
        assert_eq!(world.report(CALLER).is_answered(), answers);
        world.assert_idle();
    }
}

#[test]
fn a_phone_hangs_up_when_its_time_has_come() {
    let mut world = World::answering(Reply::Answer {
        ring: Duration::ZERO,
        hang_up: Some(Duration::from_secs(3)),
    });
    world.call(60);
    world.run_until(5_000);
    let caller = world.report(CALLER);
    assert_eq!((caller.by, caller.cause), (EndedBy::Them, Some(16)));
    assert!(
        (2_990..3_010).contains(&caller.talked_ms()),
        "{}",
        caller.talked_ms()
    );
    world.assert_idle();
}

#[test]
fn keys_are_pressed_and_reported() {
    let mut world = World::answering(AT_ONCE);
    let call = world.phones[CALLER].new_call();
    let order = Order {
        keys: "15#".to_owned(),
        hang_up: Some(Duration::from_secs(2)),
        ..Order::new(sip(CALLEE), TO, FROM)
    };
    world.give(CALLER, Input::Dial(call, order));
    world.run_until(5_000);
    assert_eq!(world.report(CALLEE).keys, "15#");
    assert_eq!(world.report(CALLER).keys, "");
}

#[test]
fn an_echo_comes_back_and_what_is_said_can_be_changed() {
    let mut world = World::new(
        Answering::Always(AT_ONCE),
        vec![Sound::Tone(440, None)],
        vec![Sound::Echo],
    );
    let call = world.call(6);
    world.run_until(3_000);
    world.give(CALLER, Input::Play(call, vec![Sound::Tone(2_000, None)]));
    world.run_until(8_000);
    assert_eq!(
        world.heard(CALLER),
        [DetectedSound::Tone(440), DetectedSound::Tone(2_000)]
    );
    let report = world.report(CALLER);
    assert_eq!(report.packets.lost, 0);
}

#[test]
fn any_one_lost_message_changes_nothing() {
    for lost in 1..=9 {
        let mut world = World::answering(AT_ONCE);
        world.lost = Some(lost);
        world.call(3);
        world.run_until(20_000);
        assert!(world.report(CALLER).is_answered(), "message {lost}");
        assert!(world.report(CALLEE).is_answered(), "message {lost}");
        world.assert_idle();
    }
}

#[test]
fn a_number_that_the_phone_does_not_have_is_unknown() {
    let answering = Answering::Number("13800000000".to_owned(), AT_ONCE);
    let mut world = World::new(answering, melody(), melody());
    world.call(1);
    world.run_until(2_000);
    assert_eq!(world.report(CALLER).status, Some(404));
}

#[test]
fn nobody_there_is_told_as_silence() {
    let mut world = World::answering(AT_ONCE);
    let call = world.phones[CALLER].new_call();
    world.give(CALLER, Input::Dial(call, Order::new(sip(CALLEE), TO, FROM)));
    world.wire.clear();
    while world.now.as_millis() < 40_000 {
        world.run_until(world.now.as_millis() + 1);
        world.wire.clear();
    }
    let report = world.report(CALLER);
    assert_eq!((report.by, report.status), (EndedBy::Silence, Some(408)));
}

#[test]
fn garbage_and_strangers_change_nothing() {
    let mut world = World::answering(AT_ONCE);
    let stranger = SocketAddr::from(([192, 0, 2, 1], 5060));
    for bytes in [&b"\x00\xff"[..], b"", b"INVITE sip:1@h SIP/2.0\r\n\r\n"] {
        world.give(
            CALLEE,
            Input::Datagram {
                from: stranger,
                bytes,
            },
        );
    }
    assert!(world.phones[CALLEE].is_idle());
    assert_eq!(world.phones[CALLEE].calls(), 0);
}

/// The version in the `o=` line of each description that a phone has sent, in order.
fn versions(world: &World, phone: usize) -> Vec<u32> {
    let sent = world.told[phone].iter().filter_map(|kind| match kind {
        EventKind::Message(seen) if seen.way == Way::Out && seen.has_sdp => Some(seen),
        _ => None,
    });
    let origin = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let line = text.lines().find(|line| line.starts_with("o="));
        line.and_then(|line| line.split(' ').nth(2)?.parse().ok())
    };
    sent.map(|seen| origin(&seen.bytes).expect("an origin"))
        .collect()
}

/// RFC 3264 section 8: a description that is the same as the one before has its version, too.
#[test]
fn the_version_of_a_description_goes_up_with_each_change_only() {
    let mut world = World::answering(AT_ONCE);
    let call = world.call(20);
    let wishes = [
        Input::Hold(call),
        Input::Resume(call),
        Input::Resume(call),
        Input::Hold(call),
    ];
    for (n, wish) in (1..).zip(wishes) {
        world.run_until(2_000 * n);
        world.give(CALLER, wish);
    }
    world.run_until(12_000);
    assert_eq!(versions(&world, CALLER), [1, 2, 3, 3, 4]);
    assert_eq!(versions(&world, CALLEE), [1, 2, 3, 3, 4]);
}

#[test]
fn a_call_is_put_on_hold_and_taken_back() {
    let mut world = World::answering(AT_ONCE);
    let call = world.call(10);
    world.run_until(2_000);
    world.give(CALLER, Input::Hold(call));
    world.run_until(4_000);
    assert!(matches!(
        world.told[CALLEE]
            .iter()
            .rfind(|kind| !matches!(kind, EventKind::Heard(_) | EventKind::Message(_))),
        Some(EventKind::Held)
    ));
    assert!(
        world.told[CALLER]
            .iter()
            .any(|kind| matches!(kind, EventKind::OfferAccepted))
    );
    let heard_ms = world.sounds.len() / 8;
    world.run_until(5_000);
    assert_eq!(
        world.sounds.len() / 8,
        heard_ms,
        "whoever is held says nothing"
    );
    world.give(CALLER, Input::Resume(call));
    world.run_until(8_000);
    assert!(
        world.told[CALLEE]
            .iter()
            .any(|kind| matches!(kind, EventKind::Resumed))
    );
    assert!(world.sounds.len() / 8 >= heard_ms + 2_900);
    world.run_until(15_000);
    assert_eq!(world.report(CALLER).packets.lost, 0);
    world.assert_idle();
}

#[test]
fn what_cannot_be_carried_is_refused_and_the_call_goes_on() {
    let mut world = World::answering(AT_ONCE);
    let call = world.call(5);
    world.run_until(2_000);
    let fax = b"v=0\r\no=- 1 9 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=image 4000 udptl t38\r\n";
    let now = world.now;
    world.phones[CALLER].sip(SipInput::Offer(call, fax.to_vec()), now);
    world.give(CALLER, Input::Timeout);
    world.run_until(3_000);
    assert!(
        world.told[CALLER]
            .iter()
            .any(|kind| matches!(kind, EventKind::OfferRefused(488)))
    );
    world.run_until(10_000);
    assert!(world.report(CALLER).talked_ms() >= 4_900);
}
