//! What is served of a backup that was made here.

use super::*;

#[tokio::test]
async fn a_backup_is_made_under_its_name_and_served_byte_for_byte() {
    let world = World::new().await;
    assert_eq!(world.get("/v1/status").await.text(), "{\"backups\":0,\"backupSize\":0}\n");
    let status = world.back_up().await;
    assert_eq!(world.files(), ["3.5.1_000000000000000a_etcd.backup"]);
    let keys: Vec<_> = status.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["creationTime", "size", "revision", "version", "timeTookInSecond"]);
    assert_eq!((&status["revision"], &status["version"]), (&10.into(), &"3.5.1".into()));
    assert_eq!((&status["size"], &status["timeTookInSecond"]), (&0.005.into(), &1.into()));
    let created: chrono::DateTime<chrono::FixedOffset> = status["creationTime"].as_str().unwrap().parse().unwrap();
    assert_eq!(created, backup_core::testkit::START.parse::<chrono::DateTime<chrono::FixedOffset>>().unwrap());
    assert!(!status["creationTime"].as_str().unwrap().contains('.'));

    let answer = world.get("/v1/backup").await;
    assert_eq!((answer.status, answer.body.clone()), (200, world.etcd.content()));
    assert_eq!((answer.header("x-etcd-version"), answer.header("x-revision")), ("3.5.1", "10"));
    assert_eq!(answer.header("content-length"), world.etcd.content().len().to_string());
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    assert_eq!(answer.header("accept-ranges"), "bytes");

    let told = world.get("/v1/status").await.json();
    assert_eq!((&told["recentBackup"], &told["backups"], &told["backupSize"]), (&status, &1.into(), &0.005.into()));
}

#[tokio::test]
async fn head_tells_what_get_would_without_the_bytes() {
    let world = World::new().await;
    assert_eq!(world.ask("HEAD", "/v1/backup").await.status, 404);
    world.back_up().await;
    let (head, get) = (world.ask("HEAD", "/v1/backup?etcdVersion=3.6.0").await, world.get("/v1/backup").await);
    assert_eq!((head.status, head.body.len()), (200, 0));
    for name in ["x-etcd-version", "x-revision", "content-length", "etag", "last-modified"] {
        assert!(!get.header(name).is_empty(), "{name}");
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
    assert_eq!(world.ask("HEAD", "/v1/backup?etcdVersion=3.9.0").await.status, 400);
}

#[tokio::test]
async fn ranges_and_conditions_are_those_of_the_shared_download() {
    let world = World::new().await;
    world.back_up().await;
    let part = world.ask_with("GET", "/v1/backup", &[("range", "bytes=5-9")]).await;
    assert_eq!((part.status, part.body.as_slice()), (206, &world.etcd.content()[5..10]));
    assert_eq!((part.header("x-etcd-version"), part.header("x-revision")), ("3.5.1", "10"));
    let etag = part.header("etag").to_owned();
    assert_eq!(world.ask_with("GET", "/v1/backup", &[("if-none-match", &etag)]).await.status, 304);
    assert_eq!(world.ask_with("GET", "/v1/backup", &[("range", "bytes=90000-")]).await.status, 416);
}

#[tokio::test]
async fn a_file_that_somebody_removed_is_not_found() {
    let world = World::new().await;
    world.back_up().await;
    assert!(world.store.raw_delete("v1/prod/3.5.1_000000000000000a_etcd.backup"));
    for method in ["GET", "HEAD"] {
        let answer = world.ask(method, "/v1/backup").await;
        assert_eq!(answer.status, 404, "{method}");
    }
    assert_eq!(world.get("/v1/backup").await.text(), "backup not found\n");
    world.etcd.revision(11);
    world.back_up().await;
    world.etcd.revision(12);
    world.back_up().await;
    assert!(world.store.raw_delete("v1/prod/3.5.1_000000000000000c_etcd.backup"));
    assert_eq!(world.get("/v1/backup").await.header("x-revision"), "11");
    // And it does not count as an existing backup of that revision.
    world.back_up().await;
    assert_eq!(world.get("/v1/backup").await.header("x-revision"), "12");
}

#[tokio::test]
async fn a_damaged_file_is_never_served_as_a_whole_one() {
    let world = World::new().await;
    world.back_up().await;
    world.store.flip_bit("v1/prod/3.5.1_000000000000000a_etcd.backup", 4000, 1);
    let answer = world.get("/v1/backup").await;
    assert_eq!(answer.status, 500, "{answer:?}");
    assert!(answer.text().contains("artifact.corrupt"), "{answer:?}");
}

#[tokio::test]
async fn the_name_tells_the_revision_of_the_snapshot_not_that_of_the_probe() {
    let world = World::new().await;
    world.etcd.moves(5);
    let status = world.back_up().await;
    assert_eq!(status["revision"], 15);
    assert_eq!(world.files(), ["3.5.1_000000000000000f_etcd.backup"]);
}

#[tokio::test]
async fn the_newest_ones_stay_right_after_a_backup() {
    let world = World::keeping(2).await;
    world.leave("3.5.1_0000000000000001_etcd.backup", b"one of the original");
    for revision in 10..13 {
        world.clock.advance(Duration::from_secs(1));
        world.etcd.revision(revision);
        world.back_up().await;
    }
    assert_eq!(world.files(), ["3.5.1_000000000000000b_etcd.backup", "3.5.1_000000000000000c_etcd.backup"]);
}

#[tokio::test]
async fn a_source_without_a_version_or_with_a_strange_one_is_a_clear_error() {
    let world = World::new().await;
    world.etcd.version(None);
    let answer = world.get("/v1/backupnow").await;
    assert_eq!(answer.status, 500);
    assert!(
        answer.text().starts_with("write snapshot failed: ") && answer.text().contains("named after its version"),
        "{answer:?}"
    );
    world.etcd.version(Some("latest"));
    assert!(world.get("/v1/backupnow").await.text().contains("\"latest\" is not of the form"));
    world.etcd.version(Some("3.6.0-rc.1+git.abc"));
    assert_eq!(world.back_up().await["version"], "3.6.0-rc.1");
    assert_eq!(world.files(), ["3.6.0-rc.1_000000000000000a_etcd.backup"]);
}
