//! Time zones: when days begin, and what the clock on the wall shows.

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, FixedOffset, LocalResult, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, codes};

/// A time zone. As text: `UTC`, a fixed offset like `+02:00`, or a name of the IANA database like `Europe/Berlin`, which knows
/// daylight saving.
///
/// The database is compiled in. Its names are case-sensitive; old names without a slash (`CET`, `EST`) are refused, because they do not
/// mean what one thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(Rules);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Rules {
    Fixed(FixedOffset),
    Named(Tz),
}

/// When a wall clock shows a local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Once.
    Once(DateTime<Utc>),
    /// Twice: the clock goes back at `back`, between the two.
    Twice { first: DateTime<Utc>, back: DateTime<Utc>, last: DateTime<Utc> },
    /// Never: at this moment the clock jumps over it.
    Never(DateTime<Utc>),
}

impl Shown {
    /// The first moment at which the clock shows the time or a later one.
    pub(crate) fn first(self) -> DateTime<Utc> {
        match self {
            Self::Once(time) | Self::Twice { first: time, .. } | Self::Never(time) => time,
        }
    }

    /// The last moment at which the clock comes to the time.
    pub(crate) fn last(self) -> DateTime<Utc> {
        match self {
            Self::Once(time) | Self::Twice { last: time, .. } | Self::Never(time) => time,
        }
    }
}

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Zone = Zone(Rules::Fixed(match FixedOffset::east_opt(0) {
        Some(offset) => offset,
        None => unreachable!(),
    }));

    pub(crate) fn rules(self) -> Rules {
        self.0
    }

    fn offset(self, time: DateTime<Utc>) -> FixedOffset {
        match self.0 {
            Rules::Fixed(offset) => offset,
            Rules::Named(tz) => tz.offset_from_utc_datetime(&time.naive_utc()).fix(),
        }
    }

    /// The same moment as a clock of this zone shows it, with its distance from UTC.
    pub fn at(self, time: DateTime<Utc>) -> DateTime<FixedOffset> {
        time.with_timezone(&self.offset(time))
    }

    /// Local wall-clock time; at the very ends of the calendar, where there is none, UTC.
    pub(crate) fn local(self, time: DateTime<Utc>) -> NaiveDateTime {
        let utc = time.naive_utc();
        utc.checked_add_offset(self.offset(time)).unwrap_or(utc)
    }

    /// When the clock shows `local`.
    pub(crate) fn shown(self, local: NaiveDateTime) -> Shown {
        let found = match self.0 {
            Rules::Fixed(offset) => offset.from_local_datetime(&local).map(|time| time.to_utc()),
            Rules::Named(tz) => tz.from_local_datetime(&local).map(|time| time.to_utc()),
        };
        match found {
            LocalResult::Single(time) => Shown::Once(time),
            LocalResult::Ambiguous(a, b) => {
                let (first, last) = (a.min(b), a.max(b));
                let before = self.offset(first);
                Shown::Twice { first, back: first_moment(first, last, |time| self.offset(time) != before), last }
            }
            LocalResult::None => {
                // No clock is further than a day from UTC, and within three days it jumps once only.
                let (from, to) = (local.and_utc() - TimeDelta::hours(36), local.and_utc() + TimeDelta::hours(36));
                Shown::Never(first_moment(from, to, |time| self.local(time) > local))
            }
        }
    }
}

/// The first full second after `from` and up to `to` at which `holds` is true, when it stays true from then on.
fn first_moment(from: DateTime<Utc>, to: DateTime<Utc>, holds: impl Fn(DateTime<Utc>) -> bool) -> DateTime<Utc> {
    let second = |seconds| DateTime::from_timestamp(seconds, 0).unwrap_or(to);
    let (mut no, mut yes) = (from.timestamp(), to.timestamp());
    while yes - no > 1 {
        let middle = no + (yes - no) / 2;
        if holds(second(middle)) { yes = middle } else { no = middle }
    }
    second(yes)
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl From<FixedOffset> for Zone {
    fn from(offset: FixedOffset) -> Self {
        Self(Rules::Fixed(offset))
    }
}

impl FromStr for Zone {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if matches!(text, "UTC" | "utc" | "Z") {
            return Ok(Self::UTC);
        }
        let named = || text.contains('/').then(|| text.parse().ok().map(Rules::Named)).flatten();
        fixed(text).map(Rules::Fixed).or_else(named).map(Self).ok_or_else(|| {
            let text: String = text.chars().take(40).collect();
            let advice = "give `UTC`, an offset like `+02:00`, or a name like `Europe/Berlin` (upper and lower case matter)";
            Error::new(&codes::INPUT_INVALID, format!("{text:?} is no time zone here; {advice}"))
        })
    }
}

fn fixed(text: &str) -> Option<FixedOffset> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let number = |digits: &str, below: i32| {
        let two = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|number: &i32| two && *number < below)
    };
    FixedOffset::east_opt(sign * (number(hours, 24)? * 3600 + number(minutes, 60)? * 60))
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Rules::Fixed(_) if *self == Self::UTC => f.write_str("UTC"),
            Rules::Fixed(offset) => write!(f, "{offset}"),
            Rules::Named(tz) => f.write_str(tz.name()),
        }
    }
}

impl TryFrom<String> for Zone {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> String {
        zone.to_string()
    }
}
