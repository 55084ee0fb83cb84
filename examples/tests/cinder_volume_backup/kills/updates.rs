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
async fn an_update_that_is_killed_at_any_stage_is_done_or_not_begun() {
    let Some(stack) = OpenStack::wanted().await else { return };
    side_by_side(UPDATES.iter().map(|stage| updated(&stack, stage))).await;
}

async fn updated(stack: &OpenStack, (stop, there): &(Stop, bool)) {
    let site = Site::new(stack).await;
    let volumes = site.volumes(1).await;
    let volume = &volumes[0];
    let server = site.place.start();
    let demo = site.demo(&server).await;
    let path = site.backed_up(&demo, volume).await;
    let action = format!("{path}/action");
    let update = json!({ "update": {} });
    let old = demo.shown(&path)["snapshot_id"].clone();
    stack.write(volume, &[(500 << 20, &[2; 70_000])]).await;
    site.stopped((&server, &demo), &[*stop], &volumes, |_| demo.told(201, "POST", &action, &update)).await;
    let server = site.killed(server);

    let backup = demo.over(&path).await;
    let (status, links) = if *there { ("active", 2) } else { ("error", 1) };
    assert_eq!((&backup["status"], &backup["links"]), (&json!(status), &json!(links)), "{stop:?}: {backup}");
    assert_eq!(backup["snapshot_id"] != old, *there, "{stop:?}: {backup}");
    assert_eq!(backup["time_update"].is_string(), *there, "{stop:?}: {backup}");
    let base = backup["snapshot_id"].as_str().unwrap().to_owned();
    site.quiet(volume, std::slice::from_ref(&base)).await;
    site.only_bases(&[base]).await;
    assert_eq!(site.published(&demo, volume).await, links, "{stop:?}");

    // It goes on as if nothing had happened.
    demo.told(201, "POST", &action, &update);
    let backup = demo.active(&path).await;
    assert_eq!(backup["links"], links + 1, "{stop:?}: {backup}");
    site.quiet(volume, &[backup["snapshot_id"].as_str().unwrap().to_owned()]).await;
    demo.told(201, "DELETE", &path, &NOTHING);
    demo.gone(&path).await;
    site.only_bases(&[]).await;
    site.removed(server, &volumes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_removal_that_is_killed_at_any_stage_goes_on() {
    let Some(stack) = OpenStack::wanted().await else { return };
    side_by_side(REMOVALS.iter().map(|stop| removed(&stack, stop))).await;
}

async fn removed(stack: &OpenStack, stop: &Stop) {
    let site = Site::new(stack).await;
    let volumes = site.volumes(1).await;
    let server = site.place.start();
    let demo = site.demo(&server).await;
    let path = site.backed_up(&demo, &volumes[0]).await;
    site.stopped((&server, &demo), &[*stop], &volumes, |_| demo.told(201, "DELETE", &path, &NOTHING)).await;
    let server = site.killed(server);
    demo.gone(&path).await;
    site.quiet(&volumes[0], &[]).await;
    site.only_bases(&[]).await;
    assert_eq!(site.published(&demo, &volumes[0]).await, 0, "{stop:?}");
    site.removed(server, &volumes).await;
}
