//! Programs that are run: `rbd` and `qemu-img`.

use std::collections::BTreeMap;
use std::time::Duration;

use backup_core::{Error, JobContext, Result};
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::ChildStdout;

use super::codes;
use crate::process::{End, Group, Launch, Logs};

/// How long a program may take to end after it was asked to, and its log after its end.
const GRACE: Duration = Duration::from_secs(10);
/// Bytes of a short answer, of JSON: thousands of snapshots.
const ANSWER: usize = 4 << 20;
/// Bytes asked for at once.
const READ: usize = 64 << 10;

/// What a pipe of a program is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pipe {
    /// Its output is read.
    Output,
    /// It is fed.
    Input,
    /// Neither.
    None,
}

/// Starts a program in a group of its own, with nothing of our environment but what programs need to run at all.
pub(super) fn start(cx: &JobContext, argv: &[String], pipe: Pipe) -> Result<Group> {
    let environment = BTreeMap::new();
    let logs = Logs::merged(&environment);
    let launch = Launch {
        argv,
        environment: &environment,
        directory: None,
        feed: pipe == Pipe::Input,
        collect: pipe == Pipe::Output,
        gated: false,
        grace: GRACE,
        logs,
    };
    Group::start(cx, &launch)
}

/// Waits for the end of a program that has nothing more to say, and asks for a clean exit. Whatever comes, nothing of it runs then.
pub(super) async fn finish(cx: &JobContext, group: &mut Group) -> Result<()> {
    let ended = group.end(cx, GRACE).await;
    group.kill().await;
    match ended? {
        End::Code(0) => Ok(()),
        end => Err(group.error(&codes::PROGRAM, end)),
    }
}

/// Ends a program whose input was closed: best by itself, for then it leaves no lock behind that Ceph takes back only after a while.
pub(super) async fn dismiss(cx: &JobContext, group: &mut Group) {
    let cx = cx.for_cleanup(GRACE);
    // Whether it went well is of no interest: it must not.
    let _ = group.end(&cx, Duration::ZERO).await;
    group.kill().await;
}

/// Of what is wrong with a program's output, the cause: what the program says when it failed, which is nearer to it than what is missing.
pub(super) async fn cause(cx: &JobContext, group: &mut Group, error: Error) -> Error {
    match group.end(&cx.with_limit(GRACE), GRACE).await {
        Ok(End::Code(0)) => error,
        Ok(end) => group.error(&codes::PROGRAM, end),
        Err(_) => cx.check().err().unwrap_or(error),
    }
}

/// What a program answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// It ended well, and printed this.
    Good(Vec<u8>),
    /// It ended otherwise, with this exit code, if by itself.
    Bad(Option<i32>, Error),
}

impl Answer {
    /// What it printed.
    ///
    /// # Errors
    /// `cinder.program` when it did not end well.
    pub(super) fn good(self) -> Result<Vec<u8>> {
        match self {
            Self::Good(printed) => Ok(printed),
            Self::Bad(_, error) => Err(error),
        }
    }
}

/// Runs a program that answers shortly. It has ended when this returns.
pub(super) async fn ask(cx: &JobContext, argv: &[String]) -> Result<Answer> {
    let mut group = start(cx, argv, Pipe::Output)?;
    let answer = answered(cx, &mut group).await;
    group.kill().await;
    answer
}

async fn answered(cx: &JobContext, group: &mut Group) -> Result<Answer> {
    let stdout = group.take_stdout()?;
    let printed = cx.run(read_short(stdout)).await?;
    Ok(match group.end(cx, GRACE).await? {
        End::Code(0) => Answer::Good(printed),
        end @ End::Code(code) => Answer::Bad(Some(code), group.error(&codes::PROGRAM, end)),
        end => Answer::Bad(None, group.error(&codes::PROGRAM, end)),
    })
}

async fn read_short(stdout: ChildStdout) -> Result<Vec<u8>> {
    let mut printed = Vec::new();
    let read = stdout.take(ANSWER as u64 + 1).read_to_end(&mut printed).await;
    read.map_err(|error| Error::new(&codes::PROGRAM, "its answer could not be read").with_source(error))?;
    if printed.len() > ANSWER {
        return Err(Error::new(&codes::PROGRAM, format!("its answer is longer than {ANSWER} bytes")));
    }
    Ok(printed)
}

/// Reads until the buffer holds `wanted` bytes; false when the end comes before. Not cancel safe towards the caller's state.
pub(super) async fn fill(from: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut, wanted: usize) -> std::io::Result<bool> {
    if buffer.len() < wanted {
        // Room for all of it and a pipe's worth, once: growing at the end of a piece would copy the piece.
        buffer.reserve(wanted - buffer.len() + READ);
    }
    while buffer.len() < wanted {
        if from.read_buf(buffer).await? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}
