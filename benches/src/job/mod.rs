//! Our side of each comparison: one job, then the process ends.

mod catalogue;
mod counting;
mod file;
mod served;
mod volume;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use backup_core::event::TracingObserver;
use backup_core::repository::VerifyLevel;
use backup_core::source::BackupReader;
use backup_core::{BackupId, BackupRequest, Compression, Environment, Error, JobContext, Repository, Result, SetName, Source};
use backup_sources::etcd::{EtcdConfig, EtcdSource, Packaging};
use backup_sources::script::{ScriptConfig, ScriptSource};
use backup_stores::fs::{FsConfig, FsStore};
use backup_stores::{OpenOptions, StoreConfig};
use futures::TryStreamExt;
use serde_json::{Value, json};

pub use file::FileSource;
pub use served::CLUSTER;

use crate::proc::peak_kib;

const USAGE: &str = "\
ROOT is a directory, or the URL of a store.
job backup-etcd ROOT none|gzip|zstd raw|tar ENDPOINT
job backup-file ROOT none|gzip|zstd FILE
job backup-volume ROOT CEPH.CONF POOL VOLUME
job backup-command ROOT none|gzip|zstd PROGRAM [ARGUMENT…]
job restore-file ROOT FILE
job verify ROOT
job seed ROOT COUNT
job seed-served ROOT etcd-sidecar|etcd-backup COUNT
job list ROOT
job latest ROOT";

/// Runs the job that `arguments` name, and says how it went.
///
/// # Errors
/// Those of the job; `input.invalid` for arguments that name none.
pub async fn run(arguments: &[String]) -> Result<Value> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["backup-etcd", root, compression, packaging, endpoint] => {
            let mut config = EtcdConfig::new([*endpoint]);
            config.packaging = if *packaging == "tar" { Packaging::Tar } else { Packaging::Raw };
            backup(root, compression, &EtcdSource::new(config)?).await
        }
        ["backup-file", root, compression, file] => backup(root, compression, &FileSource::new(file)).await,
        ["backup-volume", root, conf, pool, id] => backup(root, "none", &volume::source(conf, pool, id)?).await,
        ["backup-command", root, compression, command @ ..] => {
            let source = ScriptSource::new(ScriptConfig::new(command.iter().copied()))?;
            backup(root, compression, &source).await
        }
        ["restore-file", root, file] => restore(root, file).await,
        ["verify", root] => verify(root).await,
        ["seed", root, count] => catalogue::seed(root, count.parse().map_err(|_| usage())?).await,
        ["seed-served", root, server, count] => served::seed(root, server, count.parse().map_err(|_| usage())?).await,
        ["list", root] => catalogue::list(root).await,
        ["latest", root] => catalogue::latest(root).await,
        _ => Err(usage()),
    }
}

fn usage() -> Error {
    Error::new(&backup_core::error::codes::INPUT_INVALID, format!("usage:\n{USAGE}"))
}

/// The repository in a directory.
///
/// # Errors
/// Those of the file store.
pub fn repository(root: impl AsRef<Path>) -> Result<Repository> {
    let store = FsStore::open(FsConfig::new(root.as_ref()))?;
    Ok(Repository::builder(Arc::new(store)).build())
}

/// The one set of a bench.
///
/// # Errors
/// None: the name is legal.
pub fn set() -> Result<SetName> {
    SetName::new("bench")
}

fn compression(name: &str) -> Result<Compression> {
    match name {
        "none" => Ok(Compression::None),
        "gzip" => Ok(Compression::Gzip),
        "zstd" => Ok(Compression::Zstd),
        _ => Err(usage()),
    }
}

/// The repository in a directory, or in the store of a URL.
async fn repository_at(root: &str, options: OpenOptions) -> Result<Repository> {
    if !root.contains("://") {
        return repository(root);
    }
    let cx = JobContext::new(Environment::default(), Arc::new(TracingObserver));
    Ok(Repository::builder(root.parse::<StoreConfig>()?.open_with(&cx, &options).await?).build())
}

async fn backup(root: &str, how: &str, source: &dyn Source) -> Result<Value> {
    let repository = repository_at(root, OpenOptions::default()).await?;
    let request = BackupRequest::new(set()?).compression(compression(how)?, None);
    let (idle, start) = (peak_kib(), Instant::now());
    let outcome = repository.backup(&repository.context(), source, &request).await?;
    let info = outcome.backup();
    Ok(json!({
        "seconds": start.elapsed().as_secs_f64(),
        "idle-kib": idle,
        "peak-kib": peak_kib(),
        "stored": info.stored_size,
        "key": info.first_key,
        "warnings": info.warnings,
    }))
}

async fn newest(repository: &Repository, cx: &JobContext) -> Result<BackupId> {
    let newest = repository.latest(cx, &set()?).await?;
    let newest = newest.ok_or_else(|| Error::new(&backup_core::error::codes::BACKUP_NOT_FOUND, "there is no backup"))?;
    Ok(newest.id.clone())
}

/// The newest backup into a file, checked and durable.
async fn restore(root: &str, file: &str) -> Result<Value> {
    let repository = repository_at(root, OpenOptions::default().read_only(true)).await?;
    let cx = repository.context();
    let failed = |error| Error::new(&backup_core::error::codes::INTERNAL, "writing the file failed").with_source(error);
    let (idle, start) = (peak_kib(), Instant::now());
    let backup = repository.open(&cx, &set()?, &newest(&repository, &cx).await?).await?;
    let mut file = std::fs::File::create(file).map_err(failed)?;
    let mut bytes = 0;
    for name in backup.artifacts() {
        let mut stream = backup.open(&cx, &name).await?;
        while let Some(piece) = stream.try_next().await? {
            bytes += piece.len();
            file.write_all(&piece).map_err(failed)?;
        }
    }
    file.sync_all().map_err(failed)?;
    Ok(json!({
        "seconds": start.elapsed().as_secs_f64(),
        "idle-kib": idle,
        "peak-kib": peak_kib(),
        "bytes": bytes,
    }))
}

async fn verify(root: &str) -> Result<Value> {
    let (repository, set) = (repository(root)?, set()?);
    let cx = repository.context();
    let newest = newest(&repository, &cx).await?;
    let (idle, start) = (peak_kib(), Instant::now());
    let report = repository.verify(&cx, &set, &newest, VerifyLevel::Digest, None).await?;
    Ok(json!({
        "seconds": start.elapsed().as_secs_f64(),
        "idle-kib": idle,
        "peak-kib": peak_kib(),
        "good": report.is_good(),
        "bytes": report.bytes,
    }))
}
