//! The call of two legs, without sockets, clocks or SIP: what happened goes in, what to do comes out.
//!
//! Whatever happens, a call whose route was found leaves exactly one record: either written at once, for a
//! call that was never connected, or opened **before** the second leg is dialled and closed at the end. And
//! whatever happens a call ends: every state that waits for something has a deadline.
//!
//! Each stretch of a call is a file: `begin` up to the open row, `dialling` with the change from one
//! trunk to the next, `talking` until somebody hangs up, `announcing` where the caller hears why; `changes` are
//! those of the media, before the answer and after. How each
//! situation ends stands in `ending`, what is played in `prompt`, and `forecast` says beforehand what
//! a caller will meet.
//!
//! A call lives by the binding as it was when the INVITE came. Unbinding and expiry during a call are no
//! inputs: the call goes on, the next one fails.

mod announcing;
mod begin;
mod changes;
mod dialling;
pub mod ending;
pub mod forecast;
mod key;
pub mod prompt;
mod talking;

pub use ending::{Ending, Reason};
pub use forecast::{Forecast, Question, forecast, predict};
pub use key::CallKey;
pub use prompt::{Notice, Prompt, Sound};

use crate::binding::Binding;
use crate::clock::Timestamp;
use crate::number::PhoneNumber;
use crate::routing::{Connection, Route};
use crate::tone::ToneCode;
use crate::trunk::PromptPolicy;
use announcing::Announcing;
use dialling::Dialling;
use talking::Talking;

/// The longest wait for the route or for the open row, in seconds. Whoever is asked is expected to say no
/// sooner than that.
pub const ANSWER_WAIT_MAX_S: u64 = 10;
/// How long a trunk may leave us without a word while another one is left, in seconds: then that one is tried.
pub const TRUNK_WAIT_S: u64 = 16;
/// The same, from the INVITE on, for a trunk that has said that it tries (100). It lives, so that it is not
/// silence that is waited out (RFC 3261 section 17.1.1.2) but the search for the callee, which takes seconds
/// in a telephone network. Without 100 a trunk would have lost the INVITE after as long (64 T1).
pub const TRUNK_TRYING_WAIT_S: u64 = 32;
/// The longest that a prompt keeps a call alive, in seconds.
pub const PROMPT_MAX_S: u64 = 30;
/// The most trunks that are tried for one call.
pub const TRUNKS_TRIED_MAX: usize = 4;

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

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// The route is known.
    Routed(Route, DialOptions),
    /// The route could not be read in time.
    RouteUnknown,
    /// The open row is durable, or it is not.
    RowOpened(bool),
    /// There is no way to carry the media: no codec in common, no port.
    MediaRefused(Reason),
    /// The trunk has the INVITE and looks for the callee.
    TrunkTrying,
    /// The callee is ringing, or has something to say before it answers.
    CalleeProgress {
        /// 101 to 199.
        status: u16,
        /// Whether it came with media that we can carry.
        early_media: bool,
    },
    /// The callee answered.
    CalleeAnswered,
    /// The callee did not answer: a status, a Q.850 cause, and whether the status is only ours.
    CalleeRefused(u16, Option<u8>, bool),
    /// A party gave up or hung up, perhaps with a Q.850 cause.
    Gone(Side, Option<u8>),
    /// What was to be played to this side has been played, or cannot be.
    Played(Side),
    /// A party wants other media: hold, resume, another address. The other party is to be asked.
    Offered(Side),
    /// The same before the answer, and what is agreed stays as it is: only this party's address or direction
    /// is another, so that the other party need not be asked.
    OfferFits(Side),
    /// A party does not wait for the answer to its offer any longer, or not for the offer that it wanted.
    OfferWithdrawn(Side),
    /// A party wants to be offered the other one's media as it is.
    OfferWanted(Side),
    /// A party's media is not what the other one has heard of it: it said something new in an answer, or
    /// the other one took an offer of it that does not hold.
    MediaChanged(Side),
    /// A party took what it was offered.
    OfferAccepted(Side),
    /// A party refused what it was offered, with this status.
    OfferRefused(Side, u16),
    /// Nothing was heard for too long.
    MediaLost,
    /// The process stops and cannot wait any longer.
    Stopping,
    /// [`Call::deadline`] has come.
    Timeout,
}

/// What is to be done.
#[derive(Debug)]
pub enum Action {
    /// Make the open row durable, then say [`Input::RowOpened`].
    OpenRow(Box<Connection>),
    /// Dial the second leg by this trunk, counted from 0 in the order of [`DialOptions::trunks`].
    DialCallee(PhoneNumber, usize),
    /// Tell the caller about progress.
    TellCaller {
        /// 180, 182 or 183.
        status: u16,
        /// Whether the callee's early media goes with it.
        early_media: bool,
    },
    /// Have the caller hear this tone as early media for as long as it rings. Who cannot hear it is told
    /// 180. The action comes again when the callee says again that it rings.
    Ring(ToneCode),
    /// The tone is over.
    StopRinging,
    /// Answer the caller.
    AnswerCaller,
    /// Refuse the caller.
    RefuseCaller(Ending),
    /// Hang up on this side, or stop it ringing, with a Q.850 cause.
    HangUp(Side, u8),
    /// Have the caller hear why the call fails, then say [`Input::Played`]: as early media, or by an
    /// answer of our own.
    Announce {
        /// What is played, once.
        sound: Sound,
        /// Whether the call is answered for it.
        answer: bool,
    },
    /// Play this once to this side of a call that stands.
    Play(Side, Prompt),
    /// Record both sides from now on.
    Record,
    /// Offer this side what the other one has just offered.
    Offer(Side),
    /// Offer this side, which wants it, the other one's media as it is.
    OfferWhatIs(Side),
    /// Offer this side, unasked, the other one's media as it is now.
    TellChange(Side),
    /// Accept this side's offer by what the other one has just answered, or by what is agreed.
    AcceptOffer(Side),
    /// Refuse this side's offer.
    RefuseOffer(Side, u16),
    /// Write the record of a call that was never dialled, already closed.
    WriteRow(Option<Box<Binding>>, Closing),
    /// Close the open row.
    CloseRow(Closing),
    /// The call is over: give back everything. Always the last action.
    Forget,
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
pub struct Terms {
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

impl Plan {
    /// What is tried after `trunk`: its further places too, or only another trunk.
    fn next(&self, trunk: usize, with_places: bool) -> Option<usize> {
        (trunk + 1..self.trunks).find(|&next| with_places || !is_further(self.further, next))
    }
}

fn is_further(further: u16, trunk: usize) -> bool {
    u32::try_from(trunk).is_ok_and(|bit| further.checked_shr(bit).is_some_and(|bits| bits & 1 == 1))
}

impl DialOptions {
    /// How many of the trunks are tried, their further places counted.
    fn tried(&self) -> usize {
        let mut trunks = 0;
        (0..self.trunks)
            .take_while(|&place| {
                trunks += usize::from(!is_further(self.further, place));
                trunks <= TRUNKS_TRIED_MAX
            })
            .count()
    }
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
    terms: Terms,
}

impl Call {
    /// A call has arrived; its route is being looked up.
    pub fn new(terms: Terms, now: Moment) -> Self {
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

    /// Whether the callee has answered and nobody has hung up.
    pub fn is_talking(&self) -> bool {
        matches!(self.state, State::Talking(_))
    }

    /// When what has happened so far.
    pub fn milestones(&self) -> &Milestones {
        &self.milestones
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
    fn close(&mut self, ending: Ending, released_by: Releaser, now: Moment) -> [Action; 2] {
        self.over(now);
        let closing = Closing {
            milestones: self.milestones,
            ending,
            released_by,
        };
        let row = match std::mem::replace(&mut self.row, Row::Unwritten(None)) {
            Row::Unwritten(binding) => Action::WriteRow(binding, closing),
            Row::Opened => Action::CloseRow(closing),
        };
        [row, Action::Forget]
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
