//! The block `storage`: where TiDB, every TiKV, and this server find the backups.

use std::fmt;
use std::path::{Path, PathBuf};

use backup_core::error::codes;
use backup_core::{Error, Result, Secret};
use backup_sources::br::{Encryption, Tuning};
use backup_stores::StoreConfig;
use backup_stores::fs::FsConfig;
use backup_stores::s3::S3Config;
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

/// Where the backups lie and how fast they are made.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct StorageConfig {
    /// What kind of place it is.
    #[serde(rename = "type")]
    pub kind: StorageType,
    /// A directory that every TiKV has under the same path, or `bucket/prefix`.
    pub path: String,
    /// How S3 is reached.
    #[serde(default)]
    pub s3: Option<S3Access>,
    /// MiB a second of each TiKV, for backups.
    #[serde(default, deserialize_with = "number")]
    pub rate_limit: Option<u64>,
    /// Threads of each TiKV, for backups.
    #[serde(default, deserialize_with = "number")]
    pub concurrency: Option<u64>,
    /// As `rate-limit`, for restores.
    #[serde(default, deserialize_with = "number")]
    pub restore_rate_limit: Option<u64>,
    /// As `concurrency`, for restores.
    #[serde(default, deserialize_with = "number")]
    pub restore_concurrency: Option<u64>,
    /// How backups are encrypted.
    #[serde(default)]
    pub encryption: Option<Encryption>,
}

/// What kind of place it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StorageType {
    /// A bucket.
    S3,
    /// A directory that every TiKV and this server have mounted.
    Nfs,
}

/// How S3 is reached, by TiDB as by this server.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct S3Access {
    /// The server, with its scheme.
    pub endpoint: String,
    /// The access key.
    pub access_key: Secret,
    /// Its secret.
    pub secret_key: Secret,
    /// The region; `us-east-1` when absent.
    #[serde(default)]
    pub region: Option<String>,
    /// Certificates of authorities to trust besides the system's, as PEM.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

impl StorageConfig {
    /// The store at that place.
    ///
    /// # Errors
    /// `input.invalid`.
    pub fn store(&self) -> Result<StoreConfig> {
        match (self.kind, &self.s3) {
            (StorageType::Nfs, None) => Ok(StoreConfig::Fs(FsConfig::new(self.directory()?))),
            (StorageType::Nfs, Some(_)) => Err(refused("storage: `s3` is given, and `type` is `nfs`")),
            (StorageType::S3, None) => Err(refused("storage: `s3` is missing, with `endpoint`, `access-key` and `secret-key`")),
            (StorageType::S3, Some(access)) => {
                for (name, value) in [
                    ("endpoint", access.endpoint.as_str()),
                    ("access-key", access.access_key.expose()),
                    ("secret-key", access.secret_key.expose()),
                ] {
                    if value.is_empty() {
                        return Err(refused(format!("storage: `s3.{name}` is empty")));
                    }
                }
                let path = self.path.trim_matches('/');
                let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
                if bucket.is_empty() {
                    return Err(refused("storage: `path` names no bucket; it reads `bucket/prefix`"));
                }
                let mut config = S3Config::new(bucket);
                config.prefix = prefix.trim_matches('/').to_owned();
                config.endpoint = Some(access.endpoint.clone());
                config.region = access.region.clone();
                config.path_style = Some(true);
                config.access_key_id = Some(access.access_key.clone());
                config.secret_access_key = Some(access.secret_key.clone());
                config.ca_file = access.ca_file.clone();
                Ok(StoreConfig::S3(config))
            }
        }
    }

    /// What `filePath` begins with.
    ///
    /// # Errors
    /// `input.invalid`.
    pub fn shown(&self) -> Result<String> {
        match self.kind {
            StorageType::S3 => Ok(self.path.trim_matches('/').to_owned()),
            StorageType::Nfs => Ok(self.directory()?.display().to_string()),
        }
    }

    fn directory(&self) -> Result<PathBuf> {
        if self.path.is_empty() {
            return Err(refused("storage: `path` is empty"));
        }
        let unusable = |error| refused(format!("storage: `path`: {} is no path", self.path)).with_source(error);
        std::path::absolute(Path::new(&self.path)).map_err(unusable)
    }

    /// How fast backups are made, and how fast restored.
    ///
    /// # Errors
    /// `input.invalid` for more threads than there can be.
    pub fn tuning(&self) -> Result<(Tuning, Tuning)> {
        let of = |rate_limit, concurrency: Option<u64>| {
            let many = |_| refused("storage: `concurrency` is more than any TiKV has threads");
            let mut tuning = Tuning::default();
            (tuning.rate_limit, tuning.concurrency) = (rate_limit, concurrency.map(u32::try_from).transpose().map_err(many)?);
            Ok(tuning)
        };
        Ok((of(self.rate_limit, self.concurrency)?, of(self.restore_rate_limit, self.restore_concurrency)?))
    }
}

/// A number, as such or as text; 0 and an empty text leave it to BR.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    struct Number;

    impl Visitor<'_> for Number {
        type Value = Option<u64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number, or an empty text for BR's own default")
        }

        fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
            Ok(Some(number).filter(|number| *number > 0))
        }

        fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
            u64::try_from(number)
                .map_err(|_| E::custom("a rate limit or a concurrency below zero"))
                .and_then(|number| self.visit_u64(number))
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
            match text.trim() {
                "" => Ok(None),
                text => text
                    .parse()
                    .map_err(|_| E::custom("a rate limit or a concurrency that is no number"))
                    .and_then(|number| self.visit_u64(number)),
            }
        }

        fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    }
    deserializer.deserialize_any(Number)
}

fn refused(what: impl Into<String>) -> Error {
    Error::new(&codes::INPUT_INVALID, what.into())
}
