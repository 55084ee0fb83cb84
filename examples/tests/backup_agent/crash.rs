//! SIGKILL of the agent in each stage.

use serde_json::{Value, json};

use crate::agent::{Place, STAGES, backup, lives, restore, skipped};

fn interrupted(stage: &str) {
    let place = Place::new();
    place.hold(stage);
    let agent = place.start();
    let is_backup = stage.contains("backup");
    let path = if is_backup { "/backup/job" } else { "/restore/job" };
    match is_backup {
        true => agent.post(backup("job", &skipped())),
        false => agent.put(restore("job", &skipped(), "file")),
    }
    let script = place.held(stage);
    // What is still in the pipe dies with the agent; what could be seen does not.
    let printed = format!("{}_errorlog", stage.replace('-', "_"));
    crate::agent::until("its output was read", || agent.job(path)[&printed] == format!("err of {stage}\n"));
    agent.kill();
    assert!(lives(script), "{stage} ends by itself");
    place.let_go(stage);
    let before = place.ran().len();

    let agent = place.start();
    let job = agent.job(path);
    assert_eq!((&job["status"], &job["state"]), (&json!("FAILED"), &json!("finished")), "{stage}: {job}");
    assert!(job["error_message"].as_str().unwrap().contains("interrupted"), "{stage}: {job}");
    assert_eq!(job["failed_phase"], stage, "{job}");
    assert!(!lives(script), "{stage}: an orphan");
    // What the killed lock stage may have locked is unlocked, too; what had ended is not run again.
    let stages: &[&str] = if is_backup { &STAGES[..5] } else { &STAGES[5..] };
    let cleanup = stages.len() - 2;
    let reached = stages.iter().position(|name| *name == stage).unwrap();
    let again: Vec<_> = stages[reached.max(cleanup)..].to_vec();
    assert_eq!(place.ran()[before..], again, "{stage}");
    let log = |stage: &str| job[format!("{}_log", stage.replace('-', "_"))].clone();
    for name in &stages[..=reached] {
        assert!(log(name).as_str().unwrap().contains(&format!("out of {name}")), "{stage}: the log of {name} is lost: {job}");
    }
    // The id is free after a deletion, and the next job runs as if nothing had been.
    assert_eq!(agent.ask(if is_backup { "POST" } else { "PUT" }, path.trim_end_matches("/job"), body(is_backup)).status, 409);
    assert_eq!(agent.delete(path.trim_end_matches("/job"), "job"), 200);
    assert_eq!(agent.ask(if is_backup { "POST" } else { "PUT" }, path.trim_end_matches("/job"), body(is_backup)).status, 201);
    agent.succeeds(path);
    assert_eq!(std::fs::read_dir(place.path("state.redb.running")).unwrap().count(), 0);
}

fn body(is_backup: bool) -> Value {
    if is_backup { backup("job", &skipped()) } else { restore("job", &skipped(), "file") }
}

#[test]
fn a_backup_killed_in_each_stage_is_undone_at_the_next_start() {
    for stage in &STAGES[..5] {
        interrupted(stage);
    }
}

#[test]
fn a_restore_killed_in_each_stage_is_undone_at_the_next_start() {
    for stage in &STAGES[5..] {
        interrupted(stage);
    }
}

#[test]
fn a_lock_that_failed_is_not_unlocked_after_a_crash() {
    let place = Place::new();
    place.tell("pre-backup-lock", "exit 1");
    let agent = place.start();
    agent.post(backup("job", &skipped()));
    agent.fails("/backup/job");
    agent.kill();
    let agent = place.start();
    assert_eq!(place.ran(), ["pre-backup-lock"]);
    assert_eq!(agent.job("/backup/job")["failed_phase"], "pre-backup-lock");
}

#[test]
fn running_records_are_readable_by_the_agent_alone_and_gone_at_the_end() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    place.hold("backup");
    let agent = place.start();
    agent.post(backup("job", &skipped()));
    place.held("backup");
    let record = place.path("state.redb.running/backup-job/record");
    assert_eq!(std::fs::metadata(&record).unwrap().permissions().mode() & 0o777, 0o600);
    place.let_go("backup");
    agent.succeeds("/backup/job");
    crate::agent::until("the record is gone", || !record.exists());
    let state = std::fs::read(place.path("state.redb")).unwrap();
    for secret in ["the-password", "the-encryption-key", "the-secret"] {
        assert!(!state.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} is in the state");
    }
}
