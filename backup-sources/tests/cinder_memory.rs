//! A large volume needs as much memory as a small one. One test alone, because it looks at the whole process.
#![cfg(all(feature = "cinder", target_os = "linux"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use backup_core::source::{ArtifactOptions, ArtifactReceipt, ArtifactWriter};
use backup_core::store::ExternalLocation;
use backup_core::testkit::{MemoryReader, RecordingSink, SeededRandom};
use backup_core::{ArtifactName, BackupReader, Bytes, Digest, Random, Result, Sink, Summary, async_trait};
use backup_sources::cinder::access::{Extent, Extents, VolumeWriter};
use backup_sources::cinder::format::{Compression, Content, NewBackup, Options, Written, restore, write};
use futures::{StreamExt, stream};
use support::context;
use support::memory::Memory;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Keeps nothing.
#[derive(Debug, Default, Clone)]
struct Nowhere(Arc<AtomicU64>);

#[async_trait]
impl Sink for Nowhere {
    async fn artifact(&self, _: &ArtifactName, _: ArtifactOptions) -> Result<Box<dyn ArtifactWriter>> {
        Ok(Box::new(self.clone()))
    }
    async fn put(&self, _: &ArtifactName, data: Bytes, _: ArtifactOptions) -> Result<ArtifactReceipt> {
        tokio::task::yield_now().await;
        self.0.fetch_add(data.len() as u64, Ordering::Relaxed);
        Ok(ArtifactReceipt::new(data.len() as u64, Digest::from_bytes([0; 32]), data.len() as u64))
    }
    fn external_location(&self) -> Result<ExternalLocation> {
        unreachable!()
    }
}

#[async_trait]
impl ArtifactWriter for Nowhere {
    async fn write(&mut self, data: Bytes) -> Result<()> {
        self.0.fetch_add(data.len() as u64, Ordering::Relaxed);
        Ok(())
    }
    async fn digest(&mut self) -> Result<Digest> {
        unreachable!()
    }
    async fn close(self: Box<Self>) -> Result<ArtifactReceipt> {
        Ok(ArtifactReceipt::new(0, Digest::from_bytes([0; 32]), 0))
    }
}

#[derive(Debug, Default)]
struct Void(u64);

#[async_trait]
impl VolumeWriter for Void {
    async fn write(&mut self, _: u64, data: Bytes) -> Result<()> {
        self.0 += data.len() as u64;
        Ok(())
    }
    async fn zero(&mut self, _: u64, _: u64) -> Result<()> {
        Ok(())
    }
    async fn finish(self: Box<Self>) -> Result<()> {
        Ok(())
    }
    async fn abort(self: Box<Self>) {}
}

fn backup(id: &str, size: u64) -> NewBackup {
    NewBackup {
        backup_id: id.to_owned(),
        volume_id: "v".to_owned(),
        name: "n".to_owned(),
        description: None,
        created_at: "2026-11-21T09:30:00Z".parse().unwrap(),
        size,
        volume_meta: None,
    }
}

fn nothing() -> Extents {
    stream::empty().boxed()
}

/// Bytes that do not get smaller, as a volume is read: 4 MiB at a time, each in a buffer of its own.
fn noise(size: u64) -> Extents {
    let random = SeededRandom::new(1);
    let bytes: Vec<u8> = (0..4 * MIB / 8).flat_map(|_| random.next_u64().to_le_bytes()).collect();
    let extent = move |n: u64| Ok(Extent::Data { offset: n * 4 * MIB, bytes: bytes.clone().into() });
    stream::iter((0..size / (4 * MIB)).map(extent)).boxed()
}

fn text(size: u64) -> Extents {
    let bytes = Bytes::from(vec![b'x'; 4 * MIB as usize]);
    stream::iter((0..size / (4 * MIB)).map(move |n| Ok(Extent::Data { offset: n * 4 * MIB, bytes: bytes.clone() }))).boxed()
}

async fn measured(what: &str, limit: u64, options: &Options, size: u64, parent: Option<&dyn BackupReader>, content: Content) {
    let (before, began) = (Memory::mark(), Instant::now());
    let sink = Nowhere::default();
    let written = write(&context(), &sink, options, &backup("b", size), parent, content).await.unwrap();
    let (more, took) = (before.peak(), began.elapsed());
    println!("{what}: {} MiB in {} objects, {} MiB more, {took:?}", size / MIB, written.objects, more / MIB);
    assert!(sink.0.load(Ordering::Relaxed) > size / 32768 * 70, "the digests did not come");
    assert!(more < limit, "{what} took {more} bytes more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_does_not_grow_with_the_volume() {
    let (options, slack) = (Options::default(), 12 * MIB);
    let size = 512 * MIB;
    let sink = RecordingSink::new();
    let written = write(&context(), &sink, &options, &backup("p", size), None, Content::Whole(text(size))).await.unwrap();
    let summary = Summary::default().integrity(written.integrity().unwrap());
    let full = MemoryReader::new("cinder", &summary, &sink.artifacts());
    drop(sink);
    assert_eq!(Written::of(full.manifest()).unwrap().objects, size / (8 * MIB));
    let before = Memory::mark();
    let mut void = Void::default();
    restore(&context(), &full, &mut void, true).await.unwrap();
    assert_eq!(void.0, size);
    let more = before.peak();
    println!("a restore: {} MiB more", more / MIB);
    assert!(more < 60 * MIB, "a restore took {more} bytes more");

    measured("an unchanged volume", slack, &options, size, Some(&full), Content::Changed(nothing())).await;
    let long = std::env::var_os("BACKUP_TEST_LONG").is_some();
    let sparse = if long { 1024 * GIB } else { 64 * GIB };
    measured("an empty volume", slack + sparse / (8 * MIB) * 48, &options, sparse, None, Content::Whole(nothing())).await;
    for compression in [Compression::Zlib, Compression::Zstd, Compression::None] {
        let options = Options { compression, ..Options::default() };
        let size = 96 * MIB;
        let limit = options.working_memory() + slack;
        measured("noise", limit, &options, size, None, Content::Whole(noise(size))).await;
    }
}
