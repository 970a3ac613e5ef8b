//! Erasing what is kept of a person: where it stands, and blanking it.
//!
//! Only bindings that have ended are erased; a live one must be ended first.
//! The chain of hashes stays whole, because it covers commitments to personal
//! values, not the values.

use std::collections::{BTreeMap, BTreeSet};

use maskline_domain::{ErasedParts, Part, PhoneNumber, Subject, SubsId};
use serde::{Deserialize, Serialize};

use crate::db::{Connection, Error};
use crate::journal;
use maskline_journal::Codec;
use maskline_journal::payload::{self, PayloadError};

/// The list of erasures within the data directory. It is no part of a backup:
/// a restore needs the newest one, to erase again what the backup still holds.
pub const LIST: &str = "erasures.jsonl";

/// Batches read at a time.
const BATCHES: u32 = 256;

/// One line of the list of erasures. Tells of nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// When it was done, UTC milliseconds.
    pub at: i64,
    /// The bindings from which a person was erased.
    pub bindings: Vec<SubsId>,
    /// Whose values these were. A line of an older program does not tell it:
    /// it erased all that a binding holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subjects: Option<Vec<Subject>>,
    /// Which parts of the bindings were the person's at last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last: Vec<ErasedParts>,
    /// How far it had come. A line of an older program does not tell it, and
    /// counts as finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
}

/// How far an erasure had come when its line was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Nothing is blanked yet.
    Begun,
    /// This one and all before it are done. The line names no binding.
    Finished,
}

impl Erasure {
    /// What was found of a person, as it is noted before it is blanked: those
    /// bindings of which everything goes are told apart from the others.
    pub fn begun(at: i64, found: &Found) -> Vec<Self> {
        let (all, some): (Found, Found) = (found.iter())
            .map(|(id, traces)| (*id, traces.clone()))
            .partition(|(_, traces)| traces.all);
        let line = |of: Found, tells_subjects: bool| Self {
            at,
            bindings: of.keys().copied().collect(),
            subjects: tells_subjects.then(|| subjects(&of).collect()),
            last: match tells_subjects {
                true => last(&of).collect(),
                false => Vec::new(),
            },
            step: Some(Step::Begun),
        };
        let lines = [line(some, true), line(all, false)];
        let lines = lines.into_iter();
        lines.filter(|line| !line.bindings.is_empty()).collect()
    }

    /// That all that was begun before is finished.
    pub fn finished(at: i64) -> Self {
        Self {
            at,
            bindings: Vec::new(),
            subjects: Some(Vec::new()),
            last: Vec::new(),
            step: Some(Step::Finished),
        }
    }

    /// Adds what it erased to what is to be erased again.
    pub fn add_to(self, found: &mut Found) {
        let Some(subjects) = self.subjects else {
            for id in self.bindings {
                found.entry(id).or_default().merge(Traces::ALL);
            }
            return;
        };
        for id in self.bindings {
            found.entry(id).or_default();
        }
        for Subject { of, n } in subjects {
            found.entry(SubsId(of)).or_default().subjects.insert(n);
        }
        for ErasedParts { of, parts } in self.last {
            let traces = found.entry(SubsId(of)).or_default();
            traces.a |= parts.contains(&Part::A);
            traces.b |= parts.contains(&Part::B);
        }
    }
}

/// What is kept of a person, by binding. The texts of these bindings are meant
/// too: any of them may name the person.
pub type Found = BTreeMap<SubsId, Traces>;

/// What of one binding is a person's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traces {
    /// The subjects of values in the journal, by their `n`.
    pub subjects: BTreeSet<u32>,
    /// Whether A was the person when the binding was changed last,
    pub a: bool,
    /// or B.
    pub b: bool,
    /// Whether everything is meant, whosever it is.
    pub all: bool,
}

impl Traces {
    /// Everything that a binding holds.
    pub const ALL: Self = Self {
        subjects: BTreeSet::new(),
        a: true,
        b: true,
        all: true,
    };

    /// Takes in what else of the same binding is meant.
    pub fn merge(&mut self, other: Self) {
        self.subjects.extend(other.subjects);
        self.a |= other.a;
        self.b |= other.b;
        self.all |= other.all;
    }

    /// Which parts of the binding go, as it was last.
    pub fn parts(&self) -> Vec<Part> {
        let parties = [(Part::A, self.a), (Part::B, self.b)];
        let parties = parties.into_iter().filter(|(_, is_meant)| *is_meant);
        parties.map(|(part, _)| part).chain([Part::Texts]).collect()
    }

    /// Whether these values are meant. All of an event are in form 1, where
    /// they are of no part.
    fn mean(&self, subject: Subject, part: Option<Part>) -> bool {
        self.all
            || part.is_none_or(|part| part == Part::Texts)
            || self.subjects.contains(&subject.n)
    }
}

/// The subjects that were found.
pub fn subjects(found: &Found) -> impl Iterator<Item = Subject> {
    found.iter().flat_map(|(id, traces)| {
        let subject = |&n| Subject { of: id.0, n };
        traces.subjects.iter().map(subject)
    })
}

/// Which parts of the bindings go, as they were last.
pub fn last(found: &Found) -> impl Iterator<Item = ErasedParts> {
    found.iter().map(|(id, traces)| ErasedParts {
        of: id.0,
        parts: traces.parts(),
    })
}

/// Why the journal cannot be searched.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// A batch cannot be read.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The database said no.
    #[error("cannot read the journal: {0}")]
    Database(#[from] Error),
}

/// The bindings in whose events `number` is, or ever was, A or B, and by which
/// subjects.
///
/// # Errors
/// [`EraseError`].
pub async fn find(
    conn: &mut Connection,
    codec: &Codec,
    number: PhoneNumber,
) -> Result<Found, EraseError> {
    let mut found = Found::new();
    let mut from = 1;
    loop {
        let batches = journal::read(conn, from, BATCHES).await?;
        let Some(last) = batches.last() else {
            return Ok(found);
        };
        from = last.seq + 1;
        for batch in &batches {
            for told in payload::told(batch, codec)? {
                let (id, values) = (SubsId(told.subject.of), told.values);
                if values.names(number) {
                    let traces = found.entry(id).or_default();
                    traces.subjects.insert(told.subject.n);
                }
                // Who is a party is told anew by every event of a binding, but for what it never became.
                if let Some(traces) = found.get_mut(&id)
                    && !values.proposed
                {
                    let is_person = |party: Option<PhoneNumber>, before: bool| {
                        party.map_or(before, |party| party == number)
                    };
                    traces.a = is_person(values.a, traces.a);
                    traces.b = is_person(values.b, traces.b);
                }
            }
        }
    }
}

/// The next batches from `from` on that hold what was `found`, each with what
/// its personal column is to become; and where to go on, or `None` at the end.
///
/// # Errors
/// [`EraseError`].
pub async fn blanked(
    conn: &mut Connection,
    codec: &Codec,
    from: u64,
    found: &Found,
) -> Result<(Vec<(u64, Vec<u8>)>, Option<u64>), EraseError> {
    let batches = journal::read(conn, from, BATCHES).await?;
    let mut changes = Vec::new();
    for batch in &batches {
        let is_meant = |subject: Subject, part| {
            let traces = found.get(&SubsId(subject.of));
            traces.is_some_and(|traces| traces.mean(subject, part))
        };
        if let Some(blanked) = payload::blank(batch, codec, is_meant)? {
            changes.push((batch.seq, blanked.personal));
        }
    }
    Ok((changes, batches.last().map(|last| last.seq + 1)))
}
