use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};

use super::{Age, Period};
use crate::name::BackupId;

/// Why a backup stays or goes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It is among the newest good ones.
    KeepLast {
        /// Its place, from 1.
        place: usize,
        /// How many are kept.
        of: usize,
    },
    /// It is young enough.
    KeepWithin(Age),
    /// It is the newest good one of its period.
    Newest {
        /// Which kind of period.
        period: Period,
        /// Its name: `2026-11-20`.
        name: String,
    },
    /// There is no keep rule but the cap on the size, and it fits.
    FitsTotalSize,
    /// It is the newest good one.
    NewestGood,
    /// Somebody pinned it.
    Pinned,
    /// The store refuses to remove it before.
    LockedUntil(DateTime<Utc>),
    /// A backup that stays needs it for its restore.
    NeededBy(BackupId),
    /// A backup under way needs it.
    LiveIntent,
    /// It is damaged. Among other reasons to keep it, those are of a good one in its place.
    Damaged,
    /// It is damaged, and there is no newer good one.
    NothingBetter,
    /// No rule keeps it.
    NoRuleKeeps,
    /// It goes so that the rest fits under the cap.
    OverTotalSize {
        /// The cap, in bytes.
        limit: u64,
    },
    /// It cannot be restored without a backup that goes.
    Needs(BackupId),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeepLast { place, of } => write!(f, "keep-last {place} of {of}"),
            Self::KeepWithin(age) => write!(f, "keep-within {age}"),
            Self::Newest { period, name } => write!(f, "{period} {name}"),
            Self::FitsTotalSize => f.write_str("fits max-total-size"),
            Self::NewestGood => f.write_str("newest good"),
            Self::Pinned => f.write_str("pinned"),
            Self::LockedUntil(until) => write!(f, "locked until {}", until.to_rfc3339_opts(SecondsFormat::Secs, true)),
            Self::NeededBy(id) => write!(f, "needed by {id}"),
            Self::LiveIntent => f.write_str("needed by a backup under way"),
            Self::Damaged => f.write_str("damaged"),
            Self::NothingBetter => f.write_str("damaged, but no newer good one"),
            Self::NoRuleKeeps => f.write_str("no rule keeps it"),
            Self::OverTotalSize { limit } => write!(f, "over max-total-size {limit}"),
            Self::Needs(id) => write!(f, "needs {id}, which goes"),
        }
    }
}
