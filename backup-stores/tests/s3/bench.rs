//! What every test works with.

use std::sync::{Arc, Mutex};

use backup_core::digest::Digest;
use backup_core::event::{Event, Observer};
use backup_core::store::{Store, StoreExt, WriteOptions};
use backup_core::testkit::SeededRandom;
use backup_core::{Bytes, Environment, JobContext, ObjectKey, ObjectMeta, Result};
use backup_remote::testkit::FaultyProxy;
use backup_stores::{OpenOptions, StoreConfig};
use serde_json::{Value, json};

use crate::ministack::Ministack;

/// A bucket of the server that the tests share, and a proxy before it.
pub(crate) struct Bench {
    pub(crate) server: &'static Ministack,
    pub(crate) bucket: String,
    pub(crate) proxy: FaultyProxy,
    pub(crate) cx: JobContext,
    events: Arc<Warnings>,
}

/// The warnings of a job.
#[derive(Default)]
pub(crate) struct Warnings(Mutex<Vec<String>>);

impl Observer for Warnings {
    fn event(&self, _: &JobContext, event: &Event) {
        if let Event::Warning(text) = event {
            self.0.lock().unwrap().push(text.clone());
        }
    }
}

impl Bench {
    pub(crate) async fn new() -> Option<Self> {
        Self::with_lock(false).await
    }

    pub(crate) async fn with_lock(lock: bool) -> Option<Self> {
        let server = Ministack::shared()?;
        let proxy = FaultyProxy::http(&server.endpoint).await;
        let events = Arc::new(Warnings::default());
        let cx = JobContext::new(Environment::default(), events.clone());
        Some(Self { server, bucket: server.bucket(lock), proxy, cx, events })
    }

    /// The block `s3:` through the proxy, with quick repetitions.
    pub(crate) fn block(&self) -> Value {
        let mut block = self.server.block(&self.bucket, "p");
        block["endpoint"] = json!(self.proxy.url());
        block["requests"] = json!({ "attempts": 4, "timeout-in-second": 20, "stall-timeout-in-second": 20 });
        block
    }

    /// The store, with what `change` makes of its block.
    pub(crate) async fn store_with(&self, change: impl FnOnce(&mut Value)) -> Arc<dyn Store> {
        self.try_store(change).await.unwrap()
    }

    pub(crate) async fn try_store(&self, change: impl FnOnce(&mut Value)) -> Result<Arc<dyn Store>> {
        let mut block = self.block();
        change(&mut block);
        config(block).open_with(&self.cx, &OpenOptions::default()).await
    }

    pub(crate) async fn store(&self) -> Arc<dyn Store> {
        self.store_with(|_| {}).await
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        self.events.0.lock().unwrap().clone()
    }

    /// Size and digest of an object as another client reads it; `None` when it is not there.
    pub(crate) fn object(&self, name: &str) -> Option<(u64, String)> {
        let got = self.server.s3("get_object", json!({ "Bucket": self.bucket, "Key": format!("p/{name}") }));
        if got["error"] == "NoSuchKey" {
            return None;
        }
        assert_eq!(got["error"], Value::Null, "{got}");
        Some((got["Body"]["size"].as_u64().unwrap(), got["Body"]["sha256"].as_str().unwrap().to_owned()))
    }

    /// The object is there for every client with these bytes, and nothing else is left in the bucket.
    pub(crate) async fn has_only(&self, store: &dyn Store, name: &str, bytes: &[u8]) {
        let expected = (bytes.len() as u64, Digest::of(bytes).to_string());
        let digest = expected.1.rsplit(':').next().unwrap().to_owned();
        assert_eq!(self.object(name), Some((expected.0, digest)));
        assert_eq!(store.get(&self.cx, &key(name), u64::MAX).await.unwrap(), bytes);
        assert_eq!(self.left(), [format!("p/{name}")]);
    }

    /// Everything in the bucket, unfinished uploads included.
    pub(crate) fn left(&self) -> Vec<String> {
        let mut left = self.server.names(&self.bucket, "");
        left.extend((0..self.server.uploads(&self.bucket, "")).map(|n| format!("unfinished upload {n}")));
        left
    }
}

pub(crate) fn config(block: Value) -> StoreConfig {
    serde_json::from_value(json!({ "s3": block })).unwrap()
}

pub(crate) fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text).unwrap()
}

/// Bytes that do not repeat.
pub(crate) fn data(seed: u64, count: usize) -> Bytes {
    Bytes::from(SeededRandom::new(seed).bytes(count))
}

/// Writes an object in pieces of half a mebibyte.
pub(crate) async fn write(cx: &JobContext, store: &dyn Store, name: &str, bytes: &Bytes, hint: bool) -> Result<ObjectMeta> {
    let options = WriteOptions::new(cx.job().clone()).size_hint(hint.then_some(bytes.len() as u64));
    let mut writer = store.writer(cx, &key(name), options).await?;
    let mut rest = bytes.clone();
    while !rest.is_empty() {
        let piece = rest.split_to(rest.len().min(512 << 10));
        if let Err(error) = writer.write(piece).await {
            let _ = writer.abort().await;
            return Err(error);
        }
    }
    writer.finish().await
}
