//! Memory does not grow with the data: alone in its process, for it looks at the peak of the whole process.
#![cfg(all(feature = "nfs", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "test helpers stand outside of the test functions")]

#[path = "support/ganesha.rs"]
mod ganesha;

use backup_core::store::{PutOptions, ReadOptions, WriteOptions};
use backup_core::testkit::test_context;
use backup_core::{Bytes, Environment, ObjectKey, Store};
use backup_stores::OpenOptions;
use backup_stores::nfs::NfsStore;
use futures::TryStreamExt;
use ganesha::{Ganesha, wanted};

const MIB: u64 = 1 << 20;

/// 1 GiB, 8 GiB with `BACKUP_TEST_LONG=1`: both many times what a writer may hold.
fn size() -> u64 {
    if std::env::var_os("BACKUP_TEST_LONG").is_some() { 8192 * MIB } else { 1024 * MIB }
}

/// The memory in use, or its peak since the last reset.
fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

fn reset() -> u64 {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    memory("VmRSS")
}

/// A piece of its own each time, so that one that is kept is seen.
fn piece(number: u64) -> Bytes {
    vec![(number % 251) as u8 + 1; MIB as usize].into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_of_any_size_needs_what_a_writer_says_and_less_to_read() {
    if !wanted() {
        return;
    }
    let server = Ganesha::start();
    let cx = test_context(&Environment::default());
    let store = NfsStore::open(&cx, &server.config("memory"), &OpenOptions::default()).await.unwrap();
    let name = ObjectKey::new("big").unwrap();
    // Warm: the runtime's and the store's code are not the data's memory.
    store.put(&cx, &ObjectKey::new("small").unwrap(), piece(0), PutOptions::if_absent()).await.unwrap();

    let before = reset();
    let options = WriteOptions::new(cx.job().clone()).size_hint(Some(size()));
    let mut writer = store.writer(&cx, &name, options).await.unwrap();
    for number in 0..size() / MIB {
        writer.write(piece(number)).await.unwrap();
    }
    assert_eq!(writer.finish().await.unwrap().size, size());
    let (up, said) = (memory("VmHWM").saturating_sub(before), store.writer_memory(Some(size())));
    // What the allocator keeps for later is nobody's.
    assert!(up < said + 8 * MIB && said < 32 * MIB, "writing took {} MiB, and the store said {}", up / MIB, said / MIB);

    let before = reset();
    let mut body = store.read(&cx, &name, ReadOptions::default()).await.unwrap().body;
    let mut read = 0;
    while let Some(bytes) = body.try_next().await.unwrap() {
        assert_eq!(bytes.first(), piece(read / MIB).first());
        read += bytes.len() as u64;
    }
    assert_eq!(read, size());
    let down = memory("VmHWM").saturating_sub(before);
    assert!(down < 24 * MIB, "reading took {} MiB", down / MIB);
    println!("{} MiB: writing took {} MiB (said {}), reading {} MiB", size() / MIB, up / MIB, said / MIB, down / MIB);
}
