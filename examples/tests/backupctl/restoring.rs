//! `restore`.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use backup_core::Compression;

use crate::bench::{Bench, keys, tree};

fn gunzipped(path: &Path) -> Vec<u8> {
    let output = Command::new("gzip").arg("-dc").arg(path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

#[tokio::test]
async fn artifacts_come_as_they_are_stored_or_as_the_source_wrote_them() {
    let bench = Bench::new();
    let big: Vec<u8> = (0..3_000_000_u32).map(|n| (n / 7 % 251) as u8).collect();
    bench.back_up("vm", Compression::Gzip, &[("a.tar", &big), ("deep/er/b", b"b")]).await;
    let out = bench.directory.path().join("out");
    let json = bench.run(&["restore", "vm", "latest", "--to", "out", "--json"]).code(0).json();
    assert_eq!(keys(&json), ["dry_run", "files", "set"]);
    assert_eq!(keys(&json["files"][0]), ["artifact", "path", "size"]);
    assert_eq!(gunzipped(&out.join("a.tar.gz")), big);
    assert_eq!(gunzipped(&out.join("deep/er/b.gz")), b"b");

    bench.run(&["restore", "vm", "latest", "--to", "plain", "--decompressed"]).code(0);
    let plain = bench.directory.path().join("plain");
    let names: Vec<_> = tree(&plain).into_keys().collect();
    assert_eq!(names, [plain.join("a.tar"), plain.join("deep/er/b")]);
    assert_eq!(std::fs::read(plain.join("a.tar")).unwrap(), big);
}

#[tokio::test]
async fn nothing_is_overwritten() {
    let bench = Bench::new();
    bench.back_up("vm", Compression::None, &[("a", b"new a"), ("b", b"new b")]).await;
    let out = bench.directory.path().join("out");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("b"), "old b").unwrap();
    let ended = bench.run(&["restore", "vm", "latest", "--to", "out", "--yes"]).code(5);
    assert!(ended.said.contains("out/b exists already"), "{}", ended.said);
    assert_eq!(tree(&out).into_values().collect::<Vec<_>>(), [b"old b"]);
    bench.run(&["restore", "vm", "latest", "--to", "out", "--artifact", "a"]).code(0);
    assert_eq!(std::fs::read(out.join("a")).unwrap(), b"new a");
    assert_eq!(std::fs::read(out.join("b")).unwrap(), b"old b");
}

#[tokio::test]
async fn of_a_damaged_backup_no_file_appears() {
    let bench = Bench::new();
    let id = bench.back_up("vm", Compression::None, &[("a", &[1; 1000]), ("z", &[2; 9_000_000])]).await;
    bench.flip_a_bit("vm", &id, "z");
    bench.run(&["restore", "vm", id.as_str(), "--to", "out"]).code(4);
    assert!(tree(&bench.directory.path().join("out")).is_empty());
    bench.run(&["restore", "vm", id.as_str(), "--to", "out", "--dry-run"]).code(4);
}

#[tokio::test]
async fn one_artifact_goes_to_standard_output() {
    let bench = Bench::new();
    bench.back_up("vm", Compression::Zstd, &[("a", b"content of a")]).await;
    let ended = bench.run(&["restore", "vm", "latest", "--to", "-", "--decompressed"]).code(0);
    assert_eq!(ended.out, b"content of a");
    let id = bench.back_up("vm", Compression::None, &[("a", &[1; 9_000_000]), ("b", b"bb")]).await;
    let ended = bench.run(&["restore", "vm", "latest", "--to", "-"]).code(2);
    assert!(ended.out.is_empty() && ended.said.contains("--artifact"), "{}", ended.said);
    assert_eq!(bench.run(&["restore", "vm", "latest", "--to", "-", "--artifact", "b"]).code(0).out, b"bb");
    bench.run(&["restore", "vm", "latest", "--to", "-", "--artifact", "b", "--json"]).code(2);
    bench.flip_a_bit("vm", &id, "a");
    let ended = bench.run(&["restore", "vm", "latest", "--to", "-", "--artifact", "a"]).code(4);
    assert!(ended.out.len() < 9_000_000, "the damaged block was handed out");
}

#[tokio::test]
async fn an_interrupt_ends_it_at_once_and_leaves_nothing() {
    let bench = Bench::new();
    bench.back_up("vm", Compression::None, &[("a", &[1; 20_000_000])]).await;
    let mut child =
        bench.command(&["restore", "vm", "latest", "--to", "-"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A byte came, so it is in the middle; and nobody reads on, so it stays there.
    let mut output = child.stdout.take().unwrap();
    output.read_exact(&mut [0]).unwrap();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    assert!(said.contains("interrupted"), "{said}");
}

#[tokio::test]
async fn etcd_is_restored_by_what_was_built_for_it() {
    let bench = Bench::new();
    bench.back_up("vm", Compression::None, &[("snapshot.db", b"no snapshot of etcd")]).await;
    let ended = bench.run(&["restore", "vm", "latest", "--etcd-data-dir", "member", "--etcdutl", "/bin/false"]);
    let member = bench.directory.path().join("member");
    assert_ne!(ended.code, 0);
    assert!(tree(&member).is_empty(), "{}", ended.said);
    if !cfg!(feature = "etcd") {
        let ended = ended.code(2);
        assert!(ended.said.contains("--features etcd"), "{}", ended.said);
    }
    bench.run(&["restore", "vm", "latest", "--to", "x", "--name", "m0"]).code(2);
    bench.run(&["restore", "vm", "latest", "--to", "x", "--etcd-data-dir", "y"]).code(2);
}
