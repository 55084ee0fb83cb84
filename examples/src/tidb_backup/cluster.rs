//! A cluster of the configuration, as the dialect sees it.

use std::sync::Arc;

use backup_core::store::ExternalLocation;
use backup_core::{Error, JobContext, Result, Source, async_trait};
use backup_http::tidb::Cluster;
use backup_sources::br::{BrSource, Tso, codes};

/// A cluster that BR works on.
#[derive(Debug)]
pub struct BrCluster {
    id: String,
    name: String,
    source: BrSource,
}

impl BrCluster {
    pub(super) fn new(id: String, name: String, source: BrSource) -> Self {
        Self { id, name, source }
    }
}

#[async_trait]
impl Cluster for BrCluster {
    fn id(&self) -> &str {
        &self.id
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn full(&self) -> Arc<dyn Source> {
        Arc::new(self.source.clone())
    }

    fn incremental(&self, since: u64) -> Arc<dyn Source> {
        Arc::new(self.source.incremental(Tso(since)))
    }

    async fn gc_safe_point(&self, cx: &JobContext) -> Result<Option<u64>> {
        Ok(self.source.gc_safe_point(cx).await?.map(|tso| tso.0))
    }

    fn gc_passed(&self, error: &Error) -> bool {
        *error.code() == codes::GC_PASSED
    }

    async fn end_leftovers(&self, cx: &JobContext, location: &ExternalLocation) -> Result<()> {
        let ended = self.source.end_leftovers(cx, location).await?;
        if ended > 0 {
            tracing::warn!(cluster = self.id, ended, location = location.url, "tasks that an earlier process left were ended");
        }
        Ok(())
    }
}
