//! The configuration of `volume-backup`.

use std::sync::Arc;
use std::time::Duration;

use backup_core::budget::MemoryBudget;
use backup_core::{Result, service};
use backup_http::duration;
use backup_http::limits::Limits;
use backup_http::openstack::{ForwardOptions, SuccessCodes};
use backup_http::server::Listen;
use backup_http::tls::TlsConfig;
use backup_remote::http::{Http, HttpOptions};
use backup_remote::keystone::{Keystone, KeystoneConfig, Validator};
use backup_remote::{CallLimits, CallObserver, Calls};
use backup_sources::cinder::access::AccessConfig;
use backup_sources::cinder::format::{Compression, Options};
use backup_sources::cinder::{Cinder, Connector, SourceOptions};
use backup_stores::StoreConfig;
use serde::Deserialize;

use super::cloud::RealCloud;
use super::quotas::Quotas;
use crate::config::StateConfig;
use crate::server::HttpConfig;

/// What the file says. `docs/volume-backup.md` describes each key.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    #[serde(default = "default_listen")]
    listen: Listen,
    /// Where the backups go.
    pub store: StoreConfig,
    /// Where records and jobs are remembered.
    #[serde(default)]
    pub state: StateConfig,
    #[serde(default)]
    tls: Option<TlsConfig>,
    keystone: KeystoneConfig,
    volume_access: AccessConfig,
    #[serde(default)]
    connector: Connector,
    /// Whoever else has the same one takes what is ours for a leftover.
    owner: String,
    #[serde(default)]
    quotas: Quotas,
    /// Whether the gateway's routes are served, too.
    #[serde(default)]
    pub gateway: bool,
    /// Which status a success has.
    #[serde(default)]
    pub success_codes: SuccessCodes,
    /// After how many links an incremental backup begins with a new full one.
    #[serde(default = "default_chain")]
    pub chain_limit: usize,
    #[serde(default = "default_object_size")]
    object_size: u64,
    #[serde(default)]
    compression: Compression,
    #[serde(default)]
    compression_level: Option<u32>,
    /// How long a request waits for a rollback.
    #[serde(default = "default_rollback", deserialize_with = "duration::deserialize")]
    pub rollback_timeout: Duration,
    /// How long a forwarded request may go without an answer.
    #[serde(default = "default_forward", deserialize_with = "duration::deserialize")]
    forward_timeout: Duration,
    #[serde(default = "default_requests")]
    requests: CallLimits,
    #[serde(default)]
    limits: Limits,
    /// Bytes that all jobs together may hold.
    #[serde(default = "default_memory")]
    pub memory_budget: u64,
    #[serde(default = "default_running")]
    max_running_jobs: usize,
    #[serde(default = "default_queued")]
    max_queued_jobs: usize,
    /// How long a running backup may go on after SIGTERM.
    #[serde(default = "default_grace", deserialize_with = "duration::deserialize")]
    pub shutdown_grace: Duration,
}

impl Config {
    /// Keystone, Cinder and Nova; `observer` is told of every call. Nothing is connected to.
    ///
    /// # Errors
    /// `keystone.config`, `remote.config`, `cinder.config`, `cinder.access_config`, `input.invalid`.
    pub(super) fn cloud(&self, observer: Arc<dyn CallObserver>) -> Result<RealCloud> {
        let options = HttpOptions::default().ca_file(self.keystone.ca_file.clone());
        let http =
            |service: &str| Http::new(Calls::observed(service, self.requests.clone(), Some(Arc::clone(&observer))), &options);
        let keystone = Keystone::new(http("keystone")?, self.keystone.clone())?;
        let format = Options {
            object_size: self.object_size,
            compression: self.compression,
            level: self.compression_level,
            ..Options::default()
        };
        let access = self.volume_access.open()?;
        let cinder = Cinder::with(keystone.clone(), http("cinder")?, self.connector.clone());
        let options = SourceOptions::new(self.owner.as_str()).format(format);
        // What is wrong with them is said now, not by the first backup.
        backup_sources::cinder::CinderSource::new(cinder.clone(), Arc::clone(&access), options.clone())?;
        Ok(RealCloud {
            validator: Validator::new(keystone.clone()),
            http: http("nova")?,
            keystone,
            cinder,
            access,
            options,
            quotas: self.quotas.clone(),
        })
    }

    pub(super) fn forward(&self) -> ForwardOptions {
        ForwardOptions::default().ca_file(self.keystone.ca_file.clone()).answer_timeout(self.forward_timeout)
    }

    pub(super) fn http(&self) -> HttpConfig {
        HttpConfig { listen: self.listen.clone(), tls: self.tls.clone(), auth: None, limits: self.limits.clone() }
    }

    pub(super) fn jobs(&self) -> service::Limits {
        service::Limits::default().running(self.max_running_jobs).queued(self.max_queued_jobs)
    }
}

fn default_listen() -> Listen {
    Listen::from("0.0.0.0:8110")
}

fn default_chain() -> usize {
    30
}

fn default_object_size() -> u64 {
    Options::default().object_size
}

fn default_rollback() -> Duration {
    Duration::from_secs(600)
}

fn default_forward() -> Duration {
    Duration::from_secs(300)
}

/// An attachment is made while its call waits, and Cinder itself gives its driver a minute.
fn default_requests() -> CallLimits {
    let mut limits = CallLimits::default();
    limits.timeout_secs = 90;
    limits
}

fn default_memory() -> u64 {
    MemoryBudget::default().total()
}

/// Each moves data.
fn default_running() -> usize {
    4
}

fn default_queued() -> usize {
    1000
}

fn default_grace() -> Duration {
    Duration::from_secs(20)
}
