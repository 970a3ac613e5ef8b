//! What comes of requests to carriers, of unbinding, changing and expiry, and where calls go meanwhile.

use super::*;
use maskline_domain::ops::ExpireDue;
use maskline_domain::routing::{Route, RouteQuery, route};

/// A stage, what is settled of its newest request, and what it is then. A `+` says that the carrier is to be told by
/// a further request; "gone" that nothing is left, "-" that nobody asked.
#[rustfmt::skip]
const SETTLED: &[(Stage, Settlement, &str)] = &[
    (Stage::Reserved, Settlement::Done, "confirmed"),
    (Stage::Reserved, Settlement::NotDone, "gone"),
    (Stage::Reserved, Settlement::Unsure, "releasing +"),
    (Stage::Reserved, Settlement::Stale, "releasing +"),
    (Stage::Confirmed, Settlement::Done, "-"),
    (Stage::Confirmed, Settlement::NotDone, "-"),
    (Stage::Confirmed, Settlement::Unsure, "-"),
    (Stage::Confirmed, Settlement::Stale, "-"),
    (Stage::Changing, Settlement::Done, "confirmed as asked"),
    (Stage::Changing, Settlement::NotDone, "confirmed"),
    (Stage::Changing, Settlement::Unsure, "renewing +"),
    (Stage::Changing, Settlement::Stale, "renewing +"),
    (Stage::ChangeGivenUp, Settlement::Done, "confirmed"),
    (Stage::ChangeGivenUp, Settlement::NotDone, "renewing"),
    (Stage::ChangeGivenUp, Settlement::Unsure, "renewing"),
    (Stage::ChangeGivenUp, Settlement::Stale, "renewing +"),
    (Stage::Lost, Settlement::Done, "confirmed"),
    (Stage::Lost, Settlement::NotDone, "renewing"),
    (Stage::Lost, Settlement::Unsure, "renewing"),
    (Stage::Lost, Settlement::Stale, "renewing +"),
    (Stage::Abandoned, Settlement::Done, "gone"),
    (Stage::Abandoned, Settlement::NotDone, "releasing"),
    (Stage::Abandoned, Settlement::Unsure, "releasing"),
    (Stage::Abandoned, Settlement::Stale, "releasing +"),
    (Stage::Unbound, Settlement::Done, "gone"),
    (Stage::Unbound, Settlement::NotDone, "releasing"),
    (Stage::Unbound, Settlement::Unsure, "releasing"),
    (Stage::Unbound, Settlement::Stale, "releasing +"),
    (Stage::UnboundWhileChanging, Settlement::Done, "gone"),
    (Stage::UnboundWhileChanging, Settlement::NotDone, "releasing"),
    (Stage::UnboundWhileChanging, Settlement::Unsure, "releasing"),
    (Stage::UnboundWhileChanging, Settlement::Stale, "releasing +"),
];

#[test]
fn each_settlement_leads_where_it_should_at_each_stage() {
    assert_eq!(SETTLED.len(), Stage::ALL.len() * 4);
    for &(stage, settlement, expected) in SETTLED {
        for product in Product::ALL {
            let mut world = world();
            let before = stage.reach(&mut world, product);
            let (id, told) = (before.subs_id, provision(&world, before.subs_id));
            let asked = SettleProvision {
                subs_id: id,
                fence: told.fence,
                settlement,
            };
            let row = format!("{stage:?} {settlement:?} {product:?}");
            let answer = world.ask(asked);
            if expected == "-" {
                assert_eq!(answer, Err(Refusal::BindingUnknown), "{row}");
                assert_eq!(world.state.binding(id), Some(before), "{row}");
                continue;
            }
            assert_eq!(answer, Ok(()), "{row}");
            let Some(after) = world.state.binding(id) else {
                assert_eq!(expected, "gone", "{row}");
                assert_eq!(world.state.bindings_count_on(before.x), 0, "{row}");
                continue;
            };
            let now = provision(&world, id);
            let is_told_again = now.fence > told.fence;
            assert_eq!(now.revision > told.revision, is_told_again, "{row}");
            let seen = format!(
                "{}{}",
                now.phase.name(),
                if is_told_again { " +" } else { "" }
            );
            let seen = match after.a == number(OTHER_A) {
                true => format!("{seen} as asked"),
                false => seen,
            };
            assert_eq!(seen, expected, "{row}");
            let claims = stage.claims() && !now.phase.name().starts_with("confirmed");
            assert_eq!(now.proposed.is_some(), claims, "{row}");
            // By which request the carrier holds what is confirmed.
            let held = match (stage, settlement) {
                (Stage::Reserved | Stage::Abandoned, Settlement::Done) => Some(told.fence),
                (Stage::Reserved | Stage::Abandoned, _) => None,
                (_, Settlement::Done) => Some(told.fence),
                _ => Some(id.0),
            };
            assert_eq!(now.held, held, "{row}");
        }
    }
}

#[test]
fn what_is_said_of_an_older_request_changes_nothing() {
    let all = [
        Settlement::Done,
        Settlement::NotDone,
        Settlement::Unsure,
        Settlement::Stale,
    ];
    at_every_stage(|stage, mut world, binding| {
        let fence = provision(&world, binding.subs_id).fence;
        let rows = world.rows();
        for settlement in all {
            for fence in [0, fence - 1, fence + 1, u64::MAX] {
                let answer = world.ask(SettleProvision {
                    subs_id: binding.subs_id,
                    fence,
                    settlement,
                });
                assert_eq!(answer, Err(Refusal::BindingUnknown), "{stage:?}");
            }
        }
        assert_eq!(world.rows(), rows, "{stage:?}");
    });
}

/// Whichever of a confirmation and a release is decided first stands.
#[test]
fn what_is_decided_first_of_a_request_stands() {
    for first in [Settlement::Done, Settlement::NotDone, Settlement::Unsure] {
        let mut world = world();
        let bound = Stage::Reserved.reach(&mut world, Product::Axn);
        settle(&mut world, bound.subs_id, first);
        let rows = world.rows();
        for then in [Settlement::Done, Settlement::NotDone, Settlement::Unsure] {
            let answer = world.ask(SettleProvision {
                subs_id: bound.subs_id,
                fence: bound.subs_id.0,
                settlement: then,
            });
            assert_eq!(answer, Err(Refusal::BindingUnknown), "{first:?} {then:?}");
        }
        assert_eq!(world.rows(), rows, "{first:?}");
    }
}

/// Who is reached when somebody dials, as far as it tells the stages apart.
#[test]
fn calls_go_by_what_is_confirmed_and_by_nothing_else() {
    at_every_stage(|stage, world, binding| {
        let reached = |caller: Option<&str>| {
            let query = RouteQuery {
                caller: caller.map(number),
                x: binding.x,
            };
            match route(&world.state, &query, world.now) {
                Route::Connect(connection) => Some(connection.callee),
                Route::Refuse { .. } => None,
            }
        };
        let a = Some(number(A)).filter(|_| stage.routes());
        assert_eq!(reached(Some(B)), a, "{stage:?}");
        match binding.product {
            Product::Axn => {
                assert_eq!(reached(None), a, "{stage:?}");
                assert_eq!(reached(Some(OTHER_A)), a, "still a stranger, {stage:?}");
            }
            Product::Axb => {
                let b = Some(number(B)).filter(|_| stage.routes());
                assert_eq!(reached(Some(A)), b, "{stage:?}");
                assert_eq!(reached(Some(OTHER_A)), None, "not yet, {stage:?}");
            }
        }
    });
}

#[test]
fn unbinding_is_answered_once_calls_stop_and_what_has_ended_is_unknown() {
    at_every_stage(|stage, mut world, binding| {
        let answer = world.ask(unbind(&binding));
        let expected = match stage.routes() {
            true => Ok(()),
            false => Err(Refusal::BindingUnknown),
        };
        assert_eq!(answer, expected, "{stage:?}");
        if stage.routes() {
            assert_eq!(phase(&world, binding.subs_id), Some("releasing"));
        }
    });
}

type Answer = Result<&'static str, Refusal>;

/// A stage, and what comes of a change of A, and of one that no carrier must know of.
#[rustfmt::skip]
const CHANGED: &[(Stage, Answer, Answer)] = &[
    (Stage::Reserved, Err(Refusal::BindingUnknown), Err(Refusal::BindingUnknown)),
    (Stage::Confirmed, Ok("asked"), Ok("at once")),
    (Stage::Changing, Err(Refusal::UpdateConflict), Err(Refusal::UpdateConflict)),
    (Stage::ChangeGivenUp, Err(Refusal::CarrierUnavailable), Ok("at once")),
    (Stage::Lost, Err(Refusal::CarrierUnavailable), Ok("at once")),
    (Stage::Abandoned, Err(Refusal::BindingUnknown), Err(Refusal::BindingUnknown)),
    (Stage::Unbound, Err(Refusal::BindingUnknown), Err(Refusal::BindingUnknown)),
    (Stage::UnboundWhileChanging, Err(Refusal::BindingUnknown), Err(Refusal::BindingUnknown)),
];

#[test]
fn a_change_is_asked_for_only_of_what_is_confirmed() {
    let later = |world: &World| Update::ExpiresAt(world.now.plus_millis(2 * HOUR_MS));
    for (stage, of_a, of_terms) in CHANGED {
        for product in Product::ALL {
            let row = format!("{stage:?} {product:?}");
            let changes = |world: &World| {
                [
                    (to_a("15000000002"), of_a),
                    (later(world), of_a),
                    (Update::Record(true), of_terms),
                ]
            };
            for nth in 0..3 {
                let mut world = world();
                let before = stage.reach(&mut world, product);
                let [.., (change, expected)] = &changes(&world)[..=nth] else {
                    continue;
                };
                let answer = world.ask(update(&before, vec![change.clone()]));
                let said = answer.map(|updated| match updated {
                    Updated::AtOnce => "at once",
                    Updated::Asked(_) => "asked",
                });
                assert_eq!(&said, *expected, "{row} {change:?}");
                let after = world.state.binding(before.subs_id).expect("it stays");
                let is_recorded = said == Ok("at once");
                assert_eq!(after.record, is_recorded, "{row} {change:?}");
                assert_eq!(
                    (after.a, after.expires_at),
                    (before.a, before.expires_at),
                    "{row} {change:?}"
                );
            }
        }
    }
}

#[test]
fn a_change_to_what_is_there_already_asks_nobody() {
    at_every_stage(|stage, mut world, binding| {
        let rows = world.rows();
        let unheld = match stage.phase() {
            "confirmed" => Ok(Updated::AtOnce),
            // What the carrier holds may be something else.
            "renewing" => Err(Refusal::CarrierUnavailable),
            "changing" => Err(Refusal::UpdateConflict),
            _ => Err(Refusal::BindingUnknown),
        };
        let answer = world.ask(update(&binding, vec![to_a(A)]));
        assert_eq!(answer, unheld, "{stage:?}");
        if stage.phase() == "renewing" {
            let answer = world.ask(update(&binding, vec![Update::Record(binding.record)]));
            assert_eq!(answer, Ok(Updated::AtOnce), "no carrier knows of it");
        }
        assert_eq!(world.rows(), rows, "{stage:?}");
    });
}

#[test]
fn what_was_unbound_is_unknown_also_when_it_would_have_been_over() {
    let mut world = world();
    let unbound = Stage::Confirmed.reach(&mut world, Product::Axn);
    world.ask(unbind(&unbound)).expect("it is bound");
    world.pass_ms(2 * HOUR_MS);
    let answer = world.ask(update(&unbound, vec![to_a("15000000002")]));
    assert_eq!(answer, Err(Refusal::BindingUnknown));
    let (over, mut world) = one_over();
    let answer = world.ask(update(&over, vec![to_a("15000000002")]));
    assert_eq!(answer, Err(Refusal::BindingOver));
    world.operate(ExpireDue { at_most: 10 });
    let answer = world.ask(update(&over, vec![to_a("15000000002")]));
    assert_eq!(answer, Err(Refusal::BindingOver), "until it is let go");
}

/// A binding that is over, which its carrier has not been told.
fn one_over() -> (Binding, World) {
    let mut world = world();
    let over = Stage::Confirmed.reach(&mut world, Product::Axn);
    world.pass_ms(2 * HOUR_MS);
    (over, world)
}

#[test]
fn a_binding_that_is_over_is_let_go_once_and_ends_when_the_carrier_has_done_so() {
    at_every_stage(|stage, mut world, binding| {
        let before = provision(&world, binding.subs_id);
        world.pass_ms(HOUR_MS - 1);
        let expire = ExpireDue { at_most: 10 };
        assert_eq!(world.operate(expire).count, 0, "{stage:?}");
        world.pass_ms(1);
        let is_leaving = matches!(before.phase, Phase::Releasing { .. });
        let work = world.operate(expire);
        assert_eq!(
            (work.count, work.more),
            (u32::from(!is_leaving), false),
            "{stage:?}"
        );
        let now = provision(&world, binding.subs_id);
        assert_eq!(now.fence > before.fence, !is_leaving, "{stage:?}");
        let (cause, at) = (EndCause::Expired, binding.expires_at);
        if !is_leaving {
            assert_eq!(now.phase, Phase::Releasing { cause, at }, "{stage:?}");
        }
        assert_eq!(world.operate(expire).count, 0, "once is enough, {stage:?}");
        assert_eq!(world.state.overdue(world.now, 10), 0, "{stage:?}");
        settle(&mut world, binding.subs_id, Settlement::Done);
        assert_eq!(world.state.bindings_len(), 0, "{stage:?}");
    });
}

/// A confirmation that comes after its binding was let go changes nothing.
#[test]
fn expiry_before_the_answer_stands() {
    let mut world = world();
    let binding = Stage::Changing.reach(&mut world, Product::Axb);
    let fence = provision(&world, binding.subs_id).fence;
    world.pass_ms(HOUR_MS);
    world.operate(ExpireDue { at_most: 1 });
    let answer = world.ask(SettleProvision {
        subs_id: binding.subs_id,
        fence,
        settlement: Settlement::Done,
    });
    assert_eq!(answer, Err(Refusal::BindingUnknown));
    assert_eq!(phase(&world, binding.subs_id), Some("releasing"));
}

#[test]
fn after_a_start_nobody_waits_for_an_answer() {
    at_every_stage(|stage, mut world, binding| {
        let before = provision(&world, binding.subs_id);
        let abandon = |name: &str| AbandonAsked {
            carrier: CarrierName::new(name),
            at_most: 10,
        };
        assert_eq!(world.operate(abandon("another")).count, 0, "{stage:?}");
        let work = world.operate(abandon(CARRIER));
        let expected = match stage {
            Stage::Reserved => Some("releasing"),
            Stage::Changing => Some("renewing"),
            _ => None,
        };
        assert_eq!(work.count, u32::from(expected.is_some()), "{stage:?}");
        let now = provision(&world, binding.subs_id);
        assert_eq!(
            now.phase.name(),
            expected.unwrap_or(stage.phase()),
            "{stage:?}"
        );
        assert_eq!(now.fence > before.fence, expected.is_some(), "{stage:?}");
        assert_eq!(world.state.asked_of(&carrier_name()).count(), 0);
    });
}

#[test]
fn what_is_given_up_after_a_start_is_given_up_in_pieces() {
    let mut world = world();
    for n in 0..7 {
        let mut request = bind_request(Product::Axb, &format!("1500000010{n}"), world.now);
        request.b = Party::parse(&format!("1500000020{n}"));
        world.bind(request).expect("one X carries many pairs");
    }
    let mut pieces = Vec::new();
    loop {
        let work = world.operate(AbandonAsked {
            carrier: carrier_name(),
            at_most: 3,
        });
        pieces.push(work.count);
        if !work.more {
            break;
        }
    }
    assert_eq!(pieces, [3, 3, 1]);
    assert_eq!(world.state.owed_to(&carrier_name(), 0).count(), 7);
}

#[test]
fn only_what_still_is_as_it_was_compared_is_told_again() {
    at_every_stage(|stage, mut world, binding| {
        let id = binding.subs_id;
        let fence = provision(&world, id).fence;
        for (asked, is_same) in [(fence - 1, false), (fence + 1, false), (fence, true)] {
            world.operate(RenewProvision {
                subs_id: id,
                fence: asked,
            });
            let is_renewed = is_same && stage == Stage::Confirmed;
            let now = provision(&world, id);
            assert_eq!(now.fence > fence, is_renewed, "{stage:?}");
        }
    });
}

#[test]
fn a_binding_that_no_carrier_must_know_of_is_as_ever() {
    let mut world = world();
    world.set_pool(POOL, Product::Axn, |_| ());
    let bound = world.bind(axn(A)).expect("free");
    assert_eq!(bound.provision, None);
    with_carrier(&mut world);
    assert_eq!(world.state.provisioned_len(&carrier_name()), 0);
    let answer = world.ask(SettleProvision {
        subs_id: bound.subs_id,
        fence: bound.subs_id.0,
        settlement: Settlement::Done,
    });
    assert_eq!(answer, Err(Refusal::BindingUnknown));
    assert_eq!(
        world.ask(update(&bound, vec![to_a(OTHER_A)])),
        Ok(Updated::AtOnce)
    );
    assert_eq!(world.ask(unbind(&bound)), Ok(()));
    assert_eq!(world.state.bindings_len(), 0);
}
