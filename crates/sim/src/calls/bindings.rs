//! The bindings of a world: the real state, and beside it a list that anyone can read.

use maskline_domain::PoolRef;
use maskline_domain::binding::Extras;
use maskline_domain::call::Prompt;
use maskline_domain::inventory::NumberClass;
use maskline_domain::ops::{AddNumbers, SetAccount, SetCarrier, SetPool, SetTrunk, Unbind};
use maskline_domain::routing::{self, Route, RouteQuery};
use maskline_domain::{
    Account, AccountId, AccountStatus, Actor, BindRequest, Carrier, CarrierName, City, Envelope,
    Number, NumberCarrier, NumberKind, Party, PhoneNumber, Pool, PoolKey, Product, Restriction,
    RingConfig, RingTones, State, SubsId, Timestamp, ToneCode, Trunk, TypedCommand, decide,
};

use std::collections::BTreeMap;

use super::pool_kinds::{POOL_KINDS, PoolKind};
use crate::chance::Chance;
use crate::model::product::{heeds_call_back, is_for_anyone, needs_b, ring_keys};

const NUMBERS_A_POOL: u64 = 12;
const PARTIES: u64 = 40;
/// The ring tones that anybody names. The first needs no file.
const TONES: [&str; 4] = ["0", "7", "007", "100000001"];

/// The codes of ring tones, for A who reaches B, for A who has no B, and for the other side.
type Codes = [Option<&'static str>; 3];

/// What a caller has to meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// This party rings.
    Rings(PhoneNumber),
    /// Nobody rings; this is heard, with this status and this cause.
    Refused(Option<Prompt>, u16, u8),
    /// It is none of our numbers: 404, and no record.
    Unknown,
}

#[derive(Debug, Clone)]
struct KnownBinding {
    id: SubsId,
    pool_kind: PoolKind,
    x: PhoneNumber,
    a: PhoneNumber,
    b: Option<PhoneNumber>,
    expires_at: Timestamp,
    restriction: Restriction,
    is_recorded: bool,
    tones: Codes,
}

/// See the module.
pub(super) struct BindingWorld {
    state: State,
    known_bindings: Vec<KnownBinding>,
    numbers: Vec<PhoneNumber>,
    parties: Vec<PhoneNumber>,
    /// The tones that can be played; where there are none nobody names any.
    playable: Vec<&'static str>,
    /// The tones of pools.
    pool_tones: BTreeMap<&'static str, Codes>,
    decisions: u64,
}

fn number(digits: u64) -> PhoneNumber {
    PhoneNumber::parse(&digits.to_string()).expect("eleven digits are a number")
}

impl BindingWorld {
    pub fn new(now: Timestamp) -> Self {
        let mut bindings = Self {
            state: State::default(),
            known_bindings: Vec::new(),
            numbers: Vec::new(),
            parties: (0..PARTIES).map(|n| number(13_900_000_000 + n)).collect(),
            playable: Vec::new(),
            pool_tones: BTreeMap::new(),
            decisions: 0,
        };
        let account = AccountId::new("acme");
        bindings.command(
            SetAccount(Account {
                id: account.clone(),
                status: AccountStatus::Active,
                real_name_verified: true,
                communications_opened: true,
                product_opened: true,
                requests_per_s_max: None,
                bindings_max: None,
            }),
            now,
        );
        for (place, kind) in (0..).zip(POOL_KINDS) {
            if let Some(name) = kind.carrier {
                let carrier = Carrier::new(CarrierName::new(name));
                bindings.command(SetCarrier(Box::new(carrier)), now);
            }
            bindings.command(SetPool(pool(kind)), now);
            let first = 17_000_000_000 + place * 100;
            let numbers: Vec<PhoneNumber> =
                (0..NUMBERS_A_POOL).map(|n| number(first + n)).collect();
            bindings.command(
                AddNumbers(numbers.iter().map(|&x| number_in(x, kind, now)).collect()),
                now,
            );
            bindings.numbers.extend(numbers);
        }
        bindings
    }

    /// From now on there are ring tones: pools and new bindings name some, and not all can be played.
    pub fn set_tones(&mut self, chance: &mut Chance, now: Timestamp) {
        let (network, files) = TONES.split_at(1);
        let lie_there = files.iter().filter(|_| chance.one_in(2));
        self.playable = network.iter().chain(lie_there).copied().collect();
        for kind in POOL_KINDS {
            let codes = codes(chance);
            let [a, a_alone, other] = codes.map(|code| code.and_then(ToneCode::parse));
            let mut pool = pool(kind);
            pool.ring_tones = RingTones { a, a_alone, other };
            self.command(SetPool(pool), now);
            self.pool_tones.insert(kind.key, codes);
        }
    }

    /// Whether the tone can be played.
    pub fn has_tone(&self, code: ToneCode) -> bool {
        let code = code.to_string();
        self.playable.iter().any(|there| *there == code)
    }

    /// What the list says of the ring tone of a call that rings, or whose A has no B: the binding's if it
    /// can be played, else the pool's.
    pub fn expected_tone(&self, query: &RouteQuery, now: Timestamp) -> Option<ToneCode> {
        let (known, is_a) = self.known_of(query, now)?;
        let place = match (is_a, known.b) {
            (true, Some(_)) => 0,
            (true, None) => 1,
            (false, _) => 2,
        };
        let pools = self.pool_tones.get(known.pool_kind.key);
        let named = [known.tones[place], pools.and_then(|codes| codes[place])];
        let mut heard = named.into_iter().flatten();
        heard
            .find(|code| self.playable.contains(code))
            .and_then(ToneCode::parse)
    }

    /// What the real rules work on.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether, by the list, any trunk takes a call from this X to this callee.
    pub fn has_way_out(&self, x: PhoneNumber, callee: PhoneNumber) -> bool {
        let mut trunks = self.state.trunks();
        trunks.any(|trunk| {
            let names: Vec<&str> = trunk.presents.iter().map(AsRef::as_ref).collect();
            let routes: Vec<String> = trunk.routes.iter().map(|it| it.reveal()).collect();
            let routes: Vec<&str> = routes.iter().map(AsRef::as_ref).collect();
            trunk.enabled && trunk.outgoing && self.may_leave(&names, &routes, x, callee)
        })
    }

    /// Whether who presents these names and takes callees that begin so may be sent a call from this X to this
    /// callee. Nothing named means anything.
    pub fn may_leave(
        &self,
        presents: &[&str],
        routes: &[&str],
        x: PhoneNumber,
        callee: PhoneNumber,
    ) -> bool {
        let callee = callee.reveal();
        let place = self.numbers.iter().position(|number| *number == x);
        let kind = place.and_then(|place| POOL_KINDS.get(place / NUMBERS_A_POOL as usize));
        let is_owner =
            |name: &&str| kind.is_some_and(|kind| *name == kind.key || Some(*name) == kind.carrier);
        (presents.is_empty() || presents.iter().any(is_owner))
            && (routes.is_empty() || routes.iter().any(|route| callee.starts_with(route)))
    }

    /// Has the operator set a trunk; whether that is allowed.
    pub fn set_trunk(&mut self, trunk: Trunk, now: Timestamp) -> bool {
        self.command(SetTrunk(Box::new(trunk)), now).is_some()
    }

    fn command<C: TypedCommand>(&mut self, command: C, now: Timestamp) -> Option<C::Outcome> {
        self.decisions += 1;
        let by = Actor::Operator {
            name: "sim".into(),
            remark: None,
        };
        let id = None;
        let envelope = Envelope { by, id, command }.untyped();
        let decision = decide(&self.state, &envelope, now, self.decisions);
        for event in &decision.events {
            self.state.apply(event);
        }
        C::Outcome::try_from(decision.answer.ok()?).ok()
    }

    /// One thing that a customer does.
    pub fn change(&mut self, chance: &mut Chance, now: Timestamp) {
        if chance.one_in(4) && !self.known_bindings.is_empty() {
            let at = chance.below(self.known_bindings.len() as u64) as usize;
            let known = self.known_bindings.swap_remove(at);
            let unbind = Unbind {
                pool: PoolRef::Key(PoolKey::new(known.pool_kind.key)),
                subs_id: known.id,
                x: known.x,
            };
            self.command(unbind, now);
            return;
        }
        let pool_kind = POOL_KINDS[chance.weighed(&[4, 4, 1])];
        let product = pool_kind.product;
        let (a, b) = (self.party(chance), self.party(chance));
        let with_b = a != b && (needs_b(product) || chance.one_in(2));
        if needs_b(product) && !with_b {
            return;
        }
        let restriction = match chance.below(8) {
            0 => Restriction::AMayNotDial,
            1 => Restriction::OthersMayNotDial,
            _ => Restriction::None,
        };
        let tones = match self.playable.is_empty() {
            true => Codes::default(),
            false => codes(chance),
        };
        let pool = PoolRef::Key(PoolKey::new(pool_kind.key));
        let expires_at = now.plus_secs(chance.between(10, 300)).ceil_secs();
        let request = BindRequest {
            b: with_b.then_some(b).map(a_party),
            restriction,
            record: chance.one_in(4),
            extras: Extras {
                ring_config: ring_config(product, tones),
                ..Extras::default()
            },
            ..BindRequest::new(pool, product, a_party(a), expires_at)
        };
        if let Some(binding) = self.command(Box::new(request), now) {
            self.known_bindings.push(KnownBinding {
                id: binding.subs_id,
                pool_kind,
                x: binding.x,
                a,
                b: with_b.then_some(b),
                expires_at: binding.expires_at,
                restriction,
                is_recorded: binding.record,
                tones,
            });
        }
    }

    /// Somebody dials something: mostly a party of a binding, or anyone, and a number with a binding.
    pub fn dial(&self, chance: &mut Chance) -> (Option<PhoneNumber>, PhoneNumber) {
        let known = chance.pick(&self.known_bindings);
        let x = match (known, chance.below(20)) {
            (_, 0) => number(17_900_000_000 + chance.below(100)),
            (None, _) | (_, 1) => chance
                .pick(&self.numbers)
                .copied()
                .unwrap_or(number(17_000_000_000)),
            (Some(known), _) => known.x,
        };
        let caller = match (known, chance.below(24)) {
            (_, 0) => None,
            (_, 1) => Some(x),
            (Some(known), 2..=7) => Some(known.a),
            (Some(known), 8..=19) => Some(known.b.unwrap_or(known.a)),
            _ => Some(self.party(chance)),
        };
        (caller, x)
    }

    fn party(&self, chance: &mut Chance) -> PhoneNumber {
        chance
            .pick(&self.parties)
            .copied()
            .unwrap_or(number(13_900_000_000))
    }

    /// What the real rules say.
    pub fn route(&self, query: &RouteQuery, now: Timestamp) -> Route {
        routing::route(&self.state, query, now)
    }

    pub fn pool(&self, x: PhoneNumber) -> Option<PoolKey> {
        self.state.number(x).and_then(|number| number.class.pool)
    }

    /// What the list says, and the table of endings in plain words.
    pub fn expected(&self, query: &RouteQuery, now: Timestamp) -> Expected {
        if !self.numbers.contains(&query.x) {
            return Expected::Unknown;
        }
        if query.caller == Some(query.x) {
            return Expected::Refused(None, 482, 25);
        }
        let cannot = Expected::Refused(Some(Prompt::CannotConnect), 403, 21);
        match self.known_of(query, now) {
            None => Expected::Refused(Some(Prompt::NotInUse), 404, 1),
            Some((known, true)) => match (known.restriction, known.b) {
                (Restriction::AMayNotDial, _) => cannot,
                _ if is_turned_away(known.pool_kind) => cannot,
                (_, Some(b)) => Expected::Rings(b),
                (_, None) => Expected::Refused(Some(Prompt::VacantNumber), 404, 1),
            },
            Some((known, false)) if known.restriction == Restriction::OthersMayNotDial => cannot,
            Some((known, false)) => Expected::Rings(known.a),
        }
    }

    /// Whether the call, if it goes through, is recorded.
    pub fn is_recorded(&self, query: &RouteQuery, now: Timestamp) -> bool {
        self.known_of(query, now)
            .is_some_and(|(known, _)| known.is_recorded)
    }

    /// By which binding a call goes, and whether its A calls.
    fn known_of(&self, query: &RouteQuery, now: Timestamp) -> Option<(&KnownBinding, bool)> {
        let is_live = |known: &&KnownBinding| known.x == query.x && now < known.expires_at;
        let mine: Vec<&KnownBinding> = self.known_bindings.iter().filter(is_live).collect();
        if let Some(known) = mine.iter().find(|known| query.caller == Some(known.a)) {
            return Some((known, true));
        }
        let is_for = |known: &&&KnownBinding| {
            let is_b = query.caller.is_some() && query.caller == known.b;
            is_b || is_for_anyone(known.pool_kind.product)
        };
        mine.iter().find(is_for).map(|known| (*known, false))
    }
}

/// Whether A is kept from B by its pool.
fn is_turned_away(kind: PoolKind) -> bool {
    heeds_call_back(kind.product) && !kind.calls_back
}

/// A pool without ring tones.
fn pool(kind: PoolKind) -> Pool {
    let mut pool = Pool::new(PoolKey::new(kind.key), AccountId::new("acme"), kind.product);
    pool.ring_timeout_s = 20;
    pool.a_call_back = kind.calls_back;
    pool.carrier = kind.carrier.map(CarrierName::new);
    pool
}

fn codes(chance: &mut Chance) -> Codes {
    std::array::from_fn(|_| match chance.one_in(2) {
        true => chance.pick(&TONES).copied(),
        false => None,
    })
}

fn a_party(number: PhoneNumber) -> Party {
    Party::of(number).expect("all numbers of this world may be parties")
}

/// What a customer writes to name these tones.
fn ring_config(product: Product, tones: Codes) -> Option<RingConfig> {
    let named = ring_keys(product).into_iter().zip(tones);
    let members: Vec<String> = named
        .filter_map(|(key, code)| Some(format!(r#""{key}":"{}""#, code?)))
        .collect();
    let config =
        || RingConfig::parse(&format!("{{{}}}", members.join(","))).expect("an object of strings");
    (!members.is_empty()).then(config)
}

fn number_in(x: PhoneNumber, kind: PoolKind, now: Timestamp) -> Number {
    Number {
        x,
        class: NumberClass {
            pool: Some(PoolKey::new(kind.key)),
            city: City::new("杭州"),
            province: "浙江".into(),
            kind: NumberKind::VirtualOperator,
            carrier: NumberCarrier::Mobile,
            certified: true,
            purchased_at: now,
        },
        locked: false,
        cooling_until: Timestamp(0),
        idle_since: Timestamp(0),
    }
}
