//! How Cinder is reached, as every configuration says it.

use std::path::Path;

use backup_remote::CallLimits;
use backup_remote::keystone::KeystoneConfig;
use serde::Deserialize;

/// How Cinder is reached. Keys are kebab-case; an unknown one is refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct CinderConfig {
    /// Who we are. For other projects' volumes, and for tokens of callers that end in the middle of a job, a user with the role `service`
    /// (and that of an admin, to find leftovers in all projects).
    pub keystone: KeystoneConfig,
    /// How calls are limited.
    #[serde(default = "requests")]
    pub requests: CallLimits,
    /// Whom attachments are made for.
    #[serde(default)]
    pub connector: Connector,
}

/// What Cinder is told of the host that an attachment is for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Connector {
    /// The host's name; this host's own when it is not given.
    pub host: String,
    /// Its address in the network of the storage.
    pub ip: String,
}

impl CinderConfig {
    /// The defaults for everything else.
    pub fn new(keystone: KeystoneConfig) -> Self {
        Self { keystone, requests: requests(), connector: Connector::default() }
    }

    /// Sets [`CinderConfig::requests`].
    #[must_use]
    pub fn requests(mut self, requests: CallLimits) -> Self {
        self.requests = requests;
        self
    }
}

impl Default for Connector {
    fn default() -> Self {
        let host = std::fs::read_to_string(Path::new("/proc/sys/kernel/hostname")).unwrap_or_default();
        let host = host.trim();
        Self { host: if host.is_empty() { "localhost" } else { host }.to_owned(), ip: "127.0.0.1".to_owned() }
    }
}

/// An attachment is made while its call waits, and Cinder itself gives its driver a minute.
fn requests() -> CallLimits {
    let mut limits = CallLimits::default();
    limits.timeout_secs = 90;
    limits
}
