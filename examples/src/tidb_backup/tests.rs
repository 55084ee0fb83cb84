use backup_core::Result;

use super::{Config, plan};
use crate::server::Plan;

const CLUSTERS: &str = "clusters:\n  - { id: oEcox8lMQ7KMswDebRwIZg, executor: { sql: { address: '127.0.0.1:4000', user: root, password: hunter2-tidb } } }\n";
const TOKENS: &str = "tokens: [{ token: hunter2-token, user: ops, role: admin }]\n";
const NFS: &str = "storage: { type: nfs, path: /nfs/em/backup }\n";

fn load(text: &str) -> Result<Config> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yaml");
    std::fs::write(&path, text).unwrap();
    crate::config::load(&path)
}

fn planned(text: &str) -> Result<Plan> {
    load(text).and_then(plan)
}

fn refused(text: &str) -> String {
    let error = planned(text).unwrap_err().to_string();
    assert!(!error.contains("hunter2"), "{error}");
    error
}

#[test]
fn the_sample_is_a_configuration() {
    let sample = include_str!("../../config/tidb-backup.yaml");
    let _ = planned(sample).unwrap();
    // What is commented out is known, too, without what would be read from files that are not there.
    let optional =
        sample.lines().filter_map(|line| line.strip_prefix("# ")).filter(|line| line.contains(": ") && !line.starts_with("t"));
    let all: String = optional.map(|line| format!("{line}\n")).collect();
    let _ = planned(&format!("{sample}{all}")).unwrap();
    assert!(all.contains("max-running-jobs:") && all.contains("objective:"), "{all}");
}

#[test]
fn a_directory_and_a_bucket_are_what_the_path_names() {
    let config = load(&format!("{CLUSTERS}{TOKENS}{NFS}")).unwrap();
    assert_eq!(config.storage.store().unwrap().to_string(), "fs:///nfs/em/backup");
    assert_eq!(config.storage.shown().unwrap(), "/nfs/em/backup");
    let s3 = "storage: { type: s3, path: nfs/em/backup, rate-limit: '', concurrency: '64', s3: { endpoint: 'http://minio:9000', access-key: a, secret-key: hunter2-s3 } }\n";
    let config = load(&format!("{CLUSTERS}{TOKENS}{s3}")).unwrap();
    let shown = config.storage.store().unwrap().to_string();
    assert!(shown.starts_with("s3://nfs/em/backup") && !shown.contains("hunter2"), "{shown}");
    assert_eq!(config.storage.shown().unwrap(), "nfs/em/backup");
    let (backup, restore) = config.storage.tuning().unwrap();
    assert_eq!((backup.rate_limit, backup.concurrency, restore.concurrency), (None, Some(64), None));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn what_cannot_be_meant_is_refused_by_its_name() {
    let good = format!("{CLUSTERS}{TOKENS}{NFS}");
    let _ = planned(&good).unwrap();
    for (text, named) in [
        (format!("{good}store: {{ fs: {{ root: /x }} }}\n"), ":5: `store`"),
        (format!("{good}retention: 5\n"), ":5"),
        (format!("{TOKENS}{NFS}"), "clusters"),
        (format!("clusters: []\n{TOKENS}{NFS}"), "clusters"),
        (format!("{CLUSTERS}{NFS}"), "tokens"),
        (format!("{CLUSTERS}{TOKENS}"), "storage"),
        (format!("{CLUSTERS}{TOKENS}storage: {{ type: local, path: /x }}\n"), "`local`"),
        (format!("{CLUSTERS}{TOKENS}storage: {{ type: s3, path: b/p }}\n"), "s3"),
        (
            format!(
                "{CLUSTERS}{TOKENS}storage: {{ type: s3, path: /, s3: {{ endpoint: e, access-key: a, secret-key: hunter2 }} }}\n"
            ),
            "bucket",
        ),
        (format!("{CLUSTERS}{TOKENS}storage: {{ type: nfs, path: /x, concurrency: many }}\n"), "concurrency"),
        (format!("{good}time-zone: Mars/Olympus\n"), "Mars/Olympus"),
        (format!("{CLUSTERS}{NFS}tokens: [{{ token: hunter2, user: ops, role: root }}]\n"), "`root`"),
        (format!("{TOKENS}{NFS}clusters: [{{ id: a, executor: {{ br: {{ pd: [] }} }} }}]\n"), "pd"),
    ] {
        let error = refused(&text);
        let shown = error.contains(named);
        assert!(shown, "{named} is not named: {error}");
    }
}
