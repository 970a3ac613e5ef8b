//! The call of two legs, without sockets, clocks or SIP: what happened goes in, what to do comes out.
//!
//! Whatever happens, a call whose route was found leaves exactly one record: either written at once, for a
//! call that was never connected, or opened **before** the second leg is dialled and closed at the end.

use super::ending::{Ending, Reason};
use maskline_domain::routing::{Connection, Route, Situation};
use maskline_domain::{Binding, PhoneNumber, Timestamp};

/// When something happened, by two clocks: the wall clock for the record, and one that never jumps for
/// deadlines.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// What the wall clock says.
    pub wall: Timestamp,
    /// Milliseconds since an arbitrary origin.
    pub tick_ms: u64,
}

/// What happened.
#[derive(Debug)]
pub enum Happening {
    /// The route is known.
    Routed(Route),
    /// The route could not be read in time.
    RouteUnknown,
    /// The open row is durable, or it is not.
    RowOpened(bool),
    /// There is no way to dial, or to carry the media: no trunk, no codec, no port.
    MediaRefused(Reason),
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
    /// The caller gave up or hung up.
    CallerGone(Option<u8>),
    /// The callee hung up.
    CalleeGone(Option<u8>),
    /// Nothing was heard for too long.
    MediaLost,
    /// The process stops and cannot wait any longer.
    Stopping,
    /// [`Call::deadline`] has come.
    Timeout,
}

/// What is to be done.
#[derive(Debug)]
pub enum Deed {
    /// Make the open row durable, then say [`Happening::RowOpened`].
    OpenRow(Box<Connection>),
    /// Dial the second leg.
    DialCallee(PhoneNumber),
    /// Tell the caller about progress.
    TellCaller {
        /// 180, 182 or 183.
        status: u16,
        /// Whether the callee's early media goes with it.
        early_media: bool,
    },
    /// Answer the caller.
    AnswerCaller,
    /// Refuse the caller.
    RefuseCaller(Ending),
    /// Hang up on the caller.
    HangUpCaller(u8),
    /// Hang up on the callee, or stop ringing.
    HangUpCallee(u8),
    /// Write the record of a call that was never connected, already closed.
    WriteRow(Option<Box<Binding>>, Closing),
    /// Close the open row.
    CloseRow(Closing),
    /// The call is over: give back everything. Always the last deed.
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

/// The moments of a call, in UTC milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Milestones {
    /// The INVITE came.
    pub arrived: Timestamp,
    /// The route was known.
    pub routed: Option<Timestamp>,
    /// The second leg was dialled.
    pub dialled: Option<Timestamp>,
    /// The callee rang, or had something to say.
    pub ringing: Option<Timestamp>,
    /// The callee answered.
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

/// The bounds of a call.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The longest call, in seconds.
    pub duration_max_s: u32,
}

#[derive(Debug)]
enum State {
    /// Waiting for the route. Whether the caller has left meanwhile.
    Routing {
        left: bool,
    },
    /// Waiting for the open row.
    Opening {
        callee: PhoneNumber,
        ring_timeout_s: u16,
        left: bool,
    },
    /// The second leg is dialled.
    Dialling,
    /// Both have answered.
    Talking,
    Over,
}

/// One call.
#[derive(Debug)]
pub struct Call {
    state: State,
    milestones: Milestones,
    deadline_ms: Option<u64>,
    bounds: Bounds,
}

impl Call {
    /// A call has arrived; its route is being looked up.
    pub fn new(bounds: Bounds, now: Moment) -> Self {
        let milestones = Milestones {
            arrived: now.wall,
            ..Milestones::default()
        };
        Self {
            state: State::Routing { left: false },
            milestones,
            deadline_ms: None,
            bounds,
        }
    }

    /// When [`Happening::Timeout`] is due, on the clock that never jumps.
    pub fn deadline(&self) -> Option<u64> {
        self.deadline_ms
    }

    /// Whether the callee has answered and nobody has hung up.
    pub fn is_talking(&self) -> bool {
        matches!(self.state, State::Talking)
    }

    /// When the call arrived.
    pub fn arrived(&self) -> Timestamp {
        self.milestones.arrived
    }

    /// Takes in what happened and says what to do, in order.
    pub fn handle(&mut self, happening: Happening, now: Moment) -> Vec<Deed> {
        match (&mut self.state, happening) {
            (State::Routing { left }, Happening::Routed(route)) => {
                let left = *left;
                self.on_route(route, left, now)
            }
            (State::Routing { left }, Happening::RouteUnknown) => {
                let mut deeds = Vec::new();
                if !*left {
                    deeds.push(Deed::RefuseCaller(Ending::of(Reason::NotDurable)));
                }
                self.over(now);
                deeds.push(Deed::Forget);
                deeds
            }
            (State::Routing { left } | State::Opening { left, .. }, Happening::CallerGone(_)) => {
                *left = true;
                Vec::new()
            }
            (
                State::Opening {
                    callee,
                    ring_timeout_s,
                    left,
                },
                Happening::RowOpened(durable),
            ) => {
                let (callee, ring_timeout_s, left) = (*callee, *ring_timeout_s, *left);
                self.on_row(callee, ring_timeout_s, left, durable, now)
            }
            (State::Dialling, happening) => self.on_dialling(happening, now),
            (State::Talking, happening) => self.on_talking(happening, now),
            _ => Vec::new(),
        }
    }

    fn on_route(&mut self, route: Route, left: bool, now: Moment) -> Vec<Deed> {
        self.milestones.routed = Some(now.wall);
        let (ending, binding) = match route {
            Route::Connect(connection) if !left => {
                let (callee, ring_timeout_s) = (connection.callee, connection.ring_timeout_s);
                self.state = State::Opening {
                    callee,
                    ring_timeout_s,
                    left: false,
                };
                return vec![Deed::OpenRow(connection)];
            }
            Route::Connect(connection) => (
                Ending::of(Reason::CallerGaveUp),
                Some(Box::new(connection.binding)),
            ),
            Route::Refuse {
                situation: Situation::XUnknown,
                ..
            } => {
                // Somebody else's number: answered, counted, not recorded.
                self.over(now);
                let refusal = Deed::RefuseCaller(Ending::of(Reason::XUnknown));
                return if left {
                    vec![Deed::Forget]
                } else {
                    vec![refusal, Deed::Forget]
                };
            }
            Route::Refuse { situation, binding } => (Ending::of_situation(situation), binding),
        };
        let mut deeds = Vec::new();
        let closing = match left {
            true => self.close(Ending::of(Reason::CallerGaveUp), Releaser::Caller, now),
            false => {
                deeds.push(Deed::RefuseCaller(ending));
                self.close(ending, Releaser::Platform, now)
            }
        };
        deeds.extend([Deed::WriteRow(binding, closing), Deed::Forget]);
        deeds
    }

    fn on_row(
        &mut self,
        callee: PhoneNumber,
        ring_timeout_s: u16,
        left: bool,
        durable: bool,
        now: Moment,
    ) -> Vec<Deed> {
        if left {
            // Closing a row that was never written changes nothing.
            let closing = self.close(Ending::of(Reason::CallerGaveUp), Releaser::Caller, now);
            return vec![Deed::CloseRow(closing), Deed::Forget];
        }
        if !durable {
            // No call without its record.
            self.over(now);
            return vec![
                Deed::RefuseCaller(Ending::of(Reason::NotDurable)),
                Deed::Forget,
            ];
        }
        self.milestones.dialled = Some(now.wall);
        self.deadline_ms = Some(now.tick_ms + u64::from(ring_timeout_s) * 1_000);
        self.state = State::Dialling;
        vec![Deed::DialCallee(callee)]
    }

    fn on_dialling(&mut self, happening: Happening, now: Moment) -> Vec<Deed> {
        match happening {
            // The end of an early dialog (RFC 6228): others may still ring.
            Happening::CalleeProgress { status: 199, .. } => Vec::new(),
            Happening::CalleeProgress {
                status,
                early_media,
            } => {
                self.milestones.ringing.get_or_insert(now.wall);
                // Whether the callee's number is forwarded is the callee's business.
                let status = if matches!(status, 182 | 183) {
                    status
                } else {
                    180
                };
                vec![Deed::TellCaller {
                    status,
                    early_media,
                }]
            }
            Happening::CalleeAnswered => {
                self.milestones.answered = Some(now.wall);
                self.deadline_ms =
                    Some(now.tick_ms + u64::from(self.bounds.duration_max_s) * 1_000);
                self.state = State::Talking;
                vec![Deed::AnswerCaller]
            }
            Happening::CalleeRefused(status, cause, silent) => {
                let ending = Ending::of_callee(status, cause);
                let by = if silent {
                    Releaser::Platform
                } else {
                    Releaser::Callee
                };
                self.refuse(ending, by, now)
            }
            Happening::CalleeGone(_) => {
                self.refuse(Ending::of(Reason::Failed), Releaser::Callee, now)
            }
            Happening::MediaRefused(reason) => {
                let ending = Ending::of(reason);
                self.also_hang_up(ending, now)
            }
            Happening::Timeout if self.is_due(now) => {
                self.also_hang_up(Ending::of(Reason::NoAnswer), now)
            }
            Happening::Stopping => self.also_hang_up(Ending::of(Reason::Overload), now),
            Happening::CallerGone(cause) => {
                let ending = Ending::of(Reason::CallerGaveUp);
                let closing = self.close(ending, Releaser::Caller, now);
                vec![
                    Deed::HangUpCallee(passed_on(cause)),
                    Deed::CloseRow(closing),
                    Deed::Forget,
                ]
            }
            _ => Vec::new(),
        }
    }

    fn on_talking(&mut self, happening: Happening, now: Moment) -> Vec<Deed> {
        let by_us = |reason| {
            let ending = Ending::of(reason);
            (
                Releaser::Platform,
                ending,
                vec![
                    Deed::HangUpCaller(ending.q850),
                    Deed::HangUpCallee(ending.q850),
                ],
            )
        };
        let hung_up = |cause| Ending {
            q850: passed_on(cause),
            ..Ending::of(Reason::HungUp)
        };
        let (releaser, ending, mut deeds) = match happening {
            Happening::CallerGone(cause) => (
                Releaser::Caller,
                hung_up(cause),
                vec![Deed::HangUpCallee(passed_on(cause))],
            ),
            Happening::CalleeGone(cause) => (
                Releaser::Callee,
                hung_up(cause),
                vec![Deed::HangUpCaller(passed_on(cause))],
            ),
            Happening::MediaLost => by_us(Reason::MediaLost),
            Happening::Stopping => by_us(Reason::Stopped),
            Happening::Timeout if self.is_due(now) => by_us(Reason::DurationMax),
            _ => return Vec::new(),
        };
        let closing = self.close(ending, releaser, now);
        deeds.extend([Deed::CloseRow(closing), Deed::Forget]);
        deeds
    }

    fn is_due(&self, now: Moment) -> bool {
        self.deadline_ms
            .is_some_and(|deadline| now.tick_ms >= deadline)
    }

    /// The callee is gone: the caller hears of it.
    fn refuse(&mut self, ending: Ending, by: Releaser, now: Moment) -> Vec<Deed> {
        let closing = self.close(ending, by, now);
        vec![
            Deed::RefuseCaller(ending),
            Deed::CloseRow(closing),
            Deed::Forget,
        ]
    }

    /// We end it while the callee's leg still lives.
    fn also_hang_up(&mut self, ending: Ending, now: Moment) -> Vec<Deed> {
        let mut deeds = vec![Deed::HangUpCallee(ending.q850)];
        deeds.extend(self.refuse(ending, Releaser::Platform, now));
        deeds
    }

    fn close(&mut self, ending: Ending, released_by: Releaser, now: Moment) -> Closing {
        self.over(now);
        Closing {
            milestones: self.milestones,
            ending,
            released_by,
        }
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

#[cfg(test)]
mod tests;
