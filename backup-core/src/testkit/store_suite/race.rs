//! Many at once on one key.

use bytes::Bytes;
use futures::future::join_all;
use std::sync::Arc;
use tokio::sync::Barrier;

use super::bench::{Bench, data, key, promise, refused, same, skipped};
use crate::error::{Error, codes};
use crate::store::{ObjectMeta, PutOptions, WriteOptions};

const RACERS: usize = 16;

/// Exactly one answer is `Ok`; the bytes are that one's; the others were refused.
async fn one_wins(bench: &Bench<'_>, answers: Vec<Result<ObjectMeta, Error>>, bodies: &[Bytes], what: &str) {
    let winners: Vec<_> = answers.iter().enumerate().filter(|(_, answer)| answer.is_ok()).map(|(n, _)| n).collect();
    promise!(winners.len() == 1, "of {RACERS} racing {what} exactly one must win, not {}", winners.len());
    same(&bench.get(&key("race")).await, &bodies[winners[0]], &format!("the object of the one {what} that won"));
    for answer in answers.into_iter().filter(Result::is_err) {
        refused(answer, &codes::STORE_EXISTS, &format!("a losing one of racing {what}"));
    }
}

pub(super) async fn one_of_many_racing_puts_wins(bench: Bench<'_>) {
    if !bench.store.capabilities().conditional_create {
        return skipped("one_of_many_racing_puts_wins", "the store says that it cannot decide races");
    }
    let bodies: Vec<_> = (0..RACERS).map(|n| data(n as u64, 10_000 + n)).collect();
    let start = Arc::new(Barrier::new(RACERS));
    let racers = bodies.clone().into_iter().map(|body| {
        let (store, cx, start) = (bench.store.clone(), bench.other_job(), start.clone());
        tokio::spawn(async move {
            start.wait().await;
            store.put(&cx, &key("race"), body, PutOptions::if_absent()).await
        })
    });
    let answers = join_all(racers).await.into_iter().map(|racer| racer.expect("put does not panic")).collect();
    one_wins(&bench, answers, &bodies, "puts").await;
}

pub(super) async fn one_of_many_racing_writers_wins(bench: Bench<'_>) {
    if !bench.store.capabilities().conditional_create {
        return skipped("one_of_many_racing_writers_wins", "the store says that it cannot decide races");
    }
    let bodies: Vec<_> = (0..RACERS).map(|n| data(n as u64, 100_000 + n)).collect();
    let start = Arc::new(Barrier::new(RACERS));
    let racers = bodies.clone().into_iter().map(|body| {
        let (store, cx, start) = (bench.store.clone(), bench.other_job(), start.clone());
        tokio::spawn(async move {
            let opened = store.writer(&cx, &key("race"), WriteOptions::new(cx.job().clone())).await;
            let written = match opened {
                Ok(mut writer) => writer.write(body).await.map(|()| writer),
                Err(error) => Err(error),
            };
            // Everybody comes here, also who failed.
            start.wait().await;
            written?.finish().await
        })
    });
    let answers = join_all(racers).await.into_iter().map(|racer| racer.expect("a writer does not panic")).collect();
    one_wins(&bench, answers, &bodies, "writers").await;
    bench.unfinished(0, "after a race").await;
}
