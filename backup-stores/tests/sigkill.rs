//! A process that backs up and prunes on the real file system is killed at any instant, again and again: 25 times, 100 with
//! `BACKUP_TEST_LONG=1`.
#![cfg(feature = "fs")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers stand outside of the test functions")]

mod support;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use backup_core::repository::VerifyLevel;
use backup_core::retention::RetentionPolicy;
use backup_core::source::BackupReader;
use backup_core::testkit::SeededRandom;
use backup_core::{Compression, Environment, Repository, SetName};
use support::{Dumps, Generated, LaterClock, store};

const ROOT: &str = "BACKUP_TEST_SIGKILL_ROOT";

fn repository(root: &Path, environment: Environment) -> Repository {
    Repository::builder(store(root)).environment(environment).naming(Arc::new(Dumps)).build()
}

fn set() -> SetName {
    SetName::new("kill/me").unwrap()
}

/// Not a test of its own: what the killed process does. It writes each id to a log once it was told that it is published.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(root) = std::env::var_os(ROOT) else { return };
    let root = Path::new(&root);
    let mut log = std::fs::OpenOptions::new().append(true).create(true).open(root.with_extension("log")).unwrap();
    let repository = repository(root, Environment::default());
    for round in 0.. {
        let cx = repository.context();
        let compression = if round % 2 == 0 { Compression::None } else { Compression::Gzip };
        let request = backup_core::BackupRequest::new(set()).compression(compression, None);
        let outcome = repository.backup(&cx, &Generated::new(3_000_000), &request).await.unwrap();
        writeln!(log, "{}", outcome.backup().id).unwrap();
        let plan = repository.plan(&cx, &set(), &RetentionPolicy::default().keep_last(4)).await.unwrap();
        for item in plan.removed() {
            writeln!(log, "-{}", item.id).unwrap();
        }
        let _report = repository.prune(&cx, &set(), &plan).await.unwrap();
    }
}

/// The ids in the log that were published and that no prune was going to remove.
fn promised(log: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let removed: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix('-')).collect();
    // The last line may have been cut by the kill: then it was not promised.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().filter(|line| !line.starts_with('-') && !removed.contains(line)).map(str::to_owned).collect()
}

async fn check(repository: &Repository, log: &Path, kill: u64) {
    let cx = repository.context();
    let listed = repository.list(&cx, &set()).await.unwrap();
    let ids: BTreeSet<String> = listed.iter().map(|info| info.id.to_string()).collect();
    assert!(promised(log).is_subset(&ids), "kill {kill}: a published backup is gone");
    for info in listed.iter().filter(|info| info.state.is_published()) {
        let backup = repository.open(&cx, &set(), &info.id).await.unwrap();
        for name in backup.artifacts() {
            let bytes = support::read(&cx, &backup, &name).await.unwrap_or_else(|error| panic!("kill {kill}: {error}"));
            assert!(backup.manifest().adopted || bytes == Generated::new(3_000_000).bytes(), "kill {kill}: other bytes");
        }
    }
    let foreign = listed.iter().filter(|info| !info.state.is_published()).count();
    assert_eq!(foreign, 1, "kill {kill}: something half-done is listed, or the adopted file is gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigkill_at_any_instant_loses_nothing_shows_nothing_half_done_and_leaves_no_orphan() {
    let dir = tempfile::TempDir::new().unwrap();
    let (root, log) = (dir.path().join("root"), dir.path().join("root.log"));
    let kills = if std::env::var_os("BACKUP_TEST_LONG").is_some() { 100 } else { 25 };
    std::fs::create_dir_all(root.join("dumps")).unwrap();
    std::fs::write(root.join("dumps/foreign.dump"), b"made by another program").unwrap();
    // An adopted file is rotated like the others, unless it is pinned.
    let first = repository(&root, Environment::default());
    let adopted = first.list(&first.context(), &set()).await.unwrap();
    first.pin(&first.context(), &set(), &adopted[0].id, "to see that nobody eats it").await.unwrap();
    let random = SeededRandom::new(7);
    for kill in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(ROOT, &root)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let instant = Duration::from_micros(20_000 + random.below(600_000));
        let waited = tokio::task::spawn_blocking(move || {
            // The instant of the kill is the input of this test, not a wait for something.
            std::thread::park_timeout(instant);
            let ended = child.try_wait().unwrap();
            child.kill().unwrap();
            child.wait().unwrap();
            ended
        });
        assert_eq!(waited.await.unwrap(), None, "kill {kill}: the process ended by itself");
        check(&repository(&root, Environment::default()), &log, kill).await;
    }
    assert!(promised(&log).len() >= 2, "the killed processes published too little for this test to mean anything");

    // Long after every grace.
    for day in 1..=3 {
        let later = repository(&root, LaterClock::environment(Duration::from_secs(day * 86_400)));
        let report = later.janitor(&later.context()).await.unwrap();
        assert!(report.problems.is_empty() && report.busy.is_empty(), "{report:?}");
    }
    let repository = repository(&root, Environment::default());
    check(&repository, &log, kills).await;
    assert_eq!(std::fs::read(root.join("dumps/foreign.dump")).unwrap(), b"made by another program");
    assert_eq!(support::orphans(&repository, &root, &set()).await, Vec::<String>::new());
    for info in repository.list(&repository.context(), &set()).await.unwrap() {
        let report = repository.verify(&repository.context(), &set(), &info.id, VerifyLevel::Restorable, None).await.unwrap();
        assert!(report.is_good(), "{report:?}");
    }
}
