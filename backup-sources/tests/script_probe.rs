//! A probe command tells where the thing that is backed up stands, before a capture and after it.
#![cfg(feature = "script")]
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::time::Duration;

use backup_core::{Certainty, Revision, Source};
use backup_sources::script::{ScriptConfig, ScriptSource};
use support::{RecordingSink, context};

fn source(probe: &str, command: &str) -> ScriptSource {
    let mut config = ScriptConfig::new(["sh", "-c", command]);
    config.probe_command = Some(["sh", "-c", probe].map(str::to_owned).to_vec());
    config.grace = Duration::from_millis(300);
    ScriptSource::new(config).unwrap()
}

#[tokio::test]
async fn what_the_command_prints_is_the_probe() {
    let answer = r#"echo '{"identity": "cluster-1", "revision": 9007199254740993, "certainty": "exact", "version": "15.3", "size-hint": 42}'"#;
    let probe = source(answer, "echo data").probe(&context()).await.unwrap();
    assert_eq!((probe.identity.as_deref(), probe.version.as_deref()), (Some("cluster-1"), Some("15.3")));
    assert_eq!((probe.revision, probe.size_hint), (Some(Revision::exact(9_007_199_254_740_993)), Some(42)));

    // Not said to be exact, it is not.
    let probe = source(r#"echo '{"revision": "0/1A2B"}'"#, "echo data").probe(&context()).await.unwrap();
    assert_eq!(probe.revision.unwrap().certainty, Certainty::AtLeast);
    let none = ScriptSource::new(ScriptConfig::new(["true"])).unwrap().probe(&context()).await.unwrap();
    assert_eq!(none, backup_core::Probe::default());
}

#[tokio::test]
async fn a_captured_revision_is_exact_only_when_it_was_the_same_before_and_after() {
    let directory = tempfile::tempdir().unwrap();
    let counter = directory.path().join("counter");
    std::fs::write(&counter, "7").unwrap();
    let probe = format!(r#"printf '{{"revision": %s, "certainty": "exact"}}' $(cat {})"#, counter.display());
    let summary = source(&probe, "echo data").capture(&context(), &RecordingSink::default()).await.unwrap();
    assert_eq!(summary.revision, Some(Revision::exact(7)));
    let moves = format!("echo data; echo 8 > {}", counter.display());
    let summary = source(&probe, &moves).capture(&context(), &RecordingSink::default()).await.unwrap();
    assert_eq!(summary.revision, Some(Revision::at_least(7)));
    let breaks = format!("echo data; rm {}", counter.display());
    let summary = source(&probe, &breaks).capture(&context(), &RecordingSink::default()).await.unwrap();
    assert_eq!((summary.revision, summary.warnings.len()), (Some(Revision::at_least(8)), 1));
}

#[tokio::test]
async fn a_probe_that_fails_or_prints_something_else_is_an_error() {
    for (probe, code) in [
        ("echo not json", "source.failed"),
        (r#"echo '{"revison": 1}'"#, "source.failed"),
        ("echo why >&2; exit 3", "program.failed"),
        ("cat /dev/zero", "source.failed"),
    ] {
        // The last one has no end: it is stopped.
        let mut config = ScriptConfig::new(["true"]);
        config.probe_command = Some(["sh", "-c", probe].map(str::to_owned).to_vec());
        config.time_limit = Some(Duration::from_secs(2));
        config.grace = Duration::from_millis(300);
        let error = ScriptSource::new(config).unwrap().probe(&context()).await.unwrap_err();
        let endless = probe.starts_with("cat");
        assert_eq!(error.code().name, if endless { "program.time_limit" } else { code }, "{probe}: {error}");
        assert!(error.to_string().contains("the probe command"), "{error}");
    }
}
