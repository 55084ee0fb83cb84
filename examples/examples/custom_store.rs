//! A store of your own: objects in a map, so durable for as long as this process lives.
//!
//! `cargo run -p backup-examples --example custom_store`; its tests run the conformance suite of stores over it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use backup_core::error::{Error, codes};
use backup_core::store::{
    Capabilities, DeleteReport, ListOptions, ObjectRead, PutOptions, ReadOptions, SweepOptions, SweepReport, WriteOptions,
};
use backup_core::{
    BackupRequest, Bytes, JobContext, KeyPrefix, ObjectKey, ObjectMeta, ObjectWriter, Repository, Result, SetName, Store,
    StoreExt, async_trait,
};
use backup_sources::script::{ScriptConfig, ScriptSource};
use futures::stream::{self, BoxStream, StreamExt};

#[derive(Debug, Clone, Default)]
struct MapStore(Arc<Mutex<BTreeMap<ObjectKey, Bytes>>>);

impl MapStore {
    fn objects(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, key: &ObjectKey) -> Result<Bytes> {
        let found = self.objects().get(key).cloned();
        found.ok_or_else(|| Error::new(&codes::STORE_NOT_FOUND, format!("there is no {key}")))
    }

    /// One step under the lock: of two that race for a key, one wins.
    fn create(&self, key: &ObjectKey, body: Bytes, if_absent: bool) -> Result<ObjectMeta> {
        let mut objects = self.objects();
        if if_absent && objects.contains_key(key) {
            return Err(Error::new(&codes::STORE_EXISTS, format!("{key} is taken")));
        }
        let meta = ObjectMeta::new(key.clone(), body.len() as u64);
        objects.insert(key.clone(), body);
        Ok(meta)
    }
}

#[async_trait]
impl Store for MapStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default().conditional_create(true)
    }

    async fn put(&self, cx: &JobContext, key: &ObjectKey, body: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        cx.check()?;
        self.create(key, body, options.if_absent)
    }

    async fn writer(&self, cx: &JobContext, key: &ObjectKey, options: WriteOptions) -> Result<Box<dyn ObjectWriter>> {
        cx.check()?;
        Ok(Box::new(MapWriter { store: self.clone(), cx: cx.clone(), key: key.clone(), options, body: Some(Vec::new()) }))
    }

    async fn read(&self, cx: &JobContext, key: &ObjectKey, options: ReadOptions) -> Result<ObjectRead> {
        cx.check()?;
        let body = self.find(key)?;
        let (meta, end) = (ObjectMeta::new(key.clone(), body.len() as u64), body.len());
        let range = options.range.map_or(0..end, |range| range.start as usize..end.min(range.end as usize));
        if range.start > range.end {
            return Err(Error::new(&codes::INPUT_INVALID, format!("{key} ends before byte {}", range.start)));
        }
        Ok(ObjectRead { meta, body: stream::iter([Ok(body.slice(range))]).boxed() })
    }

    async fn head(&self, cx: &JobContext, key: &ObjectKey) -> Result<ObjectMeta> {
        cx.check()?;
        Ok(ObjectMeta::new(key.clone(), self.find(key)?.len() as u64))
    }

    fn list(&self, cx: &JobContext, prefix: &KeyPrefix, options: ListOptions) -> BoxStream<'static, Result<ObjectMeta>> {
        let wanted =
            |key: &ObjectKey| key.strip_prefix(prefix).is_some() && options.start_after.as_ref().is_none_or(|after| key > after);
        let list = |_| {
            let objects = self.objects();
            objects
                .iter()
                .filter(|(key, _)| wanted(key))
                .map(|(key, body)| Ok(ObjectMeta::new(key.clone(), body.len() as u64)))
                .collect()
        };
        stream::iter(cx.check().map_or_else(|error| vec![Err(error)], list)).boxed()
    }

    async fn delete(&self, cx: &JobContext, keys: &[ObjectKey]) -> Result<DeleteReport> {
        cx.check()?;
        let (deleted, missing) = keys.iter().cloned().partition(|key| self.objects().remove(key).is_some());
        Ok(DeleteReport { deleted, missing, failed: Vec::new() })
    }

    /// A dropped writer takes what it held with it: there is nothing to sweep.
    async fn sweep(&self, _cx: &JobContext, _options: SweepOptions) -> Result<SweepReport> {
        Ok(SweepReport::default())
    }
}

/// Holds the bytes until they become an object; `None` after an error.
#[derive(Debug)]
struct MapWriter {
    store: MapStore,
    cx: JobContext,
    key: ObjectKey,
    options: WriteOptions,
    body: Option<Vec<u8>>,
}

impl MapWriter {
    fn take(&mut self) -> Result<Vec<u8>> {
        let body = self.body.take();
        self.cx.check()?;
        body.ok_or_else(|| Error::new(&codes::STORE_WRITER_FAILED, format!("a write to {} failed before", self.key)))
    }
}

#[async_trait]
impl ObjectWriter for MapWriter {
    async fn write(&mut self, data: Bytes) -> Result<()> {
        let mut body = self.take()?;
        body.extend_from_slice(&data);
        self.body = Some(body);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<ObjectMeta> {
        let body = self.take()?;
        self.store.create(&self.key, body.into(), self.options.if_absent)
    }

    async fn abort(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let repository = Repository::builder(Arc::new(MapStore::default())).build();
    let source = ScriptSource::new(ScriptConfig::new(["date"]))?;
    let cx = repository.context();
    repository.backup(&cx, &source, &BackupRequest::new(SetName::new("clock/now")?)).await?;
    for object in repository.store().list_all(&cx, &KeyPrefix::root()).await? {
        println!("{:>5} bytes  {}", object.size, object.key);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use backup_core::testkit::store_suite::{self, StoreFactory};

    use super::*;

    struct Factory;

    #[async_trait]
    impl StoreFactory for Factory {
        async fn fresh(&self) -> Arc<dyn Store> {
            Arc::new(MapStore::default())
        }
    }

    #[tokio::test]
    async fn it_keeps_every_promise_of_a_store() {
        store_suite::run(&Factory).await;
    }
}
