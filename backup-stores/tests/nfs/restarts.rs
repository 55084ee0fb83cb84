//! A server that is killed and comes back.

use backup_core::Store;
use backup_core::store::ReadOptions;
use futures::TryStreamExt;

use crate::bench::{Bench, collect, data, key};
use crate::ganesha::{Setup, wanted};
use crate::rpc_proxy::{COMMIT, Gate, Harm, LINK, READ, WRITE};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_between_write_and_commit_loses_no_byte() {
    if wanted() {
        killed(Bench::new().await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_even_when_it_comes_back_with_the_verifier_that_it_had() {
    if wanted() {
        killed(Bench::with(Setup { verifiers: false, ..Setup::default() }).await).await;
    }
}

async fn killed(mut bench: Bench) {
    let bytes = data(20 << 20);
    for (n, procedure) in [COMMIT, WRITE, LINK].into_iter().enumerate() {
        let (name, gate) = (format!("killed-{n}"), Gate::default());
        bench.proxy.once(procedure, Harm::Hold(gate.clone()));
        let mut writer = bench.writer(&name).await;
        let body = bytes.clone();
        let writing = tokio::spawn(async move {
            for piece in body.chunks(1 << 20) {
                writer.write(body.slice_ref(piece)).await?;
            }
            writer.finish().await
        });
        gate.reached().await;
        // Killed: what it had in memory of its own is gone. What the kernel has is not, so the bytes are taken away by hand, as a
        // machine that lost its power would do.
        bench.server.kill();
        let kept = if procedure == LINK { bytes.len() as u64 } else { 0 };
        for temp in std::fs::read_dir(bench.on_disk(".backup/tmp")).unwrap() {
            let file = std::fs::OpenOptions::new().write(true).open(temp.unwrap().path()).unwrap();
            file.set_len(kept).unwrap();
        }
        bench.server.run();
        gate.open();
        let meta = writing.await.unwrap().unwrap_or_else(|error| panic!("procedure {procedure}: {error}"));
        assert_eq!(meta.size, bytes.len() as u64);
        let stored = std::fs::read(bench.on_disk(&name)).unwrap();
        let differ: Vec<_> = (0..20).filter(|n| stored[n << 20..(n + 1) << 20] != bytes[n << 20..(n + 1) << 20]).collect();
        assert!(differ.is_empty(), "procedure {procedure}: these mebibytes are others: {differ:?}");
        assert_eq!(bench.unfinished(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_goes_on_where_it_was_when_the_server_was_killed() {
    if !wanted() {
        return;
    }
    let mut bench = Bench::new().await;
    let bytes = data(12 << 20);
    bench.write("long", &bytes).await.unwrap();
    let gate = Gate::default();
    let held = gate.clone();
    bench.proxy.plan(move |procedure, number| (procedure == READ && number == 5).then(|| Harm::Hold(held.clone())));
    let read = bench.store.read(&bench.cx, &key("long"), ReadOptions::default()).await.unwrap();
    let body = tokio::spawn(collect(read));
    gate.reached().await;
    bench.server.kill();
    bench.server.run();
    gate.open();
    assert_eq!(body.await.unwrap().unwrap(), bytes);
    assert!(bench.proxy.count(READ) <= 12 + 4, "{} reads of 12 pieces", bench.proxy.count(READ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_became_shorter_is_an_error_and_no_short_body() {
    if !wanted() {
        return;
    }
    let bench = Bench::new().await;
    bench.write("cut", &data(8 << 20)).await.unwrap();
    let mut read = bench.store.read(&bench.cx, &key("cut"), ReadOptions::default()).await.unwrap();
    std::fs::OpenOptions::new().write(true).open(bench.on_disk("cut")).unwrap().set_len(5 << 20).unwrap();
    let mut got = 0;
    let error = loop {
        match read.body.try_next().await {
            Ok(Some(piece)) => got += piece.len(),
            Ok(None) => panic!("the body ended after {got} bytes without an error"),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("was cut meanwhile") && got <= 8 << 20, "{error}");
}
