//! What dead writers leave, and what sweep takes of it.

use std::fs::{File, FileTimes};
use std::time::{Duration, SystemTime};

use backup_core::store::{SweepOptions, WriteOptions};
use backup_core::{Bytes, JobId, Store};
use chrono::{TimeDelta, Utc};

use super::{context, key, new_store, put, unfinished, watched};

#[tokio::test]
async fn old_files_of_dead_jobs_go_and_everything_else_stays() {
    let (dir, store) = new_store();
    let tmp = dir.path().join(".backup/tmp");
    let (dead, alive) = ("0".repeat(32), "1".repeat(32));
    let hex = "0123456789abcdef";
    let old = SystemTime::now() - Duration::from_secs(7200);
    let make = |name: &str, time: SystemTime| {
        File::create(tmp.join(name)).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
    };
    for name in [format!("{dead}.0.{hex}.tmp"), format!("put.{hex}.tmp"), format!("{alive}.1.{hex}.tmp")] {
        make(&name, old);
    }
    make(&format!("{dead}.2.{hex}.tmp"), SystemTime::now());
    let foreign = [
        "notes.txt".to_owned(),
        format!("{dead}.tmp"),
        format!("put.{hex}"),
        "put.x.tmp".to_owned(),
        format!("{dead}..{hex}.tmp"),
    ];
    for name in &foreign {
        make(name, old);
    }
    std::fs::create_dir(tmp.join(format!("put.{}.tmp", "f".repeat(16)))).unwrap();
    let options = SweepOptions::new(Utc::now() - TimeDelta::hours(1), vec![JobId::new(alive.as_str()).unwrap()]);
    let report = store.sweep(&context(), options).await.unwrap();
    assert_eq!((report.removed, report.failed.len()), (2, 0));
    assert_eq!(unfinished(dir.path()).len(), 3 + foreign.len());
    assert!(tmp.join(format!("{alive}.1.{hex}.tmp")).exists() && tmp.join(format!("{dead}.2.{hex}.tmp")).exists());
}

#[tokio::test]
async fn a_dropped_writer_is_invisible_and_swept_by_its_jobs_name() {
    let (dir, store) = new_store();
    let cx = context();
    let mut writer = store.writer(&cx, &key("k"), WriteOptions::new(cx.job().clone())).await.unwrap();
    writer.write(Bytes::from(vec![1; 300_000])).await.unwrap();
    drop(writer);
    assert!(!dir.path().join("k").exists());
    let left = unfinished(dir.path());
    assert!(left[0].file_name().unwrap().to_str().unwrap().starts_with(&format!("{}.", cx.job())), "{left:?}");
    let later = Utc::now() + TimeDelta::hours(1);
    let kept = store.sweep(&cx, SweepOptions::new(later, vec![cx.job().clone()])).await.unwrap();
    assert_eq!((kept.removed, unfinished(dir.path()).len()), (0, 1));
    let swept = store.sweep(&cx, SweepOptions::new(later, Vec::new())).await.unwrap();
    assert_eq!((swept.removed, unfinished(dir.path()).len()), (1, 0));
}

#[tokio::test]
async fn sweep_reports_what_it_could_not_remove_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (store, watched) = watched::open(dir.path());
    put(&store, "k", b"x").await.unwrap();
    for n in 0..3 {
        std::fs::write(dir.path().join(format!(".backup/tmp/put.{n:016x}.tmp")), "x").unwrap();
    }
    watched.state().log.clear();
    watched.state().faults = vec![watched::Fault { call: "unlink", nth: 2, what: watched::What::Fail(rustix::io::Errno::IO) }];
    let later = Utc::now() + TimeDelta::hours(1);
    let report = store.sweep(&context(), SweepOptions::new(later, Vec::new())).await.unwrap();
    assert_eq!((report.removed, report.failed.len(), unfinished(dir.path()).len()), (2, 1, 1));
    assert_eq!(report.failed[0].code().name, "store.io");
}
