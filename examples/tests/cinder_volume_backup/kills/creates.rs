//! Full and incremental backups.

use super::*;

/// The stage, whether the backup is incremental, and whether it is there afterwards.
const STAGES: [(Stop, bool, bool); 11] = [
    (at(AtCinder, "POST", "/snapshots", When::Before), false, false),
    (at(AtCinder, "POST", "/snapshots", When::Unheard), false, false),
    (at(AtSwift, "PUT", "backup-00003", When::Before), false, false),
    (at(AtSwift, "PUT", "backup_metadata", When::Before), false, false),
    // The snapshot is removed before the backup is published.
    (at(AtCinder, "DELETE", "/snapshots/", When::Before), false, false),
    (at(AtCinder, "DELETE", "/snapshots/", When::Heard), false, false),
    // It becomes the base of the next one.
    (at(AtCinder, "POST", "/snapshots/", When::Before), true, false),
    (at(AtSwift, "PUT", SET, When::Before), true, false),
    (at(AtSwift, "PUT", "v-{volume}/", When::Before), false, false),
    (at(AtSwift, "PUT", SET, When::Heard), true, true),
    (at(AtSwift, "PUT", SET, When::Heard), false, true),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_create_that_is_killed_at_any_stage_is_a_whole_backup_or_an_error() {
    let Some(stack) = OpenStack::wanted().await else { return };
    side_by_side(STAGES.iter().map(|stage| killed(&stack, stage))).await;
}

async fn killed(stack: &OpenStack, (stop, incremental, there): &(Stop, bool, bool)) {
    let site = Site::new(stack).await;
    let volumes = site.volumes(1).await;
    let volume = &volumes[0];
    let server = site.place.start();
    let demo = site.demo(&server).await;
    let order = |_| demo.back_up(volume, *incremental);
    let id = site.stopped((&server, &demo), &[*stop], &volumes, order).await.remove(0);
    let server = site.killed(server);

    let path = format!("/volume/backup/{id}");
    let backup = demo.over(&path).await;
    let (status, links) = if *there { ("active", 1) } else { ("error", 0) };
    assert_eq!((&backup["status"], &backup["links"]), (&json!(status), &json!(links)), "{stop:?}: {backup}");
    let interrupted = backup["fail_reason"].as_str().is_some_and(|why| why.contains("interrupted"));
    assert_eq!(interrupted, !there, "{stop:?}: {backup}");
    let base = backup["snapshot_id"].as_str().unwrap().to_owned();
    assert_eq!(!base.is_empty(), *incremental && *there, "{stop:?}: {backup}");
    let bases: Vec<String> = Some(base).filter(|base| !base.is_empty()).into_iter().collect();
    site.quiet(volume, &bases).await;
    site.only_bases(&bases).await;
    assert_eq!(site.published(&demo, volume).await, links, "{stop:?}");

    // The volume is free.
    let mut paths = vec![path];
    if !there {
        paths.push(format!("/volume/backup/{}", demo.back_up(volume, true)));
        demo.active(&paths[1]).await;
    }
    for path in paths {
        demo.told(201, "DELETE", &path, &NOTHING);
        demo.gone(&path).await;
    }
    site.only_bases(&[]).await;
    site.removed(server, &volumes).await;
}
