//! What the program says of a configuration that it cannot use.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::http::raw;
use crate::sidecar::Place;

/// Nobody listens there: the program starts all the same.
const NO_ETCD: &str = "http://127.0.0.1:1";

fn start(config: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_etcd-sidecar")).env_clear().arg("--config").arg(config).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_wrong_configuration_ends_the_program_with_its_line_and_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yaml");
    for (text, said) in [
        ("store: { fs: { root: /x } }\n", "the key `cluster-name` is missing"),
        (
            "cluster-name: a\nstore: { fs: { root: /x } }\nmax-backup: 3\n",
            "config.yaml:3: unknown key `max-backup`, did you mean `max-backups`?",
        ),
        (
            "cluster-name: a\nstore: { fs: { root: /x } }\nmax-backups: -1\n",
            "`max-backups` is -1; it has to be 0 (keep all) or more",
        ),
        ("cluster-name: a/b\nstore: { fs: { root: /x } }\n", "cluster name \"a/b\" may hold"),
        ("cluster-name: a\nstore: { fs: { root: /x } }\netcd: { packaging: tar }\n", "`packaging` cannot be set here"),
    ] {
        std::fs::write(&path, text).unwrap();
        let (code, error) = start(&path);
        assert_eq!(code, Some(2), "{text}{error}");
        assert!(error.contains(said), "{text}{error}");
    }
    let (code, error) = start(&directory.path().join("missing.yaml"));
    assert!(code == Some(2) && error.contains("missing.yaml"), "{error}");
}

#[test]
fn with_auth_only_who_is_named_is_served_and_probes_are() {
    let place = Place::new();
    let sidecar = place.start(NO_ETCD, "auth: { basic: [{ user: ops, password: secret }] }");
    let answer = sidecar.get("/v1/status");
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, "Basic realm=\"backup\", charset=\"UTF-8\""));
    assert_eq!(sidecar.get("/v1/backupnow").status, 401);
    assert_eq!(sidecar.get("/healthz").status, 200);
    // `ops:secret`
    let request = b"GET /v1/status HTTP/1.1\r\nhost: x\r\nauthorization: Basic b3BzOnNlY3JldA==\r\nconnection: close\r\n\r\n";
    assert_eq!(raw(sidecar.port, request).unwrap().status, 200);
    assert!(!sidecar.said().contains("secret"), "{}", sidecar.said());
}

#[test]
fn a_second_process_on_one_state_does_not_start_and_an_interrupt_ends_the_first_well() {
    let place = Place::new();
    let first = place.start(NO_ETCD, "");
    let second = place.elsewhere().spawn(NO_ETCD, "");
    assert_eq!(second.wait().code(), Some(1), "{}", first.said());
    assert!(first.said().contains("state.locked"), "{}", first.said());
    assert_eq!(first.get("/v1/status").status, 200);
    first.signal(Signal::INT);
    assert_eq!(first.wait().code(), Some(0));
}
