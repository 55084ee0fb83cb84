use serde_json::json;

use crate::br::{StandIn, StandInPd, lives};
use crate::server::Place;

fn place(br: &StandIn, pd: &StandInPd) -> Place {
    Place::new(&format!(
        "  - {{ id: c1, executor: {{ br: {{ binary: {}, pd: ['{}'], grace: 20s }} }} }}",
        br.binary().display(),
        pd.address
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_backed_up_twice_and_restored() {
    let (br, pd) = (StandIn::new(), StandInPd::start().await);
    let place = place(&br, &pd);
    let server = place.start();
    let full = server.back_up("c1", "full");
    let record = server.over(&full).await;
    assert_eq!(record["status"], "Finished", "{record}");
    assert!(record["backupTso"].as_str().unwrap().len() > 15, "{record}");
    pd.answer("/gc/safepoint", r#"{"service_gc_safe_points": [], "gc_safe_point": 1}"#);
    let incr = server.back_up("c1", "incr");
    let record = server.over(&incr).await;
    assert_eq!((&record["status"], &record["backupType"]), (&json!("Finished"), &json!("incr")), "{record}");
    // One that was needed stays, and so does its record.
    assert_eq!(server.ask("DELETE", &format!("/backups/{full}"), "").json()["code"], 20608);

    let answer = server.data("POST", "/clusters/restore", &json!({"clusterId": "c1", "backupId": full}));
    let workflow = server.workflow_over(answer["workFlowId"].as_str().unwrap()).await;
    assert_eq!(workflow["status"], "Finished", "{workflow}");
    assert!(br.restored().is_some());
    // A cluster of another time is refused, with the reason.
    pd.answer("/version", r#"{"version": "v4.0.0"}"#);
    pd.tikv("4.0.0");
    let answer = server.ask("POST", "/clusters/restore", &json!({"clusterId": "c1", "backupId": full}).to_string());
    assert_eq!((answer.status, &answer.json()["code"]), (400, &json!(20610)), "{answer:?}");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_and_kill_leave_no_program_running() {
    let (br, pd) = (StandIn::new(), StandInPd::start().await);
    let place = place(&br, &pd);
    let server = place.start();
    br.hold();
    let cancelled = server.back_up("c1", "full");
    br.reached().await;
    let pid = br.runs().last().unwrap().pid;
    server.data("POST", "/backups/cancel", &json!({"clusterId": "c1", "backupId": cancelled}));
    assert_eq!(server.over(&cancelled).await["status"], "Failed");
    assert!(!lives(pid));

    br.hold();
    let cut = server.back_up("c1", "full");
    br.reached().await;
    let running: Vec<_> = br.runs().iter().map(|run| run.pid).filter(|pid| lives(*pid)).collect();
    assert_eq!(running.len(), 1);
    server.kill();
    let server = place.start();
    let record = server.over(&cut).await;
    assert_eq!(record["status"], "Failed", "{record}");
    assert!(!lives(running[0]), "br goes on after the restart");
    br.release();
    let next = server.back_up("c1", "full");
    assert_eq!(server.over(&next).await["status"], "Finished");
}
