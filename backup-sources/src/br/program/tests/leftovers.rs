//! A process of ours that is killed while `br` runs, and one that comes after it.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use backup_core::store::ExternalLocation;
use rustix::process::Pid;

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

#[tokio::test]
async fn a_process_that_got_the_number_of_one_that_is_gone_is_left_alone() {
    let setup = Setup::new().await;
    let mut other = Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
    let group = GroupId::of(Pid::from_child(&other)).unwrap();
    std::fs::create_dir(setup.br.path("notes")).unwrap();
    let url = location(&setup.br, "place").url;
    let note = |name: &str, change: fn(&mut serde_json::Value)| {
        let mut group = serde_json::to_value(&group).unwrap();
        change(&mut group);
        let text = format!("{}\n{group}\n", serde_json::json!({ "version": 1, "url": url }));
        std::fs::write(setup.br.path("notes").join(name), text).unwrap();
    };
    note("earlier.note", |group| group["started"] = (group["started"].as_u64().unwrap() - 1).into());
    note("rebooted.note", |group| group["boot"] = "another boot".into());
    std::fs::write(setup.br.path("notes/torn.note"), format!("{}\n{{\"lea", serde_json::json!({ "version": 1, "url": url })))
        .unwrap();
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
