//! An object's name, taken apart.

use chrono::{DateTime, NaiveDateTime, Utc};

/// What an object is to its backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// One of its data objects.
    Data,
    /// The digests of the volume's blocks.
    Sha256File,
    /// What the backup consists of.
    Metadata,
}

/// The name of an object of one of Cinder's backups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name<'a> {
    pub(super) volume: &'a str,
    pub(super) time: DateTime<Utc>,
    pub(super) backup: &'a str,
    pub(super) part: Part,
}

impl<'a> Name<'a> {
    /// `volume_<volume>/<time>/az_<zone>_backup_<backup>…`
    pub(super) fn in_bucket(key: &'a str) -> Option<Self> {
        let (volume, rest) = key.strip_prefix("volume_")?.split_once('/')?;
        let (time, name) = rest.split_once('/')?;
        let (stem, part) = part(name)?;
        let (zone, backup) = backup(stem)?;
        let shaped = zone.starts_with("az_") && !zone.contains('/') && is_uuid(volume);
        shaped.then_some(Self { volume, time: time_of(time)?, backup, part })
    }

    /// `…/volume_<volume>_<time>_backup_<backup>…`
    pub(super) fn in_directory(key: &'a str) -> Option<Self> {
        let (stem, part) = part(key.rsplit('/').next()?)?;
        let (front, backup) = backup(stem)?;
        let (volume, time) = front.strip_prefix("volume_")?.split_once('_')?;
        is_uuid(volume).then_some(Self { volume, time: time_of(time)?, backup, part })
    }
}

/// What an object's name begins with, and which object it is.
fn part(name: &str) -> Option<(&str, Part)> {
    if let Some(stem) = name.strip_suffix("_metadata") {
        return Some((stem, Part::Metadata));
    }
    if let Some(stem) = name.strip_suffix("_sha256file") {
        return Some((stem, Part::Sha256File));
    }
    // Five digits, and more where there are more objects.
    let (stem, number) = name.rsplit_once('-')?;
    (number.len() >= 5 && number.bytes().all(|digit| digit.is_ascii_digit())).then_some((stem, Part::Data))
}

fn backup(stem: &str) -> Option<(&str, &str)> {
    let (front, backup) = stem.rsplit_once("_backup_")?;
    is_uuid(backup).then_some((front, backup))
}

fn time_of(text: &str) -> Option<DateTime<Utc>> {
    let digits = text.len() == 14 && text.bytes().all(|digit| digit.is_ascii_digit());
    let time = NaiveDateTime::parse_from_str(text, "%Y%m%d%H%M%S").ok().filter(|_| digits)?;
    Some(time.and_utc())
}

/// Whether it is an id as Cinder gives them: `8-4-4-4-12` lower-case hexadecimal digits.
pub(super) fn is_uuid(text: &str) -> bool {
    let hexadecimal = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(|part| hexadecimal(part))
}
