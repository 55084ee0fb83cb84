//! Memory does not grow with the data: alone in its process, for it looks at the peak of the whole process.
#![cfg(feature = "fs")]
#![allow(clippy::unwrap_used, reason = "test helpers stand outside of the test functions")]

mod support;

use backup_core::repository::VerifyLevel;
use backup_core::source::BackupReader;
use backup_core::{BackupRequest, Compression, Repository, SetName};
use futures::TryStreamExt;
use support::{Generated, memory, peak_memory, store};

const MIB: u64 = 1 << 20;

/// 256 MiB, 4 GiB with `BACKUP_TEST_LONG=1`: both many times what a job may hold.
fn size() -> u64 {
    if std::env::var_os("BACKUP_TEST_LONG").is_some() { 4096 * MIB } else { 256 * MIB }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_holds_at_most_64_mib_above_idle_whatever_the_size() {
    let dir = tempfile::TempDir::new().unwrap();
    let repository = Repository::builder(store(dir.path())).build();
    let set = SetName::new("memory").unwrap();
    // Warm: pools, tables and the first backup's code are not the data's memory.
    let warm = BackupRequest::new(set.clone()).compression(Compression::Gzip, Some(1));
    repository.backup(&repository.context(), &Generated::new(MIB), &warm).await.unwrap();
    let idle = memory();
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let cx = repository.context();
        let request = BackupRequest::new(set.clone()).compression(compression, (compression != Compression::None).then_some(1));
        let outcome = repository.backup(&cx, &Generated::new(size()), &request).await.unwrap();
        let id = &outcome.backup().id;
        let report = repository.verify(&cx, &set, id, VerifyLevel::Restorable, None).await.unwrap();
        assert!(report.is_good(), "{report:?}");
        let backup = repository.open(&cx, &set, id).await.unwrap();
        let mut stream = backup.open(&cx, &backup.artifacts()[0]).await.unwrap();
        let mut read = 0;
        while let Some(piece) = stream.try_next().await.unwrap() {
            read += piece.len() as u64;
        }
        assert_eq!(read, size());
        drop(stream);
        let above = peak_memory().saturating_sub(idle) / MIB;
        assert!(above < 64, "{compression:?}: {above} MiB above idle after {} MiB of data", size() / MIB);
        assert_eq!(repository.budget().available(), repository.budget().total(), "a reservation was not given back");
        repository.backup(&cx, &Generated::new(1), &warm).await.unwrap();
        repository.delete(&cx, &set, id).await.unwrap();
    }
}
