//! Several programs at once, each with a store handle of its own, while answers get lost.

use std::sync::Arc;

use backup_core::error::codes;
use backup_core::store::PutOptions;
use backup_core::{Bytes, Store};
use futures::future::join_all;
use tokio::sync::Barrier;

use crate::bench::{Bench, ROOT, context, key, open};
use crate::ganesha::wanted;
use crate::rpc_proxy::{Harm, LINK};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_programs_that_race_for_a_key_exactly_one_wins_and_knows_it_although_answers_get_lost() {
    if !wanted() {
        return;
    }
    let bench = Bench::new().await;
    let config = bench.server.config_over(ROOT, bench.proxy.address.port());
    let mut stores = Vec::new();
    for _ in 0..8 {
        stores.push(Arc::new(open(&config).await.unwrap()));
    }
    for round in 0..6 {
        bench.proxy.plan(|procedure, number| (procedure == LINK && number % 2 == 1).then_some(Harm::LoseAnswer));
        let (start, name) = (Arc::new(Barrier::new(stores.len())), format!("race/{round}"));
        let racers = stores.iter().enumerate().map(|(n, store)| {
            let (store, start, name) = (Arc::clone(store), Arc::clone(&start), key(&name));
            tokio::spawn(async move {
                start.wait().await;
                store.put(&context(), &name, Bytes::from(format!("racer {n}")), PutOptions::if_absent()).await
            })
        });
        let answers: Vec<_> = join_all(racers).await.into_iter().map(Result::unwrap).collect();
        let winners: Vec<_> = answers.iter().enumerate().filter(|(_, answer)| answer.is_ok()).map(|(n, _)| n).collect();
        assert_eq!(winners.len(), 1, "round {round}: {answers:?}");
        assert_eq!(std::fs::read(bench.on_disk(&name)).unwrap(), format!("racer {}", winners[0]).as_bytes());
        for error in answers.into_iter().filter_map(Result::err) {
            assert_eq!(error.code(), &codes::STORE_EXISTS, "{error}");
        }
    }
    assert_eq!(bench.unfinished(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_others_empty_and_remove_is_made_again() {
    if !wanted() {
        return;
    }
    let bench = Bench::new().await;
    let other = open(&bench.server.config(ROOT)).await.unwrap();
    bench.put("dir/below/0", "x").await.unwrap();
    for n in 1..60 {
        let (old, new) = (key(&format!("dir/below/{}", n - 1)), format!("dir/below/{n}"));
        let cx = context();
        let (put, deleted) = tokio::join!(bench.put(&new, "x"), other.delete(&cx, std::slice::from_ref(&old)));
        put.unwrap_or_else(|error| panic!("round {n}: {error}"));
        assert_eq!(deleted.unwrap().deleted, [old]);
        assert_eq!(bench.names().await, [new]);
    }
}
