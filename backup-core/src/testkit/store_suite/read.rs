//! Reading.

use bytes::Bytes;
use futures::TryStreamExt;

use super::bench::{Bench, data, key, must, promise, refused, same};
use super::writer::write_all;
use crate::error::codes;
use crate::store::ReadOptions;

pub(super) async fn ranges_are_cut_at_the_end(bench: Bench<'_>) {
    let (name, bytes) = (key("ranged"), data(1, 1_000_003));
    let size = bytes.len() as u64;
    let mut writer = bench.open(&name).await;
    write_all(&mut writer, &name, &bytes).await;
    must("finish", &name, writer.finish().await);
    let cuts = [0..1, 0..size, 0..size + 10, 5..5, 1..100_000, 65_536..131_072, size - 1..size, size - 7..u64::MAX];
    for range in cuts {
        let (meta, got) = must(&format!("read {range:?}"), &name, bench.range(&name, range.clone()).await);
        promise!(meta.size == size, "read of {range:?} must tell the size of the whole object {size}, not {}", meta.size);
        let expected = &bytes[range.start as usize..range.end.min(size) as usize];
        same(&got, expected, &format!("the range {range:?}"));
    }
    for start in [size + 1, size + 1_000_000, u64::MAX - 1] {
        let behind = bench.range(&name, start..u64::MAX).await;
        refused(behind, &codes::INPUT_INVALID, &format!("a read that starts at {start}, behind the end at {size}"));
    }
    // Right at the end there is nothing to read; a store may call that nothing or wrong, never something else.
    match bench.range(&name, size..size + 1).await {
        Ok((_, got)) => promise!(got.is_empty(), "a read that starts at the end must be empty, not {} bytes", got.len()),
        Err(error) => drop(refused::<()>(Err(error), &codes::INPUT_INVALID, "a read that starts at the end")),
    }
}

pub(super) async fn what_is_missing_is_not_found(bench: Bench<'_>) {
    bench.put(&key("dir/there"), "x").await;
    // A directory of a file tree is no object.
    for name in ["missing", "dir/missing", "dir", "dir/there/below"] {
        bench.absent(&key(name), "which was never written").await;
    }
    let read = bench.range(&key("missing"), 0..10).await;
    refused(read, &codes::STORE_NOT_FOUND, "a range of a missing object");
}

pub(super) async fn a_body_outlives_its_store_handle(bench: Bench<'_>) {
    let (name, bytes) = (key("long-lived"), data(1, 3 << 20));
    bench.put(&name, bytes.clone()).await;
    let Bench { store, cx, .. } = bench;
    let read = must("read", &name, store.read(&cx, &name, ReadOptions::default()).await);
    drop((store, cx));
    let pieces: Vec<Bytes> = read.body.try_collect().await.unwrap_or_else(|error| panic!("the body must go on: {error}"));
    same(&pieces.concat(), &bytes, "the body read after the handle was dropped");
}

pub(super) async fn a_body_is_whole_or_an_error_when_the_object_is_deleted(bench: Bench<'_>) {
    let bytes = data(1, 4 << 20);
    for round in 0..8 {
        let name = key(&format!("deleted/{round}"));
        bench.put(&name, bytes.clone()).await;
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let (store, cx, name) = (bench.store.clone(), bench.cx.clone(), name.clone());
                tokio::spawn(async move {
                    let read = store.read(&cx, &name, ReadOptions::default()).await?;
                    read.body.try_collect::<Vec<_>>().await
                })
            })
            .collect();
        tokio::task::yield_now().await;
        let report = must("delete", &name, bench.store.delete(&bench.cx, std::slice::from_ref(&name)).await);
        promise!(report.failed.is_empty(), "a delete beside readers must work: {report:?}");
        for reader in readers {
            if let Ok(pieces) = reader.await.expect("read does not panic") {
                same(&pieces.concat(), &bytes, "a body that ends without an error while the object is deleted");
            }
        }
        bench.absent(&name, "after its delete").await;
    }
}
