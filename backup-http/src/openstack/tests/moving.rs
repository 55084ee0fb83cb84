use std::time::Duration;

use backup_core::testkit::CrashMode;
use serde_json::{Value, json};

use super::world::{ADMIN, OTHER, World};

async fn to_other(world: &World, path: &str) -> super::world::Answer {
    world.by(ADMIN, "PUT", path, &json!({"backup": {"project_id": "other"}})).await
}

async fn all(world: &World) -> Vec<Value> {
    let list = world.by(ADMIN, "GET", "/volume/backup?all_projects=true", &Value::Null).await.json();
    list["backups"].as_array().unwrap().clone()
}

/// The process dies at each of its changes of the state in turn, in a move. Afterwards one project has the backup, and it is whole.
#[tokio::test]
async fn wherever_the_process_dies_in_a_move_one_project_has_the_backup() {
    let (mut moved, mut not) = (0, 0);
    for change in 1_u64..40 {
        let world = World::new().await;
        let volume = world.hand.volume("demo", "data", "one");
        let id = world.backed_up(&volume, json!({"incremental": true})).await;
        let path = format!("/volume/backup/{id}");
        let mode = if change % 2 == 0 { CrashMode::AfterEffect } else { CrashMode::BeforeEffect };
        world.state.crash_at(change.div_ceil(2), mode);
        world.clock.auto_advance_up_to(Duration::from_secs(5));
        to_other(&world, &path).await;
        world.clock.auto_advance(false);
        if !world.state.is_dead() {
            assert!(moved > 0 && not > 0, "{moved} moved, {not} not");
            return;
        }
        let world = world.restart().await;
        world.ordered().await;
        let found = all(&world).await;
        let project = found[0]["project_id"].as_str().unwrap();
        assert_eq!((found.len(), found[0]["status"].as_str(), &found[0]["links"]), (1, Some("active"), &json!(1)), "{change}");
        if project == "other" {
            moved += 1
        } else {
            not += 1
        }
        assert_eq!(world.hand.ours().len(), 1, "its base");
        world.by(ADMIN, "DELETE", &path, &Value::Null).await.id("backup");
        world.gone(&path).await;
        assert_eq!((world.stored().await.len(), world.hand.ours().len()), (0, 0), "{change}");
    }
    panic!("it never came to its end");
}

#[tokio::test]
async fn what_is_worked_on_or_needed_does_not_move() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let server = world.hand.server("demo", "ACTIVE", std::slice::from_ref(&volume));
    let order = json!({"backup": {"name": "i", "instance_id": server}});
    let whole = world.post("/instance/backup", order).await.id("backup");
    let whole = format!("/instance/backup/{whole}");
    let shown = async || world.get(&whole).await.json()["backup"].clone();
    world.until(async || shown().await["status"] == "active").await;
    assert_eq!(to_other(&world, &whole).await.refused().0, 409);
    let member = shown().await["volume_backups"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(to_other(&world, &format!("/volume/backup/{member}")).await.refused().0, 409);

    let id = world.backed_up(&volume, json!({"incremental": true})).await;
    let path = format!("/volume/backup/{id}");
    world.close_gate();
    assert_eq!(world.post(&format!("{path}/action"), json!({"update": {}})).await.code(), 201);
    assert_eq!(to_other(&world, &path).await.refused().0, 409);
    world.open_gate();
    world.over(&id).await;
    // There is one of the volume in the other project.
    let body = json!({"backup": {"name": "theirs", "volume_id": volume, "incremental": true}});
    world.hand.with(|things| things.volumes.get_mut(&volume).unwrap().project = "other".to_owned());
    let theirs = world.by(OTHER, "POST", "/volume/backup", &body).await.id("backup");
    world.over(&theirs).await;
    assert_eq!(to_other(&world, &path).await.refused(), (409, "Incremental backup theirs is on this volume.".to_owned()));
    assert_eq!(all(&world).await.len(), 3);
    // And no room for more.
    world.by(ADMIN, "DELETE", &format!("/volume/backup/{theirs}"), &Value::Null).await.id("backup");
    world.gone(&format!("/volume/backup/{theirs}")).await;
    world.hand.with(|things| things.limits.insert("volume_backup_total", 0));
    assert_eq!(to_other(&world, &path).await.refused().0, 403);
    world.hand.with(|things| things.limits.clear());
    assert_eq!(to_other(&world, &path).await.code(), 200);
    assert_eq!(world.by(OTHER, "GET", &path, &Value::Null).await.json()["backup"]["status"], "active");
}
