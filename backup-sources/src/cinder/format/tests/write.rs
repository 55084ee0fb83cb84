use backup_core::error::codes as core_codes;
use backup_core::testkit::RecordingSink;

use super::*;
use crate::cinder::format::{Compression, codes};

/// Noise, text, zeros, and an end that is no whole block.
fn volume() -> Vec<u8> {
    let mut volume = noise(1, 3 * B + 77);
    volume.resize(9 * B, b'x');
    volume.resize(30 * B, 0);
    volume.extend(noise(2, B / 2));
    volume.resize(41 * B + 123, 0);
    volume
}

#[tokio::test]
async fn full_backups_are_read_by_others() {
    let volume = volume();
    for compression in [Compression::Zlib, Compression::Zstd, Compression::None] {
        for (object, piece) in [(1, 1000), (4, B), (4, 7 * B + 5), (64, 3 * B)] {
            let options = Options { object_size: object * BLOCK, compression, ..Options::default() };
            let new = new_backup("full", volume.len());
            let (reader, written) = backup(&options, &new, &[], Content::Whole(extents(&volume, piece))).await.unwrap();
            let artifacts = artifacts(&*reader).await;
            let mut restored = vec![1; volume.len()];
            let places = lay(&artifacts, &mut restored);
            assert!(restored == volume, "{compression:?} {object} {piece}");
            let step = object as usize * B;
            let whole: Vec<_> = (0..volume.len()).step_by(step).map(|at| (at, step.min(volume.len() - at))).collect();
            assert_eq!(places, whole);
            assert_eq!((written.changed, written.objects), (volume.len() as u64, places.len() as u64));
            assert_digests(&artifacts, &volume);
            assert!(compression == Compression::None || written.stored < volume.len() as u64 / 3);
        }
    }
}

#[tokio::test]
async fn metadata_is_written_as_python_writes_it() {
    let (reader, _) = backup(&small(), &new_backup("full", B), &[], Content::Whole(extents(&vec![0; B], B))).await.unwrap();
    let artifacts = artifacts(&*reader).await;
    let text = |name: &str| String::from_utf8(artifacts[name].clone()).unwrap();
    let metadata = format!(
        r#"{{
  "backup_description": null,
  "backup_id": "full",
  "backup_name": "nightly \"\u00e9\"",
  "created_at": "2026-11-21 09:30:00+00:00",
  "objects": [
    {{
      "backup-00001": {{
        "compression": "zlib",
        "length": 32768,
        "md5": "bb7df04e1b0a2570657527a7e108ae23",
        "offset": 0
      }}
    }}
  ],
  "parent_id": null,
  "version": "1.0.0",
  "volume_id": "{VOLUME}",
  "volume_meta": "{{\"version\": 2}}"
}}"#
    );
    assert_eq!(text("backup_metadata"), metadata);
    let digests = format!(
        r#"{{
  "backup_description": null,
  "backup_id": "full",
  "backup_name": "nightly \"\u00e9\"",
  "chunk_size": 32768,
  "created_at": "2026-11-21 09:30:00+00:00",
  "sha256s": [
    "c35020473aed1b4642cd726cad727b63fff2824ad68cedd7ffb73c7cbd890479"
  ],
  "version": "1.0.0",
  "volume_id": "{VOLUME}"
}}"#
    );
    assert_eq!(text("backup_sha256file"), digests);
}

#[tokio::test]
async fn incremental_backups_store_what_differs() {
    let old = volume();
    let mut new = old.clone();
    // A whole window, runs within one, across two, at the end, zeros, and a block that was written with what it had.
    new[4 * B..8 * B].copy_from_slice(&noise(3, 4 * B));
    new[9 * B + 5] = 1;
    new[14 * B..17 * B].fill(b'y');
    new[30 * B..31 * B].fill(0);
    *new.last_mut().unwrap() = 9;
    let (full, _) = backup(&small(), &new_backup("full", old.len()), &[], Content::Whole(extents(&old, B))).await.unwrap();
    let changes = || {
        let mut ranges: Vec<(usize, &[u8])> = vec![(2 * B, &new[2 * B..10 * B]), (14 * B, &new[14 * B..17 * B])];
        ranges.extend([(30 * B, &new[30 * B..32 * B]), (41 * B, &new[41 * B..])]);
        data(&ranges)
    };
    let right = [(4 * B, 4 * B), (9 * B, B), (14 * B, 2 * B), (16 * B, B), (30 * B, B), (41 * B, 123)];
    for content in [Content::Whole(extents(&new, 3 * B)), Content::Changed(changes())] {
        let link = new_backup("link", new.len());
        let (reader, written) = backup(&small(), &link, std::slice::from_ref(&full), content).await.unwrap();
        let artifacts = artifacts(&*reader).await;
        let mut restored = old.clone();
        assert_eq!(lay(&artifacts, &mut restored), right);
        assert!(restored == new);
        assert_digests(&artifacts, &new);
        assert_eq!(written.parent_id.as_deref(), Some("full"));
        assert_eq!(written.changed, right.iter().map(|(_, length)| *length as u64).sum::<u64>());
        assert!(written.stored <= written.changed);
        let metadata: Value = serde_json::from_slice(&artifacts["backup_metadata"]).unwrap();
        assert_eq!(metadata["parent_id"], "full");
    }
}

#[tokio::test]
async fn an_unchanged_volume_makes_a_link_without_objects() {
    let old = volume();
    let (full, _) = backup(&small(), &new_backup("full", old.len()), &[], Content::Whole(extents(&old, B))).await.unwrap();
    let link = new_backup("link", old.len());
    let (reader, written) = backup(&small(), &link, &[full], Content::Changed(data(&[]))).await.unwrap();
    assert_eq!(written.objects, 0);
    let artifacts = artifacts(&*reader).await;
    assert!(lay(&artifacts, &mut []).is_empty());
    assert_digests(&artifacts, &old);
}

#[tokio::test]
async fn grown_volumes_and_strange_parents_are_refused() {
    let old = volume();
    let whole = |volume: &[u8]| Content::Whole(extents(volume, B));
    let (full, _) = backup(&small(), &new_backup("full", old.len()), &[], whole(&old)).await.unwrap();
    let parents = [full];
    for size in [old.len() + B, old.len() - B] {
        let mut grown = old.clone();
        grown.resize(size, 0);
        let error = backup(&small(), &new_backup("link", size), &parents, whole(&grown)).await.unwrap_err();
        assert_eq!(*error.code(), codes::GROWN);
    }
    let other = NewBackup { volume_id: "another".to_owned(), ..new_backup("link", old.len()) };
    let error = backup(&small(), &other, &parents, whole(&old)).await.unwrap_err();
    assert_eq!(*error.code(), codes::OTHER_PARENT);
}

#[tokio::test]
async fn extents_out_of_order_are_refused() {
    let (one, two) = (vec![1; B], vec![1; 2 * B]);
    let bad: [&[(usize, &[u8])]; 3] = [&[(B, &one), (0, &one)], &[(0, &two), (B, &one)], &[(9 * B, &two)]];
    for ranges in bad {
        let error = backup(&small(), &new_backup("full", 10 * B), &[], Content::Whole(data(ranges))).await.unwrap_err();
        assert_eq!(*error.code(), codes::CONTENT);
    }
    let (full, _) = backup(&small(), &new_backup("full", 10 * B), &[], Content::Whole(data(&[]))).await.unwrap();
    let unaligned = Content::Changed(data(&[(5, &one)]));
    let error = backup(&small(), &new_backup("link", 10 * B), &[full], unaligned).await.unwrap_err();
    assert_eq!(*error.code(), codes::CONTENT);
}

#[tokio::test]
async fn failures_of_the_sink_and_cancels_end_it() {
    let volume = noise(5, 40 * B);
    for n in [1, 2, 7, 11] {
        let sink = RecordingSink::new();
        sink.fail_close(n, &core_codes::STORE_NO_SPACE);
        let content = Content::Whole(extents(&volume, B));
        let error =
            write_backup(&context(), &sink, &small(), &new_backup("full", volume.len()), None, content).await.unwrap_err();
        assert_eq!(*error.code(), core_codes::STORE_NO_SPACE, "{n}");
        assert!(sink.open_artifacts().is_empty());
    }
    let (sink, cx) = (RecordingSink::new(), context());
    sink.cancel_after(10 * BLOCK, &cx);
    let content = Content::Whole(extents(&volume, B));
    let error = write_backup(&cx, &sink, &small(), &new_backup("full", volume.len()), None, content).await.unwrap_err();
    assert_eq!(*error.code(), core_codes::JOB_CANCELLED);
    assert!(sink.open_artifacts().is_empty());
}
