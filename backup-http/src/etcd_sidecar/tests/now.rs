//! The waits of `/v1/backupnow`, and its failures.

use backup_core::service::JobState;

use super::fake::UNREACHABLE;
use super::*;

fn spawn(world: &World) -> tokio::task::JoinHandle<Answer> {
    let request = Request::builder().uri("/v1/backupnow").body(Body::empty()).unwrap();
    let answer = world.router.clone().oneshot(request);
    tokio::spawn(async move { Answer::read(answer.await.unwrap()).await })
}

fn states(world: &World) -> Vec<JobState> {
    world.service.jobs().into_iter().map(|job| job.state).collect()
}

#[tokio::test]
async fn fifty_at_once_make_one_backup_and_all_tell_of_it() {
    let world = World::new().await;
    let answers: Vec<_> = (0..50).map(|_| spawn(&world)).collect();
    let mut bodies = std::collections::BTreeSet::new();
    for answer in answers {
        let answer = answer.await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        bodies.insert(answer.body);
    }
    assert_eq!((bodies.len(), world.files().len()), (1, 1));
}

#[tokio::test]
async fn one_that_does_not_begin_within_a_minute_is_taken_back() {
    let world = World::new().await;
    world.etcd.close();
    let first = spawn(&world);
    settle().await;
    world.clock.advance(Duration::from_secs(1));
    let second = spawn(&world);
    settle().await;
    assert_eq!(states(&world), [JobState::Running, JobState::Queued]);
    world.clock.advance(Duration::from_secs(59));
    settle().await;
    assert!(!second.is_finished());
    world.clock.advance(Duration::from_secs(1));
    let answer = second.await.unwrap();
    assert_eq!((answer.status, answer.text()), (408, "timeout\n"));
    settle().await;
    assert_eq!(states(&world), [JobState::Running, JobState::Cancelled]);
    world.etcd.let_through(1);
    assert_eq!(first.await.unwrap().status, 200);
}

#[tokio::test]
async fn one_that_does_not_end_within_ten_minutes_goes_on_alone() {
    let world = World::new().await;
    world.etcd.close();
    let answer = spawn(&world);
    settle().await;
    world.clock.advance(Duration::from_secs(600));
    let answer = answer.await.unwrap();
    assert_eq!((answer.status, answer.text()), (408, "timeout\n"));
    world.etcd.let_through(1);
    settle().await;
    assert_eq!(states(&world), [JobState::Succeeded]);
    assert_eq!(world.get("/v1/status").await.json()["backups"], 1);
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_stop_the_backup() {
    let world = World::new().await;
    world.etcd.close();
    let gone = spawn(&world);
    settle().await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    world.etcd.let_through(1);
    settle().await;
    assert_eq!(states(&world), [JobState::Succeeded]);
}

#[tokio::test]
async fn a_failure_is_told_in_the_words_of_the_original() {
    use backup_core::error::codes;
    let world = World::new().await;
    world.etcd.capture_fails(&UNREACHABLE, "receiving a snapshot from etcd at http://x failed: broken");
    let answer = world.get("/v1/backupnow").await;
    assert_eq!(answer.status, 500);
    assert!(answer.text().starts_with("write snapshot failed: backing up etcd/prod: receiving a snapshot"), "{answer:?}");
    world.etcd.probe_fails(&UNREACHABLE, "connecting to etcd at http://x failed: refused");
    assert_eq!(world.get("/v1/backupnow").await.text(), "no reachable member\n");
    world.etcd.probe_fails(&codes::INPUT_INVALID, "tls-ca-file is unreadable");
    assert!(world.get("/v1/backupnow").await.text().starts_with("create etcd client failed: "));
    assert_eq!(world.files(), Vec::<String>::new());
    assert_eq!(world.get("/v1/backup").await.text(), "404 page not found\n");
}
