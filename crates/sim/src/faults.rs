//! Faults to be planted, so that it is known what the laws would catch.
//!
//! None of them needs a hook in `domain` or `journal`. Faults of the outer half
//! (disk, replay, reads, delivery of answers) are done to what passes between
//! the pipeline and the world; faults of the inner half (rules, undo, order of
//! answers) are done in `reference_pipeline.rs`, a plain one of our own.

use std::fmt;

/// Something that is done wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Callers are answered when the append begins.
    AnswerBeforeDurable,
    /// A refusal does not wait for the batch it rests on.
    RefusalBeforeDurable,
    /// A refusal that changes nothing does not wait for the batch in flight.
    RefusalForgetsFlight,
    /// When a batch is not written, what was decided on top of it stays in the state.
    GatheredNotUndone,
    /// Then the older of the two is undone first.
    UndoneInWrongOrder,
    /// The last append is not yet durable when it is reported so.
    AppendNotSynced,
    /// After an unknown outcome the process goes on as if nothing was written.
    UnknownTakenForNotWritten,
    /// A failed append is taken for a good one.
    NotWrittenTakenForWritten,
    /// One caller in a while is answered twice.
    AnswerGivenTwice,
    /// Two callers get each other's answers.
    AnswersExchanged,
    /// A caller in a while is never answered.
    AnswerForgotten,
    /// The id of a command is kept in memory only.
    NonceNotJournalled,
    /// Ids of commands are forgotten ten minutes too early.
    NonceForgottenEarly,
    /// The entries of a batch are written in reverse order.
    EntriesReversed,
    /// Personal values are not written.
    PersonalValuesLost,
    /// A start ignores the newest batch.
    ReplayDropsLastBatch,
    /// A start ignores the last entry of the newest batch.
    ReplayDropsLastEntry,
    /// A start reads no B in the first form of the journal.
    FirstFormLosesB,
    /// A snapshot leaves a row out.
    SnapshotMissesARow,
    /// A start believes a snapshot that was not finished.
    HalfSnapshotBelieved,
    /// Reads do not wait for the batch in flight.
    ReadDoesNotWait,
    /// Routing ends a binding a millisecond late (`now > expires_at`).
    RouteEndsLate,
    /// Decisions end a binding a millisecond late (`now > expires_at`).
    DecisionEndsLate,
    /// A binding that is over still keeps its slots until it is swept.
    EndedStillConflicts,
    /// Locked numbers are given out.
    LockIgnored,
    /// Cooling numbers are given out.
    CoolingIgnored,
    /// A strict pool falls back to other cities.
    StrictFallsBack,
    /// The wanted city is not looked at.
    CityIgnored,
    /// The longest idle number is not preferred.
    IdleOrderIgnored,
    /// More pairs than allowed are put on one X.
    PairsCapIgnored,
    /// The slot of B of a pair is not claimed.
    SlotOfBNotClaimed,
    /// An update does not look for conflicts.
    UpdateSkipsConflicts,
    /// An ended binding stays in memory.
    UnbindLeavesSlot,
    /// Undoing a batch forgets one event.
    UndoForgetsAnEvent,
    /// Ids of bindings are made from the clock alone.
    IdsFromTheClockAlone,
    /// The time of a batch may be earlier than that of the one before.
    TimeGoesBack,
    /// Expiries are written while the clocks disagree.
    EndedWhileClocksDisagree,
    /// An expired binding's number does not rest.
    ExpiryForgetsCooling,
    /// Who has an X reads what others bound on it.
    PastReadByOwnerOfX,
    /// A request that is sent again to a carrier has another fence and revision.
    RetryWithNewKey,
    /// A request that is given up counts as not done.
    ReleasedBeforeAnswer,
    /// Calls go by a binding that a carrier is told to let go.
    RouteAfterReleasing,
    /// An answer that comes too late counts for whatever is asked of the carrier now.
    LateAnswerConfirms,
    /// No answer counts as done.
    SilenceTakenForDone,
    /// What a customer was told of as failed, since it could not be written down, is confirmed afterwards.
    FailedIsConfirmed,
    /// A carrier is asked for what is not durable yet.
    AskedBeforeDurable,
    /// After a start nobody gives up what carriers were asked for.
    StartForgetsAsked,
    /// What a carrier holds and was not ours at the beginning is released after one look.
    OrphanReleasedAfterOneLook,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 48] = [
        Fault::AnswerBeforeDurable,
        Fault::RefusalBeforeDurable,
        Fault::RefusalForgetsFlight,
        Fault::GatheredNotUndone,
        Fault::UndoneInWrongOrder,
        Fault::AppendNotSynced,
        Fault::UnknownTakenForNotWritten,
        Fault::NotWrittenTakenForWritten,
        Fault::AnswerGivenTwice,
        Fault::AnswersExchanged,
        Fault::AnswerForgotten,
        Fault::NonceNotJournalled,
        Fault::NonceForgottenEarly,
        Fault::EntriesReversed,
        Fault::PersonalValuesLost,
        Fault::ReplayDropsLastBatch,
        Fault::ReplayDropsLastEntry,
        Fault::FirstFormLosesB,
        Fault::SnapshotMissesARow,
        Fault::HalfSnapshotBelieved,
        Fault::ReadDoesNotWait,
        Fault::RouteEndsLate,
        Fault::DecisionEndsLate,
        Fault::EndedStillConflicts,
        Fault::LockIgnored,
        Fault::CoolingIgnored,
        Fault::StrictFallsBack,
        Fault::CityIgnored,
        Fault::IdleOrderIgnored,
        Fault::PairsCapIgnored,
        Fault::SlotOfBNotClaimed,
        Fault::UpdateSkipsConflicts,
        Fault::UnbindLeavesSlot,
        Fault::UndoForgetsAnEvent,
        Fault::IdsFromTheClockAlone,
        Fault::TimeGoesBack,
        Fault::EndedWhileClocksDisagree,
        Fault::ExpiryForgetsCooling,
        Fault::PastReadByOwnerOfX,
        Fault::RetryWithNewKey,
        Fault::ReleasedBeforeAnswer,
        Fault::RouteAfterReleasing,
        Fault::LateAnswerConfirms,
        Fault::SilenceTakenForDone,
        Fault::FailedIsConfirmed,
        Fault::AskedBeforeDurable,
        Fault::StartForgetsAsked,
        Fault::OrphanReleasedAfterOneLook,
    ];

    /// Its name: the words of the variant with hyphens.
    pub fn name(self) -> String {
        let mut name = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }

    /// The fault of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }

    /// Whether it can show only in worlds with carriers.
    pub fn needs_carriers(self) -> bool {
        matches!(
            self,
            Fault::RetryWithNewKey
                | Fault::ReleasedBeforeAnswer
                | Fault::RouteAfterReleasing
                | Fault::LateAnswerConfirms
                | Fault::SilenceTakenForDone
                | Fault::FailedIsConfirmed
                | Fault::AskedBeforeDurable
                | Fault::StartForgetsAsked
                | Fault::OrphanReleasedAfterOneLook
        )
    }

    /// Whether it is planted in the inner half, see `reference_pipeline.rs`.
    pub fn is_inner(self) -> bool {
        match self {
            Fault::AppendNotSynced
            | Fault::UnknownTakenForNotWritten
            | Fault::NotWrittenTakenForWritten
            | Fault::AnswerGivenTwice
            | Fault::AnswersExchanged
            | Fault::AnswerForgotten
            | Fault::NonceNotJournalled
            | Fault::EntriesReversed
            | Fault::PersonalValuesLost
            | Fault::ReplayDropsLastBatch
            | Fault::ReplayDropsLastEntry
            | Fault::FirstFormLosesB
            | Fault::SnapshotMissesARow
            | Fault::HalfSnapshotBelieved
            | Fault::ReadDoesNotWait
            | Fault::RouteEndsLate
            | Fault::PastReadByOwnerOfX
            | Fault::RetryWithNewKey
            | Fault::ReleasedBeforeAnswer
            | Fault::RouteAfterReleasing
            | Fault::LateAnswerConfirms
            | Fault::SilenceTakenForDone
            | Fault::FailedIsConfirmed
            | Fault::AskedBeforeDurable
            | Fault::StartForgetsAsked
            | Fault::OrphanReleasedAfterOneLook => false,
            Fault::AnswerBeforeDurable
            | Fault::RefusalBeforeDurable
            | Fault::RefusalForgetsFlight
            | Fault::GatheredNotUndone
            | Fault::UndoneInWrongOrder
            | Fault::NonceForgottenEarly
            | Fault::DecisionEndsLate
            | Fault::EndedStillConflicts
            | Fault::LockIgnored
            | Fault::CoolingIgnored
            | Fault::StrictFallsBack
            | Fault::CityIgnored
            | Fault::IdleOrderIgnored
            | Fault::PairsCapIgnored
            | Fault::SlotOfBNotClaimed
            | Fault::UpdateSkipsConflicts
            | Fault::UnbindLeavesSlot
            | Fault::UndoForgetsAnEvent
            | Fault::IdsFromTheClockAlone
            | Fault::TimeGoesBack
            | Fault::EndedWhileClocksDisagree
            | Fault::ExpiryForgetsCooling => true,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_found_by_its_name() {
        for fault in Fault::ALL {
            assert_eq!(Fault::by_name(&fault.name()), Some(fault));
        }
        assert_eq!(Fault::LockIgnored.name(), "lock-ignored");
        assert_eq!(Fault::by_name("no-such-fault"), None);
    }
}
