//! The call of two legs, without sockets, clocks or SIP: what happened goes in, what to do comes out.
//!
//! Whatever happens, a call whose route was found leaves exactly one record: either written at once, for a
//! call that was never connected, or opened **before** the second leg is dialled and closed at the end. And
//! whatever happens a call ends: every state that waits for something has a deadline.
//!
//! What goes in is `input`, what comes out `action`. Each stretch of a call is a file: `admission` before it is
//! one, `begin` up to the open row, `dialling` until the answer, `talking` until somebody hangs up, `announcing`
//! where the caller hears why. `trunk_failover` says which trunk is dialled next, `progress` what the caller is
//! told and hears while it waits, `ring_tone` which tone that is; `hold` are the changes of the media, before the
//! answer and after. How each situation ends stands in `ending`, what is played in `prompt`, and `forecast` says
//! beforehand what a caller will meet. While it lasts a call tells its `milestone`s, each with the write of the record
//! that it belongs to.
//!
//! A call lives by the binding as it was when the INVITE came. Unbinding and expiry during a call are no
//! inputs: the call goes on, the next one fails.

mod action;
pub mod admission;
mod announcing;
mod begin;
mod dialling;
pub mod ending;
pub mod forecast;
mod hold;
mod input;
pub mod milestone;
mod progress;
pub mod prompt;
pub mod ring_tone;
mod talking;
mod trunk_failover;

pub use action::{Action, AnnounceBy, ProgressMedia};
pub use ending::{Ending, Reason};
pub use forecast::{Forecast, Prediction, Question, forecast, predict};
pub use input::{CallerMedia, Input, MediaAccess, MediaFault};
pub use milestone::{
    Milestone, OWED_BODY_BYTES_MAX, OWED_KEY_BYTES_MAX, OWED_KIND_BYTES_MAX, Owed, OwedError,
    Reached,
};
pub use prompt::{Notice, Prompt, Sound};

use crate::binding::Binding;
use crate::clock::Timestamp;
use crate::named_enum::named_enum;
use crate::number::PhoneNumber;
use crate::tone::ToneCode;
use crate::trunk::{PromptPolicy, TRUNKS_TRIED_MAX};
use announcing::Announcing;
use dialling::Dialling;
use talking::Talking;

/// The longest wait for the route or for the open row, in seconds. Whoever is asked is expected to say no
/// sooner than that.
pub const ANSWER_WAIT_MAX_S: u64 = 10;
/// The longest that a prompt keeps a call alive, in seconds.
pub const PROMPT_MAX_S: u64 = 30;

/// The name of a call among the parts of a process, for as long as the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey(u64);

impl CallKey {
    /// Its number.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl From<u64> for CallKey {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

/// When something happened, by two clocks: the wall clock for the record, and one that never jumps for
/// deadlines.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// What the wall clock says.
    pub wall: Timestamp,
    /// Milliseconds since an arbitrary origin.
    pub tick_ms: u64,
}

/// One of the two parties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The party that dialled X.
    Caller,
    /// The party that is reached.
    Callee,
}

impl Side {
    /// Both, the caller first.
    pub const BOTH: [Self; 2] = [Self::Caller, Self::Callee];

    /// The one across.
    pub fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }

    /// As it stands in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Callee => "callee",
        }
    }
}

named_enum! {
    /// How far a call is that has not ended.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Stage {
        /// Its route is looked up, or its record opened.
        Routing = "routing",
        /// The second leg is dialled, and may ring.
        Dialling = "dialling",
        /// Both sides have answered.
        Talking = "talking",
        /// Nobody is left but the caller, who hears why the call fails.
        Announcing = "announcing",
    }
}

/// A bound that a call would break, counted with this call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallLimit {
    /// Too many calls stand on this X.
    X,
    /// Too many calls of this caller stand.
    Caller,
}

/// What is known about the chances of a call besides its route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DialOptions {
    /// How many trunks may take the second leg, in the order in which they are tried. No more than
    /// [`TRUNKS_TRIED_MAX`] are.
    pub trunks: usize,
    /// Which of them are only further places of the trunk before, such as the addresses of its name: bit 1
    /// for the second, and so on. They are tried where nobody answered at the place before, or was there to
    /// take the call (RFC 3263 section 4.3), and do not count against [`TRUNKS_TRIED_MAX`].
    pub further: u16,
    /// The bound that the call would break.
    pub over_limit: Option<CallLimit>,
    /// The ring tone of ours that its caller is to hear, if one is there.
    pub tone: Option<ToneCode>,
}

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Releaser {
    /// The party that dialled X.
    Caller,
    /// The party that was reached.
    Callee,
    /// We did.
    Platform,
}

impl Releaser {
    /// As it stands in the record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Callee => "callee",
            Self::Platform => "platform",
        }
    }
}

impl From<Side> for Releaser {
    fn from(side: Side) -> Self {
        match side {
            Side::Caller => Self::Caller,
            Side::Callee => Self::Callee,
        }
    }
}

/// The moments of a call, in UTC milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Milestones {
    /// The INVITE came.
    pub arrived: Timestamp,
    /// The route was known.
    pub routed: Option<Timestamp>,
    /// The second leg was dialled for the first time.
    pub dialled: Option<Timestamp>,
    /// The callee rang, or had something to say.
    pub ringing: Option<Timestamp>,
    /// The callee answered. A caller who is answered only to hear a prompt has reached nobody.
    pub answered: Option<Timestamp>,
    /// The call was over.
    pub released: Option<Timestamp>,
}

/// How a call went, for its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// When what happened.
    pub milestones: Milestones,
    /// Why it ended.
    pub ending: Ending,
    /// Who ended it.
    pub released_by: Releaser,
}

/// By what rules a call is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallTerms {
    /// The longest call, in seconds.
    pub duration_max_s: u32,
    /// How the trunk of the caller lets prompts be heard.
    pub prompts: PromptPolicy,
    /// Who is told, when a call is answered, that it is recorded.
    pub notice: Notice,
}

#[derive(Debug)]
enum State {
    /// Waiting for the route.
    Routing,
    /// Waiting for the open row.
    Opening(Plan),
    /// The second leg is dialled.
    Dialling(Plan, Dialling),
    /// Both have answered.
    Talking(Talking),
    /// The caller hears why the call fails.
    Announcing(Announcing),
    Over,
}

/// Whom a call is to reach, and how.
#[derive(Clone, Copy, Debug)]
struct Plan {
    callee: PhoneNumber,
    ring_timeout_s: u16,
    record: bool,
    trunks: usize,
    further: u16,
}

/// What becomes of the record at the end.
#[derive(Debug)]
enum Row {
    /// It is written then, with this binding.
    Unwritten(Option<Box<Binding>>),
    /// It is open, or may be.
    Opened,
}

/// One call.
#[derive(Debug)]
pub struct Call {
    state: State,
    /// The ring tone for its caller.
    tone: Option<ToneCode>,
    /// Why the call must not go on, though an answer is still awaited.
    halted: Option<(Reason, Releaser)>,
    row: Row,
    milestones: Milestones,
    deadline_ms: Option<u64>,
    terms: CallTerms,
}

impl Call {
    /// A call has arrived; its route is being looked up.
    pub fn new(terms: CallTerms, now: Moment) -> Self {
        let mut call = Self {
            state: State::Routing,
            tone: None,
            halted: None,
            row: Row::Unwritten(None),
            milestones: Milestones {
                arrived: now.wall,
                ..Milestones::default()
            },
            deadline_ms: None,
            terms,
        };
        call.wait_for(ANSWER_WAIT_MAX_S, now);
        call
    }

    /// When [`Input::Timeout`] is due, on the clock that never jumps.
    pub fn deadline(&self) -> Option<u64> {
        self.deadline_ms
    }

    /// How far it is; none once it is over.
    pub fn stage(&self) -> Option<Stage> {
        Some(match self.state {
            State::Routing | State::Opening(_) => Stage::Routing,
            State::Dialling(..) => Stage::Dialling,
            State::Talking(_) => Stage::Talking,
            State::Announcing(_) => Stage::Announcing,
            State::Over => return None,
        })
    }

    /// Whether the callee has answered and nobody has hung up.
    pub fn is_talking(&self) -> bool {
        matches!(self.state, State::Talking(_))
    }

    /// Whether nobody is left but the caller, who hears why the call fails.
    pub fn is_announcing(&self) -> bool {
        matches!(self.state, State::Announcing(_))
    }

    /// Whether keys that one side presses go on to the other. While it rings they would tell the callee what
    /// the caller does.
    pub fn passes_keys(&self) -> bool {
        self.milestones.answered.is_some()
    }

    /// Takes in what happened and says what to do, in order.
    pub fn handle(&mut self, input: Input, now: Moment) -> Vec<Action> {
        if matches!(input, Input::Timeout) && !self.is_due(now) {
            return Vec::new();
        }
        match &self.state {
            State::Routing => self.on_routing(input, now),
            State::Opening(plan) => self.on_opening(*plan, input, now),
            State::Dialling(..) => self.on_dialling(input, now),
            State::Talking(_) => self.on_talking(input, now),
            State::Announcing(announcing) => self.on_announcing(*announcing, input, now),
            State::Over => Vec::new(),
        }
    }

    fn is_due(&self, now: Moment) -> bool {
        self.deadline_ms
            .is_some_and(|deadline| now.tick_ms >= deadline)
    }

    fn wait_for(&mut self, seconds: u64, now: Moment) {
        self.deadline_ms = Some(now.tick_ms.saturating_add(seconds.saturating_mul(1_000)));
    }

    /// The end: the record is written or closed, and nothing is awaited any more.
    fn close(&mut self, ending: Ending, released_by: Releaser, now: Moment) -> Vec<Action> {
        self.over(now);
        let ended = Reached {
            milestone: Milestone::Ended,
            at: now.wall,
        };
        let mut actions = Vec::from([Action::Reached(ended)]);
        let closing = Closing {
            milestones: self.milestones,
            ending,
            released_by,
        };
        let row = match std::mem::replace(&mut self.row, Row::Unwritten(None)) {
            Row::Unwritten(binding) => {
                actions.insert(0, self.started(now));
                Action::WriteRow(binding, closing)
            }
            Row::Opened => Action::CloseRow(closing),
        };
        actions.extend([row, Action::Forget]);
        actions
    }

    /// The call has its record from when its route was known, whenever that is written.
    fn started(&self, now: Moment) -> Action {
        Action::Reached(Reached {
            milestone: Milestone::Started,
            at: self.milestones.routed.unwrap_or(now.wall),
        })
    }

    fn over(&mut self, now: Moment) {
        self.milestones.released = Some(now.wall);
        self.deadline_ms = None;
        self.state = State::Over;
    }
}

/// The cause that one side gave and the other is told; normal clearing if it gave none.
fn passed_on(cause: Option<u8>) -> u8 {
    cause
        .filter(|cause| (1..=127).contains(cause))
        .unwrap_or(16)
}
