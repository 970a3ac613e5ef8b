//! What must always hold, and what is said when it does not.
//!
//! The checks themselves stand where the facts are: [`crate::model`] judges
//! every batch, answer and route by its own rules; [`answer_log`] keeps what
//! customers were told and looks for it after every crash; the functions here
//! compare whole states.

pub mod answer_log;

use std::collections::BTreeMap;
use std::fmt;

use maskline_domain::{
    Number, NumberKind, NumberStatus, PhoneNumber, PoolKey, Row, State, SubsId, Timestamp,
};

use crate::model::Model;
use crate::model::{Claim, claims};

/// Every law. A run ends with the first that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    /// A call reaches whom the model says, by whatever way.
    RightParty,
    /// What a caller was told is there after every crash.
    NothingLost,
    /// A slot belongs to at most one live binding.
    OneOwner,
    /// The journal after any snapshot makes the very same rows.
    SameRows,
    /// A batch that was not written leaves what a reload gives.
    UndoIsReload,
    /// Ids of bindings ascend and never come twice.
    IdsAscend,
    /// A command id is not accepted twice within its time.
    OnceOnly,
    /// What is over is over, swept or not, and nothing is over before.
    OverIsOver,
    /// A read never sees what a crash could undo.
    DurableReads,
    /// Free, bound, locked and frozen numbers are all numbers.
    Counts,
    /// Each command does what the rules say, is answered so, and once.
    RightAnswer,
    /// Time in the journal is the one that the clocks give, never earlier than
    /// before, and ends nothing while the clocks disagree.
    Time,
    /// No customer reads a binding that was never theirs, whoever has its X
    /// now; who had it reads it still.
    OwnOnly,
}

impl Law {
    /// All of them.
    pub const ALL: [Law; 13] = [
        Law::RightParty,
        Law::NothingLost,
        Law::OneOwner,
        Law::SameRows,
        Law::UndoIsReload,
        Law::IdsAscend,
        Law::OnceOnly,
        Law::OverIsOver,
        Law::DurableReads,
        Law::Counts,
        Law::RightAnswer,
        Law::Time,
        Law::OwnOnly,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Law::RightParty => "right-party",
            Law::NothingLost => "nothing-lost",
            Law::OneOwner => "one-owner",
            Law::SameRows => "same-rows",
            Law::UndoIsReload => "undo-is-reload",
            Law::IdsAscend => "ids-ascend",
            Law::OnceOnly => "once-only",
            Law::OverIsOver => "over-is-over",
            Law::DurableReads => "durable-reads",
            Law::Counts => "counts",
            Law::RightAnswer => "right-answer",
            Law::Time => "time",
            Law::OwnOnly => "own-only",
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A law was broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{law}: {what}")]
pub struct Broken {
    /// Which.
    pub law: Law,
    /// How; numbers are masked.
    pub what: String,
}

/// A check that passed, or how it did not.
pub type Held = Result<(), Broken>;

/// That `law` is broken.
pub fn broken<T>(law: Law, what: impl Into<String>) -> Result<T, Broken> {
    Err(Broken {
        law,
        what: what.into(),
    })
}

/// That `law` holds if `holds`.
pub fn hold(holds: bool, law: Law, what: impl FnOnce() -> String) -> Held {
    if holds { Ok(()) } else { broken(law, what()) }
}

/// Two lists of rows are the same.
pub fn same_rows(law: Law, left: (&str, &[Row]), right: (&str, &[Row])) -> Held {
    if left.1 == right.1 {
        return Ok(());
    }
    let differs = left.1.iter().zip(right.1).position(|(l, r)| l != r);
    let at = differs.unwrap_or(left.1.len().min(right.1.len()));
    let show = |rows: &[Row]| match rows.get(at) {
        Some(row) => format!("{row:?}"),
        None => "nothing".to_owned(),
    };
    broken(
        law,
        format!(
            "row {at}: {} has {}, {} has {}",
            left.0,
            show(left.1),
            right.0,
            show(right.1)
        ),
    )
}

/// No slot has two live owners.
pub fn one_owner(state: &State, now: Timestamp) -> Held {
    let mut owners: BTreeMap<(PhoneNumber, Claim), SubsId> = BTreeMap::new();
    for binding in state.bindings().filter(|b| b.expires_at > now) {
        for claim in claims(&binding) {
            if let Some(other) = owners.insert((binding.x, claim), binding.subs_id) {
                return broken(
                    Law::OneOwner,
                    format!(
                        "{claim:?} of {} belongs to {other} and {}",
                        binding.x, binding.subs_id
                    ),
                );
            }
        }
    }
    Ok(())
}

/// Every number does one thing, the one that the model says, and the stock of
/// each pool counts them all.
pub fn counts(state: &State, model: &Model, now: Timestamp) -> Held {
    let numbers: Vec<Number> = state.numbers().collect();
    let known = (numbers.len(), state.numbers_len());
    hold(
        known == (model.numbers.len(), model.numbers.len()),
        Law::Counts,
        || format!("{known:?} numbers for {}", model.numbers.len()),
    )?;
    let mut totals: BTreeMap<NumberStatusKey, usize> = BTreeMap::new();
    for number in &numbers {
        let Some(status) = state.number_status(number.x, now) else {
            return broken(Law::Counts, format!("{} does nothing", number.x));
        };
        let expected = model.status(number.x, now);
        hold(Some(status) == expected, Law::Counts, || {
            format!("{} is {status:?}, not {expected:?}", number.x)
        })?;
        *totals.entry(status.into()).or_default() += 1;
    }
    let counted: usize = totals.values().sum();
    hold(counted == numbers.len(), Law::Counts, || {
        format!("{totals:?} are {counted}, not {}", numbers.len())
    })?;
    let stocks = std::iter::once(None).chain(model.pools.keys().map(Some));
    for pool in stocks {
        stock(state, model, pool)?;
    }
    let overdue = model.bindings.values().filter(|b| b.expires_at <= now);
    let (overdue, told) = (overdue.count(), state.overdue(now, usize::MAX));
    hold(overdue == told, Law::Counts, || {
        format!("{told} bindings are said to be overdue, {overdue} are")
    })
}

/// The statuses in an order, for counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum NumberStatusKey {
    Free,
    Bound,
    Locked,
    Frozen,
}

impl From<NumberStatus> for NumberStatusKey {
    fn from(status: NumberStatus) -> Self {
        match status {
            NumberStatus::Free => Self::Free,
            NumberStatus::Bound => Self::Bound,
            NumberStatus::Locked => Self::Locked,
            NumberStatus::Frozen => Self::Frozen,
        }
    }
}

fn stock(state: &State, model: &Model, pool: Option<&PoolKey>) -> Held {
    let mut expected: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for number in model.numbers.values() {
        if number.class.pool.as_ref() == pool {
            let city = expected.entry(number.class.city.to_string()).or_default();
            city.0 += 1;
            city.1 += u32::from(model.is_available(number));
        }
    }
    if pool.is_none() {
        let for_sale: BTreeMap<String, u64> = state
            .stock_of(NumberKind::VirtualOperator, None)
            .into_iter()
            .map(|(city, count)| (city.to_string(), count))
            .collect();
        let free: BTreeMap<String, u64> = expected
            .iter()
            .filter(|(_, (_, free))| *free > 0)
            .map(|(city, (_, free))| (city.clone(), u64::from(*free)))
            .collect();
        hold(for_sale == free, Law::Counts, || {
            format!("{for_sale:?} are for sale, {free:?} are free")
        })?;
    }
    let told: BTreeMap<String, (u32, u32)> = state
        .stock(pool)
        .filter(|&(_, all, _)| all > 0)
        .map(|(city, all, free)| (city.to_string(), (all, free)))
        .collect();
    hold(told == expected, Law::Counts, || {
        format!("stock of {pool:?} is told as {told:?}, not {expected:?}")
    })
}
