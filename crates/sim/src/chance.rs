//! Chance: the one source of it, from a seed, the same on every machine.

use rand::seq::IndexedRandom;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Draws that depend on a seed alone.
#[derive(Debug, Clone)]
pub struct Chance(ChaCha8Rng);

impl Chance {
    /// The chance of one run.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// True once in `n` times on average; `n` is not 0.
    pub fn one_in(&mut self, n: u32) -> bool {
        self.0.random_ratio(1, n)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0.random_range(0..bound)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        self.0.random_range(low..=high)
    }

    /// One of the values, or `None` if there are none.
    pub fn pick<'a, T>(&mut self, values: &'a [T]) -> Option<&'a T> {
        values.choose(&mut self.0)
    }

    /// One of the values.
    ///
    /// # Panics
    /// If there are none: the caller names them in full.
    pub fn one_of<T: Clone, const N: usize>(&mut self, values: [T; N]) -> T {
        self.pick(&values)
            .expect("the values are named at the call")
            .clone()
    }

    /// A position in `weights`, each as likely as it weighs; the last one if
    /// all weigh nothing.
    pub fn weighed(&mut self, weights: &[u32]) -> usize {
        let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        let mut drawn = self.below(total.max(1));
        for (at, &weight) in weights.iter().enumerate() {
            match drawn.checked_sub(u64::from(weight)) {
                Some(left) => drawn = left,
                None => return at,
            }
        }
        weights.len() - 1
    }

    /// 32 bytes.
    pub fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// Any number.
    pub fn word(&mut self) -> u64 {
        self.0.next_u64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same() {
        let draws = |seed| {
            let mut chance = Chance::new(seed);
            [
                chance.word(),
                chance.below(1000),
                chance.between(-5, 5) as u64,
            ]
        };
        assert_eq!(draws(7), draws(7));
        assert_ne!(draws(7), draws(8));
    }

    #[test]
    fn what_weighs_nothing_is_not_drawn() {
        let mut chance = Chance::new(1);
        for _ in 0..1000 {
            assert_ne!(chance.weighed(&[3, 0, 1]), 1);
        }
    }
}
