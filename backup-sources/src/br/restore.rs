//! From a published backup into the cluster of the source.

use backup_core::error::codes as core;
use backup_core::{BackupReader, Error, JobContext, RestoreReport, RestoreTarget, Result};
use serde::Deserialize;
use serde_json::json;

use super::executor::Order;
use super::inspect::Stock;
use super::meta::BackupMeta;
use super::{BrSource, codes, version};

/// The target is the cluster of the source; what there is to say about it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Target {
    /// Its version, where it cannot tell itself.
    cluster_version: Option<String>,
}

pub(super) async fn restore(
    source: &BrSource,
    cx: &JobContext,
    reader: &dyn BackupReader,
    target: &RestoreTarget,
) -> Result<RestoreReport> {
    cx.check()?;
    let asked = target.parse::<Option<Target>>()?.unwrap_or_default();
    let location = reader.external_location().ok_or_else(|| {
        Error::new(
            &core::SOURCE_UNSUPPORTED,
            "TiKV reads a backup by itself, and cannot reach this store: S3 and directories will do",
        )
    })?;
    let Stock { meta, faults, .. } = Stock::take(source, cx, reader).await?;
    if let Some(fault) = faults.first() {
        return Err(Error::new(&codes::NOT_WHOLE, format!("{} files are not as the metadata says: {fault}", faults.len())));
    }
    let warnings = check(source, cx, &asked, &meta).await?;
    // BR looks for a file when it is that file's turn, with half of the cluster restored.
    reader.check_sizes(cx).await?;
    let mut report = RestoreReport::new(meta.size).details(details(&meta));
    report.warnings = warnings;
    if target.dry_run {
        return Ok(report);
    }
    let (tuning, encryption) = (source.config.restore, source.config.encryption.clone());
    let order = Order { location, since: None, tuning, encryption };
    let done = source.executor.restore(cx, &order).await?;
    report.bytes = done.size.filter(|size| *size > 0).unwrap_or(report.bytes);
    report.warnings.extend(done.warnings);
    if let (Some(log), Some(details)) = (done.log, report.details.as_object_mut()) {
        details.insert("log".into(), log.into());
    }
    Ok(report)
}

/// Whether the cluster can take it; what somebody should know.
async fn check(source: &BrSource, cx: &JobContext, asked: &Target, meta: &BackupMeta) -> Result<Vec<String>> {
    let cluster = source.executor.identify(cx).await?;
    let version = asked.cluster_version.clone().or(cluster.version).or_else(|| source.config.version.clone());
    let mut warnings = match version {
        None => vec!["the version of the cluster is not known, so the backup's was not checked against it".into()],
        Some(version) => {
            version::check_cluster(&version, source.config.encryption.is_some())?;
            version::check_restore(&meta.cluster_version, &version, meta.new_collations.as_deref())?
        }
    };
    if !meta.is_full() {
        let (start, time) = (meta.start_version, meta.start_version.time().to_rfc3339());
        warnings.push(format!(
            "this is an incremental backup: the one that ends at {start} ({time}), and all before it, must have been restored into this \
             cluster already, the full one first"
        ));
    }
    Ok(warnings)
}

fn details(meta: &BackupMeta) -> serde_json::Value {
    json!({
        "kind": if meta.is_full() { "full" } else { "incremental" },
        "cluster-id": meta.cluster_id.to_string(),
        "cluster-version": meta.cluster_version,
        "start-version": meta.start_version.to_string(),
        "end-version": meta.end_version.to_string(),
        "files": meta.files,
        "new-collations": meta.new_collations,
    })
}
