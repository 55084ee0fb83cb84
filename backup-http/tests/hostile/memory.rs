//! Memory stays flat under all of it.

use super::*;

/// Resident bytes of this process.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(text.split_whitespace().nth(1)?.parse::<u64>().ok()? * 4096)
}

#[tokio::test]
async fn memory_stays_flat_over_thousands_of_hostile_requests() {
    let Some(_) = resident() else {
        println!("SKIPPED: this system has no /proc/self/statm");
        return;
    };
    let served = serve().await;
    // Those that end at once; what waits for a limit is in the other tests.
    let requests: Vec<Vec<u8>> = paths::requests().into_iter().chain(framing::requests()).collect();
    let mut quick = Vec::new();
    for request in requests {
        let started = tokio::time::Instant::now();
        served.send(&request).await;
        if started.elapsed() < LIMIT / 4 {
            quick.push(request);
        }
    }
    assert!(quick.len() > 50, "only {} end at once", quick.len());
    let round = async || {
        let all = stream::iter(&quick).for_each_concurrent(16, |request| async {
            served.send(request).await;
        });
        all.await;
    };
    for _ in 0..5 {
        round().await;
    }
    let before = resident().unwrap();
    for _ in 0..40 {
        round().await;
    }
    let grown = resident().unwrap().saturating_sub(before);
    assert!(grown < 32 << 20, "{} requests left {grown} bytes behind", 40 * quick.len());
    served.is_well().await;
}
