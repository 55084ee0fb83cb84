//! The whole engine with real etcd servers: source, repository, store on disk, and back.
#![cfg(feature = "demo-etcd")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../../backup-sources/tests/support/etcd.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests of the sources; each uses a part")]
mod etcd;
mod faults;
mod round_trip;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use backup_core::repository::BackupInfo;
use backup_core::{BackupOutcome, BackupRequest, Compression, Repository, SetName, Source};
use backup_stores::fs::{FsConfig, FsStore};
use tempfile::TempDir;

/// A repository in a directory, one set in it, and how its backups are compressed.
struct Place {
    root: TempDir,
    repository: Repository,
    request: BackupRequest,
}

impl Place {
    fn new(compression: Compression) -> Self {
        let root = TempDir::new().unwrap();
        let store = FsStore::open(FsConfig::new(root.path())).unwrap();
        // The janitor shall not spare anything for being young.
        let repository = Repository::builder(Arc::new(store)).grace(Duration::ZERO).build();
        let request = BackupRequest::new(SetName::new("etcd/prod").unwrap()).compression(compression, None).skip_unchanged(None);
        Self { root, repository, request }
    }

    fn set(&self) -> &SetName {
        &self.request.set
    }

    async fn backup(&self, source: &dyn Source) -> BackupOutcome {
        self.repository.backup(&self.repository.context(), source, &self.request).await.unwrap()
    }

    async fn listed(&self) -> Vec<Arc<BackupInfo>> {
        self.repository.list(&self.repository.context(), self.set()).await.unwrap()
    }

    /// The file of a backup's only artifact, as it lies on disk.
    fn file(&self, backup: &BackupInfo) -> PathBuf {
        assert_eq!(backup.artifacts, 1);
        self.root.path().join(backup.first_key.as_ref().unwrap().as_str())
    }

    /// Every file on disk, whatever the store shows of it.
    fn files(&self) -> BTreeSet<PathBuf> {
        let mut files = BTreeSet::new();
        let mut pending = vec![self.root.path().to_owned()];
        while let Some(directory) = pending.pop() {
            for entry in std::fs::read_dir(&directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    pending.push(path);
                } else {
                    files.insert(path.strip_prefix(self.root.path()).unwrap().to_owned());
                }
            }
        }
        files
    }

    /// What the janitor finds is nothing, and it takes nothing away.
    async fn assert_clean(&self) {
        let before = self.files();
        let report = self.repository.janitor(&self.repository.context()).await.unwrap();
        assert!(report.problems.is_empty() && report.aborted.is_empty(), "{report:?}");
        let work = (report.objects, report.intents, report.removals, report.withdrawn, report.unfinished);
        assert_eq!(work, (0, 0, 0, 0, 0), "something was left to the janitor");
        assert_eq!(self.files(), before);
    }
}

/// A successful outcome that nobody has to read anything about.
fn completed(outcome: BackupOutcome) -> Arc<BackupInfo> {
    match outcome {
        BackupOutcome::Completed(info) => info,
        other => panic!("not completed: {other:?}"),
    }
}

fn run(program: &str, arguments: &[&dyn AsRef<std::ffi::OsStr>], directory: &Path) -> Vec<u8> {
    let output = std::process::Command::new(program).args(arguments).current_dir(directory).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; tools/packages.sh test brings it"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
