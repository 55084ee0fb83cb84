use std::collections::BTreeSet;
use std::process::Command;

use crate::etcd::{Server, Setup, V3_6, assert_filled, restore, server, tool};
use crate::program::Place;
use crate::{assert_all_whole, etcd_with};

/// Keys in etcd, of 1 MiB each.
const KEYS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_post_stores_is_listed_served_unpacked_by_other_tools_and_restored_by_etcd() {
    if tool("etcdutl").is_none() {
        return;
    }
    let Some(etcd) = etcd_with(KEYS).await else { return };
    let place = Place::new(&etcd.url, "");
    let program = place.start();
    assert_eq!(program.get("/api/v1/backup").body, b"[]\n");

    let saved = program.post();
    assert_eq!(saved.status, 200, "{saved:?}");
    let saved = saved.json();
    assert_eq!(saved["message"], "backup successfully");
    let name = saved["filename"].as_str().unwrap();
    assert_eq!(program.names(), [name]);

    let download = program.get(&format!("/api/v1/backup/{name}"));
    assert_eq!((download.status, download.header("content-type")), (200, "application/gzip"));
    assert_eq!(download.body.len() as u64, saved["filesize"]);
    assert_eq!(download.body, std::fs::read(place.backups.join(name)).unwrap());
    assert!(download.header("etag").starts_with('"') && download.header("last-modified").ends_with(" GMT"));
    let head = program.ask("HEAD", &format!("/api/v1/backup/{name}"));
    assert_eq!((head.status, head.header("content-length")), (200, download.header("content-length")));

    let archive = place.path().join("downloaded.tar.gz");
    std::fs::write(&archive, &download.body).unwrap();
    let member = name.replace(".tar.gz", ".db");
    let listed = Command::new("tar").arg("tzf").arg(&archive).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&listed.stdout), format!("{member}\n"));
    assert!(Command::new("tar").arg("xzf").arg(&archive).arg("-C").arg(place.path()).status().unwrap().success());
    let snapshot = std::fs::read(place.path().join(&member)).unwrap();
    let script = "import sys, tarfile\n\
                  with tarfile.open(sys.argv[1]) as archive:\n\
                  \x20   member, = archive.getmembers()\n\
                  \x20   assert member.isfile() and member.name == sys.argv[2], member\n\
                  \x20   sys.stdout.buffer.write(archive.extractfile(member).read())\n";
    let python = Command::new("python3").args(["-c", script]).arg(&archive).arg(&member).output().unwrap();
    assert!(python.status.success(), "{}", String::from_utf8_lossy(&python.stderr));
    assert!(python.stdout == snapshot, "Python reads other bytes than GNU tar");

    let (_directory, data) = restore(&snapshot);
    let restored = Server::start(&server(V3_6).unwrap(), &Setup { data: Some(&data), fast: true, ..Setup::default() }).await;
    assert_filled(&mut restored.client().await, KEYS, 1 << 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_posts_at_once_all_succeed_under_names_of_their_own() {
    let Some(etcd) = etcd_with(1).await else { return };
    let place = Place::new(&etcd.url, "");
    let program = place.start();
    let names: BTreeSet<_> = std::thread::scope(|scope| {
        let posts: Vec<_> = (0..8).map(|_| scope.spawn(|| program.backup())).collect();
        posts.into_iter().map(|post| post.join().unwrap()).collect()
    });
    assert_eq!(names.len(), 8);
    assert_eq!(assert_all_whole(&program), names);
}
