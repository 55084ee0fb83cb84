//! From the file that the `backup` script left into the sink.

use backup_core::{ArtifactName, ArtifactOptions, JobContext, Result, Sink, Summary, async_trait};
use futures::StreamExt;

use super::config::StagedConfig;
use super::remove;
use crate::script::directory::JobDirectory;
use crate::script::probe::Position;
use crate::script::run::{Main, Work, run};
use crate::script::stage::Operation;
use crate::script::summary;
use crate::script::watch::Watch;

struct Capture<'a> {
    directory: &'a JobDirectory,
    sink: &'a dyn Sink,
}

#[async_trait]
impl Work for Capture<'_> {
    async fn work(&mut self, cx: &JobContext, main: &mut Main<'_, '_>) -> Result<()> {
        main.script(cx).await?;
        let file = self.directory.file()?;
        let options = ArtifactOptions::default().size_hint(file.size());
        let mut writer = self.sink.artifact(&ArtifactName::new(file.name())?, options).await?;
        let mut bytes = file.stream();
        while let Some(data) = cx.run(async { Ok(bytes.next().await) }).await? {
            cx.run(writer.write(data?)).await?;
        }
        writer.close().await.map(drop)
    }
}

pub(super) async fn capture(config: &StagedConfig, cx: &JobContext, sink: &dyn Sink, watch: &Watch) -> Result<Summary> {
    cx.check()?;
    let plan = config.plan(cx, Operation::Backup, None)?;
    let position = Position::before(&config.probing(), cx).await?;
    let directory = JobDirectory::create(&config.job_directory, &plan.id)?;
    let ended = run(&plan, cx, watch, &mut Capture { directory: &directory, sink }).await;
    // While the record is there: a crash from here on removes the directory, too.
    remove(directory.path()).await;
    ended.finish()?;
    let summary = position.after(&config.probing(), cx).await?;
    Ok(summary::logged(summary, &watch.stages()))
}
