//! One percent of a volume changed: what an incremental backup reads and stores of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use backup_core::{JobContext, Result, async_trait};
use backup_sources::cinder::access::{Extent, Extents, Place as At, VolumeAccess, VolumeWriter};
use futures::StreamExt;

use crate::openstack::OpenStack;
use crate::place::{GIB, MIB, Place, fill};

const BLOCK: u64 = 32 << 10;
/// Bytes of one of Ceph's objects.
const OBJECT: u64 = 4 * MIB;

/// Counts what is read.
#[derive(Debug)]
struct Counting {
    inner: Arc<dyn VolumeAccess>,
    read: Arc<AtomicU64>,
}

impl Counting {
    fn counted(&self, extents: Extents) -> Extents {
        let read = Arc::clone(&self.read);
        let count = move |extent: &Result<Extent>| {
            if let Ok(Extent::Data { bytes, .. }) = extent {
                read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
        };
        extents.inspect(count).boxed()
    }
}

#[async_trait]
impl VolumeAccess for Counting {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn reads_snapshots(&self) -> bool {
        self.inner.reads_snapshots()
    }

    async fn read(&self, cx: &JobContext, place: &At) -> Result<Extents> {
        Ok(self.counted(self.inner.read(cx, place).await?))
    }

    async fn changes(&self, cx: &JobContext, place: &At, since: &str, block: u64) -> Result<Option<Extents>> {
        Ok(self.inner.changes(cx, place, since, block).await?.map(|extents| self.counted(extents)))
    }

    async fn write(&self, cx: &JobContext, place: &At, fresh: bool) -> Result<Box<dyn VolumeWriter>> {
        self.inner.write(cx, place, fresh).await
    }

    async fn rollback(&self, cx: &JobContext, volume: &str, snapshot: &str) -> Result<()> {
        self.inner.rollback(cx, volume, snapshot).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_volume_of_which_one_percent_changed_one_percent_is_read_and_stored() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let place = Place::swift(&stack, "changed").await;
    let volume = place.demo.volume("rbd1", 1).await;
    let image = stack.image(&volume);
    // Some of what changes lies where there was data, most where there was none.
    fill(&stack, &volume, &[(0, 48 * MIB, 1), (512 * MIB, 16 * MIB, 2)]).await;
    let read = Arc::new(AtomicU64::new(0));
    let source = place.source(Arc::new(Counting { inner: place.rbd(), read: Arc::clone(&read) })).volume(&volume).unwrap();
    let full = place.backup(&source.keep_snapshot(true), &[]).await.unwrap();
    assert!(read.swap(0, Ordering::Relaxed) <= 64 * MIB + OBJECT, "holes were read");

    // 328 blocks, each for itself: 1 % of a GiB.
    let blocks = GIB / 100 / BLOCK + 1;
    let scattered: Vec<_> = (0..blocks).map(|n| (n * 3 * MIB + BLOCK * (n % 7), BLOCK, 100 + n)).collect();
    fill(&stack, &volume, &scattered).await;
    let expected = stack.digest(&image).await;
    let next = source.keep_snapshot(true).incremental(full.reader.clone(), full.base.as_deref()).unwrap();
    let next = place.backup(&next, &[&full]).await.unwrap();
    let moved = read.swap(0, Ordering::Relaxed);
    println!("1 % in blocks: {} changed, {moved} read, {} stored", blocks * BLOCK, next.stored);
    assert_eq!((moved, next.written.changed), (blocks * BLOCK, blocks * BLOCK));
    // With the digests of the whole volume, which count apart: 2 MiB a GiB, in hexadecimal and JSON.
    assert!(next.written.stored <= blocks * BLOCK * 12 / 10, "{:?}", next.written);
    assert_eq!(place.restored(&source, &next.id).await, expected);

    // As guests write: neither begins nor ends at a border of a block.
    let guests: Vec<_> = (0..80).map(|n| (n * 3 * MIB + 8192, 20_480, 1000 + n)).collect();
    fill(&stack, &volume, &guests).await;
    let expected = stack.digest(&image).await;
    let last = source.incremental(next.reader.clone(), next.base.as_deref()).unwrap();
    let last = place.backup(&last, &[&next]).await.unwrap();
    let moved = read.swap(0, Ordering::Relaxed);
    println!("unaligned: {} changed, {moved} read, {} stored", 80 * 20_480, last.stored);
    assert_eq!(last.written.changed, 80 * BLOCK);
    assert!(moved <= 80 * OBJECT, "more than the objects in which something changed: {moved}");
    assert_eq!(place.restored(&source, &last.id).await, expected);
    place.nothing_left(&volume).await;
    place.remove(&[&volume]).await;
}
