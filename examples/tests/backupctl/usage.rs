//! What is typed wrongly.

use std::process::Command;

use crate::bench::{Bench, Ended};

fn run(arguments: &[&str]) -> Ended {
    Ended::from(Command::new(env!("CARGO_BIN_EXE_backupctl")).args(arguments).output().unwrap())
}

#[tokio::test]
async fn what_is_typed_wrongly_ends_with_2_and_says_why() {
    for (arguments, why) in [
        (&["list"][..], "--store"),
        (&["--store", "/var/lib/backup", "list"], "fs:///var/lib/backup"),
        (&["--store", "ftp://host/x", "list"], "is no kind of store"),
        (&["--store", "fs:///x", "--config", "y", "list"], "cannot be used with"),
        (&["--config", "/no/such/file.yaml", "list"], "/no/such/file.yaml"),
        (&["--store", "fs:///x", "frobnicate"], "frobnicate"),
        (&["--store", "fs:///x", "show", "vm"], "<ID>"),
        (&["--store", "fs:///x", "show", "vm", "newest"], "no backup id"),
        (&["--store", "fs:///x", "show", "a b", "latest"], "a b"),
        (&["--store", "fs:///x", "verify"], "<SET>"),
        (&["--store", "fs:///x", "restore", "vm", "latest"], "--to"),
        (&[], "Usage"),
    ] {
        let ended = run(arguments).code(2);
        assert!(ended.said.contains(why), "{arguments:?}: {}", ended.said);
    }
}

#[tokio::test]
async fn a_store_that_is_not_there_is_refused_and_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("typo");
    let store = format!("fs://{}", root.display());
    for verb in [&["list"][..], &["verify", "--all"], &["prune", "vm", "--keep-last", "1", "--yes"], &["janitor", "--yes"]] {
        let ended = run(&[&["--store", &store], verb].concat()).code(2);
        assert!(ended.said.contains("typo"), "{}", ended.said);
        assert!(!root.exists(), "{verb:?} made it");
    }
}

#[tokio::test]
async fn help_and_version_are_no_failure() {
    let help = run(&["--help"]).code(0).text();
    assert!(help.contains("Exit codes") && help.contains("restore"), "{help}");
    assert!(run(&["prune", "--help"]).code(0).text().contains("--keep-last"));
    assert!(run(&["--version"]).code(0).text().contains(env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn an_empty_repository_is_no_failure() {
    let bench = Bench::new();
    bench.run(&["list"]).code(0);
    bench.run(&["rebuild"]).code(0);
    bench.run(&["verify", "--all"]).code(0);
    bench.run(&["janitor", "--yes"]).code(0);
    let ended = bench.run(&["list", "vm"]).code(3);
    assert!(ended.said.contains("none at all"), "{}", ended.said);
}
