//! Pools.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};

use maskline_domain::PoolKey;
use maskline_journal::pipeline::Touch;

use super::page::{self, Gathered};
use super::{Answer, Filter, documents, there};
use crate::admin::auth::Operator;
use crate::admin::document::{Document, WantedPool};
use crate::admin::extract::{Body, Query};
use crate::admin::{Admin, AdminError, Mode, view};
use crate::ledger::Ledger;

/// How many pools are looked at while the state is held: each adds up what its cities have.
const POOLS_AT_ONCE: usize = 10;

pub async fn list(State(ledger): State<Ledger>, Query(filter): Query<Filter>) -> Answer {
    filter.only(&["account"])?;
    there(&ledger, None, filter.account.as_deref()).await?;
    let after = filter.after.as_deref().map(PoolKey::new);
    let wanted = filter.account.as_deref();
    let found = page::gather(
        &ledger,
        Touch::Scan,
        Gathered::new(after, filter.limit()).each_of_many(POOLS_AT_ONCE),
        |state, _, found| {
            let pools = state.pools_after(found.after().as_ref());
            found.take(pools.map(|pool| {
                let is_wanted = wanted.is_none_or(|account| pool.account.as_str() == account);
                (pool.key.clone(), is_wanted.then(|| view::pool(state, pool)))
            }));
        },
    );
    found.await?.into_page(PoolKey::to_string).answer()
}

pub async fn show(State(ledger): State<Ledger>, Path(key): Path<String>) -> Answer {
    let key = PoolKey::new(&key);
    let found = ledger
        .read(Touch::Scan, move |state, _| {
            state.pool(&key).map(|pool| {
                let mut shown = view::pool(state, pool);
                shown["cities"] = view::cities(state, pool);
                shown
            })
        })
        .await?;
    found.map(Json).ok_or(AdminError::NotFound("pool"))
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
