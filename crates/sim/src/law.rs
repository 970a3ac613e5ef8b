//! What must always hold, and what is said when it does not.

use std::fmt;

/// Every law. A run ends with the first that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    /// A call reaches whom the model says, by whatever way.
    RightParty,
    /// What a caller was told is there after every crash.
    NothingLost,
    /// A slot belongs to at most one live binding.
    OneOwner,
    /// The journal after any snapshot makes the very same rows.
    SameRows,
    /// A batch that was not written leaves what a reload gives.
    UndoIsReload,
    /// Ids of bindings ascend and never come twice.
    IdsAscend,
    /// A command id is not accepted twice within its time.
    OnceOnly,
    /// What is over is over, swept or not, and nothing is over before.
    OverIsOver,
    /// A read never sees what a crash could undo.
    DurableReads,
    /// Free, bound, locked and frozen numbers are all numbers.
    Counts,
    /// Each command does what the rules say, is answered so, and once.
    RightAnswer,
    /// Time in the journal is the one that the clocks give, never earlier than
    /// before, and ends nothing while the clocks disagree.
    Time,
    /// No customer reads a binding that was never theirs, whoever has its X
    /// now; who had it reads it still.
    OwnOnly,
    /// A carrier holds what is confirmed, and nothing that is not bound here.
    CarrierHolds,
    /// A customer hears OK only of what the carrier has done, and of what it heard an error never comes about.
    CarrierAnswer,
}

impl Law {
    /// All of them.
    pub const ALL: [Law; 15] = [
        Law::RightParty,
        Law::NothingLost,
        Law::OneOwner,
        Law::SameRows,
        Law::UndoIsReload,
        Law::IdsAscend,
        Law::OnceOnly,
        Law::OverIsOver,
        Law::DurableReads,
        Law::Counts,
        Law::RightAnswer,
        Law::Time,
        Law::OwnOnly,
        Law::CarrierHolds,
        Law::CarrierAnswer,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Law::RightParty => "right-party",
            Law::NothingLost => "nothing-lost",
            Law::OneOwner => "one-owner",
            Law::SameRows => "same-rows",
            Law::UndoIsReload => "undo-is-reload",
            Law::IdsAscend => "ids-ascend",
            Law::OnceOnly => "once-only",
            Law::OverIsOver => "over-is-over",
            Law::DurableReads => "durable-reads",
            Law::Counts => "counts",
            Law::RightAnswer => "right-answer",
            Law::Time => "time",
            Law::OwnOnly => "own-only",
            Law::CarrierHolds => "carrier-holds",
            Law::CarrierAnswer => "carrier-answer",
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A law was broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{law}: {what}")]
pub struct Broken {
    /// Which.
    pub law: Law,
    /// How; numbers are masked.
    pub what: String,
}

/// A check that passed, or how it did not.
pub type Held = Result<(), Broken>;

/// That `law` is broken.
pub fn broken<T>(law: Law, what: impl Into<String>) -> Result<T, Broken> {
    Err(Broken {
        law,
        what: what.into(),
    })
}

/// That `law` holds if `holds`.
pub fn hold(holds: bool, law: Law, what: impl FnOnce() -> String) -> Held {
    if holds { Ok(()) } else { broken(law, what()) }
}
