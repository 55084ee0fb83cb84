//! What both suites share: making a check, catching its panic, reporting.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;

/// A promise that was broken.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Failure {
    /// The check's name.
    pub check: &'static str,
    /// What was seen.
    pub message: String,
}

/// How long a check may take by the runtime's clock before it counts as hung.
const LIMIT: Duration = Duration::from_secs(300);

/// Fails the check unless the condition holds.
macro_rules! promise {
    ($condition:expr, $($text:tt)+) => {
        assert!($condition, $($text)+)
    };
}
pub(super) use promise;

pub(super) async fn attempt(check: &'static str, work: impl Future<Output = ()>) -> Option<Failure> {
    let failed = |message: String| Some(Failure { check, message });
    match tokio::time::timeout(LIMIT, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(())) => None,
        Ok(Err(panic)) => failed(panic_text(&*panic)),
        Err(_) => failed(format!("no end after {LIMIT:?}")),
    }
}

pub(super) fn report(what: &str, failures: &[Failure]) {
    let lines: Vec<_> = failures.iter().map(|failure| format!("\n  {}: {}", failure.check, failure.message)).collect();
    assert!(failures.is_empty(), "the {what} breaks {} promises:{}", failures.len(), lines.concat());
}

pub(super) fn skipped(check: &str, why: &str) {
    println!("SKIPPED: {check}: {why}");
}

/// What a caught panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a text".into())
}
