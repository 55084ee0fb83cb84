use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::{Occurrence, Trigger};
use crate::digest::Digest;
use crate::error::{Error, Result, codes};
use crate::name::SetName;

/// What a schedule starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Action {
    /// A backup.
    Backup,
    /// A verify.
    Verify,
    /// A prune.
    Prune,
}

/// What starts when, for which backup set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct Schedule {
    /// Its name, one of its own among all schedules of a state: the record of what was fired is kept under it.
    pub name: String,
    /// The backup set.
    pub set: SetName,
    /// What starts.
    pub action: Action,
    /// When.
    pub trigger: Trigger,
    /// By how much a firing may be delayed, so that many schedules do not start in one moment; none unless set. The delay of an occurrence
    /// is the same in every process; in a window it is at most half of the window.
    #[serde(default, with = "super::duration")]
    pub jitter: Duration,
    /// Whether a run that was missed while no process was up is made up for, once, at the start. An interval then counts on over the
    /// restart. A window that is open at the start always fires, and one that is over never does.
    #[serde(default)]
    pub catch_up: bool,
}

impl Schedule {
    /// A schedule without jitter that makes up for nothing.
    pub fn new(name: impl Into<String>, set: SetName, action: Action, trigger: Trigger) -> Self {
        Self { name: name.into(), set, action, trigger, jitter: Duration::ZERO, catch_up: false }
    }

    /// Sets the jitter.
    #[must_use]
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets whether a missed run is made up for.
    #[must_use]
    pub fn catch_up(mut self, yes: bool) -> Self {
        self.catch_up = yes;
        self
    }

    /// Refuses what can never be fired, so that a configuration is refused at start.
    ///
    /// # Errors
    /// `input.invalid`, with what is wrong.
    pub fn check(&self) -> Result<()> {
        if self.name.is_empty() || self.name.len() > 200 || self.name.chars().any(char::is_control) {
            let what = "a schedule's name has 1 to 200 bytes and no control characters";
            return Err(Error::new(&codes::INPUT_INVALID, what));
        }
        let wrong = |error: Error| error.context(format!("schedule {:?}", self.name));
        if self.jitter > Duration::from_secs(7 * 86400) {
            return Err(wrong(Error::new(&codes::INPUT_INVALID, "a jitter of more than a week")));
        }
        self.trigger.check().map_err(wrong)
    }

    /// By how much this occurrence is delayed.
    pub(super) fn delay(&self, occurrence: &Occurrence) -> TimeDelta {
        let half = occurrence.closes.map(|closes| (closes - occurrence.opens) / 2);
        let jitter = TimeDelta::from_std(self.jitter).unwrap_or(TimeDelta::zero());
        let limit = half.map_or(jitter, |half| half.min(jitter)).num_milliseconds().max(0).unsigned_abs();
        let digest = Digest::of(format!("{}\n{}", self.name, occurrence.key()).as_bytes());
        let number = digest.as_bytes().iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        // The remainder is below a week.
        TimeDelta::milliseconds(number.checked_rem(limit.saturating_add(1)).unwrap_or(0) as i64)
    }
}
