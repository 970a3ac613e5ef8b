//! Bindings of which a carrier must know: what is decided at each stage of one, and what each stage holds.

mod asked_again;
mod forgetting;
mod journal;
mod order;
mod settling;
mod slots;
mod trunks;

use maskline_domain::binding::{Phase, Provision};
use maskline_domain::command::Updated;
use maskline_domain::ops::{
    AbandonAsked, RenewProvision, SetCarrier, SettleProvision, Settlement, Unbind, UpdateBinding,
};
use maskline_domain::*;
use maskline_fixtures::domain::{HOUR_MS, PAIR_POOL, POOL, World, axb, axn, number, pool_ref};

pub(super) const CARRIER: &str = "unicom";
const A: &str = "15000000000";
const OTHER_A: &str = "15000000001";
const B: &str = "15800000000";
const X: &str = "17000000000";
/// The one number of the pool of pairs.
const Y: &str = "17100000000";

pub(super) fn carrier_name() -> CarrierName {
    CarrierName::new(CARRIER)
}

/// A carrier that must be told of bindings.
pub(super) fn told_carrier(name: &str) -> Carrier {
    Carrier {
        kind: CarrierKind::Http,
        url: Some("http://127.0.0.1:9/".into()),
        sealed_secret: Some([1].into()),
        ..Carrier::new(CarrierName::new(name))
    }
}

/// Both pools with the carrier, and a number in each.
fn world() -> World {
    let mut world = World::new();
    with_carrier(&mut world);
    world.stock(POOL, "杭州", &[X]);
    world.stock(PAIR_POOL, "杭州", &[Y]);
    world
}

/// Lets both pools name the carrier.
pub(super) fn with_carrier(world: &mut World) {
    world.operate(SetCarrier(Box::new(told_carrier(CARRIER))));
    for (key, product) in [(POOL, Product::Axn), (PAIR_POOL, Product::Axb)] {
        world.set_pool(key, product, |pool| pool.carrier = Some(carrier_name()));
    }
}

fn bind_request(product: Product, a: &str, now: Timestamp) -> BindRequest {
    let request = match product {
        Product::Axn => axn(a),
        Product::Axb => axb(a, B),
    };
    BindRequest {
        expires_at: now.plus_millis(HOUR_MS),
        ..request
    }
}

fn pool_of(product: Product) -> PoolRef {
    pool_ref(match product {
        Product::Axn => POOL,
        Product::Axb => PAIR_POOL,
    })
}

fn unbind(binding: &Binding) -> Unbind {
    Unbind {
        pool: pool_of(binding.product),
        subs_id: binding.subs_id,
        x: binding.x,
    }
}

fn update(binding: &Binding, updates: Vec<Update>) -> UpdateBinding {
    UpdateBinding {
        pool: pool_of(binding.product),
        subs_id: binding.subs_id,
        x: binding.x,
        updates,
        carriers_down: Vec::new(),
    }
}

fn to_a(a: &str) -> Update {
    Update::A(Party::parse(a).expect("a party"))
}

fn provision(world: &World, id: SubsId) -> Provision {
    let provision = world.state.provision(id);
    provision.expect("a carrier must know of it")
}

fn phase(world: &World, id: SubsId) -> Option<&'static str> {
    let provision = world.state.provision(id);
    provision.map(|provision| provision.phase.name())
}

/// Settles the newest request about a binding.
fn settle(world: &mut World, id: SubsId, settlement: Settlement) {
    let fence = provision(world, id).fence;
    world.operate(SettleProvision {
        subs_id: id,
        fence,
        settlement,
    });
}

/// What can have become of a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Reserved,
    Confirmed,
    /// Its carrier is asked for [`OTHER_A`].
    Changing,
    /// The same, and that was given up.
    ChangeGivenUp,
    /// The carrier has lost it.
    Lost,
    /// Given up before the carrier confirmed it.
    Abandoned,
    Unbound,
    /// Unbound while the carrier was asked for [`OTHER_A`].
    UnboundWhileChanging,
}

impl Stage {
    const ALL: [Self; 8] = [
        Self::Reserved,
        Self::Confirmed,
        Self::Changing,
        Self::ChangeGivenUp,
        Self::Lost,
        Self::Abandoned,
        Self::Unbound,
        Self::UnboundWhileChanging,
    ];

    fn phase(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Confirmed => "confirmed",
            Self::Changing => "changing",
            Self::ChangeGivenUp | Self::Lost => "renewing",
            Self::Abandoned | Self::Unbound | Self::UnboundWhileChanging => "releasing",
        }
    }

    fn routes(self) -> bool {
        matches!(
            self,
            Self::Confirmed | Self::Changing | Self::ChangeGivenUp | Self::Lost
        )
    }

    /// Whether a change to [`OTHER_A`] holds its slots.
    fn claims(self) -> bool {
        matches!(
            self,
            Self::Changing | Self::ChangeGivenUp | Self::UnboundWhileChanging
        )
    }

    /// Makes a binding of [`A`] and brings it there.
    fn reach(self, world: &mut World, product: Product) -> Binding {
        let request = bind_request(product, A, world.now);
        let bound = world.bind(request).expect("a number is left");
        self.bring(world, &bound);
        let there = world.state.binding(bound.subs_id).expect("it is there");
        assert_eq!(phase(world, there.subs_id), Some(self.phase()), "{self:?}");
        there
    }

    fn bring(self, world: &mut World, bound: &Binding) {
        let id = bound.subs_id;
        match self {
            Self::Reserved => {}
            Self::Confirmed => settle(world, id, Settlement::Done),
            Self::Changing => {
                Self::Confirmed.bring(world, bound);
                let asked = world.ask(update(bound, vec![to_a(OTHER_A)]));
                assert!(matches!(asked, Ok(Updated::Asked(_))), "{asked:?}");
            }
            Self::ChangeGivenUp => {
                Self::Changing.bring(world, bound);
                settle(world, id, Settlement::Unsure);
            }
            Self::Lost => {
                Self::Confirmed.bring(world, bound);
                let fence = provision(world, id).fence;
                world.operate(RenewProvision { subs_id: id, fence });
            }
            Self::Abandoned => {
                world.operate(AbandonAsked {
                    carrier: carrier_name(),
                    at_most: 10,
                });
            }
            Self::Unbound => {
                Self::Confirmed.bring(world, bound);
                world.ask(unbind(bound)).expect("in force");
            }
            Self::UnboundWhileChanging => {
                Self::Changing.bring(world, bound);
                world.ask(unbind(bound)).expect("in force");
            }
        }
    }
}

/// Every stage for both products, each in a world of its own.
fn at_every_stage(mut check: impl FnMut(Stage, World, Binding)) {
    for stage in Stage::ALL {
        for product in Product::ALL {
            let mut world = world();
            let binding = stage.reach(&mut world, product);
            check(stage, world, binding);
        }
    }
}
