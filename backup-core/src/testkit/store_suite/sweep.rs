//! Left-overs of writers that died.

use chrono::TimeDelta;

use super::bench::{Bench, data, key, must, promise};
use super::writer::write_all;
use crate::name::JobId;
use crate::store::{ObjectWriter, SweepOptions, WriteOptions};

impl Bench<'_> {
    /// Sweeps what was last changed before an hour from now (so everything) or an hour ago (so nothing).
    async fn sweep(&self, hours: i64, keep: &[&JobId]) -> u64 {
        let horizon = self.cx.clock().now() + TimeDelta::hours(hours);
        let keep = keep.iter().map(|job| (*job).clone()).collect();
        let report = self.store.sweep(&self.cx, SweepOptions::new(horizon, keep)).await;
        let report = report.unwrap_or_else(|error| panic!("sweep must work: {error}"));
        promise!(report.failed.is_empty(), "nothing can fail here: {report:?}");
        report.removed
    }

    async fn begun(&self, name: &str, owner: &JobId) -> Box<dyn ObjectWriter> {
        let name = key(name);
        let mut writer = self.open_with(&name, WriteOptions::new(owner.clone())).await;
        write_all(&mut writer, &name, &data(1, 6 << 20)).await;
        writer
    }
}

pub(super) async fn sweep_removes_old_left_overs(bench: Bench<'_>) {
    let job = bench.other_job().job().clone();
    drop(bench.begun("left/over", &job).await);
    bench.absent(&key("left/over"), "when its writer was dropped").await;
    let removed = bench.sweep(1, &[]).await;
    bench.unfinished(0, "after a sweep").await;
    if bench.factory.unfinished().await.is_some() {
        promise!(removed >= 1, "sweep must count what it removed");
    }
    bench.absent(&key("left/over"), "after a sweep").await;
    promise!(bench.sweep(1, &[]).await == 0, "a second sweep must find nothing");
    bench.put(&key("left/over"), "the key is free").await;
}

pub(super) async fn sweep_keeps_what_has_an_owner_or_is_young(bench: Bench<'_>) {
    let (owner, nobody) = (bench.other_job().job().clone(), bench.other_job().job().clone());
    let owned = bench.begun("owned", &owner).await;
    promise!(bench.sweep(-1, &[]).await == 0, "sweep must leave what was changed after `older_than`");
    drop(bench.begun("orphan", &nobody).await);
    bench.sweep(1, &[&owner]).await;
    bench.unfinished(1, "after a sweep that keeps one of two owners").await;
    must("finish of a writer whose owner is kept", &key("owned"), owned.finish().await);
    bench.present(&key("owned"), &data(1, 6 << 20), "finished after a sweep that kept its owner").await;
    bench.absent(&key("orphan"), "after a sweep").await;
}

pub(super) async fn sweep_never_touches_objects(bench: Bench<'_>) {
    // Also not objects whose names look like somebody's temporary files.
    let names = ["kept/x", "kept/.tmp-x", "kept/x.tmp", "kept/x.part", ".backup/tmpx", ".tmp/x", "tmp/x", ".uploads/x"];
    for name in names {
        bench.put(&key(name), name.to_owned()).await;
    }
    let mut sorted = names.map(String::from).to_vec();
    sorted.sort();
    promise!(bench.names("", None).await == sorted, "names that look like temporary files are names like others");
    promise!(bench.sweep(1, &[]).await == 0, "sweep must not count objects");
    promise!(bench.names("", None).await == sorted, "sweep must leave every object alone");
}
