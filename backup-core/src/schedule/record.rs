//! What the state keeps of a schedule.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::settled::Settled;
use super::{Occurrence, Schedule, Trigger};
use crate::error::{Error, Result, codes};
use crate::name::JobId;
use crate::state::{Expected, State};

/// The last firing of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Record {
    /// What was fired.
    pub(super) occurrence: Occurrence,
    /// The job that it became.
    pub(super) job: JobId,
    /// Whether the job is known to be accepted. Otherwise the process died or was refused in between, and the same job is fired again.
    pub(super) confirmed: bool,
    /// When it was fired; of an interval, when the run ended.
    pub(super) at: DateTime<Utc>,
    pub(super) settled: Settled,
}

pub(super) fn state_key(name: &str) -> String {
    format!("schedules/{name}")
}

impl Record {
    pub(super) fn new(before: Option<Self>, occurrence: Occurrence, job: JobId, at: DateTime<Utc>, trigger: &Trigger) -> Self {
        let mut settled = before.map(|record| record.settled).unwrap_or_default();
        // The times of an interval are no calendar: each process counts its own.
        if !matches!(trigger, Trigger::Interval { .. }) {
            settled.add(occurrence.nominal, trigger);
        }
        Self { occurrence, job, confirmed: false, at, settled }
    }

    /// The record and how to expect it for the next change. One that cannot be read counts as none and is replaced.
    pub(super) async fn load(state: &dyn State, name: &str) -> Result<(Option<Self>, Expected)> {
        let Some(entry) = state.get(&state_key(name)).await? else { return Ok((None, Expected::Absent)) };
        let record = serde_json::from_slice(&entry.value).inspect_err(
            |error| tracing::warn!(schedule = name, %error, "the record of a schedule cannot be read; it starts anew"),
        );
        Ok((record.ok(), Expected::Version(entry.version)))
    }

    /// False when another process has changed the record since.
    pub(super) async fn store(&self, state: &dyn State, name: &str, expected: Expected) -> Result<bool> {
        let bytes = serde_json::to_vec(self)
            .map_err(|error| Error::new(&codes::INTERNAL, "the record of a schedule does not serialise").with_source(error))?;
        state.compare_and_set(&state_key(name), expected, Some(Bytes::from(bytes))).await
    }

    /// Whether `due` needs no firing of its own any more, at `now`.
    pub(super) fn settles(&self, due: &Occurrence, schedule: &Schedule, now: DateTime<Utc>) -> bool {
        self.confirmed
            && match schedule.trigger {
                // Another process fired it lately. A time in the future is a clock's that was wrong.
                Trigger::Interval { .. } => {
                    self.at <= now && schedule.trigger.occurrence(self.at).is_some_and(|next| next.opens > now)
                }
                _ => self.settled.span_end(due.nominal).is_some(),
            }
    }

    /// Whether this is a firing of `due` that was begun and not confirmed.
    pub(super) fn begins(&self, due: &Occurrence, trigger: &Trigger) -> bool {
        !self.confirmed && (matches!(trigger, Trigger::Interval { .. }) || self.occurrence.nominal == due.nominal)
    }
}
