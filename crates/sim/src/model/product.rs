//! What the products differ in, written down once more and by itself: the model and the worlds ask here.

use maskline_domain::product::Role;
use maskline_domain::{Binding, PhoneNumber, Pool, Product};

/// Something on an X that at most one live binding may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// Callers without a claim of their own.
    Anyone,
    /// One caller.
    Caller(PhoneNumber),
}

/// What a binding claims on its X: AXN everybody and A, AXB A and B.
pub fn claims(binding: &Binding) -> Vec<Claim> {
    match binding.product {
        Product::Axn => vec![Claim::Anyone, Claim::Caller(binding.a)],
        Product::Axb => std::iter::once(binding.a)
            .chain(binding.b)
            .map(Claim::Caller)
            .collect(),
    }
}

/// What a binding keeps others out of: what it claims, and what it would by a change that a carrier is asked for.
pub fn kept(binding: &Binding) -> Vec<Claim> {
    let mut kept = claims(binding);
    let proposed = binding.provision.iter().flat_map(|p| &p.proposed);
    kept.extend(proposed.flat_map(|proposed| claims(proposed)));
    kept
}

/// Whether somebody who wants a binding is kept out by one that is there on the same X.
pub fn collide(there: &Binding, wanted: &Binding) -> bool {
    let kept = kept(there);
    claims(wanted).iter().any(|claim| kept.contains(claim))
}

/// Whether somebody who wants a binding on X is in the way of this one as a party; otherwise it is only X that is
/// taken.
pub fn is_of_a_party(there: &Binding, wanted: &Binding) -> bool {
    match wanted.product {
        Product::Axn => kept(there).contains(&Claim::Caller(wanted.a)),
        Product::Axb => collide(there, wanted),
    }
}

/// How many bindings X can carry.
pub fn room_on(pool: &Pool) -> usize {
    match pool.product {
        Product::Axn => 1,
        Product::Axb => pool.pairs_max.min(200) as usize,
    }
}

/// Whether a binding is nothing without B.
pub fn needs_b(product: Product) -> bool {
    product == Product::Axb
}

/// Whether X may have to rest after a binding.
pub fn rests(product: Product) -> bool {
    product == Product::Axn
}

/// Whether whoever dials X is for A.
pub fn is_for_anyone(product: Product) -> bool {
    product == Product::Axn
}

/// Whether the pool has a word in whether A reaches B.
pub fn heeds_call_back(product: Product) -> bool {
    product == Product::Axn
}

/// Who somebody is by a binding on the X that was dialled; a caller that it is not for is nobody.
pub fn role(binding: &Binding, caller: Option<PhoneNumber>) -> Option<Role> {
    if caller == Some(binding.a) {
        return Some(Role::A);
    }
    let is_b = caller.is_some() && caller == binding.b;
    (is_b || is_for_anyone(binding.product)).then_some(Role::Other)
}

/// Whom a caller of that role reaches.
pub fn other_side(binding: &Binding, caller: Role) -> Option<PhoneNumber> {
    match caller {
        Role::A => binding.b,
        Role::Other => Some(binding.a),
    }
}

/// What a customer writes for a ring tone of A who reaches B, of A who has no B, and of the other side. AXB has
/// always somebody to reach.
pub fn ring_keys(product: Product) -> [&'static str; 3] {
    match product {
        Product::Axn => ["AXNRing_AB", "AXNRing_A", "AXNRing_N"],
        Product::Axb => ["AXBRing_A", "AXNRing_A", "AXBRing_B"],
    }
}
