//! Micro-benches: the engine with a source in memory and a store in a temporary directory, and the digests and records alone.

#![allow(clippy::unwrap_used, reason = "a bench that cannot run shall stop")]

use backup_benches::job::{repository, set};
use backup_core::manifest::BLOCK_SIZE;
use backup_core::{
    ArtifactName, ArtifactOptions, BackupRequest, Bytes, Compression, Digest, JobContext, Probe, Result, Sink, Source, Summary,
    async_trait, record,
};
use criterion::{BatchSize, Criterion, Throughput};

/// Bytes of one backup.
const SIZE: usize = 64 << 20;
const PIECE: usize = 1 << 20;

/// The same bytes each time: half of each piece repeats itself.
#[derive(Debug)]
struct Memory(Bytes);

impl Memory {
    fn new() -> Self {
        let mut number = 1_u64;
        let piece = (0..PIECE).map(|at| {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if at % 2 == 0 { (number >> 56) as u8 } else { b'a' + (at % 16) as u8 }
        });
        Self(piece.collect())
    }
}

#[async_trait]
impl Source for Memory {
    fn kind(&self) -> &str {
        "memory"
    }

    async fn probe(&self, _cx: &JobContext) -> Result<Probe> {
        Ok(Probe::default())
    }

    async fn capture(&self, _cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        let mut writer = sink.artifact(&ArtifactName::new("memory")?, ArtifactOptions::default()).await?;
        for _ in 0..SIZE / PIECE {
            writer.write(self.0.clone()).await?;
        }
        writer.close().await?;
        Ok(Summary::default())
    }
}

fn backups(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let source = Memory::new();
    let mut group = criterion.benchmark_group("backup of 64 MiB");
    group.throughput(Throughput::Bytes(SIZE as u64)).sample_size(10);
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        group.bench_function(format!("{compression:?}"), |bench| {
            let request = BackupRequest::new(set().unwrap()).compression(compression, None);
            let fresh = || tempfile::tempdir().unwrap();
            let run = |directory: tempfile::TempDir| {
                let repository = repository(directory.path()).unwrap();
                runtime.block_on(repository.backup(&repository.context(), &source, &request)).unwrap();
                directory
            };
            bench.iter_batched(fresh, run, BatchSize::PerIteration);
        });
    }
}

fn digests(criterion: &mut Criterion) {
    let data = vec![7_u8; BLOCK_SIZE as usize];
    let mut group = criterion.benchmark_group("digest");
    group.throughput(Throughput::Bytes(BLOCK_SIZE));
    group.bench_function("SHA-256 of a block", |bench| bench.iter(|| Digest::of(&data)));
}

fn records(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let repository = repository(directory.path()).unwrap();
    let cx = repository.context();
    let made = runtime.block_on(repository.backup(&cx, &Memory::new(), &BackupRequest::new(set().unwrap()))).unwrap();
    let manifest = runtime.block_on(repository.manifest(&cx, &made.backup().set, &made.backup().id)).unwrap();
    let sealed = record::seal(&manifest).unwrap();
    let mut group = criterion.benchmark_group("manifest of 16 blocks");
    group.bench_function("seal", |bench| bench.iter(|| record::seal(&manifest).unwrap()));
    group.bench_function("open", |bench| bench.iter(|| backup_core::Manifest::open(&sealed).unwrap()));
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    backups(&mut criterion);
    digests(&mut criterion);
    records(&mut criterion);
    criterion.final_summary();
}
