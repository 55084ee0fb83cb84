//! Backups of volumes, as Cinder's own backup service leaves them.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use backup_core::Digest;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bench::{Ended, keys};

const VOLUME: &str = "11111111-2222-3333-4444-555555555555";
const BLOCK: usize = 32 << 10;
/// Eight blocks.
const OBJECT: usize = 8 * BLOCK;

fn set() -> String {
    format!("volume_{VOLUME}")
}

fn backup_id(number: u32) -> String {
    format!("{number:08x}-0000-4000-8000-000000000000")
}

/// How Cinder's drivers name objects.
#[derive(Debug, Clone, Copy)]
enum Layout {
    Posix,
    Container,
}

/// What Cinder left in a directory.
struct Left {
    directory: TempDir,
    root: PathBuf,
    layout: Layout,
}

impl Left {
    fn new(layout: Layout) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("backups");
        std::fs::create_dir(&root).unwrap();
        Self { directory, root, layout }
    }

    fn prefix(&self, number: u32) -> String {
        let (id, time) = (backup_id(number), format!("202611211610{number:02}"));
        match self.layout {
            Layout::Posix => format!("00/00/{id}/volume_{VOLUME}_{time}_backup_{id}"),
            Layout::Container => format!("volume_{VOLUME}/{time}/az_nova_backup_{id}"),
        }
    }

    fn path(&self, number: u32, suffix: &str) -> PathBuf {
        self.root.join(format!("{}{suffix}", self.prefix(number)))
    }

    /// Makes a backup as the chunked driver does: without a parent's content a full one.
    fn back_up(&self, number: u32, volume: &[u8], parent: Option<(u32, &[u8])>) {
        let changed = |block: usize| match parent {
            None => true,
            Some((_, old)) => volume.chunks(BLOCK).nth(block) != old.chunks(BLOCK).nth(block),
        };
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for block in (0..volume.len().div_ceil(BLOCK)).filter(|block| changed(*block)) {
            let (at, end) = (block * BLOCK, volume.len().min((block + 1) * BLOCK));
            match runs.last_mut() {
                Some((_, last)) if *last == at && at % OBJECT != 0 => *last = end,
                _ => runs.push((at, end)),
            }
        }
        // What the metadata calls an object: the whole name in a container, the file's in a directory.
        let prefix = self.prefix(number);
        let called = match self.layout {
            Layout::Posix => prefix.rsplit_once('/').unwrap().1,
            Layout::Container => &prefix,
        };
        let mut objects = Vec::new();
        for (n, (at, end)) in runs.into_iter().enumerate() {
            let raw = &volume[at..end];
            let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
            zlib.write_all(raw).unwrap();
            let (stored, how) = match zlib.finish().unwrap() {
                small if small.len() < raw.len() => (small, "zlib"),
                _ => (raw.to_vec(), "none"),
            };
            let suffix = format!("-{:05}", n + 1);
            self.leave(number, &suffix, &stored);
            let md5: String = Md5::digest(raw).iter().map(|byte| format!("{byte:02x}")).collect();
            objects.push(json!({ format!("{called}{suffix}"): { "offset": at, "length": end - at, "compression": how, "md5": md5 } }));
        }
        let mut said = json!({
            "version": "1.0.0", "backup_id": backup_id(number), "volume_id": VOLUME, "backup_name": format!("nightly {number}"),
            "backup_description": null, "created_at": format!("2026-11-21 16:10:{number:02}+00:00"),
        });
        let mut sums = said.clone();
        sums["chunk_size"] = json!(BLOCK);
        sums["sha256s"] = volume.chunks(BLOCK).map(|block| Digest::of(block).to_string()).collect();
        self.leave(number, "_sha256file", &serde_json::to_vec_pretty(&sums).unwrap());
        said["objects"] = json!(objects);
        said["parent_id"] = json!(parent.map(|(number, _)| backup_id(number)));
        said["volume_meta"] = Value::Null;
        self.leave(number, "_metadata", &serde_json::to_vec_pretty(&said).unwrap());
    }

    fn leave(&self, number: u32, suffix: &str, content: &[u8]) {
        let path = self.path(number, suffix);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backupctl"));
        command.arg("--store").arg(format!("fs://{}", self.root.display())).args(arguments);
        Ended::from(command.current_dir(self.directory.path()).stdin(std::process::Stdio::null()).output().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The ids of the backups here, oldest first.
    fn ids(&self) -> Vec<String> {
        let list = self.run(&["list", &set(), "--json"]).code(0).json();
        list["backups"].as_array().unwrap().iter().map(|backup| backup["id"].as_str().unwrap().to_owned()).collect()
    }
}

/// A volume of twenty blocks and a bit, much of it zeros; and as it was a day, and two days later.
fn volumes() -> [Vec<u8>; 3] {
    let mut first = vec![0; 20 * BLOCK + 512];
    for (n, byte) in first[..3 * BLOCK].iter_mut().enumerate() {
        *byte = (n.wrapping_mul(2_654_435_761) >> 24) as u8;
    }
    first[17 * BLOCK..18 * BLOCK].fill(1);
    let mut second = first.clone();
    second[BLOCK..2 * BLOCK].fill(2);
    second[9 * BLOCK..11 * BLOCK].fill(3);
    let mut third = second.clone();
    third[10 * BLOCK..12 * BLOCK].fill(4);
    third[17 * BLOCK..18 * BLOCK].fill(0);
    third[20 * BLOCK..].fill(5);
    [first, second, third]
}

fn chain(layout: Layout) -> (Left, [Vec<u8>; 3]) {
    let left = Left::new(layout);
    let volumes = volumes();
    left.back_up(1, &volumes[0], None);
    left.back_up(2, &volumes[1], Some((1, &volumes[0])));
    left.back_up(3, &volumes[2], Some((2, &volumes[1])));
    (left, volumes)
}

#[test]
fn backups_of_cinder_are_listed_shown_verified_and_restored() {
    for layout in [Layout::Posix, Layout::Container] {
        let (left, volumes) = chain(layout);
        let sets = left.run(&["list", "--json"]).code(0).json();
        assert_eq!((sets["sets"].as_array().unwrap().len(), &sets["sets"][0]["set"]), (1, &set().into()));
        let list = left.run(&["list", &set(), "--json"]).code(0).json();
        assert_eq!(list["backups"][1]["state"], "adopted");
        assert_eq!(list["backups"][1]["group"], backup_id(2));
        assert_eq!(list["backups"][1]["parents"][0], list["backups"][0]["id"]);
        let shown = left.run(&["list", &set()]).code(0).text();
        assert!(shown.contains("needs") && shown.contains(&backup_id(3)), "{shown}");
        let ids = left.ids();
        for when in ["before it has a manifest", "after"] {
            let text = left.run(&["show", &set(), &ids[1]]).code(0).text();
            for part in [VOLUME, "nightly 2", "incremental", &backup_id(1), &backup_id(2), ids[0].as_str()] {
                assert!(text.contains(part), "{when}: {part}: {text}");
            }
            left.run(&["verify", &set(), &ids[1], "--level", "restorable"]).code(0);
        }
        assert!(left.run(&["show", &set(), &ids[0]]).code(0).text().contains("full"));
        for (id, volume) in ids.iter().zip(&volumes) {
            left.run(&["restore", &set(), id, "--volume-image", id]).code(0);
            assert!(std::fs::read(left.file(id)).unwrap() == *volume, "{id} is another volume");
        }
        let image = std::fs::metadata(left.file(&ids[0])).unwrap();
        assert!(image.blocks() * 512 < image.len(), "it is not sparse");
        let taken = left.run(&["restore", &set(), "latest", "--volume-image", &ids[0]]).code(5);
        assert!(taken.said.contains("exists already"), "{}", taken.said);
        assert!(std::fs::read(left.file(&ids[0])).unwrap() == volumes[0]);
        let dry = left.run(&["restore", &set(), "latest", "--volume-image", "dry", "--dry-run", "--json"]).code(0).json();
        assert_eq!(keys(&dry), ["bytes", "dry_run", "path", "set"]);
        assert_eq!((&dry["bytes"], left.file("dry").exists()), (&volumes[2].len().into(), false));
        let list = left.run(&["list", &set(), "--json"]).code(0).json();
        assert!(list["backups"].as_array().unwrap().iter().all(|backup| backup["state"] == "published"), "{list}");
        left.run(&["prune", &set(), "--keep-last", "1", "--yes"]).code(0);
        assert_eq!(left.ids(), ids, "the newest one needs the others");
    }
}

#[test]
fn a_damaged_object_is_found_and_nothing_is_restored_of_it() {
    let (left, _) = chain(Layout::Posix);
    let ids = left.ids();
    left.run(&["verify", &set(), "--all"]).code(0);
    let path = left.path(1, "-00001");
    let mut content = std::fs::read(&path).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    std::fs::write(&path, content).unwrap();
    left.run(&["verify", &set(), &ids[0]]).code(4);
    left.run(&["restore", &set(), &ids[2], "--volume-image", "volume"]).code(4);
    let names: Vec<_> = std::fs::read_dir(left.directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["backups"]);
}

#[test]
fn content_that_its_own_digests_contradict_is_found_before_there_is_a_manifest() {
    let (left, _) = chain(Layout::Container);
    // The digests of another day: every object is what it was when it was adopted.
    std::fs::copy(left.path(2, "_sha256file"), left.path(1, "_sha256file")).unwrap();
    let ids = left.ids();
    left.run(&["verify", &set(), &ids[0], "--level", "digest"]).code(0);
    left.run(&["verify", &set(), &ids[0], "--level", "restorable"]).code(4);
    left.run(&["restore", &set(), &ids[0], "--volume-image", "volume"]).code(4);
    assert!(!left.file("volume").exists());
}

#[test]
fn a_backup_without_its_parent_is_there_and_says_what_it_lacks() {
    let left = Left::new(Layout::Container);
    let [first, second, _] = volumes();
    left.back_up(2, &second, Some((1, &first)));
    let verify = left.run(&["verify", &set(), "latest", "--json"]).code(0).json();
    assert_eq!(verify["verified"][0]["good"], true);
    let show = left.run(&["show", &set(), "latest", "--json"]).code(0).json();
    assert!(show["warnings"][0].as_str().unwrap().contains(&backup_id(1)), "{show}");
    let ended = left.run(&["restore", &set(), "latest", "--volume-image", "volume"]);
    assert_ne!(ended.code, 0);
    assert!(!left.file("volume").exists(), "{}", ended.said);
}

#[test]
fn the_record_for_cinder_tells_of_the_parents_first() {
    let (left, _) = chain(Layout::Posix);
    let root = left.root.display().to_string();
    let json = left.run(&["record", &set(), "latest", "--root", &root, "--json"]).code(0).json();
    let import = json["import"].as_array().unwrap();
    let ids: Vec<_> = import.iter().map(|one| one["backup_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, [1, 2, 3].map(backup_id));
    assert_eq!(keys(&import[0]), ["backup_id", "backup_service", "backup_url", "command", "id", "record"]);
    let record = &import[1]["record"];
    assert_eq!(import[1]["backup_service"], "cinder.backup.drivers.posix.PosixBackupDriver");
    assert_eq!(record["parent_id"], backup_id(1));
    assert_eq!(record["container"], format!("00/00/{}", backup_id(2)));
    assert_eq!(record["service_metadata"], left.prefix(2).rsplit_once('/').unwrap().1);
    assert_eq!((&record["size"], &record["object_count"]), (&1.into(), &2.into()));
    let text = left.run(&["record", &set(), "latest", "--root", &root]).code(0);
    assert!(text.text().lines().all(|line| line.starts_with("cinder backup-import cinder.backup.drivers.posix.")), "{text:?}");
    left.run(&["record", &set(), "latest", "--root", "/elsewhere"]).code(1);
}

#[test]
fn a_device_is_confirmed_and_a_file_is_none() {
    let (left, _) = chain(Layout::Posix);
    std::fs::write(left.file("file"), b"precious").unwrap();
    left.run(&["restore", &set(), "latest", "--volume-device", "file"]).code(5);
    let ended = left.run(&["restore", &set(), "latest", "--volume-device", "file", "--yes"]).code(2);
    assert!(ended.said.contains("--volume-image"), "{}", ended.said);
    assert_eq!(std::fs::read(left.file("file")).unwrap(), b"precious");
}

#[test]
fn what_is_no_volume_is_not_restored_as_one() {
    let left = Left::new(Layout::Posix);
    let ended = left.run(&["restore", &set(), "latest", "--volume-image", "volume"]).code(3);
    assert!(ended.said.contains(&set()), "{}", ended.said);
}

#[test]
fn the_python_of_the_page_rebuilds_the_volume() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cinder-format.md");
    let page = std::fs::read_to_string(page).unwrap();
    let script = page.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let (left, volumes) = chain(Layout::Posix);
    let rebuild = |name: &str, numbers: &[u32]| {
        let mut command = Command::new("python3");
        command.arg("-c").arg(script).arg(left.file(name)).args(numbers.iter().map(|number| left.path(*number, "_metadata")));
        command.output()
    };
    let ended = match rebuild("right", &[1, 2, 3]) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && std::env::var_os("BACKUP_TEST_REAL").is_none() => {
            println!("SKIPPED: there is no python3");
            return;
        }
        ended => ended.unwrap(),
    };
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(std::fs::read(left.file("right")).unwrap() == volumes[2]);
    let wrong = rebuild("wrong", &[1, 3]).unwrap();
    assert!(!wrong.status.success() && String::from_utf8_lossy(&wrong.stderr).contains("is a backup missing"));
}
