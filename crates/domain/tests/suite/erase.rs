//! Erasing a person: what the event says, and what the state does with it.

use maskline_domain::ops::{ErasePerson, Unbind};
use maskline_domain::{
    BindRequest, Binding, ErasedParts, Event, Part, PhoneNumber, PoolKey, PoolRef, State, Subject,
    decide,
};
use maskline_fixtures::domain::{HOUR_MS, World, axb, operator};

/// An erasure of A and the texts of these bindings.
fn erase(bindings: &[&Binding]) -> ErasePerson {
    let ids = bindings.iter().map(|binding| binding.subs_id.0);
    ErasePerson {
        subjects: ids.clone().map(|of| Subject { of, n: 77 }).collect(),
        last: ids
            .map(|of| ErasedParts {
                of,
                parts: vec![Part::A, Part::Texts],
            })
            .collect(),
    }
}

fn world_of_two() -> (World, Binding, Binding) {
    let mut world = World::new();
    world.stock("FC2", "北京", &["17000000000", "17000000001"]);
    let mut bind = |a: &str| {
        let expires_at = world.now.plus_millis(HOUR_MS);
        let request = BindRequest {
            expires_at,
            ..axb(a, "15800000000")
        };
        world.bind(request).expect("a number is left")
    };
    let (ended, live) = (bind("15000000001"), bind("15000000002"));
    world.operate(Unbind {
        pool: PoolRef::Key(PoolKey::new("FC2")),
        subs_id: ended.subs_id,
        x: ended.x,
    });
    (world, ended, live)
}

#[test]
fn only_what_has_ended_is_erased_and_the_event_names_it() {
    let (world, ended, live) = world_of_two();
    let asked = operator(erase(&[&ended, &live])).untyped();
    let decision = decide(&world.state, &asked, world.now, 1);
    let of_ended = erase(&[&ended]);
    let expected = Event::PersonErased {
        bindings: 1,
        subjects: of_ended.subjects,
        last: of_ended.last,
    };
    assert_eq!(decision.events, std::slice::from_ref(&expected));
    let mut state = world.state.clone();
    let undo = state.apply_undoable(&expected);
    assert!(undo.is_empty(), "it knew nothing of it any more");
}

/// No decision leads there; but a state that had it still must not keep what the journal no longer holds.
#[test]
fn what_lives_on_of_an_erased_person_goes_and_comes_back_by_undo() {
    let (world, _, live) = world_of_two();
    let of_live = erase(&[&live]);
    let event = Event::PersonErased {
        bindings: 1,
        subjects: of_live.subjects,
        last: of_live.last,
    };
    let mut state: State = world.state.clone();
    let undo = state.apply_undoable(&event);
    let left = state.binding(live.subs_id).expect("it stays");
    assert_eq!((left.a, left.b), (PhoneNumber::ERASED, live.b));
    assert!(left.extras.is_empty());
    let mut replayed = State::default();
    state.rows().for_each(|row| replayed.restore(row));
    assert_eq!(
        replayed.rows().collect::<Vec<_>>(),
        state.rows().collect::<Vec<_>>()
    );
    state.undo(undo);
    assert_eq!(state.rows().collect::<Vec<_>>(), world.rows());
}
