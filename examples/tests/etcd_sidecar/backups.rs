//! Backups on request and by themselves.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::etcd::{self, Server, Setup, V3_6, assert_filled, fill};
use crate::http::try_ask;
use crate::sidecar::Place;
use crate::{name, running};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_served_is_restored_by_etcdutl_with_the_hash_check_and_holds_every_key() {
    let Some(server) = running().await else { return };
    let revision = fill(&mut server.client().await, 50, 500).await;
    let place = Place::new();
    let sidecar = place.start(&server.url, "");
    let status = sidecar.back_up();
    assert_eq!((status["revision"].as_u64(), status["version"].as_str()), (Some(revision), Some(V3_6)));
    assert_eq!(place.files(), [name(revision)]);

    let answer = sidecar.get("/v1/backup");
    assert_eq!((answer.header("x-etcd-version"), answer.header("x-revision")), (V3_6, revision.to_string().as_str()));
    assert_eq!(answer.body, std::fs::read(place.files_dir().join(name(revision))).unwrap());
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());
    assert_eq!(sidecar.get(&format!("/v1/backup?etcdVersion={V3_6}&etcdRevision={revision}")).body, answer.body);
    assert_eq!(sidecar.ask("HEAD", "/v1/backup?etcdVersion=3.7.0").status, 200);
    let (_directory, data) = etcd::restore(&answer.body);
    let restored = Server::start(&etcd::server(V3_6).unwrap(), &Setup { data: Some(&data), ..Setup::default() }).await;
    assert_filled(&mut restored.client().await, 50, 500).await;

    let told = sidecar.get("/v1/status").json();
    assert_eq!((&told["recentBackup"], &told["backups"]), (&status, &1.into()));
    assert_eq!(sidecar.get("/v1/nothing").text(), "404 page not found\n");
    let health = sidecar.get("/healthz").json();
    assert_eq!(health["sets"][0]["set"], "etcd/prod");
    assert!(!health["sets"][0]["next_backup_at"].is_null(), "{health}");
    assert!(sidecar.get("/metrics").text().contains("backup_jobs_running"));
    assert!(!sidecar.get("/openapi.json").json()["paths"]["/v1/backupnow"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_store_makes_no_new_file_also_after_a_restart() {
    let Some(server) = running().await else { return };
    let mut client = server.client().await;
    fill(&mut client, 3, 10).await;
    let place = Place::new();
    let sidecar = place.start(&server.url, "");
    let first = sidecar.back_up();
    assert_eq!(sidecar.back_up(), first);
    sidecar.stop();
    let sidecar = place.start(&server.url, "");
    assert_eq!(sidecar.back_up(), first);
    assert_eq!(place.files().len(), 1);
    // Not even with all state lost.
    sidecar.stop();
    let fresh = Place::at(place.files_dir().parent().unwrap().parent().unwrap());
    let sidecar = fresh.start(&server.url, "");
    assert_eq!(sidecar.back_up(), first);
    client.put("one", "more", None).await.unwrap();
    assert_eq!(sidecar.back_up()["revision"].as_u64(), Some(first["revision"].as_u64().unwrap() + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_requests_at_once_make_one_file() {
    let Some(server) = running().await else { return };
    fill(&mut server.client().await, 20, 1000).await;
    let place = Place::new();
    let sidecar = place.start(&server.url, "");
    let port = sidecar.port;
    let asking: Vec<_> = (0..50).map(|_| std::thread::spawn(move || try_ask(port, "GET", "/v1/backupnow").unwrap())).collect();
    let bodies: BTreeSet<_> = asking
        .into_iter()
        .map(|thread| {
            let answer = thread.join().unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
            answer.body
        })
        .collect();
    assert_eq!((bodies.len(), place.files().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_periodic_backup_comes_one_interval_after_the_start_and_old_ones_go() {
    let Some(server) = running().await else { return };
    let mut client = server.client().await;
    let first = fill(&mut client, 3, 10).await;
    let place = Place::new();
    let began = Instant::now();
    let sidecar = place.start(&server.url, "backup-interval-in-second: 1\nmax-backups: 2");
    let mut seen = 0;
    for revision in first..first + 4 {
        while place.files().last() != Some(&name(revision)) {
            assert!(began.elapsed() < Duration::from_secs(30), "{:?}: {}", place.files(), sidecar.said());
            std::thread::sleep(Duration::from_millis(20));
        }
        seen += 1;
        assert!(began.elapsed() >= Duration::from_secs(seen), "{seen} backups after {:?}", began.elapsed());
        client.put("another", "one", None).await.unwrap();
    }
    // Retention comes right after the backup: here it may still be at work.
    while place.files().len() > 2 {
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", place.files());
        std::thread::sleep(Duration::from_millis(20));
    }
    sidecar.stop();
}
