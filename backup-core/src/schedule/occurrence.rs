use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// One time at which a schedule is to fire: a moment (`closes` is none), or a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Occurrence {
    /// Its identity. The same for both parts of a window that the end of daylight saving cuts in two.
    pub nominal: DateTime<Utc>,
    /// From when on it may fire.
    pub opens: DateTime<Utc>,
    /// From when on it is too late.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub closes: Option<DateTime<Utc>>,
}

impl Occurrence {
    pub(super) fn moment(at: DateTime<Utc>) -> Self {
        Self { nominal: at, opens: at, closes: None }
    }

    /// The identity as text, stable over restarts: `2026-11-21T02:00:00Z`.
    pub fn key(&self) -> String {
        self.nominal.to_rfc3339_opts(SecondsFormat::AutoSi, true)
    }

    /// Whether it is too late for it at `now`.
    pub fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.closes.is_some_and(|closes| closes <= now)
    }
}
