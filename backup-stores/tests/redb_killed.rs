//! A process that is killed in the middle of writing loses nothing that was acknowledged.
#![cfg(feature = "redb")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use backup_core::Bytes;
use backup_core::state::{Expected, State};
use backup_stores::redb::RedbState;

/// Set for the child, which is this same test started once more.
const CHILD: &str = "REDB_KILLED_CHILD";
const KEYS: u64 = 40;
const ROUNDS: u64 = 10;

#[test]
fn every_acknowledged_write_is_there_after_ten_kills() {
    if let Some(path) = std::env::var_os(CHILD) {
        return write_for_ever(Path::new(&path));
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    let mut acknowledged: BTreeMap<String, u64> = BTreeMap::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "every_acknowledged_write_is_there_after_ten_kills", "--nocapture"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (mut text, mut lines) = (String::new(), 0);
        while lines < 20 + 7 * round {
            assert!(output.read_line(&mut text).unwrap() > 0, "the child ended by itself: {text}");
            lines += 1;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        output.read_to_string(&mut text).unwrap();
        // The last line may be cut: then its write was not acknowledged.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines() {
            if let Some((key, number)) = line.strip_prefix("wrote ").and_then(|rest| rest.split_once(' ')) {
                acknowledged.insert(key.to_owned(), number.parse().unwrap());
            }
        }
        let newest = *acknowledged.values().max().unwrap();
        let stored = stored(&path);
        for (key, least) in &acknowledged {
            let number = stored.get(key);
            assert!(number >= Some(least), "round {round}: {key} is {number:?}, and {least} was acknowledged");
        }
        // One write may have been under way.
        assert!(
            stored.values().all(|number| *number <= newest + 1),
            "round {round}: {newest} was the last one, and there is {stored:?}"
        );
    }
}

fn stored(path: &Path) -> BTreeMap<String, u64> {
    let state = RedbState::open(path).unwrap();
    let entries = run(state.range("key/", None, 1000)).unwrap();
    entries.into_iter().map(|(key, entry)| (key, number(&entry.value))).collect()
}

fn number(value: &Bytes) -> u64 {
    std::str::from_utf8(value).unwrap().trim_end_matches('.').parse().unwrap()
}

/// Writes numbers that go on where the last process ended, and says each one only after it is stored.
fn write_for_ever(path: &Path) {
    let state = RedbState::open(path).unwrap();
    let entries = run(state.range("key/", None, 1000)).unwrap();
    let mut next = entries.iter().map(|(_, entry)| number(&entry.value) + 1).max().unwrap_or(0);
    loop {
        let key = format!("key/{:02}", next % KEYS);
        let value = Bytes::from(format!("{next}{}", ".".repeat(usize::try_from(next % 3000).unwrap())));
        assert!(run(state.compare_and_set(&key, Expected::Any, Some(value))).unwrap());
        println!("\nwrote {key} {next}");
        next += 1;
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}
