//! The directory of a server with very many backups, as the server itself would have made them.

use std::sync::Arc;

use backup_core::naming::Naming;
use backup_core::{
    ArtifactName, ArtifactOptions, BackupRequest, Bytes, Compression, Environment, Error, JobContext, Probe, Repository, Result,
    Revision, SetName, Sink, Source, Summary, async_trait,
};
use backup_http::{etcd_backup, etcd_sidecar};
use backup_stores::fs::{FsConfig, FsStore};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

/// Name of the cluster whose sidecar is measured.
pub const CLUSTER: &str = "bench";

/// Bytes of a backup: small, for only their number counts.
const SIZE: usize = 4096;

/// A source that names its artifact, and is elsewhere each time.
#[derive(Debug)]
struct Small {
    artifact: ArtifactName,
    revision: u64,
}

#[async_trait]
impl Source for Small {
    fn kind(&self) -> &str {
        "etcd"
    }

    async fn probe(&self, _cx: &JobContext) -> Result<Probe> {
        Ok(Probe::default().identity("bench").revision(Revision::exact(self.revision)).version("3.6.15"))
    }

    async fn capture(&self, _cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        let mut writer = sink.artifact(&self.artifact, ArtifactOptions::default()).await?;
        writer.write(Bytes::from(vec![0; SIZE])).await?;
        writer.close().await?;
        Ok(Summary::default().revision(Revision::exact(self.revision)))
    }
}

/// Makes `count` backups for the server of that name.
pub(super) async fn seed(root: &str, server: &str, count: u64) -> Result<Value> {
    let environment = Environment::default();
    let (set, naming): (SetName, Arc<dyn Naming>) = match server {
        "etcd-sidecar" => {
            let naming = etcd_sidecar::SidecarNaming::in_directory(CLUSTER)?;
            (naming.set().clone(), Arc::new(naming))
        }
        "etcd-backup" => (SetName::new("etcd")?, Arc::new(etcd_backup::SnapshotNaming::new(Arc::clone(&environment.clock)))),
        _ => return Err(super::usage()),
    };
    let store = FsStore::open(FsConfig::new(root))?;
    let repository = Repository::builder(Arc::new(store)).naming(naming).environment(environment).build();
    let start: DateTime<Utc> = Utc::now() - TimeDelta::days(30);
    for at in 1..=count {
        let second = start + TimeDelta::seconds(i64::try_from(at).unwrap_or(0));
        let (name, compression) = match server {
            "etcd-sidecar" => ("snapshot.db".to_owned(), Compression::None),
            _ => (second.format("snapshot-%Y%m%d_%H%M%S.tar").to_string(), Compression::Gzip),
        };
        let source = Small { artifact: ArtifactName::new(name)?, revision: at };
        let request = BackupRequest::new(set.clone()).compression(compression, None);
        repository
            .backup(&repository.context(), &source, &request)
            .await
            .map(drop)
            .map_err(|error: Error| error.context("seeding"))?;
    }
    Ok(json!({ "backups": count }))
}
