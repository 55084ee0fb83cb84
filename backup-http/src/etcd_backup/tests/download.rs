use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use backup_core::Digest;
use http_body_util::BodyExt;

use super::world::{World, gunzip, request};

const NAME: &str = "/api/v1/backup/snapshot-20261121_093000.tar.gz";

async fn with_one_backup() -> World {
    let world = World::start(14).await;
    assert_eq!(world.post().await.status, StatusCode::OK);
    world
}

#[tokio::test]
async fn a_download_is_the_stored_file_with_its_validators() {
    let world = with_one_backup().await;
    let stored = world.store.raw_get("snapshot-20261121_093000.tar.gz").unwrap();
    let answer = world.get(NAME).await;
    assert_eq!((answer.status, &answer.body), (StatusCode::OK, &stored));
    assert_eq!(gunzip(&answer.body), b"snapshot-20261121_093000.db");
    assert_eq!(answer.header("content-type"), "application/gzip");
    assert_eq!(answer.header("content-length"), stored.len().to_string());
    assert_eq!(answer.header("etag"), format!("\"{}\"", Digest::of(&stored)));
    assert_eq!(answer.header("last-modified"), "Sat, 21 Nov 2026 09:30:00 GMT");
    assert_eq!(answer.header("accept-ranges"), "bytes");

    let head = world.ask(request(Method::HEAD, NAME)).await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    assert_eq!(head.header("content-length"), stored.len().to_string());

    let part = Request::get(NAME).header("Range", "bytes=2-4").body(Body::empty()).unwrap();
    let part = world.ask(part).await;
    assert_eq!((part.status, &part.body[..]), (StatusCode::PARTIAL_CONTENT, &stored[2..5]));
    let known = Request::get(NAME).header("If-None-Match", answer.header("etag")).body(Body::empty()).unwrap();
    assert_eq!(world.ask(known).await.status, StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn a_name_is_compared_and_never_a_path() {
    let world = with_one_backup().await;
    world.store.raw_put("secret/snapshot-20261121_093000.tar.gz", &b"secret"[..]);
    world.store.raw_put("notes.txt", &b"secret"[..]);
    let id = world.store.keys().into_iter().find(|key| key.starts_with(".backup/sets/")).unwrap();
    for name in [
        "notes.txt",
        "secret/snapshot-20261121_093000.tar.gz",
        "secret%2Fsnapshot-20261121_093000.tar.gz",
        "./snapshot-20261121_093000.tar.gz",
        "%2e/snapshot-20261121_093000.tar.gz",
        "x/../snapshot-20261121_093000.tar.gz",
        "x/%2e%2e/snapshot-20261121_093000.tar.gz",
        "..%2f..%2fetc%2fpasswd",
        "/snapshot-20261121_093000.tar.gz",
        "snapshot-20261121_093000.tar.gz%00",
        "snapshot-20261121_093000.tar.gz/",
        "SNAPSHOT-20261121_093000.tar.gz",
        &id,
    ] {
        let answer = world.get(&format!("/api/v1/backup/{name}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{name}");
        assert_eq!(answer.json()["status"], 404, "{name}");
    }
}

#[tokio::test]
async fn a_file_that_somebody_removed_is_not_found() {
    let world = with_one_backup().await;
    assert!(world.store.raw_delete("snapshot-20261121_093000.tar.gz"));
    for method in [Method::GET, Method::HEAD] {
        let answer = world.ask(request(method.clone(), NAME)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method}");
    }
}

#[tokio::test]
async fn a_damaged_file_is_cut_or_refused_and_never_served_whole() {
    let world = with_one_backup().await;
    world.store.flip_bit("snapshot-20261121_093000.tar.gz", 20, 0);
    let answer = world.response(request(Method::GET, NAME)).await;
    let refused = answer.status() == StatusCode::INTERNAL_SERVER_ERROR;
    assert!(refused || answer.into_body().collect().await.is_err());

    // One that is known to be damaged is no backup any more.
    let id = world.service.jobs().pop().unwrap().backup.unwrap();
    let target = world.service.target(&"etcd".parse().unwrap()).unwrap();
    let verify = world.service.verify(&target, &id, Default::default(), Default::default()).await.unwrap();
    assert!(!verify.wait().await.unwrap().is_good());
    assert!(world.names().await.is_empty());
    assert_eq!(world.get(NAME).await.status, StatusCode::NOT_FOUND);
}
