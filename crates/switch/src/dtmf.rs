//! Keys that a party presses (DTMF), when its network sends them as INFO instead of RTP events: each goes on to the
//! other party as its network takes them.

use super::{CallKey, Output, Switch};
use maskline_domain::call::{Moment, Side};
use maskline_sip::dtmf::{self, HELD_MS, RELAY_TYPE};
use maskline_sip::endpoint::{Input as SipInput, LegId};

impl Switch {
    /// A key by INFO goes on as an RTP event, or as INFO where the other side knows no events.
    pub(super) fn on_info(&mut self, leg: LegId, content_type: &[u8], body: &[u8], now: Moment) {
        let Some((key, side)) = self.legs.get(&leg).copied() else {
            return;
        };
        let Some((digit, _)) = dtmf::read_info(content_type, body) else {
            return;
        };
        let to = side.other();
        match self.calls.get(&key) {
            Some(live) if live.media.takes_events(to) => {
                self.outputs.push_back(Output::SendDigit(key, to, digit));
            }
            Some(_) => self.send_info(key, to, digit, now),
            None => {}
        }
    }

    /// A key by an RTP event goes on as INFO, since the other side knows no events.
    pub(super) fn on_digit(&mut self, key: CallKey, from: Side, digit: char, now: Moment) {
        self.send_info(key, from.other(), digit, now);
    }

    fn send_info(&mut self, key: CallKey, to: Side, digit: char, now: Moment) {
        let live = self.calls.get(&key);
        let live = live.filter(|live| live.call.passes_keys());
        let leg = live.and_then(|live| live.leg(to));
        if let Some((leg, (content_type, body))) = leg.zip(to_info(digit)) {
            self.sip(SipInput::Info(leg, content_type, body), now);
        }
    }
}

/// An INFO that tells this key: what it holds, and the body. None for what is no key.
fn to_info(key: char) -> Option<(Vec<u8>, Vec<u8>)> {
    let body = dtmf::relay_body(key, HELD_MS)?;
    Some((RELAY_TYPE.as_bytes().to_vec(), body.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_as_the_same_key() {
        for key in "0123456789*#ABCD".chars() {
            let (kind, body) = to_info(key).expect("a key");
            assert_eq!(dtmf::read_info(&kind, &body), Some((key, HELD_MS)));
        }
    }
}
