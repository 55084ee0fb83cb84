//! An etcd that dies, hangs, is compacted, or a job that is cancelled in the middle of a snapshot: nothing half-done stays.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use backup_core::{BackupId, BackupOutcome, Compression, Error, ErrorKind, JobContext, Result, Revision};
use backup_remote::testkit::{ConnectionFault, FaultyProxy, Gate, Harm, Which};
use backup_sources::etcd::{EtcdSource, Packaging};
use etcd_client::CompactionOptions;
use rustix::process::Signal;
use tokio::task::JoinHandle;

use crate::etcd::{Server, Setup, V3_6, assert_filled, fill, restore, server, tool};
use crate::{Place, completed};

/// More than all buffers between etcd and us hold.
const MIB: usize = 24;
/// So much of the snapshot is through when something happens.
const PASSED: u64 = 4 << 20;

/// A second backup that stands still in the middle of its snapshot.
struct HalfWay {
    place: Place,
    etcd: Server,
    proxy: FaultyProxy,
    gate: Gate,
    cx: JobContext,
    job: JoinHandle<Result<BackupOutcome>>,
    /// The backup before, and the files of it.
    first: BackupId,
    files: BTreeSet<PathBuf>,
}

impl HalfWay {
    async fn reached(packaging: Packaging, compression: Compression) -> Option<Self> {
        let program = server(V3_6)?;
        let etcd = Server::start(&program, &Setup { fast: true, ..Setup::default() }).await;
        let mut client = etcd.client().await;
        client.put("marker", "first", None).await.unwrap();

        let place = Place::new(compression);
        let mut config = etcd.config(None);
        config.packaging = packaging;
        let first = completed(place.backup(&EtcdSource::new(config.clone()).unwrap()).await).id.clone();
        let files = place.files();
        fill(&mut client, MIB, 1 << 20).await;

        let gate = Gate::default();
        let proxy = FaultyProxy::tcp(&etcd.url).await;
        let harm = Harm::Hold { after: PASSED, gate: gate.clone() };
        proxy.connections(Which::all(), ConnectionFault::ToClient(harm));
        config.endpoints = vec![proxy.url()];
        config.stall_timeout = Duration::from_secs(2);
        let cx = place.repository.context();
        let job = tokio::spawn({
            let (repository, request, cx) = (place.repository.clone(), place.request.clone(), cx.clone());
            async move { repository.backup(&cx, &EtcdSource::new(config).unwrap(), &request).await }
        });
        gate.reached().await;
        let half = Self { place, etcd, proxy, gate, cx, job, first, files };
        half.assert_nothing_new_is_listed().await;
        assert_eq!(half.new_files(".backup/intents"), 1, "the backup is not under way");
        while half.new_files(".backup/tmp") == 0 {
            tokio::task::yield_now().await;
        }
        Some(half)
    }

    async fn assert_nothing_new_is_listed(&self) {
        let listed: Vec<_> = self.place.listed().await.iter().map(|info| info.id.clone()).collect();
        assert_eq!(listed, std::slice::from_ref(&self.first));
    }

    fn new_files(&self, below: &str) -> usize {
        self.place.files().difference(&self.files).filter(|file| file.starts_with(below)).count()
    }

    /// The error of the backup; the disk is as it was before, at once and after the janitor.
    async fn failure(&mut self) -> Error {
        let error = (&mut self.job).await.unwrap().unwrap_err();
        assert_eq!(self.place.files(), self.files, "after: {error}");
        self.assert_nothing_new_is_listed().await;
        self.place.assert_clean().await;
        assert!(error.to_string().contains("etcd/prod"), "{error}");
        error
    }

    /// The next backup finds nothing in its way.
    async fn assert_next_succeeds(&self) {
        let source = EtcdSource::new(self.etcd.config(None)).unwrap();
        let next = completed(self.place.backup(&source).await);
        assert!(next.id > self.first);
        assert_eq!(self.place.listed().await.len(), 2);
        self.place.assert_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_etcd_killed_in_mid_snapshot_leaves_nothing() {
    let Some(mut half) = HalfWay::reached(Packaging::Tar, Compression::Gzip).await else { return };
    half.etcd.signal(Signal::KILL);
    half.gate.open();
    let error = half.failure().await;
    assert_eq!(error.code().name, "etcd.unreachable", "{error}");
    assert!(error.to_string().contains(&half.proxy.url()), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_etcd_that_hangs_in_mid_snapshot_leaves_nothing() {
    let Some(mut half) = HalfWay::reached(Packaging::Raw, Compression::None).await else { return };
    half.etcd.signal(Signal::STOP);
    half.gate.open();
    let error = half.failure().await;
    assert_eq!(error.code().name, "job.stalled", "{error}");
    assert!(error.to_string().contains(&half.proxy.url()), "{error}");
    half.etcd.signal(Signal::CONT);
    half.assert_next_succeeds().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_in_mid_snapshot_leaves_nothing() {
    let Some(mut half) = HalfWay::reached(Packaging::Raw, Compression::Zstd).await else { return };
    half.cx.cancel_token().cancel();
    // The gate stays closed: the job ends without another byte.
    let error = half.failure().await;
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    half.assert_next_succeeds().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compaction_in_mid_snapshot_does_no_harm() {
    let (Some(mut half), Some(_)) = (HalfWay::reached(Packaging::Raw, Compression::None).await, tool("etcdutl")) else { return };
    let mut client = half.etcd.client().await;
    let revision = client.status().await.unwrap().header().unwrap().revision();
    client.delete("key/000000", None).await.unwrap();
    client.compact(revision, Some(CompactionOptions::new().with_physical())).await.unwrap();
    half.gate.open();
    let info = completed((&mut half.job).await.unwrap().unwrap());
    assert_eq!(info.revision, Some(Revision::exact(u64::try_from(revision).unwrap())));
    half.place.assert_clean().await;

    let (_directory, data) = restore(&std::fs::read(half.place.file(&info)).unwrap());
    let restored = Server::start(&server(V3_6).unwrap(), &Setup { data: Some(&data), ..Setup::default() }).await;
    assert_filled(&mut restored.client().await, MIB, 1 << 20).await;
}
