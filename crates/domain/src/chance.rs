//! Chance that comes in as a seed: whoever has the seed gets the same numbers.

use crate::inventory;

/// From one state of the generator to the next: the golden ratio, in 64 bits.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The sequence of numbers of a seed. It steps as SplitMix64 does and mixes by the hash of the tables, not by
/// [`mix`]: with it the seeds of the simulator's worlds choose the X that they have always chosen.
pub(crate) struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(STEP);
        ((u128::from(inventory::hash_u64(self.0)) * bound as u128) >> 64) as usize
    }
}

/// A number that looks drawn, from a seed (SplitMix64): neighbouring seeds give unrelated numbers. What it
/// gives may be the seed of the next one. It keeps no secret: one number tells the seed.
pub fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(STEP);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers of the generator as its authors publish it.
    #[test]
    fn numbers_are_those_of_splitmix64() {
        let drawn = [0, 1, 2].map(|n: u64| mix(STEP.wrapping_mul(n)));
        let expected = [
            0xe220_a839_7b1d_cdaf,
            0x6e78_9e6a_a1b9_65f4,
            0x06c4_5d18_8009_454f,
        ];
        assert_eq!(drawn, expected);
    }
}
