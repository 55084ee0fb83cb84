//! When a cluster is backed up by itself: days of the week and hours.

use backup_core::error::codes;
use backup_core::schedule::{Trigger, Weekdays};
use backup_core::zone::Zone;
use backup_core::{Error, Result};
use chrono::Weekday;
use serde::{Deserialize, Serialize};

/// The names of the days as clients write them.
const DAYS: [(&str, Weekday); 7] = [
    ("Sunday", Weekday::Sun),
    ("Monday", Weekday::Mon),
    ("Tuesday", Weekday::Tue),
    ("Wednesday", Weekday::Wed),
    ("Thursday", Weekday::Thu),
    ("Friday", Weekday::Fri),
    ("Saturday", Weekday::Sat),
];

/// Days and hours, checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Strategy {
    /// As the client wrote it.
    pub(super) date: String,
    /// The hour at which the window opens.
    start: u8,
    /// The hour at which it closes; 24 is midnight.
    end: u8,
}

impl Strategy {
    /// Checks what a client wrote.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn parse(date: &str, period: &str) -> Result<Self, String> {
        if !date.is_empty() {
            let unknown = |name: &&str| !DAYS.iter().any(|(known, _)| known == name);
            if let Some(name) = date.split(',').find(unknown) {
                let name: String = name.chars().take(40).collect();
                return Err(format!(
                    "backupDate: {name:?} is no weekday; one reads `Sunday` to `Saturday`, with commas between them"
                ));
            }
        }
        let (start, end) = hours(period)?;
        Ok(Self { date: date.to_owned(), start, end })
    }

    /// As it is read back.
    pub(super) fn period(&self) -> String {
        format!("{}:00-{}:00", self.start, self.end)
    }

    /// When it fires; `None` for never.
    ///
    /// # Errors
    /// None for what was checked.
    pub(super) fn trigger(&self, zone: Zone) -> Result<Option<Trigger>> {
        let named = |name: &str| DAYS.iter().find(|(known, _)| *known == name).map(|(_, day)| *day);
        let days: Weekdays = self.date.split(',').filter_map(named).collect();
        if days.is_empty() {
            return Ok(None);
        }
        if self.start >= self.end || self.end > 24 {
            return Err(Error::new(&codes::RECORD_CORRUPT, format!("a strategy from {} to {}", self.start, self.end)));
        }
        let (start, end) = (format!("{:02}:00", self.start).parse()?, format!("{:02}:00", self.end).parse()?);
        Ok(Some(Trigger::Windows { days, start, end, zone }))
    }
}

/// The hours of a period. Minutes and what follows them are ignored, as the original does.
fn hours(period: &str) -> Result<(u8, u8), String> {
    let shown: String = period.chars().take(40).collect();
    let refused = |why: &str| format!("period: {shown:?} {why}; one reads like `7:00-9:00`");
    let (start, end) = period
        .split_once('-')
        .filter(|(_, end)| !end.contains('-'))
        .ok_or_else(|| refused("is not two times with `-` between them"))?;
    let hour = |text: &str| text.split(':').next().and_then(|hour| hour.parse::<u8>().ok()).filter(|hour| *hour <= 24);
    let (Some(start), Some(end)) = (hour(start), hour(end)) else { return Err(refused("has an hour that is none")) };
    // Midnight as an end: the window lasts until the day is over.
    let end = if end == 0 && start > 0 { 24 } else { end };
    match start < end {
        true => Ok((start, end)),
        false => Err(refused("does not end after its start")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_read_back_as_the_contract_says() {
        for (given, back) in [
            ("00:00-01:00", "0:00-1:00"),
            ("0:00-1:00", "0:00-1:00"),
            ("7-9", "7:00-9:00"),
            ("07:30-09:45", "7:00-9:00"),
            ("7:00-9:00", "7:00-9:00"),
            ("23:00-24:00", "23:00-24:00"),
            ("23:00-00:00", "23:00-24:00"),
            ("22:00-0:00", "22:00-24:00"),
            ("0:00-24:00", "0:00-24:00"),
            ("0:00-23:00", "0:00-23:00"),
        ] {
            assert_eq!(Strategy::parse("", given).unwrap().period(), back, "{given}");
        }
        for bad in [
            "2:00-1:00",
            "1:00-1:00",
            "a-b",
            "",
            "1:00",
            "0:00-0:00",
            "24:00-24:00",
            "24:00-0:00",
            "-1:00-2:00",
            "1:00-25:00",
            "1:00-2:00-3:00",
            "1:00- 2:00",
            "999-1000",
            "-",
            ":-:",
        ] {
            assert!(Strategy::parse("", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn days_are_exact_names() {
        for good in ["", "Monday", "Monday,Tuesday", "Sunday,Sunday", "Sunday,Monday,Tuesday,Wednesday,Thursday,Friday,Saturday"]
        {
            assert_eq!(Strategy::parse(good, "7-9").unwrap().date, good);
        }
        for bad in ["monday", "Mon", "Monday,", ",Monday", "Monday, Tuesday", "Funday", " ", "Monday;Tuesday"] {
            assert!(Strategy::parse(bad, "7-9").is_err(), "{bad}");
        }
        assert_eq!(Strategy::parse("", "7-9").unwrap().trigger(Zone::UTC).unwrap(), None);
        assert!(Strategy::parse("Friday", "7-24").unwrap().trigger(Zone::UTC).unwrap().is_some());
    }
}
