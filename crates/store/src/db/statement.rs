//! Statements: text of the program's own, and values.

use std::borrow::Cow;
use std::fmt;

use super::value::Value;

/// A statement. Its text has a `?` for each value, in order. Every piece of text is written in the program: what comes
/// from outside can only be a value, which an engine never reads as SQL.
#[derive(Clone)]
pub struct Statement<'a> {
    text: Cow<'static, str>,
    values: Vec<Value<'a>>,
}

/// Tells nothing of the values.
impl fmt::Debug for Statement<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.values.len();
        write!(f, "{} ({values} values)", self.text)
    }
}

/// The statement with this text.
pub fn sql<'a>(text: &'static str) -> Statement<'a> {
    Statement {
        text: text.into(),
        values: Vec::new(),
    }
}

impl<'a> Statement<'a> {
    /// With room for so many values, where they are many.
    pub fn with_room(mut self, values: usize) -> Self {
        self.values.reserve(values);
        self
    }

    /// Adds text.
    pub fn push(mut self, text: &'static str) -> Self {
        self.text.to_mut().push_str(text);
        self
    }

    /// Adds the value of the next `?`.
    pub fn bind(mut self, value: impl Into<Value<'a>>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Adds `VALUES (?, …), (?, …)`: for each of `rows` the values that `bind` binds, which must be equally many. There must be a row.
    pub fn push_rows<T>(
        mut self,
        rows: impl IntoIterator<Item = T>,
        bind: impl Fn(Self, T) -> Self,
    ) -> Self {
        let mut before = "VALUES (";
        for row in rows {
            let first = self.values.len();
            self = bind(self, row).push(before);
            for n in first..self.values.len() {
                self = self.push(if n == first { "?" } else { ", ?" });
            }
            before = "), (";
        }
        self.push(")")
    }

    /// Adds `(VALUES (?, …), (?, …))`, a table with the columns `column1` and so on, in the way of
    /// [`Statement::push_rows`]. Only a column of texts may be without a value: what has none in any row is one of
    /// texts to PostgreSQL.
    pub fn push_table<T>(
        self,
        rows: impl IntoIterator<Item = T>,
        bind: impl Fn(Self, T) -> Self,
    ) -> Self {
        let (first, mut count) = (self.values.len(), 0);
        let rows = rows.into_iter().inspect(|_| count += 1);
        let table = self.push("(").push_rows(rows, bind).push(")");
        debug_assert!(is_typed(&table.values[first..], count), "{table:?}");
        table
    }

    /// Adds `(?, …)`: these values. There must be one.
    pub fn push_list(mut self, values: impl IntoIterator<Item = impl Into<Value<'a>>>) -> Self {
        let mut before = "(?";
        for value in values {
            self = self.push(before).bind(value);
            before = ", ?";
        }
        self.push(")")
    }

    /// The statement behind such words.
    #[cfg(test)]
    pub(super) fn behind(self, words: &'static str) -> Self {
        let text = [words, &self.text].concat().into();
        Self { text, ..self }
    }

    /// Its text and values, for an engine.
    pub(super) fn into_parts(self) -> (Cow<'static, str>, Vec<Value<'a>>) {
        debug_assert_eq!(
            self.text.matches('?').count(),
            self.values.len(),
            "{self:?}"
        );
        (self.text, self.values)
    }
}

/// Whether only columns of texts are without a value, of a table with so many rows.
fn is_typed(values: &[Value<'_>], rows: usize) -> bool {
    let width = values.len().checked_div(rows).unwrap_or_default();
    (0..width).all(|column| {
        let mut column = values.iter().skip(column).step_by(width);
        let is_whole = column.clone().all(|value| *value != Value::Null);
        is_whole || column.all(|value| matches!(value, Value::Null | Value::Text(_)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_its_pieces_in_order_with_a_mark_for_each_value() {
        let rows = [(1, "one"), (2, "two")];
        let insert = sql("INSERT INTO t (n, word) ")
            .push_rows(rows, |row, (n, word)| row.bind(i64::from(n)).bind(word))
            .push(" ON CONFLICT (n) DO NOTHING");
        let (text, values) = insert.into_parts();
        assert_eq!(
            text,
            "INSERT INTO t (n, word) VALUES (?, ?), (?, ?) ON CONFLICT (n) DO NOTHING"
        );
        let expected = ["one", "two"].into_iter().zip(1_i64..);
        let expected = expected.flat_map(|(word, n)| [Value::from(n), Value::from(word)]);
        assert_eq!(values, expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_list_and_a_table_are_in_brackets() {
        let rows = [(1, Some("one")), (2, None)];
        let update = sql("UPDATE t SET word = new.column2 FROM ")
            .push_table(rows, |row, (n, word)| row.bind(i64::from(n)).bind(word))
            .push(" AS new WHERE n IN ")
            .push_list(["a", "b", "c"]);
        let (text, values) = update.into_parts();
        assert_eq!(
            text,
            "UPDATE t SET word = new.column2 FROM (VALUES (?, ?), (?, ?)) AS new WHERE n IN (?, ?, ?)"
        );
        assert_eq!(values.len(), 7);
    }

    #[test]
    fn only_texts_may_be_missing_from_a_table() {
        let blob = || Value::from(vec![7_u8]);
        let (n, text, none) = (Value::from(1_i64), Value::from("a"), Value::Null);
        for (values, rows, expected) in [
            (vec![n.clone(), text.clone()], 1, true),
            (vec![n.clone(), none.clone()], 1, true),
            (
                vec![n.clone(), none.clone(), n.clone(), text.clone()],
                2,
                true,
            ),
            (vec![n.clone(), none.clone(), n.clone(), blob()], 2, false),
            (vec![n.clone(), blob(), n.clone(), none.clone()], 2, false),
            (vec![none.clone(), blob(), n.clone(), blob()], 2, false),
            (vec![n.clone(), blob(), n.clone(), blob()], 2, true),
            (Vec::new(), 0, true),
        ] {
            assert_eq!(is_typed(&values, rows), expected, "{values:?}");
        }
    }

    #[test]
    fn what_is_shown_of_a_statement_and_a_value_tells_nothing_of_it() {
        let select = sql("SELECT 1 FROM t WHERE a = ? AND b = ?").bind("13800001234");
        let select = select.bind(b"13800001234".to_vec());
        let shown = format!("{select:?} {:?}", select.values);
        assert!(!shown.contains("1380"), "{shown}");
        assert!(shown.contains("a text of 11 bytes"), "{shown}");
    }

    #[cfg(debug_assertions)]
    #[test]
    #[should_panic(expected = "1 values")]
    fn a_value_too_few_is_found() {
        sql("SELECT ? + ?").bind(1_i64).into_parts();
    }
}
