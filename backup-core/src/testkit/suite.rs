//! What the suites share: the list of checks and its runner, making a check, catching its panic, reporting.

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
const LIMIT: Duration = Duration::from_secs(900);

/// Fails the check unless the condition holds.
macro_rules! promise {
    ($condition:expr, $($text:tt)+) => {
        assert!($condition, $($text)+)
    };
}
pub(super) use promise;

/// Defines a suite's `Check`, `checks`, `failures`, `run` and `run_one`. Each check is an async function that takes the module's
/// `Bench`, which `Bench::new` makes anew for each.
macro_rules! conformance_suite {
    ($what:literal, $factory:ident, [$($module:ident::$name:ident),* $(,)?]) => {
        /// One promise and its check.
        #[derive(Clone, Copy)]
        #[non_exhaustive]
        pub struct Check {
            /// The check's name.
            pub name: &'static str,
            run: for<'a> fn(Bench<'a>) -> futures::future::BoxFuture<'a, ()>,
        }

        impl std::fmt::Debug for Check {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct("Check").field("name", &self.name).finish_non_exhaustive()
            }
        }

        /// Every check, in the order in which [`run`] makes them.
        pub fn checks() -> &'static [Check] {
            &[$(Check { name: stringify!($name), run: |bench| Box::pin($module::$name(bench)) }),*]
        }

        #[doc = concat!("Makes every check over a fresh ", $what, " each and says which promises are broken.")]
        pub async fn failures(factory: &dyn $factory) -> Vec<Failure> {
            let mut failures = Vec::new();
            for check in checks() {
                failures.extend(attempt(check, factory).await);
            }
            failures
        }

        #[doc = concat!("Makes every check over a fresh ", $what, " each. Needs a tokio runtime with real time.")]
        ///
        /// # Panics
        /// At the end, naming every broken promise.
        pub async fn run(factory: &dyn $factory) {
            suite::report($what, &failures(factory).await);
        }

        /// Makes one check.
        ///
        /// # Panics
        /// When the promise is broken, or when there is no check of that name.
        pub async fn run_one(name: &str, factory: &dyn $factory) {
            let check = checks().iter().find(|check| check.name == name).unwrap_or_else(|| panic!("no check is called {name}"));
            let failure = attempt(check, factory).await;
            suite::report($what, failure.as_slice());
        }

        async fn attempt(check: &Check, factory: &dyn $factory) -> Option<Failure> {
            suite::attempt(check.name, async { (check.run)(Bench::new(factory).await).await }).await
        }
    };
}
pub(super) use conformance_suite;

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
