use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, TimeDelta, Utc, Weekday};
use serde::{Deserialize, Serialize};

use super::Occurrence;
use crate::error::{Error, Result, codes};
use crate::zone::{Shown, Zone};

/// A time on the clock, to the minute: `02:30`. As an end, `24:00` is the midnight after the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// Minutes since 00:00, by a clock that is not changed on that day.
    pub fn minutes(self) -> u16 {
        self.0
    }

    fn on(self, date: NaiveDate) -> Option<NaiveDateTime> {
        date.and_hms_opt(0, 0, 0)?.checked_add_signed(TimeDelta::minutes(self.0.into()))
    }
}

impl FromStr for TimeOfDay {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = |digits: &str| -> Option<u16> {
            (digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
        };
        let minutes = text.split_once(':').and_then(|(hour, minute)| Some((number(hour)?, number(minute)?)));
        let minutes = minutes.filter(|(_, minute)| *minute < 60).map(|(hour, minute)| hour * 60 + minute);
        minutes.filter(|minutes| *minutes <= 24 * 60).map(Self).ok_or_else(|| {
            let text: String = text.chars().take(40).collect();
            Error::new(&codes::INPUT_INVALID, format!("{text:?} is no time of a day; one reads from `00:00` to `24:00`"))
        })
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> String {
        time.to_string()
    }
}

/// A set of days of the week. As text, a list: `["mon", "thu"]`; full names are understood too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Weekdays(u8);

impl Weekdays {
    /// All seven.
    pub const ALL: Self = Self(0x7f);

    /// Whether `day` is one of them.
    pub fn contains(self, day: Weekday) -> bool {
        self.0 & (1 << day.num_days_from_monday()) != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The days, from Monday.
    pub fn iter(self) -> impl Iterator<Item = Weekday> {
        use Weekday::*;
        [Mon, Tue, Wed, Thu, Fri, Sat, Sun].into_iter().filter(move |day| self.contains(*day))
    }
}

impl FromIterator<Weekday> for Weekdays {
    fn from_iter<I: IntoIterator<Item = Weekday>>(days: I) -> Self {
        Self(days.into_iter().fold(0, |set, day| set | 1 << day.num_days_from_monday()))
    }
}

impl TryFrom<Vec<String>> for Weekdays {
    type Error = Error;
    fn try_from(names: Vec<String>) -> Result<Self> {
        let day = |name: String| {
            name.parse::<Weekday>().map_err(|_| {
                let name: String = name.chars().take(40).collect();
                Error::new(&codes::INPUT_INVALID, format!("{name:?} is no day of the week; one reads like `mon`"))
            })
        };
        names.into_iter().map(day).collect()
    }
}

impl From<Weekdays> for Vec<String> {
    fn from(days: Weekdays) -> Self {
        days.iter().map(|day| day.to_string().to_lowercase()).collect()
    }
}

/// Weekly windows, as [`Trigger::Windows`](super::Trigger::Windows) has them.
pub(super) struct Windows {
    pub(super) days: Weekdays,
    pub(super) start: TimeOfDay,
    pub(super) end: TimeOfDay,
    pub(super) zone: Zone,
}

impl Windows {
    /// The window that is open at `at`, or the next one.
    pub(super) fn occurrence(&self, at: DateTime<Utc>) -> Option<Occurrence> {
        // Yesterday's may last over midnight, and a clock that jumps or comes twice moves them by less than a day.
        let first = self.zone.local(at).date().checked_sub_days(Days::new(2))?;
        let dates = (0..12).filter_map(|days| first.checked_add_days(Days::new(days)));
        let mut parts = dates.filter(|date| self.days.contains(date.weekday())).filter_map(|date| self.on(date)).flatten();
        parts.find(|part| !part.is_over(at))
    }

    /// The window that starts on `date`: all moments at which the clock shows a time from start to end, in one part or two.
    fn on(&self, date: NaiveDate) -> Option<impl Iterator<Item = Occurrence>> {
        let last_day = if self.end <= self.start { date.succ_opt()? } else { date };
        let (from, to) = (self.start.on(date)?, self.end.on(last_day)?);
        let (start, end) = (self.zone.shown(from), self.zone.shown(to));
        let nominal = start.first();
        let part = move |opens, closes| Occurrence { nominal, opens, closes: Some(closes) };
        let parts = match (start, end) {
            (Shown::Twice { back, .. }, _) | (_, Shown::Twice { back, .. }) => {
                [Some(part(nominal, end.first().min(back))), Some(part(start.last().max(back), end.last()))]
            }
            // The clock jumps over all of it: it takes place right after the jump, for as long as it would have lasted.
            _ if end.first() <= nominal => [Some(part(nominal, nominal + (to - from))), None],
            _ => [Some(part(nominal, end.first())), None],
        };
        Some(parts.into_iter().flatten().filter(|part| part.closes.is_some_and(|closes| part.opens < closes)))
    }
}
