use serde_json::{Value, json};

use super::world::{ADMIN, DEMO, OTHER, World};

#[tokio::test]
async fn a_backup_has_the_fields_of_the_original_and_its_point_is_in_the_repository() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "hello");
    world.close_gate();
    let id = world.begin(&volume, json!({"plan_id": "p", "retention": 3, "property": "x", "unknown": 1})).await;
    let building = world.backup(&id).await;
    assert_eq!((building["size"].clone(), building["status"].clone()), (Value::Null, json!("building")));
    world.open_gate();
    let mut backup = world.over(&id).await;
    let fields = backup.as_object_mut().unwrap();
    assert_eq!(fields.remove("links"), Some(json!(1)));
    assert_eq!(
        backup,
        json!({
            "id": id, "name": "b", "project_id": "demo", "volume_id": volume, "volume_name": "data", "volume_type": "rbd1",
            "size": 2, "source_zone": null, "plan_id": "p", "property": "", "incremental": false, "snapshot_id": "",
            "copy_zone": "", "copy_project": "", "copy_id": null, "time_create": "2024-05-01T10:20:30", "time_update": null,
            "deleted": false, "status": "active", "retention": 3, "fail_reason": null,
        })
    );
    assert_eq!(world.stored().await.len(), 1);
    assert_eq!(world.hand.ours(), [], "nothing temporary stays");
    let manifest = world.store.keys().iter().any(|key| key.starts_with(&format!("volumes/p-demo/v-{volume}/")));
    assert!(manifest, "{:?}", world.store.keys());
}

#[tokio::test]
async fn a_backup_that_fails_is_an_error_with_its_reason() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "hello");
    world.hand.fails.store(true, std::sync::atomic::Ordering::SeqCst);
    let id = world.begin(&volume, json!({})).await;
    let backup = world.over(&id).await;
    assert_eq!(backup["status"], "error");
    assert!(backup["fail_reason"].as_str().unwrap().contains("rbd said no"), "{backup}");
    assert_eq!(backup["size"], Value::Null);
    assert_eq!((world.stored().await.len(), world.hand.ours().len()), (0, 0));
    // It can be deleted.
    world.delete(&format!("/volume/backup/{id}")).await.id("backup");
    world.gone(&format!("/volume/backup/{id}")).await;
}

#[tokio::test]
async fn backups_of_one_volume_are_made_one_after_the_other() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "hello");
    world.close_gate();
    let (first, second) = (world.begin(&volume, json!({})).await, world.begin(&volume, json!({})).await);
    world.at_gate(1).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.hand.running.load(std::sync::atomic::Ordering::SeqCst), 1);
    world.open_gate();
    assert_eq!(world.over(&first).await["status"], "active");
    assert_eq!(world.over(&second).await["status"], "active");
    assert_eq!(world.stored().await.len(), 2);
}

#[tokio::test]
async fn a_deleted_backup_is_gone_with_its_point_and_twice_is_fine_while_it_goes() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "hello");
    let id = world.backed_up(&volume, json!({})).await;
    let path = format!("/volume/backup/{id}");
    assert_eq!(world.delete(&path).await.id("backup"), id);
    world.gone(&path).await;
    assert_eq!(world.stored().await.len(), 0);
    assert_eq!(world.delete(&path).await.refused().0, 404);

    let id = world.backed_up(&volume, json!({})).await;
    let path = format!("/volume/backup/{id}");
    world.hand.unreachable.store(false, std::sync::atomic::Ordering::SeqCst);
    let (first, second) = tokio::join!(world.delete(&path), world.delete(&path));
    assert_eq!((first.code(), second.code()), (201, 201));
    world.gone(&path).await;
}

#[tokio::test]
async fn a_backup_that_is_being_made_is_cancelled_by_its_deletion() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "hello");
    world.close_gate();
    let id = world.begin(&volume, json!({})).await;
    world.at_gate(1).await;
    world.delete(&format!("/volume/backup/{id}")).await.id("backup");
    world.gone(&format!("/volume/backup/{id}")).await;
    assert_eq!((world.stored().await.len(), world.hand.ours().len()), (0, 0));
}

#[tokio::test]
async fn retention_keeps_the_newest_whole_full_ones_of_a_plan_and_volume() {
    let world = World::new().await;
    let (volume, other) = (world.hand.volume("demo", "data", "hello"), world.hand.volume("demo", "more", "hello"));
    let plan = json!({"plan_id": "p", "retention": 2});
    let first = world.backed_up(&volume, plan.clone()).await;
    let others = [
        world.backed_up(&volume, json!({"plan_id": "q"})).await,
        world.backed_up(&other, plan.clone()).await,
        world.backed_up(&volume, json!({"plan_id": "p", "incremental": true, "retention": 1})).await,
    ];
    let second = world.backed_up(&volume, plan.clone()).await;
    // One that fails takes no place.
    world.hand.fails.store(true, std::sync::atomic::Ordering::SeqCst);
    let failed = world.begin(&volume, plan.clone()).await;
    assert_eq!(world.over(&failed).await["status"], "error");
    world.hand.fails.store(false, std::sync::atomic::Ordering::SeqCst);
    world.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(world.backup(&first).await["status"], "active");
    let third = world.backed_up(&volume, plan).await;
    world.gone(&format!("/volume/backup/{first}")).await;
    for id in others.iter().chain([&second, &third]) {
        assert_eq!(world.backup(id).await["status"], "active", "{id}");
    }
    // A PUT with another retention applies at once.
    assert_eq!(world.put(&format!("/volume/backup/{third}"), json!({"backup": {"retention": 1}})).await.code(), 200);
    world.gone(&format!("/volume/backup/{second}")).await;
    world.gone(&format!("/volume/backup/{failed}")).await;
    assert_eq!(world.backup(&third).await["status"], "active");
}

#[tokio::test]
async fn only_the_project_and_administrators_see_a_backup() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "hello");
    let id = world.backed_up(&volume, json!({"incremental": true})).await;
    let path = format!("/volume/backup/{id}");
    let action = format!("{path}/action");
    let snapshots = format!("{path}/snapshot");
    let rename = json!({"backup": {"name": "n"}});
    for (method, path, body) in [
        ("GET", &path, Value::Null),
        ("DELETE", &path, Value::Null),
        ("PUT", &path, rename.clone()),
        ("POST", &action, json!({"update": {}})),
        ("GET", &snapshots, Value::Null),
        ("POST", &snapshots, json!({"snapshot": {"id": volume}})),
    ] {
        let answer = world.by(OTHER, method, path, &body).await;
        assert_eq!(answer.refused(), (404, format!("Volume backup {id} is not found!")), "{method} {path}");
    }
    assert_eq!(world.by(ADMIN, "PUT", &path, &rename).await.json(), json!({"backup": {"id": id}}));
    assert_eq!(world.by(DEMO, "GET", &path, &Value::Null).await.json()["backup"]["name"], "n");
    assert_eq!(world.by(ADMIN, "DELETE", &path, &Value::Null).await.code(), 201);
    world.gone(&path).await;
}

#[tokio::test]
async fn a_member_changes_name_and_retention_and_an_administrator_the_rest() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "hello");
    let id = world.backed_up(&volume, json!({})).await;
    let path = format!("/volume/backup/{id}");
    for field in ["status", "snapshot_id", "project_id", "source_zone"] {
        let value = if field == "snapshot_id" { volume.as_str() } else { "error" };
        let answer = world.put(&path, json!({"backup": {field: value}})).await;
        assert_eq!(answer.code(), 403, "{field}: {answer:?}");
    }
    assert_eq!(
        world.put(&path, json!({"backup": {"name": "no name"}})).await.refused(),
        (400, "Argument name is invalid!".into())
    );
    let as_admin = async |body: Value| world.by(ADMIN, "PUT", &path, &json!({ "backup": body })).await;
    assert_eq!(as_admin(json!({"status": "error"})).await.code(), 200);
    assert_eq!(world.backup(&id).await["status"], "error");
    assert_eq!(as_admin(json!({"status": "active"})).await.code(), 200, "it is whole");
    assert_eq!(as_admin(json!({"status": "building"})).await.refused().0, 400);
    assert_eq!(as_admin(json!({"project_id": "a/b"})).await.refused().0, 400);
    assert_eq!(as_admin(json!({"project_id": "other"})).await.code(), 200);
    assert_eq!(world.get(&path).await.code(), 404);
    assert_eq!(world.by(OTHER, "GET", &path, &Value::Null).await.json()["backup"]["project_id"], "other");
    world.by(OTHER, "DELETE", &path, &Value::Null).await.id("backup");
    world.gone(&path).await;
    assert_eq!(world.stored().await.len(), 0);
}

#[tokio::test]
async fn nothing_makes_active_what_is_not_whole() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "hello");
    world.hand.fails.store(true, std::sync::atomic::Ordering::SeqCst);
    let id = world.begin(&volume, json!({})).await;
    world.over(&id).await;
    let import = json!({"backup": {"name": "i", "volume_id": volume, "source_zone": "east", "size": 7, "project_id": "demo"}});
    assert_eq!(world.post("/volume/backup", import.clone()).await.refused().0, 403);
    let imported = world.by(ADMIN, "POST", "/volume/backup", &import).await.id("backup");
    let shown = world.get(&format!("/volume/backup/{imported}")).await.json()["backup"].clone();
    assert_eq!(
        (shown["status"].clone(), shown["source_zone"].clone(), shown["size"].clone()),
        (json!("importing"), json!("east"), json!(7))
    );
    for id in [&id, &imported] {
        let answer = world.by(ADMIN, "PUT", &format!("/volume/backup/{id}"), &json!({"backup": {"status": "active"}})).await;
        assert_eq!(answer.refused(), (409, format!("Volume backup {id} is not whole!")));
    }
    let answer = world.post(&format!("/volume/backup/{imported}/action"), json!({"update": {}})).await;
    assert_eq!(answer.refused(), (400, "Can not update copied backup!".into()));
}

#[tokio::test]
async fn the_snapshots_of_a_backup_are_rows_that_are_added_and_removed() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "hello");
    let id = world.backed_up(&volume, json!({})).await;
    let path = format!("/volume/backup/{id}/snapshot");
    let snapshot = "aaaaaaaa-0000-4000-8000-000000000001";
    let body = json!({"snapshot": {"id": snapshot, "name": "s", "timestamp": "2024"}});
    let added = world.post(&path, body.clone()).await;
    assert_eq!(added.code(), 200);
    let row = added.json()["snapshot"]["id"].clone();
    assert_eq!(world.post(&path, body).await.json()["snapshot"]["id"], row, "twice is one");
    let expected = json!({"snapshots": [{
        "id": row, "snapshot_id": snapshot, "snapshot_name": "s", "snapshot_timestamp": "2024", "volume_id": volume, "volume_backup_id": id,
    }]});
    assert_eq!(world.get(&path).await.json(), expected);
    let removed = world.delete(&format!("{path}/{snapshot}")).await;
    assert_eq!((removed.code(), removed.json()), (200, json!({"snapshot": {"id": snapshot}})));
    assert_eq!(world.delete(&format!("{path}/{snapshot}")).await.refused().0, 404);
    assert_eq!(world.get(&path).await.json(), json!({"snapshots": []}));
}

#[tokio::test]
async fn a_backup_that_another_one_builds_on_stays_and_says_for_whom() {
    use backup_core::{BackupRequest, SetName};
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "hello");
    let id = world.backed_up(&volume, json!({})).await;
    // Somebody made one by other means.
    let set = SetName::new(format!("volumes/p-demo/v-{volume}")).unwrap();
    let cx = world.repository.context();
    let parent = world.repository.list(&cx, &set).await.unwrap()[0].id.clone();
    let outcome =
        world.repository.backup(&cx, &super::cloud::Words, &BackupRequest::new(set).parents(vec![parent])).await.unwrap();
    let answer = world.delete(&format!("/volume/backup/{id}")).await;
    assert_eq!(answer.refused(), (409, format!("Volume backup {id} is needed by {}!", outcome.backup().id)));
    assert_eq!(world.backup(&id).await["status"], "active");
}
