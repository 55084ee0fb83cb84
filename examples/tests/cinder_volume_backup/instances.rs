//! Instance snapshots and backups.

use serde_json::{Value, json};

use crate::nova::Nova;
use crate::openstack::OpenStack;
use crate::server::{Place, User, until};

const SERVER: &str = "5e11e000-0000-4000-8000-000000000002";
const NOBODY: &str = "00000000-0000-4000-8000-00000000dead";
const NOTHING: Value = Value::Null;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_instance_is_the_snapshots_or_backups_of_all_its_volumes() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let nova = Nova::start(&stack).await;
    let place = Place::new(&stack, "");
    let server = place.start();
    let witness = stack.as_demo().await;
    let volumes = [witness.volume("rbd1", 1).await, witness.volume("rbd1", 1).await];
    let demo = User::new(&stack, &server, "demo", "demo").await;
    let other = User::new(&stack, &server, "other", "other").await;
    let attached: Vec<&str> = volumes.iter().map(String::as_str).collect();
    nova.set(SERVER, &demo.project, "ERROR", &attached);

    // What is refused.
    let order = json!({ "snapshot": { "name": "of-a-test", "instance_id": SERVER } });
    let refused = demo.told(400, "POST", "/instance/snapshot", &order);
    assert!(refused["message"].as_str().unwrap().contains("not in ['ACTIVE', 'SHUTOFF', 'SUSPENDED', 'PAUSED']"), "{refused}");
    nova.set(SERVER, &demo.project, "ACTIVE", &[]);
    demo.told(400, "POST", "/instance/snapshot", &order);
    demo.told(400, "POST", "/instance/snapshot", &json!({ "snapshot": { "name": "x", "instance_id": NOBODY } }));
    nova.set(SERVER, &demo.project, "ACTIVE", &attached);
    other.told(400, "POST", "/instance/snapshot", &order);

    // A snapshot, with one of Cinder for each volume, called by its id.
    let id = demo.told(201, "POST", "/instance/snapshot", &order)["snapshot"]["id"].as_str().unwrap().to_owned();
    let path = format!("/instance/snapshot/{id}");
    let snapshot = demo.active(&path).await;
    let members = snapshot["volume_snapshots"].as_array().unwrap();
    assert_eq!(members.len(), 2, "{snapshot}");
    for member in members {
        let at_cinder = witness.get(&format!("/snapshots/{}", member["id"].as_str().unwrap())).await.unwrap();
        assert_eq!((&at_cinder["name"], &at_cinder["volume_id"]), (&json!(id), &member["volume_id"]));
    }
    other.told(404, "GET", &path, &NOTHING);
    demo.told(201, "DELETE", &path, &NOTHING);
    demo.gone(&path).await;
    for member in members {
        let there = format!("/snapshots/{}", member["id"].as_str().unwrap());
        until("the member is gone", async || witness.get(&there).await.is_none()).await;
    }

    // A backup, moved on.
    let order = json!({ "backup": { "name": "of-a-test", "instance_id": SERVER, "incremental": true } });
    let id = demo.told(201, "POST", "/instance/backup", &order)["backup"]["id"].as_str().unwrap().to_owned();
    let path = format!("/instance/backup/{id}");
    let backup = demo.active(&path).await;
    let members = backup["volume_backups"].as_array().unwrap().clone();
    assert_eq!(members.len(), 2, "{backup}");
    demo.told(201, "POST", &format!("{path}/action"), &json!({ "update": {} }));
    let backup = demo.active(&path).await;
    assert!(backup["time_update"].is_string(), "{backup}");
    for member in &members {
        let member = demo.shown(&format!("/volume/backup/{}", member["id"].as_str().unwrap()));
        assert_eq!((&member["status"], &member["name"]), (&json!("active"), &json!(id)), "{member}");
    }
    other.told(404, "DELETE", &path, &NOTHING);
    demo.told(201, "DELETE", &path, &NOTHING);
    demo.gone(&path).await;
    for member in &members {
        demo.gone(&format!("/volume/backup/{}", member["id"].as_str().unwrap())).await;
    }
    server.stop();
    for volume in volumes {
        witness.remove(&format!("/volumes/{volume}?cascade=true")).await;
    }
}
