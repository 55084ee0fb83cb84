use std::path::Path;
use std::time::Duration;

use super::{Config, plan};

fn read(text: &str) -> backup_core::Result<Config> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yaml");
    std::fs::write(&path, text).unwrap();
    crate::config::load(&path)
}

#[test]
fn the_sample_configuration_is_a_plan() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/etcd-sidecar.yaml");
    let config: Config = crate::config::load(&sample).unwrap();
    assert_eq!((config.interval(), config.max_backups()), (Duration::from_secs(1800), 5));
    assert_eq!(config.naming().unwrap().set().as_str(), "etcd/example-etcd-cluster");
    let plan = plan(config).unwrap();
    assert_eq!((plan.program, plan.grace), ("etcd-sidecar", Duration::from_secs(20)));
}

#[test]
fn what_is_commented_out_in_the_sample_can_be_commented_in() {
    let sample = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/etcd-sidecar.yaml")).unwrap();
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "secret").unwrap();
    // Up to the first block everything in a comment is prose.
    let (prose, keys) = sample.split_at(sample.find("\ncluster-name:").unwrap());
    let all: String = keys.lines().map(|line| uncommented(line) + "\n").collect();
    let all = all.replace("/run/secrets/etcd-password", secret.path().to_str().unwrap());
    let all = all.replace("/run/secrets/sidecar-password", secret.path().to_str().unwrap());
    read(&format!("{prose}{all}")).unwrap();
}

/// The line with its key, when it is one in a comment.
fn uncommented(line: &str) -> String {
    let Some((indent, rest)) = line.split_once("# ") else { return line.to_owned() };
    let key = rest.trim_start().split(':').next().unwrap_or_default();
    let is_key = rest.contains(':') && !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    if is_key { format!("{indent}{rest}") } else { line.to_owned() }
}

#[test]
fn only_the_cluster_and_the_store_are_needed() {
    let config = read("cluster-name: prod\nstore: { fs: { root: /b } }\n").unwrap();
    assert_eq!((config.interval(), config.max_backups()), (Duration::from_secs(1800), 0));
    assert_eq!(config.shutdown_grace, Duration::from_secs(20));
    assert_eq!(config.http().listen.0, ["0.0.0.0:19999"]);
    let zero = read("cluster-name: prod\nbackup-interval-in-second: 0\nstore: { fs: { root: /b } }\n").unwrap();
    assert_eq!(zero.interval(), Duration::from_secs(1800));
}

#[test]
fn what_cannot_be_is_refused_by_its_name() {
    let store = "store: { fs: { root: /b } }\n";
    for (text, said) in [
        ("backup-interval-in-second: -1", "`backup-interval-in-second` is -1"),
        ("backup-interval-in-second: 99999999999", "a year at most"),
        ("max-backups: -5", "`max-backups` is -5"),
        ("max-backups: 99999999999", "`max-backups` is 99999999999"),
        ("auto-delete: true", "unknown key `auto-delete`"),
        ("etcd: { endpoint: x }", "unknown key `endpoint`, did you mean `endpoints`?"),
        ("shutdown-grace: 5", "no duration"),
    ] {
        let error = read(&format!("cluster-name: prod\n{text}\n{store}")).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("config.yaml:2"), "{text}: {error}");
    }
    for (text, said) in [
        ("cluster-name: ../x\n", "cluster name \"../x\""),
        ("cluster-name: prod\nnamespace: a/b\n", "namespace name \"a/b\""),
        ("cluster-name: prod\netcd: { packaging: tar }\n", "cannot be set here"),
        ("cluster-name: prod\netcd: { endpoints: [] }\n", "endpoints is empty"),
    ] {
        let error = plan(read(&format!("{text}{store}")).unwrap()).unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
}
