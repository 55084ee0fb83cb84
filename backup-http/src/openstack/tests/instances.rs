use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::world::{ADMIN, OTHER, World};

struct Vm {
    server: String,
    volumes: Vec<String>,
}

fn vm(world: &World, status: &str) -> Vm {
    let volumes = vec![world.hand.volume("demo", "root", "root one"), world.hand.volume("demo", "data", "data one")];
    Vm { server: world.hand.server("demo", status, &volumes), volumes }
}

async fn over(world: &World, path: &str, root: &str) -> Value {
    loop {
        let found = world.by(ADMIN, "GET", path, &Value::Null).await.json()[root].clone();
        if found["status"] == "active" || found["status"] == "error" {
            return found;
        }
        tokio::task::yield_now().await;
    }
}

async fn backed_up(world: &World, vm: &Vm, more: Value) -> Value {
    let mut backup = json!({"name": "i", "instance_id": vm.server});
    backup.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    let id = world.post("/instance/backup", json!({ "backup": backup })).await.id("backup");
    over(world, &format!("/instance/backup/{id}"), "backup").await
}

async fn snapshotted(world: &World, vm: &Vm, more: Value) -> Value {
    let mut snapshot = json!({"name": "s", "instance_id": vm.server});
    snapshot.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    let id = world.post("/instance/snapshot", json!({ "snapshot": snapshot })).await.id("snapshot");
    over(world, &format!("/instance/snapshot/{id}"), "snapshot").await
}

#[tokio::test]
async fn an_instance_snapshot_is_one_snapshot_of_each_volume_named_with_its_id() {
    let world = World::new().await;
    let vm = vm(&world, "ACTIVE");
    let mut snapshot = snapshotted(&world, &vm, json!({"plan_id": "p"})).await;
    let id = snapshot["id"].as_str().unwrap().to_owned();
    let members = snapshot["volume_snapshots"].as_array().unwrap().clone();
    assert_eq!(members.len(), 2);
    for (member, volume) in members.iter().zip(&vm.volumes) {
        assert_eq!(
            (member["volume_id"].as_str(), member["instance_snapshot_id"].as_str()),
            (Some(volume.as_str()), Some(id.as_str()))
        );
        let found = world.hand.with(|things| things.snapshots[member["id"].as_str().unwrap()].snapshot.clone());
        assert_eq!((found.name.as_str(), found.volume_id.as_str()), (id.as_str(), volume.as_str()));
    }
    let fields = snapshot.as_object_mut().unwrap();
    for more in ["volume_snapshots", "snapshot_span_ms", "one_point", "retention", "fail_reason"] {
        assert!(fields.remove(more).is_some(), "{more}");
    }
    let expected = json!({
        "id": id, "name": "s", "project_id": "demo", "instance_id": vm.server, "plan_id": "p", "time_create": "2024-05-01T10:20:30",
        "time_update": null, "deleted": false, "status": "active",
    });
    assert_eq!(snapshot, expected);
    let listed = world.get("/instance/snapshot").await.json()["snapshots"][0].clone();
    assert!(listed["id"] == id.as_str() && listed.get("volume_snapshots").is_none(), "{listed}");
    // An order of things that leaves the user's own alone.
    world.ordered().await;
    assert_eq!(world.hand.ours().len(), 2);
    let path = format!("/instance/snapshot/{id}");
    assert_eq!(world.by(OTHER, "DELETE", &path, &Value::Null).await.refused().0, 404);
    assert_eq!(world.delete(&path).await.id("snapshot"), id);
    world.gone(&path).await;
    assert_eq!(world.hand.ours(), []);
}

#[tokio::test]
async fn an_instance_snapshot_of_which_one_fails_is_an_error_and_has_no_members() {
    let world = World::new().await;
    let vm = vm(&world, "PAUSED");
    world.hand.with(|things| things.no_snapshots.push(vm.volumes[1].clone()));
    let snapshot = snapshotted(&world, &vm, json!({})).await;
    assert_eq!((snapshot["status"].clone(), snapshot["volume_snapshots"].clone()), (json!("error"), json!([])));
    assert!(snapshot["fail_reason"].as_str().unwrap().contains(&vm.volumes[1]), "{snapshot}");
    assert_eq!(world.hand.ours(), []);
}

#[tokio::test]
async fn instance_snapshots_beyond_their_retention_go() {
    let world = World::new().await;
    let vm = vm(&world, "SHUTOFF");
    let first = snapshotted(&world, &vm, json!({"retention": 1})).await;
    world.clock.advance(std::time::Duration::from_secs(1));
    snapshotted(&world, &vm, json!({"retention": 1})).await;
    world.gone(&format!("/instance/snapshot/{}", first["id"].as_str().unwrap())).await;
    world.until(async || world.hand.ours().len() == 2).await;
}

#[tokio::test]
async fn an_instance_goes_back_to_its_snapshot_while_it_is_off() {
    let world = World::new().await;
    let vm = vm(&world, "SHUTOFF");
    let id = snapshotted(&world, &vm, json!({})).await["id"].as_str().unwrap().to_owned();
    vm.volumes.iter().for_each(|volume| world.hand.write(volume, "later"));
    let path = format!("/instance/{}/action", vm.server);
    let body = json!({"rollback": {"snapshot_id": id}});
    assert_eq!(world.by(OTHER, "POST", &path, &body).await.refused(), (404, format!("Instance {} is not found!", vm.server)));
    let none = json!({"rollback": {"snapshot_id": vm.server}});
    assert_eq!(world.post(&path, none).await.refused().0, 404);
    let start = |status: &str| world.hand.with(|things| things.servers.get_mut(&vm.server).unwrap().1.status = status.to_owned());
    start("ACTIVE");
    assert_eq!(world.post(&path, body.clone()).await.refused(), (409, format!("Instance {} is not SHUTOFF!", vm.server)));
    start("SHUTOFF");
    world.hand.fails.store(true, Ordering::SeqCst);
    assert_eq!(world.post(&path, body.clone()).await.refused().0, 500);
    world.hand.fails.store(false, Ordering::SeqCst);
    let answer = world.post(&path, body).await;
    assert_eq!((answer.code(), answer.text.as_str()), (201, ""));
    let bytes: Vec<String> = vm.volumes.iter().map(|volume| world.hand.bytes(volume)).collect();
    assert_eq!(bytes, ["root one", "data one"]);
}

#[tokio::test]
async fn an_instance_backup_is_a_backup_of_each_volume_and_is_removed_with_them() {
    let world = World::new().await;
    let vm = vm(&world, "ACTIVE");
    let mut backup = backed_up(&world, &vm, json!({"plan_id": "p"})).await;
    assert_eq!(backup["status"], "active", "{backup}");
    let id = backup["id"].as_str().unwrap().to_owned();
    let members = backup["volume_backups"].as_array().unwrap().clone();
    for (member, volume) in members.iter().zip(&vm.volumes) {
        let found = world.backup(member["id"].as_str().unwrap()).await;
        assert_eq!((found["name"].as_str(), found["volume_id"].as_str()), (Some(id.as_str()), Some(volume.as_str())));
        assert_eq!((found["status"].as_str(), found["plan_id"].as_str()), (Some("active"), Some("p")));
    }
    let fields = backup.as_object_mut().unwrap();
    for more in ["volume_backups", "snapshot_span_ms", "one_point", "retention", "fail_reason"] {
        assert!(fields.remove(more).is_some(), "{more}");
    }
    let expected = json!({
        "id": id, "name": "i", "project_id": "demo", "instance_id": vm.server, "instance_name": "vm", "source_zone": null, "plan_id": "p",
        "incremental": false, "copy_zone": "", "copy_project": "", "copy_id": null, "time_create": "2024-05-01T10:20:30",
        "time_update": null, "deleted": false, "status": "active",
    });
    assert_eq!(backup, expected);
    assert_eq!((world.stored().await.len(), world.hand.ours().len()), (2, 0));
    let path = format!("/instance/backup/{id}");
    assert_eq!(
        world.post(&format!("{path}/action"), json!({"update": {}})).await.refused(),
        (400, "Backup is not incremental!".into())
    );
    assert_eq!(world.by(OTHER, "GET", &path, &Value::Null).await.refused().0, 404);
    assert_eq!(world.by(ADMIN, "PUT", &path, &json!({"backup": {"name": "n", "status": "active"}})).await.code(), 200);
    // One member goes by itself; the rest with the whole.
    let member = format!("/volume/backup/{}", members[0]["id"].as_str().unwrap());
    world.delete(&member).await.id("backup");
    world.gone(&member).await;
    let answer = world.by(ADMIN, "PUT", &path, &json!({"backup": {"status": "active"}})).await;
    assert_eq!(answer.refused(), (409, format!("Instance backup {id} is not whole!")));
    assert_eq!(world.delete(&path).await.id("backup"), id);
    world.gone(&path).await;
    assert_eq!((world.stored().await.len(), world.get("/volume/backup").await.json()), (0, json!({"backups": []})));
}

#[tokio::test]
async fn an_instance_backup_of_which_one_fails_is_an_error_and_the_others_stay() {
    let world = World::new().await;
    let vm = vm(&world, "SUSPENDED");
    world.hand.with(|things| things.no_snapshots.push(vm.volumes[0].clone()));
    let backup = backed_up(&world, &vm, json!({"incremental": true})).await;
    assert_eq!(backup["status"], "error");
    let statuses: Vec<Value> = futures::future::join_all(
        backup["volume_backups"]
            .as_array()
            .unwrap()
            .iter()
            .map(async |member| world.backup(member["id"].as_str().unwrap()).await["status"].clone()),
    )
    .await;
    assert_eq!(statuses, ["error", "active"]);
    assert_eq!(world.hand.ours().len(), 1, "the base of the one that is whole");
    let path = format!("/instance/backup/{}", backup["id"].as_str().unwrap());
    assert_eq!(world.post(&format!("{path}/action"), json!({"update": {}})).await.refused().0, 400);
    world.delete(&path).await.id("backup");
    world.gone(&path).await;
    assert_eq!((world.stored().await.len(), world.hand.ours().len()), (0, 0));
}

#[tokio::test]
async fn an_update_moves_every_member_on_and_is_whole_only_if_all_did() {
    let world = World::new().await;
    let vm = vm(&world, "ACTIVE");
    let id = backed_up(&world, &vm, json!({"incremental": true})).await["id"].as_str().unwrap().to_owned();
    let path = format!("/instance/backup/{id}");
    let update = async || {
        let answer = world.post(&format!("{path}/action"), json!({"update": {}})).await;
        assert_eq!((answer.code(), answer.text.as_str()), (201, ""), "{answer:?}");
        over(&world, &path, "backup").await
    };
    let links = async || -> Vec<Value> {
        let list = world.get("/volume/backup").await.json();
        list["backups"].as_array().unwrap().iter().map(|backup| backup["links"].clone()).collect()
    };
    world.clock.advance(std::time::Duration::from_secs(5));
    let backup = update().await;
    assert_eq!((backup["status"].clone(), backup["time_update"].clone()), (json!("active"), json!("2024-05-01T10:20:35")));
    assert_eq!(links().await, [2, 2]);
    assert_eq!(world.hand.ours().len(), 2, "one base each");
    world.hand.with(|things| things.no_snapshots.push(vm.volumes[0].clone()));
    assert_eq!(update().await["status"], "error");
    let mut now = links().await;
    now.sort_by_key(Value::as_u64);
    assert_eq!(now, [2, 3]);
    assert_eq!(world.hand.ours().len(), 2);
    world.hand.with(|things| things.no_snapshots.clear());
    assert_eq!(update().await["status"], "active");
    assert_eq!(world.hand.ours().len(), 2);
}

#[tokio::test]
async fn a_restore_makes_a_volume_of_each_member_that_is_named() {
    let world = World::new().await;
    let vm = vm(&world, "ACTIVE");
    let backup = backed_up(&world, &vm, json!({})).await;
    let path = format!("/instance/backup/{}/action", backup["id"].as_str().unwrap());
    let member = backup["volume_backups"][1]["id"].clone();
    let body = json!({"restore": {"volume_backups": [{"id": member, "volume_name": "copy"}]}, "update": {}});
    let answer = world.post(&path, body).await;
    assert_eq!(answer.code(), 201, "{answer:?}");
    let made = answer.json()["volumes"][0]["id"].as_str().unwrap().to_owned();
    world.until(async || world.hand.bytes(&made) == "data one").await;
    assert_eq!(world.hand.with(|things| things.volumes[&made].volume.name.clone()), "copy");
    let all = world.post(&path, json!({"restore": {"volume_backups": []}})).await.json();
    assert_eq!(all["volumes"].as_array().unwrap().len(), 2);
    let foreign = json!({"restore": {"volume_backups": [{"id": vm.server}]}});
    assert_eq!(world.post(&path, foreign).await.refused().0, 404);
    assert_eq!(world.post(&path, json!({"bogus": {}})).await.code(), 422);
}

#[tokio::test]
async fn after_a_crash_instance_objects_have_ended_and_nothing_is_left() {
    let world = World::new().await;
    let vm = vm(&world, "ACTIVE");
    let whole = backed_up(&world, &vm, json!({"incremental": true})).await["id"].as_str().unwrap().to_owned();
    world.close_gate();
    assert_eq!(world.post(&format!("/instance/backup/{whole}/action"), json!({"update": {}})).await.code(), 201);
    world.at_gate(2).await;
    let world = world.restart().await;
    world.open_gate();
    let backup = over(&world, &format!("/instance/backup/{whole}"), "backup").await;
    assert_eq!(backup["status"], "error");
    world.ordered().await;
    assert_eq!(world.hand.ours().len(), 2, "the bases of before");
    // Both volumes and the instance are free.
    assert_eq!(world.post(&format!("/instance/backup/{whole}/action"), json!({"update": {}})).await.code(), 201);
    assert_eq!(over(&world, &format!("/instance/backup/{whole}"), "backup").await["status"], "active");
    // A snapshot that died half-way.
    use backup_core::testkit::CrashMode;
    world.state.crash_at(3, CrashMode::BeforeEffect);
    world.clock.auto_advance_up_to(std::time::Duration::from_secs(5));
    let body = json!({"snapshot": {"name": "s", "instance_id": vm.server}});
    let _ = world.post("/instance/snapshot", body).await;
    world.until(async || world.state.is_dead()).await;
    world.clock.auto_advance(false);
    let world = world.restart().await;
    world.ordered().await;
    world.ordered().await;
    assert_eq!(world.hand.ours().len(), 2);
    let list = world.get("/instance/snapshot").await.json();
    assert!(list["snapshots"].as_array().unwrap().iter().all(|snapshot| snapshot["status"] == "error"), "{list}");
}

#[tokio::test]
async fn instances_that_cannot_be_taken_are_refused_as_the_original_says_it() {
    let world = World::new().await;
    let vm = vm(&world, "RESCUE");
    let bare = world.hand.server("demo", "ACTIVE", &[]);
    let id = vm.server.clone();
    let wrong = format!("Instance {id} status RESCUE not in ['ACTIVE', 'SHUTOFF', 'SUSPENDED', 'PAUSED']!");
    for (kind, root, without) in [("backup", "backup", "Instance ID"), ("snapshot", "snapshot", "Instance")] {
        let ask = async |instance: &str| {
            let body = json!({root: {"name": "n", "instance_id": instance}});
            world.post(&format!("/instance/{kind}"), body).await.refused()
        };
        assert_eq!(ask(&id).await, (400, wrong.clone()));
        assert_eq!(ask(&bare).await, (400, format!("{without} {bare} has no volumes attached!")));
        assert_eq!(ask("x/../y").await, (400, "Instance ID x/../y is invalid!".to_owned()));
        let name = world.post(&format!("/instance/{kind}"), json!({root: {"name": "no name", "instance_id": id}})).await;
        assert_eq!(name.refused(), (400, "Argument name is invalid!".to_owned()));
    }
    assert_eq!(world.post("/instance/snapshot", json!({"snapshot": {"name": "n"}})).await.code(), 422);
}

#[tokio::test]
async fn incremental_backups_of_an_instance_and_of_its_volumes_move_on_beside_each_other() {
    let world = World::new().await;
    let vm = vm(&world, "ACTIVE");
    let of_volume = world.backed_up(&vm.volumes[0], json!({"incremental": true})).await;
    let of_instance = async || backed_up(&world, &vm, json!({"incremental": true})).await["id"].as_str().unwrap().to_owned();
    let wholes = [of_instance().await, of_instance().await];
    assert_eq!(world.update(&of_volume).await["links"], 2);
    for whole in wholes {
        let path = format!("/instance/backup/{whole}");
        let answer = world.post(&format!("{path}/action"), json!({"update": {}})).await;
        assert_eq!(answer.code(), 201, "{answer:?}");
        assert_eq!(over(&world, &path, "backup").await["status"], "active");
    }
    assert_eq!(world.hand.ours().len(), 5, "a base each");
}

#[tokio::test]
async fn where_no_bases_are_kept_no_member_keeps_one() {
    let world = World::new().await;
    world.hand.no_bases.store(true, Ordering::SeqCst);
    let vm = vm(&world, "ACTIVE");
    let backup = backed_up(&world, &vm, json!({"incremental": true})).await;
    assert_eq!(world.hand.ours(), []);
    let path = format!("/instance/backup/{}", backup["id"].as_str().unwrap());
    assert_eq!(world.post(&format!("{path}/action"), json!({"update": {}})).await.code(), 201);
    assert_eq!(over(&world, &path, "backup").await["status"], "active");
    let member = world.backup(backup["volume_backups"][0]["id"].as_str().unwrap()).await;
    assert_eq!((member["snapshot_id"].clone(), member["links"].clone()), (json!(""), json!(2)));
    assert_eq!(world.hand.ours(), []);
}

#[tokio::test]
async fn a_failed_instance_snapshot_is_gone_only_with_the_snapshots_that_it_left() {
    let world = World::new().await;
    let vm = vm(&world, "ACTIVE");
    world.hand.with(|things| {
        things.no_snapshots.push(vm.volumes[1].clone());
        things.stuck = true;
    });
    let snapshot = snapshotted(&world, &vm, json!({})).await;
    assert_eq!((snapshot["status"].clone(), world.hand.ours().len()), (json!("error"), 1));
    let path = format!("/instance/snapshot/{}", snapshot["id"].as_str().unwrap());
    world.delete(&path).await.id("snapshot");
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.get(&path).await.json()["snapshot"]["status"], "deleting");
    world.hand.with(|things| things.stuck = false);
    world.clock.auto_advance_up_to(std::time::Duration::from_secs(15));
    world.gone(&path).await;
    assert_eq!(world.hand.ours(), []);
}
