//! The configuration block `store: { swift: … }`.

use std::fmt;

use backup_core::Result;
use serde::Deserialize;

use crate::config::StoreUrl;

/// Where a [`SwiftStore`](super::SwiftStore) lives.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct SwiftConfig {
    /// The container.
    pub container: String,
}

impl SwiftConfig {
    /// Reads a URL.
    pub(crate) fn from_url(url: StoreUrl) -> Result<Self> {
        let config = Self { container: url.host().to_owned() };
        url.finish()?;
        Ok(config)
    }
}

impl fmt::Display for SwiftConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "swift://{}", self.container)
    }
}
