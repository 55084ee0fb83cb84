//! Which keys the engine itself uses: everything under `.backup/`.
//!
//! ```text
//! .backup/sets/<set>/<id>.json                     manifest, or aborted record
//! .backup/intents/<set>/<id>.<generation>.json     what a running backup is going to leave
//! .backup/tombstones/<set>/<id>.json               what a removal under way removes
//! .backup/pins/<set>/<id>.json                     exempt from retention
//! .backup/verified/<set>/<id>.<time>.<good|bad>.json
//! ```
//! The names alone say what a listing needs: ids, pins and the outcome of the last verify are known without reading an object.

use chrono::{DateTime, Utc};

use crate::error::{Error, Result, codes};
use crate::key::{KeyPrefix, ObjectKey};
use crate::name::{BackupId, DirectoryName, SetName};
use crate::naming::{is_directory, own_prefix};

/// Nothing else lives under this prefix, and no artifact does.
pub(crate) const RESERVED: &str = ".backup/";

/// One kind of record, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Sets,
    Intents,
    Tombstones,
    Pins,
    Verified,
}

impl Place {
    fn folder(self) -> &'static str {
        match self {
            Self::Sets => "sets",
            Self::Intents => "intents",
            Self::Tombstones => "tombstones",
            Self::Pins => "pins",
            Self::Verified => "verified",
        }
    }

    /// The prefix of all sets' records of this kind.
    pub(crate) fn root(self) -> Result<KeyPrefix> {
        KeyPrefix::new(format!("{RESERVED}{}", self.folder()))
    }

    /// The prefix of one set's records of this kind. Sets below (`a/b` below `a`) share it.
    pub(crate) fn of_set(self, set: &SetName) -> Result<KeyPrefix> {
        self.root()?.join(set.as_str())
    }

    fn key(self, set: &SetName, id: &BackupId, rest: &str) -> Result<ObjectKey> {
        self.of_set(set)?.key(&format!("{id}{rest}.json"))
    }

    /// The set, id and what stands between id and `.json` of a key of this kind; `None` for a foreign object.
    pub(crate) fn parse(self, key: &ObjectKey) -> Option<(SetName, BackupId, &str)> {
        let root = self.root().ok()?;
        let (set, file) = key.strip_prefix(&root)?.rsplit_once('/')?;
        let name = file.strip_suffix(".json")?;
        let (id, rest) = name.find('.').map_or((name, ""), |dot| name.split_at(dot));
        Some((SetName::new(set).ok()?, BackupId::new(id).ok()?, rest.strip_prefix('.').unwrap_or(rest)))
    }

    /// As [`Place::parse`], for a key that must belong to `set` itself.
    pub(crate) fn parse_in<'a>(self, set: &SetName, key: &'a ObjectKey) -> Option<(BackupId, &'a str)> {
        self.parse(key).filter(|(found, _, _)| found == set).map(|(_, id, rest)| (id, rest))
    }
}

/// Where the manifest of a backup stands.
///
/// # Errors
/// `input.invalid` when the set's name makes the key too long.
pub(crate) fn manifest_key(set: &SetName, id: &BackupId) -> Result<ObjectKey> {
    Place::Sets.key(set, id, "")
}

pub(crate) fn intent_key(set: &SetName, id: &BackupId, generation: u64) -> Result<ObjectKey> {
    // Padded, so that a renewal sorts behind the generation it replaces: a listing that misses one meets the other.
    Place::Intents.key(set, id, &format!(".{generation:08}"))
}

pub(crate) fn tombstone_key(set: &SetName, id: &BackupId) -> Result<ObjectKey> {
    Place::Tombstones.key(set, id, "")
}

pub(crate) fn pin_key(set: &SetName, id: &BackupId) -> Result<ObjectKey> {
    Place::Pins.key(set, id, "")
}

const VERIFY_TIME: &str = "%Y%m%dT%H%M%S%3fZ";

pub(crate) fn verified_key(set: &SetName, id: &BackupId, at: DateTime<Utc>, good: bool) -> Result<ObjectKey> {
    let outcome = if good { "good" } else { "bad" };
    Place::Verified.key(set, id, &format!(".{}.{outcome}", at.format(VERIFY_TIME)))
}

/// Time and outcome of a verify record from what stands between its id and `.json`.
pub(crate) fn parse_verified(rest: &str) -> Option<(DateTime<Utc>, bool)> {
    let (time, outcome) = rest.split_once('.')?;
    let time = chrono::NaiveDateTime::parse_from_str(time, VERIFY_TIME).ok()?.and_utc();
    match outcome {
        "good" => Some((time, true)),
        "bad" => Some((time, false)),
        _ => None,
    }
}

/// Refuses artifact keys that a backup with this prefix of its own cannot have: among the engine's own, and under the prefix of another
/// backup. A record that lies must not make anybody remove what belongs to others.
pub(crate) fn check_artifact_key(own: &KeyPrefix, key: &ObjectKey) -> Result<()> {
    let refused = |why: String| Err(Error::new(&codes::INPUT_INVALID, format!("artifact key {key} {why}")));
    if key.as_str().starts_with(RESERVED) {
        return refused(format!("lies under the reserved {RESERVED}"));
    }
    let folders = key.as_str().rsplit_once('/').map_or("", |(folders, _)| folders);
    let of_a_backup = |folder: &str| BackupId::new(folder).is_ok() || DirectoryName::new(folder).is_ok();
    if key.strip_prefix(own).is_none() && folders.split('/').any(of_a_backup) {
        return refused("lies under another backup's own prefix".into());
    }
    Ok(())
}

/// Checks that what a record of this backup claims can be its own.
///
/// # Errors
/// `record.corrupt`.
pub(crate) fn check_claims<'a>(
    set: &SetName,
    id: &BackupId,
    prefix: &KeyPrefix,
    keys: impl IntoIterator<Item = &'a ObjectKey>,
) -> Result<()> {
    let corrupt = |why: String| Error::new(&codes::RECORD_CORRUPT, format!("a record of backup {id} of {set}: {why}"));
    if *prefix != own_prefix(set, id)? && !is_directory(set, prefix) {
        return Err(corrupt(format!("it claims the prefix `{prefix}`")));
    }
    keys.into_iter().try_for_each(|key| check_artifact_key(prefix, key)).map_err(|error| corrupt(error.message().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_keys_are_read_back_and_foreign_ones_ignored() {
        let set = SetName::new("etcd/prod").unwrap();
        let id = BackupId::new("20261121T120000250Z-1f0c9a2b").unwrap();
        let key = intent_key(&set, &id, 3).unwrap();
        assert_eq!(key.as_str(), ".backup/intents/etcd/prod/20261121T120000250Z-1f0c9a2b.00000003.json");
        assert_eq!(Place::Intents.parse(&key), Some((set.clone(), id.clone(), "00000003")));
        assert_eq!(Place::Sets.parse(&key), None);
        let key = manifest_key(&set, &id).unwrap();
        assert_eq!(Place::Sets.parse_in(&set, &key), Some((id.clone(), "")));
        assert_eq!(Place::Sets.parse_in(&SetName::new("etcd").unwrap(), &key), None);
        for foreign in
            [".backup/sets/etcd/prod/readme.json", ".backup/sets/x.json", ".backup/sets/etcd/prod/20261121T120000250Z-1f0c9a2b"]
        {
            assert_eq!(Place::Sets.parse(&ObjectKey::new(foreign).unwrap()), None, "{foreign}");
        }
        let at = "2026-11-21T12:00:00.250Z".parse().unwrap();
        let key = verified_key(&set, &id, at, false).unwrap();
        assert_eq!(parse_verified(Place::Verified.parse(&key).unwrap().2), Some((at, false)));
    }
}
