use std::os::unix::fs::PermissionsExt;

use super::*;

fn bytes(text: &str) -> Option<Bytes> {
    Some(Bytes::copy_from_slice(text.as_bytes()))
}

fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b/state.redb");
    (directory, path)
}

#[tokio::test]
async fn values_outlive_the_process_and_a_version_never_comes_back() {
    let (_directory, path) = directory();
    let state = RedbState::open(&path).unwrap();
    assert!(state.compare_and_set("a", Expected::Absent, bytes("one")).await.unwrap());
    let first = state.get("a").await.unwrap().unwrap();
    assert!(state.compare_and_set("a", Expected::Version(first.version), None).await.unwrap());
    drop(state);
    let state = RedbState::open(&path).unwrap();
    assert!(state.compare_and_set("a", Expected::Absent, bytes("one")).await.unwrap());
    let second = state.get("a").await.unwrap().unwrap();
    assert!(second.version > first.version, "{second:?}");
    assert!(!state.compare_and_set("a", Expected::Version(first.version), bytes("two")).await.unwrap());
    drop(state);
    assert_eq!(RedbState::open(&path).unwrap().get("a").await.unwrap(), Some(second));
}

#[tokio::test]
async fn a_range_begins_after_a_key_and_ends_with_its_prefix() {
    let (_directory, path) = directory();
    let state = RedbState::open(&path).unwrap();
    for key in ["a", "b/1", "b/2", "b/3", "c"] {
        assert!(state.compare_and_set(key, Expected::Any, bytes(key)).await.unwrap());
    }
    let keys = async |prefix: &str, after: Option<&str>, limit: usize| -> Vec<String> {
        state.range(prefix, after, limit).await.unwrap().into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(keys("b/", None, 10).await, ["b/1", "b/2", "b/3"]);
    assert_eq!(keys("b/", None, 2).await, ["b/1", "b/2"]);
    assert_eq!(keys("b/", Some("b/1"), 10).await, ["b/2", "b/3"]);
    assert_eq!(keys("b/", Some("a"), 1).await, ["b/1"]);
    assert_eq!(keys("b/", Some("c"), 10).await, [""; 0]);
    assert_eq!(keys("", None, 10).await.len(), 5);
}

#[tokio::test]
async fn a_lease_is_free_after_a_restart_and_its_generation_goes_on() {
    let (_directory, path) = directory();
    let state = RedbState::open(&path).unwrap();
    let lease = state.lease("set/a").await.unwrap().unwrap();
    assert_eq!(lease.generation(), 1);
    assert!(state.lease("set/a").await.unwrap().is_none());
    assert!(state.lease("set/b").await.unwrap().is_some());
    drop(lease);
    let kept = state.lease("set/a").await.unwrap().unwrap();
    assert_eq!(kept.generation(), 2);
    // As a crash would: the lease is never given back.
    std::mem::forget(kept);
    drop(state);
    assert_eq!(RedbState::open(&path).unwrap().lease("set/a").await.unwrap().unwrap().generation(), 3);
}

#[tokio::test]
async fn a_second_process_is_told_who_may_have_the_file() {
    let (_directory, path) = directory();
    let _state = RedbState::open(&path).unwrap();
    let error = RedbState::open(&path).unwrap_err();
    assert_eq!(error.code().name, "state.locked");
    assert!(error.to_string().contains("a server that runs") && error.to_string().contains("state.redb"), "{error}");
}

#[tokio::test]
async fn the_file_and_its_directories_are_for_their_owner_alone() {
    let (_directory, path) = directory();
    let _state = RedbState::open(&path).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(mode(path.parent().unwrap().parent().unwrap()), 0o700);
}

#[tokio::test]
async fn a_damaged_file_is_named_with_the_way_out_and_left_as_it_is() {
    let (_directory, path) = directory();
    let state = RedbState::open(&path).unwrap();
    for n in 0..200 {
        state.compare_and_set(&format!("key/{n}"), Expected::Any, bytes(&"x".repeat(500))).await.unwrap();
    }
    drop(state);
    let whole = std::fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    // In the middle of the values: nothing but a check of the whole file finds this.
    let place = whole.windows(20).rposition(|window| window == [b'x'; 20]).unwrap();
    flipped[place] ^= 1;
    let no_database = b"# a text file\n".repeat(1000);
    for (what, content) in [
        ("short", whole[..100].to_vec()),
        ("cut", whole[..whole.len() / 2].to_vec()),
        ("flipped", flipped),
        ("another file", no_database),
        ("a small file", b"hello".to_vec()),
    ] {
        std::fs::write(&path, &content).unwrap();
        let error = RedbState::open(&path).expect_err(what);
        assert_eq!(error.code().name, "state.damaged", "{what}: {error}");
        let text = error.to_string();
        assert!(text.contains("state.redb") && text.contains("No backup is lost") && text.contains("mv "), "{text}");
        if what.contains("file") {
            assert_eq!(std::fs::read(&path).unwrap(), content, "{what} was changed");
        }
    }
}

#[tokio::test]
async fn the_database_of_another_program_is_left_alone() {
    let (directory, _) = directory();
    let path = directory.path().join("theirs.redb");
    let theirs = ::redb::TableDefinition::<u64, u64>::new("theirs");
    let database = ::redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(theirs).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = RedbState::open(&path).unwrap_err();
    assert!(error.code().name == "state.damaged" && error.to_string().contains("another program"), "{error}");
}

#[tokio::test]
async fn a_place_that_cannot_be_used_says_so() {
    let (directory, _) = directory();
    let file = directory.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let error = RedbState::open(file.join("state.redb")).unwrap_err();
    assert_eq!(error.code().name, "state.unusable", "{error}");
    let error = RedbState::open(directory.path()).unwrap_err();
    assert_eq!(error.code().name, "state.unusable", "{error}");
}

#[tokio::test]
async fn after_a_failure_of_the_medium_the_next_call_opens_the_file_anew() {
    let (_directory, path) = directory();
    let state = RedbState::open(&path).unwrap();
    state.compare_and_set("a", Expected::Any, bytes("kept")).await.unwrap();
    let failed = state.file.write::<()>(|_| Err(::redb::Error::Io(std::io::ErrorKind::StorageFull.into()))).unwrap_err();
    assert_eq!(failed.code().name, "state.no_space");
    assert_eq!(state.get("a").await.unwrap().unwrap().value, "kept");
    assert!(state.compare_and_set("a", Expected::Any, bytes("new")).await.unwrap());
}

#[tokio::test]
async fn changing_values_over_and_over_does_not_make_the_file_grow_and_removed_ones_give_their_space_back() {
    let (_directory, path) = directory();
    let size = || std::fs::metadata(&path).unwrap().len();
    let state = RedbState::open(&path).unwrap();
    let big = Bytes::from(vec![7; 100 << 10]);
    for n in 0..120 {
        assert!(state.compare_and_set(&format!("job/{}", n % 3), Expected::Any, Some(big.clone())).await.unwrap());
    }
    assert!(size() < 8 << 20, "{}", size());
    for n in 0..80 {
        assert!(state.compare_and_set(&format!("much/{n}"), Expected::Any, Some(big.clone())).await.unwrap());
    }
    for n in 0..80 {
        assert!(state.compare_and_set(&format!("much/{n}"), Expected::Any, None).await.unwrap());
    }
    let full = size();
    drop(state);
    let state = RedbState::open(&path).unwrap();
    assert!(size() < 4 << 20, "{full}, then {}", size());
    assert_eq!(state.get("job/0").await.unwrap().unwrap().value, big);
}

#[tokio::test]
async fn a_key_that_is_too_long_is_refused() {
    let (_directory, path) = directory();
    let state = RedbState::open(&path).unwrap();
    assert!(state.compare_and_set(&"k".repeat(500), Expected::Any, bytes("")).await.unwrap());
    assert_eq!(state.get(&"k".repeat(501)).await.unwrap_err().code().name, "input.invalid");
}
