//! Audit: who changed what, bindings aside (those have their own history).

use maskline_domain::{Actor, Event, Timestamp};
use serde_json::Value;

use super::entry::{Place, actor, runs};
use crate::db::{Connection, Error, Readers, Row, sql};

/// One line of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Where it stands in the journal.
    pub place: Place,
    /// Who did it.
    pub actor: String,
    /// Who they say they are, of an operator; nothing proves it.
    pub remark: Option<String>,
    /// The event's name.
    pub action: String,
    /// The event's content as JSON, secrets left out and people's numbers
    /// masked.
    pub facts: String,
}

impl AuditEntry {
    /// What an event tells.
    pub(super) fn new(place: Place, by: &Actor, event: &Event) -> Self {
        let (action, facts) = described(event);
        let remark = match by {
            Actor::Operator { remark, .. } => remark.as_deref().map(str::to_owned),
            Actor::Customer { .. } | Actor::Job { .. } => None,
        };
        Self {
            place,
            actor: actor(by),
            remark,
            action,
            facts: facts.to_string(),
        }
    }
}

/// The name of an event and its content, without sealed secrets.
fn described(event: &Event) -> (String, Value) {
    let value = match event {
        Event::EmergencyNumbersSet { numbers } => {
            let count = numbers.len();
            return (
                "emergency_numbers_set".to_owned(),
                serde_json::json!({ "count": count }),
            );
        }
        // From which bindings stands in the journal.
        Event::PersonErased { bindings, .. } => {
            let facts = serde_json::json!({ "bindings": bindings });
            return ("person_erased".to_owned(), facts);
        }
        // A note is told by its own name.
        Event::Noted(note) => serde_json::to_value(note).unwrap_or(Value::Null),
        other => serde_json::to_value(other).unwrap_or(Value::Null),
    };
    match value {
        Value::Object(object) => {
            let Some((name, mut facts)) = object.into_iter().next() else {
                return (String::new(), Value::Null);
            };
            conceal(&mut facts);
            (name, facts)
        }
        Value::String(name) => (name, Value::Null),
        other => (String::new(), other),
    }
}

/// Takes sealed secrets out, wherever they stand.
fn conceal(facts: &mut Value) {
    if let Some(fields) = facts.as_object_mut() {
        fields.remove("sealed_secret");
        fields.remove("token_hash");
        fields.values_mut().for_each(conceal);
    }
}

/// Writes entries. One that is there already stays.
///
/// # Errors
/// Those of the database.
pub async fn write(conn: &mut Connection, entries: &[AuditEntry]) -> Result<(), Error> {
    // The remark stands behind the name, as no name has a blank.
    let actor = |entry: &AuditEntry| match &entry.remark {
        None => entry.actor.clone(),
        Some(remark) => format!("{} {remark}", entry.actor),
    };
    for some in runs(entries) {
        let insert = sql("INSERT INTO audit (seq, event, at, actor, deed, facts) ")
            .push_rows(some, |row, entry| {
                row.bind(entry.place.seq as i64)
                    .bind(entry.place.event)
                    .bind(entry.place.at.0)
                    .bind(actor(entry))
                    .bind(&entry.action)
                    .bind(&entry.facts)
            })
            .push(" ON CONFLICT (seq, event) DO NOTHING");
        conn.execute(insert).await?;
    }
    Ok(())
}

/// The newest `limit` entries before `before`, which is a batch and which of its events; the newest
/// first.
///
/// # Errors
/// Those of the database.
pub async fn list(
    readers: &Readers,
    before: Option<(u64, u32)>,
    limit: u32,
) -> Result<Vec<AuditEntry>, Error> {
    let (seq, event) = before.map_or((i64::MAX, 0), |(seq, event)| {
        (i64::try_from(seq).unwrap_or(i64::MAX), event)
    });
    let select = sql(
        "SELECT seq, event, at, actor, deed, facts FROM audit WHERE (seq, event) < (?, ?) \
         ORDER BY seq DESC, event DESC LIMIT ?",
    )
    .bind(seq)
    .bind(event)
    .bind(limit);
    let rows = readers.fetch_all(select).await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<AuditEntry, Error> {
    let written: String = row.get("actor")?;
    let (actor, remark) = match written.split_once(' ') {
        None => (written, None),
        Some((actor, remark)) => (actor.to_owned(), Some(remark.to_owned())),
    };
    Ok(AuditEntry {
        place: Place {
            seq: row.get::<i64>("seq")? as u64,
            event: row.get::<i64>("event")? as u32,
            at: Timestamp(row.get("at")?),
        },
        actor,
        remark,
        action: row.get("deed")?,
        facts: row.get("facts")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use maskline_domain::trunk::Credentials;
    use maskline_domain::{
        AccessKey, AccessKeyId, AccountId, Carrier, CarrierName, PhoneNumber, Trunk, TrunkName,
    };

    #[test]
    fn a_sealed_secret_does_not_show() {
        let key = AccessKey {
            id: AccessKeyId::new("LTAI1"),
            account: AccountId::new("acme"),
            user: None,
            sealed_secret: vec![201, 202, 203].into(),
            active: true,
            created_at: Timestamp(5),
        };
        let (action, facts) = described(&Event::KeySet(key));
        assert_eq!(action, "key_set");
        assert_eq!(facts["id"], "LTAI1");
        assert!(!facts.to_string().contains("201"), "{facts}");
        let trunk = Trunk {
            auth: Some(Credentials {
                username: "line-1".into(),
                sealed_secret: vec![201, 202, 203].into(),
            }),
            ..Trunk::new(TrunkName::new("carrier"), "192.0.2.1:5060")
        };
        let (_, facts) = described(&Event::TrunkSet(Box::new(trunk)));
        assert_eq!(facts["auth"]["username"], "line-1");
        assert!(!facts.to_string().contains("201"), "{facts}");
        let carrier = Carrier {
            sealed_secret: Some(vec![201, 202, 203].into()),
            ..Carrier::new(CarrierName::new("unicom"))
        };
        let (action, facts) = described(&Event::CarrierSet(Box::new(carrier)));
        assert_eq!(
            (&*action, &facts["name"]),
            ("carrier_set", &"unicom".into())
        );
        assert!(!facts.to_string().contains("201"), "{facts}");
    }

    #[test]
    fn lists_of_numbers_are_counted_not_shown() {
        let numbers = vec![PhoneNumber::parse("13800001234").expect("digits")];
        let (_, facts) = described(&Event::EmergencyNumbersSet { numbers });
        assert_eq!(facts.to_string(), r#"{"count":1}"#);
    }
}
