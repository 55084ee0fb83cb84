//! An etcd that stands where the test puts it.

use std::sync::{Arc, Mutex};

use backup_core::error::{Code, ErrorKind, Retry};
use backup_core::source::{Probe, Sink, Source, Summary};
use backup_core::{ArtifactName, ArtifactOptions, Bytes, Error, JobContext, Result, Revision, async_trait};
use tokio::sync::Semaphore;

pub(super) static UNREACHABLE: Code = Code {
    name: "etcd.unreachable",
    kind: ErrorKind::Unavailable,
    retry: Retry::Later,
    meaning: "An etcd member did not answer.",
    action: "Check it.",
};

#[derive(Debug, Clone)]
pub(super) struct Etcd(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    standing: Mutex<Standing>,
    /// Each capture takes one permit.
    gate: Semaphore,
}

#[derive(Debug, Clone)]
struct Standing {
    cluster: String,
    revision: u64,
    /// What happens between the probe and the snapshot.
    moves: u64,
    version: Option<String>,
    exact: bool,
    probe_fails: Option<(&'static Code, &'static str)>,
    capture_fails: Option<(&'static Code, &'static str)>,
}

impl Etcd {
    pub(super) fn open() -> Self {
        let standing = Standing {
            cluster: "c1".into(),
            revision: 10,
            moves: 0,
            version: Some("3.5.1".into()),
            exact: true,
            probe_fails: None,
            capture_fails: None,
        };
        Self(Arc::new(Inner { standing: Mutex::new(standing), gate: Semaphore::new(Semaphore::MAX_PERMITS) }))
    }

    fn change(&self, change: impl FnOnce(&mut Standing)) -> &Self {
        change(&mut self.0.standing.lock().unwrap());
        self
    }

    fn standing(&self) -> Standing {
        self.0.standing.lock().unwrap().clone()
    }

    pub(super) fn revision(&self, revision: u64) -> &Self {
        self.change(|etcd| etcd.revision = revision)
    }

    pub(super) fn cluster(&self, cluster: &str) -> &Self {
        self.change(|etcd| etcd.cluster = cluster.into())
    }

    pub(super) fn version(&self, version: Option<&str>) -> &Self {
        self.change(|etcd| etcd.version = version.map(Into::into))
    }

    /// From now on it is written to all the time.
    pub(super) fn busy(&self) -> &Self {
        self.change(|etcd| etcd.exact = false)
    }

    /// It is written to between a probe and the snapshot.
    pub(super) fn moves(&self, by: u64) -> &Self {
        self.change(|etcd| etcd.moves = by)
    }

    pub(super) fn probe_fails(&self, code: &'static Code, message: &'static str) -> &Self {
        self.change(|etcd| etcd.probe_fails = Some((code, message)))
    }

    pub(super) fn capture_fails(&self, code: &'static Code, message: &'static str) -> &Self {
        self.change(|etcd| etcd.capture_fails = Some((code, message)))
    }

    /// Captures wait from now on, until [`Etcd::let_through`].
    pub(super) fn close(&self) {
        self.0.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(super) fn let_through(&self, captures: usize) {
        self.0.gate.add_permits(captures);
    }

    /// What a snapshot of this moment holds.
    pub(super) fn content(&self) -> Vec<u8> {
        let etcd = self.standing();
        format!("{}@{}", etcd.cluster, etcd.revision).repeat(1000).into_bytes()
    }
}

impl Standing {
    fn probe(&self) -> Probe {
        let probe = Probe::default().identity(self.cluster.clone()).revision(Revision::exact(self.revision));
        match &self.version {
            Some(version) => probe.version(version.clone()),
            None => probe,
        }
    }

    fn captured(&self) -> Revision {
        if self.exact { Revision::exact(self.revision) } else { Revision::at_least(self.revision) }
    }
}

fn failed(failure: Option<(&'static Code, &'static str)>) -> Result<()> {
    failure.map_or(Ok(()), |(code, message)| Err(Error::new(code, message)))
}

#[async_trait]
impl Source for Etcd {
    fn kind(&self) -> &str {
        "etcd"
    }

    async fn probe(&self, _: &JobContext) -> Result<Probe> {
        let etcd = self.standing();
        self.change(|now| now.revision += now.moves);
        failed(etcd.probe_fails)?;
        Ok(etcd.probe())
    }

    async fn capture(&self, cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        let passed = async {
            self.0.gate.acquire().await.unwrap().forget();
            Ok(())
        };
        cx.run(passed).await?;
        let etcd = self.standing();
        failed(etcd.capture_fails)?;
        let options = ArtifactOptions::default().probe(etcd.probe().revision(etcd.captured()));
        let mut writer = sink.artifact(&ArtifactName::new("snapshot.db")?, options).await?;
        writer.write(Bytes::from(self.content())).await?;
        writer.close().await?;
        Ok(Summary::default().revision(etcd.captured()))
    }
}
