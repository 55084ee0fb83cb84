//! From a key to a directory and a name, and the names that are the store's own.

use backup_core::error::codes;
use backup_core::{Error, ObjectKey, Result};

/// Unfinished writes live here; no key may.
pub(super) const TMP_DIR: &str = ".backup/tmp";

/// The key of an object as a place below the root.
#[derive(Debug, Clone)]
pub(super) struct KeyPath(ObjectKey);

impl KeyPath {
    pub(super) fn new(key: &ObjectKey) -> Result<Self> {
        if is_reserved(key.as_str()) {
            let text =
                format!("the key `{key}` lies in `{TMP_DIR}`, which this store keeps for unfinished writes; choose another");
            return Err(Error::new(&codes::INPUT_INVALID, text));
        }
        Ok(Self(key.clone()))
    }

    pub(super) fn key(&self) -> &ObjectKey {
        &self.0
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The directory, empty for the root.
    pub(super) fn dir(&self) -> &str {
        split(self.0.as_str()).0
    }

    pub(super) fn name(&self) -> &str {
        split(self.0.as_str()).1
    }
}

/// Directory (empty for the root) and last segment.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

pub(super) fn is_reserved(path: &str) -> bool {
    path.strip_prefix(TMP_DIR).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `path` for a message: the root has a name too.
pub(super) fn shown(path: &str) -> &str {
    if path.is_empty() { "." } else { path }
}
