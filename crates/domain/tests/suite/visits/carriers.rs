//! The same of bindings of which a carrier must know.

use super::*;
use crate::provisioning::{carrier_name, told_carrier};
use maskline_domain::binding::{Phase, Provision};

/// In this pool every number carries a binding that the carrier is told to let go, all on the same terms and of one
/// order.
const RELEASING_POOL: &str = "FC6";
/// In this pool every number carries one that is over and that the carrier is not yet told to let go.
const OVER_POOL: &str = "FC7";
/// In this pool every number carries one for which the carrier is asked.
const ASKED_POOL: &str = "FC8";
/// In this pool, which names no carrier any more, every number carries one that another carrier holds.
const DETACHED_POOL: &str = "FC9";
const GONE: &str = "telecom";
/// The ids of these begin here.
const RELEASING_ID: u64 = 10_000_000;
const OVER_ID: u64 = 20_000_000;
const ASKED_ID: u64 = 30_000_000;
const DETACHED_ID: u64 = 40_000_000;

/// Adds the pools with a carrier: so many bindings that are let go, and a quarter of it in the other two.
pub(super) fn add(state: &mut State, size: u64) {
    let mut apply = |event: Event| state.apply(&event);
    apply(Event::CarrierSet(Box::new(told_carrier(
        carrier_name().as_str(),
    ))));
    apply(Event::CarrierSet(Box::new(told_carrier(GONE))));
    let far = NOON.plus_millis(HOUR_MS);
    let releasing = Phase::Releasing {
        cause: EndCause::NotProvisioned,
        at: NOON,
    };
    let pools = [
        (RELEASING_POOL, RELEASING_ID, releasing, far, size),
        (OVER_POOL, OVER_ID, Phase::Confirmed, NOON, size / 4),
        (ASKED_POOL, ASKED_ID, Phase::Reserved, far, size / 4),
        (DETACHED_POOL, DETACHED_ID, Phase::Confirmed, far, size / 4),
    ];
    for (key, first_id, phase, expires_at, count) in pools {
        let carrier = match key {
            DETACHED_POOL => CarrierName::new(GONE),
            _ => carrier_name(),
        };
        apply(Event::PoolSet(Pool {
            carrier: (key != DETACHED_POOL).then(carrier_name),
            same_out_order_returns: true,
            ..pool(key, Product::Axn)
        }));
        for n in 0..count {
            apply(Event::NumberSet(idle_number(x_told(key, n), key, &city(n))));
            let subs_id = id(first_id + n);
            apply(Event::Bound(Box::new(Binding {
                subs_id,
                created_at: NOON.plus_millis(-HOUR_MS),
                expires_at,
                extras: Extras {
                    out_order_id: (key != DETACHED_POOL).then(|| "one for all".into()),
                    ..Extras::default()
                },
                provision: Some(Box::new(Provision {
                    carrier: carrier.clone(),
                    phase,
                    revision: 1,
                    fence: subs_id.0,
                    held: None,
                    proposed: None,
                })),
                ..binding(
                    x_told(key, n),
                    if key == ASKED_POOL { a(n) } else { busy() },
                )
            })));
        }
    }
}

/// A number of a pool with a carrier: they begin with 1706, 1709, 1708 and, from 17070010000 on, 1707.
fn x_told(pool: &str, n: u64) -> PhoneNumber {
    match pool {
        RELEASING_POOL => x(6, n),
        OVER_POOL => x(9, n),
        DETACHED_POOL => x(8, 20_000 + n),
        _ => x(7, 10_000 + n),
    }
}

#[test]
fn no_carrier_makes_anything_look_at_more_where_there_is_more() {
    let forget = |carrier: &CarrierName, first: u64| ForgetCarrier {
        carrier: carrier.clone(),
        bindings: (first..).map(id).take(AT_ONCE as usize).collect(),
    };
    let settle = |of: u64, settlement| {
        operated(SettleProvision {
            subs_id: id(of),
            fence: id(of).0,
            settlement,
        })
    };
    let bind = |pool: &str, change: &dyn Fn(&mut BindRequest)| {
        let a = a(9_000_001);
        let mut request = bind_request(pool, Product::Axn, a, None);
        change(&mut request);
        Box::new(request)
    };
    let wanted = |pool: &'static str| {
        refused(
            Refusal::NumberTaken,
            bind(pool, &|r| r.x = Some(x_told(pool, 5))),
        )
    };
    let full = |pool| refused(Refusal::NoNumberLeft, bind(pool, &|_| ()));
    let same_order = |r: &mut BindRequest| {
        r.a = as_party(busy());
        r.extras.out_order_id = Some("one for all".into());
    };
    let caller = RouteQuery {
        caller: Some(b(7_000_000)),
        x: x(6, 3),
    };
    let in_use = Refusal::Admin(AdminRefusal::InUse { what: "carrier" });
    check(vec![
        (
            "what a carrier is owed",
            read(|s| s.owed_to(&carrier_name(), 0).take(100).count()),
        ),
        (
            "what a carrier is owed, further on",
            read(|s| {
                let from = id(RELEASING_ID + 5_000).0;
                s.owed_to(&carrier_name(), from).take(100).count()
            }),
        ),
        (
            "what a carrier is asked for",
            read(|s| s.asked_of(&carrier_name()).take(100).count()),
        ),
        (
            "how much a carrier must know of",
            read(|s| {
                (
                    s.owed_len(&carrier_name()),
                    s.provisioned_len(&carrier_name()),
                )
            }),
        ),
        (
            "what a number that is let go is doing",
            read(|s| s.number_status(x(6, 3), NOON)),
        ),
        (
            "the route to a number that is let go",
            read(move |s| route(s, &caller, NOON)),
        ),
        ("let go", settle(RELEASING_ID + 3, Settlement::Done)),
        (
            "not let go yet",
            settle(RELEASING_ID + 3, Settlement::Stale),
        ),
        ("confirm", settle(ASKED_ID + 3, Settlement::Done)),
        ("refuse", settle(ASKED_ID + 3, Settlement::NotDone)),
        ("give up", settle(ASKED_ID + 3, Settlement::Unsure)),
        (
            "give up as many as go at once",
            operated(AbandonAsked {
                carrier: carrier_name(),
                at_most: AT_ONCE,
            }),
        ),
        (
            "forget a carrier that a pool names",
            refused(
                Refusal::Admin(AdminRefusal::CarrierNamed {
                    carrier: carrier_name().as_str().into(),
                    pool: RELEASING_POOL.into(),
                }),
                forget(&carrier_name(), RELEASING_ID),
            ),
        ),
        (
            "part as many bindings from another carrier as go at once",
            operated(forget(&CarrierName::new(GONE), DETACHED_ID)),
        ),
        (
            "tell again",
            operated(RenewProvision {
                subs_id: id(OVER_ID + 3),
                fence: id(OVER_ID + 3).0,
            }),
        ),
        (
            "let go what is none of ours",
            operated(ReleaseOrphan {
                carrier: carrier_name(),
                subs_id: SubsId(7),
                x: x(6, 3),
            }),
        ),
        (
            "note that all was compared",
            operated(NoteReconciled {
                carrier: carrier_name(),
                epoch: 1,
            }),
        ),
        (
            "change a carrier",
            operated(SetCarrier(Box::new(Carrier {
                deadline_ms: 1_000,
                ..told_carrier(carrier_name().as_str())
            }))),
        ),
        (
            "delete a carrier that holds something",
            refused(
                in_use,
                DeleteCarrier {
                    name: carrier_name(),
                },
            ),
        ),
        ("bind where all is let go", full(RELEASING_POOL)),
        ("bind where all is over and not let go", full(OVER_POOL)),
        ("bind where all is asked for", full(ASKED_POOL)),
        ("bind a number that is let go", wanted(RELEASING_POOL)),
        ("bind a number that is over", wanted(OVER_POOL)),
        (
            "bind on the terms of all that is let go",
            refused(Refusal::NoNumberLeft, bind(RELEASING_POOL, &same_order)),
        ),
        (
            "bind on the terms of all that is over",
            refused(Refusal::NoNumberLeft, bind(OVER_POOL, &same_order)),
        ),
        (
            "bind on the terms of what is asked for",
            asked(bind(ASKED_POOL, &|r| {
                same_order(r);
                r.a = as_party(a(5));
            })),
        ),
    ]);
}
