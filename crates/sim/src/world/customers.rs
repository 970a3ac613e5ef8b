//! Customers: what their programs ask, sensible or not, new or again.

use maskline_domain::binding::Extras;
use maskline_domain::ops::{Lock, Unbind, Unlock, UpdateBinding};
use maskline_domain::{
    AccessKeyId, Actor, AttemptId, BindRequest, Binding, City, Command, CommandId, CommandKey,
    Envelope, Party, PhoneNumber, PoolKey, PoolRef, Product, Restriction, RingConfig, SubsId,
    Timestamp, Update,
};

use crate::model::product::needs_b;
use crate::world::World;
use crate::world::names::{self, CITIES, KEYS, NUMBERS, POOLS};

/// How many commands are kept to be sent again.
const RECENT_MAX: usize = 48;

impl World {
    /// A command of a customer.
    pub(super) fn customer(&mut self) -> Envelope {
        let kind = self.chance.weighed(&[28, 11, 12, 3, 3]);
        let (permission, command, pool) = match kind {
            0 => self.bind(),
            1 => self.unbind(),
            2 => self.update(),
            _ => self.lock(kind == 3),
        };
        let key = self.key_for(pool);
        let lasts_ms = self
            .chance
            .one_of([900_000, 60_000, 60_000, 30_000, 20_000, 5_000, 1_500, 0]);
        let until = self.about_now().plus_millis(lasts_ms);
        let envelope = Envelope {
            by: Actor::Customer {
                key,
                permission: permission.into(),
            },
            id: Some(self.command_key(until)),
            command,
        };
        if self.recent.len() >= RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(envelope.clone());
        envelope
    }

    /// A command that was sent before, with its old id or a new one.
    pub(super) fn again(&mut self) -> Option<Envelope> {
        let at = self.chance.below(self.recent.len().max(1) as u64) as usize;
        let mut envelope = self.recent.get(at)?.clone();
        if self.chance.one_in(3) {
            let until = self.about_now().plus_millis(900_000);
            envelope.id = Some(self.command_key(until));
            self.perhaps_elsewhere(&mut envelope.command);
        } else if let Some(given) = &mut envelope.id {
            // A customer's repeat is another try; a node that got no answer asks again with the same one.
            let is_retry = self.chance.one_in(3) && self.answer_log.was_answered(given.id);
            if !is_retry {
                given.attempt = AttemptId(self.chance.word());
            }
        }
        Some(envelope)
    }

    fn command_key(&mut self, until: Timestamp) -> CommandKey {
        let halves = [self.chance.word(), self.chance.word()].map(u128::from);
        CommandKey {
            id: CommandId(halves[0] << 64 | halves[1]),
            attempt: AttemptId(self.chance.word()),
            until,
        }
    }

    /// The same order, now and then to another pool of the same customer.
    fn perhaps_elsewhere(&mut self, command: &mut Command) {
        let Command::Bind(request) = command else {
            return;
        };
        let PoolRef::Key(key) = &request.pool else {
            return;
        };
        let Some(pool) = POOLS.iter().find(|(name, ..)| *name == key.as_str()) else {
            return;
        };
        let others: Vec<&str> = POOLS
            .iter()
            .filter(|(_, account, product)| (*account, *product) == (pool.1, request.product))
            .map(|(key, ..)| *key)
            .collect();
        if let Some(key) = self.chance.pick(&others) {
            request.pool = PoolRef::Key(PoolKey::new(key));
        }
    }

    /// Mostly a key that may use the pool.
    fn key_for(&mut self, pool: usize) -> AccessKeyId {
        let account = POOLS[pool].1;
        let own: Vec<&str> = KEYS
            .iter()
            .filter(|(_, of, _)| *of == account)
            .map(|(id, ..)| *id)
            .collect();
        let id = match self.chance.below(40) {
            0 => "AK-unknown",
            1 | 2 => KEYS[self.chance.below(KEYS.len() as u64) as usize].0,
            _ => self.chance.pick(&own).copied().unwrap_or("AK-unknown"),
        };
        AccessKeyId::new(id)
    }

    fn pool_ref(&mut self, pool: usize) -> PoolRef {
        match self.chance.below(60) {
            0 => PoolRef::Key(PoolKey::new("FC9999")),
            1 => PoolRef::LegacyType("AXN_999".into()),
            2..=9 if pool == 0 => PoolRef::LegacyType("AXN_170".into()),
            _ => PoolRef::Key(PoolKey::new(POOLS[pool].0)),
        }
    }

    fn party(&mut self) -> Party {
        let from = match self.chance.below(60) {
            1 => vec![self.any_x()],
            _ => names::parties(),
        };
        names::party(*self.chance.pick(&from).expect("none of the lists is empty"))
    }

    pub(super) fn any_x(&mut self) -> PhoneNumber {
        names::x(self.chance.below(NUMBERS as u64) as usize)
    }

    fn end(&mut self) -> Timestamp {
        let now = self.about_now();
        match self.chance.below(24) {
            0 => now.plus_millis(60_000),
            1 => now.plus_millis(60_001),
            2 => now.plus_millis(-1),
            3 => now.plus_secs(86_400),
            4..=9 => now.plus_millis(self.chance.between(60_500, 75_000)),
            // Full half minutes, so that orders repeat on the same terms.
            _ => {
                let ahead = self.chance.between(3, 20) * 30;
                Timestamp((now.0 / 30_000) * 30_000).plus_secs(ahead)
            }
        }
    }

    fn text(&mut self, word: &str) -> Option<Box<str>> {
        let n = self.chance.below(6);
        (n < 3).then(|| format!("{word}-{n}").into())
    }

    fn ring_config(&mut self) -> Option<RingConfig> {
        let text = self.text("tones")?;
        let config = RingConfig::parse(&format!(r#"{{"AXNRing_N":"{text}"}}"#));
        Some(config.expect("an object of strings"))
    }

    fn bind(&mut self) -> (&'static str, Command, usize) {
        let pool = self.chance.below(POOLS.len() as u64) as usize;
        let mut product = POOLS[pool].2;
        if self.chance.one_in(80) {
            product = self.chance.one_of(Product::ALL);
        }
        let has_b = match needs_b(product) {
            true => !self.chance.one_in(60),
            false => self.chance.one_in(2),
        };
        let x = match self.chance.below(6) {
            0 => Some(self.any_x()),
            1 => Some(self.x_of(pool)),
            _ => None,
        };
        let city = self.chance.one_in(2).then(|| {
            let name = *self.chance.pick(&CITIES).expect("there are cities");
            City::new(name)
        });
        let extras = Extras {
            out_id: self.text("person"),
            out_order_id: self.text("order"),
            ..Extras::default()
        };
        // Drawn in this order, so that a seed stays the world that it was.
        let (pool_ref, a) = (self.pool_ref(pool), self.party());
        let b = has_b.then(|| self.party());
        let request = BindRequest {
            b,
            x,
            city,
            extras,
            ..BindRequest::new(pool_ref, product, a, self.end())
        };
        let request = BindRequest {
            restriction: self.restriction(),
            record: self.chance.one_in(8),
            speech_recognition: self.chance.one_in(16),
            ring_timeout_s: self.chance.one_of([None, None, None, Some(0), Some(25)]),
            ..request
        };
        ("dypls:Bind", Command::Bind(Box::new(request)), pool)
    }

    fn x_of(&mut self, pool: usize) -> PhoneNumber {
        let stock = names::stock_of(pool);
        self.chance
            .pick(&stock)
            .map_or(names::x(0), |number| number.x)
    }

    fn restriction(&mut self) -> Restriction {
        match self.chance.below(12) {
            0 => Restriction::AMayNotDial,
            1 => Restriction::OthersMayNotDial,
            _ => Restriction::None,
        }
    }

    /// A binding that a customer knows, mostly one in force.
    pub(super) fn known(&mut self) -> Option<Binding> {
        let now = self.about_now();
        let known = if self.chance.one_in(8) {
            self.answer_log.ended(now)
        } else {
            self.answer_log.in_force(now)
        };
        self.chance.pick(&known).map(|binding| (**binding).clone())
    }

    /// Names a binding, mostly rightly: its pool, id and X.
    fn named(&mut self) -> (PoolRef, SubsId, PhoneNumber, usize) {
        let Some(binding) = self.known() else {
            let x = self.any_x();
            return (self.pool_ref(0), SubsId(1), x, 0);
        };
        let pool = self
            .model
            .numbers
            .get(&binding.x)
            .and_then(|number| number.class.pool.as_ref())
            .and_then(|key| POOLS.iter().position(|(name, ..)| *name == key.as_str()))
            .unwrap_or(0);
        let (mut subs_id, mut x) = (binding.subs_id, binding.x);
        match self.chance.below(40) {
            0 => x = self.any_x(),
            1 => subs_id = SubsId(subs_id.0 + 1),
            _ => {}
        }
        (self.pool_ref(pool), subs_id, x, pool)
    }

    fn unbind(&mut self) -> (&'static str, Command, usize) {
        let (pool_ref, subs_id, x, pool) = self.named();
        let command = Command::Unbind(Unbind {
            pool: pool_ref,
            subs_id,
            x,
        });
        ("dypls:Unbind", command, pool)
    }

    fn update(&mut self) -> (&'static str, Command, usize) {
        let (pool_ref, subs_id, x, pool) = self.named();
        let count = self.chance.one_of([1, 1, 1, 2, 3]);
        let updates = (0..count).map(|_| self.one_update(x)).collect();
        let command = Command::Update(UpdateBinding {
            carriers_down: Vec::new(),
            pool: pool_ref,
            subs_id,
            x,
            updates,
        });
        ("dypls:Update", command, pool)
    }

    fn one_update(&mut self, x: PhoneNumber) -> Update {
        if self.chance.one_in(50) {
            return self
                .chance
                .one_of([Update::A(names::party(x)), Update::B(names::party(x))]);
        }
        match self.chance.weighed(&[6, 4, 6, 2, 1, 2, 1, 1, 1]) {
            0 => Update::A(self.party()),
            1 => Update::B(self.party()),
            2 => Update::ExpiresAt(self.end()),
            3 => Update::Restriction(self.restriction()),
            4 => Update::Record(self.chance.one_in(2)),
            5 => Update::OutId(self.text("person")),
            6 => Update::RingConfig(self.ring_config()),
            7 => Update::SpeechRecognition(self.chance.one_in(2)),
            _ => Update::SpeechModel(self.text("model")),
        }
    }

    fn lock(&mut self, locks: bool) -> (&'static str, Command, usize) {
        let pool = self.chance.below(POOLS.len() as u64) as usize;
        let x = if self.chance.one_in(10) {
            self.any_x()
        } else {
            self.x_of(pool)
        };
        let pool_ref = self.pool_ref(pool);
        let command = if locks {
            Command::Lock(Lock { pool: pool_ref, x })
        } else {
            Command::Unlock(Unlock { pool: pool_ref, x })
        };
        ("dypls:Lock", command, pool)
    }
}
