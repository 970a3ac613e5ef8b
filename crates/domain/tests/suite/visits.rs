//! How many things of the state each read and each command looks at: a bounded number, however many numbers and
//! bindings there are.
//!
//! `MASKLINE_VISITS_SIZES=10000,1000000` compares other sizes than the usual ones.

mod carriers;

use std::sync::{LazyLock, Mutex};

use maskline_domain::binding::Extras;
use maskline_domain::ops::*;
use maskline_domain::pool::Pick;
use maskline_domain::product::PAIRS_MAX;
use maskline_domain::routing::{RouteQuery, explain, route};
use maskline_domain::*;
use maskline_fixtures::domain::{
    ACCOUNT, HOUR_MS, KEY, NOON, PAIR_POOL, POOL, access_key, account, as_party, bind_request,
    binding, customer, idle_number, number, operator, pool, pool_ref,
};

/// The most that is looked at in one piece.
const VISITS_MAX: u64 = 1_000;
/// What may come on top when there is more of everything: chance draws other numbers.
const SLACK: u64 = 24;

/// In this pool the longest idle number is given out.
const IDLE_POOL: &str = "FC3";
const CITIES: u64 = 20;
/// So many are due for each job, at the least: more than one command of a job does.
const DUE: u64 = 100;
/// In this pool every number carries a pair of [`busy`], so that there is none for another.
const BUSY_POOL: &str = "FC4";
/// A number of it, which carries as many pairs as one may, all of them over.
const FULL: u64 = 7;
/// In this pool every number carries as many pairs as one may: one of [`busy`], one of others and one that is over.
const FULL_POOL: &str = "FC5";
/// Numbers of it.
const FULL_NUMBERS: u64 = 200;
fn sizes() -> [u64; 2] {
    let Ok(sizes) = std::env::var("MASKLINE_VISITS_SIZES") else {
        return [10_000, 100_000];
    };
    let sizes: Vec<u64> = sizes
        .split(',')
        .map(|size| size.trim().parse().expect("a number"))
        .collect();
    sizes.try_into().expect("two sizes")
}

fn city(n: u64) -> String {
    format!("city-{}", n % CITIES)
}

/// 1700…, 1701… and 1702… are X numbers of the first three pools, 1703… of the stock, 1704… and 1705… of the others.
fn x(of: u64, n: u64) -> PhoneNumber {
    number(&format!("170{of}{n:07}"))
}

fn a(n: u64) -> PhoneNumber {
    number(&format!("15{n:09}"))
}

fn b(n: u64) -> PhoneNumber {
    number(&format!("13{n:09}"))
}

/// Party to a pair on each number of [`BUSY_POOL`].
fn busy() -> PhoneNumber {
    number("15999999999")
}

fn id(n: u64) -> SubsId {
    SubsId(SubsId::earliest_at(NOON).0 - 100_000_000 + n)
}

/// A state with `size` numbers and bindings: half of [`POOL`] is bound, with one order for all; a tenth cools. Each
/// number of [`PAIR_POOL`] and of [`BUSY_POOL`] carries a pair, the whole stock is for sale, and so many ids are
/// remembered.
fn state(size: u64) -> State {
    let mut state = State::default();
    let mut apply = |event: Event| state.apply(&event);
    apply(Event::AccountSet(account(ACCOUNT)));
    apply(Event::KeySet(access_key(KEY, ACCOUNT)));
    for (key, product, pick) in [
        (POOL, Product::Axn, Pick::Random),
        (PAIR_POOL, Product::Axb, Pick::Random),
        (IDLE_POOL, Product::Axn, Pick::LongestIdle),
        (BUSY_POOL, Product::Axb, Pick::Random),
    ] {
        apply(Event::PoolSet(Pool {
            pick,
            cooling_s: 600,
            same_out_order_returns: true,
            ..pool(key, product)
        }));
    }
    let far = NOON.plus_millis(HOUR_MS);
    let quarter = size / 4;
    let is_over = |n: u64| n < 3 * quarter && n.is_multiple_of(size / DUE / 2);
    let bound = |n: u64, binding: Binding| {
        Event::Bound(Box::new(Binding {
            subs_id: id(n),
            created_at: NOON.plus_millis(-2 * HOUR_MS),
            expires_at: match is_over(n) || binding.expires_at == NOON {
                true => NOON,
                false => far,
            },
            extras: Extras {
                out_order_id: Some("one for all".into()),
                ..Extras::default()
            },
            ..binding
        }))
    };
    for n in 0..2 * quarter {
        let is_bound = n.is_multiple_of(2);
        apply(Event::NumberSet(Number {
            cooling_until: match n % 10 {
                1 if n < 10 * DUE => NOON,
                1 => far,
                _ => Timestamp(0),
            },
            locked: n % 10 == 3,
            ..idle_number(x(0, n), POOL, &city(n))
        }));
        if is_bound {
            apply(bound(n, binding(x(0, n), a(n))));
        }
    }
    for n in 0..quarter {
        apply(Event::NumberSet(idle_number(x(1, n), PAIR_POOL, &city(n))));
        apply(bound(
            2 * quarter + n,
            Binding {
                product: Product::Axb,
                b: Some(b(n)),
                ..binding(x(1, n), a(n))
            },
        ));
        apply(Event::NumberSet(Number {
            idle_since: NOON.plus_secs(-(n as i64)),
            ..idle_number(x(2, n), IDLE_POOL, &city(n))
        }));
        let mut stock = idle_number(x(3, n), POOL, &city(n));
        stock.class.pool = None;
        apply(Event::NumberSet(stock));
        apply(Event::CommandAnswered {
            id: CommandId::short(n),
            key: Some(AccessKeyId::new(KEY)),
            // Many at a moment.
            until: match n < DUE {
                true => NOON.plus_millis(-1),
                false => NOON.plus_millis(n as i64),
            },
            attempt: None,
            answered: None,
        });
    }
    for n in 0..quarter {
        apply(Event::NumberSet(idle_number(x(4, n), BUSY_POOL, &city(n))));
        let of = |a, b| Binding {
            product: Product::Axb,
            b: Some(b),
            ..binding(x(4, n), a)
        };
        apply(bound(4 * quarter + n, of(busy(), b(n))));
    }
    let three = Pool {
        pairs_max: 3,
        ..pool(FULL_POOL, Product::Axb)
    };
    apply(Event::PoolSet(three));
    for n in 0..FULL_NUMBERS {
        apply(Event::NumberSet(idle_number(x(5, n), FULL_POOL, &city(n))));
        let parties = [(busy(), b(n)), (a(n), b(n + 1)), (a(n + 1), b(n + 2))];
        for (nth, (a, b)) in (0..).zip(parties) {
            let pair = Binding {
                product: Product::Axb,
                b: Some(b),
                expires_at: if nth == 2 { NOON } else { far },
                ..binding(x(5, n), a)
            };
            apply(bound(6 * quarter + 3 * n + nth, pair));
        }
    }
    for n in 1..u64::from(PAIRS_MAX) {
        let over = Binding {
            product: Product::Axb,
            b: Some(b(n)),
            expires_at: NOON,
            ..binding(x(4, FULL), a(n))
        };
        apply(bound(5 * quarter + n, over));
    }
    carriers::add(&mut state, size);
    state
}

/// The same at each of the sizes.
static STATES: LazyLock<[Mutex<State>; 2]> = LazyLock::new(|| sizes().map(state).map(Mutex::new));

/// Does something to a state, leaves it as it was, and says how much was looked at.
type Case = Box<dyn Fn(&mut State) -> u64>;

fn check(cases: Vec<(&str, Case)>) {
    let sizes = sizes();
    let growth = (sizes[1] as f64).ln() / (sizes[0] as f64).ln();
    let mut wrong = Vec::new();
    for (name, case) in cases {
        let states = STATES.each_ref();
        let [few, many] = states.map(|state| case(&mut state.lock().expect("no panic")));
        let bound = (few as f64 * growth) as u64 + SLACK;
        println!("{name:<48} {few:>9} {many:>9}");
        if many > VISITS_MAX || few > VISITS_MAX || many > bound {
            wrong.push(format!("{name}: {few} and {many}"));
        }
    }
    assert!(wrong.is_empty(), "at {sizes:?}: {wrong:#?}");
}

fn counted<R>(what: impl FnOnce() -> R) -> (u64, R) {
    let before = visits::count();
    let done = std::hint::black_box(what());
    (visits::count() - before, done)
}

fn read<R>(look: impl Fn(&State) -> R + 'static) -> Case {
    Box::new(move |state: &mut State| counted(|| look(state)).0)
}

#[test]
fn no_read_looks_at_more_where_there_is_more() {
    let caller = |caller, x| RouteQuery {
        caller: Some(caller),
        x,
    };
    let kind = NumberKind::VirtualOperator;
    check(vec![
        ("a number", read(|s| s.number(x(0, 2)))),
        ("a number that is none", read(|s| s.has_number(x(7, 2)))),
        (
            "what a number is doing",
            read(|s| s.number_status(x(0, 2), NOON)),
        ),
        (
            "what a number with an ended binding is doing",
            read(|s| s.number_status(x(0, 0), NOON)),
        ),
        (
            "a page of numbers",
            read(|s| s.numbers_from(x(0, 500)).take(100).count()),
        ),
        ("the first numbers", read(|s| s.numbers().take(100).count())),
        ("a binding", read(|s| s.binding(id(2)))),
        ("the bindings of a number", read(|s| s.bindings_on(x(1, 3)))),
        (
            "the bindings of a full number",
            read(|s| s.bindings_on(x(4, FULL))),
        ),
        (
            "what a full number is doing",
            read(|s| s.number_status(x(4, FULL), NOON)),
        ),
        (
            "a page of bindings",
            read(|s| s.bindings_below(id(500)).take(100).count()),
        ),
        (
            "the first bindings",
            read(|s| s.bindings().take(100).count()),
        ),
        ("a slot", read(|s| s.slot(x(1, 3), Slot::Party(b(3))))),
        (
            "the bindings of an account, counted",
            read(|s| s.bindings_of_account(&AccountId::new(ACCOUNT))),
        ),
        (
            "the cities of a pool",
            read(|s| s.stock(Some(&PoolKey::new(POOL))).count()),
        ),
        ("the cities of the stock", read(|s| s.stock(None).count())),
        ("the stock of a sort", read(move |s| s.stock_of(kind, None))),
        (
            "the stock below three digits",
            read(move |s| s.stock_of(kind, Some(number("170")))),
        ),
        (
            "the stock below nine digits",
            read(move |s| s.stock_of(kind, Some(number("170300001")))),
        ),
        (
            "the stock that is one number",
            read(move |s| s.stock_of(kind, Some(x(3, 17)))),
        ),
        ("what is overdue", read(|s| s.overdue(NOON, 900))),
        (
            "a remembered id",
            read(|s| s.remembers(CommandId::short(77), NOON)),
        ),
        (
            "the route of a stranger",
            read(move |s| route(s, &caller(b(7_000_000), x(0, 2)), NOON)),
        ),
        (
            "the route of A",
            read(move |s| route(s, &caller(a(2), x(0, 2)), NOON)),
        ),
        (
            "the route of B",
            read(move |s| route(s, &caller(b(3), x(1, 3)), NOON)),
        ),
        (
            "why a call goes where it goes",
            read(move |s| explain(s, &caller(b(3), x(1, 3)), NOON)),
        ),
    ]);
}

/// A command that is not refused: what it looks at until its events are part of the state.
fn by<C: TypedCommand + Clone + 'static>(by: Actor, command: C) -> Case {
    Box::new(move |state: &mut State| {
        let command = command.clone().into();
        let (by, id) = (by.clone(), Some(key_of(u128::MAX)));
        let (visits, undo) = give(state, &Envelope { by, id, command });
        state.undo(undo);
        visits
    })
}

/// A command that is refused.
fn refused(refusal: Refusal, command: impl TypedCommand) -> Case {
    let envelope = operator(command).untyped();
    Box::new(move |state: &mut State| {
        let (visits, undo) = give_for(state, &envelope, Err(&refusal));
        state.undo(undo);
        visits
    })
}

fn give(state: &mut State, envelope: &Envelope) -> (u64, Undo) {
    give_for(state, envelope, Ok(()))
}

fn give_for(state: &mut State, envelope: &Envelope, expected: Result<(), &Refusal>) -> (u64, Undo) {
    counted(|| {
        let decision = decide(state, envelope, NOON, 7);
        assert_eq!(decision.answer.as_ref().map(|_| ()), expected);
        let mut undo = Undo::default();
        for event in &decision.events {
            undo.append(state.apply_undoable(event));
        }
        undo
    })
}

fn asked<C: TypedCommand + Clone + 'static>(command: C) -> Case {
    by(customer(KEY), command)
}

fn operated<C: TypedCommand + Clone + 'static>(command: C) -> Case {
    by(operator(()).by, command)
}

/// The same in a pool that an operator has changed.
fn after(change: SetPool, request: BindRequest) -> Case {
    Box::new(move |state: &mut State| {
        let (_, undo) = give(state, &operator(change.clone()).untyped());
        let bind = operator(Box::new(request.clone())).untyped();
        let (visits, undo_bind) = give(state, &bind);
        state.undo(undo_bind);
        state.undo(undo);
        visits
    })
}

fn bind(change: impl FnOnce(&mut BindRequest)) -> BindRequest {
    let mut request = bind_request(POOL, Product::Axn, a(9_000_001), None);
    change(&mut request);
    request
}

fn changed(key: &str, product: Product, change: impl FnOnce(&mut Pool)) -> SetPool {
    let mut pool = Pool {
        cooling_s: 600,
        same_out_order_returns: true,
        ..pool(key, product)
    };
    change(&mut pool);
    SetPool(pool)
}

fn update(updates: Vec<Update>) -> UpdateBinding {
    UpdateBinding {
        carriers_down: Vec::new(),
        pool: pool_ref(POOL),
        subs_id: id(2),
        x: x(0, 2),
        updates,
    }
}

#[test]
fn no_command_looks_at_more_where_there_is_more() {
    let order = || Some("one for all".into());
    let pair = bind_request(PAIR_POOL, Product::Axb, a(9_000_001), Some(b(9_000_001)));
    let idle = bind_request(IDLE_POOL, Product::Axn, a(9_000_001), None);
    let lock = |n| (pool_ref(POOL), x(0, n));
    let (free, locked) = (lock(5), lock(3));
    let known = idle_number(x(0, 5), POOL, "city-0");
    let unbind = Unbind {
        pool: pool_ref(POOL),
        subs_id: id(2),
        x: x(0, 2),
    };
    let longest_idle = changed(POOL, Product::Axn, |pool| pool.pick = Pick::LongestIdle);
    let busy_pair = |change: &dyn Fn(&mut BindRequest)| {
        let (a, b) = (busy(), Some(b(9_000_001)));
        let mut request = bind_request(BUSY_POOL, Product::Axb, a, b);
        change(&mut request);
        Box::new(request)
    };
    let lowered = SetAccount(Account {
        bindings_max: Some(1),
        ..account(ACCOUNT)
    });
    let stock = |numbers: std::ops::Range<u64>| numbers.map(|n| x(3, n)).collect();
    let random = changed(IDLE_POOL, Product::Axn, |_| ());
    let fewer = changed(PAIR_POOL, Product::Axb, |pool| pool.pairs_max = 1);
    let more = changed(PAIR_POOL, Product::Axb, |pool| pool.pairs_max = PAIRS_MAX);
    let request = |change: fn(&mut BindRequest)| Box::new(bind(change));
    check(vec![
        ("bind any", asked(request(|_| ()))),
        (
            "bind in a city",
            asked(request(|r| r.city = Some(City::new("city-3")))),
        ),
        (
            "bind a wanted number",
            asked(request(|r| r.x = Some(x(0, 5)))),
        ),
        (
            "bind with the order of all others",
            asked(Box::new(bind(|r| r.extras.out_order_id = order()))),
        ),
        (
            "bind on the same terms again",
            asked(Box::new(bind(|r| {
                r.a = as_party(a(2));
                r.extras.out_order_id = order();
            }))),
        ),
        (
            "bind on the same terms and number again",
            asked(Box::new(bind(|r| {
                r.a = as_party(a(2));
                r.x = Some(x(0, 2));
                r.extras.out_order_id = order();
            }))),
        ),
        ("bind a pair", asked(Box::new(pair.clone()))),
        ("bind the longest idle", asked(Box::new(idle.clone()))),
        (
            "bind where the party is on every number",
            refused(Refusal::NoNumberLeft, busy_pair(&|_| ())),
        ),
        (
            "bind in a city where the party is on every number",
            refused(
                Refusal::NoNumberLeft,
                busy_pair(&|r| r.city = Some(City::new("city-3"))),
            ),
        ),
        (
            "bind where the party is on every number, all of them full",
            refused(
                Refusal::NoNumberLeft,
                busy_pair(&|r| r.pool = pool_ref(FULL_POOL)),
            ),
        ),
        (
            "bind on a full number, all over",
            asked(busy_pair(&|r| {
                r.a = as_party(a(9_000_001));
                r.x = Some(x(4, FULL));
            })),
        ),
        (
            "bind below a quota that was lowered",
            Box::new(move |state: &mut State| {
                let (_, undo) = give(state, &operator(lowered.clone()).untyped());
                let bind = operator(Box::new(bind(|_| ()))).untyped();
                let (visits, undo_bind) = give_for(state, &bind, Err(&Refusal::BindingsFull));
                state.undo(undo_bind);
                state.undo(undo);
                visits
            }),
        ),
        ("unbind", asked(unbind)),
        (
            "change an end",
            asked(update(vec![Update::ExpiresAt(
                NOON.plus_millis(2 * HOUR_MS),
            )])),
        ),
        (
            "change A",
            asked(update(vec![Update::A(as_party(a(9_000_001)))])),
        ),
        (
            "lock",
            asked(Lock {
                pool: free.0.clone(),
                x: free.1,
            }),
        ),
        (
            "unlock",
            asked(Unlock {
                pool: locked.0,
                x: locked.1,
            }),
        ),
        (
            "give out the longest idle from now on",
            operated(longest_idle.clone()),
        ),
        ("give out any from now on", operated(random.clone())),
        ("allow fewer pairs", operated(fewer)),
        ("allow more pairs", operated(more.clone())),
        (
            "bind after the longest idle was wanted",
            after(longest_idle, bind(|_| ())),
        ),
        ("bind after any was wanted", after(random, idle)),
        ("bind after more pairs were allowed", after(more, pair)),
        (
            "add a number",
            operated(AddNumbers(vec![idle_number(x(8, 1), POOL, "city-0")])),
        ),
        ("change a number", operated(AddNumbers(vec![known]))),
        ("release a number", operated(ReleaseNumbers(vec![x(0, 5)]))),
        (
            "add as many numbers as go at once",
            operated(AddNumbers(
                (0..u64::from(AT_ONCE))
                    .map(|n| idle_number(x(8, n), POOL, &city(n)))
                    .collect(),
            )),
        ),
        (
            "release as many numbers as go at once",
            operated(ReleaseNumbers(stock(0..u64::from(AT_ONCE)))),
        ),
        (
            "release a number of the stock",
            operated(ReleaseNumbers(vec![x(3, 5)])),
        ),
        (
            "expire what goes at once",
            operated(ExpireDue { at_most: AT_ONCE }),
        ),
        ("expire some", operated(ExpireDue { at_most: 3 })),
        (
            "thaw what goes at once",
            operated(ThawDue { at_most: AT_ONCE }),
        ),
        ("thaw some", operated(ThawDue { at_most: 3 })),
        (
            "forget what goes at once",
            operated(ForgetCommands { at_most: AT_ONCE }),
        ),
        ("forget some", operated(ForgetCommands { at_most: 3 })),
        (
            "change an account",
            operated(SetAccount(Account {
                requests_per_s_max: Some(5),
                ..account(ACCOUNT)
            })),
        ),
        ("make a key", operated(CreateKey(access_key("K9", ACCOUNT)))),
        (
            "delete a key",
            operated(DeleteKey {
                id: AccessKeyId::new(KEY),
            }),
        ),
        (
            "name emergency numbers",
            operated(SetEmergencyNumbers(vec![number("110")])),
        ),
    ]);
}

fn key_of(id: u128) -> CommandKey {
    CommandKey {
        id: CommandId(id),
        attempt: AttemptId(1),
        until: NOON,
    }
}
