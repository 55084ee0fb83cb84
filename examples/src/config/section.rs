//! What `backupctl` reads of any server's configuration: where its backups are and how they are named.

use std::path::{Path, PathBuf};

use backup_core::error::codes;
use backup_core::{Error, Result};
use backup_http::etcd_sidecar::SidecarNaming;
use backup_stores::StoreConfig;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The store and the naming of a server's configuration; its other keys are left alone, and their variables need not be set.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct StoreSection {
    /// Where the backups are.
    #[serde(default)]
    store: Option<StoreConfig>,
    /// The older way of etcd-backup to say the same.
    #[serde(default)]
    backup_dir: Option<PathBuf>,
    /// Keys of etcd-sidecar that decide what its files are called.
    #[serde(default)]
    cluster_name: Option<String>,
    #[serde(default = "default_namespace")]
    namespace: String,
    /// A key that etcd-backup needs; with neither of its directories it has a default one.
    #[serde(default)]
    etcd: Option<IgnoredAny>,
}

/// The server that a configuration is for, as far as it decides what files are called.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// etcd-operator's backup sidecar.
    EtcdSidecar {
        /// Of the cluster.
        namespace: String,
        /// Of the cluster.
        cluster: String,
    },
    /// etcd-backup.
    EtcdBackup,
    /// One with names of our own.
    Own,
}

impl StoreSection {
    /// Reads the section of the configuration at `path`.
    ///
    /// # Errors
    /// As [`load`](super::load); `input.invalid` when the file names no store.
    pub fn load(path: &Path) -> Result<Self> {
        let section: Self = super::load(path)?;
        section.store().map_err(|error| error.context(path.display().to_string()))?;
        Ok(section)
    }

    /// Where the backups are.
    ///
    /// # Errors
    /// `input.invalid` when none or both of the two keys are given.
    pub fn store(&self) -> Result<StoreConfig> {
        let refused = |what: &'static str| Error::new(&codes::INPUT_INVALID, what);
        let directory = match (&self.store, &self.backup_dir) {
            (Some(_), Some(_)) => return Err(refused("`store` and `backup-dir` are both given; one is enough")),
            (Some(store), None) => return Ok(store.clone()),
            (None, Some(directory)) => directory.as_path(),
            (None, None) if self.dialect() == Dialect::EtcdBackup => Path::new("/etcd-backup"),
            (None, None) => return Err(refused("it has neither `store` nor `backup-dir`: where are the backups?")),
        };
        let absolute = std::path::absolute(directory).map_err(|error| refused("`backup-dir` is no path").with_source(error))?;
        Ok(StoreConfig::Fs(backup_stores::fs::FsConfig::new(absolute)))
    }

    /// Whose configuration it is, by the keys that only one server has.
    pub fn dialect(&self) -> Dialect {
        match &self.cluster_name {
            Some(cluster) => Dialect::EtcdSidecar { namespace: self.namespace.clone(), cluster: cluster.clone() },
            None if self.backup_dir.is_some() || self.etcd.is_some() => Dialect::EtcdBackup,
            None => Dialect::Own,
        }
    }
}

/// How etcd-sidecar names what it puts into this store.
///
/// # Errors
/// `input.invalid` for a name that no cluster or namespace has.
pub fn sidecar_naming(store: &StoreConfig, namespace: &str, cluster: &str) -> Result<SidecarNaming> {
    // A namespace that is wrong is refused where it is not used, too.
    let in_bucket = SidecarNaming::in_bucket(namespace, cluster)?;
    match store.kind() {
        // A directory has no level for the namespace, as the original has none there.
        "fs" | "nfs" => SidecarNaming::in_directory(cluster),
        _ => Ok(in_bucket),
    }
}

fn default_namespace() -> String {
    "default".to_owned()
}
