//! Starting, stopping, and an etcd that is not there.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::etcd::free_port;
use crate::program::Place;
use crate::{assert_all_whole, etcd_with};

#[test]
fn with_etcd_down_a_post_says_so_in_the_decided_form_and_the_lists_go_on() {
    let place = Place::new(&format!("http://127.0.0.1:{}", free_port()), "");
    let program = place.start();
    let answer = program.post();
    assert_eq!((answer.status, answer.header("content-type")), (500, "application/json"));
    let body = answer.json();
    assert_eq!(body["message"], "failed to save an etcd backup");
    assert!(body["error"].as_str().unwrap().contains("etcd"), "{body}");
    assert_eq!((body["status"].as_u64(), body["request_id"].as_str()), (Some(500), Some("test-1")));
    assert!(program.said().contains("test-1"), "{}", program.said());
    assert!(program.names().is_empty() && place.files().is_empty());
    assert_eq!(program.get("/nothing").json()["status"], 404);
    assert_eq!(program.ask("DELETE", "/api/v1/backup").status, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_are_there_after_every_kind_of_end() {
    let Some(etcd) = etcd_with(24).await else { return };
    let place = Place::new(&etcd.url, "");
    // Idle.
    let mut program = place.start();
    let mut expected = vec![program.backup()];
    program.signal(Signal::TERM);
    assert!(program.wait().success(), "{}", program.said());

    // In the middle of a backup: it is finished and answered.
    let mut program = place.start();
    assert_eq!(program.names(), expected);
    expected.push(std::thread::scope(|scope| {
        let post = scope.spawn(|| program.backup());
        wait_until(|| std::fs::read_dir(place.backups.join(".backup/intents/etcd")).is_ok_and(|dir| dir.count() > 0));
        program.signal(Signal::TERM);
        post.join().unwrap()
    }));
    assert!(program.wait().success(), "{}", program.said());

    // After a failure.
    let program = place.start();
    etcd.signal(Signal::STOP);
    let failed = program.post();
    etcd.signal(Signal::CONT);
    assert_eq!(failed.status, 500, "{failed:?}");
    drop(program);
    let program = place.start();
    assert_eq!(assert_all_whole(&program).into_iter().collect::<Vec<_>>(), expected);
    expected.push(program.backup());
    assert_eq!(program.names(), expected);
}

#[test]
fn a_wrong_configuration_ends_it_at_once_with_key_and_line() {
    let place = Place::new("http://127.0.0.1:1", "rotat: 3");
    let mut program = place.spawn();
    assert_eq!(program.wait().code(), Some(2));
    assert!(program.said().contains("config.yaml:5: unknown key `rotat`, did you mean `rotate`?"), "{}", program.said());
}

#[test]
fn both_spellings_of_the_option_are_taken_and_a_missing_one_is_a_usage_error() {
    let run = |arguments: &[&str]| Command::new(env!("CARGO_BIN_EXE_etcd-backup")).args(arguments).output().unwrap();
    for arguments in [&["-config", "/does/not/exist"][..], &["--config=/does/not/exist"], &["-config=/does/not/exist"]] {
        let output = run(arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && text.contains("/does/not/exist"), "{arguments:?}: {text}");
    }
    assert_eq!(run(&[]).status.code(), Some(2));
    assert!(run(&["--help"]).status.success());
}

pub fn wait_until(mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(60), "it did not happen");
        std::thread::sleep(Duration::from_millis(1));
    }
}
