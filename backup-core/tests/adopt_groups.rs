//! Backups of another program that are many files each, one of them the head that says the backup is whole.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use backup_core::error::codes;
use backup_core::manifest::SourceInfo;
use backup_core::naming::{Adoptable, DefaultNaming, Describe, Description, Member, NameRequest, Naming};
use backup_core::repository::{BackupInfo, State, VerifyLevel};
use backup_core::retention::RetentionPolicy;
use backup_core::source::BackupReader;
use backup_core::testkit::{CrashMode, Fault, FaultPlan, FaultRule, OpKind};
use backup_core::{Compression, Error, KeyPrefix, ObjectKey, ObjectMeta, Repository, Result, SetName};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use support::{Data, GRACE, TTL, World, bytes, read};

/// `tapes/<minute>/<group>.part-0001` …, `tapes/<minute>/<group>.head`: JSON that tells `files` and `parent`.
#[derive(Debug)]
struct Tapes;

impl Naming for Tapes {
    fn artifact_key(&self, request: NameRequest<'_>) -> Result<ObjectKey> {
        DefaultNaming.artifact_key(request)
    }

    fn adoptable_prefix(&self, _: &SetName) -> Option<KeyPrefix> {
        KeyPrefix::new("tapes").ok()
    }

    fn adopt(&self, _: &SetName, object: &ObjectMeta) -> Option<Adoptable> {
        let (minute, name) = object.key.as_str().strip_prefix("tapes/")?.split_once('/')?;
        let (group, part) = name.split_once('.')?;
        Some(Adoptable {
            artifact: part.parse().ok()?,
            compression: Compression::None,
            created_at: DateTime::<Utc>::from_timestamp(1_600_000_000 + 60 * minute.parse::<i64>().ok()?, 0)?,
            order: None,
            revision: None,
            version: None,
            group: Some(Member { group: group.into(), head: part == "head" }),
        })
    }

    fn describe(&self, _: &SetName, _: &ObjectKey) -> Option<Box<dyn Describe>> {
        Some(Box::<Head>::default())
    }

    fn group_of(&self, source: &SourceInfo) -> Option<String> {
        Some(source.integrity.as_ref()?.get("tape")?.as_str()?.to_owned())
    }

    fn names_alike(&self) -> bool {
        false
    }

    fn finds_sets(&self) -> bool {
        true
    }

    fn adoptable_set(&self, object: &ObjectMeta) -> Option<SetName> {
        object.key.file_name().ends_with(".head").then(|| SetName::new("test/set").unwrap())
    }
}

#[derive(Default)]
struct Head(Vec<u8>);

impl Describe for Head {
    fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn end(self: Box<Self>) -> Result<Description> {
        let said: Value =
            serde_json::from_slice(&self.0).map_err(|error| Error::new(&codes::ARTIFACT_CORRUPT, error.to_string()))?;
        let description = Description::default().kind("tape").files(said["files"].as_u64().unwrap());
        let description = description.integrity(json!({ "tape": said["tape"] })).identity("deck");
        Ok(match said["parent"].as_str() {
            Some(parent) => description.parent(parent),
            None => description,
        })
    }
}

fn on_tapes(world: World) -> World {
    let repository = Repository::builder(Arc::new(world.store.clone()))
        .environment(world.cx().environment().clone())
        .cpu(backup_core::cpu::CpuPool::inline())
        .intent_ttl(TTL)
        .grace(GRACE)
        .naming(Arc::new(Tapes))
        .build();
    World { repository, ..world }
}

fn world(seed: u64) -> World {
    on_tapes(World::new(seed))
}

fn part(minute: u32, group: &str, number: u64) -> (String, Vec<u8>) {
    (format!("tapes/{minute}/{group}.part-{number:05}"), bytes(100 + usize::try_from(number).unwrap() % 50, number))
}

/// Leaves a backup as the other program does, its head last.
fn leave(world: &World, minute: u32, group: &str, parts: u64, parent: Option<&str>) {
    for number in 1..=parts {
        let (key, content) = part(minute, group, number);
        world.store.raw_put(&key, content);
    }
    let head = json!({ "tape": group, "files": parts + 1, "parent": parent });
    world.store.raw_put(&format!("tapes/{minute}/{group}.head"), head.to_string().into_bytes());
}

async fn list(world: &World) -> Vec<Arc<BackupInfo>> {
    world.repository.list(&world.cx(), &world.set).await.unwrap()
}

/// Reads all artifacts of a group's backup and compares them with what was left.
async fn is_whole(world: &World, info: &BackupInfo, minute: u32, group: &str, parts: u64) {
    let backup = world.repository.open(&world.cx(), &world.set, &info.id).await.unwrap();
    let mut expected: BTreeMap<String, Vec<u8>> = (1..=parts).map(|number| part(minute, group, number)).collect();
    for artifact in backup.entries() {
        let content = read(&world.cx(), &backup, &artifact.name).await.unwrap();
        match artifact.name.as_str() {
            "head" => {}
            _ => assert_eq!(expected.remove(artifact.key.as_str()).unwrap(), content),
        }
    }
    assert!(expected.is_empty(), "{group} lacks {}", expected.len());
}

#[tokio::test]
async fn a_group_is_shown_with_its_head_alone_as_one_backup_of_all_its_files() {
    let world = world(1);
    leave(&world, 1, "a", 3, None);
    let (key, content) = part(2, "half", 1);
    world.store.raw_put(&key, content);
    let listed = list(&world).await;
    assert_eq!(listed.len(), 1, "{listed:?}");
    let info = &listed[0];
    let sizes: usize = (1..=3).map(|number| part(1, "a", number).1.len()).sum();
    let head = world.store.raw_get("tapes/1/a.head").unwrap().len();
    assert_eq!((info.artifacts, info.stored_size), (4, (sizes + head) as u64));
    assert_eq!((info.state.clone(), info.group.as_deref()), (State::Adopted, Some("a")));
    assert_eq!(world.repository.sets(&world.cx()).await.unwrap(), std::slice::from_ref(&world.set));

    is_whole(&world, info, 1, "a", 3).await;
    let again = list(&world).await;
    assert_eq!((again.len(), &again[0].id, &again[0].state), (1, &info.id, &State::Published));
    assert_eq!((again[0].artifacts, again[0].stored_size), (4, info.stored_size));
    let manifest = world.repository.manifest(&world.cx(), &world.set, &info.id).await.unwrap();
    assert!(manifest.adopted);
    assert_eq!((manifest.source.kind.as_str(), manifest.source.identity.as_deref()), ("tape", Some("deck")));
    let fresh = on_tapes(world.beside(7));
    assert_eq!(list(&fresh).await.len(), 1, "a process that knows nothing takes an adopted group for a new one");
    assert_eq!(fresh.repository.sets(&fresh.cx()).await.unwrap(), std::slice::from_ref(&world.set));
    let report = fresh.repository.verify(&fresh.cx(), &world.set, &info.id, VerifyLevel::Restorable, None).await.unwrap();
    assert!(report.is_good());
    world.store.flip_bit("tapes/1/a.part-00002", 40, 0);
    let report = fresh.repository.verify(&fresh.cx(), &world.set, &info.id, VerifyLevel::Digest, None).await.unwrap();
    assert!(!report.is_good());
}

#[tokio::test]
async fn backups_of_our_own_beside_groups_are_not_taken_for_theirs() {
    let world = world(2);
    leave(&world, 1, "a", 2, None);
    let data = Data::new(&[("one", bytes(1000, 1)), ("two", bytes(1000, 2))]);
    world.repository.backup(&world.cx(), &data, &world.request()).await.unwrap();
    let states: Vec<_> = list(&world).await.iter().map(|info| (info.state.clone(), info.artifacts)).collect();
    assert_eq!(states, [(State::Adopted, 3), (State::Published, 2)]);
}

#[tokio::test]
async fn what_an_adopted_backup_needs_is_adopted_first_and_protected_before_and_after() {
    let world = world(3);
    leave(&world, 1, "full", 3, None);
    leave(&world, 2, "first", 2, Some("full"));
    leave(&world, 3, "second", 1, Some("first"));
    let [full, first, second] = <[_; 3]>::try_from(list(&world).await).unwrap();
    let cx = world.cx();
    let shown = world.repository.list_with_parents(&cx, &world.set).await.unwrap();
    let parents: Vec<_> = shown.iter().map(|info| info.parents.clone()).collect();
    assert_eq!(parents, [vec![], vec![full.id.clone()], vec![first.id.clone()]]);
    let fresh = on_tapes(world.beside(5));
    let refused = fresh.repository.delete(&fresh.cx(), &world.set, &full.id).await.unwrap_err();
    assert_eq!(refused.code().name, "backup.not_removable");
    let policy = RetentionPolicy::default().keep_last(1);
    let plan = world.repository.plan(&cx, &world.set, &policy).await.unwrap();
    assert_eq!(plan.removed().count(), 0, "the newest needs both others");

    let backup = world.repository.open(&cx, &world.set, &second.id).await.unwrap();
    let parents = backup.parents(&cx).await.unwrap();
    let ids: Vec<_> = parents.iter().map(|parent| parent.manifest().id.clone()).collect();
    assert_eq!(ids, [full.id.clone(), first.id.clone()], "oldest first");
    let listed = list(&world).await;
    assert!(listed.iter().all(|info| info.state == State::Published), "{listed:?}");
    assert_eq!(listed[2].parents, std::slice::from_ref(&first.id));
    assert!(world.repository.delete(&cx, &world.set, &first.id).await.is_err());

    // A later one finds its parent among the published ones, in a process that knows nothing.
    leave(&world, 4, "third", 1, Some("second"));
    let fresh = on_tapes(world.beside(6));
    let third = list(&fresh).await[3].clone();
    let opened = fresh.repository.open(&fresh.cx(), &world.set, &third.id).await.unwrap();
    assert_eq!(opened.manifest().parents, std::slice::from_ref(&second.id));
}

#[tokio::test]
async fn a_backup_whose_parent_is_gone_is_adopted_with_a_warning_that_names_it() {
    let world = world(4);
    leave(&world, 2, "first", 2, Some("lost"));
    let id = list(&world).await[0].id.clone();
    let backup = world.repository.open(&world.cx(), &world.set, &id).await.unwrap();
    let [warning] = backup.manifest().warnings.as_slice() else { panic!("{:?}", backup.manifest().warnings) };
    assert!(warning.contains("`lost`") && warning.contains("cannot be restored"), "{warning}");
    assert_eq!(list(&world).await[0].warnings, 1);
}

#[tokio::test]
async fn a_group_that_is_not_what_its_head_says_is_found_damaged() {
    let world = world(5);
    leave(&world, 1, "a", 3, None);
    world.store.raw_delete("tapes/1/a.part-00002");
    leave(&world, 2, "b", 1, None);
    world.store.raw_put("tapes/2/b.head", &b"no JSON"[..]);
    leave(&world, 3, "c", 1, Some("c"));
    for (id, code) in list(&world)
        .await
        .iter()
        .zip(["artifact.missing", "artifact.corrupt", "artifact.corrupt"])
        .map(|(info, code)| (&info.id, code))
    {
        let report = world.repository.verify(&world.cx(), &world.set, id, VerifyLevel::Digest, None).await.unwrap();
        assert_eq!(report.record.findings[0].code, code, "{report:?}");
    }
    assert!(list(&world).await.iter().all(|info| info.state == State::Adopted && !info.is_good()));
}

#[tokio::test]
async fn a_chain_is_restored_where_nothing_can_be_written_and_its_files_are_not_read_over_and_over() {
    for (code, parts) in [(&codes::STORE_READ_ONLY, 3), (&codes::STORE_NO_SPACE, 3), (&codes::STORE_DENIED, 1200)] {
        let world = world(6);
        leave(&world, 1, "full", parts, None);
        leave(&world, 2, "first", 2, Some("full"));
        leave(&world, 3, "second", 2, Some("first"));
        let refuse = FaultRule::new(Fault::ErrorBefore(code));
        world.store.set_faults(FaultPlan::seeded(1).rule(refuse.on([OpKind::Put, OpKind::Finish])));
        let listed = list(&world).await;
        let backup = world.repository.open(&world.cx(), &world.set, &listed[2].id).await.unwrap();
        let parents = backup.parents(&world.cx()).await.unwrap();
        assert_eq!(parents.len(), 2);
        is_whole(&world, &listed[0], 1, "full", parts).await;
        is_whole(&world, &listed[2], 3, "second", 2).await;
        assert!(list(&world).await.iter().all(|info| info.state == State::Adopted));
        let reads =
            world.store.trace().iter().filter(|op| op.kind == OpKind::Read && op.key.ends_with("full.part-00001")).count();
        assert!(reads <= 4, "the oldest was read {reads} times");
    }
}

#[tokio::test]
async fn many_files_are_each_read_once_and_listed_in_an_inventory() {
    let world = world(7);
    leave(&world, 1, "a", 25_000, None);
    let info = list(&world).await[0].clone();
    assert_eq!(info.artifacts, 25_001);
    world.repository.open(&world.cx(), &world.set, &info.id).await.unwrap();
    let mut reads: BTreeMap<String, u32> = BTreeMap::new();
    for op in world.store.trace().iter().filter(|op| op.kind == OpKind::Read && op.key.starts_with("tapes/")) {
        *reads.entry(op.key.clone()).or_default() += 1;
    }
    assert_eq!((reads.len(), reads.values().max()), (25_001, Some(&1)));
    let manifest = world.repository.manifest(&world.cx(), &world.set, &info.id).await.unwrap();
    assert_eq!((manifest.artifacts.len(), manifest.inventory.as_ref().unwrap().count), (0, 25_001));
    let listed = list(&world).await;
    assert_eq!((listed.len(), listed[0].artifacts, &listed[0].id), (1, 25_001, &info.id));
    world
        .repository
        .delete_with(&world.cx(), &world.set, &info.id, backup_core::repository::DeleteOptions::default().even_newest())
        .await
        .unwrap();
    assert_eq!(world.store.keys(), Vec::<String>::new());
}

#[tokio::test]
async fn a_crash_at_any_step_of_an_adoption_leaves_nothing_that_the_next_one_does_not_take_up() {
    for parts in [2, 1001] {
        let whole = world(8);
        leave(&whole, 1, "full", parts, None);
        leave(&whole, 2, "first", 1, Some("full"));
        let id = list(&whole).await[1].id.clone();
        let before = whole.store.op_count();
        whole.repository.open(&whole.cx(), &whole.set, &id).await.unwrap();
        // Reads of parts all look alike: a few of them will do.
        let trace = whole.store.trace();
        let steps: Vec<u64> = trace
            .iter()
            .filter(|op| op.number > before && (op.kind != OpKind::Read || !op.key.contains("part-") || op.key.ends_with("1")))
            .map(|op| op.number)
            .collect();
        let steps: Vec<u64> = if parts > 100 { steps.into_iter().rev().take(12).collect() } else { steps };
        for (step, mode) in steps.into_iter().flat_map(|step| CrashMode::ALL.map(|mode| (step, mode))) {
            let world = world(8);
            leave(&world, 1, "full", parts, None);
            leave(&world, 2, "first", 1, Some("full"));
            list(&world).await;
            world.store.crash_at(step, mode);
            let _ = world.repository.open(&world.cx(), &world.set, &id).await;
            let world = on_tapes(world.after_crash(step));
            assert_eq!(list(&world).await.len(), 2, "step {step} {mode:?}");
            let backup = world.repository.open(&world.cx(), &world.set, &id).await.unwrap();
            assert_eq!(backup.parents(&world.cx()).await.unwrap().len(), 1, "step {step} {mode:?}");
            let listed = list(&world).await;
            assert!(listed.iter().all(|info| info.state == State::Published), "step {step} {mode:?}: {listed:?}");
            assert_eq!(world.orphans().await, Vec::<String>::new(), "step {step} {mode:?}");
        }
    }
}

#[tokio::test]
async fn a_crash_at_any_step_of_a_removal_shows_no_group_without_its_files() {
    for adopt in [false, true] {
        let start = || async {
            let world = world(9);
            leave(&world, 1, "old", 4, None);
            leave(&world, 2, "new", 1, None);
            let id = list(&world).await[0].id.clone();
            if adopt {
                world.repository.open(&world.cx(), &world.set, &id).await.unwrap();
            }
            (world, id)
        };
        let (whole, id) = start().await;
        let before = whole.store.op_count();
        whole.repository.delete(&whole.cx(), &whole.set, &id).await.unwrap();
        assert_eq!(whole.store.keys().iter().filter(|key| key.contains("old")).count(), 0);
        for (step, mode) in (before + 1..=whole.store.op_count()).flat_map(|step| CrashMode::ALL.map(|mode| (step, mode))) {
            let (world, id) = start().await;
            world.store.crash_at(step, mode);
            let _ = world.repository.delete(&world.cx(), &world.set, &id).await;
            let world = on_tapes(world.after_crash(step));
            let shown = list(&world).await;
            if let Some(info) = shown.iter().find(|info| info.id == id) {
                is_whole(&world, info, 1, "old", 4).await;
            }
            assert!(shown.iter().any(|info| info.group.as_deref() == Some("new")), "step {step} {mode:?}");
            world.janitor_to_the_end().await;
            let left = world.store.keys().iter().filter(|key| key.contains("/old.")).count();
            let there = list(&world).await.iter().any(|info| info.id == id);
            assert_eq!(left, if there { 5 } else { 0 }, "step {step} {mode:?}");
        }
    }
}

#[tokio::test]
async fn a_group_that_is_removed_while_it_is_adopted_does_not_become_a_backup_without_data() {
    for parts in [2, 1001] {
        let world = world(10);
        leave(&world, 1, "old", parts, None);
        leave(&world, 2, "new", 1, None);
        let old = list(&world).await[0].clone();
        let sleep = FaultRule::new(Fault::SleepPast(Duration::from_secs(600)));
        let sleep = sleep.on([OpKind::Put]).key(|key| key.starts_with(".backup/sets/")).first(1);
        world.store.set_faults(FaultPlan::seeded(1).rule(sleep));
        let verify = {
            let (repository, cx, set, id) = (world.repository.clone(), world.cx(), world.set.clone(), old.id.clone());
            tokio::spawn(async move { repository.verify(&cx, &set, &id, VerifyLevel::Digest, None).await })
        };
        world.clock.wait_for_sleepers(1).await;
        let other = on_tapes(world.beside(1));
        other.repository.delete(&other.cx(), &other.set, &old.id).await.unwrap();
        world.clock.pass(Duration::from_secs(600)).await;
        assert_eq!(verify.await.unwrap().unwrap_err().code().name, "backup.not_found");
        let listed = list(&other).await;
        assert_eq!(listed.len(), 1, "{listed:?}");
        assert_eq!(world.store.keys().iter().filter(|key| !key.contains("new")).count(), 0, "{:?}", world.store.keys());
    }
}

#[tokio::test]
async fn two_that_adopt_a_group_at_the_same_time_publish_it_once() {
    for parts in [2, 1001] {
        let world = world(11);
        leave(&world, 1, "a", parts, None);
        let id = list(&world).await[0].id.clone();
        let sleep = FaultRule::new(Fault::SleepPast(Duration::from_secs(600)));
        let sleep = sleep.on([OpKind::Put]).key(|key| key.starts_with(".backup/sets/")).first(1);
        world.store.set_faults(FaultPlan::seeded(1).rule(sleep));
        let late = {
            let (repository, cx, set, id) = (world.repository.clone(), world.cx(), world.set.clone(), id.clone());
            tokio::spawn(async move { repository.open(&cx, &set, &id).await.map(drop) })
        };
        world.clock.wait_for_sleepers(1).await;
        let other = on_tapes(world.beside(1));
        other.repository.open(&other.cx(), &other.set, &id).await.unwrap();
        world.clock.pass(Duration::from_secs(600)).await;
        late.await.unwrap().unwrap();
        let listed = list(&world).await;
        assert_eq!((listed.len(), &listed[0].state), (1, &State::Published));
        is_whole(&world, &listed[0], 1, "a", parts).await;
        assert_eq!(world.orphans().await, Vec::<String>::new());
    }
}
