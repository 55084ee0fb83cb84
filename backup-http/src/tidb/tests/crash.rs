use std::sync::atomic::Ordering;
use std::time::Duration;

use backup_core::testkit::{CrashMode, MemoryState};
use serde_json::json;

use super::world::World;

#[tokio::test]
async fn after_a_crash_in_the_middle_the_record_says_so_and_what_ran_is_ended() {
    let world = World::new().await;
    let done = world.finished("c2").await;
    let id = world.started("c1").await;
    let world = world.restart().await;
    let record = world.record(&id).await;
    assert_eq!(record["status"], "Failed");
    assert!(record["message"].as_str().unwrap().starts_with("interrupted"), "{record}");
    let ended = world.hand.ended.lock().unwrap().clone();
    assert_eq!(ended, [("c1".to_owned(), "sim://place/c1/2022-04-28-08-00-42-full/".to_owned())]);
    assert_eq!(world.record(&done).await["status"], "Finished");
    // The next one is free to begin.
    world.clock.advance(Duration::from_secs(5));
    world.finished("c1").await;
    // Nothing is taken up twice.
    let world = world.restart().await;
    assert_eq!(world.hand.ended.lock().unwrap().len(), 0);
    assert_eq!(world.records("").await.len(), 3);
}

#[tokio::test]
async fn a_cluster_that_cannot_be_reached_stays_locked_until_what_ran_is_ended() {
    let world = World::new().await;
    let id = world.started("c1").await;
    world.clock.auto_advance(true);
    let world = world.restart_on(world.state.restart(), |hand| hand.unreachable.store(true, Ordering::SeqCst)).await;
    world.clock.auto_advance(false);
    assert_eq!(world.record(&id).await["status"], "Processing", "it may still run");
    let refused = world.back_up("c1", "full").await;
    assert_eq!(refused.code(), (409, 20114));
    assert!(refused.text.contains("could not be ended yet (store.unavailable)"), "{refused:?}");
    world.back_up("c2", "full").await.data();
    world.hand.unreachable.store(false, Ordering::SeqCst);
    world.clock.pass(Duration::from_secs(11)).await;
    assert_eq!(world.over(&id).await["status"], "Failed");
    world.release(2);
    while world.back_up("c1", "full").await.code() != (200, 0) {
        tokio::task::yield_now().await;
    }
}

/// The process dies at each of its changes of the state in turn. Whatever it was: afterwards each record has ended as the store says.
#[tokio::test]
async fn wherever_the_process_dies_the_record_tells_the_truth_afterwards() {
    let mut finished = 0;
    for change in 1_u64..40 {
        let world = World::new().await;
        let mode = if change % 2 == 0 { CrashMode::AfterEffect } else { CrashMode::BeforeEffect };
        world.state.crash_at(change.div_ceil(2), mode);
        world.release(1);
        world.clock.auto_advance_up_to(Duration::from_secs(5));
        let answer = world.back_up("c1", "full").await;
        let taken_on = answer.code() == (200, 0);
        let died = async {
            while !world.state.is_dead() && !world.dialect.inner.live().jobs.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        died.await;
        if !world.state.is_dead() {
            assert!(change > 6, "it took {change} changes only");
            break;
        }
        // What the engine was doing comes to its end, too, or the store dies with the state.
        let state = world.state.restart();
        let world = world.restart_on(state, |_| {}).await;
        let records = world.records("").await;
        assert!(records.len() <= 1 && (!taken_on || records.len() == 1), "{change}: {records:?}");
        let published = world.store.keys().iter().any(|key| key.starts_with(".backup/sets/") && key.ends_with(".json"));
        for record in &records {
            let expected = if published { "Finished" } else { "Failed" };
            assert_eq!(record["status"], expected, "{change}: {record} {:?}", world.store.keys());
            finished += usize::from(published);
        }
        world.clock.auto_advance(false);
        world.clock.advance(Duration::from_secs(100));
        world.finished("c1").await;
    }
    assert!(finished > 0, "it never died between the publishing and the record");
}

#[tokio::test]
async fn a_lost_state_is_made_again_of_the_manifests_once() {
    let world = World::new().await;
    let full = world.finished("c1").await;
    let incr = world.back_up("c1", "incr").await.data()["backupId"].as_str().unwrap().to_owned();
    world.release(1);
    world.over(&incr).await;
    world.clock.advance(Duration::from_secs(3));
    let auto = world.post("/backups", json!({"clusterId": "c2", "backupMode": "auto"})).await.data()["backupId"].clone();
    world.release(1);
    world.over(auto.as_str().unwrap()).await;
    let before = world.records("").await;
    assert_eq!(before.len(), 3);

    let world = world.restart_on(MemoryState::new(), |_| {}).await;
    assert_eq!(world.records("").await, before);
    // One that is deleted does not come back.
    world.delete(&incr).await.data();
    world.delete(&full).await.data();
    let world = world.restart().await;
    assert_eq!(world.records("").await.len(), 1);
    // Nor is anything made while the state knows its clusters.
    let bytes = backup_core::state::State::range(&world.state, "tidb/records/", None, 10).await.unwrap();
    backup_core::state::State::compare_and_set(&world.state, &bytes[0].0, backup_core::state::Expected::Any, None).await.unwrap();
    let world = world.restart().await;
    assert_eq!(world.records("").await.len(), 0);
}

#[tokio::test]
async fn a_stop_records_what_it_cancels() {
    let world = World::new().await;
    let id = world.started("c1").await;
    world.clock.auto_advance(true);
    tokio::join!(world.dialect.stop(), world.service.stop(Duration::from_secs(20)));
    let record = world.record(&id).await;
    assert_eq!((&record["status"], &record["message"]), (&json!("Failed"), &json!("cancelled: the server was stopped")));
}

#[tokio::test]
async fn many_clusters_that_cannot_be_reached_keep_no_other_locked() {
    let ids: Vec<String> = (0..30).map(|number| format!("c{number:02}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let world = World::with(&ids, "UTC", backup_core::service::Limits::default().running(64)).await;
    for id in &ids {
        world.started(id).await;
    }
    world.clock.auto_advance(true);
    let world = world.restart_on(world.state.restart(), |hand| *hand.reachable.lock().unwrap() = Some("c29".to_owned())).await;
    world.clock.auto_advance(false);
    let failed = world.records("").await.into_iter().filter(|record| record["status"] == "Failed");
    assert_eq!(failed.map(|record| record["clusterId"].clone()).collect::<Vec<_>>(), [json!("c29")]);
    world.back_up("c29", "full").await.data();
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_cluster_that_never_answers() {
    let world = World::new().await;
    let id = world.started("c1").await;
    world.clock.auto_advance(true);
    let world = world.restart_on(world.state.restart(), |hand| hand.hangs.store(true, Ordering::SeqCst)).await;
    world.clock.auto_advance(false);
    world.dialect.stop().await;
    assert_eq!(world.record(&id).await["status"], "Processing");
}
