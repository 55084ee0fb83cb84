//! What all steps share: the screen, the interrupt, and how a job runs under both.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use backup_core::{JobContext, Repository};
use backup_stores::fs::{FsConfig, FsStore};
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::interrupt;
use super::ui::{Step, TICK, Ui};

/// Where the backups go, seen from the working directory.
pub(super) const BACKUPS: &str = "demo-backups";

/// One run of the program.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) ui: Ui,
    interrupt: CancellationToken,
}

impl Session {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self { ui: Ui::new(), interrupt: interrupt::token()? })
    }

    /// The repository in [`BACKUPS`]: a store and the engine on it.
    pub(super) fn repository(&self) -> Result<Repository, Failure> {
        let store = FsStore::open(FsConfig::new(BACKUPS))?;
        Ok(Repository::builder(Arc::new(store)).build())
    }

    /// Runs a job of the library to its end, showing how far it is. An interrupt cancels the job and waits for it: jobs
    /// are never dropped in the middle, they clean up first.
    pub(super) async fn job<T>(
        &self,
        name: &'static str,
        cx: &JobContext,
        work: impl Future<Output = backup_core::Result<T>>,
    ) -> Result<(T, Step), Failure> {
        let mut step = self.ui.step(name);
        let mut work = pin!(work);
        let mut tick = tokio::time::interval(TICK);
        let result = loop {
            tokio::select! {
                result = &mut work => break result,
                _ = tick.tick() => step.progress(cx.progress()),
                () = self.interrupt.cancelled(), if !cx.cancel_token().is_cancelled() => cx.cancel_token().cancel(),
            }
        };
        match result {
            Ok(value) => Ok((value, step)),
            Err(error) => {
                step.failed();
                Err(if self.interrupt.is_cancelled() { Failure::interrupted() } else { error.into() })
            }
        }
    }

    /// Runs a step that can be dropped in the middle.
    #[cfg(feature = "demo-etcd")]
    pub(super) async fn step<T>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<(T, Step), Failure> {
        let step = self.ui.step(name);
        let result = tokio::select! {
            result = work => result,
            () = self.interrupt.cancelled() => Err(Failure::interrupted()),
        };
        match result {
            Ok(value) => Ok((value, step)),
            Err(failure) => {
                step.failed();
                Err(failure)
            }
        }
    }
}
