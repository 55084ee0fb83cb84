//! A directory that the original program left.

use std::io::Write;
use std::time::Duration;

use crate::etcd_with;
use crate::program::Place;

const HOUR: Duration = Duration::from_secs(3600);

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_the_original_are_listed_served_and_rotated_and_what_is_none_is_left_alone() {
    let Some(etcd) = etcd_with(1).await else { return };
    let place = Place::new(&etcd.url, "rotate: 3");
    let old = |n: u32| format!("snapshot-20181220_02410{n}.db.gz");
    let content = |n: u32| gzip(&n.to_le_bytes().repeat(100_000));
    for n in 1..=3 {
        place.put(&old(n), &content(n), HOUR * (10 - n));
    }
    place.put("snapshot-20181220_030000.db.gz", &content(4)[..200], HOUR);
    place.put("snapshot-20181220_040000.db.gz", &content(5), Duration::from_secs(1));
    let foreign = ["notes.txt", "snapshot-20181220_050000.db", "snapshot-20181220_050000.db.part", "snapshot-x.db.gz"];
    for name in foreign {
        place.put(name, b"not ours", HOUR);
    }
    std::fs::create_dir(place.backups.join("snapshot-20181220_060000.tar.gz")).unwrap();
    std::fs::create_dir(place.backups.join("deeper")).unwrap();
    place.put("deeper/snapshot-20181220_070000.db.gz", &content(6), HOUR);

    let program = place.start();
    assert_eq!(program.names(), [old(1), old(2), old(3)]);
    for n in 1..=3 {
        let answer = program.get(&format!("/api/v1/backup/{}", old(n)));
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/gzip"));
        assert!(answer.body == content(n), "{} is served with other bytes", old(n));
    }
    for name in ["snapshot-20181220_030000.db.gz", "snapshot-20181220_040000.db.gz", "snapshot-20181220_060000.tar.gz"] {
        assert_eq!(program.get(&format!("/api/v1/backup/{name}")).status, 404, "{name}");
    }
    for name in foreign.iter().chain(&["../config.yaml", "%2e%2e%2fconfig.yaml", "deeper/snapshot-20181220_070000.db.gz"]) {
        assert_eq!(program.get(&format!("/api/v1/backup/{name}")).status, 404, "{name}");
    }

    let (first, second) = (program.backup(), program.backup());
    assert_eq!(program.names(), [old(3), first, second]);
    let files = place.files();
    for name in foreign.iter().chain(&["deeper", "snapshot-20181220_040000.db.gz", "snapshot-20181220_060000.tar.gz"]) {
        assert!(files.iter().any(|file| file == name), "{name} is gone");
    }
    assert!(!files.contains(&old(1)) && !files.contains(&old(2)));
}
