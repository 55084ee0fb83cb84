//! The answers of the original, for clients that know no others.

use serde_json::{Value, json};

use crate::boot::given_back;
use crate::nova::Nova;
use crate::openstack::OpenStack;
use crate::server::{Place, User, until};

const SERVER: &str = "5e11e000-0000-4000-8000-000000000031";
const NOTHING: Value = Value::Null;
const CONFIGURATION: &str = "success-codes: original\n\
    quotas: { keystone: false, volume-backups: 2, instance-backups: 1, instance-snapshots: 1 }\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_the_original_codes_every_route_answers_as_the_original_does() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let nova = Nova::start(&stack).await;
    let place = Place::new(&stack, CONFIGURATION);
    let server = place.start();
    let witness = stack.as_demo().await;
    let volume = witness.volume("rbd1", 1).await;
    stack.write(&volume, &[(0, &[1; 4096])]).await;
    let snapshot = witness.snapshot(&volume).await;
    let demo = User::new(&stack, &server, "demo", "demo").await;
    nova.set(SERVER, &demo.project, "SHUTOFF", &[&volume]);
    let id_of = |answer: Value, what: &str| answer[what]["id"].as_str().unwrap().to_owned();
    let over_quota = |path: &str, order: &Value, message: &str| {
        assert_eq!(demo.told(400, "POST", path, order)["message"], message);
    };
    assert_eq!(server.get("/").json()["message"], "Active.");

    // Volumes.
    let order = json!({ "backup": { "name": "of-a-test", "volume_id": volume, "incremental": true } });
    let backup = id_of(demo.told(202, "POST", "/volume/backup", &order), "backup");
    let path = format!("/volume/backup/{backup}");
    demo.active(&path).await;
    assert_eq!(demo.told(200, "GET", "/volume/backup", &NOTHING)["backups"][0]["id"], backup);
    assert_eq!(demo.told(202, "POST", &format!("{path}/action"), &json!({ "update": {} })), NOTHING);
    demo.active(&path).await;
    assert_eq!(id_of(demo.told(200, "PUT", &path, &json!({ "backup": { "name": "renamed" } })), "backup"), backup);
    let listed = format!("{path}/snapshot");
    let row = json!({ "snapshot": { "id": snapshot, "name": "of-a-test", "timestamp": "2026-01-01 00:00:00" } });
    id_of(demo.told(200, "POST", &listed, &row), "snapshot");
    assert_eq!(demo.told(200, "GET", &listed, &NOTHING)["snapshots"][0]["snapshot_id"], snapshot);
    let row = demo.told(200, "DELETE", &format!("{listed}/{snapshot}"), &NOTHING);
    assert_eq!(id_of(row, "snapshot"), snapshot);
    let made = id_of(demo.told(202, "POST", "/volume", &json!({ "volume": { "backup_id": backup } })), "volume");
    let rollback = json!({ "rollback": { "snapshot_id": snapshot } });
    assert_eq!(demo.told(200, "POST", &format!("/volume/{volume}/action"), &rollback), NOTHING);
    // An action that is not ours is Cinder's.
    demo.told(200, "POST", &format!("/volume/{volume}/action"), &json!({ "os-set_bootable": { "bootable": true } }));

    // Instances.
    let order = json!({ "snapshot": { "name": "of-a-test", "instance_id": SERVER } });
    let point = id_of(demo.told(202, "POST", "/instance/snapshot", &order), "snapshot");
    let of_instance = format!("/instance/snapshot/{point}");
    demo.active(&of_instance).await;
    over_quota("/instance/snapshot", &order, "Instance snapshot 1 reach the limit!");
    assert_eq!(demo.told(200, "GET", "/instance/snapshot", &NOTHING)["snapshots"][0]["id"], point);
    let rollback = json!({ "rollback": { "snapshot_id": point } });
    assert_eq!(demo.told(200, "POST", &format!("/instance/{SERVER}/action"), &rollback), NOTHING);
    demo.told(202, "DELETE", &of_instance, &NOTHING);
    demo.gone(&of_instance).await;

    let order = json!({ "backup": { "name": "of-a-test", "instance_id": SERVER, "incremental": true } });
    let whole = id_of(demo.told(202, "POST", "/instance/backup", &order), "backup");
    let of_instance = format!("/instance/backup/{whole}");
    demo.active(&of_instance).await;
    over_quota("/instance/backup", &order, "Instance backup 1 reach the limit!");
    let order = json!({ "backup": { "name": "of-a-test", "volume_id": volume } });
    over_quota("/volume/backup", &order, "Volume backup 2 reach the limit!");
    assert_eq!(demo.told(200, "GET", "/instance/backup", &NOTHING)["backups"][0]["id"], whole);
    assert_eq!(demo.told(202, "POST", &format!("{of_instance}/action"), &json!({ "update": {} })), NOTHING);
    demo.active(&of_instance).await;
    let restored = demo.told(202, "POST", &format!("{of_instance}/action"), &json!({ "restore": {} }));
    let restored = restored["volumes"][0]["id"].as_str().unwrap().to_owned();
    demo.told(200, "PUT", &of_instance, &json!({ "backup": { "retention": 3 } }));
    for volume in [&made, &restored] {
        given_back(&witness, volume).await;
    }
    for path in [of_instance, path] {
        let mut status = 409;
        until("no restore needs it", async || {
            status = demo.ask("DELETE", &path, "").status;
            status != 409
        })
        .await;
        assert_eq!(status, 202, "{path}");
        demo.gone(&path).await;
    }

    // Refusals are the same.
    demo.told(404, "GET", &format!("/volume/backup/{backup}"), &NOTHING);
    demo.told(422, "POST", "/volume/backup", &json!({ "backup": { "name": "x" } }));
    demo.told(405, "POST", &format!("/volume/backup/{backup}"), &NOTHING);
    server.stop();
    witness.remove(&format!("/snapshots/{snapshot}")).await;
    for volume in [volume, made, restored] {
        witness.remove(&format!("/volumes/{volume}")).await;
    }
}
