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
use super::naming::FileName;
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
        let backup = self.find(params).await?;
        let name = FileName::of(&backup).ok_or_else(Refusal::backup_not_found)?;
        let (cx, stored) = self.open(&backup).await.map_err(|error| Refusal::read(&error))?;
        version::check(name.version, &params.version).map_err(|misfit| Refusal::misfit(misfit, name, &params.version))?;
        self.send(method, headers, &backup, name, cx, stored).await.map_err(|error| Refusal::read(&error))
    }

    /// The backup that a request means.
    async fn find(&self, params: &Params) -> Result<Arc<BackupInfo>, Refusal> {
        let wanted = match (params.version.as_str(), params.revision.as_str()) {
            (_, "") => None,
            ("", _) => return Err(Refusal::version_missing()),
            (version, revision) => Some((version, revision.parse::<i64>().map_err(|_| Refusal::bad_revision())?)),
        };
        let backups = self.service.list(&self.target).await.map_err(|error| Refusal::list(&error))?;
        let (found, missing) = match wanted {
            Some((version, revision)) => (pick::exactly(&backups, version, revision), Refusal::backup_not_found()),
            None => (pick::latest(&backups), Refusal::page_not_found()),
        };
        found.cloned().ok_or(missing)
    }

    /// Opens a backup whose file is there.
    async fn open(&self, backup: &BackupInfo) -> Result<(JobContext, StoredBackup)> {
        let (cx, stored) = self.service.open(&self.target, &backup.id).await?;
        for artifact in stored.entries() {
            // A file that somebody removed is not found by `HEAD` either.
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
            .last_modified(backup.published_at.unwrap_or(backup.created_at))
            .header(REVISION, HeaderValue::from(name.revision));
        if let Ok(version) = HeaderValue::from_str(name.plain_version()) {
            download = download.header(ETCD_VERSION, version);
        }
        let open = |range| async move { stored.open_stored(&cx, &artifact.name, range).await };
        download.respond(method, headers, open).await
    }
}
