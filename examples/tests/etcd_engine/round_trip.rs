//! Each supported etcd, plain and secured: backed up, skipped, changed, verified, restored by the engine and without it.

use std::path::Path;

use backup_core::repository::{SkipReason, State, VerifyLevel};
use backup_core::{BackupOutcome, Compression, RestoreTarget, Revision};
use backup_sources::etcd::{EtcdConfig, EtcdSource, Packaging};
use etcd_client::Client;
use serde_json::json;
use tempfile::TempDir;

use crate::etcd::{Pki, Server, Setup, V3_4, V3_5, V3_6, V3_7, assert_filled, etcdutl, fill, server, tool};
use crate::{Place, completed, run};

const KEYS: usize = 200;
const SIZE: usize = 3000;
const PASSWORD: &str = "pass word!";

/// How the snapshot is stored, and what its file's name says of it.
const FORMS: [(Packaging, Compression, &str); 3] = [
    (Packaging::Raw, Compression::None, "snapshot.db"),
    (Packaging::Tar, Compression::Gzip, "snapshot.tar.gz"),
    (Packaging::Raw, Compression::Zstd, "snapshot.db.zst"),
];

/// The servers of one version, with or without TLS, client certificates and users.
struct Cluster {
    version: &'static str,
    pki: Option<Pki>,
}

impl Cluster {
    async fn start(&self, data: Option<&Path>) -> Server {
        // 3.4 does not know the flag.
        let setup = Setup { pki: self.pki.as_ref(), data, fast: self.version != V3_4, ..Setup::default() };
        Server::start(&server(self.version).unwrap(), &setup).await
    }

    async fn client(&self, etcd: &Server) -> Client {
        match self.pki {
            Some(_) => etcd.client_as("root", PASSWORD).await,
            None => etcd.client().await,
        }
    }

    fn config(&self, etcd: &Server) -> EtcdConfig {
        let mut config = etcd.config(self.pki.as_ref());
        if self.pki.is_some() {
            config.username = "root".into();
            config.password = PASSWORD.into();
        }
        config
    }

    /// A new member on `data` has every key, and the marker of the moment of its backup.
    async fn assert_restored(&self, data: &Path, marker: &str, what: &str) {
        let etcd = self.start(Some(data)).await;
        let mut client = self.client(&etcd).await;
        assert_filled(&mut client, KEYS, SIZE).await;
        let found = client.get("marker", None).await.unwrap();
        assert_eq!(found.kvs()[0].value_str().unwrap(), marker, "{what}");
    }
}

async fn mark(client: &mut Client, marker: &str) -> u64 {
    let response = client.put("marker", marker, None).await.unwrap();
    response.header().unwrap().revision().try_into().unwrap()
}

async fn round_trip(version: &'static str, secured: bool) {
    let (Some(_), Some(_)) = (server(version), tool("etcdutl")) else { return };
    let cluster = Cluster { version, pki: secured.then(Pki::new) };
    let etcd = cluster.start(None).await;
    let mut client = etcd.client().await;
    fill(&mut client, KEYS, SIZE).await;
    if secured {
        client.user_add("root", PASSWORD, None).await.unwrap();
        client.user_grant_role("root", "root").await.unwrap();
        client.auth_enable().await.unwrap();
        client = cluster.client(&etcd).await;
    }

    let stored = FORMS.map(|(packaging, compression, name)| {
        let mut config = cluster.config(&etcd);
        config.packaging = packaging;
        (Place::new(compression), EtcdSource::new(config).unwrap(), name)
    });
    for marker in ["before", "after"] {
        let revision = mark(&mut client, marker).await;
        for (place, source, name) in &stored {
            backed_up(place, source, name, revision, version).await;
        }
    }
    drop(etcd);

    let [(raw, ..), (tar, source, _), _] = &stored;
    without_the_engine(&cluster, raw).await;
    opened_by_others(tar, source).await;
    for (place, source, name) in &stored {
        let directory = TempDir::new().unwrap();
        let data = directory.path().join("data");
        let newest = place.listed().await.into_iter().max_by(|a, b| a.id.cmp(&b.id)).unwrap();
        let target = RestoreTarget::new(json!({ "data-dir": data, "etcdutl": tool("etcdutl").unwrap() }));
        place.repository.restore(&place.repository.context(), source, place.set(), &newest.id, &target).await.unwrap();
        cluster.assert_restored(&data, "after", name).await;
    }
}

/// A backup of what changed, a verify, and no second backup of what did not.
async fn backed_up(place: &Place, source: &EtcdSource, name: &str, revision: u64, version: &str) {
    let backups = place.listed().await.len();
    let info = completed(place.backup(source).await);
    assert_eq!((info.revision.clone(), info.version.as_deref()), (Some(Revision::exact(revision)), Some(version)));
    assert_eq!(info.state, State::Published);
    assert_eq!(place.file(&info).file_name().unwrap(), name);
    assert_eq!(place.file(&info).metadata().unwrap().len(), info.stored_size);

    let cx = place.repository.context();
    let report = place.repository.verify(&cx, place.set(), &info.id, VerifyLevel::Restorable, Some(source)).await.unwrap();
    assert!(report.is_good(), "{report:?}");
    assert!(report.record.checks.iter().any(|check| check.contains("SHA-256 trailer")), "{report:?}");

    match place.backup(source).await {
        BackupOutcome::Skipped(previous, SkipReason::Unchanged) => assert_eq!(previous.id, info.id),
        other => panic!("an unchanged etcd was not skipped: {other:?}"),
    }
    assert_eq!(place.listed().await.len(), backups + 1);
    place.assert_clean().await;
}

/// The stored file is a snapshot as it lies in the store's directory.
async fn without_the_engine(cluster: &Cluster, place: &Place) {
    let oldest = place.listed().await.into_iter().min_by(|a, b| a.id.cmp(&b.id)).unwrap();
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let output = etcdutl(&["snapshot", "restore"]).arg(place.file(&oldest)).arg("--data-dir").arg(&data).output().unwrap();
    assert!(output.status.success(), "etcdutl refused it: {}", String::from_utf8_lossy(&output.stderr));
    cluster.assert_restored(&data, "before", "the stored file").await;
}

/// GNU tar and python find in the stored file what the engine gives back.
async fn opened_by_others(place: &Place, source: &EtcdSource) {
    let newest = place.listed().await.into_iter().max_by(|a, b| a.id.cmp(&b.id)).unwrap();
    let directory = TempDir::new().unwrap();
    let (file, path) = (place.file(&newest), directory.path().join("engine.db"));
    let target = RestoreTarget::new(json!({ "snapshot-file": path }));
    place.repository.restore(&place.repository.context(), source, place.set(), &newest.id, &target).await.unwrap();
    let snapshot = std::fs::read(path).unwrap();

    assert_eq!(run("tar", &[&"-tzf", &file], directory.path()), b"snapshot.db\n");
    run("tar", &[&"-xzf", &file], directory.path());
    assert!(std::fs::read(directory.path().join("snapshot.db")).unwrap() == snapshot, "GNU tar finds other bytes");

    let script = "import sys, tarfile\n\
        with tarfile.open(sys.argv[1], 'r:gz') as archive:\n\
        \x20   [member] = archive.getmembers()\n\
        \x20   assert member.name == 'snapshot.db' and member.isfile(), member\n\
        \x20   sys.stdout.buffer.write(archive.extractfile(member).read())\n";
    assert!(run("python3", &[&"-c", &script, &file], directory.path()) == snapshot, "python finds other bytes");
}

macro_rules! matrix {
    ($($plain:ident, $secured:ident: $version:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $plain() {
            round_trip($version, false).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $secured() {
            round_trip($version, true).await;
        }
    )*};
}

matrix! {
    etcd_3_4_comes_back_through_the_engine, etcd_3_4_with_tls_and_users_comes_back_through_the_engine: V3_4;
    etcd_3_5_comes_back_through_the_engine, etcd_3_5_with_tls_and_users_comes_back_through_the_engine: V3_5;
    etcd_3_6_comes_back_through_the_engine, etcd_3_6_with_tls_and_users_comes_back_through_the_engine: V3_6;
    etcd_3_7_comes_back_through_the_engine, etcd_3_7_with_tls_and_users_comes_back_through_the_engine: V3_7;
}
