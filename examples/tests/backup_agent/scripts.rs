//! What scripts are told, and what happens to those that misbehave.

use serde_json::json;

use crate::agent::{Place, backup, lives, nowhere, restore, skipped, until};

#[test]
fn scripts_get_the_arguments_of_the_contract_in_order() {
    let place = Place::new();
    let agent = place.start();
    let mut body = backup("b1", &skipped());
    body["compression"] = json!(true);
    agent.post(body);
    let job = agent.succeeds("/backup/b1");
    agent.put(restore("r1", &skipped(), "some.dump"));
    agent.succeeds("/restore/r1");
    let name = job["filename"].as_str().unwrap();
    let (date, rest) = name.split_at("2026_11_21_09_30".len());
    assert!(date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_') && rest == "_db.example_app", "{name}");
    assert_eq!(
        place.trace(),
        [
            "pre-backup-lock [app]".to_owned(),
            "pre-backup-check [app]".to_owned(),
            format!("backup [db.example] [user] [the-password] [app] [{name}] [b1] [true] [the-encryption-key]"),
            "backup-cleanup [app] [b1]".to_owned(),
            "post-backup-unlock [app]".to_owned(),
            "pre-restore-lock [r1]".to_owned(),
            "restore [db.example] [user] [the-password] [app] [some.dump] [r1] [false] [the-encryption-key]".to_owned(),
            "restore-cleanup [r1]".to_owned(),
            "post-restore-unlock".to_owned(),
        ]
    );
    assert_eq!(job["backup_log"], "out of backup\n");
    assert_eq!(job["post_backup_unlock_errorlog"], "err of post-backup-unlock\n");
    // Neither the agent's password nor what the client sent in confidence.
    let said = agent.said();
    for secret in ["agent-password", "the-password", "the-encryption-key", "the-secret", "the-key"] {
        assert!(!said.contains(secret), "{secret} is in the log: {said}");
    }
}

#[test]
fn a_script_sees_its_parameters_and_the_destination_and_nothing_of_the_agent() {
    let place = Place::new().variable("script_secrets", "env");
    place.tell("backup", "env -0 >\"$here/environment\"");
    place.tell("pre-backup-check", "env -0 >\"$here/environment-check\"");
    let agent = place.start();
    let mut body = backup("b1", &skipped());
    body["backup"]["parameters"] = json!([{ "retries": 2 }, { "text": "two\nlines" }, { "exact": true }, { "go": "gone" }]);
    let body = body.to_string().replace("\"retries\":2", "\"retries\":1000000,\"float\":2.50");
    agent.post(body);
    agent.succeeds("/backup/b1");
    let environment = |file: &str| {
        let text = std::fs::read_to_string(place.path(file)).unwrap();
        let ours = ["PATH", "HOME", "LANG", "TMPDIR", "PWD", "SHLVL", "_", "OLDPWD"];
        let mut all: Vec<_> = text.split('\0').filter(|line| !line.is_empty()).map(str::to_owned).collect();
        all.retain(|line| !ours.contains(&line.split('=').next().unwrap()));
        all.sort();
        all
    };
    let common = [
        "S3_AUTHKEY=the-key",
        "S3_AUTHSECRET=the-secret",
        "S3_BUCKET=bucket",
        "S3_ENDPOINT=https://s3.example",
        "S3_FILENAMEPREFIX=",
        "S3_REGION=",
        "S3_SKIPSSL=false",
        "S3_USESSL=true",
        "exact=true",
        "float=2.50",
        "go=gone",
        "retries=1000000",
        "text=two\nlines",
    ];
    assert_eq!(environment("environment-check"), common);
    assert_eq!(
        environment("environment"),
        [&["BACKUP_ENCRYPTION_KEY=the-encryption-key", "BACKUP_PASSWORD=the-password"][..], &common].concat()
    );
    let told = place.trace().into_iter().find(|line| line.starts_with("backup ")).unwrap();
    assert!(!told.contains("the-password") && !told.contains("the-encryption-key"), "{told}");
}

#[test]
fn a_failure_unlocks_and_a_lock_that_failed_is_not_unlocked() {
    for (stage, code, ran, message) in [
        ("pre-backup-lock", 3, "pre-backup-lock", "Backup failed due to 'exit status 3'"),
        (
            "pre-backup-check",
            4,
            "pre-backup-lock pre-backup-check backup-cleanup post-backup-unlock",
            "Backup failed due to 'exit status 4'",
        ),
        (
            "backup",
            5,
            "pre-backup-lock pre-backup-check backup backup-cleanup post-backup-unlock",
            "Backup failed due to 'Executing the shell script failed due to 'exit status 5''",
        ),
        (
            "post-backup-unlock",
            6,
            "pre-backup-lock pre-backup-check backup backup-cleanup post-backup-unlock",
            "Backup failed due to 'exit status 6'",
        ),
    ] {
        let place = Place::new();
        place.tell(stage, &format!("exit {code}"));
        let agent = place.start();
        agent.post(backup("b1", &skipped()));
        assert_eq!(agent.fails("/backup/b1"), message);
        let job = agent.job("/backup/b1");
        assert_eq!((&job["failed_phase"], &job["state"]), (&json!(stage), &json!("finished")));
        assert_eq!(place.ran().join(" "), ran);
    }
}

#[test]
fn a_missing_script_is_named() {
    let place = Place::new();
    std::fs::remove_file(place.path("scripts/backup-cleanup")).unwrap();
    std::fs::rename(place.path("scripts/pre-backup-check"), place.path("scripts/pre-backup-check.sh")).unwrap();
    let agent = place.start();
    agent.post(backup("b1", &skipped()));
    assert_eq!(agent.fails("/backup/b1"), "Backup failed due to 'No script found for the backup-cleanup stage.'");
    assert_eq!(place.ran().join(" "), "pre-backup-lock pre-backup-check.sh backup post-backup-unlock");
}

#[test]
fn whatever_is_not_one_plain_file_fails_and_nothing_is_uploaded() {
    let place = Place::new();
    let agent = place.start();
    for (index, (what, why)) in [
        ("", "is empty"),
        ("touch $d/a $d/b", "2 things"),
        ("mkdir $d/sub; touch $d/sub/x", "a directory"),
        ("ln -s /etc/shadow $d/file", "symbolic link"),
        ("touch $d/.hidden", "hidden"),
        ("mkfifo $d/pipe", "a pipe"),
        ("rm -r $d", "removed"),
        ("rmdir $d; ln -s /etc $d", "no directory"),
    ]
    .into_iter()
    .enumerate()
    {
        place.tell("backup", &format!("d=\"$here/backup/$6\"; {what}"));
        let id = format!("b{index}");
        agent.post(backup(&id, &nowhere()));
        let message = agent.fails(&format!("/backup/{id}"));
        // Nobody listens where it would go: an upload would have failed otherwise.
        assert!(message.contains(why) && !message.contains("Uploading"), "{what}: {message}");
    }
}

#[test]
fn a_script_that_will_not_end_is_killed_with_its_children_and_the_database_unlocked() {
    let place = Place::new().variable("script_timeout", "500ms");
    place.tell("backup", "trap '' TERM; (trap '' TERM; echo $BASHPID >\"$here/child.new\"; mv \"$here/child.new\" \"$here/child\"; while :; do sleep 1; done) & wait; while :; do sleep 1; done");
    let agent = place.start();
    agent.post(backup("b1", &skipped()));
    let message = agent.fails("/backup/b1");
    assert!(message.contains("time limit"), "{message}");
    let child = std::fs::read_to_string(place.path("child")).unwrap().trim().parse().unwrap();
    assert!(!lives(rustix::process::Pid::from_raw(child).unwrap()));
    assert_eq!(place.ran().last().unwrap(), "post-backup-unlock");
}

#[test]
fn a_deletion_ends_a_running_job_and_unlocks_before_it_answers() {
    let place = Place::new();
    place.hold("backup");
    let agent = place.start();
    agent.post(backup("b1", &skipped()));
    let script = place.held("backup");
    let live = agent.job("/backup/b1");
    assert_eq!(
        (&live["status"], &live["state"], &live["message"]),
        (&json!("RUNNING"), &json!("backup"), &json!("backup is running"))
    );
    until("its log is shown while it runs", || agent.job("/backup/b1")["backup_log"] == "out of backup\n");
    assert_eq!(agent.delete("/backup", "b1"), 200);
    assert!(!lives(script));
    assert_eq!(place.ran().join(" "), "pre-backup-lock pre-backup-check backup backup-cleanup post-backup-unlock");
    assert_eq!(agent.ask("GET", "/backup/b1", "").status, 404);
}

#[test]
fn jobs_of_one_database_run_one_after_another() {
    let place = Place::new();
    place.hold("backup");
    let agent = place.start();
    agent.post(backup("b1", &skipped()));
    place.held("backup");
    agent.post(backup("b2", &skipped()));
    agent.put(restore("r1", &skipped(), "x"));
    let waiting = agent.job("/backup/b2");
    assert_eq!((&waiting["status"], &waiting["state"]), (&json!("RUNNING"), &json!("")));
    assert_eq!(place.ran().len(), 3);
    place.let_go("backup");
    for path in ["/backup/b1", "/backup/b2", "/restore/r1"] {
        agent.succeeds(path);
    }
    let first = place.ran();
    assert_eq!(first[4], "post-backup-unlock");
    assert_eq!(first.len(), 14);
}

#[test]
fn a_stop_by_signal_waits_for_jobs_and_a_second_one_does_not() {
    let place = Place::new();
    place.hold("backup");
    let agent = place.start();
    agent.post(backup("b1", &skipped()));
    place.held("backup");
    place.let_go("backup");
    assert!(agent.stop().success());
    let agent = place.start();
    let job = agent.job("/backup/b1");
    assert_eq!(job["status"], "SUCCEEDED", "{job}");
}
