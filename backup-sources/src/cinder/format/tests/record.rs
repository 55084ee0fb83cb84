use backup_core::store::NativePlace;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::cinder::format::{Record, codes};

/// A full backup of a GiB and a block that was written to such a place.
async fn at(place: Option<NativePlace>) -> MemoryReader {
    let sink = RecordingSink::new();
    if let Some(place) = &place {
        sink.set_native_place(place.clone());
    }
    let options = Options { object_size: 1 << 28, ..Options::default() };
    let new = new_backup("8d0d1bb2-0f6f-4d4c-9a43-3cf62e9b7ed1", (1 << 30) + B);
    let written = write_backup(&context(), &sink, &options, &new, None, Content::Whole(data(&[]))).await.unwrap();
    let reader = MemoryReader::new("cinder", &Summary::default().integrity(written.integrity().unwrap()), &sink.artifacts());
    match place {
        Some(place) => reader.native_place(place),
        None => reader,
    }
}

fn fields(url: &str) -> Value {
    serde_json::from_slice(&STANDARD.decode(url).unwrap()).unwrap()
}

#[tokio::test]
async fn records_are_as_cinder_takes_them() {
    let reader = at(Some(NativePlace::new("swift", "backups", "sets/one/20261121T093000123Z-1f0c9a2b/"))).await;
    let record = Record::of(&context(), &reader).await.unwrap();
    let (service, url) = record.encode().unwrap();
    assert_eq!(service, "cinder.backup.drivers.swift.SwiftBackupDriver");
    let right = json!({
        "id": "8d0d1bb2-0f6f-4d4c-9a43-3cf62e9b7ed1", "volume_id": VOLUME, "parent_id": null, "display_name": "nightly \"é\"",
        "display_description": null, "container": "backups", "service_metadata": "sets/one/20261121T093000123Z-1f0c9a2b/backup",
        "size": 2, "object_count": 5, "created_at": "2026-11-21T09:30:00Z", "data_timestamp": "2026-11-21T09:30:00Z",
        "num_dependent_backups": 0, "snapshot_id": null, "encryption_key_id": null, "temp_volume_id": null, "temp_snapshot_id": null,
        "restore_volume_id": null, "fail_reason": null, "metadata": {}, "driver_info": {},
    });
    assert_eq!(fields(&url), right);
    assert_eq!(Record::decode(&service, &url).unwrap(), record);
    // Cinder compares whole names with its listing of the container.
    let metadata: Value = serde_json::from_slice(&artifacts(&reader).await["backup_metadata"]).unwrap();
    assert!(metadata["objects"][0].get("sets/one/20261121T093000123Z-1f0c9a2b/backup-00001").is_some());
}

#[tokio::test]
async fn directories_are_containers() {
    for (kind, service) in [("file", "posix.PosixBackupDriver"), ("nfs", "nfs.NFSBackupDriver")] {
        let reader = at(Some(NativePlace::new(kind, "/export/cinder/one/2", ""))).await;
        let record = Record::of(&context(), &reader).await.unwrap();
        assert_eq!(record.backup_service, format!("cinder.backup.drivers.{service}"));
        assert_eq!(
            (record.container.as_deref(), record.service_metadata.as_deref()),
            (Some("/export/cinder/one/2"), Some("backup"))
        );
        assert_eq!(record.clone().below("/export/cinder/").unwrap().container.as_deref(), Some("one/2"));
        assert_eq!(*record.below("/export/cin").unwrap_err().code(), codes::RECORD);
    }
}

#[tokio::test]
async fn what_cinder_would_not_find_has_no_record() {
    assert_eq!(*Record::of(&context(), &at(None).await).await.unwrap_err().code(), codes::RECORD);
    let moved =
        at(Some(NativePlace::new("s3", "bucket", "here/"))).await.native_place(NativePlace::new("s3", "bucket", "there/"));
    assert_eq!(*Record::of(&context(), &moved).await.unwrap_err().code(), codes::RECORD);
    let other = at(Some(NativePlace::new("tape", "one", ""))).await;
    assert_eq!(*Record::of(&context(), &other).await.unwrap_err().code(), codes::RECORD);
}

#[test]
fn times_of_cinder_are_read_with_and_without_zone() {
    let url = |time: &str| {
        STANDARD.encode(
            json!({"id": "a", "display_name": null, "display_description": null, "container": "c", "service_metadata": "p", "size": 1,
                "object_count": 0, "created_at": time, "status": "available", "host": "h"})
            .to_string(),
        )
    };
    for time in ["2026-11-21T09:30:00Z", "2026-11-21T09:30:00", "2026-11-21T09:30:00.000000", "2026-11-21T10:30:00+01:00"] {
        let record = Record::decode("s", &url(time)).unwrap();
        assert_eq!(record.created_at.unwrap().to_rfc3339(), "2026-11-21T09:30:00+00:00");
        assert_eq!(record.other["host"], "h");
    }
    assert!(Record::decode("s", &url("yesterday")).is_err());
}

proptest! {
    #[test]
    fn whatever_comes_as_record_is_refused_or_written_again(url in "[A-Za-z0-9+/=]{0,200}", id in ".{0,20}", size: i64) {
        prop_assert!(Record::decode("s", &url).is_err());
        let record = json!({"id": id, "display_name": id, "display_description": null, "container": "c", "service_metadata": "p",
            "size": size, "object_count": 0});
        let decoded = Record::decode("s", &STANDARD.encode(record.to_string()));
        let good = !id.is_empty() && id.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-') && size >= 0;
        prop_assert_eq!(decoded.is_ok(), good);
        if let Ok(record) = decoded {
            let (service, url) = record.encode().unwrap();
            prop_assert_eq!(Record::decode(&service, &url).unwrap(), record);
        }
    }
}

#[test]
fn long_records_are_refused() {
    assert!(Record::decode("s", &"A".repeat(2 << 20)).is_err());
}
