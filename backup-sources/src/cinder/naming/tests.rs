use std::sync::Arc;
use std::time::Duration;

use backup_core::naming::{Describe as _, Description};
use backup_core::repository::{BackupInfo, State, VerifyLevel};
use backup_core::testkit::{SimStore, VirtualClock, test_environment};
use backup_core::{BackupReader as _, JobContext, Repository, Result, SetName};
use serde_json::{Value, json};

use super::CinderNaming;
use super::head::Head;
use super::name::{Name, Part};

const VOLUME: &str = "11111111-2222-3333-4444-555555555555";
const OTHER: &str = "aaaaaaaa-2222-3333-4444-555555555555";

fn backup_id(number: u32) -> String {
    format!("{number:08x}-0000-4000-8000-000000000000")
}

fn metadata(backup: &str, parent: Option<&str>, objects: &[(String, u64, u64)]) -> Value {
    let objects: Vec<Value> = objects
        .iter()
        .map(|(name, offset, length)| json!({ name: { "compression": "zlib", "length": length, "md5": "00", "offset": offset } }))
        .collect();
    json!({
        "backup_description": null, "backup_id": backup, "backup_name": "na\"me[]{},", "created_at": "2026-11-21 16:10:21+00:00",
        "objects": objects, "parent_id": parent, "version": "1.0.0", "volume_id": VOLUME,
        "volume_meta": json!({ "version": 2, "volume-base-metadata": { "size": 3, "display_name": "x" } }).to_string(),
    })
}

fn describe(text: &[u8], piece: usize) -> Result<Description> {
    let mut head = Box::new(Head::of(VOLUME, &backup_id(1)));
    for piece in text.chunks(piece) {
        head.feed(piece)?;
    }
    head.end()
}

#[test]
fn names_of_both_layouts_are_read_and_others_are_not() {
    let backup = backup_id(1);
    let stem = format!("volume_{VOLUME}/20261121161026/az_nova_backup_{backup}");
    let found = |key: &str| Name::in_bucket(key).map(|name| (name.volume == VOLUME, name.backup == backup, name.part));
    assert_eq!(found(&format!("{stem}-00001")), Some((true, true, Part::Data)));
    assert_eq!(found(&format!("{stem}-123456")), Some((true, true, Part::Data)));
    assert_eq!(found(&format!("{stem}_metadata")), Some((true, true, Part::Metadata)));
    assert_eq!(found(&format!("{stem}_sha256file")), Some((true, true, Part::Sha256File)));
    let zone = stem.replace("az_nova", "az_a_backup_b");
    assert!(Name::in_bucket(&format!("{zone}_metadata")).is_some());
    assert_eq!(Name::in_bucket(&format!("{stem}_metadata")).unwrap().time.to_rfc3339(), "2026-11-21T16:10:26+00:00");
    for bad in [
        stem.clone(),
        format!("{stem}-0001"),
        format!("{stem}-00001x"),
        format!("x/{stem}-00001"),
        format!("{}-00001", stem.replace("20261121161026", "2026112116102x")),
        format!("{}-00001", stem.replace("20261121161026", "20261321161026")),
        format!("{}-00001", stem.replace(VOLUME, "short")),
        format!("{}-00001", stem.replace("az_", "")),
        format!("volume_{VOLUME}/20261121T093000123Z-1f0c9a2b/backup_metadata"),
    ] {
        assert_eq!(Name::in_bucket(&bad), None, "{bad}");
    }
    let file = format!("00/00/{backup}/volume_{VOLUME}_20261121161026_backup_{backup}");
    let key = format!("{file}-00002");
    let name = Name::in_directory(&key).unwrap();
    assert_eq!((name.volume, name.backup, name.part), (VOLUME, backup.as_str(), Part::Data));
    assert_eq!(Name::in_directory(&format!("{stem}-00001")), None);
}

#[test]
fn metadata_is_read_in_whatever_pieces_it_comes() {
    let objects = [("a-00001".to_owned(), 0, 100), ("a-00002".to_owned(), 100, 50)];
    let text = serde_json::to_vec_pretty(&metadata(&backup_id(1), None, &objects)).unwrap();
    for piece in [1, 7, 1000, text.len()] {
        let described = describe(&text, piece).unwrap();
        assert_eq!((described.files, described.parent.as_deref()), (Some(4), None));
        let said = described.integrity.unwrap();
        assert_eq!(
            said,
            json!({ "backup-id": backup_id(1), "volume-id": VOLUME, "name": "na\"me[]{},", "created-at": "2026-11-21T16:10:21Z",
                "size": 150, "objects": 2, "object-size": 100, "changed": 150 })
        );
    }
    let text = serde_json::to_vec(&metadata(&backup_id(1), Some(&backup_id(0)), &[])).unwrap();
    let described = describe(&text, 3).unwrap();
    assert_eq!(described.parent, Some(backup_id(0)));
    assert_eq!(described.integrity.unwrap()["size"], 3_u64 << 30);
}

#[test]
fn damaged_metadata_is_told_from_good_wherever_it_ends_or_differs() {
    let objects = [("a-00001".to_owned(), 0, 100)];
    let good = metadata(&backup_id(1), None, &objects);
    let text = serde_json::to_vec_pretty(&good).unwrap();
    for end in 0..text.len() {
        let error = describe(&text[..end], 64).unwrap_err();
        assert_eq!(error.code().name, "artifact.corrupt", "cut at {end}");
    }
    let change = |key: &str, value: Value| {
        let mut changed = good.clone();
        changed[key] = value;
        describe(changed.to_string().as_bytes(), 64).is_err()
    };
    assert!(change("backup_id", json!(backup_id(2))));
    assert!(change("volume_id", json!(OTHER)));
    assert!(change("version", json!("2.0.0")));
    assert!(change("objects", json!({})));
    assert!(change("objects", json!([{ "a": { "offset": u64::MAX, "length": 1 } }])));
    let mut behind = text.clone();
    behind.extend_from_slice(b"{}");
    assert!(describe(&behind, 64).is_err());
    let endless = format!("{{\"objects\":[{{\"{}", "x".repeat(100_000));
    assert!(describe(endless.as_bytes(), 1000).is_err());
}

struct World {
    store: SimStore,
    clock: Arc<VirtualClock>,
    repository: Repository,
}

impl World {
    fn new(directory: bool) -> Self {
        let (environment, clock) = test_environment(1);
        let store = SimStore::new(clock.clone());
        let naming = match directory {
            true => CinderNaming::in_directory(clock.clone()),
            false => CinderNaming::in_bucket(clock.clone()),
        };
        let repository = Repository::builder(Arc::new(store.clone())).environment(environment).naming(Arc::new(naming)).build();
        Self { store, clock, repository }
    }

    fn cx(&self) -> JobContext {
        self.repository.context()
    }

    fn leave(&self, stem: &str, backup: &str, parent: Option<&str>, objects: u64) {
        let names: Vec<_> = (0..objects).map(|n| (format!("{stem}-{:05}", n + 1), n * 100, 100)).collect();
        for (name, _, _) in &names {
            self.store.raw_put(name, vec![7; 90]);
        }
        self.store.raw_put(&format!("{stem}_sha256file"), &b"{}"[..]);
        self.store.raw_put(&format!("{stem}_metadata"), metadata(backup, parent, &names).to_string().into_bytes());
    }

    async fn list(&self) -> Vec<Arc<BackupInfo>> {
        self.repository.list(&self.cx(), &set()).await.unwrap()
    }
}

fn set() -> SetName {
    CinderNaming::set(VOLUME).unwrap()
}

#[tokio::test]
async fn backups_of_cinder_in_a_container_are_adopted_with_their_parents() {
    let world = World::new(false);
    let stem = |minute: u32, backup: &str| format!("volume_{VOLUME}/2026112116{minute:02}00/az_nova_backup_{backup}");
    world.leave(&stem(1, &backup_id(1)), &backup_id(1), None, 3);
    world.leave(&stem(2, &backup_id(2)), &backup_id(2), Some(&backup_id(1)), 1);
    let half = stem(3, &backup_id(3));
    world.store.raw_put(&format!("{half}-00001"), &b"data"[..]);
    world.store.raw_put(&format!("volume_{OTHER}/20261121160000/az_nova_backup_{}-00001", backup_id(9)), &b"data"[..]);
    assert_eq!(world.repository.sets(&world.cx()).await.unwrap(), [set()]);
    let listed = world.list().await;
    assert_eq!(listed.iter().map(|info| info.artifacts).collect::<Vec<_>>(), [5, 3]);
    let backup = world.repository.open(&world.cx(), &set(), &listed[1].id).await.unwrap();
    assert_eq!(backup.manifest().source.kind, "cinder");
    let parents = backup.parents(&world.cx()).await.unwrap();
    assert_eq!(parents.iter().map(|parent| parent.manifest().id.clone()).collect::<Vec<_>>(), [listed[0].id.clone()]);
    let names: Vec<_> = parents[0].artifacts().iter().map(ToString::to_string).collect();
    assert!(names.contains(&format!("{}-00002", stem(1, &backup_id(1)))), "{names:?}");
    assert!(world.list().await.iter().all(|info| info.state == State::Published));
    let report = world.repository.verify(&world.cx(), &set(), &listed[0].id, VerifyLevel::Restorable, None).await.unwrap();
    assert!(report.is_good());
}

#[tokio::test]
async fn backups_of_cinder_in_directories_are_found_by_their_names_once_they_are_settled() {
    let world = World::new(true);
    let backup = backup_id(1);
    world.leave(&format!("00/00/{backup}/volume_{VOLUME}_20261121161026_backup_{backup}"), &backup, None, 2);
    assert!(world.list().await.is_empty());
    assert!(world.repository.sets(&world.cx()).await.unwrap().is_empty());
    world.clock.advance(Duration::from_secs(61));
    assert_eq!(world.repository.sets(&world.cx()).await.unwrap(), [set()]);
    let listed = world.list().await;
    assert_eq!((listed.len(), listed[0].artifacts), (1, 4));
    let other = CinderNaming::set(OTHER).unwrap();
    assert!(world.repository.list(&world.cx(), &other).await.unwrap().is_empty());
    world.repository.open(&world.cx(), &set(), &listed[0].id).await.unwrap();
}
