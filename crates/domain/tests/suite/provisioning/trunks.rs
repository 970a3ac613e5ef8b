//! A call leaves by the carrier that holds its binding, whichever one the pool names by then.

use super::*;
use maskline_domain::call::{Notice, Question, predict};
use maskline_domain::ops::{SetPool, SetTrunk};
use maskline_domain::routing::RouteQuery;
use maskline_domain::trunk::{Trunk, TrunkName};

/// What the pool names once the binding is there: its carrier still, another one, or none.
const NAMED_BY_THEN: [Option<&str>; 3] = [Some(CARRIER), Some("another"), None];

fn add_trunk(world: &mut World, carrier: &str) {
    world.operate(SetTrunk(Box::new(Trunk {
        presents: vec![carrier.into()],
        ..Trunk::new(TrunkName::new(&format!("by-{carrier}")), "192.0.2.1:5060")
    })));
}

fn name_by_then(world: &mut World, product: Product, carrier: Option<&str>) {
    let PoolRef::Key(key) = pool_of(product) else {
        unreachable!("pools of tests are named by key");
    };
    let pool = world.state.pool(&key).expect("a pool").clone();
    world.operate(SetPool(Pool {
        carrier: carrier.map(CarrierName::new),
        ..pool
    }));
}

/// The trunks that fit a call to X, and the carrier whose X it is.
fn leaves_by(world: &World, binding: &Binding) -> (Vec<String>, Option<CarrierName>) {
    let question = Question {
        query: RouteQuery {
            caller: Some(number(B)),
            x: binding.x,
        },
        trunk: None,
        notice: Notice::None,
    };
    let told = predict(&world.state, &question, |_, _| None, world.now);
    let told = told.expect("no trunk is asked for");
    let fit = told.trunks.iter().filter(|(_, fit)| fit.is_ok());
    (
        fit.map(|(name, _)| name.to_string()).collect(),
        told.carrier,
    )
}

#[test]
fn a_call_leaves_by_the_carrier_that_holds_its_binding() {
    for named in NAMED_BY_THEN {
        at_every_stage(|stage, mut world, binding| {
            world.operate(SetCarrier(Box::new(told_carrier("another"))));
            add_trunk(&mut world, CARRIER);
            add_trunk(&mut world, "another");
            name_by_then(&mut world, binding.product, named);
            let (trunks, carrier) = leaves_by(&world, &binding);
            if stage.routes() {
                assert_eq!(trunks, [format!("by-{CARRIER}")], "{stage:?} {named:?}");
                assert_eq!(carrier, Some(carrier_name()), "{stage:?} {named:?}");
            } else {
                assert_eq!(trunks, [""; 0], "{stage:?} {named:?}");
            }
        });
    }
}

/// Its carrier was never told: the pool says whose the X is.
#[test]
fn a_binding_that_no_carrier_knows_of_leaves_by_what_its_pool_names() {
    for product in Product::ALL {
        for named in NAMED_BY_THEN {
            let mut world = world();
            world.operate(SetCarrier(Box::new(told_carrier("another"))));
            add_trunk(&mut world, CARRIER);
            add_trunk(&mut world, "another");
            name_by_then(&mut world, product, None);
            let request = bind_request(product, A, world.now);
            let binding = world.bind(request).expect("a number is left");
            name_by_then(&mut world, product, named);
            let (trunks, carrier) = leaves_by(&world, &binding);
            let expected: Vec<String> =
                named.map(|name| format!("by-{name}")).into_iter().collect();
            assert_eq!((trunks, carrier), (expected, named.map(CarrierName::new)));
        }
    }
}
