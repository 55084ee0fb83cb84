use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, FixedOffset, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, codes};

/// The time zone in which days begin: a fixed offset from UTC, without daylight saving. As text: `UTC` or `+02:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(FixedOffset);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Zone = Zone(match FixedOffset::east_opt(0) {
        Some(offset) => offset,
        None => unreachable!(),
    });

    /// Local wall-clock time; at the very ends of the calendar, where there is none, UTC.
    pub(super) fn local(self, time: DateTime<Utc>) -> NaiveDateTime {
        let utc = time.naive_utc();
        utc.checked_add_offset(self.0).unwrap_or(utc)
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl From<FixedOffset> for Zone {
    fn from(offset: FixedOffset) -> Self {
        Self(offset)
    }
}

impl FromStr for Zone {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if matches!(text, "UTC" | "utc" | "Z") {
            return Ok(Self::UTC);
        }
        let offset = || {
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
        };
        offset().map(Self).ok_or_else(|| {
            let text: String = text.chars().take(40).collect();
            Error::new(&codes::INPUT_INVALID, format!("{text:?} is no time zone here; give `UTC` or an offset like `+02:00`"))
        })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::UTC { f.write_str("UTC") } else { write!(f, "{}", self.0) }
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
