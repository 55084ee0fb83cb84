//! Boot volumes: new ones from backups, and rollbacks; and what is left of both when they fail half-way.

use backup_core::Environment;
use backup_core::testkit::{free_port, test_context};
use backup_remote::http::http::{Method, StatusCode};
use backup_sources::cinder::{Cinder, CinderConfig};
use serde_json::{Value, json};

use crate::container::Container;
use crate::nova::Nova;
use crate::openstack::{OpenStack, Witness};
use crate::rbd::{At, Rbd, Work};
use crate::server::{FILES, Place, User, until};
use crate::volumes::{attached, detached};

const SERVER: &str = "5e11e000-0000-4000-8000-000000000011";
const NOTHING: Value = Value::Null;

/// Bytes that do not compress.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// A volume from which an instance boots.
async fn boot_volume(witness: &Witness) -> String {
    let volume = witness.volume("rbd1", 1).await;
    witness.post(&format!("/volumes/{volume}/action"), json!({ "os-set_bootable": { "bootable": true } })).await;
    let image = json!({ "os-set_image_metadata": { "metadata": { "hw_disk_bus": "scsi" } } });
    witness.post(&format!("/volumes/{volume}/action"), image).await;
    witness.post(&format!("/volumes/{volume}/metadata"), json!({ "metadata": { "tier": "gold", "a": "of-the-old" } })).await;
    volume
}

/// Nothing at Cinder carries the mark of a server's work.
pub async fn nothing_of(stack: &OpenStack, place: &Place) {
    let cinder = Cinder::new(CinderConfig::new(stack.keystone("backup", "service"))).unwrap();
    let cx = test_context(&Environment::default());
    until("nothing is left at Cinder", async || cinder.leftovers(&cx, &place.owner()).await.unwrap().is_empty()).await;
}

/// A volume as Cinder shows it.
pub async fn volume_of(witness: &Witness, volume: &str) -> Value {
    witness.get(&format!("/volumes/{volume}")).await.unwrap()
}

/// A volume that was filled, once it is its owner's.
pub async fn given_back(witness: &Witness, volume: &str) -> Value {
    let marked = async || volume_of(witness, volume).await["metadata"].to_string().contains("backup:");
    until("the volume is given back", async || !marked().await).await;
    witness.until(&format!("/volumes/{volume}"), "available").await
}

/// Deletes a backup or a snapshot, as soon as no restore needs it any more.
pub async fn removed(user: &User, path: &str) {
    until("it may be deleted", async || user.ask("DELETE", path, "").status != 409).await;
    user.gone(path).await;
}

/// What an administrator says of a volume.
pub async fn reset(stack: &OpenStack, volume: &str, what: &str, status: &str) {
    let reset = json!({ "os-reset_status": { what: status } });
    stack.as_admin().await.post(&format!("/volumes/{volume}/action"), reset).await;
}

/// A restore as it is asked for: the new volume.
fn restored(user: &User, order: Value) -> String {
    user.told(201, "POST", "/volume", &json!({ "volume": order }))["volume"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_boot_volume_comes_back_as_it_was_and_is_nobodys_until_all_of_it_is_there() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let (place, rbd) = Rbd::place(&stack, FILES, "");
    let server = place.start();
    let witness = stack.as_demo().await;
    let volume = boot_volume(&witness).await;
    stack.write(&volume, &[(0, &noise(1, 3 << 20)), (700 << 20, &noise(2, 1 << 20))]).await;
    let wanted = stack.digest(&stack.image(&volume)).await;
    let demo = User::new(&stack, &server, "demo", "demo").await;
    let id = demo.back_up(&volume, false);
    let path = format!("/volume/backup/{id}");
    assert_eq!(demo.active(&path).await["property"], "bootable=true");

    rbd.hold(At::Before, Work::Import, "");
    let made = restored(&demo, json!({ "backup_id": id, "name": "a-new-one", "metadata": { "a": "b" } }));
    rbd.held(At::Before, Work::Import, "").await;
    let shown = volume_of(&witness, &made).await;
    // As Cinder calls what somebody has reserved, and knows how to reach.
    assert_eq!((&shown["status"], &shown["metadata"]["backup:role"]), (&json!("attaching"), &json!("restoring")), "{shown}");
    let order = json!({ "attachment": { "volume_uuid": made } });
    assert_eq!(witness.call(Method::POST, "/attachments", Some(order)).await.0, StatusCode::BAD_REQUEST);
    let refused = demo.told(409, "DELETE", &path, &NOTHING);
    assert!(refused["message"].as_str().unwrap().contains("is being restored"), "{refused}");
    rbd.release(At::Before, Work::Import, "");

    let shown = given_back(&witness, &made).await;
    nothing_of(&stack, &place).await;
    assert_eq!((&shown["name"], &shown["volume_type"]), (&json!("a-new-one"), &json!("rbd1")), "{shown}");
    assert_eq!((&shown["size"], &shown["bootable"]), (&json!(1), &json!("true")), "{shown}");
    assert_eq!(shown["metadata"], json!({ "tier": "gold", "a": "b" }), "{shown}");
    assert_eq!(shown["volume_image_metadata"]["hw_disk_bus"], "scsi", "{shown}");
    assert_eq!(stack.digest(&stack.image(&made)).await, wanted);

    removed(&demo, &path).await;
    server.stop();
    for volume in [volume, made] {
        witness.remove(&format!("/volumes/{volume}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_restore_that_fails_half_way_leaves_no_volume_and_the_log_says_why() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let container = Container::new(&stack, format!("of-a-test-{}", free_port())).await;
    let (place, rbd) = Rbd::place(&stack, &container.store, "object-size: 33554432\n");
    let server = place.start();
    let witness = stack.as_demo().await;
    let volume = boot_volume(&witness).await;
    stack.write(&volume, &[(0, &noise(1, 5 << 20)), (1000 << 20, &noise(2, 1 << 20))]).await;
    let wanted = stack.digest(&stack.image(&volume)).await;
    let demo = User::new(&stack, &server, "demo", "demo").await;
    let id = demo.back_up(&volume, false);
    let path = format!("/volume/backup/{id}");
    demo.active(&path).await;
    let failed = async |why: &str, kind: &str| {
        let made = restored(&demo, json!({ "backup_id": id, "volume_type": kind }));
        until("the volume is gone", async || witness.get(&format!("/volumes/{made}")).await.is_none()).await;
        let is_this = |line: &str| line.contains("could not be made from a backup") && line.contains(&made);
        until("it is reported", async || server.said().lines().any(is_this)).await;
        let said = server.said();
        let line = said.lines().find(|line| is_this(line)).unwrap();
        assert!(line.contains(why) && line.contains(&id), "{why}: {line}");
        nothing_of(&stack, &place).await;
        assert_eq!(demo.shown(&path)["status"], "active");
    };

    // Ceph breaks off, and the way to the bytes is none.
    rbd.saw(Work::Import, "");
    failed("broken by a test", "").await;
    rbd.mend(Work::Import, "");
    if stack.has("nfs1") {
        failed("there is no image", "nfs1").await;
    }
    // An object is damaged, another one gone, behind our back.
    let object = container.object("backup-00032").await;
    let whole = container.get(&object).await;
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    container.put(&object, damaged).await;
    failed("backup-00032", "").await;
    container.delete(&object).await;
    failed("backup-00032", "").await;

    // It was only that.
    container.put(&object, whole).await;
    let made = restored(&demo, json!({ "backup_id": id }));
    given_back(&witness, &made).await;
    assert_eq!(stack.digest(&stack.image(&made)).await, wanted);

    removed(&demo, &path).await;
    assert_eq!(container.names().await.iter().filter(|name| name.contains("backup-")).count(), 0);
    server.stop();
    container.remove().await;
    for volume in [volume, made] {
        witness.remove(&format!("/volumes/{volume}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_volume_that_is_not_whole_and_cannot_be_deleted_stays_reserved_and_says_why() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let (place, rbd) = Rbd::place(&stack, FILES, "");
    let server = place.start();
    let witness = stack.as_demo().await;
    let volume = boot_volume(&witness).await;
    stack.write(&volume, &[(0, &noise(1, 5 << 20))]).await;
    let demo = User::new(&stack, &server, "demo", "demo").await;
    let id = demo.back_up(&volume, false);
    demo.active(&format!("/volume/backup/{id}")).await;

    rbd.hold(At::Before, Work::Import, "");
    rbd.saw(Work::Import, "");
    let made = restored(&demo, json!({ "backup_id": id }));
    rbd.held(At::Before, Work::Import, "").await;
    // Cinder deletes no volume that an administrator is moving to another host.
    let migrating = async |status: &str| reset(&stack, &made, "migration_status", status).await;
    migrating("migrating").await;
    rbd.release(At::Before, Work::Import, "");
    let says = async || volume_of(&witness, &made).await["metadata"]["backup:failed"].is_string();
    until("it says that it is not whole", says).await;
    // Cinder does not free what is being moved, and an administrator does so.
    assert_eq!(volume_of(&witness, &made).await["status"], "attaching");
    until("our attachment has ended", async || {
        let listed = witness.get(&format!("/attachments?volume_id={made}")).await;
        listed.unwrap().as_array().unwrap().is_empty()
    })
    .await;
    reset(&stack, &made, "status", "available").await;
    until("it is reserved", async || volume_of(&witness, &made).await["status"] == "reserved").await;
    let shown = volume_of(&witness, &made).await;
    assert!(shown["metadata"]["backup:failed"].as_str().unwrap().contains("broken by a test"), "{shown}");

    // It is tried again, by the process that comes next too.
    server.stop();
    migrating("none").await;
    reset(&stack, &made, "status", "available").await;
    let server = place.start();
    until("the volume is gone", async || witness.get(&format!("/volumes/{made}")).await.is_none()).await;
    nothing_of(&stack, &place).await;
    removed(&demo, &format!("/volume/backup/{id}")).await;
    server.stop();
    witness.remove(&format!("/volumes/{volume}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rollback_that_fails_half_way_is_an_error_and_the_boot_volume_says_so_until_one_ends_well() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let nova = Nova::start(&stack).await;
    let (place, rbd) = Rbd::place(&stack, FILES, "");
    let server = place.start();
    let witness = stack.as_demo().await;
    let volume = boot_volume(&witness).await;
    let demo = User::new(&stack, &server, "demo", "demo").await;
    stack.write(&volume, &[(0, &noise(1, 1 << 20))]).await;
    let first = witness.snapshot(&volume).await;
    let wanted = stack.digest(&format!("{}@snapshot-{first}", stack.image(&volume))).await;
    stack.write(&volume, &[(0, b"later"), (900 << 20, &noise(2, 1 << 20))]).await;
    witness.snapshot(&volume).await;
    nova.set(SERVER, &demo.project, "SHUTOFF", &[&volume]);
    let attachment = attached(&stack, &volume, SERVER).await;
    let path = format!("/volume/{volume}/action");
    let back = json!({ "rollback": { "snapshot_id": first } });
    let own = volume_of(&witness, &volume).await["metadata"].clone();

    // What does not begin changes nothing.
    rbd.saw(Work::Look, &volume);
    let refused = demo.told(500, "POST", &path, &back);
    assert!(refused["message"].as_str().unwrap().contains("broken by a test"), "{refused}");
    rbd.mend(Work::Look, &volume);
    assert_eq!(volume_of(&witness, &volume).await["metadata"], own);

    for status in ["in-use", "available"] {
        rbd.hold(At::Before, Work::Rollback, &volume);
        rbd.saw(Work::Rollback, &volume);
        let (user, asked, order) = (demo.clone(), path.clone(), back.clone());
        let asked = tokio::spawn(async move { user.ask("POST", &asked, &order.to_string()) });
        rbd.held(At::Before, Work::Rollback, &volume).await;
        let shown = volume_of(&witness, &volume).await;
        assert_eq!(shown["metadata"]["backup:role"], "overwriting", "{shown}");
        assert_eq!(shown["status"], if status == "available" { "attaching" } else { "in-use" }, "{shown}");
        demo.told(409, "POST", &path, &back);
        stack.write(&volume, &[(0, b"half of it")]).await;
        rbd.release(At::Before, Work::Rollback, &volume);
        let answer = asked.await.unwrap();
        assert_eq!(answer.status, 500, "{answer:?}");
        assert!(answer.json()["message"].as_str().unwrap().contains("broken by a test"), "{answer:?}");
        let shown = volume_of(&witness, &volume).await;
        assert_eq!((&shown["status"], &shown["bootable"]), (&json!(status), &json!("true")), "{shown}");
        assert!(shown["metadata"]["backup:failed"].as_str().unwrap().contains("not whole"), "{shown}");
        assert!(shown["metadata"]["backup:role"].is_null(), "{shown}");

        // The lock is free, and what the volume said is over.
        rbd.mend(Work::Rollback, &volume);
        demo.told(201, "POST", &path, &back);
        assert_eq!(stack.digest(&stack.image(&volume)).await, wanted);
        let shown = volume_of(&witness, &volume).await;
        assert_eq!((&shown["status"], &shown["metadata"]), (&json!(status), &own), "{shown}");
        if status == "in-use" {
            detached(&stack, &attachment).await;
            witness.until(&format!("/volumes/{volume}"), "available").await;
        }
    }
    server.stop();
    witness.call(Method::DELETE, &format!("/volumes/{volume}?cascade=true"), None).await;
}
