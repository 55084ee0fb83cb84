//! What an earlier process left: ended in the cluster, then recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use backup_core::{JobContext, Result};

use super::lock::Lock;
use super::rebuild::REBUILT;
use crate::kept;
use crate::tidb::Inner;
use crate::tidb::record::{Record, Status};
use crate::tidb::workflow::Workflow;

/// How long the start waits for that; then it goes on beside the work of other clusters.
const PATIENCE: Duration = Duration::from_secs(120);

/// Clusters that are looked after at the same time.
pub(in crate::tidb) const AT_ONCE: usize = 16;

/// The pause after which an end that failed is tried again.
const PAUSE: Duration = Duration::from_secs(10);

/// How long a cluster may take to end one thing, and a store to list what it has.
pub(super) const END: Duration = Duration::from_secs(120);

const WHY: &str = "interrupted: the server ended while it ran";

impl Inner {
    /// To be called once, before the first request. Clusters that are not done yet stay locked.
    pub(in crate::tidb) async fn recover(self: &Arc<Self>) -> Result<()> {
        let mut rebuilt = BTreeSet::new();
        kept::each(&*self.state, REBUILT, None, |key, _: serde_json::Value| {
            rebuilt.extend(key.strip_prefix(REBUILT).map(str::to_owned));
        })
        .await?;
        let mut clusters: BTreeSet<String> = self.clusters.keys().filter(|id| !rebuilt.contains(*id)).cloned().collect();
        clusters.extend(self.records.open(None).await?.into_iter().map(|record| record.cluster));
        clusters.extend(self.open_workflows(None).await?.into_iter().map(|workflow| workflow.cluster));
        let mut locked = BTreeMap::new();
        for cluster in clusters {
            // One that another process works on is that one's.
            if let Some(lock) = self.try_lock(&cluster).await? {
                locked.insert(cluster, lock);
            }
        }
        if locked.is_empty() {
            return Ok(());
        }
        let each = locked.into_iter().map(|(cluster, lock)| {
            let this = Arc::clone(self);
            self.running.spawn(async move { this.take_up(&cluster, lock).await })
        });
        let mut work = futures::future::join_all(each);
        tokio::select! {
            _ = &mut work => {}
            () = self.environment.clock.sleep(PATIENCE) => {
                tracing::warn!("ending what an earlier process left takes long; it goes on beside the work of other clusters");
            }
        }
        Ok(())
    }

    /// Brings the records of a cluster in line with what is, and frees the cluster then.
    pub(super) async fn take_up(self: &Arc<Self>, cluster: &str, lock: Lock) {
        loop {
            let tried = tokio::select! {
                biased;
                () = self.stopping.cancelled() => break,
                tried = self.try_in_slot(cluster) => tried,
            };
            let Err(error) = tried else { break };
            self.live().not_ended.insert(cluster.to_owned(), error.code().name);
            tracing::warn!(cluster, %error, "what an earlier process left is not ended yet; the cluster stays locked, and it is tried again");
            tokio::select! {
                () = self.environment.clock.sleep(PAUSE) => {}
                () = self.stopping.cancelled() => break,
            }
        }
        self.live().not_ended.remove(cluster);
        drop(lock);
    }

    /// The pause after a failure is not in the slot: clusters that fail for long keep no others waiting.
    async fn try_in_slot(&self, cluster: &str) -> Result<()> {
        let _slot = self.slots.acquire().await;
        self.try_take_up(cluster).await
    }

    async fn try_take_up(&self, cluster: &str) -> Result<()> {
        for record in self.records.open(Some(cluster)).await? {
            if !self.is_live(record.id) {
                self.take_up_backup(record).await?;
            }
        }
        for workflow in self.open_workflows(Some(cluster)).await? {
            if !self.is_live(workflow.id) {
                self.take_up_restore(workflow).await?;
            }
        }
        let known = kept::get::<serde_json::Value>(&*self.state, &format!("{REBUILT}{cluster}")).await?.is_some();
        if !known && self.known(cluster).is_some() {
            self.rebuild(cluster).await?;
        }
        Ok(())
    }

    async fn take_up_backup(&self, mut record: Record) -> Result<()> {
        match self.published(&record).await? {
            Some(info) => record.finish(&info, info.published_at.unwrap_or_else(|| self.now())),
            None => {
                self.end_leftovers(&record.cluster, &record.cluster, &record.directory).await?;
                record.fail(WHY, self.now());
            }
        }
        tracing::warn!(cluster = record.cluster, backup = %record.id, status = record.status.as_str(), "was interrupted");
        self.records.update(&record).await
    }

    async fn take_up_restore(&self, mut workflow: Workflow) -> Result<()> {
        if workflow.status.is_over() {
            // Its end was kept, and that it is open was not taken back.
            return self.end_workflow(&workflow).await;
        }
        self.end_leftovers(&workflow.cluster, &workflow.source, &workflow.directory).await?;
        workflow.set(Status::Failed, Some(WHY.to_owned()), self.now());
        tracing::warn!(cluster = workflow.cluster, workflow = %workflow.id, "a restore was interrupted");
        self.end_workflow(&workflow).await
    }

    /// Ends in `cluster` what still works on a directory of `set`.
    async fn end_leftovers(&self, cluster: &str, set: &str, directory: &str) -> Result<()> {
        let Some(known) = self.known(cluster) else {
            tracing::warn!(cluster, directory, "the cluster is configured no more: what may still run there is not ended");
            return Ok(());
        };
        let Some(location) = self.repository.store().external_location(&Self::prefix(set, directory)?) else { return Ok(()) };
        let cx: JobContext = self.repository.context().with_limit(END);
        cx.run(known.end_leftovers(&cx, &location)).await
    }
}
