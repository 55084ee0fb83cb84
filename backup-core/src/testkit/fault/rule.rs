//! When a fault happens.

use std::fmt;
use std::sync::Arc;

use super::{Fault, SeededRandom};
use crate::testkit::sim::OpKind;

type KeyFilter = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// A fault with the operations it happens to: all that it suits, until narrowed down.
#[derive(Clone)]
#[must_use]
pub struct FaultRule {
    pub(super) fault: Fault,
    pub(super) fired: u64,
    kinds: Vec<OpKind>,
    key: Option<KeyFilter>,
    when: When,
    matched: u64,
}

#[derive(Debug, Clone, Copy)]
enum When {
    Always,
    Nth(u64),
    First(u64),
    From(u64),
    Probability(f64),
}

impl FaultRule {
    /// A rule that fires at every operation which the fault suits.
    pub fn new(fault: Fault) -> Self {
        Self { fault, fired: 0, kinds: Vec::new(), key: None, when: When::Always, matched: 0 }
    }

    /// Only operations of these kinds.
    pub fn on(mut self, kinds: impl IntoIterator<Item = OpKind>) -> Self {
        self.kinds = kinds.into_iter().collect();
        self
    }

    /// Only keys (for a listing: prefixes) that this accepts.
    pub fn key(mut self, accepts: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.key = Some(Arc::new(accepts));
        self
    }

    /// Only the n-th match, counted from 1.
    pub fn nth(mut self, n: u64) -> Self {
        self.when = When::Nth(n);
        self
    }

    /// Only the first so many matches.
    pub fn first(mut self, count: u64) -> Self {
        self.when = When::First(count);
        self
    }

    /// The n-th match, counted from 1, and all after it.
    pub fn from(mut self, n: u64) -> Self {
        self.when = When::From(n);
        self
    }

    /// Each match with this probability, 0.0 to 1.0, drawn by the plan's seed.
    pub fn probability(mut self, probability: f64) -> Self {
        self.when = When::Probability(probability);
        self
    }

    pub(super) fn matches(&mut self, kind: OpKind, key: &str, random: &SeededRandom) -> bool {
        let suits = self.fault.suits(kind)
            && (self.kinds.is_empty() || self.kinds.contains(&kind))
            && self.key.as_ref().is_none_or(|accepts| accepts(key));
        if !suits {
            return false;
        }
        self.matched += 1;
        match self.when {
            When::Always => true,
            When::Nth(n) => self.matched == n,
            When::First(count) => self.matched <= count,
            When::From(n) => self.matched >= n,
            When::Probability(probability) => random.chance(probability),
        }
    }
}

impl fmt::Debug for FaultRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultRule")
            .field("fault", &self.fault)
            .field("on", &self.kinds)
            .field("key", &self.key.as_ref().map(|_| "filtered"))
            .field("when", &self.when)
            .field("matched", &self.matched)
            .field("fired", &self.fired)
            .finish()
    }
}
