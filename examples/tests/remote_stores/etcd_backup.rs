use std::fs;
use std::process::Command;

use backup_core::testkit::free_port;

use crate::etcd::{Server, Setup, V3_6, assert_filled, fill, restore, server};
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
        "listen: 127.0.0.1:{port}\nstore: {}\nstate: {{ redb: {} }}\nrotate: 2\netcd: {{ endpoints: [\"{}\"], timeout: 30s }}\n",
        remote.block("etcd-backup"),
        home.join("state.redb").display(),
        etcd.url
    );
    let server = Process::spawn(env!("CARGO_BIN_EXE_etcd-backup"), home, &config, port).serving();
    let mut names = Vec::new();
    for _ in 0..3 {
        let made = server.ask("POST", "/api/v1/backup");
        assert_eq!(made.status, 200, "{made:?}: {}", server.said());
        names.push(made.json()["filename"].as_str().unwrap().to_owned());
    }
    let listed = server.get("/api/v1/backup").json();
    assert_eq!(listed, serde_json::json!(names[1..]), "{}", server.said());
    let name = names.pop().unwrap();
    let served = server.get(&format!("/api/v1/backup/{name}"));
    assert_eq!(served.status, 200, "{served:?}: {}", server.said());
    let said = server.said();
    assert!(remote.secrets().iter().all(|secret| !said.contains(secret)), "a secret in: {said}");
    server.stop();

    // The store's own client and tar are all that a restore needs.
    let file = home.join("fetched.tar.gz");
    remote.fetch("etcd-backup", &name, &file);
    assert!(fs::read(&file).unwrap() == served.body, "the store's own client reads other bytes than the server serves");
    run(Command::new("tar").arg("-xzf").arg(&file).arg("-C").arg(home));
    let (_directory, data) = restore(&fs::read(home.join(name.replace(".tar.gz", ".db"))).unwrap());
    let restored = Server::start(&program, &Setup { fast: true, data: Some(&data), ..Setup::default() }).await;
    assert_filled(&mut restored.client().await, KEYS, SIZE).await;

    backupctl(home, remote, &["verify", "--all"]);
    backupctl(home, remote, &["restore", "etcd", "latest", "--to", "files"]);
    let restored = fs::read_dir(home.join("files")).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    assert!(restored.len() == 1 && fs::read(&restored[0]).unwrap() == served.body, "{restored:?}");
}
