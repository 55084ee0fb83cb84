//! The right to work on a cluster.

use std::sync::Arc;

use backup_core::Result;
use backup_core::lease::Lease;
use tokio_util::sync::CancellationToken;

use crate::tidb::Inner;
use crate::tidb::errors::{Failure, MAINTENANCE, UNRECOGNIZED};

/// The lease of a cluster, given back when dropped, by whichever end the work comes to.
#[derive(Debug)]
pub(super) struct Lock(#[allow(dead_code, reason = "held")] Box<dyn Lease>);

/// The end of some work on a cluster, from before it can be seen until the cluster is free.
pub(super) struct Ending<'a> {
    inner: &'a Inner,
    cluster: String,
    ended: CancellationToken,
    lock: Option<Lock>,
}

impl Ending<'_> {
    /// It has not ended after all; whoever waits is told that the cluster is locked.
    pub(super) fn take_back(mut self) -> Option<Lock> {
        self.lock.take()
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        drop(self.lock.take());
        self.inner.live().ending.remove(&self.cluster);
        self.ended.cancel();
    }
}

impl Inner {
    /// From now on whoever asks for the cluster waits until the answer is dropped.
    pub(super) fn ending(&self, cluster: &str, lock: Lock) -> Ending<'_> {
        let ended = CancellationToken::new();
        self.live().ending.insert(cluster.to_owned(), ended.clone());
        Ending { inner: self, cluster: cluster.to_owned(), ended, lock: Some(lock) }
    }

    /// The lease of a cluster; `None` while somebody works on it, here or in another process.
    pub(super) async fn try_lock(&self, cluster: &str) -> Result<Option<Lock>> {
        Ok(self.state.lease(&format!("tidb/cluster/{cluster}")).await?.map(Lock))
    }

    /// # Errors
    /// 20114 while somebody works on the cluster.
    pub(super) async fn lock(self: &Arc<Self>, cluster: &str) -> Result<Lock, Failure> {
        let busy = |why: &str| MAINTENANCE.because(format!("the cluster {cluster} is in maintenance: {why}"));
        let lock = loop {
            if let Some(lock) = self.try_lock(cluster).await.map_err(|error| UNRECOGNIZED.caused(&error))? {
                break lock;
            }
            // Whoever saw that a backup has ended finds its cluster free.
            let ending = self.live().ending.get(cluster).cloned();
            match ending {
                Some(ended) => ended.cancelled().await,
                None => return Err(busy(&self.why_locked(cluster))),
            }
        };
        // Left by a process that is gone, and not by this one, which takes them up when it starts.
        if self.has_left(cluster).await.map_err(|error| UNRECOGNIZED.caused(&error))? {
            let this = Arc::clone(self);
            let cluster = cluster.to_owned();
            self.running.spawn(async move { this.take_up(&cluster, lock).await });
            return Err(busy("what another process left is being ended"));
        }
        Ok(lock)
    }

    /// Why the lease of a cluster is not to be had.
    fn why_locked(&self, cluster: &str) -> String {
        match self.live().not_ended.get(cluster) {
            Some(code) => format!("what another process left could not be ended yet ({code}); it is tried again"),
            None => "a backup, a restore or a deletion is under way".to_owned(),
        }
    }

    /// Whether something is shown as running on a cluster that nobody has locked.
    async fn has_left(&self, cluster: &str) -> Result<bool> {
        Ok(!self.records.open(Some(cluster)).await?.is_empty() || !self.open_workflows(Some(cluster)).await?.is_empty())
    }
}
