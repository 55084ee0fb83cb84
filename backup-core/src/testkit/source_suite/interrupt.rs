//! Captures that are interrupted. A source that goes on is not only slow: it publishes what is not whole.

use std::time::Duration;

use super::bench::{Bench, promise, skipped};
use crate::context::JobContext;
use crate::error::{Code, codes};
use crate::testkit::RecordingSink;

impl Bench<'_> {
    /// A capture that must fail in time and leave the thing as it was. `wanted` is the error that the sink gave.
    async fn fails(&self, cx: &JobContext, sink: &RecordingSink, when: &str, wanted: Option<&Code>) {
        let before = self.factory.fingerprint().await;
        let answer = self.in_time(&format!("a capture {when}"), self.source.capture(cx, sink)).await;
        match (answer, wanted) {
            (Ok(_), _) => panic!("a capture {when} must fail, and it succeeds"),
            (Err(error), Some(code)) => {
                promise!(
                    error.code() == code,
                    "a capture {when} must hand on {}, which says what to do, not: {error}",
                    code.name
                );
            }
            (Err(_), None) => {}
        }
        let open = sink.open_artifacts();
        promise!(open.is_empty(), "a capture {when} must let go of its artifacts: {open:?}");
        self.unchanged(&before, &format!("a capture {when}")).await;
    }
}

pub(super) async fn an_ended_job_captures_nothing(bench: Bench<'_>) {
    let cancelled = bench.job();
    cancelled.cancel_token().cancel();
    bench.fails(&cancelled, &bench.sink().await, "in a cancelled job", None).await;
    let expired = bench.job().with_limit(Duration::ZERO);
    bench.fails(&expired, &bench.sink().await, "in a job past its deadline", None).await;
}

pub(super) async fn a_cancel_ends_a_capture(bench: Bench<'_>) {
    let (_, calm) = bench.captured().await;
    if calm.bytes() == 0 {
        return skipped("a_cancel_ends_a_capture", "the source writes no bytes into the sink");
    }
    for share in [1, 2, 3] {
        let (cx, sink) = (bench.job(), bench.sink().await);
        let bytes = (calm.bytes() * share / 4).max(1);
        sink.cancel_after(bytes, &cx);
        bench.fails(&cx, &sink, &format!("cancelled after {bytes} bytes"), None).await;
    }
    // The source is usable afterwards.
    bench.captured().await;
}

pub(super) async fn a_failing_sink_fails_the_capture(bench: Bench<'_>) {
    let (_, calm) = bench.captured().await;
    let (writes, artifacts) = (calm.writes(), calm.artifacts().len() as u64);
    if artifacts == 0 {
        return skipped("a_failing_sink_fails_the_capture", "the source writes no artifacts into the sink");
    }
    let places = |count: u64| {
        let mut places = vec![1, count.div_ceil(2), count];
        places.dedup();
        places.retain(|n| *n > 0);
        places
    };
    let code = &codes::STORE_NO_SPACE;
    for n in places(writes) {
        let sink = bench.sink().await;
        sink.fail_write(n, code);
        bench.fails(&bench.job(), &sink, &format!("whose write {n} of {writes} fails"), Some(code)).await;
    }
    for n in places(artifacts) {
        let sink = bench.sink().await;
        sink.fail_open(n, code);
        bench.fails(&bench.job(), &sink, &format!("whose opening {n} of {artifacts} fails"), Some(code)).await;
        let sink = bench.sink().await;
        sink.fail_close(n, code);
        bench.fails(&bench.job(), &sink, &format!("whose close {n} of {artifacts} fails"), Some(code)).await;
    }
    bench.captured().await;
}
