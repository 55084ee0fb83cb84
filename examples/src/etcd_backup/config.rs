//! The configuration of `etcd-backup`: the documented keys, and a few of our own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use backup_core::error::codes;
use backup_core::retention::RetentionPolicy;
use backup_core::schedule::{Action, Schedule, Trigger};
use backup_core::{BackupRequest, Compression, Error, Result, SetName};
use backup_http::auth::AuthConfig;
use backup_http::duration;
use backup_http::limits::Limits;
use backup_http::server::Listen;
use backup_http::tls::TlsConfig;
use backup_sources::etcd::{EtcdConfig, Packaging};
use backup_stores::StoreConfig;
use backup_stores::fs::FsConfig;
use serde::de::{Deserialize, Deserializer, Error as _, IntoDeserializer};

use crate::config::{ObjectiveConfig, StateConfig};
use crate::server::HttpConfig;

/// The name of the one backup set.
const SET: &str = "etcd";

/// What the file says. `docs/etcd-backup.md` describes each key.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    #[serde(default)]
    backup_dir: Option<PathBuf>,
    #[serde(default)]
    store: Option<StoreConfig>,
    #[serde(default = "default_listen", deserialize_with = "listen")]
    listen: Listen,
    #[serde(default = "default_rotate", deserialize_with = "rotate")]
    rotate: u32,
    etcd: EtcdConfig,
    #[serde(default)]
    skip_unchanged: bool,
    #[serde(default, deserialize_with = "level")]
    compression_level: Option<u32>,
    /// Where jobs are remembered.
    #[serde(default)]
    pub state: StateConfig,
    #[serde(default)]
    auth: Option<AuthConfig>,
    #[serde(default)]
    tls: Option<TlsConfig>,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    schedule: Option<Trigger>,
    /// How old the last good backup may be.
    #[serde(default)]
    pub objective: ObjectiveConfig,
    /// How long a running backup may go on after SIGTERM.
    #[serde(default = "default_grace", deserialize_with = "duration::deserialize")]
    pub shutdown_grace: Duration,
}

impl Config {
    /// Where the backups are: `backup-dir`, or `store` instead.
    ///
    /// # Errors
    /// `input.invalid` when both are given.
    pub fn store(&self) -> Result<StoreConfig> {
        let directory = match (&self.store, &self.backup_dir) {
            (Some(_), Some(_)) => return Err(refused("`store` and `backup-dir` are both given; one is enough")),
            (Some(store), None) => return Ok(store.clone()),
            (None, directory) => directory.as_deref().unwrap_or(Path::new("/etcd-backup")),
        };
        let unusable = |error| refused(format!("backup-dir: {} is no path", directory.display())).with_source(error);
        Ok(StoreConfig::Fs(FsConfig::new(std::path::absolute(directory).map_err(unusable)?)))
    }

    /// The etcd to back up, with what this dialect decides by itself.
    ///
    /// # Errors
    /// `input.invalid` when the configuration decides that, too.
    pub fn etcd(&self) -> Result<EtcdConfig> {
        let mut etcd = self.etcd.clone();
        let ours = EtcdConfig::default();
        if etcd.name != ours.name || etcd.packaging != ours.packaging {
            return Err(refused("etcd: `name` and `packaging` cannot be set here: every backup is `snapshot-<time>.tar.gz`"));
        }
        etcd.packaging = Packaging::Tar;
        Ok(etcd)
    }

    /// How a backup is made.
    ///
    /// # Errors
    /// None for a name of ours.
    pub fn request(&self) -> Result<BackupRequest> {
        let request = BackupRequest::new(SetName::new(SET)?).compression(Compression::Gzip, self.compression_level);
        Ok(if self.skip_unchanged { request.skip_unchanged(None) } else { request })
    }

    /// Backups that are made by themselves: one that was missed while the program was down is made up for.
    ///
    /// # Errors
    /// `input.invalid` for a schedule that never comes.
    pub fn schedules(&self) -> Result<Vec<Schedule>> {
        let Some(trigger) = self.schedule.clone() else { return Ok(Vec::new()) };
        let schedule = Schedule::new("schedule", SetName::new(SET)?, Action::Backup, trigger).catch_up(true);
        schedule.check()?;
        Ok(vec![schedule])
    }

    pub(super) fn http(&self) -> HttpConfig {
        HttpConfig { listen: self.listen.clone(), tls: self.tls.clone(), auth: self.auth.clone(), limits: self.limits.clone() }
    }

    /// What is kept.
    pub fn retention(&self) -> RetentionPolicy {
        RetentionPolicy::default().keep_last(self.rotate)
    }
}

fn default_listen() -> Listen {
    Listen::from("0.0.0.0:8080")
}

/// As long as the original waited.
fn default_grace() -> Duration {
    Duration::from_secs(180)
}

fn default_rotate() -> u32 {
    14
}

/// An address as the original takes it: without a host it means all of them.
fn listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Listen, D::Error> {
    let address = String::deserialize(deserializer)?;
    let address = if address.starts_with(':') { format!("0.0.0.0{address}") } else { address };
    Listen::deserialize(address.into_deserializer())
}

fn rotate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let rotate = i64::deserialize(deserializer)?;
    let refused = || D::Error::custom(format!("`rotate` is {rotate}; at least 1 backup has to be kept"));
    u32::try_from(rotate).ok().filter(|rotate| *rotate >= 1).ok_or_else(refused)
}

fn level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let level = Option::<u32>::deserialize(deserializer)?;
    match level {
        Some(level) if !(1..=9).contains(&level) => {
            Err(D::Error::custom(format!("`compression-level` is {level}; gzip has 1 (fast) to 9 (small)")))
        }
        level => Ok(level),
    }
}

fn refused(what: impl Into<String>) -> Error {
    Error::new(&codes::INPUT_INVALID, what.into())
}
