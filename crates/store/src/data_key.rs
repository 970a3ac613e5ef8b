//! The table of data keys. Each is sealed under a master key, which this room knows by its id alone.

use std::fmt;

use maskline_sealing::{DataKeyId, Kind};

use crate::db::{Connection, Error, Row, sql, sqlite};

/// A data key as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedKey {
    /// Its number.
    pub id: DataKeyId,
    /// What it is for.
    pub kind: Kind,
    /// When it was made, UTC milliseconds.
    pub made_at: i64,
    /// The id of the master key that it is sealed under, hexadecimal.
    pub master: String,
    /// The key, sealed.
    pub sealed: Vec<u8>,
    /// How many values may be sealed under it until more are promised.
    pub promised: u64,
}

impl fmt::Debug for SealedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedKey")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("master", &self.master)
            .finish_non_exhaustive()
    }
}

/// All keys by number; none in a database of a program that knew of none.
///
/// # Errors
/// Those of the database.
pub async fn list(conn: &mut Connection) -> Result<Vec<SealedKey>, Error> {
    if !sqlite::has_table(conn, "data_key").await? {
        return Ok(Vec::new());
    }
    let select =
        sql("SELECT id, kind, made_at, master, sealed, promised FROM data_key ORDER BY id");
    let rows = conn.fetch_all(select).await?;
    rows.iter().map(key).collect()
}

fn key(row: &Row) -> Result<SealedKey, Error> {
    let kind: String = row.get("kind")?;
    let id = u32::try_from(row.get::<i64>("id")?)
        .map_err(|_| Error::in_column("id", &"no number of a key"))?;
    Ok(SealedKey {
        id: DataKeyId(id),
        kind: Kind::parse(&kind).ok_or_else(|| Error::in_column("kind", &"unknown kind of key"))?,
        made_at: row.get("made_at")?,
        master: row.get("master")?,
        sealed: row.get("sealed")?,
        promised: row.get::<i64>("promised")? as u64,
    })
}

/// Adds a key.
///
/// # Errors
/// Those of the database.
pub async fn insert(conn: &mut Connection, key: &SealedKey) -> Result<(), Error> {
    let insert = sql(
        "INSERT INTO data_key (id, kind, made_at, master, sealed, promised) \
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(i64::from(key.id.0))
    .bind(key.kind.name())
    .bind(key.made_at)
    .bind(key.master.as_str())
    .bind(&key.sealed)
    .bind(key.promised as i64);
    conn.execute(insert).await?;
    Ok(())
}

/// Promises uses of a key, so many in all.
///
/// # Errors
/// Those of the database.
pub async fn promise(conn: &mut Connection, id: DataKeyId, promised: u64) -> Result<u64, Error> {
    let update = sql("UPDATE data_key SET promised = ? WHERE id = ? AND promised < ?")
        .bind(promised as i64)
        .bind(i64::from(id.0))
        .bind(promised as i64);
    conn.execute(update).await
}

/// Puts a key sealed under another master key in the place of what is there.
///
/// # Errors
/// Those of the database.
pub async fn reseal(conn: &mut Connection, key: &SealedKey) -> Result<u64, Error> {
    let update = sql("UPDATE data_key SET master = ?, sealed = ? WHERE id = ?")
        .bind(key.master.as_str())
        .bind(&key.sealed)
        .bind(i64::from(key.id.0));
    conn.execute(update).await
}
