use std::sync::atomic::Ordering;
use std::time::Duration;

use backup_core::testkit::CrashMode;
use serde_json::json;

use super::world::World;

#[tokio::test]
async fn after_a_crash_in_the_middle_the_backup_is_an_error_and_nothing_stays_at_the_cloud() {
    for incremental in [false, true] {
        let world = World::new().await;
        let volume = world.hand.volume("demo", "data", "one");
        world.close_gate();
        let id = world.begin(&volume, json!({"incremental": incremental})).await;
        world.at_gate(1).await;
        assert_eq!(world.hand.ours().len(), 1, "it reads from a snapshot");
        let world = world.restart().await;
        let backup = world.over(&id).await;
        assert_eq!(backup["status"], "error");
        assert!(backup["fail_reason"].as_str().unwrap().starts_with("interrupted"), "{backup}");
        world.open_gate();
        world.ordered().await;
        assert_eq!(world.hand.ours(), []);
        // The volume is free.
        world.backed_up(&volume, json!({"incremental": incremental})).await;
    }
}

#[tokio::test]
async fn after_a_crash_in_an_update_the_point_before_and_its_base_are_there() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let id = world.backed_up(&volume, json!({"incremental": true})).await;
    let base = world.backup(&id).await["snapshot_id"].as_str().unwrap().to_owned();
    world.close_gate();
    assert_eq!(world.post(&format!("/volume/backup/{id}/action"), json!({"update": {}})).await.code(), 201);
    world.at_gate(1).await;
    assert_eq!(world.hand.ours().len(), 2);
    let world = world.restart().await;
    world.open_gate();
    let backup = world.over(&id).await;
    assert_eq!((backup["status"].clone(), backup["links"].clone()), (json!("error"), json!(1)));
    world.ordered().await;
    assert_eq!(world.hand.ours(), [(base, "base")]);
    let backup = world.update(&id).await;
    assert_eq!((backup["status"].clone(), backup["links"].clone()), (json!("active"), json!(2)));
    assert_eq!(world.hand.ours().len(), 1);
    // What was begun needs none of the links any more.
    world.delete(&format!("/volume/backup/{id}")).await.id("backup");
    world.gone(&format!("/volume/backup/{id}")).await;
    assert_eq!(world.hand.ours(), []);
}

#[tokio::test]
async fn what_is_left_is_put_in_order_when_the_cloud_answers_again() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    world.close_gate();
    let id = world.begin(&volume, json!({})).await;
    world.at_gate(1).await;
    world.kill();
    let world = world.restart().await;
    world.hand.unreachable.store(true, Ordering::SeqCst);
    while !world.hand.with(|things| things.asked.last().is_some_and(|last| last == "leftovers")) {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.hand.ours().len(), 1);
    world.hand.unreachable.store(false, Ordering::SeqCst);
    world.clock.pass(Duration::from_secs(11)).await;
    world.until(async || world.hand.ours().is_empty()).await;
    assert_eq!(world.over(&id).await["status"], "error");
}

/// The process dies at each of its changes of the state in turn, in an update. Whatever it was: afterwards the record has ended as the
/// store says, and at the cloud is exactly its base.
#[tokio::test]
async fn wherever_the_process_dies_the_record_tells_the_truth_afterwards() {
    let (mut whole, mut not) = (0, 0);
    for change in 1_u64..80 {
        let world = World::new().await;
        let volume = world.hand.volume("demo", "data", "one");
        let id = world.backed_up(&volume, json!({"incremental": true})).await;
        let mode = if change % 2 == 0 { CrashMode::AfterEffect } else { CrashMode::BeforeEffect };
        world.state.crash_at(change.div_ceil(2), mode);
        world.clock.auto_advance_up_to(Duration::from_secs(5));
        let answer = world.post(&format!("/volume/backup/{id}/action"), json!({"update": {}})).await;
        if answer.code() == 201 {
            world.until(async || world.state.is_dead() || !world.dialect.inner.is_live(&id)).await;
        }
        world.clock.auto_advance(false);
        if !world.state.is_dead() {
            assert!(change > 10, "it took {change} changes only");
            break;
        }
        let world = world.restart().await;
        let backup = world.over(&id).await;
        world.ordered().await;
        let backup = if backup["status"] == "error" { backup } else { world.over(&id).await };
        let stored = world.stored().await.len();
        assert_eq!(backup["links"], stored, "{change}: {backup}");
        let expected = if answer.code() == 201 && stored == 1 { "error" } else { backup["status"].as_str().unwrap() };
        assert_eq!(backup["status"], expected, "{change}: {backup}");
        let base = backup["snapshot_id"].as_str().unwrap().to_owned();
        assert_eq!(world.hand.ours(), [(base, "base")], "{change}");
        if stored == 2 {
            whole += 1
        } else {
            not += 1
        }
        world.clock.advance(Duration::from_secs(100));
        let backup = world.update(&id).await;
        assert_eq!(backup["status"], "active", "{change}: {backup}");
        assert_eq!(world.hand.ours().len(), 1, "{change}");
    }
    assert!(whole > 0 && not > 0, "{whole} whole, {not} not");
}

/// The process dies at each of its changes of the state in turn, in the second backup of a plan that keeps one.
#[tokio::test]
async fn wherever_the_process_dies_one_backup_of_a_plan_that_keeps_one_stays() {
    let plan = json!({"plan_id": "p", "retention": 1});
    let (mut new, mut old) = (0, 0);
    for change in 1_u64..40 {
        let world = World::new().await;
        let volume = world.hand.volume("demo", "data", "one");
        let first = world.backed_up(&volume, plan.clone()).await;
        world.clock.advance(Duration::from_secs(1));
        let mut order = plan.clone();
        order["name"] = json!("second");
        order["volume_id"] = json!(volume);
        world.state.crash_at(change, CrashMode::AfterEffect);
        world.clock.auto_advance_up_to(Duration::from_secs(5));
        world.post("/volume/backup", json!({ "backup": order })).await;
        world.until(async || world.state.is_dead() || world.dialect.inner.live().is_empty()).await;
        world.clock.auto_advance(false);
        if !world.state.is_dead() {
            assert!(change > 5, "it took {change} changes only");
            break;
        }
        let world = world.restart().await;
        world.ordered().await;
        world.ordered().await;
        world.until(async || world.dialect.inner.live().is_empty()).await;
        let listed = world.get("/volume/backup").await.json();
        let whole = listed["backups"].as_array().unwrap().iter().filter(|backup| backup["status"] == "active");
        match whole.map(|backup| backup["id"].as_str().unwrap()).collect::<Vec<_>>()[..] {
            [only] if only == first => old += 1,
            [_] => new += 1,
            _ => panic!("{change}: {listed}"),
        }
    }
    assert!(new > 0 && old > 0, "{new} new, {old} old");
}

#[tokio::test]
async fn a_removal_that_was_interrupted_goes_on() {
    for change in 1_u64..80 {
        let world = World::new().await;
        let volume = world.hand.volume("demo", "data", "one");
        let id = world.backed_up(&volume, json!({"incremental": true})).await;
        world.update(&id).await;
        let path = format!("/volume/backup/{id}");
        let mode = if change % 2 == 0 { CrashMode::AfterEffect } else { CrashMode::BeforeEffect };
        world.state.crash_at(change.div_ceil(2), mode);
        world.clock.auto_advance_up_to(Duration::from_secs(5));
        let answer = world.delete(&path).await;
        if answer.code() == 201 {
            world.until(async || world.state.is_dead() || !world.dialect.inner.is_live(&format!("removal/{id}"))).await;
        }
        world.clock.auto_advance(false);
        if !world.state.is_dead() {
            assert!(change > 4, "it took {change} changes only");
            return;
        }
        let world = world.restart().await;
        world.ordered().await;
        if answer.code() == 201 || world.get(&path).await.code() == 404 {
            world.gone(&path).await;
            assert_eq!((world.stored().await.len(), world.hand.ours().len()), (0, 0), "{change}");
        } else {
            let status = world.over_or_gone(&id).await;
            assert!(status.is_none_or(|status| status == "active"), "{change}");
        }
    }
    panic!("it never came to its end");
}

#[tokio::test]
async fn another_process_leaves_alone_what_a_living_one_works_on() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    world.close_gate();
    let id = world.begin(&volume, json!({})).await;
    world.at_gate(1).await;
    let replica = world.replica().await;
    let _ = replica.dialect.inner.put_in_order(true).await;
    assert_eq!(replica.backup(&id).await["status"], "building");
    assert_eq!(world.hand.ours().len(), 1);
    // Nor do the two work on one volume at a time.
    let second = replica.begin(&volume, json!({})).await;
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.hand.running.load(Ordering::SeqCst), 1);
    world.open_gate();
    assert_eq!(world.over(&id).await["status"], "active");
    replica.clock.auto_advance_up_to(Duration::from_secs(5));
    assert_eq!(replica.over(&second).await["status"], "active");
}

#[tokio::test]
async fn a_stop_ends_what_runs_and_records_it() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    world.close_gate();
    let (first, second) = (world.begin(&volume, json!({})).await, world.begin(&volume, json!({})).await);
    world.at_gate(1).await;
    world.clock.auto_advance(true);
    tokio::join!(world.dialect.stop(), world.service.stop(Duration::ZERO));
    for id in [first, second] {
        let backup = world.backup(&id).await;
        assert_eq!(backup["status"], "error");
        assert!(backup["fail_reason"].as_str().unwrap().starts_with("cancelled"), "{backup}");
    }
    assert_eq!(world.hand.ours(), []);
}

/// The process dies at each of its changes of the state in turn, in a restore. Afterwards a volume is whole and free, or not there.
#[tokio::test]
async fn wherever_the_process_dies_in_a_restore_no_volume_is_left_half_made() {
    for change in 1_u64..40 {
        let world = World::new().await;
        let volume = world.hand.volume("demo", "data", "one");
        let id = world.backed_up(&volume, json!({})).await;
        let mode = if change % 2 == 0 { CrashMode::AfterEffect } else { CrashMode::BeforeEffect };
        world.state.crash_at(change.div_ceil(2), mode);
        world.clock.auto_advance_up_to(Duration::from_secs(5));
        let answer = world.post("/volume", json!({"volume": {"backup_id": id}})).await;
        if answer.code() == 201 {
            let idle = || world.dialect.inner.live().is_empty();
            world.until(async || world.state.is_dead() || idle()).await;
        }
        world.clock.auto_advance(false);
        if !world.state.is_dead() {
            assert!(change > 6, "it took {change} changes only");
            return;
        }
        let world = world.restart().await;
        world.ordered().await;
        world.until(async || world.dialect.inner.restores(None).await.unwrap().is_empty()).await;
        world.ordered().await;
        world.hand.with(|things| {
            for made in things.volumes.values().filter(|made| made.volume.id != volume) {
                assert_eq!(
                    (made.bytes.as_str(), made.volume.status.as_str(), &made.restoring),
                    ("one", "available", &None),
                    "{change}"
                );
            }
        });
        world.delete(&format!("/volume/backup/{id}")).await.id("backup");
        world.gone(&format!("/volume/backup/{id}")).await;
    }
    panic!("it never came to its end");
}

#[tokio::test]
async fn a_removal_is_tried_again_until_the_cloud_answers() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let id = world.backed_up(&volume, json!({"incremental": true})).await;
    let path = format!("/volume/backup/{id}");
    world.hand.with(|things| things.stuck = true);
    world.delete(&path).await.id("backup");
    world.until(async || world.stored().await.is_empty()).await;
    assert_eq!(world.backup(&id).await["status"], "deleting");
    assert_eq!(world.delete(&path).await.id("backup"), id, "twice is fine");
    let restore = world.post("/volume", json!({"volume": {"backup_id": id}})).await;
    assert_eq!(restore.refused().0, 409);
    world.hand.with(|things| things.stuck = false);
    world.clock.auto_advance_up_to(Duration::from_secs(15));
    world.gone(&path).await;
    assert_eq!(world.hand.ours(), []);
}
