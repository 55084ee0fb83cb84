//! A volume of very many objects needs no more memory than a small one: backed up by the engine, verified, restored. One test alone, because it
//! looks at the whole process.
//!
//! It is of 32,768 objects of 32 KiB, which all hold the same: the store keeps one of them. With `BACKUP_TEST_LONG=1` there are as many as 1 TiB
//! makes, and then 1 TiB is backed up into a directory.
#![cfg(all(feature = "cinder", target_os = "linux"))]
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic)]

#[path = "../../backup-sources/tests/support/memory.rs"]
mod memory;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use async_trait::async_trait;
use backup_core::repository::VerifyLevel;
use backup_core::source::{BackupReader, RestoreReport};
use backup_core::store::{
    Capabilities, DeleteReport, ListOptions, NativePlace, ObjectRead, ObjectWriter, PutOptions, ReadOptions, SweepOptions,
    SweepReport, WriteOptions,
};
use backup_core::{
    BackupRequest, Bytes, Inspection, JobContext, KeyPrefix, ObjectKey, ObjectMeta, Probe, Repository, RestoreTarget, Result,
    SetName, Sink, Source, Store, Summary,
};
use backup_sources::cinder::access::VolumeWriter;
use backup_sources::cinder::format::{Content, NewBackup, Options, inspect, restore, write};
use backup_stores::fs::{FsConfig, FsStore};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use memory::Memory;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// As many as 1 TiB makes, and as many as a test has time for.
const MANY: u64 = 131_072;
const SOME: u64 = MANY / 4;

/// A volume of zeros.
#[derive(Debug)]
struct Empty {
    options: Options,
    objects: u64,
}

impl Empty {
    fn size(&self) -> u64 {
        self.objects * self.options.object_size
    }
}

#[async_trait]
impl Source for Empty {
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
        self.options.working_memory()
    }
    async fn capture(&self, cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        let backup = NewBackup {
            backup_id: "backup".to_owned(),
            volume_id: "volume".to_owned(),
            name: "nightly".to_owned(),
            description: None,
            created_at: "2026-11-21T09:30:00Z".parse().unwrap(),
            size: self.size(),
            volume_meta: None,
        };
        let written = write(cx, sink, &self.options, &backup, None, Content::Whole(stream::empty().boxed())).await?;
        assert_eq!(written.objects, self.objects);
        Ok(Summary::default().integrity(written.integrity()?))
    }
    async fn restore(&self, cx: &JobContext, reader: &dyn BackupReader, _: &RestoreTarget) -> Result<RestoreReport> {
        restore(cx, reader, &mut Zeros, true).await.map(RestoreReport::new)
    }
    async fn inspect(&self, cx: &JobContext, reader: &dyn BackupReader) -> Result<Inspection> {
        inspect(cx, reader).await
    }
}

/// A fresh volume to which nothing has to be written.
#[derive(Debug)]
struct Zeros;

#[async_trait]
impl VolumeWriter for Zeros {
    async fn write(&mut self, offset: u64, _: Bytes) -> Result<()> {
        panic!("there are other bytes than zeros at {offset}")
    }
    async fn zero(&mut self, _: u64, _: u64) -> Result<()> {
        Ok(())
    }
    async fn finish(self: Box<Self>) -> Result<()> {
        Ok(())
    }
    async fn abort(self: Box<Self>) {}
}

/// Objects of a volume that are all alike: one is kept, and how many there are. Everything else lies in a directory.
#[derive(Debug)]
struct Alike {
    store: FsStore,
    object: OnceLock<(KeyPrefix, Bytes)>,
    count: AtomicU64,
}

impl Alike {
    /// The object of that key, when it is one of the volume's.
    fn object(&self, key: &ObjectKey) -> Option<&Bytes> {
        let (prefix, object) = self.object.get()?;
        let number: u64 = key.strip_prefix(prefix)?.strip_prefix("backup-")?.parse().ok()?;
        (1..=self.count.load(Ordering::Relaxed)).contains(&number).then_some(object)
    }

    /// All objects in the order of their keys: five digits, and behind each number those that begin with it.
    fn objects(&self) -> impl Iterator<Item = ObjectMeta> + Send + use<> {
        let (prefix, object) = self.object.get().cloned().unwrap();
        let count = self.count.load(Ordering::Relaxed);
        let numbers =
            (1..100_000).flat_map(move |n: u64| std::iter::once(n).chain((n * 10..n * 10 + 10).filter(|n| *n >= 100_000)));
        let meta = move |n| ObjectMeta::new(prefix.key(&format!("backup-{n:05}")).unwrap(), object.len() as u64);
        numbers.filter(move |n| *n <= count).map(meta)
    }
}

#[async_trait]
impl Store for Alike {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }
    fn writer_memory(&self, size_hint: Option<u64>) -> u64 {
        self.store.writer_memory(size_hint)
    }
    async fn put(&self, cx: &JobContext, key: &ObjectKey, body: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        if !key.file_name().starts_with("backup-") {
            return self.store.put(cx, key, body, options).await;
        }
        let prefix = KeyPrefix::new(key.as_str().strip_suffix(key.file_name()).unwrap()).unwrap();
        let (_, object) = self.object.get_or_init(|| (prefix, body.clone()));
        assert!(*object == body, "{key} is another one");
        self.count.fetch_add(1, Ordering::Relaxed);
        Ok(ObjectMeta::new(key.clone(), body.len() as u64))
    }
    async fn writer(&self, cx: &JobContext, key: &ObjectKey, options: WriteOptions) -> Result<Box<dyn ObjectWriter>> {
        self.store.writer(cx, key, options).await
    }
    async fn read(&self, cx: &JobContext, key: &ObjectKey, options: ReadOptions) -> Result<ObjectRead> {
        let Some(object) = self.object(key) else { return self.store.read(cx, key, options).await };
        let range = options.range.unwrap_or(0..object.len() as u64);
        let body = stream::iter([Ok(object.slice(range.start as usize..range.end as usize))]).boxed();
        Ok(ObjectRead { meta: ObjectMeta::new(key.clone(), object.len() as u64), body })
    }
    async fn head(&self, cx: &JobContext, key: &ObjectKey) -> Result<ObjectMeta> {
        match self.object(key) {
            Some(object) => Ok(ObjectMeta::new(key.clone(), object.len() as u64)),
            None => self.store.head(cx, key).await,
        }
    }
    fn list(&self, cx: &JobContext, prefix: &KeyPrefix, options: ListOptions) -> BoxStream<'static, Result<ObjectMeta>> {
        let listing = self.store.list(cx, prefix, options);
        match self.object.get().filter(|(of, _)| of == prefix) {
            None => listing,
            Some(_) => {
                let objects = self.objects();
                stream::once(async move {
                    let (before, behind): (Vec<_>, Vec<_>) =
                        listing.try_collect::<Vec<_>>().await?.into_iter().partition(|object| object.key.file_name() < "backup-");
                    let all = before.into_iter().chain(objects).chain(behind);
                    Ok::<_, backup_core::Error>(stream::iter(all.map(Ok)))
                })
                .try_flatten()
                .boxed()
            }
        }
    }
    async fn delete(&self, cx: &JobContext, keys: &[ObjectKey]) -> Result<DeleteReport> {
        self.store.delete(cx, keys).await
    }
    async fn sweep(&self, cx: &JobContext, options: SweepOptions) -> Result<SweepReport> {
        self.store.sweep(cx, options).await
    }
    fn native_place(&self, prefix: &KeyPrefix) -> Option<NativePlace> {
        self.store.native_place(prefix)
    }
}

fn store(root: &Path) -> FsStore {
    FsStore::open(FsConfig::new(root)).unwrap()
}

/// Does something, and says how much memory it took.
async fn measured<T>(what: &str, limit: u64, work: impl Future<Output = Result<T>>) -> T {
    let (before, began) = (Memory::mark(), Instant::now());
    let done = work.await.unwrap();
    let more = before.peak();
    println!("{what}: {:.1} MiB above idle, {:.1} s", more as f64 / MIB as f64, began.elapsed().as_secs_f64());
    assert!(more < limit, "{what} took {} MiB more, and may take {}", more / MIB, limit / MIB);
    done
}

/// What each step may take.
struct Limits {
    backup: u64,
    verify: u64,
    restore: u64,
}

/// Backs up and verifies, and looks through it and restores it when its bytes are not too many for that.
async fn round(repository: &Repository, volume: &Empty, limits: Limits) {
    let (cx, set) = (repository.context(), SetName::new("volumes/empty").unwrap());
    let request = BackupRequest::new(set.clone());
    println!("{} GiB in {} objects", volume.size() >> 30, volume.objects);
    let outcome = measured("a backup", limits.backup, repository.backup(&cx, volume, &request)).await;
    let id = &outcome.backup().id;
    assert_eq!(outcome.backup().artifacts, volume.objects + 2);
    let short = volume.size() <= MANY * 32 * KIB;
    let (level, source) =
        if short { (VerifyLevel::Restorable, Some(volume as &dyn Source)) } else { (VerifyLevel::Digest, None) };
    let report = measured("a verify", limits.verify, repository.verify(&cx, &set, id, level, source)).await;
    assert!(report.is_good(), "{report:?}");
    if short {
        let target = RestoreTarget::default();
        let report = measured("a restore", limits.restore, repository.restore(&cx, volume, &set, id, &target)).await;
        assert_eq!(report.bytes, volume.size());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_of_1_tib_needs_no_more_memory_than_a_small_one() {
    let usual = Options::default();
    let small = Options { object_size: 32 * KIB, ..usual.clone() };
    let alike = async |objects, limits| {
        let directory = tempfile::TempDir::new().unwrap();
        let store = Alike { store: store(directory.path()), object: OnceLock::new(), count: AtomicU64::new(0) };
        let volume = Empty { options: small.clone(), objects };
        round(&Repository::builder(Arc::new(store)).build(), &volume, limits).await;
    };
    // Pools, tables and code that is used for the first time are no memory of the volume's.
    alike(3, Limits { backup: u64::MAX, verify: u64::MAX, restore: u64::MAX }).await;
    let objects = if std::env::var_os("BACKUP_TEST_LONG").is_some() { MANY } else { SOME };
    // What objects of the usual size need for their buffers is not there to be used up, and fewer objects have less.
    let left = |buffers: u64| (64 * MIB - buffers) * objects / MANY;
    let backup = small.working_memory() + left(usual.working_memory());
    // These hold blocks and pieces of the usual size whatever the objects are of.
    let limits = match objects {
        MANY => Limits { backup, verify: 64 * MIB, restore: 80 * MIB },
        _ => Limits { backup, verify: 32 * MIB, restore: 44 * MIB },
    };
    alike(objects, limits).await;
    if objects == MANY {
        let directory = tempfile::TempDir::new().unwrap();
        let volume = Empty { options: usual, objects };
        let limits = Limits { backup: 64 * MIB, verify: 64 * MIB, restore: 64 * MIB };
        round(&Repository::builder(Arc::new(store(directory.path()))).build(), &volume, limits).await;
    }
}
