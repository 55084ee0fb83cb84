//! A program that is started but does not begin before it is told to, and that is not told a cut for the end of its input.
//!
//! Between the start of a process and the durable note of its id lies an instant in which this process may be killed; what runs then,
//! nobody could find again. So a shell stands in the program's place until the note is written, and becomes the program (by `exec`:
//! same process, same group) when a line arrives on its standard input. When this process dies instead, the line never comes.
//!
//! A program that is fed takes the end of its input for a sign that all of it was good. When this process dies, the kernel closes the
//! pipe all the same. So a second process of the group, the guard, holds the pipe open, too, and lets go of it only when this process
//! says so on a pipe of its own; when that one breaks, it kills the group. It gets its end of the program's input from `/proc`, which
//! Linux alone has.

use std::fs::File;
use std::io;
#[cfg(feature = "script")]
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStdin, Command};

use super::Launch;

const SHELL: &str = "/bin/sh";
/// A shell exports variables of its own, which the program would not get otherwise. `read` takes no byte beyond the line.
/// Its own variables have names that no parameter has: one that is there already would be exported, and overwritten.
const EMPTY_INPUT: &str = r#"IFS= read -r __backup_go || exit 125; unset PWD OLDPWD SHLVL __backup_go; exec "$@" </dev/null"#;
const FED: &str = r#"IFS= read -r __backup_go || exit 125; unset PWD OLDPWD SHLVL __backup_go; exec "$@""#;
/// Opened for both first, the guard's pipe can be opened for reading without waiting for somebody who may be dead.
const GUARDED: &str = r#"
    __backup_pipe=$1; shift
    exec 3>/proc/self/fd/0 5<>"$__backup_pipe" 4<"$__backup_pipe" 5>&-
    rm -f -- "$__backup_pipe"
    ( (exec </dev/null >/dev/null 2>&1; IFS= read -r __backup_good <&4 || kill -s KILL 0) & )
    exec 3>&- 4<&-
    IFS= read -r __backup_go || exit 125; unset PWD OLDPWD SHLVL __backup_go __backup_pipe; exec "$@""#;

/// What stands before a program.
#[derive(Debug)]
pub(super) struct Gate {
    feed: bool,
    /// Kept as long as the program: what is written into a pipe that nobody has open is lost.
    #[cfg_attr(not(feature = "script"), allow(dead_code, reason = "`br` is not fed"))]
    guard: Option<Guard>,
}

impl Gate {
    /// Opens it; gives the pipe back when the program is fed from it.
    pub(super) async fn open(&self, stdin: Option<ChildStdin>) -> Option<ChildStdin> {
        let mut stdin = stdin?;
        // A program that is gone says so in its exit code.
        let _ = stdin.write_all(b"\n").await;
        let _ = stdin.flush().await;
        self.feed.then_some(stdin)
    }

    /// Tells the guard that the input was good to its end.
    #[cfg(feature = "script")]
    pub(super) fn vouch(&mut self) -> io::Result<()> {
        self.guard.as_mut().map_or(Ok(()), |guard| guard.pipe.write_all(b"good\n"))
    }
}

/// The pipe on which the guard of a fed program waits.
#[derive(Debug)]
struct Guard {
    path: PathBuf,
    #[cfg_attr(not(feature = "script"), allow(dead_code, reason = "`br` is not fed"))]
    pipe: File,
}

impl Guard {
    fn new() -> io::Result<Self> {
        for _ in 0..100 {
            let name = format!("backup-{}-{:016x}", std::process::id(), random());
            let path = std::env::temp_dir().join(name);
            // Fails when anything is there by that name.
            match rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0) {
                Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
                Ok(()) => {
                    let pipe = rustix::fs::open(&path, OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty());
                    return Ok(Self { pipe: pipe?.into(), path });
                }
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Mostly gone already: the shell removes it.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}

/// The shell in front of a program.
///
/// # Errors
/// Where the program cannot be found: the shell would say so only in its exit code.
pub(super) fn in_front_of(launch: &Launch<'_>) -> io::Result<(Command, Gate)> {
    let program = launch.argv.first().map(String::as_str).unwrap_or_default();
    if !found(program, launch.directory) {
        return Err(io::Error::new(io::ErrorKind::NotFound, "no such program"));
    }
    let feed = launch.feed;
    let guard = (feed && cfg!(target_os = "linux")).then(Guard::new).transpose()?;
    let mut command = Command::new(SHELL);
    match &guard {
        Some(guard) => command.args(["-c", GUARDED, "sh"]).arg(&guard.path),
        None => command.args(["-c", if feed { FED } else { EMPTY_INPUT }, "sh"]),
    };
    command.args(launch.argv);
    Ok((command, Gate { feed, guard }))
}

fn found(program: &str, directory: Option<&Path>) -> bool {
    if program.contains('/') {
        return directory.map_or_else(|| PathBuf::from(program), |directory| directory.join(program)).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    !program.is_empty() && std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    use backup_core::event::TracingObserver;
    use backup_core::{Environment, JobContext};
    #[cfg(feature = "script")]
    use tokio::io::AsyncWriteExt;

    use crate::process::{End, Group, Launch, Log, LogLimits, Logs, Secrets};

    fn start(cx: &JobContext, argv: &[&str], feed: bool) -> (Group, Logs) {
        let log = || Log::new(Secrets::default(), LogLimits::default());
        let logs = Logs { out: log(), err: log() };
        let launch = Launch {
            argv: &argv.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>(),
            environment: &BTreeMap::new(),
            directory: None,
            feed,
            collect: false,
            gated: true,
            grace: Duration::from_secs(1),
            logs: logs.clone(),
        };
        (Group::start(cx, &launch).unwrap(), logs)
    }

    fn cx() -> JobContext {
        JobContext::new(Environment::default(), Arc::new(TracingObserver))
    }

    #[tokio::test]
    async fn a_program_whose_gate_is_never_opened_does_nothing() {
        let (mut group, logs) = start(&cx(), &["echo", "it began"], false);
        // As when this process dies.
        drop(group.child.stdin.take());
        assert_eq!(group.end(&cx(), Duration::from_secs(10)).await.unwrap(), End::Code(125));
        assert_eq!((logs.out.text(), logs.err.text()), (None, None));
    }

    #[tokio::test]
    async fn behind_the_gate_a_program_is_the_process_that_was_noted_and_has_nothing_of_the_shell() {
        let (mut group, logs) = start(&cx(), &["sh", "-c", "echo $$; env; cat"], false);
        let noted = serde_json::to_value(group.id().unwrap()).unwrap()["leader"].to_string();
        group.release().await;
        assert_eq!(group.end(&cx(), Duration::from_secs(10)).await.unwrap(), End::Code(0));
        let text = logs.out.text().unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some(noted.as_str()));
        // `PWD` is the inner shell's.
        let names = lines.map(|line| line.split('=').next().unwrap());
        let foreign: Vec<_> =
            names.filter(|name| !["PATH", "HOME", "LANG", "TMPDIR", "PWD", "_", "SHLVL"].contains(name)).collect();
        assert_eq!(foreign, Vec::<&str>::new());
    }

    #[cfg(feature = "script")]
    #[tokio::test]
    async fn a_program_that_is_fed_gets_every_byte_after_the_gate() {
        let (mut group, logs) = start(&cx(), &["cat"], true);
        group.release().await;
        let mut stdin = group.take_stdin().unwrap();
        stdin.write_all(b"\nfirst\n").await.unwrap();
        group.vouch().unwrap();
        drop(stdin);
        assert_eq!(group.end(&cx(), Duration::from_secs(10)).await.unwrap(), End::Code(0));
        assert_eq!(logs.out.text().as_deref(), Some("\nfirst\n"));
    }
}
