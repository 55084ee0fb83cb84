//! The jobs that can be asked for.

use futures::FutureExt;

use super::job::JobKind;
use super::{BackupDone, BackupService, JobHandle, SubmitOptions, Target, codes};
use crate::context::JobContext;
use crate::error::{Error, Result};
use crate::name::BackupId;
use crate::repository::{BackupOutcome, DeleteOptions, PruneReport, VerifyLevel, VerifyReport};
use crate::retention::RetentionPolicy;
use crate::source::{RestoreReport, RestoreTarget};

impl BackupService {
    /// Backs a target up, and applies its retention after a backup that was made.
    ///
    /// # Errors
    /// `service.busy`, `service.stopping`, `service.no_source`, `job.exists`, and those of the state: then nothing was started. The job's
    /// own come from its handle.
    ///
    /// # Cancel safety
    /// When this is dropped, the job may have been submitted all the same, or not at all.
    pub async fn backup(&self, target: &Target, options: SubmitOptions) -> Result<JobHandle<BackupDone>> {
        let source = target.source.clone().ok_or_else(|| no_source(target))?;
        let work = target.clone();
        let work = move |cx: JobContext| {
            async move {
                let outcome = work.repository.backup(&cx, &*source, &work.request).await?;
                let made = !matches!(outcome, BackupOutcome::Skipped(..));
                let retention = match work.retention.as_ref().filter(|_| made) {
                    Some(policy) => Some(prune(&cx, &work, policy).await),
                    None => None,
                };
                Ok(BackupDone { outcome, retention })
            }
            .boxed()
        };
        self.submit(JobKind::Backup, target, options, |_| {}, Box::new(work)).await
    }

    /// Brings a backup back.
    ///
    /// # Errors
    /// As [`BackupService::backup`].
    pub async fn restore(
        &self,
        target: &Target,
        id: &BackupId,
        to: RestoreTarget,
        options: SubmitOptions,
    ) -> Result<JobHandle<RestoreReport>> {
        let source = target.source.clone().ok_or_else(|| no_source(target))?;
        let (repository, set, backup) = (target.repository.clone(), target.set().clone(), id.clone());
        let work = move |cx: JobContext| async move { repository.restore(&cx, &*source, &set, &backup, &to).await }.boxed();
        self.submit(JobKind::Restore, target, options, |record| record.backup = Some(id.clone()), Box::new(work)).await
    }

    /// Reads a backup back and checks it.
    ///
    /// # Errors
    /// As [`BackupService::backup`].
    pub async fn verify(
        &self,
        target: &Target,
        id: &BackupId,
        level: VerifyLevel,
        options: SubmitOptions,
    ) -> Result<JobHandle<VerifyReport>> {
        let (work, backup) = (target.clone(), id.clone());
        let work = move |cx: JobContext| {
            async move { work.repository.verify(&cx, work.set(), &backup, level, work.source.as_deref()).await }.boxed()
        };
        self.submit(JobKind::Verify, target, options, |record| record.backup = Some(id.clone()), Box::new(work)).await
    }

    /// Checks the backup that is the newest good one when it is the job's turn, as closely as the target says.
    ///
    /// # Errors
    /// As [`BackupService::backup`]; from the handle `backup.not_found` when there is none.
    pub async fn verify_newest(&self, target: &Target, options: SubmitOptions) -> Result<JobHandle<VerifyReport>> {
        let work = target.clone();
        let work = move |cx: JobContext| {
            async move {
                let (repository, set) = (&work.repository, work.set());
                let none = || Error::new(&crate::error::codes::BACKUP_NOT_FOUND, format!("{set} has no good backup"));
                let newest = repository.latest(&cx, set).await?.ok_or_else(none)?;
                repository.verify(&cx, set, &newest.id, work.verify, work.source.as_deref()).await
            }
            .boxed()
        };
        self.submit(JobKind::Verify, target, options, |_| {}, Box::new(work)).await
    }

    /// Removes what `policy`, or else the target's own, does not keep.
    ///
    /// # Errors
    /// As [`BackupService::backup`]; `retention.no_rule` when there is no policy at all.
    pub async fn prune(
        &self,
        target: &Target,
        policy: Option<RetentionPolicy>,
        options: SubmitOptions,
    ) -> Result<JobHandle<PruneReport>> {
        let policy = policy.or_else(|| target.retention.clone()).unwrap_or_default();
        policy.check()?;
        let work = target.clone();
        let work = move |cx: JobContext| async move { prune(&cx, &work, &policy).await }.boxed();
        self.submit(JobKind::Prune, target, options, |_| {}, Box::new(work)).await
    }

    /// Removes one backup.
    ///
    /// # Errors
    /// As [`BackupService::backup`].
    pub async fn delete(&self, target: &Target, id: &BackupId, options: SubmitOptions) -> Result<JobHandle<()>> {
        self.delete_with(target, id, DeleteOptions::default(), options).await
    }

    /// As [`BackupService::delete`], with options of the removal.
    ///
    /// # Errors
    /// As [`BackupService::backup`].
    pub async fn delete_with(
        &self,
        target: &Target,
        id: &BackupId,
        how: DeleteOptions,
        options: SubmitOptions,
    ) -> Result<JobHandle<()>> {
        let (work, backup) = (target.clone(), id.clone());
        let work = move |cx: JobContext| async move { work.repository.delete_with(&cx, work.set(), &backup, how).await }.boxed();
        self.submit(JobKind::Delete, target, options, |record| record.backup = Some(id.clone()), Box::new(work)).await
    }
}

fn no_source(target: &Target) -> Error {
    Error::new(&codes::NO_SOURCE, format!("the target {} has no source", target.set()))
}

async fn prune(cx: &JobContext, target: &Target, policy: &RetentionPolicy) -> Result<PruneReport> {
    let plan = target.repository.plan(cx, target.set(), policy).await?;
    target.repository.prune(cx, target.set(), &plan).await
}
