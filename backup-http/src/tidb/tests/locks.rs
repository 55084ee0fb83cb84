use std::sync::atomic::Ordering;

use serde_json::json;

use super::world::World;

#[tokio::test]
async fn of_a_hundred_at_once_for_one_cluster_one_is_accepted() {
    let world = World::new().await;
    let all = futures::future::join_all((0..100).map(|_| world.back_up("c1", "full"))).await;
    let accepted = all.iter().filter(|answer| answer.code() == (200, 0)).count();
    let refused = all.iter().filter(|answer| answer.code() == (409, 20114)).count();
    assert_eq!((accepted, refused), (1, 99));
    assert_eq!(world.records("").await.len(), 1);
    assert_eq!(world.hand.most.load(Ordering::SeqCst).max(1), 1);
    world.release(1);
}

#[tokio::test]
async fn of_two_replicas_one_is_accepted() {
    let world = World::new().await;
    let other = world.replica().await;
    let id = world.started("c1").await;
    assert_eq!(other.back_up("c1", "full").await.code(), (409, 20114));
    assert_eq!(other.delete(&id).await.code(), (409, 20603));
    world.release(1);
    world.over(&id).await;
    // What is free in a moment for this process may still be held for the other.
    while other.back_up("c1", "full").await.code() != (200, 0) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_hundred_clusters_run_at_once_within_the_limit() {
    let ids: Vec<String> = (0..100).map(|number| format!("cluster-{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let world = World::with(&ids, "UTC", backup_core::service::Limits::default().running(20)).await;
    let all = futures::future::join_all(ids.iter().map(|id| world.back_up(id, "full"))).await;
    assert!(all.iter().all(|answer| answer.code() == (200, 0)));
    while world.hand.running.load(Ordering::SeqCst) < 20 {
        tokio::task::yield_now().await;
    }
    world.release(100);
    loop {
        let records = world.records("").await;
        if records.iter().all(|record| record["status"] == "Finished") {
            assert_eq!(records.len(), 100);
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(world.hand.most.load(Ordering::SeqCst), 20);
}

#[tokio::test]
async fn whoever_sees_the_end_finds_the_cluster_free() {
    let world = World::new().await;
    for _ in 0..20 {
        let id = world.started("c1").await;
        world.release(1);
        world.over(&id).await;
        let next = world.back_up("c1", "full").await;
        assert_eq!(next.code(), (200, 0));
        let id = next.data()["backupId"].as_str().unwrap().to_owned();
        world.post("/backups/cancel", json!({"clusterId": "c1", "backupId": id})).await.data();
        world.over(&id).await;
    }
}

#[tokio::test]
async fn a_state_that_fails_leaves_no_record_and_no_lock() {
    let world = World::new().await;
    // The lease is taken, and the record cannot be kept.
    for skipped in 0..3 {
        world.state.fail_next(0);
        world.state.lose_answers(1);
        let answer = world.back_up("c1", "full").await;
        assert_eq!(answer.code(), (500, 20602), "{skipped}");
        world.state.lose_answers(0);
        assert_eq!(world.records("").await.len(), 0);
    }
    world.finished("c1").await;
}

#[tokio::test]
async fn what_a_dead_replica_left_is_seen_by_another_that_made_records_since() {
    let world = World::new().await;
    let other = world.replica().await;
    let left = other.started("c1").await;
    world.clock.advance(std::time::Duration::from_secs(600));
    // Its own record, later than the slack.
    let own = world.back_up("c2", "full").await.data()["backupId"].as_str().unwrap().to_owned();
    assert_eq!(world.records("").await.len(), 2, "{left} {own}");
}
