//! A child process with its whole process group: started, watched, stopped, reaped.

#[cfg(any(feature = "br", feature = "script"))]
mod gate;
#[cfg(any(feature = "br", feature = "script"))]
mod group_id;
#[cfg(feature = "br")]
mod lines;
mod log;
mod members;
mod spool;
mod strainer;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use backup_core::{Clock, Error, JobContext, Result, Secret};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus};
use tokio::process::{Child, Command};
#[cfg(any(feature = "cinder", feature = "script"))]
use tokio::process::{ChildStdin, ChildStdout};
use tokio::task::JoinHandle;

#[cfg(any(feature = "br", feature = "script"))]
pub(crate) use group_id::GroupId;
#[cfg(feature = "br")]
pub(crate) use group_id::boot;
#[cfg(feature = "br")]
pub(crate) use lines::Listener;
pub(crate) use log::Log;
pub use log::LogLimits;
pub(crate) use strainer::Secrets;

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
pub(crate) const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TMPDIR"];

/// How long killed processes may take to be gone; those that left the group hold the log open for longer.
const DYING: Duration = Duration::from_secs(1);

/// How often it is looked whether they are.
const LOOK: Duration = Duration::from_millis(5);

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
    /// Whether it waits for [`Group::release`] before it does anything.
    pub(crate) gated: bool,
    /// How long it may take to end after it was asked to.
    pub(crate) grace: Duration,
    /// What it prints; one log twice keeps both streams in the order in which they came.
    pub(crate) logs: Logs,
}

/// What a program prints.
#[derive(Debug, Clone)]
pub(crate) struct Logs {
    /// To standard output, unless that is collected.
    pub(crate) out: Log,
    /// To standard error.
    pub(crate) err: Log,
}

#[cfg(any(feature = "cinder", feature = "etcd"))]
impl Logs {
    /// Both streams in one log, without the values of `environment`.
    pub(crate) fn merged(environment: &BTreeMap<String, Secret>) -> Self {
        let log = Log::new(Secrets::new(environment.values()), LogLimits::default());
        Self { out: log.clone(), err: log }
    }
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Nobody can say.
    Unknown,
}

impl End {
    fn of(status: Option<&WaitIdStatus>) -> Self {
        match status.map(|status| (status.exit_status(), status.terminating_signal())) {
            Some((Some(code), _)) => Self::Code(code),
            Some((None, Some(signal))) => Self::Signal(signal),
            _ => Self::Unknown,
        }
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "ended with exit code {code}"),
            Self::Signal(signal) => write!(f, "was killed by signal {signal}"),
            Self::Unknown => f.write_str("ended, and nobody knows how"),
        }
    }
}

/// A running program and its process group, killed when dropped.
///
/// The leader is reaped only when nothing is left to be signalled, so that its process id, which names the group, cannot
/// have become somebody else's. What a program leaves behind in its group therefore lives until the group is killed or dropped,
/// not longer.
#[derive(Debug)]
pub(crate) struct Group {
    program: String,
    child: Child,
    leader: Pid,
    exited: Option<JoinHandle<End>>,
    end: Option<End>,
    reaped: bool,
    #[cfg(any(feature = "br", feature = "script"))]
    gate: Option<gate::Gate>,
    logs: Logs,
    readers: Vec<JoinHandle<()>>,
    clock: Arc<dyn Clock>,
    grace: Duration,
}

impl Group {
    /// Starts the program as the leader of a new process group.
    pub(crate) fn start(cx: &JobContext, launch: &Launch<'_>) -> Result<Self> {
        let program = launch.argv.first().ok_or_else(|| Error::new(&codes::NOT_STARTED, "no command was given"))?;
        let not_started =
            |error: io::Error| Error::new(&codes::NOT_STARTED, format!("{program:?} could not be started")).with_source(error);
        let pipe = |wanted: bool| if wanted { Stdio::piped() } else { Stdio::null() };
        let mut command = Command::new(program);
        command.args(launch.argv.get(1..).unwrap_or_default());
        #[cfg(any(feature = "br", feature = "script"))]
        let mut gate = None;
        #[cfg(any(feature = "br", feature = "script"))]
        if launch.gated {
            (command, gate) = gate::in_front_of(launch).map(|(command, gate)| (command, Some(gate))).map_err(not_started)?;
        }
        command.env_clear().process_group(0).kill_on_drop(true);
        command.stdin(pipe(launch.feed || launch.gated)).stdout(Stdio::piped()).stderr(Stdio::piped());
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

        let mut readers = Vec::new();
        if let Some(stderr) = child.stderr.take() {
            readers.push(tokio::spawn(launch.logs.err.clone().fill(stderr)));
        }
        if !launch.collect
            && let Some(stdout) = child.stdout.take()
        {
            readers.push(tokio::spawn(launch.logs.out.clone().fill(stdout)));
        }
        Ok(Self {
            program: program.clone(),
            #[cfg(any(feature = "br", feature = "script"))]
            gate,
            child,
            leader,
            exited: Some(tokio::task::spawn_blocking(move || wait_unreaped(leader))),
            end: None,
            reaped: false,
            logs: launch.logs.clone(),
            readers,
            clock: Arc::clone(cx.clock()),
            grace: launch.grace,
        })
    }

    /// Lets a gated program begin.
    #[cfg(any(feature = "br", feature = "script"))]
    pub(crate) async fn release(&mut self) {
        if let Some(gate) = &self.gate {
            self.child.stdin = gate.open(self.child.stdin.take()).await;
        }
    }

    /// Says that a gated program was fed all that it should be: only then the end of its input reaches it, once the pipe is closed.
    #[cfg(feature = "script")]
    pub(crate) fn vouch(&mut self) -> Result<()> {
        let vouched = self.gate.as_mut().map_or(Ok(()), gate::Gate::vouch);
        vouched.map_err(|error| self.error(&codes::FAILED, "could not be told the end of its input").with_source(error))
    }

    /// Who the group is, for somebody who comes after this process.
    #[cfg(any(feature = "br", feature = "script"))]
    pub(crate) fn id(&self) -> io::Result<GroupId> {
        GroupId::of(self.leader)
    }

    /// The pipe from its standard output, once.
    #[cfg(any(feature = "cinder", feature = "script"))]
    pub(crate) fn take_stdout(&mut self) -> Result<ChildStdout> {
        self.child.stdout.take().ok_or_else(|| no_pipe("output"))
    }

    /// The pipe to its standard input, once.
    #[cfg(any(feature = "cinder", feature = "script"))]
    pub(crate) fn take_stdin(&mut self) -> Result<ChildStdin> {
        self.child.stdin.take().ok_or_else(|| no_pipe("input"))
    }

    /// What it prints.
    #[cfg(feature = "etcd")]
    pub(crate) fn logs(&self) -> &Logs {
        &self.logs
    }

    /// Waits until the leader ended; it stays unreaped. Cancel safe.
    pub(crate) async fn leader_exited(&mut self) {
        if let Some(exited) = &mut self.exited {
            // The blocking call does not panic; were it cancelled, the runtime is going down.
            let end = exited.await.unwrap_or(End::Unknown);
            (self.exited, self.end) = (None, Some(end));
        }
    }

    /// How the leader ended, if it did by now.
    #[cfg(feature = "script")]
    pub(crate) fn ended(&self) -> Option<End> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        self.end.or_else(|| {
            rustix::process::waitid(WaitId::Pid(self.leader), options).ok().flatten().map(|status| End::of(Some(&status)))
        })
    }

    /// Waits for the end of the program, and then at most `patience` for that of its log, which a process left behind may hold
    /// open for ever.
    ///
    /// # Errors
    /// Those of `cx`. Then the group still has to be stopped.
    pub(crate) async fn end(&mut self, cx: &JobContext, patience: Duration) -> Result<End> {
        cx.run(async {
            self.leader_exited().await;
            Ok(())
        })
        .await?;
        self.readers_done(patience).await;
        Ok(self.end.unwrap_or(End::Unknown))
    }

    /// Waits for the end of the program and of its log, and asks for a clean exit.
    ///
    /// # Errors
    /// `program.failed` with the exit code or signal and the end of the log; those of `cx`. Then the group still has to be
    /// stopped.
    #[cfg(any(feature = "br", feature = "etcd", feature = "script"))]
    pub(crate) async fn finish(&mut self, cx: &JobContext) -> Result<()> {
        match self.end(cx, self.grace).await? {
            End::Code(0) => Ok(()),
            end => Err(self.error(&codes::FAILED, end)),
        }
    }

    /// Asks the whole group to end, kills it after the grace, and reaps the leader.
    #[cfg(any(feature = "br", feature = "etcd", feature = "script"))]
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

    /// Kills the whole group at once, reaps the leader, and waits until the others are gone, too. One system call reaches every
    /// member, so none of them can mistake the death of another for a good end.
    pub(crate) async fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.leader_exited().await;
        if let Err(error) = self.child.wait().await {
            tracing::warn!(program = self.program, %error, "could not be reaped");
        }
        self.reaped = true;
        // The number may be somebody else's from here on; asking harms nobody.
        let until = self.clock.monotonic().saturating_add(DYING);
        let there = || rustix::process::test_kill_process_group(self.leader).is_ok() && members::lives(self.leader);
        while there() && self.clock.monotonic() < until {
            self.clock.sleep(LOOK).await;
        }
        self.readers_done(DYING.min(self.grace)).await;
        self.readers.iter().for_each(JoinHandle::abort);
    }

    /// An error about the program, with the end of its log.
    pub(crate) fn error(&self, code: &'static backup_core::error::Code, what: impl std::fmt::Display) -> Error {
        let program = &self.program;
        match self.logs.err.quote().or_else(|| self.logs.out.quote()) {
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
fn wait_unreaped(leader: Pid) -> End {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    loop {
        match rustix::process::waitid(WaitId::Pid(leader), options) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(status) => return End::of(status.as_ref()),
            Err(_) => return End::Unknown,
        }
    }
}

#[cfg(any(feature = "cinder", feature = "script"))]
fn no_pipe(which: &str) -> Error {
    Error::new(&backup_core::error::codes::INTERNAL, format!("the program's standard {which} is not a pipe"))
}
