//! The listing against a sorted reference.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use backup_core::store::{ListOptions, StoreExt};
use backup_core::{KeyPrefix, Store};
use futures::{StreamExt, TryStreamExt};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{context, key, list, new_store, put};
use crate::fs::FsStore;

const ODD: [&str; 19] = [
    "a.x",
    "a/b",
    "a0",
    "a-",
    "a b/c d",
    "a/b.c/d",
    "a/b.c0",
    "a/b!",
    "a/b-/z",
    "Z",
    "...",
    "..x/y",
    "é/ü",
    "😀",
    "~",
    "a/0/1/2/3/4",
    ".backup/sets/s/1.json",
    ".backup/tmpx",
    "%2F/=",
];

async fn list_after(store: &FsStore, prefix: &str, after: &str) -> Vec<String> {
    let prefix = KeyPrefix::new(prefix).unwrap();
    let listed = store.list(&context(), &prefix, ListOptions::start_after(key(after)));
    listed.map_ok(|meta| meta.key.to_string()).try_collect().await.unwrap()
}

#[tokio::test]
async fn odd_names_come_in_byte_order_of_whole_keys_from_any_start() {
    let (_dir, store) = new_store();
    for name in ODD {
        put(&store, name, name.as_bytes()).await.unwrap();
    }
    let mut sorted = ODD.map(str::to_owned);
    sorted.sort_unstable();
    assert_eq!(list(&store, "").await, sorted);
    let between = ["a", "a/", "a/b.", "a/b.c", "zzz", "!", ".backup/tmpw"].map(|name| name.trim_end_matches('/').to_owned());
    for after in sorted.iter().chain(&between) {
        let expected: Vec<_> = sorted.iter().filter(|name| *name > after).cloned().collect();
        assert_eq!(list_after(&store, "", after).await, expected, "after {after}");
    }
    for prefix in ["a", "a/b.c", "a/b", "nothing", ".backup", ".backup/tmp", "é"] {
        let expected: Vec<_> = sorted.iter().filter(|name| name.starts_with(&format!("{prefix}/"))).cloned().collect();
        assert_eq!(list(&store, prefix).await, expected, "under {prefix}");
        let expected: Vec<_> = expected.into_iter().filter(|name| name.as_str() > "a/b.c/d").collect();
        assert_eq!(list_after(&store, prefix, "a/b.c/d").await, expected, "under {prefix}");
    }
}

#[tokio::test]
async fn what_is_no_object_is_left_out() {
    let (dir, store) = new_store();
    put(&store, "k", b"x").await.unwrap();
    let root = dir.path();
    std::fs::write(root.join(OsStr::from_bytes(b"not\xffutf8")), "x").unwrap();
    std::fs::create_dir(root.join(OsStr::from_bytes(b"dir\xff"))).unwrap();
    std::fs::write(root.join("x".repeat(241)), "x").unwrap();
    std::fs::write(root.join("back\\slash"), "x").unwrap();
    std::fs::create_dir(root.join("new\nline")).unwrap();
    std::fs::write(root.join("new\nline/k"), "x").unwrap();
    std::fs::create_dir(root.join("empty")).unwrap();
    std::fs::write(root.join(".backup/tmp/put.0123456789abcdef.tmp"), "x").unwrap();
    std::os::unix::fs::symlink("k", root.join("link")).unwrap();
    mknodat(CWD, root.join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    assert_eq!(list(&store, "").await, ["k"]);
    for name in ["pipe", "empty", "k/below"] {
        assert!(store.head_opt(&context(), &key(name)).await.unwrap().is_none(), "{name}");
        assert!(store.get_opt(&context(), &key(name), 100).await.unwrap().is_none(), "{name}");
    }
}

#[tokio::test]
async fn a_directory_removed_while_listing_is_no_error() {
    let (dir, store) = new_store();
    // Far behind what is looked at ahead of the first object.
    for n in 0..1600 {
        std::fs::create_dir(dir.path().join(format!("{n:04}"))).unwrap();
        std::fs::write(dir.path().join(format!("{n:04}/k")), "x").unwrap();
    }
    let mut listed = store.list(&context(), &KeyPrefix::root(), ListOptions::default());
    let first = listed.next().await.unwrap().unwrap();
    assert_eq!(first.key, key("0000/k"));
    std::fs::remove_dir_all(dir.path().join("1550")).unwrap();
    let rest: Vec<_> = listed.try_collect().await.unwrap();
    assert_eq!(rest.len(), 1598);
}

#[tokio::test]
async fn a_thousand_objects_cross_the_batches_without_loss() {
    let (dir, store) = new_store();
    let mut names: Vec<_> = (0..1500).map(|n| format!("d{}/{n}", n % 3)).collect();
    for name in &names {
        std::fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
        std::fs::write(dir.path().join(name), name).unwrap();
    }
    names.sort_unstable();
    assert_eq!(list(&store, "").await, names);
}
