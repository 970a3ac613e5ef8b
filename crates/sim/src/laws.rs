//! The checks of what must always hold: [`Law`].
//!
//! The checks themselves stand where the facts are: [`crate::model`] judges
//! every batch, answer and route by its own rules; [`answer_log`] keeps what
//! customers were told and looks for it after every crash; the functions here
//! compare whole states.

pub mod answer_log;

use std::collections::BTreeMap;

use maskline_domain::{
    Binding, Number, NumberKind, NumberStatus, PhoneNumber, PoolKey, Row, State, SubsId, Timestamp,
};

pub use crate::law::{Broken, Held, Law, broken, hold};
use crate::model::Model;
use crate::model::phases::{is_due, keeps_others_out};
use crate::model::product::{Claim, kept};

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
    let holding = |binding: &Binding| keeps_others_out(binding, now);
    for binding in state.bindings().filter(holding) {
        for claim in kept(&binding) {
            let other = owners.insert((binding.x, claim), binding.subs_id);
            if let Some(other) = other.filter(|&other| other != binding.subs_id) {
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
    let overdue = model.bindings.values().filter(|b| is_due(b, now));
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
