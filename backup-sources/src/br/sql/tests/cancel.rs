//! Ending what runs: by its job, by its deadline, by somebody else.

use backup_core::Effect;

use super::tidb::Balancer;
use super::*;

/// Cancels when the task is in that state; gives the error and the state it ended in.
async fn cancelled_in(kind: Kind, state: &str) -> (Error, String) {
    let bench = Bench::new(|_| {}).await;
    bench.backup(&bench.order("made")).await.unwrap();
    bench.server.set(|behaviour| behaviour.hold = Some(if state == "Wait" { "Backup" } else { state }.to_owned()));
    let first = (state == "Wait").then(|| bench.start(Kind::Backup, bench.order("first")));
    if first.is_some() {
        bench.server.until_state("Backup").await;
    }
    let job = bench.start(kind, bench.order(if kind == Kind::Restore { "made" } else { "one" }));
    bench.server.until(state, |tasks| tasks.last().is_some_and(|task| task.state == state && task.id > 1)).await;
    job.cx.cancel_token().cancel();
    let error = job.end().await.unwrap_err();
    let task = bench.server.task();
    assert!(task.killed && !task.running(), "{task:?}");
    if let Some(first) = first {
        bench.server.release();
        first.end().await.expect("the one that worked is left alone");
    }
    (error, task.state)
}

#[tokio::test]
async fn a_cancelled_backup_is_ended_in_whatever_state_it_is() {
    for state in ["Wait", "Backup", "Checksum"] {
        let (error, ended) = cancelled_in(Kind::Backup, state).await;
        assert_eq!((code(&error), error.effect()), ("job.cancelled", Effect::None), "{state}: {error}");
        assert_eq!(ended, format!("{state} Canceled"));
    }
}

#[tokio::test]
async fn a_cancelled_restore_has_changed_who_knows_what() {
    let (error, ended) = cancelled_in(Kind::Restore, "Download&Ingest SST").await;
    assert_eq!((code(&error), error.effect()), ("job.cancelled", Effect::Unknown), "{error}");
    assert_eq!(ended, "Download&Ingest SST Canceled");
}

#[tokio::test]
async fn a_deadline_ends_it_too() {
    let bench = Bench::new(|behaviour| behaviour.hold = Some("Backup".into())).await;
    let cx = bench.context().with_limit(Duration::from_millis(300));
    let error = bench.executor().backup(&cx, &bench.order("one")).await.unwrap_err();
    assert_eq!(code(&error), "job.deadline", "{error}");
    assert!(!bench.server.task().running());
}

#[tokio::test]
async fn a_job_that_is_cancelled_already_begins_nothing() {
    let bench = Bench::new(|_| {}).await;
    let cx = bench.context();
    cx.cancel_token().cancel();
    let error = bench.executor().backup(&cx, &bench.order("one")).await.unwrap_err();
    assert_eq!(code(&error), "job.cancelled");
    assert!(bench.server.tasks().is_empty());
}

#[tokio::test]
async fn one_that_somebody_else_killed_says_so() {
    for (state, text) in [("Backup", "8124"), ("Wait", "1105")] {
        let bench = Bench::new(|behaviour| behaviour.hold = Some("Backup".into())).await;
        let first = bench.start(Kind::Backup, bench.order("first"));
        bench.server.until_state("Backup").await;
        let job = if state == "Wait" { bench.start(Kind::Backup, bench.order("one")) } else { first };
        bench.server.until_state(state).await;
        bench.server.kill(bench.server.task().connection);
        let error = job.end().await.unwrap_err();
        assert_eq!(code(&error), "br.ended", "{error}");
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(bench.kills(), 0, "it was not us");
    }
}

#[tokio::test]
async fn a_task_that_does_not_end_is_not_said_to_have() {
    let mut bench = Bench::new(|behaviour| {
        behaviour.hold = Some("Backup".into());
        behaviour.heeds_kill = false;
    })
    .await;
    bench.config.grace = Duration::from_millis(300);
    let job = bench.start(Kind::Backup, bench.order("one"));
    bench.server.until_state("Backup").await;
    job.cx.cancel_token().cancel();
    let error = job.end().await.unwrap_err();
    assert_eq!((code(&error), error.effect()), ("br.unreachable", Effect::Unknown), "{error}");
    assert!(bench.server.task().running());
}

#[tokio::test]
async fn a_statement_that_never_began_is_given_up_when_it_is_cancelled() {
    let mut bench = Bench::new(|behaviour| behaviour.mute = vec!["BACKUP".into()]).await;
    bench.config.grace = Duration::from_millis(300);
    let job = bench.start(Kind::Backup, bench.order("one"));
    bench.server.until("the statement", |_| bench.server.statements().iter().any(|sql| sql.starts_with("BACKUP"))).await;
    job.cx.cancel_token().cancel();
    let error = job.end().await.unwrap_err();
    assert_eq!((code(&error), error.effect()), ("br.unreachable", Effect::Unknown), "{error}");
}

#[tokio::test]
async fn nothing_is_killed_on_another_server() {
    let mut bench = Bench::new(|behaviour| {
        behaviour.hold = Some("Backup".into());
        behaviour.balancer = Balancer::AllOthers;
    })
    .await;
    bench.config.grace = Duration::from_millis(300);
    let job = bench.start(Kind::Backup, bench.order("one"));
    bench.server.until_state("Backup").await;
    job.cx.cancel_token().cancel();
    assert_eq!(code(&job.end().await.unwrap_err()), "br.unreachable");
    assert_eq!(bench.kills(), 0, "the number may be another's there");
}
