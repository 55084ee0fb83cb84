use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use futures::future::join_all;
use serde_json::json;

use super::world::{World, backup, restore};

fn count(statuses: &[StatusCode], wanted: u16) -> usize {
    statuses.iter().filter(|status| status.as_u16() == wanted).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_500_jobs_at_once_exactly_as_many_run_as_there_are_slots() {
    let world = World::start().await;
    let statuses: Vec<_> =
        join_all((0..500).map(|n| world.post(backup(&format!("j{n}"))))).await.iter().map(|a| a.status).collect();
    assert_eq!((count(&statuses, 201), count(&statuses, 429)), (10, 490));
    world.release(10);
    for n in (0..500).filter(|n| statuses[*n] == StatusCode::CREATED) {
        world.ended(&format!("/backup/j{n}")).await;
    }
    // Who was refused left nothing behind.
    let refused = (0..500).find(|n| statuses[*n] != StatusCode::CREATED).unwrap();
    assert_eq!(world.post(backup(&format!("j{refused}"))).await.status, StatusCode::CREATED);
    assert!(world.hand.most.load(Ordering::SeqCst) <= 10);
    world.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_simultaneous_requests_with_one_id_exactly_one_wins_also_for_the_last_slot() {
    for slots in [1, 10] {
        let world = World::with_slots(slots).await;
        let statuses: Vec<_> = join_all((0..50).map(|_| world.post(backup("one")))).await.iter().map(|a| a.status).collect();
        assert_eq!((count(&statuses, 201), count(&statuses, 409)), (1, 49), "{slots} slots");
        world.drain().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_a_thousand_good_and_bad_requests_every_slot_is_free() {
    let world = World::start().await;
    world.release(5000);
    for n in 0..1000 {
        let id = format!("j{n}");
        let mut body = backup(&id);
        match n % 10 {
            0 => body["destination"]["bucket"] = json!(null),
            1 => body["destination"]["type"] = json!("FTP"),
            2 => body["id"] = json!("../x"),
            3 => body["id"] = json!("j3"),
            4 => body["backup"]["database"] = json!("panic"),
            5 => body["backup"]["database"] = json!("broken"),
            6 => body["backup"]["parameters"] = json!({"LD_PRELOAD": "x"}),
            7 => {
                world.delete("/backup", &format!("j{}", n - 1)).await;
                world.post(&body).await;
                world.delete("/backup", &id).await;
            }
            _ => {}
        }
        let answer = world.post(body).await;
        assert!([201, 400, 409, 429].contains(&answer.status.as_u16()), "{answer:?}");
    }
    // Whatever was accepted comes to its end, also what had not begun yet.
    for n in 0..1000 {
        loop {
            let answer = world.get(&format!("/backup/j{n}")).await;
            if answer.status != StatusCode::OK || answer.json()["status"] != "RUNNING" {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    world.hand.gate.forget_permits(usize::MAX);
    let mut accepted = 0;
    // A slot may be given back a moment after its job has ended.
    for attempt in 0..10_000 {
        accepted += usize::from(world.post(backup(&format!("last{attempt}"))).await.status == StatusCode::CREATED);
        if accepted == 10 {
            break;
        }
    }
    assert_eq!(accepted, 10);
    assert_eq!(world.put(restore("one-more")).await.status, StatusCode::TOO_MANY_REQUESTS);
    world.drain().await;
}

#[tokio::test]
async fn a_job_that_panics_fails_and_gives_its_slot_back() {
    let world = World::with_slots(1).await;
    let mut body = backup("a");
    body["backup"]["database"] = json!("panic");
    world.release(1);
    assert_eq!(world.post(body).await.status, StatusCode::CREATED);
    let job = world.ended("/backup/a").await.json();
    assert!(job["status"] == "FAILED" && job["error_message"].as_str().unwrap().contains("internal error"), "{job}");
    assert_eq!(world.post(backup("b")).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn jobs_of_one_database_run_one_after_another_and_others_beside_them() {
    let world = World::start().await;
    for (id, host) in [("a", "one"), ("b", "one"), ("c", "two"), ("d", "one")] {
        let mut body = backup(id);
        body["backup"]["host"] = json!(host);
        assert_eq!(world.post(body).await.status, StatusCode::CREATED);
    }
    world.begun("/backup/a").await;
    world.begun("/backup/c").await;
    assert_eq!(world.hand.running.load(Ordering::SeqCst), 2);
    world.release(2);
    world.begun("/backup/b").await;
    assert_eq!(world.get("/backup/d").await.json()["state"], "");
    world.release(2);
    world.ended("/backup/d").await;
    assert_eq!(*world.hand.ran.lock().unwrap(), ["a", "c", "b", "d"]);
    assert_eq!(world.hand.most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_state_that_fails_costs_no_slot_and_no_id() {
    let world = World::with_slots(1).await;
    world.state.fail_next(2);
    let answer = world.post(backup("a")).await;
    assert_eq!((answer.status, &answer.json()["state"]), (StatusCode::INTERNAL_SERVER_ERROR, &json!("Job state")));
    world.state.fail_next(0);
    assert_eq!(world.post(backup("a")).await.status, StatusCode::CREATED);
}
