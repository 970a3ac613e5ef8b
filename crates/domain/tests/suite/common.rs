//! A small world to try rules in.

use maskline_domain::account::{AccessKey, Account};
use maskline_domain::binding::Extras;
use maskline_domain::ops::{AddNumbers, CreateKey, SetAccount, SetPool};
use maskline_domain::*;

/// Monday, 2026-03-02 12:00:00 China time.
pub const NOON: Timestamp = Timestamp::from_secs(1_772_424_000);
pub const HOUR_MS: i64 = 3_600_000;

pub fn number(digits: &str) -> PhoneNumber {
    PhoneNumber::parse(digits).expect("digits")
}

pub struct World {
    pub state: State,
    pub now: Timestamp,
    seed: u64,
}

impl World {
    /// An account `acme` in good standing with key `K1`, an AXN pool `FC1`
    /// and an AXB pool `FC2`, both without numbers.
    pub fn new() -> Self {
        let mut world = Self {
            state: State::default(),
            now: NOON,
            seed: 1,
        };
        let account = AccountId::new("acme");
        world.operate(SetAccount(good_account("acme")));
        world.operate(CreateKey(AccessKey {
            id: AccessKeyId::new("K1"),
            account: account.clone(),
            user: None,
            sealed_secret: [1].into(),
            active: true,
            created_at: NOON,
        }));
        for (key, product) in [("FC1", Product::Axn), ("FC2", Product::Axb)] {
            world.set_pool(key, product, |_| ());
        }
        world
    }

    pub fn set_pool(&mut self, key: &str, product: Product, change: impl FnOnce(&mut Pool)) {
        let mut pool = Pool::new(PoolKey::new(key), AccountId::new("acme"), product);
        change(&mut pool);
        self.operate(SetPool(pool));
    }

    pub fn stock(&mut self, pool: &str, city: &str, numbers: &[&str]) {
        let numbers = numbers
            .iter()
            .map(|x| Number {
                x: number(x),
                class: NumberClass {
                    pool: Some(PoolKey::new(pool)),
                    city: City::new(city),
                    province: "".into(),
                    kind: NumberKind::VirtualOperator,
                    carrier: Carrier::Mobile,
                    certified: true,
                    purchased_at: NOON,
                },
                locked: false,
                cooling_until: Timestamp(0),
                idle_since: Timestamp(0),
            })
            .collect();
        self.operate(AddNumbers(numbers));
    }

    pub fn operate<C: TypedCommand>(&mut self, command: C) -> C::Outcome {
        let by = Actor::Operator {
            name: "test".into(),
        };
        self.give(by, None, command).expect("a good command")
    }

    pub fn ask<C: TypedCommand>(&mut self, command: C) -> Result<C::Outcome, Refusal> {
        self.give(customer("K1"), None, command)
    }

    pub fn give<C: TypedCommand>(
        &mut self,
        by: Actor,
        id: Option<(CommandId, Timestamp)>,
        command: C,
    ) -> Result<C::Outcome, Refusal> {
        self.seed += 1;
        let envelope = Envelope { by, id, command }.untyped();
        let decision = decide(&self.state, &envelope, self.now, self.seed);
        for event in &decision.events {
            self.state.apply(event);
        }
        let outcome = decision.answer?;
        Ok(C::Outcome::try_from(outcome).unwrap_or_else(|_| panic!("the outcome of another")))
    }

    pub fn bind(&mut self, request: BindRequest) -> Result<Binding, Refusal> {
        self.ask(Box::new(request)).map(|binding| *binding)
    }

    pub fn rows(&self) -> Vec<Row> {
        self.state.rows().collect()
    }

    /// Lets time pass.
    pub fn pass_ms(&mut self, millis: i64) {
        self.now = self.now.plus_millis(millis);
    }
}

pub fn customer(key: &str) -> Actor {
    Actor::Customer {
        key: AccessKeyId::new(key),
        permission: "dypls:Test".into(),
    }
}

pub fn good_account(name: &str) -> Account {
    Account {
        id: AccountId::new(name),
        status: AccountStatus::Active,
        real_name_verified: true,
        communications_opened: true,
        product_opened: true,
        requests_per_s_max: None,
        bindings_max: None,
    }
}

pub fn request(pool: &str, product: Product, a: &str, b: Option<&str>) -> BindRequest {
    BindRequest {
        pool: PoolRef::Key(PoolKey::new(pool)),
        product,
        a: number(a),
        b: b.map(number),
        x: None,
        city: None,
        expires_at: NOON.plus_millis(HOUR_MS),
        restriction: Restriction::None,
        record: false,
        speech_recognition: false,
        ring_timeout_s: None,
        extras: Extras::default(),
    }
}

pub fn axn(a: &str) -> BindRequest {
    request("FC1", Product::Axn, a, None)
}

pub fn axb(a: &str, b: &str) -> BindRequest {
    request("FC2", Product::Axb, a, Some(b))
}
