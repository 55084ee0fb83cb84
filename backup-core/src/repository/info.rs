//! What a listing says of a backup.

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::error::Error;
use crate::key::{KeyPrefix, ObjectKey};
use crate::manifest::Manifest;
use crate::name::{BackupId, SetName};
use crate::naming;
use crate::revision::Revision;

/// What a listing says of a backup. Cheap to share; holds no block digests.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct BackupInfo {
    /// The set.
    pub set: SetName,
    /// The id.
    pub id: BackupId,
    /// When the capture began, by the clock of the machine that made it.
    pub created_at: DateTime<Utc>,
    /// When it was published; `None` without a readable manifest, and for an adopted file.
    pub published_at: Option<DateTime<Utc>>,
    /// Published, adopted, or damaged.
    #[serde(flatten)]
    pub state: State,
    /// Exempt from retention.
    pub pinned: bool,
    /// When it was last verified, and whether it was good.
    #[serde(serialize_with = "verified")]
    pub verified: Option<(DateTime<Utc>, bool)>,
    /// Which instance was backed up.
    pub identity: Option<String>,
    /// Its position.
    pub revision: Option<Revision>,
    /// Its version.
    pub version: Option<String>,
    /// All stored bytes together.
    pub stored_size: u64,
    /// How many artifacts it has.
    pub artifacts: u64,
    /// The directory that belongs to it alone, where a contract names it; otherwise that is `<set>/<id>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<KeyPrefix>,
    /// Where the only or first artifact is stored.
    pub first_key: Option<ObjectKey>,
    /// Backups this one needs.
    pub parents: Vec<BackupId>,
    /// How many warnings it was published with.
    pub warnings: u64,
    /// Until when the store refuses to remove it.
    pub retain_until: Option<DateTime<Utc>>,
    /// What another program calls it, where the naming knows: see [`Naming::group_of`](crate::naming::Naming::group_of).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// What kind of entry a listing shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "why")]
#[non_exhaustive]
pub enum State {
    /// It has a manifest.
    Published,
    /// Files of another program without a manifest; the first verify gives them one.
    Adopted,
    /// Its manifest cannot be read; the text says why.
    Damaged(String),
    /// A newer version wrote it, and this one cannot use it; the text says what it lacks. Left alone.
    Unsupported(String),
}

impl State {
    /// True for an entry with a readable manifest.
    pub fn is_published(&self) -> bool {
        *self == Self::Published
    }
}

impl BackupInfo {
    /// Published or adopted, and not found damaged by its last verify.
    pub fn is_good(&self) -> bool {
        matches!(self.state, State::Published | State::Adopted) && self.verified.is_none_or(|(_, good)| good)
    }

    pub(crate) fn of(manifest: &Manifest) -> Self {
        let first = manifest.artifacts.first();
        Self {
            set: manifest.set.clone(),
            id: manifest.id.clone(),
            created_at: manifest.created_at,
            published_at: (!manifest.adopted).then_some(manifest.published_at),
            state: State::Published,
            pinned: false,
            verified: None,
            identity: manifest.source.identity.clone(),
            revision: manifest.source.revision.clone(),
            version: manifest.source.version.clone(),
            stored_size: manifest.stored_size(),
            artifacts: manifest.inventory.as_ref().map_or(manifest.artifacts.len() as u64, |inventory| inventory.count),
            directory: naming::is_directory(&manifest.set, &manifest.prefix).then(|| manifest.prefix.clone()),
            first_key: first.map(|artifact| artifact.key.clone()),
            parents: manifest.parents.clone(),
            warnings: manifest.warnings.len() as u64,
            retain_until: manifest.retain_until,
            group: None,
        }
    }

    pub(super) fn damaged(set: &SetName, id: &BackupId, error: &Error) -> Self {
        Self::bare(set, id, id.time(), State::Damaged(error.to_string()))
    }

    /// An entry of which only this is known for sure: that it is there, and what it needs.
    pub(super) fn unsupported(set: &SetName, id: &BackupId, error: &Error, members: &serde_json::Map<String, Value>) -> Self {
        let parents = members.get("parents").and_then(Value::as_array).into_iter().flatten();
        let parents = parents.filter_map(|parent| BackupId::new(parent.as_str()?).ok()).collect();
        Self { parents, ..Self::bare(set, id, id.time(), State::Unsupported(error.to_string())) }
    }

    pub(crate) fn bare(set: &SetName, id: &BackupId, created_at: DateTime<Utc>, state: State) -> Self {
        Self {
            set: set.clone(),
            id: id.clone(),
            created_at,
            published_at: None,
            state,
            pinned: false,
            verified: None,
            identity: None,
            revision: None,
            version: None,
            stored_size: 0,
            artifacts: 0,
            directory: None,
            first_key: None,
            parents: Vec::new(),
            warnings: 0,
            retain_until: None,
            group: None,
        }
    }
}

/// `{"at": …, "good": …}`, or null.
#[allow(clippy::ref_option, reason = "the signature that serde asks for")]
fn verified<S: Serializer>(verified: &Option<(DateTime<Utc>, bool)>, serializer: S) -> Result<S::Ok, S::Error> {
    verified.map(|(at, good)| json!({ "at": at, "good": good })).serialize(serializer)
}
