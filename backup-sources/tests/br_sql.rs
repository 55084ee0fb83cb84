//! The source over a stand-in of TiDB: what BACKUP leaves is read back, vouched for, and restored.
#![cfg(feature = "br")]
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "support/tidb.rs"]
mod tidb;

use std::sync::Arc;

use backup_core::event::TracingObserver;
use backup_core::store::ExternalLocation;
use backup_core::testkit::{MemoryReader, RecordingSink, note_secret};
use backup_core::{Environment, JobContext, RestoreTarget, Revision, Source};
use backup_sources::br::{BrConfig, BrSource, ExecutorConfig, SqlConfig, Tso};
use tempfile::TempDir;
use tidb::TidbServer;

struct Setup {
    server: TidbServer,
    directory: TempDir,
    sink: RecordingSink,
}

impl Setup {
    async fn new() -> Self {
        let setup =
            Self { server: TidbServer::start().await, directory: tempfile::tempdir().unwrap(), sink: RecordingSink::default() };
        setup.server.set(|behaviour| behaviour.cluster_id = Some(tidb::CLUSTER_ID.to_string()));
        setup.sink.set_external_location(setup.place());
        setup
    }

    fn place(&self) -> ExternalLocation {
        ExternalLocation::new(format!("file://{}/it's 100%/", self.directory.path().display()))
    }

    fn source(&self) -> BrSource {
        let password = "tidb-root-password";
        note_secret(password);
        let sql = SqlConfig::new(self.server.address(), "root", password.into());
        BrSource::new(BrConfig::new(ExecutorConfig::Sql(sql))).unwrap()
    }

    /// The backup that the sink was told of.
    fn reader(&self) -> MemoryReader {
        let place = self.directory.path().join("it's 100%");
        let read = |name: &str| std::fs::read(place.join(name)).unwrap();
        let artifacts: Vec<_> = self.sink.vouched().iter().map(|(name, ..)| (name.to_string(), read(name.as_str()))).collect();
        let artifacts: Vec<_> = artifacts.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
        MemoryReader::of("br", &artifacts).external_location(self.place())
    }
}

fn cx() -> JobContext {
    JobContext::new(Environment::default(), Arc::new(TracingObserver))
}

#[tokio::test]
async fn a_backup_is_vouched_for_from_its_metadata_and_goes_back() {
    let setup = Setup::new().await;
    let source = setup.source();
    let probe = source.probe(&cx()).await.unwrap();
    assert_eq!((probe.identity, probe.version.as_deref()), (Some(tidb::CLUSTER_ID.to_string()), Some("7.5.0")));
    let summary = source.capture(&cx(), &setup.sink).await.unwrap();
    assert_eq!(summary.revision, Some(Revision::exact(setup.server.task().backup_ts)));
    assert_eq!((summary.identity, summary.version.as_deref()), (Some(tidb::CLUSTER_ID.to_string()), Some("7.5.0")));
    assert_eq!(setup.sink.vouched().len(), 4, "three files and their metadata: {:?}", setup.sink.vouched());

    let reader = setup.reader();
    assert_eq!(source.inspect(&cx(), &reader).await.unwrap().faults, Vec::<String>::new());
    source.restore(&cx(), &reader, &RestoreTarget::default()).await.unwrap();
    let task = setup.server.task();
    assert!(!task.order.backup && !task.running(), "{task:?}");
}

#[tokio::test]
async fn an_incremental_one_begins_where_its_parent_ends() {
    let setup = Setup::new().await;
    let since = Tso(439_330_705_621_123_078);
    setup.server.set(|behaviour| behaviour.gc_safe_point = Some("20220428-16:00:42.191 +0800".into()));
    assert!(setup.source().gc_safe_point(&cx()).await.unwrap().unwrap() < since);
    setup.source().incremental(since).capture(&cx(), &setup.sink).await.unwrap();
    let options = setup.server.task().order.options;
    assert_eq!(options.get("LAST_BACKUP"), Some(&since.to_string()));
}

#[tokio::test]
async fn a_cancelled_capture_vouches_for_nothing_and_leaves_nothing_working() {
    let setup = Setup::new().await;
    setup.server.set(|behaviour| behaviour.hold = Some("Backup".into()));
    let (cx, source) = (cx(), setup.source());
    let cancel = async {
        setup.server.until_state("Backup").await;
        cx.cancel_token().cancel();
    };
    let (outcome, ()) = tokio::join!(source.capture(&cx, &setup.sink), cancel);
    assert_eq!(outcome.unwrap_err().code().name, "job.cancelled");
    assert!(setup.sink.vouched().is_empty() && !setup.server.task().running());
    let cleanup = cx.for_cleanup(std::time::Duration::from_secs(60));
    assert_eq!(source.end_leftovers(&cleanup, &setup.place()).await.unwrap(), 0);
}
