//! Volumes on a real Ceph, through the program `rbd`.
#![cfg(feature = "cinder")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::sync::Arc;

use backup_core::{Bytes, Effect, ErrorKind};
use backup_sources::cinder::access::{AccessConfig, Extents, Place, RbdConfig, VolumeAccess};
use futures::StreamExt;
use support::context;
use support::volumes::{BLOCK, Ceph, MIB, Read, drain, lay, noise, place, running, until, whole};

const OBJECT: u64 = 4 * MIB;

async fn read(access: &dyn VolumeAccess, place: &Place) -> (Vec<u8>, Read) {
    let extents = access.read(&context(), place).await.unwrap();
    whole(extents, place.size).await.unwrap()
}

/// What changed, laid over what was before.
async fn advance(access: &dyn VolumeAccess, place: &Place, since: &str, mut before: Vec<u8>) -> (Vec<u8>, Read) {
    let extents = access.changes(&context(), place, since, BLOCK).await.unwrap().unwrap();
    before.resize(place.size as usize, 0);
    let read = lay(extents, &mut before).await.unwrap();
    assert!(read.aligned, "not aligned: {read:?}");
    (before, read)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_is_read_as_it_was_and_a_volume_as_it_is_without_their_holes() {
    let Some(ceph) = Ceph::wanted() else { return };
    let image = ceph.image(64 * MIB);
    let access = ceph.config().open().unwrap();
    image.write(&[(5000, 40_000, Some(1)), (OBJECT, 3 * MIB, Some(2)), (40 * MIB, OBJECT, Some(3))]);
    image.snapshot("one");
    image.write(&[(0, 100, Some(4)), (40 * MIB, OBJECT, None), (64 * MIB - 1, 1, Some(5))]);
    let (bytes, counted) = read(&*access, &place(&image.volume, Some("one"), 64 * MIB)).await;
    assert!(bytes == image.export(Some("one")), "the snapshot differs");
    assert!(counted.data < 8 * MIB, "holes were read: {counted:?}");
    assert!(counted.largest <= 4 * MIB);
    let (bytes, counted) = read(&*access, &place(&image.volume, None, 64 * MIB)).await;
    assert!(bytes == image.export(None), "the volume differs");
    assert!(counted.data < 12 * MIB, "holes were read: {counted:?}");
    assert_eq!(running(&image.spec), 0, "programs are left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_snapshots_is_followed_over_writes_discards_and_a_growing_volume() {
    let Some(ceph) = Ceph::wanted() else { return };
    let image = ceph.image(64 * MIB);
    let access = ceph.config().open().unwrap();
    image.write(&[(0, 9 * MIB + 77, Some(1)), (20 * MIB, MIB, Some(2)), (63 * MIB, MIB, Some(3))]);
    image.snapshot("0");
    // At borders of blocks: to the byte.
    image.write(&[(BLOCK, BLOCK, Some(4)), (8 * MIB, 2 * BLOCK, None), (64 * MIB - BLOCK, BLOCK, Some(5))]);
    image.snapshot("1");
    // As guests write: the objects.
    image.write(&[(5 * MIB + 4096, 4096, Some(6)), (20 * MIB, 8192, None), (33 * MIB + 1, 1, Some(7))]);
    image.snapshot("2");
    image.ceph.rbd(&["resize", "--no-progress", "--size", "80M", &image.spec]);
    image.write(&[(8 * MIB, OBJECT, None), (70 * MIB, 3 * BLOCK, Some(8)), (79 * MIB, MIB, Some(9))]);
    image.snapshot("3");
    image.snapshot("4");

    let at = |snapshot: &'static str| place(&image.volume, Some(snapshot), if snapshot < "3" { 64 * MIB } else { 80 * MIB });
    let (zero, _) = read(&*access, &at("0")).await;
    let (one, counted) = advance(&*access, &at("1"), "0", zero.clone()).await;
    assert!(one == image.export(Some("1")), "the first step differs");
    assert!(counted.data + counted.zeros <= 4 * BLOCK, "more than what changed was read: {counted:?}");
    let (two, counted) = advance(&*access, &at("2"), "1", one).await;
    assert!(two == image.export(Some("2")), "the second step differs");
    assert!(counted.data + counted.zeros <= 3 * OBJECT, "more than the objects that changed was read: {counted:?}");
    let (three, _) = advance(&*access, &at("3"), "2", two).await;
    assert!(three == image.export(Some("3")), "the third step, where it grew, differs");
    let (four, counted) = advance(&*access, &at("4"), "3", three.clone()).await;
    assert!(four == three && counted.extents == 0, "nothing changed: {counted:?}");
    let (leap, _) = advance(&*access, &at("3"), "0", zero).await;
    assert!(leap == three, "a leap over two snapshots differs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_volume_of_which_one_percent_changed_one_percent_is_read() {
    let Some(ceph) = Ceph::wanted() else { return };
    let size = 256 * MIB;
    let image = ceph.image(size);
    let access = ceph.config().open().unwrap();
    image.write(&(0..16).map(|part| (part * 16 * MIB, 16 * MIB, Some(part))).collect::<Vec<_>>());
    image.snapshot("base");
    let changed: Vec<_> = (0..80).map(|part| (part * 3 * MIB + BLOCK, BLOCK, Some(100 + part))).collect();
    image.write(&changed);
    image.snapshot("next");
    let at = place(&image.volume, Some("next"), size);
    let before = image.export(Some("base"));
    let (after, counted) = advance(&*access, &at, "base", before).await;
    assert!(after == image.export(Some("next")), "the volume differs");
    assert_eq!(counted.data, 80 * BLOCK, "about 1 % changed: {counted:?}");
    assert_eq!(counted.zeros, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clone_is_read_with_what_it_has_of_its_parent() {
    let Some(ceph) = Ceph::wanted() else { return };
    let (parent, child) = (ceph.image(32 * MIB), ceph.image(MIB));
    let access = ceph.config().open().unwrap();
    parent.write(&[(3 * MIB, 6 * MIB, Some(1)), (30 * MIB, MIB, Some(2))]);
    parent.snapshot("base");
    ceph.rbd(&["rm", "--no-progress", &child.spec]);
    let base = format!("{}@snapshot-base", parent.spec);
    ceph.rbd(&["snap", "protect", &base]);
    ceph.rbd(&["clone", &base, &child.spec]);
    child.write(&[(OBJECT, 4096, Some(3))]);
    child.snapshot("one");
    child.write(&[(30 * MIB, 4096, Some(4)), (20 * MIB, 10, Some(5)), (3 * MIB, OBJECT, None)]);
    child.snapshot("two");
    let (one, _) = read(&*access, &place(&child.volume, Some("one"), 32 * MIB)).await;
    let (two, _) = advance(&*access, &place(&child.volume, Some("two"), 32 * MIB), "one", one.clone()).await;
    let (first, second) = (child.export(Some("one")), child.export(Some("two")));
    drop(child);
    ceph.rbd(&["snap", "unprotect", &base]);
    assert!(one == first, "the first snapshot of the clone differs");
    assert!(two == second, "the second snapshot of the clone differs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_is_there_and_changes_neither_the_size_nor_the_snapshots() {
    let Some(ceph) = Ceph::wanted() else { return };
    let size = 64 * MIB;
    let image = ceph.image(size);
    let access = ceph.config().open().unwrap();
    let at = place(&image.volume, None, size);
    let mut expected = vec![0; size as usize];
    let mut writer = access.write(&context(), &at, true).await.unwrap();
    for (offset, seed) in [(0, 1), (7 * MIB + 5, 2), (60 * MIB, 3)] {
        let bytes = noise(seed, 3 * MIB);
        expected[offset as usize..][..bytes.len()].copy_from_slice(&bytes);
        writer.zero(offset, 0).await.unwrap();
        writer.write(offset, bytes.into()).await.unwrap();
    }
    writer.zero(63 * MIB, MIB).await.unwrap();
    writer.finish().await.unwrap();
    assert!(image.export(None) == expected, "the fresh volume differs");
    let info = image.info();
    assert_eq!((&info["size"], &info["snapshot_count"]), (&size.into(), &0.into()));

    // Over what is there, zeros are written.
    let mut writer = access.write(&context(), &at, false).await.unwrap();
    let bytes = noise(9, 100);
    writer.zero(0, 10 * MIB - 7).await.unwrap();
    writer.write(10 * MIB - 7, bytes.clone().into()).await.unwrap();
    writer.zero(10 * MIB + 93, 54 * MIB - 93).await.unwrap();
    writer.finish().await.unwrap();
    expected.fill(0);
    expected[10 * MIB as usize - 7..][..100].copy_from_slice(&bytes);
    assert!(image.export(None) == expected, "the volume that was used differs");
    assert_eq!(running(&image.spec), 0);

    let larger = access.write(&context(), &place(&image.volume, None, size + 1), true).await.unwrap_err();
    assert_eq!(larger.code().name, "cinder.unwritable", "{larger}");
    let mut writer = access.write(&context(), &at, true).await.unwrap();
    let beyond = writer.write(size - 1, Bytes::from_static(b"ab")).await.unwrap_err();
    assert_eq!(beyond.code().name, "cinder.unwritable", "{beyond}");
    writer.abort().await;
    assert_eq!(running(&image.spec), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_is_set_back_to_any_of_its_snapshots() {
    let Some(ceph) = Ceph::wanted() else { return };
    let image = ceph.image(16 * MIB);
    let access = ceph.config().open().unwrap();
    image.write(&[(0, MIB, Some(1))]);
    image.snapshot("one");
    image.write(&[(0, MIB, Some(2)), (9 * MIB, MIB, Some(3))]);
    image.snapshot("two");
    image.write(&[(0, 16 * MIB, None)]);
    for id in ["one", "two"] {
        access.rollback(&context(), &image.volume, id).await.unwrap();
        assert!(image.export(None) == image.export(Some(id)), "it is not as it was at {id}");
    }
    let error = access.rollback(&context(), &image.volume, "three").await.unwrap_err();
    assert_eq!((error.code().name, error.effect()), ("cinder.not_there", Effect::None), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_told_apart() {
    let Some(ceph) = Ceph::wanted() else { return };
    let image = ceph.image(MIB);
    let access = ceph.config().open().unwrap();
    image.snapshot("one");
    image.snapshot("two");
    let cx = context();
    let size = MIB;
    for at in [
        place("no-such", None, size),
        place("no-such", Some("one"), size),
        place(&image.volume, Some("none"), size),
        place("a/b", None, size),
        place("a@b", None, size),
    ] {
        let error = access.read(&cx, &at).await.err().unwrap();
        assert_eq!(error.code().name, "cinder.not_there", "{at:?}: {error}");
    }
    let changes = |at: &'static str, since: &'static str| {
        let (access, cx, at) = (Arc::clone(&access), cx.clone(), place(&image.volume, Some(at), size));
        async move { access.changes(&cx, &at, since, BLOCK).await.err().unwrap().code().name }
    };
    assert_eq!(changes("two", "gone").await, "cinder.no_base");
    assert_eq!(changes("one", "two").await, "cinder.no_base");
    assert_eq!(changes("one", "one").await, "cinder.no_base");
    assert_eq!(changes("gone", "one").await, "cinder.not_there");
    let small = access.read(&cx, &place(&image.volume, None, size / 2)).await.err().unwrap();
    assert_eq!(small.code().name, "cinder.unreadable", "{small}");

    let mut rbd = RbdConfig::default();
    rbd.conf = Some("/no/such/ceph.conf".into());
    let error = AccessConfig::rbd(rbd.clone()).open().unwrap().read(&cx, &place(&image.volume, None, size)).await.err().unwrap();
    assert_eq!(error.code().name, "cinder.program", "{error}");
    assert!(error.to_string().contains("volumes/volume-"), "{error}");
    rbd.program = "no-such-rbd".into();
    let error = AccessConfig::rbd(rbd).open().unwrap().read(&cx, &place(&image.volume, None, size)).await.err().unwrap();
    assert_eq!(error.code().name, "program.not_started", "{error}");
}

/// An export that is under way: `rbd` waits for us to read.
async fn begun(access: &dyn VolumeAccess, cx: &backup_core::JobContext, at: &Place, spec: &str) -> Extents {
    let mut extents = access.read(cx, at).await.unwrap();
    extents.next().await.unwrap().unwrap();
    assert_eq!(running(spec), 1);
    extents
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_program_outlives_its_reader() {
    let Some(ceph) = Ceph::wanted() else { return };
    let size = 64 * MIB;
    let image = ceph.image(size);
    let access = ceph.config().open().unwrap();
    image.write(&[(0, size, Some(1))]);
    let at = place(&image.volume, None, size);
    let spec = image.spec.as_str();

    let cx = context();
    let extents = begun(&*access, &cx, &at, spec).await;
    cx.cancel_token().cancel();
    let error = drain(extents).await.unwrap_err();
    assert_eq!((error.kind(), running(spec)), (ErrorKind::Cancelled, 0));

    drop(begun(&*access, &context(), &at, spec).await);
    until("the export is gone", || running(spec) == 0).await;

    // Killed from outside: never a volume that only seems whole.
    let extents = begun(&*access, &context(), &at, spec).await;
    kill(spec);
    let error = drain(extents).await.unwrap_err();
    assert_eq!((error.code().name, running(spec)), ("cinder.program", 0), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_program_outlives_its_writer() {
    let Some(ceph) = Ceph::wanted() else { return };
    let size = 64 * MIB;
    let access = ceph.config().open().unwrap();
    let image = ceph.image(size);
    let cx = context();
    let mut writer = access.write(&cx, &place(&image.volume, None, size), true).await.unwrap();
    writer.write(0, Bytes::from(noise(2, MIB))).await.unwrap();
    cx.cancel_token().cancel();
    let error = writer.write(MIB, Bytes::from(noise(3, MIB))).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Cancelled, Effect::Unknown));
    assert_eq!(running(&image.spec), 0);
    assert!(writer.finish().await.is_err());

    let mut writer = access.write(&context(), &place(&image.volume, None, size), true).await.unwrap();
    writer.write(0, Bytes::from(noise(4, MIB))).await.unwrap();
    writer.abort().await;
    assert_eq!(running(&image.spec), 0);
    // Neither kept the image's lock.
    assert_eq!(image.ceph.rbd(&["lock", "ls", "--format", "json", &image.spec]).trim_ascii(), b"[]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_import_is_an_error_and_a_dropped_one_is_killed() {
    let Some(ceph) = Ceph::wanted() else { return };
    let size = 64 * MIB;
    let access = ceph.config().open().unwrap();
    // One image for each: who dies leaves a lock at Ceph, which takes it back after half a minute.
    let image = ceph.image(size);
    let mut writer = access.write(&context(), &place(&image.volume, None, size), true).await.unwrap();
    writer.write(0, Bytes::from(noise(2, MIB))).await.unwrap();
    kill(&image.spec);
    let rest = async {
        for part in 1..60 {
            writer.write(part * MIB, Bytes::from(noise(3, MIB))).await?;
        }
        writer.finish().await
    };
    let error = rest.await.unwrap_err();
    assert_eq!((error.code().name, error.effect()), ("cinder.program", Effect::Unknown), "{error}");
    assert_eq!(running(&image.spec), 0);

    let other = ceph.image(size);
    let mut writer = access.write(&context(), &place(&other.volume, None, size), true).await.unwrap();
    writer.write(0, Bytes::from(noise(2, MIB))).await.unwrap();
    drop(writer);
    until("the import is gone", || running(&other.spec) == 0).await;
    for spec in [&image.spec, &other.spec] {
        ceph.break_lock(spec);
    }
}

/// Kills the programs that work on an image.
fn kill(spec: &str) {
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if command.windows(spec.len()).any(|window| window == spec.as_bytes()) {
            let _ = rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL);
        }
    }
}
