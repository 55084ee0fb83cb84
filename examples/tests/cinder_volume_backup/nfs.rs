//! Volumes of Cinder's NFS driver: through a temporary volume and its attachment.

use std::os::unix::fs::FileExt;

use backup_remote::http::http::Method;
use serde_json::{Value, json};

use crate::openstack::OpenStack;
use crate::server::{Place, User, until};

const NOTHING: Value = Value::Null;

fn write(stack: &OpenStack, volume: &str, pieces: &[(u64, &[u8])]) {
    let file = std::fs::File::options().write(true).open(stack.active_file("nfs1", volume)).unwrap();
    for (offset, bytes) in pieces {
        file.write_all_at(bytes, *offset).unwrap();
    }
    file.sync_all().unwrap();
}

/// Whether two volumes have the same bytes.
async fn are_same(stack: &OpenStack, one: &str, other: &str) -> bool {
    let files = [one, other].map(|volume| stack.active_file("nfs1", volume));
    let compared = tokio::process::Command::new("/usr/bin/cmp").args(files).status().await.unwrap();
    compared.success()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn volumes_on_a_share_are_backed_up_updated_and_made_again() {
    let Some(stack) = OpenStack::wanted().await else { return };
    if !stack.has("nfs1") {
        return;
    }
    let place =
        Place::new(&stack, "").set("volume-access", &format!("{{ nfs: {{ mount-base: {} }} }}", stack.nfs_mounts().display()));
    let server = place.start();
    let witness = stack.as_demo().await;
    let volume = witness.volume("nfs1", 1).await;
    write(&stack, &volume, &[(0, b"first"), (300 << 20, &[5; 70_000])]);
    let demo = User::new(&stack, &server, "demo", "demo").await;
    let clean = async || {
        until("nothing temporary is left at Cinder", async || {
            let (_, snapshots) = witness.call(Method::GET, &format!("/snapshots?volume_id={volume}"), None).await;
            let (_, volumes) = witness.call(Method::GET, "/volumes/detail", None).await;
            let ours = volumes["volumes"].as_array().unwrap().iter();
            let mut ours = ours.filter(|volume| volume["metadata"]["backup:owner"] == place.owner());
            snapshots["snapshots"] == json!([]) && ours.next().is_none()
        })
        .await;
    };

    let path = format!("/volume/backup/{}", demo.back_up(&volume, true));
    let backup = demo.active(&path).await;
    // Nothing here tells what changed since a snapshot, so none is kept.
    assert_eq!((&backup["snapshot_id"], &backup["links"]), (&json!(""), &json!(1)), "{backup}");
    clean().await;
    write(&stack, &volume, &[(1 << 20, b"later"), (900 << 20, &[6; 5000])]);
    demo.told(201, "POST", &format!("{path}/action"), &json!({ "update": {} }));
    assert_eq!(demo.active(&path).await["links"], 2);
    clean().await;

    let order = json!({ "volume": { "backup_id": path.rsplit_once('/').unwrap().1, "name": "made" } });
    let made = demo.told(201, "POST", "/volume", &order)["volume"]["id"].as_str().unwrap().to_owned();
    let given_back = async || {
        let shown = witness.get(&format!("/volumes/{made}")).await.unwrap();
        shown["status"] == "available" && shown["metadata"] == json!({})
    };
    until("the volume is given back", given_back).await;
    assert!(are_same(&stack, &volume, &made).await, "the new volume differs");
    clean().await;

    demo.told(201, "DELETE", &path, &NOTHING);
    demo.gone(&path).await;
    server.stop();
    for volume in [volume, made] {
        witness.remove(&format!("/volumes/{volume}")).await;
    }
}
