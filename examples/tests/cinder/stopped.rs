//! Jobs that are cancelled or killed at each of their stages.

use std::process::Stdio;

use backup_core::{BackupId, BackupRequest, RestoreTarget};
use futures::future::join_all;
use serde_json::json;
use tokio::process::{Child, Command};

use crate::openstack::OpenStack;
use crate::stages::Server::{Cinder, Swift};
use crate::stages::When::{After, Before};
use crate::stages::{Settings, Stage, Staged, named};

const CHILD: &str = "BACKUP_TEST_CINDER_CHILD";

/// From the first thing that is made at Cinder to the last that is taken away, and to the point of publishing.
const BACKUP: [Stage; 5] = [
    (Cinder, "POST", "/snapshots", After),
    (Swift, "PUT", "backup-00003", Before),
    (Swift, "PUT", "backup_metadata", Before),
    (Cinder, "DELETE", "/snapshots/", Before),
    (Swift, "PUT", ".backup/sets/", Before),
];

/// Those of an access that reads no snapshots.
const THROUGH_A_VOLUME: [Stage; 3] =
    [(Cinder, "POST", "/volumes", After), (Cinder, "POST", "/attachments", After), (Swift, "PUT", "backup-00003", Before)];

/// Those of a restore into a new volume, which is nobody's until it is whole.
const RESTORE: [Stage; 3] =
    [(Cinder, "POST", "/volumes", After), (Cinder, "POST", "/attachments", After), (Swift, "GET", "backup-00010", Before)];

/// Not a test of its own: what a process does that is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(settings) = std::env::var_os(CHILD) else { return };
    // It ends with the test, however that ends.
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(1);
    });
    let settings: Settings = serde_json::from_str(settings.to_str().unwrap()).unwrap();
    let stack = OpenStack::wanted().await.unwrap();
    let error = run(&stack, &settings, &tokio_util::sync::CancellationToken::new()).await;
    panic!("nobody killed it: {error:?}");
}

/// The job of the settings.
async fn run(stack: &OpenStack, settings: &Settings, cancel: &tokio_util::sync::CancellationToken) -> backup_core::Result<()> {
    let (repository, source) = (settings.repository(stack).await, settings.source(stack));
    let cx = repository.context();
    let cancelled = async {
        cancel.cancelled().await;
        cx.cancel_token().cancel();
        std::future::pending().await
    };
    let job = async {
        match &settings.restore {
            None => repository.backup(&cx, &source, &BackupRequest::new(settings.set())).await.map(drop),
            Some(id) => {
                let target = RestoreTarget::new(json!({ "new": { "name": "of a test", "volume-type": settings.kind } }));
                let id = BackupId::new(id).unwrap();
                repository.restore(&cx, &source, &settings.set(), &id, &target).await.map(drop)
            }
        }
    };
    tokio::select! {
        done = job => done,
        () = cancelled => unreachable!(),
    }
}

fn spawn(settings: &Settings) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "stopped::child", "--nocapture", "--test-threads", "1"]);
    command.env(CHILD, serde_json::to_string(settings).unwrap()).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
}

/// Runs the job in a process of its own up to a stage, and kills it there.
async fn killed(staged: &Staged, stage: Stage) {
    let gate = staged.stop_at(stage);
    let mut child = spawn(&staged.settings);
    // Waiting for it would close this.
    let _alive = child.stdin.take();
    tokio::select! {
        () = gate.reached() => {}
        ended = child.wait() => panic!("{stage:?}: it ended before: {ended:?}"),
    }
    child.kill().await.unwrap();
}

/// Runs the job up to a stage, and cancels it there.
async fn cancelled(staged: &Staged, stage: Stage) -> backup_core::Result<()> {
    let gate = staged.stop_at(stage);
    let cancel = tokio_util::sync::CancellationToken::new();
    let job = run(&staged.place.stack, &staged.settings, &cancel);
    let canceller = async {
        gate.reached().await;
        cancel.cancel();
        gate.open();
    };
    tokio::join!(job, canceller).0
}

/// What the next start of the program does.
async fn recovered(staged: &Staged) -> usize {
    let (cinder, cx) = (&staged.place.cinder, staged.place.cx());
    let left = cinder.leftovers(&cx, &staged.place.owner).await.unwrap();
    for leftover in &left {
        cinder.remove_leftover(&cx, leftover).await.unwrap();
    }
    left.len()
}

async fn killed_backups(kind: &str, stages: &[Stage]) {
    let Some(stack) = OpenStack::wanted().await else { return };
    if !stack.has(kind) {
        return;
    }
    let stack = &stack;
    join_all(stages.iter().map(|stage| async move {
        let staged = Staged::new(stack, kind, &named("killed", *stage)).await;
        killed(&staged, *stage).await;
        let found = recovered(&staged).await;
        // Before the manifest is written, all that was temporary is gone.
        assert_eq!(found > 0, stage.2 != ".backup/sets/", "{stage:?}: {found} things were left");
        staged.place.nothing_left(&staged.settings.volume).await;
        staged.place.nothing_published().await;
        staged.swept().await;
        staged.place.remove(&[&staged.settings.volume]).await;
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_backup_leaves_nothing_that_is_not_found_again() {
    killed_backups("rbd1", &BACKUP).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_backup_through_a_temporary_volume_leaves_nothing_that_is_not_found_again() {
    killed_backups("nfs1", &THROUGH_A_VOLUME).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_backup_cleans_up_by_itself() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let nfs: &[Stage] = if stack.has("nfs1") { &THROUGH_A_VOLUME[..1] } else { &[] };
    // An answer that was not heard, and the middle: every other stage is between these.
    let rbd = [&BACKUP[0], &BACKUP[2]].map(|stage| ("rbd1", stage));
    let stages = rbd.into_iter().chain(nfs.iter().map(|stage| ("nfs1", stage)));
    join_all(stages.map(|(kind, stage)| {
        let stack = &stack;
        async move {
            let staged = Staged::new(stack, kind, &named("cancelled", *stage)).await;
            let error = cancelled(&staged, *stage).await.unwrap_err();
            assert_eq!(error.code().name, "job.cancelled", "{stage:?}: {error}");
            staged.place.nothing_left(&staged.settings.volume).await;
            staged.place.nothing_published().await;
            staged.swept().await;
            staged.place.remove(&[&staged.settings.volume]).await;
        }
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_or_cancelled_restore_leaves_no_volume_that_is_not_whole() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let stages = RESTORE.iter().map(|stage| (stage, true)).chain([(&RESTORE[2], false)]);
    join_all(stages.map(|(stage, kill)| {
        let stack = &stack;
        async move {
            let mut staged = Staged::new(stack, "rbd1", &named("unrestored", *stage)).await;
            let taken = staged.place.backup(&staged.settings.source(stack), &[]).await.unwrap();
            staged.settings.restore = Some(taken.id.to_string());
            if kill {
                killed(&staged, *stage).await;
                assert_eq!(recovered(&staged).await, 1, "{stage:?}: the new volume was not found");
            } else {
                let error = cancelled(&staged, *stage).await.unwrap_err();
                assert_eq!(error.code().name, "job.cancelled", "{stage:?}: {error}");
            }
            staged.place.nothing_left(&staged.settings.volume).await;
            staged.place.remove(&[&staged.settings.volume]).await;
        }
    }))
    .await;
}
