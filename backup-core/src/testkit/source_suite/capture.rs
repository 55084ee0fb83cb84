//! Captures that go well.

use super::bench::{Bench, promise, skipped};
use crate::revision::Certainty;

/// More than anybody reads, and too much for a manifest.
const LOG_LIMIT: usize = 1 << 20;

pub(super) async fn a_capture_closes_what_it_opens(bench: Bench<'_>) {
    let before = bench.factory.fingerprint().await;
    let (_, sink) = bench.captured().await;
    let open = sink.open_artifacts();
    promise!(open.is_empty(), "a capture must close every artifact before it returns; still open: {open:?}");
    let lost = sink.abandoned();
    promise!(lost.is_empty(), "a capture must not drop an artifact and call it a success; dropped: {lost:?}");
    let external = bench.factory.external_location().await.is_some();
    promise!(external || !sink.artifacts().is_empty(), "a capture must write at least one artifact");
    bench.unchanged(&before, "a capture").await;
}

pub(super) async fn a_summary_fits_the_probe(bench: Bench<'_>) {
    let probe = bench.probe().await;
    let (summary, _) = bench.captured().await;
    if let (Some(probed), Some(captured)) = (&probe.revision, &summary.revision) {
        promise!(!captured.is_before(probed), "the captured revision {captured} lies before the probed one {probed}");
        let exact = probed.certainty == Certainty::Exact && captured.certainty == Certainty::Exact;
        promise!(
            !exact || captured == probed,
            "of an unchanged source {probed} was probed and {captured} captured, both exactly"
        );
    }
    for (what, probed, captured) in
        [("identity", &probe.identity, &summary.identity), ("version", &probe.version, &summary.version)]
    {
        let agree = captured.is_none() || captured == probed;
        promise!(agree, "the summary's {what} {captured:?} must be absent or the probe's {probed:?}");
    }
    let log = summary.log.as_ref().map_or(0, String::len);
    promise!(log <= LOG_LIMIT, "the log is bounded: it has {log} bytes, more than {LOG_LIMIT}");
}

pub(super) async fn captures_of_an_unchanged_source_agree(bench: Bench<'_>) {
    if !bench.factory.deterministic() {
        return skipped("captures_of_an_unchanged_source_agree", "the factory says that captures differ");
    }
    let (_, first) = bench.captured().await;
    let (_, second) = bench.captured().await;
    let names = |sink: &crate::testkit::RecordingSink| -> Vec<_> {
        sink.artifacts().into_iter().map(|artifact| artifact.name.to_string()).collect()
    };
    let (a, b) = (names(&first), names(&second));
    promise!(a == b, "two captures must have the same artifacts in the same order: {a:?}, {b:?}");
    for (a, b) in first.artifacts().iter().zip(second.artifacts()) {
        promise!(a.bytes == b.bytes, "two captures of {} must have the same bytes", a.name);
        promise!(a.as_is == b.as_is, "two captures of {} must have the same encoding", a.name);
    }
}
