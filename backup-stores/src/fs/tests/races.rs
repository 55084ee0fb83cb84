//! Writers against writers, and writers against removal.

use std::sync::Arc;

use backup_core::store::PutOptions;
use backup_core::{Bytes, Effect, Store};

use super::{context, get, key, new_store, put, unfinished, watched, write};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_twenty_racing_writers_exactly_one_wins_with_intact_bytes() {
    let (dir, store) = new_store();
    for round in 0..10 {
        let name = format!("{round}/deep/er/key");
        let start = Arc::new(tokio::sync::Barrier::new(20));
        let racers = (0..20u8).map(|n| {
            let (store, name, start) = (store.clone(), name.clone(), Arc::clone(&start));
            tokio::spawn(async move {
                let body = Bytes::from(vec![n; 100_000]);
                start.wait().await;
                let result = match n % 2 {
                    0 => store.put(&context(), &key(&name), body, PutOptions::if_absent()).await.map(drop),
                    _ => write(&store, &context(), &name, &[body]).await,
                };
                (n, result)
            })
        });
        let mut winners = Vec::new();
        for racer in racers.collect::<Vec<_>>() {
            match racer.await.unwrap() {
                (n, Ok(())) => winners.push(n),
                (_, Err(error)) => assert_eq!((error.code().name, error.effect()), ("store.exists", Effect::None), "{error}"),
            }
        }
        assert_eq!(winners.len(), 1, "{winners:?}");
        assert_eq!(get(&store, &name).await.unwrap(), vec![winners[0]; 100_000]);
    }
    assert!(unfinished(dir.path()).is_empty());
}

#[tokio::test]
async fn a_directory_removed_just_before_the_link_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let (store, watched) = watched::open(dir.path());
    let (removed, mut left) = (dir.path().join("a/b"), 3);
    watched.state().event = Some(Box::new(move |call| {
        if call == "link" && left > 0 {
            left -= 1;
            std::fs::remove_dir(&removed).unwrap();
        }
    }));
    put(&store, "a/b/k", b"body").await.unwrap();
    assert_eq!(get(&store, "a/b/k").await.unwrap(), "body");
    let changes = watched.changes();
    let last = ["link a/b/k", "sync_dir .", "make_dir a/b", "sync_dir a", "link a/b/k", "unlink .backup/tmp/T", "sync_dir a/b"];
    assert!(changes.ends_with(&last.map(str::to_owned)), "{changes:?}");
}

#[tokio::test]
async fn a_temporary_file_that_somebody_removed_is_an_error_without_effect() {
    let dir = tempfile::tempdir().unwrap();
    let (store, watched) = watched::open(dir.path());
    let root = dir.path().to_owned();
    watched.state().event = Some(Box::new(move |call| {
        if call == "link" {
            unfinished(&root).iter().for_each(|file| std::fs::remove_file(file).unwrap());
        }
    }));
    let error = put(&store, "k", b"body").await.unwrap_err();
    assert_eq!((error.code().name, error.effect()), ("store.io", Effect::None));
    assert!(error.to_string().contains("swept"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_and_removers_of_the_last_object_do_not_harm_each_other() {
    let (dir, store) = new_store();
    let tasks = (0..4).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            for round in 0..100 {
                let name = format!("set/backup/{n}");
                put(&store, &name, name.as_bytes()).await.unwrap_or_else(|error| panic!("round {round}: {error}"));
                assert_eq!(get(&store, &name).await.unwrap(), name.as_bytes());
                let report = store.delete(&context(), &[key(&name)]).await.unwrap();
                assert_eq!(report.deleted, [key(&name)], "{report:?}");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert!(!dir.path().join("set").exists(), "the last remover leaves no empty directory");
}
