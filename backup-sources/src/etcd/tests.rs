use std::time::Duration;

use super::*;

fn parse(json: &str) -> Result<EtcdConfig, serde_json::Error> {
    serde_json::from_str(json)
}

#[test]
fn the_documented_configuration_is_read_and_its_secrets_are_not_shown() {
    let config = parse(
        r#"{"endpoints": ["https://a:2379", "b:2379/"], "prefix": "/x/", "timeout": "1m30s", "stall-timeout": "300ms",
            "username": "root", "password": "s3cr3t!", "tls-ca-file": "", "tls-ca": "PEM", "tls-cert": "C", "tls-key": "pr1vate",
            "packaging": "tar", "name": "etcd-1"}"#,
    )
    .unwrap();
    let source = EtcdSource::new(config).unwrap();
    assert_eq!(source.config.timeout, Duration::from_secs(90));
    assert_eq!(source.config.stall_timeout, Duration::from_millis(300));
    assert_eq!(source.config.endpoints, ["https://a:2379", "https://b:2379"]);
    assert_eq!(source.config.artifact().unwrap().as_str(), "etcd-1.tar");
    assert_eq!(source.with_name("other").unwrap().config.artifact().unwrap().as_str(), "other.tar");
    let shown = format!("{source:?}");
    assert!(!shown.contains("s3cr3t!") && !shown.contains("pr1vate"), "{shown}");
}

#[test]
fn defaults_are_the_documented_ones() {
    let source = EtcdSource::new(parse("{}").unwrap()).unwrap();
    assert_eq!(source.config.endpoints, ["http://127.0.0.1:2379"]);
    assert_eq!(source.config.timeout, Duration::from_secs(2));
    assert_eq!(source.config.stall_timeout, Duration::from_secs(30));
    assert_eq!(source.config.artifact().unwrap().as_str(), "snapshot.db");
}

#[test]
fn what_cannot_work_is_refused_when_it_is_read_or_checked() {
    for bad in [r#"{"timeout": "2"}"#, r#"{"timeout": "-2s"}"#, r#"{"end-points": []}"#, r#"{"packaging": "zip"}"#] {
        assert!(parse(bad).is_err(), "{bad}");
    }
    for bad in [
        r#"{"endpoints": []}"#,
        r#"{"endpoints": ["unix:///run/etcd"]}"#,
        r#"{"endpoints": ["http://root:hunter2@a:2379"]}"#,
        r#"{"endpoints": ["http://"]}"#,
        r#"{"timeout": "0s"}"#,
        r#"{"username": "root"}"#,
        r#"{"tls-cert-file": "a.crt"}"#,
        r#"{"tls-key": "k"}"#,
        r#"{"name": "a/b"}"#,
        r#"{"name": ""}"#,
    ] {
        let error = EtcdSource::new(parse(bad).unwrap()).unwrap_err();
        assert_eq!(error.code().name, "input.invalid", "{bad}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

/// With 73 KiB in `connect` an unoptimised build needed more than 1 MiB for it, and overflowed the 2 MiB of a thread of tokio: it
/// copies a future in each layer above.
#[test]
fn what_a_capture_puts_on_the_stack_stays_small() {
    let cx = backup_core::testkit::test_context(&backup_core::Environment::default());
    let config = EtcdConfig::default();
    let connect = size_of_val(&super::client::connect(&cx, &config, "http://127.0.0.1:2379"));
    let choose = size_of_val(&super::member::choose(&cx, &config));
    assert!(connect < 8 << 10 && choose < 8 << 10, "connect has {connect} bytes, choose {choose}");
}
