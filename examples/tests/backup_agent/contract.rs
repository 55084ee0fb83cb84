//! Many clients, and the parts of the server around the dialect.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::agent::{Place, backup, restore, skipped};

#[test]
fn of_500_jobs_at_once_exactly_as_many_run_as_there_are_slots() {
    let place = Place::new();
    place.hold("pre-backup-lock");
    let agent = place.start();
    let (accepted, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..50 {
            let (agent, accepted, refused) = (&agent, &accepted, &refused);
            scope.spawn(move || {
                for n in 0..10 {
                    let mut body = backup(&format!("j{thread}-{n}"), &skipped());
                    body["backup"]["host"] = format!("host-{thread}-{n}").into();
                    match agent.ask("POST", "/backup", body).status {
                        201 => accepted.fetch_add(1, Ordering::SeqCst),
                        429 => refused.fetch_add(1, Ordering::SeqCst),
                        other => panic!("{other}"),
                    };
                }
            });
        }
    });
    assert_eq!((accepted.into_inner(), refused.into_inner()), (10, 490));
    place.let_go("pre-backup-lock");
    assert!(agent.stop().success());
    let ends = place.ran().iter().filter(|stage| *stage == "post-backup-unlock").count();
    assert_eq!(ends, 10);
}

#[test]
fn jobs_are_counted_under_the_names_of_the_other_servers() {
    let place = Place::new();
    let agent = place.start();
    let metrics = || agent.ask("GET", "/metrics", "").text();
    let counts = |sample: &str| {
        let text = metrics();
        assert!(text.lines().any(|line| line == sample), "{sample} is not in {text}");
    };
    place.hold("backup");
    agent.post(backup("held", &skipped()));
    place.held("backup");
    // One of the same database waits.
    agent.post(backup("waits", &skipped()));
    counts("backup_jobs_running 1");
    counts("backup_jobs_queued 1");
    assert_eq!(agent.delete("/backup", "waits"), 200);
    assert_eq!(agent.delete("/backup", "held"), 200);
    place.let_go("backup");
    agent.post(backup("good", &skipped()));
    agent.succeeds("/backup/good");
    place.tell("backup", "exit 3");
    agent.post(backup("bad", &skipped()));
    agent.fails("/backup/bad");
    agent.put(restore("back", &skipped(), "file"));
    agent.succeeds("/restore/back");
    for sample in [
        "backup_jobs_running 0",
        "backup_jobs_queued 0",
        "backup_jobs_started_total{kind=\"backup\"} 3",
        "backup_jobs_started_total{kind=\"restore\"} 1",
        "backup_jobs_total{kind=\"backup\",outcome=\"cancelled\"} 2",
        "backup_jobs_total{kind=\"backup\",outcome=\"succeeded\"} 1",
        "backup_jobs_total{kind=\"backup\",outcome=\"failed\"} 1",
        "backup_jobs_total{kind=\"restore\",outcome=\"succeeded\"} 1",
        "backup_job_duration_seconds_count{kind=\"backup\"} 3",
        "backup_job_bytes_total{kind=\"restore\"} 0",
    ] {
        counts(sample);
    }
}

#[test]
fn health_metrics_and_the_description_are_beside_the_dialect() {
    let place = Place::new();
    let agent = place.start();
    assert_eq!(agent.ask("GET", "/healthz", "").status, 200);
    assert!(agent.ask("GET", "/metrics", "").text().contains("http"));
    let document = agent.ask("GET", "/openapi.json", "").json();
    assert!(document["paths"]["/restore/{id}"]["get"].is_object());
    let unknown = agent.ask("GET", "/unknown", "");
    assert_eq!((unknown.status, unknown.text().as_str()), (404, "404 page not found\n"));
}
