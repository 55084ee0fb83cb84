//! A BR that lays down files which are ready, and notes what it was told.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use backup_core::error::Code;
use backup_core::store::ExternalLocation;
use backup_core::testkit::SimStore;
use backup_core::{Error, JobContext, Result};

use crate::br::executor::{Cluster, Done, Executor, Order};
use crate::br::meta::tests::encoder::{BACKUP_TS, CLUSTER, Laid};
use crate::br::{BrConfig, BrSource, ExecutorConfig, Tso};

/// Where it writes.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// Below `sim://place/`.
    Sim(SimStore),
    /// Below `file://`.
    Directory,
}

#[derive(Debug)]
pub(super) struct StandIn {
    pub(super) place: Place,
    pub(super) laid: Laid,
    pub(super) cluster: Cluster,
    pub(super) done: Done,
    /// Fails with this after it has written.
    pub(super) fails: Option<&'static Code>,
    pub(super) ordered: Mutex<Vec<Order>>,
    pub(super) restored: Mutex<Vec<Order>>,
}

impl StandIn {
    pub(super) fn new(place: Place, laid: Laid) -> Self {
        let cluster = Cluster { id: Some(CLUSTER.to_string()), version: Some("6.5.0".into()) };
        let done = Done {
            backup_ts: Some(Tso(BACKUP_TS)),
            size: Some(123_456),
            warnings: vec!["said by BR".into()],
            log: Some("Full Backup success summary".into()),
        };
        let (ordered, restored) = Default::default();
        Self { place, laid, cluster, done, fails: None, ordered, restored }
    }

    /// The source over it.
    pub(super) fn source(self) -> (BrSource, Arc<Self>) {
        let sql = serde_json::json!({ "sql": { "address": "127.0.0.1:4000", "user": "root" } });
        let config: ExecutorConfig = serde_json::from_value(sql).unwrap();
        let config = BrConfig { encryption: self.laid.encryption.clone(), ..BrConfig::new(config) };
        let standin = Arc::new(self);
        (BrSource { config: Arc::new(config), executor: Arc::<Self>::clone(&standin), since: None, cluster: None }, standin)
    }
}

#[async_trait]
impl Executor for StandIn {
    async fn identify(&self, cx: &JobContext) -> Result<Cluster> {
        cx.check()?;
        Ok(self.cluster.clone())
    }

    async fn gc_safe_point(&self, _: &JobContext) -> Result<Option<Tso>> {
        Ok(None)
    }

    async fn backup(&self, cx: &JobContext, order: &Order) -> Result<Done> {
        cx.check()?;
        self.ordered.lock().unwrap().push(order.clone());
        for (name, bytes) in &self.laid.files {
            match &self.place {
                Place::Sim(store) => {
                    let prefix = order.location.url.strip_prefix("sim://place/").unwrap();
                    store.raw_put(&format!("{prefix}{name}"), bytes.clone());
                }
                Place::Directory => {
                    let path = format!("{}/{name}", order.location.url.strip_prefix("file://").unwrap());
                    std::fs::create_dir_all(std::path::Path::new(&path).parent().unwrap()).unwrap();
                    std::fs::write(path, bytes).unwrap();
                }
            }
        }
        match self.fails {
            Some(code) => Err(Error::new(code, "told to fail")),
            None => Ok(self.done.clone()),
        }
    }

    async fn restore(&self, cx: &JobContext, order: &Order) -> Result<Done> {
        cx.check()?;
        self.restored.lock().unwrap().push(order.clone());
        match self.fails {
            Some(code) => Err(Error::new(code, "told to fail")),
            None => Ok(Done { size: Some(77), ..self.done.clone() }),
        }
    }

    async fn end_leftovers(&self, _: &JobContext, _: &ExternalLocation) -> Result<usize> {
        Ok(0)
    }
}
