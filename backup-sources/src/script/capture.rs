//! From the command's standard output into the sink.

use std::time::Duration;

use backup_core::source::ArtifactWriter;
use backup_core::{ArtifactOptions, JobContext, Result, Sink, Summary, async_trait};
use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::process::ChildStdout;

use super::config::ScriptConfig;
use super::job::Pipes;
use super::probe::Position;
use super::run::{Main, Work, run};
use super::stage::Operation;
use super::summary;
use super::watch::Watch;
use crate::process::{Group, codes};

/// Bytes handed to the sink at once. A pipe holds 64 KiB, so a fast command fills this in a few reads.
const CHUNK: usize = 256 << 10;

struct Capture<'a> {
    config: &'a ScriptConfig,
    sink: &'a dyn Sink,
}

#[async_trait]
impl Work for Capture<'_> {
    async fn work(&mut self, cx: &JobContext, main: &mut Main<'_, '_>) -> Result<()> {
        // Opened first: a store that refuses shall not cost a run of the command.
        let mut writer = self.sink.artifact(&self.config.artifact, ArtifactOptions::default()).await?;
        let mut group = main.begin(cx, Pipes { collect: true, feed: false }).await?;
        let mut stdout = group.take_stdout()?;
        let limited = main.limited(cx);
        let moved = pump(&limited, &mut group, &mut stdout, &mut *writer, self.config.grace).await;
        if moved.is_err() {
            stop(&mut group, &mut stdout).await;
        }
        main.end(cx, group, moved).await?;
        writer.close().await.map(drop)
    }
}

pub(super) async fn capture(config: &ScriptConfig, cx: &JobContext, sink: &dyn Sink, watch: &Watch) -> Result<Summary> {
    let plan = config.plan(cx, Operation::Backup, &config.command);
    let position = Position::before(&config.probing(), cx).await?;
    run(&plan, cx, watch, &mut Capture { config, sink }).await.finish()?;
    let summary = position.after(&config.probing(), cx).await?;
    Ok(summary::logged(summary, &watch.stages()))
}

/// Terminates the group with its output still read, and thrown away. Closed first, the pipe would break under the command: it
/// would go on to its clean-up, and the signal would then hit that clean-up instead of starting it.
async fn stop(group: &mut Group, stdout: &mut ChildStdout) {
    let drain = async {
        let mut waste = BytesMut::with_capacity(CHUNK);
        while let Ok(1..) = stdout.read_buf(&mut waste).await {
            waste.clear();
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = group.terminate() => {}
        () = drain => {}
    }
}

async fn pump(
    cx: &JobContext,
    group: &mut Group,
    stdout: &mut ChildStdout,
    writer: &mut dyn ArtifactWriter,
    grace: Duration,
) -> Result<()> {
    let mut left = grace;
    let mut buffer = BytesMut::with_capacity(CHUNK);
    loop {
        let ended = cx.run(fill(cx, group, stdout, &mut buffer, &mut left)).await?;
        if !buffer.is_empty() {
            cx.run(writer.write(buffer.split().freeze())).await?;
        }
        if ended {
            return Ok(());
        }
        buffer.reserve(CHUNK);
    }
}

/// Reads until the buffer is full or the output ends (then true). Once the leader has ended, waiting for more is paid from
/// `left`; waiting for the store is not.
async fn fill(
    cx: &JobContext,
    group: &mut Group,
    stdout: &mut ChildStdout,
    buffer: &mut BytesMut,
    left: &mut Duration,
) -> Result<bool> {
    while buffer.len() < CHUNK {
        let mut since = None;
        let held = async {
            group.leader_exited().await;
            since = Some(cx.clock().monotonic());
            cx.clock().sleep(*left).await;
        };
        let count = tokio::select! {
            biased;
            count = stdout.read_buf(buffer) => count,
            () = held => {
                let what = "ended, but a process it left behind holds its standard output open";
                return Err(group.error(&codes::OUTPUT_HELD, what));
            }
        };
        if let Some(since) = since {
            *left = left.saturating_sub(cx.clock().monotonic().saturating_sub(since));
        }
        match count {
            Ok(0) => return Ok(true),
            Ok(_) => {}
            Err(error) => return Err(group.error(&codes::FAILED, "stopped handing out its standard output").with_source(error)),
        }
    }
    Ok(false)
}
