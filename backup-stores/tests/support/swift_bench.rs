//! A Swift store whose way there can be broken.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses its part of it")]

use backup_core::store::WriteOptions;
use backup_core::testkit::SeededRandom;
use backup_core::{Bytes, JobContext, ObjectKey, Store, StoreExt};
use backup_remote::CallLimits;
use backup_remote::testkit::FaultyProxy;
use backup_stores::swift::{SwiftConfig, SwiftStore};

use crate::openstack::{OpenStack, context};

pub const MIB: usize = 1 << 20;

/// A store whose way to Swift leads through a proxy.
pub struct Bench {
    pub openstack: OpenStack,
    pub proxy: FaultyProxy,
    pub config: SwiftConfig,
    pub store: SwiftStore,
    pub cx: JobContext,
}

impl Bench {
    pub async fn new(limits: CallLimits) -> Option<Self> {
        let openstack = OpenStack::wanted().await?;
        let proxy = FaultyProxy::http(&openstack.swift_host()).await;
        let mut config = openstack.config(&openstack.container("faults")).segment_size(Some(MIB as u64)).requests(limits);
        config.region = Some(openstack.region(&proxy.url()).await);
        let store = openstack.store(&config).await;
        Some(Self { openstack, proxy, config, store, cx: context() })
    }

    pub async fn write(&self, name: &str, bytes: &Bytes) -> backup_core::Result<()> {
        let mut writer = self.store.writer(&self.cx, &key(name), WriteOptions::new(self.cx.job().clone())).await?;
        for piece in bytes.chunks(300_000) {
            if let Err(error) = writer.write(Bytes::copy_from_slice(piece)).await {
                writer.abort().await?;
                return Err(error);
            }
        }
        writer.finish().await.map(drop)
    }

    pub async fn get(&self, name: &str) -> backup_core::Result<Bytes> {
        self.store.get(&self.cx, &key(name), u64::MAX).await
    }
}

pub fn key(name: &str) -> ObjectKey {
    ObjectKey::new(name).unwrap()
}

pub fn data(seed: u64, count: usize) -> Bytes {
    SeededRandom::new(seed).bytes(count).into()
}

/// Little patience, so that a test does not take long.
pub fn impatient() -> CallLimits {
    let mut limits = CallLimits::default();
    limits.timeout_secs = 3;
    limits.stall_secs = 2;
    limits.attempts = 5;
    limits
}
