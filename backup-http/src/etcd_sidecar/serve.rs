//! What the routes do, with the service behind them.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::response::Response;
use backup_core::repository::{BackupInfo, StoredBackup};
use backup_core::service::{BackupDone, JobHandle, JobState, SubmitOptions};
use backup_core::source::BackupReader;
use backup_core::{JobContext, Result};

use super::dto::{BackupStatus, ServiceStatus};
use super::errors::Refusal;
use super::naming::{FileName, written_at};
use super::params::Params;
use super::{EtcdSidecar, convert, pick, version};
use crate::download::Download;

const ETCD_VERSION: HeaderName = HeaderName::from_static("x-etcd-version");
const REVISION: HeaderName = HeaderName::from_static("x-revision");

impl EtcdSidecar {
    pub(super) async fn status(&self) -> Result<ServiceStatus, Refusal> {
        let backups = self.service.list(&self.target).await.map_err(|error| Refusal::status(&error))?;
        Ok(convert::service_status(&backups))
    }

    /// Asks for a backup and waits for it. A client that goes away stops the waiting, not the job.
    pub(super) async fn backup_now(&self) -> Result<BackupStatus, Refusal> {
        let submitted = self.service.backup(&self.target, SubmitOptions::default()).await;
        let job = submitted.map_err(|error| Refusal::save(&error))?;
        self.accepted(&job).await?;
        let cx = self.target.repository().context();
        let done = tokio::select! {
            biased;
            done = job.wait() => done.map_err(|error| Refusal::save(&error))?,
            () = cx.clock().sleep(self.result_limit) => return Err(Refusal::timeout()),
        };
        Ok(convert::backup_status(done.outcome.backup()))
    }

    /// Waits until the job begins. One that does not in time is taken back.
    async fn accepted(&self, job: &JobHandle<BackupDone>) -> Result<(), Refusal> {
        let cx = self.target.repository().context();
        tokio::select! {
            biased;
            () = job.started() => return Ok(()),
            () = cx.clock().sleep(self.accept_limit) => {}
        }
        if job.record().state == JobState::Queued {
            job.cancel();
            return Err(Refusal::timeout());
        }
        Ok(())
    }

    /// The steps and their order are the original's: what it answers to several faults at once depends on it.
    pub(super) async fn download(&self, method: &Method, headers: &HeaderMap, params: &Params) -> Result<Response, Refusal> {
        let wanted = Wanted::of(params)?;
        let backups = self.service.list(&self.target).await.map_err(|error| Refusal::list(&error))?;
        let (backup, cx, stored) = self.open(backups, &wanted).await?;
        let name = FileName::of(&backup).ok_or_else(Refusal::backup_not_found)?;
        version::check(name.version, &params.version).map_err(|misfit| Refusal::misfit(misfit, name, &params.version))?;
        self.send(method, headers, &backup, name, cx, stored).await.map_err(|error| Refusal::read(&error))
    }

    /// Opens the backup that is wanted. One whose file somebody removed is passed over, as in a directory that is listed.
    async fn open(
        &self,
        mut backups: Vec<Arc<BackupInfo>>,
        wanted: &Wanted<'_>,
    ) -> Result<(Arc<BackupInfo>, JobContext, StoredBackup), Refusal> {
        let mut missing = wanted.missing();
        while let Some(backup) = wanted.pick(&backups) {
            match self.open_whole(&backup).await {
                Ok((cx, stored)) => return Ok((backup, cx, stored)),
                Err(error) => missing = Refusal::read(&error),
            }
            if missing != Refusal::backup_not_found() {
                break;
            }
            backups.retain(|other| other.id != backup.id);
        }
        Err(missing)
    }

    /// Opens a backup whose file is there.
    async fn open_whole(&self, backup: &BackupInfo) -> Result<(JobContext, StoredBackup)> {
        self.take_over(backup).await?;
        let (cx, stored) = self.service.open(&self.target, &backup.id).await?;
        for artifact in stored.entries() {
            // Otherwise `HEAD` would find what `GET` does not.
            self.target.repository().store().head(&cx, &artifact.key).await?;
        }
        Ok((cx, stored))
    }

    async fn send(
        &self,
        method: &Method,
        headers: &HeaderMap,
        backup: &BackupInfo,
        name: FileName<'_>,
        cx: JobContext,
        stored: StoredBackup,
    ) -> Result<Response> {
        let Some(artifact) = stored.entries().first().cloned() else {
            let nothing = format!("backup {} has no file", backup.id);
            return Err(backup_core::Error::new(&backup_core::error::codes::BACKUP_NOT_FOUND, nothing));
        };
        let mut download = Download::stored(&artifact)
            .last_modified(backup.published_at.unwrap_or_else(|| written_at(backup.created_at)))
            .header(REVISION, HeaderValue::from(name.revision));
        if let Ok(version) = HeaderValue::from_str(name.plain_version()) {
            download = download.header(ETCD_VERSION, version);
        }
        let open = |range| async move { stored.open_stored(&cx, &artifact.name, range).await };
        download.respond(method, headers, open).await
    }
}

/// Which backup a request means.
enum Wanted<'a> {
    Latest,
    Exactly(&'a str, i64),
}

impl<'a> Wanted<'a> {
    fn of(params: &'a Params) -> Result<Self, Refusal> {
        match (params.version.as_str(), params.revision.as_str()) {
            (_, "") => Ok(Self::Latest),
            ("", _) => Err(Refusal::version_missing()),
            (version, revision) => {
                let revision = revision.parse().map_err(|_| Refusal::bad_revision())?;
                Ok(Self::Exactly(version, revision))
            }
        }
    }

    fn pick(&self, backups: &[Arc<BackupInfo>]) -> Option<Arc<BackupInfo>> {
        match self {
            Self::Latest => pick::latest(backups),
            Self::Exactly(version, revision) => pick::exactly(backups, version, *revision),
        }
        .cloned()
    }

    fn missing(&self) -> Refusal {
        match self {
            Self::Latest => Refusal::page_not_found(),
            Self::Exactly(..) => Refusal::backup_not_found(),
        }
    }
}
