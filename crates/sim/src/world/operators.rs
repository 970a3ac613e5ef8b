//! Operators and jobs: what makes the world, changes it and tidies it.

use maskline_domain::ops::{
    AddNumbers, BeginEpoch, CreateKey, DeleteKey, DeleteTrunk, DeleteUser, ErasePerson, ExpireDue,
    ForgetCommands, NoteImport, NoteReveal, ReleaseNumbers, ResealKey, SetAccount, SetCarrier,
    SetEmergencyNumbers, SetKeyActive, SetPool, SetTrunk, SetUser, ThawDue, Unbind, UpdateBinding,
};
use maskline_domain::pool::{CityMatch, Pick};
use maskline_domain::{
    AccountId, AccountStatus, Actor, BindRequest, Binding, Command, Envelope, ErasedParts, Number,
    Part, Pool, PoolKey, PoolRef, Subject, SubsId, ToneCode, Trunk, TrunkName, Update, UserName,
};

use crate::chance::Chance;
use crate::world::names::{self, ACCOUNTS, CITIES, KEYS, NUMBERS, POOLS, USERS};
use crate::world::{World, carriers};

impl World {
    /// Everything that there is at first.
    pub(super) fn initial_commands(&self) -> Vec<Command> {
        let has_carriers = self.carriers.is_some();
        let carriers = carriers::founding().filter(|_| has_carriers);
        let pool = |n| match has_carriers {
            true => carriers::with_carrier(n, names::pool(n)),
            false => names::pool(n),
        };
        let accounts =
            (0..ACCOUNTS.len()).map(|n| Command::SetAccount(SetAccount(names::account(n))));
        let users = (0..USERS.len()).map(|n| Command::SetUser(SetUser(names::user(n, 0))));
        let keys = (0..KEYS.len()).map(|n| Command::CreateKey(CreateKey(names::key(n))));
        let pools = (0..POOLS.len()).map(|n| Command::SetPool(SetPool(pool(n))));
        let stock = (0..POOLS.len()).map(|n| Command::AddNumbers(AddNumbers(names::stock_of(n))));
        accounts
            .chain(users)
            .chain(keys)
            .chain(carriers)
            .chain(pools)
            .chain(stock)
            .collect()
    }

    /// A command under a name of its own, by which its entry is known.
    pub(super) fn operate(&self, command: Command) -> Envelope {
        Envelope {
            by: Actor::Operator {
                name: format!("operator-{}", self.next_caller).into(),
                remark: None,
            },
            id: None,
            command,
        }
    }

    /// What an operator does.
    pub(super) fn operator(&mut self) -> Envelope {
        let command = match self.chance.weighed(&[3, 3, 2, 16, 10, 6, 2, 2, 2, 1, 4, 3]) {
            0 => self.set_account(),
            1 => self.change_key(),
            2 => self.change_user(),
            3 => self.make_good(),
            4 => self.set_pool(),
            5 => self.add_numbers(),
            6 => self.release_numbers(),
            7 => self.set_emergency(),
            8 => self.trunk(),
            9 => Command::NoteReveal(NoteReveal {
                what: "a number".to_owned(),
                rows: Some(1),
            }),
            10 if self.chance.one_in(40) => Command::BeginEpoch(BeginEpoch),
            10 if self.chance.one_in(3) => Command::ErasePerson(self.erase_person()),
            10 => Command::NoteImport(NoteImport {
                name: self.chance.one_of(["first", "third"]).into(),
                rows: (!self.chance.one_in(4)).then(|| self.chance.below(50) * 5_000),
            }),
            _ => self.for_a_customer(),
        };
        self.operate(command)
    }

    /// Somebody is erased from a binding, which may be in force: then nothing of it goes.
    fn erase_person(&mut self) -> ErasePerson {
        let bindings: Vec<SubsId> = self.model.bindings.keys().copied().collect();
        let id = match self.chance.pick(&bindings) {
            Some(&id) if self.chance.one_in(2) => id,
            _ => SubsId(self.chance.below(1_000)),
        };
        let part = self.chance.one_of([Part::A, Part::B]);
        let n = self.chance.below(9) as u32;
        ErasePerson {
            subjects: vec![Subject { of: id.0, n }],
            last: vec![ErasedParts {
                of: id.0,
                parts: vec![part, Part::Texts],
            }],
        }
    }

    /// Something about a binding that is about to end: to end it, to change
    /// it, to take its X, or to move another binding on X to one of its parties.
    pub(super) fn about(&mut self, binding: Binding) -> Envelope {
        let Binding { subs_id, x, .. } = binding;
        let key = self.model.pool_of(x).map(|pool| pool.key.clone());
        let pool = PoolRef::Key(key.unwrap_or(PoolKey::new("FC9999")));
        let end = self.about_now().plus_millis(120_000);
        let beside = self
            .model
            .on(x)
            .find(|other| other.subs_id != subs_id)
            .map(|other| other.subs_id);
        let command = match (self.chance.below(5), beside) {
            (0, _) => Command::Unbind(Unbind { pool, subs_id, x }),
            (1 | 2, Some(other)) => Command::Update(UpdateBinding {
                carriers_down: Vec::new(),
                pool,
                subs_id: other,
                x,
                updates: vec![if self.chance.one_in(2) {
                    Update::A(names::party(binding.a))
                } else {
                    Update::B(names::party(binding.a))
                }],
            }),
            (1, None) => Command::Update(UpdateBinding {
                carriers_down: Vec::new(),
                pool,
                subs_id,
                x,
                updates: vec![Update::ExpiresAt(end)],
            }),
            _ => {
                let parties = names::parties();
                let drawn = |chance: &mut Chance| chance.pick(&parties).copied().map(names::party);
                let a = drawn(&mut self.chance).unwrap_or(names::party(binding.a));
                Command::Bind(Box::new(BindRequest {
                    b: drawn(&mut self.chance),
                    x: Some(x),
                    restriction: binding.restriction,
                    ..BindRequest::new(pool, binding.product, a, end)
                }))
            }
        };
        self.operate(command)
    }

    /// A job that tidies.
    pub(super) fn job(&mut self) -> Envelope {
        let at_most = self.chance.one_of([0, 1, 3, 10, 100, 4096]);
        let command = match self.chance.below(3) {
            0 => Command::ExpireDue(ExpireDue { at_most }),
            1 => Command::ThawDue(ThawDue { at_most }),
            _ => Command::ForgetCommands(ForgetCommands { at_most }),
        };
        Envelope {
            by: Actor::Job {
                name: format!("job-{}", self.next_caller).into(),
            },
            id: None,
            command,
        }
    }

    fn set_account(&mut self) -> Command {
        let mut account = names::account(self.chance.below(ACCOUNTS.len() as u64) as usize);
        match self.chance.below(16) {
            0 => account.status = AccountStatus::Abnormal,
            1 => account.status = AccountStatus::InArrears,
            2 => account.status = AccountStatus::Closed,
            3 => account.real_name_verified = false,
            4 => account.communications_opened = false,
            5 => account.product_opened = false,
            6 => account.id = AccountId::new("no name"),
            7 | 8 => account.bindings_max = Some(self.chance.below(40) as u32),
            _ => {}
        }
        Command::SetAccount(SetAccount(account))
    }

    fn change_key(&mut self) -> Command {
        let key = names::key(self.chance.below(KEYS.len() as u64) as usize);
        let id = key.id.clone();
        match self.chance.below(10) {
            0 => Command::DeleteKey(DeleteKey { id }),
            1 | 2 => Command::SetKeyActive(SetKeyActive { id, active: false }),
            3 | 4 => Command::SetKeyActive(SetKeyActive { id, active: true }),
            5 => Command::ResealKey(ResealKey {
                id,
                sealed_secret: self.chance.bytes().into(),
            }),
            _ => Command::CreateKey(CreateKey(key)),
        }
    }

    fn change_user(&mut self) -> Command {
        let n = self.chance.below(USERS.len() as u64) as usize;
        if self.chance.one_in(6) {
            return Command::DeleteUser(DeleteUser {
                account: AccountId::new(ACCOUNTS[0]),
                name: UserName::new(USERS[n]),
            });
        }
        let policy = self.chance.below(6);
        Command::SetUser(SetUser(names::user(n, policy)))
    }

    /// Puts something right again: what keeps customers from working, if there
    /// is anything.
    fn make_good(&mut self) -> Command {
        let model = &self.model;
        let wrong: Vec<Command> = self
            .initial_commands()
            .into_iter()
            .filter_map(|command| match command {
                Command::SetAccount(SetAccount(account)) => {
                    let is_wrong = model.accounts.get(&account.id) != Some(&account);
                    is_wrong.then_some(Command::SetAccount(SetAccount(account)))
                }
                Command::CreateKey(CreateKey(key)) => match model.keys.get(&key.id) {
                    None => Some(Command::CreateKey(CreateKey(key))),
                    Some(there) if there.active => None,
                    Some(_) => Some(Command::SetKeyActive(SetKeyActive {
                        id: key.id,
                        active: true,
                    })),
                },
                Command::SetUser(SetUser(user)) => {
                    let place = (user.account.clone(), user.name.clone());
                    let is_wrong = model.users.get(&place) != Some(&user);
                    is_wrong.then_some(Command::SetUser(SetUser(user)))
                }
                Command::SetPool(SetPool(pool)) => {
                    let there = model.pools.get(&pool.key)?;
                    (!there.open).then(|| {
                        Command::SetPool(SetPool(Pool {
                            open: true,
                            ..there.clone()
                        }))
                    })
                }
                Command::SetCarrier(SetCarrier(carrier)) => {
                    let is_missing = !model.carriers.contains_key(&carrier.name);
                    is_missing.then_some(Command::SetCarrier(SetCarrier(carrier)))
                }
                Command::AddNumbers(AddNumbers(numbers)) => {
                    let missing: Vec<Number> = numbers
                        .into_iter()
                        .filter(|number| !model.numbers.contains_key(&number.x))
                        .collect();
                    (!missing.is_empty()).then_some(Command::AddNumbers(AddNumbers(missing)))
                }
                _ => None,
            })
            .collect();
        let initial_commands = self.initial_commands();
        let from = if wrong.is_empty() {
            &initial_commands
        } else {
            &wrong
        };
        self.chance
            .pick(from)
            .cloned()
            .expect("a world is made of something")
    }

    fn set_pool(&mut self) -> Command {
        let n = self.chance.below(POOLS.len() as u64) as usize;
        let key = PoolKey::new(POOLS[n].0);
        let mut pool = match self.model.pools.get(&key) {
            Some(pool) => pool.clone(),
            None => names::pool(n),
        };
        let chance = &mut self.chance;
        match chance.below(15) {
            0 => pool.open = false,
            1..=3 => pool.open = true,
            4 => pool.city_match = chance.one_of([CityMatch::Loose, CityMatch::Strict]),
            5 | 6 => pool.pick = chance.one_of([Pick::Random, Pick::LongestIdle]),
            7 => pool.a_call_back = !pool.a_call_back,
            8 | 9 => pool.cooling_s = chance.one_of([0, 0, 1, 7, 90]),
            10 => pool.pairs_max = chance.one_of([1, 2, 3, 40]),
            11 => pool.same_out_order_returns = !pool.same_out_order_returns,
            12 => pool.ring_timeout_s = chance.one_of([0, 1, 60, 180, 181]),
            13 => pool.ring_tones.other = chance.one_of([None, Some(ToneCode::NETWORK)]),
            _ => pool.account = AccountId::new(ACCOUNTS[0]),
        }
        Command::SetPool(SetPool(pool))
    }

    /// New numbers, other cities for known ones, moves between pools.
    fn add_numbers(&mut self) -> Command {
        let count = self.chance.one_of([1, 1, 2, 5, 30]);
        let numbers = (0..count)
            .map(|_| {
                let n = self.chance.below(NUMBERS as u64) as usize;
                let city = self.chance.below(CITIES.len() as u64) as usize;
                let home = n / (NUMBERS / POOLS.len());
                let pool = match self.chance.below(8) {
                    0 => None,
                    1 | 2 => Some(self.chance.below(POOLS.len() as u64) as usize),
                    _ => Some(home.min(POOLS.len() - 1)),
                };
                names::number(n, pool, city)
            })
            .collect();
        Command::AddNumbers(AddNumbers(numbers))
    }

    fn release_numbers(&mut self) -> Command {
        let count = self.chance.one_of([1, 1, 2]);
        Command::ReleaseNumbers(ReleaseNumbers((0..count).map(|_| self.any_x()).collect()))
    }

    fn set_emergency(&mut self) -> Command {
        let parties = names::parties();
        let count = self.chance.one_of([0, 0, 1, 2]);
        let numbers = (0..count)
            .filter_map(|_| self.chance.pick(&parties).copied())
            .collect();
        Command::SetEmergencyNumbers(SetEmergencyNumbers(numbers))
    }

    fn trunk(&mut self) -> Command {
        let name = TrunkName::new(self.chance.one_of(["north", "south"]));
        if self.chance.one_in(3) {
            return Command::DeleteTrunk(DeleteTrunk { name });
        }
        let peer = self.chance.one_of(["192.0.2.1:5060", "no where"]);
        let (enabled, is_limited) = (self.chance.one_in(2), self.chance.one_in(2));
        Command::SetTrunk(SetTrunk(Box::new(Trunk {
            enabled,
            // A plain trunk and one with more to say are for different readers.
            priority: u16::from(is_limited),
            presents: is_limited.then(|| "unicom".into()).into_iter().collect(),
            routes: is_limited.then_some(names::x(0)).into_iter().collect(),
            ..Trunk::new(name, peer)
        })))
    }

    /// An operator may do what a customer may.
    fn for_a_customer(&mut self) -> Command {
        let Some(binding) = self.known() else {
            return Command::BeginEpoch(BeginEpoch);
        };
        let n = self.chance.below(POOLS.len() as u64) as usize;
        Command::Unbind(Unbind {
            pool: PoolRef::Key(PoolKey::new(POOLS[n].0)),
            subs_id: binding.subs_id,
            x: binding.x,
        })
    }
}
