//! A program that is started but does not begin before it is told to.
//!
//! Between the start of a process and the durable note of its id lies an instant in which this process may be killed; what runs then,
//! nobody could find again. So a shell stands in the program's place until the note is written, and becomes the program (by `exec`:
//! same process, same group) when a line arrives on its standard input. When this process dies instead, the line never comes.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;
#[cfg(feature = "script")]
use tokio::{io::AsyncWriteExt, process::ChildStdin};

const SHELL: &str = "/bin/sh";
/// A shell exports variables of its own, which the program would not get otherwise. `read` takes no byte beyond the line.
const EMPTY_INPUT: &str = r#"IFS= read -r go || exit 125; unset PWD OLDPWD SHLVL; exec "$@" </dev/null"#;
const FED: &str = r#"IFS= read -r go || exit 125; unset PWD OLDPWD SHLVL; exec "$@""#;

/// The shell in front of `argv`.
///
/// # Errors
/// Where the program cannot be found: the shell would say so only in its exit code.
pub(super) fn command(argv: &[String], feed: bool, directory: Option<&Path>) -> io::Result<Command> {
    let program = argv.first().map(String::as_str).unwrap_or_default();
    if !found(program, directory) {
        return Err(io::Error::new(io::ErrorKind::NotFound, "no such program"));
    }
    let mut command = Command::new(SHELL);
    command.args(["-c", if feed { FED } else { EMPTY_INPUT }, "sh"]).args(argv).stdin(Stdio::piped());
    Ok(command)
}

fn found(program: &str, directory: Option<&Path>) -> bool {
    if program.contains('/') {
        return directory.map_or_else(|| PathBuf::from(program), |directory| directory.join(program)).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    !program.is_empty() && std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// Opens the gate; gives the pipe back when the program is fed from it.
#[cfg(feature = "script")]
pub(super) async fn open(mut gate: ChildStdin, feed: bool) -> Option<ChildStdin> {
    // A program that is gone says so in its exit code.
    let _ = gate.write_all(b"\n").await;
    let _ = gate.flush().await;
    feed.then_some(gate)
}

#[cfg(all(test, feature = "script"))]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    use backup_core::event::TracingObserver;
    use backup_core::{Environment, JobContext};
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
        group.gate = None;
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

    #[tokio::test]
    async fn a_program_that_is_fed_gets_every_byte_after_the_gate() {
        let (mut group, logs) = start(&cx(), &["cat"], true);
        group.release().await;
        let mut stdin = group.take_stdin().unwrap();
        stdin.write_all(b"\nfirst\n").await.unwrap();
        drop(stdin);
        assert_eq!(group.end(&cx(), Duration::from_secs(10)).await.unwrap(), End::Code(0));
        assert_eq!(logs.out.text().as_deref(), Some("\nfirst\n"));
    }
}
