//! SIGKILL of the agent in the middle of an upload: what had been sent is removed at the next start, and nothing else.

use backup_remote::testkit::{FaultyProxy, Gate, Harm, Reply, RequestFault, Which};
use serde_json::{Value, json};

use crate::agent::{Agent, Place, backup};
use crate::openstack::OpenStack;
use crate::s3::Bucket;
use crate::swift;

/// A place whose backup is a file of so many mebibytes.
fn place(megabytes: usize) -> Place {
    let place = Place::new();
    place.tell("backup", &format!("truncate -s {megabytes}M \"$here/backup/$6/big.dump\""));
    place
}

/// Holds such a request when a part of its body has passed.
fn hold(proxy: &FaultyProxy, target: &str) -> Gate {
    let gate = Gate::default();
    let held = RequestFault::RequestBody(Harm::Hold { after: 1000, gate: gate.clone() });
    proxy.requests(Which::next(), "PUT", target, held);
    gate
}

/// The job as an agent that was started again shows it: interrupted, the database unlocked, and no secret left behind.
fn interrupted(place: &Place) -> (Agent, Value) {
    let agent = place.start();
    let job = agent.job("/backup/b1");
    assert_eq!((&job["status"], &job["failed_phase"]), (&json!("FAILED"), &json!("backup")), "{job}");
    assert!(job["error_message"].as_str().unwrap().contains("interrupted"), "{job}");
    assert_eq!(place.ran().join(" "), "pre-backup-lock pre-backup-check backup backup-cleanup post-backup-unlock");
    assert_eq!(std::fs::read_dir(place.path("state.redb.running")).unwrap().count(), 0);
    let metrics = agent.ask("GET", "/metrics", "").text();
    assert!(metrics.contains("backup_jobs_total{kind=\"backup\",outcome=\"interrupted\"} 1"), "{metrics}");
    (agent, job)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_multipart_upload_that_was_killed_is_aborted_at_the_next_start_and_no_other() {
    let Some(bucket) = Bucket::new() else { return };
    let proxy = FaultyProxy::http(&bucket.server.endpoint).await;
    let mut destination = bucket.destination("p/");
    destination["endpoint"] = json!(proxy.url());
    let theirs = bucket.server.s3("create_multipart_upload", json!({ "Bucket": bucket.name, "Key": "p/big.dump" }));
    let place = place(64);
    let agent = place.start();
    let gate = hold(&proxy, "partNumber=3");
    agent.post(backup("b1", &destination));
    gate.reached().await;
    assert_eq!(bucket.server.uploads(&bucket.name, ""), 2);
    let record = std::fs::read_to_string(place.path("state.redb.running/backup-b1/record")).unwrap();
    assert!(record.contains("p/big.dump"), "the upload is not noted");
    agent.kill();
    proxy.clear();

    let (agent, job) = interrupted(&place);
    assert!(!job["error_message"].as_str().unwrap().contains("stays behind"), "{job}");
    let left = bucket.server.s3("list_multipart_uploads", json!({ "Bucket": bucket.name }));
    let left: Vec<_> = left["Uploads"].as_array().unwrap().iter().map(|upload| &upload["UploadId"]).collect();
    assert_eq!(left, [&theirs["UploadId"]], "the upload of another program");
    assert_eq!(bucket.names(), [] as [String; 0]);
    assert!(!agent.said().contains(&bucket.server.secret));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_cannot_be_given_up_is_told_of() {
    let Some(bucket) = Bucket::new() else { return };
    let proxy = FaultyProxy::http(&bucket.server.endpoint).await;
    let mut destination = bucket.destination("");
    destination["endpoint"] = json!(proxy.url());
    let place = place(64);
    let agent = place.start();
    let gate = hold(&proxy, "partNumber=3");
    agent.post(backup("b1", &destination));
    gate.reached().await;
    agent.kill();
    proxy.clear();
    let denied = Reply::status(403).body("<Error><Code>AccessDenied</Code></Error>");
    proxy.requests(Which::all(), "DELETE", "", RequestFault::Answer(denied));

    let (_agent, job) = interrupted(&place);
    let why = job["error_message"].as_str().unwrap();
    assert!(why.contains("an unfinished upload of `big.dump` stays behind") && why.contains("AccessDenied"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_of_an_upload_that_was_killed_are_removed_at_the_next_start() {
    let Some(openstack) = OpenStack::wanted().await else { return };
    let container = openstack.container("agent-killed");
    swift::make(&openstack, &container).await;
    let proxy = FaultyProxy::http(&openstack.swift_host()).await;
    // A cluster that takes no more than a mebibyte in one piece.
    let info = r#"{"swift": {"max_file_size": 1048576}, "slo": {"max_manifest_segments": 1000, "min_segment_size": 1}}"#;
    proxy.requests(Which::all(), "GET", "/info", RequestFault::Answer(Reply::status(200).body(info)));
    let mut destination = swift::destination(&openstack, &container);
    destination["region"] = json!(openstack.region(&proxy.url()).await);
    let place = place(8);
    let agent = place.start();
    let gate = hold(&proxy, "/00000004");
    agent.post(backup("b1", &destination));
    gate.reached().await;
    let segments = format!("{container}_segments");
    assert!(!openstack.names(&segments, ".backup/tmp/parts/").await.is_empty(), "nothing was sent");
    agent.kill();
    proxy.clear();

    let (agent, job) = interrupted(&place);
    assert!(!job["error_message"].as_str().unwrap().contains("stays behind"), "{job}");
    assert_eq!(openstack.names(&segments, "").await, [] as [String; 0]);
    assert_eq!(openstack.names(&container, "").await, [] as [String; 0]);
    assert!(!agent.said().contains(&openstack.password()));
}
