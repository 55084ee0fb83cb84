//! A process that runs a job is killed in each stage; what the next start finds and does.
#![cfg(all(feature = "script", target_os = "linux"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::ops::Range;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use backup_core::source::ArtifactStream;
use backup_core::{ArtifactName, BackupReader, Bytes, JobContext, Manifest, RestoreTarget, Result, Source};
use backup_sources::script::{
    Main, Operation, ScriptConfig, ScriptSource, Stage, StageOutcome, Watch, Work, interrupted, recover, run,
};
use futures::StreamExt;
use support::scripts::{DATA, Scripts, entries, until};
use support::{MemoryReader, RecordingSink, context};

/// Where the helper process works, and what it does there.
const HELPER: &str = "BACKUP_TEST_HELPER";
const TASK: &str = "BACKUP_TEST_TASK";

/// What a stage does the first time: it says so, leaves a child, and stays.
const STAY: &str = r#"if [ ! -e "$ROOT/again" ]; then
    echo "so far"; echo "and errors" >&2
    (trap '' TERM; sleep 1000) &
    touch "$ROOT/reached"
    sleep 1000
fi"#;

/// Runs in a process of its own, which is killed in the middle.
#[test]
fn helper() {
    let Some(root) = std::env::var_os(HELPER) else { return };
    let task = std::env::var(TASK).unwrap();
    let scripts = Scripts::at(Path::new(&root));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        match task.as_str() {
            "backup" => drop(scripts.capture(&context(), &RecordingSink::default()).await),
            "store" => {
                let sink = RecordingSink::gated_at(1);
                let cx = context();
                let reached = async {
                    until("the upload", || !sink.opened().is_empty()).await;
                    std::fs::write(scripts.path("reached"), "").unwrap();
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    _ = scripts.capture(&cx, &sink) => {}
                    () = reached => {}
                }
            }
            "restore" => {
                let reader = MemoryReader::of("a.dump", DATA);
                drop(scripts.source().restore(&context(), &reader, &RestoreTarget::default()).await);
            }
            "recover" => drop(scripts.source().recover(&context()).await),
            "unfinished" => {
                let plan = scripts.plan("job-1", Operation::Backup);
                let ended = run(&plan, &context(), &Watch::new(), &mut Nothing).await;
                std::fs::write(scripts.path("reached"), "").unwrap();
                std::future::pending::<()>().await;
                drop(ended);
            }
            "feed" => {
                let root = scripts.directory().to_str().unwrap();
                // Half of it comes, then nothing more.
                let stuck = futures::stream::iter([Ok(Bytes::from_static(DATA))]).chain(futures::stream::pending()).boxed();
                let reader = StuckReader(MemoryReader::of("output", DATA), Mutex::new(Some(stuck)));
                let mut config = ScriptConfig::new(["true"]);
                config.restore_command = Some(["sh", "-c", FEED, root].map(str::to_owned).to_vec());
                drop(ScriptSource::new(config).unwrap().restore(&context(), &reader, &RestoreTarget::default()).await);
            }
            "hooks" => drop(hooked(&scripts).capture(&context(), &RecordingSink::default()).await),
            other => unreachable!("{other}"),
        }
    });
}

/// What it is fed is good only when its input ends.
const FEED: &str = r#"touch "$0/reached"; cat > "$0/part"; mv "$0/part" "$0/whole""#;

/// A backup whose stream gets stuck.
struct StuckReader(MemoryReader, Mutex<Option<ArtifactStream>>);

#[backup_core::async_trait]
impl BackupReader for StuckReader {
    fn manifest(&self) -> &Manifest {
        self.0.manifest()
    }

    fn artifacts(&self) -> Vec<ArtifactName> {
        self.0.artifacts()
    }

    async fn open(&self, _cx: &JobContext, _name: &ArtifactName) -> Result<ArtifactStream> {
        Ok(self.1.lock().unwrap().take().unwrap())
    }

    async fn open_stored(&self, cx: &JobContext, name: &ArtifactName, _range: Option<Range<u64>>) -> Result<ArtifactStream> {
        self.open(cx, name).await
    }
}

#[tokio::test]
async fn a_fed_command_never_takes_the_death_of_its_feeder_for_the_end() {
    let scripts = Scripts::new();
    killed(&scripts, "feed").await;
    // Without any recovery: there is no record of a job without hooks.
    until("the death of the command", || scripts.processes().is_empty()).await;
    assert!(!scripts.path("whole").exists(), "the command took the cut for the end");
}

struct Nothing;

#[backup_core::async_trait]
impl Work for Nothing {
    async fn work(&mut self, cx: &JobContext, main: &mut Main<'_, '_>) -> Result<()> {
        main.script(cx).await
    }
}

fn hooked(scripts: &Scripts) -> ScriptSource {
    let root = scripts.directory().to_str().unwrap();
    let say = |what: &str| ["sh", "-c", "echo $1 >> $0/trace", root, what].map(str::to_owned).to_vec();
    let mut config = ScriptConfig::new(["sh", "-c", "echo data; touch $0/reached; exec sleep 1000", root]);
    config.state_directory = Some(scripts.path("state"));
    for stage in [Stage::PreBackupLock, Stage::BackupCleanup, Stage::PostBackupUnlock] {
        config.hooks.insert(stage, say(stage.name()));
    }
    ScriptSource::new(config).unwrap()
}

fn start(scripts: &Scripts, task: &str) -> Child {
    let _ = std::fs::remove_file(scripts.path("reached"));
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["helper", "--exact", "--nocapture"]).env(HELPER, scripts.directory()).env(TASK, task);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Starts the task in a process of its own, waits until it says where it is, and kills it.
async fn killed(scripts: &Scripts, task: &str) {
    let mut helper = start(scripts, task);
    until(&format!("the task {task}"), || scripts.path("reached").exists()).await;
    if ["backup", "restore"].contains(&task) {
        until("the logs", || logged(scripts)).await;
    }
    helper.kill().unwrap();
    helper.wait().unwrap();
    std::fs::write(scripts.path("again"), "").unwrap();
}

/// Whether what [`STAY`] prints was read: only that can be there after the kill.
fn logged(scripts: &Scripts) -> bool {
    let state = scripts.path("state");
    let logs = entries(&state)
        .into_iter()
        .flat_map(|job| entries(&state.join(&job)).into_iter().map(move |name| format!("{job}/{name}")));
    let texts: Vec<String> = logs.map(|log| std::fs::read_to_string(state.join(log)).unwrap_or_default()).collect();
    ["so far\n", "and errors\n"].iter().all(|expected| texts.iter().any(|text| text == expected))
}

#[tokio::test]
async fn after_a_kill_in_any_stage_the_lock_is_given_back_and_nothing_runs_on() {
    for (at, stage) in Stage::of(Operation::Backup).iter().enumerate() {
        let scripts = Scripts::new();
        scripts.put(*stage, STAY);
        killed(&scripts, "backup").await;
        assert!(!scripts.processes().is_empty(), "the orphans died by themselves: the test shows nothing");
        let recovered = scripts.source().recover(&context()).await.unwrap();
        let [job] = recovered.as_slice() else { panic!("{recovered:?}") };
        assert!(job.failures.is_empty(), "{:?}", job.failures);
        // What had ended is not run again; what was interrupted is.
        let all: Vec<_> = Stage::of(Operation::Backup).iter().map(|stage| stage.name()).collect();
        let expected = [&all[..=at], &all[at.max(3)..]].concat();
        assert_eq!(scripts.trace(), expected, "{stage}");
        let report = job.stages.iter().find(|report| report.stage == *stage).unwrap();
        if stage.name().contains("backup-") && at >= 3 || *stage == Stage::PostBackupUnlock {
            assert_eq!(report.outcome, StageOutcome::Exit(0), "{stage}");
        } else {
            assert_eq!(report.outcome, StageOutcome::Interrupted, "{stage}");
            assert_eq!((report.stdout.as_deref(), report.stderr.as_deref()), (Some("so far\n"), Some("and errors\n")), "{stage}");
        }
        scripts.assert_clean();
        assert!(scripts.source().recover(&context()).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn after_a_kill_in_a_restore_and_while_the_file_is_stored_the_lock_is_given_back() {
    let scripts = Scripts::new();
    killed(&scripts, "store").await;
    let recovered = scripts.source().recover(&context()).await.unwrap();
    assert_eq!(recovered[0].stages[2].outcome, StageOutcome::Exit(0));
    assert_eq!(scripts.trace()[3..], ["backup-cleanup", "post-backup-unlock"]);
    scripts.assert_clean();

    let scripts = Scripts::new();
    scripts.put(Stage::Restore, STAY);
    killed(&scripts, "restore").await;
    let recovered = scripts.source().recover(&context()).await.unwrap();
    assert_eq!(recovered[0].operation, Operation::Restore);
    assert_eq!(scripts.trace(), ["pre-restore-lock", "restore", "restore-cleanup", "post-restore-unlock"]);
    scripts.assert_clean();
}

#[tokio::test]
async fn after_a_kill_a_lock_that_had_failed_is_not_unlocked() {
    for (body, unlocked) in [("exit 1", false), ("exit 0", true)] {
        let scripts = Scripts::new();
        scripts.put(Stage::PreBackupLock, body);
        if unlocked {
            scripts.put(Stage::BackupCleanup, STAY);
            killed(&scripts, "backup").await;
        } else {
            killed(&scripts, "unfinished").await;
        }
        let recovered = recover(&context(), &scripts.path("state")).await.unwrap();
        assert_eq!(recovered.len(), 1);
        assert_eq!(scripts.trace().contains(&"post-backup-unlock".to_owned()), unlocked, "{body}");
        assert_eq!(entries(&scripts.path("state")), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_recovery_that_is_killed_is_made_up_for_by_the_next() {
    let scripts = Scripts::new();
    scripts.put(Stage::Backup, STAY);
    scripts
        .put(Stage::BackupCleanup, "if [ ! -e \"$ROOT/third\" ]; then touch \"$ROOT/reached\"; (trap '' TERM; sleep 1000); fi");
    killed(&scripts, "backup").await;
    killed(&scripts, "recover").await;
    std::fs::write(scripts.path("third"), "").unwrap();
    let recovered = scripts.source().recover(&context()).await.unwrap();
    assert!(recovered[0].failures.is_empty());
    assert_eq!(scripts.trace()[3..], ["backup-cleanup", "backup-cleanup", "post-backup-unlock"]);
    scripts.assert_clean();
}

#[tokio::test]
async fn what_fails_in_a_recovery_is_told_and_the_unlock_runs_all_the_same() {
    let scripts = Scripts::new();
    scripts.put(Stage::Backup, STAY);
    scripts.put(Stage::BackupCleanup, "echo why >&2; exit 3");
    killed(&scripts, "backup").await;
    let recovered = scripts.source().recover(&context()).await.unwrap();
    assert_eq!(recovered[0].failures[0].stage, Stage::BackupCleanup);
    assert!(recovered[0].failures[0].error.to_string().contains("why"));
    assert_eq!(scripts.trace().last().unwrap(), "post-backup-unlock");
    scripts.assert_clean();
}

#[tokio::test]
async fn a_job_whose_process_lives_is_left_alone() {
    let scripts = Scripts::new();
    scripts.put(Stage::Backup, STAY);
    let mut helper = start(&scripts, "backup");
    until("the stage", || scripts.path("reached").exists()).await;
    assert!(interrupted(&scripts.path("state")).unwrap().is_empty());
    assert_eq!(scripts.source().recover(&context()).await.unwrap().len(), 0);
    assert_eq!(scripts.trace().len(), 3);
    helper.kill().unwrap();
    helper.wait().unwrap();
    let mut jobs = interrupted(&scripts.path("state")).unwrap();
    assert_eq!(jobs.len(), 1);
    // Found by one, it is nobody else's.
    assert!(interrupted(&scripts.path("state")).unwrap().is_empty());
    std::fs::write(scripts.path("again"), "").unwrap();
    assert!(jobs[0].undo(&context()).await.is_empty());
    jobs.pop().unwrap().forget().unwrap();
    assert_eq!(entries(&scripts.path("state")), Vec::<String>::new());
}

#[tokio::test]
async fn hooks_around_a_command_are_made_up_for_as_well() {
    let scripts = Scripts::new();
    killed(&scripts, "hooks").await;
    let recovered = hooked(&scripts).recover(&context()).await.unwrap();
    assert_eq!(recovered.len(), 1);
    assert_eq!(scripts.trace(), ["pre-backup-lock", "backup-cleanup", "post-backup-unlock"]);
    scripts.assert_clean();
}

#[tokio::test]
async fn the_record_is_for_its_owner_alone_and_holds_neither_password_nor_key() {
    use std::os::unix::fs::PermissionsExt;
    let scripts = Scripts::new();
    scripts.put(Stage::Backup, STAY);
    let mut helper = start(&scripts, "backup");
    until("the stage", || scripts.path("reached").exists()).await;
    let job = scripts.path("state").join(&entries(&scripts.path("state"))[0]);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&job), 0o700);
    for name in entries(&job) {
        assert_eq!(mode(&job.join(&name)), 0o600, "{name}");
        assert!(!std::fs::read_to_string(job.join(&name)).unwrap().contains("pass-word"), "{name}");
    }
    helper.kill().unwrap();
    helper.wait().unwrap();
    std::fs::write(scripts.path("again"), "").unwrap();
    tokio::time::timeout(Duration::from_secs(60), scripts.source().recover(&context())).await.unwrap().unwrap();
}
