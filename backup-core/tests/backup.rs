//! A backup's way there and back, on the simulated store.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod support;

use std::sync::Arc;

use backup_core::event::Event;
use backup_core::repository::{BackupOutcome, SkipReason, VerifyLevel};
use backup_core::source::BackupReader;
use backup_core::testkit::RecordingObserver;
use backup_core::{Compression, Digest, JobContext, Revision};
use support::{Data, World, bytes, read};

#[tokio::test]
async fn what_is_published_restores_byte_for_byte_in_every_compression() {
    let world = World::new(1);
    let mut expected = Vec::new();
    for (compression, seed) in [(Compression::None, 1), (Compression::Gzip, 2), (Compression::Zstd, 3)] {
        let data = Data::new(&[
            ("empty", vec![]),
            ("one", vec![7]),
            ("big", bytes(9_500_001, seed)),
            ("dir/block", bytes(4 << 20, seed)),
        ]);
        let outcome = world.repository.backup(&world.cx(), &data, &world.request().compression(compression, None)).await.unwrap();
        assert!(matches!(outcome, BackupOutcome::Completed(_)), "{outcome:?}");
        expected.push(data.content());
    }
    assert_eq!(world.restore_all().await, expected);
    assert_eq!(world.orphans().await, Vec::<String>::new());
    assert_eq!(world.store.unfinished(), 0);
}

#[tokio::test]
async fn the_manifest_describes_the_stored_bytes_as_sha256sum_sees_them() {
    let world = World::new(2);
    let data = Data::new(&[("db", bytes(9_000_000, 5))]).at(Revision::exact(42));
    let outcome =
        world.repository.backup(&world.cx(), &data, &world.request().compression(Compression::Gzip, Some(1))).await.unwrap();
    let backup = world.repository.open(&world.cx(), &world.set, &outcome.backup().id).await.unwrap();
    let artifact = &backup.entries()[0];
    assert_eq!(artifact.key.as_str(), format!("test/set/{}/db.gz", outcome.backup().id));
    let stored = world.store.raw_get(artifact.key.as_str()).unwrap();
    assert_eq!(artifact.stored.size, stored.len() as u64);
    assert_eq!(artifact.stored.sha256, Digest::of(&stored));
    assert_eq!(artifact.stored.blocks, stored.chunks(4 << 20).map(Digest::of).collect::<Vec<_>>());
    assert_eq!((artifact.size, artifact.sha256), (9_000_000, Digest::of(&bytes(9_000_000, 5))));
    let manifest = backup.manifest();
    assert_eq!(manifest.source.revision, Some(Revision::exact(42)));
    assert_eq!(manifest.source.version.as_deref(), Some("1.2.3"));
}

#[tokio::test]
async fn a_source_that_fails_publishes_nothing_and_leaves_nothing() {
    let world = World::new(3);
    let data = Data { fail_after: Some(1), ..Data::new(&[("a", bytes(3_000_000, 1)), ("b", vec![1])]) };
    let error = world.repository.backup(&world.cx(), &data, &world.request()).await.unwrap_err();
    assert_eq!(error.code().name, "source.failed");
    assert_eq!(world.store.keys(), Vec::<String>::new());
    assert_eq!(world.store.unfinished(), 0);
}

#[tokio::test]
async fn an_unchanged_source_is_skipped_only_while_everything_needed_for_it_holds() {
    let world = World::new(4);
    let data = Data::new(&[("a", vec![1; 100])]).at(Revision::exact(7));
    let request = world.request().skip_unchanged(Some(std::time::Duration::from_secs(3600)));
    let backup = async |data: &Data| world.repository.backup(&world.cx(), data, &request).await.unwrap();

    let first = backup(&data).await;
    let again = backup(&data).await;
    assert_eq!(again, BackupOutcome::Skipped(first.backup().clone(), SkipReason::Unchanged));

    // Another instance at the very same revision is another history.
    *data.identity.lock().unwrap() = "two".into();
    let other = backup(&data).await;
    assert!(
        matches!(&other, BackupOutcome::CompletedWithWarnings(_, warnings) if warnings[0].contains("the source is two now")),
        "{other:?}"
    );

    // A lower bound is no proof.
    data.move_to(Revision::at_least(7));
    assert!(!matches!(backup(&data).await, BackupOutcome::Skipped(..)));
    data.move_to(Revision::exact(8));
    let newest = backup(&data).await;
    assert!(matches!(newest, BackupOutcome::Completed(_)));
    assert!(matches!(backup(&data).await, BackupOutcome::Skipped(..)));

    // Its object is gone: it says nothing any more.
    let key = newest.backup().first_key.clone().unwrap();
    world.store.raw_delete(key.as_str());
    assert!(matches!(backup(&data).await, BackupOutcome::Completed(_)));

    // Too old.
    world.clock.advance(std::time::Duration::from_secs(3601));
    assert!(matches!(backup(&data).await, BackupOutcome::Completed(_)));

    // A lower revision is another history, and is backed up with a warning.
    data.move_to(Revision::exact(3));
    assert!(matches!(backup(&data).await, BackupOutcome::CompletedWithWarnings(..)));
}

#[tokio::test]
async fn many_artifacts_go_into_an_inventory_and_come_back() {
    let world = World::new(5);
    let names: Vec<String> = (0..1001).map(|n| format!("part/{n:05}")).collect();
    let artifacts: Vec<_> = names.iter().enumerate().map(|(n, name)| (name.as_str(), vec![n as u8; n % 50])).collect();
    let data = Data::new(&artifacts);
    let outcome = world.repository.backup(&world.cx(), &data, &world.request()).await.unwrap();
    assert_eq!(outcome.backup().artifacts, 1001);
    let manifest = world.repository.manifest(&world.cx(), &world.set, &outcome.backup().id).await.unwrap();
    assert!(manifest.artifacts.is_empty() && manifest.inventory.is_some());
    assert_eq!(world.restore_all().await, vec![data.content()]);

    // A damaged inventory is found.
    let key = manifest.inventory.unwrap().key;
    world.store.flip_bit(key.as_str(), 100, 3);
    let error = world.repository.open(&world.cx(), &world.set, &outcome.backup().id).await.unwrap_err();
    assert_eq!(error.code().name, "artifact.corrupt");
}

#[tokio::test]
async fn every_flipped_bit_of_a_small_backup_is_found_by_verify_and_never_read_as_good() {
    let world = World::new(6);
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let data = Data::new(&[("a", bytes(60, 9))]);
        let outcome = world.repository.backup(&world.cx(), &data, &world.request().compression(compression, None)).await.unwrap();
        let (info, cx) = (outcome.backup().clone(), world.cx());
        let manifest = format!(".backup/sets/{}/{}.json", info.set, info.id);
        // Manifests differ in no way that matters here: one of them is enough.
        let manifest = (compression == Compression::None).then_some(manifest);
        for key in std::iter::once(info.first_key.clone().unwrap().to_string()).chain(manifest) {
            let size = world.store.raw_get(&key).unwrap().len() as u64;
            for (byte, bit) in (0..size).flat_map(|byte| (0..8).map(move |bit| (byte, bit))) {
                world.store.flip_bit(&key, byte, bit);
                let report = world.repository.verify(&cx, &info.set, &info.id, VerifyLevel::Digest, None).await.unwrap();
                assert!(!report.is_good(), "byte {byte} bit {bit} of {key} went unnoticed");
                let read_back = async {
                    let backup = world.repository.open(&cx, &info.set, &info.id).await?;
                    read(&cx, &backup, &backup.artifacts()[0]).await
                };
                assert!(read_back.await.is_err(), "byte {byte} bit {bit} of {key} was handed out");
                world.store.flip_bit(&key, byte, bit);
            }
        }
        let report = world.repository.verify(&cx, &info.set, &info.id, VerifyLevel::Restorable, None).await.unwrap();
        assert!(report.is_good(), "{report:?}");
        assert!(world.repository.latest(&cx, &info.set).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn what_the_store_cannot_promise_is_a_warning_of_every_backup() {
    let world = World::new(9);
    let data = Data::new(&[("a", vec![1, 2, 3])]);
    let warnings = async || {
        let observer = Arc::new(RecordingObserver::default());
        let cx = JobContext::new(world.repository.context().environment().clone(), observer.clone());
        world.repository.backup(&cx, &data, &world.request()).await.unwrap();
        let warning = |event: Event| if let Event::Warning(text) = event { Some(text) } else { None };
        observer.events().into_iter().filter_map(warning).collect::<Vec<_>>()
    };
    assert_eq!(warnings().await, Vec::<String>::new());
    world.store.without_conditional_create();
    let said = warnings().await;
    assert!(said.len() == 1 && said[0].contains("only if it is absent"), "{said:?}");
}
