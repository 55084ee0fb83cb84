use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use serde_json::json;

use super::world::{World, backup, hand, restore};
use crate::backup_agent::Operation;

#[tokio::test]
async fn after_a_restart_every_job_is_there_and_a_running_one_is_interrupted_and_undone_before_the_start() {
    let world = World::start().await;
    world.release(1);
    assert_eq!(world.post(backup("done")).await.status, StatusCode::CREATED);
    let done = world.ended("/backup/done").await;
    for id in ["cut", "unknown"] {
        assert_eq!(world.post(backup(id)).await.status, StatusCode::CREATED);
        world.begun(&format!("/backup/{id}")).await;
    }
    let next = hand();
    *next.interrupted.lock().unwrap() = vec![(Operation::Backup, "cut".into()), (Operation::Restore, "stateless".into())];
    next.gate.add_permits(2);
    let world = world.restart(next).await;
    assert_eq!(world.get("/backup/done").await.text(), done.text());
    let cut = world.get("/backup/cut").await.json();
    assert_eq!(
        (&cut["status"], &cut["state"], &cut["failed_phase"]),
        (&json!("FAILED"), &json!("finished"), &json!("pre-backup-lock"))
    );
    assert_eq!(
        cut["error_message"],
        "Backup failed due to 'interrupted: the agent ended while the job ran'; undoing it: Backup failed due to 'exit status 9'"
    );
    assert_eq!((&cut["pre_backup_lock_log"], &cut["post_backup_unlock_log"]), (&json!("locked"), &json!("unlocked")));
    let unknown = world.get("/backup/unknown").await.json();
    assert_eq!(unknown["error_message"], "Backup failed due to 'interrupted: the agent ended while the job ran'");
    assert_eq!(world.hand.noted.load(Ordering::SeqCst), 2, "one that the state does not know is undone as well");
    assert_eq!(world.get("/restore/stateless").await.status, StatusCode::NOT_FOUND);
    // The id stays taken until it is deleted.
    assert_eq!(world.post(backup("cut")).await.status, StatusCode::CONFLICT);
    assert_eq!(world.delete("/backup", "cut").await.status, StatusCode::OK);
    assert_eq!(world.post(backup("cut")).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn an_undoing_that_takes_long_goes_on_beside_new_jobs_and_a_deletion_waits_for_it() {
    let world = World::start().await;
    assert_eq!(world.put(restore("cut")).await.status, StatusCode::CREATED);
    world.begun("/restore/cut").await;
    let next = hand();
    *next.interrupted.lock().unwrap() = vec![(Operation::Restore, "cut".into())];
    // Two minutes pass.
    world.clock.auto_advance(true);
    let world = world.restart(next).await;
    world.clock.auto_advance(false);
    assert_eq!(world.get("/restore/cut").await.json()["status"], "FAILED");
    assert_eq!(world.post(backup("other")).await.status, StatusCode::CREATED);
    world.begun("/backup/other").await;
    // The database is still being unlocked.
    assert_eq!(world.put(restore("again")).await.status, StatusCode::CREATED);
    let mut deletion = std::pin::pin!(world.delete("/restore", "cut"));
    for _ in 0..100 {
        assert!(futures::poll!(&mut deletion).is_pending());
        tokio::task::yield_now().await;
    }
    assert!(!world.hand.ran.lock().unwrap().contains(&"again".to_owned()));
    world.release(3);
    assert_eq!(deletion.await.status, StatusCode::OK);
    world.ended("/restore/again").await;
}
