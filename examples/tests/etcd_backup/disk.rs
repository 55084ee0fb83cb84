//! A directory that is full, or cannot be written any more.

use std::path::Path;
use std::process::Command;

use crate::program::Place;
use crate::{assert_all_whole, etcd_with};

/// A mount that goes away with this value.
struct Mount(tempfile::TempDir);

impl Mount {
    /// `None`, and the reason on the terminal, where mounting is not allowed.
    fn new(args: &[&str]) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let done = Command::new("mount").args(args).arg(dir.path()).output();
        match done {
            Ok(output) if output.status.success() => Some(Self(dir)),
            other => {
                println!("SKIPPED: mount needs root: {other:?}");
                None
            }
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

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_a_post_fails_leaves_nothing_and_what_is_there_is_served() {
    let Some(etcd) = etcd_with(2).await else { return };
    let Some(disk) = Mount::new(&["-t", "tmpfs", "-o", "size=5m", "tmpfs"]) else { return };
    let place = Place::at(tempfile::tempdir().unwrap(), disk.path().to_owned(), &etcd.url, "");
    let program = place.start();
    let first = program.backup();
    crate::etcd::fill(&mut etcd.client().await, 8, 1 << 20).await;
    let answer = program.post();
    assert_eq!(answer.status, 500, "{answer:?}");
    assert!(answer.json()["error"].as_str().unwrap().contains("store.no_space"), "{answer:?}");
    assert_eq!((place.files(), program.names()), (vec![first.clone()], vec![first]));
    drop(program);
    assert_all_whole(&place.start());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_became_read_only_is_listed_and_served_and_a_post_says_why_not() {
    let Some(etcd) = etcd_with(1).await else { return };
    let directory = tempfile::tempdir().unwrap();
    let Some(mount) = Mount::new(&["--bind", directory.path().to_str().unwrap()]) else { return };
    let place = Place::at(tempfile::tempdir().unwrap(), mount.path().to_owned(), &etcd.url, "");
    let program = place.start();
    let first = program.backup();
    assert!(Command::new("mount").args(["-o", "remount,bind,ro"]).arg(mount.path()).status().unwrap().success());
    let answer = program.post();
    assert_eq!(answer.status, 500, "{answer:?}");
    assert!(answer.json()["error"].as_str().unwrap().contains("store.read_only"), "{answer:?}");
    assert_eq!(assert_all_whole(&program).into_iter().collect::<Vec<_>>(), std::slice::from_ref(&first));
    drop(program);
    // It starts there, too.
    let program = place.start();
    assert_eq!(assert_all_whole(&program).into_iter().collect::<Vec<_>>(), [first]);
    assert_eq!(program.post().status, 500);
}
