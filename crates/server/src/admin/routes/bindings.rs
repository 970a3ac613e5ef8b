//! Bindings, as an operator sees and ends them.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use maskline_domain::PoolRef;
use maskline_domain::ops::Unbind;
use maskline_domain::{AccountId, Binding, PhoneNumber, PoolKey, SubsId, Timestamp};
use maskline_journal::pipeline::Touch;
use maskline_store::records::history::{self, Facts};

use super::page::{self, Gathered, Page};
use super::{Answer, Filter, phone_number, there};
use crate::admin::auth::Operator;
use crate::admin::extract::Query;
use crate::admin::trace::{self, Asked};
use crate::admin::view::Visibility;
use crate::admin::{AdminError, view};
use crate::carriers::Carriers;
use crate::ledger::Ledger;

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
    /// Only those with a lower id: the `next` of the page before.
    #[serde(alias = "before")]
    after: Option<String>,
    limit: Option<usize>,
    reveal: bool,
}

/// Which states are asked for.
#[derive(Clone, Copy, Debug)]
struct States {
    live: bool,
    reserved: bool,
    releasing: bool,
    over: bool,
    ended: bool,
}

impl States {
    fn parse(text: Option<&str>) -> Result<Self, AdminError> {
        let Some(text) = text else {
            return Ok(Self {
                live: true,
                reserved: true,
                releasing: true,
                over: true,
                ended: true,
            });
        };
        let names: Vec<&str> = text.split(',').map(str::trim).collect();
        let known = ["live", "over", "ended", "reserved", "releasing"];
        if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
            return Err(AdminError::Malformed(format!(
                "`{unknown}` is no state of a binding; those are live, over and ended, and with a carrier reserved and \
                 releasing"
            )));
        }
        Ok(Self {
            live: names.contains(&"live"),
            reserved: names.contains(&"reserved"),
            releasing: names.contains(&"releasing"),
            over: names.contains(&"over"),
            ended: names.contains(&"ended"),
        })
    }

    /// Whether bindings of the state are in any of them.
    fn has_present(self) -> bool {
        self.live || self.reserved || self.releasing || self.over
    }

    /// Whether a binding of the state is in one of them.
    fn have(self, binding: &Binding, now: Timestamp) -> bool {
        match view::binding_state(binding, now) {
            "reserved" => self.reserved,
            "releasing" => self.releasing,
            "over" => self.over,
            _ => self.live,
        }
    }
}

/// The newest first, by id, whether they are in force or have ended.
pub async fn list(
    State(ledger): State<Ledger>,
    operator: Operator,
    Query(wanted): Query<Wanted>,
) -> Answer {
    there(&ledger, wanted.pool.as_deref(), wanted.account.as_deref()).await?;
    let states = States::parse(wanted.state.as_deref())?;
    let x = wanted.x.as_deref().map(phone_number).transpose()?;
    let party = wanted.party.as_deref().map(phone_number).transpose()?;
    let key = |text| SubsId::parse(text).ok_or_else(page::no_key);
    let before = wanted.after.as_deref().map(key).transpose()?;
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
        ended: None,
        limit: page::limit(wanted.limit) as u32,
    };
    let visibility = Visibility {
        reveal: wanted.reveal,
    };
    let page = match party {
        Some(party) => of_person(&ledger, party, filter, states, visibility).await?,
        None => of_all(&ledger, filter, states, visibility).await?,
    };
    trace::leave(
        &ledger,
        &operator,
        asked,
        visibility.reveal,
        page.rows.len(),
    )
    .await?;
    page.answer()
}

/// The bindings of a person. The history finds them by the key of the person, those in force too; of
/// these the state says how they are.
async fn of_person(
    ledger: &Ledger,
    party: PhoneNumber,
    filter: history::Filter,
    states: States,
    visibility: Visibility,
) -> Result<Page, AdminError> {
    let ended = match (states.has_present(), states.ended) {
        (true, true) => None,
        (_, ended) => Some(ended),
    };
    let page = ledger
        .past_bindings(&history::Filter { ended, ..filter })
        .await?;
    let in_force: Vec<SubsId> = page
        .rows
        .iter()
        .filter(|past| past.ended.is_none())
        .map(|past| past.subs_id)
        .collect();
    let mut known = BTreeMap::new();
    for ids in in_force.chunks(page::VISITED_AT_ONCE) {
        let rows = ledger.read(Touch::Scan, |state, now| {
            let bindings = ids.iter().filter_map(|&id| state.binding(id));
            let rows = bindings.map(|binding| {
                let is_party = binding.a == party || binding.b == Some(party);
                let is_wanted = is_party && states.have(&binding, now);
                let row = is_wanted.then(|| view::binding_line(&binding, now, visibility));
                (binding.subs_id, row)
            });
            rows.collect::<Vec<_>>()
        });
        known.extend(rows.await?);
    }
    let mut rows = Vec::new();
    for past in &page.rows {
        let row = match (&past.ended, known.remove(&past.subs_id)) {
            (Some(_), _) => Some(view::past_line(past, visibility)),
            (None, Some(row)) => row,
            // It has ended since.
            (None, None) if states.ended => {
                let past = ledger.past(past.subs_id).await?;
                past.map(|past| view::past_line(&past, visibility))
            }
            (None, None) => None,
        };
        rows.extend(row);
    }
    let next = page.next.map(|id| id.to_string());
    Ok(Page { rows, next })
}

/// The bindings of everybody: those of the state and those of the history, each where it is known best.
async fn of_all(
    ledger: &Ledger,
    filter: history::Filter,
    states: States,
    visibility: Visibility,
) -> Result<Page, AdminError> {
    let limit = filter.limit as usize;
    let mut rows = BTreeMap::new();
    // Below it, one of the two was not looked through.
    let mut floor = None;
    if states.has_present() {
        let found = standing(ledger, &filter, states, visibility).await?;
        let (found, next) = found.into_rows();
        rows.extend(found);
        floor = floor.max(next);
    }
    // Read after the state, so that what leaves it meanwhile is found here.
    if states.ended {
        let ended = Some(true);
        let page = ledger
            .past_bindings(&history::Filter { ended, ..filter })
            .await?;
        for past in &page.rows {
            // What a carrier has not let go yet is told of by the state.
            let line = || view::past_line(past, visibility);
            rows.entry(past.subs_id).or_insert_with(line);
        }
        floor = floor.max(page.next);
    }
    if let Some(floor) = floor {
        rows = rows.split_off(&floor);
    }
    let surplus = rows.len().saturating_sub(limit);
    let mut rows = rows.into_iter().skip(surplus).peekable();
    let last = rows.peek().map(|(id, _)| *id).filter(|_| surplus > 0);
    let mut rows: Vec<Value> = rows.map(|(_, row)| row).collect();
    rows.reverse();
    let next = last.or(floor).map(|id| id.to_string());
    Ok(Page { rows, next })
}

/// The bindings in the state.
async fn standing(
    ledger: &Ledger,
    filter: &history::Filter,
    states: States,
    visibility: Visibility,
) -> Result<Gathered<SubsId>, AdminError> {
    let found = Gathered::new(filter.before, filter.limit as usize);
    let found = page::gather(ledger, Touch::Scan, found, |state, now, found| {
        let before = found.after().unwrap_or(SubsId(u64::MAX));
        let row = |binding: Binding| {
            let owner = binding.owner.as_ref();
            let in_pool = (filter.pool.as_ref())
                .is_none_or(|pool| owner.is_some_and(|owner| owner.pool == *pool));
            let of_account = (filter.account.as_ref())
                .is_none_or(|account| owner.is_some_and(|owner| owner.account == *account));
            let is_wanted = in_pool && of_account && states.have(&binding, now);
            let row = is_wanted.then(|| view::binding_line(&binding, now, visibility));
            (binding.subs_id, row)
        };
        match filter.x {
            Some(x) => {
                let bindings = state.bindings_on(x).into_iter().rev();
                let bindings = bindings.filter(|binding| binding.subs_id < before);
                found.take(bindings.map(row));
            }
            None => found.take(state.bindings_below(before).map(row)),
        }
    });
    Ok(found.await?)
}

pub async fn show(
    State(ledger): State<Ledger>,
    State(carriers): State<Carriers>,
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
    let mut shown = match found {
        Some(shown) => shown,
        None => ended(&ledger, id, visibility).await?,
    };
    shown["carrier_answer"] = json!(carriers.last_answer(id).map(|last| {
        json!({
            "operation": last.operation,
            "answer": last.answer.name(),
            "seen": last.seen.as_str(),
            "at": last.at.format_china(),
        })
    }));
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
    State(carriers): State<Carriers>,
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
    carriers.wake_of(id).await;
    Ok(Json(json!({})))
}

fn subs_id_of(text: &str) -> Result<SubsId, AdminError> {
    SubsId::parse(text).ok_or_else(|| AdminError::Malformed("a SubsId is a number".to_owned()))
}
