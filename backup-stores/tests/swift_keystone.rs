//! Logging in to a real Keystone.
#![cfg(feature = "swift")]
#![allow(clippy::unwrap_used, reason = "test helpers stand outside of the test functions")]

#[path = "support/openstack.rs"]
mod openstack;

use backup_core::{ErrorKind, Secret};
use backup_remote::http::http::Method;
use backup_remote::http::{Http, HttpOptions};
use backup_remote::keystone::{Keystone, KeystoneConfig};
use backup_remote::testkit::FaultyProxy;
use backup_remote::{CallLimits, Calls};
use backup_stores::OpenOptions;
use backup_stores::swift::SwiftStore;
use openstack::{OpenStack, context};
use serde_json::json;

fn client(config: KeystoneConfig) -> Keystone {
    let http = Http::new(Calls::new("keystone", CallLimits::default()), &HttpOptions::default()).unwrap();
    Keystone::new(http, config).unwrap()
}

/// A proxy in front of Keystone, and who we are to it.
async fn watched(openstack: &OpenStack) -> (FaultyProxy, KeystoneConfig) {
    let mut config = openstack.keystone();
    let proxy = FaultyProxy::http(config.auth_url.trim_end_matches("/v3")).await;
    // Without `/v3`, as many give it.
    config.auth_url = proxy.url();
    (proxy, config)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_log_in_once_and_renew_once() {
    let Some(openstack) = OpenStack::wanted().await else { return };
    let (proxy, config) = watched(&openstack).await;
    let (keystone, cx) = (client(config), context());
    let asked = (0..16).map(|_| keystone.token(&cx));
    let tokens = futures::future::try_join_all(asked).await.unwrap();
    assert_eq!(proxy.count("POST", "/v3/auth/tokens"), 1);

    let asked = tokens.iter().map(|token| keystone.renewed(&cx, token));
    let renewed = futures::future::try_join_all(asked).await.unwrap();
    assert_eq!(proxy.count("POST", "/v3/auth/tokens"), 2, "one renewal for all whose token was rejected");
    assert!(renewed.iter().all(|token| token.header() != tokens[0].header()));
    let shown = format!("{keystone:?} {tokens:?}");
    assert!(!shown.contains(&openstack.password()) && !shown.contains(tokens[0].header().to_str().unwrap()), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_is_refused_says_why_and_is_not_repeated_at_once() {
    let Some(openstack) = OpenStack::wanted().await else { return };
    let cx = context();
    let (proxy, mut config) = watched(&openstack).await;
    config.password = Some(Secret::new("not-the-password"));
    let keystone = client(config);
    for _ in 0..3 {
        let error = keystone.token(&cx).await.unwrap_err();
        assert_eq!((error.code().name, error.kind()), ("keystone.refused", ErrorKind::PermissionDenied));
        assert!(error.to_string().contains("`demo`") && !format!("{error:?}").contains("not-the-password"), "{error:?}");
    }
    assert_eq!(proxy.count("POST", "/auth/tokens"), 2, "with the project and without; then not again");

    let mut config = openstack.keystone();
    config.project = Some("elsewhere".to_owned());
    let error = client(config).token(&cx).await.unwrap_err();
    assert_eq!(error.code().name, "keystone.no_project");
    assert!(error.to_string().contains("`elsewhere`") && error.to_string().contains("it has: demo"), "{error}");

    let mut config = openstack.keystone();
    config.auth_url = openstack.swift_host();
    assert_eq!(client(config).token(&cx).await.unwrap_err().code().name, "keystone.address");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_endpoint_is_said_with_those_that_are_there() {
    let Some(openstack) = OpenStack::wanted().await else { return };
    let mut config = openstack.config("any");
    config.region = Some("Atlantis".to_owned());
    let error = SwiftStore::open(&context(), &config, &OpenOptions::default()).await.unwrap_err();
    assert_eq!(error.code().name, "keystone.no_endpoint");
    assert!(error.to_string().contains("Atlantis") && error.to_string().contains("object-store public in RegionOne"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_credential_opens_a_store() {
    let Some(openstack) = OpenStack::wanted().await else { return };
    let cx = context();
    let keystone = client(openstack.keystone());
    let token = keystone.token(&cx).await.unwrap();
    let users = openstack.administer(Method::GET, "/users?name=demo", None).await.json();
    let user = users["users"][0]["id"].as_str().unwrap().to_owned();
    let name = openstack.container("credential");
    let body = json!({ "application_credential": { "name": name, "secret": "of-the-credential" } }).to_string();
    // Only a user makes them, for itself.
    let request = backup_remote::http::http::Request::builder()
        .method(Method::POST)
        .uri(format!("{}/users/{user}/application_credentials", openstack.keystone().auth_url))
        .header("x-auth-token", token.header())
        .header("content-type", "application/json")
        .body(vec![body.into()])
        .unwrap();
    let http = Http::new(Calls::new("test", CallLimits::default()), &HttpOptions::default()).unwrap();
    let call = backup_remote::Call::changing("Test", backup_remote::Repeat::Always);
    let made = http.fetch(&cx, &call, &request, 1 << 20).await.unwrap();
    assert!(made.status().is_success(), "{made:?}");
    let made: serde_json::Value = serde_json::from_slice(made.body()).unwrap();

    let mut config = openstack.config(&openstack.container("appcred"));
    (config.username, config.password, config.project) = (None, None, None);
    config.application_credential_id = Some(made["application_credential"]["id"].as_str().unwrap().to_owned());
    config.application_credential_secret = Some(Secret::new("of-the-credential"));
    openstack.store(&config).await;

    config.application_credential_secret = Some(Secret::new("of-another"));
    let error = SwiftStore::open(&cx, &config, &OpenOptions::default()).await.unwrap_err();
    assert_eq!(error.code().name, "keystone.refused");
    assert!(!format!("{error:?} {config:?}").contains("of-another"), "{error:?}");
}
