//! The sidecar is killed, again and again, and told to end in the middle.

use std::time::{Duration, Instant};

use backup_core::Hasher;
use rustix::process::Signal;

use crate::etcd::{V3_6, fill};
use crate::http::{Answer, try_ask};
use crate::sidecar::Place;
use crate::{name, running};
use backup_remote::testkit::{ConnectionFault, FaultyProxy, Gate, Harm, Which};

/// The database has the digest that etcd sent behind it.
fn assert_whole(answer: &Answer) {
    let (data, trailer) = answer.body.split_at(answer.body.len() - 32);
    let mut hasher = Hasher::new();
    hasher.update(data);
    assert_eq!(hasher.finish().as_bytes(), trailer, "the backup is not whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_during_backups_it_lists_and_serves_only_whole_ones_at_once() {
    let Some(server) = running().await else { return };
    let rounds = if std::env::var_os("BACKUP_TEST_LONG").is_some() { 100 } else { 25 };
    let mut client = server.client().await;
    let mut revision = fill(&mut client, 40, 100_000).await;
    let place = Place::new();
    let mut sidecar = place.start(&server.url, "");
    sidecar.back_up();
    let (mut published, mut newest, mut cut) = (1, revision, 0);
    for round in 0..rounds {
        revision = u64::try_from(client.put("one", "more", None).await.unwrap().header().unwrap().revision()).unwrap();
        let port = sidecar.port;
        let asking = std::thread::spawn(move || try_ask(port, "GET", "/v1/backupnow"));
        // From before the job begins until after it has ended.
        std::thread::sleep(Duration::from_millis(round * 7 % 175));
        sidecar.signal(Signal::KILL);
        sidecar.wait();
        let answered = asking.join().unwrap().is_some_and(|answer| answer.status == 200);
        cut += u64::from(!answered);

        sidecar = place.start(&server.url, "");
        let status = sidecar.get("/v1/status").json();
        let (count, latest) = (status["backups"].as_u64().unwrap(), status["recentBackup"]["revision"].as_u64().unwrap());
        // Told of, it is there; killed before the answer it is there or not, but nothing else is.
        assert!((published + u64::from(answered)..=published + 1).contains(&count), "{count} after {published}: {answered}");
        assert_eq!(latest, if count > published { revision } else { newest });
        let answer = sidecar.get("/v1/backup");
        assert_eq!(answer.header("x-revision"), latest.to_string());
        assert_whole(&answer);
        (published, newest) = (count, latest);
    }
    assert!(cut > 0, "no kill came before the answer");
    let status = sidecar.back_up();
    assert_eq!(status["revision"].as_u64(), Some(revision));
    assert_eq!(sidecar.back_up(), status);
    assert_whole(&sidecar.get("/v1/backup"));
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_end_during_a_backup_it_finishes_it() {
    let Some(server) = running().await else { return };
    let revision = fill(&mut server.client().await, 40, 20_000).await;
    let gate = Gate::default();
    let proxy = FaultyProxy::tcp(&server.url).await;
    let harm = Harm::Hold { after: 100_000, gate: gate.clone() };
    proxy.connections(Which::all(), ConnectionFault::ToClient(harm));
    let place = Place::new();
    let sidecar = place.start(&proxy.url(), "");
    let port = sidecar.port;
    let asking = std::thread::spawn(move || try_ask(port, "GET", "/v1/backupnow"));
    gate.reached().await;
    sidecar.signal(Signal::TERM);
    let began = Instant::now();
    while !sidecar.said().contains("stopping") {
        assert!(began.elapsed() < Duration::from_secs(10), "{}", sidecar.said());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(try_ask(port, "GET", "/v1/status").is_none(), "it accepts requests while it ends");
    gate.open();
    let answer = asking.join().unwrap().unwrap();
    assert_eq!(answer.json()["revision"].as_u64(), Some(revision));
    assert!(sidecar.wait().success());
    assert_eq!(place.files(), [name(revision)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_end_during_a_backup_that_does_not_it_cancels_it_cleanly() {
    let Some(server) = running().await else { return };
    fill(&mut server.client().await, 40, 20_000).await;
    let gate = Gate::default();
    let proxy = FaultyProxy::tcp(&server.url).await;
    let harm = Harm::Hold { after: 100_000, gate: gate.clone() };
    proxy.connections(Which::all(), ConnectionFault::ToClient(harm));
    let place = Place::new();
    let sidecar = place.start(&proxy.url(), "shutdown-grace: 1s");
    let port = sidecar.port;
    let asking = std::thread::spawn(move || try_ask(port, "GET", "/v1/backupnow"));
    gate.reached().await;
    sidecar.signal(Signal::TERM);
    assert!(sidecar.wait().success());
    let answer = asking.join().unwrap().unwrap();
    assert!(answer.status == 500 && answer.text().starts_with("write snapshot failed: "), "{answer:?}");
    assert_eq!(place.files(), Vec::<String>::new());
    let sidecar = place.start(&server.url, "");
    assert_eq!(sidecar.get("/v1/status").text(), "{\"backups\":0,\"backupSize\":0}\n");
    assert_eq!(sidecar.back_up()["version"], V3_6);
}
