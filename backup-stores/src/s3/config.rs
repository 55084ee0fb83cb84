//! The configuration block `store: { s3: … }`.

use std::fmt;

use backup_core::Result;
use serde::Deserialize;

use crate::config::StoreUrl;

/// Where a [`S3Store`](super::S3Store) lives.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct S3Config {
    /// The bucket.
    pub bucket: String,
}

impl S3Config {
    /// Reads a URL.
    pub(crate) fn from_url(url: StoreUrl) -> Result<Self> {
        let config = Self { bucket: url.host().to_owned() };
        url.finish()?;
        Ok(config)
    }
}

impl fmt::Display for S3Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)
    }
}
