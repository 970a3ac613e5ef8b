//! Everything that is wrong at once, since nobody wants to be told one mistake a try.

use std::fmt;

/// Mistakes of one file that are told; a file that is something else entirely has one in each line.
pub const FILE_MISTAKES_MAX: usize = 50;

/// All that was found wrong, in the order in which it was found; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes<E>(Vec<E>);

impl<E> Mistakes<E> {
    /// Nothing wrong is no error.
    ///
    /// # Errors
    /// All of `found`, when there is any.
    pub fn none_of(found: Vec<E>) -> Result<(), Self> {
        match found.is_empty() {
            true => Ok(()),
            false => Err(Self(found)),
        }
    }

    /// The first of them.
    pub fn first(&self) -> &E {
        &self.0[0]
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, E> {
        self.0.iter()
    }
}

impl<E> From<E> for Mistakes<E> {
    fn from(error: E) -> Self {
        Self(vec![error])
    }
}

impl<E: fmt::Display> fmt::Display for Mistakes<E> {
    /// One line for each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, error) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for Mistakes<E> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_line_and_nothing_is_no_mistake() {
        assert_eq!(Mistakes::<&str>::none_of(vec![]), Ok(()));
        let two = Mistakes::none_of(vec!["a", "b"]).unwrap_err();
        assert_eq!((two.to_string().as_str(), *two.first()), ("a\nb", "a"));
        assert_eq!(Mistakes::from("c").to_string(), "c");
    }
}
