//! Whatever two phones do with their media: they speak one law, and each change comes to an end.

use super::world::sdp_again;
use super::*;

struct Play {
    world: World,
    legs: [LegId; 2],
    version: u8,
}

impl Play {
    fn new() -> Self {
        let mut world = World::new();
        let caller = world.dial(sdp_at(CALLER_MEDIA, "8 0 101"), 70);
        let callee = world.callee_leg();
        world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "0 8 101")));
        Self {
            world,
            legs: [caller, callee],
            version: 1,
        }
    }

    /// A new description of this side, which likes one law better than the other.
    fn sdp(&mut self, side: Side, direction: &str) -> Vec<u8> {
        self.version = self.version.wrapping_add(1).max(2);
        match side {
            Side::Caller => sdp_again(self.version, CALLER_MEDIA, "8 0 101", direction),
            Side::Callee => sdp_again(self.version, CALLEE_MEDIA, "0 8 101", direction),
        }
    }

    fn give(&mut self, side: Side, input: impl FnOnce(LegId) -> SipInput<'static>) {
        match side {
            Side::Caller => self.world.caller_does(input(self.legs[0])),
            Side::Callee => self.world.callee_does(input(self.legs[1])),
        }
    }

    fn offer(&mut self, side: Side, direction: &str) {
        let sdp = self.sdp(side, direction);
        self.give(side, |leg| SipInput::Offer(leg, sdp));
    }

    /// Answers what this side was offered, if that is still open.
    fn accept(&mut self, side: Side, direction: &str) {
        let sdp = self.sdp(side, direction);
        self.give(side, |leg| SipInput::AcceptOffer(leg, sdp));
    }

    fn act(&mut self, chance: &mut Chance) {
        const DIRECTIONS: [&str; 5] = ["sendrecv", "sendrecv", "sendonly", "recvonly", "inactive"];
        let side = Side::BOTH[chance.below(2) as usize];
        let direction = DIRECTIONS[chance.below(5) as usize];
        match chance.below(8) {
            0 | 1 => self.offer(side, direction),
            2 | 3 => {
                self.world.ack = Some(self.sdp(side, direction));
                self.give(side, |leg| SipInput::Offer(leg, Vec::new()));
            }
            4 => self.give(side, |leg| SipInput::RefuseOffer(leg, 488)),
            _ => self.accept(side, direction),
        }
        // Sometimes longer than anybody waits for an answer, and sometimes what was sent is lost at first.
        let pause_ms = match chance.below(10) {
            0 => 21_000,
            _ => chance.below(3_000),
        };
        self.world.deaf = [Some(CALLER), Some(CALLEE), None, None][chance.below(4) as usize];
        self.world.pass(pause_ms.min(400));
        self.world.deaf = None;
        self.world.pass(pause_ms.saturating_sub(400));
    }

    /// Both answer what they are offered, until nothing is open any more.
    fn settle(&mut self) {
        for _ in 0..40 {
            for side in Side::BOTH {
                self.accept(side, "sendrecv");
            }
            self.world.pass(1_000);
        }
    }
}

#[test]
fn whatever_two_phones_do_they_speak_one_law_and_can_hold_and_resume() {
    for seed in 0..400 {
        let mut chance = Chance(seed);
        let mut play = Play::new();
        for _ in 0..20 {
            play.act(&mut chance);
        }
        play.world.ack = Some(play.sdp(Side::Caller, "sendrecv"));
        play.settle();
        assert_eq!(play.world.switch.calls(), 1, "seed {seed}: the call stands");
        for path in &play.world.paths {
            let codecs = [path.caller.as_ref(), path.callee.as_ref()]
                .map(|end| end.map(|end| end.payloads.codec));
            assert_eq!(codecs[0], codecs[1], "seed {seed}: {path:?}");
        }
        for side in Side::BOTH {
            for (direction, reply, is_held) in [
                ("sendonly", "recvonly", true),
                ("sendrecv", "sendrecv", false),
            ] {
                play.offer(side, direction);
                play.accept(side.other(), reply);
                let path = play.world.paths.last().cloned().unwrap_or_default();
                assert_eq!(path.is_held(), is_held, "seed {seed}: {side:?} {direction}");
            }
        }
        play.give(Side::Caller, |leg| SipInput::HangUp(leg, None));
        assert!(play.world.is_clean(), "seed {seed}: something is left");
    }
}
