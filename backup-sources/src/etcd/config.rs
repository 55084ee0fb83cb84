//! The configuration of an etcd source.

use std::path::PathBuf;
use std::time::Duration;

use backup_core::error::codes;
use backup_core::{ArtifactName, Error, Result};
use serde::Deserialize;

use crate::duration;
use backup_core::Secret;

/// Which etcd and how to reach it. Keys are kebab-case; an unknown one is refused. An empty text counts as unset.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct EtcdConfig {
    /// The client URLs of the members, default `http://127.0.0.1:2379`.
    pub endpoints: Vec<String>,
    /// Accepted for compatibility; a snapshot always holds the whole key space.
    pub prefix: String,
    /// For connecting to a member and for each short call, default 2 s. A Go duration.
    #[serde(deserialize_with = "duration::deserialize")]
    pub timeout: Duration,
    /// For each message of the snapshot stream, default 30 s. A Go duration.
    #[serde(deserialize_with = "duration::deserialize")]
    pub stall_timeout: Duration,
    /// User with the role `root`, when authentication is enabled.
    pub username: String,
    /// The user's password.
    pub password: Secret,
    /// The certificates of the authority that signed the members' certificates, PEM file. Wins over `tls-ca`.
    pub tls_ca_file: PathBuf,
    /// The same as text.
    pub tls_ca: String,
    /// Our certificate, PEM file; with `tls-key-file`. The pair of files wins over the pair of texts.
    pub tls_cert_file: PathBuf,
    /// Our private key, PEM file.
    pub tls_key_file: PathBuf,
    /// Our certificate as text; with `tls-key`.
    pub tls_cert: String,
    /// Our private key as text.
    pub tls_key: Secret,
    /// How the snapshot is wrapped.
    pub packaging: Packaging,
    /// The name without its extension of the artifact and of the member inside a tar, default `snapshot`.
    pub name: String,
    /// The program for restoring into a data directory; `etcdutl`, then `etcdctl` in `PATH` when unset.
    pub etcdutl: PathBuf,
    /// Whether [`inspect`](backup_core::Source::inspect) may copy the snapshot to the temporary directory and run
    /// `etcdutl snapshot status` on it.
    pub inspect_with_tool: bool,
}

/// How the snapshot is wrapped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Packaging {
    /// `<name>.db`, byte for byte what `etcdctl snapshot save` writes.
    #[default]
    Raw,
    /// `<name>.tar` with the one member `<name>.db`. An engine that compresses with gzip stores it as `<name>.tar.gz`.
    Tar,
}

impl Default for EtcdConfig {
    fn default() -> Self {
        Self {
            endpoints: vec!["http://127.0.0.1:2379".to_owned()],
            prefix: String::new(),
            timeout: Duration::from_secs(2),
            stall_timeout: Duration::from_secs(30),
            username: String::new(),
            password: Secret::default(),
            tls_ca_file: PathBuf::new(),
            tls_ca: String::new(),
            tls_cert_file: PathBuf::new(),
            tls_key_file: PathBuf::new(),
            tls_cert: String::new(),
            tls_key: Secret::default(),
            packaging: Packaging::Raw,
            name: "snapshot".to_owned(),
            etcdutl: PathBuf::new(),
            inspect_with_tool: false,
        }
    }
}

impl EtcdConfig {
    /// The members at these client URLs, everything else at its default.
    pub fn new(endpoints: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { endpoints: endpoints.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Refuses what cannot work and gives each endpoint its scheme.
    pub(super) fn check(mut self) -> Result<Self> {
        if self.endpoints.is_empty() {
            return Err(refused("endpoints is empty"));
        }
        for (key, limit) in [("timeout", self.timeout), ("stall-timeout", self.stall_timeout)] {
            if limit.is_zero() {
                return Err(refused(format!("{key} is zero")));
            }
        }
        if self.username.is_empty() != self.password.is_empty() {
            return Err(refused("username and password go together; one is missing"));
        }
        let halves = [
            ("tls-cert-file and tls-key-file", set(&self.tls_cert_file), set(&self.tls_key_file)),
            ("tls-cert and tls-key", !self.tls_cert.is_empty(), !self.tls_key.is_empty()),
        ];
        if let Some((pair, ..)) = halves.iter().find(|(_, cert, key)| cert != key) {
            return Err(refused(format!("{pair} go together; one is missing")));
        }
        let legal = self.name.len() <= 90 && !self.name.contains('/');
        if !legal || ArtifactName::new(self.name.as_str()).is_err() {
            return Err(refused("name must be a plain file name of at most 90 bytes"));
        }
        let secure = self.has_tls();
        self.endpoints = self.endpoints.iter().map(|endpoint| with_scheme(endpoint, secure)).collect::<Result<_>>()?;
        Ok(self)
    }

    /// Whether any of the keys for TLS is set.
    pub(super) fn has_tls(&self) -> bool {
        let texts = [self.tls_ca.is_empty(), self.tls_cert.is_empty()];
        set(&self.tls_ca_file) || set(&self.tls_cert_file) || texts.contains(&false)
    }

    /// The name of the artifact that the packaging gives.
    pub(super) fn artifact(&self) -> Result<ArtifactName> {
        let extension = match self.packaging {
            Packaging::Raw => "db",
            Packaging::Tar => "tar",
        };
        ArtifactName::new(format!("{}.{extension}", self.name))
    }
}

/// A path counts as unset when it is empty.
pub(super) fn set(path: &std::path::Path) -> bool {
    !path.as_os_str().is_empty()
}

/// `host:port` is taken as etcdctl takes it. The text is not quoted in errors when it may hold a password.
fn with_scheme(endpoint: &str, secure: bool) -> Result<String> {
    let (scheme, rest) = match endpoint.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => (scheme, rest),
        Some((scheme, _)) => {
            return Err(refused(format!("an endpoint starts with {scheme}://; only http and https are supported")));
        }
        None => (if secure { "https" } else { "http" }, endpoint),
    };
    let authority = rest.trim_end_matches('/');
    if authority.contains('@') {
        return Err(refused("an endpoint holds a user; use the keys username and password"));
    }
    if authority.is_empty() || authority.contains(['/', '?', '#', ' ', ',']) {
        return Err(refused(format!("{endpoint:?} is no endpoint; one reads like https://10.0.0.1:2379")));
    }
    Ok(format!("{scheme}://{authority}"))
}

fn refused(what: impl std::fmt::Display) -> Error {
    Error::new(&codes::INPUT_INVALID, format!("etcd source: {what}"))
}
