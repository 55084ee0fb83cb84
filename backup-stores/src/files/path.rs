//! From a key to a directory and a name, and the names that are the store's own.

use backup_core::ObjectKey;

/// Unfinished writes live here; no key leads here ([`ObjectKey::is_reserved`]).
pub(crate) const TMP_DIR: &str = ".backup/tmp";

/// The key of an object as a place below the root of a file tree.
#[derive(Debug, Clone)]
pub(crate) struct KeyPath(ObjectKey);

impl KeyPath {
    pub(crate) fn new(key: &ObjectKey) -> Self {
        Self(key.clone())
    }

    pub(crate) fn key(&self) -> &ObjectKey {
        &self.0
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The directory, empty for the root.
    pub(crate) fn dir(&self) -> &str {
        split(self.0.as_str()).0
    }

    pub(crate) fn name(&self) -> &str {
        split(self.0.as_str()).1
    }
}

/// Directory (empty for the root) and last segment.
pub(crate) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// `path` for a message: the root has a name too.
pub(crate) fn shown(path: &str) -> &str {
    if path.is_empty() { "." } else { path }
}
