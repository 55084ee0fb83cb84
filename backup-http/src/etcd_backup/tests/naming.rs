use std::time::Duration;

use backup_core::naming::Naming;
use backup_core::testkit::{VirtualClock, test_environment};
use backup_core::{Compression, ObjectKey, ObjectMeta, SetName};
use chrono::{DateTime, TimeDelta, Utc};

use crate::etcd_backup::SnapshotNaming;
use crate::etcd_backup::naming::file_name;

fn adopted(clock: &VirtualClock, name: &str, size: u64, modified: Option<DateTime<Utc>>) -> Option<(String, DateTime<Utc>)> {
    let naming = SnapshotNaming::new(std::sync::Arc::new(clock.clone()));
    let object = ObjectMeta::new(ObjectKey::new(name).unwrap(), size).modified(modified);
    let found = naming.adopt(&SetName::new("etcd").unwrap(), &object)?;
    assert_eq!((found.compression, &found.revision), (Compression::Gzip, &None));
    Some((found.artifact.to_string(), found.created_at))
}

#[test]
fn only_whole_names_with_a_real_time_directly_in_the_root_are_names() {
    for good in ["snapshot-20181220_024105.tar.gz", "snapshot-20240229_235959.db.gz"] {
        assert_eq!(file_name(&ObjectKey::new(good).unwrap()), Some(good));
    }
    for bad in [
        "snapshot-20181220_024105.tar",
        "snapshot-20181220_024105.tar.gz.part",
        "snapshot-20181220_024105.db",
        "snapshot-20181220_024105.db.part",
        "snapshot-20181320_024105.tar.gz",
        "snapshot-20190229_024105.tar.gz",
        "snapshot-20181220_024160.tar.gz",
        "snapshot-20181220_2410505.tar.gz",
        "snapshot-+0181220_024105.tar.gz",
        "snapshot-２018122_024105.tar.gz",
        "Snapshot-20181220_024105.tar.gz",
        "snapshot-.db.gz",
        "snapshot-x.db.gz",
        "sub/snapshot-20181220_024105.tar.gz",
        "notes",
    ] {
        assert_eq!(file_name(&ObjectKey::new(bad).unwrap()), None, "{bad}");
    }
}

#[test]
fn a_file_of_the_original_is_dated_by_its_last_change_and_an_archive_by_its_name() {
    let (_, clock) = test_environment(1);
    let changed = "2026-11-21T08:00:00Z".parse().unwrap();
    assert_eq!(
        adopted(&clock, "snapshot-20261121_170000.db.gz", 100, Some(changed)),
        Some(("snapshot-20261121_170000.db".into(), changed))
    );
    assert_eq!(
        adopted(&clock, "snapshot-20261120_070000.tar.gz", 100, Some(changed)),
        Some(("snapshot-20261120_070000.tar".into(), "2026-11-20T07:00:00Z".parse().unwrap()))
    );
    // No name makes a file younger than it is: it would never be rotated away.
    let forged = adopted(&clock, "snapshot-99991231_235959.tar.gz", 100, Some(changed));
    assert_eq!(forged, Some(("snapshot-99991231_235959.tar".into(), changed)));
}

#[test]
fn what_may_still_be_written_is_not_taken_over() {
    let (_, clock) = test_environment(1);
    let now = backup_core::Clock::now(&*clock);
    let name = "snapshot-20261121_070000.db.gz";
    assert_eq!(adopted(&clock, name, 100, Some(now - TimeDelta::seconds(59))), None);
    assert_eq!(adopted(&clock, name, 100, Some(now + TimeDelta::seconds(5))), None, "from the future");
    assert_eq!(adopted(&clock, name, 100, None), None, "of unknown age");
    assert_eq!(adopted(&clock, name, 19, Some(now - TimeDelta::seconds(60))), None, "too short for gzip");
    clock.advance(Duration::from_secs(1));
    assert!(adopted(&clock, name, 100, Some(now - TimeDelta::seconds(59))).is_some());
}
