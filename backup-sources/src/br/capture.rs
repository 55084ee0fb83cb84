//! A backup by BR, from the order to the files that are vouched for.

use backup_core::{Error, Hasher, JobContext, Probe, Result, Revision, Sink, Summary};
use futures::TryStreamExt;
use serde_json::json;

use super::executor::{Cluster, Done, Order};
use super::meta::{self, BackupMeta, Files, Listed, Written};
use super::{BrSource, codes, key, version};

pub(super) async fn probe(source: &BrSource, cx: &JobContext) -> Result<Probe> {
    let cluster = source.executor.identify(cx).await?;
    let mut probe = Probe::default();
    (probe.identity, probe.version) = (cluster.id, cluster.version.or_else(|| source.config.version.clone()));
    Ok(probe)
}

pub(super) async fn capture(source: &BrSource, cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
    cx.check()?;
    let config = &source.config;
    let location = sink.external_location()?;
    let cluster = source.executor.identify(cx).await?;
    if let Some(id) = &cluster.id {
        check_cluster(source, id)?;
    }
    let version = cluster.version.as_deref().or(config.version.as_deref());
    // What no version is known of, BR checks alone.
    let encrypted = config.encryption.is_some();
    let mut warnings = version.map_or(Ok(Vec::new()), |version| version::check_cluster(version, encrypted))?;
    let order = Order { location, since: source.since, tuning: config.backup, encryption: config.encryption.clone() };
    let done = source.executor.backup(cx, &order).await?;
    let meta = take_stock(source, cx, sink).await?;
    // Where the cluster could not tell before, its metadata tells now.
    check_cluster(source, &meta.cluster_id.to_string())?;
    check(source, &cluster, &done, &meta)?;
    warnings.extend(meta.fault_of_sums());
    let mut summary = Summary::default().revision(Revision::exact(meta.end_version.0)).integrity(integrity(source, &meta));
    summary.identity = (meta.cluster_id != 0).then(|| meta.cluster_id.to_string());
    summary.version = (!meta.cluster_version.is_empty()).then_some(meta.cluster_version);
    summary.warnings = done.warnings.into_iter().chain(warnings).collect();
    summary.log = done.log;
    Ok(summary)
}

/// Reads the metadata back, and vouches for every file that it names.
async fn take_stock(source: &BrSource, cx: &JobContext, sink: &dyn Sink) -> Result<BackupMeta> {
    let mut without_size = Vec::new();
    let mut visit = |file: Listed| match file.size {
        Some(size) => sink.vouch(&file.name, size, file.sha256),
        None => {
            without_size.push(file);
            Ok(())
        }
    };
    let meta = meta::walk(cx, &Written(sink), source.config.encryption.as_ref(), &mut visit).await?;
    for file in without_size {
        measure(cx, sink, &file).await?;
    }
    Ok(meta)
}

/// Reads a file of which the metadata of an old BR tells no size.
async fn measure(cx: &JobContext, sink: &dyn Sink, file: &Listed) -> Result<()> {
    let not_whole = |why: &str| Error::new(&codes::NOT_WHOLE, format!("`{}` {why}", file.name));
    let opened = Written(sink).open(cx, &file.name).await;
    let mut stream = opened.map_err(|error| match error.is_not_found() {
        true => not_whole("is named by the metadata, and not there").with_source(error),
        false => error,
    })?;
    let (mut hasher, mut size) = (Hasher::new(), 0);
    while let Some(piece) = cx.run(stream.try_next()).await? {
        hasher.update(&piece);
        size += piece.len() as u64;
    }
    match hasher.finish() == file.sha256 {
        true => sink.vouch(&file.name, size, file.sha256),
        false => Err(not_whole("has another SHA-256 than the metadata says")),
    }
}

/// Is it the cluster of which there is a backup already?
fn check_cluster(source: &BrSource, id: &str) -> Result<()> {
    match &source.cluster {
        Some(wanted) if wanted != id => {
            let what = format!("this is cluster {id}, and the backups before are of cluster {wanted}");
            Err(Error::new(&codes::OTHER_CLUSTER, what))
        }
        _ => Ok(()),
    }
}

/// Is it the backup that was ordered?
fn check(source: &BrSource, cluster: &Cluster, done: &Done, meta: &BackupMeta) -> Result<()> {
    let wrong = |what: String| Err(Error::new(&codes::NOT_WHOLE, what));
    let (start, end) = (meta.start_version, meta.end_version);
    if let Some(claimed) = done.backup_ts
        && claimed != end
    {
        return wrong(format!("BR says that it made a backup of {claimed}, and what lies there is one of {end}"));
    }
    match source.since {
        Some(since) if since != start => {
            return wrong(format!("an incremental backup from {since} on was ordered, and what lies there starts at {start}"));
        }
        None if !meta.is_full() => {
            return wrong(format!("a full backup was ordered, and what lies there starts at {start}"));
        }
        _ => {}
    }
    let id = meta.cluster_id.to_string();
    match &cluster.id {
        Some(asked) if *asked != id => {
            wrong(format!("cluster {asked} was to be backed up, and what lies there is of cluster {id}"))
        }
        _ => Ok(()),
    }
}

/// What of it was checked, for the manifest. Numbers above 53 bits are text.
fn integrity(source: &BrSource, meta: &BackupMeta) -> serde_json::Value {
    let sums = |sums: meta::Sums| json!({ "crc64xor": format!("{:016x}", sums.crc64xor), "kvs": sums.kvs, "bytes": sums.bytes });
    json!({
        "start-version": meta.start_version.to_string(),
        "end-version": meta.end_version.to_string(),
        "br-version": meta.br_version,
        "layout": meta.layout + 1,
        "size": meta.size,
        "files": meta.files,
        "file-bytes": meta.file_bytes,
        "meta-files": meta.meta_files,
        "schemas": meta.schemas,
        "file-sums": sums(meta.file_sums),
        "schema-sums": sums(meta.schema_sums),
        "encryption": source.config.encryption.as_ref().map_or(key::PLAINTEXT, |encryption| encryption.method.as_str()),
    })
}
