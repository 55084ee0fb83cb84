//! Restoring.

use std::time::Duration;

use super::TargetState;
use super::TestTarget;
use super::bench::{Bench, promise, skipped};
use crate::context::JobContext;
use crate::error::{Result, codes};
use crate::source::{RestoreReport, RestoreTarget};
use crate::testkit::MemoryReader;

impl Bench<'_> {
    /// A target, unless the source does not restore; then it must say so.
    async fn target(&self, check: &str) -> Option<Box<dyn TestTarget>> {
        let target = self.factory.target().await;
        if target.is_none() {
            let answer = self.source.restore(&self.cx, &self.backup().await, &RestoreTarget::default()).await;
            let code = answer.err().map(|error| error.code().name);
            let unsupported = codes::SOURCE_UNSUPPORTED.name;
            promise!(code == Some(unsupported), "a source that does not restore must say {unsupported}, not {code:?}");
            skipped(check, "the factory has no target to restore into");
        }
        target
    }

    async fn restore(
        &self,
        cx: &JobContext,
        reader: &MemoryReader,
        target: &dyn TestTarget,
        dry_run: bool,
    ) -> Result<RestoreReport> {
        let target = target.target().dry_run(dry_run);
        self.in_time("restore", self.source.restore(cx, reader, &target)).await
    }
}

/// The breaks of a backup: at its very start, in its middle, and after its last byte.
async fn corrupt_backups(bench: &Bench<'_>) -> Vec<(String, MemoryReader)> {
    let longest = bench.captured().await.1.artifacts().iter().map(|artifact| artifact.bytes.len() as u64).max().unwrap_or(0);
    let mut broken = Vec::new();
    for bytes in [0, longest / 2, longest.saturating_sub(1)] {
        broken.push((format!("corrupt after {bytes} bytes"), bench.backup().await.corrupt_after(bytes)));
    }
    broken.push(("corrupt after its last byte".into(), bench.backup().await.corrupt_at_end()));
    broken
}

pub(super) async fn a_restore_brings_everything_back(bench: Bench<'_>) {
    for piece in [1 << 20, 61_001, 997] {
        let Some(target) = bench.target("a_restore_brings_everything_back").await else { return };
        let state = target.state().await;
        promise!(state == TargetState::Untouched, "the factory must give an untouched target, not {state:?}");
        let backup = bench.backup().await.piece(piece);
        let answer = bench.restore(&bench.cx, &backup, &*target, false).await;
        answer.unwrap_or_else(|error| panic!("a restore of a good backup must work: {error}"));
        let state = target.state().await;
        promise!(state == TargetState::Good, "after a restore in pieces of {piece} bytes the target is {state:?}, not good");
    }
}

pub(super) async fn a_corrupt_backup_is_never_called_good(bench: Bench<'_>) {
    for (how, backup) in corrupt_backups(&bench).await {
        let Some(target) = bench.target("a_corrupt_backup_is_never_called_good").await else { return };
        let answer = bench.restore(&bench.cx, &backup, &*target, false).await;
        let state = target.state().await;
        let told_good = matches!(state, TargetState::Good | TargetState::Deceiving);
        promise!(!told_good, "the target of a backup {how} must not be told that it is good; it is {state:?}");
        promise!(answer.is_err(), "a restore of a backup {how} must fail: {answer:?}");
    }
}

pub(super) async fn an_ended_job_restores_nothing(bench: Bench<'_>) {
    let cancelled = bench.job();
    cancelled.cancel_token().cancel();
    let expired = bench.job().with_limit(Duration::ZERO);
    for (what, ended) in [("a cancelled job", cancelled), ("a job past its deadline", expired)] {
        let Some(target) = bench.target("an_ended_job_restores_nothing").await else { return };
        let answer = bench.restore(&ended, &bench.backup().await, &*target, false).await;
        promise!(answer.is_err(), "a restore in {what} must fail: {answer:?}");
        let state = target.state().await;
        let told_good = matches!(state, TargetState::Good | TargetState::Deceiving);
        promise!(!told_good, "a restore in {what} must not tell the target that it is good; it is {state:?}");
    }
}

pub(super) async fn a_dry_run_checks_and_changes_nothing(bench: Bench<'_>) {
    let Some(target) = bench.target("a_dry_run_checks_and_changes_nothing").await else { return };
    let answer = bench.restore(&bench.cx, &bench.backup().await, &*target, true).await;
    answer.unwrap_or_else(|error| panic!("a dry run of a good backup must work: {error}"));
    let state = target.state().await;
    promise!(state == TargetState::Untouched, "a dry run must change nothing; the target is {state:?}");
    for (how, backup) in corrupt_backups(&bench).await {
        let answer = bench.restore(&bench.cx, &backup, &*target, true).await;
        promise!(answer.is_err(), "a dry run of a backup {how} must fail, for it checks everything: {answer:?}");
        let state = target.state().await;
        promise!(state == TargetState::Untouched, "a failed dry run must change nothing; the target is {state:?}");
    }
}

pub(super) async fn an_inspection_finds_no_fault_in_a_good_backup(bench: Bench<'_>) {
    let backup = bench.backup().await;
    let inspection = bench.in_time("inspect", bench.source.inspect(&bench.cx, &backup)).await;
    let inspection = inspection.unwrap_or_else(|error| panic!("an inspection of a good backup must work: {error}"));
    promise!(inspection.faults.is_empty(), "a good backup has no faults: {:?}", inspection.faults);
}
