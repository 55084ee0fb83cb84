use serde_json::json;

use super::restore::restored;
use super::*;
use crate::cinder::format::inspect;

const SIZE: usize = 14 * B + 100;

fn volume() -> Vec<u8> {
    let mut volume = noise(1, 5 * B);
    volume.resize(10 * B, b'x');
    volume.resize(SIZE, 0);
    volume
}

type Files = BTreeMap<String, Vec<u8>>;

/// A full backup and a link, as files, and the link's volume.
async fn pair() -> (Files, Files, Vec<u8>) {
    let old = volume();
    let mut new = old.clone();
    new[B..3 * B].copy_from_slice(&noise(2, 2 * B));
    new[12 * B] = 1;
    let (full, _) = backup(&small(), &new_backup("full", SIZE), &[], Content::Whole(extents(&old, B))).await.unwrap();
    let content = Content::Whole(extents(&new, B));
    let (link, _) = backup(&small(), &new_backup("link", SIZE), std::slice::from_ref(&full), content).await.unwrap();
    (artifacts(&*full).await, artifacts(&*link).await, new)
}

fn reader(files: &Files, parent: Option<&Files>) -> MemoryReader {
    let artifacts: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let parents = parent.map(|files| Arc::new(reader(files, None)) as Arc<dyn BackupReader>);
    MemoryReader::of("cinder", &artifacts).parents(parents.into_iter().collect())
}

async fn faults(reader: &dyn BackupReader) -> Vec<String> {
    inspect(&context(), reader).await.unwrap().faults
}

/// Neither an inspection nor a restore takes it for good.
async fn assert_found(what: &str, reader: &dyn BackupReader) {
    assert!(!faults(reader).await.is_empty(), "{what} is not found by an inspection");
    let error = restored(reader, SIZE, true).await.err();
    assert!(error.is_some(), "{what} is not found by a restore");
}

fn edit(files: &Files, name: &str, change: impl FnOnce(&mut Value)) -> Files {
    let mut files = files.clone();
    let mut value = serde_json::from_slice(&files[name]).unwrap();
    change(&mut value);
    files.insert(name.to_owned(), serde_json::to_vec(&value).unwrap());
    files
}

fn object(metadata: &mut Value, number: usize) -> &mut Value {
    let object = metadata["objects"][number - 1].as_object_mut().unwrap();
    object.values_mut().next().unwrap()
}

#[tokio::test]
async fn good_backups_have_no_faults() {
    let (full, link, new) = pair().await;
    assert!(faults(&reader(&full, None)).await.is_empty());
    let link = reader(&link, Some(&full));
    let inspection = inspect(&context(), &link).await.unwrap();
    assert!(inspection.faults.is_empty() && inspection.checks.len() == 4, "{inspection:?}");
    assert!(restored(&link, SIZE, true).await.unwrap() == new);
}

#[tokio::test]
async fn a_byte_flipped_anywhere_is_found() {
    let (full, link, new) = pair().await;
    for (name, bytes) in &link {
        for at in (0..bytes.len()).step_by(bytes.len() / 40 + 1).chain([bytes.len() - 1]) {
            // What is said of the backup beside its content is not covered by its own digests; the manifest's are.
            let said = name.ends_with("_metadata") || name.ends_with("_sha256file");
            let mut flipped = link.clone();
            flipped.get_mut(name).unwrap()[at] ^= 0x11;
            let line = bytes[..at].rsplit(|b| *b == b'\n').next().unwrap().len();
            let text: Vec<u8> = bytes[at - line..].iter().copied().take_while(|b| *b != b'\n').collect();
            let spared = ["backup_name", "created_at", "description", "volume_meta"];
            if said && spared.iter().any(|key| String::from_utf8_lossy(&text).contains(key)) {
                continue;
            }
            let flipped = reader(&flipped, Some(&full));
            if faults(&flipped).await.is_empty() {
                // A few bits of a compressed stream mean nothing.
                let text = String::from_utf8_lossy(&text);
                assert!(!said, "byte {at} of {name}: {text}");
                assert!(restored(&flipped, SIZE, true).await.unwrap() == new, "byte {at} of {name}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_missing_swapped_or_too_much_is_found() {
    let (full, _, _) = pair().await;
    for name in full.keys() {
        let mut without = full.clone();
        without.remove(name);
        assert_found(name, &reader(&without, None)).await;
    }
    let mut extra = full.clone();
    extra.insert("backup-99999".to_owned(), b"x".to_vec());
    assert_found("an object too many", &reader(&extra, None)).await;
    let mut swapped = full.clone();
    swapped.insert("backup-00001".to_owned(), full["backup-00002"].clone());
    swapped.insert("backup-00002".to_owned(), full["backup-00001"].clone());
    assert_found("swapped objects", &reader(&swapped, None)).await;
    for length in [0, 1, 200, 700, full["backup_sha256file"].len() - 1] {
        let mut cut = full.clone();
        cut.get_mut("backup_sha256file").unwrap().truncate(length);
        assert_found("a cut sha256file", &reader(&cut, None)).await;
    }
}

#[tokio::test]
async fn wrong_metadata_is_found() {
    let (full, link, _) = pair().await;
    type Edit = fn(&mut Value);
    let edits: [(&str, Edit); 14] = [
        ("length", |m| object(m, 1)["length"] = json!(4 * B - 1)),
        ("longer", |m| object(m, 4)["length"] = json!(2 * B + 101)),
        ("offset", |m| object(m, 2)["offset"] = json!(3 * B)),
        ("gap", |m| object(m, 4)["offset"] = json!(13 * B)),
        ("far", |m| object(m, 4)["offset"] = json!(u64::MAX - 5)),
        ("negative", |m| object(m, 1)["offset"] = json!(-1)),
        ("compression", |m| object(m, 2)["compression"] = json!("none")),
        ("unknown compression", |m| object(m, 2)["compression"] = json!("lzma")),
        ("first left out", |m| drop(m["objects"].as_array_mut().unwrap().remove(0))),
        ("last left out", |m| drop(m["objects"].as_array_mut().unwrap().pop())),
        ("order", |m| m["objects"].as_array_mut().unwrap().swap(0, 1)),
        ("version", |m| m["version"] = json!("2.0.0")),
        ("no objects", |m| drop(m.as_object_mut().unwrap().remove("objects"))),
        ("a parent", |m| m["parent_id"] = json!("other")),
    ];
    for (what, change) in edits {
        assert_found(what, &reader(&edit(&full, "backup_metadata", change), None)).await;
    }
    // An MD5 is nothing that a restore needs.
    let md5 = edit(&full, "backup_metadata", |m| object(m, 1)["md5"] = json!("00000000000000000000000000000000"));
    assert_eq!(faults(&reader(&md5, None)).await.len(), 1);

    let other = edit(&full, "backup_metadata", |m| m["volume_id"] = json!("other"));
    assert_found("a parent of another volume", &reader(&link, Some(&other))).await;
    let other = edit(&full, "backup_metadata", |m| m["backup_id"] = json!("other"));
    assert_found("another parent", &reader(&link, Some(&other))).await;
    assert_found("no parent", &reader(&link, None)).await;
    for (key, value) in
        [("chunk_size", json!(65536)), ("chunk_size", json!(0)), ("version", json!("2")), ("backup_id", json!("other"))]
    {
        let changed = edit(&full, "backup_sha256file", |file| file[key] = value);
        assert_found(key, &reader(&changed, None)).await;
    }
}

#[tokio::test]
async fn bombs_are_refused() {
    use std::io::Write;
    let (full, _, _) = pair().await;
    let mut bomb = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        bomb.write_all(&[0; 1 << 20]).unwrap();
    }
    let mut files = full.clone();
    files.insert("backup-00004".to_owned(), bomb.finish().unwrap());
    assert_found("a bomb", &reader(&files, None)).await;
    // Behind a right start: nothing may follow.
    let mut right = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    right.write_all(&volume()[12 * B..]).unwrap();
    right.write_all(&[0; 1 << 20]).unwrap();
    files.insert("backup-00004".to_owned(), right.finish().unwrap());
    assert_found("a longer object", &reader(&files, None)).await;
}

#[tokio::test]
async fn keys_come_in_any_order_and_names_with_any_prefix() {
    let (full, link, new) = pair().await;
    let turn = |files: &Files| {
        let mut turned = Files::new();
        for (name, bytes) in files {
            let name = name.replace("backup", "volume_x/20261121093000/az_nova_backup_y");
            let bytes = match serde_json::from_slice::<serde_json::Map<String, Value>>(bytes) {
                Ok(map) => {
                    let members: serde_json::Map<_, _> = map.into_iter().rev().collect();
                    let text = serde_json::to_string(&members).unwrap();
                    text.replace("\"backup-0", "\"elsewhere/az_nova_backup_y-0").into_bytes()
                }
                Err(_) => bytes.clone(),
            };
            turned.insert(name, bytes);
        }
        turned
    };
    let link = reader(&turn(&link), Some(&turn(&full)));
    assert!(faults(&link).await.is_empty());
    assert!(restored(&link, SIZE, true).await.unwrap() == new);
}
