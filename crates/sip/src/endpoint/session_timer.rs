//! The session timer: how long a call may go without a sign of life, and who gives it (RFC 4028).

use super::stateless::SUPPORTED;
use super::{ClientKey, Config};
use crate::message::{Message, Name, Params, Writer};
use crate::text;
use crate::time::Time;
use std::time::Duration;

/// No session may be shorter, whatever anybody asks for (section 4).
const SHORTEST_S: u32 = 90;

/// How long a request that was challenged may take to come again with its credentials.
const AUTH_WAIT: Duration = Duration::from_secs(1);
/// Who says that a call is over and does not authenticate it is asked whether it stands, no more often than this.
const CHECK_EVERY: Duration = Duration::from_secs(32);

/// How often we give in to a longer interval on one leg.
const RAISES_MAX: u8 = 4;

/// What is agreed on one leg.
pub(super) struct Session {
    /// What we ask for; 0: nothing.
    wanted_s: u32,
    /// The shortest that we, or the other side, agree to.
    min_s: u32,
    /// None: nothing is agreed.
    interval_s: Option<u32>,
    we_refresh: bool,
    /// How often the other side has wanted longer intervals.
    raised: u8,
    refresh_at: Option<Time>,
    end_at: Option<Time>,
    /// When the other side is asked whether the call stands.
    check_at: Option<Time>,
    /// Whether it has been asked and has not answered.
    is_being_checked: bool,
    /// Before this it is not asked again.
    next_check: Option<Time>,
    /// Our UPDATE without an offer that is under way.
    pub refreshing: Option<ClientKey>,
}

impl Session {
    pub fn new(config: &Config) -> Self {
        Self {
            wanted_s: config.session_expires_s,
            min_s: config.min_se_s.max(SHORTEST_S),
            interval_s: None,
            we_refresh: false,
            raised: 0,
            refresh_at: None,
            end_at: None,
            check_at: None,
            is_being_checked: false,
            next_check: None,
            refreshing: None,
        }
    }

    /// When something is to be done.
    pub fn deadline(&self) -> Option<Time> {
        let times = [self.refresh_at, self.end_at, self.check_at];
        times.into_iter().flatten().min()
    }

    pub fn is_over(&self, now: Time) -> bool {
        self.end_at.is_some_and(|end| end <= now)
    }

    /// Whether it is our turn to refresh, or time to ask whether the call stands, which is the same request; asked
    /// once.
    pub fn take_refresh_due(&mut self, now: Time) -> bool {
        let is_due = self.refresh_at.take_if(|due| *due <= now).is_some();
        let is_asked = self.check_at.take_if(|due| *due <= now).is_some();
        self.is_being_checked |= is_asked;
        is_due || is_asked
    }

    /// The other side said that the call is over, and was asked for credentials. Some never give them and are gone all
    /// the same: they refuse what they are asked in a while, and whoever goes on answers as ever, so that nobody can
    /// end a call by a BYE in somebody's name.
    pub fn on_unauthenticated_bye(&mut self, now: Time) {
        if self.next_check.is_none_or(|until| until <= now) {
            self.check_at = Some(now + AUTH_WAIT);
            self.next_check = Some(now + CHECK_EVERY);
        }
    }

    /// Whether a refusal means that the other side has gone. 481, and 408 of its own, always do (RFC 3261 section
    /// 12.2.1.2). From one that has said goodbye so do those that end a dialog otherwise (RFC 5057 section 5.1), and
    /// those of programs that keep the dialog and have no media any more, while crossings, challenges and dislike of
    /// what was offered mean nothing.
    pub fn is_over_by(&self, status: u16) -> bool {
        match status {
            408 | 481 => true,
            400 | 404 | 410 | 416 | 480 | 482..=485 | 502 | 603 | 604 => self.is_being_checked,
            _ => false,
        }
    }

    /// A refresh was refused for a reason that may pass: once more, until it is too late.
    pub fn try_again(&mut self, now: Time) {
        if self.we_refresh
            && let Some(interval_s) = self.interval_s
        {
            self.refresh_at = Some(now + Duration::from_secs(u64::from(interval_s / 8)));
        }
    }

    fn start(&mut self, now: Time) {
        self.refresh_at = None;
        self.end_at = None;
        if let Some(interval_s) = self.interval_s {
            // Section 10: the end comes a little before the other side thinks that it has come.
            let early_s = (interval_s / 3).min(32);
            let after = |seconds: u32| Some(now + Duration::from_secs(u64::from(seconds)));
            self.end_at = after(interval_s - early_s);
            self.refresh_at = after(interval_s / 2).filter(|_| self.we_refresh);
        }
    }

    /// What our first INVITE says (section 7.1).
    pub fn lines_of_invite(&self) -> Vec<(Name, Vec<u8>)> {
        let mut lines = Vec::new();
        if self.wanted_s > 0 {
            let wanted_s = self.wanted_s.max(self.min_s).to_string();
            lines.push((Name::SessionExpires, wanted_s.into_bytes()));
        }
        if self.min_s > SHORTEST_S {
            lines.push((Name::MinSe, self.min_s.to_string().into_bytes()));
        }
        lines
    }

    /// What a re-INVITE or UPDATE of ours says: who refreshes now is to do so further on (section 7.4).
    pub fn write_request(&self, writer: &mut Writer) {
        writer.line(Name::Supported, &[SUPPORTED]);
        if let Some(interval_s) = self.interval_s {
            let refresher = if self.we_refresh { "uac" } else { "uas" };
            let value = format!("{interval_s};refresher={refresher}");
            writer.line(Name::SessionExpires, &[value.as_bytes()]);
            if self.min_s > SHORTEST_S {
                writer.line(Name::MinSe, &[self.min_s.to_string().as_bytes()]);
            }
        }
    }

    /// Settles what holds from now on, from a request of theirs that we accept, and says so in our success
    /// (section 9, table 2).
    pub fn accept(&mut self, request: &Message, writer: &mut Writer, now: Time) {
        writer.line(Name::Supported, &[SUPPORTED]);
        let knows =
            request.lists(Name::Supported, "timer") || request.lists(Name::Require, "timer");
        let floor_s = min_se(request).unwrap_or_default().max(self.min_s);
        let ours_s = if self.wanted_s > 0 {
            self.wanted_s
        } else {
            u32::MAX
        };
        let we_refreshed = self.interval_s.is_some() && self.we_refresh;
        match (expires(request), knows) {
            (Some((theirs_s, refresher)), true) => {
                self.interval_s = Some(theirs_s.min(ours_s).max(floor_s));
                self.we_refresh = refresher.map_or(we_refreshed, |who| who == Refresher::Asked);
            }
            // A proxy on the way asks for it, the sender cannot do it.
            (Some((theirs_s, _)), false) => {
                self.interval_s = Some(theirs_s.min(ours_s).max(floor_s));
                self.we_refresh = true;
            }
            (None, true) if self.wanted_s > 0 => {
                self.interval_s = Some(self.wanted_s.max(floor_s));
                self.we_refresh = we_refreshed;
            }
            // Who refreshes without the other's help goes on doing so.
            (None, _) if we_refreshed => {}
            (None, _) => self.interval_s = None,
        }
        if let Some(interval_s) = self.interval_s {
            let refresher = if self.we_refresh { "uas" } else { "uac" };
            let value = format!("{interval_s};refresher={refresher}");
            writer.line(Name::SessionExpires, &[value.as_bytes()]);
            if !self.we_refresh {
                writer.line(Name::Require, &[b"timer"]);
            }
        }
        self.start(now);
    }

    /// Settles what holds from now on, from the success of a request of ours (section 7.2).
    pub fn take_response(&mut self, response: &Message, now: Time) {
        self.is_being_checked = false;
        match expires(response) {
            Some((seconds, refresher)) => {
                // Less than the shortest would make us send without end.
                self.interval_s = Some(seconds.max(SHORTEST_S));
                self.we_refresh = refresher != Some(Refresher::Asked);
            }
            // Who refreshes goes on doing so, whether or not the other side counts.
            None if self.we_refresh => {}
            None => self.interval_s = None,
        }
        self.start(now);
    }

    /// The other side wants longer intervals (422). False if it does not say more than we knew, or wants
    /// it too often.
    pub fn raise(&mut self, response: &Message) -> bool {
        let Some(wanted_s) = min_se(response).filter(|wanted_s| *wanted_s > self.min_s) else {
            return false;
        };
        if self.raised == RAISES_MAX {
            return false;
        }
        self.raised += 1;
        self.min_s = wanted_s;
        self.interval_s = self.interval_s.map(|interval_s| interval_s.max(wanted_s));
        true
    }
}

/// The interval of a request is too short for us, and its sender can do something about it (section 9).
/// Gives what we would agree to.
pub(super) fn too_short(request: &Message, config: &Config) -> Option<u32> {
    let min_s = config.min_se_s.max(SHORTEST_S);
    let (seconds, _) = expires(request)?;
    (seconds < min_s && request.lists(Name::Supported, "timer")).then_some(min_s)
}

/// Who refreshes, seen from one request: who sent it, or who answers it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refresher {
    Asking,
    Asked,
}

fn expires(message: &Message) -> Option<(u32, Option<Refresher>)> {
    let (seconds, params) = seconds(message.header(Name::SessionExpires)?)?;
    let refresher = match params.get("refresher") {
        Some(who) if who.eq_ignore_ascii_case(b"uac") => Some(Refresher::Asking),
        Some(who) if who.eq_ignore_ascii_case(b"uas") => Some(Refresher::Asked),
        _ => None,
    };
    Some((seconds, refresher))
}

fn min_se(message: &Message) -> Option<u32> {
    // Nobody can mean more than a day, and we would never notice that a call is dead.
    let (seconds, _) = seconds(message.header(Name::MinSe)?)?;
    Some(seconds.min(86_400))
}

fn seconds(value: &[u8]) -> Option<(u32, Params<'_>)> {
    let semicolon = value
        .iter()
        .position(|&byte| byte == b';')
        .unwrap_or(value.len());
    let (number, params) = value.split_at(semicolon);
    Some((text::number(text::trim(number))?, Params::new(params)))
}
