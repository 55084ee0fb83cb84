//! Restoring a script's backup into commands and files.
#![cfg(feature = "script")]
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::path::Path;

use backup_core::{Effect, RestoreTarget, Source};
use backup_sources::script::{ScriptConfig, ScriptSource};
use serde_json::{Value, json};
use support::{MemoryReader, context};

fn source() -> ScriptSource {
    ScriptSource::new(ScriptConfig::new(["true"])).unwrap()
}

fn data() -> Vec<u8> {
    (0..1_000_000_u32).flat_map(|n| (n % 251).to_le_bytes()).collect()
}

fn shell(script: &str) -> RestoreTarget {
    RestoreTarget::new(json!({ "command": ["sh", "-c", script] }))
}

fn names(directory: &Path) -> Vec<String> {
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn a_file_is_written_whole_and_never_over_another() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dump");
    let target = RestoreTarget::new(json!({ "file": path }));
    let reader = MemoryReader::of("output", data());
    let report = source().restore(&context(), &reader, &target).await.unwrap();
    assert_eq!(report.bytes, data().len() as u64);
    assert!(std::fs::read(&path).unwrap() == data());
    assert!(source().restore(&context(), &reader, &target).await.unwrap_err().is_already_exists());
    assert_eq!(names(directory.path()), ["dump"]);
}

#[tokio::test]
async fn damage_found_on_the_way_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let target = RestoreTarget::new(json!({ "file": directory.path().join("dump") }));
    let reader = MemoryReader::of("output", data()).damaged_after(500_000);
    let error = source().restore(&context(), &reader, &target).await.unwrap_err();
    assert_eq!(error.code().name, "artifact.corrupt");
    assert_eq!(names(directory.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_command_gets_every_byte_and_then_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let target = shell(&format!("cat > {}; echo done", out.display()));
    let report = source().restore(&context(), &MemoryReader::of("output", data()), &target).await.unwrap();
    assert_eq!(report.bytes, data().len() as u64);
    assert_eq!(report.details["log"], "done\n");
    assert!(std::fs::read(&out).unwrap() == data());
}

#[tokio::test]
async fn a_command_never_sees_the_end_of_a_damaged_backup() {
    let directory = tempfile::tempdir().unwrap();
    let finished = directory.path().join("finished");
    // Ignores SIGTERM, so that only a kill of the whole group keeps it from going on after `cat`.
    let target = shell(&format!("trap : TERM; cat > /dev/null; touch {}", finished.display()));
    let reader = MemoryReader::of("output", data()).damaged_after(500_000);
    let error = source().restore(&context(), &reader, &target).await.unwrap_err();
    assert_eq!(error.code().name, "artifact.corrupt");
    assert_eq!(error.effect(), Effect::Unknown);
    assert!(!finished.exists(), "the command took the cut for the end");
}

#[tokio::test]
async fn a_command_that_fails_or_stops_reading_is_an_error_of_unknown_effect() {
    for (script, code) in [
        ("head -c 1000 > /dev/null; echo full >&2; exit 4", "program.failed"),
        ("head -c 1000 > /dev/null", "program.input_unread"),
        ("cat > /dev/null; exit 1", "program.failed"),
        // The child keeps the pipe open and reads nothing.
        ("sleep 1000 <&0 & exit 0", "program.input_unread"),
    ] {
        let mut config = ScriptConfig::new(["true"]);
        config.grace = std::time::Duration::from_millis(200);
        let source = ScriptSource::new(config).unwrap();
        let error = source.restore(&context(), &MemoryReader::of("output", data()), &shell(script)).await.unwrap_err();
        assert_eq!(error.code().name, code, "{script}: {error}");
        assert_eq!(error.effect(), Effect::Unknown, "{script}");
    }
}

#[tokio::test]
async fn the_configured_command_is_the_default_and_a_dry_run_starts_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let mut config = ScriptConfig::new(["true"]);
    config.restore_command = Some(vec!["sh".into(), "-c".into(), format!("cat > {}", out.display())]);
    let source = ScriptSource::new(config).unwrap();
    let reader = MemoryReader::of("some-other-name", "bytes");
    let dry = source.restore(&context(), &reader, &RestoreTarget::new(Value::Null).dry_run(true)).await.unwrap();
    assert_eq!(dry.bytes, 5);
    assert!(!out.exists());
    let damaged = MemoryReader::of("output", data()).damaged_after(10);
    assert!(source.restore(&context(), &damaged, &RestoreTarget::default().dry_run(true)).await.is_err());
    source.restore(&context(), &reader, &RestoreTarget::new(Value::Null)).await.unwrap();
    assert_eq!(std::fs::read(&out).unwrap(), b"bytes");
}

#[tokio::test]
async fn a_target_that_says_nothing_or_two_things_is_refused() {
    for target in [json!({}), json!({ "file": "a", "command": ["b"] }), json!({ "fil": "a" }), json!({ "command": [] })] {
        let target = RestoreTarget::new(target);
        let error = source().restore(&context(), &MemoryReader::of("output", "x"), &target).await.unwrap_err();
        assert_eq!(error.code().name, "input.invalid", "{:?}", target.value);
    }
}
