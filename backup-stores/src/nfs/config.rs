//! The configuration block `store: { nfs: … }`.

use std::fmt;

use backup_core::Result;
use serde::Deserialize;

use crate::config::StoreUrl;

/// Where a [`NfsStore`](super::NfsStore) lives.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct NfsConfig {
    /// The export.
    pub export: String,
}

impl NfsConfig {
    /// Reads a URL.
    pub(crate) fn from_url(url: StoreUrl) -> Result<Self> {
        let config = Self { export: url.host().to_owned() };
        url.finish()?;
        Ok(config)
    }
}

impl fmt::Display for NfsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nfs://{}", self.export)
    }
}
