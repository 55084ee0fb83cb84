//! What the tests of sources share: a sink that records, a reader over recorded bytes, a context.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "each test file uses a part"
)]

#[cfg(feature = "cinder")]
pub mod cinder;
#[cfg(feature = "etcd")]
pub mod etcd;
pub mod memory;
#[cfg(feature = "cinder")]
pub mod openstack;
#[cfg(feature = "script")]
pub mod postgres;
#[cfg(feature = "script")]
pub mod scripts;
#[cfg(feature = "cinder")]
pub mod volumes;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use backup_core::error::codes;
use backup_core::event::TracingObserver;
use backup_core::source::{ArtifactReceipt, ArtifactStream, ArtifactWriter};
use backup_core::store::ExternalLocation;
use backup_core::{
    ArtifactName, ArtifactOptions, BackupReader, Bytes, Digest, Environment, Error, Hasher, JobContext, Manifest, Result, Sink,
    async_trait,
};
use futures::StreamExt;
use tokio::sync::watch;

pub fn context() -> JobContext {
    JobContext::new(Environment::default(), Arc::new(TracingObserver))
}

/// Keeps closed artifacts; forgets those that were dropped.
#[derive(Debug, Clone, Default)]
pub struct RecordingSink {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    closed: Mutex<BTreeMap<String, Vec<u8>>>,
    opened: Mutex<Vec<(String, ArtifactOptions)>>,
    open_now: Mutex<Vec<String>>,
    /// Bytes written in all; tests wait for it.
    written: watch::Sender<u64>,
    /// Writes beyond so many bytes wait until the gate is raised.
    gate: watch::Sender<Option<u64>>,
    fail_at: Mutex<Option<u64>>,
    forget: AtomicBool,
}

impl RecordingSink {
    /// A sink whose store fails once so many bytes were written.
    pub fn failing_at(bytes: u64) -> Self {
        let sink = Self::default();
        *sink.shared.fail_at.lock().unwrap() = Some(bytes);
        sink
    }

    /// A sink that counts and hashes, but keeps nothing.
    pub fn forgetful() -> Self {
        let sink = Self::default();
        sink.shared.forget.store(true, Ordering::Relaxed);
        sink
    }

    /// A sink that takes so many bytes and then waits for [`RecordingSink::open_gate`].
    pub fn gated_at(bytes: u64) -> Self {
        let sink = Self::default();
        sink.shared.gate.send_replace(Some(bytes));
        sink
    }

    pub fn open_gate(&self) {
        self.shared.gate.send_replace(None);
    }

    /// Waits until at least so many bytes were written.
    pub async fn wrote(&self, bytes: u64) {
        self.shared.written.subscribe().wait_for(|written| *written >= bytes).await.unwrap();
    }

    pub fn written(&self) -> u64 {
        *self.shared.written.borrow()
    }

    pub fn closed(&self) -> BTreeMap<String, Vec<u8>> {
        self.shared.closed.lock().unwrap().clone()
    }

    /// The only artifact.
    pub fn only(&self) -> (String, Vec<u8>) {
        let mut closed = self.closed();
        assert_eq!(closed.len(), 1, "artifacts: {:?}", closed.keys());
        closed.pop_first().unwrap()
    }

    pub fn opened(&self) -> Vec<(String, ArtifactOptions)> {
        self.shared.opened.lock().unwrap().clone()
    }

    pub fn assert_nothing_closed(&self) {
        assert!(self.closed().is_empty(), "artifacts: {:?}", self.closed().keys());
        assert!(self.shared.open_now.lock().unwrap().is_empty(), "left open");
    }

    /// A reader over what was recorded.
    pub fn reader(&self) -> MemoryReader {
        MemoryReader::new(self.closed())
    }
}

#[async_trait]
impl Sink for RecordingSink {
    async fn artifact(&self, name: &ArtifactName, options: ArtifactOptions) -> Result<Box<dyn ArtifactWriter>> {
        let mut open = self.shared.open_now.lock().unwrap();
        if open.contains(&name.to_string()) || self.shared.closed.lock().unwrap().contains_key(name.as_str()) {
            return Err(Error::new(&codes::ARTIFACT_NAME_TAKEN, format!("{name} is taken")));
        }
        open.push(name.to_string());
        self.shared.opened.lock().unwrap().push((name.to_string(), options));
        Ok(Box::new(RecordingWriter {
            shared: Arc::clone(&self.shared),
            name: name.to_string(),
            data: Vec::new(),
            size: 0,
            hasher: Hasher::new(),
            failed: false,
        }))
    }

    fn external_location(&self) -> Result<ExternalLocation> {
        Err(Error::new(&codes::SOURCE_UNSUPPORTED, "a recording sink is nowhere"))
    }
}

struct RecordingWriter {
    shared: Arc<Shared>,
    name: String,
    data: Vec<u8>,
    size: u64,
    hasher: Hasher,
    failed: bool,
}

#[async_trait]
impl ArtifactWriter for RecordingWriter {
    async fn write(&mut self, data: Bytes) -> Result<()> {
        assert!(!self.failed, "written to after an error");
        // Latched until the write is through: a dropped call counts as failed.
        self.failed = true;
        let total = self.size + data.len() as u64;
        if self.shared.fail_at.lock().unwrap().is_some_and(|at| total >= at) {
            return Err(Error::new(&codes::STORE_NO_SPACE, "the test's store is full"));
        }
        self.shared.gate.subscribe().wait_for(|gate| gate.is_none_or(|gate| total <= gate)).await.unwrap();
        self.hasher.update(&data);
        self.size = total;
        if !self.shared.forget.load(Ordering::Relaxed) {
            self.data.extend_from_slice(&data);
        }
        self.shared.written.send_modify(|written| *written += data.len() as u64);
        self.failed = false;
        Ok(())
    }

    async fn digest(&mut self) -> Result<Digest> {
        Ok(self.hasher.clone().finish())
    }

    async fn close(mut self: Box<Self>) -> Result<ArtifactReceipt> {
        assert!(!self.failed, "closed after an error");
        let data = std::mem::take(&mut self.data);
        let receipt = ArtifactReceipt::new(self.size, self.hasher.clone().finish(), self.size);
        self.shared.closed.lock().unwrap().insert(self.name.clone(), data);
        Ok(receipt)
    }
}

impl Drop for RecordingWriter {
    fn drop(&mut self) {
        self.shared.open_now.lock().unwrap().retain(|name| *name != self.name);
    }
}

/// A backup in memory whose stream can be made to fail.
#[derive(Debug, Clone)]
pub struct MemoryReader {
    artifacts: BTreeMap<String, Vec<u8>>,
    manifest: Manifest,
    fail_after: Option<usize>,
    chunk: usize,
}

impl MemoryReader {
    pub fn new(artifacts: BTreeMap<String, Vec<u8>>) -> Self {
        let manifest = serde_json::json!({
            "set": "test/set", "id": "20261121T120000250Z-1f0c9a2b", "job": "0".repeat(32),
            "created-at": "2026-11-21T12:00:00Z", "published-at": "2026-11-21T12:00:00Z",
            "created_at": "2026-11-21T12:00:00Z", "published_at": "2026-11-21T12:00:00Z",
            "source": { "kind": "test" }, "prefix": "test/set/x/",
        });
        Self { artifacts, manifest: serde_json::from_value(manifest).unwrap(), fail_after: None, chunk: 100_000 }
    }

    pub fn of(name: &str, data: impl Into<Vec<u8>>) -> Self {
        Self::new(BTreeMap::from([(name.to_owned(), data.into())]))
    }

    /// The stream hands out so many bytes and then finds damage.
    pub fn damaged_after(mut self, bytes: usize) -> Self {
        self.fail_after = Some(bytes);
        self
    }

    /// The stream hands out so many bytes at once.
    pub fn in_chunks_of(mut self, bytes: usize) -> Self {
        self.chunk = bytes;
        self
    }
}

#[async_trait]
impl BackupReader for MemoryReader {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn artifacts(&self) -> Vec<ArtifactName> {
        self.artifacts.keys().map(|name| ArtifactName::new(name.clone()).unwrap()).collect()
    }

    async fn open(&self, _cx: &JobContext, name: &ArtifactName) -> Result<ArtifactStream> {
        let data = self.artifacts.get(name.as_str()).ok_or_else(|| Error::new(&codes::BACKUP_NOT_FOUND, name.to_string()))?;
        let good = self.fail_after.map_or(data.as_slice(), |after| &data[..after]);
        let mut items: Vec<_> = good.chunks(self.chunk).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        if self.fail_after.is_some() {
            items.push(Err(Error::new(&codes::ARTIFACT_CORRUPT, "a bit flipped, says the test")));
        }
        Ok(futures::stream::iter(items).boxed())
    }

    async fn open_stored(
        &self,
        cx: &JobContext,
        name: &ArtifactName,
        _range: Option<std::ops::Range<u64>>,
    ) -> Result<ArtifactStream> {
        self.open(cx, name).await
    }
}
