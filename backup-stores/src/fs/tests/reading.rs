//! Reading: ranges, pieces, and files that change.

use backup_core::store::ReadOptions;
use backup_core::{Bytes, Error, Result, Store};
use futures::TryStreamExt;

use super::{FsConfig, FsStore, context, key, new_store, put};

const MIB: usize = 1024 * 1024;

async fn read(store: &FsStore, options: ReadOptions) -> Result<Vec<Bytes>> {
    store.read(&context(), &key("k"), options).await?.body.try_collect().await
}

fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|n| (n % 253) as u8).collect()
}

#[tokio::test]
async fn ranges_are_exact_and_cut_at_the_end() {
    let (_dir, store) = new_store();
    let body = bytes(3 * MIB + 5);
    put(&store, "k", &body).await.unwrap();
    let size = body.len() as u64;
    for range in [0..size, 0..0, 1..2, 0..MIB as u64, 5..3 * MIB as u64, size - 1..size + 100, size..size + 1] {
        let pieces = read(&store, ReadOptions::range(range.clone())).await.unwrap();
        let end = range.end.min(size) as usize;
        assert!(pieces.concat() == body[range.start as usize..end], "{range:?}");
    }
    let whole = read(&store, ReadOptions::default()).await.unwrap();
    assert_eq!(whole.iter().map(Bytes::len).collect::<Vec<_>>(), [MIB, MIB, MIB, 5]);
    assert!(whole.concat() == body);
    let error = read(&store, ReadOptions::range(size + 1..size + 2)).await.unwrap_err();
    assert_eq!(error.code().name, "input.invalid");
}

#[tokio::test]
async fn an_empty_object_has_an_empty_body() {
    let (_dir, store) = new_store();
    put(&store, "k", b"").await.unwrap();
    assert_eq!(read(&store, ReadOptions::default()).await.unwrap().concat(), b"");
}

#[tokio::test]
async fn a_file_cut_after_opening_ends_in_an_error_not_in_a_short_body() {
    let (dir, store) = new_store();
    put(&store, "k", &bytes(4 * MIB)).await.unwrap();
    let opened = store.read(&context(), &key("k"), ReadOptions::default()).await.unwrap();
    std::fs::File::options().write(true).open(dir.path().join("k")).unwrap().set_len(MIB as u64 + 7).unwrap();
    let error: Error = opened.body.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.code().name, "store.io");
    assert!(error.to_string().contains(&format!("ends at byte {}", MIB + 7)), "{error}");
}

#[tokio::test]
async fn a_cancelled_job_stops_reading() {
    let (_dir, store) = new_store();
    put(&store, "k", &bytes(4 * MIB)).await.unwrap();
    let cx = context();
    let mut body = store.read(&cx, &key("k"), ReadOptions::default()).await.unwrap().body;
    body.try_next().await.unwrap().unwrap();
    cx.cancel_token().cancel();
    assert_eq!(body.try_next().await.unwrap_err().code().name, "job.cancelled");
}

#[tokio::test]
async fn a_store_opened_for_reading_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("k"), "body").unwrap();
    let store = FsStore::open_read_only(FsConfig::new(dir.path())).unwrap();
    assert_eq!(read(&store, ReadOptions::default()).await.unwrap().concat(), b"body");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    let error = FsStore::open_read_only(FsConfig::new(dir.path().join("missing"))).unwrap_err();
    assert_eq!(error.code().name, "fs.root_unusable");
}
