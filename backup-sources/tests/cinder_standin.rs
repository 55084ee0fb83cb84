//! Volumes on Ceph without a Ceph: a script in place of `rbd` answers what a real one (16.2) answered, recorded once.
#![cfg(feature = "cinder")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::path::Path;
use std::sync::Arc;

use backup_core::testkit::write_program;
use backup_core::{Bytes, Effect};
use backup_sources::cinder::access::{AccessConfig, Place, RbdConfig, VolumeAccess};
use support::context;
use support::volumes::{BLOCK, MIB, drain, lay, place, until, whole};

const VOLUME: &str = "5b9a9c1e-0d1f-4a6e-9f30-6d5a2f1c7e11";
const FIRST: &str = "0a3f7c52-8f4e-4a57-b1d5-2c9d6e1f0a01";
const SECOND: &str = "0a3f7c52-8f4e-4a57-b1d5-2c9d6e1f0a02";
const SIZE: u64 = 64 * MIB;

/// A program by the name of `rbd`, with its notes beside it.
struct StandIn {
    directory: tempfile::TempDir,
    access: Arc<dyn VolumeAccess>,
}

impl StandIn {
    /// It answers as recorded, but for `instead`: shell that sees the command as `$command`.
    fn new(instead: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("rbd");
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rbd");
        let script = format!(
            r#"#!/bin/sh
here="{here}"; fixtures="{fixtures}"
echo "$@" >>"$here/calls"; env >"$here/environment"
shift 4
command=$1
{instead}
case "$*" in
  "info --format json elsewhere/"*) echo "rbd: error opening image" >&2; exit 2;;
  "info --format json volumes/volume-{VOLUME}") cat "$fixtures/info.json";;
  "snap ls"*) cat "$fixtures/snapshots.json";;
  "diff "*) cat "$fixtures/changed.json";;
  "export-diff --no-progress volumes/volume-{VOLUME}@snapshot-{FIRST} -") cat "$fixtures/full.diff";;
  "export-diff --no-progress --from-snap snapshot-{FIRST}"*) cat "$fixtures/changed.diff";;
  "import-diff"*) cat >"$here/imported";;
  *) echo "unknown: $*" >&2; exit 1;;
esac
"#,
            here = directory.path().display(),
            fixtures = fixtures.display()
        );
        write_program(&program, &script);
        let mut rbd = RbdConfig::default();
        rbd.program = program;
        rbd.conf = Some("/the/ceph.conf".into());
        rbd.user = Some("backup".to_owned());
        rbd.pools = vec!["elsewhere".to_owned(), "volumes".to_owned()];
        Self { access: AccessConfig::rbd(rbd).open().unwrap(), directory }
    }

    fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.directory.path().join(name)).unwrap()
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.file(name)).unwrap()
    }

    async fn failed(&self, at: &Place) -> backup_core::Error {
        match self.access.read(&context(), at).await {
            Ok(extents) => drain(extents).await.unwrap_err(),
            Err(error) => error,
        }
    }
}

fn first() -> Place {
    place(VOLUME, Some(FIRST), SIZE)
}

#[tokio::test]
async fn what_a_real_rbd_exported_is_read() {
    let rbd = StandIn::new("");
    let (bytes, read) = whole(rbd.access.read(&context(), &first()).await.unwrap(), SIZE).await.unwrap();
    assert_eq!((read.data, read.extents), (1424, 3));
    assert!(bytes[..512].iter().all(|byte| *byte == b'a') && bytes[4 * MIB as usize + 399] == b'b');
    for (index, call) in rbd.text("calls").lines().enumerate() {
        assert!(call.starts_with("--conf /the/ceph.conf --id backup "), "{index}: {call}");
    }
    // Found in the second pool.
    assert!(rbd.text("calls").contains("info --format json elsewhere/"));
    let environment = rbd.text("environment");
    let mut names: Vec<_> = environment.lines().filter_map(|line| line.split('=').next()).collect();
    names.retain(|name| !["PATH", "HOME", "LANG", "TMPDIR", "PWD", "_", "SHLVL", "OLDPWD"].contains(name));
    assert_eq!(names, [""; 0]);
}

#[tokio::test]
async fn changes_between_borders_of_blocks_are_read_by_whole_objects() {
    let rbd = StandIn::new("");
    let at = place(VOLUME, Some(SECOND), SIZE);
    // What was recorded here is the exact export, which is not what is asked for: whatever `rbd` sends, no part of a block passes.
    let extents = rbd.access.changes(&context(), &at, FIRST, BLOCK).await.unwrap().unwrap();
    let error = lay(extents, &mut vec![0; SIZE as usize]).await.unwrap_err();
    assert_eq!(error.code().name, "cinder.unreadable", "{error}");
    let asked = format!(
        "export-diff --no-progress --from-snap snapshot-{FIRST} --whole-object volumes/volume-{VOLUME}@snapshot-{SECOND} -"
    );
    assert!(rbd.text("calls").contains(&asked), "{}", rbd.text("calls"));

    // Of blocks of one byte, each is whole.
    let extents = rbd.access.changes(&context(), &at, FIRST, 1).await.unwrap().unwrap();
    let mut bytes = vec![b'?'; SIZE as usize];
    let read = lay(extents, &mut bytes).await.unwrap();
    assert_eq!((read.data, read.zeros), (800, 512));
    assert_eq!(&bytes[4 * MIB as usize + 48..][..4], b"??dd");
    assert_eq!(rbd.text("calls").matches("--whole-object").count(), 1);
}

#[tokio::test]
async fn a_program_that_fails_or_stops_early_is_no_end_of_the_volume() {
    let exported = r#"[ "$command" = export-diff ] &&"#;
    for (instead, code, text) in [
        (format!(r#"{exported} {{ head -c 900 "$fixtures/full.diff"; exit 0; }}"#), "cinder.unreadable", "it was cut"),
        (
            format!(r#"{exported} {{ head -c 900 "$fixtures/full.diff"; echo "rbd: read error" >&2; exit 5; }}"#),
            "cinder.program",
            "rbd: read error",
        ),
        (
            format!(r#"{exported} {{ cat "$fixtures/full.diff"; echo "late trouble" >&2; exit 1; }}"#),
            "cinder.program",
            "late trouble",
        ),
        (format!(r#"{exported} {{ cat "$fixtures/full.diff" /dev/zero; }}"#), "cinder.unreadable", "goes on after"),
        (format!("{exported} {{ echo usage; exit 0; }}"), "cinder.unreadable", "none of the format"),
        (format!(r#"{exported} {{ cat "$fixtures/changed.diff"; exit 0; }}"#), "cinder.unreadable", "other snapshots"),
        (r#"[ "$command" = info ] && { echo "no cluster" >&2; exit 1; }"#.to_owned(), "cinder.program", "no cluster"),
        (r#"[ "$command" = info ] && { echo "{}"; exit 0; }"#.to_owned(), "cinder.program", "not understood"),
        (r#"[ "$command" = info ] && exec cat /dev/zero"#.to_owned(), "cinder.program", "longer than"),
        (r#"[ "$command" = info ] && exit 2"#.to_owned(), "cinder.not_there", "elsewhere, volumes"),
    ] {
        let error = StandIn::new(&instead).failed(&first()).await;
        assert_eq!(error.code().name, code, "{instead}: {error}");
        assert!(error.to_string().contains(text), "{instead}: {error}");
    }
}

#[tokio::test]
async fn what_is_imported_has_neither_a_size_nor_a_snapshot() {
    let rbd = StandIn::new("");
    let mut writer = rbd.access.write(&context(), &place(VOLUME, None, SIZE), false).await.unwrap();
    writer.write(5, Bytes::from_static(b"abc")).await.unwrap();
    writer.zero(100, 600 << 10).await.unwrap();
    writer.finish().await.unwrap();
    let mut expected = b"rbd diff v1\nw\x05\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0abcz\x64\0\0\0\0\0\0\0".to_vec();
    expected.extend((600_u64 << 10).to_le_bytes());
    expected.push(b'e');
    assert_eq!(rbd.file("imported"), expected);
}

#[tokio::test]
async fn an_import_that_fails_is_told_with_what_it_said_whenever_it_ends() {
    let quits = r#"[ "$command" = import-diff ] && { head -c 100 >/dev/null; echo "rbd: no space" >&2; exit 28; }"#;
    let reads = r#"[ "$command" = import-diff ] && { cat >/dev/null; echo "rbd: no space" >&2; exit 28; }"#;
    for instead in [quits, reads] {
        let rbd = StandIn::new(instead);
        let mut writer = rbd.access.write(&context(), &place(VOLUME, None, SIZE), true).await.unwrap();
        let all = async {
            for part in 0..32 {
                writer.write(part * MIB, Bytes::from(vec![1; MIB as usize])).await?;
            }
            writer.finish().await
        };
        let error = all.await.unwrap_err();
        assert_eq!((error.code().name, error.effect()), ("cinder.program", Effect::Unknown), "{error}");
        assert!(error.to_string().contains("no space") && error.to_string().contains("volumes/volume-"), "{error}");
    }
}

#[tokio::test]
async fn an_aborted_import_never_sees_an_end() {
    let rbd = StandIn::new(r#"[ "$command" = import-diff ] && { cat >"$here/seen"; exit 74; }"#);
    let mut writer = rbd.access.write(&context(), &place(VOLUME, None, SIZE), true).await.unwrap();
    writer.write(0, Bytes::from_static(b"abc")).await.unwrap();
    let seen = rbd.directory.path().join("seen");
    until("it reads", || std::fs::read(&seen).is_ok_and(|seen| seen.ends_with(b"abc"))).await;
    writer.abort().await;
    assert!(rbd.file("seen").ends_with(b"abc"));
}
