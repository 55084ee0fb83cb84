use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use backup_core::testkit::{Fault, FaultPlan, FaultRule, OpKind};
use futures::future::join_all;

use super::world::{World, request};

#[tokio::test]
async fn a_post_answers_as_documented_once_the_backup_is_listed() {
    let world = World::start(14).await;
    let answer = world.post().await;
    assert_eq!(answer.status, StatusCode::OK);
    let size = world.store.raw_get("snapshot-20261121_093000.tar.gz").unwrap().len();
    let expected =
        format!("{{\"message\":\"backup successfully\",\"filename\":\"snapshot-20261121_093000.tar.gz\",\"filesize\":{size}}}\n");
    assert_eq!(answer.body, expected);
    assert_eq!(world.names().await, ["snapshot-20261121_093000.tar.gz"]);
}

#[tokio::test]
async fn a_failed_post_says_why_in_the_decided_form_and_lists_nothing() {
    let world = World::start(14).await;
    world.behaviour.failing.store(true, Ordering::SeqCst);
    let request = Request::post("/api/v1/backup").header("X-Cybozu-Request-ID", "abc-1").body(Body::empty()).unwrap();
    let answer = world.ask(request).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    let body = answer.json();
    assert_eq!(body["message"], "failed to save an etcd backup");
    assert!(body["error"].as_str().unwrap().contains("told to fail"), "{body}");
    assert_eq!((body["status"].as_u64(), body["request_id"].as_str()), (Some(500), Some("abc-1")));
    assert_eq!(body.as_object().unwrap().len(), 4);
    assert_eq!((world.names().await, world.files()), (vec![], vec![]));
}

#[tokio::test]
async fn an_id_is_made_for_a_request_that_brings_none() {
    let world = World::start(14).await;
    let (one, other) = (world.get("/nothing").await.json(), world.get("/nothing").await.json());
    assert_eq!(one["request_id"].as_str().unwrap().len(), 32);
    assert_ne!(one["request_id"], other["request_id"]);
}

#[tokio::test]
async fn fifty_posts_at_once_all_succeed_under_names_of_their_own() {
    let world = World::start(100).await;
    let answers = join_all((0..50).map(|_| world.post())).await;
    let names: BTreeSet<_> = answers
        .iter()
        .map(|answer| {
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
            answer.json()["filename"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(names.len(), 50);
    assert_eq!(world.names().await, names.into_iter().collect::<Vec<_>>());
    assert_eq!(world.behaviour.captures.load(Ordering::SeqCst), 50, "no name was tried twice");
}

#[tokio::test]
async fn rotation_keeps_the_newest_and_has_happened_when_the_post_answers() {
    let world = World::start(2).await;
    for _ in 0..4 {
        assert_eq!(world.post().await.status, StatusCode::OK);
    }
    let kept = ["snapshot-20261121_093002.tar.gz", "snapshot-20261121_093003.tar.gz"];
    assert_eq!((world.files(), world.names().await), (kept.map(String::from).to_vec(), kept.map(String::from).to_vec()));
}

#[tokio::test]
async fn a_rotation_that_fails_does_not_fail_the_post() {
    let world = World::start(1).await;
    assert_eq!(world.post().await.status, StatusCode::OK);
    let denied = FaultRule::new(Fault::ErrorBefore(&backup_core::error::codes::STORE_DENIED)).on([OpKind::Delete]);
    world.store.set_faults(FaultPlan::seeded(1).rule(denied.key(|key| key.ends_with("093000.tar.gz"))));
    let answer = world.post().await;
    assert_eq!(answer.status, StatusCode::OK);
    world.store.verify_all_faults_exercised();
    let job = world.service.jobs().pop().unwrap();
    assert!(job.retention_error.is_some(), "{job:?}");
    assert!(world.names().await.contains(&answer.json()["filename"].as_str().unwrap().to_owned()));
}

#[tokio::test]
async fn a_backup_goes_on_when_its_client_is_gone() {
    let world = World::start(14).await;
    world.behaviour.gate.forget_permits(1);
    {
        let post = world.response(request(Method::POST, "/api/v1/backup"));
        let mut post = std::pin::pin!(post);
        while world.behaviour.captures.load(Ordering::SeqCst) == 0 {
            assert!(futures::poll!(&mut post).is_pending());
            tokio::task::yield_now().await;
        }
    }
    world.behaviour.gate.add_permits(1);
    while world.names().await.is_empty() {
        tokio::task::yield_now().await;
    }
}
