//! AXN: anyone (N) who dials X reaches A; A reaches the default B, or hears
//! that the number is vacant.

use super::{Caller, Claim, Destination, RingKeys, Role, Rules};

pub(super) struct Axn;

impl Rules for Axn {
    const CLAIMS: &'static [Claim] = &[Claim::Anyone, Claim::A];
    /// Without B, A dialling X hears the vacant-number prompt.
    const NEEDS_B: bool = false;
    const COOLS: bool = true;
    const RING_KEYS: RingKeys = RingKeys {
        a: "AXNRing_AB",
        a_alone: Some("AXNRing_A"),
        other: "AXNRing_N",
    };
    const TAKES_DTMF_CONFIG: bool = false;

    /// X is dedicated to one A.
    fn bindings_per_x_max(_pairs_max: u32) -> u32 {
        1
    }

    fn destination(caller: &Caller) -> Destination {
        match caller.role {
            Role::A => Destination {
                call_back: Some(caller.a_call_back),
                callee: caller.b,
            },
            Role::Other => Destination {
                call_back: None,
                callee: Some(caller.a),
            },
        }
    }
}
