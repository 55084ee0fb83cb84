//! Backups, from the order to the manifest.

use std::ops::Range;

use async_trait::async_trait;
use backup_core::error::codes as core;
use backup_core::repository::StoredBackup;
use backup_core::source::ArtifactStream;
use backup_core::{ArtifactName, BackupReader, Digest, JobContext, Manifest, RestoreTarget, Result, Revision, Source};

use super::World;
use crate::br::config::EncryptionMethod::{Aes128Ctr, Aes256Ctr};
use crate::br::executor::Cluster;
use crate::br::meta::tests::encoder::{BACKUP_TS, CLUSTER, EARLIER_TS, Laid, content, encode, encryption, quoted, tools};
use crate::br::{Tso, codes};

#[tokio::test]
async fn what_br_left_is_published_whole_and_verified() {
    if !tools() {
        return;
    }
    for laid in
        [Laid::default().v1(""), Laid::default().v2(""), Laid::encrypted(Aes256Ctr).v1(""), Laid::encrypted(Aes256Ctr).v2("")]
    {
        let world = World::new();
        let (files, method) = (laid.files.clone(), laid.encryption.as_ref().map_or("plaintext", |_| "aes256-ctr"));
        let (source, standin) = world.standin(laid).source();
        let id = world.back_up(&source).await.unwrap();

        let backup = world.open(&id).await;
        let mut held: Vec<_> = backup.entries().iter().map(|one| (one.name.to_string(), one.size, one.sha256)).collect();
        held.sort();
        let left: Vec<_> = files.iter().map(|(name, bytes)| (name.clone(), bytes.len() as u64, Digest::of(bytes))).collect();
        assert_eq!(held, left, "every file is an artifact, the lock too");
        let info = &backup.manifest().source;
        assert_eq!(info.identity.as_deref(), Some(CLUSTER.to_string().as_str()));
        assert_eq!(info.revision, Some(Revision::exact(BACKUP_TS)));
        assert_eq!(info.version.as_deref(), Some("6.5.0"));
        assert_eq!(info.log.as_deref(), Some("Full Backup success summary"));
        assert_eq!(backup.manifest().warnings, ["said by BR"]);
        let integrity = info.integrity.as_ref().unwrap();
        assert_eq!(integrity["end-version"], BACKUP_TS.to_string());
        assert_eq!((&integrity["files"], &integrity["encryption"]), (&3.into(), &method.into()));
        assert_eq!(integrity["file-sums"], integrity["schema-sums"]);

        let order = standin.ordered.lock().unwrap()[0].clone();
        assert_eq!(order.location.url, format!("sim://place/{}", backup.manifest().prefix));
        assert_eq!((order.since, order.encryption.is_some()), (None, method != "plaintext"));
        assert_eq!(world.findings(&source, &id).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn data_is_vouched_for_and_not_read_back() {
    if !tools() {
        return;
    }
    let world = World::new();
    let (source, _) = world.standin(Laid::default().v1("")).source();
    world.back_up(&source).await.unwrap();
    let trace = world.store.trace();
    let reads: Vec<_> =
        trace.iter().filter(|op| op.kind == backup_core::testkit::OpKind::Read && op.key.ends_with(".sst")).collect();
    assert!(reads.is_empty(), "{reads:?}");
}

#[tokio::test]
async fn a_flipped_bit_in_an_sst_is_found() {
    if !tools() {
        return;
    }
    for name in ["2/8_1_3a5b_write.sst", "backupmeta", "backupmeta.schema.000000003", "backup.lock"] {
        let world = World::new();
        let (source, _) = world.standin(Laid::default().v2("")).source();
        let id = world.back_up(&source).await.unwrap();
        let key = world.key(&id, name).await;
        world.store.flip_bit(&key, 7, 2);
        let findings = world.findings(&source, &id).await;
        assert!(findings.iter().any(|finding| finding.contains(name)), "{name}: {findings:?}");
    }
}

#[tokio::test]
async fn what_is_missing_is_never_published() {
    if !tools() {
        return;
    }
    let whole = Laid::default().v2("");
    for name in whole.files.keys().filter(|name| *name != "backup.lock") {
        let mut laid = whole.clone();
        laid.files.remove(name);
        let world = World::new();
        let (source, _) = world.standin(laid).source();
        let error = world.back_up(&source).await.unwrap_err();
        let wanted = if name.ends_with(".sst") { &core::ARTIFACT_MISSING } else { &codes::NOT_WHOLE };
        assert_eq!(error.code(), wanted, "{name}: {error}");
        world.assert_nothing_published().await;
    }
}

#[tokio::test]
async fn a_backup_that_was_not_ordered_is_not_published() {
    if !tools() {
        return;
    }
    let incremental = format!("start_version: {EARLIER_TS}");
    for (since, more, change) in [
        (None, "", "claims another BackupTS"),
        (None, "", "is of another cluster"),
        (None, incremental.as_str(), "is incremental"),
        (Some(EARLIER_TS), "", "is full"),
        (Some(EARLIER_TS + 1), incremental.as_str(), "starts elsewhere"),
    ] {
        let world = World::new();
        let mut standin = world.standin(Laid::default().v1(more));
        match change {
            "claims another BackupTS" => standin.done.backup_ts = Some(Tso(BACKUP_TS + 1)),
            "is of another cluster" => standin.cluster.id = Some("17".into()),
            _ => {}
        }
        let (source, _) = standin.source();
        let source = since.map_or(source.clone(), |since| source.incremental(Tso(since)));
        let error = world.back_up(&source).await.unwrap_err();
        assert_eq!(*error.code(), codes::NOT_WHOLE, "{change}: {error}");
        world.assert_nothing_published().await;
    }
}

#[tokio::test]
async fn an_incremental_backup_starts_where_it_was_told() {
    if !tools() {
        return;
    }
    let world = World::new();
    let mut standin = world.standin(Laid::default().v1(&format!("start_version: {EARLIER_TS}")));
    (standin.cluster, standin.done.backup_ts) = (Cluster::default(), None);
    let (source, standin) = standin.source();
    let id = world.back_up(&source.incremental(Tso(EARLIER_TS))).await.unwrap();
    assert_eq!(standin.ordered.lock().unwrap()[0].since, Some(Tso(EARLIER_TS)));
    let integrity = world.open(&id).await.manifest().source.integrity.clone().unwrap();
    assert_eq!(integrity["start-version"], EARLIER_TS.to_string());
}

#[tokio::test]
async fn a_backup_of_another_cluster_than_the_parents_is_not_published() {
    if !tools() {
        return;
    }
    for (parent, tells, orders) in [("17", true, 0), ("17", false, 1), (&*CLUSTER.to_string(), false, 1)] {
        let world = World::new();
        let mut standin = world.standin(Laid::default().v1(&format!("start_version: {EARLIER_TS}")));
        if !tells {
            standin.cluster = Cluster::default();
        }
        let (source, standin) = standin.source();
        let answer = world.back_up(&source.incremental(Tso(EARLIER_TS)).of_cluster(parent)).await;
        assert_eq!(standin.ordered.lock().unwrap().len(), orders);
        if parent == "17" {
            assert_eq!(*answer.unwrap_err().code(), codes::OTHER_CLUSTER);
            world.assert_nothing_published().await;
        } else {
            answer.unwrap();
        }
    }
}

#[tokio::test]
async fn a_key_that_was_changed_damages_no_backup() {
    if !tools() {
        return;
    }
    let (right, mut rotated) = (encryption(Aes256Ctr), encryption(Aes256Ctr));
    rotated.key = backup_core::Secret::new("00".repeat(32));
    for laid in [Laid::encrypted(Aes256Ctr).v1(""), Laid::encrypted(Aes256Ctr).v2("")] {
        let world = World::new();
        let (source, _) = world.standin(laid).source();
        let id = world.back_up(&source).await.unwrap();
        let backup = world.open(&id).await;
        for (other, why) in [(None, "plaintext"), (Some(encryption(Aes128Ctr)), "aes128-ctr"), (Some(rotated.clone()), "`key`")] {
            let changed = source.with_encryption(other);
            for error in [
                changed.inspect(&world.cx(), &backup).await.unwrap_err(),
                changed.restore(&world.cx(), &backup, &RestoreTarget::default()).await.unwrap_err(),
            ] {
                assert_eq!(*error.code(), codes::CONFIG, "{error}");
                assert!(error.to_string().contains(why), "{why}: {error}");
            }
        }
        // With the right key, and with a wrong one, damage is damage.
        let key = world.key(&id, "backupmeta").await;
        world.store.flip_bit(&key, 20, 2);
        for encryption in [right.clone(), rotated.clone()] {
            let inspection = source.with_encryption(Some(encryption)).inspect(&world.cx(), &backup).await.unwrap();
            assert_eq!(inspection.faults.len(), 1, "{inspection:?}");
        }
    }
    let world = World::new();
    let (source, _) = world.standin(Laid::default().v1("")).source();
    let id = world.back_up(&source).await.unwrap();
    let backup = world.open(&id).await;
    let error = source.with_encryption(Some(right)).inspect(&world.cx(), &backup).await.unwrap_err();
    assert_eq!(*error.code(), codes::CONFIG, "{error}");
}

#[tokio::test]
async fn what_br_says_when_it_fails_is_handed_on() {
    if !tools() {
        return;
    }
    for code in [&codes::FAILED, &codes::NOT_EMPTY, &codes::ENDED, &core::JOB_CANCELLED] {
        let world = World::new();
        let mut standin = world.standin(Laid::default().v1(""));
        standin.fails = Some(code);
        let (source, _) = standin.source();
        let error = world.back_up(&source).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        world.assert_nothing_published().await;
    }
}

#[tokio::test]
async fn a_cluster_that_is_too_old_is_not_even_asked() {
    if !tools() {
        return;
    }
    for (version, laid) in [("3.0.9", Laid::default().v1("")), ("5.2.4", Laid::encrypted(Aes256Ctr).v1(""))] {
        let world = World::new();
        let mut standin = world.standin(laid);
        standin.cluster.version = Some(version.into());
        let (source, standin) = standin.source();
        let error = world.back_up(&source).await.unwrap_err();
        assert_eq!(*error.code(), codes::VERSION, "{error}");
        assert!(standin.ordered.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn files_of_which_an_old_br_tells_no_size_are_read() {
    if !tools() {
        return;
    }
    for (sha256, good) in [(Digest::of(&content(4)), true), (Digest::of(b"other"), false)] {
        let world = World::new();
        let mut laid = Laid::default();
        laid.files.insert("1/old.sst".into(), content(4));
        let text = format!(
            "cluster_id: {CLUSTER} end_version: {BACKUP_TS} files {{ name: \"1/old.sst\" sha256: \"{}\" }}",
            quoted(sha256.as_bytes())
        );
        let (source, _) = world.standin(laid.finish(&text)).source();
        match world.back_up(&source).await {
            Ok(id) => {
                assert!(good);
                let backup = world.open(&id).await;
                let name = ArtifactName::new("1/old.sst").unwrap();
                let old = backup.entries().iter().find(|one| one.name == name).unwrap();
                assert_eq!((old.size, old.sha256), (content(4).len() as u64, sha256));
                assert_eq!(world.findings(&source, &id).await, Vec::<String>::new());
            }
            Err(error) => {
                assert!(!good && *error.code() == codes::NOT_WHOLE, "{error}");
                world.assert_nothing_published().await;
            }
        }
    }
}

#[tokio::test]
async fn sums_that_contradict_are_a_warning_and_found_by_a_verify() {
    if !tools() {
        return;
    }
    let world = World::new();
    let mut laid = Laid::default().v1("");
    let more = encode("BackupMeta", "schemas { total_kvs: 5 crc64xor: 7 total_bytes: 5 }");
    laid.files.get_mut("backupmeta").unwrap().extend(more);
    let (source, _) = world.standin(laid).source();
    let id = world.back_up(&source).await.unwrap();
    let warnings = &world.open(&id).await.manifest().warnings.clone();
    assert!(warnings[1].contains("60 pairs of 600 bytes"), "{warnings:?}");
    let findings = world.findings(&source, &id).await;
    assert!(findings.len() == 1 && findings[0].contains("60 pairs of 600 bytes"), "{findings:?}");
}

#[tokio::test]
async fn a_backup_of_thousands_of_files_is_published_with_an_inventory() {
    if !tools() {
        return;
    }
    let world = World::new();
    let mut laid = Laid::default();
    let mut text = format!("cluster_id: {CLUSTER} end_version: {BACKUP_TS} ");
    for number in 0..1_500 {
        let (name, bytes) = (format!("{}/{number}.sst", number % 5), vec![number as u8; 50 + number % 7]);
        text +=
            &format!("files {{ name: \"{name}\" size: {} sha256: \"{}\" }}", bytes.len(), quoted(Digest::of(&bytes).as_bytes()));
        laid.files.insert(name, bytes);
    }
    let (source, _) = world.standin(laid.finish(&text)).source();
    let id = world.back_up(&source).await.unwrap();
    let backup = world.open(&id).await;
    assert!(backup.manifest().inventory.is_some());
    assert_eq!(world.findings(&source, &id).await, Vec::<String>::new());
    // Only the inventory has their sizes and digests, and they are compared, too.
    let inspection = source.inspect(&world.cx(), &Swapped(&backup)).await.unwrap();
    let faults: Vec<_> =
        inspection.faults.iter().map(|fault| fault.contains("SHA-256") && fault.contains("`4/1499.sst`")).collect();
    assert_eq!(faults, [true], "{inspection:?}");
}

/// A backup whose inventory has the digest of another file for one of them.
struct Swapped<'a>(&'a StoredBackup);

#[async_trait]
impl BackupReader for Swapped<'_> {
    fn manifest(&self) -> &Manifest {
        self.0.manifest()
    }

    fn artifacts(&self) -> Vec<ArtifactName> {
        self.0.artifacts()
    }

    fn entry(&self, name: &ArtifactName) -> Option<(u64, Digest)> {
        let (size, sha256) = self.0.entry(name)?;
        Some((size, if name.as_str() == "4/1499.sst" { Digest::of(b"other") } else { sha256 }))
    }

    async fn open(&self, cx: &JobContext, name: &ArtifactName) -> Result<ArtifactStream> {
        self.0.open(cx, name).await
    }

    async fn open_stored(&self, cx: &JobContext, name: &ArtifactName, range: Option<Range<u64>>) -> Result<ArtifactStream> {
        self.0.open_stored(cx, name, range).await
    }
}
