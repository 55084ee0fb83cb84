//! Where credentials come from, with real ones.

use std::process::Command;
use std::sync::Arc;

use backup_core::event::TracingObserver;
use backup_core::{Environment, JobContext};
use backup_stores::StoreConfig;
use serde_json::{Value, json};

use crate::bench::{Bench, config};

#[tokio::test]
async fn a_role_is_taken_on() {
    let Some(bench) = Bench::new().await else { return };
    let trust = json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Principal": { "AWS": "*" }, "Action": "sts:AssumeRole" }],
    });
    let name = format!("role-{}", bench.bucket);
    let role =
        bench.server.call("iam", "create_role", json!({ "RoleName": name, "AssumeRolePolicyDocument": trust.to_string() }));
    assert_eq!(role["error"], Value::Null, "{role}");
    let all = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }] });
    bench.server.call(
        "iam",
        "put_role_policy",
        json!({ "RoleName": name, "PolicyName": "all", "PolicyDocument": all.to_string() }),
    );
    let arn = role["Role"]["Arn"].as_str().unwrap();
    let taken = |block: &mut Value| {
        block["assume-role"] = json!({ "role-arn": arn, "endpoint": bench.server.endpoint, "session-name": "it" })
    };
    bench.store_with(taken).await;

    let unknown = |block: &mut Value| {
        block["assume-role"] = json!({ "role-arn": arn, "endpoint": bench.server.endpoint });
        block["secret-access-key"] = json!("wrong-secret");
    };
    let error = bench.try_store(unknown).await.unwrap_err();
    assert_eq!(error.code().name, "s3.credentials", "{error}");
    assert!(error.to_string().contains("taking on the role"), "{error}");
}

/// The child of the next test: opens the store that it is told to, in the environment that it was given.
#[tokio::test]
#[ignore = "only as a child of another test"]
async fn child_opens_a_store() {
    let block = std::env::var("S3_TEST_STORE").unwrap();
    let config: StoreConfig = match block.starts_with("s3://") {
        true => block.parse().unwrap(),
        false => config(serde_json::from_str(&block).unwrap()),
    };
    let cx = JobContext::new(Environment::default(), Arc::new(TracingObserver));
    config.open(&cx).await.unwrap();
}

#[tokio::test]
async fn the_environment_and_profiles_are_used_only_when_asked_for() {
    let Some(bench) = Bench::new().await else { return };
    let home = tempfile::tempdir().unwrap();
    let (key, secret) = (&bench.server.key, &bench.server.secret);
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    let profile = format!(
        "[default]\naws_access_key_id = x\naws_secret_access_key = y\n[backup]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
    );
    std::fs::write(home.path().join(".aws/credentials"), profile).unwrap();
    let open = |store: &str, environment: bool| {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--ignored", "--exact", "credentials::child_opens_a_store"]).env_clear().env("HOME", home.path());
        child.env("S3_TEST_STORE", store);
        if environment {
            child
                .env("AWS_ACCESS_KEY_ID", key)
                .env("AWS_SECRET_ACCESS_KEY", secret)
                .env("AWS_ENDPOINT_URL", &bench.server.endpoint);
        }
        let output = child.output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!text.contains(secret), "{text}");
        (output.status.success(), text)
    };
    let block = |change: Value| {
        let mut block = json!({ "bucket": bench.bucket, "endpoint": bench.server.endpoint });
        block.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        block.to_string()
    };
    let good = |(opened, text): (bool, String)| assert!(opened, "{text}");
    good(open(&format!("s3://{}/p", bench.bucket), true));
    good(open(&format!("s3://{}/p?profile=backup&endpoint={}", bench.bucket, bench.server.endpoint), false));
    good(open(&block(json!({ "credentials": "environment" })), true));
    good(open(&block(json!({ "credentials": "profile", "profile": "backup" })), false));
    let bad = |(opened, text): (bool, String), says: &str| assert!(!opened && text.contains(says), "{text}");
    // Static ones are missing: the environment is not asked.
    bad(open(&block(json!({})), true), "s3.config");
    bad(open(&format!("s3://{}/p?endpoint={}", bench.bucket, bench.server.endpoint), false), "s3.credentials");
    bad(open(&block(json!({ "credentials": "environment", "access-key-id": "k" })), true), "s3.config");
}
