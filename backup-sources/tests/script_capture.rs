//! A script source against real commands.
#![cfg(feature = "script")]
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::time::Duration;

use backup_core::{Effect, ErrorKind, Source};
use backup_sources::script::{ScriptConfig, ScriptSource};
use support::{RecordingSink, context};

fn shell(script: &str) -> ScriptConfig {
    ScriptConfig::new(["sh", "-c", script])
}

fn source(config: ScriptConfig) -> ScriptSource {
    ScriptSource::new(config).unwrap()
}

/// Waits until the process is gone (or only a zombie that nobody reaps yet).
async fn gone(pid_file: &Path) {
    let pid: u32 = std::fs::read_to_string(pid_file).unwrap().trim().parse().unwrap();
    while std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn standard_output_becomes_the_artifact_and_standard_error_the_log() {
    let sink = RecordingSink::default();
    let script = "seq 1 200000; echo two lines >&2; echo of log >&2";
    let summary = source(shell(script)).capture(&context(), &sink).await.unwrap();
    let (name, data) = sink.only();
    assert_eq!(name, "output");
    let expected: String = (1..=200_000).map(|n| format!("{n}\n")).collect();
    assert!(data == expected.as_bytes(), "the bytes differ");
    assert_eq!(summary.log.as_deref(), Some("two lines\nof log\n"));
}

#[tokio::test]
async fn the_environment_holds_what_is_configured_and_nothing_of_ours() {
    let sink = RecordingSink::default();
    let mut config = ScriptConfig::new(["env"]);
    config.environment.insert("TOKEN".into(), "not-for-logs".into());
    source(config).capture(&context(), &sink).await.unwrap();
    let text = String::from_utf8(sink.only().1).unwrap();
    let mut names: Vec<_> = text.lines().map(|line| line.split('=').next().unwrap()).collect();
    names.retain(|name| !["PATH", "HOME", "LANG", "TMPDIR"].contains(name));
    assert_eq!(names, ["TOKEN"]);
}

#[tokio::test]
async fn a_non_zero_exit_publishes_nothing_and_quotes_the_log_without_secrets() {
    let sink = RecordingSink::default();
    let mut config = shell("echo data; echo \"no table, token $TOKEN\" >&2; exit 3");
    config.environment.insert("TOKEN".into(), "not-for-logs".into());
    let error = source(config).capture(&context(), &sink).await.unwrap_err();
    sink.assert_nothing_closed();
    let text = error.to_string();
    assert!(text.contains("exit code 3") && text.contains("no table, token ***"), "{text}");
    assert!(!format!("{error:?}").contains("not-for-logs"));
}

#[tokio::test]
async fn a_death_by_signal_is_named() {
    let sink = RecordingSink::default();
    let error = source(shell("echo data; kill -9 $$")).capture(&context(), &sink).await.unwrap_err();
    sink.assert_nothing_closed();
    assert!(error.to_string().contains("signal 9"), "{error}");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let error = source(ScriptConfig::new(["no-such-program"])).capture(&context(), &RecordingSink::default()).await.unwrap_err();
    assert_eq!(error.code().name, "program.not_started");
    assert!(error.to_string().contains("no-such-program"));
}

#[tokio::test]
async fn a_slow_store_slows_the_command_down() {
    let sink = RecordingSink::gated_at(1 << 20);
    let directory = tempfile::tempdir().unwrap();
    let counter = directory.path().join("count");
    let script = format!("for i in $(seq 64); do head -c 262144 /dev/zero; echo $i > {}; done", counter.display());
    let job = tokio::spawn({
        let sink = sink.clone();
        async move { source(shell(&script)).capture(&context(), &sink).await }
    });
    sink.wrote(1 << 20).await;
    // One chunk waits in the write, one pipe is full: the command cannot be further than 1 MiB + 256 KiB + 64 KiB.
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    let done: u64 = std::fs::read_to_string(&counter).unwrap_or_default().trim().parse().unwrap_or(0);
    assert!(done <= 5, "{done} blocks were written although the store took 4");
    sink.open_gate();
    job.await.unwrap().unwrap();
    assert_eq!(sink.only().1.len(), 64 << 18);
}

#[tokio::test]
async fn a_cancel_ends_the_whole_group_even_when_it_ignores_being_asked() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (directory.path().join("first"), directory.path().join("second"));
    let script = format!(
        "trap '' TERM; (trap '' TERM; sh -c 'echo $$ > {}; exec sleep 1000') & echo $$ > {}; head -c 300000 /dev/zero; wait",
        second.display(),
        first.display()
    );
    let mut config = shell(&script);
    config.grace = Duration::from_millis(100);
    let (sink, cx) = (RecordingSink::default(), context());
    let job = tokio::spawn({
        let (sink, cx) = (sink.clone(), cx.clone());
        async move { source(config).capture(&cx, &sink).await }
    });
    sink.wrote(200_000).await;
    while !second.exists() {
        tokio::task::yield_now().await;
    }
    cx.cancel_token().cancel();
    let error = job.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    sink.assert_nothing_closed();
    gone(&first).await;
    gone(&second).await;
}

#[tokio::test]
async fn a_failing_store_ends_the_command() {
    let directory = tempfile::tempdir().unwrap();
    let pid = directory.path().join("pid");
    let sink = RecordingSink::failing_at(1 << 20);
    let script = format!("echo $$ > {}; exec cat /dev/zero", pid.display());
    let error = source(shell(&script)).capture(&context(), &sink).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace);
    sink.assert_nothing_closed();
    gone(&pid).await;
}

#[tokio::test]
async fn a_time_limit_is_told_from_the_deadline_of_the_job() {
    let mut config = shell("echo started >&2; exec sleep 1000");
    config.time_limit = Some(Duration::from_millis(200));
    let error = source(config.clone()).capture(&context(), &RecordingSink::default()).await.unwrap_err();
    assert_eq!(error.code().name, "program.time_limit");
    config.time_limit = Some(Duration::from_secs(100));
    let cx = context().with_limit(Duration::from_millis(100));
    let error = source(config).capture(&cx, &RecordingSink::default()).await.unwrap_err();
    assert_eq!(error.code().name, "job.deadline");
}

#[tokio::test]
async fn a_background_child_that_holds_the_output_fails_the_backup_and_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let pid = directory.path().join("pid");
    let mut config = shell(&format!("echo data; sleep 1000 & echo $! > {}", pid.display()));
    config.grace = Duration::from_millis(200);
    let sink = RecordingSink::default();
    let error = source(config).capture(&context(), &sink).await.unwrap_err();
    assert_eq!(error.code().name, "program.output_held");
    assert_eq!(error.effect(), Effect::None);
    sink.assert_nothing_closed();
    gone(&pid).await;
}

#[tokio::test]
async fn a_background_child_that_finishes_within_the_grace_is_waited_for() {
    let sink = RecordingSink::default();
    source(shell("echo first; (sleep 0.1; echo second) &")).capture(&context(), &sink).await.unwrap();
    assert_eq!(sink.only().1, b"first\nsecond\n");
}

#[tokio::test]
async fn a_background_child_without_our_output_neither_hangs_nor_fails_the_backup() {
    let sink = RecordingSink::default();
    let mut config = shell("echo data; sleep 3 >/dev/null &");
    config.grace = Duration::from_millis(100);
    source(config).capture(&context(), &sink).await.unwrap();
    assert_eq!(sink.only().1, b"data\n");
}
