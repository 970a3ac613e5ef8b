//! The bindings of a world: the real state, and beside it a list that anyone can read.

use maskline_domain::access::PoolRef;
use maskline_domain::binding::Extras;
use maskline_domain::call::Prompt;
use maskline_domain::inventory::NumberClass;
use maskline_domain::routing::{self, Dial, Route};
use maskline_domain::{
    Account, AccountId, AccountStatus, Actor, BindRequest, Carrier, City, Command, Envelope,
    Number, NumberKind, Outcome, PhoneNumber, Pool, PoolKey, Product, Restriction, State, SubsId,
    Timestamp, decide,
};

use crate::chance::Chance;

const NUMBERS_A_POOL: u64 = 12;
const PARTIES: u64 = 40;

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
struct Bond {
    id: SubsId,
    product: Product,
    x: PhoneNumber,
    a: PhoneNumber,
    b: Option<PhoneNumber>,
    expires_at: Timestamp,
    restriction: Restriction,
}

/// See the module.
pub(super) struct Town {
    state: State,
    bonds: Vec<Bond>,
    numbers: Vec<PhoneNumber>,
    parties: Vec<PhoneNumber>,
    decisions: u64,
}

fn number(digits: u64) -> PhoneNumber {
    PhoneNumber::parse(&digits.to_string()).expect("eleven digits are a number")
}

fn pool_of(product: Product) -> PoolKey {
    PoolKey::new(match product {
        Product::Axn => "FC1",
        Product::Axb => "FC2",
    })
}

impl Town {
    pub fn new(now: Timestamp) -> Self {
        let mut town = Self {
            state: State::default(),
            bonds: Vec::new(),
            numbers: Vec::new(),
            parties: (0..PARTIES).map(|n| number(13_900_000_000 + n)).collect(),
            decisions: 0,
        };
        let account = AccountId::new("acme");
        town.command(
            Command::SetAccount(Account {
                id: account.clone(),
                status: AccountStatus::Active,
                real_name_verified: true,
                communications_opened: true,
                product_opened: true,
                requests_per_s_max: None,
            }),
            now,
        );
        for (place, product) in [(0, Product::Axn), (1, Product::Axb)] {
            let mut pool = Pool::new(pool_of(product), account.clone(), product);
            pool.ring_timeout_s = 20;
            town.command(Command::SetPool(pool), now);
            let first = 17_000_000_000 + place * 100;
            let numbers: Vec<PhoneNumber> =
                (0..NUMBERS_A_POOL).map(|n| number(first + n)).collect();
            town.command(
                Command::AddNumbers(numbers.iter().map(|&x| stock(x, product, now)).collect()),
                now,
            );
            town.numbers.extend(numbers);
        }
        town
    }

    fn command(&mut self, command: Command, now: Timestamp) -> Option<Outcome> {
        self.decisions += 1;
        let by = Actor::Operator { name: "sim".into() };
        let envelope = Envelope {
            by,
            id: None,
            command,
        };
        let decision = decide(&self.state, &envelope, now, self.decisions);
        for event in &decision.events {
            self.state.apply(event);
        }
        decision.answer.ok()
    }

    /// One thing that a customer does.
    pub fn change(&mut self, chance: &mut Chance, now: Timestamp) {
        if chance.one_in(4) && !self.bonds.is_empty() {
            let at = chance.below(self.bonds.len() as u64) as usize;
            let bond = self.bonds.swap_remove(at);
            let unbind = Command::Unbind {
                pool: PoolRef::Key(pool_of(bond.product)),
                subs_id: bond.id,
                x: bond.x,
            };
            self.command(unbind, now);
            return;
        }
        let product = chance.one_of([Product::Axn, Product::Axb]);
        let (a, b) = (self.party(chance), self.party(chance));
        let with_b = a != b && (product == Product::Axb || chance.one_in(2));
        if product == Product::Axb && !with_b {
            return;
        }
        let restriction = match chance.below(8) {
            0 => Restriction::AMayNotDial,
            1 => Restriction::OthersMayNotDial,
            _ => Restriction::None,
        };
        let request = BindRequest {
            pool: PoolRef::Key(pool_of(product)),
            product,
            a,
            b: with_b.then_some(b),
            x: None,
            city: None,
            expires_at: now.plus_secs(chance.between(10, 300)).ceil_secs(),
            restriction,
            record: chance.one_in(4),
            speech_recognition: false,
            ring_timeout_s: None,
            extras: Extras::default(),
        };
        if let Some(Outcome::Bound(binding)) = self.command(Command::Bind(Box::new(request)), now) {
            self.bonds.push(Bond {
                id: binding.subs_id,
                product,
                x: binding.x,
                a,
                b: with_b.then_some(b),
                expires_at: binding.expires_at,
                restriction,
            });
        }
    }

    /// Somebody dials something: mostly a party of a binding, or anyone, and a number with a binding.
    pub fn dial(&self, chance: &mut Chance) -> (Option<PhoneNumber>, PhoneNumber) {
        let bond = chance.pick(&self.bonds);
        let x = match (bond, chance.below(20)) {
            (_, 0) => number(17_900_000_000 + chance.below(100)),
            (None, _) | (_, 1) => chance
                .pick(&self.numbers)
                .copied()
                .unwrap_or(number(17_000_000_000)),
            (Some(bond), _) => bond.x,
        };
        let caller = match (bond, chance.below(24)) {
            (_, 0) => None,
            (_, 1) => Some(x),
            (Some(bond), 2..=7) => Some(bond.a),
            (Some(bond), 8..=19) => Some(bond.b.unwrap_or(bond.a)),
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
    pub fn route(&self, dial: &Dial, now: Timestamp) -> Route {
        routing::route(&self.state, dial, now)
    }

    pub fn pool(&self, x: PhoneNumber) -> Option<PoolKey> {
        self.state.number(x).and_then(|number| number.class.pool)
    }

    /// What the list says, and the table of endings in plain words.
    pub fn expected(&self, dial: &Dial, now: Timestamp) -> Expected {
        if !self.numbers.contains(&dial.x) {
            return Expected::Unknown;
        }
        if dial.caller == Some(dial.x) {
            return Expected::Refused(None, 482, 25);
        }
        let live = |bond: &&Bond| bond.x == dial.x && now < bond.expires_at;
        let mine: Vec<&Bond> = self.bonds.iter().filter(live).collect();
        let cannot = Expected::Refused(Some(Prompt::CannotConnect), 403, 21);
        if let Some(bond) = mine.iter().find(|bond| dial.caller == Some(bond.a)) {
            return match (bond.restriction, bond.b) {
                (Restriction::AMayNotDial, _) => cannot,
                (_, Some(b)) => Expected::Rings(b),
                (_, None) => Expected::Refused(Some(Prompt::VacantNumber), 404, 1),
            };
        }
        let other = mine.iter().find(|bond| match bond.product {
            Product::Axn => true,
            Product::Axb => dial.caller.is_some() && dial.caller == bond.b,
        });
        match other {
            Some(bond) if bond.restriction == Restriction::OthersMayNotDial => cannot,
            Some(bond) => Expected::Rings(bond.a),
            None => Expected::Refused(Some(Prompt::NotInUse), 404, 1),
        }
    }
}

fn stock(x: PhoneNumber, product: Product, now: Timestamp) -> Number {
    Number {
        x,
        class: NumberClass {
            pool: Some(pool_of(product)),
            city: City::new("杭州"),
            province: "浙江".into(),
            kind: NumberKind::VirtualOperator,
            carrier: Carrier::Mobile,
            certified: true,
            purchased_at: now,
        },
        locked: false,
        cooling_until: Timestamp(0),
        idle_since: Timestamp(0),
    }
}
