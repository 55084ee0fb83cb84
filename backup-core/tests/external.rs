//! Backups that another program writes: found, vouched for, verified, and removed in the directory that a contract names.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod support;

use std::time::Duration;

use backup_core::error::codes;
use backup_core::record::{Tombstone, seal};
use backup_core::repository::{DeleteOptions, VerifyLevel};
use backup_core::source::{Probe, Sink, Source, Summary};
use backup_core::testkit::{OpKind, SimStore};
use backup_core::{
    ArtifactName, BackupId, BackupReader, Digest, DirectoryName, Error, JobContext, KeyPrefix, Result, async_trait,
};
use futures::TryStreamExt;
use support::{World, bytes};

const DIRECTORY: &str = "2022-04-28-16-00-41-full";

/// Another program: writes into the store behind the engine's back, and leaves metadata with digests.
#[derive(Debug)]
struct Program {
    store: SimStore,
    files: Vec<(&'static str, Vec<u8>)>,
    /// Files that are vouched for and not written.
    lost: Vec<&'static str>,
    /// Bytes that are missing at the end of the first file.
    short: usize,
    fails: bool,
    /// Finds the place in use and writes nothing.
    refuses: bool,
    /// Which instance it is, as its metadata says in the end.
    identity: Option<&'static str>,
}

impl Program {
    fn new(world: &World) -> Self {
        world.store.set_external_location("sim://place");
        let files = vec![("1/a.sst", bytes(5_000_000, 1)), ("1/b.sst", bytes(70_000, 2))];
        Self { store: world.store.clone(), files, lost: Vec::new(), short: 0, fails: false, refuses: false, identity: None }
    }
}

#[async_trait]
impl Source for Program {
    fn kind(&self) -> &str {
        "program"
    }

    async fn probe(&self, _: &JobContext) -> Result<Probe> {
        Ok(Probe::default())
    }

    fn open_artifacts(&self) -> usize {
        0
    }

    async fn capture(&self, _: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        let url = sink.external_location()?.url;
        let prefix = url.strip_prefix("sim://place/").unwrap();
        if self.refuses {
            self.store.raw_put(&format!("{prefix}of-another"), "another began here meanwhile");
            return Err(Error::new(&codes::STORE_EXISTS, "the place is in use"));
        }
        for (name, content) in &self.files {
            let short = if *name == self.files[0].0 { self.short } else { 0 };
            self.store.raw_put(&format!("{prefix}{name}"), content[..content.len() - short].to_vec());
        }
        self.store.raw_put(&format!("{prefix}meta"), "what was written");
        if self.fails {
            return Err(Error::new(&codes::SOURCE_FAILED, "told to fail"));
        }
        let meta = ArtifactName::new("meta")?;
        let read: Vec<_> = sink.read_external(&meta).await?.try_collect().await?;
        assert_eq!(read.concat(), b"what was written");
        for (name, content) in &self.files {
            sink.vouch(&ArtifactName::new(*name)?, content.len() as u64, Digest::of(content))?;
        }
        for name in &self.lost {
            sink.vouch(&ArtifactName::new(*name)?, 1, Digest::of(b"x"))?;
        }
        let summary = Summary::default();
        Ok(self.identity.into_iter().fold(summary, Summary::identity))
    }
}

fn request(world: &World) -> backup_core::BackupRequest {
    world.request().directory(DirectoryName::new(DIRECTORY).unwrap())
}

async fn back_up(world: &World, program: &Program) -> Result<BackupId> {
    let outcome = world.repository.backup(&world.cx(), program, &request(world)).await?;
    Ok(outcome.backup().id.clone())
}

#[tokio::test]
async fn what_is_vouched_for_is_not_read_and_restores_byte_for_byte() {
    let world = World::new(1);
    let program = Program::new(&world);
    let id = back_up(&world, &program).await.unwrap();
    let reads = world.store.trace().iter().filter(|op| op.kind == OpKind::Read && op.key.ends_with(".sst")).count();
    assert_eq!(reads, 0, "the data was read back");

    let backup = world.repository.open(&world.cx(), &world.set, &id).await.unwrap();
    assert_eq!(backup.manifest().prefix.as_str(), format!("test/set/{DIRECTORY}/"));
    assert_eq!(backup.manifest().required_features, ["whole-digests"]);
    assert_eq!(backup.external_location().unwrap().url, format!("sim://place/test/set/{DIRECTORY}/"));
    for (name, content) in &program.files {
        let name = ArtifactName::new(*name).unwrap();
        assert_eq!(support::read(&world.cx(), &backup, &name).await.unwrap(), *content);
        let part = backup.open_stored(&world.cx(), &name, Some(1..2)).await.err().unwrap();
        assert_eq!(*part.code(), codes::SOURCE_UNSUPPORTED);
    }
    let meta = support::read(&world.cx(), &backup, &ArtifactName::new("meta").unwrap()).await.unwrap();
    assert_eq!(meta, b"what was written");
}

#[tokio::test]
async fn a_flipped_bit_in_a_file_that_was_vouched_for_is_found() {
    let world = World::new(2);
    let program = Program::new(&world);
    let id = back_up(&world, &program).await.unwrap();
    let verify = || async { world.repository.verify(&world.cx(), &world.set, &id, VerifyLevel::Digest, None).await.unwrap() };
    let report = verify().await;
    assert!(report.is_good(), "{report:?}");
    assert!(report.bytes >= 5_070_000, "{report:?}");
    world.clock.advance(Duration::from_secs(1));
    world.store.flip_bit(&format!("test/set/{DIRECTORY}/1/a.sst"), 4_999_999, 3);
    let report = verify().await;
    assert_eq!(report.record.findings.len(), 1, "{report:?}");
    let backup = world.repository.open(&world.cx(), &world.set, &id).await.unwrap();
    let error = support::read(&world.cx(), &backup, &ArtifactName::new("1/a.sst").unwrap()).await.unwrap_err();
    assert_eq!(*error.code(), codes::ARTIFACT_CORRUPT);
}

#[tokio::test]
async fn what_is_missing_or_short_by_the_metadata_is_never_published() {
    for (lost, short) in [(vec!["2/c.sst"], 0), (vec![], 1)] {
        let world = World::new(3);
        let program = Program { lost, short, ..Program::new(&world) };
        let error = back_up(&world, &program).await.unwrap_err();
        assert_eq!(*error.code(), codes::ARTIFACT_MISSING, "{error}");
        assert_eq!(world.repository.list(&world.cx(), &world.set).await.unwrap().len(), 0);
        world.janitor_to_the_end().await;
        assert_eq!(world.orphans().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn what_a_failed_program_writes_late_is_found_by_the_janitor() {
    let world = World::new(4);
    let program = Program { fails: true, ..Program::new(&world) };
    back_up(&world, &program).await.unwrap_err();
    assert!(!world.store.keys().iter().any(|key| key.contains(DIRECTORY)), "{:?}", world.store.keys());
    world.store.raw_put(&format!("test/set/{DIRECTORY}/1/late.sst"), "late");
    let error = back_up(&world, &Program::new(&world)).await.unwrap_err();
    assert_eq!(*error.code(), codes::STORE_EXISTS, "the directory was used again");
    world.store.raw_delete(&format!("test/set/{DIRECTORY}/1/late.sst"));
    let error = back_up(&world, &Program::new(&world)).await.unwrap_err();
    assert_eq!(*error.code(), codes::STORE_EXISTS, "the directory was used again while something may appear in it");
    world.store.raw_put(&format!("test/set/{DIRECTORY}/1/late.sst"), "late");
    world.janitor_to_the_end().await;
    assert_eq!(world.orphans().await, Vec::<String>::new());
    back_up(&world, &Program::new(&world)).await.unwrap();
}

#[tokio::test]
async fn a_directory_in_use_is_left_alone_and_goes_with_its_backup() {
    let world = World::new(5);
    let program = Program::new(&world);
    let id = back_up(&world, &program).await.unwrap();
    let before = world.store.keys();
    let error = back_up(&world, &program).await.unwrap_err();
    assert_eq!(*error.code(), codes::STORE_EXISTS);
    assert_eq!(world.store.keys(), before);

    let error = world.repository.delete(&world.cx(), &world.set, &id).await.unwrap_err();
    assert_eq!(*error.code(), codes::BACKUP_NOT_REMOVABLE, "the newest good backup went without being asked for");
    let options = DeleteOptions::default().even_newest();
    world.repository.delete_with(&world.cx(), &world.set, &id, options).await.unwrap();
    assert_eq!(world.store.keys(), Vec::<String>::new());
}

#[tokio::test]
async fn a_parent_stays_even_when_it_is_named() {
    let world = World::new(6);
    let parent = back_up(&world, &Program::new(&world)).await.unwrap();
    world.clock.advance(Duration::from_secs(60));
    let request =
        world.request().directory(DirectoryName::new("2022-04-28-16-01-41-incr").unwrap()).parents(vec![parent.clone()]);
    world.repository.backup(&world.cx(), &Program::new(&world), &request).await.unwrap();
    let options = DeleteOptions::default().even_newest();
    let error = world.repository.delete_with(&world.cx(), &world.set, &parent, options).await.unwrap_err();
    assert_eq!(*error.code(), codes::BACKUP_NOT_REMOVABLE);
}

#[tokio::test]
async fn what_another_began_meanwhile_is_left_alone() {
    let world = World::new(7);
    let program = Program { refuses: true, ..Program::new(&world) };
    back_up(&world, &program).await.unwrap_err();
    world.janitor_to_the_end().await;
    assert_eq!(world.orphans().await, [format!("test/set/{DIRECTORY}/of-another")]);
}

#[tokio::test]
async fn a_lying_record_does_not_remove_the_directory_of_another_backup() {
    let world = World::new(8);
    let id = back_up(&world, &Program::new(&world)).await.unwrap();
    let before = world.store.keys();
    let lie = BackupId::new("20260101T000000000Z-00000001").unwrap();
    let tombstone = Tombstone {
        set: world.set.clone(),
        id: lie.clone(),
        reason: "a lie".into(),
        created_at: world.cx().clock().now(),
        prefix: KeyPrefix::new(format!("test/set/{DIRECTORY}")).unwrap(),
        artifacts: Vec::new(),
        adopted: false,
    };
    world.store.raw_put(&format!(".backup/tombstones/test/set/{lie}.json"), seal(&tombstone).unwrap());
    world.clock.advance(support::GRACE * 3);
    let report = world.repository.janitor(&world.cx()).await.unwrap();
    assert_eq!(report.problems.len(), 1, "{report:?}");
    assert!(before.iter().all(|key| world.store.keys().contains(key)));
    assert!(world.repository.verify(&world.cx(), &world.set, &id, VerifyLevel::Digest, None).await.unwrap().is_good());
}

#[tokio::test]
async fn a_file_that_is_gone_or_cut_is_seen_before_another_program_restores() {
    let world = World::new(9);
    let id = back_up(&world, &Program::new(&world)).await.unwrap();
    let backup = world.repository.open(&world.cx(), &world.set, &id).await.unwrap();
    backup.check_sizes(&world.cx()).await.unwrap();
    let name = ArtifactName::new("1/b.sst").unwrap();
    assert_eq!(backup.entry(&name), Some((70_000, Digest::of(&bytes(70_000, 2)))));
    let key = format!("test/set/{DIRECTORY}/1/b.sst");
    world.store.raw_put(&key, "cut");
    assert_eq!(*backup.check_sizes(&world.cx()).await.unwrap_err().code(), codes::ARTIFACT_MISSING);
    world.store.raw_delete(&key);
    assert_eq!(*backup.check_sizes(&world.cx()).await.unwrap_err().code(), codes::ARTIFACT_MISSING);
}

#[tokio::test]
async fn nothing_is_published_on_top_of_a_backup_of_another_instance() {
    for (identity, fits) in [("one", true), ("another", false)] {
        let world = World::new(10);
        let parent = back_up(&world, &Program { identity: Some("one"), ..Program::new(&world) }).await.unwrap();
        world.clock.advance(Duration::from_secs(60));
        let directory = DirectoryName::new("2022-04-28-16-01-41-incr").unwrap();
        let request = world.request().directory(directory).parents(vec![parent]);
        let program = Program { identity: Some(identity), ..Program::new(&world) };
        let made = world.repository.backup(&world.cx(), &program, &request).await;
        assert_eq!(made.is_ok(), fits, "{made:?}");
        assert!(fits || *made.unwrap_err().code() == codes::BACKUP_OTHER_HISTORY);
        let count = world.repository.list(&world.cx(), &world.set).await.unwrap().len();
        assert_eq!(count, if fits { 2 } else { 1 });
    }
}
