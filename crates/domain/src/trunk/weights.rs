//! Things with weights, drawn one after the other in as many steps as the logarithm of their number.

use crate::visits::visit;

/// Weights that have not been drawn yet, in sums that halve a search (a Fenwick tree).
#[derive(Debug, Clone)]
pub(super) struct Weights {
    weights: Vec<u64>,
    /// At each place, counted from 1, the sum of as many weights up to it as its lowest bit says.
    sums: Vec<u64>,
    total: u64,
}

impl Weights {
    pub fn new(weights: impl Iterator<Item = u64>) -> Self {
        let weights: Vec<u64> = weights.collect();
        let mut sums = vec![0; weights.len() + 1];
        for (place, weight) in (1..).zip(&weights) {
            sums[place] += weight;
            let sum = sums[place];
            if let Some(above) = sums.get_mut(place + lowest_bit(place)) {
                *above += sum;
            }
        }
        Self {
            total: weights.iter().sum(),
            weights,
            sums,
        }
    }

    /// The sum of what is left.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Takes the first place at which the sum of the weights up to it is above `drawn`, which is below the total.
    pub fn draw(&mut self, drawn: u64) -> usize {
        let (mut place, mut left) = (0, drawn);
        let mut step = (self.sums.len() / 2).next_power_of_two();
        while step > 0 {
            visit();
            if let Some(&sum) = self.sums.get(place + step)
                && sum <= left
            {
                place += step;
                left -= sum;
            }
            step /= 2;
        }
        self.take(place);
        place
    }

    fn take(&mut self, place: usize) {
        let Some(weight) = self.weights.get_mut(place).map(std::mem::take) else {
            return;
        };
        self.total -= weight;
        let mut above = place + 1;
        while let Some(sum) = self.sums.get_mut(above) {
            visit();
            *sum -= weight;
            above += lowest_bit(above);
        }
    }
}

fn lowest_bit(place: usize) -> usize {
    place & place.wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::visits;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_draw_is_that_of_a_walk_along_what_is_left(
            weights in prop::collection::vec(0..4_u64, 0..70),
            draws in prop::collection::vec(any::<u64>(), 70),
        ) {
            let mut drawn = Weights::new(weights.iter().copied());
            let mut left = weights;
            for draw in draws {
                let total: u64 = left.iter().sum();
                prop_assert_eq!(drawn.total(), total);
                let Some(mut draw) = draw.checked_rem(total) else { return Ok(()) };
                let place = drawn.draw(draw);
                let walked = left.iter().position(|weight| match draw.checked_sub(*weight) {
                    Some(rest) => { draw = rest; false }
                    None => true,
                });
                prop_assert_eq!(Some(place), walked);
                left[place] = 0;
            }
        }
    }

    #[test]
    fn a_draw_takes_a_few_steps_among_many() {
        let mut weights = Weights::new((0..100_000).map(|n| n % 7));
        let before = visits::count();
        for n in 0..1_000 {
            weights.draw(n * 37);
        }
        let steps = (visits::count() - before) / 1_000;
        assert!(steps <= 2 * 17, "{steps} for a draw");
    }
}
