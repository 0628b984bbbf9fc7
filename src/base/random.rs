//! A small seeded random source (SplitMix64): the same seed plays the same run.
//!
//! Not for secrets. Machines get theirs from whoever builds them; only `io::clock` seeds one from the kernel.

use std::time::Duration;

/// A seeded sequence of random numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence that belongs to `seed`.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number in `0..bound`; 0 for a bound of 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// True in `permille` of a thousand calls on average.
    pub fn chance(&mut self, permille: u64) -> bool {
        self.below(1_000) < permille
    }

    /// A duration from zero up to, but not including, `bound`.
    pub fn duration_below(&mut self, bound: Duration) -> Duration {
        let micros = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.below(micros))
    }
}

/// SplitMix64's finaliser: every input bit moves every output bit.
#[must_use]
pub const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_plays_the_same_run() {
        let (mut one, mut two) = (Random::seeded(7), Random::seeded(7));
        for _ in 0..100 {
            assert_eq!(one.next_u64(), two.next_u64());
        }
        assert_ne!(Random::seeded(7).next_u64(), Random::seeded(8).next_u64());
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        let mut random = Random::seeded(1);
        for bound in [1, 2, 3, 1_000, u64::MAX] {
            assert!((0..1_000).all(|_| random.below(bound) < bound));
        }
        assert_eq!(random.below(0), 0);
    }
}
