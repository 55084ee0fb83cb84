//! What TiDB's rows say. Columns are found by name: their number and order differ between versions.

use chrono::DateTime;
use mysql_async::{Row, Value};

use super::super::executor::Done;
use super::super::place::Place;
use super::super::tso::Tso;

/// A column as text; `None` for NULL and for a column that this version does not have.
pub(super) fn text(row: &Row, name: &str) -> Option<String> {
    let same = |found: &str| {
        let plain = |c: char| if c == '_' { ' ' } else { c.to_ascii_lowercase() };
        found.chars().map(plain).eq(name.chars().map(plain))
    };
    let at = row.columns_ref().iter().position(|column| same(&column.name_str()))?;
    match row.as_ref(at)? {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::Int(number) => Some(number.to_string()),
        Value::UInt(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Double(number) => Some(number.to_string()),
        other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
    }
}

/// The first column of the first row.
pub(super) fn single(rows: &[Row]) -> Option<String> {
    let row = rows.first()?;
    text(row, &row.columns_ref().first()?.name_str())
}

pub(super) fn number(row: &Row, name: &str) -> Option<u64> {
    text(row, name)?.parse().ok()
}

/// What BACKUP and RESTORE answer.
pub(super) fn done(rows: &[Row]) -> Done {
    let Some(row) = rows.first() else { return Done::default() };
    // Zero where TiDB did not keep it.
    let known = |name| number(row, name).filter(|value| *value > 0);
    Done { backup_ts: known("BackupTS").map(Tso), size: known("Size"), ..Done::default() }
}

const CANCELED: &str = " Canceled";

/// A row of SHOW BACKUPS or SHOW RESTORES: a task of the TiDB server that was asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Task {
    pub(super) place: Place,
    /// The step: `Wait`, `Backup`, `Checksum`, or one of them with ` Canceled`.
    state: String,
    /// Of this step; it may jump, and pass 100.
    percent: Option<u8>,
    pub(super) connection: Option<u64>,
    /// It has a time of its end. One that was ended in the queue never gets one.
    pub(super) finished: bool,
}

impl Task {
    pub(super) fn read(row: &Row) -> Self {
        // A time that has not come is zero, not NULL.
        let finished = text(row, "Finish_time").is_some_and(|time| !time.is_empty() && !time.starts_with("0000-00-00"));
        Self {
            place: Place::shown(&text(row, "Destination").unwrap_or_default()),
            state: text(row, "State").unwrap_or_default(),
            percent: text(row, "Progress").as_deref().and_then(percent),
            connection: number(row, "Connection"),
            finished,
        }
    }

    /// Its name without what TiDB adds, with 100 percent, when a step ends before its end, for whatever reason.
    pub(super) fn step(&self) -> &str {
        self.state.strip_suffix(CANCELED).unwrap_or(&self.state)
    }

    pub(super) fn percent(&self) -> Option<u8> {
        self.percent.filter(|_| !self.state.ends_with(CANCELED))
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and 100")]
fn percent(text: &str) -> Option<u8> {
    let value: f64 = text.trim().trim_end_matches('%').parse().ok()?;
    value.is_finite().then(|| value.clamp(0.0, 100.0) as u8)
}

/// The version that `SELECT VERSION()` tells: `6.5.0` of `5.7.25-TiDB-v6.5.0`.
pub(super) fn version(text: &str) -> Option<String> {
    let (_, version) = text.split_once("TiDB-")?;
    Some(version.trim_start_matches('v').to_owned()).filter(|version| version.starts_with(|c: char| c.is_ascii_digit()))
}

/// The version that `SELECT TIDB_VERSION()` tells, where an operator has renamed the other one.
pub(super) fn release(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix("Release Version:"))?;
    Some(line.trim().trim_start_matches('v').to_owned()).filter(|version| !version.is_empty())
}

/// A time of the garbage collector: `20260102-15:04:05 -0700`, also with milliseconds or the name of a zone after it.
pub(super) fn gc_time(text: &str) -> Option<Tso> {
    let mut words = text.split_whitespace();
    let stamp = format!("{} {}", words.next()?, words.next()?);
    let time = DateTime::parse_from_str(&stamp, "%Y%m%d-%H:%M:%S%.f %z").ok()?;
    Some(Tso::at(time.to_utc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_stays_within_bounds() {
        for (text, value) in [
            ("12.34", Some(12)),
            ("0", Some(0)),
            ("133.3", Some(100)),
            ("-1", Some(0)),
            ("NaN", None),
            ("", None),
            ("7.5%", Some(7)),
        ] {
            assert_eq!(percent(text), value, "{text}");
        }
    }

    #[test]
    fn versions_are_read_whatever_mysql_version_stands_before() {
        assert_eq!(version("5.7.25-TiDB-v6.5.0").as_deref(), Some("6.5.0"));
        assert_eq!(version("8.0.11-TiDB-v7.5.0-alpha").as_deref(), Some("7.5.0-alpha"));
        assert_eq!(version("10.11.6-MariaDB"), None);
        assert_eq!(release("Release Version: v8.5.1\nEdition: Community").as_deref(), Some("8.5.1"));
        assert_eq!(release("Edition: Community"), None);
    }

    #[test]
    fn times_of_the_garbage_collector_are_read_in_every_form() {
        let at = |text: &str| gc_time(text).map(|tso| tso.time().to_rfc3339());
        assert_eq!(at("20220428-16:00:42 +0800").as_deref(), Some("2022-04-28T08:00:42+00:00"));
        assert_eq!(at("20220428-16:00:42.191 +0800").as_deref(), Some("2022-04-28T08:00:42.191+00:00"));
        assert_eq!(at("20220428-16:00:42 +0800 CST").as_deref(), Some("2022-04-28T08:00:42+00:00"));
        assert_eq!(at(""), None);
        assert_eq!(at("yesterday evening"), None);
    }
}
