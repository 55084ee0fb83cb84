//! Rollbacks that take longer than a request waits.

use serde_json::json;

use crate::openstack::OpenStack;
use crate::rbd::{At, Rbd, Work};
use crate::server::{FILES, User, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_volume_stays_locked_until_a_long_rollback_is_done() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let (place, rbd) = Rbd::place(&stack, FILES, "rollback-timeout: 1s\n");
    let server = place.start();
    let witness = stack.as_demo().await;
    let volume = witness.volume("rbd1", 1).await;
    stack.write(&volume, &[(0, b"first")]).await;
    let snapshot = witness.snapshot(&volume).await;
    let wanted = stack.digest(&format!("{}@snapshot-{snapshot}", stack.image(&volume))).await;
    stack.write(&volume, &[(0, b"later")]).await;
    let demo = User::new(&stack, &server, "demo", "demo").await;

    let path = format!("/volume/{volume}/action");
    let back = json!({ "rollback": { "snapshot_id": snapshot } });
    rbd.hold(At::Before, Work::Rollback, &volume);
    let refused = demo.told(504, "POST", &path, &back);
    assert_eq!(refused["message"], format!("Rollback of volume {volume} is still running!"));
    rbd.held(At::Before, Work::Rollback, &volume).await;
    let shown = witness.get(&format!("/volumes/{volume}")).await.unwrap();
    assert_eq!(shown["metadata"]["backup:role"], "overwriting", "{shown}");
    assert!(demo.told(409, "POST", &path, &back)["message"].is_string());
    // Work on the volume waits for it.
    let backup = demo.back_up(&volume, false);
    let found = demo.shown(&format!("/volume/backup/{backup}"));
    assert_eq!(found["status"], "building", "{found}");
    assert_eq!(witness.get(&format!("/snapshots/detail?volume_id={volume}")).await.unwrap().as_array().unwrap().len(), 1);

    rbd.release(At::Before, Work::Rollback, &volume);
    until("the volume is given back", async || {
        let shown = witness.get(&format!("/volumes/{volume}")).await.unwrap();
        shown["status"] == "available" && shown["metadata"] == json!({})
    })
    .await;
    demo.active(&format!("/volume/backup/{backup}")).await;
    assert_eq!(stack.digest(&stack.image(&volume)).await, wanted);
    server.stop();
    witness.remove(&format!("/volumes/{volume}?cascade=true")).await;
}
