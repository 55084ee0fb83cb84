//! Asking a real Keystone about other users' tokens, and about what a project may have.
#![cfg(feature = "swift")]
#![allow(clippy::unwrap_used, reason = "test helpers stand outside of the test functions")]

#[path = "support/openstack.rs"]
mod openstack;

use std::sync::Arc;

use backup_core::{JobContext, Secret};
use backup_remote::http::http::{Method, Request};
use backup_remote::http::{Http, HttpOptions};
use backup_remote::keystone::{Keystone, KeystoneConfig, Token, Validator};
use backup_remote::testkit::FaultyProxy;
use backup_remote::{Call, CallLimits, Calls, Repeat};
use openstack::{OpenStack, context};
use serde_json::json;

fn http() -> Http {
    Http::new(Calls::new("keystone", CallLimits::default()), &HttpOptions::default()).unwrap()
}

fn client(openstack: &OpenStack, user: &str, project: &str) -> Keystone {
    let mut config = openstack.keystone();
    (config.username, config.project) = (Some(user.to_owned()), Some(project.to_owned()));
    Keystone::new(http(), config).unwrap()
}

fn secret(token: &Token) -> Secret {
    Secret::from(token.header().to_str().unwrap())
}

async fn token(cx: &JobContext, openstack: &OpenStack, user: &str, project: &str) -> (Arc<Token>, Secret) {
    let token = client(openstack, user, project).token(cx).await.unwrap();
    let secret = secret(&token);
    (token, secret)
}

/// A login that is no project's.
async fn unscoped(cx: &JobContext, config: &KeystoneConfig) -> Secret {
    let user =
        json!({ "name": "admin", "domain": { "name": "Default" }, "password": config.password.as_ref().unwrap().expose() });
    let body = json!({ "auth": { "identity": { "methods": ["password"], "password": { "user": user } }, "scope": "unscoped" } })
        .to_string();
    let request = Request::post(format!("{}/auth/tokens", config.auth_url)).header("content-type", "application/json");
    let request = request.body(vec![body.into()]).unwrap();
    let call = Call::changing("Test", Repeat::Always);
    let answer = http().fetch(cx, &call, &request, 1 << 20).await.unwrap();
    assert_eq!(answer.status(), 201, "{:?}", answer.body());
    Secret::from(answer.headers()["x-subject-token"].to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_members_of_admins_and_of_nobody_are_told_apart() {
    let Some(openstack) = OpenStack::wanted().await else { return };
    let cx = context();
    let ours = client(&openstack, "admin", "admin");
    let validator = Validator::new(ours.clone());
    let (demo, demo_secret) = token(&cx, &openstack, "demo", "demo").await;
    let said = validator.validate(&cx, &demo_secret).await.unwrap().unwrap();
    let project = said.project.clone().unwrap();
    assert_eq!((said.user.name.as_str(), project.name.as_str(), Some(project.id.as_str())), ("demo", "demo", demo.project_id()));
    assert!(said.has_role("member") && !said.has_role("admin"), "{said:?}");
    assert_eq!(said.catalogue(), demo.catalogue(), "as its owner sees it");
    assert!(said.catalogue().service_id("swift").is_some());
    assert!(said.expires_at > cx.clock().now());

    let (_, admin) = token(&cx, &openstack, "admin", "demo").await;
    let said = validator.validate(&cx, &admin).await.unwrap().unwrap();
    assert!(said.has_role("admin") && said.project.as_ref() == Some(&project));

    let no_project = unscoped(&cx, &openstack.keystone()).await;
    let said = validator.validate(&cx, &no_project).await.unwrap().unwrap();
    assert!(said.project.is_none(), "{said:?}");

    let cut = demo_secret.expose().split_at(demo_secret.expose().len() - 3).0.to_owned();
    for wrong in ["nonsense", &cut] {
        assert!(validator.validate(&cx, &Secret::from(wrong)).await.unwrap().is_none());
    }
    // A member may not ask about others.
    let error = Validator::new(client(&openstack, "other", "other")).validate(&cx, &admin).await.unwrap_err();
    assert_eq!(error.code().name, "keystone.refused");
    let shown = format!("{validator:?} {said:?} {error:?}");
    assert!(!shown.contains(demo_secret.expose()) && !shown.contains(admin.expose()), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_keystone_revoked_from_us_is_renewed_and_a_revoked_one_of_a_caller_is_invalid() {
    let Some(openstack) = OpenStack::wanted().await else { return };
    let cx = context();
    let proxy = FaultyProxy::http(openstack.keystone().auth_url.trim_end_matches("/v3")).await;
    let mut config = openstack.keystone();
    (config.username, config.project) = (Some("admin".to_owned()), Some("admin".to_owned()));
    config.auth_url = proxy.url();
    let ours = Keystone::new(http(), config).unwrap();
    let validator = Validator::new(ours.clone());
    let (_, demo) = token(&cx, &openstack, "demo", "demo").await;

    let first = ours.token(&cx).await.unwrap();
    assert!(openstack.revoke(first.header().to_str().unwrap()).await.status.is_success());
    assert!(validator.validate(&cx, &demo).await.unwrap().is_some());
    assert_eq!(proxy.count("POST", "/v3/auth/tokens"), 2, "a second login after the first token was refused");

    assert!(openstack.revoke(demo.expose()).await.status.is_success());
    // Somebody who has not seen it before.
    assert!(Validator::new(ours).validate(&cx, &demo).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_read_with_a_token_of_the_project() {
    let Some(openstack) = OpenStack::wanted().await else { return };
    let cx = context();
    let resource = openstack.container("backups");
    let (demo, secret) = token(&cx, &openstack, "demo", "demo").await;
    let (other, other_secret) = token(&cx, &openstack, "other", "other").await;
    let service = demo.catalogue().service_id("swift").unwrap().to_owned();
    let keystone = client(&openstack, "demo", "demo");
    let project = demo.project_id().unwrap();
    let limit = async |project: &str, token: &Secret| {
        keystone.limit(&cx, token, &service, &resource, Some("RegionOne"), project).await.unwrap()
    };
    assert_eq!(limit(project, &secret).await, None);

    let registered = json!({ "service_id": service, "resource_name": resource, "default_limit": 7, "region_id": "RegionOne" });
    let body = json!({ "registered_limits": [registered] });
    let made = openstack.administer(Method::POST, "/registered_limits", Some(body)).await;
    assert_eq!(made.status, 201, "{made:?}");
    let registered = made.json()["registered_limits"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(limit(project, &secret).await, Some(7));

    let own = json!({ "service_id": service, "resource_name": resource, "resource_limit": 2, "region_id": "RegionOne", "project_id": project });
    let made = openstack.administer(Method::POST, "/limits", Some(json!({ "limits": [own] }))).await;
    assert_eq!(made.status, 201, "{made:?}");
    let own = made.json()["limits"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(limit(project, &secret).await, Some(2));
    assert_eq!(limit(other.project_id().unwrap(), &other_secret).await, Some(7), "another project has the registered one");

    for path in [format!("/limits/{own}"), format!("/registered_limits/{registered}")] {
        assert!(openstack.administer(Method::DELETE, &path, None).await.status.is_success(), "{path}");
    }
    assert_eq!(limit(project, &secret).await, None);
}
