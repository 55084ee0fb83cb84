//! Large objects, long listings, and what is left of writers that died, on a real Swift.
#![cfg(feature = "swift")]
#![allow(clippy::unwrap_used, reason = "test helpers stand outside of the test functions")]

#[path = "support/openstack.rs"]
mod openstack;

use std::process::Command;
use std::sync::Arc;

use backup_core::store::{ListOptions, PutOptions, ReadOptions, SweepOptions, WriteOptions};
use backup_core::testkit::SeededRandom;
use backup_core::{Bytes, ErrorKind, JobContext, KeyPrefix, ObjectKey, ObjectWriter, Store, StoreExt};
use backup_remote::http::http::Method;
use backup_remote::testkit::FaultyProxy;
use backup_stores::swift::SwiftStore;
use chrono::{TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt};
use openstack::{OpenStack, context, until};
use serde_json::json;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(name).unwrap()
}

fn data(seed: u64, count: usize) -> Bytes {
    SeededRandom::new(seed).bytes(count).into()
}

async fn open(store: &SwiftStore, cx: &JobContext, name: &str) -> Box<dyn ObjectWriter> {
    store.writer(cx, &key(name), WriteOptions::new(cx.job().clone())).await.unwrap()
}

async fn write(writer: &mut Box<dyn ObjectWriter>, bytes: &Bytes) {
    for piece in bytes.chunks(100_000) {
        writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_segments_than_a_manifest_takes_make_one_object() {
    let Some(openstack) = OpenStack::wanted().await else { return };
    let container = openstack.container("segments");
    let (cx, config) = (context(), openstack.config(&container).segment_size(Some(8 * KIB as u64)));
    let store = openstack.store(&config).await;
    let bytes = data(1, 1003 * 8 * KIB + 17);
    let mut writer = open(&store, &cx, "many segments").await;
    write(&mut writer, &bytes).await;
    let meta = writer.finish().await.unwrap();
    assert_eq!(meta.size, bytes.len() as u64);

    let got = store.get(&cx, &key("many segments"), u64::MAX).await.unwrap();
    assert!(got == bytes, "other bytes came back");
    // A range across the border of two inner manifests.
    let range = 1000 * 8 * KIB as u64 - 5..1000 * 8 * KIB as u64 + 5;
    let read = store.read(&cx, &key("many segments"), ReadOptions::range(range.clone())).await.unwrap();
    let pieces: Vec<Bytes> = read.body.try_collect().await.unwrap();
    assert_eq!(pieces.concat(), bytes[range.start as usize..range.end as usize]);
    let listed = store.list_all(&cx, &KeyPrefix::root()).await.unwrap();
    assert_eq!(
        listed.iter().map(|meta| meta.size).collect::<Vec<_>>(),
        [bytes.len() as u64],
        "a listing tells the object's size"
    );

    let report = store.delete(&cx, &[key("many segments")]).await.unwrap();
    assert!(report.failed.is_empty(), "{report:?}");
    let left = openstack.objects(&format!("{container}_segments")).await;
    assert!(left.is_empty(), "{} segments stay after the delete, among them {:?}", left.len(), left.first());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swifts_own_client_restores_what_the_store_wrote() {
    let Some(openstack) = OpenStack::wanted().await else { return };
    let container = openstack.container("client");
    let store = openstack.store(&openstack.config(&container).prefix("p").segment_size(Some(MIB as u64))).await;
    let (cx, bytes) = (context(), data(2, 3 * MIB + 1));
    let mut writer = open(&store, &cx, "set/a+b c%.db").await;
    write(&mut writer, &bytes).await;
    writer.finish().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("out");
    let output = openstack.client(&["download", &container, "p/set/a+b c%.db", "--output", file.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    assert!(std::fs::read(file).unwrap() == bytes, "the client got other bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_dies_in_the_middle_of_an_upload_is_renewed() {
    let Some(openstack) = OpenStack::wanted().await else { return };
    let (container, cx) = (openstack.container("expiring"), context());
    // A user of the test's own, all of whose tokens can be revoked.
    let name = openstack.container("user");
    let projects = openstack.administer(Method::GET, "/projects?name=demo", None).await.json();
    let project = projects["projects"][0]["id"].as_str().unwrap().to_owned();
    let roles = openstack.administer(Method::GET, "/roles?name=member", None).await.json();
    let role = roles["roles"][0]["id"].as_str().unwrap().to_owned();
    let user = json!({ "user": { "name": name, "password": "hush-7319", "domain_id": "default" } });
    let user = openstack.administer(Method::POST, "/users", Some(user)).await.json();
    let user = user["user"]["id"].as_str().unwrap().to_owned();
    openstack.administer(Method::PUT, &format!("/projects/{project}/users/{user}/roles/{role}"), None).await;

    let mut config = openstack.config(&container).segment_size(Some(2 * MIB as u64));
    config.username = Some(name);
    let keystone = FaultyProxy::http(config.auth_url.trim_end_matches("/v3")).await;
    config.auth_url = keystone.url();
    let store = openstack.store(&config).await;
    let bytes = data(3, 64 * MIB);
    let mut writer = open(&store, &cx, "big").await;
    write(&mut writer, &bytes.slice(..33 * MIB)).await;
    let parts = format!("{container}_segments");
    until("16 segments are stored", async || openstack.names(&parts, ".backup/tmp/parts/").await.len() == 16).await;

    for enabled in [false, true] {
        let change = json!({ "user": { "enabled": enabled } });
        let answer = openstack.administer(Method::PATCH, &format!("/users/{user}"), Some(change)).await;
        assert!(answer.status.is_success(), "{answer:?}");
        // Keystone counts in seconds: a token of the same second would be revoked too.
        let second = Utc::now().timestamp();
        until("the next second", async || Utc::now().timestamp() > second + 1).await;
    }
    // Longer than Swift believes in a token without asking.
    let asked = Utc::now();
    until("Swift asks again", async || Utc::now() - asked > TimeDelta::seconds(3)).await;
    assert_eq!(keystone.count("POST", "/auth/tokens"), 1);
    write(&mut writer, &bytes.slice(33 * MIB..)).await;
    writer.finish().await.unwrap();
    assert_eq!(keystone.count("POST", "/auth/tokens"), 2, "the token did not die, or was renewed more than once");
    assert!(store.get(&cx, &key("big"), u64::MAX).await.unwrap() == bytes, "other bytes came back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_removes_orphans_and_leaves_segments_that_an_object_names() {
    let Some(openstack) = OpenStack::wanted().await else { return };
    let container = openstack.container("sweep");
    let segments = format!("{container}_segments");
    let store = openstack.store(&openstack.config(&container).prefix("p").segment_size(Some(64 * KIB as u64))).await;
    let (cx, bytes) = (context(), data(4, 300 * KIB));
    let later = Utc::now() + TimeDelta::hours(1);

    // Finished, but the writer died before it removed its record: put back as it was.
    let mut writer = open(&store, &cx, "finished").await;
    write(&mut writer, &bytes).await;
    let records = openstack.names(&segments, "p/.backup/tmp/open/").await;
    let record = format!("/{segments}/{}", records[0]);
    let text = openstack.raw(Method::GET, &record, &[], "").await.body;
    writer.finish().await.unwrap();
    assert!(openstack.names(&segments, "p/.backup/tmp/open/").await.is_empty());
    assert!(openstack.raw(Method::PUT, &record, &[], text).await.status.is_success());
    // Never finished.
    let (dead, alive) = (context(), context());
    let mut writer = open(&store, &dead, "dead").await;
    write(&mut writer, &bytes).await;
    drop(writer);
    let mut living = open(&store, &alive, "living").await;
    write(&mut living, &bytes).await;
    // Somebody else's.
    for name in ["p/.backup/tmp/open/theirs", "p/.backup/tmp/parts/theirs/00000000", "elsewhere"] {
        assert!(openstack.raw(Method::PUT, &format!("/{segments}/{name}"), &[], "x").await.status.is_success());
    }
    // The dropped writer's segments come to their end by themselves.
    until("all segments of the dead writer", async || {
        openstack.names(&segments, "p/.backup/tmp/parts/").await.len() == 5 + 4 + 4 + 1
    })
    .await;

    let young = store.sweep(&cx, SweepOptions::new(Utc::now() - TimeDelta::hours(1), vec![])).await.unwrap();
    assert_eq!((young.removed, young.failed.len()), (0, 0), "what is young stays");
    let report = store.sweep(&cx, SweepOptions::new(later, vec![alive.job().clone()])).await.unwrap();
    assert_eq!((report.removed, report.failed.len()), (1, 0), "{report:?}");
    let left = openstack.names(&segments, "").await;
    assert_eq!(left.iter().filter(|name| name.contains("/parts/")).count(), 5 + 4 + 1, "{left:?}");
    assert!(store.get(&cx, &key("finished"), u64::MAX).await.unwrap() == bytes, "a sweep damaged an object");
    living.finish().await.unwrap();
    assert!(store.get(&cx, &key("living"), u64::MAX).await.unwrap() == bytes, "a sweep hit a living writer");

    // Marks go when they are old, and nothing of ours is left then but the two objects' segments.
    store.sweep(&cx, SweepOptions::new(later, vec![])).await.unwrap();
    let left = openstack.names(&segments, "p/.backup/tmp/").await;
    assert_eq!(left.iter().filter(|name| !name.contains("/parts/")).collect::<Vec<_>>(), ["p/.backup/tmp/open/theirs"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_was_swept_while_it_lived_makes_no_object() {
    let Some(openstack) = OpenStack::wanted().await else { return };
    let container = openstack.container("zombie");
    let segments = format!("{container}_segments");
    let store = openstack.store(&openstack.config(&container).segment_size(Some(64 * KIB as u64))).await;
    let (cx, bytes) = (context(), data(5, 300 * KIB));
    let sweep = async || store.sweep(&cx, SweepOptions::new(Utc::now() + TimeDelta::hours(1), vec![])).await.unwrap();

    let mut writer = open(&store, &cx, "zombie").await;
    write(&mut writer, &bytes).await;
    until("the segments", async || openstack.names(&segments, ".backup/tmp/parts/").await.len() == 4).await;
    assert_eq!(sweep().await.removed, 1);
    writer.finish().await.unwrap_err();
    assert_eq!(store.head(&cx, &key("zombie")).await.unwrap_err().kind(), ErrorKind::NotFound);
    sweep().await;
    let left = openstack.names(&segments, "").await;
    assert!(left.is_empty(), "what came after the sweep stays: {left:?}");

    // A sweep that has only just begun: it made its mark, and has not looked for the object yet.
    let mut writer = open(&store, &cx, "marked").await;
    write(&mut writer, &bytes).await;
    let record = openstack.names(&segments, ".backup/tmp/open/").await.remove(0);
    let mark = record.replace("/open/", "/swept/");
    assert!(openstack.raw(Method::PUT, &format!("/{segments}/{mark}"), &[], "x").await.status.is_success());
    let error = writer.finish().await.unwrap_err();
    assert_eq!(error.code().name, "swift.swept", "{error}");
    assert_eq!(store.head(&cx, &key("marked")).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_racing_creators_the_object_is_one_winners_and_a_loser_changed_nothing() {
    let Some(openstack) = OpenStack::wanted().await else { return };
    let container = openstack.container("race");
    let store = Arc::new(openstack.store(&openstack.config(&container).segment_size(Some(64 * KIB as u64))).await);
    assert!(!store.capabilities().conditional_create, "Swift decides no races, and the store does not claim it");
    let racers = (0..8).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let (cx, bytes) = (context(), data(number, 200 * KIB));
            let mut writer = open(&store, &cx, "race").await;
            write(&mut writer, &bytes).await;
            writer.finish().await.map(|_| bytes)
        })
    });
    let answers: Vec<_> = futures::future::join_all(racers).await.into_iter().map(Result::unwrap).collect();
    let there = store.get(&context(), &key("race"), u64::MAX).await.unwrap();
    assert!(answers.iter().flatten().any(|bytes| *bytes == there), "the object is none of those who were told that it is theirs");
    for error in answers.into_iter().filter_map(Result::err) {
        assert_eq!((error.code().name, error.effect()), ("store.exists", backup_core::Effect::None), "{error}");
    }
    let late = store.put(&context(), &key("race"), "late".into(), PutOptions::if_absent()).await.unwrap_err();
    assert_eq!(late.code().name, "store.exists", "who comes later never replaces it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_container_is_no_space_and_a_foreign_one_is_denied() {
    let Some(openstack) = OpenStack::wanted().await else { return };
    let (container, cx) = (openstack.container("quota"), context());
    let store = openstack.store(&openstack.config(&container)).await;
    let quota = [("x-container-meta-quota-bytes", "1000")];
    assert!(openstack.raw(Method::POST, &format!("/{container}"), &quota, "").await.status.is_success());
    let error = store.put(&cx, &key("big"), data(6, 2000), PutOptions::if_absent()).await.unwrap_err();
    assert_eq!((error.code().name, error.effect()), ("store.no_space", backup_core::Effect::None), "{error}");
    let mut config = openstack.config(&container);
    (config.username, config.project) = (Some("other".into()), Some("other".into()));
    let read_only = backup_stores::OpenOptions::default().read_only(true);
    let error = SwiftStore::open(&cx, &config, &read_only).await.unwrap_err();
    assert_eq!(error.code().name, "swift.no_container", "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twelve_thousand_objects_are_listed_whole_and_in_order() {
    const COUNT: usize = 12_000;
    let Some(openstack) = OpenStack::wanted().await else { return };
    let (container, cx) = (openstack.container("listing"), context());
    let store = openstack.store(&openstack.config(&container).prefix("p")).await;
    let mut names: Vec<String> = (0..COUNT).map(|n| format!("set/{:x}/{n}+%é", n * 7919 % 4096)).collect();
    if std::env::var_os("BACKUP_TEST_LONG").is_some() {
        let puts = futures::stream::iter(names.clone()).map(|name| {
            let (store, cx) = (store.clone(), cx.clone());
            async move { store.put(&cx, &key(&name), "x".into(), PutOptions::if_absent()).await.map(drop) }
        });
        puts.buffer_unordered(16).try_collect::<Vec<()>>().await.unwrap();
    } else {
        insert(&container, &names).await;
    }
    names.sort_unstable();
    let listed = store.list_all(&cx, &KeyPrefix::root()).await.unwrap();
    let got: Vec<_> = listed.iter().map(|meta| meta.key.as_str()).collect();
    assert!(got == names, "{} of {COUNT} names came, or in another order", got.len());
    let rest = store.list(&cx, &KeyPrefix::root(), ListOptions::start_after(key(&names[COUNT - 3])));
    assert_eq!(rest.try_collect::<Vec<_>>().await.unwrap().len(), 2);
}

/// Makes lines in the container's database, as Swift's object servers would have it made: putting so many objects takes minutes.
async fn insert(container: &str, names: &[String]) {
    const SCRIPT: &str = r#"
import glob, sys, time
from swift.container.backend import ContainerBroker
base, container = sys.argv[1:]
for path in glob.glob(base + "/swift/srv/d1/containers/*/*/*/*.db"):
    broker = ContainerBroker(path)
    if broker.get_info()["container"] == container:
        now = "%.5f" % time.time()
        broker.merge_items([{"name": "p/" + name, "created_at": now, "size": 1, "content_type": "a/b", "etag": "x", "deleted": 0,
            "storage_policy_index": 0, "ctype_timestamp": None, "meta_timestamp": None} for name in sys.stdin.read().split("\n")])
        sys.exit(0)
sys.exit("no such container")
"#;
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("names");
    std::fs::write(&list, names.join("\n")).unwrap();
    let mut command = Command::new("/usr/bin/python3");
    command.env_clear().env("LANG", "C.UTF-8").args(["-c", SCRIPT]).arg(openstack::base()).arg(container);
    let output = command.stdin(std::fs::File::open(list).unwrap()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
