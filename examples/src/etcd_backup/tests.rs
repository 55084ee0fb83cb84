use std::path::Path;

use backup_core::Compression;
use backup_core::Result;
use backup_core::retention::RetentionPolicy;
use backup_http::server::Listen;

use super::{Config, plan};
use crate::server::Plan;

fn load(text: &str) -> Result<Config> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yaml");
    std::fs::write(&path, text).unwrap();
    crate::config::load(&path)
}

/// What a whole configuration comes to.
fn planned(text: &str) -> Result<Plan> {
    load(text).and_then(plan)
}

fn refused(text: &str) -> String {
    let error = planned(text).unwrap_err().to_string();
    // From the file's own name on, where it is a key of that file.
    error.split_once("config.yaml").map_or(error.clone(), |(_, rest)| rest.to_owned())
}

#[test]
fn defaults_are_the_documented_ones() {
    let config = load("etcd: {}\n").unwrap();
    assert_eq!(config.store().unwrap().to_string(), "fs:///etcd-backup");
    assert_eq!(config.http().listen, Listen::from("0.0.0.0:8080"));
    assert_eq!(config.retention(), RetentionPolicy::default().keep_last(14));
    assert_eq!(config.etcd().unwrap().endpoints, ["http://127.0.0.1:2379"]);
    let request = config.request().unwrap();
    assert_eq!((request.compression, request.level, request.skip_unchanged), (Compression::Gzip, None, false));
}

#[test]
fn every_documented_key_is_read() {
    let config = load(
        "backup-dir: backups/\nlisten: ':18080'\nrotate: 3\nskip-unchanged: true\ncompression-level: 9\n\
         etcd: { endpoints: ['https://e:2379'], prefix: /x/, timeout: 500ms, username: u, password: p, tls-ca-file: /ca }\n",
    )
    .unwrap();
    let here = std::env::current_dir().unwrap();
    assert_eq!(config.store().unwrap().to_string(), format!("fs://{}/backups/", here.display()));
    assert_eq!(config.http().listen, Listen::from("0.0.0.0:18080"));
    assert_eq!(config.retention(), RetentionPolicy::default().keep_last(3));
    let request = config.request().unwrap();
    assert_eq!((request.level, request.skip_unchanged), (Some(9), true));
    assert_eq!(config.etcd().unwrap().timeout, std::time::Duration::from_millis(500));
}

#[test]
fn what_cannot_work_is_refused_with_key_and_line() {
    for (text, why) in [
        ("listen: 0.0.0.0:80\n", "the key `etcd` is missing"),
        ("etcd: {}\nrotat: 3\n", ":2: unknown key `rotat`, did you mean `rotate`?"),
        ("etcd: {}\nrotate: 0\n", ":2: `rotate` is 0; at least 1"),
        ("rotate: -1\netcd: {}\n", ":1: `rotate` is -1; at least 1"),
        ("etcd:\n  timeout: 2\n", ":2: "),
        ("etcd:\n  timeout: 2 seconds\n", ":2: "),
        ("etcd:\n  endpoint: http://a:1\n", ":2: unknown key `endpoint`, did you mean `endpoints`?"),
        ("etcd: {}\ncompression-level: 10\n", ":2: `compression-level` is 10; gzip has 1"),
        ("etcd: {}\nbackup-dir: /a\nstore: { fs: { root: /b } }\n", "`store` and `backup-dir` are both given"),
        ("etcd: {}\nlisten: nowhere\n", ":2: "),
        ("etcd: {}\nschedule: { interval: { every: 0s } }\n", "interval"),
        ("etcd: {}\nschedule: { cron: { expression: '* *' } }\n", ":2: "),
        ("etcd: { packaging: tar }\n", "`name` and `packaging` cannot be set here"),
        ("etcd: { tls-cert-file: /c }\n", "tls-cert-file and tls-key-file go together"),
    ] {
        let error = refused(text);
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn the_sample_configuration_is_one() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/etcd-backup.yaml");
    let config = crate::config::load::<Config>(&sample).unwrap();
    assert_eq!(config.store().unwrap().to_string(), "fs:///etcd-backup");
    // Every key is shown, those that are optional behind a comment sign.
    let text = std::fs::read_to_string(&sample).unwrap();
    let error = refused(&format!("{text}\nfrobnicate: 1\n"));
    let keys: Vec<_> = error.split('`').skip(3).step_by(2).collect();
    assert!(keys.len() > 8, "{error}");
    for key in keys {
        assert!(
            text.lines().any(|line| line.trim_start_matches(['#', ' ']).starts_with(&format!("{key}:"))),
            "{key} is not shown"
        );
    }
}

#[tokio::test]
async fn schedules_are_read_in_all_three_forms() {
    assert!(planned("etcd: {}\n").unwrap().schedules.is_empty());
    for schedule in [
        "{ interval: { every: 6h } }",
        "{ cron: { expression: '0 */6 * * *', zone: Europe/Berlin } }",
        "{ windows: { days: [mon, thu], start: '22:00', end: '04:00' } }",
    ] {
        let plan = planned(&format!("etcd: {{}}\nschedule: {schedule}\n")).unwrap();
        let [one] = &plan.schedules[..] else { panic!("{schedule}") };
        assert!(one.catch_up && one.set.as_str() == "etcd");
    }
}
