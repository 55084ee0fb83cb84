//! The configuration block `store: { s3: … }`.

use std::fmt;
use std::path::PathBuf;

use backup_core::{Error, Result, Secret};
use backup_remote::CallLimits;
use percent_encoding::utf8_percent_encode;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::codes;
use super::names::QUERY;
use crate::config::StoreUrl;

/// Where a [`S3Store`](super::S3Store) lives.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct S3Config {
    /// The server, with its scheme: `https://s3.example.org`. Without one it is Amazon's in `region`.
    #[serde(default, deserialize_with = "server")]
    pub endpoint: Option<String>,
    /// The bucket. It must exist.
    pub bucket: String,
    /// What all keys begin with; a slash follows it.
    #[serde(default)]
    pub prefix: String,
    /// The region that requests are signed for; `us-east-1` when absent, which is what most servers besides Amazon's want.
    #[serde(default)]
    pub region: Option<String>,
    /// Whether the bucket stands in the path and not in the host's name. Yes when absent and there is an `endpoint`.
    #[serde(default)]
    pub path_style: Option<bool>,
    /// Where the credentials come from; `static` when absent.
    #[serde(default)]
    pub credentials: CredentialSource,
    /// The access key of static credentials.
    #[serde(default)]
    pub access_key_id: Option<Secret>,
    /// The secret of static credentials.
    #[serde(default)]
    pub secret_access_key: Option<Secret>,
    /// The session token of static credentials that are temporary.
    #[serde(default)]
    pub session_token: Option<Secret>,
    /// The profile in Amazon's files, for `credentials: profile`.
    #[serde(default)]
    pub profile: Option<String>,
    /// A role to take on with those credentials.
    #[serde(default)]
    pub assume_role: Option<AssumeRole>,
    /// Certificates of authorities to trust besides the system's, as PEM.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// How the server shall encrypt objects.
    #[serde(default)]
    pub server_side_encryption: Option<ServerSideEncryption>,
    /// The storage class of objects.
    #[serde(default)]
    pub storage_class: Option<String>,
    /// The mode of object lock; without one nothing is locked.
    #[serde(default)]
    pub object_lock: Option<LockMode>,
    /// The size of the biggest object, in bytes. All parts of all objects are then of one size, as some servers want them.
    #[serde(default)]
    pub max_object_size: Option<u64>,
    /// For experts: the bytes of a part. S3 itself wants 5 MiB at least. A writer holds three parts.
    #[serde(default)]
    pub part_size: Option<u64>,
    /// How requests are limited.
    #[serde(default)]
    pub requests: CallLimits,
}

/// Where credentials come from. Nothing is taken from the surroundings that is not asked for here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CredentialSource {
    /// From this configuration.
    #[default]
    Static,
    /// From `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`.
    Environment,
    /// From `~/.aws/credentials` and `~/.aws/config`, or the files that `AWS_SHARED_CREDENTIALS_FILE` and `AWS_CONFIG_FILE` name.
    Profile,
    /// From the container's or the machine's own metadata service, or its web identity.
    Instance,
}

/// A role of the security token service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct AssumeRole {
    /// The role.
    pub role_arn: String,
    /// What the role's owner gave us to name ourselves by.
    #[serde(default)]
    pub external_id: Option<Secret>,
    /// The session's name in the audit log; `backup` when absent.
    #[serde(default)]
    pub session_name: Option<String>,
    /// The token service, with its scheme; Amazon's in `region` when absent.
    #[serde(default, deserialize_with = "server")]
    pub endpoint: Option<String>,
}

/// How the server encrypts objects.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum ServerSideEncryption {
    /// With keys of S3 (SSE-S3).
    S3,
    /// With a key of the key management service (SSE-KMS).
    Kms {
        /// The key; the bucket's own when absent.
        #[serde(default, rename = "key-id")]
        key_id: Option<String>,
    },
}

/// Who may shorten or remove an object lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LockMode {
    /// Those with a permission for it.
    Governance,
    /// Nobody.
    Compliance,
}

impl LockMode {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Governance => "GOVERNANCE",
            Self::Compliance => "COMPLIANCE",
        }
    }
}

impl S3Config {
    /// A bucket, with everything else absent.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            endpoint: None,
            bucket: bucket.into(),
            prefix: String::new(),
            region: None,
            path_style: None,
            credentials: CredentialSource::Static,
            access_key_id: None,
            secret_access_key: None,
            session_token: None,
            profile: None,
            assume_role: None,
            ca_file: None,
            server_side_encryption: None,
            storage_class: None,
            object_lock: None,
            max_object_size: None,
            part_size: None,
            requests: CallLimits::default(),
        }
    }

    /// Reads `s3://bucket/prefix?endpoint=…&region=…&path-style=…`. It holds no credentials: they, and the region and the endpoint where it
    /// names none, come from the environment, or from the profile that it names.
    pub(crate) fn from_url(mut url: StoreUrl) -> Result<Self> {
        let mut config = Self::new(url.host());
        if url.port().is_some() {
            return Err(refused("an S3 URL has the bucket behind s3://, not a server; the server is the parameter `endpoint`"));
        }
        config.prefix = url.path().trim_matches('/').to_owned();
        config.endpoint = url.take("endpoint").or_else(|| variable(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]));
        if config.endpoint.as_deref().is_some_and(|endpoint| endpoint.contains('@')) {
            return Err(refused("`endpoint` is the URL of a server alone, without user and password"));
        }
        config.region = url.take("region").or_else(|| variable(&["AWS_REGION", "AWS_DEFAULT_REGION"]));
        config.path_style = url.take_as("path-style")?;
        config.profile = url.take("profile");
        config.ca_file = url.take("ca-file").map(PathBuf::from);
        config.credentials = match config.profile {
            Some(_) => CredentialSource::Profile,
            None => CredentialSource::Environment,
        };
        url.finish()?;
        Ok(config)
    }
}

/// A server's URL, which is shown in messages: it holds no credentials.
fn server<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let url = Option::<String>::deserialize(deserializer)?;
    match &url {
        Some(text) if text.contains(['@', '?', '#']) => {
            Err(D::Error::custom("`endpoint` is the URL of a server alone, without user, password or parameters"))
        }
        _ => Ok(url),
    }
}

/// The first of these variables that is set and not empty.
fn variable(names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

pub(super) fn refused(what: impl Into<String>) -> Error {
    Error::new(&codes::S3_CONFIG, what.into())
}

impl fmt::Display for S3Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        if !self.prefix.is_empty() {
            write!(f, "/{}", self.prefix.trim_matches('/'))?;
        }
        let path_style = self.path_style.map(|yes| yes.to_string());
        // Set by a program, it may hold what it should not.
        let endpoint = self.endpoint.as_ref().map(|endpoint| endpoint.rsplit('@').next().unwrap_or_default().to_owned());
        let parameters = [("endpoint", &endpoint), ("region", &self.region), ("path-style", &path_style)];
        let mut sign = '?';
        for (name, value) in parameters {
            if let Some(value) = value {
                write!(f, "{sign}{name}={}", utf8_percent_encode(value, QUERY))?;
                sign = '&';
            }
        }
        Ok(())
    }
}
