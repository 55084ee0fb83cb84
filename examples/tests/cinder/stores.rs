//! Other ways to the bytes, and other stores.

use std::os::unix::fs::FileExt;
use std::sync::Arc;

use backup_core::testkit::test_context;
use backup_core::{Environment, Store};
use backup_sources::cinder::format::{Compression, Options, Record};
use backup_sources::cinder::{CinderSource, SourceOptions};
use backup_stores::OpenOptions;
use backup_stores::s3::S3Store;
use serde_json::json;

use crate::ministack::Ministack;
use crate::openstack::OpenStack;
use crate::place::{GIB, MIB, Place, digest_of, fill, noise};

/// Writes into a volume of type `nfs1` or `local2` that has no snapshot: offset, length, seed.
fn fill_file(stack: &OpenStack, kind: &str, volume: &str, pieces: &[(u64, u64, u64)]) {
    let file = std::fs::File::options().write(true).open(stack.active_file(kind, volume)).unwrap();
    for (offset, length, seed) in pieces {
        file.write_all_at(&noise(*seed, *length), *offset).unwrap();
    }
    file.sync_all().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_on_a_share_goes_to_a_directory_and_comes_back_as_a_file_and_a_volume() {
    let Some(stack) = OpenStack::wanted().await else { return };
    if !stack.has("nfs1") {
        return;
    }
    let place = Place::files(&stack, "shared").await;
    let volume = place.demo.volume("nfs1", 1).await;
    let source = place.source(place.nfs()).volume(&volume).unwrap();
    fill_file(&stack, "nfs1", &volume, &[(0, 10 * MIB, 1), (300 * MIB + 777, 5 * MIB, 2), (GIB - MIB, MIB, 3)]);
    let mut expected = vec![digest_of(&stack.active_file("nfs1", &volume)).await];
    let mut taken = vec![place.backup(&source, &[]).await.unwrap()];
    place.nothing_left(&volume).await;
    for changed in [[(5 * MIB, 100, 4), (700 * MIB, MIB, 5)], [(0, 4096, 6), (GIB - 1, 1, 7)]] {
        fill_file(&stack, "nfs1", &volume, &changed);
        expected.push(digest_of(&stack.active_file("nfs1", &volume)).await);
        let parent = taken.last().unwrap();
        let next = source.incremental(parent.reader.clone(), None).unwrap();
        let next = place.backup(&next, &[parent]).await.unwrap();
        assert!(next.written.changed <= 2 * MIB, "{:?}", next.written);
        place.nothing_left(&volume).await;
        taken.push(next);
    }
    for (backup, digest) in taken.iter().zip(&expected) {
        assert_eq!(&place.restored(&source, &backup.id).await, digest, "{}", backup.id);
    }
    let made = place.restore(&source, &taken[2].id, json!({ "new": { "volume-type": "nfs1" } })).await.unwrap();
    let made = made.details["volume-id"].as_str().unwrap().to_owned();
    assert_eq!(digest_of(&stack.active_file("nfs1", &made)).await, expected[2], "the new volume differs");
    // Over what a volume has already, and from a share onto Ceph.
    place.restore(&source, &taken[0].id, json!({ "volume-id": made })).await.unwrap();
    assert_eq!(digest_of(&stack.active_file("nfs1", &made)).await, expected[0], "the overwritten volume differs");
    let onto_ceph = place.source(place.rbd());
    let moved = place.restore(&onto_ceph, &taken[1].id, json!({ "new": { "volume-type": "rbd1" } })).await;
    let moved = moved.unwrap().details["volume-id"].as_str().unwrap().to_owned();
    assert_eq!(stack.digest(&stack.image(&moved)).await, expected[1], "the volume on Ceph differs");
    for volume in [&volume, &made, &moved] {
        place.nothing_left(volume).await;
    }

    let record = Record::of(&place.cx(), &*taken[1].reader).await.unwrap();
    assert_eq!(record.backup_service, "cinder.backup.drivers.posix.PosixBackupDriver");
    assert_eq!((record.service_metadata.as_deref(), record.size), (Some("backup"), 1));
    let names = std::fs::read_dir(record.container.as_deref().unwrap()).unwrap();
    let objects = names.filter(|name| name.as_ref().unwrap().file_name().to_str().unwrap().starts_with("backup-")).count();
    assert_eq!((record.object_count, record.object_count), (objects as u64, taken[1].written.objects));
    assert_eq!(record.parent_id.as_ref(), Some(&taken[0].written.backup_id));
    place.remove(&[&volume, &made, &moved]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_of_this_host_goes_to_swift_for_cinder_in_zlib_and_zstd_and_comes_back_on_it() {
    let Some(stack) = OpenStack::wanted().await else { return };
    if !stack.has("local2") {
        return;
    }
    let place = Place::swift(&stack, "local").await;
    let volume = place.demo.volume("local2", 1).await;
    let source = place.source(place.local()).volume(&volume).unwrap();
    fill_file(&stack, "local2", &volume, &[(0, 6 * MIB, 1), (GIB - MIB, MIB, 2)]);
    let full = place.backup(&source, &[]).await.unwrap();
    fill_file(&stack, "local2", &volume, &[(4096, 100, 3), (500 * MIB, MIB, 4)]);
    let expected = digest_of(&stack.active_file("local2", &volume)).await;
    // In the other compression that Cinder has.
    let format = Options { compression: Compression::Zstd, object_size: 32 * MIB, ..Options::default() };
    let other = CinderSource::new(place.cinder.clone(), place.local(), SourceOptions::new(&place.owner).format(format));
    let next = other.unwrap().volume(&volume).unwrap().incremental(full.reader.clone(), None).unwrap();
    let next = place.backup(&next, &[&full]).await.unwrap();
    assert!(next.written.changed <= 2 * MIB, "{:?}", next.written);
    place.nothing_left(&volume).await;

    let made = place.restore(&source, &next.id, json!({ "new": { "volume-type": "local2" } })).await.unwrap();
    let made = made.details["volume-id"].as_str().unwrap().to_owned();
    assert_eq!(digest_of(&stack.active_file("local2", &made)).await, expected, "the new volume differs");
    for backup in [&full, &next] {
        place.import(backup).await;
    }
    let by_cinder = place.demo.volume("rbd1", 1).await;
    place.demo.restore(&next.written.backup_id, &by_cinder).await;
    assert_eq!(stack.digest(&stack.image(&by_cinder)).await, expected, "the increment by Cinder differs");
    for backup in [&next, &full] {
        place.demo.remove(&format!("/backups/{}", backup.written.backup_id)).await;
    }
    place.remove(&[&volume, &made, &by_cinder]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_goes_to_s3_in_every_compression_and_comes_back() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let Some(server) = tokio::task::spawn_blocking(Ministack::shared).await.unwrap() else { return };
    let bucket = tokio::task::spawn_blocking(move || server.bucket(false)).await.unwrap();
    let config = serde_json::from_value(server.block(&bucket, "volumes/ours")).unwrap();
    let cx = test_context(&Environment::default());
    let store: Arc<dyn Store> = Arc::new(S3Store::open(&cx, &config, &OpenOptions::default()).await.unwrap());
    let place = Place::with(&stack, "bucket", bucket.clone(), store).await;
    let volume = place.demo.volume("rbd1", 1).await;
    fill(&stack, &volume, &[(0, 3 * MIB + 1, 1), (600 * MIB, 9 * MIB, 2)]).await;
    let expected = stack.digest(&stack.image(&volume)).await;
    for (compression, object_size) in [(Compression::Zlib, 16), (Compression::Zstd, 32), (Compression::None, 32)] {
        let mut format = Options::default();
        (format.compression, format.object_size) = (compression, object_size * MIB);
        let options = SourceOptions::new(&place.owner).format(format);
        let source = CinderSource::new(place.cinder.clone(), place.rbd(), options).unwrap().volume(&volume).unwrap();
        let taken = place.backup(&source, &[]).await.unwrap();
        assert_eq!(place.restored(&source, &taken.id).await, expected, "{compression:?}");

        let record = Record::of(&place.cx(), &*taken.reader).await.unwrap();
        assert_eq!(record.backup_service, "cinder.backup.drivers.s3.S3BackupDriver");
        assert_eq!((record.container.as_ref(), record.size), (Some(&bucket), 1));
        let prefix = record.service_metadata.clone().unwrap();
        let (names, listed) = (bucket.clone(), prefix.clone());
        let names = tokio::task::spawn_blocking(move || server.names(&names, &listed)).await.unwrap();
        let objects = names.iter().filter(|name| name.starts_with(&format!("{prefix}-"))).count() as u64;
        assert_eq!((record.object_count, objects), (1024 / object_size, 1024 / object_size), "{prefix}");
        assert_eq!(names.len() as u64, objects + 2, "Cinder takes exactly these for the backup: {names:?}");
    }
    place.nothing_left(&volume).await;
    place.remove(&[&volume]).await;
}
