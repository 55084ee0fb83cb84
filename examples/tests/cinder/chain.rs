//! Backups of ours, restored by Cinder and by us, and Cinder's own on top of them.

use backup_core::repository::VerifyLevel;
use serde_json::json;

use crate::openstack::OpenStack;
use crate::place::{GIB, MIB, Place, Taken, fill};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_ours_is_restored_by_cinder_and_cinder_builds_on_it() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let place = Place::swift(&stack, "chain").await;
    let demo = &place.demo;
    let volume = demo.volume("rbd1", 1).await;
    let image = stack.image(&volume);
    let source = place.source(place.rbd()).volume(&volume).unwrap();

    fill(&stack, &volume, &[(0, 20 * MIB, 1), (100 * MIB + 777, 9 * MIB + 5, 2), (GIB - 4 * MIB, 4 * MIB, 3)]).await;
    let mut expected = vec![stack.digest(&image).await];
    let mut taken: Vec<Taken> = vec![place.backup(&source.keep_snapshot(true), &[]).await.unwrap()];

    // At borders of blocks; then as guests write, over what was zeros, too.
    let steps: [&[(u64, u64, u64)]; 2] = [
        &[(5 * MIB, 64 << 10, 4), (500 * MIB, 3 * MIB, 5), (GIB - (32 << 10), 32 << 10, 6)],
        &[(4096, 4096, 7), (100 * MIB, 2 * MIB, 8), (700 * MIB + 1, 1, 9)],
    ];
    for changed in steps {
        fill(&stack, &volume, changed).await;
        expected.push(stack.digest(&image).await);
        let parent = taken.last().unwrap();
        let next = source.keep_snapshot(true).incremental(parent.reader.clone(), parent.base.as_deref()).unwrap();
        let next = place.backup(&next, &[parent]).await.unwrap();
        assert_eq!(next.written.parent_id.as_ref(), Some(&parent.written.backup_id));
        assert!(next.written.changed < 8 * MIB, "more than what changed: {:?}", next.written);
        taken.push(next);
    }

    let newest = &taken[2].id;
    let report = place.repository.verify(&place.cx(), &place.set, newest, VerifyLevel::Restorable, Some(&source)).await.unwrap();
    assert!(report.is_good(), "{report:?}");
    // By us, each of them.
    for (backup, digest) in taken.iter().zip(&expected) {
        assert_eq!(&place.restored(&source, &backup.id).await, digest, "{}", backup.id);
    }

    // By Cinder, which knows of us nothing but the records: the oldest first.
    for backup in &taken {
        place.import(backup).await;
    }
    let (full, newest) = (demo.volume("rbd1", 1).await, demo.volume("rbd1", 1).await);
    tokio::join!(demo.restore(&taken[0].written.backup_id, &full), demo.restore(&taken[2].written.backup_id, &newest));
    assert_eq!(stack.digest(&stack.image(&full)).await, expected[0], "the full one by Cinder differs");
    assert_eq!(stack.digest(&stack.image(&newest)).await, expected[2], "the second increment by Cinder differs");

    // Cinder's own on top of the newest.
    fill(&stack, &volume, &[(33 * MIB, MIB, 10), (900 * MIB, 100, 11)]).await;
    let last = stack.digest(&image).await;
    let theirs = demo.backup(&volume, true).await;
    let shown = demo.get(&format!("/backups/{theirs}")).await.unwrap();
    assert_eq!(shown["is_incremental"], json!(true), "{shown}");
    demo.restore(&theirs, &newest).await;
    assert_eq!(stack.digest(&stack.image(&newest)).await, last, "Cinder's increment on ours differs");

    // Into a new volume by us.
    let made = place.restore(&source, &taken[2].id, json!({ "new": { "name": "again", "volume-type": "rbd1" } })).await.unwrap();
    let made = made.details["volume-id"].as_str().unwrap().to_owned();
    assert_eq!(stack.digest(&stack.image(&made)).await, expected[2], "the second increment by us differs");
    let shown = demo.get(&format!("/volumes/{made}")).await.unwrap();
    assert_eq!((&shown["name"], &shown["status"], &shown["metadata"]), (&json!("again"), &json!("available"), &json!({})));

    // One snapshot is left, as the base of the next; and nothing when that is no longer wanted.
    let left = place.cinder.leftovers(&place.cx(), &place.owner).await.unwrap();
    assert_eq!(left.iter().map(|left| &left.id).collect::<Vec<_>>(), [taken[2].base.as_ref().unwrap()]);
    place.cinder.remove_leftover(&place.cx(), &left[0]).await.unwrap();
    place.nothing_left(&volume).await;

    demo.remove(&format!("/backups/{theirs}")).await;
    for backup in taken.iter().rev() {
        demo.remove(&format!("/backups/{}", backup.written.backup_id)).await;
    }
    place.remove(&[&volume, &full, &newest, &made]).await;
}
