//! What an erasure finds in the history, and blanks of it.

use std::borrow::Cow;

use maskline_domain::{Actor, Binding, ErasedParts, Event, Part, PhoneNumber, SubsId};

use super::super::entry::{Place, actor};
use super::super::party_key::party_key;
use super::{BindingColumns, Change, FORM, HistoryChange, subs_id};
use crate::db::{Connection, Error, Readers, Row, Statement, sql};
use crate::erasure::{Found, Traces};

impl Change {
    /// What an erasure changes; nothing for another event.
    pub(in crate::records) fn erasures(place: Place, by: &Actor, event: &Event) -> Vec<Self> {
        let Event::PersonErased { last, .. } = event else {
            return Vec::new();
        };
        let change = |erased: &ErasedParts| Self {
            place,
            by: actor(by),
            what: HistoryChange::Erased {
                subs_id: SubsId(erased.of),
                parts: erased.parts.clone(),
            },
        };
        last.iter().map(change).collect()
    }
}

/// The ended bindings in whose last facts `number` is A or B, and which of them.
///
/// # Errors
/// Those of the database.
pub async fn ended_with(readers: &Readers, number: PhoneNumber) -> Result<Found, Error> {
    let rows = readers.fetch_all(with(number)).await?;
    let key = party_key(number);
    let traces = |row: &Row| {
        let is_person = |column| Ok::<_, Error>(row.get::<Option<Vec<u8>>>(column)? == key);
        let traces = Traces {
            a: is_person("a_key")?,
            b: is_person("b_key")?,
            ..Traces::default()
        };
        Ok((subs_id(row)?, traces))
    };
    rows.iter().map(traces).collect()
}

pub(super) fn with<'a>(number: PhoneNumber) -> Statement<'a> {
    sql("SELECT subs_id, a_key, b_key FROM binding_history \
         WHERE ended_at IS NOT NULL AND (a_key = ? OR b_key = ?) ORDER BY subs_id")
    .bind(party_key(number))
    .bind(party_key(number))
}

/// Blanks parts of one ended binding; of one that cannot be read, everything.
/// Says whether there was anything.
///
/// # Errors
/// Those of the database.
pub async fn erase(conn: &mut Connection, subs_id: SubsId, parts: &[Part]) -> Result<bool, Error> {
    let select = sql("SELECT facts, form FROM binding_history \
         WHERE subs_id = ? AND ended_at IS NOT NULL AND facts IS NOT NULL")
    .bind(subs_id.0 as i64);
    let Some(row) = conn.fetch_optional(select).await? else {
        return Ok(false);
    };
    let before: Cow<'_, str> = row.get("facts")?;
    let is_known = row.get::<i64>("form")? == FORM;
    let left = serde_json::from_str::<Binding>(&before).ok();
    let left = left.filter(|_| is_known).map(|mut binding| {
        parts.iter().for_each(|&part| binding.erase(part));
        BindingColumns::of(&binding)
    });
    let left = left.as_deref();
    let update = sql(
        "UPDATE binding_history SET facts = ?, a = ?, b = ?, a_key = ?, b_key = ?, form = ? \
         WHERE subs_id = ?",
    )
    .bind(left.and_then(|left| left.facts.as_deref()))
    .bind(left.and_then(|left| left.a.as_deref()))
    .bind(left.and_then(|left| left.b.as_deref()))
    .bind(left.and_then(|left| left.a_key.as_deref()))
    .bind(left.and_then(|left| left.b_key.as_deref()))
    .bind(FORM)
    .bind(subs_id.0 as i64);
    conn.execute(update).await?;
    Ok(left.and_then(|left| left.facts.as_deref()) != Some(&*before))
}
