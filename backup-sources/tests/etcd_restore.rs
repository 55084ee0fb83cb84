//! From a backup to a snapshot file, to a data directory, and what damage does to both.
#![cfg(feature = "etcd")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use backup_core::testkit::write_program;
use backup_core::{Effect, RestoreTarget, Source};
use backup_sources::etcd::{EtcdConfig, EtcdSource, Packaging};
use serde_json::json;
use support::etcd::{Server, Setup, V3_4, V3_6, assert_filled, fill, server, tool};
use support::{MemoryReader, RecordingSink, context};

const KEYS: usize = 60;
const SIZE: usize = 20_000;

fn source() -> EtcdSource {
    EtcdSource::new(EtcdConfig::default()).unwrap()
}

/// The artifacts of one member, plain and as tar.
async fn captured(version: &str) -> Option<(RecordingSink, RecordingSink)> {
    let etcd = Server::start(&server(version)?, &Setup::default()).await;
    fill(&mut etcd.client().await, KEYS, SIZE).await;
    let mut sinks = [RecordingSink::default(), RecordingSink::default()];
    for (sink, packaging) in sinks.iter_mut().zip([Packaging::Raw, Packaging::Tar]) {
        let mut config = etcd.config(None);
        config.packaging = packaging;
        EtcdSource::new(config).unwrap().capture(&context(), sink).await.unwrap();
    }
    let [raw, tar] = sinks;
    Some((raw, tar))
}

fn names(directory: &Path) -> Vec<String> {
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_file_is_the_same_from_both_packagings_and_never_replaces() {
    let Some((raw, tar)) = captured(V3_6).await else { return };
    let directory = tempfile::tempdir().unwrap();
    for (name, sink) in [("raw.db", &raw), ("tar.db", &tar)] {
        for chunk in [1000, 100_000] {
            let path = directory.path().join(name);
            let target = RestoreTarget::new(json!({ "snapshot-file": path }));
            let reader = sink.reader().in_chunks_of(chunk);
            let dry = source().restore(&context(), &reader, &target.clone().dry_run(true)).await.unwrap();
            assert!(!path.exists(), "a dry run wrote");
            let report = source().restore(&context(), &reader, &target).await.unwrap();
            assert_eq!((dry.bytes, report.bytes), (report.bytes, path.metadata().unwrap().len()));
            // The tar was taken by a second call: the same database, maybe not the same bytes.
            let written = std::fs::read(&path).unwrap();
            support::etcd::restore(&written);
            assert!(name != "raw.db" || written == raw.only().1);
            assert!(source().restore(&context(), &reader, &target).await.unwrap_err().is_already_exists());
            std::fs::remove_file(path).unwrap();
        }
    }
    assert_eq!(names(directory.path()), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_directory_starts_as_a_member_with_every_key() {
    for (version, program) in [(V3_4, "etcdctl"), (V3_6, "etcdutl")] {
        let (Some((_, tar)), Some(tool)) = (captured(version).await, tool(program)) else { return };
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let target = RestoreTarget::new(json!({ "data-dir": data, "etcdutl": tool, "initial-cluster-token": "new" }));
        let dry = source().restore(&context(), &tar.reader(), &target.clone().dry_run(true)).await.unwrap();
        assert!(!data.exists(), "a dry run wrote");
        let report = source().restore(&context(), &tar.reader(), &target).await.unwrap();
        assert_eq!(dry.bytes, report.bytes);
        assert_eq!(names(&data), ["member"]);
        assert_eq!(data.metadata().unwrap().permissions().mode() & 0o777, 0o700);

        let again = source().restore(&context(), &tar.reader(), &target).await.unwrap_err();
        assert!(again.is_already_exists(), "{again}");
        let member = Server::start(&server(version).unwrap(), &Setup { data: Some(&data), ..Setup::default() }).await;
        assert_filled(&mut member.client().await, KEYS, SIZE).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_data_directory_is_used_and_left_empty_by_a_failure() {
    let (Some((raw, _)), Some(etcdutl)) = (captured(V3_6).await, tool("etcdutl")) else { return };
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let target = |path: &Path, cluster: &str| {
        RestoreTarget::new(json!({ "data-dir": path, "etcdutl": etcdutl, "initial-cluster": cluster, "name": "default" }))
    };
    let empty = tempfile::tempdir().unwrap();
    for path in [missing.as_path(), empty.path()] {
        // The tool refuses a member that is not part of its cluster.
        let error = source().restore(&context(), &raw.reader(), &target(path, "other=http://localhost:2380")).await.unwrap_err();
        assert_eq!(error.code().name, "program.failed", "{error}");
        assert_eq!(error.effect(), Effect::None);
        let damaged = raw.reader().damaged_after(500_000);
        let error = source().restore(&context(), &damaged, &target(path, "default=http://localhost:2380")).await.unwrap_err();
        assert_eq!(error.code().name, "artifact.corrupt", "{error}");
    }
    assert!(!missing.exists(), "a directory that was made stays behind");
    assert_eq!(names(empty.path()), Vec::<String>::new());
    source().restore(&context(), &raw.reader(), &target(empty.path(), "default=http://localhost:2380")).await.unwrap();
    assert_eq!(names(empty.path()), ["member"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_damage_is_refused_and_found_by_inspect() {
    let Some((raw, tar)) = captured(V3_6).await else { return };
    let (raw, tar) = (raw.only().1, tar.only().1);
    let flip = |data: &[u8], at: usize| {
        let mut data = data.to_vec();
        data[at] ^= 1;
        data
    };
    let gzip = {
        let mut child = Command::new("gzip").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut stdin, data) = (child.stdin.take().unwrap(), raw.clone());
        let writer = std::thread::spawn(move || stdin.write_all(&data).unwrap());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output.stdout
    };
    let two_members = {
        let member = &tar[..tar.len() - 1024];
        [member, &tar].concat()
    };
    let page_less = [&raw[..raw.len() - 32 - 512], &raw[raw.len() - 32..]].concat();
    let damages: Vec<(&str, Vec<u8>)> = vec![
        ("a bit in the first page", flip(&raw, 17)),
        ("a bit in the middle", flip(&raw, raw.len() / 2)),
        ("a bit in the last page", flip(&raw, raw.len() - 33)),
        ("a bit in the trailer", flip(&raw, raw.len() - 1)),
        ("no trailer", raw[..raw.len() - 32].to_vec()),
        ("half a trailer", raw[..raw.len() - 16].to_vec()),
        ("cut where the length still looks right", raw[..512 * 40 + 32].to_vec()),
        ("cut anywhere", raw[..12_345].to_vec()),
        ("half a page less", page_less),
        ("something behind it", [raw.as_slice(), &[0; 512]].concat()),
        ("empty", Vec::new()),
        ("not etcd at all", vec![b'x'; 512 * 100 + 32]),
        ("compressed", gzip),
        ("a bit in the tar's member", flip(&tar, tar.len() / 2)),
        ("a bit in the tar's header", flip(&tar, 126)),
        ("a cut tar", tar[..tar.len() / 2].to_vec()),
        ("a tar of two", two_members),
    ];
    let directory = tempfile::tempdir().unwrap();
    for (what, data) in damages {
        let reader = MemoryReader::of("snapshot.db", data);
        let target = RestoreTarget::new(json!({ "snapshot-file": directory.path().join("s.db") }));
        for target in [target.clone(), target.dry_run(true)] {
            let error = source().restore(&context(), &reader, &target).await.unwrap_err();
            assert_eq!(error.code().name, "etcd.snapshot_damaged", "{what}: {error}");
        }
        assert_eq!(names(directory.path()), Vec::<String>::new(), "{what}");
        let inspection = source().inspect(&context(), &reader).await.unwrap();
        assert!(!inspection.faults.is_empty(), "{what} was not found");
    }
    for data in [raw, tar] {
        let inspection = source().inspect(&context(), &MemoryReader::of("snapshot.db", data)).await.unwrap();
        assert_eq!(inspection.faults, Vec::<String>::new());
        assert_eq!(inspection.checks.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inspect_asks_etcd_s_own_tool_when_it_may() {
    let (Some((raw, _)), Some(etcdutl)) = (captured(V3_6).await, tool("etcdutl")) else { return };
    let mut config = EtcdConfig::default();
    config.inspect_with_tool = true;
    config.etcdutl = etcdutl;
    let inspection = EtcdSource::new(config).unwrap().inspect(&context(), &raw.reader()).await.unwrap();
    assert_eq!(inspection.faults, Vec::<String>::new());
    assert!(inspection.checks[1].contains("\"totalKey\""), "{:?}", inspection.checks);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_tool_does_not_offer_is_said_before_anything_is_written() {
    let Some(etcdutl) = tool("etcdutl") else { return };
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let reader = MemoryReader::of("snapshot.db", "");
    for (target, expected) in [
        // 3.5.1 cannot bump.
        (json!({ "data-dir": data, "etcdutl": etcdutl, "bump-revision": 1000, "mark-compacted": true }), "etcd.tool_missing"),
        (json!({ "data-dir": data, "etcdutl": "/no/such/tool" }), "etcd.tool_missing"),
        (json!({ "data-dir": "/no/such/parent/data", "etcdutl": etcdutl }), "input.invalid"),
        (json!({}), "input.invalid"),
        (json!({ "data-dir": data, "snapshot-file": data }), "input.invalid"),
        (json!({ "snapshot-file": data, "bump-revision": 1 }), "input.invalid"),
        (json!({ "datadir": data }), "input.invalid"),
    ] {
        let error = source().restore(&context(), &reader, &RestoreTarget::new(target)).await.unwrap_err();
        assert_eq!(error.code().name, expected, "{error}");
    }
    assert_eq!(names(directory.path()), Vec::<String>::new());
}

/// No etcdutl that bumps revisions can be had here: a stand-in shows that the flags reach one that offers them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_the_member_reach_the_tool() {
    let Some((raw, _)) = captured(V3_6).await else { return };
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("etcdutl");
    let body = "#!/bin/sh\n\
        for a; do case $a in --help) echo '--data-dir --bump-revision --mark-compacted'; exit 0;; --data-dir=*) d=${a#*=};; esac; done\n\
        mkdir -p \"$d/member\"; for a; do echo \"$a\"; done > \"$d/member/arguments\"; echo \"$ETCDCTL_API\"\n";
    write_program(&script, body);
    let data = directory.path().join("data");
    let target = json!({
        "data-dir": data, "etcdutl": script, "name": "m0", "initial-cluster": "m0=http://a:1", "initial-advertise-peer-urls": "http://a:1",
        "initial-cluster-token": "t", "bump-revision": 1000, "mark-compacted": true,
    });
    let report = source().restore(&context(), &raw.reader(), &RestoreTarget::new(target)).await.unwrap();
    assert_eq!(report.details["log"], "3\n");
    let arguments = std::fs::read_to_string(data.join("member/arguments")).unwrap();
    let flags: Vec<_> = arguments.lines().filter(|line| line.starts_with("--") && !line.starts_with("--data-dir")).collect();
    assert_eq!(
        flags,
        [
            "--name=m0",
            "--initial-cluster=m0=http://a:1",
            "--initial-advertise-peer-urls=http://a:1",
            "--initial-cluster-token=t",
            "--bump-revision=1000",
            "--mark-compacted"
        ]
    );
    assert_eq!(names(&data), ["member"]);
}
