//! The client of Cinder's API, against recorded answers and what can go wrong.
#![cfg(feature = "cinder")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::time::Duration;

use axum::http::StatusCode;
use backup_core::{Clock, Effect};
use backup_remote::testkit::{Reply, RequestFault, Which};
use backup_sources::cinder::{Microversion, Mode, NewSnapshot, Patience, VolumeFilter};
use serde_json::json;
use support::cinder::{CALLER, PROJECT, StandIn};

#[tokio::test]
async fn the_newest_version_is_asked_once_and_each_call_names_the_lowest_that_does() {
    let stand_in = StandIn::start().await;
    let (cx, cinder) = (&stand_in.cx, &stand_in.cinder);
    let id = stand_in.volume(3);
    assert_eq!(cinder.newest(cx).await.unwrap(), Microversion::v3(70));
    let volume = cinder.volume(cx, &id).await.unwrap();
    assert_eq!((volume.size, &*volume.name, &*volume.status, volume.bootable), (3, "data", "available", false));
    assert_eq!(volume.project_id.as_deref(), Some(PROJECT));
    let attachment = cinder.create_attachment(cx, &id, Mode::ReadOnly).await.unwrap();
    assert_eq!(attachment.connection_info.unwrap()["driver_volume_type"], "rbd");
    let versions =
        |method, part: &str| stand_in.seen(method, part).into_iter().filter_map(|seen| seen.version).collect::<Vec<_>>();
    assert_eq!(versions("GET", &id), ["volume 3.0"]);
    assert_eq!(versions("POST", "/attachments"), ["volume 3.54"]);
    assert_eq!(stand_in.proxy.count("GET", "/v3/").saturating_sub(1), 1, "the versions were asked for once");
    let asked = &stand_in.seen("POST", "/attachments")[0].body["attachment"];
    assert_eq!((&asked["mode"], &asked["connector"]["mode"], asked.get("instance_uuid")), (&json!("ro"), &json!("ro"), None));
}

#[tokio::test]
async fn a_cinder_that_is_too_old_is_told_by_the_version_that_is_missing() {
    let stand_in = StandIn::start().await;
    stand_in.state().newest = "3.12";
    let id = stand_in.volume(1);
    let error = stand_in.cinder.create_attachment(&stand_in.cx, &id, Mode::ReadOnly).await.unwrap_err();
    assert_eq!(error.code().name, "cinder.version");
    assert!(error.message().contains("3.27") && error.message().contains("3.12"), "{error}");
    assert!(stand_in.seen("POST", "/attachments").is_empty());
}

#[tokio::test]
async fn attachments_have_their_mode_in_the_connector_before_3_54() {
    let stand_in = StandIn::start().await;
    stand_in.state().newest = "3.44";
    let id = stand_in.volume(1);
    stand_in.cinder.create_attachment(&stand_in.cx, &id, Mode::ReadWrite).await.unwrap();
    let seen = &stand_in.seen("POST", "/attachments")[0];
    assert_eq!(seen.version.as_deref(), Some("volume 3.27"));
    assert_eq!((seen.body["attachment"].get("mode"), &seen.body["attachment"]["connector"]["mode"]), (None, &json!("rw")));
}

#[tokio::test]
async fn nothing_but_a_uuid_becomes_part_of_a_url() {
    let stand_in = StandIn::start().await;
    let cx = &stand_in.cx;
    for id in [
        "",
        "..",
        "../backups",
        "0c68fa25-dec4-429e-94f1-c01a573967a/",
        "0c68fa25-dec4-429e-94f1-c01a573967ad?x",
        "0c68fa25%2fdec4",
    ] {
        assert_eq!(stand_in.cinder.volume(cx, id).await.unwrap_err().code().name, "cinder.id", "{id}");
        assert_eq!(stand_in.cinder.delete_snapshot(cx, id).await.unwrap_err().code().name, "cinder.id", "{id}");
    }
    assert!(stand_in.proxy.seen().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn lists_are_read_page_by_page() {
    let stand_in = StandIn::start().await;
    stand_in.state().page = 2;
    let mut ids: Vec<String> = (0..5).map(|_| stand_in.volume(1)).collect();
    ids.sort();
    let listed = stand_in.cinder.volumes(&stand_in.cx, &VolumeFilter::default()).await.unwrap();
    assert_eq!(listed.into_iter().map(|volume| volume.id).collect::<Vec<_>>(), ids);
    assert_eq!(stand_in.seen("GET", "/volumes/detail").len(), 3);
}

#[tokio::test]
async fn a_quota_that_is_used_up_is_an_error_at_once() {
    let stand_in = StandIn::start().await;
    let id = stand_in.volume(1);
    let message = "SnapshotLimitExceeded: Maximum number of snapshots allowed (0) exceeded";
    let told = json!({ "overLimit": { "code": 413, "message": message, "retryAfter": "0" } });
    {
        let mut state = stand_in.state();
        state.refuse = Some(("snapshots", StatusCode::PAYLOAD_TOO_LARGE, Some(0), told));
        state.refusals = 9;
    }
    let order = NewSnapshot { volume_id: id, name: "x".into(), ..NewSnapshot::default() };
    let error = stand_in.cinder.create_snapshot(&stand_in.cx, &order).await.unwrap_err();
    assert_eq!((error.code().name, error.effect()), ("cinder.quota", Effect::None));
    assert!(error.message().contains(message), "{error}");
    assert_eq!(stand_in.seen("POST", "/snapshots").len(), 1);
}

#[tokio::test]
async fn a_limit_of_the_rate_is_waited_for() {
    let stand_in = StandIn::start().await;
    let id = stand_in.volume(1);
    let told = json!({ "overLimit": { "code": 413, "message": "This request was rate-limited.", "retryAfter": "7" } });
    {
        let mut state = stand_in.state();
        state.refuse = Some(("snapshots", StatusCode::PAYLOAD_TOO_LARGE, Some(7), told));
        state.refusals = 2;
    }
    let before = stand_in.clock.monotonic();
    let order = NewSnapshot { volume_id: id, name: "x".into(), ..NewSnapshot::default() };
    stand_in.cinder.create_snapshot(&stand_in.cx, &order).await.unwrap();
    assert_eq!(stand_in.seen("POST", "/snapshots").len(), 3);
    assert!(stand_in.clock.monotonic() - before >= Duration::from_secs(14));
}

#[tokio::test]
async fn what_cinder_says_becomes_a_code() {
    let stand_in = StandIn::start().await;
    let (cx, cinder) = (&stand_in.cx, &stand_in.cinder);
    let id = stand_in.volume(1);
    let gone = "542f55e5-84f4-4dd7-a816-00bf191b4001";
    let error = cinder.volume(cx, gone).await.unwrap_err();
    assert_eq!(error.code().name, "cinder.not_found");
    assert!(error.message().contains("could not be found"), "{error}");
    cinder.create_attachment(cx, &id, Mode::ReadOnly).await.unwrap();
    let error = cinder.create_attachment(cx, &id, Mode::ReadOnly).await.unwrap_err();
    assert_eq!((error.code().name, error.effect()), ("cinder.state", Effect::None));
    let forbidden = Reply::status(403).body(r#"{"forbidden": {"code": 403, "message": "Policy doesn't allow it."}}"#);
    stand_in.proxy.requests(Which::next(), "GET", &id, RequestFault::Answer(forbidden));
    assert_eq!(cinder.volume(cx, &id).await.unwrap_err().code().name, "cinder.denied");
    let page = Reply::status(502).body("<html><title>502 Bad Gateway</title></html>");
    stand_in.proxy.requests(Which::all(), "GET", &id, RequestFault::Answer(page));
    assert_eq!(cinder.volume(cx, &id).await.unwrap_err().code().name, "cinder.failed");
}

#[tokio::test]
async fn a_failure_of_a_call_that_makes_something_leaves_its_effect_unknown() {
    let stand_in = StandIn::start().await;
    let id = stand_in.volume(1);
    stand_in.cinder.newest(&stand_in.cx).await.unwrap();
    let fault = Reply::status(500).body(r#"{"computeFault": {"code": 500, "message": "It broke."}}"#);
    stand_in.proxy.requests(Which::next(), "POST", "/snapshots", RequestFault::Answer(fault));
    let order = NewSnapshot { volume_id: id, name: "x".into(), ..NewSnapshot::default() };
    let error = stand_in.cinder.create_snapshot(&stand_in.cx, &order).await.unwrap_err();
    assert_eq!((error.code().name, error.effect()), ("cinder.failed", Effect::Unknown));
    assert_eq!(stand_in.proxy.count("POST", "/snapshots"), 1, "it is not made twice");
}

#[tokio::test]
async fn our_token_is_renewed_on_401_once() {
    let stand_in = StandIn::start().await;
    let id = stand_in.volume(1);
    stand_in.cinder.volume(&stand_in.cx, &id).await.unwrap();
    stand_in.state().tokens.clear();
    stand_in.cinder.volume(&stand_in.cx, &id).await.unwrap();
    assert_eq!(stand_in.state().logins, 2);
}

#[tokio::test]
async fn a_callers_token_that_is_over_goes_on_beside_ours_which_is_renewed() {
    let stand_in = StandIn::start().await;
    let (cx, id, caller) = (&stand_in.cx, stand_in.volume(1), stand_in.for_caller());
    caller.volume(cx, &id).await.unwrap();
    stand_in.state().caller_expired = true;
    caller.volume(cx, &id).await.unwrap();
    assert_eq!(stand_in.state().logins, 1, "it still counts beside ours");
    stand_in.state().tokens.clear();
    caller.volume(cx, &id).await.unwrap();
    assert_eq!(stand_in.state().logins, 2);
    let seen = stand_in.seen("GET", &id);
    assert!(seen.iter().all(|seen| seen.token.as_deref() == Some(CALLER) && seen.service_token.is_some()));
    assert!(!format!("{caller:?}").contains(CALLER));
}

#[tokio::test]
async fn waiting_ends_with_the_state_with_an_error_state_or_with_patience() {
    let stand_in = StandIn::start().await;
    let (cx, cinder, volume) = (&stand_in.cx, &stand_in.cinder, stand_in.volume(1));
    let order = NewSnapshot { volume_id: volume.clone(), name: "x".into(), ..NewSnapshot::default() };
    let made = cinder.create_snapshot(cx, &order).await.unwrap();
    assert_eq!(made.status, "creating");
    assert_eq!(cinder.wait_for_snapshot(cx, &made.id, Patience::default()).await.unwrap().status, "available");
    assert!(cinder.delete_snapshot(cx, &made.id).await.unwrap());
    assert!(cinder.delete_snapshot(cx, &made.id).await.unwrap(), "it is being deleted already");
    cinder.wait_until_snapshot_gone(cx, &made.id, Patience::default()).await.unwrap();
    assert!(!cinder.delete_snapshot(cx, &made.id).await.unwrap(), "it is gone");

    stand_in.state().snapshots_become = "error";
    let made = cinder.create_snapshot(cx, &order).await.unwrap();
    let error = cinder.wait_for_snapshot(cx, &made.id, Patience::default()).await.unwrap_err();
    assert_eq!(error.code().name, "cinder.error_state");

    stand_in.state().slow = u64::MAX;
    let made = cinder.create_snapshot(cx, &order).await.unwrap();
    let short = Patience { floor: Duration::from_secs(20), per_gib: Duration::from_secs(10) };
    let before = stand_in.clock.monotonic();
    let error = cinder.wait_for_snapshot(cx, &made.id, short).await.unwrap_err();
    assert_eq!(error.code().name, "cinder.slow");
    assert!(stand_in.clock.monotonic() - before >= Duration::from_secs(30));
}

#[tokio::test]
async fn a_wait_outlasts_a_restart_of_cinder_and_ends_with_a_cancel() {
    let stand_in = StandIn::start().await;
    let (cx, cinder, volume) = (&stand_in.cx, &stand_in.cinder, stand_in.volume(1));
    let order = NewSnapshot { volume_id: volume.clone(), name: "x".into(), ..NewSnapshot::default() };
    let made = cinder.create_snapshot(cx, &order).await.unwrap();
    let down = Reply::status(503).body("no workers");
    stand_in.proxy.requests(Which::first(12), "GET", &made.id, RequestFault::Answer(down));
    stand_in.state().slow = 3;
    let first = cinder.snapshot(cx, &made.id).await;
    assert_eq!(first.unwrap_err().code().name, "cinder.failed");
    cinder.wait_for_snapshot(cx, &made.id, Patience::default()).await.unwrap();

    stand_in.state().slow = u64::MAX;
    let made = cinder.create_snapshot(cx, &order).await.unwrap();
    cx.cancel_token().cancel();
    let error = cinder.wait_for_snapshot(cx, &made.id, Patience::default()).await.unwrap_err();
    assert_eq!(error.code().name, "job.cancelled");
}
