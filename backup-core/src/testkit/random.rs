//! Random numbers that repeat.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::environment::Random;

/// The same numbers for the same seed (SplitMix64). Not for secrets.
#[derive(Debug)]
pub struct SeededRandom(AtomicU64);

impl SeededRandom {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A number below `limit`, 0 for a `limit` of 0.
    pub fn below(&self, limit: u64) -> u64 {
        self.next_u64().checked_rem(limit).unwrap_or(0)
    }

    /// True with this probability, 0.0 to 1.0.
    pub fn chance(&self, probability: f64) -> bool {
        // 53 bits are what a double holds.
        ((self.next_u64() >> 11) as f64) < probability * (1_u64 << 53) as f64
    }

    /// Bytes that do not compress.
    pub fn bytes(&self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend_from_slice(&self.next_u64().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}

impl Random for SeededRandom {
    fn next_u64(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_splitmix64_and_repeats() {
        // First outputs of the reference implementation for seed 0.
        let random = SeededRandom::new(0);
        assert_eq!(random.next_u64(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(random.next_u64(), 0x6e78_9e6a_a1b9_65f4);
        assert_eq!(SeededRandom::new(9).bytes(100), SeededRandom::new(9).bytes(100));
        assert_ne!(SeededRandom::new(9).bytes(100), SeededRandom::new(10).bytes(100));
    }

    #[test]
    fn chance_knows_never_and_always() {
        let random = SeededRandom::new(1);
        assert!((0..1000).all(|_| !random.chance(0.0) && random.chance(1.0)));
        let hits = (0..1000).filter(|_| random.chance(0.25)).count();
        assert!((150..350).contains(&hits), "{hits}");
    }
}
