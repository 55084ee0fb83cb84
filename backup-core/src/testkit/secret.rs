//! Secrets of tests, for whoever searches what the tests print.

use std::fs::OpenOptions;
use std::io::Write;

/// The variable that names the file.
const FILE: &str = "BACKUP_TEST_SECRETS";

/// Notes a credential that a test uses in the file that the variable `BACKUP_TEST_SECRETS` names, if there is one: after a run of all
/// tests their output is searched for every line of it.
///
/// # Panics
/// When the file cannot be written.
pub fn note_secret(secret: &str) {
    let Some(file) = std::env::var_os(FILE) else { return };
    assert!(secret.len() >= 8, "a secret this short is found everywhere");
    let mut file = OpenOptions::new().create(true).append(true).open(file).expect("the file of secrets");
    file.write_all(format!("{secret}\n").as_bytes()).expect("a line more in the file of secrets");
}
