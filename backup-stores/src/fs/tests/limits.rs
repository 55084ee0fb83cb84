//! Full disks, read-only places, missing permissions: on real mounts where this process may make them.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use backup_core::{Bytes, Effect, Store};

use super::{FsConfig, FsStore, context, get, key, list, put, unfinished, write};

/// A mount that goes away with this value.
struct Mount(tempfile::TempDir);

impl Mount {
    /// `mount <args> <new directory>`; `None`, and the reason on the terminal, where that is not allowed.
    fn new(args: &[&str]) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let done = Command::new("mount").args(args).arg(dir.path()).output();
        match done {
            Ok(output) if output.status.success() => Some(Self(dir)),
            Ok(output) => skipped(&String::from_utf8_lossy(&output.stderr)),
            Err(error) => skipped(&error.to_string()),
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn skipped<T>(why: &str) -> Option<T> {
    println!("SKIPPED: mount needs root: {}", why.trim());
    None
}

#[tokio::test]
async fn a_full_disk_is_said_so_nothing_is_visible_and_pruning_still_works() {
    let Some(disk) = Mount::new(&["-t", "tmpfs", "-o", "size=1m", "tmpfs"]) else { return };
    let store = FsStore::open(FsConfig::new(disk.path())).unwrap();
    put(&store, "old", &vec![1; 600_000]).await.unwrap();
    let piece = Bytes::from(vec![2; 600_000]);
    for error in [
        put(&store, "new", &piece).await.unwrap_err(),
        write(&store, &context(), "new", &[piece.clone(), piece.clone(), piece.clone()]).await.unwrap_err(),
        write(&store, &context(), "new", std::slice::from_ref(&piece)).await.unwrap_err(),
    ] {
        assert_eq!((error.code().name, error.effect()), ("store.no_space", Effect::None), "{error}");
        assert!(error.to_string().contains("full"), "{error}");
    }
    assert_eq!(list(&store, "").await, ["old"]);
    assert!(unfinished(disk.path()).is_empty());

    let filler = (0..).map(|n| std::fs::write(disk.path().join(format!("fill{n}")), vec![0; 4096])).find(Result::is_err);
    assert!(filler.is_some());
    let reopened = FsStore::open(FsConfig::new(disk.path())).unwrap();
    let report = reopened.delete(&context(), &[key("old")]).await.unwrap();
    assert_eq!(report.deleted, [key("old")]);
    put(&reopened, "new", &vec![3; 100_000]).await.unwrap();
}

#[tokio::test]
async fn a_read_only_mount_can_be_read_and_refuses_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    put(&FsStore::open(FsConfig::new(dir.path())).unwrap(), "a/k", b"body").await.unwrap();
    let Some(mount) = Mount::new(&["--bind", dir.path().to_str().unwrap()]) else { return };
    let read_only = Command::new("mount").args(["-o", "remount,bind,ro"]).arg(mount.path()).status().unwrap();
    assert!(read_only.success());
    let error = FsStore::open(FsConfig::new(mount.path())).unwrap_err();
    assert_eq!((error.code().name, error.effect()), ("store.read_only", Effect::None), "{error}");
    let store = FsStore::open_read_only(FsConfig::new(mount.path())).unwrap();
    assert_eq!(get(&store, "a/k").await.unwrap(), "body");
    assert_eq!(put(&store, "a/l", b"x").await.unwrap_err().code().name, "store.read_only");
    let report = store.delete(&context(), &[key("a/k")]).await.unwrap();
    assert_eq!(report.failed[0].1.code().name, "store.read_only");
    assert_eq!(list(&store, "").await, ["a/k"]);
}

#[tokio::test]
async fn a_directory_without_write_permission_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let store = FsStore::open(FsConfig::new(dir.path())).unwrap();
    put(&store, "a/k", b"body").await.unwrap();
    let closed = dir.path().join("a");
    std::fs::set_permissions(&closed, Permissions::from_mode(0o500)).unwrap();
    if std::fs::write(closed.join("probe"), "").is_ok() {
        return println!("SKIPPED: this process may write anywhere (it runs as root)");
    }
    let error = put(&store, "a/l", b"x").await.unwrap_err();
    let report = store.delete(&context(), &[key("a/k")]).await.unwrap();
    let listed = list(&store, "").await;
    std::fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    for error in [&error, &report.failed[0].1] {
        assert_eq!((error.code().name, error.effect()), ("store.denied", Effect::None), "{error}");
    }
    assert_eq!(listed, ["a/k"]);
    assert!(unfinished(dir.path()).is_empty());
}

#[tokio::test]
async fn another_file_system_below_the_root_is_refused_for_writing() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Mount::new(&["-t", "tmpfs", "-o", "size=1m", "tmpfs"]) else { return };
    std::fs::create_dir(dir.path().join("other")).unwrap();
    let bound = Command::new("mount").arg("--bind").arg(disk.path()).arg(dir.path().join("other")).status().unwrap();
    assert!(bound.success());
    let store = FsStore::open(FsConfig::new(dir.path())).unwrap();
    let error = put(&store, "other/k", b"x").await.unwrap_err();
    let left = unfinished(dir.path());
    let _ = Command::new("umount").arg("-l").arg(dir.path().join("other")).status();
    assert_eq!((error.code().name, error.effect()), ("fs.other_file_system", Effect::None), "{error}");
    assert!(left.is_empty());
}

#[tokio::test]
async fn a_root_that_is_no_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    for root in [file.clone(), file.join("below"), "".into()] {
        let error = FsStore::open(FsConfig::new(&root)).unwrap_err();
        assert_eq!(error.code().name, "fs.root_unusable", "{error}");
        assert!(error.to_string().contains(root.to_str().unwrap()), "{error}");
    }
}
