//! To a real Swift and back.

use backup_core::Store;
use backup_core::store::WriteOptions;
use backup_remote::testkit::FaultyProxy;
use serde_json::json;

use crate::agent::{Place, backup, restore};
use crate::openstack::OpenStack;
use crate::postgres::Postgres;

pub fn destination(openstack: &OpenStack, container: &str) -> serde_json::Value {
    let config = openstack.config(container);
    let secret = |secret: Option<backup_core::Secret>| secret.map(|secret| secret.expose().to_owned());
    json!({
        "type": "SWIFT", "authUrl": config.auth_url, "domain": config.user_domain.unwrap_or_else(|| "Default".to_owned()),
        "container_name": container, "project_name": config.project, "username": config.username, "password": secret(config.password),
        "filenamePrefix": "plan/", "region": config.region,
    })
}

pub async fn make(openstack: &OpenStack, container: &str) {
    let made = openstack.raw(backup_remote::http::http::Method::PUT, &format!("/{container}"), &[], Vec::new()).await;
    assert!(made.status.is_success(), "{made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_goes_to_swift_under_its_prefix_and_comes_back() {
    let Some(openstack) = OpenStack::wanted().await else { return };
    let container = openstack.container("agent");
    let destination = destination(&openstack, &container);
    let place = Place::new();
    let agent = place.start();
    // A container that is not there is not made.
    agent.post(backup("b0", &destination));
    assert!(agent.fails("/backup/b0").contains("Uploading to SWIFT failed due to"));
    make(&openstack, &container).await;
    agent.post(backup("b1", &destination));
    let job = agent.succeeds("/backup/b1");
    let file = job["filename"].as_str().unwrap();
    assert_eq!(openstack.names(&container, "").await, [format!("plan/{file}")]);
    agent.put(restore("r1", &destination, file));
    agent.succeeds("/restore/r1");
    assert_eq!(std::fs::read(place.path(&format!("restore/r1/{file}"))).unwrap(), b"the data");
    let mut wrong = destination.clone();
    wrong["password"] = json!("wrong");
    agent.post(backup("b2", &wrong));
    assert!(agent.fails("/backup/b2").contains("Uploading to SWIFT failed due to"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_above_a_segment_is_one_plain_object_that_replaces_a_large_one_with_its_segments() {
    let Some(openstack) = OpenStack::wanted().await else { return };
    let container = openstack.container("agent-plain");
    make(&openstack, &container).await;
    let destination = destination(&openstack, &container);
    let store = openstack.store(&openstack.config(&container).segment_size(Some(1 << 20))).await;
    let (cx, key) = (crate::openstack::context(), backup_core::ObjectKey::new("plan/fixed.dump").unwrap());
    let mut writer = store.writer(&cx, &key, WriteOptions::new(cx.job().clone())).await.unwrap();
    writer.write(vec![7; 3 << 20].into()).await.unwrap();
    writer.finish().await.unwrap();
    let segments = format!("{container}_segments");
    assert_eq!(openstack.names(&segments, "").await.len(), 3);
    let place = Place::new().variable("allow_overwrite", true);
    place.tell("backup", "head -c 40M /dev/urandom >\"$here/backup/$6/fixed.dump\"");
    let agent = place.start();
    let before = agent.peak();
    agent.post(backup("b1", &destination));
    agent.succeeds("/backup/b1");
    let more = agent.peak() - before;
    assert!(more < 32 << 20, "{more} bytes more");
    assert_eq!(openstack.names(&segments, "").await, [] as [String; 0]);
    let path = format!("/{container}/plan/fixed.dump");
    let head = openstack.raw(backup_remote::http::http::Method::HEAD, &path, &[], Vec::new()).await;
    assert!(!head.headers.contains_key("x-static-large-object") && head.headers["content-length"] == "41943040", "{head:?}");
    agent.put(restore("r1", &destination, "fixed.dump"));
    agent.succeeds("/restore/r1");
    let same =
        std::fs::read(place.path("restore/r1/fixed.dump")).unwrap() == std::fs::read(place.path("backup/b1/fixed.dump")).unwrap();
    assert!(same, "other bytes came back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_is_used_where_it_is_named_and_need_not_be_named() {
    let Some(openstack) = OpenStack::wanted().await else { return };
    let container = openstack.container("agent-region");
    make(&openstack, &container).await;
    let proxy = FaultyProxy::http(&openstack.swift_host()).await;
    let mut destination = destination(&openstack, &container);
    destination["region"] = json!(openstack.region(&proxy.url()).await);
    let place = Place::new();
    let agent = place.start();
    agent.post(backup("b1", &destination));
    let job = agent.succeeds("/backup/b1");
    assert_eq!(job["region"], destination["region"], "{job}");
    assert!(proxy.count("PUT", &container) > 0, "it went another way");
    destination["region"] = json!("nowhere");
    agent.post(backup("b2", &destination));
    assert!(agent.fails("/backup/b2").contains("nowhere"));
    // Which of the regions is the first one, and whether a test's own one is still there, Keystone says; it has two at least.
    destination.as_object_mut().unwrap().remove("region");
    agent.post(backup("b3", &destination));
    let job = agent.ended("/backup/b3");
    assert!(!job.to_string().contains("no_endpoint"), "{job}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_database_goes_to_swift_and_comes_back_as_it_was() {
    let (Some(openstack), Some(postgres)) = (OpenStack::wanted().await, Postgres::start().await) else { return };
    let container = openstack.container("agent-postgres");
    make(&openstack, &container).await;
    let destination = destination(&openstack, &container);
    tokio::task::spawn_blocking(move || crate::round_trip::postgres_round_trip(&postgres, &destination)).await.unwrap();
}
