//! The real switch between two phones, in virtual time, with a real routing state behind it. Everything
//! that it says to either side is kept, with its time.

use crate::leaks::parties::{Parties, Party};
use crate::leaks::phone::Phone;
use crate::leaks::plants::Plant;
use maskline_domain::call::{Moment, Notice, Side};
use maskline_domain::call_record::CallRecord;
use maskline_domain::routing::{self, RouteQuery};
use maskline_domain::*;
use maskline_fixtures::domain::{
    self as fixtures, ACCOUNT, HOUR_MS, PAIR_POOL, POOL, bind_request, number,
};
use maskline_fixtures::sip::address;
use maskline_sip::endpoint::{Peer, PeerId};
use maskline_sip::hop::Hop;
use maskline_sip::relay::LocalMedia;
use maskline_switch::{
    CallKey, Input, Lease, MediaPath, Output, Repeat, Routing, Setup, Switch, TrunkPeer,
};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

pub const X: &str = "17000000001";
const SWITCH: &str = "192.0.2.1:5060";
/// One who knows the calls and takes part in none.
const UNKNOWN_SOURCE: &str = "203.0.113.200:5060";
const BEGIN: Timestamp = fixtures::NOON;

/// What X is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// AXN; the caller is a stranger, the callee is A.
    ToCallee,
    /// AXN; the caller is A, the callee is its default B.
    ToCallerWithB,
    /// AXN; the caller is A, and there is no default B.
    ToCallerAlone,
    /// AXN as [`Bound::ToCallerWithB`], in a pool that does not call back.
    ToCallerWithoutCallBack,
    /// AXB; the caller is A, the callee is B.
    Pair,
    /// AXB; the caller is B, the callee is A.
    PairReversed,
    /// AXN to the callee, whom nobody may call.
    Restricted,
    /// To nobody.
    Nobody,
}

/// A message that was sent to a side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub at_ms: u64,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
}

pub struct World {
    pub parties: Parties,
    pub caller: Phone,
    pub callee: Phone,
    pub to_caller: Vec<Sent>,
    pub to_callee: Vec<Sent>,
    /// What a stranger was answered who spoke for a side.
    pub to_unknown_source: Vec<(Side, Vec<u8>)>,
    /// Names and notes that stand where people look who are of neither side.
    pub told: Vec<String>,
    pub finished: Vec<Option<CallRecord>>,
    pub paths: Vec<MediaPath>,
    /// What a careless implementation would do to what is sent.
    pub plant: Option<Plant>,
    /// What a careless implementation would do to what is told.
    pub plant_told: Option<fn(&Parties, String) -> String>,
    /// Whether messages to and from the callee are lost.
    pub is_callee_deaf: bool,
    /// How many trunks lead to the callee.
    pub trunks: usize,
    /// The ring tone that the caller is to hear.
    pub tone: Option<ToneCode>,
    /// What is being played, and when it is over.
    playing: Vec<(u64, CallKey, Side)>,
    terms: fn(&mut Trunk),
    /// What was agreed with each carrier for SIP alone, which may be a secret of that side.
    bonds: fn(&Party, &mut Peer),
    now_ms: u64,
    switch: Switch,
    pool: &'static str,
    state: State,
    queue: VecDeque<(Side, SocketAddr, Vec<u8>)>,
}

impl World {
    pub fn new(parties: Parties, bound: Bound) -> Self {
        let switch_address = address(SWITCH);
        let switch = Switch::new(Setup {
            advertised: switch_address,
            advertised_tls: None,
            domains: Vec::new(),
            node: "node 1".into(),
            boot: "boot 1".into(),
            calls_max: 4,
            per_x_max: 4,
            per_caller_max: 4,
            duration_max_s: 600,
            notice: Notice::Both,
            local_media: Arc::new(LocalMedia::new(
                switch_address.ip(),
                switch_address.ip(),
                [],
                (20_000, 29_999),
            )),
            unheard_bytes_max: 16 * 1_024,
            tells_milestones: true,
            seed: [9; 32],
        });
        let mut world = Self {
            caller: Phone::new(parties.caller.clone(), switch_address, true),
            callee: Phone::new(parties.callee.clone(), switch_address, false),
            pool: pool(bound).0,
            state: state(&parties, bound),
            parties,
            to_caller: Vec::new(),
            to_callee: Vec::new(),
            to_unknown_source: Vec::new(),
            told: Vec::new(),
            finished: Vec::new(),
            paths: Vec::new(),
            plant: None,
            plant_told: None,
            is_callee_deaf: false,
            trunks: 1,
            tone: None,
            playing: Vec::new(),
            terms: |_| (),
            bonds: |_, _| (),
            now_ms: 1_000,
            switch,
            queue: VecDeque::new(),
        };
        world.agree(|_| ());
        world
    }

    /// Changes what was agreed with the carriers.
    pub fn agree(&mut self, terms: fn(&mut Trunk)) {
        self.terms = terms;
        let mut trunks = self.trunks_out(2);
        trunks.push(self.link("in", &self.parties.caller, 0));
        self.tell(Input::Trunks(trunks));
    }

    /// Changes who authenticates to whom, and where we register.
    pub fn bind_carriers(&mut self, bonds: fn(&Party, &mut Peer)) {
        self.bonds = bonds;
        self.agree(self.terms);
    }

    fn link(&self, name: &str, party: &Party, at: u16) -> TrunkPeer {
        let address = SocketAddr::new(party.host.ip(), party.host.port() + at);
        let mut definition = Trunk::new(TrunkName::new(name), address.to_string());
        (self.terms)(&mut definition);
        let mut peer = Peer::new(PeerId(0), Hop::udp(address));
        (self.bonds)(party, &mut peer);
        TrunkPeer { definition, peer }
    }

    /// Trunks to the callee's network, by one port after the other.
    fn trunks_out(&self, count: usize) -> Vec<TrunkPeer> {
        let link = |(at, name)| self.link(name, &self.parties.callee, at);
        (0..)
            .zip(["out", "out too"])
            .map(link)
            .take(count)
            .collect()
    }

    /// The call to X that most scripts begin with.
    pub fn dial(&mut self) {
        let body = self.caller.audio();
        self.caller.dial(X, Some(&body));
        self.settle();
    }

    /// The callee answers, perhaps with SDP of its own.
    pub fn reply(&mut self, status: u16, body: Option<&str>) {
        self.callee.reply(status, "", body);
        self.settle();
    }

    pub fn answer(&mut self) {
        let body = self.callee.audio();
        self.reply(200, Some(&body));
    }

    pub fn talk(&mut self) {
        self.dial();
        self.reply(180, None);
        self.answer();
        assert!(
            self.caller.has_heard("200 INVITE"),
            "{:?}",
            self.caller.heard
        );
        self.pass(5_000);
    }

    pub fn phone(&mut self, side: Side) -> &mut Phone {
        match side {
            Side::Caller => &mut self.caller,
            Side::Callee => &mut self.callee,
        }
    }

    pub fn sent(&self, side: Side) -> &[Sent] {
        match side {
            Side::Caller => &self.to_caller,
            Side::Callee => &self.to_callee,
        }
    }

    /// Gives up all registrations.
    pub fn leave(&mut self) {
        self.tell(Input::Leave);
    }

    pub fn drain(&mut self) {
        self.tell(Input::Drain);
        self.tell(Input::HangUpAll);
    }

    fn moment(&self) -> Moment {
        Moment {
            wall: BEGIN.plus_millis(self.now_ms as i64),
            tick_ms: self.now_ms,
        }
    }

    fn tell(&mut self, input: Input<'_>) {
        let moment = self.moment();
        self.switch.handle_input(input, moment);
        self.settle();
    }

    /// Lets everybody speak until nobody has anything more to say.
    pub fn settle(&mut self) {
        loop {
            while let Some(output) = self.switch.poll_output() {
                self.carry_out(output);
            }
            for side in [Side::Caller, Side::Callee] {
                let phone = self.phone(side);
                let from = phone.party.host;
                let said = std::mem::take(&mut phone.outbox);
                let said = said.into_iter().map(|text| (side, from, text.into_bytes()));
                self.queue.extend(said);
            }
            let Some((side, from, bytes)) = self.queue.pop_front() else {
                return;
            };
            if side == Side::Callee && self.is_callee_deaf {
                continue;
            }
            let datagram = Input::Datagram {
                from: Hop::udp(from),
                bytes: &bytes,
            };
            let moment = self.moment();
            self.switch.handle_input(datagram, moment);
        }
    }

    fn carry_out(&mut self, output: Output) {
        let moment = self.moment();
        match output {
            Output::Send { to, bytes } => self.send(to.address, bytes.to_vec()),
            Output::UnknownSource(..) | Output::TrunkChanged(..) | Output::LocalMedia(_) => {}
            Output::AskRoute(key, query) => {
                let routing = Input::Routed(key, Some(Box::new(self.route(&query, moment.wall))));
                self.switch.handle_input(routing, moment);
            }
            Output::OpenRow(key, record, _) => {
                self.note(record.call_id);
                self.switch
                    .handle_input(Input::RowOpened(key, true), moment);
            }
            Output::LeaseMedia(key, _) => {
                let lease = Lease {
                    caller: address("192.0.2.1:20000"),
                    callee: address("192.0.2.1:20002"),
                };
                self.switch
                    .handle_input(Input::MediaLeased(key, Some(lease)), moment);
            }
            Output::Resolve(name) => self.note(name.into()),
            Output::Relay(_, path) => self.paths.push(path),
            Output::Unheard(..) | Output::Reached(..) => {}
            Output::Play(key, side, sound, repeat) => {
                self.sound(side, format!("plays {sound}"));
                if repeat == Repeat::Once {
                    self.playing.push((self.now_ms + 2_000, key, side));
                }
            }
            Output::StopPlaying(_, side) => {
                self.playing.retain(|(_, _, other)| *other != side);
                self.sound(side, "plays no more".to_owned());
            }
            Output::SendDigit(_, side, key) => self.sound(side, format!("hears key {key}")),
            Output::Record(_, wish) => self.note(wish.file),
            Output::Finish(_, record, _) => {
                let record = record.map(|record| *record);
                let ladder = record.as_ref().and_then(|record| record.ladder.clone());
                self.note(ladder.unwrap_or_default());
                self.finished.push(record);
            }
        }
    }

    /// What a side hears from us is compared like what it is sent.
    fn sound(&mut self, side: Side, text: String) {
        let sent = Sent {
            at_ms: self.now_ms,
            to: address("0.0.0.0:0"),
            bytes: text.into_bytes(),
        };
        match side {
            Side::Caller => self.to_caller.push(sent),
            Side::Callee => self.to_callee.push(sent),
        }
    }

    fn note(&mut self, text: String) {
        let text = match self.plant_told {
            Some(plant) => plant(&self.parties, text),
            None => text,
        };
        self.told.push(text);
    }

    fn route(&self, query: &RouteQuery, now: Timestamp) -> Routing {
        let route = routing::route(&self.state, query, now);
        Routing {
            route,
            pool: Some(PoolKey::new(self.pool)),
            account: Some(AccountId::new(ACCOUNT)),
            trunks: self.trunks_out(self.trunks),
            tone: self.tone,
        }
    }

    /// A stranger says what this side would say in its call; gives what is answered.
    pub fn forge(&mut self, side: Side, method: &str, kind: &str, body: Option<&str>) -> String {
        let phone = self.phone(side);
        phone.ask(method, "", kind, body);
        let text = phone.outbox.pop().expect("it was just said");
        let datagram = Input::Datagram {
            from: Hop::udp(address(UNKNOWN_SOURCE)),
            bytes: text.as_bytes(),
        };
        let moment = self.moment();
        self.switch.handle_input(datagram, moment);
        let mut answer = String::new();
        while let Some(output) = self.switch.poll_output() {
            match output {
                Output::Send { to, bytes } if to.address == address(UNKNOWN_SOURCE) => {
                    answer = String::from_utf8_lossy(&bytes).into_owned();
                    self.to_unknown_source.push((side, bytes.to_vec()));
                }
                output => self.carry_out(output),
            }
        }
        answer
    }

    fn send(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        let side = self.side_of(to.ip());
        let mut sent = Sent {
            at_ms: self.now_ms,
            to,
            bytes: bytes.clone(),
        };
        if let Some(plant) = self.plant {
            plant(&self.parties, side, &mut sent);
        }
        match side {
            Side::Caller => {
                self.caller.hear(&bytes);
                self.to_caller.push(sent);
            }
            Side::Callee => {
                if !self.is_callee_deaf {
                    self.callee.hear(&bytes);
                }
                self.to_callee.push(sent);
            }
        }
    }

    fn side_of(&self, ip: IpAddr) -> Side {
        let is_of = |phone: &Phone| phone.party.host.ip() == ip || phone.party.proxy == ip;
        match (is_of(&self.caller), is_of(&self.callee)) {
            (true, false) => Side::Caller,
            (false, true) => Side::Callee,
            _ => panic!("a message to {ip}, which is nobody's"),
        }
    }

    /// Lets time pass.
    pub fn pass(&mut self, millis: u64) {
        let end = self.now_ms + millis;
        self.settle();
        loop {
            let over = self.playing.iter().map(|(at, ..)| *at).min();
            let due = self.switch.poll_timeout();
            let Some(next) = over
                .into_iter()
                .chain(due)
                .min()
                .filter(|next| *next <= end)
            else {
                break;
            };
            self.now_ms = self.now_ms.max(next);
            let is_over = |(at, _, _): &(u64, CallKey, Side)| *at <= next;
            for (_, key, side) in self
                .playing
                .extract_if(.., |playing| is_over(playing))
                .collect::<Vec<_>>()
            {
                self.tell(Input::Played(key, side));
            }
            self.tell(Input::Timeout);
        }
        self.now_ms = end;
    }

    /// Lets everything that waits come to its end.
    pub fn finish(&mut self) {
        self.pass(1_200_000);
        assert!(self.switch.is_idle(), "nothing waits any more");
    }
}

/// The pool that X is in.
fn pool(bound: Bound) -> (&'static str, Product) {
    match bound {
        Bound::Pair | Bound::PairReversed => (PAIR_POOL, Product::Axb),
        _ => (POOL, Product::Axn),
    }
}

/// A state with one pool of each product, and X bound.
fn state(parties: &Parties, bound: Bound) -> State {
    use Bound::*;
    let (a, b) = match bound {
        ToCallee | Restricted => (parties.callee.number, None),
        ToCallerWithB | ToCallerWithoutCallBack | Pair => {
            (parties.caller.number, Some(parties.callee.number))
        }
        PairReversed => (parties.callee.number, Some(parties.caller.number)),
        ToCallerAlone | Nobody => (parties.caller.number, None),
    };
    let (key, product) = pool(bound);
    let mut world = fixtures::World::new();
    world.set_pool(key, product, |pool| {
        pool.a_call_back = bound != ToCallerWithoutCallBack;
        pool.ring_timeout_s = 30;
    });
    world.stock(key, "杭州", &[X]);
    if bound != Nobody {
        let request = BindRequest {
            x: Some(number(X)),
            expires_at: BEGIN.plus_millis(24 * HOUR_MS),
            restriction: match bound {
                Restricted => Restriction::OthersMayNotDial,
                _ => Restriction::None,
            },
            record: true,
            ..bind_request(key, product, number(a), b.map(number))
        };
        world.bind(request).expect("X is free");
    }
    world.state
}
