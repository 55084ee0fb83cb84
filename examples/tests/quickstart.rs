//! The program as a newcomer runs it: what it prints, what it leaves, and how it ends.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A working directory and a directory for temporary files, both empty.
struct Place {
    work: TempDir,
    temporary: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { work: tempfile::tempdir().unwrap(), temporary: tempfile::tempdir().unwrap() }
    }

    fn command(&self, arguments: &[&Path]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quickstart"));
        command.args(arguments).current_dir(self.work.path()).env("TMPDIR", self.temporary.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&Path]) -> Output {
        let output = self.command(arguments).output().unwrap();
        self.assert_clean();
        output
    }

    /// No temporary file, and no process that was started for one.
    fn assert_clean(&self) {
        assert_eq!(fs::read_dir(self.temporary.path()).unwrap().count(), 0, "temporary files are left");
        let ours = self.temporary.path().to_string_lossy().into_owned();
        let running =
            fs::read_dir("/proc").unwrap().flatten().filter_map(|process| fs::read(process.path().join("cmdline")).ok());
        let left: Vec<_> =
            running.map(|line| String::from_utf8_lossy(&line).into_owned()).filter(|line| line.contains(&ours)).collect();
        assert!(left.is_empty(), "still running: {left:?}");
    }

    /// Starts it, interrupts it with `signal` as soon as it printed a line with `when`, and waits for its end.
    fn interrupt(&self, arguments: &[&Path], when: &str, signal: &str) -> (Option<i32>, String) {
        let mut child = self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains(when)), "it never said {when}");
        assert!(Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap().success());
        lines.for_each(drop);
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (child.wait().unwrap().code(), said)
    }

    /// The stored files with this ending.
    fn stored(&self, ending: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut pending = vec![self.work.path().join("demo-backups")];
        while let Some(directory) = pending.pop() {
            for entry in fs::read_dir(directory).unwrap().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    pending.push(path);
                } else if path.to_string_lossy().ends_with(ending) {
                    found.push(path);
                }
            }
        }
        found
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn assert_success(output: &Output) -> String {
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn listed(archive: &Path) -> String {
    text(&Command::new("tar").arg("-tzf").arg(archive).output().unwrap().stdout)
}

#[test]
fn a_directory_is_backed_up_restored_and_compared() {
    let (place, original) = (Place::new(), tempfile::tempdir().unwrap());
    fs::create_dir_all(original.path().join("some folder/empty")).unwrap();
    fs::write(original.path().join("some folder/file"), vec![7; 3_000_000]).unwrap();
    std::os::unix::fs::symlink("some folder/file", original.path().join("link")).unwrap();
    let said = assert_success(&place.run(&[original.path()]));
    assert!(said.contains("1 file, 3 directories, 1 link, 3.0 MB"), "{said}");
    assert!(said.contains("all equal"), "{said}");
    let [archive] = &place.stored(".tar.gz")[..] else { panic!("one archive: {:?}", place.stored(".tar.gz")) };
    assert!(listed(archive).contains("./some folder/file"));
    let name = archive.strip_prefix(place.work.path()).unwrap().to_string_lossy().into_owned();
    assert!(said.contains(&format!("tar -xpzf {name}")), "the command by hand names the file: {said}");
}

#[test]
fn a_backup_does_not_hold_itself() {
    let place = Place::new();
    fs::write(place.work.path().join("file"), "x").unwrap();
    for _ in 0..2 {
        assert_success(&place.run(&[Path::new(".")]));
    }
    for archive in place.stored(".tar.gz") {
        assert!(!listed(&archive).contains("demo-backups"), "{}", listed(&archive));
    }
}

#[test]
fn a_wrong_path_is_refused_before_anything_is_made() {
    let place = Place::new();
    fs::write(place.work.path().join("file"), "x").unwrap();
    for (path, why) in [("nowhere", "does not exist"), ("file", "is not a directory"), ("--nonsense", "no option")] {
        let output = place.run(&[Path::new(path)]);
        assert_eq!(output.status.code(), Some(2), "{path}");
        assert!(text(&output.stderr).contains(why), "{}", text(&output.stderr));
    }
    assert!(!place.work.path().join("demo-backups").exists());
}

#[test]
fn an_interrupt_leaves_no_process_and_no_file() {
    let (place, original) = (Place::new(), tempfile::tempdir().unwrap());
    let file = fs::File::create(original.path().join("big")).unwrap();
    file.set_len(2 << 30).unwrap();
    let (code, said) = place.interrupt(&[original.path()], "Look", "INT");
    assert_eq!((code, said.trim()), (Some(130), "interrupted; everything that was started is stopped"));
    place.assert_clean();
    assert_eq!(place.stored(".tar.gz"), Vec::<PathBuf>::new());
}

#[cfg(feature = "demo-etcd")]
mod cluster {
    use super::*;

    /// Whether etcdutl is there; it must be where real servers are asked for.
    fn has_etcdutl() -> bool {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(".tools/etcdutl");
        let there = tools.is_file() || Command::new("etcdutl").arg("version").output().is_ok();
        assert!(there || std::env::var_os("BACKUP_TEST_REAL").is_none_or(|value| value != "1"), "run tools/fetch-etcd.sh");
        if !there {
            println!("SKIPPED: no etcdutl; run tools/fetch-etcd.sh");
        }
        there
    }

    #[test]
    fn a_real_etcd_is_backed_up_restored_and_compared_twice() {
        if !has_etcdutl() {
            return;
        }
        let place = Place::new();
        for run in 0..2 {
            let said = assert_success(&place.run(&[]));
            for part in
                ["skipped: unchanged", "all 5,000 keys and their values are equal", "no rule keeps it", "snapshot restore"]
            {
                assert!(said.contains(part), "{part} in {said}");
            }
            assert_eq!(said.contains("warning: "), run == 1, "the second run meets the backups of another cluster: {said}");
            assert_eq!(place.stored("snapshot.db").len(), 1, "retention keeps one");
        }
    }

    #[test]
    fn an_interrupt_ends_etcd() {
        if !has_etcdutl() {
            return;
        }
        for signal in ["INT", "TERM", "HUP"] {
            let place = Place::new();
            let (code, _) = place.interrupt(&[], "Start", signal);
            assert_eq!(code, Some(130), "{signal}");
            place.assert_clean();
        }
    }
}
