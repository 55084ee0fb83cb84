//! Volumes that go back to a snapshot.

use super::*;

/// The stage, and whether the volume has gone back afterwards; otherwise it is what it was.
const STAGES: [(Stop, bool); 11] = [
    (at(AtCinder, "POST", "/volumes/{volume}/metadata", When::Before), false),
    (at(AtCinder, "POST", "/volumes/{volume}/metadata", When::Heard), true),
    (at(AtCinder, "POST", "/attachments", When::Unheard), true),
    (at_rbd(At::Before), true),
    (at_rbd(At::After), true),
    // The second one says that it is done.
    (at(AtCinder, "POST", "/volumes/{volume}/metadata", When::Before).nth(2), true),
    (at(AtCinder, "POST", "/volumes/{volume}/metadata", When::Heard).nth(2), true),
    (at(AtCinder, "DELETE", "/attachments/", When::Before), true),
    (at(AtCinder, "DELETE", "/attachments/", When::Heard), true),
    // Half of our mark is gone.
    (at(AtCinder, "DELETE", "owner", When::Before), true),
    (at(AtCinder, "DELETE", "owner", When::Heard), true),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rollback_that_is_killed_at_any_stage_is_done_or_not_begun() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let site = Site::new(&stack).await;
    let volumes = site.volumes(STAGES.len()).await;
    let snapshots = join_all(volumes.iter().map(async |volume| {
        let snapshot = site.witness.snapshot(volume).await;
        stack.write(volume, &[(0, b"later"), (200 << 20, &[3; 5000])]).await;
        snapshot
    }))
    .await;
    let before = stack.digest(&stack.image(&volumes[0])).await;
    let wanted = stack.digest(&format!("{}@snapshot-{}", stack.image(&volumes[0]), snapshots[0])).await;
    let server = site.place.start();
    let demo = site.demo(&server).await;
    let back = |index: usize| json!({ "rollback": { "snapshot_id": snapshots[index] } });
    let stops: Vec<Stop> = STAGES.iter().map(|stage| stage.0).collect();
    let order = |index| demo.asking("POST", format!("/volume/{}/action", volumes[index]), back(index));
    let orders = site.stopped((&server, &demo), &stops, &volumes, order).await;
    demo.told(409, "POST", &format!("/volume/{}/action", volumes[0]), &back(0));
    let server = site.killed(server);

    for order in orders {
        assert!(order.await.unwrap().is_none(), "it was not told that it is done");
    }
    join_all(STAGES.iter().enumerate().map(async |(index, (stop, done))| {
        let volume = &volumes[index];
        site.quiet(volume, &snapshots[index..=index]).await;
        let found = stack.digest(&stack.image(volume)).await;
        assert_eq!(found, if *done { wanted } else { before }, "{stop:?}");
    }))
    .await;
    site.only_bases(&[]).await;
    // And again.
    for (index, volume) in volumes.iter().enumerate() {
        demo.told(201, "POST", &format!("/volume/{volume}/action"), &back(index));
    }
    assert_eq!(stack.digest(&stack.image(&volumes[0])).await, wanted);
    site.removed(server, &volumes).await;
}
