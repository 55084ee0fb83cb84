//! How much a project may have, also when many ask at once.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::http::Answer;
use crate::nova::Nova;
use crate::openstack::OpenStack;
use crate::proxied::Region;
use crate::server::{Place, User};

const SERVER: &str = "5e11e000-0000-4000-8000-000000000004";
const NOTHING: Value = Value::Null;

/// Asked all at once.
async fn at_once(user: &User, count: usize, order: impl Fn(usize) -> Value) -> Vec<Answer> {
    let asked = (0..count).map(|number| user.asking("POST", "/volume/backup".to_owned(), order(number)));
    join_all(asked.collect::<Vec<_>>()).await.into_iter().map(|answer| answer.unwrap().unwrap()).collect()
}

fn with_status(answers: &[Answer], status: u16) -> Vec<&Answer> {
    answers.iter().filter(|answer| answer.status == status).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_at_once_never_exceed_a_limit_together() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let place = Place::new(&stack, "quotas: { volume-backups: 3, instance-backups: 0, instance-snapshots: 0 }\n");
    let server = place.start();
    let witness = stack.as_demo().await;
    let volume = witness.volume("rbd1", 1).await;
    let demo = User::new(&stack, &server, "demo", "demo").await;
    let other = User::new(&stack, &server, "other", "other").await;

    let answers = at_once(&demo, 20, |_| json!({ "backup": { "name": "b", "volume_id": volume } })).await;
    assert_eq!((with_status(&answers, 201).len(), with_status(&answers, 403).len()), (3, 17), "{answers:?}");
    for refused in with_status(&answers, 403) {
        assert_eq!(refused.json(), json!({ "message": "Volume backup 3 reach the limit 3!" }));
    }
    let listed = demo.told(200, "GET", "/volume/backup", &NOTHING)["backups"].as_array().unwrap().clone();
    assert_eq!(listed.len(), 3, "{listed:?}");
    // Each project has its own.
    let elsewhere = stack.as_other().await.volume("rbd1", 1).await;
    let theirs = other.back_up(&elsewhere, false);
    // What is removed makes room.
    let path = format!("/volume/backup/{}", listed[0]["id"].as_str().unwrap());
    demo.told(201, "DELETE", &path, &NOTHING);
    demo.gone(&path).await;
    let another = demo.back_up(&volume, false);
    for backup in listed[1..].iter().map(|backup| backup["id"].as_str().unwrap()).chain([another.as_str()]) {
        demo.active(&format!("/volume/backup/{backup}")).await;
    }
    other.active(&format!("/volume/backup/{theirs}")).await;
    server.stop();
    witness.remove(&format!("/volumes/{volume}")).await;
    stack.as_other().await.remove(&format!("/volumes/{elsewhere}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_keystone_allows_wins_over_the_configuration() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let mut region = Region::new().await;
    let _cinder = region.proxy("volumev3").await;
    let server = Place::new(&stack, "quotas: { volume-backups: 1000 }\n").region(&region.name);
    let server = server.start();
    let demo = User::new(&stack, &server, "demo", "demo").await;
    let other = User::new(&stack, &server, "other", "other").await;
    let order = |volume: &str| json!({ "backup": { "name": "b", "volume_id": volume } });
    let (ours, theirs) = (stack.as_demo().await, stack.as_other().await);
    let (volume, elsewhere) = (ours.volume("rbd1", 1).await, theirs.volume("rbd1", 1).await);

    region.limit("volume_backup_total", 0, &[(&demo.project, 1)]).await;
    let first = demo.told(201, "POST", "/volume/backup", &order(&volume));
    let refused = demo.told(403, "POST", "/volume/backup", &order(&volume));
    assert_eq!(refused, json!({ "message": "Volume backup 1 reach the limit 1!" }));
    let refused = other.told(403, "POST", "/volume/backup", &order(&elsewhere));
    assert_eq!(refused, json!({ "message": "Volume backup 0 reach the limit 0!" }), "that of every project");
    demo.active(&format!("/volume/backup/{}", first["backup"]["id"].as_str().unwrap())).await;
    server.stop();
    ours.remove(&format!("/volumes/{volume}")).await;
    theirs.remove(&format!("/volumes/{elsewhere}")).await;
    region.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_volume_has_one_incremental_backup_whoever_asks_first() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let place = Place::new(&stack, "");
    let server = place.start();
    let witness = stack.as_demo().await;
    let volume = witness.volume("rbd1", 1).await;
    let demo = User::new(&stack, &server, "demo", "demo").await;
    let order = |number| json!({ "backup": { "name": format!("b-{number}"), "volume_id": volume, "incremental": true } });
    let answers = at_once(&demo, 2, order).await;
    let (taken, refused) = (with_status(&answers, 201), with_status(&answers, 409));
    assert_eq!((taken.len(), refused.len()), (1, 1), "{answers:?}");
    let path = format!("/volume/backup/{}", taken[0].json()["backup"]["id"].as_str().unwrap());
    let name = demo.active(&path).await["name"].as_str().unwrap().to_owned();
    assert_eq!(refused[0].json(), json!({ "message": format!("Incremental backup {name} is on this volume.") }));

    // Of two updates at once one is refused, too.
    let action = format!("{path}/action");
    let update = || demo.asking("POST", action.clone(), json!({ "update": {} }));
    let (one, two) = tokio::join!(update(), update());
    let mut statuses = [one, two].map(|answer| answer.unwrap().unwrap().status);
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    demo.active(&path).await;
    demo.told(201, "DELETE", &path, &NOTHING);
    demo.gone(&path).await;
    server.stop();
    witness.remove(&format!("/volumes/{volume}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn instances_have_limits_too_and_count_their_volumes() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let mut region = Region::new().await;
    let (_cinder, nova) = (region.proxy("volumev3").await, Nova::within(&stack, &mut region).await);
    let witness = stack.as_demo().await;
    let volumes = [witness.volume("rbd1", 1).await, witness.volume("rbd1", 1).await];
    let attached: Vec<&str> = volumes.iter().map(String::as_str).collect();
    for (limits, what, refusal) in [
        ("instance-snapshots: 0", "snapshot", "Instance snapshot 0 reach the limit 0!"),
        ("instance-backups: 0", "backup", "Instance backup 0 reach the limit 0!"),
        ("volume-backups: 1", "backup", "Volume backup 0 reach the limit 1!"),
    ] {
        let place = Place::new(&stack, &format!("quotas: {{ {limits} }}\n")).region(&region.name);
        let server = place.start();
        let demo = User::new(&stack, &server, "demo", "demo").await;
        nova.set(SERVER, &demo.project, "ACTIVE", &attached);
        let order = json!({ what: { "name": "b", "instance_id": SERVER } });
        let refused = demo.told(403, "POST", &format!("/instance/{what}"), &order);
        assert_eq!(refused, json!({ "message": refusal }), "{limits}");
        assert_eq!(demo.told(200, "GET", "/volume/backup", &NOTHING), json!({ "backups": [] }));
        server.stop();
    }
    for volume in volumes {
        witness.remove(&format!("/volumes/{volume}")).await;
    }
    region.remove().await;
}
