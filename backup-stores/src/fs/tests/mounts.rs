//! `require-mount`, with file systems that are mounted and go away.

use std::path::Path;
use std::process::Command;

use backup_core::ErrorKind;

use super::*;

fn run(program: &str, arguments: &[&str], path: &Path) -> bool {
    Command::new(program).args(arguments).arg(path).output().is_ok_and(|output| output.status.success())
}

struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    /// `None`, said aloud, where mounting is not allowed.
    fn mount() -> Option<Self> {
        let point = Self(tempfile::tempdir().unwrap());
        if point.mount_again() {
            return Some(point);
        }
        println!("SKIPPED: a tmpfs needs root and mount(8)");
        None
    }

    fn mount_again(&self) -> bool {
        run("mount", &["-t", "tmpfs", "-o", "size=4m", "tmpfs"], self.0.path())
    }

    /// As an operator does it who does not look who still uses it.
    fn unmount(&self) {
        assert!(run("umount", &["-l"], self.0.path()));
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = run("umount", &["-l"], self.0.path());
    }
}

#[tokio::test]
async fn a_directory_whose_mount_is_gone_is_not_filled() {
    let Some(disk) = Tmpfs::mount() else { return };
    let below = disk.0.path().join("back/ups");
    let config = FsConfig::new(&below).require_mount(["nfs", "tmpfs"]);
    let store = FsStore::open(config.clone()).unwrap();
    put(&store, "a/b", b"x").await.unwrap();
    let cx = context();
    let mut writer = store.writer(&cx, &key("late"), WriteOptions::new(cx.job().clone())).await.unwrap();
    writer.write("x".into()).await.unwrap();

    disk.unmount();
    let refused = [
        put(&store, "a/c", b"x").await,
        writer.finish().await.map(drop),
        write(&store, &cx, "a/d", &["x".into()]).await,
        store.delete(&cx, &[key("a/b")]).await.map(drop),
        FsStore::open(config.clone()).map(drop),
        FsStore::open_read_only(config.clone()).map(drop),
    ];
    for (n, refused) in refused.into_iter().enumerate() {
        let error = refused.unwrap_err();
        // Not there at all is told for reading: nothing is made, so nothing lies on a wrong mount.
        let codes: &[&str] = if n == 5 { &["fs.not_mounted", "fs.root_unusable"] } else { &["fs.not_mounted"] };
        assert!(codes.contains(&error.code().name), "{n}: {error}");
        assert_eq!(error.effect(), backup_core::Effect::None, "{n}: {error}");
    }
    assert_eq!(std::fs::read_dir(disk.0.path()).unwrap().count(), 0, "the directory below the mount was filled");

    assert!(disk.mount_again());
    // It is another mount, and the store that is open holds on to the one before.
    assert_eq!(put(&store, "a/e", b"x").await.unwrap_err().kind(), ErrorKind::Unavailable);
    let store = FsStore::open(config).unwrap();
    put(&store, "a/b", b"y").await.unwrap();
    assert_eq!(std::fs::read(below.join("a/b")).unwrap(), b"y");
}

#[tokio::test]
async fn another_kind_of_file_system_is_refused_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("not/made");
    let config: FsConfig = serde_json::from_value(serde_json::json!({ "root": root, "require-mount": "nfs" })).unwrap();
    let error = FsStore::open(config).unwrap_err();
    assert_eq!(error.code().name, "fs.not_mounted", "{error}");
    assert!(error.to_string().contains("asks for `nfs`; is it mounted?"), "{error}");
    assert!(!dir.path().join("not").exists());
    for bad in [serde_json::json!([]), serde_json::json!(""), serde_json::json!(3)] {
        let config = serde_json::from_value::<FsConfig>(serde_json::json!({ "root": root, "require-mount": bad }));
        assert!(config.is_err(), "{config:?}");
    }
}
