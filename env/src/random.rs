//! Random numbers.

use parking_lot::Mutex;
use std::fmt::Debug;

/// A source of random numbers.
pub trait Random: Send + Sync + Debug {
    /// 64 uniform bits.
    fn next_u64(&self) -> u64;

    /// Fills `bytes` with uniform bits.
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

/// The operating system's randomness, through a generator fit for cryptography (salts, cancel keys).
#[derive(Debug)]
pub struct SystemRandom;

#[allow(clippy::disallowed_methods, reason = "this is the one place that draws real randomness")]
mod system {
    use super::{Random, SystemRandom};
    use rand::RngCore;

    impl Random for SystemRandom {
        fn next_u64(&self) -> u64 {
            rand::rng().next_u64()
        }

        fn fill(&self, bytes: &mut [u8]) {
            rand::rng().fill_bytes(bytes);
        }
    }
}

/// The same numbers for the same seed, on every machine and in every version: a failing seed stays
/// failing.
#[derive(Debug)]
pub struct SeededRandom(Mutex<SplitMix64>);

impl SeededRandom {
    /// Starts a sequence.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(SplitMix64::new(seed)))
    }
}

impl Random for SeededRandom {
    fn next_u64(&self) -> u64 {
        self.0.lock().next_u64()
    }
}

/// The generator behind [`SeededRandom`], for one owner (Steele, Lea and Flood, OOPSLA 2014).
#[derive(Clone, Debug)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// Starts a sequence.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 uniform bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which must not be 0. The bias, below 2^-32 for the bounds tests use, is
    /// accepted.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no number below 0");
        self.next_u64() % bound
    }

    /// True with the given probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        // 53 bits: every value is exact in a double, and 1.0 is never reached.
        ((self.next_u64() >> 11) as f64) < probability * (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_its_published_sequence() {
        // Reference values of splitmix64.c for seed 1234567.
        let random = SeededRandom::new(1_234_567);
        assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(random.next_u64(), 3_203_168_211_198_807_973);
        let mut bytes = [0; 11];
        random.fill(&mut bytes);
        assert_eq!(&bytes[..8], &9_817_491_932_198_370_423u64.to_le_bytes());
    }

    #[test]
    fn system_numbers_differ() {
        let mut bytes = [0; 16];
        SystemRandom.fill(&mut bytes);
        assert_ne!(bytes, [0; 16]);
        assert_ne!(SystemRandom.next_u64(), SystemRandom.next_u64());
    }

    #[test]
    fn chance_is_about_right() {
        let mut random = SplitMix64::new(7);
        let hits = (0..10_000).filter(|_| random.chance(0.25)).count();
        assert!((2_300..2_700).contains(&hits), "{hits}");
        assert!(!(0..1_000).any(|_| random.chance(0.0)));
        assert!((0..1_000).all(|_| random.chance(1.0)));
    }
}
