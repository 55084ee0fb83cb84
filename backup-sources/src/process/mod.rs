//! A child process with its whole process group: started, watched, stopped, reaped.

mod log;

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use backup_core::{Clock, Effect, Error, JobContext, Result};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tokio::process::{Child, Command};
#[cfg(feature = "script")]
use tokio::process::{ChildStdin, ChildStdout};
use tokio::task::JoinHandle;

pub(crate) use log::Log;

use backup_core::Secret;

/// The error codes of programs that are run.
pub mod codes {
    backup_core::error_codes! {
        NOT_STARTED = "program.not_started", Source, Never,
            "The program could not be started.", "Check that it exists, may be executed, and that its working directory exists.";
        FAILED = "program.failed", Source, Later,
            "The program ended with an error.", "Read the end of its log in the message.";
        OUTPUT_HELD = "program.output_held", Source, Never,
            "The program ended, but a process it left behind kept its output open.", "Wait in the program for all it starts, or redirect the output of what stays behind.";
        INPUT_UNREAD = "program.input_unread", Source, Never,
            "The program ended before it had read all of its input.", "Let it read its standard input to the end.";
        TIME_LIMIT = "program.time_limit", Timeout, Later,
            "The program ran longer than its time limit.", "Raise `time-limit`, or find out what made it slow.";
    }
}

/// What a child inherits of this process's environment, when it is set.
const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TMPDIR"];

/// How long killed processes may take to be gone; those that left the group hold the log open for longer.
const DYING: Duration = Duration::from_secs(1);

/// How to start a program.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    /// Program and arguments.
    pub(crate) argv: &'a [String],
    /// Its environment, besides [`INHERITED`].
    pub(crate) environment: &'a BTreeMap<String, Secret>,
    /// Its working directory; this process's when `None`.
    pub(crate) directory: Option<&'a Path>,
    /// Whether its standard input is a pipe from here; otherwise it is empty.
    pub(crate) feed: bool,
    /// Whether its standard output is a pipe to here; otherwise it goes into the log.
    pub(crate) collect: bool,
    /// How long it may take to end after it was asked to.
    pub(crate) grace: Duration,
}

/// A running program and its process group, killed when dropped.
///
/// The leader is reaped only when nothing is left to be signalled, so that its process id, which names the group, cannot
/// have become somebody else's.
#[derive(Debug)]
pub(crate) struct Group {
    program: String,
    child: Child,
    leader: Pid,
    exited: Option<JoinHandle<()>>,
    reaped: bool,
    log: Log,
    readers: Vec<JoinHandle<()>>,
    clock: Arc<dyn Clock>,
    grace: Duration,
}

impl Group {
    /// Starts the program as the leader of a new process group.
    pub(crate) fn start(cx: &JobContext, launch: &Launch<'_>) -> Result<Self> {
        let (program, arguments) =
            launch.argv.split_first().ok_or_else(|| Error::new(&codes::NOT_STARTED, "no command was given"))?;
        let not_started =
            |error: io::Error| Error::new(&codes::NOT_STARTED, format!("{program:?} could not be started")).with_source(error);
        let pipe = |wanted: bool| if wanted { Stdio::piped() } else { Stdio::null() };
        let mut command = Command::new(program);
        command.args(arguments).env_clear().process_group(0).kill_on_drop(true);
        command.stdin(pipe(launch.feed)).stdout(Stdio::piped()).stderr(Stdio::piped());
        for name in INHERITED {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(launch.environment.iter().map(|(name, value)| (name, value.expose())));
        if let Some(directory) = launch.directory {
            command.current_dir(directory);
        }
        let mut child = command.spawn().map_err(not_started)?;
        let leader = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| not_started(io::Error::other("it has no process id")))?;

        let log = Log::new(launch.environment.values().cloned().collect());
        let mut readers = Vec::new();
        if let Some(stderr) = child.stderr.take() {
            readers.push(tokio::spawn(log.clone().fill(stderr)));
        }
        if !launch.collect
            && let Some(stdout) = child.stdout.take()
        {
            readers.push(tokio::spawn(log.clone().fill(stdout)));
        }
        Ok(Self {
            program: program.clone(),
            child,
            leader,
            exited: Some(tokio::task::spawn_blocking(move || wait_unreaped(leader))),
            reaped: false,
            log,
            readers,
            clock: Arc::clone(cx.clock()),
            grace: launch.grace,
        })
    }

    /// The pipe from its standard output, once.
    #[cfg(feature = "script")]
    pub(crate) fn take_stdout(&mut self) -> Result<ChildStdout> {
        self.child.stdout.take().ok_or_else(|| no_pipe("output"))
    }

    /// The pipe to its standard input, once.
    #[cfg(feature = "script")]
    pub(crate) fn take_stdin(&mut self) -> Result<ChildStdin> {
        self.child.stdin.take().ok_or_else(|| no_pipe("input"))
    }

    /// What it prints.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Waits until the leader ended; it stays unreaped. Cancel safe.
    pub(crate) async fn leader_exited(&mut self) {
        if let Some(exited) = &mut self.exited {
            // The blocking call does not panic; were it cancelled, the runtime is going down.
            let _ = exited.await;
            self.exited = None;
        }
    }

    /// Waits for the end of the program and of its log, and asks for a clean exit.
    ///
    /// # Errors
    /// `program.failed` with the exit code or signal and the end of the log; those of `cx`. Then the group still has to be
    /// stopped.
    pub(crate) async fn finish(&mut self, cx: &JobContext) -> Result<()> {
        cx.run(async {
            self.leader_exited().await;
            Ok(())
        })
        .await?;
        // A process left behind may hold the log open for ever.
        self.readers_done(self.grace).await;
        let status = self.reap().await?;
        if status.success() { Ok(()) } else { Err(self.error(&codes::FAILED, describe(status))) }
    }

    /// Asks the whole group to end, kills it after the grace, and reaps the leader.
    pub(crate) async fn terminate(&mut self) {
        self.signal(Signal::TERM);
        let clock = Arc::clone(&self.clock);
        let grace = self.grace;
        tokio::select! {
            () = async { self.leader_exited().await; self.readers_done(grace).await } => {}
            () = clock.sleep(grace) => tracing::warn!(program = self.program, "did not end when asked to, and is killed"),
        }
        self.kill().await;
    }

    /// Kills the whole group at once, reaps the leader, and waits until the others are gone, too: the kernel closes the log's
    /// pipe after a process let go of everything else. One system call reaches every member, so none of them can mistake the
    /// death of another for a good end.
    pub(crate) async fn kill(&mut self) {
        self.signal(Signal::KILL);
        if let Err(error) = self.reap().await {
            tracing::warn!(program = self.program, %error, "could not be reaped");
        }
        self.readers_done(DYING.min(self.grace)).await;
        self.readers.iter().for_each(JoinHandle::abort);
    }

    /// An error about the program, with the end of its log.
    pub(crate) fn error(&self, code: &'static backup_core::error::Code, what: impl std::fmt::Display) -> Error {
        let program = &self.program;
        match self.log.quote() {
            Some(end) => Error::new(code, format!("{program:?} {what}; its log ends:\n{end}\n")),
            None => Error::new(code, format!("{program:?} {what}; it printed nothing")),
        }
    }

    /// The log so far, awaited for at most `limit` when processes left behind still hold it open.
    async fn readers_done(&mut self, limit: Duration) {
        let clock = Arc::clone(&self.clock);
        let readers = &mut self.readers;
        tokio::select! {
            () = async { for reader in readers.iter_mut().filter(|reader| !reader.is_finished()) { let _ = reader.await; } } => {}
            () = clock.sleep(limit) => {}
        }
        self.readers.retain(|reader| !reader.is_finished());
    }

    async fn reap(&mut self) -> Result<ExitStatus> {
        self.leader_exited().await;
        let status = self.child.wait().await.map_err(|error| {
            Error::new(&codes::FAILED, format!("the end of {:?} is not known", self.program))
                .with_source(error)
                .with_effect(Effect::Unknown)
        });
        self.reaped = true;
        status
    }

    fn signal(&self, signal: Signal) {
        if !self.reaped {
            // The only failure left is that nobody is there any more.
            let _ = rustix::process::kill_process_group(self.leader, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        self.readers.iter().for_each(JoinHandle::abort);
    }
}

/// Blocks until the process ended and leaves it as a zombie, so that its id stays taken.
fn wait_unreaped(leader: Pid) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(rustix::io::Errno::INTR) = rustix::process::waitid(WaitId::Pid(leader), options) {}
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => format!("ended with {status}"),
    }
}

#[cfg(feature = "script")]
fn no_pipe(which: &str) -> Error {
    Error::new(&backup_core::error::codes::INTERNAL, format!("the program's standard {which} is not a pipe"))
}
