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
    ] {
        assert!(ScriptSource::new(parse(bad).unwrap()).is_err(), "{bad}");
    }
}
