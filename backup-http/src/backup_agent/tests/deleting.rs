use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use backup_core::error::codes;
use backup_core::lease::Lease;
use backup_core::state::{Entry, Expected, State};
use backup_core::testkit::{MemoryState, test_environment};
use backup_core::{Bytes, Error, Result, async_trait};
use serde_json::json;
use tokio::sync::Semaphore;

use super::world::{World, backup, hand, request, restore};

#[tokio::test]
async fn a_job_that_ended_is_forgotten_once_and_its_id_is_free() {
    let world = World::start().await;
    world.release(1);
    assert_eq!(world.post(backup("a")).await.status, StatusCode::CREATED);
    world.ended("/backup/a").await;
    assert_eq!(world.delete("/restore", "a").await.status, StatusCode::GONE);
    let answers = tokio::join!(world.delete("/backup", "a"), world.delete("/backup", "a"));
    let mut statuses = [answers.0.status.as_u16(), answers.1.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!((statuses, answers.0.text()), ([200, 410], ""));
    assert_eq!(world.get("/backup/a").await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.post(backup("a")).await.status, StatusCode::CREATED);
    let job = world.begun("/backup/a").await.json();
    assert_eq!((&job["status"], &job["filename"]), (&json!("RUNNING"), &json!("")));
}

#[tokio::test]
async fn a_running_job_is_cancelled_and_has_cleaned_up_when_the_answer_comes() {
    let world = World::start().await;
    assert_eq!(world.put(restore("a")).await.status, StatusCode::CREATED);
    world.begun("/restore/a").await;
    let answer = world.delete("/restore", "a").await;
    assert_eq!((answer.status, answer.text()), (StatusCode::OK, ""));
    assert_eq!((world.hand.cancelled.load(Ordering::SeqCst), world.hand.running.load(Ordering::SeqCst)), (1, 0));
    assert_eq!(world.get("/restore/a").await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.delete("/restore", "a").await.status, StatusCode::GONE);
}

#[tokio::test]
async fn a_job_that_waits_for_its_turn_is_deleted_without_having_run() {
    let world = World::start().await;
    for id in ["a", "b"] {
        let mut body = backup(id);
        body["backup"]["host"] = json!("one");
        assert_eq!(world.post(body).await.status, StatusCode::CREATED);
    }
    world.begun("/backup/a").await;
    let waiting = world.get("/backup/b").await.json();
    assert_eq!((&waiting["status"], &waiting["message"], &waiting["state"]), (&json!("RUNNING"), &json!(""), &json!("")));
    assert_eq!(world.delete("/backup", "b").await.status, StatusCode::OK);
    assert_eq!(*world.hand.ran.lock().unwrap(), ["a"]);
}

/// A state in which no job can be created: each attempt waits, and then fails.
#[derive(Debug)]
struct Failing {
    inner: MemoryState,
    reached: Semaphore,
    gate: Semaphore,
}

#[async_trait]
impl State for Failing {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        self.inner.get(key).await
    }

    async fn compare_and_set(&self, key: &str, expected: Expected, value: Option<Bytes>) -> Result<bool> {
        if expected != Expected::Absent {
            return self.inner.compare_and_set(key, expected, value).await;
        }
        self.reached.add_permits(1);
        self.gate.acquire().await.unwrap().forget();
        Err(Error::new(&codes::STORE_IO, "no job can be created"))
    }

    async fn range(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(String, Entry)>> {
        self.inner.range(prefix, after, limit).await
    }

    async fn lease(&self, name: &str) -> Result<Option<Box<dyn Lease>>> {
        self.inner.lease(name).await
    }
}

#[tokio::test]
async fn a_deletion_of_a_job_that_could_not_be_created_does_not_wait_for_it() {
    let state = MemoryState::new();
    let failing = Arc::new(Failing { inner: state.clone(), reached: Semaphore::new(0), gate: Semaphore::new(0) });
    let world = World::over(failing.clone(), state, test_environment(1).1, hand(), 10).await;
    let delete = async {
        failing.reached.acquire().await.unwrap().forget();
        let (deleted, ()) = tokio::join!(world.delete("/backup", "a"), async {
            // The deletion waits for the job by now.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            failing.gate.add_permits(1);
        });
        deleted.status
    };
    let (posted, deleted) = tokio::join!(world.post(backup("a")), delete);
    assert_eq!((posted.status, deleted), (StatusCode::INTERNAL_SERVER_ERROR, StatusCode::GONE));
    assert!(world.hand.ran.lock().unwrap().is_empty());
    // Its slot is free again.
    assert_eq!(world.get("/backup/a").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_deletion_that_cannot_be_understood_is_400_without_content() {
    let world = World::start().await;
    for body in ["", "{}", "{\"id\":\"\"}", "{\"id\":1}", "{\"id\":null}", "[]", "{\"id\":\"a\",}", "{\"id\":\"../a\"}"] {
        let answer = world.ask(request(Method::DELETE, "/backup", body)).await;
        assert_eq!((answer.status, answer.text()), (StatusCode::BAD_REQUEST, ""), "{body}");
    }
}

#[tokio::test]
async fn jobs_are_kept_for_their_time_and_no_longer() {
    let world = World::start().await;
    world.release(2);
    assert_eq!(world.post(backup("a")).await.status, StatusCode::CREATED);
    world.ended("/backup/a").await;
    world.clock.advance(Duration::from_secs(30 * 86_400));
    assert_eq!(world.get("/backup/a").await.status, StatusCode::OK);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.get("/backup/a").await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.post(backup("a")).await.status, StatusCode::CREATED);
    world.ended("/backup/a").await;
    // One that nobody asks for goes, too, when the next one ends.
    world.clock.advance(Duration::from_secs(31 * 86_400));
    world.release(1);
    assert_eq!(world.post(backup("b")).await.status, StatusCode::CREATED);
    world.ended("/backup/b").await;
    world.drain().await;
    let keys = backup_core::state::State::range(&world.state, "agent/", None, 10).await.unwrap();
    let keys: Vec<_> = keys.into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["agent/jobs/backup/b", "agent/logs/backup/b"]);
}

#[tokio::test]
async fn a_stop_cancels_what_does_not_end_in_time_and_records_it() {
    let world = World::start().await;
    assert_eq!(world.post(backup("a")).await.status, StatusCode::CREATED);
    world.begun("/backup/a").await;
    let stopping = tokio::spawn({
        let agent = world.agent.clone();
        async move { agent.stop(Duration::from_secs(5)).await }
    });
    world.clock.wait_for_sleepers(1).await;
    assert_eq!(world.post(backup("b")).await.status, StatusCode::TOO_MANY_REQUESTS);
    world.clock.advance(Duration::from_secs(6));
    stopping.await.unwrap();
    let job = world.get("/backup/a").await.json();
    assert_eq!((&job["status"], &job["failed_phase"]), (&json!("FAILED"), &json!("pre-backup-lock")));
    assert_eq!(job["pre_backup_lock_log"], "begun");
}
