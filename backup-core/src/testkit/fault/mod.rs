//! What goes wrong in a [`SimStore`](super::SimStore), and when.

mod rule;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use rule::FaultRule;

use super::SeededRandom;
use super::sim::OpKind;
use crate::error::Code;

/// One way in which a store operation goes wrong.
///
/// The *rogue* ones break the contract of [`Store`](crate::Store): they prove that the engine notices a store that lies.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Fault {
    /// Fails with this code; nothing happened. A failed `finish` removes what was written.
    ErrorBefore(&'static Code),
    /// Takes effect, and the caller is told `store.unavailable` with effect `unknown`: a lost answer.
    ErrorAfterEffect,
    /// As [`Fault::ErrorAfterEffect`], but whether it takes effect is drawn by the plan's seed.
    Timeout,
    /// Answers `store.unavailable` with effect `unknown` at once, and takes effect after this time on the store's clock:
    /// a request that was stuck on its way.
    LateEffect(Duration),
    /// The store has no capacity now: `store.busy`, nothing happened.
    Throttle,
    /// The operation stands still for so long on the store's clock before it takes effect, and no cancel reaches it: a
    /// process that was suspended past every lease.
    SleepPast(Duration),
    /// Never answers and never takes effect: the call ends with the job's cancel or deadline, effect `unknown`.
    Hang,
    /// The body of a read breaks off after so many bytes, with an error item.
    ShortRead(u64),
    /// Rogue: the body of a read ends after so many bytes as if it were whole.
    SilentShortRead(u64),
    /// Rogue: this bit of this byte of the object is read flipped. A read that does not touch the byte is left alone.
    FlipBitRead {
        /// Offset in the object.
        byte: u64,
        /// 0 to 7.
        bit: u8,
    },
    /// Rogue: says `Ok` and does nothing.
    LostUpdate,
    /// Rogue: the next so many listings still show the state before a put, finish or delete.
    ListLag(u64),
}

impl Fault {
    /// Whether the fault can happen to operations of this kind. A rule looks only at those.
    pub fn suits(self, kind: OpKind) -> bool {
        use OpKind::{Abort, Delete, Finish, Put, Read, Sweep, Write};
        match self {
            Self::ErrorBefore(_) | Self::Throttle | Self::SleepPast(_) | Self::ErrorAfterEffect | Self::Timeout | Self::Hang => {
                true
            }
            Self::LateEffect(_) => matches!(kind, Put | Write | Finish | Abort | Delete | Sweep),
            Self::ShortRead(_) | Self::SilentShortRead(_) | Self::FlipBitRead { .. } => kind == Read,
            Self::LostUpdate | Self::ListLag(_) => matches!(kind, Put | Finish | Delete),
        }
    }
}

/// The faults of a store: rules, looked at in order; the first that fires decides.
///
/// ```
/// use backup_core::testkit::{Fault, FaultPlan, FaultRule, OpKind};
///
/// let plan = FaultPlan::seeded(7)
///     .rule(FaultRule::new(Fault::ErrorAfterEffect).on([OpKind::Put]).key(|key| key.ends_with(".json")).nth(1))
///     .rule(FaultRule::new(Fault::Throttle).probability(0.1));
/// # let _ = plan;
/// ```
#[derive(Debug)]
#[must_use]
pub struct FaultPlan {
    random: SeededRandom,
    rules: Vec<FaultRule>,
}

impl FaultPlan {
    /// A plan without rules, whose chances are drawn from `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self { random: SeededRandom::new(seed), rules: Vec::new() }
    }

    /// Adds a rule.
    pub fn rule(mut self, rule: FaultRule) -> Self {
        self.rules.push(rule);
        self
    }

    /// The fault of the next operation, if any.
    pub(super) fn next(&mut self, kind: OpKind, key: &str) -> Option<Fault> {
        // Every rule counts its matches, so that the n-th match of one does not depend on the others.
        let Self { random, rules } = self;
        let mut decided = None;
        for rule in rules {
            if rule.matches(kind, key, random) && decided.is_none() {
                rule.fired += 1;
                decided = Some(rule.fault);
            }
        }
        decided
    }

    pub(super) fn toss(&self) -> bool {
        self.random.chance(0.5)
    }

    /// The rules that never fired, in words.
    pub fn unexercised(&self) -> Vec<String> {
        let idle = self.rules.iter().enumerate().filter(|(_, rule)| rule.fired == 0);
        idle.map(|(number, rule)| format!("rule {number}: {rule:?}")).collect()
    }
}

impl Default for FaultPlan {
    fn default() -> Self {
        Self::seeded(0)
    }
}
