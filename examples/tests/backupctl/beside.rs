//! The program beside a backup that is being made by another process.

use std::sync::Arc;

use backup_core::source::{ArtifactOptions, Probe, Sink, Source, Summary};
use backup_core::{ArtifactName, BackupRequest, Bytes, JobContext, Result, async_trait};
use tokio::sync::Notify;

use crate::bench::{Bench, set};

/// Writes one half, says so, and waits to be told before it writes the other.
#[derive(Debug, Default)]
struct Halting {
    half: Notify,
    go_on: Notify,
}

#[async_trait]
impl Source for Halting {
    fn kind(&self) -> &str {
        "halting"
    }

    async fn probe(&self, _: &JobContext) -> Result<Probe> {
        Ok(Probe::default())
    }

    async fn capture(&self, _: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        let mut writer = sink.artifact(&ArtifactName::new("data")?, ArtifactOptions::default()).await?;
        writer.write(Bytes::from_static(b"first ")).await?;
        self.half.notify_one();
        self.go_on.notified().await;
        writer.write(Bytes::from_static(b"second")).await?;
        writer.close().await?;
        Ok(Summary::default())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_verb_works_beside_a_running_backup_and_does_it_no_harm() {
    let bench = Arc::new(Bench::new());
    let ids = bench.back_up_often("vm", 3).await;
    let source = Arc::new(Halting::default());
    let running = tokio::spawn({
        let (bench, source) = (Arc::clone(&bench), Arc::clone(&source));
        async move {
            let cx = bench.repository.context();
            bench.repository.backup(&cx, &*source, &BackupRequest::new(set("vm"))).await
        }
    });
    source.half.notified().await;

    let list = bench.run(&["list", "vm", "--json"]).code(0).json();
    assert_eq!(list["backups"].as_array().unwrap().len(), 3, "the unfinished one is seen");
    bench.run(&["verify", "--all"]).code(0);
    bench.run(&["pin", "vm", ids[0].as_str()]).code(0);
    bench.run(&["prune", "vm", "--keep-last", "1", "--yes"]).code(0);
    bench.run(&["rebuild"]).code(0);
    let janitor = bench.run(&["janitor", "--yes", "--json"]).code(0).json();
    assert_eq!(
        (janitor["open"].as_array().unwrap().len(), &janitor["aborted"], &janitor["unfinished"]),
        (1, &serde_json::json!([]), &0.into())
    );

    source.go_on.notify_one();
    let made = running.await.unwrap().unwrap().backup().id.clone();
    let ended = bench.run(&["restore", "vm", "latest", "--to", "-"]).code(0);
    assert_eq!(ended.out, b"first second");
    let list = bench.run(&["list", "vm", "--json"]).code(0).json();
    let there: Vec<_> = list["backups"].as_array().unwrap().iter().map(|info| info["id"].as_str().unwrap()).collect();
    assert_eq!(there, [ids[0].as_str(), ids[2].as_str(), made.as_str()]);
}
