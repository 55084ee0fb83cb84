//! A repository in a directory, a source that makes its bytes, and a look at what lies there.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses its part of it")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use backup_core::environment::{SystemClock, SystemRandom};
use backup_core::naming::{Adoptable, NameRequest, Naming};
use backup_core::source::{ArtifactOptions, BackupReader, Probe, Sink, Source, Summary};
use backup_core::{
    ArtifactName, Bytes, Clock, Compression, Environment, JobContext, KeyPrefix, ObjectKey, ObjectMeta, Repository, Result,
    SetName, Store, async_trait,
};
use backup_stores::fs::{FsConfig, FsStore};
use chrono::{DateTime, Utc};
use futures::TryStreamExt;

pub fn store(root: &Path) -> Arc<dyn Store> {
    Arc::new(FsStore::open(FsConfig::new(root)).unwrap())
}

/// One artifact of so many bytes, made as they are written.
#[derive(Debug)]
pub struct Generated {
    size: u64,
}

const PIECE: usize = 256 << 10;

impl Generated {
    pub fn new(size: u64) -> Self {
        Self { size }
    }

    fn piece(&self, number: u64) -> Bytes {
        let len = (self.size - number * PIECE as u64).min(PIECE as u64) as usize;
        let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Half of it compresses.
            bytes.extend_from_slice(&(state & 0xffff_ffff_0000_0000).to_be_bytes());
        }
        bytes.truncate(len);
        bytes.into()
    }

    fn pieces(&self) -> impl Iterator<Item = Bytes> {
        (0..self.size.div_ceil(PIECE as u64)).map(|number| self.piece(number))
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.pieces().collect::<Vec<_>>().concat()
    }
}

#[async_trait]
impl Source for Generated {
    fn kind(&self) -> &str {
        "generated"
    }

    async fn probe(&self, _: &JobContext) -> Result<Probe> {
        Ok(Probe::default().size_hint(self.size))
    }

    async fn capture(&self, cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        let mut writer = sink.artifact(&ArtifactName::new("dump")?, ArtifactOptions::default().size_hint(self.size)).await?;
        for piece in self.pieces() {
            cx.check()?;
            writer.write(piece).await?;
        }
        writer.close().await?;
        Ok(Summary::default())
    }
}

/// `dumps/<id>.dump`: names that the backup does not own alone; other files there are adopted.
#[derive(Debug)]
pub struct Dumps;

impl Naming for Dumps {
    fn artifact_key(&self, request: NameRequest<'_>) -> Result<ObjectKey> {
        ObjectKey::new(format!("dumps/{}.dump{}", request.id, request.compression.suffix()))
    }

    fn adoptable_prefix(&self, _: &SetName) -> Option<KeyPrefix> {
        KeyPrefix::new("dumps").ok()
    }

    fn adopt(&self, _: &SetName, object: &ObjectMeta) -> Option<Adoptable> {
        let gzip = object.key.file_name().ends_with(".gz");
        Some(Adoptable {
            artifact: "dump".parse().ok()?,
            compression: if gzip { Compression::Gzip } else { Compression::None },
            created_at: object.modified?,
            order: None,
            revision: None,
            version: None,
            group: None,
        })
    }
}

/// The machine's clock, so much later.
#[derive(Debug)]
pub struct LaterClock(Duration);

impl LaterClock {
    pub fn environment(later: Duration) -> Environment {
        Environment::new(Arc::new(Self(later)), Arc::new(SystemRandom))
    }
}

#[async_trait]
impl Clock for LaterClock {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now() + self.0
    }

    fn monotonic(&self) -> Duration {
        SystemClock.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        SystemClock.sleep(duration).await;
    }
}

pub async fn read(cx: &JobContext, backup: &dyn BackupReader, name: &ArtifactName) -> Result<Vec<u8>> {
    let pieces: Vec<Bytes> = backup.open(cx, name).await?.try_collect().await?;
    Ok(pieces.concat())
}

/// The files below `root` that no listed backup accounts for, temporary ones included; aborted records are accounted for.
pub async fn orphans(repository: &Repository, root: &Path, set: &SetName) -> Vec<String> {
    let cx = repository.context();
    let mut known = BTreeSet::new();
    for info in repository.list(&cx, set).await.unwrap() {
        known.extend(info.first_key.iter().map(ToString::to_string));
    }
    let ours = |key: &str| [".backup/sets/", ".backup/verified/", ".backup/pins/"].iter().any(|place| key.starts_with(place));
    let mut found = Vec::new();
    let mut dirs = vec![root.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let key = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                dirs.push(path);
            } else if !known.contains(&key) && !ours(&key) {
                found.push(key);
            }
        }
    }
    found
}

/// The most memory this process ever had resident, in bytes.
pub fn peak_memory() -> u64 {
    status("VmHWM:")
}

/// The memory this process has resident now, in bytes.
pub fn memory() -> u64 {
    status("VmRSS:")
}

fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}
