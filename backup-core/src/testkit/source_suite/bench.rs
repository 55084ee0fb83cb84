//! What every check works with.

use std::future::Future;
use std::sync::Arc;

use super::SourceFactory;
use crate::context::JobContext;
use crate::error::Result;
use crate::source::{Probe, Source, Summary};
pub(super) use crate::testkit::suite::{promise, skipped};
use crate::testkit::{MemoryReader, RecordingSink, test_context};

pub(super) struct Bench<'a> {
    pub(super) factory: &'a dyn SourceFactory,
    pub(super) source: Arc<dyn Source>,
    pub(super) cx: JobContext,
}

impl<'a> Bench<'a> {
    pub(super) async fn new(factory: &'a dyn SourceFactory) -> Self {
        Self { factory, source: factory.fresh().await, cx: test_context(&factory.environment()) }
    }

    pub(super) fn job(&self) -> JobContext {
        test_context(&self.factory.environment())
    }

    pub(super) async fn probe(&self) -> Probe {
        let probe = self.in_time("probe", self.source.probe(&self.cx)).await;
        probe.unwrap_or_else(|error| panic!("probe must work: {error}"))
    }

    pub(super) async fn sink(&self) -> RecordingSink {
        let sink = RecordingSink::new();
        if let Some(location) = self.factory.external_location().await {
            sink.set_external_location(location);
        }
        sink
    }

    /// Captures and lets nothing of it be wrong.
    pub(super) async fn captured(&self) -> (Summary, RecordingSink) {
        let sink = self.sink().await;
        let summary = self.in_time("capture", self.source.capture(&self.cx, &sink)).await;
        (summary.unwrap_or_else(|error| panic!("capture must work: {error}")), sink)
    }

    /// The thing that is backed up is as it was.
    pub(super) async fn unchanged(&self, before: &Option<String>, after_what: &str) {
        let after = self.factory.fingerprint().await;
        promise!(after == *before, "{after_what} must leave the thing as it was: {before:?} became {after:?}");
    }

    /// What was captured, as a backup.
    pub(super) async fn backup(&self) -> MemoryReader {
        let (summary, sink) = self.captured().await;
        MemoryReader::new(self.source.kind(), &summary, &sink.artifacts())
    }

    pub(super) async fn in_time<T>(&self, what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let limit = self.factory.limit();
        match tokio::time::timeout(limit, work).await {
            Ok(answer) => answer,
            Err(_) => panic!("{what} must end within {limit:?}"),
        }
    }
}
