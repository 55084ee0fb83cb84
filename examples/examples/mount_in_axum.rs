//! The two etcd dialects inside of an app that has routes of its own, over a source of its own.
//!
//! `cargo run -p backup-examples --example mount_in_axum`, then `curl localhost:8080/`,
//! `curl localhost:8080/v1/backupnow`, `curl -XPOST localhost:8080/api/v1/backup`. A test runs it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use backup_core::environment::SystemClock;
use backup_core::source::{ArtifactOptions, Probe, Sink, Source, Summary};
use backup_core::{ArtifactName, BackupService, Bytes, JobContext, Repository, Result, Revision, SetName, Store, async_trait};
use backup_http::etcd_backup::{self, EtcdBackup, SnapshotNaming, TimestampedSource};
use backup_http::etcd_sidecar::{self, EtcdSidecar, SidecarNaming};
use backup_http::server::{Server, ServerConfig};
use backup_stores::fs::{FsConfig, FsStore};
use backup_stores::redb::RedbState;
use tokio_util::sync::CancellationToken;

/// What stands for the database of this daemon. Over a real etcd it would be `backup_sources::etcd::EtcdSource`.
#[derive(Debug)]
struct Database {
    artifact: String,
}

impl Database {
    fn named(artifact: impl Into<String>) -> Arc<dyn Source> {
        Arc::new(Self { artifact: artifact.into() })
    }
}

#[async_trait]
impl Source for Database {
    fn kind(&self) -> &str {
        "database"
    }

    async fn probe(&self, cx: &JobContext) -> Result<Probe> {
        cx.check()?;
        Ok(Probe::default().identity("the one").revision(Revision::exact(7)).version("3.6.15"))
    }

    async fn capture(&self, cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        let mut writer = sink.artifact(&ArtifactName::new(self.artifact.as_str())?, ArtifactOptions::default()).await?;
        cx.run(writer.write(Bytes::from_static(b"everything that is in it"))).await?;
        writer.close().await?;
        Ok(Summary::default().revision(Revision::exact(7)))
    }
}

fn store(path: &Path) -> Result<Arc<dyn Store>> {
    Ok(Arc::new(FsStore::open(FsConfig::new(path))?))
}

/// The daemon's own app, with the two dialects in it. Each has a directory of its own; one service looks after both.
async fn app(home: &Path) -> Result<Router> {
    let naming = SidecarNaming::in_directory("prod")?;
    let repository = Repository::builder(store(&home.join("sidecar"))?).naming(Arc::new(naming.clone())).build();
    let cluster = etcd_sidecar::target(repository, Database::named("snapshot.db"), &naming, 7);

    let naming = SnapshotNaming::new(Arc::new(SystemClock));
    let repository = Repository::builder(store(&home.join("etcd-backup"))?).naming(Arc::new(naming)).build();
    let source = TimestampedSource::new(|name| Ok(Database::named(format!("{name}.tar"))))?;
    let snapshots = etcd_backup::target(repository, source, SetName::new("snapshots")?, 14);

    let state = Arc::new(RedbState::open(home.join("state.redb"))?);
    let service = BackupService::builder(state).target(cluster.clone()).target(snapshots.clone()).start().await?;

    Ok(Router::new()
        .route("/", get(|| async { "a daemon with backups\n" }))
        .merge(etcd_sidecar::router(EtcdSidecar::new(service.clone(), cluster)))
        .merge(etcd_backup::router(EtcdBackup::new(service, snapshots)))
        .layer(etcd_backup::access_log()))
}

/// Serves until the token is cancelled. `axum::serve` would do as well: a router knows nothing of its server.
async fn serve(home: &Path, address: &str, stop: CancellationToken, listening: impl FnOnce(SocketAddr)) -> Result<()> {
    let app = app(home).await?;
    let server = Server::bind(ServerConfig::new(address)).await?;
    listening(server.local_addr());
    server.run(app, stop, Duration::from_secs(10)).await;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let stop = CancellationToken::new();
    let on_interrupt = stop.clone();
    tokio::spawn(async move {
        let _ = tokio::signal::ctrl_c().await;
        on_interrupt.cancel();
    });
    serve(Path::new("demo-daemon"), "127.0.0.1:8080", stop, |address| println!("http://{address}")).await
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;

    use super::*;

    async fn ask(address: SocketAddr, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn both_dialects_work_beside_the_routes_of_the_daemon() {
        let home = tempfile::tempdir().unwrap();
        let (stop, (send, listening)) = (CancellationToken::new(), oneshot::channel());
        let (path, token) = (home.path().to_owned(), stop.clone());
        let serving = tokio::spawn(async move { serve(&path, "127.0.0.1:0", token, |at| send.send(at).unwrap()).await });
        let address = listening.await.unwrap();

        assert!(ask(address, "GET", "/").await.ends_with("a daemon with backups\n"));
        let made = ask(address, "GET", "/v1/backupnow").await;
        assert!(made.starts_with("HTTP/1.1 200") && made.contains(r#""revision":7,"version":"3.6.15""#), "{made}");
        assert!(ask(address, "GET", "/v1/backup").await.ends_with("everything that is in it"));
        let made = ask(address, "POST", "/api/v1/backup").await;
        assert!(made.starts_with("HTTP/1.1 200") && made.contains("backup successfully"), "{made}");
        let listed = ask(address, "GET", "/api/v1/backup").await;
        assert!(listed.contains("[\"snapshot-") && listed.ends_with(".tar.gz\"]\n"), "{listed}");

        stop.cancel();
        serving.await.unwrap().unwrap();
    }
}
