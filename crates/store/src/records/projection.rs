//! Projections: what is read out of the journal into tables, piece by piece.
//!
//! Rows and position are written in one transaction, so a projection neither
//! misses nor doubles an event; and since rows are unique by batch and event,
//! rebuilding one is a matter of setting its position back.

use maskline_domain::Event;

use super::entry::Place;
use super::{audit, history};
use crate::db::{Connection, Error, sql};
use maskline_journal::Codec;
use maskline_journal::batch::Batch;
use maskline_journal::payload::{self, Opened, PayloadError};

/// The name under which the position is stored.
pub const NAME: &str = "records";

/// Rows to be written for a stretch of the journal.
#[derive(Debug, Default)]
pub struct Projection {
    /// The last batch that is in it; 0 while it is empty.
    pub seq: u64,
    /// What happened to bindings.
    pub history: Vec<history::Change>,
    /// What else was done.
    pub audit: Vec<audit::AuditEntry>,
}

impl Projection {
    /// Takes in the next batch.
    ///
    /// # Errors
    /// [`PayloadError`] when it cannot be read.
    pub fn add(&mut self, batch: &Batch, codec: &Codec) -> Result<(), PayloadError> {
        let opened = payload::open(batch, codec)?;
        self.take(batch.seq, &opened);
        Ok(())
    }

    /// Takes in what the next batch says.
    pub fn take(&mut self, seq: u64, opened: &Opened) {
        let mut index = 0;
        for entry in &opened.entries {
            for event in &entry.events {
                let place = Place {
                    seq,
                    event: index,
                    at: opened.at,
                };
                index += 1;
                match event {
                    // Every signed command leaves one; it says nothing to people.
                    Event::CommandAnswered { .. } | Event::CommandsForgotten { .. } => {}
                    // Nothing has changed yet, and it may never.
                    Event::ChangeProposed { .. } => {}
                    // The binding is as it was. That the carrier was forgotten stands in the audit once.
                    Event::ProvisionDropped { .. } => {}
                    Event::Bound(_)
                    | Event::BindingChanged(_)
                    | Event::ProvisionChanged { .. }
                    | Event::Ended { .. } => {
                        self.history
                            .extend(history::Change::new(place, &entry.by, event));
                    }
                    other => {
                        let erasures = history::Change::erasures(place, &entry.by, other);
                        self.history.extend(erasures);
                        self.audit
                            .push(audit::AuditEntry::new(place, &entry.by, other));
                    }
                }
            }
        }
        self.seq = seq;
    }

    /// How many rows it will write.
    pub fn rows(&self) -> usize {
        self.history.len() + self.audit.len()
    }

    /// Writes rows and position. Must be called within a transaction.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn write(&self, conn: &mut Connection) -> Result<(), Error> {
        history::write(conn, &self.history).await?;
        audit::write(conn, &self.audit).await?;
        let reached = sql(
            "INSERT INTO projection (name, seq, position) VALUES (?, ?, 0) \
             ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, position = excluded.position",
        )
        .bind(NAME)
        .bind(self.seq as i64);
        conn.execute(reached).await?;
        Ok(())
    }
}

/// The last batch that the projection holds; 0 when it has none.
///
/// # Errors
/// Those of the database.
pub async fn position(conn: &mut Connection) -> Result<u64, Error> {
    let select = sql("SELECT seq FROM projection WHERE name = ?").bind(NAME);
    let row = conn.fetch_optional(select).await?;
    row.map_or(Ok(0), |row| Ok(row.get::<i64>("seq")? as u64))
}
