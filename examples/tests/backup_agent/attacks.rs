//! Requests that want something else than a backup.

use serde_json::json;

use crate::agent::{Place, backup, names, restore, skipped};

#[test]
fn ids_names_and_parameters_as_attacks_touch_nothing() {
    let place = Place::new();
    let agent = place.start();
    let before = names(place.home.path());
    for id in ["../state.redb", "..", ".ssh", "a/b", "a\0b", "/etc", "x".repeat(200).as_str()] {
        assert_eq!(agent.ask("POST", "/backup", backup(id, &skipped())).status, 400, "{id:?}");
        assert_eq!(agent.ask("PUT", "/restore", restore(id, &skipped(), "x")).status, 400, "{id:?}");
        assert_eq!(agent.ask("DELETE", "/backup", json!({ "id": id })).status, 400, "{id:?}");
    }
    for name in ["../../scripts/backup", "/etc/passwd", "a/../../b", "a\0"] {
        assert_eq!(agent.ask("PUT", "/restore", restore("r", &skipped(), name)).status, 400, "{name:?}");
    }
    for name in [
        "LD_PRELOAD",
        "BASH_ENV",
        "PATH",
        "HOME",
        "IFS",
        "PYTHONPATH",
        "S3_BUCKET",
        "BACKUP_PASSWORD",
        "a b",
        "A=B",
        "1",
        "",
        "BASH_FUNC_echo%%",
        "a\0",
    ] {
        let mut body = backup("b", &skipped());
        body["backup"]["parameters"] = json!([{ name: "do-not-show" }]);
        let answer = agent.ask("POST", "/backup", body);
        assert!(answer.status == 400 && !answer.text().contains("do-not-show"), "{name:?}: {answer:?}");
    }
    let mut huge = backup("b", &skipped());
    huge["backup"]["parameters"] = json!({ "a": "x".repeat(3 << 20) });
    assert_eq!(agent.ask("POST", "/backup", huge).status, 400);
    assert_eq!(names(place.home.path()), before);
    assert!(!agent.said().contains("do-not-show"));
}

#[test]
fn wrong_credentials_are_never_logged() {
    let place = Place::new();
    let agent = place.start();
    let mut settled = 0;
    for attempt in 0..10_000 {
        if attempt == 1000 {
            settled = agent.peak();
        }
        let answer = agent.try_ask_as(&format!("Basic d3Jvbmc6Z3Vlc3Nl{attempt:04}"), "POST", "/backup", "{}").unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (401, "{ \"message\" : \"Unauthorised.\" }"));
    }
    let more = agent.peak() - settled;
    assert!(more < 16 << 20, "9,000 more cost {more} bytes");
    let said = agent.said();
    for secret in ["agent-password", "guess", "d3Jvbmc6", "bWFuYWdlc"] {
        assert!(!said.contains(secret), "{secret}");
    }
}

#[test]
fn without_credentials_of_its_own_the_agent_does_not_start() {
    for missing in ["client_username", "client_password"] {
        let mut place = Place::new();
        place.variables.remove(missing);
        let output = place.command().output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(missing));
    }
}
