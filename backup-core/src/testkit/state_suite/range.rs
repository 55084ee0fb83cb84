//! Ranges.

use super::bench::{Bench, promise};
use crate::state::Expected;

async fn fill(bench: &Bench<'_>, keys: &[&str]) {
    for key in keys {
        bench.set(key, key).await;
    }
}

pub(super) async fn a_range_is_in_byte_order(bench: Bench<'_>) {
    let sorted = ["A", "a", "a ", "a-", "a/", "a/1", "a/10", "a/2", "a0", "b", "ä"];
    let mut shuffled = sorted;
    shuffled.reverse();
    shuffled.swap(1, 7);
    fill(&bench, &shuffled).await;
    let found = bench.range("", None, 100).await;
    promise!(found == sorted, "a range must be in the order of bytes, not {found:?}");
    let entries = bench.state.range("", None, 100).await.unwrap_or_else(|error| panic!("a range must work: {error}"));
    for (key, entry) in entries {
        let alone = bench.get(&key).await;
        promise!(alone.as_ref() == Some(&entry), "{key:?} must be the same in a range and alone: {entry:?}, {alone:?}");
    }
}

pub(super) async fn a_range_holds_its_prefix_only(bench: Bench<'_>) {
    fill(&bench, &["a", "job", "job/1", "job/2", "job0", "jobs/1", "k"]).await;
    for (prefix, expected) in
        [("job/", vec!["job/1", "job/2"]), ("job", vec!["job", "job/1", "job/2", "job0", "jobs/1"]), ("z", vec![])]
    {
        let found = bench.range(prefix, None, 100).await;
        promise!(found == expected, "the range of {prefix:?} must hold {expected:?}, not {found:?}");
    }
    bench.set("top\u{10ffff}", "x").await;
    bench.set("top\u{10ffff}a", "x").await;
    promise!(bench.range("top\u{10ffff}", None, 9).await.len() == 2, "a prefix of the highest characters must have a range too");
}

pub(super) async fn a_range_is_read_in_pieces(bench: Bench<'_>) {
    fill(&bench, &["job/1", "job/2", "job/3", "other"]).await;
    let at = |after| bench.range("job/", after, 2);
    promise!(at(None).await == ["job/1", "job/2"], "a range must end at its limit");
    promise!(at(Some("job/1")).await == ["job/2", "job/3"], "a range must begin after the key that is given, without it");
    promise!(at(Some("job/2")).await == ["job/3"], "the last piece of a range must not go past its prefix");
    promise!(at(Some("job/3")).await.is_empty(), "there must be nothing after the last key");
    promise!(at(Some("job/15")).await == ["job/2", "job/3"], "a range must begin after a key that is not there");
    promise!(at(Some("a")).await == ["job/1", "job/2"], "a start before the prefix must change nothing");
    promise!(at(Some("zzz")).await.is_empty(), "a start after the prefix must leave nothing");
    bench.change("job/2", Expected::Any, None).await;
    promise!(at(Some("job/2")).await == ["job/3"], "a range must go on after a key that was removed");
    promise!(bench.range("job/", None, 0).await.is_empty(), "a limit of 0 must give nothing");
}

pub(super) async fn a_long_range_is_whole(bench: Bench<'_>) {
    let keys: Vec<String> = (0..300).map(|n| format!("n/{n:04}")).collect();
    for key in &keys {
        promise!(bench.change(key, Expected::Absent, Some("x")).await, "{key:?} must be set");
    }
    promise!(bench.range("n/", None, usize::MAX).await == keys, "a range without a limit must be whole");
    let mut found = Vec::new();
    loop {
        let piece = bench.range("n/", found.last().map(String::as_str), 7).await;
        if piece.is_empty() {
            break;
        }
        found.extend(piece);
    }
    promise!(found == keys, "a range in pieces must be whole, {} keys of {}", found.len(), keys.len());
}
