//! Rows as the program writes them, and what stands in which.

use std::path::Path;

use maskline_domain::binding::{Extras, Owner};
use maskline_domain::call_record::{CallRecord, NODE_LOST};
use maskline_domain::{
    AccessKeyId, AccountId, Actor, Binding, EndCause, Entry, Event, PhoneNumber, PoolKey, Product,
    SubsId, Timestamp,
};
use maskline_journal::payload::Opened;
use maskline_store::db::{Connection, sql, sqlite};
use maskline_store::records::call;
use maskline_store::records::projection::Projection;

use super::{DataDir, Outcome};

/// Rows of one transaction.
const BLOCK: usize = 50_000;
/// Lines of the audit that one batch has.
pub const AUDIT_PER_BATCH: usize = 4;
/// 2026-11-01.
const BEGIN: Timestamp = Timestamp::from_secs(1_793_462_400);
/// Rows of one second, and of one millisecond.
const PER_SECOND: usize = 4_000;
const PER_MILLISECOND: usize = 20;
/// Rows of most persons, and of most X.
const ROWS_EACH: usize = 20;
const POOLS: usize = 10;
/// One in so many rows is of the busy person.
const BUSY: usize = 100;
/// One in so many calls was lost with its node, and one is of the small account.
const RARE: usize = 50_000;
/// As long as the steps of a plain call are.
const LADDER_BYTES: usize = 400;

/// What rows there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Calls,
    Bindings,
    Audit,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Calls, Self::Bindings, Self::Audit];

    /// As settings name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Bindings => "bindings",
            Self::Audit => "audit",
        }
    }

    fn table(self) -> &'static str {
        match self {
            Self::Calls => "call_record",
            Self::Bindings => "binding_history",
            Self::Audit => "audit",
        }
    }
}

/// What stands in the row of each number; the same for equal numbers.
pub struct Stock {
    rows: usize,
    ladder: String,
}

impl Stock {
    /// Some row, for the `n`th time that one is asked for.
    pub fn any(&self, n: usize) -> usize {
        let mixed = (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 20) as usize % self.rows
    }

    pub fn busy(&self) -> PhoneNumber {
        number(13_700_000_000)
    }

    pub fn person(&self, n: usize) -> PhoneNumber {
        self.person_of(self.any(n) / BUSY * BUSY + 1)
    }

    pub fn x(&self, n: usize) -> PhoneNumber {
        self.x_of(self.any(n))
    }

    pub fn subs_id(&self, n: usize) -> SubsId {
        self.subs_id_of(self.any(n))
    }

    pub fn pool(&self, n: usize) -> String {
        pool_of(n)
    }

    pub fn account(&self) -> &'static str {
        "acme"
    }

    pub fn small_account(&self) -> &'static str {
        "small"
    }

    pub fn rare_situation(&self) -> &'static str {
        NODE_LOST
    }

    pub fn call_key(&self, n: usize) -> (Timestamp, String) {
        let row = self.any(n);
        (at(row), call_id(row))
    }

    fn parties(&self) -> usize {
        (self.rows / ROWS_EACH).max(1)
    }

    /// Rows of one person lie all over the table.
    fn person_of(&self, row: usize) -> PhoneNumber {
        match row.is_multiple_of(BUSY) {
            true => self.busy(),
            false => number(13_800_000_000 + (row * 7_919 % self.parties()) as u64),
        }
    }

    fn x_of(&self, row: usize) -> PhoneNumber {
        number(17_000_000_000 + (row * 104_729 % self.parties()) as u64)
    }

    fn subs_id_of(&self, row: usize) -> SubsId {
        SubsId(BEGIN.0 as u64 * 1_000 + row as u64)
    }

    /// Half of them are from the person of the row, half to it.
    fn call(&self, row: usize) -> CallRecord {
        let stranger = number(15_000_000_000 + (row * 31 % 90_000_000) as u64);
        let person = self.person_of(row);
        let (caller, callee) = match row % 200 < 100 {
            true => (person, stranger),
            false => (stranger, person),
        };
        let arrived_at = at(row);
        let after = |s| Some(arrived_at.plus_secs(s));
        let is_rare = row.is_multiple_of(RARE);
        CallRecord {
            call_id: call_id(row),
            node: "node-1".into(),
            boot: "b1".into(),
            account: Some(
                if is_rare {
                    self.small_account()
                } else {
                    self.account()
                }
                .into(),
            ),
            pool: Some(pool_of(row)),
            product: Some("axn".into()),
            subs_id: Some(self.subs_id_of(row / 3)),
            x: Some(self.x_of(row)),
            caller: Some(caller),
            callee: Some(callee),
            a: Some(person),
            out_id: Some(format!("order-{row}")),
            trunk_in: Some("carrier-1".into()),
            trunk_out: Some("carrier-1".into()),
            arrived_at,
            dialled_at: Some(arrived_at),
            ringing_at: after(2),
            answered_at: after(9),
            released_at: after(70),
            situation: Some(if is_rare { NODE_LOST } else { "completed" }.into()),
            release_by: Some("caller".into()),
            sip_status: Some(200),
            q850_cause: Some(16),
            one_way: Some(false),
            ladder: Some(self.ladder.clone()),
            ..CallRecord::default()
        }
    }

    /// Half of them have ended.
    fn binding(&self, row: usize) -> Entry {
        let begin = at(row);
        let (id, x) = (self.subs_id_of(row), self.x_of(row));
        let bound = Binding {
            extras: Extras {
                out_id: Some(format!("order-{row}").into()),
                ..Extras::default()
            },
            owner: Some(Owner {
                pool: PoolKey::new(&pool_of(row)),
                account: AccountId::new(self.account()),
            }),
            ..Binding::new(
                id,
                Product::Axn,
                x,
                self.person_of(row),
                begin..begin.plus_secs(86_400),
            )
        };
        let ended = (row % 200 < 100).then(|| Event::Ended {
            subs_id: id,
            x,
            cause: EndCause::Unbound,
            at: begin.plus_secs(3_600),
            cooling_until: Timestamp(0),
            idle_since: begin.plus_secs(3_600),
            owner: None,
        });
        let events = [Event::Bound(Box::new(bound))].into_iter().chain(ended);
        Entry {
            by: by(),
            events: events.collect(),
        }
    }

    fn deed(&self, row: usize) -> Entry {
        Entry {
            by: by(),
            events: vec![Event::NumberLocked { x: self.x_of(row) }],
        }
    }
}

fn by() -> Actor {
    Actor::Customer {
        key: AccessKeyId::new("LTAI5tExampleExampleKey"),
        permission: "dypls:BindAxn".into(),
    }
}

fn number(digits: u64) -> PhoneNumber {
    PhoneNumber::parse(&digits.to_string()).expect("digits")
}

/// Rows come in the order of time, thousands in a second.
fn at(row: usize) -> Timestamp {
    let (second, within) = (row / PER_SECOND, row % PER_SECOND);
    BEGIN
        .plus_secs(second as i64)
        .plus_millis((within / PER_MILLISECOND) as i64)
}

fn call_id(row: usize) -> String {
    format!("{row:010}-6f1b2c3d4e5f")
}

fn pool_of(row: usize) -> String {
    format!("FC{:04}", row % POOLS)
}

/// So many rows of a kind in a new data directory. The indexes are made when the rows are there, which is quicker.
pub async fn fill(data: &Path, kind: Kind, rows: usize) -> Outcome<Stock> {
    let owned = DataDir::own(data)?;
    let mut conn = owned.writer().await?;
    conn.execute(sql("PRAGMA synchronous = OFF")).await?;
    let indexes = take_indexes(&mut conn, kind).await?;
    let stock = Stock {
        rows,
        ladder: format!("[{:?}]", "x".repeat(LADDER_BYTES)),
    };
    for first in (0..rows).step_by(BLOCK) {
        let block = first..(first + BLOCK).min(rows);
        let write = async |conn: &mut Connection| match kind {
            Kind::Calls => {
                let calls: Vec<CallRecord> = block.map(|row| stock.call(row)).collect();
                call::close(conn, &calls.iter().collect::<Vec<_>>()).await
            }
            Kind::Bindings => {
                project(
                    conn,
                    &block.map(|row| stock.binding(row)).collect::<Vec<_>>(),
                    first,
                )
                .await
            }
            Kind::Audit => {
                project(
                    conn,
                    &block.map(|row| stock.deed(row)).collect::<Vec<_>>(),
                    first,
                )
                .await
            }
        };
        conn.transaction(write).await?;
        sqlite::checkpoint(&mut conn).await?;
    }
    for index in indexes {
        conn.execute(sql(index)).await?;
        sqlite::checkpoint(&mut conn).await?;
    }
    sqlite::truncate_log(&mut conn).await?;
    conn.close().await?;
    // What is not written yet cannot be let go from memory.
    std::fs::File::open(data.join(maskline_store::directory::FILE))?.sync_all()?;
    Ok(stock)
}

async fn project(
    conn: &mut Connection,
    entries: &[Entry],
    first: usize,
) -> Result<(), maskline_store::db::Error> {
    let mut projection = Projection::default();
    for (place, entries) in entries.chunks(AUDIT_PER_BATCH).enumerate() {
        let opened = Opened {
            at: at(first),
            entries: entries.to_vec(),
            erased: Vec::new(),
        };
        projection.take((first / AUDIT_PER_BATCH + place) as u64 + 1, &opened);
    }
    projection.write(conn).await
}

/// Drops the indexes of a table. Gives the statements that make them again.
async fn take_indexes(conn: &mut Connection, kind: Kind) -> Outcome<Vec<&'static str>> {
    let select = sql(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL",
    );
    let mut made_by = Vec::new();
    for row in conn.fetch_all(select.bind(kind.table())).await? {
        // Texts of statements live as long as the program.
        let (name, text): (String, String) = (row.get("name")?, row.get("sql")?);
        conn.execute(sql(format!("DROP INDEX {name}").leak()))
            .await?;
        made_by.push(&*text.leak());
    }
    Ok(made_by)
}
