//! From a backup into a command's standard input, or into a file.

use std::io::BufReader;
use std::path::PathBuf;

use backup_core::error::codes as core_codes;
use backup_core::source::ArtifactStream;
use backup_core::{ArtifactName, BackupReader, Error, JobContext, RestoreReport, RestoreTarget, Result, async_trait};
use futures::StreamExt;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;

use super::config::{ScriptConfig, check_command};
use super::job::Pipes;
use super::run::{Main, Work, run};
use super::stage::Operation;
use super::summary;
use super::watch::Watch;
use crate::feed::{Feed, feed};
use crate::file::{NewFile, check_target, failed};
use crate::process::{Group, codes};

/// Bytes written to a file at once.
const COPY: usize = 1 << 20;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    command: Option<Vec<String>>,
    file: Option<PathBuf>,
}

enum Into {
    Command(Vec<String>),
    File(PathBuf),
}

pub(super) async fn restore(
    config: &ScriptConfig,
    cx: &JobContext,
    reader: &dyn BackupReader,
    target: &RestoreTarget,
    watch: &Watch,
) -> Result<RestoreReport> {
    let into = destination(config, target)?;
    let name = artifact(config, reader)?;
    let stream = cx.run(reader.open(cx, &name)).await?;
    let bytes = match into {
        _ if target.dry_run => drain(cx, stream).await?,
        Into::File(path) => to_file(cx, stream, path).await?,
        Into::Command(argv) => return to_command(config, cx, stream, &argv, watch).await,
    };
    Ok(RestoreReport::new(bytes))
}

fn destination(config: &ScriptConfig, target: &RestoreTarget) -> Result<Into> {
    let asked: Target = if target.value.is_null() { Target::default() } else { target.parse()? };
    let refuse = |what: &'static str| Err(Error::new(&core_codes::INPUT_INVALID, what));
    match (asked.command, asked.file) {
        (Some(_), Some(_)) => refuse("the restore target names both a command and a file; choose one"),
        (Some(argv), None) => check_command("the restore target's command", &argv).map(|()| Into::Command(argv)),
        (None, Some(path)) => check_target(&path).map(|()| Into::File(path)),
        (None, None) => match &config.restore_command {
            Some(argv) => Ok(Into::Command(argv.clone())),
            None => refuse("the restore target names neither a command nor a file, and no restore-command is configured"),
        },
    }
}

/// The configured artifact, or the only one of a backup that was made under another configuration.
fn artifact(config: &ScriptConfig, reader: &dyn BackupReader) -> Result<ArtifactName> {
    let mut names = reader.artifacts();
    if names.contains(&config.artifact) {
        return Ok(config.artifact.clone());
    }
    match (names.pop(), names.is_empty()) {
        (Some(only), true) => Ok(only),
        _ => Err(Error::new(&core_codes::INPUT_INVALID, format!("the backup holds no artifact named {}", config.artifact))),
    }
}

pub(super) async fn drain(cx: &JobContext, mut stream: ArtifactStream) -> Result<u64> {
    let mut bytes = 0_u64;
    while let Some(data) = cx.run(async { Ok(stream.next().await) }).await? {
        bytes = bytes.saturating_add(data?.len() as u64);
    }
    Ok(bytes)
}

pub(super) async fn to_file(cx: &JobContext, stream: ArtifactStream, path: PathBuf) -> Result<u64> {
    let file = NewFile::create(cx, &path).await?;
    let mut output = file.handle()?;
    let copy = move |input: &mut Feed| {
        let mut input = BufReader::with_capacity(COPY, input);
        std::io::copy(&mut input, &mut output).map_err(|error| failed("writing", &path, error))
    };
    let bytes = feed(cx, stream, copy).await?;
    file.publish().await?;
    Ok(bytes)
}

struct Feeding {
    stream: Option<ArtifactStream>,
    bytes: u64,
}

#[async_trait]
impl Work for Feeding {
    async fn work(&mut self, cx: &JobContext, main: &mut Main<'_, '_>) -> Result<()> {
        let Some(stream) = self.stream.take() else { return Ok(()) };
        let mut group = main.begin(cx, Pipes { feed: true, collect: false }).await?;
        let mut stdin = group.take_stdin()?;
        let limited = main.limited(cx);
        let mut fed = hand_over(&limited, &mut group, stream, &mut stdin).await;
        if fed.is_ok() {
            fed = group.vouch().and(fed);
        }
        if fed.is_err() {
            // The pipe stays open until the group is dead: no member may take the cut for the end.
            group.kill().await;
        }
        // Only now: the end of its input tells the command that all of it was good.
        drop(stdin);
        self.bytes = *fed.as_ref().unwrap_or(&0);
        main.end(cx, group, fed.map(drop)).await
    }
}

async fn to_command(
    config: &ScriptConfig,
    cx: &JobContext,
    stream: ArtifactStream,
    argv: &[String],
    watch: &Watch,
) -> Result<RestoreReport> {
    let plan = config.plan(cx, Operation::Restore, argv);
    let mut feeding = Feeding { stream: Some(stream), bytes: 0 };
    let ended = run(&plan, cx, watch, &mut feeding).await;
    ended.finish().map_err(|error| summary::with_effect(error, watch))?;
    Ok(summary::reported(RestoreReport::new(feeding.bytes), &watch.stages()))
}

async fn hand_over(cx: &JobContext, group: &mut Group, mut stream: ArtifactStream, stdin: &mut ChildStdin) -> Result<u64> {
    let mut bytes = 0_u64;
    while let Some(data) = cx.run(async { Ok(stream.next().await) }).await? {
        let data = data?;
        let written = cx
            .run(async {
                // A process left behind may hold the pipe open after the command ended, and read nothing.
                tokio::select! {
                    biased;
                    written = stdin.write_all(&data) => Ok(written.is_ok()),
                    () = group.leader_exited() => Ok(false),
                }
            })
            .await?;
        if !written {
            // Its own exit code says more than the broken pipe.
            group.finish(cx).await?;
            return Err(group
                .error(&codes::INPUT_UNREAD, format!("ended after reading at most {bytes} bytes, before the end of its input")));
        }
        bytes = bytes.saturating_add(data.len() as u64);
    }
    Ok(bytes)
}
