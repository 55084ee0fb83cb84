//! Volumes from backups.

use super::*;

/// The stage, and whether the new volume is there afterwards, whole.
const STAGES: [(Stop, bool); 11] = [
    (at(AtCinder, "POST", "/attachments", When::Before), false),
    (at(AtCinder, "POST", "/attachments", When::Unheard), false),
    // The second one says that all of the data is there.
    (at(AtCinder, "POST", "/metadata", When::Before).nth(2), false),
    (at(AtCinder, "POST", "/metadata", When::Heard).nth(2), true),
    (at(AtCinder, "DELETE", "/attachments/", When::Before), true),
    (at(AtCinder, "DELETE", "/attachments/", When::Heard), true),
    // Half of our mark is gone.
    (at(AtCinder, "DELETE", "owner", When::Before), true),
    (at(AtCinder, "DELETE", "owner", When::Heard), true),
    // Nobody reads the backup after it.
    (at(AtSwift, "GET", "backup-00003", When::Before), false),
    // The last ones: a request does not wait for them for long.
    (at(AtCinder, "POST", "/volumes", When::Before), false),
    (at(AtCinder, "POST", "/volumes", When::Unheard), false),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_volume_whose_making_is_killed_at_any_stage_is_whole_or_gone() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let site = Site::new(&stack).await;
    let mut volumes = site.volumes(1).await;
    let server = site.place.start();
    let demo = site.demo(&server).await;
    let path = site.backed_up(&demo, &volumes[0]).await;
    let id = path.rsplit_once('/').unwrap().1;
    let wanted = stack.digest(&stack.image(&volumes[0])).await;

    // All at once are more new volumes than a slow Cinder makes in the time of a request.
    let each = if std::env::var_os("BACKUP_TEST_LONG").is_some_and(|value| value == "1") { 1 } else { 3 };
    let stages: Vec<_> = STAGES.iter().step_by(each).collect();
    let stops: Vec<Stop> = stages.iter().map(|stage| stage.0).collect();
    let same = vec![volumes[0].clone(); stops.len()];
    let order = |_| demo.asking("POST", "/volume".to_owned(), json!({ "volume": { "backup_id": id, "name": "made" } }));
    let orders = site.stopped((&server, &demo), &stops, &same, order).await;
    demo.told(409, "DELETE", &path, &NOTHING);
    let server = site.killed(server);

    let mut made = Vec::new();
    for ((stop, there), order) in stages.iter().copied().zip(orders) {
        let answer = order.await.unwrap();
        let known =
            answer.map(|answer| answer.json()["volume"]["id"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned());
        assert_eq!(known.is_some(), stop.target != "/volumes", "{stop:?}");
        if let Some(volume) = known {
            made.push((stop, *there, volume));
        }
    }
    join_all(made.iter().map(async |(stop, there, volume)| {
        if !there {
            until(&format!("{stop:?}: {volume} is gone"), async || {
                site.witness.get(&format!("/volumes/{volume}")).await.is_none()
            })
            .await;
            return;
        }
        site.quiet(volume, &[]).await;
        let shown = site.witness.get(&format!("/volumes/{volume}")).await.unwrap();
        assert_eq!(shown["name"], "made", "{stop:?}: {shown}");
        assert_eq!(stack.digest(&stack.image(volume)).await, wanted, "{stop:?}");
    }))
    .await;
    site.only_bases(&[demo.shown(&path)["snapshot_id"].as_str().unwrap().to_owned()]).await;

    // Nobody holds the backup.
    until("the backup is not being restored", async || demo.ask("DELETE", &path, "").status == 201).await;
    demo.gone(&path).await;
    volumes.extend(made.into_iter().filter(|(_, there, _)| *there).map(|(_, _, volume)| volume));
    site.only_bases(&[]).await;
    site.removed(server, &volumes).await;
}
