//! The question, on a terminal (that of `script`).

use std::io::Write;
use std::process::{Command, Stdio};

use crate::bench::{Bench, set};

/// Runs it on a terminal where somebody types `answer`; its exit code and all that the terminal showed.
fn typed(bench: &Bench, arguments: &str, answer: &str) -> Option<(i32, String)> {
    let program = env!("CARGO_BIN_EXE_backupctl");
    let command = format!("'{program}' --store '{}' {arguments}", bench.store());
    let started = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            println!("SKIPPED: script(1) cannot be run: {error}");
            return None;
        }
    };
    writeln!(child.stdin.take().unwrap(), "{answer}").unwrap();
    let output = child.wait_with_output().unwrap();
    Some((output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned()))
}

#[tokio::test]
async fn on_a_terminal_the_plan_is_shown_and_asked_for() {
    let bench = Bench::new();
    bench.back_up_often("vm", 3).await;
    let count = async || bench.repository.list(&bench.repository.context(), &set("vm")).await.unwrap().len();
    let Some((code, shown)) = typed(&bench, "prune vm --keep-last 1", "n") else { return };
    assert_eq!((code, count().await), (5, 3), "{shown}");
    assert!(shown.contains("no rule keeps it") && shown.contains("Remove 2 backups of vm for good? [y/N]"), "{shown}");
    let Some((code, shown)) = typed(&bench, "prune vm --keep-last 1", "") else { return };
    assert_eq!((code, count().await), (5, 3), "{shown}");
    let Some((code, shown)) = typed(&bench, "prune vm --keep-last 1", "y") else { return };
    assert_eq!((code, count().await), (0, 1), "{shown}");
}
