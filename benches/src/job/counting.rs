//! A store that counts what is read from another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use backup_core::store::{
    Capabilities, DeleteReport, ListOptions, ObjectRead, PutOptions, ReadOptions, SweepOptions, SweepReport, WriteOptions,
};
use backup_core::{Bytes, JobContext, KeyPrefix, ObjectKey, ObjectMeta, ObjectWriter, Result, Store, async_trait};
use futures::stream::BoxStream;

/// Hands everything on, and counts the objects that are read.
#[derive(Debug)]
pub(super) struct Counting<S> {
    pub(super) store: S,
    pub(super) reads: Arc<AtomicU64>,
}

#[async_trait]
impl<S: Store> Store for Counting<S> {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn put(&self, cx: &JobContext, key: &ObjectKey, body: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        self.store.put(cx, key, body, options).await
    }

    async fn writer(&self, cx: &JobContext, key: &ObjectKey, options: WriteOptions) -> Result<Box<dyn ObjectWriter>> {
        self.store.writer(cx, key, options).await
    }

    async fn read(&self, cx: &JobContext, key: &ObjectKey, options: ReadOptions) -> Result<ObjectRead> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.store.read(cx, key, options).await
    }

    async fn head(&self, cx: &JobContext, key: &ObjectKey) -> Result<ObjectMeta> {
        self.store.head(cx, key).await
    }

    fn list(&self, cx: &JobContext, prefix: &KeyPrefix, options: ListOptions) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(cx, prefix, options)
    }

    async fn delete(&self, cx: &JobContext, keys: &[ObjectKey]) -> Result<DeleteReport> {
        self.store.delete(cx, keys).await
    }

    async fn sweep(&self, cx: &JobContext, options: SweepOptions) -> Result<SweepReport> {
        self.store.sweep(cx, options).await
    }
}
