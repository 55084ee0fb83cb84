//! The suite passes a good source and fails each bad one, for the promise that it breaks.

mod toy;

use super::*;
use toy::{Defect, Toy};

#[tokio::test]
async fn a_good_source_passes() {
    run(&Toy::good()).await;
}

#[tokio::test]
async fn a_good_source_without_restore_passes() {
    run(&Toy::without_restore()).await;
}

async fn found_by(defect: Defect, name: &str) {
    let check = checks().iter().find(|check| check.name == name).unwrap();
    let failure = attempt(check, &Toy::broken(defect)).await;
    let message = failure.unwrap_or_else(|| panic!("{name} must fail")).message;
    // A hanging source is found by the source's own limit.
    assert!(!message.contains("no end after"), "{message}");
}

macro_rules! each_defect_is_found {
    ($($test:ident: $defect:ident by $check:literal;)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                found_by(Defect::$defect, $check).await;
            }
        )*
    };
}

each_defect_is_found! {
    finds_probes_that_differ: ProbeCounts by "probes_agree";
    finds_probes_that_change: ProbeLocks by "a_probe_changes_nothing";
    finds_artifacts_left_open: LeaksWriter by "a_capture_closes_what_it_opens";
    finds_artifacts_dropped: DropsWriter by "a_capture_closes_what_it_opens";
    finds_captures_of_nothing: WritesNothing by "a_capture_closes_what_it_opens";
    finds_locks_left_behind: LeavesLocked by "a_capture_closes_what_it_opens";
    finds_revisions_of_the_past: OldRevision by "a_summary_fits_the_probe";
    finds_another_identity: OtherIdentity by "a_summary_fits_the_probe";
    finds_captures_that_differ: Random by "captures_of_an_unchanged_source_agree";
    finds_locks_left_after_a_failure: LocksForEverOnError by "a_failing_sink_fails_the_capture";
    finds_locks_left_after_a_cancel: LocksForEverOnError by "a_cancel_ends_a_capture";
    finds_swallowed_writes: SwallowsWriteErrors by "a_failing_sink_fails_the_capture";
    finds_swallowed_closes: SwallowsCloseErrors by "a_failing_sink_fails_the_capture";
    finds_renamed_errors: RenamesErrors by "a_failing_sink_fails_the_capture";
    finds_an_ignored_cancel_before: IgnoresCancel by "an_ended_job_captures_nothing";
    finds_sources_that_hang_when_cancelled: HangsOnError by "a_cancel_ends_a_capture";
    finds_restores_that_change_bytes: RestoresReversed by "a_restore_brings_everything_back";
    finds_targets_told_good_too_early: TellsGoodEarly by "a_corrupt_backup_is_never_called_good";
    finds_read_errors_swallowed: SwallowsReadErrors by "a_corrupt_backup_is_never_called_good";
    finds_restores_of_cancelled_jobs: IgnoresCancel by "an_ended_job_restores_nothing";
    finds_dry_runs_that_write: DryRunWrites by "a_dry_run_checks_and_changes_nothing";
    finds_dry_runs_that_do_not_read: DryRunReadsNothing by "a_dry_run_checks_and_changes_nothing";
    finds_inspections_that_cry_wolf: CriesWolf by "an_inspection_finds_no_fault_in_a_good_backup";
}
