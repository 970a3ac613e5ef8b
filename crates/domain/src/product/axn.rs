//! AXN: anyone (N) who dials X reaches A; A reaches the default B, or hears
//! that the number is vacant.

use super::{Caller, Claim, Reached, RingKeys, Role, Rules};

pub(super) static RULES: Rules = Rules {
    claims: &[Claim::Anyone, Claim::A],
    // Without B, A dialling X hears the vacant-number prompt.
    needs_b: false,
    // X is dedicated to one A.
    bindings_per_x_max: |_| 1,
    reached,
    cools: true,
    ring_keys: RingKeys {
        a: "AXNRing_AB",
        a_alone: Some("AXNRing_A"),
        other: "AXNRing_N",
    },
    takes_dtmf_config: false,
};

fn reached(caller: &Caller) -> Reached {
    match caller.role {
        Role::A => Reached {
            call_back: Some(caller.a_call_back),
            callee: caller.b,
        },
        Role::Other => Reached {
            call_back: None,
            callee: Some(caller.a),
        },
    }
}
