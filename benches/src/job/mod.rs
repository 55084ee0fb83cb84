//! Our side of each comparison: one job, then the process ends.

mod catalogue;
mod counting;
mod file;
mod served;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use backup_core::repository::VerifyLevel;
use backup_core::{BackupRequest, Compression, Error, Repository, Result, SetName, Source};
use backup_sources::etcd::{EtcdConfig, EtcdSource, Packaging};
use backup_sources::script::{ScriptConfig, ScriptSource};
use backup_stores::fs::{FsConfig, FsStore};
use serde_json::{Value, json};

pub use file::FileSource;
pub use served::CLUSTER;

use crate::proc::peak_kib;

const USAGE: &str = "\
job backup-etcd ROOT none|gzip|zstd raw|tar ENDPOINT
job backup-file ROOT none|gzip|zstd FILE
job backup-command ROOT none|gzip|zstd PROGRAM [ARGUMENT…]
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
        ["backup-command", root, compression, command @ ..] => {
            let source = ScriptSource::new(ScriptConfig::new(command.iter().copied()))?;
            backup(root, compression, &source).await
        }
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

async fn backup(root: &str, how: &str, source: &dyn Source) -> Result<Value> {
    let repository = repository(root)?;
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

async fn verify(root: &str) -> Result<Value> {
    let (repository, set) = (repository(root)?, set()?);
    let cx = repository.context();
    let newest = repository.latest(&cx, &set).await?;
    let newest = newest.ok_or_else(|| Error::new(&backup_core::error::codes::BACKUP_NOT_FOUND, "there is nothing to verify"))?;
    let (idle, start) = (peak_kib(), Instant::now());
    let report = repository.verify(&cx, &set, &newest.id, VerifyLevel::Digest, None).await?;
    Ok(json!({
        "seconds": start.elapsed().as_secs_f64(),
        "idle-kib": idle,
        "peak-kib": peak_kib(),
        "good": report.is_good(),
        "bytes": report.bytes,
    }))
}
