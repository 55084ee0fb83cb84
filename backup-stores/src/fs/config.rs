//! The configuration block `store: { fs: … }`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a [`FsStore`](super::FsStore) lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FsConfig {
    /// The directory that holds the objects. Symbolic links on the way to it are followed; below it none is.
    pub root: PathBuf,
}

impl FsConfig {
    /// A store in the directory `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }
}
