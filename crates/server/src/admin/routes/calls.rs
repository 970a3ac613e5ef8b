//! Call records.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use maskline_domain::Timestamp;
use maskline_domain::call_record::{CallRecord, situations};
use maskline_store::db;
use maskline_store::records::call::{self, CallKey};
use maskline_store::records::retention;

use super::page::{self, Page};
use super::{Answer, Filter, one_of, phone_number, there};
use crate::admin::AdminError;
use crate::admin::auth::Operator;
use crate::admin::extract::Query;
use crate::admin::trace::{self, Asked};
use crate::admin::view::{self, Visibility};
use crate::calls::CallsHandle;
use crate::ledger::Ledger;
use maskline_switch::LiveCall;

/// Which call records are asked for. Times are China time.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    x: Option<String>,
    account: Option<String>,
    pool: Option<String>,
    /// In which this is the caller, the callee, A or B.
    party: Option<String>,
    caller: Option<String>,
    since: Option<String>,
    until: Option<String>,
    situation: Option<String>,
    open: Option<bool>,
    after: Option<String>,
    limit: Option<usize>,
    reveal: bool,
}

pub async fn list(
    State(ledger): State<Ledger>,
    operator: Operator,
    Query(filter): Query<Wanted>,
) -> Answer {
    let known: Vec<&str> = situations().collect();
    one_of("situation", filter.situation.as_deref(), &known)?;
    there(&ledger, filter.pool.as_deref(), filter.account.as_deref()).await?;
    let limit = page::limit(filter.limit);
    let after = filter.after.as_deref().map(key_of).transpose()?;
    let party = filter.party.as_deref().map(phone_number).transpose()?;
    let caller = filter.caller.as_deref().map(phone_number).transpose()?;
    let x = filter.x.as_deref().map(phone_number).transpose()?;
    let asked = Asked::for_("calls")
        .on(&ledger, x)
        .await?
        .by("party", party)
        .by("caller", caller)
        .with("account", filter.account.as_deref())
        .with("pool", filter.pool.as_deref())
        .with("since", filter.since.as_deref())
        .with("until", filter.until.as_deref())
        .with("situation", filter.situation.as_deref())
        .with(
            "open",
            filter.open.map(|open| if open { "true" } else { "false" }),
        )
        .later(after.is_some());
    let visibility = Visibility {
        reveal: filter.reveal,
    };
    let wanted = call::Filter {
        x,
        account: filter.account,
        pool: filter.pool,
        since: filter.since.as_deref().map(moment).transpose()?,
        before: filter.until.as_deref().map(moment).transpose()?,
        situation: filter.situation,
        open: filter.open,
        party,
        caller,
        after,
        limit: limit as u32,
        ..call::Filter::default()
    };
    let found = call::list(ledger.readers(), &wanted).await.map_err(fault)?;
    let rows: Vec<Value> = found
        .rows
        .iter()
        .map(|listed| match listed {
            Ok((call, open)) => line(call, *open, visibility),
            Err(unreadable) => {
                ledger.tell_unreadable(unreadable);
                json!({ "call_id": unreadable.call_id, "state": "unreadable" })
            }
        })
        .collect();
    trace::leave(&ledger, &operator, asked, visibility.reveal, rows.len()).await?;
    let next = found.next.as_ref().map(key_text);
    Page { rows, next }.answer()
}

/// Where a page of calls begins, as its `next` is written.
fn key_text((at, call_id): &CallKey) -> String {
    format!("{}.{call_id}", at.millis())
}

fn key_of(text: &str) -> Result<CallKey, AdminError> {
    let (at, call_id) = text.split_once('.').ok_or_else(page::no_key)?;
    let at = at.parse().map_err(|_| page::no_key())?;
    Ok((Timestamp(at), call_id.to_owned()))
}

/// The calls that last, as the loop that carries them knows them.
pub async fn live(
    State(ledger): State<Ledger>,
    State(calls): State<CallsHandle>,
    operator: Operator,
    Query(filter): Query<Filter>,
) -> Answer {
    filter.only(&[])?;
    let visibility = Visibility {
        reveal: filter.reveal,
    };
    let after = filter.after.as_deref().map(key_of).transpose()?;
    let calls = calls
        .live_calls()
        .await
        .ok_or_else(|| AdminError::Unavailable("the calls cannot be looked at now".to_owned()))?;
    let count = calls.len();
    let asked = Asked::for_("live calls").later(after.is_some());
    let (calls, next) = live_page(calls, after.as_ref(), filter.limit());
    let rows: Vec<Value> = calls
        .iter()
        .map(|call| live_line(call, visibility))
        .collect();
    trace::leave(&ledger, &operator, asked, visibility.reveal, rows.len()).await?;
    let mut shown = Page { rows, next }.into_json();
    shown["calls"] = json!(count);
    Ok(Json(shown))
}

/// The calls behind one, who came first at first, and where the next page begins.
fn live_page(
    mut calls: Vec<LiveCall>,
    after: Option<&CallKey>,
    limit: usize,
) -> (Vec<LiveCall>, Option<String>) {
    let key = |call: &LiveCall| (call.arrived_at, call.call_id.clone());
    calls.retain(|call| after.is_none_or(|after| key(call) > *after));
    calls.sort_by_cached_key(key);
    let is_more = calls.len() > limit;
    calls.truncate(limit);
    let last = calls.last().filter(|_| is_more);
    let next = last.map(|call| key_text(&key(call)));
    (calls, next)
}

fn live_line(call: &LiveCall, visibility: Visibility) -> Value {
    json!({
        "call_id": call.call_id,
        "stage": call.stage.name(),
        "arrived_at": call.arrived_at.format_china(),
        "x": call.x.map(|x| x.reveal()),
        "caller": call.caller.map(|caller| visibility.party(caller)),
        "callee": call.callee.map(|callee| visibility.party(callee)),
        "pool": call.pool,
        "subs_id": call.subs_id.map(|id| id.to_string()),
        "trunk_in": call.trunk_in,
        "trunk_out": call.trunk_out,
    })
}

pub async fn show(
    State(ledger): State<Ledger>,
    operator: Operator,
    Path(call_id): Path<String>,
    Query(filter): Query<Filter>,
) -> Answer {
    filter.only(&[])?;
    let visibility = Visibility {
        reveal: filter.reveal,
    };
    let found = call::get(ledger.readers(), &call_id).await.map_err(fault)?;
    let found = found.ok_or(AdminError::NotFound("call"))?;
    let (call, open) = found.map_err(|unreadable| {
        ledger.tell_unreadable(&unreadable);
        AdminError::Internal(unreadable.to_string())
    })?;
    let mut shown = line(&call, open, visibility);
    let time = |at: Option<Timestamp>| at.map(Timestamp::format_china);
    let more = json!({
        "node": call.node,
        "account": call.account,
        "pool": call.pool,
        "product": call.product,
        "subs_id": call.subs_id.map(|id| id.to_string()),
        "a": call.a.map(|a| visibility.party(a)),
        "b": call.b.map(|b| visibility.party(b)),
        "extension": call.extension,
        "out_id": visibility.text(call.out_id.as_deref()),
        "out_order_id": visibility.text(call.out_order_id.as_deref()),
        "trunk_in": call.trunk_in,
        "trunk_out": call.trunk_out,
        "dialled_at": time(call.dialled_at),
        "ringing_at": time(call.ringing_at),
        "answered_at": time(call.answered_at),
        "released_at": time(call.released_at),
        "one_way": call.one_way,
        "recording": call.recording,
        "media": call.media.as_deref().map(json_of),
        "ladder": ladder(&call, visibility),
    });
    view::extend(&mut shown, more);
    let gone = retention::recording_deleted_at(ledger.readers(), &call.call_id).await;
    if let Some(at) = gone.map_err(fault)? {
        shown["recording_deleted_at"] = json!(at.format_china());
    }
    let asked = Asked::for_(format!("call {}", call.call_id));
    trace::leave(&ledger, &operator, asked, visibility.reveal, 1).await?;
    Ok(Json(shown))
}

fn line(call: &CallRecord, open: bool, visibility: Visibility) -> Value {
    let talked_s = call
        .answered_at
        .zip(call.released_at)
        .map(|(from, to)| (to.millis() - from.millis()).max(0) / 1000);
    json!({
        "call_id": call.call_id,
        "arrived_at": call.arrived_at.format_china(),
        "x": call.x.map(|x| x.reveal()),
        "caller": call.caller.map(|caller| visibility.party(caller)),
        "callee": call.callee.map(|callee| visibility.party(callee)),
        "state": if open { "open" } else { "closed" },
        "situation": call.situation,
        "release_by": call.release_by,
        "sip_status": call.sip_status,
        "q850_cause": call.q850_cause,
        "talked_s": talked_s,
    })
}

/// What was said, step by step. It is written masked; should a whole number of a party stand there all
/// the same, it is masked here.
fn ladder(call: &CallRecord, visibility: Visibility) -> Value {
    let Some(text) = &call.ladder else {
        return Value::Null;
    };
    let parties = [call.caller, call.callee, call.a, call.b];
    let masked = parties
        .into_iter()
        .flatten()
        .filter(|party| !visibility.reveal && party.len() > 6 && Some(*party) != call.x)
        .fold(text.clone(), |text, party| {
            text.replace(&party.reveal(), &party.to_string())
        });
    json_of(&masked)
}

/// JSON that stands in a record as text.
fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

fn moment(text: &str) -> Result<Timestamp, AdminError> {
    Timestamp::parse_china(text).ok_or_else(|| {
        AdminError::Malformed("a time is written as yyyy-MM-dd HH:mm:ss, China time".to_owned())
    })
}

fn fault(error: db::Error) -> AdminError {
    AdminError::Internal(format!("call records: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use maskline_domain::call::Stage;
    use std::collections::BTreeSet;

    fn call(n: i64) -> LiveCall {
        LiveCall {
            // Most came in one millisecond.
            call_id: format!("call-{:05}", n * 7_919 % 99_991),
            stage: Stage::Talking,
            arrived_at: Timestamp(1_800_000_000_000 + n / 2_000),
            x: None,
            caller: None,
            callee: None,
            pool: None,
            subs_id: None,
            trunk_in: None,
            trunk_out: None,
        }
    }

    #[test]
    fn every_live_call_is_on_one_page_while_others_come_and_go() {
        #[rustfmt::skip]
        let rows = [
            // Calls, rows of a page.
            (200, 1), (300, 2), (900, 7), (3_000, 97), (3_000, 999), (3_000, 1_000), (3_000, 2_999), (3_000, 3_000), (3_000, 3_001),
        ];
        for (count, limit) in rows {
            // Those of an odd number stay; for a while each page an even one goes and a new one comes.
            let mut calls: Vec<LiveCall> = (0..count).map(call).collect();
            let (mut given, mut after) = (Vec::new(), None);
            for page in 1.. {
                let (rows, next) = live_page(calls.clone(), after.as_ref(), limit);
                assert!(rows.len() <= limit, "{limit} a page");
                given.extend(rows.into_iter().map(|call| call.call_id));
                let Some(next) = next else { break };
                after = key_of(&next).ok();
                assert!(after.is_some(), "{next}");
                if page < count / 4 {
                    let gone = call(page * 2).call_id;
                    calls.retain(|call| call.call_id != gone);
                    calls.push(call(count + page));
                }
            }
            let once: BTreeSet<&String> = given.iter().collect();
            assert_eq!(once.len(), given.len(), "{limit} a page");
            let stayed = (1..count).step_by(2).map(call);
            for call in stayed {
                assert!(
                    once.contains(&call.call_id),
                    "{}, {limit} a page",
                    call.call_id
                );
            }
        }
    }
}
