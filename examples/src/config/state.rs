//! The block `state:`: where a server keeps its jobs, schedules and leases.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;

use backup_core::Result;
use backup_core::state::State;
use backup_stores::redb::RedbState;
use serde::{Deserialize, Deserializer};

/// Where a server keeps its state. Without the block: `state.redb` in `$STATE_DIRECTORY` (as systemd sets it), else
/// in `/var/lib/backup/<program>/`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct StateConfig {
    /// The file.
    redb: Option<PathBuf>,
    /// Several replicas.
    #[serde(default, deserialize_with = "not_yet")]
    #[allow(dead_code, reason = "refused while it is read")]
    etcd: (),
}

impl StateConfig {
    /// The state file of `program`.
    pub fn path(&self, program: &str) -> PathBuf {
        self.path_in(program, std::env::var_os("STATE_DIRECTORY").as_deref())
    }

    fn path_in(&self, program: &str, directory: Option<&OsStr>) -> PathBuf {
        if let Some(path) = &self.redb {
            return path.clone();
        }
        // systemd gives several directories with colons between them.
        let first = directory.and_then(OsStr::to_str).and_then(|all| all.split(':').next()).filter(|first| !first.is_empty());
        let directory = first.map_or_else(|| PathBuf::from("/var/lib/backup").join(program), PathBuf::from);
        directory.join("state.redb")
    }

    /// Opens the state of `program`, on a thread for blocking work.
    ///
    /// # Errors
    /// Those of [`RedbState::open`].
    pub async fn open(&self, program: &str) -> Result<Arc<dyn State>> {
        let path = self.path(program);
        let opened = tokio::task::spawn_blocking(move || RedbState::open(path)).await;
        let ended_early = |error| {
            backup_core::Error::new(&backup_core::error::codes::INTERNAL, "opening the state ended early").with_source(error)
        };
        Ok(Arc::new(opened.map_err(ended_early)??))
    }
}

fn not_yet<'de, D: Deserializer<'de>>(_: D) -> Result<(), D::Error> {
    Err(serde::de::Error::custom("a state in `etcd` is not yet implemented; use `redb`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_the_configured_one_else_that_of_systemd_else_that_of_the_program() {
        let configured = StateConfig { redb: Some("/x/y.redb".into()), ..StateConfig::default() };
        let directory = Some(OsStr::new("/run/a:/run/b"));
        assert_eq!(configured.path_in("p", directory), PathBuf::from("/x/y.redb"));
        assert_eq!(StateConfig::default().path_in("p", directory), PathBuf::from("/run/a/state.redb"));
        assert_eq!(StateConfig::default().path_in("p", None), PathBuf::from("/var/lib/backup/p/state.redb"));
        assert_eq!(StateConfig::default().path_in("p", Some(OsStr::new(""))), PathBuf::from("/var/lib/backup/p/state.redb"));
    }
}
