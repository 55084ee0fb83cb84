//! What is answered to requests that are wrong, several times over: the order of the checks decides.

use backup_core::testkit::{Fault, FaultPlan, FaultRule, OpKind};

use super::*;

async fn assert_refused(world: &World, path: &str, status: u16, text: &str) {
    let answer = world.get(path).await;
    assert_eq!((answer.status, answer.text()), (status, format!("{text}\n").as_str()), "{path}");
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8", "{path}");
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
}

#[tokio::test]
async fn without_backups_the_absence_goes_before_a_bad_version_but_not_before_a_bad_revision() {
    let world = World::new().await;
    for (query, status, text) in [
        ("", 404, "404 page not found"),
        ("?etcdVersion=", 404, "404 page not found"),
        ("?etcdVersion=garbage", 404, "404 page not found"),
        ("?etcdVersion=3.5.1", 404, "404 page not found"),
        ("?etcdRevision=5", 400, "version must be provided when revision is provided."),
        ("?etcdRevision=x", 400, "version must be provided when revision is provided."),
        ("?etcdVersion=&etcdRevision=x", 400, "version must be provided when revision is provided."),
        ("?etcdVersion=garbage&etcdRevision=x", 400, "revision is not a vaild integer"),
        ("?etcdVersion=3.5.1&etcdRevision=0x5", 400, "revision is not a vaild integer"),
        ("?etcdVersion=3.5.1&etcdRevision=5.0", 400, "revision is not a vaild integer"),
        ("?etcdVersion=3.5.1&etcdRevision=9223372036854775808", 400, "revision is not a vaild integer"),
        ("?etcdVersion=3.5.1&etcdRevision=9223372036854775807", 404, "backup not found"),
        ("?etcdVersion=3.5.1&etcdRevision=-5", 404, "backup not found"),
        ("?etcdVersion=garbage&etcdRevision=5", 404, "backup not found"),
        ("?etcdVersion=..%2f..%2f..%2fetc&etcdRevision=5", 404, "backup not found"),
        ("?etcdVersion=%zz", 400, "invalid URL escape"),
    ] {
        assert_refused(&world, &format!("/v1/backup{query}"), status, text).await;
    }
}

#[tokio::test]
async fn with_a_backup_the_versions_are_checked_last() {
    let world = World::new().await;
    world.back_up().await;
    for (query, status, text) in [
        ("?etcdVersion=3.4.9", 400, "requested version (3.4) is not compatible with the backup (3.5)"),
        ("?etcdVersion=3.7.0", 400, "requested version (3.7) is not compatible with the backup (3.5)"),
        ("?etcdVersion=4.5.1", 400, "requested version (4.5) is not compatible with the backup (3.5)"),
        ("?etcdVersion=garbage", 400, "invalid param 'version' (garbage): garbage is not in dotted-tri format"),
        ("?etcdVersion=3.5", 400, "invalid param 'version' (3.5): 3.5 is not in dotted-tri format"),
        ("?etcdVersion=v3.5.1", 400, "invalid param 'version' (v3.5.1): strconv.ParseInt: parsing \"v3\": invalid syntax"),
        ("?etcdVersion=3.5.1+h2", 400, "invalid param 'version' (3.5.1 h2): strconv.ParseInt: parsing \"1 h2\": invalid syntax"),
        ("?etcdVersion=%0a%00", 400, "invalid param 'version' (\u{fffd}\u{fffd}): \u{fffd}\u{fffd} is not in dotted-tri format"),
        ("?etcdRevision=10", 400, "version must be provided when revision is provided."),
        ("?etcdVersion=3.6.0&etcdRevision=10", 404, "backup not found"),
        ("?etcdVersion=3.5.1&etcdRevision=11", 404, "backup not found"),
        ("?etcdVersion=garbage&etcdRevision=10", 404, "backup not found"),
    ] {
        assert_refused(&world, &format!("/v1/backup{query}"), status, text).await;
    }
    for query in [
        "?etcdVersion=3.5.30",
        "?etcdVersion=3.6.0",
        "?etcdVersion=3.5.1&etcdRevision=%2B10",
        "?etcdVersion=3.6.0-rc.1",
        "?x=%20",
    ] {
        assert_eq!(world.get(&format!("/v1/backup{query}")).await.status, 200, "{query}");
    }
}

#[tokio::test]
async fn an_adopted_file_whose_version_cannot_be_read_is_an_error_of_the_server() {
    let world = World::new().await;
    world.leave("garbage_0000000000000005_etcd.backup", b"of the original");
    let text = "fail to parse etcd version from file (garbage_0000000000000005_etcd.backup): garbage is not in dotted-tri format";
    for query in ["", "?etcdVersion=also-garbage", "?etcdVersion=garbage&etcdRevision=5"] {
        assert_refused(&world, &format!("/v1/backup{query}"), 500, text).await;
    }
}

#[tokio::test]
async fn only_the_documented_methods_are_allowed_and_the_others_have_no_effect() {
    let world = World::new().await;
    for (path, allow, methods) in [
        ("/v1/backupnow", "GET", &["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"][..]),
        ("/v1/status", "GET", &["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"]),
        ("/v1/backup", "GET, HEAD", &["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"]),
    ] {
        for method in methods {
            let answer = world.ask(method, path).await;
            assert_eq!((answer.status, answer.header("allow")), (405, allow), "{method} {path}");
            if *method != "HEAD" {
                assert_eq!(answer.text(), "Method Not Allowed\n", "{method} {path}");
            }
        }
    }
    assert!(world.service.jobs().is_empty());
}

#[tokio::test]
async fn unclean_paths_never_reach_content() {
    let world = World::new().await;
    world.back_up().await;
    for path in
        ["/v1/backup/", "//v1/backup", "/v1//backup", "/v1/./backup", "/v1/x/../backup", "/v1/%62ackup/", "/v1", "/V1/backup"]
    {
        let answer = world.get(path).await;
        assert_eq!((answer.status, answer.body.len()), (404, 0), "{path}");
    }
    let answer = Answer::read(crate::etcd_sidecar::not_found().await).await;
    assert_eq!((answer.status, answer.text()), (404, "404 page not found\n"));
}

#[tokio::test]
async fn a_store_that_cannot_be_listed_is_an_error_of_the_server() {
    let world = World::new().await;
    world.store.set_faults(FaultPlan::default().rule(FaultRule::new(Fault::Throttle).on([OpKind::List])));
    let answer = world.get("/v1/backup").await;
    assert_eq!(answer.status, 500, "{answer:?}");
    assert_refused(&world, "/v1/status", 500, "failed to get total number of backups").await;
}
