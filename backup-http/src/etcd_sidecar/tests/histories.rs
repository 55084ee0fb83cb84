//! An etcd that was made anew: at a lower revision, at the same one, at a higher one.

use super::*;

#[tokio::test]
async fn an_unchanged_revision_makes_no_new_backup_also_after_a_restart() {
    let world = World::new().await;
    let first = world.back_up().await;
    world.clock.advance(Duration::from_secs(3600 * 24 * 365));
    assert_eq!(world.back_up().await, first);
    let world = world.restart().await;
    assert_eq!(world.back_up().await, first);
    assert_eq!(world.files().len(), 1);
    world.etcd.revision(11);
    assert_eq!(world.back_up().await["revision"], 11);
}

#[tokio::test]
async fn a_revision_that_is_only_a_lower_bound_never_counts_as_unchanged() {
    let world = World::new().await;
    world.etcd.busy();
    world.back_up().await;
    world.back_up().await;
    assert_eq!(world.files(), ["3.5.1+h2_000000000000000a_etcd.backup", "3.5.1_000000000000000a_etcd.backup"]);
}

#[tokio::test]
async fn a_lower_revision_begins_a_new_history_which_is_backed_up_and_served() {
    let world = World::new().await;
    world.etcd.revision(1000);
    world.back_up().await;
    world.etcd.cluster("c2").revision(3);
    assert_eq!(world.back_up().await["revision"], 3);
    assert_eq!(world.get("/v1/backup").await.header("x-revision"), "3");
    assert_eq!(world.get("/v1/status").await.json()["recentBackup"]["revision"], 3);
    // Of one cluster id too: restored from a backup with its members kept.
    world.etcd.revision(2);
    assert_eq!(world.back_up().await["revision"], 2);
    assert_eq!(world.get("/v1/backup").await.header("x-revision"), "2");
    assert_eq!(world.get("/v1/backup?etcdVersion=3.5.1&etcdRevision=1000").await.status, 200);
}

#[tokio::test]
async fn the_very_same_revision_and_version_of_another_cluster_has_a_name_of_its_own() {
    let world = World::new().await;
    world.back_up().await;
    let first = world.etcd.content();
    world.clock.advance(Duration::from_secs(60));
    world.etcd.cluster("c2");
    let status = world.back_up().await;
    assert_eq!((&status["revision"], &status["version"]), (&10.into(), &"3.5.1".into()));
    assert_eq!(world.files(), ["3.5.1+h2_000000000000000a_etcd.backup", "3.5.1_000000000000000a_etcd.backup"]);

    let newest = world.get("/v1/backup").await;
    assert_eq!((newest.body.clone(), newest.header("x-etcd-version")), (world.etcd.content(), "3.5.1"));
    let both = world.get("/v1/backup?etcdVersion=3.5.1&etcdRevision=10").await;
    assert_eq!((both.body, both.status), (world.etcd.content(), 200));
    let named = world.get("/v1/backup?etcdVersion=3.5.1%2Bh2&etcdRevision=10").await;
    assert_eq!((named.body.clone(), named.header("x-etcd-version")), (world.etcd.content(), "3.5.1"));
    assert_eq!(world.get("/v1/backup?etcdVersion=3.5.1%2Bh3&etcdRevision=10").await.text(), "backup not found\n");
    assert_ne!(first, world.etcd.content());

    // The newest good one: with the second gone the first is meant.
    let newest = world.service.list(&world.target).await.unwrap().last().unwrap().id.clone();
    world.store.flip_bit("v1/prod/3.5.1+h2_000000000000000a_etcd.backup", 1, 1);
    let options = backup_core::service::SubmitOptions::default();
    let verify = world.service.verify(&world.target, &newest, backup_core::repository::VerifyLevel::Digest, options).await;
    assert!(!verify.unwrap().wait().await.unwrap().is_good());
    let good = world.get("/v1/backup?etcdVersion=3.5.1&etcdRevision=10").await;
    assert_eq!((good.status, good.body), (200, first.clone()));
    assert_eq!(world.get("/v1/backup").await.body, first);
    assert_eq!(world.get("/v1/backup?etcdVersion=3.5.1%2Bh2&etcdRevision=10").await.status, 404);
}

#[tokio::test]
async fn a_left_over_under_the_name_is_left_alone() {
    let world = World::new().await;
    world.store.raw_put("v1/prod/3.5.1_000000000000000a_etcd.backup", &b""[..]);
    world.back_up().await;
    assert_eq!(world.files().len(), 2);
    assert_eq!(world.get("/v1/status").await.json()["backups"], 1);
    assert_eq!(world.get("/v1/backup").await.body, world.etcd.content());
}
