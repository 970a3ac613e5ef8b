//! What the products differ in stands in a file of each. Elsewhere in the rules no product is named: who needs to know
//! asks `domain::product`.

use super::circles::without_tests;
use super::crates::DIRECTIONS;
use super::{sources, workspace};
use maskline_domain::Product;

/// Where products may be named, below `crates`: their own files, the model's file of them, and who makes pools of
/// them for a demo, a world or a test. An action that is of one product may name that one besides; see [`own`].
const ALLOWED: [&str; 7] = [
    "domain/src/product.rs",
    "domain/src/product/",
    "fixtures/src/",
    "server/src/demo.rs",
    "sim/src/calls/pool_kinds.rs",
    "sim/src/model/product.rs",
    "sim/src/world/names.rs",
];

/// The lines of a source that name a product, other than `own`: by its case in whatever path or pattern, by its
/// place among all of them, or by its word as a text. Tests are left out.
fn named(text: &str, own: Option<Product>) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for line in without_tests(text).lines() {
        let others = Product::ALL.into_iter().filter(|it| Some(*it) != own);
        let is_named = others.into_iter().any(|product| {
            let case = format!("{product:?}");
            let word = format!("\"{}\"", product.name());
            line.split(|c| !is_name(c)).any(|name| name == case) || line.contains(&word)
        });
        if is_named || line.contains("Product::ALL[") || line.contains("Product::*") {
            found.push(line.trim().to_owned());
        }
    }
    found
}

/// The product that a source may name because its action is of it: `bind_axn.rs` names AXN.
fn own(path: &str) -> Option<Product> {
    let action = path.strip_prefix("server/src/api/actions/")?;
    let (_, name) = action.strip_suffix(".rs")?.rsplit_once('_')?;
    Product::by_name(name)
}

#[test]
fn no_product_is_named_outside_its_file() {
    let crates = workspace().join("crates");
    for (room, _) in DIRECTIONS {
        for (path, text) in sources(&crates.join(room).join("src")) {
            let below = path.strip_prefix(&crates).expect("it lies there");
            let below = below.to_str().expect("plain file names");
            let is_tests = below.ends_with("/tests.rs");
            if !is_tests && !ALLOWED.iter().any(|allowed| below.starts_with(allowed)) {
                assert_eq!(named(&text, own(below)), [""; 0], "{below}");
            }
        }
    }
}

#[test]
fn a_product_that_is_named_is_found() {
    for planted in [
        "if binding.product == Product::Axn {",
        "let product = maskline_domain::Product::Axb;",
        "Product::Axn => 1,",
        "(0, _) | (_, Product::Axb) => Timestamp(0),",
        "use crate::product::Product::Axn;",
        "use crate::product::Product::{Axb, Axn};",
        "use crate::product::Product::*;",
        "use crate::product::Product as P;\nfn cools(product: P) -> bool {\n    product == P::Axn\n}",
        "matches!(product, Axn)",
        "if product.name() == \"axb\" {",
        "let first = Product::ALL[0];",
        "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nconst LAST: Product = Product::Axn;",
    ] {
        assert_eq!(named(planted, None).len(), 1, "{planted}");
    }
    for fine in [
        "// Product::Axn is not cooled here",
        "if binding.product.cools() {",
        "for product in Product::ALL {",
        "mod bind_axn;",
        "\"BindAxn\" => bind_axn::run(context).await,",
        "#[cfg(test)]\nmod tests {\n    const OURS: Product = Product::Axn;\n}",
        "keys: [RingTones; Product::ALL.len()],",
    ] {
        assert_eq!(named(fine, None), [""; 0], "{fine}");
    }
}

#[test]
fn an_action_names_its_own_product_alone() {
    let [axn, axb] = ["axn", "axb"].map(Product::by_name);
    assert!(axn.is_some() && axb.is_some());
    for (path, may) in [
        ("server/src/api/actions/bind_axn.rs", axn),
        ("server/src/api/actions/bind_axb.rs", axb),
        ("server/src/api/actions/bind.rs", None),
        ("server/src/api/actions/lock_secret_no.rs", None),
        ("server/src/api/actions.rs", None),
        ("domain/src/product/axn.rs", None),
        ("domain/src/ops/bind.rs", None),
    ] {
        assert_eq!(own(path), may, "{path}");
    }
    assert_eq!(named("product: Product::Axn,", axn), [""; 0]);
    assert_eq!(named("product: Product::Axb,", axn).len(), 1);
}
