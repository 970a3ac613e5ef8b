//! How far an import has come: too many numbers for one command go in pieces,
//! and the journal says which of them are in.

use crate::event::Event;
use crate::ops::{Circumstances, Decided};
use crate::refusal::AdminRefusal;
use crate::state::State;

/// The most imports that may be under way.
const UNDER_WAY_MAX: usize = 64;
/// The longest name of an import, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// Write down how far an import of many commands has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteImport {
    /// The import.
    pub name: Box<str>,
    /// How many of its rows are in; none when all are.
    pub rows: Option<u64>,
}

/// Notes that the first `rows` rows are in, or with `None` that all are. A
/// cursor never goes back.
pub(super) fn note(on: &Circumstances<'_>, asked: &NoteImport) -> Decided<()> {
    let (state, name, rows) = (on.state, &*asked.name, asked.rows);
    let before = state.import(name);
    let event = match rows {
        None if before.is_none() => None,
        None => Some(Event::ImportEnded { name: name.into() }),
        Some(rows) if before.is_some_and(|before| before >= rows) => None,
        Some(rows) => {
            may_begin(state, name, before)?;
            Some(Event::ImportAdvanced {
                name: name.into(),
                rows,
            })
        }
    };
    Ok((event.into_iter().collect(), ()))
}

fn may_begin(state: &State, name: &str, before: Option<u64>) -> Result<(), AdminRefusal> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(AdminRefusal::Malformed {
            what: "name of the import",
            why: "1 to 64 bytes",
        });
    }
    if before.is_none() && state.imports().count() >= UNDER_WAY_MAX {
        return Err(AdminRefusal::TooMany {
            what: "imports under way",
            limit: UNDER_WAY_MAX,
        });
    }
    Ok(())
}
