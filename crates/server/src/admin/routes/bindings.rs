//! Bindings, as an operator sees and ends them.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use maskline_domain::PoolRef;
use maskline_domain::ops::Unbind;
use maskline_domain::{AccountId, PoolKey, SubsId};
use maskline_journal::pipeline::Touch;
use maskline_store::records::history::{self, Facts};

use super::{Answer, Filter, Found, LIMIT_DEFAULT, LIMIT_MAX, phone_number, there};
use crate::admin::auth::Operator;
use crate::admin::extract::Query;
use crate::admin::trace::{self, Asked};
use crate::admin::view::Visibility;
use crate::admin::{AdminError, view};
use crate::ledger::Ledger;

/// Where the ended bindings of a list begin that its others have filled: above every id.
const NEWEST: SubsId = SubsId(1 << 53);

/// Which bindings are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    account: Option<String>,
    pool: Option<String>,
    x: Option<String>,
    party: Option<String>,
    /// `live`, `over` (not yet tidied) and `ended`, joined by commas; without it all of them.
    state: Option<String>,
    /// Only ended ones with a lower id: the `next` of the page before.
    before: Option<String>,
    limit: Option<usize>,
    reveal: bool,
}

/// Which states are asked for.
#[derive(Clone, Copy, Debug)]
struct States {
    live: bool,
    over: bool,
    ended: bool,
}

impl States {
    fn parse(text: Option<&str>) -> Result<Self, AdminError> {
        let Some(text) = text else {
            let (live, over, ended) = (true, true, true);
            return Ok(Self { live, over, ended });
        };
        let names: Vec<&str> = text.split(',').map(str::trim).collect();
        let known = ["live", "over", "ended"];
        if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
            return Err(AdminError::Malformed(format!(
                "`{unknown}` is no state of a binding; those are live, over and ended"
            )));
        }
        Ok(Self {
            live: names.contains(&"live"),
            over: names.contains(&"over"),
            ended: names.contains(&"ended"),
        })
    }
}

/// First what is in the state, by id, then what has ended, the newest first.
pub async fn list(
    State(ledger): State<Ledger>,
    operator: Operator,
    Query(wanted): Query<Wanted>,
) -> Answer {
    there(&ledger, wanted.pool.as_deref(), wanted.account.as_deref()).await?;
    let states = States::parse(wanted.state.as_deref())?;
    let x = wanted.x.as_deref().map(phone_number).transpose()?;
    let party = wanted.party.as_deref().map(phone_number).transpose()?;
    let before = wanted.before.as_deref().map(subs_id_of).transpose()?;
    let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let asked = Asked::for_("bindings")
        .with("account", wanted.account.as_deref())
        .with("pool", wanted.pool.as_deref())
        .on(&ledger, x)
        .await?
        .by("party", party)
        .with("state", wanted.state.as_deref())
        .later(before.is_some());
    let filter = history::Filter {
        x,
        party,
        pool: wanted.pool.as_deref().map(PoolKey::new),
        account: wanted.account.as_deref().map(AccountId::new),
        before,
        limit: 0,
    };
    let visibility = Visibility {
        reveal: wanted.reveal,
    };
    let mut found = Found::default();
    if before.is_none() && (states.live || states.over) {
        found = standing(&ledger, &filter, states, limit, visibility).await?;
    }
    let mut next = None;
    if states.ended && !found.more {
        let left = (limit - found.rows.len()) as u32;
        if left == 0 {
            next = Some(NEWEST);
        } else {
            let filter = history::Filter {
                limit: left,
                ..filter
            };
            let page = ledger.past_bindings(&filter).await?;
            let rows = page
                .rows
                .iter()
                .map(|past| view::past_line(past, visibility));
            found.rows.extend(rows);
            next = page.next;
        }
    }
    trace::leave(
        &ledger,
        &operator,
        asked,
        visibility.reveal,
        found.rows.len(),
    )
    .await?;
    let more = found.more || next.is_some();
    let next = next.map(|next| next.to_string());
    Ok(Json(
        json!({ "items": found.rows, "more": more, "next": next }),
    ))
}

/// The bindings in the state.
async fn standing(
    ledger: &Ledger,
    filter: &history::Filter,
    states: States,
    limit: usize,
    visibility: Visibility,
) -> Result<Found, AdminError> {
    let filter = filter.clone();
    let found = ledger
        .read(Touch::Scan, move |state, now| {
            let candidates: Box<dyn Iterator<Item = _>> = match filter.x {
                Some(x) => Box::new(state.bindings_on(x).into_iter()),
                None => Box::new(state.bindings()),
            };
            Found::among(candidates, limit, |binding| {
                let of_party = filter
                    .party
                    .is_none_or(|n| binding.a == n || binding.b == Some(n));
                let owner = binding.owner.as_ref();
                let in_pool = (filter.pool.as_ref())
                    .is_none_or(|pool| owner.is_some_and(|owner| owner.pool == *pool));
                let of_account = (filter.account.as_ref())
                    .is_none_or(|account| owner.is_some_and(|owner| owner.account == *account));
                let in_state = if binding.is_over(now) {
                    states.over
                } else {
                    states.live
                };
                (of_party && in_pool && of_account && in_state)
                    .then(|| view::binding_line(&binding, now, visibility))
            })
        })
        .await?;
    Ok(found)
}

pub async fn show(
    State(ledger): State<Ledger>,
    operator: Operator,
    Path(subs_id): Path<String>,
    Query(filter): Query<Filter>,
) -> Answer {
    filter.only(&[])?;
    let id = subs_id_of(&subs_id)?;
    let visibility = Visibility {
        reveal: filter.reveal,
    };
    let found = ledger
        .read(Touch::Scan, move |state, now| {
            let binding = state.binding(id)?;
            Some(view::binding(&binding, now, visibility))
        })
        .await?;
    let shown = match found {
        Some(shown) => shown,
        None => ended(&ledger, id, visibility).await?,
    };
    let asked = Asked::for_(format!("binding {id}"));
    trace::leave(&ledger, &operator, asked, visibility.reveal, 1).await?;
    Ok(Json(shown))
}

/// A binding out of the history.
async fn ended(ledger: &Ledger, id: SubsId, visibility: Visibility) -> Result<Value, AdminError> {
    let past = ledger.past(id).await?;
    let past = past.ok_or(AdminError::NotFound("binding"))?;
    if past.facts == Facts::Unreadable {
        return Err(AdminError::Internal(format!(
            "the row of binding {id} in the history cannot be read; it was not erased"
        )));
    }
    Ok(view::past(&past, visibility))
}

pub async fn unbind(
    State(ledger): State<Ledger>,
    operator: Operator,
    Path(subs_id): Path<String>,
) -> Answer {
    let id = subs_id_of(&subs_id)?;
    let found = ledger
        .read(Touch::Scan, move |state, _| {
            let binding = state.binding(id)?;
            Some((binding.x, binding.owner?.pool))
        })
        .await?;
    let (x, pool) = found.ok_or(AdminError::NotFound("binding"))?;
    let command = Unbind {
        pool: PoolRef::Key(pool),
        subs_id: id,
        x,
    };
    ledger.submit(operator.envelope(command)).await?;
    Ok(Json(json!({})))
}

fn subs_id_of(text: &str) -> Result<SubsId, AdminError> {
    SubsId::parse(text).ok_or_else(|| AdminError::Malformed("a SubsId is a number".to_owned()))
}
