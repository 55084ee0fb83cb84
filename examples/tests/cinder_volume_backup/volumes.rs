//! Volume backups, volumes made of them, and rollbacks.

use backup_core::testkit::test_context;
use backup_core::{Environment, Secret};
use backup_remote::http::http::Method;
use backup_remote::http::{Http, HttpOptions};
use backup_remote::keystone::{Interface, Keystone};
use backup_remote::{CallLimits, Calls};
use backup_sources::cinder::{Caller, Cinder, CinderConfig};
use serde_json::{Value, json};

use crate::nova::Nova;
use crate::openstack::{OpenStack, Witness, id_of};
use crate::server::{Place, User, until};

const SERVER: &str = "5e11e000-0000-4000-8000-000000000001";
const NOBODY: &str = "00000000-0000-4000-8000-00000000dead";
const NOTHING: Value = Value::Null;

/// The snapshots that Cinder has of a volume.
pub async fn snapshots(witness: &Witness, volume: &str) -> Vec<String> {
    let (_, listed) = witness.call(Method::GET, &format!("/snapshots/detail?volume_id={volume}"), None).await;
    listed["snapshots"].as_array().unwrap().iter().map(|snapshot| snapshot["id"].as_str().unwrap().to_owned()).collect()
}

/// Waits until nothing temporary of a server is at Cinder.
pub async fn clean(witness: &Witness, volume: &str) {
    until("no snapshot is left at Cinder", async || snapshots(witness, volume).await.is_empty()).await;
}

/// Attaches a volume to an instance, as Nova does.
pub async fn attached(stack: &OpenStack, volume: &str, server: &str) -> String {
    let admin = stack.as_admin().await;
    let connector = json!({ "host": "of-a-test", "ip": "127.0.0.1", "os_type": "linux", "platform": "x86_64", "multipath": false, "do_local_attach": false });
    let order = json!({ "attachment": { "volume_uuid": volume, "instance_uuid": server, "connector": connector } });
    let attachment = id_of(&admin.post("/attachments", order).await);
    admin.post(&format!("/attachments/{attachment}/action"), json!({ "os-complete": {} })).await;
    admin.until(&format!("/volumes/{volume}"), "in-use").await;
    attachment
}

/// Ends an attachment to an instance, as a service: of anybody else Cinder asks Nova first.
pub async fn detached(stack: &OpenStack, attachment: &str) {
    let cx = test_context(&Environment::default());
    let http = Http::new(Calls::new("test", CallLimits::default()), &HttpOptions::default()).unwrap();
    let token = Keystone::new(http, stack.keystone("demo", "demo")).unwrap().token(&cx).await.unwrap();
    let caller = Caller {
        token: Secret::from(token.header().to_str().unwrap()),
        project_id: token.project_id().unwrap().to_owned(),
        endpoint: token.catalogue().endpoint(&["volumev3"], Interface::Public, Some("RegionOne")).unwrap().to_owned(),
    };
    let cinder = Cinder::new(CinderConfig::new(stack.keystone("backup", "service"))).unwrap();
    assert!(cinder.for_caller(caller).unwrap().delete_attachment(&cx, attachment).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_is_its_projects_own_and_leaves_nothing_at_cinder() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let server = Place::new(&stack, "");
    let server = server.start();
    let witness = stack.as_demo().await;
    let volume = witness.volume("rbd1", 1).await;
    stack.write(&volume, &[(0, b"first"), (300 << 20, b"second")]).await;
    let demo = User::new(&stack, &server, "demo", "demo").await;
    let other = User::new(&stack, &server, "other", "other").await;
    let admin = User::new(&stack, &server, "admin", "admin").await;

    // What is refused.
    let order = json!({ "backup": { "name": "of-a-test", "volume_id": volume } });
    let nobody = User { token: String::new(), project: String::new(), ..User::new(&stack, &server, "demo", "demo").await };
    assert_eq!(nobody.told(401, "POST", "/volume/backup", &order)["message"], "Auth token is missing!");
    let nobody = User { token: "nonsense".to_owned(), ..nobody };
    assert_eq!(nobody.told(401, "POST", "/volume/backup", &order)["message"], "Token validation failed!");
    demo.told(422, "POST", "/volume/backup", &json!({ "backup": { "name": "x" } }));
    demo.told(400, "POST", "/volume/backup", &json!({ "backup": { "name": "a b", "volume_id": volume } }));
    demo.told(404, "POST", "/volume/backup", &json!({ "backup": { "name": "x", "volume_id": NOBODY } }));
    demo.told(404, "POST", "/volume/backup", &json!({ "backup": { "name": "x", "volume_id": "../../volumes" } }));
    other.told(404, "POST", "/volume/backup", &order);
    demo.told(403, "POST", "/volume/backup", &json!({ "backup": { "name": "x", "volume_id": volume, "source_zone": "z" } }));

    let id = demo.back_up(&volume, false);
    let path = format!("/volume/backup/{id}");
    let backup = demo.active(&path).await;
    assert_eq!((&backup["volume_id"], &backup["size"], &backup["incremental"]), (&json!(volume), &json!(1), &json!(false)));
    assert_eq!((&backup["project_id"], &backup["snapshot_id"]), (&json!(demo.project), &json!("")), "{backup}");
    clean(&witness, &volume).await;

    // Who sees it.
    let ids = |user: &User, query: &str| -> Vec<Value> {
        let listed = user.told(200, "GET", &format!("/volume/backup{query}"), &NOTHING);
        listed["backups"].as_array().unwrap().iter().map(|backup| backup["id"].clone()).collect()
    };
    assert_eq!(ids(&demo, ""), [json!(id)]);
    assert_eq!(ids(&demo, "?name=another"), Vec::<Value>::new());
    assert_eq!((ids(&other, ""), ids(&other, "?all_projects=true")), (vec![], vec![]));
    assert_eq!((ids(&admin, "").len(), ids(&admin, "?all_projects=true").len()), (0, 1));
    for (method, body) in [("GET", NOTHING), ("PUT", json!({ "backup": {} })), ("DELETE", NOTHING)] {
        other.told(404, method, &path, &body);
    }
    other.told(404, "POST", &format!("{path}/action"), &json!({ "update": {} }));
    admin.told(200, "GET", &path, &NOTHING);

    // What may be changed.
    demo.told(200, "PUT", &path, &json!({ "backup": { "name": "renamed" } }));
    assert_eq!(demo.shown(&path)["name"], "renamed");
    demo.told(403, "PUT", &path, &json!({ "backup": { "status": "error" } }));
    demo.told(400, "POST", &format!("{path}/action"), &json!({ "update": {} }));

    demo.told(201, "DELETE", &path, &NOTHING);
    demo.gone(&path).await;
    assert!(server.get("/healthz").text().contains("ok") || server.get("/healthz").status == 200);
    let said = server.said();
    assert!(!said.contains(&demo.token) && !said.contains(stack.password()), "{said}");
    server.stop();
    witness.remove(&format!("/volumes/{volume}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_incremental_backup_moves_on_and_keeps_one_base_at_cinder_and_comes_back_whole() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let server = Place::new(&stack, "chain-limit: 2\n");
    let server = server.start();
    let witness = stack.as_demo().await;
    let volume = witness.volume("rbd1", 1).await;
    witness.post(&format!("/volumes/{volume}/action"), json!({ "os-set_bootable": { "bootable": true } })).await;
    stack.write(&volume, &[(0, b"boot"), (700 << 20, &[7; 100_000])]).await;
    let attachment = attached(&stack, &volume, SERVER).await;
    let demo = User::new(&stack, &server, "demo", "demo").await;

    let id = demo.back_up(&volume, true);
    let path = format!("/volume/backup/{id}");
    let backup = demo.active(&path).await;
    assert_eq!(backup["property"], "bootable=true");
    let mut base = backup["snapshot_id"].as_str().unwrap().to_owned();
    assert_eq!(snapshots(&witness, &volume).await, [base.clone()]);
    let order = json!({ "backup": { "name": "second", "volume_id": volume, "incremental": true } });
    let refused = demo.told(409, "POST", "/volume/backup", &order);
    assert!(refused["message"].as_str().unwrap().contains("of-a-test"), "{refused}");

    // The third begins a new chain.
    for round in 1..=3_u64 {
        stack.write(&volume, &[(round << 20, format!("round {round}").as_bytes())]).await;
        demo.told(201, "POST", &format!("{path}/action"), &json!({ "update": {} }));
        let backup = demo.active(&path).await;
        let next = backup["snapshot_id"].as_str().unwrap().to_owned();
        assert!(next != base && backup["time_update"].is_string(), "{backup}");
        base = next;
        let only = base.clone();
        until("the earlier base is gone", async || snapshots(&witness, &volume).await == [only.clone()]).await;
    }

    // A new volume has what the base has.
    let wanted = stack.digest(&format!("{}@snapshot-{base}", stack.image(&volume))).await;
    let order = json!({ "volume": { "backup_id": id, "name": "made-of-a-backup", "size": 2, "metadata": { "a": "b" } } });
    let made = demo.told(201, "POST", "/volume", &order)["volume"]["id"].as_str().unwrap().to_owned();
    let marked = async || !witness.get(&format!("/volumes/{made}")).await.unwrap().to_string().contains("backup:role");
    until("the volume is given back", marked).await;
    let shown = witness.until(&format!("/volumes/{made}"), "available").await;
    assert_eq!((&shown["name"], &shown["bootable"], &shown["size"]), (&json!("made-of-a-backup"), &json!("true"), &json!(2)));
    assert_eq!(shown["metadata"]["a"], "b", "{shown}");
    stack.rbd(&["resize", "--no-progress", "--allow-shrink", "--size", "1G", &stack.image(&made)]).await;
    assert_eq!(stack.digest(&stack.image(&made)).await, wanted);
    stack.rbd(&["resize", "--no-progress", "--size", "2G", &stack.image(&made)]).await;
    witness.remove(&format!("/volumes/{made}")).await;
    demo.told(400, "POST", "/volume", &json!({ "volume": { "backup_id": id, "volume_type": "none-such" } }));
    demo.told(404, "POST", "/volume", &json!({ "volume": { "backup_id": NOBODY } }));

    demo.told(201, "DELETE", &path, &NOTHING);
    demo.told(201, "DELETE", &path, &NOTHING);
    demo.gone(&path).await;
    clean(&witness, &volume).await;
    server.stop();
    detached(&stack, &attachment).await;
    witness.call(Method::DELETE, &format!("/volumes/{volume}"), None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_volume_goes_back_to_any_of_its_snapshots_while_its_instance_is_off() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let nova = Nova::start(&stack).await;
    let place = Place::new(&stack, "");
    let server = place.start();
    let witness = stack.as_demo().await;
    let volume = witness.volume("rbd1", 1).await;
    let demo = User::new(&stack, &server, "demo", "demo").await;
    let other = User::new(&stack, &server, "other", "other").await;
    stack.write(&volume, &[(0, b"first"), (5 << 20, &[1; 5000])]).await;
    let first = witness.snapshot(&volume).await;
    let wanted = stack.digest(&format!("{}@snapshot-{first}", stack.image(&volume))).await;
    stack.write(&volume, &[(0, b"later"), (900 << 20, &[2; 5000])]).await;
    let second = witness.snapshot(&volume).await;
    stack.write(&volume, &[(0, b"now..")]).await;

    let path = format!("/volume/{volume}/action");
    let back = json!({ "rollback": { "snapshot_id": first } });
    nova.set(SERVER, &demo.project, "ACTIVE", &[&volume]);
    let attachment = attached(&stack, &volume, SERVER).await;
    let refused = demo.told(409, "POST", &path, &back);
    assert_eq!(refused["message"], format!("Instance {SERVER} is not SHUTOFF!"));
    other.told(404, "POST", &path, &back);
    demo.told(404, "POST", &format!("/volume/{NOBODY}/action"), &back);
    demo.told(422, "POST", &path, &json!({ "rollback": {} }));

    nova.set(SERVER, &demo.project, "SHUTOFF", &[&volume]);
    demo.told(404, "POST", &path, &json!({ "rollback": { "snapshot_id": NOBODY } }));
    demo.told(201, "POST", &path, &back);
    assert_eq!(stack.digest(&stack.image(&volume)).await, wanted);
    let shown = witness.get(&format!("/volumes/{volume}")).await.unwrap();
    assert!(shown["status"] == "in-use" && !shown.to_string().contains("backup:"), "{shown}");

    // A snapshot of another volume.
    let another = witness.volume("rbd1", 1).await;
    let of_another = witness.snapshot(&another).await;
    demo.told(404, "POST", &path, &json!({ "rollback": { "snapshot_id": of_another } }));
    // The other one is still there, and can be gone back to.
    demo.told(201, "POST", &path, &json!({ "rollback": { "snapshot_id": second } }));

    server.stop();
    detached(&stack, &attachment).await;
    for volume in [volume, another] {
        witness.call(Method::DELETE, &format!("/volumes/{volume}?cascade=true"), None).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_that_was_killed_ends_in_error_and_leaves_nothing_at_cinder() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let place = Place::new(&stack, "");
    let server = place.start();
    let witness = stack.as_demo().await;
    let volume = witness.volume("rbd1", 1).await;
    stack.write(&volume, &[(0, &vec![3; 64 << 20])]).await;
    let demo = User::new(&stack, &server, "demo", "demo").await;
    let id = demo.back_up(&volume, true);
    until("its snapshot is at Cinder", async || !snapshots(&witness, &volume).await.is_empty()).await;
    server.kill();

    let server = place.start();
    let path = format!("/volume/backup/{id}");
    let backup = demo.over(&path).await;
    // It may just have been published.
    if backup["status"] == "error" {
        assert!(backup["fail_reason"].as_str().unwrap().contains("interrupted"), "{backup}");
        clean(&witness, &volume).await;
        // One in error does not count.
        let again = demo.back_up(&volume, true);
        demo.active(&format!("/volume/backup/{again}")).await;
        demo.told(201, "DELETE", &format!("/volume/backup/{again}"), &NOTHING);
        demo.gone(&format!("/volume/backup/{again}")).await;
    }
    demo.told(201, "DELETE", &path, &NOTHING);
    demo.gone(&path).await;
    clean(&witness, &volume).await;
    server.stop();
    witness.remove(&format!("/volumes/{volume}")).await;
}
