//! OpenStack's own client, pointed at the gateway.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::openstack::OpenStack;
use crate::proxied::Region;
use crate::server::{Place, User};

/// `openstack` of the user `demo`, in a region whose volume service is the gateway.
async fn openstack(stack: &OpenStack, region: &str, arguments: &[&str]) -> Value {
    let mut command = Command::new("/usr/bin/openstack");
    command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin").env("LANG", "C.UTF-8").stdin(Stdio::null());
    for (name, value) in [
        ("OS_AUTH_URL", stack.auth_url()),
        ("OS_USERNAME", "demo"),
        ("OS_PASSWORD", stack.password()),
        ("OS_PROJECT_NAME", "demo"),
        ("OS_USER_DOMAIN_NAME", "Default"),
        ("OS_PROJECT_DOMAIN_NAME", "Default"),
        ("OS_IDENTITY_API_VERSION", "3"),
        ("OS_VOLUME_API_VERSION", "3"),
        ("OS_REGION_NAME", region),
    ] {
        command.env(name, value);
    }
    let output = command.kill_on_drop(true).output().await.unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_openstack_client_works_through_the_gateway() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let place = Place::new(&stack, "gateway: true\n");
    let server = place.start();
    let mut region = Region::new().await;
    region.put("volumev3", &format!("http://127.0.0.1:{}/v1/block", server.port())).await;
    let witness = stack.as_demo().await;
    let openstack = async |arguments: &[&str]| openstack(&stack, &region.name, arguments).await;
    let has = |listed: &Value, id: &str| listed.as_array().unwrap().iter().any(|one| one["ID"] == id);

    let name = format!("by-{}", region.name);
    // To make one, this client asks for Glance, which is not there.
    let demo = User::new(&stack, &server, "demo", "demo").await;
    let order = json!({ "volume": { "size": 1, "volume_type": "rbd1", "name": name } });
    let id = demo.told(202, "POST", "/block/volumes", &order)["volume"]["id"].as_str().unwrap().to_owned();
    let path = format!("/volumes/{id}");
    witness.until(&path, "available").await;
    assert!(has(&openstack(&["volume", "list", "-f", "json"]).await, &id));
    openstack(&["volume", "set", "--description", "changed", "--property", "a=b", &id]).await;
    // By its name, too.
    let shown = openstack(&["volume", "show", &name, "-f", "json"]).await;
    assert_eq!((&shown["id"], &shown["description"]), (&json!(id), &json!("changed")), "{shown}");
    assert_eq!(witness.get(&path).await.unwrap()["metadata"], json!({ "a": "b" }));
    openstack(&["volume", "unset", "--property", "a", &id]).await;
    assert_eq!(witness.get(&path).await.unwrap()["metadata"], json!({}));

    let made = openstack(&["volume", "snapshot", "create", "--volume", &id, &name, "-f", "json"]).await;
    let snapshot = made["id"].as_str().unwrap().to_owned();
    witness.until(&format!("/snapshots/{snapshot}"), "available").await;
    assert!(has(&openstack(&["volume", "snapshot", "list", "-f", "json"]).await, &snapshot));
    openstack(&["volume", "snapshot", "delete", &snapshot]).await;
    crate::server::until("it is gone", async || witness.get(&format!("/snapshots/{snapshot}")).await.is_none()).await;
    openstack(&["volume", "delete", &id]).await;
    crate::server::until("it is gone", async || witness.get(&path).await.is_none()).await;
    server.stop();
    region.remove().await;
}
