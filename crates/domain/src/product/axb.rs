//! AXB: A and B, and nobody else, reach each other through X. One X carries
//! many pairs, none of whose numbers repeat.

use super::{Caller, Claim, Reached, RingKeys, Role, Rules};

pub(super) static RULES: Rules = Rules {
    claims: &[Claim::A, Claim::B],
    // The newest SDK calls B optional, the official page mandatory; a pair
    // without B could be reached by nobody, so it is needed.
    needs_b: true,
    bindings_per_x_max: |pairs_max| pairs_max.max(1),
    reached,
    // Other pairs go on using X.
    cools: false,
    ring_keys: RingKeys {
        a: "AXBRing_A",
        a_alone: None,
        other: "AXBRing_B",
    },
    takes_dtmf_config: true,
};

fn reached(caller: &Caller) -> Reached {
    Reached {
        call_back: None,
        callee: match caller.role {
            Role::A => caller.b,
            Role::Other => Some(caller.a),
        },
    }
}
