//! Backups and restores that succeed.

use backup_core::event::Event;
use backup_core::store::ExternalLocation;

use super::super::super::tso::Tso;
use super::tidb::{Balancer, Columns, Task};
use super::*;

#[tokio::test]
async fn a_backup_leaves_its_files_and_says_where_it_stands() {
    let bench = Bench::new(|_| {}).await;
    let done = bench.backup(&bench.order("c1/one/")).await.unwrap();
    let task = bench.server.task();
    assert_eq!(done.backup_ts, Some(Tso(task.backup_ts)));
    let place = bench.directory.path().join("c1/one");
    let files = std::fs::read_dir(place.join("store1")).unwrap().map(|file| file.unwrap().metadata().unwrap().len());
    let meta = std::fs::metadata(place.join("backupmeta")).unwrap().len();
    assert_eq!(done.size, Some(files.sum::<u64>() + meta));
    assert!(task.order.options.is_empty(), "{task:?}");
    let unasked = |sql: &String| sql.contains("@@") && !sql.contains("@@hostname");
    assert!(!bench.server.statements().iter().any(unasked), "{:?}", bench.server.statements());
}

#[tokio::test]
async fn every_form_of_show_backups_tells_the_steps_within_bounds() {
    for columns in [Columns::Seven, Columns::Eight, Columns::Nine] {
        let bench = Bench::new(|behaviour| {
            behaviour.columns = columns;
            behaviour.hold = Some("Backup".into());
        })
        .await;
        let job = bench.start(Kind::Backup, bench.order("one"));
        bench.until_told("Backup").await;
        bench.server.set(|behaviour| behaviour.hold = Some("Checksum".into()));
        bench.until_told("Checksum").await;
        bench.server.release();
        let done = job.end().await.unwrap();
        assert_eq!(done.backup_ts, Some(Tso(bench.server.task().backup_ts)), "{columns:?}");
        let told = bench.told();
        assert!(told.contains(&("Backup".into(), Some(37))), "{columns:?}: {told:?}");
        assert!(told.iter().all(|(_, percent)| percent.is_some_and(|percent| percent <= 100)), "{told:?}");

        bench.server.set(|behaviour| behaviour.hold = Some("Download&Ingest SST".into()));
        let job = bench.start(Kind::Restore, bench.order("one"));
        bench.until_told("Download&Ingest SST").await;
        bench.server.release();
        let done = job.end().await.unwrap();
        assert_eq!(done.backup_ts, Some(Tso(bench.server.task().backup_ts)), "not the time of the cluster: {columns:?}");
    }
}

#[tokio::test]
async fn what_is_ordered_arrives() {
    let bench = Bench::new(|_| {}).await;
    let mut order = bench.order("full");
    order.tuning = Tuning { rate_limit: Some(120), concurrency: Some(8), checksum: Some(false) };
    let full = bench.backup(&order).await.unwrap().backup_ts.unwrap();
    let options = |task: &Task| task.order.options.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ");
    assert_eq!(options(&bench.server.task()), "CHECKSUM=FALSE CONCURRENCY=8 RATE_LIMIT=120");

    let mut order = bench.order("incremental");
    order.since = Some(full);
    let incremental = bench.backup(&order).await.unwrap().backup_ts.unwrap();
    assert!(incremental > full);
    assert_eq!(options(&bench.server.task()), format!("LAST_BACKUP={full}"));

    bench.executor().restore(&bench.context(), &order).await.unwrap();
    assert_eq!(options(&bench.server.task()), "", "a restore has no start");
}

#[tokio::test]
async fn keys_and_paths_arrive_as_they_are_whatever_stands_in_them() {
    const ODD: [&str; 9] =
        ["it's", "a\"b", "a\\b\\", "100%", "%27", "a&b=c?d#e", "a+b c", "line\nbreak\t\r", "'; DROP TABLE t; -- żółć 雪"];
    let bench = Bench::new(|_| {}).await;
    for odd in ODD {
        bench.backup(&bench.order(&format!("{odd}/x"))).await.unwrap();
        assert_eq!(bench.server.task().url().path, format!("{}/{odd}/x", bench.directory.path().display()));

        let location = ExternalLocation::new(format!("s3://bucket/{odd}/x"))
            .parameter("access-key", odd)
            .parameter("secret-access-key", format!("{odd}{odd}"))
            .parameter("force-path-style", "true");
        bench.backup(&order_at(location.clone())).await.unwrap();
        let task = bench.server.task();
        let url = task.url();
        assert_eq!((url.host.as_str(), url.path.as_str()), ("bucket", format!("/{odd}/x").as_str()));
        let parameters: Vec<(String, String)> = url.parameters.clone().into_iter().collect();
        let mut sent = location.parameters.clone();
        sent.sort();
        assert_eq!(parameters, sent, "{odd:?}");
    }
}

#[tokio::test]
async fn one_that_waits_for_another_says_so_and_then_works() {
    let bench = Bench::new(|behaviour| behaviour.hold = Some("Backup".into())).await;
    let first = bench.start(Kind::Backup, bench.order("one"));
    bench.server.until_state("Backup").await;
    let second = bench.start(Kind::Backup, bench.order("two"));
    bench.until_told("Wait").await;
    bench.server.release();
    first.end().await.unwrap();
    second.end().await.unwrap();
    assert!(bench.steps().contains(&"Wait".to_owned()));
}

#[tokio::test]
async fn progress_that_cannot_be_read_stops_nothing() {
    let bench = Bench::new(|behaviour| behaviour.hold = Some("Backup".into())).await;
    let job = bench.start(Kind::Backup, bench.order("one"));
    bench.until_told("Backup").await;
    bench.server.set(|behaviour| behaviour.refuse = vec![("SHOW".into(), 1105, "not now".into())]);
    let shows = || bench.server.statements().iter().filter(|sql| sql.starts_with("SHOW")).count();
    let before = shows();
    bench.until("two more looks", || shows() > before + 1).await;
    bench.server.release();
    job.end().await.unwrap();
}

#[tokio::test]
async fn somebody_hears_that_the_task_is_on_another_server() {
    let bench = Bench::new(|behaviour| {
        behaviour.hold = Some("Backup".into());
        behaviour.balancer = Balancer::AllOthers;
    })
    .await;
    let job = bench.start(Kind::Backup, bench.order("one"));
    let warned = || bench.observer.events().iter().filter(|event| matches!(event, Event::Warning(_))).count();
    bench.until("a warning", || warned() > 0).await;
    bench.server.release();
    job.end().await.unwrap();
    assert_eq!(warned(), 1);
}
