//! A disk that fills up in the middle of a backup: a clear error, nothing visible, nothing left, and the next backup works.
#![cfg(feature = "fs")]
#![allow(clippy::unwrap_used, reason = "test helpers stand outside of the test functions")]

mod support;

use std::process::Command;

use backup_core::{BackupRequest, Compression, Effect, ErrorKind, Repository, SetName};
use support::{Generated, orphans, store};

struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    /// `None` where mounting is not allowed.
    fn mount(megabytes: u32) -> Option<Self> {
        let dir = tempfile::TempDir::new().unwrap();
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path()).output().ok()?;
        mounted.status.success().then_some(Self(dir))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg(self.0.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_a_clear_error_and_leaves_nothing() {
    let Some(disk) = Tmpfs::mount(4) else {
        println!("SKIPPED: a small tmpfs needs root and mount(8)");
        return;
    };
    let repository = Repository::builder(store(disk.0.path())).build();
    let set = SetName::new("full").unwrap();
    for compression in [Compression::None, Compression::Gzip] {
        let request = BackupRequest::new(set.clone()).compression(compression, None);
        let error = repository.backup(&repository.context(), &Generated::new(40 << 20), &request).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::NoSpace, Effect::None), "{error}");
        assert!(error.to_string().contains("No space left") || error.to_string().contains("full"), "{error}");
        assert!(repository.list(&repository.context(), &set).await.unwrap().is_empty());
        assert_eq!(orphans(&repository, disk.0.path(), &set).await, Vec::<String>::new());
    }
    let request = BackupRequest::new(set.clone());
    repository.backup(&repository.context(), &Generated::new(1 << 20), &request).await.unwrap();
    assert_eq!(repository.list(&repository.context(), &set).await.unwrap().len(), 1);
}
