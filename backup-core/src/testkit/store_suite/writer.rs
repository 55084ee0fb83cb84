//! Big objects.

use bytes::Bytes;
use futures::FutureExt;

use super::bench::{Bench, data, key, must, promise, refused, same, skipped};
use crate::error::codes;
use crate::key::ObjectKey;
use crate::store::{ObjectMeta, ObjectWriter, StoreExt, WriteOptions};

/// Lengths of the pieces that bodies are written in: tiny, odd, empty, bigger than a part of S3.
const PIECES: [usize; 6] = [1, 65_537, 0, 999_983, 13, 5 << 20];

pub(super) async fn write_all(writer: &mut Box<dyn ObjectWriter>, name: &ObjectKey, bytes: &Bytes) {
    let (mut rest, mut lengths) = (bytes.clone(), PIECES.into_iter().cycle());
    while !rest.is_empty() {
        let piece = rest.split_to(lengths.next().unwrap_or(1).min(rest.len()));
        must("write", name, writer.write(piece).await);
    }
}

async fn finish(writer: Box<dyn ObjectWriter>, name: &ObjectKey) -> ObjectMeta {
    must("finish", name, writer.finish().await)
}

pub(super) async fn a_writer_is_invisible_until_finished(bench: Bench<'_>) {
    let (name, bytes) = (key("a/b/big"), data(1, (6 << 20) + 1));
    let mut writer = bench.open(&name).await;
    bench.absent(&name, "when its writer was just opened").await;
    write_all(&mut writer, &name, &bytes).await;
    bench.absent(&name, "before its writer is finished").await;
    promise!(bench.names("", None).await.is_empty(), "an unfinished write must not be listed under any name");
    finish(writer, &name).await;
    bench.present(&name, &bytes, "after its writer finished").await;
    bench.unfinished(0, "after a finish").await;
}

pub(super) async fn written_bytes_are_the_object(bench: Bench<'_>) {
    let sizes = [0, 1, (1 << 20) - 1, (5 << 20) + 3, 13 << 20];
    for (seed, size) in sizes.into_iter().enumerate() {
        // A hint is a hint: it may be missing or wrong.
        let bytes = data(seed as u64, size);
        for hint in [None, Some(size as u64), Some(7), Some(64 << 20)] {
            let name = key(&format!("size/{size}/{}", hint.map_or("none".into(), |hint| hint.to_string())));
            let options = WriteOptions::new(bench.cx.job().clone()).size_hint(hint);
            let mut writer = bench.open_with(&name, options).await;
            write_all(&mut writer, &name, &bytes).await;
            let meta = finish(writer, &name).await;
            promise!(meta.size == size as u64, "finish of {name} must answer the size {size}, not {}", meta.size);
            promise!(meta.key == name, "finish of {name} must answer its key, not {}", meta.key);
            bench.present(&name, &bytes, "after finish").await;
        }
    }
}

pub(super) async fn a_writer_with_if_absent_never_replaces(bench: Bench<'_>) {
    let name = key("taken");
    let mut writer = bench.open(&name).await;
    write_all(&mut writer, &name, &data(1, 100)).await;
    bench.put(&name, "first").await;
    refused(writer.finish().await, &codes::STORE_EXISTS, "finish with if_absent of a key taken meanwhile");
    bench.present(&name, b"first", "after a refused finish").await;
    bench.unfinished(0, "after a refused finish").await;

    // The key was taken before: the store may say so when the writer is opened, or at its finish.
    let options = WriteOptions::new(bench.cx.job().clone());
    let late = match bench.store.writer(&bench.cx, &name, options).await {
        Ok(mut writer) => {
            let _ = writer.write(data(2, 100)).await;
            writer.finish().await.map(drop)
        }
        Err(error) => Err(error),
    };
    refused(late, &codes::STORE_EXISTS, "a writer with if_absent on a taken key");
    same(&bench.get(&name).await, b"first", "after a refused writer the object");
}

pub(super) async fn abort_leaves_nothing(bench: Bench<'_>) {
    for size in [0, 100, (6 << 20) + 5] {
        let name = key(&format!("aborted/{size}"));
        let mut writer = bench.open(&name).await;
        write_all(&mut writer, &name, &data(1, size)).await;
        must("abort", &name, writer.abort().await);
        bench.absent(&name, "after an abort").await;
        bench.unfinished(0, "after an abort").await;
        bench.put(&name, "the key is free again").await;
    }
}

pub(super) async fn writers_are_independent(bench: Bench<'_>) {
    let names = [key("pair/a"), key("pair/b"), key("pair/c")];
    let bytes = [data(1, 3 << 20), data(2, 3 << 20), data(3, 3 << 20)];
    let mut writers = Vec::new();
    for name in &names {
        writers.push(bench.open(name).await);
    }
    for at in 0..3 {
        for (writer, bytes) in writers.iter_mut().zip(&bytes) {
            must("write", &names[0], writer.write(bytes.slice(at << 20..(at + 1) << 20)).await);
        }
    }
    let (last, abandoned, first) = (writers.pop(), writers.pop(), writers.pop());
    must("abort", &names[1], abandoned.expect("three writers").abort().await);
    finish(last.expect("three writers"), &names[2]).await;
    finish(first.expect("three writers"), &names[0]).await;
    bench.present(&names[0], &bytes[0], "beside another aborted writer").await;
    bench.absent(&names[1], "after its abort beside other writers").await;
    bench.present(&names[2], &bytes[2], "beside another aborted writer").await;
}

pub(super) async fn a_dropped_write_latches_the_writer(bench: Bench<'_>) {
    let name = key("latched");
    let mut writer = bench.open(&name).await;
    let mut dropped = false;
    for seed in 0..8 {
        // Polled once: an answer at once means that nothing was left to drop.
        if writer.write(data(seed, 8 << 20)).now_or_never().is_none() {
            dropped = true;
            break;
        }
    }
    if !dropped {
        must("abort", &name, writer.abort().await);
        return skipped("a_dropped_write_latches_the_writer", "this store's writes never wait");
    }
    let again = writer.write(data(9, 10)).await;
    promise!(again.is_err(), "a write after a dropped write must fail: nobody knows what the dropped one wrote");
    let finished = writer.finish().await;
    promise!(finished.is_err(), "finish after a dropped write must fail: nobody knows what the dropped one wrote");
    bench.absent(&name, "after a dropped write").await;
}

pub(super) async fn what_is_finished_is_there_for_a_new_process(bench: Bench<'_>) {
    let (name, bytes) = (key("durable/big"), data(1, (5 << 20) + 3));
    let mut writer = bench.open(&name).await;
    write_all(&mut writer, &name, &bytes).await;
    finish(writer, &name).await;
    bench.put(&key("durable/small"), "small").await;
    let mut left = bench.open(&key("durable/left")).await;
    write_all(&mut left, &key("durable/left"), &bytes).await;
    let Some(store) = bench.factory.reopen().await else {
        return skipped("what_is_finished_is_there_for_a_new_process", "the factory does not reopen stores");
    };
    drop(left);
    let opened = Bench { store, cx: bench.other_job(), factory: bench.factory };
    opened.present(&name, &bytes, "for a new process").await;
    opened.present(&key("durable/small"), b"small", "for a new process").await;
    opened.absent(&key("durable/left"), "for a new process, never finished").await;
    let missing = opened.store.get_opt(&opened.cx, &key("durable/none"), 1).await;
    promise!(matches!(missing, Ok(None)), "a new process must not find what was never written: {missing:?}");
}
