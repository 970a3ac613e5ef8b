//! Events alone make the state: replay, undo and snapshots agree.

use crate::provisioning::{carrier_name, with_carrier};
use maskline_domain::binding::Extras;
use maskline_domain::ops::{
    AbandonAsked, ExpireDue, ForgetCarrier, ForgetCommands, Lock, NoteImport, RenewProvision,
    SetPool, SettleProvision, Settlement, ThawDue, Unbind, Unlock, UpdateBinding,
};
use maskline_domain::*;
use maskline_fixtures::domain::{HOUR_MS, World, axb, axn, customer, number, operator};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Act {
    Bind(u8, Option<u8>),
    Pair(u8, u8),
    Unbind(u8),
    Move(u8, u8),
    Lock(u8, bool),
    Pass(u32),
    Expire,
    Thaw,
    Command(u8),
    Forget,
    /// Of the newest request about a binding, or of the one before.
    Settle(u8, u8, bool),
    Abandon,
    Renew(u8),
    /// Which pool, and whether it names the carrier from now on.
    Name(u8, bool),
    /// The carrier is gone for good.
    Part(u8),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..8u8, proptest::option::of(0..6u8)).prop_map(|(a, x)| Act::Bind(a, x)),
        4 => (0..8u8, 0..8u8).prop_map(|(a, b)| Act::Pair(a, b)),
        2 => (0..20u8).prop_map(Act::Unbind),
        2 => (0..20u8, 0..8u8).prop_map(|(n, a)| Act::Move(n, a)),
        1 => (0..6u8, any::<bool>()).prop_map(|(x, on)| Act::Lock(x, on)),
        2 => (0..7_200_000u32).prop_map(Act::Pass),
        1 => Just(Act::Expire),
        1 => Just(Act::Thaw),
        1 => (0..20u8).prop_map(Act::Command),
        1 => Just(Act::Forget),
        6 => (0..20u8, 0..4u8, prop::bool::weighted(0.9)).prop_map(|(n, how, is_newest)| Act::Settle(n, how, is_newest)),
        1 => Just(Act::Abandon),
        1 => (0..20u8).prop_map(Act::Renew),
        3 => (0..2u8, any::<bool>()).prop_map(|(n, on)| Act::Name(n, on)),
        2 => (0..20u8).prop_map(Act::Part),
    ]
}

fn party(n: u8) -> String {
    format!("1500000000{n}")
}

fn command(world: &World, made: &[Binding], act: &Act) -> Option<Command> {
    let later = world.now.plus_millis(HOUR_MS);
    let chosen = |n: u8| made.get(usize::from(n) % made.len().max(1));
    let pool_of = |binding: &Binding| {
        PoolRef::Key(PoolKey::new(match binding.product {
            Product::Axn => "FC1",
            Product::Axb => "FC2",
        }))
    };
    Some(match act {
        Act::Bind(a, x) => Command::Bind(Box::new(BindRequest {
            x: x.map(|x| number(&format!("1700000000{x}"))),
            expires_at: later,
            ..axn(&party(*a))
        })),
        Act::Pair(a, b) => Command::Bind(Box::new(BindRequest {
            expires_at: later,
            ..axb(&party(*a), &party(*b))
        })),
        Act::Unbind(n) => {
            let binding = chosen(*n)?;
            Command::Unbind(Unbind {
                pool: pool_of(binding),
                subs_id: binding.subs_id,
                x: binding.x,
            })
        }
        Act::Move(n, a) => {
            let binding = chosen(*n)?;
            Command::Update(UpdateBinding {
                carriers_down: Vec::new(),
                pool: pool_of(binding),
                subs_id: binding.subs_id,
                x: binding.x,
                updates: vec![
                    Update::A(Party::parse(&party(*a)).expect("a party")),
                    Update::ExpiresAt(later),
                ],
            })
        }
        Act::Lock(x, on) => {
            let pool = PoolRef::Key(PoolKey::new("FC1"));
            let x = number(&format!("1700000000{x}"));
            if *on {
                Command::Lock(Lock { pool, x })
            } else {
                Command::Unlock(Unlock { pool, x })
            }
        }
        Act::Expire => Command::ExpireDue(ExpireDue { at_most: 3 }),
        Act::Thaw => Command::ThawDue(ThawDue { at_most: 3 }),
        Act::Forget => Command::ForgetCommands(ForgetCommands { at_most: 2 }),
        Act::Command(_) => Command::ExpireDue(ExpireDue { at_most: 0 }),
        Act::Settle(n, how, is_newest) => {
            let settlement = [
                Settlement::Done,
                Settlement::NotDone,
                Settlement::Unsure,
                Settlement::Stale,
            ][usize::from(*how)];
            let subs_id = chosen(*n)?.subs_id;
            let fence = world.state.provision(subs_id)?.fence - u64::from(!is_newest);
            Command::SettleProvision(SettleProvision {
                subs_id,
                fence,
                settlement,
            })
        }
        Act::Abandon => Command::AbandonAsked(AbandonAsked {
            carrier: carrier_name(),
            at_most: 2,
        }),
        Act::Renew(n) => {
            let subs_id = chosen(*n)?.subs_id;
            let fence = world.state.provision(subs_id)?.fence;
            Command::RenewProvision(RenewProvision { subs_id, fence })
        }
        Act::Name(n, on) => {
            let key = PoolKey::new(["FC1", "FC2"][usize::from(*n)]);
            let pool = world.state.pool(&key)?.clone();
            let carrier =
                (*on && world.state.carrier(&carrier_name()).is_some()).then(carrier_name);
            Command::SetPool(SetPool(Pool { carrier, ..pool }))
        }
        Act::Part(n) => Command::ForgetCarrier(ForgetCarrier {
            carrier: carrier_name(),
            bindings: made
                .iter()
                .skip(usize::from(*n))
                .map(|binding| binding.subs_id)
                .collect(),
        }),
        Act::Pass(_) => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn replay_undo_and_snapshot_give_the_same_state(
        acts in prop::collection::vec(act(), 1..80),
        has_carrier in any::<bool>(),
    ) {
        let mut world = World::new();
        if has_carrier {
            with_carrier(&mut world);
        }
        world.set_pool("FC1", Product::Axn, |pool| {
            pool.cooling_s = 900;
            pool.carrier = has_carrier.then(carrier_name);
        });
        world.stock("FC1", "北京", &["17000000000", "17000000001", "17000000002"]);
        world.stock("FC1", "上海", &["17000000003", "17000000004"]);
        world.stock("FC2", "北京", &["17100000000", "17100000001"]);
        let mut replayed = State::default();
        for row in world.rows() {
            replayed.restore(row);
        }
        prop_assert_eq!(replayed.rows().collect::<Vec<_>>(), world.rows());

        let mut made = Vec::new();
        for (n, act) in acts.iter().enumerate() {
            if let Act::Pass(millis) = act {
                world.pass_ms(i64::from(*millis));
                continue;
            }
            let Some(command) = command(&world, &made, act) else { continue };
            let id = match act {
                Act::Command(id) => Some(known_as(u128::from(*id), 1, world.now.plus_millis(HOUR_MS))),
                _ => None,
            };
            let envelope = Envelope { by: customer("K1"), id, command };
            let decision = decide(&world.state, &envelope, world.now, n as u64);

            let before = world.rows();
            let mut undo = Undo::default();
            for event in &decision.events {
                undo.append(world.state.apply_undoable(event));
            }
            let after = world.rows();
            world.state.undo(undo);
            prop_assert_eq!(world.rows(), before, "undo of {:?}", act);
            for event in &decision.events {
                world.state.apply(event);
                let text = serde_json::to_string(event).expect("events are plain data");
                let read: Event = serde_json::from_str(&text).expect("what was written");
                let (bare, parts) = read.split();
                replayed.apply(&bare.join(parts.into_iter().map(|(_, values)| values)));
            }
            prop_assert_eq!(world.rows(), after.clone(), "apply after undo of {:?}", act);
            prop_assert_eq!(replayed.rows().collect::<Vec<_>>(), after, "replay of {:?}", act);
            if let Ok(Outcome::Bound(binding)) = decision.answer {
                made.push(*binding);
            }
            one_owner_per_slot(&world);
        }
        same_when_restored(&world);
    }
}

/// A state made of rows, in parts of any size, is as one that was made of events: in its rows, in what follows from
/// them, and in what comes after.
fn same_when_restored(world: &World) {
    for rows_in_a_part in [1, 3, 1_000] {
        let mut restoring = State::restoring();
        for part in world.rows().chunks(rows_in_a_part) {
            restoring.put(part.to_vec());
        }
        let mut restored = restoring.finish();
        let mut applied = world.state.clone();
        let told = |state: &State| {
            let stock = ["FC1", "FC2"].map(|pool| {
                let pool = PoolKey::new(pool);
                let stock = state.stock(Some(&pool));
                let stock = stock.map(|(city, total, free)| (city.clone(), total, free));
                stock.collect::<Vec<_>>()
            });
            let later = world.now.plus_millis(HOUR_MS / 2);
            let of_account = state.bindings_of_account(&AccountId::new("acme"));
            let rows: Vec<Row> = state.rows().collect();
            let slots = |binding: Binding| {
                let slots = binding.slots().map(|slot| state.slot(binding.x, slot));
                slots.collect::<Vec<_>>()
            };
            let held: Vec<_> = state.bindings().map(slots).collect();
            let overdue = state.overdue(later, usize::MAX);
            let name = carrier_name();
            let asked: Vec<Binding> = state.asked_of(&name).collect();
            let owed: Vec<Binding> = state.owed_to(&name, 0).collect();
            let provisioned = (asked, owed, state.provisioned_len(&name));
            (rows, stock, of_account, held, overdue, provisioned)
        };
        assert_eq!(told(&restored), told(&applied));

        let mut decide_both = |command: Command| {
            let at = world.now.plus_millis(4 * HOUR_MS);
            let decision = decide(&applied, &operator(command), at, 1);
            for event in &decision.events {
                applied.apply(event);
                restored.apply(event);
            }
            assert_eq!(told(&restored), told(&applied));
            applied.owed_to(&carrier_name(), 0).next()
        };
        let mut owed = decide_both(Command::ExpireDue(ExpireDue { at_most: 1_000 }));
        // Carriers let go one by one.
        while let Some(binding) = owed {
            let provision = binding.provision.expect("a carrier must know of it");
            owed = decide_both(Command::SettleProvision(SettleProvision {
                subs_id: binding.subs_id,
                fence: provision.fence,
                settlement: Settlement::Done,
            }));
        }
        assert_eq!(applied.bindings_len(), 0, "all are over");
    }
}

/// Law 3, looked at from outside.
fn one_owner_per_slot(world: &World) {
    let mut owners = std::collections::BTreeMap::new();
    for binding in world.state.bindings() {
        let proposed = binding.provision.as_ref().and_then(|provision| {
            let proposed = provision.proposed.as_ref()?;
            Some(proposed.slots().filter(|&slot| slot != Slot::Anyone))
        });
        // What a change holds besides.
        let proposed: Vec<Slot> = proposed.into_iter().flatten().collect();
        let claimed = proposed
            .into_iter()
            .filter(|slot| binding.slots().all(|own| own != *slot));
        for slot in binding.slots().chain(claimed) {
            let other = owners.insert(
                (
                    binding.x,
                    format!(
                        "{slot:?}{:?}",
                        match slot {
                            Slot::Party(party) => party.reveal(),
                            Slot::Anyone => String::new(),
                        }
                    ),
                ),
                binding.subs_id,
            );
            assert_eq!(other, None, "a slot of {:?} has two owners", binding.x);
        }
    }
}

#[test]
fn an_event_without_its_personal_values_tells_of_nobody() {
    let mut world = World::new();
    world.stock("FC1", "北京", &["17000000000"]);
    let mut order = axn("15000000000");
    order.b = Party::parse("15800000000");
    order.extras = Extras {
        out_id: Some("for Li Lei".into()),
        out_order_id: Some("order of Li Lei".into()),
        ring_config: RingConfig::parse(r#"{"AXNRing_N":"Li Lei"}"#).ok(),
        dtmf_config: Some("keys of Li Lei".into()),
        speech_model: Some("voice of Li Lei".into()),
        extend: Some("more of Li Lei".into()),
    };
    let binding = world.bind(order).expect("free");
    let (bare, parts) = Event::Bound(Box::new(binding.clone())).split();
    let text = serde_json::to_string(&bare).expect("plain data");
    for secret in ["15000000000", "15800000000", "Li Lei"] {
        assert!(!text.contains(secret), "{text}");
    }
    let names: Vec<Part> = parts.iter().map(|&(part, _)| part).collect();
    assert_eq!(names, [Part::A, Part::B, Part::Texts]);
    let values = parts.into_iter().map(|(_, values)| values);
    assert_eq!(bare.join(values), Event::Bound(Box::new(binding)));
}

#[test]
fn each_part_of_an_event_can_be_erased_without_the_others() {
    let mut world = World::new();
    world.stock("FC1", "北京", &["17000000000"]);
    let mut order = axn("15000000000");
    order.b = Party::parse("15800000000");
    order.extras.extend = Some("more".into());
    let binding = world.bind(order).expect("free");
    let erased = |binding: &Binding, part| {
        let mut binding = binding.clone();
        match part {
            Part::A => binding.a = PhoneNumber::ERASED,
            Part::B => binding.b = None,
            Part::Texts => binding.extras = Extras::default(),
        }
        binding
    };
    for part in [Part::A, Part::B, Part::Texts] {
        let (bare, parts) = Event::Bound(Box::new(binding.clone())).split();
        let others = parts.into_iter().filter(|(its, _)| *its != part);
        let read = bare.join(others.map(|(_, values)| values));
        assert_eq!(read, Event::Bound(Box::new(erased(&binding, part))));
    }
}

#[test]
fn a_command_id_does_not_come_again_until_its_time() {
    let mut world = World::new();
    world.stock("FC1", "北京", &["17000000000", "17000000001"]);
    let until = world.now.plus_millis(900_000);
    let id = Some(known_as(7, 1, until));
    let again = Some(known_as(7, 2, until));
    let bind = |world: &World| {
        Command::Bind(Box::new(BindRequest {
            expires_at: world.now.plus_millis(HOUR_MS),
            ..axn("15000000000")
        }))
    };
    let command = bind(&world);
    assert!(world.give(customer("K1"), id, command.clone()).is_ok());
    assert_eq!(
        world.give(customer("K1"), again, command),
        Err(Refusal::CommandRepeated)
    );
    let refused = Some(known_as(8, 1, until));
    let refused_again = Some(known_as(8, 2, until));
    let bad = Command::Lock(Lock {
        pool: PoolRef::Key(PoolKey::new("FC9")),
        x: number("17000000000"),
    });
    assert_eq!(
        world.give(customer("K1"), refused, bad.clone()),
        Err(Refusal::PoolUnknown)
    );
    assert_eq!(
        world.give(customer("K1"), refused_again, bad),
        Err(Refusal::CommandRepeated)
    );
    world.pass_ms(900_000);
    let command = bind(&world);
    assert!(
        world.give(customer("K1"), id, command).is_ok(),
        "its time is over"
    );
}

#[test]
fn the_cursor_of_an_import_goes_forward_and_survives_a_snapshot() {
    let mut world = World::new();
    let note = |rows| {
        Command::NoteImport(NoteImport {
            name: "stock".into(),
            rows,
        })
    };
    world.operate(note(Some(5_000)));
    world.operate(note(Some(10_000)));
    world.operate(note(Some(7_000)));
    assert_eq!(world.state.import("stock"), Some(10_000));
    let mut restored = State::default();
    for row in world.rows() {
        restored.restore(row);
    }
    assert_eq!(restored.import("stock"), Some(10_000));
    world.operate(note(None));
    assert_eq!(world.state.import("stock"), None);

    for n in 0..64 {
        world.operate(NoteImport {
            name: n.to_string().into(),
            rows: Some(1),
        });
    }
    let by = Actor::Operator {
        name: "op".into(),
        remark: None,
    };
    assert!(matches!(
        world.give(by, None, note(Some(1))),
        Err(Refusal::Admin(AdminRefusal::TooMany { limit: 64, .. }))
    ));
}

#[test]
fn numbers_and_bindings_begin_where_they_are_asked_to() {
    let mut world = World::new();
    world.stock(
        "FC1",
        "北京",
        &["17000000005", "17000000001", "95013", "17000000003"],
    );
    for a in ["13800000001", "13800000002", "13800000003"] {
        world.bind(axn(a)).expect("a number is left");
    }
    let state = &world.state;
    let from = |x| -> Vec<String> {
        let numbers = state.numbers_from(number(x));
        numbers.map(|number| number.x.reveal()).collect()
    };
    let all = ["95013", "17000000001", "17000000003", "17000000005"];
    // Where the numbers begin, and how many of them are left out.
    let rows = [
        ("0", 0),
        ("10000", 0),
        ("95013", 0),
        ("95014", 1),
        ("99999", 1),
        ("00000000000", 1),
        ("17000000001", 1),
        ("17000000002", 2),
        ("17000000004", 3),
        ("17000000005", 3),
        ("17000000006", 4),
        ("100000000000", 4),
    ];
    for (x, out) in rows {
        assert_eq!(from(x), all[out..], "from {x} on");
    }
    assert_eq!(state.numbers().count(), all.len());
    let ids: Vec<SubsId> = state.bindings().map(|binding| binding.subs_id).collect();
    assert!(ids.is_sorted());
    assert_eq!(ids.len(), 3);
    for (place, id) in ids.iter().enumerate() {
        let below: Vec<SubsId> = state.bindings_below(*id).map(|b| b.subs_id).collect();
        assert!(below.iter().rev().eq(&ids[..place]));
        let below = state.bindings_below(SubsId(id.0 + 1)).map(|b| b.subs_id);
        assert!(below.eq(ids[..=place].iter().rev().copied()));
    }
}

fn known_as(id: u128, attempt: u64, until: Timestamp) -> CommandKey {
    CommandKey {
        id: CommandId(id),
        attempt: AttemptId(attempt),
        until,
    }
}

/// A node that got no answer asks again, with the same attempt; whoever repeats a request has another one.
#[test]
fn the_same_attempt_is_told_what_came_of_it_and_another_one_is_a_repeat() {
    let mut world = World::new();
    world.stock(
        "FC1",
        "北京",
        &["17000000000", "17000000001", "17000000002"],
    );
    let until = world.now.plus_millis(900_000);
    let bind = Box::new(BindRequest {
        expires_at: world.now.plus_millis(HOUR_MS),
        ..axn("15000000000")
    });
    let made = world.give(customer("K1"), Some(known_as(1, 1, until)), bind.clone());
    let made = *made.expect("free");
    let end = Unbind {
        pool: PoolRef::Key(PoolKey::new("FC1")),
        subs_id: made.subs_id,
        x: made.x,
    };
    let elsewhere = Lock {
        pool: PoolRef::Key(PoolKey::new("FC9")),
        x: number("17000000000"),
    };
    let lock = Lock {
        pool: PoolRef::Key(PoolKey::new("FC1")),
        x: number("17000000002"),
    };
    let by = || customer("K1");
    assert_eq!(
        world.give(by(), Some(known_as(2, 1, until)), lock.clone()),
        Ok(())
    );
    let refused = world.give(by(), Some(known_as(3, 1, until)), elsewhere.clone());
    assert_eq!(refused, Err(Refusal::PoolUnknown));
    let state = world.rows();

    let commands: [(u128, Command, Result<Outcome, Refusal>); 3] = [
        (
            1,
            bind.clone().into(),
            Ok(Outcome::Bound(Box::new(made.clone()))),
        ),
        (2, lock.into(), Ok(Outcome::Done)),
        (3, elsewhere.into(), Err(Refusal::PoolUnknown)),
    ];
    for (id, command, expected) in commands {
        let given = |attempt| Some(known_as(id, attempt, until));
        let told = world.give(by(), given(1), command.clone());
        assert_eq!(told, expected, "{command:?}");
        let told = world.give(by(), given(2), command.clone());
        assert_eq!(told, Err(Refusal::CommandRepeated), "{command:?}");
    }
    // Another command under the id and attempt of one that was decided.
    let told = world.give(by(), Some(known_as(2, 1, until)), bind.clone());
    assert_eq!(told, Err(Refusal::CommandRepeated));
    assert_eq!(world.rows(), state, "nothing happened again");

    // What was made is told, also when it has ended since, and after a snapshot.
    assert_eq!(world.operate(end), ());
    let mut reloaded = World::new();
    reloaded.state = State::default();
    world
        .rows()
        .into_iter()
        .for_each(|row| reloaded.state.restore(row));
    reloaded.now = world.now;
    let told = reloaded.give(by(), Some(known_as(1, 1, until)), bind.clone());
    let told = *told.expect("it was made");
    assert_eq!(
        (told.subs_id, told.x, told.a),
        (made.subs_id, made.x, made.a)
    );

    // After its time it is forgotten.
    reloaded.pass_ms(900_000);
    let told = reloaded.give(by(), Some(known_as(1, 2, until.plus_millis(1))), bind);
    assert_ne!(told.expect("as new").subs_id, made.subs_id);
}

#[test]
fn an_id_of_64_bits_that_an_older_program_remembers_does_not_come_again() {
    let mut world = World::new();
    world.stock("FC1", "北京", &["17000000000"]);
    let until = world.now.plus_millis(900_000);
    let old: Event = serde_json::from_value(serde_json::json!({
        "command_answered": { "id": 7, "key": "K1", "until": until }
    }))
    .expect("as form 1 has it");
    world.state.apply(&old);
    let bind = |world: &World| {
        Box::new(BindRequest {
            expires_at: world.now.plus_millis(HOUR_MS),
            ..axn("15000000000")
        })
    };
    let (head, other) = (7_u128 << 64 | 99, 8_u128 << 64 | 99);
    let command = bind(&world);
    let told = world.give(
        customer("K1"),
        Some(known_as(head, 1, until)),
        command.clone(),
    );
    assert_eq!(told, Err(Refusal::CommandRepeated));
    assert!(
        world
            .give(customer("K1"), Some(known_as(other, 1, until)), command)
            .is_ok()
    );
}
