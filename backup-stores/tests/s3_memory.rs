//! Big objects in bounded memory, up and down: alone in its process, for it looks at the peak of the whole process.
#![cfg(feature = "s3")]
#![allow(clippy::unwrap_used, reason = "test helpers stand outside of the test functions")]

#[path = "support/ministack.rs"]
mod ministack;

use std::sync::Arc;

use backup_core::event::TracingObserver;
use backup_core::store::{ListOptions, ReadOptions, WriteOptions};
use backup_core::{Bytes, Environment, JobContext, KeyPrefix, ObjectKey};
use backup_stores::StoreConfig;
use futures::TryStreamExt;
use ministack::Ministack;
use serde_json::json;

const MIB: u64 = 1 << 20;

/// The sizes of the objects, without and with a hint: 1 GiB and a quarter of it, 5 GiB each with `BACKUP_TEST_LONG=1`.
fn sizes() -> [u64; 2] {
    let long = std::env::var_os("BACKUP_TEST_LONG").is_some_and(|value| value == "1");
    if long { [5120 * MIB; 2] } else { [1024 * MIB, 256 * MIB] }
}

fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// Forgets the peak.
fn reset_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_big_object_goes_up_and_down_within_64_mib_above_idle() {
    // One that keeps objects as files.
    let Some(server) = Ministack::durable() else { return };
    let bucket = server.bucket(false);
    let cx = JobContext::new(Environment::default(), Arc::new(TracingObserver));
    let config: StoreConfig = serde_json::from_value(json!({ "s3": server.block(&bucket, "p") })).unwrap();
    let store = config.open(&cx).await.unwrap();
    let _: Vec<_> = store.list(&cx, &KeyPrefix::root(), ListOptions::default()).try_collect().await.unwrap();

    let [unknown, known] = sizes();
    for (size, hint) in [(unknown, None), (known, Some(known))] {
        let key = ObjectKey::new(format!("big/{}", hint.is_some())).unwrap();
        reset_peak();
        let idle = status("VmRSS:");
        let mut writer = store.writer(&cx, &key, WriteOptions::new(cx.job().clone()).size_hint(hint)).await.unwrap();
        for _ in 0..size / MIB {
            // Each piece is memory of its own, as a source's is.
            writer.write(Bytes::from(vec![7; MIB as usize])).await.unwrap();
        }
        assert_eq!(writer.finish().await.unwrap().size, size);
        let up = status("VmHWM:").saturating_sub(idle) / MIB;
        reset_peak();
        let mut read = store.read(&cx, &key, ReadOptions::default()).await.unwrap();
        let mut bytes = 0;
        while let Some(piece) = read.body.try_next().await.unwrap() {
            assert!(piece.iter().step_by(4093).all(|byte| *byte == 7));
            bytes += piece.len() as u64;
        }
        assert_eq!(bytes, size);
        let down = status("VmHWM:").saturating_sub(idle) / MIB;
        println!("{} MiB, hint {hint:?}: {up} MiB above idle up, {down} MiB down", size / MIB);
        assert!(up < 64 && down < 64, "hint {hint:?}: {up} MiB above idle up, {down} MiB down");
        store.delete(&cx, &[key]).await.unwrap().into_result().unwrap();
    }
}
