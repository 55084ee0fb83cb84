//! Where a test has its things: a user's view of Cinder, a repository, and what must not be left.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use backup_core::source::BackupReader;
use backup_core::{
    BackupId, BackupRequest, Bytes, Digest, Environment, JobContext, Repository, RestoreReport, RestoreTarget, Result, SetName,
    Store,
};
use backup_sources::cinder::access::{AccessConfig, LocalConfig, NfsConfig, RbdConfig, VolumeAccess};
use backup_sources::cinder::format::{Options, Record, Written};
use backup_sources::cinder::{Cinder, CinderConfig, CinderSource, SourceOptions};
use backup_stores::OpenOptions;
use backup_stores::fs::{FsConfig, FsStore};
use backup_stores::swift::{SwiftConfig, SwiftStore};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::openstack::{OpenStack, VolumeDigest, Witness};

pub const MIB: u64 = 1 << 20;
pub const GIB: u64 = 1 << 30;

/// One test's own place: nobody else has its owner, container and set.
pub struct Place {
    pub stack: OpenStack,
    pub demo: Witness,
    pub cinder: Cinder,
    pub repository: Repository,
    pub set: SetName,
    pub owner: String,
    /// The container or bucket.
    pub container: String,
    pub directory: TempDir,
}

/// A backup that was made.
pub struct Taken {
    pub id: BackupId,
    pub reader: Arc<dyn BackupReader>,
    pub written: Written,
    /// The snapshot that stayed as the base of the next one.
    pub base: Option<String>,
    /// Bytes that it takes in the store.
    pub stored: u64,
}

/// A name that no other test has.
pub fn unique(what: &str) -> String {
    format!("{what}-{:012x}", Environment::default().random.next_u64() >> 16)
}

impl Place {
    /// A repository in a container of the project `demo`.
    pub async fn swift(stack: &OpenStack, what: &str) -> Self {
        let container = unique(what);
        let store = swift(&SwiftConfig::new(stack.keystone("demo", "demo"), &container)).await;
        Self::with(stack, what, container, store).await
    }

    /// A repository in a directory.
    pub async fn files(stack: &OpenStack, what: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let store = Arc::new(FsStore::open(FsConfig::new(directory.path())).unwrap());
        let container = directory.path().to_str().unwrap().to_owned();
        Self { directory, ..Self::with(stack, what, container, store).await }
    }

    pub async fn with(stack: &OpenStack, what: &str, container: String, store: Arc<dyn Store>) -> Self {
        let cinder = cinder(stack, "demo", "demo");
        Self {
            stack: stack.clone(),
            demo: stack.as_demo().await,
            cinder,
            repository: Repository::builder(store).build(),
            set: SetName::new(what).unwrap(),
            owner: unique(what),
            container,
            directory: TempDir::new().unwrap(),
        }
    }

    pub fn cx(&self) -> JobContext {
        self.repository.context()
    }

    pub fn rbd(&self) -> Arc<dyn VolumeAccess> {
        rbd(&self.stack)
    }

    pub fn nfs(&self) -> Arc<dyn VolumeAccess> {
        AccessConfig::nfs(NfsConfig::new(self.stack.nfs_mounts())).open().unwrap()
    }

    pub fn local(&self) -> Arc<dyn VolumeAccess> {
        AccessConfig::local(LocalConfig::new([self.stack.nfs_mounts()])).open().unwrap()
    }

    pub fn source(&self, access: Arc<dyn VolumeAccess>) -> CinderSource {
        // Few objects: a busy Swift takes its time for each.
        let format = Options { object_size: 32 * MIB, ..Options::default() };
        CinderSource::new(self.cinder.clone(), access, SourceOptions::new(&self.owner).format(format)).unwrap()
    }

    pub async fn backup(&self, source: &CinderSource, parents: &[&Taken]) -> Result<Taken> {
        self.backup_in(&self.cx(), source, parents).await
    }

    /// With a context of the test's own.
    pub async fn backup_in(&self, cx: &JobContext, source: &CinderSource, parents: &[&Taken]) -> Result<Taken> {
        let request = BackupRequest::new(self.set.clone()).parents(parents.iter().map(|parent| parent.id.clone()).collect());
        let outcome = self.repository.backup(cx, source, &request).await;
        source.settle(&self.cx(), outcome.is_ok()).await.unwrap();
        let outcome = outcome?;
        let info = outcome.backup();
        let reader = Arc::new(self.repository.open(&self.cx(), &self.set, &info.id).await?);
        let written = Written::of(reader.manifest())?;
        Ok(Taken { id: info.id.clone(), written, reader, base: source.kept_snapshot(), stored: info.stored_size })
    }

    pub async fn restore(&self, source: &CinderSource, backup: &BackupId, target: Value) -> Result<RestoreReport> {
        self.repository.restore(&self.cx(), source, &self.set, backup, &RestoreTarget::new(target)).await
    }

    /// What comes back as a file, which is removed again.
    pub async fn restored(&self, source: &CinderSource, backup: &BackupId) -> Digest {
        let path = self.directory.path().join(unique("volume.raw"));
        self.restore(source, backup, json!({ "file": path })).await.unwrap();
        let digest = digest_of(&path).await;
        std::fs::remove_file(path).unwrap();
        digest
    }

    /// Cinder's record of a backup, imported as an administrator does it. The id at Cinder.
    pub async fn import(&self, backup: &Taken) -> String {
        let (service, url) = Record::of(&self.cx(), &*backup.reader).await.unwrap().encode().unwrap();
        let id = self.stack.as_admin().await.import(&service, &url).await;
        assert_eq!(id, backup.written.backup_id, "Cinder has it under another id");
        id
    }

    /// Nothing of ours is at Cinder, and of the volume nothing but it: no snapshot, no attachment, and nobody waits for it.
    pub async fn nothing_left(&self, volume: &str) {
        let left = self.cinder.leftovers(&self.cx(), &self.owner).await.unwrap();
        assert!(left.is_empty(), "left at Cinder: {left:?}");
        for path in [format!("/snapshots/detail?volume_id={volume}"), format!("/attachments?volume_id={volume}")] {
            let found = self.demo.get(&path).await.unwrap();
            assert_eq!(found, json!([]), "{path}");
        }
        let shown = self.demo.get(&format!("/volumes/{volume}")).await.unwrap();
        assert_eq!((&shown["status"], &shown["metadata"]), (&json!("available"), &json!({})), "{shown}");
    }

    /// Nothing was published.
    pub async fn nothing_published(&self) {
        let listed = self.repository.list(&self.cx(), &self.set).await.unwrap();
        assert!(listed.is_empty(), "{listed:?}");
    }

    /// Removes volumes of the test.
    pub async fn remove(&self, volumes: &[&str]) {
        for volume in volumes {
            self.demo.remove(&format!("/volumes/{volume}")).await;
        }
    }
}

pub fn cinder(stack: &OpenStack, user: &str, project: &str) -> Cinder {
    Cinder::new(CinderConfig::new(stack.keystone(user, project))).unwrap()
}

pub fn rbd(stack: &OpenStack) -> Arc<dyn VolumeAccess> {
    let mut config = RbdConfig::default();
    config.conf = Some(stack.ceph_conf());
    config.pools = vec![stack.pool().to_owned()];
    AccessConfig::rbd(config).open().unwrap()
}

pub async fn swift(config: &SwiftConfig) -> Arc<dyn Store> {
    let cx = backup_core::testkit::test_context(&Environment::default());
    Arc::new(SwiftStore::open(&cx, config, &OpenOptions::default()).await.unwrap())
}

/// Bytes that no two seeds have in common and that do not compress.
pub fn noise(seed: u64, length: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length as usize + 8);
    while bytes.len() < length as usize {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length as usize);
    bytes.into()
}

/// Writes noise into a volume of type `rbd1`: offset, length, seed.
pub async fn fill(stack: &OpenStack, volume: &str, pieces: &[(u64, u64, u64)]) {
    let pieces: Vec<_> = pieces.iter().map(|(offset, length, seed)| (*offset, noise(*seed, *length))).collect();
    stack.write(volume, &pieces.iter().map(|(offset, bytes)| (*offset, &**bytes)).collect::<Vec<_>>()).await;
}

/// The digest of a file, as [`VolumeDigest`] has it.
pub async fn digest_of(path: &Path) -> Digest {
    let path = PathBuf::from(path);
    let read = move || {
        let (mut file, mut digest, mut buffer) = (std::fs::File::open(path).unwrap(), VolumeDigest::default(), vec![0; 1 << 20]);
        loop {
            match std::io::Read::read(&mut file, &mut buffer).unwrap() {
                0 => return digest.finish(),
                count => digest.update(&buffer[..count]),
            }
        }
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}
