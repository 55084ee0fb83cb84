//! What the program says of a configuration that it cannot use.

use std::path::Path;
use std::process::Command;

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
