//! How big the parts of an upload are: at most 10,000, each but the last of 5 MiB or more, within a fixed memory.

/// The most parts of an upload.
pub(super) const MOST_PARTS: u32 = 10_000;
/// The smallest part that is not the last.
pub(super) const SMALLEST: u64 = 5 << 20;
/// The smallest part that a configuration may ask for, for servers that allow it.
const TINY: u64 = 64 << 10;
/// The parts of an object whose size nobody knows, until it is clear that it is huge.
const UNKNOWN: u64 = 14 << 20;
const MIB: u64 = 1 << 20;
/// Where parts begin to grow, and where they grow again, unless the object was expected to have more of one size.
const GROW: u32 = 4_000;
const GROW_AGAIN: u32 = 8_000;

/// The sizes of the parts of one upload.
///
/// A writer holds the part that it fills and those on their way, together no more than [`PartPlan::memory`]: two on their way beside the one that is filled,
/// one when parts are half as big again, none when they are three times as big.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PartPlan {
    size: u64,
    /// How many parts are of that size.
    equal: u32,
    /// Whether parts grow behind them; else they are all there can be.
    grow: bool,
}

impl PartPlan {
    /// `max_object` makes all parts equal, whatever the hint says; `size` replaces the size that is taken without one, and may be too small
    /// for S3 itself.
    pub(super) fn new(hint: Option<u64>, size: Option<u64>, max_object: Option<u64>) -> Self {
        let least = |bytes: u64| match bytes.div_ceil(MOST_PARTS.into()) {
            size if size <= TINY => size,
            size => size.next_multiple_of(MIB),
        };
        if let Some(max) = max_object {
            let size = size.unwrap_or(SMALLEST).max(TINY).max(least(max));
            return Self { size, equal: MOST_PARTS, grow: false };
        }
        let usual = match (size, hint) {
            (Some(size), _) => size.max(TINY),
            (None, Some(_)) => SMALLEST,
            (None, None) => UNKNOWN,
        };
        let size = hint.map_or(usual, |hint| usual.max(least(hint)));
        let expected = hint.map_or(0, |hint| hint.div_ceil(size).min(MOST_PARTS.into()) as u32);
        Self { size, equal: expected.max(GROW), grow: true }
    }

    /// The size of part number `number`, from 1; `None` behind the last that there can be.
    pub(super) fn size(&self, number: u32) -> Option<u64> {
        match number {
            _ if number > MOST_PARTS => None,
            _ if number <= self.equal => Some(self.size),
            _ if !self.grow => None,
            _ if number <= GROW_AGAIN => Some(self.size + self.size / 2),
            _ => Some(self.size * 3),
        }
    }

    /// The bytes that a writer holds at most.
    pub(super) fn memory(&self) -> u64 {
        self.size * 3
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GIB: u64 = 1 << 30;

    fn capacity(plan: &PartPlan) -> u64 {
        (1..).map_while(|number| plan.size(number)).sum()
    }

    #[test]
    fn a_writer_holds_42_mib_by_default_up_to_128_gib() {
        for hint in [None, Some(0), Some(GIB), Some(128 * GIB)] {
            assert!(PartPlan::new(hint, None, None).memory() <= 42 * MIB, "{hint:?}");
        }
        assert!(capacity(&PartPlan::new(None, None, None)) > 200 * GIB);
        // A hint far too small.
        assert!(capacity(&PartPlan::new(Some(7), None, None)) > 70 * GIB);
    }

    proptest! {
        // Each walks through 10,000 parts.
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn parts_keep_the_rules_of_s3_and_the_memory(
            hint in prop::option::of(0..5 * 1024 * GIB),
            size in prop::option::of(0..64 * MIB),
            max in prop::option::of(0..5 * 1024 * GIB),
        ) {
            let plan = PartPlan::new(hint, size, max);
            let least = size.map_or(SMALLEST, |size| size.clamp(TINY, SMALLEST));
            let mut held = 0;
            for number in 1..=MOST_PARTS {
                let size = plan.size(number).expect("10,000 parts are allowed");
                prop_assert!(size >= least && size <= plan.memory());
                prop_assert!(size >= held, "parts do not shrink");
                held = size;
            }
            prop_assert_eq!(plan.size(MOST_PARTS + 1), None);
            let promised = max.or(hint).unwrap_or(0);
            prop_assert!(capacity(&plan) >= promised);
            let equal = max.is_some();
            prop_assert!(!equal || plan.size(1) == plan.size(MOST_PARTS));
            // As far as the hint goes, parts are equal.
            let expected = promised.div_ceil(plan.size(1).unwrap()).max(1) as u32;
            prop_assert_eq!(plan.size(expected), plan.size(1));
        }
    }
}
