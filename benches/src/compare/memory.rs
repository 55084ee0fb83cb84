//! Cases without a peer: memory of a backup, and a repository of very many backups.

use super::race::{Report, spread};
use super::stored::{backup, mebibytes};
use super::{Outcome, Settings, data, remove, text};
use crate::proc::load;

const MANIFESTS: u64 = 100_000;

/// Peak memory of a backup over that of the process before it, for a small and a big file.
pub(super) fn memory(settings: &Settings) -> Outcome {
    let root = settings.path("memory-store");
    println!("\npeak memory above idle, MiB (goal: below 64, and no more for more data)");
    for compression in ["none", "gzip", "zstd"] {
        for mib in [64.min(settings.mib), settings.mib] {
            let file = data::file(settings, "mixed", mib)?;
            let mut reports = Vec::new();
            for _ in 0..settings.rounds {
                remove(&root)?;
                reports.push(backup(settings, &["backup-file", text(&root)?, compression, text(&file)?])?);
            }
            let ((_, idle, _), (low, peak, high)) = (mebibytes(&reports, "idle-kib"), mebibytes(&reports, "peak-kib"));
            let most = high - idle;
            let met = if most < 64.0 { "met" } else { "MISSED" };
            println!(
                "  {compression:<4} {mib:>5} MiB: idle {idle:.1}, peak {low:.1}/{peak:.1}/{high:.1}, above idle {most:.1}: {met}"
            );
        }
    }
    remove(&root)
}

/// 100,000 manifests: list and latest.
pub(super) fn manifests(settings: &Settings) -> Outcome {
    let root = settings.path("manifest-store");
    let store = text(&root)?;
    if !root.exists() {
        backup(settings, &["seed", store, &MANIFESTS.to_string()])?;
    }
    println!("\n{MANIFESTS} manifests (load {})", load());
    let report = backup(settings, &["list", store])?;
    let number = |key: &str| report.get(key).and_then(|value| value.as_f64()).unwrap_or(f64::NAN);
    println!("  first list of a new process, reads every manifest: {:.1} s", number("cold-seconds"));
    for (key, what, goal) in [
        ("cached-ms", "warm, from the catalogue (`cached`)", 50.0),
        ("refreshed-ms", "warm, `list` that asks the store", f64::NAN),
    ] {
        let (low, middle, high) = spread(milliseconds(&report, key));
        let met = if goal.is_nan() {
            ""
        } else if middle < goal {
            ", goal 50: met"
        } else {
            ", goal 50: MISSED"
        };
        println!("  {what}: {low:.1}/{middle:.1}/{high:.1} ms{met}");
    }
    let (idle, peak) = (number("idle-kib") / 1024.0, number("peak-kib") / 1024.0);
    println!("  memory of the process that holds the catalogue: {:.0} MiB above idle", peak - idle);
    let mut latest = Vec::new();
    for _ in 0..settings.rounds {
        latest.push(backup(settings, &["latest", store])?);
    }
    let of = |key: &str| spread(latest.iter().filter_map(|report| report.get(key)?.as_f64()).collect());
    let ((low, middle, high), (_, read, _)) = (of("seconds"), of("manifests-read"));
    println!("  `latest` of a new process: {:.0}/{:.0}/{:.0} ms, manifests read: {read}", low * 1e3, middle * 1e3, high * 1e3);
    Ok(())
}

fn milliseconds(report: &Report, key: &str) -> Vec<f64> {
    let values = report.get(key).and_then(|values| values.as_array());
    values.into_iter().flatten().filter_map(|value| value.as_f64()).collect()
}
