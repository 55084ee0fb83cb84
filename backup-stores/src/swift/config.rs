//! The configuration block `store: { swift: … }`.

use std::fmt;
use std::path::PathBuf;

use backup_core::error::codes;
use backup_core::{Error, KeyPrefix, Result, Secret};
use backup_remote::CallLimits;
use backup_remote::keystone::{Interface, KeystoneConfig};
use serde::Deserialize;

use crate::config::StoreUrl;

/// Where a [`SwiftStore`](super::SwiftStore) lives, and who we are there.
// It repeats the fields of `KeystoneConfig`, whose keys stand beside its own: serde cannot flatten one into the other and still refuse
// keys that neither has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct SwiftConfig {
    /// Keystone's address; `/v3` is added when it is missing.
    pub auth_url: String,
    /// The user's name.
    #[serde(default)]
    pub username: Option<String>,
    /// The user's password.
    #[serde(default)]
    pub password: Option<Secret>,
    /// The name of the user's domain; `Default` when neither it nor its id is given.
    #[serde(default)]
    pub user_domain: Option<String>,
    /// The id of the user's domain.
    #[serde(default)]
    pub user_domain_id: Option<String>,
    /// The name of the project whose account it is.
    #[serde(default)]
    pub project: Option<String>,
    /// Its id, which needs no domain.
    #[serde(default)]
    pub project_id: Option<String>,
    /// The name of the project's domain; `Default` when neither it nor its id is given.
    #[serde(default)]
    pub project_domain: Option<String>,
    /// The id of the project's domain.
    #[serde(default)]
    pub project_domain_id: Option<String>,
    /// An application credential, instead of user and project.
    #[serde(default)]
    pub application_credential_id: Option<String>,
    /// Its secret.
    #[serde(default)]
    pub application_credential_secret: Option<Secret>,
    /// The region; may be left out where the catalogue has only one.
    #[serde(default)]
    pub region: Option<String>,
    /// See [`KeystoneConfig::first_region`]. No key of a configuration.
    #[serde(skip)]
    pub first_region: bool,
    /// Which of Swift's addresses is used.
    #[serde(default)]
    pub interface: Interface,
    /// Certificates of authorities to trust besides the system's, as PEM.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The container. Made when it is missing. Segments of big objects lie in a second one, `<container>_segments`.
    pub container: String,
    /// What all names in it start with: whole segments, as `backups/prod`. Empty by default.
    #[serde(default)]
    pub prefix: String,
    /// For experts: the bytes of a segment, 14 MiB by default. A writer holds three. Below 1 MiB Swift reads such objects slowly on purpose: one
    /// segment a second.
    #[serde(default)]
    pub segment_size: Option<u64>,
    /// How calls are limited.
    #[serde(default)]
    pub requests: CallLimits,
}

impl SwiftConfig {
    /// The container `container` of the account that `keystone` leads to.
    pub fn new(keystone: KeystoneConfig, container: impl Into<String>) -> Self {
        Self {
            auth_url: keystone.auth_url,
            username: keystone.username,
            password: keystone.password,
            user_domain: keystone.user_domain,
            user_domain_id: keystone.user_domain_id,
            project: keystone.project,
            project_id: keystone.project_id,
            project_domain: keystone.project_domain,
            project_domain_id: keystone.project_domain_id,
            application_credential_id: keystone.application_credential_id,
            application_credential_secret: keystone.application_credential_secret,
            region: keystone.region,
            first_region: keystone.first_region,
            interface: keystone.interface,
            ca_file: keystone.ca_file,
            container: container.into(),
            ..Self::default()
        }
    }

    /// Sets [`SwiftConfig::prefix`].
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets [`SwiftConfig::segment_size`].
    #[must_use]
    pub fn segment_size(mut self, bytes: Option<u64>) -> Self {
        self.segment_size = bytes;
        self
    }

    /// Sets [`SwiftConfig::requests`].
    #[must_use]
    pub fn requests(mut self, limits: CallLimits) -> Self {
        self.requests = limits;
        self
    }

    /// Who we are.
    pub(super) fn keystone(&self) -> KeystoneConfig {
        let mut keystone = KeystoneConfig::default();
        keystone.auth_url.clone_from(&self.auth_url);
        keystone.username.clone_from(&self.username);
        keystone.password.clone_from(&self.password);
        keystone.user_domain.clone_from(&self.user_domain);
        keystone.user_domain_id.clone_from(&self.user_domain_id);
        keystone.project.clone_from(&self.project);
        keystone.project_id.clone_from(&self.project_id);
        keystone.project_domain.clone_from(&self.project_domain);
        keystone.project_domain_id.clone_from(&self.project_domain_id);
        keystone.application_credential_id.clone_from(&self.application_credential_id);
        keystone.application_credential_secret.clone_from(&self.application_credential_secret);
        keystone.region.clone_from(&self.region);
        keystone.first_region = self.first_region;
        keystone.interface = self.interface;
        keystone.ca_file.clone_from(&self.ca_file);
        keystone
    }

    /// The prefix with its final slash, or nothing.
    ///
    /// # Errors
    /// `input.invalid` for a container or prefix that cannot be.
    pub(super) fn place(&self) -> Result<KeyPrefix> {
        let longest = 256 - super::place::SEGMENTS.len();
        if self.container.is_empty() || self.container.contains('/') || self.container.len() > longest {
            let text = format!("`container` has 1 to {longest} bytes and no slash, and {:?} has not", self.container);
            return Err(Error::new(&codes::INPUT_INVALID, text));
        }
        if self.segment_size == Some(0) {
            return Err(Error::new(&codes::INPUT_INVALID, "`segment-size` is at least 1"));
        }
        KeyPrefix::new(self.prefix.trim_matches('/'))
    }

    /// Reads a URL, `swift://container/prefix`; the credentials come from the environment.
    pub(crate) fn from_url(url: StoreUrl) -> Result<Self> {
        Self::from_url_in(url, |name| std::env::var(name).ok())
    }

    pub(super) fn from_url_in(mut url: StoreUrl, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut config = Self::new(KeystoneConfig::from_environment(variable)?, url.host()).prefix(url.path().trim_matches('/'));
        if url.port().is_some() {
            return Err(Error::new(&codes::INPUT_INVALID, "a Swift URL is swift://container/prefix: a container has no port"));
        }
        if let Some(region) = url.take("region") {
            config.region = Some(region);
        }
        if let Some(auth_url) = url.take("auth-url") {
            config.auth_url = auth_url;
        }
        config.segment_size = url.take_as("segment-size")?;
        url.finish()?;
        config.place()?;
        Ok(config)
    }
}

impl fmt::Display for SwiftConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "swift://{}/{}", self.container, self.prefix.trim_matches('/'))
    }
}
