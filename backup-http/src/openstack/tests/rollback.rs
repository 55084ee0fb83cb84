use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use super::world::{DEMO, OTHER, World, request};

fn rollback(snapshot: &str) -> Value {
    json!({ "rollback": { "snapshot_id": snapshot } })
}

#[tokio::test]
async fn a_volume_goes_back_to_any_of_its_snapshots() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let first = world.hand.snapshot(&volume);
    world.hand.write(&volume, "two");
    world.hand.snapshot(&volume);
    world.hand.write(&volume, "three");
    world.hand.server("demo", "SHUTOFF", std::slice::from_ref(&volume));
    let answer = world.post(&format!("/volume/{volume}/action"), rollback(&first)).await;
    assert_eq!((answer.code(), answer.text.as_str()), (201, ""));
    assert_eq!(world.hand.bytes(&volume), "one");
}

#[tokio::test]
async fn what_cannot_be_rolled_back_says_why_and_stays_as_it_is() {
    let world = World::new().await;
    let (volume, other) = (world.hand.volume("demo", "data", "one"), world.hand.volume("demo", "more", "x"));
    let (snapshot, of_other) = (world.hand.snapshot(&volume), world.hand.snapshot(&other));
    world.hand.write(&volume, "two");
    let act = async |token: &str, volume: &str, snapshot: &str| {
        world.by(token, "POST", &format!("/volume/{volume}/action"), &rollback(snapshot)).await.refused()
    };
    assert_eq!(act(OTHER, &volume, &snapshot).await, (404, format!("Volume {volume} is not found!")));
    assert_eq!(act(DEMO, "x", &snapshot).await, (404, "Volume x is not found!".to_owned()));
    assert_eq!(act(DEMO, &volume, &of_other).await, (404, format!("Volume snapshot {of_other} is not found!")));
    assert_eq!(act(DEMO, &volume, "..").await, (404, "Volume snapshot .. is not found!".to_owned()));
    world.hand.with(|things| things.volumes.get_mut(&volume).unwrap().volume.status = "backing-up".to_owned());
    assert_eq!(act(DEMO, &volume, &snapshot).await, (409, format!("Volume {volume} is not available or in-use!")));
    let server = world.hand.server("demo", "ACTIVE", std::slice::from_ref(&volume));
    assert_eq!(act(DEMO, &volume, &snapshot).await, (409, format!("Instance {server} is not SHUTOFF!")));
    world.hand.with(|things| things.servers.clear());
    assert_eq!(act(DEMO, &volume, &snapshot).await, (404, format!("Instance {server} is not found!")));
    assert_eq!(world.hand.bytes(&volume), "two");
    let missing = world.post(&format!("/volume/{volume}/action"), json!({"rollback": {}})).await;
    assert_eq!((missing.code(), missing.json()["detail"][0]["loc"].clone()), (422, json!(["body", "rollback", "snapshot_id"])));
}

#[tokio::test]
async fn a_rollback_that_fails_is_reported() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let snapshot = world.hand.snapshot(&volume);
    world.hand.fails.store(true, Ordering::SeqCst);
    let answer = world.post(&format!("/volume/{volume}/action"), rollback(&snapshot)).await.refused();
    assert!(answer.0 == 500 && answer.1.contains("rbd said no"), "{answer:?}");
    assert!(world.hand.with(|things| things.volumes[&volume].volume.metadata.contains_key("backup:failed")));
    // The volume is free.
    world.hand.fails.store(false, Ordering::SeqCst);
    assert_eq!(world.post(&format!("/volume/{volume}/action"), rollback(&snapshot)).await.code(), 201);
}

#[tokio::test]
async fn a_long_rollback_is_504_and_the_volume_is_locked_until_it_ends() {
    let world = World::with(|builder| builder.rollback_timeout(Duration::from_secs(60))).await;
    let volume = world.hand.volume("demo", "data", "one");
    let snapshot = world.hand.snapshot(&volume);
    world.hand.write(&volume, "two");
    // In use, so that nothing but the lock keeps others away.
    world.hand.server("demo", "SHUTOFF", std::slice::from_ref(&volume));
    world.close_gate();
    let path = format!("/volume/{volume}/action");
    let ask = world.post(&path, rollback(&snapshot));
    let pass = async {
        world.at_gate(1).await;
        // The request waits by now, or soon.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        world.clock.pass(Duration::from_secs(61)).await;
    };
    let (answer, ()) = tokio::join!(ask, pass);
    assert_eq!(answer.refused(), (504, format!("Rollback of volume {volume} is still running!")));
    let second = world.post(&path, rollback(&snapshot)).await.refused();
    assert_eq!(second, (409, format!("Volume {volume} is in use by a backup or a rollback!")));
    world.open_gate();
    world.until(async || world.hand.bytes(&volume) == "one").await;
    world.until(async || world.post(&path, rollback(&snapshot)).await.code() == 201).await;
}

#[tokio::test]
async fn a_rollback_goes_on_when_its_client_is_gone() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let snapshot = world.hand.snapshot(&volume);
    world.hand.write(&volume, "two");
    world.close_gate();
    let asked = world.ask(request("POST", &format!("/volume/{volume}/action"), DEMO, &rollback(&snapshot).to_string()));
    tokio::select! {
        _ = asked => panic!("it waits"),
        () = world.at_gate(1) => {}
    }
    world.open_gate();
    world.until(async || world.hand.bytes(&volume) == "one").await;
}

#[tokio::test]
async fn a_rollback_that_was_interrupted_is_brought_to_its_end_while_the_volume_is_quiet() {
    for quiet in [true, false] {
        let world = World::new().await;
        let volume = world.hand.volume("demo", "data", "one");
        let snapshot = world.hand.snapshot(&volume);
        world.hand.write(&volume, "half");
        world.close_gate();
        let path = format!("/volume/{volume}/action");
        tokio::select! {
            _ = world.post(&path, rollback(&snapshot)) => panic!("it waits"),
            () = world.at_gate(1) => {}
        }
        if !quiet {
            world.hand.server("demo", "ACTIVE", std::slice::from_ref(&volume));
        }
        let world = world.restart().await;
        world.open_gate();
        if quiet {
            world.until(async || world.hand.bytes(&volume) == "one").await;
            world.until(async || world.post(&path, rollback(&snapshot)).await.code() == 201).await;
        } else {
            let marked = || world.hand.with(|things| things.volumes[&volume].volume.metadata.get("backup:failed").cloned());
            world.until(async || marked().is_some_and(|why| why.contains("interrupted"))).await;
            assert_eq!(world.hand.bytes(&volume), "half");
        }
    }
}

#[tokio::test]
async fn a_rollback_that_was_refused_does_not_happen_later() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let snapshot = world.hand.snapshot(&volume);
    world.hand.write(&volume, "two");
    let path = format!("/volume/{volume}/action");
    world.state.lose_answers(1);
    let answer = world.post(&path, rollback(&snapshot)).await.refused();
    assert!(answer.0 >= 500, "{answer:?}");
    world.ordered().await;
    world.until(async || world.dialect.inner.live().is_empty()).await;
    assert_eq!(world.hand.bytes(&volume), "two");
    assert_eq!(world.post(&path, rollback(&snapshot)).await.code(), 201);
    assert_eq!(world.hand.bytes(&volume), "one");
}
