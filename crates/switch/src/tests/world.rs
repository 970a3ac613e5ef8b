//! The world of these tests: phones behind trunks, the switch between them, and a state and records that
//! answer as they are told.

use super::*;
use maskline_fixtures::domain as fixtures;
use maskline_sip::relay::LocalMedia;

pub const SWITCH: &str = "192.0.2.1:5060";
pub const CALLER: &str = "198.51.100.7:5070";
pub const CALLEE: &str = "203.0.113.9:5080";
pub const SPARE: &str = "203.0.113.10:5080";
/// Where nobody listens.
pub const DEAD: &str = "203.0.113.77:5060";
pub const CALLER_MEDIA: &str = "198.51.100.7:7000";
pub const CALLEE_MEDIA: &str = "203.0.113.9:8000";
pub const N: &str = "13811112222";
pub const X: &str = "17000000001";
pub const A: &str = "13933334444";

pub fn sdp_at(media: &str, payload_types: &str) -> Vec<u8> {
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
pub struct Answers {
    pub route: Option<Route>,
    pub trunks: Vec<TrunkPeer>,
    pub durable: bool,
    pub ports: bool,
    /// Whether prompts end.
    pub plays: bool,
    /// The ring tone.
    pub tone: Option<ToneCode>,
}

/// Everything is well.
pub fn well() -> Answers {
    Answers {
        route: Some(connection()),
        trunks: vec![trunk("out", CALLEE, true)],
        durable: true,
        ports: true,
        plays: true,
        tone: None,
    }
}

pub fn trunk(name: &str, peer: &str, enabled: bool) -> TrunkPeer {
    TrunkPeer {
        definition: maskline_domain::Trunk {
            enabled,
            ..maskline_domain::Trunk::new(TrunkName::new(name), peer)
        },
        peer: Peer::new(PeerId(0), udp(peer)),
    }
}

pub fn setup() -> Setup {
    Setup {
        advertised: address(SWITCH),
        advertised_tls: None,
        domains: Vec::new(),
        node: "n1".into(),
        boot: "b1".into(),
        calls_max: 4,
        per_x_max: 2,
        per_caller_max: 3,
        duration_max_s: 600,
        notice: Notice::Both,
        local_media: Arc::new(LocalMedia::new(
            address(SWITCH).ip(),
            address(SWITCH).ip(),
            [],
            (20_000, 29_999),
        )),
        unheard_bytes_max: 4 * 1_024,
        tells_milestones: true,
        seed: [9; 32],
    }
}

/// Where the media of a trunk that says nothing of it can be.
pub fn reach() -> Reach {
    Reach::of_caller(&trunk("in", CALLER, true), &setup())
}

pub struct World {
    pub now_ms: u64,
    pub switch: Switch,
    pub caller: Endpoint,
    pub callee: Endpoint,
    /// Behind another trunk.
    pub spare: Endpoint,
    pub answers: Answers,
    pub caller_events: Vec<Event>,
    pub callee_events: Vec<Event>,
    pub spare_events: Vec<Event>,
    /// Every byte sent to each side.
    pub to_caller: Vec<u8>,
    pub to_callee: Vec<u8>,
    /// The last message of the callee.
    pub from_callee: Vec<u8>,
    pub opened: Vec<CallRecord>,
    pub finished: Vec<Option<CallRecord>>,
    /// Milestones, each behind the write that it goes with.
    pub milestones: Vec<String>,
    pub paths: Vec<MediaPath>,
    /// What a side may be sent before it is heard, where that has changed.
    pub unheard: Vec<(Side, Unheard)>,
    pub played: Vec<(Side, Sound)>,
    /// Times that ports for media were asked for.
    pub leases: usize,
    /// How often what was played was stopped.
    pub silenced: usize,
    pub files: Vec<String>,
    pub digits: Vec<(Side, char)>,
    /// What an ACK says to an offer of ours, which the endpoints of these phones do not.
    pub ack: Option<Vec<u8>>,
    /// The same for a PRACK.
    pub prack: Option<Vec<u8>>,
    /// What a callee's answer says, which has said something else before.
    pub ok: Option<Vec<u8>>,
    /// Who does not know 100rel, or is not told that we do.
    pub without_100rel: Option<&'static str>,
    /// Whether the caller does not know it either.
    pub caller_lacks_100rel: bool,
    /// Host names that were asked for, and what they stand for; none if nobody says.
    pub asked: Vec<String>,
    pub named: Option<Resolution>,
    /// Where nothing arrives.
    pub deaf: Option<&'static str>,
    pub queue: VecDeque<(Hop, Hop, Vec<u8>)>,
}

/// A message with this body in the place of its own.
pub fn with_body(message: &[u8], sdp: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(message);
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    let lines = head
        .split("\r\n")
        .filter(|line| !line.starts_with("Content-"));
    let lines: Vec<&str> = lines.collect();
    let length = format!(
        "\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n",
        sdp.len()
    );
    [lines.join("\r\n").as_bytes(), length.as_bytes(), sdp].concat()
}

fn is_ok(bytes: &[u8]) -> bool {
    bytes.starts_with(b"SIP/2.0 200")
}

pub fn connection() -> Route {
    let binding = Binding {
        subs_id: SubsId(7),
        extras: Extras {
            out_id: Some("order 1".into()),
            ..Extras::default()
        },
        ..fixtures::binding(number(X), number(A))
    };
    fixtures::connection(binding, 30)
}

impl World {
    pub fn new() -> Self {
        Self::of(setup())
    }

    pub fn of(setup: Setup) -> Self {
        let mut switch = Switch::new(setup);
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
            from_callee: Vec::new(),
            opened: Vec::new(),
            finished: Vec::new(),
            milestones: Vec::new(),
            paths: Vec::new(),
            unheard: Vec::new(),
            played: Vec::new(),
            leases: 0,
            silenced: 0,
            files: Vec::new(),
            digits: Vec::new(),
            ack: None,
            prack: None,
            ok: None,
            without_100rel: None,
            caller_lacks_100rel: false,
            asked: Vec::new(),
            named: None,
            deaf: None,
            queue: VecDeque::new(),
        }
    }

    pub fn moment(&self) -> Moment {
        Moment {
            wall: Timestamp(1_700_000_000_000 + self.now_ms as i64),
            tick_ms: self.now_ms,
        }
    }

    pub fn dial(&mut self, sdp: Vec<u8>, max_forwards: u8) -> LegId {
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

    pub fn call(&mut self) -> LegId {
        self.dial(sdp_at(CALLER_MEDIA, "18 8 0 101"), 70)
    }

    pub fn caller_does(&mut self, input: SipInput<'_>) {
        self.caller
            .handle_input(input, Time::from_millis(self.now_ms));
        self.settle();
    }

    pub fn callee_does(&mut self, input: SipInput<'_>) {
        self.callee
            .handle_input(input, Time::from_millis(self.now_ms));
        self.settle();
    }

    pub fn tell(&mut self, input: Input<'_>) {
        let moment = self.moment();
        self.switch.handle_input(input, moment);
        self.settle();
    }

    /// Carries packets and answers about until nobody has anything more to say.
    pub fn settle(&mut self) {
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
            if self.deaf.is_some_and(|deaf| to == udp(deaf)) {
                continue;
            }
            let bytes = self.on_the_way(from, to, bytes);
            let bytes = bytes.as_slice();
            if to == udp(SWITCH) {
                if from == udp(CALLEE) {
                    self.from_callee = bytes.to_vec();
                }
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

    /// What these phones would say if they could.
    fn on_the_way(&self, from: Hop, to: Hop, bytes: Vec<u8>) -> Vec<u8> {
        let is_without = |plain| from == udp(plain) || to == udp(plain);
        let said = match &bytes {
            _ if from == udp(SWITCH) => None,
            bytes if bytes.starts_with(b"ACK ") => self.ack.as_ref(),
            bytes if bytes.starts_with(b"PRACK ") => self.prack.as_ref(),
            bytes if from == udp(CALLEE) && holds(bytes, " INVITE\r\n") && is_ok(bytes) => {
                self.ok.as_ref()
            }
            _ => None,
        };
        match said {
            Some(sdp) => with_body(&bytes, sdp),
            None if self.without_100rel.is_some_and(is_without)
                || self.caller_lacks_100rel && is_without(CALLER) =>
            {
                let text = String::from_utf8_lossy(&bytes);
                text.replace("100rel, timer", "timer").into_bytes()
            }
            None => bytes,
        }
    }

    pub fn answer(&mut self, output: Output) {
        let moment = self.moment();
        match output {
            Output::Send { to, bytes } => self.queue.push_back((udp(SWITCH), to, bytes.to_vec())),
            Output::UnknownSource(..) | Output::TrunkChanged(..) | Output::LocalMedia(_) => {}
            Output::AskRoute(key, query) => {
                assert_eq!(
                    query,
                    RouteQuery {
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
            Output::OpenRow(key, record, reached) => {
                self.note_milestones("open", &record, &reached);
                self.opened.push(*record);
                self.switch
                    .handle_input(Input::RowOpened(key, self.answers.durable), moment);
            }
            Output::LeaseMedia(key, _) => {
                let first = 20_000 + 4 * self.leases as u16;
                self.leases += 1;
                let at = |port| SocketAddr::new(address(SWITCH).ip(), port);
                let lease = Lease {
                    caller: at(first),
                    callee: at(first + 2),
                };
                self.switch.handle_input(
                    Input::MediaLeased(key, self.answers.ports.then_some(lease)),
                    moment,
                );
            }
            Output::Resolve(name) => {
                self.asked.push(name.to_string());
                if let Some(found) = self.named.clone() {
                    self.switch
                        .handle_input(Input::Resolved(name, found), moment);
                }
            }
            Output::Relay(_, path) => self.paths.push(path),
            Output::Unheard(_, side, unheard) => self.unheard.push((side, unheard)),
            Output::Play(key, side, sound, repeat) => {
                self.played.push((side, sound));
                if self.answers.plays && repeat == Repeat::Once {
                    self.switch.handle_input(Input::Played(key, side), moment);
                }
            }
            Output::SendDigit(_, side, digit) => self.digits.push((side, digit)),
            Output::StopPlaying(..) => self.silenced += 1,
            Output::Record(_, wish) => {
                let path = self.paths.last().and_then(|path| path.caller.clone());
                assert!(path.is_some(), "what is recorded is known before");
                self.files.push(wish.file);
            }
            Output::Reached(_, record, reached) => {
                self.note_milestones("on its own", &record, &[reached]);
            }
            Output::Finish(_, record, reached) => {
                let written = record.as_deref().cloned().unwrap_or_default();
                self.note_milestones("closed", &written, &reached);
                self.finished.push(record.map(|record| *record));
            }
        }
    }

    /// By which write a call tells its milestones, and whether its record has their times.
    fn note_milestones(&mut self, write: &str, record: &CallRecord, reached: &[Reached]) {
        for Reached { milestone, at } in reached {
            let known = match milestone {
                Milestone::Started => Some(record.arrived_at).filter(|arrived| arrived <= at),
                Milestone::Ringing => record.ringing_at.filter(|rang| rang == at),
                Milestone::Answered => record.answered_at.filter(|answered| answered == at),
                Milestone::Ended => record.released_at.filter(|released| released == at),
                // What became of the file is not known here.
                Milestone::Recorded => None,
            };
            assert!(known.is_some(), "{milestone:?} is not in {record:?}");
            self.milestones
                .push(format!("{write}: {}", milestone.name()));
        }
    }

    /// Lets time pass for all three.
    pub fn pass(&mut self, millis: u64) {
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

    pub fn callee_leg(&self) -> LegId {
        match self.callee_events.first() {
            Some(Event::Incoming { leg, .. }) => *leg,
            other => panic!("the callee is called first, not {other:?}"),
        }
    }

    /// A call that stands.
    pub fn talk(&mut self) -> (LegId, LegId) {
        let caller = self.call();
        let callee = self.callee_leg();
        self.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "8 101")));
        assert!(matches!(
            self.caller_events.last(),
            Some(Event::Answered { .. })
        ));
        (caller, callee)
    }

    pub fn caller_end(&self) -> (u16, Option<u8>) {
        match self.caller_events.last() {
            Some(Event::Refused { status, cause, .. }) => (*status, *cause),
            other => panic!("the caller is refused, not {other:?}"),
        }
    }

    pub fn caller_end_cause(&self) -> Option<u8> {
        match self.caller_events.last() {
            Some(Event::Ended { cause, .. } | Event::Refused { cause, .. }) => *cause,
            other => panic!("the call is over, not {other:?}"),
        }
    }

    pub fn only_record(&self) -> &CallRecord {
        match &self.finished[..] {
            [Some(record)] => record,
            other => panic!("one record, not {other:?}"),
        }
    }

    pub fn is_clean(&mut self) -> bool {
        self.pass(400_000);
        self.switch.is_idle()
            && self.caller.is_idle()
            && self.callee.is_idle()
            && self.spare.is_idle()
    }
}

pub fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// A further description of the same side, of this direction.
pub fn sdp_again(version: u8, media: &str, formats: &str, direction: &str) -> Vec<u8> {
    let sdp = String::from_utf8_lossy(&sdp_at(media, formats)).into_owned();
    let sdp = sdp.replace(" 1 1 IN", &format!(" 1 {version} IN"));
    format!("{sdp}a={direction}\r\n").into_bytes()
}

/// SDP that puts the call on hold.
pub fn held(media: &str) -> Vec<u8> {
    sdp_again(2, media, "8 101", "sendonly")
}

pub fn offered(events: &[Event]) -> Option<String> {
    events.iter().rev().find_map(|event| match event {
        Event::Offered { sdp: Some(sdp), .. } => Some(String::from_utf8_lossy(sdp).into_owned()),
        _ => None,
    })
}

pub fn accepted(events: &[Event]) -> Option<String> {
    events.iter().rev().find_map(|event| match event {
        Event::OfferAccepted { sdp, .. } => Some(String::from_utf8_lossy(sdp).into_owned()),
        _ => None,
    })
}

pub fn refused(events: &[Event]) -> Option<u16> {
    events.iter().rev().find_map(|event| match event {
        Event::OfferRefused { status, .. } => Some(*status),
        _ => None,
    })
}
