//! From the command's standard output into the sink.

use std::time::Duration;

use backup_core::error::codes::JOB_DEADLINE;
use backup_core::source::ArtifactWriter;
use backup_core::{ArtifactOptions, Error, JobContext, Result, Sink, Summary};
use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::process::ChildStdout;

use super::config::ScriptConfig;
use crate::process::{Group, Launch, codes};

/// Bytes handed to the sink at once. A pipe holds 64 KiB, so a fast command fills this in a few reads.
const CHUNK: usize = 256 << 10;

pub(super) async fn capture(config: &ScriptConfig, cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
    let limited = config.time_limit.map_or_else(|| cx.clone(), |limit| cx.with_limit(limit));
    // Opened first: a store that refuses shall not cost a run of the command.
    let mut writer = sink.artifact(&config.artifact, ArtifactOptions::default()).await?;
    let mut group = Group::start(
        &limited,
        &Launch {
            argv: &config.command,
            environment: &config.environment,
            directory: config.working_directory.as_deref(),
            feed: false,
            collect: true,
            grace: config.grace,
        },
    )?;
    let mut stdout = group.take_stdout()?;
    if let Err(error) = run(&limited, &mut group, &mut stdout, &mut *writer, config.grace).await {
        stop(&mut group, &mut stdout).await;
        return Err(explain(error, config, cx, &group));
    }
    writer.close().await?;
    let mut summary = Summary::default();
    summary.log = group.log().text();
    Ok(summary)
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

async fn run(
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
            break;
        }
        buffer.reserve(CHUNK);
    }
    group.finish(cx).await
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

/// A deadline that is not the job's own is the time limit; and what the command printed helps with any error.
fn explain(error: Error, config: &ScriptConfig, job: &JobContext, group: &Group) -> Error {
    match config.time_limit {
        Some(limit) if error.code().name == JOB_DEADLINE.name && job.check().is_ok() => {
            group.error(&codes::TIME_LIMIT, format!("ran longer than its time limit of {limit:?} and was stopped"))
        }
        _ => error,
    }
}
