//! File names: `snapshot-20181220_024105.tar.gz`, and the files of the original program.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backup_core::naming::{Adoptable, NameRequest, Naming};
use backup_core::{ArtifactName, Clock, Compression, Error, KeyPrefix, ObjectKey, ObjectMeta, Result, SetName};
use chrono::{DateTime, NaiveDateTime, Timelike, Utc};

use super::codes;

const PREFIX: &str = "snapshot-";
const TIME: &str = "%Y%m%d_%H%M%S";
const TIME_LEN: usize = 15;

/// What we write.
const ARCHIVE: &str = ".tar.gz";
/// What the original wrote: the snapshot itself, compressed.
const DATABASE: &str = ".db.gz";

/// A file younger than that may still be written: the original writes in place.
const SETTLED: Duration = Duration::from_secs(60);

/// The smallest gzip member: ten bytes of header, two of data, eight of trailer (RFC 1952).
const SMALLEST: u64 = 20;

/// Name without extension of a backup of that second, UTC.
pub(super) fn stem(second: DateTime<Utc>) -> String {
    format!("{PREFIX}{}", second.format(TIME))
}

/// A file name of this dialect, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileName<'a> {
    stem: &'a str,
    time: NaiveDateTime,
    extension: &'a str,
}

impl<'a> FileName<'a> {
    fn parse(name: &'a str) -> Option<Self> {
        let (stem, extension) = name.split_at_checked(PREFIX.len() + TIME_LEN)?;
        let text = stem.strip_prefix(PREFIX)?;
        let time = NaiveDateTime::parse_from_str(text, TIME).ok()?;
        // The parser is liberal about signs and digits, and knows leap seconds; the names are not and do not.
        let exact = text == time.format(TIME).to_string() && time.nanosecond() < 1_000_000_000;
        let exact = exact && [ARCHIVE, DATABASE].contains(&extension);
        exact.then_some(Self { stem, time, extension })
    }
}

/// The dialect's file name of an object: directly in the root, and of the one form or the other.
pub(super) fn file_name(key: &ObjectKey) -> Option<&str> {
    FileName::parse(key.as_str()).map(|_| key.as_str())
}

/// The [`Naming`] of this dialect: the file of a backup lies in the root of the store and is called after its artifact.
///
/// # Behavior
/// A taken name is no reason to invent another: the backup fails with `etcd_backup.name_taken`, which
/// [`TimestampedSource`](super::TimestampedSource) answers with the name of the next second.
///
/// Files without a manifest are taken over when they are called `snapshot-YYYYMMDD_HHMMSS.db.gz` or `.tar.gz`, lie in the root and
/// were not changed for 60 s. The names of the original's `.db.gz` are in the local time of a machine that nobody knows, so
/// they are dated by their last change; a `.tar.gz` by its name, and never later than its last change.
pub struct SnapshotNaming {
    clock: Arc<dyn Clock>,
}

impl SnapshotNaming {
    /// A naming that tells the age of files by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }
}

impl Naming for SnapshotNaming {
    fn artifact_key(&self, request: NameRequest<'_>) -> Result<ObjectKey> {
        let name = format!("{}{}", request.artifact, request.compression.suffix());
        let ours = FileName::parse(&name).is_some_and(|name| name.extension == ARCHIVE);
        if !ours || request.compression != Compression::Gzip {
            return Err(Error::new(&codes::MISNAMED, format!("a backup of {} would be stored as {name}", request.set)));
        }
        if request.attempt > 1 {
            return Err(Error::new(&codes::NAME_TAKEN, format!("{name} is taken")));
        }
        ObjectKey::new(name)
    }

    fn adoptable_prefix(&self, _set: &SetName) -> Option<KeyPrefix> {
        Some(KeyPrefix::root())
    }

    fn adopt(&self, _set: &SetName, object: &ObjectMeta) -> Option<Adoptable> {
        let name = FileName::parse(object.key.as_str())?;
        let modified = object.modified?;
        // A file from the future is not settled either.
        let age = (self.clock.now() - modified).to_std().ok()?;
        if age < SETTLED || object.size < SMALLEST {
            return None;
        }
        let (extension, created_at) = match name.extension {
            ARCHIVE => ("tar", name.time.and_utc().min(modified)),
            _ => ("db", modified),
        };
        Some(Adoptable {
            artifact: ArtifactName::new(format!("{}.{extension}", name.stem)).ok()?,
            compression: Compression::Gzip,
            created_at,
            order: None,
            revision: None,
            version: None,
            group: None,
        })
    }
}

impl fmt::Debug for SnapshotNaming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SnapshotNaming")
    }
}
