//! A process of ours that is killed while `br` runs, and one that comes after it.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use backup_core::store::ExternalLocation;
use rustix::fs::{FlockOperation, flock};
use rustix::process::Pid;

use super::super::home::Home;
use super::super::notes::{Candidate, Note};
use super::support::{lives, until};
use super::*;
use crate::br::config::{Encryption, EncryptionMethod};
use crate::br::executor::Executor;
use crate::process::GroupId;

/// Where the helper process works, and for which place.
const HELPER: &str = "BACKUP_TEST_BR_HELPER";
const PLACE: &str = "BACKUP_TEST_BR_PLACE";

/// Runs in a process of its own, which is killed in the middle.
#[test]
fn helper() {
    let Some(root) = std::env::var_os(HELPER) else { return };
    let (br, place) = (StandIn::at(Path::new(&root)), std::env::var(PLACE).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let pd = StandInPd::start().await;
        let executor = ProgramExecutor::new(&config(&br, &pd.address)).unwrap();
        let mut order = order(&br, &place);
        order.encryption =
            Some(Encryption { method: EncryptionMethod::Aes128Ctr, key: "00112233445566778899aabbccddeeff".into() });
        drop(executor.backup(&cx(), &order).await);
    });
}

/// A process with a running `br`.
struct Process(Child);

impl Process {
    async fn start(br: &StandIn, place: &str) -> Self {
        let _ = std::fs::remove_file(br.path("reached"));
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "br::program::tests::leftovers::helper", "--nocapture"]);
        command.env(HELPER, br.directory()).env(PLACE, place).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Self(command.spawn().unwrap());
        br.reached().await;
        process
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn location(br: &StandIn, place: &str) -> ExternalLocation {
    order(br, place).location
}

#[tokio::test]
async fn what_a_killed_process_left_is_ended_and_only_that_of_its_place() {
    let setup = Setup::new().await;
    setup.br.control("ON_TERM=graceful CHILD=1");
    setup.br.hold();
    let mut first = Process::start(&setup.br, "first").await;
    let child = setup.br.child();
    let mut second = Process::start(&setup.br, "second").await;
    let end = async |place: &str| setup.executor.end_leftovers(&cx(), &location(&setup.br, place)).await.unwrap();
    // Their process lives: they are not left.
    assert_eq!(end("first").await, 0);
    first.kill();
    second.kill();
    let pids: Vec<i32> = setup.br.runs().iter().map(|run| run.pid).collect();
    assert!(pids.len() == 2 && pids.iter().all(|pid| lives(*pid)));
    assert_eq!(notes(&setup.br).len(), 4, "a note and a key for each");

    assert_eq!(end("third").await, 0);
    assert!(pids.iter().all(|pid| lives(*pid)));
    // With a slash at its end it is the same place.
    assert_eq!(end("first/").await, 1);
    assert!(!lives(child));
    assert_eq!(pids.iter().filter(|pid| lives(**pid)).count(), 1);
    assert_eq!(end("first").await, 0);
    assert_eq!(end("second").await, 1);
    assert!(pids.iter().all(|pid| !lives(*pid)));
    setup.assert_forgotten();
    assert!(!setup.place("first").join("backupmeta").exists());
}

#[tokio::test]
async fn a_note_whose_group_is_gone_is_removed() {
    let setup = Setup::new().await;
    setup.br.hold();
    let mut process = Process::start(&setup.br, "place").await;
    process.kill();
    let run = setup.br.run();
    setup.br.release();
    until("the end of br", || !lives(run.pid)).await;
    assert_eq!(setup.executor.end_leftovers(&cx(), &location(&setup.br, "place")).await.unwrap(), 0);
    setup.assert_forgotten();
}

/// The first line of a note of this process, with a change of where it is at home.
fn head(url: &str, change: fn(&mut serde_json::Value)) -> serde_json::Value {
    let mut home = serde_json::to_value(Home::of_this_process().unwrap()).unwrap();
    change(&mut home);
    serde_json::json!({ "version": 1, "url": url, "home": home })
}

#[tokio::test]
async fn one_that_was_started_elsewhere_is_told_and_stays_noted() {
    let setup = Setup::new().await;
    std::fs::create_dir(setup.br.path("notes")).unwrap();
    let place = location(&setup.br, "place");
    let note = |name: &str, change: fn(&mut serde_json::Value)| {
        std::fs::write(setup.br.path("notes").join(name), format!("{}\n", head(&place.url, change))).unwrap();
    };
    note("rebooted.note", |home| home["boot"] = "another boot".into());
    note("renamed.note", |home| home["host"] = "another name".into());
    assert_eq!(setup.executor.end_leftovers(&cx(), &place).await.unwrap(), 0);
    setup.assert_forgotten();

    note("here.note", |_| {});
    note("host.note", |home| (home["host"], home["boot"]) = ("far-away".into(), "another boot".into()));
    note("container.note", |home| home["pid-namespace"] = 1.into());
    let error = setup.executor.end_leftovers(&cx(), &place).await.unwrap_err();
    assert_eq!(error.code().name, "br.left_elsewhere");
    for part in ["far-away", "host.note", "container.note"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!(!error.to_string().contains("here.note") && notes(&setup.br).len() == 2, "{error}");
    // Another place has nothing to do with it.
    assert_eq!(setup.executor.end_leftovers(&cx(), &location(&setup.br, "other")).await.unwrap(), 0);
}

#[tokio::test]
async fn a_group_that_is_noted_up_to_the_lock_is_found() {
    let setup = Setup::new().await;
    std::fs::create_dir(setup.br.path("notes")).unwrap();
    let (url, path) = (location(&setup.br, "place").url, setup.br.path("notes/a.note"));
    std::fs::write(&path, format!("{}\n", head(&url, |_| {}))).unwrap();
    let candidate = || Candidate::open(path.clone(), &url).unwrap().unwrap();
    let early = candidate();
    let group = serde_json::to_string(&GroupId::of(rustix::process::getpgrp()).unwrap()).unwrap();
    std::fs::write(&path, format!("{}\n{group}\n", head(&url, |_| {}))).unwrap();
    let left = early.take_over().unwrap().unwrap();
    assert!(left.group.is_some());
    assert!(candidate().take_over().unwrap().is_none(), "it is somebody's now");
    drop(left);
    let late = candidate();
    std::fs::remove_file(&path).unwrap();
    assert!(late.take_over().unwrap().is_none(), "its program has ended");
}

#[tokio::test]
async fn what_is_removed_twice_is_removed_and_what_a_crash_cut_short_too() {
    let setup = Setup::new().await;
    let (directory, url) = (setup.br.path("notes"), location(&setup.br, "place").url);
    let id = backup_core::JobId::random(&*cx().environment().random);
    let note = Note::begin(&directory, &id, &url, None).await.unwrap();
    std::fs::remove_file(note.path()).unwrap();
    note.remove().await.unwrap();

    let end = async || setup.executor.end_leftovers(&cx(), &location(&setup.br, "place")).await.unwrap();
    std::fs::write(directory.join("b.new"), "").unwrap();
    let writing = std::fs::File::open(&directory).unwrap();
    flock(&writing, FlockOperation::LockShared).unwrap();
    assert_eq!((end().await, notes(&setup.br).len()), (0, 1), "somebody may be writing it");
    drop(writing);
    assert_eq!(end().await, 0);
    setup.assert_forgotten();
}

#[tokio::test]
async fn a_process_that_got_the_number_of_one_that_is_gone_is_left_alone() {
    let setup = Setup::new().await;
    let mut other = Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
    let group = GroupId::of(Pid::from_child(&other)).unwrap();
    std::fs::create_dir(setup.br.path("notes")).unwrap();
    let url = location(&setup.br, "place").url;
    let head = head(&url, |_| {});
    let note = |name: &str, change: fn(&mut serde_json::Value)| {
        let mut group = serde_json::to_value(&group).unwrap();
        change(&mut group);
        let text = format!("{head}\n{group}\n");
        std::fs::write(setup.br.path("notes").join(name), text).unwrap();
    };
    note("earlier.note", |group| group["started"] = (group["started"].as_u64().unwrap() - 1).into());
    note("rebooted.note", |group| group["boot"] = "another boot".into());
    std::fs::write(setup.br.path("notes/torn.note"), format!("{head}\n{{\"lea")).unwrap();
    let ended = setup.executor.end_leftovers(&cx(), &location(&setup.br, "place")).await.unwrap();
    let lived = lives(Pid::from_child(&other).as_raw_nonzero().get());
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!((ended, lived), (0, true));
    setup.assert_forgotten();
}

#[tokio::test]
async fn a_run_that_is_dropped_does_not_live_on() {
    let setup = Setup::new().await;
    setup.br.hold();
    let (cx, order) = (cx(), setup.order("place"));
    tokio::select! {
        outcome = setup.executor.backup(&cx, &order) => panic!("it ended: {outcome:?}"),
        () = setup.br.reached() => {}
    }
    let run = setup.br.run();
    until("the end of br", || !lives(run.pid)).await;
    assert_eq!(setup.executor.end_leftovers(&cx, &order.location).await.unwrap(), 0);
    setup.assert_forgotten();
}

#[tokio::test]
async fn a_note_that_nobody_understands_stays() {
    let setup = Setup::new().await;
    std::fs::create_dir(setup.br.path("notes")).unwrap();
    for (name, text) in [("a.note", "what is this"), ("b.note", ""), ("c.note", r#"{"version": 99, "url": "file:///x"}"#)] {
        std::fs::write(setup.br.path("notes").join(name), text).unwrap();
    }
    let other = ExternalLocation::new("file:///x");
    assert_eq!(setup.executor.end_leftovers(&cx(), &other).await.unwrap(), 0);
    assert_eq!(notes(&setup.br).len(), 3);
}
