//! A source over a few blobs in memory, good or with one defect.

use std::sync::Mutex;

use bytes::Bytes;
use futures::TryStreamExt;
use serde_json::Value;

use super::*;
use crate::context::JobContext;
use crate::error::{Error, Result, codes};
use crate::name::ArtifactName;
use crate::revision::Revision;
use crate::source::{ArtifactOptions, ArtifactWriter, BackupReader, Inspection, Probe, RestoreReport, Sink, Summary};
use crate::testkit::{SeededRandom, lock};

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Defect {
    ProbeCounts,
    ProbeLocks,
    LeaksWriter,
    DropsWriter,
    WritesNothing,
    LeavesLocked,
    OldRevision,
    OtherIdentity,
    Random,
    LocksForEverOnError,
    SwallowsWriteErrors,
    SwallowsCloseErrors,
    RenamesErrors,
    IgnoresCancel,
    HangsOnError,
    RestoresReversed,
    TellsGoodEarly,
    SwallowsReadErrors,
    DryRunWrites,
    DryRunReadsNothing,
    CriesWolf,
}

use Defect::*;

/// The factory, and the thing that is backed up.
pub(super) struct Toy {
    restores: bool,
    defect: Option<Defect>,
    thing: Arc<Thing>,
}

#[derive(Debug, Default)]
struct Thing {
    locked: Mutex<bool>,
    counter: Mutex<u64>,
    targets: Mutex<Vec<Target>>,
}

impl Thing {
    fn count(&self) -> u64 {
        let mut counter = lock(&self.counter);
        *counter += 1;
        *counter
    }
}

#[derive(Debug, Default, Clone)]
struct Target {
    blobs: Vec<(String, Vec<u8>)>,
    good: bool,
}

fn blobs() -> Vec<(String, Vec<u8>)> {
    [("first", 300_000), ("empty", 0), ("last", 100_001)]
        .map(|(name, size)| (name.to_owned(), SeededRandom::new(size as u64).bytes(size)))
        .to_vec()
}

impl Toy {
    pub(super) fn good() -> Self {
        Self { restores: true, defect: None, thing: Arc::default() }
    }

    pub(super) fn without_restore() -> Self {
        Self { restores: false, ..Self::good() }
    }

    pub(super) fn broken(defect: Defect) -> Self {
        Self { defect: Some(defect), ..Self::good() }
    }
}

#[async_trait]
impl SourceFactory for Toy {
    async fn fresh(&self) -> Arc<dyn Source> {
        Arc::new(ToySource { restores: self.restores, defect: self.defect, thing: self.thing.clone() })
    }

    fn deterministic(&self) -> bool {
        true
    }

    fn limit(&self) -> Duration {
        // Only the defect that hangs waits for it.
        if self.defect == Some(HangsOnError) { Duration::from_millis(200) } else { Duration::from_secs(30) }
    }

    async fn fingerprint(&self) -> Option<String> {
        Some(format!("locked: {}", lock(&self.thing.locked)))
    }

    async fn target(&self) -> Option<Box<dyn TestTarget>> {
        let mut targets = lock(&self.thing.targets);
        targets.push(Target::default());
        self.restores.then(|| Box::new(ToyTarget(self.thing.clone(), targets.len() - 1)) as Box<dyn TestTarget>)
    }
}

struct ToyTarget(Arc<Thing>, usize);

#[async_trait]
impl TestTarget for ToyTarget {
    fn target(&self) -> RestoreTarget {
        RestoreTarget::new(Value::from(self.1))
    }

    async fn state(&self) -> TargetState {
        let target = lock(&self.0.targets)[self.1].clone();
        match (target.good, target.blobs == blobs()) {
            (true, true) => TargetState::Good,
            (true, false) => TargetState::Deceiving,
            (false, _) if target.blobs.is_empty() => TargetState::Untouched,
            (false, _) => TargetState::Unusable,
        }
    }
}

#[derive(Debug)]
struct ToySource {
    restores: bool,
    defect: Option<Defect>,
    thing: Arc<Thing>,
}

impl ToySource {
    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    fn check(&self, cx: &JobContext) -> Result<()> {
        if self.has(IgnoresCancel) { Ok(()) } else { cx.check() }
    }

    async fn write(&self, sink: &dyn Sink) -> Result<()> {
        for (name, bytes) in blobs() {
            let mut writer = sink.artifact(&ArtifactName::new(name)?, ArtifactOptions::default()).await?;
            for piece in bytes.chunks(40_000) {
                let wrote = writer.write(Bytes::copy_from_slice(piece)).await;
                if self.has(SwallowsWriteErrors) && wrote.is_err() {
                    return Ok(());
                }
                wrote?;
            }
            if self.has(Random) {
                let number = Bytes::from(self.thing.count().to_string());
                writer.write(number).await?;
            }
            self.close(writer).await?;
        }
        Ok(())
    }

    async fn close(&self, writer: Box<dyn ArtifactWriter>) -> Result<()> {
        match self.defect {
            Some(LeaksWriter) => std::mem::forget(writer),
            Some(DropsWriter) => drop(writer),
            Some(SwallowsCloseErrors) => drop(writer.close().await),
            _ => {
                writer.close().await?;
            }
        }
        Ok(())
    }

    async fn read(&self, cx: &JobContext, reader: &dyn BackupReader, name: &ArtifactName) -> Result<Vec<u8>> {
        let mut stream = reader.open(cx, name).await?;
        let mut bytes = Vec::new();
        loop {
            match stream.try_next().await {
                Ok(Some(piece)) => bytes.extend_from_slice(&piece),
                Ok(None) => return Ok(bytes),
                Err(_) if self.has(SwallowsReadErrors) => return Ok(bytes),
                Err(error) => return Err(error),
            }
        }
    }
}

#[async_trait]
impl Source for ToySource {
    fn kind(&self) -> &str {
        "toy"
    }

    async fn probe(&self, cx: &JobContext) -> Result<Probe> {
        self.check(cx)?;
        *lock(&self.thing.counter) += u64::from(self.has(ProbeCounts));
        *lock(&self.thing.locked) |= self.has(ProbeLocks);
        Ok(Probe::default().identity("toy-1").revision(Revision::exact(10 + *lock(&self.thing.counter))))
    }

    async fn capture(&self, cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        self.check(cx)?;
        *lock(&self.thing.locked) = true;
        let wrote = if self.has(WritesNothing) { Ok(()) } else { self.write(sink).await };
        let keeps_lock = self.has(LeavesLocked) || (self.has(LocksForEverOnError) && wrote.is_err());
        *lock(&self.thing.locked) = keeps_lock;
        if self.has(HangsOnError) && wrote.is_err() {
            std::future::pending::<()>().await;
        }
        if self.has(RenamesErrors) {
            wrote.map_err(|_| Error::new(&codes::SOURCE_FAILED, "something failed"))?;
        } else {
            wrote?;
        }
        let revision = Revision::exact(if self.has(OldRevision) { 9 } else { 10 });
        Ok(Summary::default().revision(revision).identity(if self.has(OtherIdentity) { "toy-2" } else { "toy-1" }))
    }

    async fn restore(&self, cx: &JobContext, reader: &dyn BackupReader, target: &RestoreTarget) -> Result<RestoreReport> {
        if !self.restores {
            return Err(Error::new(&codes::SOURCE_UNSUPPORTED, "a toy does not restore"));
        }
        self.check(cx)?;
        let own = self.has(IgnoresCancel).then(|| crate::testkit::test_context(cx.environment()));
        let cx = own.as_ref().unwrap_or(cx);
        let number: usize = target.parse()?;
        let change = |change: &dyn Fn(&mut Target)| {
            if !target.dry_run || self.has(DryRunWrites) {
                change(&mut lock(&self.thing.targets)[number]);
            }
        };
        if target.dry_run && self.has(DryRunReadsNothing) {
            return Ok(RestoreReport::default());
        }
        let mut total = 0;
        for name in reader.artifacts() {
            if self.has(TellsGoodEarly) {
                change(&|target| target.good = true);
            }
            let mut bytes = self.read(cx, reader, &name).await?;
            if self.has(RestoresReversed) {
                bytes.reverse();
            }
            total += bytes.len() as u64;
            change(&|target| target.blobs.push((name.to_string(), bytes.clone())));
        }
        change(&|target| target.good = true);
        Ok(RestoreReport::new(total))
    }

    async fn inspect(&self, _cx: &JobContext, _reader: &dyn BackupReader) -> Result<Inspection> {
        Ok(if self.has(CriesWolf) { Inspection::default().fault("wolf") } else { Inspection::default() })
    }
}
