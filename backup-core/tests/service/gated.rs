//! A source that waits in its capture until the test lets it go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use backup_core::source::{Probe, Sink, Summary};
use backup_core::{ArtifactName, ArtifactOptions, Bytes, Error, JobContext, Result, Revision, Source, async_trait};
use tokio::sync::Semaphore;

#[derive(Debug, Clone)]
pub struct Gated(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    gate: Semaphore,
    inside: AtomicUsize,
    most: AtomicUsize,
    revision: AtomicU64,
    fate: AtomicUsize,
}

/// What the next captures come to.
#[derive(Clone, Copy)]
pub enum Fate {
    Well = 0,
    Fails = 1,
    Panics = 2,
}

impl Gated {
    pub fn closed() -> Self {
        let (inside, most, revision, fate) = Default::default();
        Self(Arc::new(Inner { gate: Semaphore::new(0), inside, most, revision, fate }))
    }

    pub fn open() -> Self {
        let gated = Self::closed();
        gated.let_through(Semaphore::MAX_PERMITS);
        gated
    }

    pub fn let_through(&self, captures: usize) {
        self.0.gate.add_permits(captures);
    }

    pub fn change(&self) {
        self.0.revision.fetch_add(1, Ordering::SeqCst);
    }

    pub fn fate(&self, fate: Fate) {
        self.0.fate.store(fate as usize, Ordering::SeqCst);
    }

    /// How many captures are under way.
    pub fn inside(&self) -> usize {
        self.0.inside.load(Ordering::SeqCst)
    }

    /// How many were at the same time, at most.
    pub fn most(&self) -> usize {
        self.0.most.load(Ordering::SeqCst)
    }

    fn revision(&self) -> Revision {
        Revision::exact(self.0.revision.load(Ordering::SeqCst))
    }
}

struct Inside<'a>(&'a Inner);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Source for Gated {
    fn kind(&self) -> &str {
        "gated"
    }

    async fn probe(&self, _: &JobContext) -> Result<Probe> {
        Ok(Probe::default().identity("one").revision(self.revision()))
    }

    async fn capture(&self, cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        let revision = self.revision();
        self.0.most.fetch_max(self.0.inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let _inside = Inside(&self.0);
        cx.run(async {
            self.0.gate.acquire().await.unwrap().forget();
            Ok(())
        })
        .await?;
        match self.0.fate.load(Ordering::SeqCst) {
            1 => return Err(Error::new(&backup_core::error::codes::SOURCE_FAILED, "told to fail")),
            2 => panic!("told to panic"),
            _ => {}
        }
        let mut writer = sink.artifact(&ArtifactName::new("data")?, ArtifactOptions::default()).await?;
        writer.write(Bytes::from(format!("at {revision:?}"))).await?;
        writer.close().await?;
        Ok(Summary::default().revision(revision))
    }
}
