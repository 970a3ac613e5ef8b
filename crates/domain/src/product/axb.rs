//! AXB: A and B, and nobody else, reach each other through X. One X carries
//! many pairs, none of whose numbers repeat.

use super::{Caller, Claim, Destination, PAIRS_MAX, RingKeys, Role, Rules};

pub(super) struct Axb;

impl Rules for Axb {
    const CLAIMS: &'static [Claim] = &[Claim::A, Claim::B];
    /// The newest SDK calls B optional, the official page mandatory; a pair
    /// without B could be reached by nobody, so it is needed.
    const NEEDS_B: bool = true;
    /// Other pairs go on using X.
    const COOLS: bool = false;
    const RING_KEYS: RingKeys = RingKeys {
        a: "AXBRing_A",
        a_alone: None,
        other: "AXBRing_B",
    };
    const TAKES_DTMF_CONFIG: bool = true;

    fn bindings_per_x_max(pairs_max: u32) -> u32 {
        pairs_max.clamp(1, PAIRS_MAX)
    }

    fn destination(caller: &Caller) -> Destination {
        Destination {
            call_back: None,
            callee: match caller.role {
                Role::A => caller.b,
                Role::Other => Some(caller.a),
            },
        }
    }
}
