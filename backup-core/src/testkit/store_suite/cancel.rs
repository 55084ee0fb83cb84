//! Jobs that were cancelled or ran out of time.

use std::time::Duration;

use futures::TryStreamExt;

use super::bench::{Bench, data, key, must, promise, refused};
use super::writer::write_all;
use crate::context::JobContext;
use crate::error::{Code, codes};
use crate::key::KeyPrefix;
use crate::store::{ListOptions, PutOptions, ReadOptions, SweepOptions, WriteOptions};

/// Nothing that an ended job asks for is done.
async fn no_effect(bench: &Bench<'_>, ended: &JobContext, code: &Code) {
    let (store, kept, new) = (&bench.store, key("kept"), key("new"));
    bench.put(&kept, "x").await;
    let mut left = bench.open(&key("left")).await;
    write_all(&mut left, &key("left"), &data(1, 100)).await;

    let put = store.put(ended, &new, "x".into(), PutOptions::if_absent()).await;
    refused(put, code, "put in an ended job");
    let writer = store.writer(ended, &new, WriteOptions::new(ended.job().clone())).await;
    refused(writer, code, "opening a writer in an ended job");
    let delete = store.delete(ended, std::slice::from_ref(&kept)).await;
    match delete {
        Ok(report) => promise!(report.deleted.is_empty() && report.missing.is_empty(), "delete in an ended job: {report:?}"),
        Err(error) => drop(refused::<()>(Err(error), code, "delete in an ended job")),
    }
    let horizon = bench.cx.clock().now() + chrono::TimeDelta::hours(1);
    let sweep = store.sweep(ended, SweepOptions::new(horizon, vec![])).await;
    promise!(!matches!(&sweep, Ok(report) if report.removed > 0), "sweep in an ended job must remove nothing: {sweep:?}");

    refused(store.head(ended, &kept).await, code, "head in an ended job");
    let read = async { store.read(ended, &kept, ReadOptions::default()).await?.body.try_collect::<Vec<_>>().await };
    refused(read.await, code, "read in an ended job");
    let listed = store.list(ended, &KeyPrefix::root(), ListOptions::default()).try_collect::<Vec<_>>().await;
    refused(listed, code, "list in an ended job");

    bench.absent(&new, "which only an ended job wanted to write").await;
    bench.present(&kept, b"x", "which only an ended job wanted to delete").await;
    must("finish", &key("left"), left.finish().await);
    bench.unfinished(0, "after calls in an ended job").await;
}

pub(super) async fn a_cancelled_job_has_no_effect(bench: Bench<'_>) {
    let ended = bench.other_job();
    ended.cancel_token().cancel();
    no_effect(&bench, &ended, &codes::JOB_CANCELLED).await;
}

pub(super) async fn an_expired_job_has_no_effect(bench: Bench<'_>) {
    let ended = bench.other_job().with_limit(Duration::ZERO);
    no_effect(&bench, &ended, &codes::JOB_DEADLINE).await;
}

pub(super) async fn a_writer_can_be_aborted_after_a_cancel(bench: Bench<'_>) {
    for size in [100, (6 << 20) + 5] {
        let (name, cx) = (key(&format!("cancelled/{size}")), bench.other_job());
        let options = WriteOptions::new(cx.job().clone());
        let mut writer = must("writer", &name, bench.store.writer(&cx, &name, options).await);
        write_all(&mut writer, &name, &data(1, size)).await;
        cx.cancel_token().cancel();
        must("abort after a cancel", &name, writer.abort().await);
        bench.absent(&name, "after a cancel and an abort").await;
        bench.unfinished(0, "after a cancel and an abort").await;
    }
    // A finish that begins after the cancel publishes nothing.
    let (name, cx) = (key("cancelled/finish"), bench.other_job());
    let options = WriteOptions::new(cx.job().clone());
    let mut writer = must("writer", &name, bench.store.writer(&cx, &name, options).await);
    write_all(&mut writer, &name, &data(1, 100)).await;
    cx.cancel_token().cancel();
    refused(writer.finish().await, &codes::JOB_CANCELLED, "finish after a cancel");
    bench.absent(&name, "after a finish in a cancelled job").await;
    bench.unfinished(0, "after a finish that says that nothing happened").await;
}
