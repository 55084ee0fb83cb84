//! The source keeps every promise of the contract.
//!
//! BR writes behind the sink's back, and the suite restores what went through it: so what was vouched for is handed to the sink as well.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use backup_core::source::{ArtifactOptions, ArtifactStream, ArtifactWriter};
use backup_core::store::ExternalLocation;
use backup_core::testkit::source_suite::{self, SourceFactory, TargetState, TestTarget};
use backup_core::{
    ArtifactName, BackupReader, Digest, Inspection, JobContext, Manifest, Probe, RestoreReport, RestoreTarget, Result, Sink,
    Source, Summary,
};
use futures::TryStreamExt;
use tempfile::TempDir;

use super::standin::{Place, StandIn};
use crate::br::BrSource;
use crate::br::meta::tests::encoder::{Laid, tools};

#[derive(Debug)]
struct Through {
    source: BrSource,
    standin: Arc<StandIn>,
}

/// Notes what is vouched for.
struct Noting<'a>(&'a dyn Sink, Mutex<Vec<ArtifactName>>);

#[async_trait]
impl Sink for Noting<'_> {
    async fn artifact(&self, name: &ArtifactName, options: ArtifactOptions) -> Result<Box<dyn ArtifactWriter>> {
        self.0.artifact(name, options).await
    }

    fn external_location(&self) -> Result<ExternalLocation> {
        self.0.external_location()
    }

    async fn read_external(&self, name: &ArtifactName) -> Result<ArtifactStream> {
        self.0.read_external(name).await
    }

    fn vouch(&self, name: &ArtifactName, size: u64, sha256: Digest) -> Result<()> {
        self.1.lock().unwrap().push(name.clone());
        self.0.vouch(name, size, sha256)
    }
}

/// A backup that can be reached from outside.
struct Reachable<'a>(&'a dyn BackupReader);

#[async_trait]
impl BackupReader for Reachable<'_> {
    fn manifest(&self) -> &Manifest {
        self.0.manifest()
    }

    fn artifacts(&self) -> Vec<ArtifactName> {
        self.0.artifacts()
    }

    fn external_location(&self) -> Option<ExternalLocation> {
        Some(ExternalLocation::new("file:///where/it/lies"))
    }

    async fn check_sizes(&self, cx: &JobContext) -> Result<()> {
        self.0.check_sizes(cx).await
    }

    async fn open(&self, cx: &JobContext, name: &ArtifactName) -> Result<ArtifactStream> {
        self.0.open(cx, name).await
    }

    async fn open_stored(&self, cx: &JobContext, name: &ArtifactName, range: Option<Range<u64>>) -> Result<ArtifactStream> {
        self.0.open_stored(cx, name, range).await
    }
}

#[async_trait]
impl Source for Through {
    fn kind(&self) -> &str {
        self.source.kind()
    }

    async fn probe(&self, cx: &JobContext) -> Result<Probe> {
        self.source.probe(cx).await
    }

    async fn capture(&self, cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        let noting = Noting(sink, Mutex::default());
        let summary = self.source.capture(cx, &noting).await?;
        let vouched = noting.1.lock().unwrap().clone();
        for name in vouched {
            let bytes: Vec<_> = sink.read_external(&name).await?.try_collect().await?;
            let mut writer = sink.artifact(&name, ArtifactOptions::default()).await?;
            for piece in bytes.concat().chunks(1000) {
                writer.write(piece.to_vec().into()).await?;
            }
            writer.close().await?;
        }
        Ok(summary)
    }

    async fn restore(&self, cx: &JobContext, reader: &dyn BackupReader, target: &RestoreTarget) -> Result<RestoreReport> {
        let before = self.standin.restored.lock().unwrap().len();
        let answer = self.source.restore(cx, &Reachable(reader), target).await;
        let orders = self.standin.restored.lock().unwrap().len() - before;
        RESTORED.with(|restored| restored.fetch_add(orders, Ordering::Relaxed));
        answer
    }

    async fn inspect(&self, cx: &JobContext, reader: &dyn BackupReader) -> Result<Inspection> {
        self.source.inspect(cx, reader).await
    }
}

thread_local! {
    /// Restores that BR was told to make, in this test's thread.
    static RESTORED: AtomicUsize = const { AtomicUsize::new(0) };
}

/// The cluster; BR makes it whole or does not touch it.
struct Target(usize);

#[async_trait]
impl TestTarget for Target {
    fn target(&self) -> RestoreTarget {
        RestoreTarget::new(serde_json::json!({ "cluster-version": "v6.5.3" }))
    }

    async fn state(&self) -> TargetState {
        match RESTORED.with(|restored| restored.load(Ordering::Relaxed)) - self.0 {
            0 => TargetState::Untouched,
            _ => TargetState::Good,
        }
    }
}

struct Clusters {
    laid: Laid,
    place: TempDir,
}

#[async_trait]
impl SourceFactory for Clusters {
    async fn fresh(&self) -> Arc<dyn Source> {
        let (source, standin) = StandIn::new(Place::Directory, self.laid.clone()).source();
        Arc::new(Through { source, standin })
    }

    fn deterministic(&self) -> bool {
        true
    }

    async fn external_location(&self) -> Option<ExternalLocation> {
        Some(ExternalLocation::new(format!("file://{}", self.place.path().display())))
    }

    async fn target(&self) -> Option<Box<dyn TestTarget>> {
        Some(Box::new(Target(RESTORED.with(|restored| restored.load(Ordering::Relaxed)))))
    }
}

#[tokio::test]
async fn the_source_conforms() {
    if tools() {
        source_suite::run(&Clusters { laid: Laid::default().v2(""), place: TempDir::new().unwrap() }).await;
    }
}
