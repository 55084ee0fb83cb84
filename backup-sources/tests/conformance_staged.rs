//! Staged scripts keep every promise of the contract of a source.
#![cfg(feature = "script")]
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use backup_core::testkit::source_suite::{self, SourceFactory, TargetState, TestTarget};
use backup_core::{RestoreTarget, Source, async_trait};
use backup_sources::script::{Stage, StagedSource};
use support::scripts::{Scripts, entries};

struct Factory {
    scripts: Scripts,
    into: PathBuf,
}

fn data() -> Vec<u8> {
    (0..200_000_u32).flat_map(|n| (n % 251).to_le_bytes()).collect()
}

impl Factory {
    fn new() -> Self {
        let scripts = Scripts::new();
        std::fs::write(scripts.path("data"), data()).unwrap();
        scripts.put(Stage::PreBackupLock, "mkdir \"$ROOT/locked\"");
        scripts.put(Stage::Backup, "cat \"$ROOT/data\" > \"$JOBS/$6/data\"");
        scripts.put(Stage::PostBackupUnlock, "rmdir \"$ROOT/locked\"");
        scripts.put(Stage::Restore, "cat \"$JOBS/$6/$5\" > \"$ROOT/into/part\" && mv \"$ROOT/into/part\" \"$ROOT/into/whole\"");
        let into = scripts.path("into");
        Self { scripts, into }
    }
}

#[async_trait]
impl SourceFactory for Factory {
    async fn fresh(&self) -> Arc<dyn Source> {
        let mut config = self.scripts.config();
        config.grace = Duration::from_secs(20);
        Arc::new(StagedSource::new(config).unwrap())
    }

    fn deterministic(&self) -> bool {
        true
    }

    async fn fingerprint(&self) -> Option<String> {
        let same = std::fs::read(self.scripts.path("data")).unwrap() == data();
        let [jobs, state] = ["jobs", "state"].map(|directory| entries(&self.scripts.path(directory)));
        let locked = self.scripts.path("locked").exists();
        Some(format!("same: {same}, locked: {locked}, jobs: {jobs:?}, state: {state:?}, running: {:?}", self.scripts.processes()))
    }

    async fn target(&self) -> Option<Box<dyn TestTarget>> {
        let _ = std::fs::remove_dir_all(&self.into);
        std::fs::create_dir(&self.into).unwrap();
        Some(Box::new(Place(self.into.clone())))
    }
}

/// What the `restore` script makes.
struct Place(PathBuf);

#[async_trait]
impl TestTarget for Place {
    fn target(&self) -> RestoreTarget {
        RestoreTarget::default()
    }

    async fn state(&self) -> TargetState {
        match std::fs::read(self.0.join("whole")) {
            Ok(bytes) if bytes == data() => TargetState::Good,
            Ok(_) => TargetState::Deceiving,
            Err(_) if entries(&self.0).is_empty() => TargetState::Untouched,
            Err(_) => TargetState::Unusable,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staged_scripts_keep_the_contract_of_a_source() {
    source_suite::run(&Factory::new()).await;
}
