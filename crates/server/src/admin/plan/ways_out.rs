//! Whose X goes out by which trunk: what a document leaves so that it is probably not meant.

use std::collections::BTreeSet;

use maskline_domain::{CarrierName, PoolKey, Trunk, TrunkName};

use super::Planner;
use crate::admin::document::Document;
use crate::suggest;

/// Of so many pools it is told by their keys that their calls reach nobody.
const POOLS_NAMED_MAX: usize = 10;

impl Planner {
    /// Notes, as it will be after the document, names of its trunks that stand for no X, and pools whose X no trunk
    /// shows. Both can be meant, since what is missing may come by another document. Nothing is said of callees.
    pub(super) fn warn_of_ways_out(&mut self, document: &Document) {
        let mut told: Vec<String> = Vec::new();
        for wanted in &document.trunks {
            if let Some(trunk) = self.state.trunk(&TrunkName::new(&wanted.name)) {
                let unknown = trunk.presents.iter().filter(|name| !self.is_owner(name));
                told.extend(unknown.map(|name| {
                    let hint = suggest::hint(name, self.owners());
                    let name = name.as_ref();
                    format!("trunk {}: it presents `{name}`, which is neither a carrier nor a pool{hint}", trunk.name)
                }));
            }
        }
        let removed = &document.remove.trunks;
        if !(document.pools.is_empty() && document.trunks.is_empty() && removed.is_empty()) {
            told.extend(self.pools_without_trunk());
        }
        self.plan.warnings.extend(told);
    }

    /// Whether a name that a trunk presents stands for somebody's X.
    fn is_owner(&self, name: &str) -> bool {
        self.state.carrier(&CarrierName::new(name)).is_some()
            || self.state.pool(&PoolKey::new(name)).is_some()
    }

    /// All such names.
    fn owners(&self) -> impl Iterator<Item = &str> {
        let carriers = self.state.carriers();
        let pools = self.state.pools();
        let carriers = carriers.map(|carrier| carrier.name.as_str());
        carriers.chain(pools.map(|pool| pool.key.as_str()))
    }

    /// The pools whose X no trunk shows, in words; none where all are shown, and where there is no trunk at all:
    /// that is a service without calls.
    fn pools_without_trunk(&self) -> Option<String> {
        self.state.trunks().next()?;
        let is_way_out = |trunk: &&Trunk| trunk.enabled && trunk.outgoing;
        let ways_out: Vec<&Trunk> = self.state.trunks().filter(is_way_out).collect();
        if ways_out.iter().any(|trunk| trunk.presents.is_empty()) {
            return None;
        }
        let presented = ways_out.iter().flat_map(|trunk| &trunk.presents);
        let presented: BTreeSet<&str> = presented.map(AsRef::as_ref).collect();
        let mut without = self.state.pools().filter(|pool| {
            let carrier = pool.carrier.as_ref();
            !presented.contains(pool.key.as_str())
                && !carrier.is_some_and(|carrier| presented.contains(carrier.as_str()))
        });
        let named = without.by_ref().take(POOLS_NAMED_MAX);
        let named: Vec<&str> = named.map(|pool| pool.key.as_str()).collect();
        let more = match without.count() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let whose = match named.as_slice() {
            [] => return None,
            [one] => format!("pool {one}"),
            several => format!("pools {}{more}", several.join(", ")),
        };
        Some(format!(
            "{whose}: no enabled trunk to which calls are sent presents their X, so that calls to them reach nobody"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::apply;
    use maskline_domain::State;

    const POOLS: &str = "[[account]]\nid = \"acme\"\n\
        [[pool]]\nkey = \"FC1\"\naccount = \"acme\"\nproduct = \"axn\"\n\
        [[pool]]\nkey = \"FC2\"\naccount = \"acme\"\nproduct = \"axb\"\n";

    /// A trunk in a document.
    fn trunk(name: &str, more: &str) -> String {
        let place = name.bytes().map(u32::from).sum::<u32>() % 250 + 1;
        format!("[[trunk]]\nname = \"{name}\"\npeer = \"192.0.2.{place}:5060\"\n{more}\n")
    }

    #[test]
    fn a_pool_whose_x_no_trunk_shows_is_warned_of() {
        let both = "pools FC1, FC2: no enabled trunk";
        let second = "pool FC2: no enabled trunk";
        let of_unicom =
            "[[carrier]]\nname = \"unicom\"\n[[pool]]\nkey = \"FC2\"\ncarrier = \"unicom\"\n";
        let rows: [(&str, &[&str]); 15] = [
            // Without any trunk there are no calls.
            (POOLS, &[]),
            (&trunk("any", ""), &[]),
            (&trunk("any", "routes = [\"0571\"]"), &[]),
            (&trunk("any", "presents = [\"FC1\", \"FC2\"]"), &[]),
            (&trunk("any", "presents = [\"FC1\"]"), &[second]),
            // It is told whoever is to blame, and only where it may be the document.
            ("[[pool]]\nkey = \"FC1\"\ncooling_s = 1\n", &[second]),
            ("[[account]]\nid = \"other\"\n", &[]),
            (&trunk("other", "presents = [\"FC2\"]"), &[]),
            (&trunk("other", "outgoing = false"), &[second]),
            (
                &trunk("other", "outgoing = true\nenabled = false"),
                &[second],
            ),
            // A carrier stands for the pools that name it.
            (of_unicom, &[second]),
            (&trunk("any", "presents = [\"FC1\", \"unicom\"]"), &[]),
            ("[[pool]]\nkey = \"FC2\"\ncarrier = \"\"\n", &[second]),
            ("[remove]\ntrunks = [\"any\"]\n", &[both]),
            (&trunk("other", "enabled = true\npresents = []"), &[]),
        ];
        let mut state = State::default();
        for (document, expected) in rows {
            let told = apply(&mut state, document).expect(document).warnings;
            assert_eq!(told.len(), expected.len(), "{document}: {told:?}");
            for (told, expected) in told.iter().zip(expected) {
                assert!(told.starts_with(expected), "{document}: {told}");
            }
        }
    }

    #[test]
    fn a_name_that_stands_for_no_x_is_warned_of_with_the_one_that_was_meant() {
        let mut state = State::default();
        apply(&mut state, POOLS).expect("pools");
        let rows = [
            ("FC1", None),
            ("FC2", None),
            (
                "FC3",
                Some("neither a carrier nor a pool; did you mean FC1?"),
            ),
            (
                "unicom",
                Some("`unicom`, which is neither a carrier nor a pool"),
            ),
        ];
        for (name, expected) in rows {
            let document = trunk("any", &format!("presents = [\"FC1\", \"FC2\", {name:?}]"));
            let told = apply(&mut state, &document).expect("a trunk").warnings;
            match (told.as_slice(), expected) {
                ([], None) => {}
                ([told], Some(expected)) => assert!(told.contains(expected), "{told}"),
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn of_many_pools_only_some_are_named() {
        let mut state = State::default();
        apply(&mut state, POOLS).expect("pools");
        let more = (10..40)
            .map(|n| format!("[[pool]]\nkey = \"FC{n}\"\naccount = \"acme\"\nproduct = \"axn\"\n"));
        let document: String = more.chain([trunk("any", "presents = [\"FC1\"]")]).collect();
        let told = apply(&mut state, &document).expect("pools").warnings;
        assert_eq!(told.len(), 1);
        assert!(
            told[0].starts_with("pools FC10, FC11,") && told[0].contains(" and 21 more: "),
            "{told:?}"
        );
    }
}
