//! Probing.

use super::bench::{Bench, promise};
use crate::source::Probe;

pub(super) async fn probes_agree(bench: Bench<'_>) {
    let kind = bench.source.kind();
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    promise!(!kind.is_empty() && kind.chars().all(word), "a kind is a word of lower-case letters, not {kind:?}");
    let first = position(bench.probe().await);
    for round in 2..5 {
        let again = position(bench.probe().await);
        promise!(again == first, "probe {round} of an unchanged source must agree with the first: {again:?}, {first:?}");
    }
    bench.captured().await;
    let again = position(bench.probe().await);
    promise!(again == first, "a probe after a capture must agree with the one before: {again:?}, {first:?}");
}

/// All but the size, which a probe gives "about": a database may allocate by itself while nothing changes.
fn position(probe: Probe) -> Probe {
    Probe { size_hint: None, ..probe }
}

pub(super) async fn a_probe_changes_nothing(bench: Bench<'_>) {
    let before = bench.factory.fingerprint().await;
    bench.probe().await;
    bench.unchanged(&before, "a probe").await;

    let ended = bench.job();
    ended.cancel_token().cancel();
    let answer = bench.in_time("probe in a cancelled job", bench.source.probe(&ended)).await;
    // A source that has nothing to ask may answer nevertheless.
    drop(answer);
    bench.unchanged(&before, "a probe in a cancelled job").await;
}
