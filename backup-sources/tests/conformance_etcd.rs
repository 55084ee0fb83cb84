//! The etcd source keeps every promise of the contract against a real server, in both packagings and to both targets.
#![cfg(feature = "etcd")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backup_core::testkit::source_suite::{self, SourceFactory, TargetState, TestTarget};
use backup_core::{RestoreTarget, Source, async_trait};
use backup_sources::etcd::{EtcdSource, Packaging};
use etcd_client::GetOptions;
use serde_json::json;
use support::etcd::{Server, Setup, V3_6, assert_filled, etcdutl, fill, server, tool};
use support::{RecordingSink, context};
use tempfile::TempDir;

const KEYS: usize = 40;
const SIZE: usize = 30_000;

struct Clusters {
    etcd: Server,
    revision: u64,
    packaging: Packaging,
    data_dir: bool,
}

impl Clusters {
    async fn new(packaging: Packaging, data_dir: bool) -> Option<Self> {
        let (program, _) = (server(V3_6)?, tool("etcdutl")?);
        let etcd = Server::start(&program, &Setup { fast: true, ..Setup::default() }).await;
        let revision = fill(&mut etcd.client().await, KEYS, SIZE).await;
        let clusters = Self { etcd, revision, packaging, data_dir };
        // A snapshot makes etcd commit what it holds back for 100 ms; until then the size it tells grows by itself.
        clusters.fresh().await.capture(&context(), &RecordingSink::default()).await.unwrap();
        Some(clusters)
    }

    /// Snapshot calls that the server has begun and not ended.
    fn open_snapshots(&self) -> u64 {
        let mut stream = TcpStream::connect(self.etcd.url.strip_prefix("http://").unwrap()).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let sum = |name: &str| -> u64 {
            let lines = text.lines().filter(|line| line.starts_with(name) && line.contains("grpc_method=\"Snapshot\""));
            lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
        };
        assert!(text.contains("grpc_server_started_total{"), "the server counts no calls: {text:.300}");
        sum("grpc_server_started_total") - sum("grpc_server_handled_total")
    }
}

#[async_trait]
impl SourceFactory for Clusters {
    async fn fresh(&self) -> Arc<dyn Source> {
        let mut config = self.etcd.config(None);
        config.packaging = self.packaging;
        Arc::new(EtcdSource::new(config).unwrap())
    }

    async fn fingerprint(&self) -> Option<String> {
        let mut client = self.etcd.client().await;
        let all = client.get("", Some(GetOptions::new().with_all_keys())).await.unwrap();
        let alarms = client.alarm(etcd_client::AlarmAction::Get, etcd_client::AlarmType::None, None).await.unwrap();
        // The server hears of a call that was given up a moment later.
        let began = Instant::now();
        while self.open_snapshots() > 0 && began.elapsed() < Duration::from_secs(10) {
            tokio::task::yield_now().await;
        }
        Some(format!(
            "revision {}, {} keys, {} alarms, open snapshots {}",
            all.header().unwrap().revision(),
            all.count(),
            alarms.alarms().len(),
            self.open_snapshots()
        ))
    }

    async fn target(&self) -> Option<Box<dyn TestTarget>> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("restored");
        Some(match self.data_dir {
            true => Box::new(DataDir { directory, path }),
            false => Box::new(SnapshotFile { directory, path, revision: self.revision }),
        })
    }
}

/// Something under the place that a restore was to make, or around it.
fn is_touched(directory: &TempDir) -> bool {
    std::fs::read_dir(directory.path()).unwrap().next().is_some()
}

struct SnapshotFile {
    directory: TempDir,
    path: PathBuf,
    revision: u64,
}

#[async_trait]
impl TestTarget for SnapshotFile {
    fn target(&self) -> RestoreTarget {
        RestoreTarget::new(json!({ "snapshot-file": self.path }))
    }

    async fn state(&self) -> TargetState {
        let Ok(snapshot) = std::fs::read(&self.path) else {
            return if is_touched(&self.directory) { TargetState::Unusable } else { TargetState::Untouched };
        };
        // Refuses what its trailer does not fit.
        support::etcd::restore(&snapshot);
        let output = etcdutl(&["snapshot", "status", "--write-out=json"]).arg(&self.path).output().unwrap();
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        match status["revision"] == self.revision {
            true => TargetState::Good,
            false => TargetState::Deceiving,
        }
    }
}

struct DataDir {
    directory: TempDir,
    path: PathBuf,
}

#[async_trait]
impl TestTarget for DataDir {
    fn target(&self) -> RestoreTarget {
        RestoreTarget::new(json!({ "data-dir": self.path, "etcdutl": tool("etcdutl").unwrap() }))
    }

    async fn state(&self) -> TargetState {
        if !self.path.join("member").exists() {
            return if is_touched(&self.directory) { TargetState::Unusable } else { TargetState::Untouched };
        }
        let setup = Setup { data: Some(&self.path), fast: true, ..Setup::default() };
        let member = Server::start(&server(V3_6).unwrap(), &setup).await;
        // Anything but every key fails the check where it stands.
        assert_filled(&mut member.client().await, KEYS, SIZE).await;
        TargetState::Good
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcd_keeps_the_contract_of_a_source_restored_into_a_snapshot_file() {
    let Some(clusters) = Clusters::new(Packaging::Raw, false).await else { return };
    source_suite::run(&clusters).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcd_in_a_tar_keeps_the_contract_of_a_source_restored_into_a_data_directory() {
    let Some(clusters) = Clusters::new(Packaging::Tar, true).await else { return };
    source_suite::run(&clusters).await;
}
