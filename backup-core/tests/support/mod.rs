//! A small world: a simulated store, a virtual clock, a repository, and a source whose bytes the test knows.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses its part of it")]

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use backup_core::cpu::CpuPool;
use backup_core::repository::{BackupRequest, Repository};
use backup_core::source::{ArtifactOptions, BackupReader, Probe, Sink, Source, Summary};
use backup_core::testkit::{SimStore, VirtualClock, test_environment};
use backup_core::{ArtifactName, Bytes, Environment, JobContext, Result, Revision, SetName, async_trait};
use futures::TryStreamExt;

pub const TTL: Duration = Duration::from_secs(3600);
pub const GRACE: Duration = Duration::from_secs(3600);

pub struct World {
    pub store: SimStore,
    pub clock: Arc<VirtualClock>,
    pub repository: Repository,
    pub set: SetName,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let (environment, clock) = test_environment(seed);
        clock.auto_advance_up_to(Duration::from_secs(10));
        let store = SimStore::new(clock.clone());
        let repository = repository(&store, environment);
        Self { store, clock, repository, set: SetName::new("test/set").unwrap() }
    }

    /// The same store after the process died: nothing remembered, other ids.
    pub fn after_crash(&self, seed: u64) -> Self {
        self.with_store(self.store.restart(), seed ^ 0xdead)
    }

    /// Another process on the same store, at the same time.
    pub fn beside(&self, seed: u64) -> Self {
        self.with_store(self.store.another_process(), seed ^ 0xbeef)
    }

    fn with_store(&self, store: SimStore, seed: u64) -> Self {
        let environment = Environment::new(self.clock.clone(), test_environment(seed).0.random);
        Self { repository: repository(&store, environment), store, clock: self.clock.clone(), set: self.set.clone() }
    }

    pub fn cx(&self) -> JobContext {
        self.repository.context()
    }

    pub fn request(&self) -> BackupRequest {
        BackupRequest::new(self.set.clone())
    }

    /// Everything of every published backup, read through the checks, as `id -> artifact -> bytes`.
    pub async fn restore_all(&self) -> Vec<Vec<(String, Vec<u8>)>> {
        let cx = self.cx();
        let mut all = Vec::new();
        for info in self.repository.list(&cx, &self.set).await.unwrap() {
            let backup = self.repository.open(&cx, &self.set, &info.id).await.unwrap();
            let mut artifacts = Vec::new();
            for name in backup.artifacts() {
                artifacts.push((name.to_string(), read(&cx, &backup, &name).await.unwrap()));
            }
            all.push(artifacts);
        }
        all
    }

    /// Runs the janitor until long after every grace, and again.
    pub async fn janitor_to_the_end(&self) {
        for _ in 0..4 {
            self.clock.advance(TTL + GRACE * 3);
            let report = self.repository.janitor(&self.cx()).await.unwrap();
            assert!(report.problems.is_empty(), "{report:?}");
        }
    }

    /// The keys of objects that no manifest and no aborted record accounts for.
    pub async fn orphans(&self) -> Vec<String> {
        let mut known = std::collections::BTreeSet::new();
        let cx = self.cx();
        for info in self.repository.list(&cx, &self.set).await.unwrap() {
            let backup = self.repository.open(&cx, &self.set, &info.id).await.unwrap();
            known.extend(backup.entries().iter().map(|artifact| artifact.key.to_string()));
            known.extend(backup.manifest().inventory.iter().map(|inventory| inventory.key.to_string()));
        }
        let ours = |key: &String| {
            key.starts_with(".backup/sets/") || key.starts_with(".backup/pins/") || key.starts_with(".backup/verified/")
        };
        self.store.keys().into_iter().filter(|key| !known.contains(key) && !ours(key)).collect()
    }
}

fn repository(store: &SimStore, environment: Environment) -> Repository {
    let builder = Repository::builder(Arc::new(store.clone())).environment(environment).cpu(CpuPool::inline());
    builder.intent_ttl(TTL).grace(GRACE).build()
}

pub async fn read(cx: &JobContext, backup: &dyn BackupReader, name: &ArtifactName) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut stream = backup.open(cx, name).await?;
    while let Some(piece) = stream.try_next().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// A source with bytes and a revision that the test sets.
#[derive(Debug, Default)]
pub struct Data {
    pub artifacts: Mutex<Vec<(String, Vec<u8>)>>,
    pub revision: Mutex<Option<Revision>>,
    pub identity: Mutex<String>,
    /// Fail after so many artifacts.
    pub fail_after: Option<usize>,
    /// Hand each artifact over in one write.
    pub in_one_write: bool,
}

impl Data {
    pub fn new(artifacts: &[(&str, Vec<u8>)]) -> Self {
        let artifacts = artifacts.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.clone())).collect();
        Self { artifacts: Mutex::new(artifacts), identity: Mutex::new("one".into()), ..Self::default() }
    }

    pub fn at(self, revision: Revision) -> Self {
        self.move_to(revision);
        self
    }

    pub fn move_to(&self, revision: Revision) {
        *self.revision.lock().unwrap() = Some(revision);
    }

    pub fn content(&self) -> Vec<(String, Vec<u8>)> {
        self.artifacts.lock().unwrap().clone()
    }
}

#[async_trait]
impl Source for Data {
    fn kind(&self) -> &str {
        "data"
    }

    async fn probe(&self, _: &JobContext) -> Result<Probe> {
        let probe = Probe::default().identity(self.identity.lock().unwrap().clone()).version("1.2.3");
        Ok(match self.revision.lock().unwrap().clone() {
            Some(revision) => probe.revision(revision),
            None => probe,
        })
    }

    async fn capture(&self, cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        for (count, (name, bytes)) in self.content().into_iter().enumerate() {
            if self.fail_after == Some(count) {
                return Err(backup_core::Error::new(&backup_core::error::codes::SOURCE_FAILED, "told to fail"));
            }
            let options = ArtifactOptions::default().size_hint(bytes.len() as u64);
            let mut writer = sink.artifact(&ArtifactName::new(name)?, options).await?;
            for piece in bytes.chunks(if self.in_one_write { usize::MAX } else { 300_000 }) {
                cx.check()?;
                writer.write(Bytes::copy_from_slice(piece)).await?;
            }
            writer.close().await?;
        }
        let summary = Summary::default();
        Ok(match self.revision.lock().unwrap().clone() {
            Some(revision) => summary.revision(revision),
            None => summary,
        })
    }
}

/// Bytes that compress somewhat and differ by seed.
pub fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|at| {
            if at % 3 == 0 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            }
            (state >> 56) as u8
        })
        .collect()
}
