use std::sync::Arc;

use backup_core::testkit::{MemoryState, SeededRandom, test_environment};
use chrono::{DateTime, TimeDelta, Utc};

use super::*;
use crate::tidb::record::{BackupType, Mode, Status};

fn record(random: &SeededRandom, created_at: DateTime<Utc>) -> Record {
    Record {
        id: RecordId::random(random),
        cluster: "c1".to_owned(),
        kind: BackupType::Full,
        mode: Mode::Manual,
        status: Status::Finished,
        directory: "2022-04-28-16-00-41-full".to_owned(),
        path: "p/c1/2022-04-28-16-00-41-full".to_owned(),
        size: 1,
        tso: 2,
        started_at: created_at,
        ended_at: created_at,
        created_at,
        updated_at: created_at,
        message: None,
        backup: None,
    }
}

fn clock() -> Arc<dyn Clock> {
    test_environment(1).1
}

#[tokio::test]
async fn what_another_process_made_a_little_before_ones_own_is_listed() {
    let (state, random) = (MemoryState::new(), SeededRandom::new(2));
    let (_, clock) = test_environment(1);
    let one = Records::load(Arc::new(state.clone()), clock.clone()).await.unwrap();
    let other = Records::load(Arc::new(state.clone()), clock.clone()).await.unwrap();
    for minutes in 1..4 {
        clock.advance(std::time::Duration::from_secs(600));
        let now = clock.now();
        one.create(&record(&random, now)).await.unwrap();
        assert_eq!(one.page(&Filter::default(), 1, 10).await.unwrap().1, 2 * minutes - 1);
        // Its clock is a minute behind.
        other.create(&record(&random, now - TimeDelta::minutes(1))).await.unwrap();
        assert_eq!(one.page(&Filter::default(), 1, 10).await.unwrap().1, 2 * minutes, "it was overlooked");
    }
}

#[tokio::test]
async fn records_of_one_moment_have_an_order_that_a_restart_keeps() {
    let (state, random) = (MemoryState::new(), SeededRandom::new(1));
    let records = Records::load(Arc::new(state.clone()), clock()).await.unwrap();
    let moment: DateTime<Utc> = "2022-04-28T08:00:41.5Z".parse().unwrap();
    for number in 0..50 {
        // Not in the order of their times.
        let time = moment + TimeDelta::seconds(i64::from(number % 3));
        assert!(records.create(&record(&random, time)).await.unwrap());
    }
    let all = |records: Vec<Record>| records.into_iter().map(|record| (record.created_at, record.id)).collect::<Vec<_>>();
    let (page, total) = records.page(&Filter::default(), 1, 1000).await.unwrap();
    let page = all(page);
    assert_eq!((page.len(), total), (50, 50));
    assert!(page.is_sorted_by(|a, b| a > b), "{page:?}");
    let again = Records::load(Arc::new(state), clock()).await.unwrap();
    assert_eq!(all(again.page(&Filter::default(), 1, 1000).await.unwrap().0), page);
    let (part, _) = again.page(&Filter::default(), 3, 7).await.unwrap();
    assert_eq!(all(part), page[14..21]);
}
