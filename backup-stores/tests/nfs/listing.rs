//! Listings of what is really there.

use backup_core::error::codes;
use backup_core::store::{ListOptions, StoreExt};
use backup_core::{KeyPrefix, Store};
use futures::TryStreamExt;

use crate::bench::{Bench, key};
use crate::ganesha::wanted;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twelve_thousand_objects_of_one_directory_are_listed_whole_and_in_order_also_while_others_come_and_go() {
    if !wanted() {
        return;
    }
    let bench = Bench::new().await;
    let dir = bench.on_disk("many");
    std::fs::create_dir_all(&dir).unwrap();
    let mut names: Vec<_> = (0..12_000).map(|n| format!("many/{}.{n}", n * 7919 % 12_000)).collect();
    for name in &names {
        std::fs::write(bench.on_disk(name), name).unwrap();
    }
    names.sort();
    let list = async || bench.store.list_all(&bench.cx, &KeyPrefix::new("many").unwrap()).await.unwrap();
    let listed = list().await;
    assert!(listed.iter().map(|meta| meta.key.as_str()).eq(names.iter().map(String::as_str)), "{} objects", listed.len());
    assert!(listed.iter().all(|meta| meta.size == meta.key.as_str().len() as u64 && meta.modified.is_some()));

    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (its, path) = (stop.clone(), dir.clone());
    let churn = std::thread::spawn(move || {
        let mut rounds = 0;
        while !its.load(std::sync::atomic::Ordering::Relaxed) {
            let file = path.join(format!("~churn {}", rounds % 50));
            std::fs::write(&file, b"").unwrap();
            std::fs::remove_file(file).unwrap();
            rounds += 1;
        }
        rounds
    });
    for _ in 0..3 {
        let listed = list().await;
        let settled = listed.iter().map(|meta| meta.key.as_str()).filter(|name| !name.contains('~'));
        assert!(settled.eq(names.iter().map(String::as_str)), "{} objects while others come and go", listed.len());
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(churn.join().unwrap() > 0);

    let after = ListOptions::start_after(key(&names[11_000]));
    let rest: Vec<_> = bench.store.list(&bench.cx, &KeyPrefix::root(), after).try_collect().await.unwrap();
    assert_eq!(rest.len(), 999);
    let (most, last) = names.split_at(11_000);
    most.iter().for_each(|name| std::fs::remove_file(bench.on_disk(name)).unwrap());
    // What is gone already is missing, and nothing fails for it.
    let keys: Vec<_> = last.iter().chain(&most[..100]).map(|name| key(name)).collect();
    let report = bench.store.delete(&bench.cx, &keys).await.unwrap();
    assert_eq!((report.deleted.len(), report.missing.len(), report.failed.len()), (1_000, 100, 0));
    assert!(!dir.exists(), "an empty directory stayed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_object_is_not_listed() {
    if !wanted() {
        return;
    }
    use std::os::unix::ffi::OsStrExt;
    let bench = Bench::new().await;
    bench.put("a/real", "x").await.unwrap();
    std::fs::write(bench.on_disk("a/.nfs0000000000a5b0f100000003"), b"removed while open").unwrap();
    std::fs::write(bench.on_disk("a/").join(std::ffi::OsStr::from_bytes(b"no \xff text")), b"").unwrap();
    std::fs::write(bench.on_disk("a/new\nline"), b"").unwrap();
    std::os::unix::fs::symlink("real", bench.on_disk("a/link")).unwrap();
    std::os::unix::fs::symlink("a", bench.on_disk("linked")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(bench.on_disk("a/socket")).unwrap();
    std::fs::create_dir(bench.on_disk("empty")).unwrap();
    assert_eq!(bench.names().await, ["a/real"]);
    for name in ["a/link", "linked/real", "linked/new", "linked"] {
        let error = bench.read(name).await.unwrap_err();
        assert_eq!(error.code().name, "nfs.symlink", "{name}: {error}");
        let error = bench.put(name, "through a link").await.unwrap_err();
        assert_eq!(error.code().name, "nfs.symlink", "{name}: {error}");
        assert_eq!(bench.delete(name).await.failed.len(), 1, "{name}");
    }
    for name in ["a", "a/socket", "empty"] {
        assert_eq!(bench.read(name).await.unwrap_err().code(), &codes::STORE_NOT_FOUND, "{name}");
        assert_eq!(bench.put(name, "x").await.unwrap_err().code().name, "nfs.in_the_way", "{name}");
        assert_eq!(bench.delete(name).await.missing.len(), 1, "{name}");
    }
    // What would never be listed is not taken.
    let error = bench.put("b/.nfs0000000000a5b0f100000004", "x").await.unwrap_err();
    assert_eq!(error.code(), &codes::INPUT_INVALID, "{error}");
    assert_eq!(std::fs::read(bench.on_disk("a/real")).unwrap(), b"x");
}
