//! Backups in Cinder's format go both ways between this crate and Cinder's own backup driver, which runs here over a directory.
#![cfg(feature = "cinder")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use backup_core::store::NativePlace;
use backup_core::testkit::{MemoryReader, RecordingSink, SeededRandom, test_context, test_environment};
use backup_core::{BackupReader, Bytes, JobContext, Random, Result, Summary, async_trait};
use backup_sources::cinder::access::{Extent, Extents, VolumeWriter};
use backup_sources::cinder::format::{BLOCK, Compression, Content, NewBackup, Options, Record, inspect, restore, write};
use futures::{StreamExt, stream};

const VOLUME_ID: &str = "7d0d1bb2-0f6f-4d4c-9a43-3cf62e9b7ed1";
const B: usize = BLOCK as usize;
/// Cinder's driver counts in whole GiB; the content ends where the file ends, not at a whole block.
const SIZE: usize = 77 * B + 512;

fn context() -> JobContext {
    test_context(&test_environment(7).0)
}

fn noise(seed: u64, length: usize) -> Vec<u8> {
    let random = SeededRandom::new(seed);
    (0..length.div_ceil(8)).flat_map(|_| random.next_u64().to_le_bytes()).take(length).collect()
}

/// A Python that has Cinder's backup driver.
fn python() -> Option<&'static str> {
    let has = |python: &&str| {
        let mut command = clean(python);
        command.args(["-W", "ignore", "-c", "import cinder.backup.drivers.posix"]);
        command.output().is_ok_and(|output| output.status.success())
    };
    let found = ["/usr/bin/python3", "python3"].into_iter().find(has);
    if found.is_none() {
        assert!(std::env::var_os("BACKUP_TEST_REAL").is_none(), "Cinder is not installed");
        println!("SKIPPED: no Python has the package cinder");
    }
    found
}

fn clean(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("LANG", "C.UTF-8");
    command
}

/// A directory that Cinder has as its own, and where volumes are written beside it.
struct Cinder {
    python: &'static str,
    root: tempfile::TempDir,
}

impl Cinder {
    fn run(&self, action: &str, volume: &Path, rest: &[&str]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cinder_chunked.py");
        let mut command = clean(self.python);
        command.args(["-W", "ignore"]).arg(script).arg(action).arg(self.root.path()).arg(volume).args(rest);
        let output = command.current_dir(self.root.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn volume(&self, content: &[u8]) -> PathBuf {
        let path = self.root.path().join("volume.raw");
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Cinder writes a backup; we read it.
    fn writes(&self, volume: &[u8], id: &str, algorithm: &str, parents: &[&Made]) -> Made {
        let path = self.volume(volume);
        let mut arguments = vec![algorithm, "262144", id];
        arguments.extend(parents.last().map(|parent| parent.url.as_str()));
        let url = self.run("backup", &path, &arguments);
        let record = Record::decode("cinder.backup.drivers.posix.PosixBackupDriver", &url).unwrap();
        let directory = self.root.path().join(record.container.as_ref().unwrap());
        let mut files = Vec::new();
        for file in std::fs::read_dir(&directory).unwrap() {
            let file = file.unwrap();
            files.push((file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap()));
        }
        let artifacts: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        let place = NativePlace::new("file", directory.to_str().unwrap(), "");
        let reader = MemoryReader::of("cinder", &artifacts).native_place(place).parents(readers(parents));
        Made { reader: Arc::new(reader), url }
    }

    /// We write a backup; Cinder gets its record.
    async fn is_given(&self, volume: &[u8], id: &str, compression: Compression, parents: &[&Made]) -> Made {
        let directory = self.root.path().join("ours").join(id);
        std::fs::create_dir_all(&directory).unwrap();
        let place = NativePlace::new("file", directory.to_str().unwrap(), "");
        let sink = RecordingSink::new();
        sink.set_native_place(place.clone());
        let options = Options { object_size: 6 * BLOCK, compression, ..Options::default() };
        let new = NewBackup {
            backup_id: id.to_owned(),
            volume_id: VOLUME_ID.to_owned(),
            name: "ours ü".to_owned(),
            description: Some("\"\\".to_owned()),
            created_at: "2026-11-21T09:30:00Z".parse().unwrap(),
            size: SIZE as u64,
            volume_meta: Some("{\"version\": 2}".to_owned()),
        };
        let parent = parents.last().map(|parent| &*parent.reader as &dyn BackupReader);
        let written = write(&context(), &sink, &options, &new, parent, Content::Whole(extents(volume))).await.unwrap();
        for artifact in sink.artifacts() {
            std::fs::write(directory.join(artifact.name.as_str()), &artifact.bytes).unwrap();
        }
        let summary = Summary::default().integrity(written.integrity().unwrap());
        let reader = MemoryReader::new("cinder", &summary, &sink.artifacts()).native_place(place).parents(readers(parents));
        let made = Made { reader: Arc::new(reader), url: String::new() };
        let record = made.record().await.below(self.root.path().to_str().unwrap()).unwrap();
        let (service, url) = record.encode().unwrap();
        assert_eq!(service, "cinder.backup.drivers.posix.PosixBackupDriver");
        Made { url, ..made }
    }

    /// Both read it.
    async fn assert_restores(&self, volume: &[u8], chain: &[&Made]) {
        let path = self.volume(&vec![9; SIZE]);
        self.run("restore", &path, &chain.iter().map(|made| made.url.as_str()).collect::<Vec<_>>());
        assert!(std::fs::read(&path).unwrap() == volume, "Cinder restores something else");
        let mut disk = Disk(Mutex::new(vec![9; SIZE]));
        let newest = chain.last().unwrap();
        assert_eq!(restore(&context(), &*newest.reader, &mut disk, false).await.unwrap(), SIZE as u64);
        assert!(disk.0.into_inner().unwrap() == volume, "we restore something else");
        let inspection = inspect(&context(), &*newest.reader).await.unwrap();
        assert!(inspection.faults.is_empty(), "{inspection:?}");
    }
}

struct Made {
    reader: Arc<MemoryReader>,
    url: String,
}

impl Made {
    async fn record(&self) -> Record {
        Record::of(&context(), &*self.reader).await.unwrap()
    }
}

fn readers(parents: &[&Made]) -> Vec<Arc<dyn BackupReader>> {
    parents.iter().map(|parent| Arc::clone(&parent.reader) as Arc<dyn BackupReader>).collect()
}

fn extents(volume: &[u8]) -> Extents {
    let parts: Vec<_> = volume
        .chunks(100_000)
        .zip((0..).step_by(100_000))
        .map(|(part, offset)| Ok(Extent::Data { offset, bytes: Bytes::copy_from_slice(part) }))
        .collect();
    stream::iter(parts).boxed()
}

#[derive(Debug)]
struct Disk(Mutex<Vec<u8>>);

#[async_trait]
impl VolumeWriter for Disk {
    async fn write(&mut self, offset: u64, data: Bytes) -> Result<()> {
        self.0.get_mut().unwrap()[offset as usize..][..data.len()].copy_from_slice(&data);
        Ok(())
    }
    async fn zero(&mut self, offset: u64, length: u64) -> Result<()> {
        self.0.get_mut().unwrap()[offset as usize..][..length as usize].fill(0);
        Ok(())
    }
    async fn finish(self: Box<Self>) -> Result<()> {
        Ok(())
    }
    async fn abort(self: Box<Self>) {}
}

/// A volume at four times.
fn states() -> [Vec<u8>; 4] {
    let mut first = noise(1, 20 * B);
    first.resize(50 * B, b'x');
    first.resize(SIZE, 0);
    let mut second = first.clone();
    second[3 * B..9 * B].fill(0);
    second[30 * B + 17] = 0;
    let mut third = second.clone();
    third[5 * B..30 * B].copy_from_slice(&noise(2, 25 * B));
    let mut fourth = third.clone();
    fourth[SIZE - 1] = 1;
    fourth[0] ^= 1;
    [first, second, third, fourth]
}

fn id(number: u32) -> String {
    format!("11111111-2222-4333-8444-{number:012}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cinder_restores_what_we_wrote_and_goes_on_with_it() {
    let Some(python) = python() else { return };
    let cinder = Cinder { python, root: tempfile::tempdir().unwrap() };
    let [first, second, third, fourth] = states();
    let full = cinder.is_given(&first, &id(1), Compression::Zlib, &[]).await;
    let link = cinder.is_given(&second, &id(2), Compression::None, &[&full]).await;
    cinder.assert_restores(&second, &[&full, &link]).await;
    let theirs = cinder.writes(&third, &id(3), "zlib", &[&full, &link]);
    let last = cinder.is_given(&fourth, &id(4), Compression::Zlib, &[&full, &link, &theirs]).await;
    cinder.assert_restores(&fourth, &[&full, &link, &theirs, &last]).await;
    let record = last.record().await;
    assert_eq!(record.parent_id.as_deref(), Some(id(3).as_str()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn we_restore_what_cinder_wrote_and_go_on_with_it() {
    let Some(python) = python() else { return };
    let cinder = Cinder { python, root: tempfile::tempdir().unwrap() };
    let [first, second, third, fourth] = states();
    let full = cinder.writes(&first, &id(1), "bz2", &[]);
    let link = cinder.writes(&second, &id(2), "none", &[&full]);
    cinder.assert_restores(&second, &[&full, &link]).await;
    let ours = cinder.is_given(&third, &id(3), Compression::Zlib, &[&full, &link]).await;
    let gzip = cinder.writes(&fourth, &id(4), "gzip", &[&full, &link, &ours]);
    cinder.assert_restores(&fourth, &[&full, &link, &ours, &gzip]).await;

    // A record is made of what lies there as Cinder made it.
    let record = link.record().await;
    let theirs = Record::decode(&record.backup_service, &link.url).unwrap();
    let record = record.below(cinder.root.path().to_str().unwrap()).unwrap();
    assert_eq!(record.id, theirs.id);
    assert_eq!((&record.container, &record.service_metadata), (&theirs.container, &theirs.service_metadata));
    assert_eq!((record.object_count, record.size, record.created_at), (theirs.object_count, theirs.size, theirs.created_at));
    assert_eq!((&record.display_name, &record.display_description), (&theirs.display_name, &theirs.display_description));
    assert_eq!((&record.parent_id, &record.volume_id), (&theirs.parent_id, &theirs.volume_id));
}
