//! Requests that are not ours, and the gateway.

use serde_json::{Value, json};

use crate::nova::Nova;
use crate::openstack::OpenStack;
use crate::server::{Place, User};

const SERVER: &str = "5e11e000-0000-4000-8000-000000000003";
const NOTHING: Value = Value::Null;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn volumes_and_instances_are_managed_through_the_gateway_as_at_cinder_and_nova() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let nova = Nova::start(&stack).await;
    let place = Place::new(&stack, "gateway: true\n");
    let server = place.start();
    let witness = stack.as_demo().await;
    let demo = User::new(&stack, &server, "demo", "demo").await;
    let other = User::new(&stack, &server, "other", "other").await;

    // Made, shown, changed and deleted by Cinder; by both names.
    let order = json!({ "volume": { "size": 1, "name": "by-the-gateway", "volume_type": "rbd1" } });
    let made = demo.told(202, "POST", "/block/volume", &order);
    let id = made["volume"]["id"].as_str().unwrap().to_owned();
    witness.until(&format!("/volumes/{id}"), "available").await;
    for all in ["/block/volume", "/block/volumes"] {
        let one = format!("{all}/{id}");
        assert_eq!(demo.told(200, "GET", &one, &NOTHING)["volume"]["name"], "by-the-gateway");
        let listed = demo.told(200, "GET", &format!("{all}/detail?name=by-the-gateway&status=available"), &NOTHING);
        assert!(listed["volumes"].as_array().unwrap().iter().any(|volume| volume["id"] == id), "{listed}");
        demo.told(200, "PUT", &one, &json!({ "volume": { "description": "changed" } }));
        demo.told(200, "POST", &format!("{one}/metadata"), &json!({ "metadata": { "a": "b" } }));
        demo.told(200, "DELETE", &format!("{one}/metadata/a"), &NOTHING);
        assert_eq!(other.told(404, "GET", &one, &NOTHING)["itemNotFound"]["code"], 404, "as Cinder says it");
    }
    let order = json!({ "snapshot": { "volume_id": id, "name": "by-the-gateway", "force": true } });
    let snapshot = demo.told(202, "POST", "/block/snapshot", &order)["snapshot"]["id"].as_str().unwrap().to_owned();
    witness.until(&format!("/snapshots/{snapshot}"), "available").await;
    demo.told(200, "GET", &format!("/block/snapshot/{snapshot}"), &NOTHING);
    // An action of ours, and one of Cinder's.
    demo.told(201, "POST", &format!("/block/volume/{id}/action"), &json!({ "rollback": { "snapshot_id": snapshot } }));
    demo.told(202, "DELETE", &format!("/block/snapshot/{snapshot}"), &NOTHING);
    crate::server::until("the snapshot is gone", async || witness.get(&format!("/snapshots/{snapshot}")).await.is_none()).await;
    for path in [format!("/block/volume/{id}/action"), format!("/volume/{id}/action")] {
        let refused = demo.told(400, "POST", &path, &json!({ "os-extend": { "new_size": 1 } }));
        assert!(refused["badRequest"]["message"].is_string(), "as Cinder says it: {refused}");
    }

    // Ours, by the gateway's names.
    let order = json!({ "backup": { "name": "by-the-gateway", "volume_id": id } });
    let backup = demo.told(201, "POST", "/block/backup", &order)["backup"]["id"].as_str().unwrap().to_owned();
    demo.active(&format!("/block/backup/{backup}")).await;
    assert_eq!(demo.told(200, "GET", "/block/backup?name=by-the-gateway", &NOTHING)["backups"][0]["id"], backup);
    demo.told(200, "GET", "/compute/backup", &NOTHING);
    demo.told(200, "GET", "/compute/snapshot", &NOTHING);
    demo.told(201, "DELETE", &format!("/block/backup/{backup}"), &NOTHING);
    demo.gone(&format!("/block/backup/{backup}")).await;

    // Nova's.
    nova.set(SERVER, &demo.project, "ACTIVE", &[]);
    let stop = json!({ "os-stop": null });
    demo.told(202, "POST", &format!("/compute/instance/{SERVER}/action"), &stop);
    let actions = nova.actions(SERVER);
    let (body, headers) = actions.last().unwrap();
    assert_eq!(body, &stop);
    assert!(!headers.contains_key("x-service-token"), "ours is not lent");
    other.told(404, "POST", &format!("/compute/instance/{SERVER}/action"), &stop);

    // What is nobody's.
    for path in [
        "/block/volume/..%2Fvolumes",
        "/block/volume/x",
        "/block/volume/x/metadata",
        "/block/types",
        "/block/backups",
        "/compute/flavors",
    ] {
        assert!(demo.told(404, "GET", path, &NOTHING)["message"].is_string(), "{path}");
    }
    let nobody = User { token: "nonsense".to_owned(), ..demo };
    assert_eq!(nobody.told(401, "GET", "/block/volume", &NOTHING)["message"], "Token validation failed!");
    server.stop();
    witness.remove(&format!("/volumes/{id}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_the_gateway_its_routes_are_not_there() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let place = Place::new(&stack, "");
    let server = place.start();
    let demo = User::new(&stack, &server, "demo", "demo").await;
    demo.told(404, "GET", "/block/volume", &NOTHING);
    server.stop();
}
