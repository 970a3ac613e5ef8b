//! A caller, the switch and a callee in virtual time, and what each side gets to see.

mod changing;
mod failing;
mod prompting;
mod ringing;
mod trunks;

use super::codecs::Codecs;
use super::media::Media;
use super::*;
use crate::calls::numbers;
use maskline_domain::binding::{Extras, Restriction};
use maskline_domain::call::Notice;
use maskline_domain::kinds::{Product, Role};
use maskline_domain::routing::{Connection, Dial as Query, Route, Situation};
use maskline_domain::{
    AccountId, Binding, PhoneNumber, PoolKey, SubsId, Timestamp, ToneCode, TrunkName,
};
use maskline_sip::endpoint::{Config, Dial, Event, Peer, Refusal};
use maskline_sip::g711::Law;
use maskline_sip::hop::Hop;
use maskline_sip::identity::Identity;
use maskline_sip::sdp::{Direction, Payloads};
use maskline_store::records::call::CallRecord;
use std::net::SocketAddr;

const SWITCH: &str = "192.0.2.1:5060";
const CALLER: &str = "198.51.100.7:5070";
const CALLEE: &str = "203.0.113.9:5080";
const SPARE: &str = "203.0.113.10:5080";
/// Where nobody listens.
const DEAD: &str = "203.0.113.77:5060";
const CALLER_MEDIA: &str = "198.51.100.7:7000";
const CALLEE_MEDIA: &str = "203.0.113.9:8000";
const N: &str = "13811112222";
const X: &str = "17000000001";
const A: &str = "13933334444";

fn address(text: &str) -> SocketAddr {
    text.parse().expect("a literal address")
}

fn udp(text: &str) -> Hop {
    Hop::udp(address(text))
}

fn number(digits: &str) -> PhoneNumber {
    PhoneNumber::parse(digits).expect("digits")
}

fn sdp_at(media: &str, payload_types: &str) -> Vec<u8> {
    let media = address(media);
    format!(
        "v=0\r\no=secret-{} 1 1 IN IP4 {}\r\ns=secret\r\nc=IN IP4 {}\r\nt=0 0\r\nm=audio {} RTP/AVP {payload_types}\r\n\
         a=rtpmap:101 telephone-event/8000\r\n",
        media.port(),
        media.ip(),
        media.ip(),
        media.port()
    )
    .into_bytes()
}

/// How the state and the records answer.
#[derive(Clone)]
struct Answers {
    route: Option<Route>,
    trunks: Vec<Trunk>,
    durable: bool,
    ports: bool,
    /// Whether prompts end.
    plays: bool,
    /// The ring tone.
    tone: Option<ToneCode>,
}

/// Everything is well.
fn well() -> Answers {
    Answers {
        route: Some(connection()),
        trunks: vec![trunk("out", CALLEE, true)],
        durable: true,
        ports: true,
        plays: true,
        tone: None,
    }
}

fn trunk(name: &str, peer: &str, enabled: bool) -> Trunk {
    Trunk {
        said: maskline_domain::Trunk {
            enabled,
            ..maskline_domain::Trunk::new(TrunkName::new(name), peer)
        },
        peer: Peer::new(PeerId(0), udp(peer)),
    }
}

struct World {
    now_ms: u64,
    switch: Switch,
    caller: Endpoint,
    callee: Endpoint,
    /// Behind another trunk.
    spare: Endpoint,
    answers: Answers,
    caller_events: Vec<Event>,
    callee_events: Vec<Event>,
    spare_events: Vec<Event>,
    /// Every byte sent to each side.
    to_caller: Vec<u8>,
    to_callee: Vec<u8>,
    opened: Vec<CallRecord>,
    finished: Vec<Option<CallRecord>>,
    paths: Vec<MediaPath>,
    played: Vec<(Side, Sound)>,
    silenced: usize,
    files: Vec<String>,
    digits: Vec<(Side, char)>,
    /// What the caller's ACK says to an offer of ours, which its endpoint does not.
    ack: Option<Vec<u8>>,
    queue: VecDeque<(Hop, Hop, Vec<u8>)>,
}

/// A message without a body, with this one.
fn with_body(message: &[u8], sdp: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(message);
    let length = format!(
        "Content-Type: application/sdp\r\nContent-Length: {}\r\n",
        sdp.len()
    );
    let head = text.replace("Content-Length: 0\r\n", &length);
    [head.as_bytes(), sdp].concat()
}

fn connection() -> Route {
    let binding = Binding {
        subs_id: SubsId(7),
        product: Product::Axn,
        x: number(X),
        a: number(A),
        b: None,
        created_at: Timestamp(0),
        expires_at: Timestamp(i64::MAX),
        restriction: Restriction::None,
        record: false,
        speech_recognition: false,
        ring_timeout_s: None,
        extras: Extras {
            out_id: Some("order 1".into()),
            ..Extras::default()
        },
    };
    Route::Connect(Box::new(Connection {
        callee: binding.a,
        binding,
        pool: PoolKey::new("FC1"),
        caller_role: Role::Other,
        ring_timeout_s: 30,
    }))
}

impl World {
    fn new() -> Self {
        let mut switch = Switch::new(Setup {
            advertised: address(SWITCH),
            advertised_tls: None,
            node: "n1".into(),
            boot: "b1".into(),
            calls_max: 4,
            per_x_max: 2,
            per_caller_max: 3,
            duration_max_s: 600,
            notice: Notice::Both,
            seed: [9; 32],
        });
        switch.set_trunks(vec![
            trunk("in", CALLER, true),
            trunk("out", CALLEE, true),
            trunk("spare", SPARE, true),
        ]);
        let phone = |at, seed| {
            let peer = Peer::new(PeerId(0), udp(SWITCH));
            Endpoint::new(Config::new(address(at)), vec![peer], [seed; 32])
        };
        Self {
            now_ms: 1_000,
            switch,
            caller: phone(CALLER, 1),
            callee: phone(CALLEE, 2),
            spare: phone(SPARE, 3),
            answers: well(),
            caller_events: Vec::new(),
            callee_events: Vec::new(),
            spare_events: Vec::new(),
            to_caller: Vec::new(),
            to_callee: Vec::new(),
            opened: Vec::new(),
            finished: Vec::new(),
            paths: Vec::new(),
            played: Vec::new(),
            silenced: 0,
            files: Vec::new(),
            digits: Vec::new(),
            ack: None,
            queue: VecDeque::new(),
        }
    }

    fn moment(&self) -> Moment {
        Moment {
            wall: Timestamp(1_700_000_000_000 + self.now_ms as i64),
            tick_ms: self.now_ms,
        }
    }

    fn dial(&mut self, sdp: Vec<u8>, max_forwards: u8) -> LegId {
        let leg = self.caller.new_leg();
        let dial = Dial {
            hop: udp(SWITCH),
            target: format!("sip:+86{X}@{SWITCH}"),
            identity: Identity::from(format!("sip:{N}@{CALLER}")),
            max_forwards,
            sdp,
        };
        self.caller_does(SipInput::Dial(leg, dial));
        leg
    }

    fn call(&mut self) -> LegId {
        self.dial(sdp_at(CALLER_MEDIA, "18 8 0 101"), 70)
    }

    fn caller_does(&mut self, input: SipInput<'_>) {
        self.caller
            .handle_input(input, Time::from_millis(self.now_ms));
        self.settle();
    }

    fn callee_does(&mut self, input: SipInput<'_>) {
        self.callee
            .handle_input(input, Time::from_millis(self.now_ms));
        self.settle();
    }

    fn tell(&mut self, input: Input<'_>) {
        let moment = self.moment();
        self.switch.handle_input(input, moment);
        self.settle();
    }

    /// Carries packets and answers about until nobody has anything more to say.
    fn settle(&mut self) {
        loop {
            while let Some(output) = self.caller.poll_output() {
                match output {
                    SipOutput::Send { to, bytes } => {
                        self.queue.push_back((udp(CALLER), to, bytes.to_vec()))
                    }
                    SipOutput::Event(event) => self.caller_events.push(event),
                }
            }
            while let Some(output) = self.callee.poll_output() {
                match output {
                    SipOutput::Send { to, bytes } => {
                        self.queue.push_back((udp(CALLEE), to, bytes.to_vec()))
                    }
                    SipOutput::Event(event) => self.callee_events.push(event),
                }
            }
            while let Some(output) = self.spare.poll_output() {
                match output {
                    SipOutput::Send { to, bytes } => {
                        self.queue.push_back((udp(SPARE), to, bytes.to_vec()))
                    }
                    SipOutput::Event(event) => self.spare_events.push(event),
                }
            }
            while let Some(output) = self.switch.poll_output() {
                self.answer(output);
            }
            let Some((from, to, bytes)) = self.queue.pop_front() else {
                return;
            };
            let now = Time::from_millis(self.now_ms);
            let bytes = match &self.ack {
                Some(sdp) if from == udp(CALLER) && bytes.starts_with(b"ACK ") => {
                    with_body(&bytes, sdp)
                }
                _ => bytes,
            };
            let bytes = bytes.as_slice();
            if to == udp(SWITCH) {
                let moment = self.moment();
                self.switch
                    .handle_input(Input::Datagram { from, bytes }, moment);
            } else if to == udp(CALLER) {
                self.to_caller.extend_from_slice(bytes);
                self.caller
                    .handle_input(SipInput::Datagram { from, bytes }, now);
            } else if to == udp(SPARE) {
                self.spare
                    .handle_input(SipInput::Datagram { from, bytes }, now);
            } else if to != udp(DEAD) {
                assert_eq!(to, udp(CALLEE), "nothing goes anywhere else");
                self.to_callee.extend_from_slice(bytes);
                self.callee
                    .handle_input(SipInput::Datagram { from, bytes }, now);
            }
        }
    }

    fn answer(&mut self, output: Output) {
        let moment = self.moment();
        match output {
            Output::Send { to, bytes } => self.queue.push_back((udp(SWITCH), to, bytes.to_vec())),
            Output::AskRoute(key, query) => {
                assert_eq!(
                    query,
                    Query {
                        caller: Some(number(N)),
                        x: number(X)
                    }
                );
                let routing = self.answers.route.clone().map(|route| {
                    let account = Some(AccountId::new("acme"));
                    Box::new(Routing {
                        route,
                        pool: Some(PoolKey::new("FC1")),
                        account,
                        trunks: self.answers.trunks.clone(),
                        tone: self.answers.tone,
                    })
                });
                self.switch
                    .handle_input(Input::Routed(key, routing), moment);
            }
            Output::OpenRow(key, record) => {
                self.opened.push(*record);
                self.switch
                    .handle_input(Input::RowOpened(key, self.answers.durable), moment);
            }
            Output::LeaseMedia(key, _) => {
                let lease = Lease {
                    caller: address("192.0.2.1:20000"),
                    callee: address("192.0.2.1:20002"),
                };
                self.switch.handle_input(
                    Input::MediaLeased(key, self.answers.ports.then_some(lease)),
                    moment,
                );
            }
            Output::Relay(_, path) => self.paths.push(path),
            Output::Play(key, side, sound, repeat) => {
                self.played.push((side, sound));
                if self.answers.plays && repeat == Repeat::Once {
                    self.switch.handle_input(Input::Played(key, side), moment);
                }
            }
            Output::SendDigit(_, side, digit) => self.digits.push((side, digit)),
            Output::StopPlaying(..) => self.silenced += 1,
            Output::Record(_, wish) => {
                let path = self.paths.last().and_then(|path| path.caller);
                assert!(path.is_some(), "what is recorded is known before");
                self.files.push(wish.file);
            }
            Output::Finish(_, record) => self.finished.push(record.map(|record| *record)),
        }
    }

    /// Lets time pass for all three.
    fn pass(&mut self, millis: u64) {
        let end = self.now_ms + millis;
        loop {
            let caller = self.caller.poll_timeout().map(Time::as_millis);
            let callee = self.callee.poll_timeout().map(Time::as_millis);
            let spare = self.spare.poll_timeout().map(Time::as_millis);
            let switch = self.switch.poll_timeout();
            let Some(next) = [caller, callee, spare, switch]
                .into_iter()
                .flatten()
                .min()
                .filter(|next| *next <= end)
            else {
                break;
            };
            self.now_ms = self.now_ms.max(next);
            self.caller_does(SipInput::Timeout);
            self.callee_does(SipInput::Timeout);
            self.spare
                .handle_input(SipInput::Timeout, Time::from_millis(self.now_ms));
            self.tell(Input::Timeout);
        }
        self.now_ms = end;
    }

    fn callee_leg(&self) -> LegId {
        match self.callee_events.first() {
            Some(Event::Incoming { leg, .. }) => *leg,
            other => panic!("the callee is called first, not {other:?}"),
        }
    }

    /// A call that stands.
    fn talk(&mut self) -> (LegId, LegId) {
        let caller = self.call();
        let callee = self.callee_leg();
        self.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "8 101")));
        assert!(matches!(
            self.caller_events.last(),
            Some(Event::Answered { .. })
        ));
        (caller, callee)
    }

    fn caller_end(&self) -> (u16, Option<u8>) {
        match self.caller_events.last() {
            Some(Event::Refused { status, cause, .. }) => (*status, *cause),
            other => panic!("the caller is refused, not {other:?}"),
        }
    }

    fn caller_end_cause(&self) -> Option<u8> {
        match self.caller_events.last() {
            Some(Event::Ended { cause, .. } | Event::Refused { cause, .. }) => *cause,
            other => panic!("the call is over, not {other:?}"),
        }
    }

    fn only_record(&self) -> &CallRecord {
        match &self.finished[..] {
            [Some(record)] => record,
            other => panic!("one record, not {other:?}"),
        }
    }

    fn is_clean(&mut self) -> bool {
        self.pass(400_000);
        self.switch.is_idle()
            && self.caller.is_idle()
            && self.callee.is_idle()
            && self.spare.is_idle()
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn a_call_connects_shows_x_and_closes_its_record() {
    let mut world = World::new();
    world.call();
    let callee = world.callee_leg();
    world.callee_does(SipInput::Progress(callee, 180, None));
    world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "8 101")));
    let Some(Event::Incoming {
        invite,
        max_forwards,
        ..
    }) = world.callee_events.first()
    else {
        panic!("called")
    };
    assert_eq!(
        numbers::caller(invite),
        Some(number(X)),
        "the callee sees X"
    );
    assert_eq!(numbers::dialled(invite), Some(number(A)));
    assert_eq!(*max_forwards, 69, "one hop fewer");
    let names: Vec<bool> = world
        .caller_events
        .iter()
        .map(|event| matches!(event, Event::Answered { .. }))
        .collect();
    assert_eq!(names, [false, true], "ringing, then the answer");
    let end = |media, codec, version| MediaEnd {
        address: address(media),
        payloads: Payloads {
            codec,
            events: Some(101),
        },
        law: Some(Law::A),
        direction: Direction::SendRecv,
        nat: false,
        version,
    };
    let path = MediaPath {
        caller: Some(end(CALLER_MEDIA, 8, 0)),
        callee: Some(end(CALLEE_MEDIA, 8, 1)),
    };
    assert_eq!(world.paths, [path]);
    world.pass(5_000);
    world.callee_does(SipInput::HangUp(callee, Some(16)));
    assert!(matches!(
        world.caller_events.last(),
        Some(Event::Ended {
            cause: Some(16),
            ..
        })
    ));
    let record = world.only_record();
    assert_eq!(record.call_id, world.opened[0].call_id);
    assert_eq!(
        (record.x, record.caller, record.callee),
        (Some(number(X)), Some(number(N)), Some(number(A)))
    );
    assert_eq!(
        (record.trunk_in.as_deref(), record.trunk_out.as_deref()),
        (Some("in"), Some("out"))
    );
    assert_eq!(
        (record.account.as_deref(), record.pool.as_deref()),
        (Some("acme"), Some("FC1"))
    );
    assert_eq!(
        (record.subs_id, record.out_id.as_deref()),
        (Some(SubsId(7)), Some("order 1"))
    );
    assert_eq!(
        (record.situation.as_deref(), record.release_by.as_deref()),
        (Some("hung_up"), Some("callee"))
    );
    let talked = record
        .answered_at
        .zip(record.released_at)
        .map(|(from, to)| to.millis() - from.millis());
    assert_eq!(talked, Some(5_000));
    assert!(record.ringing_at.is_some() && record.dialled_at.is_some());
    assert!(world.is_clean());
}

#[test]
fn neither_side_gets_a_byte_of_the_other() {
    let mut world = World::new();
    let (caller, _) = world.talk();
    world.caller_does(SipInput::HangUp(caller, Some(16)));
    world.pass(1_000);
    for secret in [N, "198.51.100.7", "audio 7000", "secret"] {
        assert!(
            !holds(&world.to_callee, secret),
            "{secret} reached the callee"
        );
    }
    for secret in [A, "203.0.113.9", "audio 8000", "secret"] {
        assert!(
            !holds(&world.to_caller, secret),
            "{secret} reached the caller"
        );
    }
}

#[test]
fn hiding_something_else_changes_no_byte_on_the_other_side() {
    let sent_to_callee = |media: &str| {
        let mut world = World::new();
        let caller = world.dial(sdp_at(media, "8 101"), 70);
        let callee = world.callee_leg();
        world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "8 101")));
        world.caller_does(SipInput::HangUp(caller, None));
        world.to_callee
    };
    assert_eq!(
        sent_to_callee(CALLER_MEDIA),
        sent_to_callee("198.51.100.250:17000")
    );
}

#[test]
fn early_media_is_relayed_and_ringing_stays_ringing() {
    let mut world = World::new();
    world.call();
    let callee = world.callee_leg();
    world.callee_does(SipInput::Progress(
        callee,
        183,
        Some(sdp_at(CALLEE_MEDIA, "0")),
    ));
    world.callee_does(SipInput::Progress(callee, 180, None));
    let progress: Vec<(u16, bool)> = world
        .caller_events
        .iter()
        .filter_map(|event| match event {
            Event::Progress { status, sdp, .. } => Some((*status, sdp.is_some())),
            _ => None,
        })
        .collect();
    assert_eq!(progress, [(183, true), (180, false)]);
    assert_eq!(world.paths.len(), 1);
    world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "0")));
    let Some(Event::Answered { sdp: Some(sdp), .. }) = world.caller_events.last() else {
        panic!("answered")
    };
    assert!(
        holds(sdp, "m=audio 20000 RTP/AVP 0\r\n"),
        "one codec, our port"
    );
}

#[test]
fn a_refused_route_tells_its_status_and_leaves_a_record() {
    let mut world = World::new();
    world.answers.route = Some(Route::Refuse {
        situation: Situation::Restricted,
        binding: None,
    });
    world.call();
    assert_eq!(world.caller_end(), (403, Some(21)));
    let record = world.only_record();
    assert_eq!(
        (record.situation.as_deref(), record.sip_status),
        (Some("restricted"), Some(403))
    );
    assert!(world.opened.is_empty() && world.callee_events.is_empty());
    assert!(world.is_clean());
}

#[test]
fn busy_and_ring_time_out_reach_the_caller() {
    let mut world = World::new();
    world.call();
    let callee = world.callee_leg();
    world.callee_does(SipInput::Refuse(
        callee,
        Refusal {
            status: 486,
            cause: None,
        },
    ));
    assert_eq!(world.caller_end(), (486, Some(17)));
    assert!(world.is_clean());
    let mut world = World::new();
    world.call();
    let callee = world.callee_leg();
    world.callee_does(SipInput::Progress(callee, 180, None));
    world.pass(29_900);
    assert!(world.finished.is_empty());
    world.pass(200);
    assert_eq!(world.caller_end(), (480, Some(19)));
    assert!(matches!(
        world.callee_events.last(),
        Some(Event::Cancelled {
            cause: Some(19),
            ..
        })
    ));
    assert_eq!(world.only_record().situation.as_deref(), Some("no_answer"));
    assert!(world.is_clean());
}

#[test]
fn a_caller_who_gives_up_stops_the_callee_ringing() {
    let mut world = World::new();
    let caller = world.call();
    let callee = world.callee_leg();
    world.callee_does(SipInput::Progress(callee, 180, None));
    world.caller_does(SipInput::HangUp(caller, None));
    assert!(matches!(
        world.callee_events.last(),
        Some(Event::Cancelled { .. })
    ));
    assert_eq!(
        world.only_record().situation.as_deref(),
        Some("caller_gave_up")
    );
    assert!(world.is_clean());
}

#[test]
fn both_may_hang_up_at_once() {
    let mut world = World::new();
    let (caller, callee) = world.talk();
    world.caller.handle_input(
        SipInput::HangUp(caller, None),
        Time::from_millis(world.now_ms),
    );
    world.callee_does(SipInput::HangUp(callee, None));
    assert_eq!(world.finished.len(), 1);
    assert!(world.is_clean());
}

#[test]
fn what_we_cannot_do_is_refused_before_anybody_is_dialled() {
    let unreadable = Answers {
        route: None,
        ..well()
    };
    let not_durable = Answers {
        durable: false,
        ..well()
    };
    let no_trunk = Answers {
        trunks: Vec::new(),
        ..well()
    };
    let no_port = Answers {
        ports: false,
        ..well()
    };
    let rows = [
        (unreadable, "8", (503, 41), None),
        (not_durable, "8", (503, 41), Some("not_durable")),
        (no_trunk, "8", (502, 38), Some("unreachable")),
        (no_port, "8", (503, 42), Some("overload")),
        (well(), "77", (488, 65), Some("no_common_codec")),
    ];
    for (answers, codecs, (status, cause), situation) in rows {
        let mut world = World::new();
        world.answers = answers;
        world.dial(sdp_at(CALLER_MEDIA, codecs), 70);
        assert_eq!(world.caller_end(), (status, Some(cause)));
        let recorded = world.finished[0]
            .as_ref()
            .and_then(|record| record.situation.clone());
        assert_eq!((world.finished.len(), recorded.as_deref()), (1, situation));
        assert!(
            world.callee_events.is_empty(),
            "the callee is left in peace"
        );
        assert!(world.is_clean());
    }
}

#[test]
fn a_callee_with_another_codec_is_hung_up_on() {
    let mut world = World::new();
    world.dial(sdp_at(CALLER_MEDIA, "8"), 70);
    let callee = world.callee_leg();
    world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "0")));
    assert_eq!(world.caller_end(), (488, Some(65)));
    assert!(matches!(
        world.callee_events.last(),
        Some(Event::Ended { .. })
    ));
    assert!(world.is_clean());
}

#[test]
fn calls_are_capped_and_a_draining_switch_takes_none() {
    let mut world = World::new();
    world.switch.setup.calls_max = 1;
    world.call();
    world.call();
    assert_eq!(world.caller_end(), (503, Some(42)));
    assert_eq!(world.switch.calls(), 1);
    let mut world = World::new();
    world.talk();
    world.tell(Input::Drain);
    world.call();
    assert_eq!(world.caller_end(), (503, Some(42)));
    assert_eq!(world.switch.calls(), 1, "the call that stands goes on");
    world.tell(Input::HangUpAll);
    assert_eq!(world.only_record().situation.as_deref(), Some("stopped"));
    assert!(world.is_clean());
}

#[test]
fn a_long_silence_ends_the_call() {
    let mut world = World::new();
    world.talk();
    world.tell(Input::MediaLost(CallKey(1)));
    assert_eq!(world.only_record().situation.as_deref(), Some("media_lost"));
    assert!(matches!(
        world.callee_events.last(),
        Some(Event::Ended {
            cause: Some(41),
            ..
        })
    ));
    assert!(matches!(
        world.caller_events.last(),
        Some(Event::Ended {
            cause: Some(41),
            ..
        })
    ));
    assert!(world.is_clean());
}

#[test]
fn no_call_is_taken_from_a_trunk_that_is_switched_off_or_gone() {
    for trunks in [
        vec![trunk("in", CALLER, false), trunk("out", CALLEE, true)],
        vec![trunk("out", CALLEE, true)],
    ] {
        let mut world = World::new();
        world.tell(Input::Trunks(trunks));
        world.call();
        assert_eq!(world.caller_end(), (403, None));
    }
}

#[test]
fn call_ids_ascend_in_time() {
    let mut world = World::new();
    world.call();
    world.pass(10);
    world.call();
    let ids: Vec<&str> = world
        .opened
        .iter()
        .map(|record| record.call_id.as_str())
        .collect();
    assert!(ids[0].len() == 24 && ids[0] < ids[1], "{ids:?}");
}
