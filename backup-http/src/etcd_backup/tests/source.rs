use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use chrono::TimeDelta;

use super::world::World;

#[tokio::test]
async fn two_backups_in_one_second_get_the_names_of_two_seconds() {
    let world = World::start(100).await;
    for name in ["snapshot-20261121_093000.tar.gz", "snapshot-20261121_093001.tar.gz"] {
        assert_eq!(world.post().await.json()["filename"], name);
    }
}

#[tokio::test]
async fn a_name_that_is_taken_after_a_restart_within_the_second_is_left_alone() {
    let world = World::start(100).await;
    world.store.raw_put("snapshot-20261121_093000.tar.gz", &b"of somebody else"[..]);
    world.store.raw_put("snapshot-20261121_093001.tar.gz", &b"of somebody else"[..]);
    assert_eq!(world.post().await.json()["filename"], "snapshot-20261121_093002.tar.gz");
    assert_eq!(world.behaviour.captures.load(Ordering::SeqCst), 3);
    assert_eq!(world.store.raw_get("snapshot-20261121_093000.tar.gz").unwrap(), &b"of somebody else"[..]);

    let next = world.restart(100).await;
    next.clock.shift_wall(TimeDelta::seconds(-2));
    assert_eq!(next.post().await.json()["filename"], "snapshot-20261121_093003.tar.gz");
}

#[tokio::test]
async fn a_clock_that_was_set_back_among_many_backups_ends_in_a_clear_error_and_leaves_nothing() {
    let world = World::start(100).await;
    for second in 0..60 {
        world.store.raw_put(&format!("snapshot-20261121_0930{second:02}.tar.gz"), &b"x"[..]);
    }
    let before = world.files();
    let answer = world.post().await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    let error = answer.json()["error"].as_str().unwrap().to_owned();
    assert!(error.contains("15 names in a row are taken") && error.contains("etcd_backup.no_name"), "{error}");
    assert_eq!(world.files(), before);
    assert_eq!(world.store.unfinished(), 0);
}
