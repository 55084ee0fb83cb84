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
