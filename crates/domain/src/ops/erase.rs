//! Erasing a person from bindings that have ended.

use crate::binding::SubsId;
use crate::event::Event;
use crate::ops::{Circumstances, Decided};
use crate::subject::{ErasedParts, Subject};

/// The most subjects and objects of one [`ErasePerson`]: what is more goes into further ones.
pub const ERASED_MAX: usize = 4_096;

/// Erase a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasePerson {
    /// The subjects of the journal's values that are the person's.
    pub subjects: Vec<Subject>,
    /// Which parts of these bindings were the person's when they were changed last.
    pub last: Vec<ErasedParts>,
}

/// Leaves bindings that are in force as they are: without their parties nobody would be reached by them.
pub(super) fn erase_person(on: &Circumstances<'_>, asked: &ErasePerson) -> Decided<()> {
    let has_ended = |of: u64| on.state.binding(SubsId(of)).is_none();
    let subjects = asked.subjects.iter().copied();
    let subjects = subjects.filter(|subject| has_ended(subject.of)).collect();
    let last = asked.last.iter().filter(|erased| has_ended(erased.of));
    let last: Vec<ErasedParts> = last.cloned().collect();
    let erased = Event::PersonErased {
        bindings: last.len() as u32,
        subjects,
        last,
    };
    Ok((vec![erased], ()))
}
