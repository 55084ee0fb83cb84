//! The source over a stand-in of `br`: what it leaves is read back, vouched for, and restored.
#![cfg(all(feature = "br", target_os = "linux"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/br.rs"]
mod br;

use std::sync::Arc;

use backup_core::event::TracingObserver;
use backup_core::store::ExternalLocation;
use backup_core::testkit::{MemoryReader, RecordingSink};
use backup_core::{Environment, JobContext, RestoreTarget, Source, Summary};
use backup_sources::br::{BrConfig, BrSource, Encryption, ExecutorConfig, Tso};
use br::{StandIn, StandInPd, lives};

const DATA: &[u8] = b"the first of the data, and the rest of it";

struct Setup {
    br: StandIn,
    pd: StandInPd,
    sink: RecordingSink,
}

impl Setup {
    async fn new() -> Self {
        let setup = Self { br: StandIn::new(), pd: StandInPd::start().await, sink: RecordingSink::default() };
        setup.sink.set_external_location(setup.place());
        setup
    }

    fn place(&self) -> ExternalLocation {
        ExternalLocation::new(format!("file://{}", self.br.path("place").display()))
    }

    fn config(&self) -> BrConfig {
        let settings = serde_json::json!({ "br": { "binary": self.br.binary(), "pd": [self.pd.address], "grace": "20s" } });
        let mut executor: ExecutorConfig = serde_json::from_value(settings).unwrap();
        if let ExecutorConfig::Br(program) = &mut executor {
            program.notes = self.br.path("notes");
        }
        BrConfig::new(executor)
    }

    fn source(&self) -> BrSource {
        BrSource::new(self.config()).unwrap()
    }

    /// The backup that the sink was told of.
    fn reader(&self) -> MemoryReader {
        let mut artifacts = Vec::new();
        for (name, size, _) in self.sink.vouched() {
            let bytes = std::fs::read(self.br.path("place").join(name.as_str())).unwrap();
            assert_eq!(bytes.len() as u64, size, "{name}");
            artifacts.push((name.to_string(), bytes));
        }
        let artifacts: Vec<_> = artifacts.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
        MemoryReader::of("br", &artifacts).external_location(self.place())
    }
}

fn cx() -> JobContext {
    JobContext::new(Environment::default(), Arc::new(TracingObserver))
}

fn revision(summary: &Summary) -> String {
    format!("{:?}", summary.revision)
}

#[tokio::test]
async fn a_backup_is_vouched_for_from_its_metadata_and_goes_back() {
    let setup = Setup::new().await;
    setup.br.control("BACKUP_TS=439330705621123078");
    let source = setup.source();
    let probe = source.probe(&cx()).await.unwrap();
    assert_eq!((probe.identity.as_deref(), probe.version.as_deref()), (Some("7123456789012345678"), Some("6.5.0")));
    let summary = source.capture(&cx(), &setup.sink).await.unwrap();
    assert_eq!((summary.identity.as_deref(), summary.version.as_deref()), (Some("7123456789012345678"), Some("6.5.0")));
    assert!(revision(&summary).contains("439330705621123078"), "{}", revision(&summary));
    let mut names: Vec<_> = setup.sink.vouched().iter().map(|(name, ..)| name.to_string()).collect();
    names.sort();
    assert_eq!((names.len(), names[2].as_str()), (3, "backupmeta"), "{names:?}");

    let reader = setup.reader();
    let inspection = source.inspect(&cx(), &reader).await.unwrap();
    assert_eq!(inspection.faults, Vec::<String>::new());
    source.restore(&cx(), &reader, &RestoreTarget::default()).await.unwrap();
    assert_eq!(setup.br.restored().unwrap(), DATA);
}

#[tokio::test]
async fn an_incremental_and_an_encrypted_one_are_what_was_ordered() {
    let setup = Setup::new().await;
    let mut config = setup.config();
    let encryption = serde_json::json!({ "method": "aes256-ctr", "key": "0123456789abcdef".repeat(4) });
    config.encryption = Some(serde_json::from_value::<Encryption>(encryption).unwrap());
    let source = BrSource::new(config).unwrap().incremental(Tso(439_330_705_621_123_078));
    source.capture(&cx(), &setup.sink).await.unwrap();
    let argv = setup.br.run().argv;
    assert!(argv.contains(&"--lastbackupts=439330705621123078".to_owned()), "{argv:?}");
    source.restore(&cx(), &setup.reader(), &RestoreTarget::default()).await.unwrap();
    assert_eq!(setup.br.restored().unwrap(), DATA);
}

#[tokio::test]
async fn a_success_without_metadata_is_none() {
    let setup = Setup::new().await;
    setup.br.control("WITHOUT_META=1");
    let error = setup.source().capture(&cx(), &setup.sink).await.unwrap_err();
    assert_eq!(error.code().name, "br.not_whole", "{error}");
    assert!(setup.sink.vouched().is_empty());
}

#[tokio::test]
async fn a_cancelled_capture_vouches_for_nothing_and_leaves_nothing_running() {
    let setup = Setup::new().await;
    setup.br.hold();
    let (cx, source) = (cx(), setup.source());
    let cancel = async {
        setup.br.reached().await;
        cx.cancel_token().cancel();
    };
    let (outcome, ()) = tokio::join!(source.capture(&cx, &setup.sink), cancel);
    assert_eq!(outcome.unwrap_err().code().name, "job.cancelled");
    assert!(setup.sink.vouched().is_empty() && !lives(setup.br.run().pid));
    assert_eq!(source.end_leftovers(&cx.for_cleanup(std::time::Duration::from_secs(60)), &setup.place()).await.unwrap(), 0);
}
