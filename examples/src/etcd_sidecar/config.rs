//! The configuration of `etcd-sidecar`.

use std::time::Duration;

use backup_core::error::codes;
use backup_core::{Error, Result};
use backup_http::auth::AuthConfig;
use backup_http::duration;
use backup_http::etcd_sidecar::SidecarNaming;
use backup_http::limits::Limits;
use backup_http::server::Listen;
use backup_http::tls::TlsConfig;
use backup_sources::etcd::{EtcdConfig, Packaging};
use backup_stores::StoreConfig;
use serde::de::{Deserialize, Deserializer, Error as _};

use crate::config::{ObjectiveConfig, StateConfig, sidecar_naming};
use crate::server::HttpConfig;

/// What the original takes when nothing, or 0, is said.
const INTERVAL: u64 = 1800;

/// What the file says. `docs/etcd-sidecar.md` describes each key.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    cluster_name: String,
    #[serde(default = "default_namespace")]
    namespace: String,
    #[serde(default)]
    etcd: EtcdConfig,
    #[serde(default, deserialize_with = "interval")]
    backup_interval_in_second: u64,
    #[serde(default, deserialize_with = "count")]
    max_backups: u32,
    /// Where the backups go.
    pub store: StoreConfig,
    /// Where jobs are remembered.
    #[serde(default)]
    pub state: StateConfig,
    #[serde(default = "default_listen")]
    listen: Listen,
    #[serde(default)]
    tls: Option<TlsConfig>,
    #[serde(default)]
    auth: Option<AuthConfig>,
    #[serde(default)]
    limits: Limits,
    /// How old the last good backup may be.
    #[serde(default)]
    pub objective: ObjectiveConfig,
    /// How long running jobs may go on after SIGTERM.
    #[serde(default = "default_grace", deserialize_with = "duration::deserialize")]
    pub shutdown_grace: Duration,
}

impl Config {
    /// How the backups are named: as the original named them in a directory, or in a bucket.
    ///
    /// # Errors
    /// `input.invalid` for a name that no cluster or namespace has.
    pub fn naming(&self) -> Result<SidecarNaming> {
        sidecar_naming(&self.store, &self.namespace, &self.cluster_name)
    }

    /// The etcd to back up, with what this dialect decides by itself.
    ///
    /// # Errors
    /// `input.invalid` when the configuration decides that, too.
    pub fn etcd(&self) -> Result<EtcdConfig> {
        let ours = EtcdConfig::default();
        if self.etcd.name != ours.name || self.etcd.packaging != Packaging::Raw {
            let what =
                "etcd: `name` and `packaging` cannot be set here: a backup is the snapshot itself, under the dialect's name";
            return Err(Error::new(&codes::INPUT_INVALID, what));
        }
        Ok(self.etcd.clone())
    }

    /// The time between two backups.
    pub fn interval(&self) -> Duration {
        Duration::from_secs(if self.backup_interval_in_second == 0 { INTERVAL } else { self.backup_interval_in_second })
    }

    /// How many backups are kept; 0 keeps all.
    pub fn max_backups(&self) -> u32 {
        self.max_backups
    }

    pub(super) fn http(&self) -> HttpConfig {
        HttpConfig { listen: self.listen.clone(), tls: self.tls.clone(), auth: self.auth.clone(), limits: self.limits.clone() }
    }
}

fn default_namespace() -> String {
    "default".to_owned()
}

fn default_listen() -> Listen {
    Listen::from("0.0.0.0:19999")
}

fn default_grace() -> Duration {
    Duration::from_secs(20)
}

fn interval<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let seconds = i64::deserialize(deserializer)?;
    let refused = || {
        D::Error::custom(format!(
            "`backup-interval-in-second` is {seconds}; it has to be 0 (for {INTERVAL}) or more, a year at most"
        ))
    };
    u64::try_from(seconds).ok().filter(|seconds| *seconds <= 366 * 86400).ok_or_else(refused)
}

fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let count = i64::deserialize(deserializer)?;
    u32::try_from(count).map_err(|_| D::Error::custom(format!("`max-backups` is {count}; it has to be 0 (keep all) or more")))
}
