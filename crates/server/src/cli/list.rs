//! Lists, which the service gives page by page.

use serde_json::{Value, json};

use super::client::query;
use super::{Client, Failure};

/// The most rows that are asked for at once.
const PAGE_ROWS: usize = 1_000;

impl Client {
    /// The first rows of a list behind `after`, no more than `limit`; without it all of them. As the
    /// service answers a page, with `next` where there are more.
    pub fn list(
        &self,
        path: &str,
        filters: &[(&str, Option<&str>)],
        after: Option<&str>,
        limit: Option<u32>,
    ) -> Result<Value, Failure> {
        let limit = limit.map_or(usize::MAX, |limit| limit as usize);
        let mut items = Vec::new();
        let mut after = after.map(str::to_owned);
        loop {
            let rows = limit.saturating_sub(items.len()).clamp(1, PAGE_ROWS);
            let rows = rows.to_string();
            let place = [("after", after.as_deref()), ("limit", Some(&rows[..]))];
            let mut page =
                self.get(&format!("{path}{}", query(&[filters, &place[..]].concat())))?;
            if let Some(Value::Array(rows)) = page.get_mut("items").map(Value::take) {
                items.extend(rows);
            }
            let next = page["next"].as_str().map(str::to_owned);
            if next.is_none() || items.len() >= limit {
                page["items"] = json!(items);
                return Ok(page);
            }
            after = next;
        }
    }

    /// All rows of a list.
    pub fn all(&self, path: &str, filters: &[(&str, Option<&str>)]) -> Result<Value, Failure> {
        let mut list = self.list(path, filters, None, None)?;
        Ok(list["items"].take())
    }
}
