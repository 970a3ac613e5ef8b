//! What a binding claims on its X, written down once more.

use maskline_domain::{Binding, PhoneNumber, Product};

/// Something on an X that at most one live binding may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// Callers without a claim of their own.
    Anyone,
    /// One caller.
    Caller(PhoneNumber),
}

/// What a binding claims: AXN everybody and A, AXB A and B.
pub fn claims(binding: &Binding) -> Vec<Claim> {
    match binding.product {
        Product::Axn => vec![Claim::Anyone, Claim::Caller(binding.a)],
        Product::Axb => std::iter::once(binding.a)
            .chain(binding.b)
            .map(Claim::Caller)
            .collect(),
    }
}

/// Whether two bindings on one X would claim the same.
pub fn collide(one: &Binding, other: &Binding) -> bool {
    let theirs = claims(other);
    claims(one).iter().any(|claim| theirs.contains(claim))
}
