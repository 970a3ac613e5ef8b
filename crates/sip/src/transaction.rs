//! The four transaction machines of RFC 3261 section 17, with the corrections of RFC 6026.
//!
//! A machine knows its state and its timers and nothing else: not the message, not the peer. Whoever owns
//! it keeps the bytes and does what each [`Step`] says. So every row of the RFC's diagrams can be tried in
//! a table, and the same machines serve UDP and reliable transports.

mod invite_client;
mod invite_server;
mod non_invite_client;
mod non_invite_server;
#[cfg(test)]
mod tests;

pub use invite_client::InviteClient;
pub use invite_server::InviteServer;
pub use non_invite_client::PlainClient;
pub use non_invite_server::PlainServer;

use crate::time::Time;
use std::time::Duration;

/// The three times from which all timers follow (RFC 3261, table 4).
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The estimated round trip: 500 ms.
    pub t1: Duration,
    /// The longest time between two tries of anything but INVITE: 4 s.
    pub t2: Duration,
    /// How long a message may stay in the network: 5 s.
    pub t4: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
        }
    }
}

impl Timing {
    /// 64 × T1: how long anyone tries at all; timers B, D, F, H, J, L and M.
    pub fn timeout_64_t1(&self) -> Duration {
        self.t1 * 64
    }
}

/// Whether the transport itself repeats what is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reliability {
    /// UDP: we repeat.
    Unreliable,
    /// TCP, TLS: it repeats.
    Reliable,
}

/// What the owner of a machine must now do, in the order of the fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Send again what was sent last: the request of a client, the response of a server.
    pub send: bool,
    /// Send the ACK for the failure response at hand (INVITE client only).
    pub ack: bool,
    /// Hand the message at hand to the user of the transaction.
    pub deliver: bool,
    /// The machine has ended: forget it.
    pub end: Option<End>,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All is done; its user heard of it before.
    Done,
    /// The other side stayed silent; its user must hear of it.
    TimedOut,
}

impl Step {
    const NOTHING: Self = Self {
        send: false,
        ack: false,
        deliver: false,
        end: None,
    };
    const SEND: Self = Self {
        send: true,
        ..Self::NOTHING
    };
    const DELIVER: Self = Self {
        deliver: true,
        ..Self::NOTHING
    };
    const TIMED_OUT: Self = Self {
        end: Some(End::TimedOut),
        ..Self::NOTHING
    };
    const DONE: Self = Self {
        end: Some(End::Done),
        ..Self::NOTHING
    };
}

/// Sending the same thing again and again, at growing intervals, until a given time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Repeat {
    /// None over a reliable transport.
    next: Option<Time>,
    interval: Duration,
    /// How often it may still be sent.
    left: u8,
    pub(crate) until: Time,
}

impl Repeat {
    pub(crate) fn new(
        first: Duration,
        timeout: Duration,
        reliability: Reliability,
        now: Time,
    ) -> Self {
        let next = (reliability == Reliability::Unreliable).then(|| now + first);
        Self {
            next,
            interval: first,
            left: u8::MAX,
            until: now + timeout,
        }
    }

    /// Sends no more than so many in all, the first included, and then waits without.
    pub(crate) fn limit(&mut self, sends: u8) {
        self.left = sends.saturating_sub(1);
        if self.left == 0 {
            self.next = None;
        }
    }

    pub(crate) fn deadline(&self) -> Time {
        self.next.map_or(self.until, |next| next.min(self.until))
    }

    /// Whether it is time to send again. The interval doubles up to `interval_max`.
    pub(crate) fn take_due(&mut self, now: Time, interval_max: Duration) -> bool {
        if self.next.is_none_or(|next| now < next) {
            return false;
        }
        self.interval = (self.interval * 2).min(interval_max);
        self.left = self.left.saturating_sub(1);
        self.next = (self.left > 0).then(|| now + self.interval);
        true
    }

    /// Time has passed: send again, give up, or nothing.
    fn on_timeout(&mut self, now: Time, interval_max: Duration) -> Step {
        if now >= self.until {
            Step::TIMED_OUT
        } else if self.take_due(now, interval_max) {
            Step::SEND
        } else {
            Step::NOTHING
        }
    }

    /// From now on at this interval only.
    fn slow_down(&mut self, interval: Duration, now: Time) {
        if self.next.is_some() {
            self.interval = interval;
            self.next = Some(now + interval);
        }
    }
}
