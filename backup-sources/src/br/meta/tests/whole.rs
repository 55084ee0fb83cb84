//! What other hands wrote is read as it was meant.

use backup_core::Digest;

use super::encoder::{BACKUP_TS, CLUSTER, EARLIER_TS, Laid, content, encode, encryption, tools};
use super::{Found, read};
use crate::br::config::EncryptionMethod::{Aes128Ctr, Aes192Ctr, Aes256Ctr};
use crate::br::{Tso, codes};

async fn whole(laid: &Laid) -> Found {
    let found = read(&laid.files, laid.encryption.as_ref(), 1 << 20).await.unwrap();
    for piece in [1, 7, 113] {
        let again = read(&laid.files, laid.encryption.as_ref(), piece).await.unwrap();
        assert_eq!(again, found, "in pieces of {piece} bytes");
    }
    found
}

/// Every file but the lock is listed, with its size and digest.
fn assert_lists_all(laid: &Laid, (_, listed): &Found) {
    let names: Vec<_> = listed.iter().map(|file| file.name.as_str()).collect();
    let there: Vec<_> = laid.files.keys().map(String::as_str).filter(|name| *name != "backup.lock").collect();
    assert_eq!(names, there);
    for file in listed {
        let bytes = &laid.files[file.name.as_str()];
        assert_eq!((file.size, file.sha256), (Some(bytes.len() as u64), Digest::of(bytes)), "{}", file.name);
    }
}

fn assert_is_the_backup(found: &Found) {
    let meta = &found.0;
    assert_eq!((meta.cluster_id, meta.cluster_version.as_str()), (CLUSTER, "6.5.0"));
    assert_eq!((meta.start_version, meta.end_version), (Tso(0), Tso(BACKUP_TS)));
    assert_eq!(meta.br_version, "BR\nRelease Version: v6.5.0");
    assert_eq!((meta.files, meta.file_bytes), (3, (1..=3).map(|seed| content(seed).len() as u64).sum()));
    assert_eq!((meta.schemas, meta.schemas_without_sums, meta.size), (3, 1, 123_456));
    assert_eq!((meta.file_sums.crc64xor, meta.file_sums.kvs, meta.file_sums.bytes), (14, 60, 600));
    assert_eq!(meta.schema_sums, meta.file_sums);
    assert_eq!(meta.new_collations.as_deref(), Some("True"));
    assert!(meta.is_full() && !meta.is_raw_kv && !meta.is_txn_kv);
    assert_eq!(meta.fault_of_sums(), None);
}

#[tokio::test]
async fn v1_is_read_as_protoc_wrote_it() {
    if !tools() {
        return;
    }
    let laid = Laid::default().v1("");
    let found = whole(&laid).await;
    assert_is_the_backup(&found);
    assert_lists_all(&laid, &found);
    assert_eq!((found.0.layout, found.0.meta_files), (0, 0));
}

#[tokio::test]
async fn v2_is_read_to_its_leaves() {
    if !tools() {
        return;
    }
    let laid = Laid::default().v2("");
    let found = whole(&laid).await;
    assert_is_the_backup(&found);
    assert_lists_all(&laid, &found);
    assert_eq!((found.0.layout, found.0.meta_files), (1, 5));
}

#[tokio::test]
async fn what_openssl_encrypted_is_read() {
    if !tools() {
        return;
    }
    for method in [Aes128Ctr, Aes192Ctr, Aes256Ctr] {
        for laid in [Laid::encrypted(method).v1(""), Laid::encrypted(method).v2("")] {
            let found = whole(&laid).await;
            assert_is_the_backup(&found);
            assert_lists_all(&laid, &found);
        }
    }
}

#[tokio::test]
async fn a_wrong_key_and_none_are_told_apart_from_a_backup() {
    if !tools() {
        return;
    }
    let (other, mut wrong) = (encryption(Aes128Ctr), encryption(Aes256Ctr));
    wrong.key = backup_core::Secret::new("00".repeat(32));
    for laid in [Laid::encrypted(Aes256Ctr).v1(""), Laid::encrypted(Aes256Ctr).v2("")] {
        for key in [None, Some(&other), Some(&wrong)] {
            let error = read(&laid.files, key, 4096).await.unwrap_err();
            assert_eq!(*error.code(), codes::META_DAMAGED, "{error}");
            assert!(error.to_string().contains("`backupmeta`"), "{error}");
        }
    }
    let plain = Laid::default().v1("");
    let error = read(&plain.files, Some(&other), 4096).await.unwrap_err();
    assert_eq!(*error.code(), codes::META_DAMAGED, "{error}");
}

#[tokio::test]
async fn fields_come_in_any_order_and_the_last_one_counts() {
    if !tools() {
        return;
    }
    let mut laid = Laid::default().v1("");
    let late = encode("BackupMeta", &format!("start_version: {EARLIER_TS} cluster_version: \"v7.1.0\" ddls: \"[]\""));
    let early = encode("BackupMeta", "cluster_id: 5 end_version: 1 br_version: \"BR\"");
    let meta = laid.files.get_mut("backupmeta").unwrap();
    *meta = [early, meta.clone(), late].concat();
    let (meta, _) = whole(&laid).await;
    assert_eq!((meta.cluster_id, meta.cluster_version.as_str(), meta.files), (CLUSTER, "v7.1.0", 3));
    assert_eq!((meta.start_version, meta.is_full()), (Tso(EARLIER_TS), false));
}

#[tokio::test]
async fn full_is_what_starts_nowhere_or_at_its_end() {
    if !tools() {
        return;
    }
    for (start, full) in [(0, true), (BACKUP_TS, true), (EARLIER_TS, false)] {
        let (meta, _) = whole(&Laid::default().v1(&format!("start_version: {start}"))).await;
        assert_eq!(meta.is_full(), full, "from {start}");
    }
}

#[tokio::test]
async fn sums_that_contradict_are_told_and_those_that_are_left_out_are_not() {
    if !tools() {
        return;
    }
    let table = |sums: &str| format!("schemas {{ db: \"{{}}\" {sums} }}");
    let mut sst = Laid::default();
    let file = format!("end_version: 9 files {{ {} }}", sst.sst(1));
    for (tables, fault) in [
        (vec!["crc64xor: 2 total_kvs: 10 total_bytes: 100"], false),
        (vec!["crc64xor: 3 total_kvs: 10 total_bytes: 100"], true),
        (vec!["crc64xor: 2 total_kvs: 11 total_bytes: 100"], true),
        (vec!["crc64xor: 2 total_kvs: 9 total_bytes: 90"], true),
        (vec![""], false),
        (vec!["", "crc64xor: 3 total_kvs: 9 total_bytes: 90"], false),
        (vec!["", "crc64xor: 3 total_kvs: 10 total_bytes: 100"], true),
        (vec!["", "crc64xor: 3 total_kvs: 11 total_bytes: 110"], true),
    ] {
        let text: String = tables.iter().map(|sums| table(sums)).collect();
        let (meta, _) = whole(&sst.clone().finish(&format!("{file} {text}"))).await;
        assert_eq!(meta.fault_of_sums().is_some(), fault, "{tables:?}: {:?}", meta.fault_of_sums());
        assert_eq!(meta.size, meta.file_bytes, "no size was told");
    }
}
