use std::time::Duration;

use super::*;

fn parse(json: &str) -> Result<ScriptConfig, serde_json::Error> {
    serde_json::from_str(json)
}

#[test]
fn a_full_configuration_is_read_and_its_secrets_are_not_shown() {
    let config = parse(
        r#"{"command": ["pg_dump", "app"], "artifact": "app.dump", "environment": {"PGPASSWORD": "s3cr3t!"},
            "working-directory": "/srv", "time-limit": "2h", "grace": "300ms", "restore-command": ["psql"]}"#,
    )
    .unwrap();
    assert_eq!(config.time_limit, Some(Duration::from_secs(7200)));
    assert_eq!(config.grace, Duration::from_millis(300));
    let source = ScriptSource::new(config).unwrap();
    assert_eq!(source.kind(), "script");
    assert!(!format!("{source:?}").contains("s3cr3t!"));
}

#[test]
fn defaults_are_the_documented_ones() {
    let config = parse(r#"{"command": ["true"]}"#).unwrap();
    assert_eq!(config.artifact.as_str(), "output");
    assert_eq!(config.grace, Duration::from_secs(5));
    assert_eq!(config.time_limit, None);
}

#[test]
fn what_cannot_work_is_refused() {
    for bad in
        [r#"{}"#, r#"{"command": ["a"], "shell": true}"#, r#"{"command": ["a"], "time-limit": "5"}"#, r#"{"command": "ls"}"#]
    {
        assert!(parse(bad).is_err(), "{bad}");
    }
    for bad in [
        r#"{"command": []}"#,
        r#"{"command": [""]}"#,
        r#"{"command": ["a"], "time-limit": "0s"}"#,
        r#"{"command": ["a"], "restore-command": []}"#,
        r#"{"command": ["a"], "environment": {"A=B": "c"}}"#,
        r#"{"command": ["a"], "probe-command": []}"#,
        r#"{"command": ["a"], "state-directory": "/x", "hooks": {"backup": ["b"]}}"#,
        r#"{"command": ["a"], "state-directory": "/x", "hooks": {"pre-backup-lock": ["b"]}}"#,
        r#"{"command": ["a"], "hooks": {"pre-backup-lock": ["b"], "post-backup-unlock": ["b"]}}"#,
        r#"{"command": ["a"], "hooks": {"pre-backup-check": []}}"#,
    ] {
        assert!(ScriptSource::new(parse(bad).unwrap()).is_err(), "{bad}");
    }
}

#[test]
fn a_staged_configuration_is_read_and_what_cannot_work_is_refused() {
    let parse = |more: &str| -> StagedConfig {
        let text = format!(r#"{{"scripts": "/s", "job-directory": "/j", "state-directory": "/r", "database": "app"{more}}}"#);
        serde_json::from_str(&text).unwrap()
    };
    let config = parse(
        r#", "host": "db", "username": "u", "password": "s3cr3t!", "compression": true, "encryption-key": "age1x", "decryption-key": "id",
        "parameters": {"retries": "3"}, "secrets": "environment", "time-limit": "30m", "cleanup-limit": "10s", "grace": "1s",
        "log": {"head": 100, "tail": 100, "line": 50}, "probe-command": ["p"]"#,
    );
    assert_eq!((config.secrets, config.cleanup_limit), (SecretsIn::Environment, Duration::from_secs(10)));
    let source = StagedSource::new(config).unwrap();
    assert!(!format!("{source:?}").contains("s3cr3t!"));
    assert_eq!(parse("").encryption_key.expose(), "none");
    for bad in [r#", "time-limit": "0s""#, r#", "probe-command": []"#, r#", "parameters": {"LD_PRELOAD": "x"}"#] {
        assert!(StagedSource::new(parse(bad)).is_err(), "{bad}");
    }
    assert!(StagedSource::new(StagedConfig::new("", "/j", "/r", "app")).is_err());
}

#[test]
fn a_plan_shows_no_argument_and_the_name_of_a_backup_is_no_path() {
    let request = Request::new("a1", "db", "u", "s3cr3t!".into(), "app", "name");
    let plan = request.plan(Operation::Backup, std::path::Path::new("/s"));
    assert!(!format!("{plan:?}{request:?}").contains("s3cr3t!"));
    let now = "2026-11-21T09:05:59Z".parse().unwrap();
    assert_eq!(Request::name(now, "db.example", "app"), "2026_11_21_09_05_db.example_app");
    assert_eq!(Request::name(now, "../../x", "a/b"), "2026_11_21_09_05_.._.._x_a_b");
}
