//! Tasks that `SHOW BACKUPS` forgets or misrepresents, and connections that end at another server.

use backup_core::Effect;
use backup_core::event::Event;
use backup_core::store::ExternalLocation;

use super::tidb::{Balancer, Behaviour};
use super::*;

/// So short that sixty looks take longer.
const SHORT: u64 = 200;
const LONG: u64 = 60_000;

/// One that is held in its first step, of that name.
async fn held(step: &str, grace: u64, change: impl FnOnce(&mut Behaviour)) -> (Bench, Job) {
    let mut bench = Bench::new(|behaviour| {
        behaviour.backup_steps = vec![(step.to_owned(), vec![0.0, 50.0, 100.0])];
        behaviour.hold = Some(step.to_owned());
        change(behaviour);
    })
    .await;
    bench.config.grace = Duration::from_millis(grace);
    let job = bench.start(Kind::Backup, bench.order("one"));
    bench.server.until_state(step).await;
    (bench, job)
}

async fn sixty_more_looks(bench: &Bench) {
    let looks = || bench.server.statements().iter().filter(|sql| sql.contains("PROCESSLIST")).count();
    let before = looks();
    bench.until("sixty looks", || looks() > before + 60).await;
}

fn warnings(bench: &Bench) -> usize {
    bench.observer.events().iter().filter(|event| matches!(event, Event::Warning(_))).count()
}

#[tokio::test]
async fn one_that_the_list_forgets_is_waited_for() {
    let (bench, job) = held("Backup", SHORT, |_| {}).await;
    bench.until_told("Backup").await;
    bench.server.set(|behaviour| behaviour.prunes = true);
    bench.server.until("forgotten", |tasks| tasks.iter().all(|task| task.pruned)).await;
    sixty_more_looks(&bench).await;
    bench.server.release();
    job.end().await.unwrap();
    assert_eq!((bench.kills(), warnings(&bench)), (0, 0));
}

#[tokio::test]
async fn one_that_the_list_forgets_is_ended_when_it_is_cancelled() {
    let (bench, job) = held("Backup", LONG, |behaviour| behaviour.prunes = true).await;
    bench.server.until("forgotten", |tasks| tasks.iter().all(|task| task.pruned)).await;
    job.cx.cancel_token().cancel();
    let error = job.end().await.unwrap_err();
    assert_eq!((code(&error), error.effect()), ("job.cancelled", Effect::None), "{error}");
    assert!(bench.server.task().killed && !bench.server.task().running());
}

#[tokio::test]
async fn a_leftover_that_the_list_forgets_is_ended() {
    note_secret("s3-of-the-leftover");
    let mut bench = Bench::new(|behaviour| {
        behaviour.hold = Some("Backup".into());
        behaviour.prunes = true;
    })
    .await;
    bench.config.grace = Duration::from_secs(60);
    let location = ExternalLocation::new("s3://bucket/a b/one").parameter("secret-access-key", "s3-of-the-leftover");
    let job = bench.start(Kind::Backup, order_at(location.clone()));
    bench.server.until("forgotten", |tasks| tasks.iter().any(|task| task.pruned)).await;
    job.run.abort();
    for other in ["s3://bucket/a b", "s3://bucket/a b/one/two", "s3://bucket/a b/on"] {
        assert_eq!(bench.executor().end_leftovers(&bench.context(), &ExternalLocation::new(other)).await.unwrap(), 0, "{other}");
    }
    assert_eq!(bench.executor().end_leftovers(&bench.context(), &location).await.unwrap(), 1);
    assert!(!bench.server.task().running());
}

#[tokio::test]
async fn a_step_that_is_called_canceled_may_work_and_is_ended() {
    let (bench, job) = held("Backup Canceled", LONG, |_| {}).await;
    bench.until_told("Backup").await;
    assert_eq!(bench.told().pop(), Some(("Backup".into(), None)), "100 percent is not how far it got");
    job.cx.cancel_token().cancel();
    let error = job.end().await.unwrap_err();
    assert_eq!((code(&error), error.effect()), ("job.cancelled", Effect::None), "{error}");
    assert!(bench.server.task().killed && !bench.server.task().running());
}

#[tokio::test]
async fn one_that_was_ended_in_the_queue_and_still_waits_by_the_list_has_ended() {
    let bench = Bench::new(|behaviour| {
        behaviour.hold = Some("Backup".into());
        behaviour.forgets_the_queue = true;
    })
    .await;
    let first = bench.start(Kind::Backup, bench.order("first"));
    bench.server.until_state("Backup").await;
    let job = bench.start(Kind::Backup, bench.order("one"));
    bench.server.until_state("Wait").await;
    job.cx.cancel_token().cancel();
    let error = job.end().await.unwrap_err();
    assert_eq!((code(&error), error.effect()), ("job.cancelled", Effect::None), "{error}");
    let task = bench.server.task();
    assert_eq!((task.state.as_str(), task.finish_time), ("Wait", None));
    // Its number is given again, and the row still stands there.
    let before = bench.kills();
    bench.server.reuse(task.connection, "UPDATE shop.orders SET paid = 1");
    assert_eq!(bench.executor().end_leftovers(&bench.context(), &bench.location("one")).await.unwrap(), 0);
    assert_eq!(bench.kills(), before, "that is another's statement");
    bench.server.release();
    first.end().await.unwrap();
}

#[tokio::test]
async fn what_another_user_does_at_the_place_is_left_alone() {
    let bench = Bench::new(|behaviour| behaviour.hold = Some("Download&Ingest SST".into())).await;
    bench.server.begin_as("dba", "RESTORE DATABASE * FROM 's3://bucket/one'");
    bench.server.until_state("Download&Ingest SST").await;
    let ended = bench.executor().end_leftovers(&bench.context(), &ExternalLocation::new("s3://bucket/one")).await.unwrap();
    assert_eq!((ended, bench.kills()), (0, 0));
    assert!(bench.server.task().running());
}

#[tokio::test]
async fn behind_a_balancer_the_task_is_found_by_a_later_connection() {
    let (mut bench, job) = held("Backup", SHORT, |behaviour| behaviour.balancer = Balancer::InTurns).await;
    bench.until_told("Backup").await;
    // A proxy that moves connections.
    bench.server.set(|behaviour| behaviour.balancer = Balancer::AllOthers);
    bench.until("a warning", || warnings(&bench) > 0).await;
    sixty_more_looks(&bench).await;
    bench.server.set(|behaviour| behaviour.balancer = Balancer::InTurns);
    bench.config.grace = Duration::from_secs(60);
    bench.server.release();
    job.end().await.expect("another server knows nothing of its end");
    assert_eq!(bench.kills(), 0);

    bench.server.set(|behaviour| behaviour.hold = Some("Backup".into()));
    let job = bench.start(Kind::Backup, bench.order("two"));
    bench.server.until_state("Backup").await;
    bench.server.set(|behaviour| behaviour.balancer = Balancer::None);
    job.cx.cancel_token().cancel();
    let error = job.end().await.unwrap_err();
    assert_eq!(code(&error), "job.cancelled", "{error}");
}

#[tokio::test]
async fn a_server_that_tells_nothing_any_more_is_given_up_after_the_silence() {
    let mut bench = Bench::new(|behaviour| behaviour.hold = Some("Backup".into())).await;
    bench.config.timeout = Duration::from_millis(500);
    bench.config.grace = Duration::from_millis(300);
    bench.config.silence = Duration::from_secs(4);
    let job = bench.start(Kind::Backup, bench.order("one"));
    bench.until_told("Backup").await;
    bench.server.set(|behaviour| behaviour.mute = vec!["SELECT".into(), "SHOW".into(), "KILL".into()]);
    let error = job.end().await.unwrap_err();
    assert_eq!((code(&error), error.effect()), ("br.unreachable", Effect::Unknown), "{error}");
    assert!(error.to_string().contains("4s"), "{error}");
    assert_eq!(warnings(&bench), 1);
}
