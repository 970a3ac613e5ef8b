//! How many requests a second are let through.

use crate::clock::Timestamp;

/// A bucket that fills by `per_s` tokens a second and holds one second's worth.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    /// Thousandths of a token.
    millitokens: u64,
    filled_at: Timestamp,
}

impl Bucket {
    /// A full bucket.
    pub fn full(per_s: u32, now: Timestamp) -> Self {
        Self {
            millitokens: u64::from(per_s) * 1000,
            filled_at: now,
        }
    }

    /// Takes one token; `false` if there is none. A clock that steps back
    /// neither fills nor empties the bucket.
    pub fn take(&mut self, per_s: u32, now: Timestamp) -> bool {
        let elapsed_ms = now.millis().saturating_sub(self.filled_at.millis()).max(0) as u64;
        let gained = elapsed_ms.saturating_mul(u64::from(per_s));
        self.millitokens = self
            .millitokens
            .saturating_add(gained)
            .min(u64::from(per_s) * 1000);
        self.filled_at = now;
        let granted = self.millitokens >= 1000;
        if granted {
            self.millitokens -= 1000;
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_brings_a_seconds_worth() {
        let mut bucket = Bucket::full(3, Timestamp(0));
        let taken = |bucket: &mut Bucket, now| (0..10).filter(|_| bucket.take(3, now)).count();
        assert_eq!(taken(&mut bucket, Timestamp(0)), 3);
        assert_eq!(taken(&mut bucket, Timestamp(333)), 0);
        assert_eq!(taken(&mut bucket, Timestamp(667)), 2);
        assert_eq!(taken(&mut bucket, Timestamp(100)), 0);
        assert_eq!(taken(&mut bucket, Timestamp(60_000)), 3);
    }

    #[test]
    fn a_rate_of_zero_lets_nothing_through() {
        let mut bucket = Bucket::full(0, Timestamp(0));
        assert!(!bucket.take(0, Timestamp(1_000_000)));
    }
}
