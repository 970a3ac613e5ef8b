//! Where a sealed value stands.

/// A table and column, and a row of it. It is authenticated with the value, so that this opens nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(Vec<u8>);

impl Place {
    /// A column by its name, such as `journal.personal`, which never changes.
    pub fn column(name: &'static str) -> Self {
        let mut bytes = Vec::with_capacity(48);
        bytes.extend_from_slice(name.as_bytes());
        Self(bytes)
    }

    /// The row, or a part of what tells which, by a number.
    #[must_use]
    pub fn number(mut self, number: u64) -> Self {
        self.0.extend_from_slice(b"\0n");
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// The row, or a part of what tells which, by a text.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.0.extend_from_slice(b"\0t");
        self.0.extend_from_slice(&(text.len() as u64).to_be_bytes());
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}
