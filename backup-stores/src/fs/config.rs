//! The configuration block `store: { fs: … }`.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};

/// Where a [`FsStore`](super::FsStore) lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FsConfig {
    /// The directory that holds the objects. Symbolic links on the way to it are followed; below it none is.
    pub root: PathBuf,
    /// The kinds of file system on one of which the root must lie: `nfs`, or a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_mount: Option<RequiredMount>,
}

impl FsConfig {
    /// A store in the directory `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), require_mount: None }
    }

    /// Sets the kinds of file system on one of which the root must lie.
    #[must_use]
    pub fn require_mount<T: Into<String>>(mut self, kinds: impl IntoIterator<Item = T>) -> Self {
        self.require_mount = Some(RequiredMount::new(kinds));
        self
    }
}

/// Kinds of file system, as `/proc/mounts` names them. A name stands for its versions and flavours too: `nfs` for `nfs4`, `fuse` for
/// `fuse.sshfs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RequiredMount(Vec<String>);

impl RequiredMount {
    /// One of these kinds.
    pub fn new<T: Into<String>>(kinds: impl IntoIterator<Item = T>) -> Self {
        Self(kinds.into_iter().map(Into::into).collect())
    }

    pub(super) fn allows(&self, kind: &str) -> bool {
        let same = |name: &String| match kind.strip_prefix(name.as_str()) {
            Some("") => true,
            Some("4") => name == "nfs",
            Some(rest) => rest.starts_with('.'),
            None => false,
        };
        self.0.iter().any(same)
    }
}

impl fmt::Display for RequiredMount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted: Vec<_> = self.0.iter().map(|name| format!("`{name}`")).collect();
        write!(f, "{}", quoted.join(" or "))
    }
}

impl<'de> Deserialize<'de> for RequiredMount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "the name of a kind of file system, like nfs, or a list of names")]
        enum OneOrMore {
            One(String),
            More(Vec<String>),
        }
        let kinds = match OneOrMore::deserialize(deserializer)? {
            OneOrMore::One(kind) => vec![kind],
            OneOrMore::More(kinds) => kinds,
        };
        if kinds.is_empty() || kinds.iter().any(String::is_empty) {
            return Err(serde::de::Error::custom("`require-mount` names a kind of file system at least"));
        }
        Ok(Self(kinds))
    }
}
