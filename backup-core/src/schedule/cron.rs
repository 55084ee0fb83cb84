use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, TimeZone, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, codes};
use crate::zone::{Rules, Zone};

/// A cron expression of five fields, or of six with the seconds first: `30 2 * * MON-FRI`. `@daily` and the like are understood.
///
/// # Daylight saving
/// An expression with every hour (`*/15 * * * *`) follows elapsed time: it goes on in the hour that comes twice, and has nothing to make up
/// for after an hour that does not come. Any other one follows the clock on the wall: what would fall into the time
/// that is left out in spring fires once, right after it; what comes twice in autumn fires the first time only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CronExpression {
    text: String,
    cron: Arc<Cron>,
    every_hour: bool,
}

impl CronExpression {
    /// The first tick after `after`; none when there is no more.
    pub(super) fn next(&self, after: DateTime<Utc>, zone: Zone) -> Option<DateTime<Utc>> {
        if self.every_hour {
            return match zone.rules() {
                Rules::Fixed(offset) => self.in_elapsed_time(after, &offset),
                Rules::Named(tz) => self.in_elapsed_time(after, &tz),
            };
        }
        // The calendar alone: local times are taken for UTC, which has no daylight saving.
        let mut local = zone.local(after).and_utc();
        loop {
            local = self.cron.find_next_occurrence(&local, false).ok()?;
            let shown = zone.shown(local.naive_utc());
            if shown.first() > after {
                return Some(shown.first());
            }
            // In the second pass of the time that comes twice: on to its end, at once.
            if let crate::zone::Shown::Twice { first, back, .. } = shown {
                let end = local + (back - first) - chrono::TimeDelta::seconds(1);
                local = local.max(end);
            }
        }
    }

    fn in_elapsed_time<Z: TimeZone + 'static>(&self, after: DateTime<Utc>, zone: &Z) -> Option<DateTime<Utc>> {
        self.cron.find_next_occurrence(&after.with_timezone(zone), false).ok().map(|time| time.to_utc())
    }
}

impl FromStr for CronExpression {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: String| {
            let text: String = text.chars().take(80).collect();
            Error::new(&codes::INPUT_INVALID, format!("{text:?} is no cron expression: {why}"))
        };
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let cron = parser.parse(text).map_err(|error| wrong(error.to_string()))?;
        let every_hour = (0..24).all(|hour| cron.pattern.hour_match(hour).unwrap_or(false));
        let expression = Self { text: text.trim().to_owned(), cron: Arc::new(cron), every_hour };
        match expression.next(DateTime::UNIX_EPOCH, Zone::UTC) {
            Some(_) => Ok(expression),
            None => Err(wrong("no day of the calendar matches it".into())),
        }
    }
}

impl fmt::Display for CronExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for CronExpression {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<CronExpression> for String {
    fn from(expression: CronExpression) -> String {
        expression.text
    }
}
