use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::window::Windows;
use super::{CronExpression, Occurrence, TimeOfDay, Weekdays};
use crate::error::{Error, Result, codes};
use crate::zone::Zone;

/// When a schedule fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Trigger {
    /// Again and again after a while, counted from the start of the process or from the end of the last run, whichever is later.
    Interval {
        /// How long: `30m`, whole seconds.
        #[serde(with = "super::duration")]
        every: Duration,
    },
    /// At the times of a cron expression.
    Cron {
        /// The expression; it says how daylight saving is met.
        expression: CronExpression,
        /// The zone of its clock. UTC unless set.
        #[serde(default)]
        zone: Zone,
    },
    /// Once in each window, as early in it as possible.
    ///
    /// A window is open while the clock shows a time from `start` to before `end`. One that the start of daylight saving leaves out wholly
    /// takes place right after, for as long as it would have lasted; one that comes twice in autumn is one window.
    Windows {
        /// The days on which a window starts.
        days: Weekdays,
        /// From when.
        start: TimeOfDay,
        /// Until before when; `24:00` is midnight. An end that is earlier than the start is on the next day.
        end: TimeOfDay,
        /// The zone of the clock and of the days. UTC unless set.
        #[serde(default)]
        zone: Zone,
    },
}

impl Trigger {
    /// What can be fired next, seen from `at`: the first moment after `at`, or the window that is open at `at` or opens next. `None`
    /// when nothing comes until the end of the calendar.
    ///
    /// An interval is counted from `at`.
    pub fn occurrence(&self, at: DateTime<Utc>) -> Option<Occurrence> {
        match self {
            Self::Interval { every } => at.checked_add_signed(TimeDelta::from_std(*every).ok()?).map(Occurrence::moment),
            Self::Cron { expression, zone } => expression.next(at, *zone).map(Occurrence::moment),
            Self::Windows { days, start, end, zone } => {
                Windows { days: *days, start: *start, end: *end, zone: *zone }.occurrence(at)
            }
        }
    }

    /// The first occurrence of a later identity than `nominal`.
    pub(super) fn successor(&self, nominal: DateTime<Utc>) -> Option<Occurrence> {
        let mut at = nominal;
        loop {
            let next = self.occurrence(at)?;
            if next.nominal > nominal {
                return Some(next);
            }
            at = next.closes.unwrap_or(next.opens);
        }
    }

    /// # Errors
    /// `input.invalid`, with what is wrong.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::new(&codes::INPUT_INVALID, what));
        match self {
            Self::Interval { every } if every.is_zero() || every.subsec_nanos() > 0 => {
                wrong(format!("an interval of {every:?} is not of whole seconds, one at least"))
            }
            Self::Interval { every } if *every > Duration::from_secs(366 * 86400) => {
                wrong(format!("an interval of {} days is longer than a year", every.as_secs() / 86400))
            }
            Self::Windows { days, .. } if days.is_empty() => wrong("windows need at least one day of the week".into()),
            Self::Windows { start, .. } if start.minutes() == 24 * 60 => {
                wrong("a window cannot start at 24:00: let it start at 00:00 of the next day".into())
            }
            Self::Windows { start, end, .. } if start == end => {
                wrong(format!("a window from {start} to {end} is empty; a whole day is from 00:00 to 24:00"))
            }
            Self::Windows { end, .. } if end.minutes() == 0 => wrong("a window that ends at midnight ends at 24:00".into()),
            _ => Ok(()),
        }
    }
}
