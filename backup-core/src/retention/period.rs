use std::fmt;

use chrono::{DateTime, Datelike, Timelike, Utc};

use super::Zone;

/// A stretch of the calendar of which the newest backup is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Period {
    /// From full hour to full hour.
    Hourly,
    /// From midnight to midnight.
    Daily,
    /// A week of ISO 8601: from Monday to Sunday.
    Weekly,
    /// A month of the calendar.
    Monthly,
    /// A year of the calendar.
    Yearly,
}

impl Period {
    /// The name of the stretch that holds `time`: `2026-11-20`, `2026-W47`. Two times are in the same one if the names are equal.
    pub(super) fn name_of(self, time: DateTime<Utc>, zone: Zone) -> String {
        let local = zone.local(time);
        let (year, month, day) = (local.year(), local.month(), local.day());
        match self {
            Self::Hourly => format!("{year:04}-{month:02}-{day:02}T{:02}", local.hour()),
            Self::Daily => format!("{year:04}-{month:02}-{day:02}"),
            Self::Weekly => format!("{:04}-W{:02}", local.iso_week().year(), local.iso_week().week()),
            Self::Monthly => format!("{year:04}-{month:02}"),
            Self::Yearly => format!("{year:04}"),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Yearly => "yearly",
        })
    }
}
