//! TiDB's timestamps.

use std::fmt;

use chrono::{DateTime, Utc};

/// Bits of the logical part.
const LOGICAL: u32 = 18;

/// A timestamp of PD: milliseconds since 1970 in the upper 46 bits, a counter in the lower 18. The position of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tso(pub u64);

impl Tso {
    /// The first timestamp of that millisecond; 0 for a time before 1970.
    pub fn at(time: DateTime<Utc>) -> Self {
        Self(u64::try_from(time.timestamp_millis()).unwrap_or(0) << LOGICAL)
    }

    /// When it was given out.
    pub fn time(self) -> DateTime<Utc> {
        let millis = i64::try_from(self.0 >> LOGICAL).unwrap_or(i64::MAX);
        DateTime::from_timestamp_millis(millis).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

impl fmt::Display for Tso {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_of_the_documents_is_read_as_the_time_it_was_made() {
        let tso = Tso(432_834_567_783_317_505);
        assert_eq!(tso.time().to_rfc3339(), "2022-04-28T08:00:42.191+00:00");
        assert_eq!(Tso::at(tso.time()), Tso(tso.0 - 1));
    }
}
