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
pub struct Connection {
    link: sqlite::Link,
    /// A transaction may be open of which nobody knows any more, so that what is written would be a part of it.
    is_torn: bool,
}

impl Connection {
    fn new(link: sqlite::Link) -> Self {
        Self {
            link,
            is_torn: false,
        }
    }

    /// Carries out a statement. Says how many rows it wrote or took away.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn execute(&mut self, statement: Statement<'_>) -> Result<u64, Error> {
        self.link.execute(statement).await
    }

    /// All rows of a query, which bounds them itself.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn fetch_all(&mut self, query: Statement<'_>) -> Result<Vec<Row>, Error> {
        let rows = self.link.fetch_all(query).await?;
        Ok(rows.into_iter().map(Row).collect())
    }

    /// The first row of a query, if there is any.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn fetch_optional(&mut self, query: Statement<'_>) -> Result<Option<Row>, Error> {
        Ok(self.link.fetch_optional(query).await?.map(Row))
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
    /// `work` fails, and the transaction is over in any case: if its future is dropped, before the next one begins.
    ///
    /// # Errors
    /// Those of `work` and of the database. Whether everything or nothing was written is then told by
    /// [`Error::kind`]. One of [`Readers`] is refused.
    pub async fn transaction<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.link.is_readers() {
            return Err(Error::new(ErrorKind::Refused, "a reader does not write"));
        }
        let open = self.begin(sqlite::BEGIN).await?;
        let outcome = match work(&mut *open.0).await {
            Ok(done) => open.0.execute(sql("COMMIT")).await.map(|_| done),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(_) => open.over(),
            Err(_) => open.undo().await,
        }
        outcome
    }

    /// What is there at one moment, whatever is written meanwhile, until [`Moment::end`]. To be short: what is written
    /// meanwhile cannot be tidied.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn at_one_moment(&mut self) -> Result<Moment<'_>, Error> {
        self.begin("BEGIN").await.map(Moment)
    }

    async fn begin(&mut self, begin: &'static str) -> Result<Open<'_>, Error> {
        let open = Open(self.outside().await?);
        open.0.is_torn = true;
        match open.0.execute(sql(begin)).await {
            Ok(_) => Ok(open),
            Err(error) => {
                open.undo().await;
                Err(error)
            }
        }
    }

    /// The connection, in no transaction: for one statement that is to be a transaction of its own.
    ///
    /// # Errors
    /// [`ErrorKind::Unknown`] when an earlier transaction cannot be ended.
    pub(crate) async fn outside(&mut self) -> Result<&mut Self, Error> {
        if self.is_torn && !self.roll_back().await {
            let text = "an earlier transaction cannot be ended";
            return Err(Error::new(ErrorKind::Unknown, text));
        }
        self.is_torn = false;
        Ok(self)
    }

    /// Says whether there is certainly no transaction any more. After some errors the engine has rolled back by itself:
    /// then it refuses to do it again, and lets another one begin.
    async fn roll_back(&mut self) -> bool {
        self.execute(sql("ROLLBACK")).await.is_ok()
            || (self.execute(sql("BEGIN")).await.is_ok()
                && self.execute(sql("ROLLBACK")).await.is_ok())
    }

    /// Closes it in order.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn close(self) -> Result<(), Error> {
        self.link.close().await
    }
}

/// A transaction that is open, or may be. Dropped before it is over, it marks its connection.
#[derive(Debug)]
struct Open<'c>(&'c mut Connection);

impl Open<'_> {
    fn over(self) {
        self.0.is_torn = false;
    }

    async fn undo(self) {
        if self.0.roll_back().await {
            self.over();
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if self.0.is_torn {
            self.0.link.keep_from_others();
        }
    }
}

/// A connection to which nothing changes; see [`Connection::at_one_moment`].
#[derive(Debug)]
pub struct Moment<'c>(Open<'c>);

impl Moment<'_> {
    /// See [`Connection::fetch_all`].
    ///
    /// # Errors
    /// Those of the database.
    pub async fn fetch_all(&mut self, query: Statement<'_>) -> Result<Vec<Row>, Error> {
        self.0.0.fetch_all(query).await
    }

    /// See [`Connection::fetch_optional`].
    ///
    /// # Errors
    /// Those of the database.
    pub async fn fetch_optional(&mut self, query: Statement<'_>) -> Result<Option<Row>, Error> {
        self.0.0.fetch_optional(query).await
    }

    /// Lets what changes be seen again. A moment that is dropped ends too, with a connection that is not used again.
    pub async fn end(self) {
        self.0.undo().await;
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
        self.0.acquire().await.map(Connection::new)
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
