//! The configuration of `tidb-backup`.

use std::path::Path;
use std::time::Duration;

use backup_core::error::codes;
use backup_core::zone::Zone;
use backup_core::{Error, Result};
use backup_http::duration;
use backup_http::limits::Limits;
use backup_http::server::Listen;
use backup_http::tidb::Token;
use backup_http::tls::TlsConfig;
use backup_sources::br::{BrConfig, BrSource, ExecutorConfig};
use serde::{Deserialize, Deserializer};

use super::cluster::BrCluster;
use super::storage::StorageConfig;
use crate::config::{ObjectiveConfig, StateConfig};
use crate::server::HttpConfig;

/// What the file says. `docs/tidb.md` describes each key.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    #[serde(default = "default_listen")]
    listen: Listen,
    /// The clusters.
    clusters: Vec<ClusterConfig>,
    /// Who may ask.
    pub tokens: Vec<Token>,
    /// Where the backups are.
    pub storage: StorageConfig,
    /// The zone of strategies, of times in answers and of directories' names.
    #[serde(default)]
    pub time_zone: Zone,
    /// Where records, strategies and jobs are remembered.
    #[serde(default)]
    pub state: StateConfig,
    #[serde(default)]
    tls: Option<TlsConfig>,
    #[serde(default)]
    limits: Limits,
    /// How old the last good backup of each cluster may be.
    #[serde(default)]
    pub objective: ObjectiveConfig,
    /// Backups and restores that run at the same time, of all clusters.
    #[serde(default = "default_running")]
    pub max_running_jobs: usize,
    /// Those that wait for that.
    #[serde(default = "default_queued")]
    pub max_queued_jobs: usize,
    /// How long a running backup may go on after SIGTERM.
    #[serde(default = "default_grace", deserialize_with = "duration::deserialize")]
    pub shutdown_grace: Duration,
    #[serde(default, deserialize_with = "no_store")]
    #[allow(dead_code, reason = "refused while it is read")]
    store: (),
}

/// One cluster.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct ClusterConfig {
    /// What requests call it, and its directory.
    id: String,
    /// What people call it; its id when absent.
    #[serde(default)]
    name: Option<String>,
    /// Its version, where it cannot tell itself.
    #[serde(default)]
    version: Option<String>,
    /// The way to BR.
    executor: ExecutorConfig,
}

impl Config {
    /// The clusters. Nothing is connected to.
    ///
    /// # Errors
    /// `input.invalid`, `br.config`.
    pub fn clusters(&self, program: &str) -> Result<Vec<BrCluster>> {
        if self.clusters.is_empty() {
            return Err(Error::new(&codes::INPUT_INVALID, "clusters: there is none"));
        }
        let path = self.state.path(program);
        let notes = path.parent().unwrap_or(Path::new(".")).join("br");
        let (backup, restore) = self.storage.tuning()?;
        self.clusters
            .iter()
            .map(|cluster| {
                let mut executor = cluster.executor.clone();
                if let ExecutorConfig::Br(program) = &mut executor {
                    program.notes.clone_from(&notes);
                }
                let mut config = BrConfig::new(executor);
                config.version.clone_from(&cluster.version);
                (config.backup, config.restore) = (backup, restore);
                config.encryption.clone_from(&self.storage.encryption);
                let source = BrSource::new(config).map_err(|error| error.context(format!("cluster `{}`", cluster.id)))?;
                let name = cluster.name.clone().unwrap_or_else(|| cluster.id.clone());
                Ok(BrCluster::new(cluster.id.clone(), name, source))
            })
            .collect()
    }

    pub(super) fn http(&self) -> HttpConfig {
        HttpConfig { listen: self.listen.clone(), tls: self.tls.clone(), auth: None, limits: self.limits.clone() }
    }
}

fn default_listen() -> Listen {
    Listen::from("0.0.0.0:4116")
}

/// The work is done elsewhere: here each is a connection or a process that waits.
fn default_running() -> usize {
    256
}

fn default_queued() -> usize {
    10_000
}

fn default_grace() -> Duration {
    Duration::from_secs(20)
}

fn no_store<'de, D: Deserializer<'de>>(_: D) -> Result<(), D::Error> {
    Err(serde::de::Error::custom(
        "`store` is not for this server: TiDB and TiKV write the backups by themselves, to what `storage` names",
    ))
}
