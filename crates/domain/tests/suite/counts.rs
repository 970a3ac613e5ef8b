//! What is counted as it comes and goes is what a look at everything counts.

use std::collections::BTreeMap;

use maskline_domain::pool::Pick;
use maskline_domain::*;
use maskline_fixtures::domain::{World, axb, axn, idle_number, number};
use proptest::prelude::*;

const CITIES: [&str; 2] = ["北京", "上海"];
const KINDS: [NumberKind; 2] = [NumberKind::VirtualOperator, NumberKind::Carrier];

/// Numbers that often begin alike, of all lengths.
fn digits() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "17[0-1]{0,4}",
        2 => "170000000[0-2]{2}",
        1 => "[0-9]{1,18}",
    ]
}

#[derive(Debug, Clone)]
enum Act {
    /// City, sort, and whether it stands in a pool.
    Set(String, usize, usize, bool),
    Cool(String, i64),
    Lock(String, bool),
    Release(String),
}

fn act() -> impl Strategy<Value = Act> {
    let set = (digits(), 0..2_usize, 0..2_usize, prop::bool::weighted(0.2));
    prop_oneof![
        6 => set.prop_map(|(x, city, kind, is_sold)| Act::Set(x, city, kind, is_sold)),
        1 => (digits(), 0..2_i64).prop_map(|(x, until)| Act::Cool(x, until)),
        1 => (digits(), any::<bool>()).prop_map(|(x, on)| Act::Lock(x, on)),
        2 => digits().prop_map(Act::Release),
    ]
}

fn event(state: &State, act: Act) -> Option<Event> {
    Some(match act {
        Act::Set(x, city, kind, is_sold) => {
            let mut number = idle_number(number(&x), "FC1", CITIES[city]);
            number.class.pool = number.class.pool.filter(|_| is_sold);
            number.class.kind = KINDS[kind];
            Event::NumberSet(number)
        }
        Act::Cool(x, until) => Event::NumberSet(Number {
            cooling_until: Timestamp::from_secs(until),
            ..state.number(number(&x))?
        }),
        Act::Lock(x, true) => Event::NumberLocked { x: number(&x) },
        Act::Lock(x, false) => Event::NumberUnlocked { x: number(&x) },
        Act::Release(x) => Event::NumberReleased { x: number(&x) },
    })
}

fn stock(state: &State, kind: NumberKind, prefix: Option<PhoneNumber>) -> BTreeMap<City, u64> {
    let mut counts = BTreeMap::new();
    for number in state.numbers() {
        let is_for_sale =
            number.class.pool.is_none() && !number.locked && number.cooling_until <= Timestamp(0);
        let begins_so = prefix.is_none_or(|prefix| number.x.starts_with(prefix));
        if is_for_sale && number.class.kind == kind && begins_so {
            *counts.entry(number.class.city).or_default() += 1;
        }
    }
    counts
}

proptest! {
    #[test]
    fn the_stock_is_counted_right_below_every_prefix(
        acts in prop::collection::vec(act(), 1..60),
        prefixes in prop::collection::vec(digits(), 0..10),
        undone in 0..30_usize,
    ) {
        let mut state = State::default();
        let mut undos = Vec::new();
        for act in acts {
            if let Some(event) = event(&state, act) {
                undos.push(state.apply_undoable(&event));
            }
        }
        for undo in undos.into_iter().rev().take(undone) {
            state.undo(undo);
        }
        let own = state.numbers().map(|number| number.x.reveal());
        let own = own.flat_map(|x| (1..=x.len()).map(|len| x[..len].to_owned()).collect::<Vec<_>>());
        let prefixes: Vec<String> = own.chain(prefixes).collect();
        let prefixes = prefixes.iter().map(|prefix| Some(number(prefix)));
        for prefix in prefixes.chain([None]) {
            for kind in KINDS {
                prop_assert_eq!(state.stock_of(kind, prefix), stock(&state, kind, prefix));
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Bind(u8),
    Pair(u8, u8),
    Unbind(u8),
    Pick(bool, bool),
    PairsMax(u32),
    Pass(u32),
    Thaw,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..9_u8).prop_map(Step::Bind),
        8 => (0..9_u8, 0..9_u8).prop_map(|(a, b)| Step::Pair(a, b)),
        4 => (0..20_u8).prop_map(Step::Unbind),
        2 => (any::<bool>(), any::<bool>()).prop_map(|(of_pairs, longest)| Step::Pick(of_pairs, longest)),
        2 => (1..5_u32).prop_map(Step::PairsMax),
        2 => (0..900_000_u32).prop_map(Step::Pass),
        1 => Just(Step::Thaw),
    ]
}

fn party(n: u8) -> String {
    format!("1500000000{n}")
}

/// What can be given out in a pool, by a look at all its numbers.
fn free(state: &State, key: &str) -> usize {
    let pool = state.pool(&PoolKey::new(key)).expect("it was made");
    let max = pool.product.bindings_per_x_max(pool.pairs_max) as usize;
    state
        .numbers()
        .filter(|number| number.class.pool.as_ref() == Some(&pool.key))
        .filter(|number| !number.locked && number.cooling_until == Timestamp(0))
        .filter(|number| state.bindings_on(number.x).len() < max)
        .count()
}

proptest! {
    /// However a pool is changed, its numbers count as those that it is now may be given out, and one of them is.
    #[test]
    fn a_changed_pool_gives_out_what_it_now_may(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        let mut pools = [("FC1", Product::Axn), ("FC2", Product::Axb)].map(|(key, product)| {
            world.set_pool(key, product, |pool| pool.cooling_s = 300);
            world.state.pool(&PoolKey::new(key)).expect("just made").clone()
        });
        world.stock("FC1", "北京", &["17000000000", "17000000001", "17000000002"]);
        world.stock("FC1", "上海", &["17000000003", "17000000004"]);
        world.stock("FC2", "北京", &["17100000000", "17100000001"]);
        for step in steps {
            match step {
                Step::Bind(a) => {
                    let had = free(&world.state, "FC1") > 0;
                    let longest = pools[0].pick == Pick::LongestIdle;
                    let before = world.state.clone();
                    let mut request = axn(&party(a));
                    request.expires_at = world.now.plus_millis(700_000);
                    let bound = world.bind(request);
                    prop_assert!(bound.is_ok() || !had, "a number was left: {:?}", bound);
                    if let Ok(bound) = bound && had && longest {
                        let idle = |x: PhoneNumber| before.number(x).expect("its X").idle_since;
                        let city = before.number(bound.x).expect("its X").class.city;
                        let longer = before.numbers().filter(|other| {
                            other.class.pool == Some(PoolKey::new("FC1"))
                                && other.class.city == city
                                && before.bindings_on(other.x).is_empty()
                                && other.cooling_until == Timestamp(0)
                                && other.idle_since < idle(bound.x)
                        });
                        let was_ready = before.bindings_on(bound.x).is_empty();
                        prop_assert!(longer.count() == 0 || !was_ready);
                    }
                }
                Step::Pair(a, b) => {
                    let mut request = axb(&party(a), &party(b));
                    request.expires_at = world.now.plus_millis(700_000);
                    let max = pools[1].pairs_max as usize;
                    if let Ok(bound) = world.bind(request) {
                        let live = world.state.bindings_on(bound.x).into_iter();
                        prop_assert!(live.filter(|b| !b.is_over(world.now)).count() <= max);
                    }
                }
                Step::Unbind(n) => {
                    let binding = world.state.bindings().nth(n.into());
                    if let Some(binding) = binding {
                        let pool = binding.owner.expect("X is in a pool").pool;
                        let _ = world.ask(ops::Unbind {
                            pool: PoolRef::Key(pool),
                            subs_id: binding.subs_id,
                            x: binding.x,
                        });
                    }
                }
                Step::Pick(of_pairs, longest) => {
                    let pool = &mut pools[usize::from(of_pairs)];
                    pool.pick = if longest { Pick::LongestIdle } else { Pick::Random };
                    world.operate(ops::SetPool(pool.clone()));
                }
                Step::PairsMax(max) => {
                    pools[1].pairs_max = max;
                    world.operate(ops::SetPool(pools[1].clone()));
                }
                Step::Pass(ms) => world.pass_ms(ms.into()),
                Step::Thaw => {
                    world.operate(ops::ExpireDue { at_most: 100 });
                    world.operate(ops::ThawDue { at_most: 100 });
                }
            }
            for pool in &pools {
                let counted = world.state.stock(Some(&pool.key)).map(|(.., free)| free as usize);
                prop_assert_eq!(counted.sum::<usize>(), free(&world.state, pool.key.as_str()));
            }
        }
    }
}
