//! Which connection or request which fault is for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Which of those that match, counted from when the rule was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Which {
    skip: u64,
    count: u64,
}

impl Which {
    /// Every one.
    pub fn all() -> Self {
        Self { skip: 0, count: u64::MAX }
    }

    /// The next one.
    pub fn next() -> Self {
        Self::first(1)
    }

    /// The next so many.
    pub fn first(count: u64) -> Self {
        Self { skip: 0, count }
    }

    /// Only this one, counted from 1.
    pub fn nth(number: u64) -> Self {
        Self { skip: number.saturating_sub(1), count: 1 }
    }

    /// All after so many.
    pub fn after(skip: u64) -> Self {
        Self { skip, count: u64::MAX }
    }
}

/// A rule that was added. Dropping it leaves the rule in force.
#[derive(Debug, Clone)]
pub struct Rule(Hits);

impl Rule {
    /// How often it did harm.
    pub fn hits(&self) -> u64 {
        *self.0.0.borrow()
    }

    /// Waits until it did harm so often.
    pub async fn hit(&self, times: u64) {
        // The sender lives as long as `self`.
        let _ = self.0.0.subscribe().wait_for(|hits| *hits >= times).await;
    }
}

/// Counts the harm done.
#[derive(Debug, Clone, Default)]
pub(super) struct Hits(Arc<watch::Sender<u64>>);

impl Hits {
    pub(super) fn count(&self) {
        self.0.send_modify(|hits| *hits += 1);
    }
}

#[derive(Debug)]
pub(super) struct Rules<M, F>(Mutex<Vec<Entry<M, F>>>);

#[derive(Debug)]
struct Entry<M, F> {
    which: Which,
    matched: u64,
    matcher: M,
    fault: F,
    hits: Hits,
}

impl<M, F> Default for Rules<M, F> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<M, F: Clone> Rules<M, F> {
    fn entries(&self) -> MutexGuard<'_, Vec<Entry<M, F>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, which: Which, matcher: M, fault: F) -> Rule {
        let hits = Hits::default();
        self.entries().push(Entry { which, matched: 0, matcher, fault, hits: hits.clone() });
        Rule(hits)
    }

    pub(super) fn clear(&self) {
        self.entries().clear();
    }

    /// What happens to the one that just came.
    pub(super) fn decide(&self, matches: impl Fn(&M) -> bool) -> Option<(F, Hits)> {
        let mut decided = None;
        for entry in self.entries().iter_mut().filter(|entry| matches(&entry.matcher)) {
            let turn = entry.matched >= entry.which.skip && entry.matched - entry.which.skip < entry.which.count;
            entry.matched += 1;
            if turn && decided.is_none() {
                decided = Some((entry.fault.clone(), entry.hits.clone()));
            }
        }
        decided
    }
}
