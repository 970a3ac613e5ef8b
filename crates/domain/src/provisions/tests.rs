use proptest::prelude::*;

use super::*;
use crate::binding::{EndCause, SubsId};
use crate::clock::Timestamp;
use crate::product::Product;

fn number(digits: u64) -> PhoneNumber {
    PhoneNumber::parse(&digits.to_string()).expect("digits")
}

fn carrier(n: usize) -> CarrierName {
    CarrierName::new(&format!("carrier-{n}"))
}

fn held(carrier: CarrierName, fence: u64) -> Provision {
    Provision {
        carrier,
        phase: Phase::Confirmed,
        revision: 1,
        fence,
        held: Some(fence),
        proposed: None,
    }
}

/// As the carrier has it that holds bindings by the newest request, and every other way, few carriers and more of them
/// than there are ids.
fn provision() -> impl Strategy<Value = Provision> {
    let phase = prop_oneof![
        6 => Just(Phase::Confirmed),
        1 => Just(Phase::Reserved),
        1 => Just(Phase::Changing),
        1 => Just(Phase::Renewing),
        1 => (0..9_i64).prop_map(|at| Phase::Releasing { cause: EndCause::Expired, at: Timestamp(at) }),
    ];
    let held = prop_oneof![
        4 => Just(None),
        1 => Just(Some(None)),
        1 => (0..3_u64).prop_map(|fence| Some(Some(fence))),
    ];
    let proposed = prop::option::weighted(0.1, (1..4_u64, any::<bool>()));
    (
        prop_oneof![3 => 0..3_usize, 1 => 0..400_usize],
        phase,
        prop_oneof![0..4_u32, Just(u32::MAX)],
        prop_oneof![0..4_u64, Just(u64::MAX), any::<u64>()],
        held,
        proposed,
    )
        .prop_map(|(n, phase, revision, fence, other, proposed)| Provision {
            carrier: carrier(n),
            phase,
            revision,
            fence,
            held: other.unwrap_or(Some(fence)),
            proposed: proposed.map(|(a, is_pair)| {
                let (a, x) = (number(a), number(99));
                let term = Timestamp(0)..Timestamp(9);
                let product = if is_pair { Product::Axb } else { Product::Axn };
                Box::new(Binding {
                    b: Some(number(7)),
                    ..Binding::new(SubsId(1), product, x, a, term)
                })
            }),
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn they_are_as_a_map_of_all_of_them_is(
        steps in prop::collection::vec(
            (prop_oneof![8 => 0..12_u32, 1 => 0..40_000_u32], prop::option::weighted(0.75, provision())),
            1..200,
        ),
        from in 0..4_u64,
    ) {
        let x = number(99);
        let mut provisions = Provisions::default();
        let mut plain: BTreeMap<u32, Provision> = BTreeMap::new();
        let mut ids: BTreeMap<u32, Option<CarrierId>> = BTreeMap::new();
        for (at, put) in steps {
            if let Some(id) = ids.remove(&at) {
                provisions.remove(at, x, id);
                plain.remove(&at);
            }
            if let Some(provision) = put {
                ids.insert(at, provisions.insert(at, x, provision.clone()));
                plain.insert(at, provision);
            }
            for (&at, provision) in &plain {
                let found = provisions.get(at, ids[&at]);
                prop_assert_eq!(found.as_ref(), Some(provision));
                let known = provisions.known_by(at, ids[&at]);
                prop_assert_eq!(known, Some((&provision.carrier, provision.phase)));
            }
        }
        let carriers: BTreeSet<CarrierName> = (0..400).map(carrier).collect();
        for name in &carriers {
            let of = || plain.iter().filter(|(_, provision)| provision.carrier == *name);
            prop_assert_eq!(provisions.count_of(name), of().count());
            let by_fence = |is_in: fn(Phase) -> bool| {
                let mut found: Vec<(u64, u32)> = of()
                    .filter(|(_, provision)| is_in(provision.phase) && provision.fence >= from)
                    .map(|(&at, provision)| (provision.fence, at))
                    .collect();
                found.sort_unstable();
                found.into_iter().map(|(_, at)| at).collect::<Vec<u32>>()
            };
            let asked: Vec<u32> = provisions.asked_of(name, from).collect();
            prop_assert_eq!(asked, by_fence(Phase::is_asked));
            let owed: Vec<u32> = provisions.owed_to(name, from).collect();
            prop_assert_eq!(owed, by_fence(Phase::is_owed));
            prop_assert_eq!(
                provisions.owed_len(name),
                of().filter(|(_, provision)| provision.phase.is_owed()).count()
            );
        }
        for party in (1..8).map(number) {
            let claimed: Vec<u32> = provisions.claimed_by_change(x, party).collect();
            let expected = plain
                .iter()
                .filter(|(_, provision)| changed_parties(provision).any(|other| other == party));
            prop_assert_eq!(claimed, expected.map(|(&at, _)| at).collect::<Vec<u32>>());
        }
        // Nothing is left of what is gone.
        prop_assert_eq!(
            provisions.names.iter().flatten().count(),
            provisions.by_carrier.values().filter(|of| of.id.is_some()).count()
        );
        prop_assert!(provisions.by_carrier.values().all(|of| of.count > 0));
    }
}

#[test]
fn what_is_held_by_the_newest_request_takes_12_bytes() {
    assert_eq!(size_of::<Held>(), 12);
    assert_eq!(size_of::<Option<CarrierId>>(), 1);
    let mut provisions = Provisions::default();
    for at in 0..1_000 {
        provisions.insert(at, number(99), held(carrier(0), u64::from(at)));
    }
    assert!(provisions.unsettled.is_empty());
}

#[test]
fn more_carriers_than_there_are_ids_are_told_apart_all_the_same() {
    let x = number(99);
    let mut provisions = Provisions::default();
    let ids: Vec<Option<CarrierId>> = (0..300)
        .map(|n| provisions.insert(n, x, held(carrier(n as usize), 5)))
        .collect();
    assert_eq!(ids.iter().flatten().count(), 255);
    for (n, &id) in ids.iter().enumerate() {
        assert_eq!(provisions.get(n as u32, id), Some(held(carrier(n), 5)));
    }
    provisions.remove(17, x, ids[17]);
    assert_eq!(provisions.count_of(&carrier(17)), 0);
    let id = provisions.insert(17, x, held(carrier(999), 6));
    assert_eq!(id, ids[17], "the id of one that holds nothing any more");
    assert_eq!(provisions.get(17, id), Some(held(carrier(999), 6)));
}
