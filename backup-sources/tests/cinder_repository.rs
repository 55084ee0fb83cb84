//! Chains of volume backups in a repository: what the engine stores, verifies and hands back.
#![cfg(feature = "cinder")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::{Arc, Mutex};

use backup_core::source::RestoreReport;
use backup_core::testkit::{SimStore, test_environment};
use backup_core::{
    BackupId, BackupReader, BackupRequest, Bytes, Inspection, JobContext, Probe, Repository, RestoreTarget, Result, SetName,
    Sink, Source, Summary, async_trait,
};
use backup_sources::cinder::access::{Extent, VolumeWriter};
use backup_sources::cinder::format::{BLOCK, Content, NewBackup, Options, Record, inspect, restore, write};
use futures::{StreamExt, stream};

const B: usize = BLOCK as usize;
const SIZE: usize = 40 * B;

/// A volume in memory, as a source.
struct Volume {
    id: &'static str,
    content: Vec<u8>,
    parent: Option<Arc<dyn BackupReader>>,
    restored: Mutex<Vec<u8>>,
}

impl std::fmt::Debug for Volume {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

impl Volume {
    fn new(id: &'static str, content: &[u8]) -> Self {
        Self { id, content: content.to_vec(), parent: None, restored: Mutex::new(vec![0; content.len()]) }
    }
}

fn options() -> Options {
    Options { object_size: 4 * BLOCK, ..Options::default() }
}

#[async_trait]
impl Source for Volume {
    fn kind(&self) -> &str {
        "cinder"
    }
    async fn probe(&self, _: &JobContext) -> Result<Probe> {
        Ok(Probe::default())
    }
    fn open_artifacts(&self) -> usize {
        1
    }
    fn working_memory(&self) -> u64 {
        options().working_memory()
    }
    async fn capture(&self, cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        let backup = NewBackup {
            backup_id: self.id.to_owned(),
            volume_id: "volume".to_owned(),
            name: "nightly".to_owned(),
            description: None,
            created_at: "2026-11-21T09:30:00Z".parse().unwrap(),
            size: self.content.len() as u64,
            volume_meta: None,
        };
        let parts: Vec<_> = self.content.chunks(B).zip((0..).step_by(B)).collect();
        let parts = parts.into_iter().map(|(part, offset)| Ok(Extent::Data { offset, bytes: Bytes::copy_from_slice(part) }));
        let content = Content::Whole(stream::iter(parts.collect::<Vec<_>>()).boxed());
        let written = write(cx, sink, &options(), &backup, self.parent.as_deref(), content).await?;
        Ok(Summary::default().integrity(written.integrity()?))
    }
    async fn restore(&self, cx: &JobContext, reader: &dyn BackupReader, _: &RestoreTarget) -> Result<RestoreReport> {
        let mut disk = Disk(vec![0; self.content.len()]);
        let bytes = restore(cx, reader, &mut disk, true).await?;
        *self.restored.lock().unwrap() = disk.0;
        Ok(RestoreReport::new(bytes))
    }
    async fn inspect(&self, cx: &JobContext, reader: &dyn BackupReader) -> Result<Inspection> {
        inspect(cx, reader).await
    }
}

#[derive(Debug)]
struct Disk(Vec<u8>);

#[async_trait]
impl VolumeWriter for Disk {
    async fn write(&mut self, offset: u64, data: Bytes) -> Result<()> {
        self.0[offset as usize..][..data.len()].copy_from_slice(&data);
        Ok(())
    }
    async fn zero(&mut self, offset: u64, length: u64) -> Result<()> {
        self.0[offset as usize..][..length as usize].fill(0);
        Ok(())
    }
    async fn finish(self: Box<Self>) -> Result<()> {
        Ok(())
    }
    async fn abort(self: Box<Self>) {}
}

struct Setup {
    store: SimStore,
    repository: Repository,
    set: SetName,
}

impl Setup {
    fn new() -> Self {
        let (environment, clock) = test_environment(3);
        let store = SimStore::new(clock);
        let repository = Repository::builder(Arc::new(store.clone())).environment(environment).build();
        Self { store, repository, set: SetName::new("volumes/one").unwrap() }
    }

    async fn backup(&self, volume: &mut Volume, parents: &[BackupId]) -> Result<BackupId> {
        let cx = self.repository.context();
        if let Some(parent) = parents.last() {
            volume.parent = Some(Arc::new(self.repository.open(&cx, &self.set, parent).await?));
        }
        let request = BackupRequest::new(self.set.clone()).parents(parents.iter().rev().take(1).cloned().collect());
        let outcome = self.repository.backup(&cx, volume, &request).await?;
        Ok(outcome.backup().id.clone())
    }

    async fn restore(&self, volume: &Volume, id: &BackupId) -> Result<()> {
        let cx = self.repository.context();
        self.repository.restore(&cx, volume, &self.set, id, &RestoreTarget::default()).await.map(drop)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_are_stored_restored_and_looked_through() {
    let setup = Setup::new();
    let mut content: Vec<u8> = (0..SIZE).map(|at| (at / 1000) as u8).collect();
    let mut full = Volume::new("one", &content);
    let first = setup.backup(&mut full, &[]).await.unwrap();
    content[7 * B] ^= 1;
    let mut link = Volume::new("two", &content);
    let second = setup.backup(&mut link, std::slice::from_ref(&first)).await.unwrap();
    content[7 * B + 1] ^= 1;
    content[30 * B..].fill(0);
    let mut last = Volume::new("three", &content);
    let third = setup.backup(&mut last, &[first.clone(), second.clone()]).await.unwrap();
    for (volume, id) in [(&full, &first), (&link, &second), (&last, &third)] {
        setup.restore(volume, id).await.unwrap();
        assert!(*volume.restored.lock().unwrap() == volume.content);
        let reader = setup.repository.open(&setup.repository.context(), &setup.set, id).await.unwrap();
        let inspection = inspect(&setup.repository.context(), &reader).await.unwrap();
        assert!(inspection.faults.is_empty() && inspection.checks.len() == 4, "{inspection:?}");
        // No driver of Cinder reads memory.
        assert!(Record::of(&setup.repository.context(), &reader).await.is_err());
    }
    // Nothing of another backup: what a listing by the prefix shows are the objects, and the two files.
    let names: Vec<_> =
        setup.store.keys().into_iter().filter(|key| key.contains(first.as_str()) && !key.starts_with('.')).collect();
    assert_eq!(names.len(), SIZE / (4 * B) + 2);

    // A bit in any object of the chain keeps the newest from being restored, and is found where it is.
    let objects: Vec<_> =
        setup.store.keys().into_iter().filter(|key| key.contains("/backup") && key.contains(second.as_str())).collect();
    assert_eq!(objects.len(), 3);
    for key in objects {
        setup.store.flip_bit(&key, 20, 3);
        let reader = setup.repository.open(&setup.repository.context(), &setup.set, &second).await.unwrap();
        let inspection = inspect(&setup.repository.context(), &reader).await.unwrap();
        assert!(!inspection.faults.is_empty(), "{key}");
        assert!(setup.restore(&link, &second).await.is_err(), "{key}");
        setup.store.flip_bit(&key, 20, 3);
    }
    setup.restore(&link, &second).await.unwrap();
}
