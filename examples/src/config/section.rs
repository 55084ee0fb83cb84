//! What `backupctl` reads of any server's configuration: where its backups are and how they are named.

use std::path::{Path, PathBuf};

use backup_core::error::codes;
use backup_core::{Error, Result};
use backup_stores::StoreConfig;
use serde::Deserialize;

/// The store and the naming of a server's configuration; its other keys are left alone, and their variables need not be set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct StoreSection {
    /// Where the backups are.
    #[serde(default)]
    store: Option<StoreConfig>,
    /// The older way of etcd-backup to say the same.
    #[serde(default)]
    backup_dir: Option<PathBuf>,
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
    /// `input.invalid` when none or both of the two keys are given, or the directory is no absolute path.
    pub fn store(&self) -> Result<StoreConfig> {
        match (&self.store, &self.backup_dir) {
            (Some(store), None) => Ok(store.clone()),
            (None, Some(directory)) => format!("fs://{}", directory.display()).parse(),
            (Some(_), Some(_)) => {
                Err(Error::new(&codes::INPUT_INVALID, "`store` and `backup-dir` are both given; one is enough"))
            }
            (None, None) => {
                Err(Error::new(&codes::INPUT_INVALID, "it has neither `store` nor `backup-dir`: where are the backups?"))
            }
        }
    }
}
