//! The figures of `docs/architecture.md` that the code decides.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use backup_core::budget::MemoryBudget;
use backup_core::{
    ArtifactName, ArtifactOptions, BackupRequest, Bytes, Compression, JobContext, Probe, Repository, Result, SetName, Sink,
    Source, Summary, async_trait,
};
use backup_stores::fs::{FsConfig, FsStore};

/// Notes what its own backup has reserved.
#[derive(Debug)]
struct Watch {
    budget: MemoryBudget,
    reserved: AtomicU64,
}

#[async_trait]
impl Source for Watch {
    fn kind(&self) -> &str {
        "watch"
    }

    async fn probe(&self, _: &JobContext) -> Result<Probe> {
        Ok(Probe::default())
    }

    async fn capture(&self, _: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        self.reserved.store(self.budget.total() - self.budget.available(), Ordering::Relaxed);
        let mut writer = sink.artifact(&ArtifactName::new("a")?, ArtifactOptions::default()).await?;
        writer.write(Bytes::from_static(b"a")).await?;
        writer.close().await?;
        Ok(Summary::default())
    }
}

#[tokio::test]
async fn the_page_names_what_a_backup_to_a_directory_reserves() {
    let root = tempfile::tempdir().unwrap();
    let repository = Repository::builder(Arc::new(FsStore::open(FsConfig::new(root.path())).unwrap())).build();
    let source = Watch { budget: repository.budget().clone(), reserved: AtomicU64::new(0) };
    let mut reserved = Vec::new();
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let request = BackupRequest::new(SetName::new("set").unwrap()).compression(compression, None);
        repository.backup(&repository.context(), &source, &request).await.unwrap();
        reserved.push(source.reserved.load(Ordering::Relaxed) >> 20);
    }
    let (plain, gzip, zstd) = (reserved[0], reserved[1], reserved[2]);
    let sentence = format!("a backup to `fs` reserves {plain} MiB plain, {gzip} MiB with gzip, {zstd} MiB with zstd");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/architecture.md");
    let page = std::fs::read_to_string(path).unwrap();
    assert!(page.contains(&sentence), "docs/architecture.md, section Memory, has to say: {sentence}");
    let total = format!("| all jobs of a repository | {} MiB,", repository.budget().total() >> 20);
    assert!(page.contains(&total), "docs/architecture.md, section Memory, has to say: {total}");
}

#[test]
fn every_file_that_the_page_points_to_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = std::fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    let table = page.split("## Where to look").nth(1).unwrap();
    let bases = ["backup-core/src", ".", "backup-sources/src", "backup-stores/src/fs"];
    for name in table.split('`').skip(1).step_by(2).filter(|name| name.ends_with(".rs") || name.ends_with('/')) {
        assert!(
            bases.iter().any(|base| root.join(base).join(name).exists()),
            "docs/architecture.md points to {name}, which is not there"
        );
    }
}
