//! The seam to the database: statements as text with values, rows, transactions.
//!
//! A statement has one text for every engine, in the SQL that SQLite and PostgreSQL share, with a `?` for each value in
//! order; an engine that writes placeholders otherwise translates them. What an engine alone can do stands in its own
//! file, as does every type of the library that speaks to it: [`sqlite`] is the one there is.

mod error;
pub mod sqlite;
mod statement;
mod value;

pub use error::{Error, ErrorKind};
pub use statement::{Statement, sql};
pub use value::{FromValue, Mismatch, Value};

/// A connection to the database: one of its own, or one of [`Readers`], to which it goes back.
#[derive(Debug)]
pub struct Connection(sqlite::Link);

impl Connection {
    /// Carries out a statement. Says how many rows it wrote or took away.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn execute(&mut self, statement: Statement<'_>) -> Result<u64, Error> {
        self.0.execute(statement).await
    }

    /// All rows of a query, which bounds them itself.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn fetch_all(&mut self, query: Statement<'_>) -> Result<Vec<Row>, Error> {
        let rows = self.0.fetch_all(query).await?;
        Ok(rows.into_iter().map(Row).collect())
    }

    /// The first row of a query, if there is any.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn fetch_optional(&mut self, query: Statement<'_>) -> Result<Option<Row>, Error> {
        Ok(self.0.fetch_optional(query).await?.map(Row))
    }

    /// The first row of a query that always has one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn fetch_one(&mut self, query: Statement<'_>) -> Result<Row, Error> {
        let row = self.fetch_optional(query).await?;
        row.ok_or_else(|| {
            Error::new(
                ErrorKind::Unreadable,
                "a query has no row, and must have one",
            )
        })
    }

    /// Does `work` in one transaction, which has the right to write from its beginning on. Nothing of it is written when
    /// `work` fails, and the transaction is over in any case.
    ///
    /// # Errors
    /// Those of `work` and of the database. Whether everything or nothing was written is then told by
    /// [`Error::kind`].
    pub async fn transaction<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let outcome = self.attempt(work).await;
        if outcome.is_err() {
            // After some errors the engine has rolled back by itself; then this fails, and that is well.
            let _ = self.execute(sql("ROLLBACK")).await;
        }
        outcome
    }

    async fn attempt<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.execute(sql(sqlite::BEGIN)).await?;
        let done = work(self).await?;
        self.execute(sql("COMMIT")).await?;
        Ok(done)
    }

    /// Closes it in order.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn close(self) -> Result<(), Error> {
        self.0.close().await
    }
}

/// Connections that can only read, shared by all who ask. Clones are the same ones.
#[derive(Debug, Clone)]
pub struct Readers(sqlite::Pool);

impl Readers {
    /// A connection for several statements. Waits while all are in use, but not for ever.
    ///
    /// # Errors
    /// Those of the database, and when none becomes free in time.
    pub async fn acquire(&self) -> Result<Connection, Error> {
        self.0.acquire().await.map(Connection)
    }

    /// All rows of a query, which bounds them itself.
    ///
    /// # Errors
    /// Those of [`Readers::acquire`].
    pub async fn fetch_all(&self, query: Statement<'_>) -> Result<Vec<Row>, Error> {
        self.acquire().await?.fetch_all(query).await
    }

    /// The first row of a query, if there is any.
    ///
    /// # Errors
    /// Those of [`Readers::acquire`].
    pub async fn fetch_optional(&self, query: Statement<'_>) -> Result<Option<Row>, Error> {
        self.acquire().await?.fetch_optional(query).await
    }

    /// Closes them all, once those in use have come back.
    pub async fn close(&self) {
        self.0.close().await;
    }
}

/// One row of a query.
#[derive(Debug)]
pub struct Row(sqlite::Columns);

impl Row {
    /// The value in a column, by the name that the query gives to it.
    ///
    /// # Errors
    /// [`ErrorKind::Unreadable`] when there is no such column, or a value of another kind; tells nothing of the value.
    pub fn get<'r, T: FromValue<'r>>(&'r self, column: &str) -> Result<T, Error> {
        T::from_value(self.0.value(column)?).map_err(|mismatch| Error::in_column(column, &mismatch))
    }
}
