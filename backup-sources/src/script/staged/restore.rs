//! From a backup into the job's directory, and from there by the `restore` script.

use backup_core::error::codes::INPUT_INVALID;
use backup_core::{ArtifactName, BackupReader, Error, JobContext, RestoreReport, RestoreTarget, Result, async_trait};

use super::config::StagedConfig;
use super::remove;
use crate::script::directory::JobDirectory;
use crate::script::restore::{drain, to_file};
use crate::script::run::{Main, Work, run};
use crate::script::stage::Operation;
use crate::script::summary;
use crate::script::watch::Watch;

struct Restore<'a> {
    directory: &'a JobDirectory,
    reader: &'a dyn BackupReader,
    artifact: &'a ArtifactName,
    bytes: u64,
}

#[async_trait]
impl Work for Restore<'_> {
    async fn work(&mut self, cx: &JobContext, main: &mut Main<'_, '_>) -> Result<()> {
        let stream = cx.run(self.reader.open(cx, self.artifact)).await?;
        // Under its name only after the last check.
        self.bytes = to_file(cx, stream, self.directory.path().join(self.artifact.as_str())).await?;
        main.script(cx).await
    }
}

pub(super) async fn restore(
    config: &StagedConfig,
    cx: &JobContext,
    reader: &dyn BackupReader,
    target: &RestoreTarget,
    watch: &Watch,
) -> Result<RestoreReport> {
    cx.check()?;
    let refuse = |what: String| Err(Error::new(&INPUT_INVALID, what));
    if !target.value.is_null() && target.value.as_object().is_none_or(|object| !object.is_empty()) {
        return refuse(
            "staged scripts restore into what they are configured for: the restore target has to be null or {}".to_owned(),
        );
    }
    let artifacts = reader.artifacts();
    let [artifact] = artifacts.as_slice() else {
        return refuse(format!("the backup holds {} artifacts; staged scripts restore one", artifacts.len()));
    };
    if artifact.as_str().contains('/') {
        return refuse(format!("the artifact {artifact} does not have the name of a file that staged scripts made"));
    }
    if target.dry_run {
        let stream = cx.run(reader.open(cx, artifact)).await?;
        return Ok(RestoreReport::new(drain(cx, stream).await?));
    }
    let plan = config.plan(cx, Operation::Restore, Some(artifact.as_str()))?;
    let directory = JobDirectory::create(&config.job_directory, &plan.id)?;
    let mut work = Restore { directory: &directory, reader, artifact, bytes: 0 };
    let ended = run(&plan, cx, watch, &mut work).await;
    let bytes = work.bytes;
    remove(directory.path()).await;
    ended.finish().map_err(|error| summary::with_effect(error, watch))?;
    Ok(summary::reported(RestoreReport::new(bytes), &watch.stages()))
}
