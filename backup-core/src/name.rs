//! The identities: [`SetName`], [`BackupId`], [`JobId`], [`ArtifactName`].

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::environment::Random;
use crate::error::{Error, Result, codes};
use crate::key::{check_segments, text_type};

/// The identity of the thing that is backed up: `etcd/prod`.
///
/// Slash-separated segments of letters, digits, `_`, `-` and `.`; no segment starts with a dot, or as the id or the
/// [`DirectoryName`] of a backup does (its keys would lie among those of that backup); at most 200 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SetName(String);

impl SetName {
    /// Checks and wraps a set's name.
    ///
    /// # Errors
    /// `input.invalid`, with the rule that was broken.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        check_segments("backup set name", &name)?;
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
        if name.len() > 200 || !name.chars().all(legal) || name.split('/').any(|segment| segment.starts_with('.')) {
            return Err(Error::new(
                &codes::INPUT_INVALID,
                format!(
                    "backup set name {name:?} may hold letters, digits, `_`, `-`, `.` and `/`, no segment starting with a dot, 200 bytes at most"
                ),
            ));
        }
        let starts_with_id = |segment: &str| segment.get(..ID_LEN).is_some_and(|head| BackupId::new(head).is_ok());
        if name.split('/').any(|segment| starts_with_id(segment) || DirectoryName::starts(segment)) {
            return Err(Error::new(
                &codes::INPUT_INVALID,
                format!(
                    "backup set name {name:?} has a segment that starts as a backup's id or directory does: its keys would lie among that backup's"
                ),
            ));
        }
        Ok(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How the time at the start of a [`DirectoryName`] is written.
const DIRECTORY_TIME: &str = "%Y-%m-%d-%H-%M-%S";
const DIRECTORY_TIME_LEN: usize = 19;

/// The directory of a backup whose place is part of a contract: `2022-04-28-16-00-41-full`, a time and whatever the contract puts
/// behind it. Letters, digits, `_`, `-` and `.`; at most 100 bytes.
///
/// The time at its start keeps it apart from whatever else lies under a set: no segment of a [`SetName`] starts with one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DirectoryName(String);

impl DirectoryName {
    /// Checks and wraps a directory's name.
    ///
    /// # Errors
    /// `input.invalid`, with the rule that was broken.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.len() > 100 || !name.chars().all(legal) || !Self::starts(&name) {
            return Err(Error::new(
                &codes::INPUT_INVALID,
                format!(
                    "{:?} is no directory of a backup; one reads like 2022-04-28-16-00-41-full",
                    name.chars().take(60).collect::<String>()
                ),
            ));
        }
        Ok(Self(name))
    }

    /// True when `segment` starts as such a name does.
    fn starts(segment: &str) -> bool {
        let time = segment.get(..DIRECTORY_TIME_LEN);
        time.and_then(|time| Some((time, NaiveDateTime::parse_from_str(time, DIRECTORY_TIME).ok()?)))
            .is_some_and(|(text, time)| time.format(DIRECTORY_TIME).to_string() == text)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of an artifact inside its backup: `snapshot.db`, `volume/0001`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ArtifactName(String);

impl ArtifactName {
    /// Checks and wraps an artifact's name; the rules are those of an [`ObjectKey`](crate::ObjectKey).
    ///
    /// # Errors
    /// `input.invalid`, with the rule that was broken.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        check_segments("artifact name", &name)?;
        Ok(Self(name))
    }

    /// Wraps a name that was checked before.
    pub(crate) fn checked(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How the time part of a [`BackupId`] is written, milliseconds included.
const TIME_FORMAT: &str = "%Y%m%dT%H%M%S%3fZ";
const TIME_LEN: usize = 19;
const ID_LEN: usize = TIME_LEN + 9;

/// The identity of one backup: `20261121T093000123Z-1f0c9a2b`, UTC time and a random part. Ids order by time.
///
/// The order of ids is the order of publishing within a set, whatever the clock did in between (see
/// [`BackupId::after`]); the wall-clock time stands in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BackupId(String);

impl BackupId {
    /// Checks and wraps an id.
    ///
    /// # Errors
    /// `input.invalid` when it is not of the form above.
    pub fn new(id: impl Into<String>) -> Result<Self> {
        let id = id.into();
        let well_formed = id.is_ascii()
            && id.len() == ID_LEN
            && id.split_at(TIME_LEN).1.strip_prefix('-').is_some_and(is_lower_hex)
            && parse_time(id.split_at(TIME_LEN).0).is_some_and(|time| format_time(time) == id.split_at(TIME_LEN).0);
        if !well_formed {
            return Err(Error::new(
                &codes::INPUT_INVALID,
                format!(
                    "{:?} is no backup id; one reads like 20261121T093000123Z-1f0c9a2b",
                    id.chars().take(60).collect::<String>()
                ),
            ));
        }
        Ok(Self(id))
    }

    /// A new id for `now`, and never below `previous`: a clock that was set back does not reorder a set.
    pub fn after(previous: Option<&BackupId>, now: DateTime<Utc>, random: &dyn Random) -> Self {
        let earliest = previous.map(|id| id.time() + chrono::TimeDelta::milliseconds(1));
        let time = earliest.map_or(now, |earliest| earliest.max(now));
        Self::from_parts(time, random.next_u64() as u32)
    }

    pub(crate) fn from_parts(time: DateTime<Utc>, tail: u32) -> Self {
        Self(format!("{}-{tail:08x}", format_time(time)))
    }

    /// The time part. For the order only: what the clock said stands in the manifest.
    pub fn time(&self) -> DateTime<Utc> {
        parse_time(self.0.split_at(TIME_LEN).0).unwrap_or_default()
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn format_time(time: DateTime<Utc>) -> String {
    time.format(TIME_FORMAT).to_string()
}

fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    NaiveDateTime::parse_from_str(text, TIME_FORMAT).ok().map(|time| time.and_utc())
}

pub(crate) fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The identity of one run of a backup, restore, verify or prune: 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(String);

impl JobId {
    /// Checks and wraps an id.
    ///
    /// # Errors
    /// `input.invalid` when it is not 32 lower-case hexadecimal digits.
    pub fn new(id: impl Into<String>) -> Result<Self> {
        let id = id.into();
        if id.len() != 32 || !is_lower_hex(&id) {
            return Err(Error::new(&codes::INPUT_INVALID, "a job id has 32 lower-case hexadecimal digits"));
        }
        Ok(Self(id))
    }

    /// A new random id.
    pub fn random(random: &dyn Random) -> Self {
        Self(format!("{:016x}{:016x}", random.next_u64(), random.next_u64()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_type!(SetName);
text_type!(ArtifactName);
text_type!(BackupId);
text_type!(DirectoryName);
text_type!(JobId);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::SystemRandom;

    #[test]
    fn ids_sort_by_time_and_survive_a_clock_that_is_set_back() {
        let noon: DateTime<Utc> = "2026-11-21T12:00:00.250Z".parse().unwrap();
        let first = BackupId::after(None, noon, &SystemRandom);
        let second = BackupId::after(Some(&first), noon - chrono::TimeDelta::hours(3), &SystemRandom);
        let third = BackupId::after(Some(&second), noon + chrono::TimeDelta::seconds(1), &SystemRandom);
        assert!(first < second && second < third, "{first} {second} {third}");
        assert!(first.as_str().starts_with("20261121T120000250Z-"));
        assert_eq!(BackupId::new(first.as_str()).unwrap(), first);
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for bad in [
            "",
            "x",
            "20261121T120000250Z-1F0C9A2B",
            "20261321T120000250Z-1f0c9a2b",
            "20261121T120000250Z_1f0c9a2b",
            "../../../etc/passwd-1f0c9a2b",
        ] {
            assert!(BackupId::new(bad).is_err(), "{bad}");
        }
        assert!(SetName::new("etcd/.hidden").is_err());
        assert!(SetName::new("a b").is_err());
        for bad in
            ["2022-04-28", "2022-13-28-16-00-41-full", "x2022-04-28-16-00-41", "2022-04-28-16-00-41/full", "+022-04-28-16-00-41"]
        {
            assert!(DirectoryName::new(bad).is_err(), "{bad}");
        }
        assert!(DirectoryName::new("2022-04-28-16-00-41-full").is_ok());
        assert!(SetName::new("tidb/2022-04-28-16-00-41-full").is_err());
        assert!(JobId::new("ABC").is_err());
    }
}
