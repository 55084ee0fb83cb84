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
    let site = Site::new(&stack).await;
    let volumes = site.volumes(STAGES.len()).await;
    let server = site.place.start();
    let demo = site.demo(&server).await;
    let stops: Vec<Stop> = STAGES.iter().map(|stage| stage.0).collect();
    let ids = site.stopped((&server, &demo), &stops, &volumes, |index| demo.back_up(&volumes[index], STAGES[index].1)).await;
    let server = site.killed(server);

    let bases = join_all(STAGES.iter().zip(&ids).zip(&volumes).map(async |((stage, id), volume)| {
        let (stop, incremental, there) = stage;
        let backup = demo.over(&format!("/volume/backup/{id}")).await;
        let (status, links) = if *there { ("active", 1) } else { ("error", 0) };
        assert_eq!((&backup["status"], &backup["links"]), (&json!(status), &json!(links)), "{stop:?}: {backup}");
        let interrupted = backup["fail_reason"].as_str().is_some_and(|why| why.contains("interrupted"));
        assert_eq!(interrupted, !there, "{stop:?}: {backup}");
        let base = backup["snapshot_id"].as_str().unwrap().to_owned();
        assert_eq!(!base.is_empty(), *incremental && *there, "{stop:?}: {backup}");
        let bases: Vec<String> = Some(base).filter(|base| !base.is_empty()).into_iter().collect();
        site.quiet(volume, &bases).await;
        assert_eq!(site.published(&demo, volume).await, links, "{stop:?}");
        bases
    }))
    .await;
    site.only_bases(&bases.concat()).await;

    // The volumes are free: those without a whole backup get one, all are removed.
    let again = STAGES.iter().zip(&volumes).filter(|((_, incremental, there), _)| *incremental && !there);
    let again: Vec<String> = again.map(|(_, volume)| demo.back_up(volume, true)).collect();
    for id in &again {
        demo.active(&format!("/volume/backup/{id}")).await;
    }
    join_all(ids.iter().chain(&again).map(async |id| {
        let path = format!("/volume/backup/{id}");
        demo.told(201, "DELETE", &path, &NOTHING);
        demo.gone(&path).await;
    }))
    .await;
    site.only_bases(&[]).await;
    site.removed(server, &volumes).await;
}
