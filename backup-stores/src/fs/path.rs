//! From a key to a directory and a name, and the names that are the store's own.

use backup_core::ObjectKey;

/// Unfinished writes live here; no key leads here ([`ObjectKey::is_reserved`]).
pub(super) const TMP_DIR: &str = ".backup/tmp";

/// The key of an object as a place below the root.
#[derive(Debug, Clone)]
pub(super) struct KeyPath(ObjectKey);

impl KeyPath {
    pub(super) fn new(key: &ObjectKey) -> Self {
        Self(key.clone())
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

/// `path` for a message: the root has a name too.
pub(super) fn shown(path: &str) -> &str {
    if path.is_empty() { "." } else { path }
}
