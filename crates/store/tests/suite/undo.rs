//! Undoing a batch leaves the state that a reload would give, whatever the
//! batch did.

use maskline_domain::ops::{
    BeginEpoch, ExpireDue, Lock, ReleaseNumbers, SetPool, ThawDue, Unlock, UpdateBinding,
};
use maskline_domain::{Envelope, PhoneNumber, PoolKey, Product, SubsId, Update};
use maskline_journal::Append;
use maskline_journal::pipeline::{Input, PROBE_EVERY_MS};
use proptest::prelude::*;

use crate::machine::{Machine, not_written};
use crate::world::{bind, operator, unbind};
use maskline_fixtures::domain::{POOL, as_party, founding, party, pool_ref, x};

const NUMBERS: u64 = 4;

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    Bind {
        a: u64,
        x: Option<u64>,
        lasts_s: i64,
    },
    Unbind {
        which: usize,
    },
    ChangeA {
        which: usize,
        a: u64,
    },
    Extend {
        which: usize,
        lasts_s: i64,
    },
    Lock {
        x: u64,
    },
    Unlock {
        x: u64,
    },
    Release {
        x: u64,
    },
    Restock,
    Rename {
        cooling_s: u32,
    },
    Sweep,
    Thaw,
    Epoch,
    Wait {
        s: i64,
    },
    Write,
    Fail,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..9u64, prop::option::of(0..NUMBERS), 61..400i64)
            .prop_map(|(a, x, lasts_s)| Step::Bind { a, x, lasts_s }),
        3 => any::<usize>().prop_map(|which| Step::Unbind { which }),
        2 => (any::<usize>(), 0..9u64).prop_map(|(which, a)| Step::ChangeA { which, a }),
        2 => (any::<usize>(), 61..400i64).prop_map(|(which, lasts_s)| Step::Extend { which, lasts_s }),
        1 => (0..NUMBERS).prop_map(|x| Step::Lock { x }),
        1 => (0..NUMBERS).prop_map(|x| Step::Unlock { x }),
        1 => (0..NUMBERS).prop_map(|x| Step::Release { x }),
        1 => Just(Step::Restock),
        1 => (0..100u32).prop_map(|cooling_s| Step::Rename { cooling_s }),
        1 => Just(Step::Sweep),
        1 => Just(Step::Thaw),
        1 => Just(Step::Epoch),
        2 => (1..200i64).prop_map(|s| Step::Wait { s }),
        6 => Just(Step::Write),
        2 => Just(Step::Fail),
    ]
}

fn command(machine: &Machine, step: &Step) -> Option<Envelope> {
    let state = machine.pipeline.state();
    let chosen = |which: usize| -> Option<(SubsId, PhoneNumber)> {
        let mut all: Vec<_> = state.bindings().map(|b| (b.subs_id, b.x)).collect();
        all.sort_unstable();
        (!all.is_empty()).then(|| all[which % all.len()])
    };
    let update = |which, update| {
        let (subs_id, x) = chosen(which)?;
        Some(operator(UpdateBinding {
            carriers_down: Vec::new(),
            pool: pool_ref(POOL),
            subs_id,
            x,
            updates: vec![update],
        }))
    };
    let from_now = |s: i64| machine.wall().plus_secs(s);
    match *step {
        Step::Bind {
            a,
            x: wanted,
            lasts_s,
        } => Some(bind(a, wanted.map(x), from_now(lasts_s))),
        Step::Unbind { which } => chosen(which).map(|(subs_id, x)| unbind(subs_id, x)),
        Step::ChangeA { which, a } => update(which, Update::A(as_party(party(a)))),
        Step::Extend { which, lasts_s } => update(which, Update::ExpiresAt(from_now(lasts_s))),
        Step::Lock { x: n } => Some(operator(Lock {
            pool: pool_ref(POOL),
            x: x(n),
        })),
        Step::Unlock { x: n } => Some(operator(Unlock {
            pool: pool_ref(POOL),
            x: x(n),
        })),
        Step::Release { x: n } => Some(operator(ReleaseNumbers(vec![x(n)]))),
        Step::Restock => founding(NUMBERS).pop(),
        Step::Rename { cooling_s } => {
            let mut pool = state.pool(&PoolKey::new(POOL))?.clone();
            assert_eq!(pool.product, Product::Axn);
            pool.cooling_s = cooling_s;
            Some(operator(SetPool(pool)))
        }
        Step::Sweep => Some(operator(ExpireDue { at_most: 2 })),
        Step::Thaw => Some(operator(ThawDue { at_most: 2 })),
        Step::Epoch => Some(operator(BeginEpoch)),
        Step::Wait { .. } | Step::Write | Step::Fail => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn undo_equals_reload(steps in prop::collection::vec(step(), 1..80)) {
        let mut machine = Machine::founded(NUMBERS);
        for step in &steps {
            match step {
                Step::Wait { s } => machine.pass(s * 1000),
                Step::Write => {
                    machine.write_all();
                    prop_assert_eq!(machine.rows(), machine.replayed());
                }
                Step::Fail => {
                    machine.drain();
                    if machine.in_flight().is_some() {
                        machine.settle(not_written());
                        prop_assert_eq!(machine.rows(), machine.replayed());
                        machine.pass(PROBE_EVERY_MS as i64);
                        machine.input(Input::Tick);
                        machine.drain();
                        machine.input(Input::Probed(Append::Written));
                    }
                }
                other => {
                    if let Some(envelope) = command(&machine, other) {
                        machine.submit(envelope);
                    }
                }
            }
        }
        machine.write_all();
        prop_assert_eq!(machine.rows(), machine.replayed());
        let answered = machine.answers.len();
        machine.answers.sort_unstable_by_key(|(caller, _)| *caller);
        machine.answers.dedup_by_key(|(caller, _)| *caller);
        prop_assert_eq!(machine.answers.len(), answered, "nobody is answered twice");
    }
}
