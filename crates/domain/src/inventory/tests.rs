//! The inventory beside a plain map of its numbers, in which everything is found by a look at all of them.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::slab::NONE;

/// A number, how many bindings it carries, and which of them holds the slot of anyone.
type Plain = BTreeMap<PhoneNumber, (Number, u32, u32)>;

/// Cap 1 and cap 3; the third is not known, and the stock is none.
const POOLS: [Option<&str>; 4] = [Some("FC1"), Some("FC2"), Some("FC3"), None];
const CAPS: [u32; 4] = [1, 3, 1, 1];
const CITIES: [&str; 2] = ["北京", "上海"];

#[derive(Debug, Clone)]
enum Step {
    /// Which number, class, whether locked, until when it cools, since when it is idle.
    Put(u32, (usize, usize, i64), bool, i64, i64),
    /// So many numbers of a class from one on.
    Fill(u32, (usize, usize, i64), u32),
    /// How many bindings it carries, and whether one holds the slot of anyone.
    Carry(u32, u32, bool),
    Remove(u32),
    RemoveFrom(u32, u32),
}

fn class() -> impl Strategy<Value = (usize, usize, i64)> {
    (0..POOLS.len(), 0..CITIES.len(), 0..2_i64)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let n = 0..400_u32;
    let rare = |until: i64| prop_oneof![4 => Just(0_i64), 1 => 1..until];
    let put = (
        n.clone(),
        class(),
        prop::bool::weighted(0.1),
        rare(4),
        rare(6),
    );
    let carry = (n.clone(), 0..4_u32, any::<bool>());
    let step = prop_oneof![
        4 => put.prop_map(|(n, class, locked, cools, idle)| Step::Put(n, class, locked, cools, idle)),
        1 => (n.clone(), class(), 1..100_u32).prop_map(|(n, class, many)| Step::Fill(n, class, many)),
        4 => carry.prop_map(|(n, count, is_sole)| Step::Carry(n, count, is_sole)),
        2 => n.clone().prop_map(Step::Remove),
        1 => (n, 1..100_u32).prop_map(|(n, many)| Step::RemoveFrom(n, many)),
    ];
    prop::collection::vec(step, 1..120)
}

/// Some stand near, some far from each other.
fn x(n: u32) -> PhoneNumber {
    let n = u64::from(n);
    let digits = if n < 300 { n } else { n * 77_777 };
    PhoneNumber::parse(&format!("17{digits:09}")).expect("digits")
}

fn number(n: u32, (pool, city, purchased_at): (usize, usize, i64)) -> Number {
    Number {
        x: x(n),
        class: NumberClass {
            pool: POOLS[pool].map(PoolKey::new),
            city: City::new(CITIES[city]),
            province: "".into(),
            kind: NumberKind::Carrier,
            carrier: NumberCarrier::Unicom,
            certified: true,
            purchased_at: Timestamp::from_secs(purchased_at),
        },
        locked: false,
        cooling_until: Timestamp(0),
        idle_since: Timestamp(0),
    }
}

fn new() -> Inventory {
    let mut inventory = Inventory::default();
    inventory.set_cap(&PoolKey::new("FC2"), 3);
    inventory
}

fn put(inventory: &mut Inventory, plain: &mut Plain, number: Number) {
    let old = inventory.put(number.clone());
    let before = plain.get(&number.x).cloned();
    assert_eq!(old.as_ref(), before.as_ref().map(|(number, ..)| number));
    let (count, anyone) = before.map_or((0, NONE), |(_, count, anyone)| (count, anyone));
    plain.insert(number.x, (number, count, anyone));
}

fn remove(inventory: &mut Inventory, plain: &mut Plain, n: u32) {
    if plain.get(&x(n)).is_none_or(|&(_, count, _)| count == 0) {
        let expected = plain.remove(&x(n)).map(|(number, ..)| number);
        assert_eq!(inventory.remove(x(n)), expected);
    }
}

fn take(inventory: &mut Inventory, plain: &mut Plain, step: Step) {
    match step {
        Step::Put(n, class, locked, cools, idle) => {
            let number = Number {
                locked,
                cooling_until: Timestamp::from_secs(cools),
                idle_since: Timestamp::from_secs(idle),
                ..number(n, class)
            };
            put(inventory, plain, number);
        }
        Step::Fill(from, class, many) => {
            (from..from + many).for_each(|n| put(inventory, plain, number(n, class)));
        }
        Step::Carry(n, count, is_sole) => {
            let Some(at) = inventory.find(x(n)) else {
                return;
            };
            // Bindings are no part of the inventory: any position will do.
            let first = if count == 0 { NONE } else { n };
            let anyone = if count == 1 && is_sole { n } else { NONE };
            inventory.set_bindings(at, first, count);
            inventory.set_anyone(at, anyone);
            let kept = plain.get_mut(&x(n)).expect("it is in both");
            (kept.1, kept.2) = (count, anyone);
        }
        Step::Remove(n) => remove(inventory, plain, n),
        Step::RemoveFrom(from, many) => {
            (from..from + many).for_each(|n| remove(inventory, plain, n));
        }
    }
}

fn compare(inventory: &Inventory, plain: &Plain) {
    assert_eq!(inventory.len(), plain.len());
    let order: Vec<PhoneNumber> = inventory.iter().map(|at| inventory.x(at)).collect();
    assert_eq!(order, plain.keys().copied().collect::<Vec<_>>());
    for n in (0..500).step_by(7) {
        let page = inventory.iter_from(x(n)).map(|at| inventory.x(at)).take(20);
        let expected = plain.range(x(n)..).map(|(&x, _)| x).take(20);
        assert_eq!(page.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
    for n in 0..500 {
        let at = inventory.find(x(n));
        let found = at.and_then(|at| {
            let number = inventory.number(at)?;
            Some((number, inventory.bindings_count(at), inventory.anyone(at)))
        });
        assert_eq!(found, plain.get(&x(n)).cloned());
        if let (Some(at), Some((number, count, _))) = (at, found) {
            let first = if count == 0 { NONE } else { n };
            assert_eq!(inventory.first_binding(at), first);
            assert_eq!(inventory.is_locked(at), number.locked);
            assert_eq!(inventory.class(at), Some(&number.class));
        }
    }
    let now = Timestamp::from_secs(2);
    let cooled: BTreeSet<_> = inventory.cooled(now).map(|at| inventory.x(at)).collect();
    let has_cooled = |number: &Number| (1..=2_000).contains(&number.cooling_until.millis());
    let expected = plain.values().filter(|(number, ..)| has_cooled(number));
    assert_eq!(cooled, expected.map(|(number, ..)| number.x).collect());
    for (pool, cap) in POOLS.map(|pool| pool.map(PoolKey::new)).iter().zip(CAPS) {
        for (city, partition) in inventory.partitions_of(pool.as_ref()) {
            let here = |number: &Number| number.class.pool == *pool && number.class.city == *city;
            let here = plain.values().filter(|(number, ..)| here(number));
            assert_eq!(partition.total as usize, here.clone().count());
            for max in 1..=4_u32 {
                let free = here.clone().filter(|(number, count, _)| {
                    let cools = number.cooling_until > Timestamp(0);
                    !number.locked && !cools && *count < max.min(cap)
                });
                compare_free(inventory, partition, max, free.map(|(number, ..)| number));
            }
        }
    }
    let stock: u64 = inventory.stock_of(NumberKind::Carrier, None).values().sum();
    let is_for_sale = |number: &Number, count| {
        let cools = number.cooling_until > Timestamp(0);
        number.class.pool.is_none() && !number.locked && !cools && count == 0
    };
    let for_sale = plain
        .values()
        .filter(|(n, count, _)| is_for_sale(n, *count));
    assert_eq!(stock, for_sale.count() as u64);
}

/// That exactly these can be given out, each drawn by one number below their count, and in which order.
fn compare_free<'a>(
    inventory: &Inventory,
    partition: &Partition,
    max: u32,
    free: impl Iterator<Item = &'a Number>,
) {
    let (unused, used): (Vec<&Number>, Vec<&Number>) =
        free.partition(|number| number.idle_since == Timestamp(0));
    assert_eq!(partition.free_count(max), unused.len() + used.len());
    assert_eq!(partition.unordered_count(max), unused.len());
    let drawn = (0..unused.len()).map(|n| {
        let at = inventory.nth_unordered(partition, n, max);
        inventory.x(at.expect("there are so many"))
    });
    let drawn: Vec<PhoneNumber> = drawn.collect();
    let every_one: BTreeSet<PhoneNumber> = unused.iter().map(|number| number.x).collect();
    assert_eq!(drawn.iter().copied().collect::<BTreeSet<_>>(), every_one);
    assert_eq!(drawn.len(), every_one.len());
    assert_eq!(inventory.nth_unordered(partition, unused.len(), max), None);
    let all = inventory.longest_idle(partition, max);
    let all: Vec<Number> = all.filter_map(|at| inventory.number(at)).collect();
    let (first, then) = all.split_at(unused.len());
    let first: BTreeSet<PhoneNumber> = first.iter().map(|number| number.x).collect();
    assert_eq!(first, every_one);
    assert!(then.is_sorted_by_key(|number| number.idle_since));
    let then: BTreeSet<PhoneNumber> = then.iter().map(|number| number.x).collect();
    assert_eq!(then, used.iter().map(|number| number.x).collect());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn it_is_as_a_plain_map_of_numbers_is(steps in steps()) {
        let (mut inventory, mut plain) = (new(), Plain::new());
        for (n, step) in steps.into_iter().enumerate() {
            take(&mut inventory, &mut plain, step);
            if n % 32 == 0 {
                compare(&inventory, &plain);
            }
        }
        compare(&inventory, &plain);
    }
}

/// Numbers come and go in every class; what they leave is used again, whatever the class.
#[test]
fn blocks_that_are_left_are_used_again() {
    let (mut inventory, mut plain) = (new(), Plain::new());
    for round in 0..20_u32 {
        let class = (
            round as usize % POOLS.len(),
            round as usize % 2,
            i64::from(round),
        );
        (0..300).for_each(|n| put(&mut inventory, &mut plain, number(n, class)));
        compare(&inventory, &plain);
    }
    // While numbers move from one class to the next, they stand in blocks of both.
    let most = 2 * 300 / blocks::BLOCK + 2;
    assert!(inventory.blocks.blocks_count() <= most);
    (0..300).for_each(|n| remove(&mut inventory, &mut plain, n));
    compare(&inventory, &plain);
}
