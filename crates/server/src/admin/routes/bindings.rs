//! Bindings, as an operator sees and ends them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::json;

use maskline_domain::access::PoolRef;
use maskline_domain::{Command, PoolKey, SubsId};
use maskline_store::pipeline::Touch;

use super::{Answer, Filter, Found, eyes, phone_number};
use crate::admin::auth::Operator;
use crate::admin::extract::Query;
use crate::admin::{Admin, AdminError, view};

pub async fn list(
    State(admin): State<Arc<Admin>>,
    operator: Operator,
    Query(filter): Query<Filter>,
) -> Answer {
    let x = filter.x.as_deref().map(phone_number).transpose()?;
    let party = filter.party.as_deref().map(phone_number).transpose()?;
    let pool = filter.pool.as_deref().map(PoolKey::new);
    let limit = filter.limit();
    let eyes = eyes(&admin, &operator, filter.reveal, "a list of bindings").await?;
    let found = admin
        .ledger
        .read(Touch::Scan, move |state, now| {
            let candidates: Box<dyn Iterator<Item = _>> = match x {
                Some(x) => Box::new(state.bindings_on(x).into_iter()),
                None => Box::new(state.bindings()),
            };
            Found::among(candidates, limit, |binding| {
                let of_party = party.is_none_or(|n| binding.a == n || binding.b == Some(n));
                let in_pool = pool.as_ref().is_none_or(|pool| {
                    state.number(binding.x).and_then(|n| n.class.pool).as_ref() == Some(pool)
                });
                (of_party && in_pool).then(|| view::binding_line(state, &binding, now, eyes))
            })
        })
        .await?;
    Ok(found.into_json())
}

pub async fn show(
    State(admin): State<Arc<Admin>>,
    operator: Operator,
    Path(subs_id): Path<String>,
    Query(filter): Query<Filter>,
) -> Answer {
    let id = subs_id_of(&subs_id)?;
    let what = format!("binding {id}");
    let eyes = eyes(&admin, &operator, filter.reveal, &what).await?;
    let found = admin
        .ledger
        .read(Touch::Scan, move |state, now| {
            let binding = state.binding(id)?;
            Some(view::binding(state, &binding, now, eyes))
        })
        .await?;
    if let Some(shown) = found {
        return Ok(Json(shown));
    }
    let past = admin.ledger.past(id).await?;
    past.map(|past| Json(view::past(&past, eyes)))
        .ok_or(AdminError::NotFound("binding"))
}

pub async fn unbind(
    State(admin): State<Arc<Admin>>,
    operator: Operator,
    Path(subs_id): Path<String>,
) -> Answer {
    let id = subs_id_of(&subs_id)?;
    let found = admin
        .ledger
        .read(Touch::Scan, move |state, _| {
            let binding = state.binding(id)?;
            let pool = state.number(binding.x)?.class.pool?;
            Some((binding.x, pool))
        })
        .await?;
    let (x, pool) = found.ok_or(AdminError::NotFound("binding"))?;
    let command = Command::Unbind {
        pool: PoolRef::Key(pool),
        subs_id: id,
        x,
    };
    admin.ledger.submit(operator.envelope(command)).await?;
    Ok(Json(json!({})))
}

fn subs_id_of(text: &str) -> Result<SubsId, AdminError> {
    SubsId::parse(text).ok_or_else(|| AdminError::Malformed("a SubsId is a number".to_owned()))
}
