//! Directories that the predecessors of the servers left: their files are there as soon as the configuration says whose they are.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::bench::Ended;

/// A file as another program left it, an hour ago.
fn leave(path: &Path, content: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("content");
    std::fs::write(&path, content).unwrap();
    Command::new("gzip").arg("-c").arg(&path).output().unwrap().stdout
}

fn run(config: &Path, arguments: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backupctl"));
    command.current_dir(config.parent().unwrap()).arg("--config").arg(config).args(arguments);
    Ended::from(command.output().unwrap())
}

/// Lists, shows, restores and verifies the one file that lies there; and then it has a manifest.
fn is_taken_over(config: &Path, set: &str, restored: &str, content: &[u8]) {
    assert!(run(config, &["list"]).code(0).text().contains(set));
    let list = run(config, &["list", set, "--json"]).code(0).json();
    assert_eq!((list["backups"].as_array().unwrap().len(), &list["backups"][0]["state"]), (1, &"adopted".into()));
    assert!(run(config, &["show", set, "latest"]).code(0).text().contains("adopted"));
    assert_eq!(run(config, &["rebuild", "--json"]).code(0).json()["sets"][0]["adopted"], 1);
    run(config, &["restore", set, "latest", "--to", "out", "--decompressed"]).code(0);
    assert_eq!(std::fs::read(config.parent().unwrap().join("out").join(restored)).unwrap(), content);
    run(config, &["verify", set, "latest", "--level", "restorable"]).code(0);
    let list = run(config, &["list", set, "--json"]).code(0).json();
    assert_eq!((list["backups"].as_array().unwrap().len(), &list["backups"][0]["state"]), (1, &"published".into()));
    assert_eq!(list["backups"][0]["verified"]["good"], true);
}

#[test]
fn a_file_of_the_original_etcd_backup_is_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.yaml");
    let backups = directory.path().join("etcd-backup");
    std::fs::write(&config, format!("backup-dir: {}\netcd: {{ password: '${{NOT_SET}}' }}\n", backups.display())).unwrap();
    let content = b"a database ".repeat(1000);
    leave(&backups.join("snapshot-20200102_030405.db.gz"), &gzip(&content));
    leave(&backups.join("snapshot-20200102_030406.db.part"), b"half");
    is_taken_over(&config, "etcd", "snapshot-20200102_030405.db", &content);
}

#[test]
fn a_file_of_the_original_sidecar_is_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.yaml");
    let backups = directory.path().join("backups");
    let text = format!("cluster-name: c1\nstore: {{ fs: {{ root: {} }} }}\n", backups.display());
    std::fs::write(&config, text).unwrap();
    let name = "3.2.13_000000000000002a_etcd.backup";
    leave(&backups.join("v1/c1").join(name), b"a snapshot");
    leave(&backups.join("v1/other").join(name), b"another cluster's");
    is_taken_over(&config, "etcd/c1", name, b"a snapshot");
}
