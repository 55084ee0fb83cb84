//! Which stage runs after which, after each failure; what scripts are told; limits and logs.
#![cfg(feature = "script")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::time::Duration;

use backup_core::{Effect, ErrorKind, JobContext, RestoreTarget, Result, Source};
use backup_sources::script::{Main, Operation, ScriptConfig, ScriptSource, SecretsIn, Stage, StageOutcome, Watch, Work, run};
use support::scripts::{DATA, Scripts, entries, until};
use support::{MemoryReader, RecordingSink, context};

const BACKUP: [&str; 5] = ["pre-backup-lock", "pre-backup-check", "backup", "backup-cleanup", "post-backup-unlock"];
const RESTORE: [&str; 4] = ["pre-restore-lock", "restore", "restore-cleanup", "post-restore-unlock"];

#[tokio::test]
async fn all_stages_run_in_order_and_the_file_becomes_the_artifact_under_its_name() {
    let (scripts, sink) = (Scripts::new(), RecordingSink::default());
    scripts.put(Stage::PreBackupCheck, "echo enough space; echo and time >&2");
    let summary = scripts.capture(&context(), &sink).await.unwrap();
    assert_eq!(scripts.trace(), BACKUP);
    let (name, data) = sink.only();
    assert_eq!(data, DATA);
    assert!(name.ends_with("_localhost_app.dump") && name.len() == "2026_11_21_09_30_localhost_app.dump".len(), "{name}");
    assert_eq!(sink.opened()[0].1.size_hint, Some(DATA.len() as u64));
    assert_eq!(summary.log.as_deref(), Some("== pre-backup-check\nenough space\nand time\n"));
    let outcomes: Vec<_> = scripts.watch.stages().into_iter().map(|report| (report.stage.name(), report.outcome)).collect();
    assert_eq!(outcomes, BACKUP.map(|name| (name, StageOutcome::Exit(0))));
    assert_eq!(scripts.watch.current(), None);
    scripts.assert_clean();
}

#[tokio::test]
async fn a_restore_gives_the_script_the_file_only_after_the_last_check() {
    let scripts = Scripts::new();
    let target = RestoreTarget::default();
    let damaged = MemoryReader::of("a.dump", "half of it and more").damaged_after(7);
    let error = scripts.source().restore(&context(), &damaged, &target).await.unwrap_err();
    assert_eq!((error.code().name, error.effect()), ("artifact.corrupt", Effect::None));
    assert_eq!(scripts.trace(), ["pre-restore-lock", "restore-cleanup", "post-restore-unlock"]);
    std::fs::remove_file(scripts.path("trace")).unwrap();

    let report = scripts.source().restore(&context(), &MemoryReader::of("a.dump", DATA), &target).await.unwrap();
    assert_eq!(scripts.trace(), RESTORE);
    assert_eq!(report.bytes, DATA.len() as u64);
    assert_eq!(std::fs::read(scripts.path("restored")).unwrap(), DATA);
    scripts.assert_clean();
}

#[tokio::test]
async fn a_failed_restore_says_whether_it_may_have_happened() {
    for (stage, effect) in [
        (Stage::PreRestoreLock, Effect::None),
        (Stage::Restore, Effect::Unknown),
        (Stage::RestoreCleanup, Effect::Applied),
        (Stage::PostRestoreUnlock, Effect::Applied),
    ] {
        let scripts = Scripts::new();
        scripts.put(stage, "exit 9");
        let reader = MemoryReader::of("a.dump", DATA);
        let error = scripts.source().restore(&context(), &reader, &RestoreTarget::default()).await.unwrap_err();
        assert_eq!(error.effect(), effect, "{stage}");
        let expected = if stage == Stage::PreRestoreLock { &RESTORE[..1] } else { &RESTORE };
        assert_eq!(scripts.trace(), expected, "{stage}");
    }
}

#[tokio::test]
async fn after_each_failure_the_right_stages_run_and_nothing_is_captured() {
    let all = BACKUP;
    let undone = |from: usize| -> Vec<&str> { [&all[..from], &all[3..]].concat() };
    for (stage, ran) in [
        (Stage::PreBackupLock, all[..1].to_vec()),
        (Stage::PreBackupCheck, undone(2)),
        (Stage::Backup, undone(3)),
        (Stage::BackupCleanup, all.to_vec()),
        (Stage::PostBackupUnlock, all.to_vec()),
    ] {
        let (scripts, sink) = (Scripts::new(), RecordingSink::default());
        scripts.put(stage, "echo why >&2; exit 7");
        let error = scripts.capture(&context(), &sink).await.unwrap_err();
        assert_eq!(scripts.trace(), ran, "{stage}");
        let text = error.to_string();
        assert!(text.contains(stage.name()) && text.contains("exit code 7") && text.contains("why"), "{text}");
        assert_eq!(scripts.watch.outcome(stage), Some(StageOutcome::Exit(7)));
        scripts.assert_clean();
    }
}

#[tokio::test]
async fn a_lock_that_was_killed_is_unlocked_and_one_that_failed_is_not() {
    for (body, unlocked) in [("kill -9 $$", true), ("exit 1", false), ("kill -9 $$ & sleep 1000", true)] {
        let scripts = Scripts::new();
        scripts.put(Stage::PreBackupLock, body);
        scripts.capture(&context(), &RecordingSink::default()).await.unwrap_err();
        assert_eq!(scripts.trace().contains(&"post-backup-unlock".to_owned()), unlocked, "{body}");
        assert!(!scripts.trace().contains(&"backup".to_owned()), "{body}");
    }
    let scripts = Scripts::new();
    scripts.put(Stage::PreBackupLock, "sleep 1000");
    let mut config = scripts.config();
    config.time_limit = Some(Duration::from_millis(500));
    let error = scripts.source_of(config).capture(&context(), &RecordingSink::default()).await.unwrap_err();
    assert_eq!(error.code().name, "program.time_limit");
    assert_eq!(scripts.trace(), ["pre-backup-lock", "backup-cleanup", "post-backup-unlock"]);
    assert_eq!(scripts.watch.outcome(Stage::PreBackupLock), Some(StageOutcome::TimedOut));
    scripts.assert_clean();
}

#[tokio::test]
async fn a_missing_script_fails_its_stage_in_its_turn() {
    for (stage, ran) in
        [(Stage::PreBackupLock, &[][..]), (Stage::PreBackupCheck, &["pre-backup-lock", "backup-cleanup", "post-backup-unlock"])]
    {
        let scripts = Scripts::new();
        std::fs::remove_file(scripts.path("scripts").join(stage.name())).unwrap();
        let error = scripts.capture(&context(), &RecordingSink::default()).await.unwrap_err();
        assert_eq!(error.code().name, "script.missing");
        assert!(error.to_string().contains(&format!("no script was found for the {stage} stage")), "{error}");
        assert_eq!(scripts.trace(), ran);
        assert_eq!(scripts.watch.outcome(stage), Some(StageOutcome::NotRun));
    }
    let scripts = Scripts::new();
    let directory = scripts.path("scripts");
    std::fs::rename(directory.join("backup"), directory.join("backup.sh")).unwrap();
    scripts.capture(&context(), &RecordingSink::default()).await.unwrap();
}

#[tokio::test]
async fn failures_of_cleanup_and_unlock_are_added_and_not_put_in_place_of_the_first() {
    let scripts = Scripts::new();
    scripts.put(Stage::Backup, "exit 3");
    scripts.put(Stage::BackupCleanup, "exit 4");
    scripts.put(Stage::PostBackupUnlock, "exit 5");
    let text = scripts.capture(&context(), &RecordingSink::default()).await.unwrap_err().to_string();
    for part in [
        "stage backup: \"bash\" ended with exit code 3",
        "backup-cleanup failed as well",
        "exit code 4",
        "post-backup-unlock failed as well",
        "exit code 5",
    ] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
}

#[tokio::test]
async fn a_cancel_in_any_stage_ends_its_group_and_still_cleans_up_and_unlocks() {
    for (at, stage) in
        BACKUP.iter().zip([Stage::PreBackupLock, Stage::PreBackupCheck, Stage::Backup]).map(|(_, stage)| stage).enumerate()
    {
        let scripts = Scripts::new();
        // The stage and its child ignore being asked; the cleanup takes a while and is not hurried.
        scripts.put(stage, "trap '' TERM; (trap '' TERM; sleep 1000) & touch \"$ROOT/reached\"; sleep 1000");
        scripts.put(Stage::BackupCleanup, "sleep 0.3; touch \"$ROOT/cleaned\"");
        let cx = context();
        let job = tokio::spawn({
            let (source, cx) = (scripts.source(), cx.clone());
            async move { source.capture(&cx, &RecordingSink::default()).await }
        });
        until("the stage", || scripts.path("reached").exists()).await;
        cx.cancel_token().cancel();
        let error = job.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
        assert_eq!(scripts.trace(), [&BACKUP[..=at], &BACKUP[3..]].concat());
        assert!(scripts.path("cleaned").exists(), "the cleanup was cut off");
        assert_eq!(scripts.watch.outcome(stage), Some(StageOutcome::Cancelled));
        scripts.assert_clean();
    }
}

#[tokio::test]
async fn after_a_cancel_cleanup_and_unlock_have_their_own_limit() {
    let scripts = Scripts::new();
    scripts.put(Stage::Backup, "touch \"$ROOT/reached\"; sleep 1000");
    scripts.put(Stage::BackupCleanup, "trap '' TERM; sleep 1000");
    let mut config = scripts.config();
    config.cleanup_limit = Duration::from_millis(500);
    let cx = context();
    let job = tokio::spawn({
        let (source, cx) = (scripts.source_of(config), cx.clone());
        async move { source.capture(&cx, &RecordingSink::default()).await }
    });
    until("the stage", || scripts.path("reached").exists()).await;
    cx.cancel_token().cancel();
    let error = job.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("after the end of the job"), "{error}");
    assert_eq!(scripts.trace(), ["pre-backup-lock", "pre-backup-check", "backup", "backup-cleanup", "post-backup-unlock"]);
    assert_eq!(scripts.watch.outcome(Stage::PostBackupUnlock), Some(StageOutcome::Exit(0)));
    scripts.assert_clean();
}

#[tokio::test]
async fn what_a_stage_leaves_in_the_background_lives_as_long_as_the_job() {
    let scripts = Scripts::new();
    // A lock that is held by a process.
    scripts.put(Stage::PreBackupLock, "sleep 1000 >/dev/null 2>&1 & echo $! > \"$ROOT/holder\"");
    scripts.put(Stage::BackupCleanup, "kill -0 $(cat \"$ROOT/holder\") || exit 1");
    scripts.capture(&context(), &RecordingSink::default()).await.unwrap();
    scripts.assert_clean();
}

#[tokio::test]
async fn a_script_that_closes_its_outputs_is_waited_for_all_the_same() {
    let scripts = Scripts::new();
    scripts.put(Stage::PreBackupCheck, "echo last; exec >&- 2>&-; sleep 0.3; touch \"$ROOT/lived\"; exit 6");
    let error = scripts.capture(&context(), &RecordingSink::default()).await.unwrap_err();
    assert!(scripts.path("lived").exists() && error.to_string().contains("exit code 6"), "{error}");
}

#[tokio::test]
async fn arguments_and_environment_are_those_of_the_contract_and_no_more() {
    let scripts = Scripts::new();
    let show =
        r#"env | cut -d= -f1 | LC_ALL=C sort > "$ROOT/env.$(basename "$0")"; printf '<%s>' "$@" > "$ROOT/args.$(basename "$0")""#;
    for stage in BACKUP.iter().chain(&RESTORE) {
        let path = scripts.path("scripts").join(stage);
        let body = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, format!("{show}\n{body}")).unwrap();
    }
    let mut config = scripts.config();
    config.compression = true;
    config.encryption_key = "the-key".into();
    config.secrets = SecretsIn::Argv;
    let (cx, sink) = (context(), RecordingSink::default());
    let id = cx.job().to_string();
    scripts.source_of(config.clone()).capture(&cx, &sink).await.unwrap();
    let read = |name: &str| std::fs::read_to_string(scripts.path(name)).unwrap();
    let artifact = sink.only().0;
    let name = artifact.strip_suffix(".dump").unwrap();
    assert_eq!(read("args.pre-backup-lock"), "<app>");
    assert_eq!(read("args.pre-backup-check"), "<app>");
    assert_eq!(read("args.backup"), format!("<localhost><someone><pass-word><app><{name}><{id}><true><the-key>"));
    assert_eq!(read("args.backup-cleanup"), format!("<app><{id}>"));
    assert_eq!(read("args.post-backup-unlock"), "<app>");
    for stage in BACKUP {
        let env = read(&format!("env.{stage}"));
        // The last four are bash's own.
        let ours = env.lines().filter(|name| !["HOME", "LANG", "PATH", "TMPDIR", "PWD", "OLDPWD", "SHLVL", "_"].contains(name));
        assert_eq!(ours.collect::<Vec<_>>(), ["JOBS", "ROOT"], "{stage}");
    }

    let cx = context();
    let id = cx.job().to_string();
    config.secrets = SecretsIn::Environment;
    config.decryption_key = Some("private-key".into());
    scripts.source_of(config).restore(&cx, &sink.reader(), &RestoreTarget::default()).await.unwrap();
    assert_eq!(read("args.pre-restore-lock"), format!("<{id}>"));
    assert_eq!(read("args.restore"), format!("<localhost><someone><><app><{artifact}><{id}><true><>"));
    assert_eq!(read("args.restore-cleanup"), format!("<{id}>"));
    // `printf` without arguments prints its format once.
    assert_eq!(read("args.post-restore-unlock"), "<>");
    assert!(read("env.restore").contains("BACKUP_PASSWORD\n"));
    assert!(!read("env.restore-cleanup").contains("BACKUP_PASSWORD"));
}

#[tokio::test]
async fn logs_can_be_read_while_the_script_runs_and_never_hold_the_password() {
    let scripts = Scripts::new();
    scripts.put(Stage::Backup, "echo first; echo \"password: $3\" >&2; while [ ! -e \"$ROOT/go\" ]; do sleep 0.01; done; exit 1");
    let job = tokio::spawn({
        let source = scripts.source();
        async move { source.capture(&context(), &RecordingSink::default()).await }
    });
    let backup = || scripts.watch.stages().into_iter().find(|report| report.stage == Stage::Backup);
    until("the logs", || backup().is_some_and(|report| report.stdout.is_some() && report.stderr.is_some())).await;
    let report = backup().unwrap();
    assert_eq!((report.outcome, scripts.watch.current()), (StageOutcome::Running, Some(Stage::Backup)));
    assert_eq!((report.stdout.as_deref(), report.stderr.as_deref()), (Some("first\n"), Some("password: ***\n")));
    assert!(report.ended_at.is_none());
    // What is shown is on disk already, and holds no password there either.
    let record = scripts.path("state").join(&entries(&scripts.path("state"))[0]);
    for name in entries(&record) {
        let text = std::fs::read_to_string(record.join(&name)).unwrap();
        assert!(!text.contains("pass-word"), "{name} holds the password");
    }
    std::fs::write(scripts.path("go"), "").unwrap();
    let error = job.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("password: ***"), "{error}");
}

struct Script;

#[backup_core::async_trait]
impl Work for Script {
    async fn work(&mut self, cx: &JobContext, main: &mut Main<'_, '_>) -> Result<()> {
        main.script(cx).await
    }
}

#[tokio::test]
async fn a_job_that_cannot_be_recorded_does_not_begin() {
    let scripts = Scripts::new();
    std::fs::write(scripts.path("file"), "").unwrap();
    let mut plan = scripts.plan("job-1", Operation::Backup);
    std::fs::create_dir(scripts.path("jobs")).unwrap();
    std::fs::create_dir(scripts.path("jobs").join("job-1")).unwrap();
    plan.state_directory = Some(scripts.path("file").join("state"));
    let ended = run(&plan, &context(), &Watch::new(), &mut Script).await;
    assert_eq!(ended.finish().unwrap_err().code().name, "script.record");
    assert_eq!(scripts.trace(), Vec::<String>::new());

    // Its name is taken until the record is removed.
    plan.state_directory = Some(scripts.path("state"));
    let first = run(&plan, &context(), &Watch::new(), &mut Script).await;
    assert!(first.failures().is_empty(), "{:?}", first.failures());
    let second = run(&plan, &context(), &Watch::new(), &mut Script).await;
    assert_eq!(second.failures()[0].error.code().name, "script.running");
    drop(second);
    first.finish().unwrap();
    run(&plan, &context(), &Watch::new(), &mut Script).await.finish().unwrap();
}

#[tokio::test]
async fn an_argument_that_no_program_can_be_given_is_refused_before_anything_runs() {
    let scripts = Scripts::new();
    let mut config = scripts.config();
    config.database = "app\0; rm".into();
    let error = scripts.source_of(config).capture(&context(), &RecordingSink::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(scripts.trace(), Vec::<String>::new());
    scripts.assert_clean();
}

#[tokio::test]
async fn hooks_run_around_a_command_and_around_a_restore_command() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().to_str().unwrap().to_owned();
    let say = |what: &str| ["sh", "-c", "echo $1 >> $0/trace", &root, what].map(str::to_owned).to_vec();
    let watch = Watch::new();
    let mut config = ScriptConfig::new(["sh", "-c", "echo command >> $0/trace; cat $0/data", &root]);
    config.restore_command = Some(vec!["sh".into(), "-c".into(), "cat > $0/copy; echo command >> $0/trace".into(), root.clone()]);
    config.state_directory = Some(directory.path().join("state"));
    for stage in BACKUP.iter().chain(&RESTORE).filter(|name| !["backup", "restore"].contains(name)) {
        config.hooks.insert(serde_json::from_value((*stage).into()).unwrap(), say(stage));
    }
    std::fs::write(directory.path().join("data"), DATA).unwrap();
    let source = ScriptSource::new(config.clone()).unwrap().watched(watch.clone());
    let sink = RecordingSink::default();
    source.capture(&context(), &sink).await.unwrap();
    assert_eq!(sink.only(), ("output".to_owned(), DATA.to_vec()));
    let trace = || {
        let text = std::fs::read_to_string(directory.path().join("trace")).unwrap_or_default();
        std::fs::write(directory.path().join("trace"), "").unwrap();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(trace(), ["pre-backup-lock", "pre-backup-check", "command", "backup-cleanup", "post-backup-unlock"]);
    source.restore(&context(), &sink.reader(), &RestoreTarget::default()).await.unwrap();
    assert_eq!(std::fs::read(directory.path().join("copy")).unwrap(), DATA);
    assert_eq!(trace(), ["pre-restore-lock", "command", "restore-cleanup", "post-restore-unlock"]);

    // A store that fails in the middle: the command is stopped, and the hooks undo what they did.
    config.command = vec!["sh".into(), "-c".into(), "cat /dev/zero".into()];
    let source = ScriptSource::new(config).unwrap().watched(watch.clone());
    let error = source.capture(&context(), &RecordingSink::failing_at(1 << 20)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace);
    assert_eq!(trace(), ["pre-backup-lock", "pre-backup-check", "backup-cleanup", "post-backup-unlock"]);
    assert_eq!(watch.outcome(Stage::Backup), Some(StageOutcome::Failed));
    assert_eq!(entries(&directory.path().join("state")), Vec::<String>::new());
}
