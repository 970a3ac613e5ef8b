//! X numbers.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use maskline_domain::PoolRef;
use maskline_domain::{City, Number, NumberStatus, PhoneNumber, PoolKey, ops};
use maskline_journal::pipeline::Touch;

use super::page::{self, Gathered};
use super::{Answer, Filter, one_of, phone_number, there};
use crate::admin::auth::Operator;
use crate::admin::extract::{Body, Query};
use crate::admin::trace::{self, Asked};
use crate::admin::view::Visibility;
use crate::admin::{AdminError, view};
use crate::ledger::Ledger;

pub async fn list(State(ledger): State<Ledger>, Query(filter): Query<Filter>) -> Answer {
    filter.only(&["account", "pool", "city", "status"])?;
    there(&ledger, filter.pool.as_deref(), filter.account.as_deref()).await?;
    let known = NumberStatus::ALL.map(NumberStatus::name);
    one_of("status", filter.status.as_deref(), &known)?;
    let pool = filter.pool.as_deref().map(PoolKey::new);
    let city = filter.city.as_deref().map(City::from_wire);
    let after = filter.after.as_deref().map(phone_number).transpose()?;
    let found = page::gather(
        &ledger,
        Touch::Scan,
        Gathered::new(after, filter.limit()),
        |state, now, found| {
            let after = found.after();
            let is_wanted = |number: &Number| {
                let class = &number.class;
                pool.as_ref()
                    .is_none_or(|pool| class.pool.as_ref() == Some(pool))
                    && city.as_ref().is_none_or(|city| class.city == *city)
                    && filter.account.as_deref().is_none_or(|account| {
                        let pool = state.pool_of(number.x);
                        pool.is_some_and(|pool| pool.account.as_str() == account)
                    })
                    && filter.status.as_deref().is_none_or(|status| {
                        let known = state.number_status(number.x, now);
                        known.is_some_and(|known| known.name() == status)
                    })
            };
            let numbers = state.numbers_from(after.unwrap_or(PhoneNumber::ERASED));
            let numbers = numbers.skip_while(|number| Some(number.x) == after);
            found.take(numbers.map(|number| {
                let row = is_wanted(&number).then(|| view::number(state, &number, now));
                (number.x, row)
            }));
        },
    );
    let text = |x: &PhoneNumber| x.reveal();
    found.await?.into_page(text).answer()
}

pub async fn show(
    State(ledger): State<Ledger>,
    operator: Operator,
    Path(x): Path<String>,
    Query(filter): Query<Filter>,
) -> Answer {
    filter.only(&[])?;
    let x = phone_number(&x)?;
    let visibility = Visibility {
        reveal: filter.reveal,
    };
    let found = ledger
        .read(Touch::Number(x), move |state, now| {
            let mut shown = view::number(state, &state.number(x)?, now);
            let bindings = state.bindings_on(x);
            shown["held_by"] = bindings
                .iter()
                .map(|binding| view::binding_line(binding, now, visibility))
                .collect::<Value>();
            Some((shown, bindings.len()))
        })
        .await?;
    let (shown, rows) = found.ok_or(AdminError::NotFound("number"))?;
    let asked = Asked::for_(format!("number {} and its bindings", x.reveal()));
    trace::leave(&ledger, &operator, asked, visibility.reveal, rows).await?;
    Ok(Json(shown))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    locked: bool,
}

pub async fn set_locked(
    State(ledger): State<Ledger>,
    operator: Operator,
    Path(x): Path<String>,
    Body(lock): Body<Lock>,
) -> Answer {
    let x = phone_number(&x)?;
    let number = ledger
        .read(Touch::Number(x), move |state, _| state.number(x))
        .await?
        .ok_or(AdminError::NotFound("number"))?;
    let pool = number.class.pool.map(PoolRef::Key).ok_or_else(|| {
        AdminError::Refused("the number is in no pool, so nothing selects it".to_owned())
    })?;
    if lock.locked {
        let command = operator.envelope(ops::Lock { pool, x });
        ledger.submit(command).await?;
    } else {
        let command = operator.envelope(ops::Unlock { pool, x });
        ledger.submit(command).await?;
    }
    Ok(Json(json!({})))
}
