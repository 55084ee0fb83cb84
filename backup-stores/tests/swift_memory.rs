//! Memory does not grow with the object: alone in its process, for it looks at the peak of the whole process.
#![cfg(feature = "swift")]
#![allow(clippy::unwrap_used, reason = "test helpers stand outside of the test functions")]

#[path = "support/openstack.rs"]
mod openstack;

use std::time::Instant;

use backup_core::store::{ReadOptions, WriteOptions};
use backup_core::{Bytes, ObjectKey, Store};
use backup_remote::http::http::Method;
use futures::TryStreamExt;
use openstack::{OpenStack, context};

const MIB: u64 = 1 << 20;

/// 1 GiB, 5 GiB with `BACKUP_TEST_LONG=1`: both many times what a writer may hold.
fn size() -> u64 {
    if std::env::var_os("BACKUP_TEST_LONG").is_some() { 5 << 30 } else { 1024 * MIB }
}

fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_goes_up_and_down_in_less_than_64_mib_above_idle() {
    let Some(openstack) = OpenStack::wanted().await else { return };
    let (container, cx) = (openstack.container("memory"), context());
    let store = openstack.store(&openstack.config(&container)).await;
    let key = ObjectKey::new("sparse").unwrap();
    let options = WriteOptions::new(cx.job().clone());
    assert!(store.writer_memory(None) <= 42 * MIB && store.writer_memory(Some(size())) <= 42 * MIB);
    let (idle, started) = (status("VmRSS:"), Instant::now());
    let mut writer = store.writer(&cx, &key, options).await.unwrap();
    for _ in 0..size() / MIB {
        // A piece of memory for each, as a source that reads has it.
        writer.write(Bytes::from(vec![0; MIB as usize])).await.unwrap();
    }
    assert_eq!(writer.finish().await.unwrap().size, size());
    let up = (status("VmHWM:").saturating_sub(idle) / MIB, started.elapsed());
    let mut read = store.read(&cx, &key, ReadOptions::default()).await.unwrap();
    let mut got = 0;
    while let Some(piece) = read.body.try_next().await.unwrap() {
        got += piece.len() as u64;
    }
    assert_eq!(got, size());
    let above = status("VmHWM:").saturating_sub(idle) / MIB;
    println!(
        "{} MiB: up with {} MiB above idle in {:?}, down with {above} MiB in {:?}",
        size() / MIB,
        up.0,
        up.1,
        started.elapsed() - up.1
    );
    assert!(above < 64, "{above} MiB above idle after {} MiB of data", size() / MIB);
    store.delete(&cx, &[key]).await.unwrap();
    openstack.raw(Method::DELETE, &format!("/{container}"), &[], "").await;
}
