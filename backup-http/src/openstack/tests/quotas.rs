use futures::future::join_all;
use serde_json::json;

use super::world::World;
use crate::openstack::SuccessCodes;

#[tokio::test]
async fn two_at_once_never_exceed_a_limit_together() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    world.hand.with(|things| things.limits.insert("volume_backup_total", 3));
    let body = json!({"backup": {"name": "b", "volume_id": volume}});
    let asked = join_all((0..10).map(|_| world.post("/volume/backup", body.clone()))).await;
    let mut codes: Vec<u16> = asked.iter().map(super::world::Answer::code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [201, 201, 201, 403, 403, 403, 403, 403, 403, 403]);
    let refused = asked.iter().find(|answer| answer.code() == 403).unwrap().refused();
    assert_eq!(refused.1, "Volume backup 3 reach the limit 3!");
    let listed = world.get("/volume/backup").await.json()["backups"].as_array().unwrap().clone();
    assert_eq!(listed.len(), 3);
    let id = listed[0]["id"].as_str().unwrap();
    world.over(id).await;
    world.delete(&format!("/volume/backup/{id}")).await.id("backup");
    world.gone(&format!("/volume/backup/{id}")).await;
    world.post("/volume/backup", body).await.id("backup");
}

#[tokio::test]
async fn instance_backups_count_their_members_too() {
    let world = World::new().await;
    let volumes = vec![world.hand.volume("demo", "a", "one"), world.hand.volume("demo", "b", "two")];
    let server = world.hand.server("demo", "ACTIVE", &volumes);
    let backup = json!({"backup": {"name": "b", "instance_id": server}});
    world.hand.with(|things| things.limits.insert("volume_backup_total", 1));
    assert_eq!(
        world.post("/instance/backup", backup.clone()).await.refused(),
        (403, "Volume backup 0 reach the limit 1!".to_owned())
    );
    world.hand.with(|things| things.limits.insert("instance_backup_total", 0));
    assert_eq!(world.post("/instance/backup", backup).await.refused(), (403, "Instance backup 0 reach the limit 0!".to_owned()));
    world.hand.with(|things| things.limits.insert("instance_snapshot_total", 0));
    let snapshot = json!({"snapshot": {"name": "b", "instance_id": server}});
    assert_eq!(
        world.post("/instance/snapshot", snapshot).await.refused(),
        (403, "Instance snapshot 0 reach the limit 0!".to_owned())
    );
    assert_eq!(world.get("/volume/backup").await.json(), json!({"backups": []}));
}

#[tokio::test]
async fn the_original_answers_are_there_with_a_switch() {
    let world = World::with(|builder| builder.success_codes(SuccessCodes::Original)).await;
    let volume = world.hand.volume("demo", "data", "one");
    let snapshot = world.hand.snapshot(&volume);
    let created = world.post("/volume/backup", json!({"backup": {"name": "b", "volume_id": volume, "incremental": true}})).await;
    assert_eq!(created.code(), 202);
    let id = created.json()["backup"]["id"].as_str().unwrap().to_owned();
    world.over(&id).await;
    let path = format!("/volume/backup/{id}");
    assert_eq!(world.post(&format!("{path}/action"), json!({"update": {}})).await.code(), 202);
    world.over(&id).await;
    assert_eq!(world.post("/volume", json!({"volume": {"backup_id": id}})).await.code(), 202);
    let rollback = json!({"rollback": {"snapshot_id": snapshot}});
    assert_eq!(world.post(&format!("/volume/{volume}/action"), rollback).await.code(), 200);
    assert_eq!(world.put(&path, json!({"backup": {"name": "n"}})).await.code(), 200);
    world.hand.with(|things| things.limits.insert("volume_backup_total", 0));
    let refused = world.post("/volume/backup", json!({"backup": {"name": "b", "volume_id": volume}})).await.refused();
    assert_eq!(refused, (400, "Volume backup 1 reach the limit!".to_owned()));
    world.until(async || world.delete(&path).await.code() == 202).await;
}

#[tokio::test]
async fn two_processes_at_once_never_exceed_a_limit_together() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    world.hand.with(|things| things.limits.insert("volume_backup_total", 3));
    let replica = world.replica().await;
    world.clock.auto_advance_up_to(std::time::Duration::from_secs(5));
    let body = json!({"backup": {"name": "b", "volume_id": volume}});
    let asked = join_all((0..8).map(async |at| {
        let process = if at % 2 == 0 { &world } else { &replica };
        process.post("/volume/backup", body.clone()).await.code()
    }));
    assert_eq!(asked.await.iter().filter(|code| **code == 201).count(), 3);
}
