//! An etcd snapshot as a member's data directory, through etcdutl.

use backup_core::repository::BackupInfo;
use backup_core::{JobContext, Repository, RestoreTarget};
use backup_sources::etcd::{EtcdConfig, EtcdSource};
use serde_json::{Map, Value, json};

use super::super::arguments::{EtcdTarget, Restore};
use super::super::failure::Failure;
use super::super::output::note;
use super::super::session::Session;

pub(super) async fn run(session: &Session, restore: &Restore) -> Result<(), Failure> {
    let cx = session.context();
    let work = async {
        let repository = session.place.read_only(&cx).await?;
        let info = session.place.find(&cx, &repository, &restore.backup.set, &restore.backup.id).await?;
        note(&format!("backup {} of {}", info.id, info.set));
        let source = EtcdSource::new(EtcdConfig::default())?;
        let target = RestoreTarget::new(target(&restore.etcd)).dry_run(restore.dry_run);
        Ok(repository.restore(&cx, &source, &info.set, &info.id, &target).await?)
    };
    let report = session.job("restoring", &cx, work).await?;
    session.output.document(&json!({
        "set": restore.backup.set,
        "dry_run": restore.dry_run,
        "bytes": report.bytes,
        "warnings": report.warnings,
        "details": report.details,
    }));
    let directory = restore.etcd.etcd_data_dir.as_deref().unwrap_or(std::path::Path::new("")).display().to_string();
    session.output.line(&match restore.dry_run {
        true => format!("the snapshot is good and could be restored into {directory}"),
        false => format!("restored into {directory}; its files belong to you: give them to etcd's user before you start it"),
    });
    report.warnings.iter().for_each(|warning| note(&format!("warning: {warning}")));
    Ok(())
}

/// As `backup-sources` documents it; what was not given is not there.
fn target(etcd: &EtcdTarget) -> Value {
    let values = [
        ("data-dir", etcd.etcd_data_dir.as_ref().map(|path| json!(path))),
        ("name", etcd.name.as_ref().map(|text| json!(text))),
        ("initial-cluster", etcd.initial_cluster.as_ref().map(|text| json!(text))),
        ("initial-advertise-peer-urls", etcd.initial_advertise_peer_urls.as_ref().map(|text| json!(text))),
        ("initial-cluster-token", etcd.initial_cluster_token.as_ref().map(|text| json!(text))),
        ("bump-revision", etcd.bump_revision.map(|number| json!(number))),
        ("mark-compacted", etcd.mark_compacted.then_some(Value::Bool(true))),
        ("etcdutl", etcd.etcdutl.as_ref().map(|path| json!(path))),
    ];
    Value::Object(values.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect::<Map<_, _>>())
}

/// What can look into a backup of etcd, `None` for one of something else.
pub(in super::super) async fn source_of(
    repository: &Repository,
    cx: &JobContext,
    info: &BackupInfo,
) -> backup_core::Result<Option<EtcdSource>> {
    if !info.state.is_published() {
        return Ok(None);
    }
    let manifest = match repository.manifest(cx, &info.set, &info.id).await {
        Ok(manifest) => manifest,
        // The verify that follows says what is wrong with it.
        Err(_) => return Ok(None),
    };
    if manifest.source.kind == "etcd" { EtcdSource::new(EtcdConfig::default()).map(Some) } else { Ok(None) }
}
