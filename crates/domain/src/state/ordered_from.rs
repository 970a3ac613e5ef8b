//! What the state has in the order of a key, from behind one on: for lists that are read page by page. Where they
//! begin is found without a look at what is before.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Bound;

use super::State;
use crate::account::{AccessKey, AccessKeyId, Account, AccountId, User, UserName};
use crate::binding::{Binding, SubsId};
use crate::carrier::{Carrier, CarrierName};
use crate::inventory::City;
use crate::operator::{Operator, OperatorName};
use crate::pool::{Pool, PoolKey};
use crate::trunk::{Trunk, TrunkName};
use crate::visits::visit;

impl State {
    /// The accounts behind this name, which need not be there; all of them without one. By name.
    pub fn accounts_after<'a>(
        &'a self,
        name: Option<&AccountId>,
    ) -> impl Iterator<Item = &'a Account> + use<'a> {
        after(&self.accounts, name).map(|(_, account)| account)
    }

    /// The users behind this one, as [`State::accounts_after`]. By account and name.
    pub fn users_after<'a>(
        &'a self,
        user: Option<&(AccountId, UserName)>,
    ) -> impl Iterator<Item = &'a User> + use<'a> {
        after(&self.users, user).map(|(_, user)| user)
    }

    /// The keys behind this id, as [`State::accounts_after`]. By id.
    pub fn keys_after<'a>(
        &'a self,
        id: Option<&AccessKeyId>,
    ) -> impl Iterator<Item = &'a AccessKey> + use<'a> {
        after(&self.keys, id).map(|(_, key)| key)
    }

    /// The pools behind this key, as [`State::accounts_after`]. By key.
    pub fn pools_after<'a>(
        &'a self,
        key: Option<&PoolKey>,
    ) -> impl Iterator<Item = &'a Pool> + use<'a> {
        after(&self.pools, key).map(|(_, pool)| pool)
    }

    /// The trunks behind this name, as [`State::accounts_after`]. By name.
    pub fn trunks_after<'a>(
        &'a self,
        name: Option<&TrunkName>,
    ) -> impl Iterator<Item = &'a Trunk> + use<'a> {
        after(&self.trunks, name).map(|(_, trunk)| trunk)
    }

    /// The carriers behind this name, as [`State::accounts_after`]. By name.
    pub fn carriers_after<'a>(
        &'a self,
        name: Option<&CarrierName>,
    ) -> impl Iterator<Item = &'a Carrier> + use<'a> {
        after(&self.carriers, name).map(|(_, carrier)| &**carrier)
    }

    /// The operators behind this name, as [`State::accounts_after`]. By name.
    pub fn operators_after<'a>(
        &'a self,
        name: Option<&OperatorName>,
    ) -> impl Iterator<Item = &'a Operator> + use<'a> {
        after(&self.operators, name).map(|(_, operator)| operator)
    }

    /// How many numbers of a pool there are in each city behind this one, and how many of them can be given out; in
    /// all its cities without one. By city. Where numbers carry several bindings each, every city takes a look at as
    /// many counts as a number of the pool may have bindings.
    pub fn stock_after(
        &self,
        pool: &Pool,
        city: Option<&City>,
    ) -> impl Iterator<Item = (&City, u32, u32)> {
        let bindings_max = pool.product.bindings_per_x_max(pool.pairs_max);
        self.inventory
            .partitions_after(Some(&pool.key), city)
            .map(move |(city, partition)| {
                let free = partition.free_count(bindings_max) as u32;
                (city, partition.total, free)
            })
    }

    /// The bindings below this id that have not been swept, the newest first; there need not be one of that id.
    pub fn bindings_below(&self, id: SubsId) -> impl Iterator<Item = Binding> + '_ {
        let places = self.bindings.iter_below(id);
        places.filter_map(|at| self.binding_at(at))
    }

    /// The imports under way behind this name and how far they have come, as [`State::accounts_after`]. By name.
    pub fn imports_after<'a>(
        &'a self,
        name: Option<&str>,
    ) -> impl Iterator<Item = (&'a str, u64)> + use<'a> {
        after(&self.imports, name).map(|(name, rows)| (&**name, *rows))
    }
}

fn after<'a, K, V, Q>(
    map: &'a BTreeMap<K, V>,
    key: Option<&Q>,
) -> impl Iterator<Item = (&'a K, &'a V)> + use<'a, K, V, Q>
where
    K: Ord + Borrow<Q>,
    Q: Ord + ?Sized,
{
    let begin = key.map_or(Bound::Unbounded, Bound::Excluded);
    map.range::<Q, _>((begin, Bound::Unbounded))
        .inspect(|_| visit())
}
