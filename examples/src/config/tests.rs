use std::path::Path;

use backup_core::Secret;
use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    listen: std::net::SocketAddr,
    #[serde(default)]
    rotate: u32,
    store: backup_stores::StoreConfig,
    #[serde(default)]
    state: StateConfig,
    #[serde(default)]
    etcd: Etcd,
    #[serde(default)]
    tokens: Vec<Token>,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    note: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Etcd {
    username: String,
    password: Secret,
    tls_key: Secret,
    tls_key_file: std::path::PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Token {
    token: Secret,
    user: String,
}

/// Two keys that are needed, then what a test is about: its first line is line 3.
fn config(rest: &str) -> Result<Config> {
    parse(Path::new("config.yaml"), &format!("listen: 127.0.0.1:80\nstore: {{ fs: {{ root: /b }} }}\n{rest}"))
}

fn refused(rest: &str) -> String {
    config(rest).unwrap_err().to_string()
}

#[test]
fn a_misspelt_key_is_named_with_its_line_and_what_was_meant() {
    assert_eq!(refused("rotat: 3\n"), "config.yaml:3: unknown key `rotat`, did you mean `rotate`? [input.invalid]");
    let error = refused("# a comment\netcd:\n  username: u\n  pasword: p\n");
    assert!(error.starts_with("config.yaml:6: unknown key `pasword`, did you mean `password`?"), "{error}");
    let error = refused("frobnicate: 3\n");
    assert!(error.starts_with("config.yaml:3: unknown key `frobnicate`; there are `listen`, "), "{error}");
    let error = refused("state: { redp: /x }\n");
    assert!(error.starts_with("config.yaml:3: unknown key `redp`, did you mean `redb`?"), "{error}");
}

#[test]
fn a_missing_key_is_named_with_the_line_of_its_block() {
    let error = parse::<Config>(Path::new("config.yaml"), "store: { fs: { root: /b } }\n").unwrap_err().to_string();
    assert!(error.contains("config.yaml:1:") && error.contains("the key `listen` is missing"), "{error}");
    let error = refused("tokens:\n  - token: t\n    user: u\n  - token: t2\n");
    assert!(error.contains("config.yaml:6:") && error.contains("the key `user` is missing"), "{error}");
    assert!(!error.contains("t2"), "{error}");
}

#[test]
fn what_a_block_of_a_library_refuses_has_its_line_too() {
    let text = "listen: 127.0.0.1:80\nstore:\n  ftp: { bucket: b }\n";
    let error = parse::<Config>(Path::new("config.yaml"), text).unwrap_err().to_string();
    assert!(error.starts_with("config.yaml:3:") && error.contains("unknown key `ftp`"), "{error}");
    let error = refused("state:\n  etcd: { endpoints: [] }\n");
    assert!(error.starts_with("config.yaml:4:") && error.contains("not yet"), "{error}");
}

#[test]
fn a_wrong_value_is_not_shown_and_has_its_line() {
    let error = refused("rotate: hunter2\n");
    assert!(error.starts_with("config.yaml:3:") && !error.contains("hunter2"), "{error}");
    let error = refused("etcd: hunter2\n");
    assert!(error.starts_with("config.yaml:3:") && !error.contains("hunter2"), "{error}");
    let error = refused("etcd:\n  username: [hunter2]\n");
    assert!(error.starts_with("config.yaml:4:") && !error.contains("hunter2"), "{error}");
    let error = refused("rotate: 1\nrotate: 2\n");
    assert!(error.starts_with("config.yaml:4:") && error.contains("`rotate`"), "{error}");
    let error = refused("rotate: [1\n");
    assert!(error.starts_with("config.yaml:"), "{error}");
}

#[test]
fn a_variable_stands_for_a_whole_text_everywhere() {
    // Set by cargo for every test.
    let name = std::env::var("CARGO_PKG_NAME").unwrap();
    let config = config(
        "etcd: { username: '${CARGO_PKG_NAME}', password: \"${CARGO_PKG_NAME}\" }\nnames: ['${CARGO_PKG_NAME}', 'x${CARGO_PKG_NAME}']\n\
         tokens:\n- token: ${CARGO_PKG_NAME}\n  user: $CARGO_PKG_NAME\nnote: ${CARGO_PKG_NAME}\n",
    )
    .unwrap();
    assert_eq!((config.etcd.username.as_str(), config.etcd.password.expose()), (name.as_str(), name.as_str()));
    assert_eq!(config.names, [name.clone(), "x${CARGO_PKG_NAME}".to_owned()]);
    assert_eq!((config.tokens[0].token.expose(), config.tokens[0].user.as_str()), (name.as_str(), "$CARGO_PKG_NAME"));
    assert_eq!(config.note, Some(name));
    assert_eq!((config.listen.port(), config.rotate, config.store.to_string().as_str()), (80, 0, "fs:///b"));
    assert_eq!(config.state, StateConfig::default());
}

#[test]
fn a_variable_that_is_not_set_is_refused_by_the_name_of_its_key() {
    let error = refused("etcd:\n  password: ${NO_SUCH_VARIABLE}\n");
    assert!(error.starts_with("config.yaml:4: `password`: the environment variable NO_SUCH_VARIABLE"), "{error}");
}

#[test]
fn every_text_may_come_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    std::fs::write(&path, "s3cret \n").unwrap();
    let path = path.display();
    let read =
        config(&format!("etcd: {{ username: u, password-file: {path}, tls-key-file: {path} }}\nnote-file: {path}\n")).unwrap();
    assert_eq!(read.etcd.password.expose(), "s3cret ");
    assert_eq!(read.note.as_deref(), Some("s3cret "));
    // The block has a key of that name itself.
    assert_eq!((read.etcd.tls_key_file.display().to_string(), read.etcd.tls_key.expose()), (path.to_string(), ""));

    let error = refused("etcd:\n  password-file: /no/such/file\n");
    assert!(error.starts_with("config.yaml:4: `password-file`: /no/such/file cannot be read"), "{error}");
    for both in [format!("password: p, password-file: {path}"), format!("password-file: {path}, password: p")] {
        let error = refused(&format!("etcd: {{ {both} }}\n"));
        assert!(error.contains("`password` and `password-file` are both given"), "{error}");
    }
    let error = refused("etcd:\n  passwort-file: /x\n");
    assert!(error.starts_with("config.yaml:4: unknown key `passwort-file`"), "{error}");
}

#[test]
fn the_store_is_found_in_any_configuration_and_the_rest_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c.yaml");
    let section = |text: &str| {
        std::fs::write(&path, text).unwrap();
        StoreSection::load(&path).and_then(|section| section.store()).map(|store| store.to_string())
    };
    let found = section("listen: nonsense\nstore: { fs: { root: /a } }\netcd: { password: '${NO_SUCH_VARIABLE}', x: [1] }\n");
    assert_eq!(found.unwrap(), "fs:///a");
    assert_eq!(section("backup-dir: /etcd-backup\nrotate: 3\n").unwrap(), "fs:///etcd-backup");
    for (text, why) in [
        ("listen: x\n", "where are the backups"),
        ("backup-dir: /a\nstore: { fs: { root: /a } }\n", "both"),
        ("store: { fs: { rot: /a } }\n", "unknown key `rot`, did you mean `root`?"),
        ("store: { ftp: { root: /a } }\n", "unknown key `ftp`"),
    ] {
        let error = section(text).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("c.yaml"), "{text}: {error}");
    }
}

#[test]
fn the_keys_tell_whose_configuration_it_is() {
    let section = |text: &str| parse::<StoreSection>(Path::new("c.yaml"), text).unwrap();
    let sidecar = |namespace: &str| Dialect::EtcdSidecar { namespace: namespace.to_owned(), cluster: "c".to_owned() };
    assert_eq!(section("cluster-name: c\netcd: {}\nstore: { fs: { root: /a } }\n").dialect(), sidecar("default"));
    assert_eq!(section("cluster-name: c\nnamespace: n\n").dialect(), sidecar("n"));
    assert_eq!(section("store: { fs: { root: /a } }\n").dialect(), Dialect::Own);
    let documented = section("rotate: 3\netcd: { endpoints: [x] }\n");
    assert_eq!(
        (documented.dialect(), documented.store().unwrap().to_string()),
        (Dialect::EtcdBackup, "fs:///etcd-backup".to_owned())
    );
    let relative = section("backup-dir: here\n").store().unwrap().to_string();
    assert_eq!(relative, format!("fs://{}/here", std::env::current_dir().unwrap().display()));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = load::<Config>(Path::new("/no/such/config.yaml")).unwrap_err().to_string();
    assert!(error.contains("/no/such/config.yaml"), "{error}");
    let error = parse::<Config>(Path::new("config.yaml"), "").unwrap_err().to_string();
    assert!(error.starts_with("config.yaml:"), "{error}");
}
