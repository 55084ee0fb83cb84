//! What tests of volumes share: bytes, places, extents put together, and images on the Ceph that `tools/openstack.sh up all` started.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use backup_core::Result;
use backup_sources::cinder::access::{AccessConfig, Extent, Extents, Place, RbdConfig};
use futures::StreamExt;

pub const MIB: u64 = 1 << 20;
pub const BLOCK: u64 = 32 << 10;

/// Bytes that do not compress and are the same each time.
pub fn noise(seed: u64, length: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(&mut word).take(length as usize / 8 + 1).flatten().collect();
    bytes.truncate(length as usize);
    bytes
}

/// A volume, or a snapshot of it.
pub fn place(volume: &str, snapshot: Option<&str>, size: u64) -> Place {
    Place { volume: volume.to_owned(), snapshot: snapshot.map(str::to_owned), size, connection: None }
}

/// What was read.
#[derive(Debug, Default)]
pub struct Read {
    /// Bytes of data that came.
    pub data: u64,
    /// Bytes that were said to be zeros.
    pub zeros: u64,
    pub extents: usize,
    /// The largest piece.
    pub largest: u64,
    /// Whether each began and ended at a multiple of a block, or at the end.
    pub aligned: bool,
}

/// Lays extents over what is there.
pub async fn lay(mut extents: Extents, over: &mut [u8]) -> Result<Read> {
    let mut read = Read { aligned: true, ..Read::default() };
    let mut end = 0;
    while let Some(extent) = extents.next().await {
        let (offset, length) = match extent? {
            Extent::Data { offset, bytes } => {
                over[offset as usize..][..bytes.len()].copy_from_slice(&bytes);
                read.data += bytes.len() as u64;
                (offset, bytes.len() as u64)
            }
            Extent::Zero { offset, length } => {
                over[offset as usize..][..length as usize].fill(0);
                read.zeros += length;
                (offset, length)
            }
        };
        assert!(offset >= end && length > 0, "{length} bytes at {offset} after {end}");
        end = offset + length;
        read.aligned &= offset % BLOCK == 0 && (end % BLOCK == 0 || end == over.len() as u64);
        read.extents += 1;
        read.largest = read.largest.max(length);
    }
    Ok(read)
}

/// A whole volume.
pub async fn whole(extents: Extents, size: u64) -> Result<(Vec<u8>, Read)> {
    let mut bytes = vec![0; size as usize];
    let read = lay(extents, &mut bytes).await?;
    Ok((bytes, read))
}

/// Takes what comes and throws it away.
pub async fn drain(mut extents: Extents) -> Result<()> {
    while let Some(extent) = extents.next().await {
        extent?;
    }
    Ok(())
}

/// Ends, if all is well.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let mut tries = 0;
    while !condition() {
        tries += 1;
        assert!(tries < 3000, "it did not come about: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Processes that run with this in their arguments.
pub fn running(text: &str) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap();
    let commands = processes.filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok());
    commands.filter(|command| command.windows(text.len()).any(|window| window == text.as_bytes())).count()
}

/// The running Ceph, and a pool for whatever tests need.
#[derive(Debug, Clone)]
pub struct Ceph {
    pub conf: PathBuf,
    pub pool: String,
}

impl Ceph {
    /// Without one the test is skipped aloud, or fails where real servers are asked for.
    pub fn wanted() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let base = std::env::var_os("OS_BASE").map_or_else(|| root.join("target/openstack"), PathBuf::from);
        let text = std::fs::read_to_string(base.join("env")).unwrap_or_default();
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let found = value("CEPH_CONF").zip(value("CEPH_BACKUP_POOL"));
        if let Some((conf, pool)) = found {
            return Some(Self { conf: conf.into(), pool: pool.to_owned() });
        }
        let real = std::env::var_os("BACKUP_TEST_REAL").is_some_and(|value| value == "1");
        assert!(!real, "no Ceph is up: run tools/openstack.sh up all");
        println!("SKIPPED: run tools/openstack.sh up all");
        None
    }

    pub fn config(&self) -> AccessConfig {
        let mut rbd = RbdConfig::default();
        rbd.conf = Some(self.conf.clone());
        rbd.pools = vec![self.pool.clone()];
        AccessConfig::rbd(rbd)
    }

    /// `rbd`, as its own witness.
    pub fn rbd(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.command().args(arguments).output().unwrap();
        assert!(output.status.success(), "rbd {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Takes back the lock of somebody who was killed.
    pub fn break_lock(&self, spec: &str) {
        let locks: serde_json::Value = serde_json::from_slice(&self.rbd(&["lock", "ls", "--format", "json", spec])).unwrap();
        for lock in locks.as_array().unwrap() {
            self.rbd(&["lock", "rm", spec, lock["id"].as_str().unwrap(), lock["locker"].as_str().unwrap()]);
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new("rbd");
        command.env_remove("CEPH_ARGS").arg("--conf").arg(&self.conf).stdin(Stdio::null());
        command
    }

    /// A new image, as Cinder would name that of a volume; removed at the end.
    pub fn image(&self, size: u64) -> Image {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let volume = format!("test-{}-{number}", std::process::id());
        let image = Image { ceph: self.clone(), spec: format!("{}/volume-{volume}", self.pool), volume };
        self.rbd(&["create", "--no-progress", "--size", &format!("{size}B"), &image.spec]);
        image
    }
}

/// An image.
#[derive(Debug)]
pub struct Image {
    pub ceph: Ceph,
    pub volume: String,
    pub spec: String,
}

impl Image {
    /// Writes with `rbd import-diff`; `None` is zeros.
    pub fn write(&self, pieces: &[(u64, u64, Option<u64>)]) {
        let mut stream = b"rbd diff v1\n".to_vec();
        for (offset, length, seed) in pieces {
            stream.push(if seed.is_some() { b'w' } else { b'z' });
            stream.extend(offset.to_le_bytes());
            stream.extend(length.to_le_bytes());
            stream.extend(seed.map(|seed| noise(seed, *length)).unwrap_or_default());
        }
        stream.push(b'e');
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, &stream).unwrap();
        self.ceph.rbd(&["import-diff", "--no-progress", file.path().to_str().unwrap(), &self.spec]);
    }

    /// A snapshot, as Cinder would name it.
    pub fn snapshot(&self, id: &str) {
        self.ceph.rbd(&["snap", "create", "--no-progress", &format!("{}@snapshot-{id}", self.spec)]);
    }

    /// All bytes, by `rbd export`.
    pub fn export(&self, snapshot: Option<&str>) -> Vec<u8> {
        let at = snapshot.map(|id| format!("@snapshot-{id}")).unwrap_or_default();
        self.ceph.rbd(&["export", "--no-progress", &format!("{}{at}", self.spec), "-"])
    }

    pub fn info(&self) -> serde_json::Value {
        serde_json::from_slice(&self.ceph.rbd(&["info", "--format", "json", &self.spec])).unwrap()
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let run = |words: &[&str]| self.ceph.command().args(words).arg(&self.spec).stderr(Stdio::null()).status();
        let _ = run(&["snap", "purge", "--no-progress"]);
        // Of who was killed, Ceph believes for half a minute that it is there, and removes nothing.
        for _ in 0..60 {
            if run(&["rm", "--no-progress"]).is_ok_and(|status| status.success()) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
        println!("{} was not removed", self.spec);
    }
}
