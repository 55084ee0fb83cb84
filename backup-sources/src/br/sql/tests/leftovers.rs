//! Tasks of a process that is gone.

use super::*;

#[tokio::test]
async fn only_what_works_on_that_very_place_is_ended() {
    let bench = Bench::new(|behaviour| behaviour.hold = Some("Backup".into())).await;
    let names = ["100%_a", "100%_a-more", "100%_a/below", "100%xa", "1000_a"];
    for name in names {
        let job = bench.start(Kind::Backup, bench.order(name));
        bench.server.until(name, |tasks| tasks.iter().any(|task| task.url().path.ends_with(&format!("/{name}")))).await;
        // As a process that is killed: the server goes on.
        job.run.abort();
    }
    let ended = bench.executor().end_leftovers(&bench.context(), &bench.location("100%_a")).await.unwrap();
    assert_eq!(ended, 1);
    let running = |task: &&tidb::Task| task.running();
    let left: Vec<String> = bench.server.tasks().iter().filter(running).map(|task| task.url().path.clone()).collect();
    assert_eq!(left.len(), names.len() - 1, "{left:?}");
    assert!(left.iter().all(|path| !path.ends_with("100%_a")), "{left:?}");
    assert_eq!(bench.executor().end_leftovers(&bench.context(), &bench.location("100%_a")).await.unwrap(), 0, "once is enough");
}

#[tokio::test]
async fn restores_are_ended_too_and_what_waits() {
    let bench = Bench::new(|_| {}).await;
    bench.backup(&bench.order("made")).await.unwrap();
    bench.server.set(|behaviour| behaviour.hold = Some("Download&Ingest SST".into()));
    let first = bench.start(Kind::Restore, bench.order("made"));
    bench.server.until_state("Download&Ingest SST").await;
    let second = bench.start(Kind::Restore, bench.order("made"));
    bench.server.until_state("Wait").await;
    first.run.abort();
    second.run.abort();
    // The backup that was made there long ago is none of them.
    let ended = bench.executor().end_leftovers(&bench.context(), &bench.location("made/")).await.unwrap();
    assert_eq!(ended, 2);
    assert!(bench.server.tasks().iter().all(|task| !task.running()), "{:?}", bench.server.tasks());
}

#[tokio::test]
async fn what_does_not_end_is_an_error() {
    let mut bench = Bench::new(|behaviour| {
        behaviour.hold = Some("Backup".into());
        behaviour.heeds_kill = false;
    })
    .await;
    bench.config.grace = Duration::from_millis(200);
    let job = bench.start(Kind::Backup, bench.order("one"));
    bench.server.until_state("Backup").await;
    job.run.abort();
    let error = bench.executor().end_leftovers(&bench.context(), &bench.location("one")).await.unwrap_err();
    assert_eq!(code(&error), "br.unreachable", "{error}");
    bench.server.set(|behaviour| behaviour.password = "another-password".into());
    let error = bench.executor().end_leftovers(&bench.context(), &bench.location("one")).await.unwrap_err();
    assert_eq!(code(&error), "br.login", "{error}");
}

#[tokio::test]
async fn one_that_is_called_canceled_and_still_works_is_not_said_to_have_ended() {
    let mut bench = Bench::new(|behaviour| {
        behaviour.hold = Some("Backup".into());
        behaviour.lingers = true;
    })
    .await;
    bench.config.grace = Duration::from_millis(500);
    let job = bench.start(Kind::Backup, bench.order("one"));
    bench.server.until_state("Backup").await;
    job.run.abort();
    let error = bench.executor().end_leftovers(&bench.context(), &bench.location("one")).await.unwrap_err();
    assert_eq!(code(&error), "br.unreachable", "{error}");
    assert_eq!(bench.server.task().state, "Backup Canceled");
    assert!(bench.server.task().running());
}
