//! Whether a call may leave by a trunk: whose X the trunk may show, and which callees it takes.
//!
//! A carrier blocks or rewrites a caller number that is not its own. Whose a number is, is what the operator says
//! of its pool, never its digits: numbers are ported between carriers.

use std::cmp::Reverse;

use super::{Trunk, TrunkName};
use crate::carrier::CarrierName;
use crate::number::PhoneNumber;
use crate::pool::PoolKey;

/// A call that is to be sent out, as far as trunks differ by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outbound<'a> {
    /// The pool of the X that the callee is shown.
    pub pool: &'a PoolKey,
    /// The carrier that the pool names, whose its numbers are.
    pub carrier: Option<&'a CarrierName>,
    /// Who is called, in national form.
    pub callee: PhoneNumber,
}

/// Why a call cannot leave by a trunk, in the order in which it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Misfit {
    /// No calls may use it.
    Disabled,
    /// It only brings calls.
    BringsOnly,
    /// It may not show this X: it presents neither the pool nor its carrier.
    OtherX,
    /// It does not take this callee: none of its routes begins its number.
    OtherCallee,
}

impl Trunk {
    /// Whether the call may leave by this trunk: how many digits of the callee its longest matching route has, 0
    /// where it takes any callee.
    ///
    /// # Errors
    /// Why not.
    pub fn fit(&self, call: &Outbound<'_>) -> Result<usize, Misfit> {
        match self {
            _ if !self.enabled => Err(Misfit::Disabled),
            _ if !self.outgoing => Err(Misfit::BringsOnly),
            _ if !self.presents(call.pool, call.carrier) => Err(Misfit::OtherX),
            _ if self.routes.is_empty() => Ok(0),
            _ => self.route_to(call.callee).ok_or(Misfit::OtherCallee),
        }
    }

    /// Whether it may show the X of this pool, whose carrier is this one.
    pub fn presents(&self, pool: &PoolKey, carrier: Option<&CarrierName>) -> bool {
        let carrier = carrier.map(CarrierName::as_str);
        let is_named = |name: &str| name == pool.as_str() || Some(name) == carrier;
        self.presents.is_empty() || self.presents.iter().any(|name| is_named(name))
    }

    /// How many digits its longest route to this callee has; none if no route of it leads there.
    fn route_to(&self, callee: PhoneNumber) -> Option<usize> {
        let leading = self.routes.iter().filter(|it| callee.starts_with(**it));
        leading.map(|route| route.len()).max()
    }
}

/// How near the trunks come to taking a call that none of them takes: the reason of the one that was looked at the
/// longest. None where there is no trunk.
pub fn nearest_misfit<'a>(
    trunks: impl Iterator<Item = &'a Trunk>,
    call: &Outbound<'_>,
) -> Option<Misfit> {
    trunks.filter_map(|trunk| trunk.fit(call).err()).max()
}

/// What each of the trunks, which come by name, says to a call: first those by which it may leave, in the order in
/// which they are tried but for chance, then the others by name.
pub fn fits<'a>(
    trunks: impl Iterator<Item = &'a Trunk>,
    call: &Outbound<'_>,
) -> Vec<(TrunkName, Result<usize, Misfit>)> {
    let mut judged: Vec<_> = trunks.map(|trunk| (trunk, trunk.fit(call))).collect();
    judged.sort_by_key(|(trunk, fit)| match fit {
        Ok(digits) => (false, Reverse(*digits), trunk.priority),
        Err(_) => (true, Reverse(0), 0),
    });
    let named = judged.into_iter();
    named
        .map(|(trunk, fit)| (trunk.name.clone(), fit))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::mix;
    use crate::trunk::candidates;

    fn number(digits: &str) -> PhoneNumber {
        PhoneNumber::parse(digits).expect("digits")
    }

    /// A trunk in one line: its name, whose X it presents, its routes, and its priority.
    fn trunk(line: &str) -> Trunk {
        let mut words = line.split('|').map(str::trim);
        let mut next = || words.next().unwrap_or_default();
        let (name, presents, routes, priority) = (next(), next(), next(), next());
        Trunk {
            presents: presents.split_whitespace().map(Box::from).collect(),
            routes: routes.split_whitespace().map(number).collect(),
            priority: priority.parse().unwrap_or_default(),
            ..Trunk::new(TrunkName::new(name), "192.0.2.1:5060")
        }
    }

    const MOBILE: &str = "13900000000";

    #[test]
    fn a_call_leaves_by_trunks_that_may_show_its_x_and_take_its_callee() {
        // The trunks; the pool of X, its carrier, the callee; the trunks that are tried.
        type Names = &'static [&'static str];
        let rows: [(Names, (&str, &str, &str), Names); 22] = [
            (&[], ("FC1", "", MOBILE), &[]),
            (&["a"], ("FC1", "", MOBILE), &["a"]),
            (&["a"], ("FC1", "unicom", MOBILE), &["a"]),
            // X of one carrier does not go out over another.
            (
                &["a|unicom", "b|telecom"],
                ("FC1", "telecom", MOBILE),
                &["b"],
            ),
            (&["a|unicom", "b|telecom"], ("FC1", "mobile", MOBILE), &[]),
            (&["a|unicom", "b|telecom"], ("FC1", "", MOBILE), &[]),
            (&["a|unicom", "b"], ("FC1", "", MOBILE), &["b"]),
            (&["a|unicom", "b"], ("FC1", "unicom", MOBILE), &["a", "b"]),
            // A pool may be named by itself, whatever its carrier is.
            (&["a|FC1", "b|FC2"], ("FC1", "unicom", MOBILE), &["a"]),
            (
                &["a|telecom FC1", "b|unicom FC2"],
                ("FC1", "unicom", MOBILE),
                &["a", "b"],
            ),
            // Names are not beginnings, and keys that differ in case are others.
            (&["a|FC1", "b|uni"], ("FC12", "unicom", MOBILE), &[]),
            (&["a|FCa"], ("FCA", "", MOBILE), &[]),
            // Callees by their beginnings, the longest first, before priority.
            (&["a||1", "b||0571"], ("FC1", "", MOBILE), &["a"]),
            (&["a||1", "b||0571"], ("FC1", "", "057188888888"), &["b"]),
            (&["a||1", "b||0571"], ("FC1", "", "95188"), &[]),
            (
                &["a|||0", "b||1|1", "c||139|9", "d||1390000000|7"],
                ("FC1", "", MOBILE),
                &["d", "c", "b", "a"],
            ),
            (&["a||1 139|9", "b||13"], ("FC1", "", MOBILE), &["a", "b"]),
            // The whole number is its longest beginning; one digit more begins nothing.
            (
                &["a||13900000000", "b||139000000001"],
                ("FC1", "", MOBILE),
                &["a"],
            ),
            // Among routes of one length priority decides, then the name.
            (
                &["a||138 139|2", "b||139|1", "c||139|1"],
                ("FC1", "", MOBILE),
                &["b", "c", "a"],
            ),
            // A 0 in front is a digit as any other.
            (&["a||0139", "b||139"], ("FC1", "", MOBILE), &["b"]),
            // Both must fit, however long the route.
            (
                &["a|telecom|1390000", "b|unicom|13", "c|unicom|15"],
                ("FC1", "unicom", MOBILE),
                &["b"],
            ),
            (
                &["a|telecom|1390000", "b|unicom|15"],
                ("FC1", "unicom", MOBILE),
                &[],
            ),
        ];
        for (lines, (pool, carrier, callee), expected) in rows {
            let trunks: Vec<Trunk> = lines.iter().map(|line| trunk(line)).collect();
            let pool = PoolKey::new(pool);
            let named = (!carrier.is_empty()).then(|| CarrierName::new(carrier));
            let call = Outbound {
                pool: &pool,
                carrier: named.as_ref(),
                callee: number(callee),
            };
            for seed in 0..8 {
                let tried = candidates(trunks.iter(), &call, seed);
                let tried: Vec<&str> = tried.iter().map(|it| it.name.as_str()).collect();
                assert_eq!(tried, expected, "{lines:?} {pool} {carrier} {callee}");
            }
            let judged = fits(trunks.iter(), &call);
            let fitting = judged.iter().filter(|(_, fit)| fit.is_ok());
            let fitting: Vec<&str> = fitting.map(|(name, _)| name.as_str()).collect();
            assert_eq!(fitting, expected, "told as tried");
            assert_eq!(judged.len(), trunks.len());
        }
    }

    #[test]
    fn a_trunk_that_does_not_fit_says_why_and_the_nearest_reason_is_that_of_all() {
        use Misfit::{BringsOnly, Disabled, OtherCallee, OtherX};
        let (pool, carrier) = (PoolKey::new("FC1"), CarrierName::new("unicom"));
        let call = Outbound {
            pool: &pool,
            carrier: Some(&carrier),
            callee: number(MOBILE),
        };
        let disabled = Trunk {
            enabled: false,
            ..trunk("a|telecom|0571")
        };
        let brings = Trunk {
            outgoing: false,
            ..trunk("b|telecom|0571")
        };
        let rows = [
            (trunk("c|telecom|139"), Some(OtherX)),
            (trunk("c|telecom|0571"), Some(OtherX)),
            (trunk("c|unicom|0571"), Some(OtherCallee)),
            (trunk("c|FC1|0571"), Some(OtherCallee)),
            (trunk("c||0571"), Some(OtherCallee)),
            (disabled.clone(), Some(Disabled)),
            (brings.clone(), Some(BringsOnly)),
            (trunk("c|unicom|1"), None),
        ];
        for (trunk, expected) in &rows {
            assert_eq!(trunk.fit(&call).err(), *expected, "{trunk:?}");
        }
        let nearest = |trunks: &[&Trunk]| nearest_misfit(trunks.iter().copied(), &call);
        assert_eq!(nearest(&[]), None);
        assert_eq!(nearest(&[&disabled]), Some(Disabled));
        assert_eq!(nearest(&[&brings, &disabled]), Some(BringsOnly));
        assert_eq!(nearest(&[&rows[0].0, &brings]), Some(OtherX));
        assert_eq!(nearest(&[&rows[2].0, &rows[0].0]), Some(OtherCallee));
    }

    /// The same, told by texts.
    fn may_leave(trunk: &Trunk, call: &Outbound<'_>) -> Option<usize> {
        let names: Vec<&str> = trunk.presents.iter().map(AsRef::as_ref).collect();
        let is_shown = names.is_empty()
            || names.contains(&call.pool.as_str())
            || (call.carrier).is_some_and(|carrier| names.contains(&carrier.as_str()));
        let callee = call.callee.reveal();
        let routes = trunk.routes.iter().map(|route| route.reveal());
        let longest = routes.filter(|route| callee.starts_with(route.as_str()));
        let longest = longest.map(|route| route.len()).max();
        let taken = if trunk.routes.is_empty() {
            Some(0)
        } else {
            longest
        };
        taken.filter(|_| is_shown && trunk.enabled && trunk.outgoing)
    }

    #[test]
    fn never_a_trunk_that_does_not_fit_and_the_longest_route_first() {
        let names = ["unicom", "telecom", "FC1", "FC2"];
        let starts = [
            "1", "13", "138", "139", "1390", "0", "05", "0571", "95", "9",
        ];
        let callees = [
            MOBILE,
            "13800000000",
            "057188888888",
            "01088888888",
            "95188",
            "4001234567",
        ];
        let (mut fitting, mut unfit, mut ordered) = (0, 0, 0);
        for seed in 0..3_000 {
            let mut chance = seed;
            let mut below = |bound: usize| {
                chance = mix(chance);
                (chance % bound as u64) as usize
            };
            let trunks: Vec<Trunk> = (0..below(8))
                .map(|n| Trunk {
                    enabled: below(8) > 0,
                    outgoing: below(8) > 0,
                    priority: below(3) as u16,
                    weight: below(3) as u16,
                    presents: (0..below(3)).map(|_| names[below(4)].into()).collect(),
                    routes: (0..below(4)).map(|_| number(starts[below(10)])).collect(),
                    ..trunk(&format!("t{n}"))
                })
                .collect();
            let pool = PoolKey::new(names[2 + below(2)]);
            let carrier = [None, Some("unicom"), Some("telecom")][below(3)];
            let carrier = carrier.map(CarrierName::new);
            let call = Outbound {
                pool: &pool,
                carrier: carrier.as_ref(),
                callee: number(callees[below(6)]),
            };
            let tried = candidates(trunks.iter(), &call, seed);
            let ranks: Vec<_> = (tried.iter())
                .map(|trunk| {
                    let digits = may_leave(trunk, &call).expect("only those that fit are tried");
                    (Reverse(digits), trunk.priority)
                })
                .collect();
            assert!(ranks.is_sorted(), "{ranks:?}");
            let wanted = trunks
                .iter()
                .filter(|trunk| may_leave(trunk, &call).is_some());
            assert_eq!(tried.len(), wanted.count(), "each that fits, once");
            let nearest = nearest_misfit(trunks.iter(), &call);
            assert_eq!(nearest.is_none(), tried.len() == trunks.len());
            fitting += tried.len();
            unfit += trunks.len() - tried.len();
            ordered += usize::from(ranks.first() != ranks.last());
        }
        assert!(
            fitting > 2_000 && unfit > 2_000 && ordered > 500,
            "{fitting} {unfit} {ordered}"
        );
    }
}
