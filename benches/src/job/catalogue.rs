//! A repository of very many backups, and what it costs to list them.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use backup_core::manifest::{Artifact, BLOCK_SIZE, SourceInfo, Stored};
use backup_core::{
    ArtifactName, BackupId, Compression, Digest, Environment, Error, JobId, KeyPrefix, Manifest, ObjectKey, Repository, Result,
    Revision, SetName, record,
};
use backup_stores::fs::{FsConfig, FsStore};
use chrono::{TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::counting::Counting;
use super::{repository, set};
use crate::proc::peak_kib;

/// How often a warm listing is asked for.
const ASKED: usize = 9;

/// Puts `count` manifests where published backups have them, without their artifacts.
pub(super) async fn seed(root: &str, count: u64) -> Result<Value> {
    let set = set()?;
    let folder = Path::new(root).join(".backup/sets").join(set.as_str());
    let failed =
        |error: std::io::Error| Error::new(&backup_core::error::codes::STORE_IO, "writing a manifest failed").with_source(error);
    // The store itself would sync each of them, which is not what is measured.
    fs::create_dir_all(&folder).map_err(failed)?;
    let (environment, mut last) = (Environment::default(), None);
    let start = Utc::now() - TimeDelta::hours(i64::try_from(count).unwrap_or(i64::MAX));
    for at in 0..count {
        let created_at = start + TimeDelta::hours(i64::try_from(at).unwrap_or(i64::MAX));
        let id = BackupId::after(last.as_ref(), created_at, &*environment.random);
        let bytes = record::seal(&manifest(&set, &id, &environment, at)?)?;
        fs::write(folder.join(format!("{id}.json")), &bytes).map_err(failed)?;
        last = Some(id);
    }
    Ok(json!({ "manifests": count }))
}

/// As the etcd source leaves one: a snapshot of 64 MiB.
fn manifest(set: &SetName, id: &BackupId, environment: &Environment, at: u64) -> Result<Manifest> {
    let digest = Digest::of(&at.to_le_bytes());
    let size = 16 * BLOCK_SIZE;
    let artifact = Artifact {
        name: ArtifactName::new("snapshot.db")?,
        key: ObjectKey::new(format!("{set}/{id}/snapshot.db"))?,
        compression: Compression::None,
        size,
        sha256: digest,
        stored: Stored { size, sha256: digest, block_size: BLOCK_SIZE, blocks: vec![digest; 16] },
    };
    Ok(Manifest {
        set: set.clone(),
        id: id.clone(),
        required_features: Vec::new(),
        job: JobId::random(&*environment.random),
        lease_generation: at,
        created_at: id.time(),
        published_at: id.time(),
        source: SourceInfo {
            kind: "etcd".to_owned(),
            identity: Some("14841639068965178418".to_owned()),
            revision: Some(Revision::exact(at)),
            version: Some("3.6.15".to_owned()),
            integrity: Some(json!({ "sha256": digest.to_string() })),
            log: None,
        },
        parents: Vec::new(),
        prefix: KeyPrefix::new(format!("{set}/{id}"))?,
        artifacts: vec![artifact],
        inventory: None,
        adopted: false,
        retain_until: None,
        warnings: Vec::new(),
        labels: Map::new(),
        unknown: Map::new(),
    })
}

/// A cold list, then warm ones: of the store, and of what this process knows.
pub(super) async fn list(root: &str) -> Result<Value> {
    let (repository, set) = (repository(root)?, set()?);
    let cx = repository.context();
    let idle = peak_kib();
    let start = Instant::now();
    let count = repository.list(&cx, &set).await?.len();
    let cold = start.elapsed().as_secs_f64();
    let (mut refreshed, mut cached) = (Vec::new(), Vec::new());
    for _ in 0..ASKED {
        let start = Instant::now();
        let listed = repository.list(&cx, &set).await?;
        refreshed.push(start.elapsed().as_secs_f64() * 1e3);
        drop(listed);
        let start = Instant::now();
        let known = repository.cached(&set);
        cached.push(start.elapsed().as_secs_f64() * 1e3);
        drop(known);
    }
    Ok(json!({
        "backups": count,
        "cold-seconds": cold,
        "refreshed-ms": refreshed,
        "cached-ms": cached,
        "idle-kib": idle,
        "peak-kib": peak_kib(),
    }))
}

/// The newest of them in a process that knows nothing yet, and how many manifests that took.
pub(super) async fn latest(root: &str) -> Result<Value> {
    let (reads, set) = (Arc::new(AtomicU64::new(0)), set()?);
    let store = Counting { store: FsStore::open(FsConfig::new(root))?, reads: Arc::clone(&reads) };
    let repository = Repository::builder(Arc::new(store)).build();
    let cx = repository.context();
    let start = Instant::now();
    let latest = repository.latest(&cx, &set).await?;
    Ok(json!({
        "id": latest.map(|info| info.id.clone()),
        "seconds": start.elapsed().as_secs_f64(),
        "manifests-read": reads.load(Ordering::Relaxed),
    }))
}
