//! Instance backups and snapshots from their begin to their end, with what goes wrong in one of the volumes.

use serde_json::{Value, json};

use crate::boot::{given_back, noise, nothing_of, removed, reset, volume_of};
use crate::nova::Nova;
use crate::openstack::{OpenStack, Witness};
use crate::rbd::{At, Rbd, Work};
use crate::server::{FILES, Place, User, until};
use crate::volumes::{attached, clean, detached, snapshots};

const NOTHING: Value = Value::Null;

/// The members of an instance backup: their ids and their volumes'.
fn members(backup: &Value) -> Vec<(String, String)> {
    let text = |member: &Value, key: &str| member[key].as_str().unwrap().to_owned();
    backup["volume_backups"].as_array().unwrap().iter().map(|member| (text(member, "id"), text(member, "volume_id"))).collect()
}

/// A member as a volume backup.
fn member(user: &User, id: &str) -> Value {
    user.shown(&format!("/volume/backup/{id}"))
}

fn links(points: &[Value]) -> Vec<u64> {
    points.iter().map(|point| point["links"].as_u64().unwrap()).collect()
}

fn created(user: &User, what: &str, incremental: bool, instance: &str) -> String {
    let order = json!({ what: { "name": "of-a-test", "instance_id": instance, "incremental": incremental } });
    let id = &user.told(201, "POST", &format!("/instance/{what}"), &order)[what]["id"];
    format!("/instance/{what}/{}", id.as_str().unwrap())
}

/// Cinder has exactly the snapshots of these volumes that the records of the members say; how many those are.
async fn bases(witness: &Witness, user: &User, members: &[(String, String)]) -> usize {
    let mut count = 0;
    for (id, volume) in members {
        let base = member(user, id)["snapshot_id"].as_str().unwrap().to_owned();
        let wanted: Vec<String> = Some(base).into_iter().filter(|base| !base.is_empty()).collect();
        until("Cinder has the base that the record says", async || snapshots(witness, volume).await == wanted).await;
        count += wanted.len();
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_instance_one_of_whose_volumes_fails_has_a_backup_in_error_of_the_others_and_no_snapshot() {
    const SERVER: &str = "5e11e000-0000-4000-8000-000000000021";
    let Some(stack) = OpenStack::wanted().await else { return };
    let nova = Nova::start(&stack).await;
    let place = Place::new(&stack, "");
    let server = place.start();
    let witness = stack.as_demo().await;
    let demo = User::new(&stack, &server, "demo", "demo").await;
    let good = witness.volume("rbd1", 1).await;
    stack.write(&good, &[(0, &noise(1, 1 << 20))]).await;
    let broken = witness.volume("rbd1", 1).await;
    reset(&stack, &broken, "status", "error").await;
    // Cinder takes its snapshot, and we cannot read it.
    let mut failing = vec![broken.clone()];
    if stack.has("nfs1") {
        failing.push(witness.volume("nfs1", 1).await);
    }
    for bad in &failing {
        nova.set(SERVER, &demo.project, "ACTIVE", &[&good, bad]);
        for incremental in [true, false] {
            let path = created(&demo, "backup", incremental, SERVER);
            let backup = demo.over(&path).await;
            let members = members(&backup);
            let (whole, failed) = (member(&demo, &members[0].0), member(&demo, &members[1].0));
            assert_eq!(backup["status"], "error", "{backup}");
            assert!(backup["fail_reason"].as_str().unwrap().contains(&members[1].0), "{backup}");
            assert_eq!((&whole["status"], &whole["volume_id"]), (&json!("active"), &json!(good)), "{whole}");
            assert_eq!((&failed["status"], &failed["volume_id"]), (&json!("error"), &json!(bad)), "{failed}");
            assert!(failed["fail_reason"].is_string(), "{failed}");
            // Nothing but the base of the one that is whole.
            assert_eq!(bases(&witness, &demo, &members).await, usize::from(incremental));
            if incremental {
                demo.told(400, "POST", &format!("{path}/action"), &json!({ "update": {} }));
            } else {
                nothing_of(&stack, &place).await;
            }
            // What is whole comes back, what is not does not.
            let chosen =
                |at: usize| json!({ "restore": { "volume_backups": [{ "id": members[at].0, "volume_name": "saved" }] } });
            demo.told(409, "POST", &format!("{path}/action"), &chosen(1));
            if incremental {
                let made = demo.told(201, "POST", &format!("{path}/action"), &chosen(0));
                let made = made["volumes"][0]["id"].as_str().unwrap().to_owned();
                given_back(&witness, &made).await;
                assert_eq!(stack.digest(&stack.image(&made)).await, stack.digest(&stack.image(&good)).await);
                witness.remove(&format!("/volumes/{made}")).await;
            }
            removed(&demo, &path).await;
            nothing_of(&stack, &place).await;
        }
    }
    // Those that Cinder made go with the one that it did not.
    nova.set(SERVER, &demo.project, "ACTIVE", &[&good, &broken]);
    let path = created(&demo, "snapshot", false, SERVER);
    let snapshot = demo.over(&path).await;
    assert_eq!((&snapshot["status"], &snapshot["volume_snapshots"]), (&json!("error"), &json!([])), "{snapshot}");
    assert!(snapshot["fail_reason"].as_str().unwrap().contains(&broken), "{snapshot}");
    clean(&witness, &good).await;
    removed(&demo, &path).await;

    server.stop();
    for volume in failing.iter().chain([&good]) {
        witness.remove(&format!("/volumes/{volume}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_update_moves_every_member_and_cinder_has_one_base_of_each_and_none_after_the_end() {
    const SERVER: &str = "5e11e000-0000-4000-8000-000000000022";
    let Some(stack) = OpenStack::wanted().await else { return };
    let nova = Nova::start(&stack).await;
    let place = Place::new(&stack, "chain-limit: 3\n");
    let server = place.start();
    let witness = stack.as_demo().await;
    let demo = User::new(&stack, &server, "demo", "demo").await;
    let volumes = [witness.volume("rbd1", 1).await, witness.volume("rbd1", 1).await];
    let write = async |round: u64| {
        for (seed, volume) in (10 * round..).zip(&volumes) {
            stack.write(volume, &[(round << 24, &noise(seed, 300_000))]).await;
        }
    };
    write(0).await;
    nova.set(SERVER, &demo.project, "SHUTOFF", &[&volumes[0], &volumes[1]]);
    let path = created(&demo, "backup", true, SERVER);
    let members = members(&demo.active(&path).await);
    assert_eq!(members.iter().map(|(_, volume)| volume).collect::<Vec<_>>(), volumes.iter().collect::<Vec<_>>());
    assert_eq!(bases(&witness, &demo, &members).await, 2);
    let points = || members.iter().map(|(id, _)| member(&demo, id)).collect::<Vec<_>>();
    let action = format!("{path}/action");
    let update = json!({ "update": {} });

    // The fourth is a new chain.
    for (round, length) in [(1, 2), (2, 3), (3, 1)] {
        write(round).await;
        let before = points();
        demo.told(201, "POST", &action, &update);
        demo.active(&path).await;
        let after = points();
        assert_eq!(links(&after), [length, length], "{after:?}");
        assert!(before.iter().zip(&after).all(|(before, after)| before["snapshot_id"] != after["snapshot_id"]), "{after:?}");
        assert_eq!(bases(&witness, &demo, &members).await, 2);
    }

    // One does not move: the other does, and both have one base.
    reset(&stack, &volumes[1], "status", "error").await;
    let before = points();
    demo.told(201, "POST", &action, &update);
    let backup = demo.over(&path).await;
    assert_eq!(backup["status"], "error", "{backup}");
    assert!(backup["fail_reason"].as_str().unwrap().contains(&members[1].0), "{backup}");
    let after = points();
    assert_eq!((&after[0]["status"], &after[1]["status"]), (&json!("active"), &json!("error")), "{after:?}");
    assert_eq!((links(&after), &after[1]["snapshot_id"]), (vec![2, 1], &before[1]["snapshot_id"]), "{after:?}");
    assert_eq!(bases(&witness, &demo, &members).await, 2);
    reset(&stack, &volumes[1], "status", "available").await;

    // Nothing stays of it.
    removed(&demo, &path).await;
    for (id, volume) in &members {
        demo.told(404, "GET", &format!("/volume/backup/{id}"), &NOTHING);
        clean(&witness, volume).await;
    }
    nothing_of(&stack, &place).await;
    server.stop();
    for volume in volumes {
        witness.remove(&format!("/volumes/{volume}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_update_of_an_instance_that_was_killed_leaves_each_member_where_its_record_says() {
    const SERVER: &str = "5e11e000-0000-4000-8000-000000000024";
    let Some(stack) = OpenStack::wanted().await else { return };
    let nova = Nova::start(&stack).await;
    let (place, rbd) = Rbd::place(&stack, FILES, "");
    let server = place.start();
    let witness = stack.as_demo().await;
    let demo = User::new(&stack, &server, "demo", "demo").await;
    let volumes = [witness.volume("rbd1", 1).await, witness.volume("rbd1", 1).await];
    let write = async |round: u64| {
        for (seed, volume) in (10 * round..).zip(&volumes) {
            stack.write(volume, &[(round << 24, &noise(seed, 300_000))]).await;
        }
    };
    write(0).await;
    nova.set(SERVER, &demo.project, "SHUTOFF", &[&volumes[0], &volumes[1]]);
    let path = created(&demo, "backup", true, SERVER);
    let members = members(&demo.active(&path).await);
    let points = || members.iter().map(|(id, _)| member(&demo, id)).collect::<Vec<_>>();
    let before = points();
    let action = format!("{path}/action");
    let update = json!({ "update": {} });

    // Killed when one has moved and the other has not.
    write(1).await;
    rbd.hold(At::Before, Work::Export, &volumes[1]);
    demo.told(201, "POST", &action, &update);
    rbd.held(At::Before, Work::Export, &volumes[1]).await;
    until("the first has moved", async || member(&demo, &members[0].0)["status"] == "active").await;
    let moved = points();
    assert_eq!((links(&moved), &moved[1]["status"]), (vec![2, 1], &json!("updating")), "{moved:?}");
    server.kill();
    rbd.release(At::Before, Work::Export, &volumes[1]);
    let server = place.start();
    let backup = demo.over(&path).await;
    assert_eq!(backup["status"], "error", "{backup}");
    assert!(backup["fail_reason"].as_str().unwrap().contains("interrupted"), "{backup}");
    let after = points();
    assert_eq!((&after[0]["status"], &after[1]["status"]), (&json!("active"), &json!("error")), "{after:?}");
    assert_eq!(links(&after), [2, 1], "{after:?}");
    assert_eq!(after[1]["snapshot_id"], before[1]["snapshot_id"], "{after:?}");
    assert_eq!(bases(&witness, &demo, &members).await, 2);

    // It goes on where it was, and the newest point is whole.
    demo.told(201, "POST", &action, &update);
    demo.active(&path).await;
    let after = points();
    assert_eq!(links(&after), [3, 2], "{after:?}");
    assert_eq!(bases(&witness, &demo, &members).await, 2);
    let made = demo.told(201, "POST", &action, &json!({ "restore": {} }));
    for ((made, volume), point) in made["volumes"].as_array().unwrap().iter().zip(&volumes).zip(&after) {
        let made = made["id"].as_str().unwrap();
        given_back(&witness, made).await;
        let base = format!("{}@snapshot-{}", stack.image(volume), point["snapshot_id"].as_str().unwrap());
        assert_eq!(stack.digest(&stack.image(made)).await, stack.digest(&base).await);
        witness.remove(&format!("/volumes/{made}")).await;
    }

    // What the killed process had begun is in nobody's way.
    removed(&demo, &path).await;
    nothing_of(&stack, &place).await;
    server.stop();
    for volume in volumes {
        witness.remove(&format!("/volumes/{volume}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_volumes_of_an_instance_come_back_as_new_ones_and_go_back_to_an_instance_snapshot() {
    const SERVER: &str = "5e11e000-0000-4000-8000-000000000023";
    let Some(stack) = OpenStack::wanted().await else { return };
    let nova = Nova::start(&stack).await;
    let (place, rbd) = Rbd::place(&stack, FILES, "");
    let server = place.start();
    let witness = stack.as_demo().await;
    let demo = User::new(&stack, &server, "demo", "demo").await;
    let other = User::new(&stack, &server, "other", "other").await;
    let volumes = [witness.volume("rbd1", 1).await, witness.volume("rbd1", 1).await];
    witness.post(&format!("/volumes/{}/action", volumes[0]), json!({ "os-set_bootable": { "bootable": true } })).await;
    let mut attachments = Vec::new();
    for (seed, volume) in (1..).zip(&volumes) {
        stack.write(volume, &[(seed << 22, &noise(seed, 1 << 20))]).await;
        attachments.push(attached(&stack, volume, SERVER).await);
    }
    let digests = async || [stack.digest(&stack.image(&volumes[0])).await, stack.digest(&stack.image(&volumes[1])).await];
    let wanted = digests().await;
    nova.set(SERVER, &demo.project, "ACTIVE", &[&volumes[0], &volumes[1]]);

    // A backup, and volumes of all its members, or of one by another name.
    let path = created(&demo, "backup", false, SERVER);
    let members = members(&demo.active(&path).await);
    nothing_of(&stack, &place).await;
    let action = format!("{path}/action");
    let chosen = |id: &str| json!({ "restore": { "volume_backups": [{ "id": id, "volume_name": "chosen" }] } });
    other.told(404, "POST", &action, &json!({ "restore": {} }));
    demo.told(404, "POST", &action, &chosen(SERVER));
    let orders = [(json!({ "restore": {} }), 0..2, "of a test"), (chosen(&members[1].0), 1..2, "chosen")];
    let mut made = Vec::new();
    for (order, of, name) in orders {
        let answer = demo.told(201, "POST", &action, &order);
        let ids: Vec<&str> = answer["volumes"].as_array().unwrap().iter().map(|made| made["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), of.len(), "{answer}");
        made.extend(of.zip(ids).map(|(of, id)| (of, id.to_owned(), name)));
    }
    for (of, id, name) in made {
        let shown = given_back(&witness, &id).await;
        assert_eq!((&shown["name"], &shown["size"]), (&json!(name), &json!(1)), "{shown}");
        assert_eq!(shown["bootable"], if of == 0 { "true" } else { "false" }, "{shown}");
        assert_eq!(stack.digest(&stack.image(&id)).await, wanted[of], "{id}");
        witness.remove(&format!("/volumes/{id}")).await;
    }
    removed(&demo, &path).await;

    // A snapshot that is not the latest.
    let first = created(&demo, "snapshot", false, SERVER);
    demo.active(&first).await;
    for volume in &volumes {
        stack.write(volume, &[(4 << 20, b"later"), (800 << 20, &noise(9, 1 << 20))]).await;
    }
    let later = digests().await;
    let second = created(&demo, "snapshot", false, SERVER);
    demo.active(&second).await;
    let action = format!("/instance/{SERVER}/action");
    let back = |path: &str| json!({ "rollback": { "snapshot_id": path.rsplit_once('/').unwrap().1 } });
    assert_eq!(demo.told(409, "POST", &action, &back(&first))["message"], format!("Instance {SERVER} is not SHUTOFF!"));
    nova.set(SERVER, &demo.project, "SHUTOFF", &[&volumes[0], &volumes[1]]);
    demo.told(404, "POST", &action, &json!({ "rollback": { "snapshot_id": SERVER } }));
    other.told(404, "POST", &action, &back(&first));
    assert_eq!(digests().await, later);

    // One fails: the other goes back, the answer says it, and so does the volume.
    rbd.saw(Work::Rollback, &volumes[1]);
    let refused = demo.told(500, "POST", &action, &back(&first));
    assert!(refused["message"].as_str().unwrap().contains(&volumes[1]), "{refused}");
    rbd.mend(Work::Rollback, &volumes[1]);
    assert_eq!(digests().await, [wanted[0], later[1]]);
    let said = async |at: usize| volume_of(&witness, &volumes[at]).await["metadata"].clone();
    assert_eq!(said(0).await, json!({}));
    assert!(said(1).await["backup:failed"].as_str().unwrap().contains("not whole"), "{}", said(1).await);

    demo.told(201, "POST", &action, &back(&first));
    assert_eq!(digests().await, wanted);
    demo.told(201, "POST", &action, &back(&second));
    assert_eq!(digests().await, later);
    for volume in &volumes {
        let shown = volume_of(&witness, volume).await;
        assert_eq!((&shown["status"], &shown["metadata"]), (&json!("in-use"), &json!({})), "{shown}");
    }
    for path in [first, second] {
        removed(&demo, &path).await;
    }
    server.stop();
    for (volume, attachment) in volumes.iter().zip(attachments) {
        clean(&witness, volume).await;
        detached(&stack, &attachment).await;
        witness.until(&format!("/volumes/{volume}"), "available").await;
        witness.remove(&format!("/volumes/{volume}")).await;
    }
}
