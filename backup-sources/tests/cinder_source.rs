//! Volumes of a real Cinder, on Ceph and on NFS: backed up by us, restored by Cinder and by us.
#![cfg(feature = "cinder")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::sync::Arc;

use backup_core::store::NativePlace;
use backup_core::testkit::{MemoryReader, RecordedArtifact, RecordingSink, SeededRandom, test_context};
use backup_core::{Digest, Environment, JobContext, RestoreTarget, Source, Summary};
use backup_remote::http::http::{Method, Request};
use backup_remote::http::{Http, HttpOptions};
use backup_remote::keystone::Keystone;
use backup_remote::{Call, CallLimits, Calls, Repeat};
use backup_sources::cinder::access::{AccessConfig, NfsConfig, RbdConfig, VolumeAccess};
use backup_sources::cinder::format::Record;
use backup_sources::cinder::{Cinder, CinderConfig, CinderSource, SourceOptions};
use serde_json::json;
use support::openstack::OpenStack;

const MIB: u64 = 1 << 20;

/// A source as the user of the project, over an access.
fn source(stack: &OpenStack, owner: &str, access: Arc<dyn VolumeAccess>) -> (Cinder, CinderSource) {
    let cinder = Cinder::new(CinderConfig::new(stack.keystone("demo", "demo"))).unwrap();
    let source = CinderSource::new(cinder.clone(), access, SourceOptions::new(owner)).unwrap();
    (cinder, source)
}

fn rbd(stack: &OpenStack) -> Arc<dyn VolumeAccess> {
    let mut config = RbdConfig::default();
    config.conf = Some(stack.ceph_conf());
    config.pools = vec![stack.pool().to_owned()];
    AccessConfig::rbd(config).open().unwrap()
}

fn context() -> JobContext {
    test_context(&Environment::default())
}

struct Made {
    summary: Summary,
    artifacts: Vec<RecordedArtifact>,
    reader: MemoryReader,
}

/// A backup whose artifacts are to lie in Swift below a prefix.
async fn capture(cx: &JobContext, source: &CinderSource, container: &str, prefix: &str) -> Made {
    let place = || NativePlace { kind: "swift".into(), container: container.into(), prefix: format!("{prefix}/") };
    let sink = RecordingSink::new();
    sink.set_native_place(place());
    let summary = source.capture(cx, &sink).await.unwrap();
    let artifacts = sink.artifacts();
    let reader = MemoryReader::new("cinder", &summary, &artifacts).native_place(place());
    Made { summary, artifacts, reader }
}

/// Puts artifacts where they say that they lie.
async fn upload(stack: &OpenStack, cx: &JobContext, container: &str, prefix: &str, made: &Made) {
    let http = || Http::new(Calls::new("swift", CallLimits::default()), &HttpOptions::default()).unwrap();
    let keystone = Keystone::new(http(), stack.keystone("demo", "demo")).unwrap();
    let swift = keystone.service(cx, http(), &["object-store"]).await.unwrap();
    let put = async |path: String, body: Vec<bytes::Bytes>| {
        let request = Request::builder().method(Method::PUT).uri(format!("{}/{path}", swift.url())).body(body).unwrap();
        let answer = swift.fetch(cx, &Call::changing("Put", Repeat::Always), request, MIB).await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    };
    put(container.to_owned(), Vec::new()).await;
    for artifact in &made.artifacts {
        put(format!("{container}/{prefix}/{}", artifact.name), vec![artifact.bytes.clone()]).await;
    }
}

#[tokio::test]
async fn full_and_incremental_backups_of_a_volume_on_ceph_are_restored_by_cinder_and_by_us() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let (demo, admin, cx) = (stack.as_demo().await, stack.as_admin().await, context());
    let owner = format!("test/{}", cx.job().as_str());
    let (cinder, source) = source(&stack, &owner, rbd(&stack));
    let random = SeededRandom::new(71);
    let volume = demo.volume("rbd1", 1).await;
    demo.post(&format!("/volumes/{volume}/metadata"), json!({ "metadata": { "tier": "gold" } })).await;
    cinder.set_bootable(&cx, &volume, true).await.unwrap();
    let image = stack.image(&volume);
    stack.write(&volume, &[(0, &random.bytes(3_000_000)), (700 * MIB + 13, &random.bytes(5_000_000))]).await;
    let (container, job) = ("volumebackups-ours", cx.job().as_str().to_owned());

    let full_source = source.volume(&volume).unwrap().named("ours", None).keep_snapshot(true);
    let prefix = format!("{job}/full");
    let full = capture(&cx, &full_source, container, &prefix).await;
    upload(&stack, &cx, container, &prefix, &full).await;
    let first = stack.digest(&image).await;
    let base = full_source.kept_snapshot().unwrap();
    assert_eq!(full.summary.warnings, Vec::<String>::new());

    stack.write(&volume, &[(5 * MIB + 7, &random.bytes(100_000)), (900 * MIB, &random.bytes(1_000_000))]).await;
    let second = stack.digest(&image).await;
    assert_ne!(first, second);
    let full_reader = Arc::new(full.reader);
    let next_source = full_source.incremental(full_reader.clone(), Some(&base)).unwrap().keep_snapshot(true);
    let prefix = format!("{job}/next");
    let mut next = capture(&cx, &next_source, container, &prefix).await;
    upload(&stack, &cx, container, &prefix, &next).await;
    next.reader = next.reader.parents(vec![full_reader.clone()]);
    let changed = next.summary.integrity.as_ref().unwrap()["changed"].as_u64().unwrap();
    assert!(changed <= 1_300_000, "{changed} bytes were stored, and 1.1 million changed");
    next_source.settle(&cx, true).await.unwrap();
    let left = cinder.leftovers(&cx, &owner).await.unwrap();
    assert_eq!(left.iter().map(|one| &one.id).collect::<Vec<_>>(), [&next_source.kept_snapshot().unwrap()]);

    // By us, into a new volume.
    let report =
        source.restore(&cx, &next.reader, &RestoreTarget::new(json!({ "new": { "volume-type": "rbd1" } }))).await.unwrap();
    let by_us = report.details["volume-id"].as_str().unwrap().to_owned();
    assert_eq!(stack.digest(&stack.image(&by_us)).await, second);
    let shown = cinder.volume(&cx, &by_us).await.unwrap();
    assert_eq!((&*shown.status, shown.bootable), ("available", true));
    assert_eq!(shown.metadata, [("tier".to_owned(), "gold".to_owned())].into());
    // And back to the first one, into the same volume.
    source.restore(&cx, &*full_reader, &RestoreTarget::new(json!({ "volume-id": by_us }))).await.unwrap();
    assert_eq!(stack.digest(&stack.image(&by_us)).await, first);

    // By Cinder.
    let mut imported = Vec::new();
    for (reader, digest) in [(&*full_reader, first), (&next.reader, second)] {
        let (service, url) = Record::of(&cx, reader).await.unwrap().encode().unwrap();
        let id = admin.import(&service, &url).await;
        let into = demo.volume("rbd1", 1).await;
        demo.restore(&id, &into).await;
        assert_eq!(stack.digest(&stack.image(&into)).await, digest);
        let shown = cinder.volume(&cx, &into).await.unwrap();
        assert!(shown.bootable && shown.metadata.get("tier").is_some_and(|tier| tier == "gold"), "{shown:?}");
        demo.remove(&format!("/volumes/{into}")).await;
        imported.push(id);
    }
    for id in imported.iter().rev() {
        demo.remove(&format!("/backups/{id}")).await;
    }
    // A rollback to a snapshot that is not the latest.
    let early = demo.snapshot(&volume).await;
    stack.write(&volume, &[(0, b"later")]).await;
    let late = demo.snapshot(&volume).await;
    source.rollback(&cx, &volume, &early).await.unwrap();
    assert_eq!(stack.digest(&image).await, second);
    for snapshot in [early, late] {
        demo.remove(&format!("/snapshots/{snapshot}")).await;
    }
    for one in cinder.leftovers(&cx, &owner).await.unwrap() {
        cinder.remove_leftover(&cx, &one).await.unwrap();
    }
    for volume in [volume, by_us] {
        demo.remove(&format!("/volumes/{volume}")).await;
    }
}

#[tokio::test]
async fn a_volume_on_nfs_is_read_through_a_temporary_volume_and_nothing_is_left() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let (demo, cx) = (stack.as_demo().await, context());
    let owner = format!("test/{}", cx.job().as_str());
    let access = AccessConfig::nfs(NfsConfig::new(stack.nfs_mounts())).open().unwrap();
    let (cinder, source) = source(&stack, &owner, access);
    let volume = demo.volume("nfs1", 1).await;
    let file = stack.active_file("nfs1", &volume);
    let data = SeededRandom::new(72).bytes(2_000_000);
    std::os::unix::fs::FileExt::write_all_at(&std::fs::File::options().write(true).open(&file).unwrap(), &data, 30 * MIB)
        .unwrap();

    let made = capture(&cx, &source.volume(&volume).unwrap(), "none", "none").await;
    assert_eq!(made.summary.warnings, Vec::<String>::new());
    assert_eq!(cinder.leftovers(&cx, &owner).await.unwrap(), []);
    let report =
        source.restore(&cx, &made.reader, &RestoreTarget::new(json!({ "new": { "volume-type": "nfs1" } }))).await.unwrap();
    let restored = report.details["volume-id"].as_str().unwrap().to_owned();
    let read = |volume: &str| Digest::of(&std::fs::read(stack.active_file("nfs1", volume)).unwrap());
    assert_eq!(read(&restored), Digest::of(&whole(&data)));
    let directory = tempfile::tempdir().unwrap();
    let raw = directory.path().join("volume.raw");
    source.restore(&cx, &made.reader, &RestoreTarget::new(json!({ "file": raw }))).await.unwrap();
    assert_eq!(Digest::of(&std::fs::read(raw).unwrap()), Digest::of(&whole(&data)));
    assert_eq!(cinder.attachments(&cx, &restored).await.unwrap(), []);
    for volume in [volume, restored] {
        demo.remove(&format!("/volumes/{volume}")).await;
    }
}

fn whole(data: &[u8]) -> Vec<u8> {
    let mut whole = vec![0; 1 << 30];
    whole[usize::try_from(30 * MIB).unwrap()..][..data.len()].copy_from_slice(data);
    whole
}
