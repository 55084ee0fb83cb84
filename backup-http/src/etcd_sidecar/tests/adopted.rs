//! A directory that the original left.

use super::*;

#[tokio::test]
async fn the_files_of_the_original_are_counted_and_served_and_everything_else_is_not() {
    let world = World::new().await;
    world.leave("3.1.0_000000000000000a_etcd.backup", b"at ten");
    // The newest of a copied directory is not the one that was copied last.
    world.leave("3.0.9_0000000000000014_etcd.backup", b"at twenty");
    world.leave("3.1.0_000000000000000f_etcd.backup", b"at fifteen");
    for foreign in [
        "3.1.0_00000000000000ff_etcd.backup.part",
        "tmp/3.1.0_00000000000000ff_etcd.backup",
        "3.1.0_etcd.backup",
        "3.1.0_00000000000000fg_etcd.backup",
        "3.1.0_-0000000000000ff_etcd.backup",
        "3.1.0_ffffffffffffffff_etcd.backup",
        "3.1.0__etcd.backup",
        "notes.txt",
        "deeper/3.1.0_00000000000000ff_etcd.backup",
    ] {
        world.leave(foreign, b"not a backup");
    }
    world.leave("3.1.0_00000000000000fe_etcd.backup", b"");
    let status = world.get("/v1/status").await.json();
    assert_eq!((&status["backups"], &status["recentBackup"]["revision"]), (&3.into(), &20.into()));
    assert_eq!((&status["recentBackup"]["version"], &status["recentBackup"]["timeTookInSecond"]), (&"3.0.9".into(), &1.into()));

    let answer = world.get("/v1/backup").await;
    assert_eq!((answer.status, answer.text()), (200, "at twenty"));
    assert_eq!((answer.header("x-etcd-version"), answer.header("x-revision")), ("3.0.9", "20"));
    assert_eq!(world.get("/v1/backup?etcdVersion=3.1.0&etcdRevision=10").await.text(), "at ten");
    // Serving them gave them manifests; the answers stay.
    assert_eq!(world.get("/v1/status").await.json(), status);
    assert_eq!(world.get("/v1/backup").await.text(), "at twenty");
}

#[tokio::test]
async fn a_file_of_the_original_never_counts_as_unchanged_and_keeps_its_name() {
    let world = World::new().await;
    world.leave("3.5.1_000000000000000a_etcd.backup", b"of the original");
    assert_eq!(world.get("/v1/backup").await.text(), "of the original");
    world.clock.advance(Duration::from_secs(1));
    world.back_up().await;
    assert_eq!(world.files(), ["3.5.1+h2_000000000000000a_etcd.backup", "3.5.1_000000000000000a_etcd.backup"]);
    assert_eq!(world.get("/v1/backup").await.body, world.etcd.content());
}

#[tokio::test]
async fn a_lower_revision_than_the_originals_last_one_is_a_new_history() {
    let world = World::new().await;
    world.leave("3.5.1_00000000000003e8_etcd.backup", b"at a thousand");
    world.clock.advance(Duration::from_secs(1));
    world.back_up().await;
    assert_eq!(world.get("/v1/backup").await.header("x-revision"), "10");
    // Older ones that are copied here later do not go before ours; a higher one, made since, does.
    world.leave("3.5.1_0000000000000005_etcd.backup", b"at five");
    assert_eq!(world.get("/v1/backup").await.header("x-revision"), "10");
    world.leave("3.5.1_0000000000000010_etcd.backup", b"at sixteen");
    assert_eq!(world.get("/v1/backup").await.text(), "at sixteen");
}

#[tokio::test]
async fn files_that_were_copied_together_go_by_their_revision() {
    let world = World::new().await;
    let revisions = [7_u64, 999, 1001, 52_000, 1_048_575, 1_048_576, 9_000_001, 1_000_000_000];
    for revision in revisions.iter().rev() {
        world.store.raw_put(&format!("v1/prod/3.5.1_{revision:016x}_etcd.backup"), &b"of the original"[..]);
    }
    let listed = world.service.list(&world.target).await.unwrap();
    let order: Vec<_> = listed.iter().map(|info| info.revision.clone().unwrap().position).collect();
    assert_eq!(order, revisions.map(backup_core::Position::Number));
}

#[tokio::test]
async fn names_that_no_cluster_has_are_refused() {
    for name in ["", ".", "..", "a/b", "-a", ".hidden", "a b", "ü", "a\0", &"a".repeat(91)] {
        assert!(SidecarNaming::in_directory(name).is_err(), "{name:?}");
        assert!(SidecarNaming::in_bucket("default", name).is_err(), "{name:?}");
        assert!(SidecarNaming::in_bucket(name, "prod").is_err(), "{name:?}");
    }
    assert_eq!(SidecarNaming::in_directory("prod-1.a").unwrap().set().as_str(), "etcd/prod-1.a");
    assert_eq!(SidecarNaming::in_bucket("default", "prod").unwrap().set().as_str(), "etcd/default/prod");
}

#[tokio::test]
async fn files_of_one_moment_are_rotated_from_the_lowest_revision_on() {
    let world = World::keeping(3).await;
    world.clock.advance(Duration::from_millis(1500));
    for revision in [7, 3, 9, 1, 8, 2] {
        world.store.raw_put(&format!("v1/prod/3.5.1_{revision:016x}_etcd.backup"), &b"of the original"[..]);
    }
    let told = world.get("/v1/status").await.json();
    assert_eq!(told["recentBackup"]["revision"], 9);
    let written: chrono::DateTime<chrono::FixedOffset> = told["recentBackup"]["creationTime"].as_str().unwrap().parse().unwrap();
    assert_eq!(written.timestamp(), backup_core::Clock::now(&*world.clock).timestamp());
    let first = world.back_up().await;
    let kept = ["3.5.1_0000000000000008_etcd.backup", "3.5.1_0000000000000009_etcd.backup", "3.5.1_000000000000000a_etcd.backup"];
    assert_eq!(world.files(), kept);
    // Made in the very second in which those were written, and yet the newest.
    assert_eq!(world.back_up().await, first);
    assert_eq!(world.files(), kept);
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_stop_the_first_reading_of_a_file() {
    let world = World::new().await;
    world.leave("3.5.1_000000000000000a_etcd.backup", b"of the original");
    let mut asking = Box::pin(world.ask("HEAD", "/v1/backup"));
    while world.service.jobs().is_empty() {
        assert!(futures::poll!(&mut asking).is_pending(), "it was answered before it was read");
        tokio::task::yield_now().await;
    }
    drop(asking);
    settle().await;
    let state = |infos: Vec<Arc<backup_core::repository::BackupInfo>>| infos[0].state.clone();
    assert_eq!(state(world.service.list(&world.target).await.unwrap()), backup_core::repository::State::Published);
    assert_eq!(world.ask("HEAD", "/v1/backup").await.header("content-length"), "15");
    assert_eq!(world.service.jobs().len(), 1);
}
