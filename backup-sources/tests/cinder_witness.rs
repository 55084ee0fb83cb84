//! The witnesses of the tests on a real Cinder tell the truth: about data they wrote themselves, and Cinder's own backups.
#![cfg(feature = "cinder")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/openstack.rs"]
mod openstack;

use backup_core::testkit::SeededRandom;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openstack::{OpenStack, property};
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;

#[tokio::test]
async fn what_is_written_into_a_volume_changes_it_and_not_its_snapshots() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let demo = stack.as_demo().await;
    let volume = demo.volume("rbd1", 1).await;
    let image = stack.image(&volume);
    let random = SeededRandom::new(7);
    stack.write(&volume, &[(0, &random.bytes(100_000)), (900 * MIB + 5, &random.bytes(100_000))]).await;
    let before = stack.digest(&image).await;
    let snapshot = demo.snapshot(&volume).await;
    stack.write(&volume, &[(500 * MIB, b"changed")]).await;
    assert_ne!(stack.digest(&image).await, before);
    assert_eq!(stack.digest(&format!("{image}@snapshot-{snapshot}")).await, before);
    demo.remove(&format!("/snapshots/{snapshot}")).await;
    demo.remove(&format!("/volumes/{volume}")).await;
}

#[tokio::test]
async fn cinder_takes_in_a_record_and_restores_it_bit_equal() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let (demo, admin) = (stack.as_demo().await, stack.as_admin().await);
    let volume = demo.volume("rbd1", 1).await;
    stack.write(&volume, &[(MIB, &SeededRandom::new(8).bytes(3_000_000))]).await;
    let written = stack.digest(&stack.image(&volume)).await;
    let backup = demo.backup(&volume, false).await;

    let exported = admin.cinder(&["backup-export", &backup]).await;
    let (service, url) = (property(&exported, "backup_service").unwrap(), property(&exported, "backup_url").unwrap());
    // Under its own id Cinder has it already.
    let mut record: Value = serde_json::from_slice(&STANDARD.decode(url).unwrap()).unwrap();
    let (start, end) = backup.split_at(1);
    record["id"] = json!(format!("{}{end}", if start == "0" { "1" } else { "0" }));
    let imported = admin.import(&service, &STANDARD.encode(record.to_string())).await;

    let restored = demo.volume("rbd1", 1).await;
    demo.restore(&imported, &restored).await;
    assert_eq!(stack.digest(&stack.image(&restored)).await, written);
    assert_eq!(demo.openstack(&["volume", "show", &restored]).await["status"], "available");
    for backup in [imported, backup] {
        demo.remove(&format!("/backups/{backup}")).await;
    }
    demo.remove(&format!("/volumes/{volume}")).await;
    demo.remove(&format!("/volumes/{restored}")).await;
}
