use std::fs;

use backup_core::testkit::free_port;

use crate::etcd::{Server, Setup, V3_6, assert_filled, etcdutl, fill, server};
use crate::place::{Remote, backupctl, run};
use crate::process::Process;
use crate::{KEYS, SIZE};

pub(crate) async fn round_trip(remote: &dyn Remote) {
    let Some(program) = server(V3_6) else { return };
    let etcd = Server::start(&program, &Setup { fast: true, ..Setup::default() }).await;
    fill(&mut etcd.client().await, KEYS, SIZE).await;

    let home = tempfile::tempdir().unwrap();
    let (home, port) = (home.path(), free_port());
    let config = format!(
        "cluster-name: prod\nnamespace: apps\nlisten: 127.0.0.1:{port}\nstore: {}\nstate: {{ redb: {} }}\nmax-backups: 2\n\
         etcd: {{ endpoints: [\"{}\"], timeout: 30s }}\n",
        remote.block("sidecar"),
        home.join("state.redb").display(),
        etcd.url
    );
    let start = || Process::spawn(env!("CARGO_BIN_EXE_etcd-sidecar"), home, &config, port).serving();
    let sidecar = start();
    let made = sidecar.get("/v1/backupnow");
    assert_eq!(made.status, 200, "{made:?}: {}", sidecar.said());
    let served = sidecar.get("/v1/backup");
    assert_eq!(served.status, 200, "{served:?}: {}", sidecar.said());
    let revision = made.json()["revision"].as_u64().unwrap();
    let name = format!("{V3_6}_{revision:016x}_etcd.backup");
    sidecar.stop();

    // The store's own client sees the file under the original's name, byte for byte.
    let level = if remote.is_bucket() { "v1/apps/prod" } else { "v1/prod" };
    let file = home.join("fetched.db");
    remote.fetch("sidecar", &format!("{level}/{name}"), &file);
    assert!(fs::read(&file).unwrap() == served.body, "the store's own client reads other bytes than the server serves");
    run(&mut etcdutl(&["snapshot", "status", file.to_str().unwrap()]));

    // A new process finds it; a changed cluster makes another one, and rotation removes what is too old.
    let sidecar = start();
    assert_eq!(sidecar.get("/v1/status").json()["backups"], 1, "{}", sidecar.said());
    for _ in 0..2 {
        // The same key with the same value: another revision.
        fill(&mut etcd.client().await, 1, SIZE).await;
        let made = sidecar.get("/v1/backupnow");
        assert_eq!(made.status, 200, "{made:?}: {}", sidecar.said());
    }
    assert_eq!(sidecar.get("/v1/status").json()["backups"], 2, "{}", sidecar.said());
    let said = sidecar.said();
    let metrics = sidecar.get("/metrics").text();
    let local = remote.block("sidecar").contains("{ fs:");
    assert_ne!(metrics.contains("backup_remote_calls_total{"), local, "{metrics}");
    assert!(remote.secrets().iter().all(|secret| !said.contains(secret)), "a secret in: {said}");
    sidecar.stop();

    let set = if remote.is_bucket() { "etcd/apps/prod" } else { "etcd/prod" };
    let listed = backupctl(home, remote, &["list", set]);
    assert_eq!(listed["backups"].as_array().unwrap().len(), 2, "{listed}");
    backupctl(home, remote, &["verify", "--all"]);
    let member = home.join("member");
    let utl = crate::etcd::tool("etcdutl").unwrap();
    let restore = ["restore", set, "latest", "--etcd-data-dir", member.to_str().unwrap(), "--etcdutl", utl.to_str().unwrap()];
    backupctl(home, remote, &restore);
    let restored = Server::start(&program, &Setup { fast: true, data: Some(&member), ..Setup::default() }).await;
    assert_filled(&mut restored.client().await, KEYS, SIZE).await;
}
