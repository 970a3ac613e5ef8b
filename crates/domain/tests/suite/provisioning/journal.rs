//! What journals and snapshots keep of bindings at each stage.

use super::*;
use maskline_domain::ops::ErasePerson;

#[test]
fn a_state_at_each_stage_is_the_same_after_a_snapshot() {
    at_every_stage(|stage, mut world, binding| {
        let mut restored = State::default();
        world
            .rows()
            .into_iter()
            .for_each(|row| restored.restore(row));
        let mut restoring = State::restoring();
        restoring.put(world.rows());
        let restoring = restoring.finish();
        for state in [&restored, &restoring] {
            assert_eq!(state.rows().collect::<Vec<_>>(), world.rows(), "{stage:?}");
            let ids = |found: Vec<Binding>| {
                let ids = found.into_iter().map(|binding| binding.subs_id);
                ids.collect::<Vec<_>>()
            };
            let told = |state: &State| {
                let name = carrier_name();
                (
                    ids(state.asked_of(&name).collect()),
                    ids(state.owed_to(&name, 0).collect()),
                    state.owed_len(&name),
                    state.provisioned_len(&name),
                    state.overdue(world.now.plus_millis(HOUR_MS), 9),
                )
            };
            assert_eq!(told(state), told(&world.state), "{stage:?}");
        }
        world.state = restoring;
        if stage.claims() && binding.product == Product::Axb {
            let mut request = bind_request(Product::Axb, OTHER_A, world.now);
            request.b = Party::parse("15800000007");
            request.x = Some(binding.x);
            assert_eq!(world.bind(request), Err(Refusal::BindConflict), "{stage:?}");
        }
    });
}

#[test]
fn a_proposed_change_can_be_parted_from_whom_it_names() {
    let mut world = world();
    let mut binding = Stage::Confirmed.reach(&mut world, Product::Axb);
    binding.extras.out_id = Some("of Li Lei".into());
    binding.a = number(OTHER_A);
    let event = Event::ChangeProposed {
        binding: Box::new(Binding {
            provision: None,
            ..binding.clone()
        }),
        revision: 2,
        fence: 77,
    };
    assert_eq!(event.oldest_reader(), 5);
    let text = serde_json::to_string(&event).expect("plain data");
    let read: Event = serde_json::from_str(&text).expect("as it was written");
    assert_eq!(read, event);
    let (bare, parts) = event.clone().split();
    let text = serde_json::to_string(&bare).expect("plain data");
    for secret in [OTHER_A, B, "Li Lei"] {
        assert!(!text.contains(secret), "{text}");
    }
    let names: Vec<Part> = parts.iter().map(|&(part, _)| part).collect();
    assert_eq!(names, [Part::A, Part::B, Part::Texts]);
    let whole = bare
        .clone()
        .join(parts.iter().map(|(_, values)| values.clone()));
    assert_eq!(whole, event);
    for part in [Part::A, Part::B, Part::Texts] {
        let others = parts.iter().filter(|(its, _)| *its != part);
        let joined = bare.clone().join(others.map(|(_, values)| values.clone()));
        let Event::ChangeProposed { binding: left, .. } = joined.without(part) else {
            panic!("the same event");
        };
        let kept = (
            left.a == binding.a,
            left.b == binding.b,
            left.extras == binding.extras,
        );
        let expected = (part != Part::A, part != Part::B, part != Part::Texts);
        assert_eq!(kept, expected, "{part:?}");
    }
}

/// Nobody is erased from what a carrier may still hold; afterwards they are.
#[test]
fn a_person_is_erased_once_the_carrier_has_let_go() {
    at_every_stage(|stage, mut world, binding| {
        let id = binding.subs_id;
        let erase = || ErasePerson {
            subjects: vec![Subject { of: id.0, n: 3 }],
            last: vec![ErasedParts {
                of: id.0,
                parts: vec![Part::A],
            }],
        };
        let before = world.rows();
        world.operate(erase());
        assert_eq!(world.rows(), before, "{stage:?}");
        world.pass_ms(HOUR_MS);
        world.operate(maskline_domain::ops::ExpireDue { at_most: 1 });
        settle(&mut world, id, Settlement::Done);
        let envelope = maskline_fixtures::domain::operator(Command::from(erase()));
        let decision = decide(&world.state, &envelope, world.now, 1);
        let [
            Event::PersonErased {
                bindings, subjects, ..
            },
        ] = &decision.events[..]
        else {
            panic!("{stage:?}: {:?}", decision.events);
        };
        assert_eq!((*bindings, subjects.len()), (1, 1), "{stage:?}");
    });
}
