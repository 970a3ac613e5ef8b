//! Pools.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};

use maskline_domain::{PoolKey, State as Routing, Timestamp};
use maskline_journal::pipeline::Touch;

use super::page::{self, Gathered, Page};
use super::{Answer, Filter, documents, there};
use crate::admin::auth::Operator;
use crate::admin::document::{Document, WantedPool};
use crate::admin::extract::{Body, Query};
use crate::admin::view::InCity;
use crate::admin::{Admin, AdminError, Mode, view};
use crate::ledger::{Ledger, ReadError};

/// How many counts of cities are looked at while the state is held.
const COUNTS_AT_ONCE: usize = 400;

pub async fn list(State(ledger): State<Ledger>, Query(filter): Query<Filter>) -> Answer {
    filter.only(&["account"])?;
    there(&ledger, None, filter.account.as_deref()).await?;
    let after = filter.after.as_deref().map(PoolKey::new);
    let wanted = filter.account.as_deref();
    let found = page::gather(
        &ledger,
        Touch::Lists,
        Gathered::new(after, filter.limit()),
        |state, _, found| {
            let pools = state.pools_after(found.after().as_ref());
            found.take(pools.map(|pool| {
                let is_wanted = wanted.is_none_or(|account| pool.account.as_str() == account);
                (pool.key.clone(), is_wanted.then(|| view::settings(pool)))
            }));
        },
    );
    let (mut rows, next) = found.await?.into_rows();
    let keys: Vec<PoolKey> = rows.iter().map(|(key, _)| key.clone()).collect();
    let stock = stock_of(&ledger, &keys).await?;
    for ((_, shown), cities) in rows.iter_mut().zip(&stock) {
        view::add_stock(shown, cities);
    }
    let rows = rows.into_iter().map(|(_, shown)| shown).collect();
    let next = next.map(|key| key.to_string());
    Page { rows, next }.answer()
}

pub async fn show(State(ledger): State<Ledger>, Path(key): Path<String>) -> Answer {
    let key = PoolKey::new(&key);
    let found = ledger
        .read(Touch::Lists, |state, _| {
            state.pool(&key).map(view::settings)
        })
        .await?;
    let mut shown = found.ok_or(AdminError::NotFound("pool"))?;
    let stock = stock_of(&ledger, &[key]).await?.concat();
    view::add_stock(&mut shown, &stock);
    shown["cities"] = view::cities(&stock);
    Ok(Json(shown))
}

/// What the cities of each of these pools have, in order. The state is let go between some cities and others, so that
/// their counts may be of different moments.
pub(super) async fn stock_of(
    ledger: &Ledger,
    keys: &[PoolKey],
) -> Result<Vec<Vec<InCity>>, ReadError> {
    let mut found = Vec::with_capacity(keys.len());
    let mut left = keys.iter();
    let mut now_at = left.next();
    let mut cities: Vec<InCity> = Vec::new();
    let step = |state: &Routing, _: Timestamp| {
        let mut visited = 0;
        while let Some(key) = now_at {
            let after = cities.last().map(|(city, ..)| city.clone());
            if let Some(pool) = state.pool(key) {
                // One for the city, and one for each number of bindings that an X of it may have.
                let each = 1 + pool.product.bindings_per_x_max(pool.pairs_max) as usize;
                for (city, numbers, free) in state.stock_after(pool, after.as_ref()) {
                    cities.push((city.clone(), numbers, free));
                    visited += each;
                    if visited >= COUNTS_AT_ONCE {
                        return ControlFlow::Continue(());
                    }
                }
            }
            found.push(std::mem::take(&mut cities));
            now_at = left.next();
            visited += 1;
            if visited >= COUNTS_AT_ONCE {
                return ControlFlow::Continue(());
            }
        }
        ControlFlow::Break(())
    };
    ledger.read_in_steps(Touch::Scan, step).await?;
    Ok(found)
}

pub async fn put(
    State(admin): State<Arc<Admin>>,
    operator: Operator,
    Path(key): Path<String>,
    Body(mut wanted): Body<WantedPool>,
) -> Answer {
    wanted.key = key;
    let document = Document {
        pools: vec![wanted],
        ..Document::default()
    };
    documents::one(&admin, &operator, document, Mode::default()).await
}
