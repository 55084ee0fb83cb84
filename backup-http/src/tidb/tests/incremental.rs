use std::sync::atomic::Ordering;

use super::world::World;

async fn incremental(world: &World) -> serde_json::Value {
    let id = world.back_up("c1", "incr").await.data()["backupId"].as_str().unwrap().to_owned();
    world.over(&id).await
}

#[tokio::test]
async fn an_incremental_backup_goes_on_from_the_newest_good_one() {
    let world = World::new().await;
    assert_eq!(world.back_up("c1", "incr").await.code(), (400, 10001));
    world.finished("c1").await;
    let newest = world.finished("c1").await;
    let since: u64 = world.record(&newest).await["backupTso"].as_str().unwrap().parse().unwrap();
    *world.hand.safe_point.lock().unwrap() = Some(since);
    world.release(1);
    let record = incremental(&world).await;
    assert_eq!((&record["backupType"], &record["status"]), (&"incr".into(), &"Finished".into()), "{record}");
    assert!(record["filePath"].as_str().unwrap().ends_with("-incr"), "{record}");
    assert_eq!(world.hand.captured.lock().unwrap().last().unwrap().1, Some(since));
    // The refused one left nothing behind.
    assert_eq!(world.records("").await.len(), 3);
}

#[tokio::test]
async fn when_the_safe_point_has_passed_it_is_a_full_one_with_a_warning() {
    let world = World::new().await;
    world.finished("c1").await;
    *world.hand.safe_point.lock().unwrap() = Some(u64::MAX);
    world.release(1);
    let record = incremental(&world).await;
    assert_eq!((&record["backupType"], &record["status"]), (&"full".into(), &"Finished".into()), "{record}");
    assert!(record["filePath"].as_str().unwrap().ends_with("-full"), "{record}");
    let message = record["message"].as_str().unwrap();
    assert!(message.contains("instead of an incremental") && message.contains("tidb_gc_life_time"), "{message}");
}

#[tokio::test]
async fn when_br_itself_finds_that_it_has_passed_it_is_a_full_one_too() {
    let world = World::new().await;
    world.finished("c1").await;
    world.hand.collected.store(true, Ordering::SeqCst);
    world.release(2);
    let record = incremental(&world).await;
    assert_eq!((&record["backupType"], &record["status"]), (&"full".into(), &"Finished".into()), "{record}");
    assert!(record["filePath"].as_str().unwrap().ends_with("-full"), "{record}");
    let captured = world.hand.captured.lock().unwrap().clone();
    assert!(captured[1].1.is_some() && captured[2].1.is_none(), "{captured:?}");
    let again = world.finished("c1").await;
    assert_eq!(world.record(&again).await["status"], "Finished", "the cluster was not freed");
}

#[tokio::test]
async fn a_safe_point_that_cannot_be_looked_up_does_not_stop_it() {
    let world = World::new().await;
    world.finished("c1").await;
    world.hand.unreachable.store(true, Ordering::SeqCst);
    world.release(1);
    assert_eq!(incremental(&world).await["backupType"], "incr");
}
