use backup_core::Result;
use backup_http::openstack::Resource;

use super::{Config, plan};
use crate::server::{MeasuredCalls, Plan, metrics};

const KEYSTONE: &str =
    "keystone: { auth-url: 'http://127.0.0.1:5000/v3', username: backup, password: hunter2-keystone, project: service }\n";
const STORE: &str = "store: { fs: { root: /srv/backup } }\n";
const ACCESS: &str = "volume-access: { rbd: { pools: [volumes] } }\n";
const OWNER: &str = "owner: one\n";

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
    let sample = include_str!("../../config/volume-backup.yaml");
    let _ = planned(sample).unwrap();
    // What is commented out is known, too, without what would be read from files that are not there.
    let optional =
        sample.lines().filter_map(|line| line.strip_prefix("# ")).filter(|line| line.contains(": ") && !line.starts_with("t"));
    let optional = optional.filter(|line| !line.starts_with("volume-backup:"));
    let all: String = optional.map(|line| format!("{line}\n")).collect();
    let _ = planned(&format!("{sample}{all}")).unwrap();
    for key in ["gateway:", "success-codes:", "quotas:", "rollback-timeout:", "requests:", "connector:"] {
        assert!(all.contains(key), "{all}");
    }
}

#[test]
fn little_has_to_be_said() {
    let good = format!("{KEYSTONE}{STORE}{ACCESS}{OWNER}");
    let plan = planned(&good).unwrap();
    assert_eq!(plan.store.to_string(), "fs:///srv/backup");
    let config = load(&good).unwrap();
    assert_eq!((config.chain_limit, config.rollback_timeout.as_secs(), config.gateway), (30, 600, false));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn what_cannot_be_meant_is_refused_by_its_name() {
    let good = format!("{KEYSTONE}{STORE}{ACCESS}{OWNER}");
    for (text, named) in [
        (format!("{good}gatway: true\n"), ":5: unknown key `gatway`, did you mean `gateway`?"),
        (format!("{good}quotas: {{ volumes: 3 }}\n"), ":5"),
        (format!("{good}success-codes: both\n"), ":5"),
        (format!("{good}object-size: 1000\n"), "`object-size`"),
        (format!("{good}compression: gzip\n"), ":5"),
        (format!("{KEYSTONE}{STORE}{ACCESS}owner: ''\n"), "owner"),
        (format!("{KEYSTONE}{STORE}{ACCESS}"), "owner"),
        (format!("{good}rollback-timeout: 10\n"), ":5"),
        (format!("{KEYSTONE}{STORE}{OWNER}"), "volume-access"),
        (format!("{KEYSTONE}{ACCESS}{OWNER}"), "store"),
        (format!("{STORE}{ACCESS}{OWNER}"), "keystone"),
        (format!("{KEYSTONE}{STORE}volume-access: {{}}\n{OWNER}"), "exactly one"),
        (format!("{KEYSTONE}{STORE}volume-access: {{ rbd: {{}}, nfs: {{ mount-base: /mnt }} }}\n{OWNER}"), "exactly one"),
        (format!("{KEYSTONE}{STORE}volume-access: {{ iscsi: {{}} }}\n{OWNER}"), ":3"),
        (
            format!("keystone: {{ auth-url: 'http://k/v3', username: backup, project: service }}\n{STORE}{ACCESS}{OWNER}"),
            "`password` is missing",
        ),
        (
            format!(
                "keystone: {{ auth-url: 'http://k/v3', username: backup, password: hunter2, project: service, ca-file: /nowhere/ca.pem }}\n{STORE}{ACCESS}{OWNER}"
            ),
            "/nowhere/ca.pem",
        ),
    ] {
        let error = refused(&text);
        assert!(error.contains(named), "{named}: {error}");
    }
}

#[test]
fn limits_that_are_not_in_keystone_may_be_configured() {
    let config =
        load(&format!("{KEYSTONE}{STORE}{ACCESS}{OWNER}quotas: {{ volume-backups: 3, instance-snapshots: 0 }}\n")).unwrap();
    let quotas = config.cloud(MeasuredCalls::shared(&metrics("test"))).unwrap().quotas;
    assert!(quotas.keystone);
    assert_eq!(quotas.of(Resource::VolumeBackups), Some(3));
    assert_eq!(quotas.of(Resource::InstanceSnapshots), Some(0));
    assert_eq!(quotas.of(Resource::InstanceBackups), None);
}
