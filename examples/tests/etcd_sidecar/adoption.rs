//! A directory that the original left is taken over as it is.

use crate::etcd::fill;
use crate::sidecar::Place;
use crate::{name, running};

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_the_original_are_listed_served_and_rotated() {
    let Some(server) = running().await else { return };
    let revision = fill(&mut server.client().await, 3, 10).await;
    let place = Place::new();
    let foreign = [
        "3.6.0_00000000000000ff_etcd.backup.part",
        "lost+found",
        "notes.txt",
        "3.6.0_zz_etcd.backup",
        "tmp/3.6.0_00000000000000ff_etcd.backup",
        "3.6.0_00000000000000fe_etcd.backup/inside",
    ];
    for (file, content) in foreign.iter().zip(0..) {
        place.leave(file, format!("foreign {content}").as_bytes());
    }
    place.leave("3.5.9_0000000000000001_etcd.backup", b"at one");
    place.leave("3.6.0_0000000000000002_etcd.backup", b"at two");

    let sidecar = place.start(&server.url, "max-backups: 2");
    let status = sidecar.get("/v1/status").json();
    assert_eq!((&status["backups"], &status["recentBackup"]["revision"]), (&2.into(), &2.into()));
    let answer = sidecar.get("/v1/backup?etcdVersion=3.6.1");
    assert_eq!((answer.text().as_str(), answer.header("x-etcd-version"), answer.header("x-revision")), ("at two", "3.6.0", "2"));
    assert_eq!(sidecar.get("/v1/backup?etcdVersion=3.5.9&etcdRevision=1").text(), "at one");
    assert_eq!(sidecar.get("/v1/backup?etcdVersion=3.6.0&etcdRevision=254").status, 404);

    sidecar.back_up();
    assert_eq!(sidecar.get("/v1/backup").header("x-revision"), revision.to_string());
    let files = place.files();
    assert!(!files.contains(&"3.5.9_0000000000000001_etcd.backup".to_owned()), "{files:?}");
    assert!(files.contains(&"3.6.0_0000000000000002_etcd.backup".to_owned()) && files.contains(&name(revision)), "{files:?}");
    for (file, content) in foreign.iter().zip(0..) {
        assert_eq!(std::fs::read_to_string(place.files_dir().join(file)).unwrap(), format!("foreign {content}"), "{file}");
    }
}
