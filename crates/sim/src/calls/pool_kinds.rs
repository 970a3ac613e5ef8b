//! The pools of a world.

use maskline_domain::Product;

/// A pool of numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct PoolKind {
    pub key: &'static str,
    pub product: Product,
    /// Whether A reaches the default B.
    pub calls_back: bool,
    /// Whose its numbers are.
    pub carrier: Option<&'static str>,
}

pub(super) const POOL_KINDS: [PoolKind; 3] = [
    PoolKind {
        key: "FC1",
        product: Product::Axn,
        calls_back: true,
        carrier: Some("unicom"),
    },
    PoolKind {
        key: "FC2",
        product: Product::Axb,
        calls_back: true,
        carrier: Some("telecom"),
    },
    PoolKind {
        key: "FC3",
        product: Product::Axn,
        calls_back: false,
        carrier: None,
    },
];
