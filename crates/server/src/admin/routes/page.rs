//! Pages of lists. A page begins behind a key and tells the key behind which the next one begins, so
//! that what comes and goes meanwhile neither hides another row nor shows it twice.

use std::ops::ControlFlow;

use axum::Json;
use serde_json::{Value, json};

use maskline_domain::{State, Timestamp};
use maskline_journal::pipeline::Touch;

use super::Answer;
use crate::admin::AdminError;
use crate::ledger::{Ledger, ReadError};

/// Rows of one answer.
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 10_000;

/// How many things are looked at for one page, which may end short of its rows then.
const VISITED_MAX: usize = 50_000;
/// How many are looked at while the state is held; each leads to up to a dozen others.
pub const VISITED_AT_ONCE: usize = 50;

/// How many rows are asked for.
pub fn limit(wanted: Option<usize>) -> usize {
    wanted.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX)
}

/// Rows of a list, and where the next page begins. It may be short and still have a next one, where
/// little of what was looked at was wanted.
#[derive(Debug, Default)]
pub struct Page {
    /// What is shown.
    pub rows: Vec<Value>,
    /// The key of the next page, if there may be more rows.
    pub next: Option<String>,
}

impl Page {
    /// As it is answered.
    pub fn into_json(self) -> Value {
        json!({ "items": self.rows, "more": self.next.is_some(), "next": self.next })
    }

    /// The same as a whole answer, which always is one.
    pub fn answer(self) -> Answer {
        Ok(Json(self.into_json()))
    }
}

/// Why a key begins no page.
pub fn no_key() -> AdminError {
    AdminError::Malformed("`after` is to be the `next` of a page of the same list".to_owned())
}

/// What has been found in the state so far.
#[derive(Debug)]
pub struct Gathered<K> {
    rows: Vec<(K, Value)>,
    rows_max: usize,
    /// The last one that was looked at.
    reached: Option<K>,
    is_end: bool,
    visited: usize,
}

impl<K> Gathered<K> {
    /// Up to a row more than are shown, which tells whether there is one.
    pub fn new(after: Option<K>, limit: usize) -> Self {
        Self {
            rows: Vec::new(),
            rows_max: limit + 1,
            reached: after,
            is_end: false,
            visited: 0,
        }
    }

    /// The key behind which is to be looked on.
    pub fn after(&self) -> Option<K>
    where
        K: Clone,
    {
        self.reached.clone()
    }

    /// Looks at the next things, in their order, and takes the rows of those that are wanted.
    pub fn take(&mut self, mut things: impl Iterator<Item = (K, Option<Value>)>)
    where
        K: Clone,
    {
        for _ in 0..VISITED_AT_ONCE {
            let Some((key, row)) = things.next() else {
                self.is_end = true;
                return;
            };
            self.visited += 1;
            self.rows.extend(row.map(|row| (key.clone(), row)));
            self.reached = Some(key);
            if self.rows.len() == self.rows_max {
                return;
            }
        }
    }

    fn is_done(&self) -> bool {
        self.is_end || self.rows.len() == self.rows_max || self.visited >= VISITED_MAX
    }

    /// The rows with their keys, and the key behind which the next page begins.
    pub fn into_rows(mut self) -> (Vec<(K, Value)>, Option<K>)
    where
        K: Clone,
    {
        if self.rows.len() < self.rows_max {
            let next = self.reached.filter(|_| !self.is_end);
            return (self.rows, next);
        }
        self.rows.truncate(self.rows_max - 1);
        let next = self.rows.last().map(|(key, _)| key.clone());
        (self.rows, next)
    }

    /// The page; `text` writes a key.
    pub fn into_page(self, text: impl Fn(&K) -> String) -> Page
    where
        K: Clone,
    {
        let (rows, next) = self.into_rows();
        Page {
            rows: rows.into_iter().map(|(_, row)| row).collect(),
            next: next.as_ref().map(text),
        }
    }
}

/// Gathers rows out of the state, which is let go between steps. `look` has
/// [`Gathered::take`] look at what is behind [`Gathered::after`].
///
/// # Errors
/// When the state cannot be read.
pub async fn gather<K: Clone>(
    ledger: &Ledger,
    touch: Touch,
    mut found: Gathered<K>,
    look: impl Fn(&State, Timestamp, &mut Gathered<K>),
) -> Result<Gathered<K>, ReadError> {
    let step = |state: &State, now: Timestamp| {
        look(state, now, &mut found);
        match found.is_done() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    ledger.read_in_steps(touch, step).await?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pages over the multiples of `step` below `end`, in rows of `limit`.
    fn pages(end: u32, step: u32, limit: usize) -> Vec<(Vec<u32>, bool)> {
        let mut pages = Vec::new();
        let mut after = None;
        loop {
            let mut gathered = Gathered::new(after, limit);
            while !gathered.is_done() {
                let begin = gathered.reached.map_or(0, |key| key + 1);
                let wanted = |n: u32| n.is_multiple_of(step).then(|| json!(n));
                gathered.take((begin..end).map(|n| (n, wanted(n))));
            }
            let (rows, next) = gathered.into_rows();
            pages.push((rows.iter().map(|(key, _)| *key).collect(), next.is_some()));
            match next {
                Some(key) => after = Some(key),
                None => return pages,
            }
        }
    }

    #[test]
    fn every_row_is_on_one_page_and_only_the_last_page_has_no_next() {
        #[rustfmt::skip]
        let rows = [
            // Things, every how manyth is wanted, rows of a page, pages.
            (0, 1, 1, 1), (1, 1, 1, 1), (2, 1, 1, 2), (10, 1, 5, 2), (10, 1, 10, 1), (10, 1, 9, 2), (11, 1, 10, 2),
            (3_000, 1, 100, 30), (3_001, 1, 1_000, 4), (3_000, 7, 10, 43), (5_000, 4_999, 1, 2), (5_000, 4_000, 10, 1),
            // As many as a page looks at and more.
            (VISITED_MAX as u32 - 1, 60_000, 2, 1), (VISITED_MAX as u32, 60_000, 2, 2), (120_000, 60_000, 2, 3),
        ];
        for (end, step, limit, count) in rows {
            let pages = pages(end, step, limit);
            let all: Vec<u32> = pages.iter().flat_map(|(rows, _)| rows).copied().collect();
            let wanted: Vec<u32> = (0..end).filter(|n| n.is_multiple_of(step)).collect();
            let case = format!("{end} by {step}, {limit} a page");
            assert_eq!(all, wanted, "{case}");
            assert_eq!(pages.len(), count, "{case}");
            assert!(pages.iter().all(|(rows, _)| rows.len() <= limit), "{case}");
            let ends = pages.iter().position(|(_, more)| !more);
            assert_eq!(ends, Some(count - 1), "{case}");
        }
    }
}
