//! Updates and removals.

use super::*;

/// The stage of an update, and whether the next point is there afterwards.
const UPDATES: [(Stop, bool); 7] = [
    (at(AtCinder, "POST", "/snapshots", When::Unheard), false),
    (at(AtSwift, "PUT", "backup-00001", When::Before), false),
    (at(AtCinder, "POST", "/snapshots/", When::Before), false),
    (at(AtSwift, "PUT", SET, When::Before), false),
    (at(AtSwift, "PUT", SET, When::Heard), true),
    // The base before this one.
    (at(AtCinder, "DELETE", "/snapshots/", When::Before), true),
    (at(AtCinder, "DELETE", "/snapshots/", When::Heard), true),
];

const REMOVALS: [Stop; 4] = [
    // Its intention, its manifest, its data, its base.
    at(AtSwift, "PUT", "v-{volume}/", When::Before),
    at(AtSwift, "DELETE", SET, When::Before),
    at(AtSwift, "DELETE", "v-{volume}/", When::Heard),
    at(AtCinder, "DELETE", "/snapshots/", When::Before),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_update_or_removal_that_is_killed_at_any_stage_is_done_or_not_begun() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let site = Site::new(&stack).await;
    let volumes = site.volumes(UPDATES.len() + REMOVALS.len()).await;
    let server = site.place.start();
    let demo = site.demo(&server).await;
    let ids = site.backed_up(&demo, &volumes).await;
    let paths: Vec<String> = ids.iter().map(|id| format!("/volume/backup/{id}")).collect();
    let old: Vec<Value> = paths.iter().map(|path| demo.shown(path)["snapshot_id"].clone()).collect();
    for volume in &volumes {
        stack.write(volume, &[(500 << 20, &[2; 70_000])]).await;
    }
    let stops: Vec<Stop> = UPDATES.iter().map(|stage| stage.0).chain(REMOVALS).collect();
    site.stopped((&server, &demo), &stops, &volumes, |index| match index < UPDATES.len() {
        true => demo.told(201, "POST", &format!("{}/action", paths[index]), &json!({ "update": {} })),
        false => demo.told(201, "DELETE", &paths[index], &NOTHING),
    })
    .await;
    let server = site.killed(server);

    let removed = paths.iter().zip(&volumes).skip(UPDATES.len()).map(async |(path, volume)| {
        demo.gone(path).await;
        site.quiet(volume, &[]).await;
        assert_eq!(site.published(&demo, volume).await, 0, "{path}");
    });
    let updated = UPDATES.iter().zip(&paths).zip(old.iter().zip(&volumes)).map(async |(((stop, there), path), (old, volume))| {
        let backup = demo.over(path).await;
        let (status, links) = if *there { ("active", 2) } else { ("error", 1) };
        assert_eq!((&backup["status"], &backup["links"]), (&json!(status), &json!(links)), "{stop:?}: {backup}");
        assert_eq!(backup["snapshot_id"] != *old, *there, "{stop:?}: {backup}");
        assert_eq!(backup["time_update"].is_string(), *there, "{stop:?}: {backup}");
        let base = backup["snapshot_id"].as_str().unwrap().to_owned();
        site.quiet(volume, std::slice::from_ref(&base)).await;
        assert_eq!(site.published(&demo, volume).await, links, "{stop:?}");
        base
    });
    let (bases, _) = tokio::join!(join_all(updated), join_all(removed));
    site.only_bases(&bases).await;

    // It goes on as if nothing had happened.
    join_all(UPDATES.iter().zip(&paths).zip(&volumes).map(async |(((_, there), path), volume)| {
        demo.told(201, "POST", &format!("{path}/action"), &json!({ "update": {} }));
        let backup = demo.active(path).await;
        assert_eq!(backup["links"], if *there { 3 } else { 2 }, "{backup}");
        site.quiet(volume, &[backup["snapshot_id"].as_str().unwrap().to_owned()]).await;
        demo.told(201, "DELETE", path, &NOTHING);
        demo.gone(path).await;
    }))
    .await;
    site.only_bases(&[]).await;
    site.removed(server, &volumes).await;
}
