//! A sound that is being played, in packets of 20 ms.

use maskline_sip::g711::{Law, SAMPLES_PER_PACKET};
use maskline_sip::relay::Repeat;
use std::sync::Arc;

const BYTES: usize = SAMPLES_PER_PACKET as usize;

/// See the module.
#[derive(Clone, Debug)]
pub struct Player {
    sound: Arc<[u8]>,
    law: Law,
    repeat: Repeat,
    at: usize,
    is_at_begin: bool,
}

impl Player {
    /// Plays `sound`, which is in this law, from its beginning.
    pub fn new(sound: Arc<[u8]>, law: Law, repeat: Repeat) -> Self {
        Self {
            sound,
            law,
            repeat,
            at: 0,
            is_at_begin: true,
        }
    }

    /// Whether nothing was played yet.
    pub fn is_at_begin(&self) -> bool {
        self.is_at_begin
    }

    /// The next packet's sound, filled up with silence; none when it is over.
    pub fn next_packet(&mut self) -> Option<[u8; BYTES]> {
        self.is_at_begin = false;
        if self.at >= self.sound.len() {
            if self.repeat == Repeat::Once || self.sound.is_empty() {
                return None;
            }
            self.at = 0;
        }
        let rest = &self.sound[self.at..];
        let length = rest.len().min(BYTES);
        let mut packet = [self.law.silence(); BYTES];
        packet[..length].copy_from_slice(&rest[..length]);
        self.at += BYTES;
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_ends_and_forever_begins_anew() {
        let sound: Arc<[u8]> = vec![1; 200].into();
        let mut once = Player::new(Arc::clone(&sound), Law::A, Repeat::Once);
        assert_eq!(once.next_packet(), Some([1; 160]));
        let last = once.next_packet().expect("40 samples are left");
        assert_eq!((last[39], last[40]), (1, Law::A.silence()));
        assert_eq!(once.next_packet(), None);
        let mut forever = Player::new(sound, Law::A, Repeat::Forever);
        let begun = (0..10).filter(|_| forever.next_packet() == Some([1; 160]));
        assert_eq!(begun.count(), 5);
        let mut empty = Player::new(Arc::new([]), Law::A, Repeat::Forever);
        assert_eq!(empty.next_packet(), None);
    }
}
