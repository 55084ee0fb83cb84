//! A repository written by format version 1 lies in `testdata/`; every later version must list, verify and restore it.
//!
//! It is written once for each version of the format, never again: `WRITE_GOLDEN=1` refuses to touch an existing one.
#![cfg(feature = "fs")]
#![allow(clippy::unwrap_used, reason = "test helpers stand outside of the test functions")]

mod support;

use std::path::{Path, PathBuf};

use backup_core::repository::VerifyLevel;
use backup_core::source::BackupReader;
use backup_core::{BackupRequest, Compression, Digest, Repository, SetName};
use backup_stores::fs::{FsConfig, FsStore};
use support::{Generated, store};

const SIZE: u64 = 3000;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/format-v1")
}

/// A copy: a verify writes its record.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, name) = {
            let entry = entry.unwrap();
            (entry.path(), entry.file_name())
        };
        if path.is_dir() { copy(&path, &to.join(name)) } else { std::fs::copy(&path, to.join(name)).map(drop).unwrap() }
    }
}

#[tokio::test]
async fn a_repository_of_format_version_1_is_listed_verified_and_restored() {
    let set = SetName::new("golden/set").unwrap();
    if std::env::var_os("WRITE_GOLDEN").is_some() {
        assert!(!golden().exists(), "format version 1 was written already; a new version gets a directory of its own");
        let repository = Repository::builder(store(&golden())).build();
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let request = BackupRequest::new(set.clone()).compression(compression, None).label("made-for", "golden test");
            repository.backup(&repository.context(), &Generated::new(SIZE), &request).await.unwrap();
        }
        let first = repository.list(&repository.context(), &set).await.unwrap().remove(0);
        repository.pin(&repository.context(), &set, &first.id, "the oldest").await.unwrap();
        let _report = repository.verify(&repository.context(), &set, &first.id, VerifyLevel::Digest, None).await.unwrap();
    }

    let dir = tempfile::TempDir::new().unwrap();
    copy(&golden(), dir.path());
    let store = FsStore::open(FsConfig::new(dir.path())).unwrap();
    let repository = Repository::builder(std::sync::Arc::new(store)).build();
    let cx = repository.context();
    assert_eq!(repository.sets(&cx).await.unwrap(), std::slice::from_ref(&set));
    let listed = repository.list(&cx, &set).await.unwrap();
    assert_eq!(listed.len(), 3);
    assert!(listed[0].pinned && listed[0].verified.is_some_and(|(_, good)| good));
    for info in listed {
        let report = repository.verify(&cx, &set, &info.id, VerifyLevel::Restorable, None).await.unwrap();
        assert!(report.is_good(), "{report:?}");
        let backup = repository.open(&cx, &set, &info.id).await.unwrap();
        let bytes = support::read(&cx, &backup, &backup.artifacts()[0]).await.unwrap();
        assert_eq!(Digest::of(&bytes), Digest::of(&Generated::new(SIZE).bytes()));
        assert_eq!(backup.manifest().labels["made-for"], "golden test");
    }
}
