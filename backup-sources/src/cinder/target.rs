//! Where a backup is restored into.

use std::collections::BTreeMap;
use std::path::PathBuf;

use backup_core::error::codes as core_codes;
use backup_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::client::check_id;

/// The value of a restore target: exactly one of these.
///
/// ```json
/// {"volume-id": "…"}                   a volume that is `available`, and at least as big as the backup
/// {"new": {"name": "…"}}               a new volume
/// {"volume-id": "…", "new": {}}        a volume that `CinderSource::create_volume` made
/// {"file": "/var/tmp/volume.raw"}      a sparse file, which is not there yet
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Target {
    /// The volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_id: Option<String>,
    /// What a new volume is to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<NewVolume>,
    /// The file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

/// A new volume for a restore. What is not said is as in the backup, or Cinder's own default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct NewVolume {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What somebody shall read of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The name or id of its type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_type: Option<String>,
    /// Its size in GiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Whether an instance can start from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootable: Option<bool>,
    /// What is attached to it, beside what was attached to the volume of the backup.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The zone in which it shall be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability_zone: Option<String>,
}

/// A target that makes sense.
#[derive(Debug)]
pub(super) enum Into {
    Existing(String),
    New(NewVolume),
    Prepared(String, NewVolume),
    File(PathBuf),
}

impl Target {
    pub(super) fn check(self) -> Result<Into> {
        match self {
            Self { volume_id: Some(id), new: None, file: None } => Ok(Into::Existing(check_id("volume", &id)?.to_owned())),
            Self { volume_id: Some(id), new: Some(new), file: None } => {
                Ok(Into::Prepared(check_id("volume", &id)?.to_owned(), new))
            }
            Self { volume_id: None, new: Some(new), file: None } => Ok(Into::New(new)),
            Self { volume_id: None, new: None, file: Some(file) } => Ok(Into::File(file)),
            _ => Err(Error::new(
                &core_codes::INPUT_INVALID,
                "a restore goes into a volume (`volume-id`), a new one (`new`), or a file (`file`): exactly one of them",
            )),
        }
    }
}
