//! Volumes in files: of shares and of this host, raw and in qcow2.
#![cfg(feature = "cinder")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use backup_core::{Bytes, Error, ErrorKind};
use backup_sources::cinder::access::{AccessConfig, FileVolume, LocalConfig, NfsConfig, Place, VolumeAccess};
use serde_json::json;
use support::context;
use support::volumes::{MIB, drain, noise, place, running, until, whole};

const EXPORT: &str = "127.0.0.1:/srv/volumes";
/// As `md5sum` says.
const SHARE: &str = "2ac6bbbe03021b955775f5a8da11a353";
const SIZE: u64 = 16 * MIB;

/// A share that Cinder has mounted.
struct Share {
    directory: tempfile::TempDir,
    access: Arc<dyn VolumeAccess>,
}

impl Share {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join(SHARE)).unwrap();
        let access = AccessConfig::nfs(NfsConfig::new(directory.path())).open().unwrap();
        Self { directory, access }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(SHARE).join(name)
    }

    /// A raw file with data at the offsets.
    fn raw(&self, name: &str, size: u64, data: &[(u64, &[u8])]) -> std::fs::File {
        let file = std::fs::File::create(self.path(name)).unwrap();
        file.set_len(size).unwrap();
        data.iter().for_each(|(offset, bytes)| file.write_all_at(bytes, *offset).unwrap());
        file
    }

    async fn read(&self, at: &Place) -> Result<Vec<u8>, Error> {
        whole(self.access.read(&context(), at).await?, at.size).await.map(|(bytes, _)| bytes)
    }

    async fn refused(&self, at: &Place) -> (&'static str, String) {
        let error = self.read(at).await.unwrap_err();
        (error.code().name, error.to_string())
    }
}

/// As Cinder tells it.
fn at(name: &str, format: &str) -> Place {
    let connection = json!({
        "driver_volume_type": "nfs", "export": EXPORT, "name": name, "format": format, "options": null,
        "mount_point_base": "/etc", "encrypted": false, "access_mode": "rw", "attachment_id": "0"
    });
    Place { connection: Some(connection), ..place("v", None, SIZE) }
}

fn device(path: &Path) -> Place {
    let connection = json!({"driver_volume_type": "local", "device_path": path});
    Place { connection: Some(connection), ..place("v", None, SIZE) }
}

/// A program of QEMU; without it the test is skipped aloud, or fails where real programs are asked for.
fn qemu_wanted() -> bool {
    let there =
        Command::new("qemu-img").arg("--version").output().is_ok() && Command::new("qemu-io").arg("--version").output().is_ok();
    let real = std::env::var_os("BACKUP_TEST_REAL").is_some_and(|value| value == "1");
    assert!(there || !real, "install qemu-utils");
    if !there {
        println!("SKIPPED: install qemu-utils");
    }
    there
}

/// Runs a program in the directory of the share.
fn qemu(share: &Share, command: &str) {
    let directory = share.directory.path().join(SHARE);
    let output = Command::new("sh").arg("-c").arg(command).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_raw_file_is_read_without_its_holes() {
    let share = Share::new();
    let (first, last) = (noise(1, 3 * MIB), noise(2, 4096));
    share.raw("volume-v", SIZE, &[(4096, &first), (SIZE - 4096, &last)]);
    let (bytes, read) = whole(share.access.read(&context(), &at("volume-v", "raw")).await.unwrap(), SIZE).await.unwrap();
    assert!(bytes == std::fs::read(share.path("volume-v")).unwrap(), "the bytes differ");
    assert!(read.data < 4 * MIB, "holes were read: {read:?}");
    assert!(read.largest <= 4 * MIB);

    share.raw("volume-v", SIZE, &[]);
    let (_, read) = whole(share.access.read(&context(), &at("volume-v", "raw")).await.unwrap(), SIZE).await.unwrap();
    assert_eq!(read.extents, 0, "a file without data has none");
}

#[tokio::test]
async fn a_volume_that_a_guest_made_look_like_qcow2_is_read_as_the_bytes_it_is() {
    if !qemu_wanted() {
        return;
    }
    let share = Share::new();
    qemu(&share, "qemu-img create -q -f qcow2 -u -b /etc/passwd -F raw evil.qcow2 16M && truncate -s 16M evil.qcow2");
    let bytes = share.read(&at("evil.qcow2", "raw")).await.unwrap();
    assert!(bytes.starts_with(b"QFI\xfb") && bytes == std::fs::read(share.path("evil.qcow2")).unwrap());

    // The same one link deeper: an overlay of Cinder's over the guest's raw volume.
    qemu(&share, "qemu-img create -q -f qcow2 -b evil.qcow2 -F raw overlay.qcow2");
    let bytes = share.read(&at("overlay.qcow2", "qcow2")).await.unwrap();
    assert!(bytes == std::fs::read(share.path("evil.qcow2")).unwrap(), "the guest's image was opened");
}

#[tokio::test]
async fn an_overlay_that_cinder_calls_raw_is_not_taken_for_the_volume() {
    if !qemu_wanted() {
        return;
    }
    let share = Share::new();
    qemu(&share, "truncate -s 16M volume-v && qemu-img create -q -f qcow2 -b volume-v -F raw volume-v.snapshot");
    let (code, text) = share.refused(&at("volume-v.snapshot", "raw")).await;
    assert_eq!(code, "cinder.unreadable", "{text}");
    assert!(text.contains("is a qcow2"), "{text}");
}

#[tokio::test]
async fn a_qcow2_is_read_with_all_it_builds_on() {
    if !qemu_wanted() {
        return;
    }
    let share = Share::new();
    share.raw("base", SIZE, &[(0, &noise(1, 5 * MIB)), (9 * MIB, &noise(2, MIB))]);
    qemu(
        &share,
        "qemu-img create -q -f qcow2 -b base -F raw one && qemu-io -f qcow2 -c 'write -P 17 1M 100k' -c 'write -z 3M 1M' -c 'discard 4M 1M' one >/dev/null
         qemu-img create -q -f qcow2 -b \"$PWD/one\" -F qcow2 two && qemu-io -f qcow2 -c 'write -P 18 1100k 64k' -c 'write -P 19 15M 1M' two >/dev/null
         qemu-img convert -f qcow2 -O raw two flat",
    );
    let (bytes, read) = whole(share.access.read(&context(), &at("two", "qcow2")).await.unwrap(), SIZE).await.unwrap();
    assert!(bytes == std::fs::read(share.path("flat")).unwrap(), "the bytes differ");
    assert!(read.data < 8 * MIB && read.largest <= 4 * MIB, "{read:?}");
    assert!(share.read(&at("one", "qcow2")).await.unwrap()[15 * MIB as usize..].iter().all(|byte| *byte == 0));

    // Larger than what it builds on, and than nothing at all.
    qemu(
        &share,
        "truncate -s 1M small && qemu-img create -q -f qcow2 -b small -F raw grown 16M && qemu-io -f qcow2 -c 'write -P 1 8M 1' grown >/dev/null",
    );
    let bytes = share.read(&at("grown", "qcow2")).await.unwrap();
    assert_eq!(bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>(), 1);
    qemu(&share, "qemu-img create -q -f qcow2 empty 16M");
    assert!(share.read(&at("empty", "qcow2")).await.unwrap().iter().all(|byte| *byte == 0));
}

#[tokio::test]
async fn a_qcow2_that_leads_elsewhere_or_hides_its_bytes_is_refused() {
    if !qemu_wanted() {
        return;
    }
    let share = Share::new();
    std::fs::write(share.directory.path().join("beside"), [0; 512]).unwrap();
    symlink(share.directory.path().join("beside"), share.path("link")).unwrap();
    for (make, code, why) in [
        ("qemu-img create -q -f qcow2 -u -b /etc/passwd -F raw x 16M", "cinder.outside", "/etc/passwd"),
        ("qemu-img create -q -f qcow2 -u -b ../beside -F raw x 16M", "cinder.outside", "../beside"),
        ("qemu-img create -q -f qcow2 -u -b nbd:localhost:1 -F raw x 16M", "cinder.outside", "nbd:localhost"),
        (
            r#"qemu-img create -q -f qcow2 -u -b 'json:{"driver":"file","filename":"/etc/passwd"}' -F raw x 16M"#,
            "cinder.outside",
            "json:",
        ),
        ("qemu-img create -q -f qcow2 -u -b link -F raw x 16M", "cinder.outside", "link"),
        ("qemu-img create -q -f qcow2 -u -b gone -F raw x 16M", "cinder.not_there", "gone"),
        (
            "qemu-img create -q -f qcow2 x 16M && qemu-img create -q -f qcow2 -u -b x -F qcow2 y 16M && qemu-img rebase -u -f qcow2 -b y -F qcow2 x",
            "cinder.unreadable",
            "itself",
        ),
        ("qemu-img create -q -f vmdk z 16M; qemu-img create -q -f qcow2 -u -b z -F vmdk x 16M", "cinder.unreadable", "vmdk"),
        // Written by nobody any more: the format was guessed then.
        (
            "qemu-img create -q -f qcow2 -u -b link -F raw x 16M; perl -0777 -pi -e 's/\\xe2\\x79\\x2a\\xca\\0\\0\\0\\x03raw/\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0/' x",
            "cinder.unreadable",
            "does not state the format",
        ),
        (
            "head -c 1M /etc/os-release >f; truncate -s 16M f; qemu-img convert -c -f raw -O qcow2 f x",
            "cinder.unreadable",
            "compressed",
        ),
        (
            "qemu-img create -q -f qcow2 --object secret,id=s,data=hush -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 x 16M",
            "cinder.unreadable",
            "encrypted",
        ),
        ("qemu-img create -q -f qcow2 -o data_file=d x 16M", "cinder.unreadable", "another file"),
        ("truncate -s 16M x", "cinder.program", "qcow2"),
        ("qemu-img create -q -f qcow2 x 17M", "cinder.unreadable", "17825792"),
    ] {
        let _ = std::fs::remove_file(share.path("x"));
        qemu(&share, make);
        let (found, text) = share.refused(&at("x", "qcow2")).await;
        assert_eq!(found, code, "{make}: {text}");
        assert!(text.contains(why), "{make}: {text}");
    }
    assert_eq!(running(share.directory.path().to_str().unwrap()), 0);
}

#[tokio::test]
async fn nothing_but_plain_files_of_the_share_is_opened() {
    let share = Share::new();
    share.raw("volume-v", SIZE, &[]);
    std::fs::write(share.directory.path().join("beside"), vec![0; SIZE as usize]).unwrap();
    symlink(share.path("volume-v"), share.path("link")).unwrap();
    std::fs::create_dir(share.path("directory")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, share.path("pipe"), rustix::fs::Mode::RUSR).unwrap();
    for (name, code) in [
        ("link", "cinder.outside"),
        ("../beside", "cinder.outside"),
        ("..", "cinder.outside"),
        (".", "cinder.outside"),
        ("", "cinder.outside"),
        ("./volume-v", "cinder.outside"),
        ("volume-v/", "cinder.outside"),
        ("/etc/passwd", "cinder.outside"),
        ("gone", "cinder.not_there"),
        ("directory", "cinder.unreadable"),
        ("pipe", "cinder.unreadable"),
    ] {
        for format in ["raw", "qcow2"] {
            let (found, text) = share.refused(&at(name, format)).await;
            assert_eq!(found, code, "{name}: {text}");
        }
    }
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(share.directory.path().join(SHARE), elsewhere.path().join(SHARE)).unwrap();
    let access = AccessConfig::nfs(NfsConfig::new(elsewhere.path())).open().unwrap();
    let error = access.read(&context(), &at("volume-v", "raw")).await.err().unwrap();
    assert_eq!(error.code().name, "cinder.outside", "{error}");
}

#[tokio::test]
async fn a_connection_that_does_not_say_enough_is_refused() {
    let share = Share::new();
    share.raw("volume-v", SIZE, &[]);
    for (field, value, code) in [
        ("format", json!(null), "cinder.unreadable"),
        ("format", json!("vhdx"), "cinder.unreadable"),
        ("format", json!(7), "cinder.unreadable"),
        ("export", json!(null), "cinder.unreadable"),
        ("export", json!("127.0.0.1:/other"), "cinder.not_there"),
        ("name", json!(null), "cinder.unreadable"),
        ("driver_volume_type", json!("rbd"), "cinder.not_there"),
    ] {
        let mut place = at("volume-v", "raw");
        place.connection.as_mut().unwrap()[field] = value.clone();
        let (found, text) = share.refused(&place).await;
        assert_eq!(found, code, "{field} = {value}: {text}");
    }
    assert_eq!(share.refused(&place("v", None, SIZE)).await.0, "cinder.not_there");
    for size in [SIZE - 1, SIZE + (1 << 30)] {
        let (found, text) = share.refused(&Place { size, ..at("volume-v", "raw") }).await;
        assert_eq!(found, "cinder.unreadable", "{text}");
    }
    // What Cinder took over from elsewhere, it rounds up to whole GiB.
    let rounded = Place { size: SIZE + 4096, ..at("volume-v", "raw") };
    assert_eq!(share.read(&rounded).await.unwrap().len() as u64, SIZE + 4096);
    let error = share.access.rollback(&context(), "v", "s").await.unwrap_err();
    assert_eq!(error.code().name, "source.unsupported");
}

#[tokio::test]
async fn what_is_written_to_a_raw_file_is_there_and_zeros_over_data_are_holes() {
    let share = Share::new();
    let old = noise(1, SIZE);
    let file = share.raw("volume-v", SIZE, &[(0, &old)]);
    let mut writer = share.access.write(&context(), &at("volume-v", "raw"), false).await.unwrap();
    let new = noise(2, 2 * MIB + 3);
    writer.write(100, Bytes::from(new.clone())).await.unwrap();
    writer.zero(4 * MIB + 1, 8 * MIB).await.unwrap();
    writer.finish().await.unwrap();
    let mut expected = old;
    expected[100..][..new.len()].copy_from_slice(&new);
    expected[4 * MIB as usize + 1..][..8 * MIB as usize].fill(0);
    assert!(std::fs::read(share.path("volume-v")).unwrap() == expected, "the bytes differ");
    let allocated = file.metadata().unwrap().blocks() * 512;
    assert!(allocated < 9 * MIB, "no hole was made: {allocated}");

    let mut writer = share.access.write(&context(), &at("volume-v", "raw"), false).await.unwrap();
    for (offset, length) in [(SIZE - 1, 2), (SIZE, 1), (u64::MAX, 1)] {
        assert_eq!(writer.write(offset, vec![1; length].into()).await.unwrap_err().code().name, "cinder.unwritable");
        assert_eq!(writer.zero(offset, length as u64).await.unwrap_err().code().name, "cinder.unwritable");
    }
    writer.write(10, Bytes::from_static(b"ab")).await.unwrap();
    assert_eq!(writer.write(11, Bytes::from_static(b"c")).await.unwrap_err().code().name, "cinder.unwritable");
    writer.abort().await;
    assert_eq!(file.metadata().unwrap().len(), SIZE);

    let refused = |place: Place| {
        let access = Arc::clone(&share.access);
        async move { access.write(&context(), &place, true).await.unwrap_err().code().name }
    };
    assert_eq!(refused(at("volume-v", "qcow2")).await, "cinder.unwritable");
    assert_eq!(refused(Place { size: SIZE + 1, ..at("volume-v", "raw") }).await, "cinder.unwritable");
    assert_eq!(refused(at("gone", "raw")).await, "cinder.not_there");
    assert!(!share.path("gone").exists());
}

#[tokio::test]
async fn a_cancel_ends_a_read_and_a_file_that_shrinks_is_no_whole_volume() {
    let share = Share::new();
    let file = share.raw("volume-v", SIZE, &[(0, &noise(1, SIZE))]);
    let cx = context();
    let extents = share.access.read(&cx, &at("volume-v", "raw")).await.unwrap();
    cx.cancel_token().cancel();
    assert_eq!(drain(extents).await.unwrap_err().kind(), ErrorKind::Cancelled);
    for left in [0, SIZE - MIB] {
        file.set_len(SIZE).unwrap();
        let extents = share.access.read(&context(), &at("volume-v", "raw")).await.unwrap();
        file.set_len(left).unwrap();
        assert_eq!(drain(extents).await.unwrap_err().code().name, "cinder.unreadable", "{left} bytes were left");
    }
    if qemu_wanted() {
        qemu(&share, "qemu-img create -q -f qcow2 x 16M && qemu-io -f qcow2 -c 'write 0 16M' x >/dev/null");
        let path = share.path("x");
        drop(share.access.read(&context(), &at("x", "qcow2")).await.unwrap());
        until("qemu-img is gone", || running(path.to_str().unwrap()) == 0).await;
    }
}

#[tokio::test]
async fn local_files_are_opened_below_the_configured_directories_alone() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = one.path().join("group/volume");
    std::fs::create_dir(one.path().join("group")).unwrap();
    let bytes = noise(1, SIZE);
    std::fs::write(&path, &bytes).unwrap();
    symlink(&path, one.path().join("group/link")).unwrap();
    symlink(one.path().join("group"), one.path().join("linked")).unwrap();
    std::fs::write(two.path().join("volume"), &bytes).unwrap();
    let access = AccessConfig::local(LocalConfig::new([one.path()])).open().unwrap();
    let (read, _) = whole(access.read(&context(), &device(&path)).await.unwrap(), SIZE).await.unwrap();
    assert!(read == bytes, "the bytes differ");
    for refused in [
        two.path().join("volume"),
        one.path().join("group/link"),
        one.path().join("linked/volume"),
        one.path().join("group/../group/volume"),
        one.path().to_owned(),
        PathBuf::from("/dev/null"),
        PathBuf::from("/dev/sda"),
        PathBuf::from("group/volume"),
        PathBuf::new(),
    ] {
        let error = access.read(&context(), &device(&refused)).await.err().unwrap();
        assert_eq!(error.code().name, "cinder.outside", "{}: {error}", refused.display());
        let error = access.write(&context(), &device(&refused), true).await.err().unwrap();
        assert_eq!(error.code().name, "cinder.outside", "{}: {error}", refused.display());
    }
}

/// A file as a block device; gone at the end.
struct Loop(String);

impl Loop {
    fn of(file: &Path) -> Option<Self> {
        let output = Command::new("losetup").args(["--find", "--show"]).arg(file).output().ok()?;
        output.status.success().then(|| Self(String::from_utf8(output.stdout).unwrap().trim().to_owned()))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["--detach", &self.0]).status();
    }
}

#[tokio::test]
async fn a_device_is_read_and_written_through_a_link_that_stays_below_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    let bytes = noise(1, SIZE);
    std::fs::write(&file, &bytes).unwrap();
    let Some(device_file) = Loop::of(&file) else {
        println!("SKIPPED: this machine gives no loop device");
        return;
    };
    // As LVM has it: /dev/<group>/<volume> is a link.
    let link = directory.path().join("volume");
    symlink(&device_file.0, &link).unwrap();
    let narrow = AccessConfig::local(LocalConfig::new([directory.path()])).open().unwrap();
    let error = narrow.read(&context(), &device(&link)).await.err().unwrap();
    assert_eq!(error.code().name, "cinder.outside", "{error}");

    let access = AccessConfig::local(LocalConfig::new([directory.path(), Path::new("/dev")])).open().unwrap();
    for path in [&link, Path::new(&device_file.0)] {
        let (read, _) = whole(access.read(&context(), &device(path)).await.unwrap(), SIZE).await.unwrap();
        assert!(read == bytes, "the bytes differ");
    }
    let mut writer = access.write(&context(), &device(&link), false).await.unwrap();
    writer.write(MIB, Bytes::from_static(b"abc")).await.unwrap();
    writer.zero(2 * MIB + 1, 5 * MIB).await.unwrap();
    writer.finish().await.unwrap();
    let mut expected = bytes;
    expected[MIB as usize..][..3].copy_from_slice(b"abc");
    expected[2 * MIB as usize + 1..][..5 * MIB as usize].fill(0);
    let (read, _) = whole(access.read(&context(), &device(&link)).await.unwrap(), SIZE).await.unwrap();
    assert!(read == expected, "what was written differs");
}

#[tokio::test]
async fn a_volume_restored_into_a_new_file_is_sparse_and_there_whole_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("volume.raw");
    let bytes = noise(1, MIB);
    for ending in ["abort", "drop", "finish"] {
        let mut writer = FileVolume::create(&context(), &path, SIZE).await.unwrap();
        writer.zero(0, 5 * MIB).await.unwrap();
        writer.write(5 * MIB, Bytes::from(bytes.clone())).await.unwrap();
        assert!(!path.exists());
        assert_eq!(writer.write(SIZE - 1, Bytes::from_static(b"ab")).await.unwrap_err().code().name, "cinder.unwritable");
        match ending {
            "abort" => writer.abort().await,
            "drop" => drop(writer),
            _ => writer.finish().await.unwrap(),
        }
        let names = std::fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(names, usize::from(ending == "finish"), "after {ending}");
    }
    let mut expected = vec![0; SIZE as usize];
    expected[5 * MIB as usize..][..bytes.len()].copy_from_slice(&bytes);
    assert!(std::fs::read(&path).unwrap() == expected, "the bytes differ");
    assert!(std::fs::metadata(&path).unwrap().blocks() * 512 <= 2 * MIB, "it is not sparse");
    assert!(FileVolume::create(&context(), &path, SIZE).await.unwrap_err().is_already_exists());
}
