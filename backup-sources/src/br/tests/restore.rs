//! Restores, and what is refused before BR is asked.

use backup_core::error::codes as core;
use backup_core::store::ExternalLocation;
use backup_core::testkit::MemoryReader;
use backup_core::{BackupReader, RestoreReport, RestoreTarget, Result, Source};
use serde_json::json;

use super::World;
use super::standin::{Place, StandIn};
use crate::br::config::EncryptionMethod::Aes128Ctr;
use crate::br::meta::tests::cx;
use crate::br::meta::tests::encoder::{BACKUP_TS, EARLIER_TS, Laid, tools};
use crate::br::{Tso, codes};

/// A published backup of these files.
fn reader(laid: &Laid) -> MemoryReader {
    let files: Vec<_> = laid.files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    MemoryReader::of("br", &files).external_location(ExternalLocation::new("s3://bucket/place").parameter("secret", "x"))
}

/// Restores, with what must be the number of orders to BR.
async fn restore(laid: Laid, reader: &MemoryReader, target: RestoreTarget, orders: usize) -> Result<RestoreReport> {
    let (source, standin) = StandIn::new(Place::Directory, laid).source();
    let answer = source.restore(&cx(), reader, &target).await;
    assert_eq!(standin.restored.lock().unwrap().len(), orders, "{answer:?}");
    answer
}

#[tokio::test]
async fn br_is_told_where_the_backup_lies_and_with_which_key() {
    if !tools() {
        return;
    }
    for laid in [Laid::default().v1(""), Laid::encrypted(Aes128Ctr).v2("")] {
        let world = World::new();
        let (source, standin) = world.standin(laid).source();
        let id = world.back_up(&source).await.unwrap();
        let backup = world.open(&id).await;
        let report = source.restore(&world.cx(), &backup, &RestoreTarget::new(json!({}))).await.unwrap();
        let order = standin.restored.lock().unwrap()[0].clone();
        assert_eq!(order.location.url, format!("sim://place/{}", backup.manifest().prefix));
        assert_eq!((&order.encryption, order.since), (&standin.laid.encryption, None));
        assert_eq!((report.bytes, report.warnings.as_slice()), (77, &["said by BR".to_owned()][..]));
        assert_eq!((&report.details["kind"], &report.details["log"]), (&"full".into(), &"Full Backup success summary".into()));
        assert_eq!(report.details["end-version"], BACKUP_TS.to_string());
    }
}

#[tokio::test]
async fn a_dry_run_checks_all_and_asks_br_for_nothing() {
    if !tools() {
        return;
    }
    let laid = Laid::default().v2("");
    let dry = || RestoreTarget::new(json!({})).dry_run(true);
    let report = restore(laid.clone(), &reader(&laid), dry(), 0).await.unwrap();
    assert_eq!((report.bytes, report.warnings), (123_456, vec![]));
    let broken = reader(&laid).corrupt_at_end();
    assert_eq!(*restore(laid.clone(), &broken, dry(), 0).await.unwrap_err().code(), core::ARTIFACT_CORRUPT);
    let old = RestoreTarget::new(json!({ "cluster-version": "4.0.0" })).dry_run(true);
    assert_eq!(*restore(laid.clone(), &reader(&laid), old, 0).await.unwrap_err().code(), codes::VERSION);
}

#[tokio::test]
async fn what_does_not_suit_is_refused_before_br_is_asked() {
    if !tools() {
        return;
    }
    let laid = Laid::default().v1("");
    let anywhere = || RestoreTarget::new(json!({ "cluster-version": "6.5.1" }));
    let nowhere = MemoryReader::of("br", &[("backupmeta", &laid.files["backupmeta"])]);
    let mut less = laid.clone();
    less.files.retain(|name, _| !name.starts_with("3/"));
    let mut none = laid.clone();
    none.files.remove("backupmeta");
    for (reader, target, code, why) in [
        (nowhere, anywhere(), &core::SOURCE_UNSUPPORTED, "cannot reach"),
        (reader(&laid), RestoreTarget::new(json!({ "cluster": 1 })), &core::INPUT_INVALID, "cluster"),
        (reader(&laid), RestoreTarget::new(json!({ "cluster-version": "4.0.16" })), &codes::VERSION, "version 5.0.0 and later"),
        (reader(&laid), RestoreTarget::new(json!({ "cluster-version": "2.1.0" })), &codes::VERSION, "3.1.0-beta.2"),
        (reader(&less), anywhere(), &codes::NOT_WHOLE, "does not hold it"),
        (reader(&none), anywhere(), &codes::NOT_WHOLE, "not there"),
        (reader(&laid).corrupt_after(10), anywhere(), &core::ARTIFACT_CORRUPT, "injected"),
    ] {
        let error = restore(laid.clone(), &reader, target, 0).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(why), "{why}: {error}");
    }
}

#[tokio::test]
async fn br_is_not_asked_when_a_file_is_gone_or_cut_off() {
    if !tools() {
        return;
    }
    let name = "2/8_1_3a5b_write.sst";
    for left in [None, Some(7)] {
        let world = World::new();
        let (source, standin) = world.standin(Laid::default().v2("")).source();
        let id = world.back_up(&source).await.unwrap();
        let (key, backup) = (world.key(&id, name).await, world.open(&id).await);
        match left {
            None => assert!(world.store.raw_delete(&key)),
            Some(bytes) => world.store.raw_put(&key, vec![0_u8; bytes]),
        }
        for target in [RestoreTarget::default(), RestoreTarget::default().dry_run(true)] {
            let error = source.restore(&world.cx(), &backup, &target).await.unwrap_err();
            assert!(*error.code() == core::ARTIFACT_MISSING && error.to_string().contains(name), "{error}");
        }
        assert!(standin.restored.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_incremental_backup_names_what_must_come_before() {
    if !tools() {
        return;
    }
    let laid = Laid::default().v1(&format!("start_version: {EARLIER_TS}"));
    let report = restore(laid.clone(), &reader(&laid), RestoreTarget::default(), 1).await.unwrap();
    let (warning, time) = (&report.warnings[0], Tso(EARLIER_TS).time().to_rfc3339());
    assert!(warning.contains(&EARLIER_TS.to_string()) && warning.contains(&time), "{warning}");
    assert_eq!(report.details["kind"], "incremental");
}

#[tokio::test]
async fn an_unknown_version_is_a_warning() {
    if !tools() {
        return;
    }
    let laid = Laid::default().v1("");
    let mut standin = StandIn::new(Place::Directory, laid.clone());
    standin.cluster.version = None;
    let (source, _) = standin.source();
    let report = source.restore(&cx(), &reader(&laid), &RestoreTarget::default()).await.unwrap();
    assert!(report.warnings[0].contains("not known"), "{report:?}");
    let odd = RestoreTarget::new(json!({ "cluster-version": "nightly" }));
    let report = restore(laid.clone(), &reader(&laid), odd, 1).await.unwrap();
    assert!(report.warnings[0].contains("`nightly`"), "{report:?}");
}

#[tokio::test]
async fn an_inspection_says_in_words_what_is_wrong() {
    if !tools() {
        return;
    }
    let laid = Laid::default().v1("");
    let (source, _) = StandIn::new(Place::Directory, laid.clone()).source();
    let mut none = laid.clone();
    none.files.remove("backupmeta");
    for (reader, fault) in [
        (reader(&none), "not there"),
        (reader(&laid).corrupt_after(100), "injected"),
        (reader(&laid).with_manifest(|manifest| manifest.artifacts[0].size += 1), "in the manifest, and"),
        (reader(&laid).with_manifest(|manifest| manifest.artifacts[1].sha256 = manifest.artifacts[0].sha256), "SHA-256"),
        (reader(&laid).with_manifest(|manifest| manifest.artifacts.retain(|one| !one.name.as_str().starts_with("1/"))), "hold"),
        (reader(&laid).with_manifest(|manifest| manifest.source.identity = Some("1".into())), "cluster 1"),
        (reader(&laid).with_manifest(|manifest| manifest.source.revision = Some(backup_core::Revision::exact(8))), "position 8"),
    ] {
        let inspection = source.inspect(&cx(), &reader).await.unwrap();
        assert_eq!(inspection.faults.len(), 1, "{fault}: {inspection:?}");
        assert!(inspection.faults[0].contains(fault), "{fault}: {inspection:?}");
    }
    let good = source.inspect(&cx(), &reader(&laid)).await.unwrap();
    assert!(good.faults.is_empty() && good.checks.len() == 2, "{good:?}");
}
