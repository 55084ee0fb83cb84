//! Types of volumes.

use std::collections::BTreeMap;

use backup_core::{JobContext, Result};
use serde::Deserialize;

use super::Cinder;
use super::page::Listed;
use super::volumes::or_default;

/// A type of volumes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct VolumeType {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it asks of backends; empty for who is no admin.
    #[serde(deserialize_with = "or_default")]
    pub extra_specs: BTreeMap<String, String>,
}

impl Listed for VolumeType {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Cinder {
    /// The types of volumes that may be used.
    ///
    /// # Errors
    /// As every call.
    pub async fn volume_types(&self, cx: &JobContext) -> Result<Vec<VolumeType>> {
        self.list(cx, "ListTypes", "/types", "volume_types", &[]).await
    }
}
