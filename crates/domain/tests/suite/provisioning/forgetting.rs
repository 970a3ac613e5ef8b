//! A carrier that is gone for good, and what becomes of the bindings of which it had to know.

use std::collections::BTreeSet;

use super::*;
use maskline_domain::binding::EndCause;
use maskline_domain::command::EVENTS_MAX;
use maskline_domain::ops::{DeleteCarrier, ExpireDue, ForgetCarrier, SetPool};
use maskline_domain::routing::{Route, RouteQuery, route};

fn forget(bindings: impl IntoIterator<Item = SubsId>) -> ForgetCarrier {
    ForgetCarrier {
        carrier: carrier_name(),
        bindings: bindings.into_iter().collect(),
    }
}

/// No pool names a carrier any more.
fn leave_carrier(world: &mut World) {
    for key in [POOL, PAIR_POOL] {
        name(world, key, None);
    }
}

fn name(world: &mut World, key: &str, carrier: Option<CarrierName>) {
    let pool = world.state.pool(&PoolKey::new(key)).expect("a pool");
    let pool = pool.clone();
    world.operate(SetPool(Pool { carrier, ..pool }));
}

fn decided(world: &World, command: impl Into<Command>) -> Vec<Event> {
    let envelope = maskline_fixtures::domain::operator(command.into());
    decide(&world.state, &envelope, world.now, 1).events
}

fn connects(world: &World, x: PhoneNumber) -> bool {
    let query = RouteQuery {
        caller: Some(number(B)),
        x,
    };
    matches!(route(&world.state, &query, world.now), Route::Connect(_))
}

#[test]
fn a_carrier_that_a_pool_names_is_not_forgotten() {
    at_every_stage(|stage, mut world, binding| {
        for (named, left) in [(POOL, PAIR_POOL), (PAIR_POOL, POOL)] {
            name(&mut world, left, None);
            let before = world.rows();
            let refusal = AdminRefusal::CarrierNamed {
                carrier: CARRIER.into(),
                pool: named.into(),
            };
            let asked = world.ask(forget([binding.subs_id]));
            assert_eq!(asked, Err(refusal.into()), "{stage:?}");
            assert_eq!(world.rows(), before, "{stage:?}");
            name(&mut world, left, Some(carrier_name()));
        }
    });
}

#[test]
fn a_carrier_that_is_not_there_is_not_forgotten() {
    let mut world = world();
    let nobody = ForgetCarrier {
        carrier: CarrierName::new("nobody"),
        bindings: BTreeSet::new(),
    };
    let refusal = AdminRefusal::NotFound { what: "carrier" };
    assert_eq!(world.ask(nobody), Err(refusal.into()));
}

/// What is let go has ended as it was to end, what was only asked for never was, and the rest stays as it was confirmed.
#[test]
fn each_stage_comes_to_its_end_or_stays_without_the_carrier() {
    at_every_stage(|stage, mut world, binding| {
        let id = binding.subs_id;
        let told = provision(&world, id).clone();
        leave_carrier(&mut world);
        world.pass_ms(1_000);
        let events = decided(&world, forget([binding.subs_id]));
        let work = world.operate(forget([binding.subs_id]));
        assert_eq!((work.count, work.more), (1, false), "{stage:?}");
        assert_eq!(world.state.provisioned_len(&carrier_name()), 0, "{stage:?}");
        let ended = match (stage, told.phase) {
            (Stage::Reserved, _) => Some((EndCause::NotProvisioned, world.now)),
            (_, Phase::Releasing { cause, at }) => Some((cause, at)),
            _ => None,
        };
        if let Some((cause, at)) = ended {
            let [
                Event::Ended {
                    subs_id,
                    cause: its_cause,
                    at: its_at,
                    ..
                },
            ] = events[..]
            else {
                panic!("{stage:?}: {events:?}");
            };
            assert_eq!((subs_id, its_cause, its_at), (id, cause, at), "{stage:?}");
            assert_eq!(world.state.binding(id), None, "{stage:?}");
            let again = bind_request(binding.product, A, world.now);
            let again = world.bind(again).expect("its X is free again");
            assert_eq!((again.x, again.provision), (binding.x, None), "{stage:?}");
            return;
        }
        let dropped = Event::ProvisionDropped {
            subs_id: id,
            x: binding.x,
        };
        assert_eq!(events, [dropped], "{stage:?}");
        let detached = Binding {
            provision: None,
            ..binding.clone()
        };
        assert_eq!(world.state.binding(id), Some(detached.clone()), "{stage:?}");
        assert!(connects(&world, binding.x), "{stage:?}");
        // From now on nobody is asked about it.
        let changed = world.ask(update(&detached, vec![to_a(OTHER_A)]));
        assert_eq!(changed, Ok(Updated::AtOnce), "{stage:?}");
        assert_eq!(world.ask(unbind(&detached)), Ok(()), "{stage:?}");
        assert_eq!(world.state.bindings_len(), 0, "{stage:?}");
    });
}

#[test]
fn a_binding_without_its_carrier_ends_by_time_alone() {
    let mut world = world();
    let binding = Stage::Confirmed.reach(&mut world, Product::Axn);
    leave_carrier(&mut world);
    world.operate(forget([binding.subs_id]));
    world.pass_ms(HOUR_MS);
    assert!(!connects(&world, binding.x));
    let request = bind_request(Product::Axn, OTHER_A, world.now);
    assert_eq!(world.bind(request).expect("its X is free").x, binding.x);
    assert_eq!(world.operate(ExpireDue { at_most: 9 }).count, 0);
}

#[test]
fn what_a_change_claimed_is_free_again() {
    let mut world = world();
    let binding = Stage::Changing.reach(&mut world, Product::Axb);
    leave_carrier(&mut world);
    world.operate(forget([binding.subs_id]));
    let mut request = bind_request(Product::Axb, OTHER_A, world.now);
    request.b = Party::parse("15800000007");
    request.x = Some(binding.x);
    assert_eq!(world.bind(request).expect("the slot is free").x, binding.x);
}

/// Whatever comes of a request afterwards, or is told again of one.
#[test]
fn what_comes_later_of_a_request_changes_nothing() {
    at_every_stage(|stage, mut world, binding| {
        let id = binding.subs_id;
        let fence = provision(&world, id).fence;
        leave_carrier(&mut world);
        world.operate(forget([binding.subs_id]));
        let rows = world.rows();
        for settlement in [
            Settlement::Done,
            Settlement::NotDone,
            Settlement::Unsure,
            Settlement::Abandoned,
            Settlement::Stale,
        ] {
            let answer = world.ask(SettleProvision {
                subs_id: id,
                fence,
                settlement,
            });
            assert_eq!(answer, Err(Refusal::BindingUnknown), "{stage:?}");
        }
        let _ = world.ask(RenewProvision { subs_id: id, fence });
        let abandoned = world.operate(AbandonAsked {
            carrier: carrier_name(),
            at_most: 9,
        });
        assert_eq!(abandoned.count, 0, "{stage:?}");
        assert_eq!(
            world.operate(forget([binding.subs_id])).count,
            0,
            "{stage:?}"
        );
        assert_eq!(world.rows(), rows, "{stage:?}");
    });
}

/// In as many commands as it takes, and whatever happens in between. Of others nothing is done.
#[test]
fn a_carrier_is_forgotten_in_pieces() {
    let mut world = world();
    let mut made = Vec::new();
    for n in 0..9 {
        let mut request = bind_request(Product::Axb, &format!("1500000010{n}"), world.now);
        request.b = Party::parse(&format!("1500000020{n}"));
        let bound = world.bind(request).expect("one X carries many pairs");
        match n % 3 {
            0 => settle(&mut world, bound.subs_id, Settlement::Done),
            1 => settle(&mut world, bound.subs_id, Settlement::Unsure),
            _ => {}
        }
        made.push(bound);
    }
    leave_carrier(&mut world);
    let unknown = world.bind(bind_request(Product::Axn, A, world.now));
    let unknown = unknown.expect("no carrier must know of it");
    let name = carrier_name();
    let is_in_use = Err(AdminRefusal::InUse { what: "carrier" }.into());
    for (piece, count, more) in [
        (0..0, 0, true),
        (0..4, 4, true),
        (2..8, 4, true),
        (0..9, 1, false),
    ] {
        let ids = made[piece.clone()].iter().map(|binding| binding.subs_id);
        let others = [unknown.subs_id, SubsId(7)];
        let delete = DeleteCarrier { name: name.clone() };
        assert_eq!(world.ask(delete), is_in_use, "{piece:?}");
        if piece.start == 2 {
            // A customer ends one meanwhile, which was detached already, and one that was not.
            for ended in [&made[0], &made[6]] {
                world.ask(unbind(ended)).expect("it is in force");
            }
            assert_eq!(phase(&world, made[0].subs_id), None);
            assert_eq!(phase(&world, made[6].subs_id), Some("releasing"));
        }
        let work = world.operate(forget(ids.chain(others)));
        assert_eq!((work.count, work.more), (count, more), "{piece:?}");
    }
    assert_eq!(world.state.provisioned_len(&name), 0);
    let left: Vec<SubsId> = world.state.bindings().map(|left| left.subs_id).collect();
    assert_eq!(left, [made[3].subs_id, unknown.subs_id]);
    assert_eq!(world.ask(DeleteCarrier { name }), Ok(()));
}

#[test]
fn no_command_forgets_more_than_one_may() {
    let mut world = world();
    leave_carrier(&mut world);
    let too_many = world.ask(forget((0..=EVENTS_MAX as u64).map(SubsId)));
    let (what, limit) = ("bindings", EVENTS_MAX);
    let refusal = AdminRefusal::TooMany { what, limit };
    assert_eq!(too_many, Err(refusal.into()));
}

#[test]
fn older_programs_must_not_overlook_it() {
    let dropped = Event::ProvisionDropped {
        subs_id: SubsId(1),
        x: number(X),
    };
    assert_eq!(dropped.oldest_reader(), 6);
    assert_eq!(
        (dropped.x(), dropped.subs_id()),
        (Some(number(X)), Some(SubsId(1)))
    );
    let noted = Event::Noted(Note::CarrierForgotten {
        carrier: carrier_name(),
        bindings: 3,
    });
    assert_eq!(noted.oldest_reader(), 6);
    for event in [dropped, noted] {
        let text = serde_json::to_string(&event).expect("plain data");
        let read: Event = serde_json::from_str(&text).expect("as it was written");
        assert_eq!(read, event);
    }
}
