use std::sync::Mutex;

use proptest::prelude::*;

use super::*;
use crate::cinder::access::VolumeWriter;
use crate::cinder::format::{Compression, restore};

/// A volume in memory that looks that offsets grow.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk(pub(super) Arc<Mutex<Vec<u8>>>, u64, pub(super) u64);

impl Disk {
    pub(super) fn of(volume: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(volume)), 0, 0)
    }

    fn fill(&mut self, offset: u64, length: usize, change: impl FnOnce(&mut [u8])) {
        assert!(offset >= self.1, "{offset} comes after {}", self.1);
        self.1 = offset + length as u64;
        change(&mut self.0.lock().unwrap()[offset as usize..offset as usize + length]);
    }
}

#[backup_core::async_trait]
impl VolumeWriter for Disk {
    async fn write(&mut self, offset: u64, data: Bytes) -> Result<()> {
        tokio::task::yield_now().await;
        self.2 += data.len() as u64;
        self.fill(offset, data.len(), |place| place.copy_from_slice(&data));
        Ok(())
    }
    async fn zero(&mut self, offset: u64, length: u64) -> Result<()> {
        self.fill(offset, length as usize, |place| place.fill(0));
        Ok(())
    }
    async fn finish(self: Box<Self>) -> Result<()> {
        Ok(())
    }
    async fn abort(self: Box<Self>) {}
}

pub(super) async fn restored(reader: &dyn BackupReader, size: usize, fresh: bool) -> Result<Vec<u8>> {
    let mut disk = Disk::of(vec![if fresh { 0 } else { 9 }; size]);
    assert_eq!(restore(&context(), reader, &mut disk, fresh).await?, size as u64);
    Ok(disk.0.lock().unwrap().clone())
}

/// What is done to a volume between two backups: from which block on how many are filled with what.
type Change = (usize, usize, u8);

fn change(volume: &mut [u8], changes: &[Change]) -> Vec<(usize, usize)> {
    let mut changed = vec![false; volume.len().div_ceil(B)];
    for (seed, (at, blocks, fill)) in (1..).zip(changes.iter().copied()) {
        let from = at % changed.len();
        let to = (from + blocks).min(changed.len());
        changed[from..to].fill(true);
        let part = from * B..(to * B).min(volume.len());
        match fill % 3 {
            0 => volume[part].fill(0),
            1 => volume[part].fill(fill),
            _ => volume[part.clone()].copy_from_slice(&noise(seed * 1000 + u64::from(fill), part.len())),
        }
    }
    let runs =
        changed.chunk_by(|a, b| a == b).scan(0, |at, run| Some((run[0], std::mem::replace(at, *at + run.len()), run.len())));
    let size = volume.len();
    runs.filter(|(changed, ..)| *changed).map(|(_, at, blocks)| (at * B, ((at + blocks) * B).min(size))).collect()
}

async fn round_trip(size: usize, object: u64, compression: Compression, links: &[(bool, Vec<Change>)]) {
    let options = Options { object_size: object * BLOCK, compression, ..Options::default() };
    let mut volume = vec![0; size];
    let mut states = Vec::new();
    let mut chain: Vec<Arc<MemoryReader>> = Vec::new();
    for (number, (whole, changes)) in links.iter().enumerate() {
        let runs = change(&mut volume, changes);
        let ranges: Vec<_> = runs.iter().map(|(from, to)| (*from, &volume[*from..*to])).collect();
        let content = match *whole || number == 0 {
            true => Content::Whole(extents(&volume, 3 * B / 2)),
            false => Content::Changed(data(&ranges)),
        };
        let new = new_backup(&format!("link-{number}"), size);
        let (reader, written) = backup(&options, &new, &chain, content).await.unwrap();
        let bound: usize = runs.iter().map(|(from, to)| to - from).sum();
        assert!(number == 0 || written.changed <= bound as u64);
        chain.push(reader);
        states.push(volume.clone());
    }
    for (reader, state) in chain.iter().zip(&states) {
        for fresh in [true, false] {
            assert!(restored(&**reader, size, fresh).await.unwrap() == *state);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn chains_come_back_byte_for_byte(
        size in 1usize..30 * B,
        object in 1u64..9,
        compression in prop_oneof![Just(Compression::Zlib), Just(Compression::Zstd), Just(Compression::None)],
        links in prop::collection::vec((any::<bool>(), prop::collection::vec((0usize..30, 1usize..12, any::<u8>()), 0..5)), 1..5),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(round_trip(size, object, compression, &links));
    }
}

#[tokio::test]
async fn zeros_are_left_out_on_fresh_volumes_alone() {
    let mut volume = vec![0; 20 * B];
    volume[7 * B..8 * B].copy_from_slice(&noise(1, B));
    let (full, _) = backup(&small(), &new_backup("full", volume.len()), &[], Content::Whole(extents(&volume, B))).await.unwrap();
    let mut disk = Disk::of(vec![0; volume.len()]);
    restore(&context(), &*full, &mut disk, true).await.unwrap();
    assert_eq!(disk.2, BLOCK);
    assert!(*disk.0.lock().unwrap() == volume);
}
