//! Programs that tests stand in for.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes a script that can be started at once. Panics where it cannot be written.
///
/// Another process writes it. A file that this one had open for writing may still be open in a child that another thread forked meanwhile
/// and that runs no program of its own yet; until it does, nobody can start the file (`ETXTBSY`, "text file busy").
pub fn write_program(path: &Path, script: &str) {
    let mut writer = Command::new("sh")
        .args(["-c", r#"cat >"$0" && chmod 755 "$0""#])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("sh starts");
    writer.stdin.take().expect("it has a pipe").write_all(script.as_bytes()).expect("sh reads");
    assert!(writer.wait().expect("sh ends").success(), "{} was not written", path.display());
}
