//! A service that does as it is told, and when it was asked.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backup_core::testkit::{VirtualClock, test_context, test_environment};
use backup_core::{Clock, Error, ErrorKind, JobContext, Result};

use crate::{Attempt, Call, CallLimits, CallObserver, CallRecord, Calls, Failure, codes};

/// What becomes of an attempt.
#[derive(Debug, Clone, Copy)]
pub(super) enum Out {
    Well,
    /// The service answers no.
    Refused,
    Sent,
    Unsent,
    /// The service asks to wait so many seconds.
    Asked(u64),
    Hangs,
}

#[derive(Clone)]
pub(super) struct Site {
    pub(super) cx: JobContext,
    pub(super) clock: Arc<VirtualClock>,
    pub(super) calls: Calls,
    pub(super) told: Arc<Told>,
    asked: Arc<Mutex<Vec<Duration>>>,
}

impl Site {
    /// Time passes by itself when everybody waits.
    pub(super) fn new(limits: CallLimits) -> Self {
        Self::seeded(limits, 1)
    }

    pub(super) fn seeded(limits: CallLimits, seed: u64) -> Self {
        let (environment, clock) = test_environment(seed);
        clock.auto_advance(true);
        let told = Arc::new(Told::default());
        let calls = Calls::observed("s3", limits, Some(told.clone()));
        Self { cx: test_context(&environment), clock, calls, told, asked: Arc::default() }
    }

    /// Makes a call whose attempts, one after the other, become this, the last one again and again; gives the number of the last attempt.
    pub(super) async fn call(&self, call: &Call, outs: &[Out]) -> Result<u32> {
        self.calls
            .run(&self.cx, call, |number| {
                self.asked.lock().unwrap().push(self.clock.monotonic());
                let out = outs.get(number as usize - 1).or(outs.last()).copied().unwrap();
                async move { attempt(number, out).await }
            })
            .await
    }

    /// When attempts began.
    pub(super) fn asked(&self) -> Vec<Duration> {
        self.asked.lock().unwrap().clone()
    }

    /// The pauses between the attempts.
    pub(super) fn pauses(&self) -> Vec<Duration> {
        self.asked().windows(2).map(|two| two[1] - two[0]).collect()
    }
}

async fn attempt(number: u32, out: Out) -> Attempt<u32> {
    let error = |code| Error::new(code, format!("attempt {number} failed"));
    match out {
        Out::Well => Attempt::Ended(Ok(number)),
        Out::Refused => Attempt::Ended(Err(error(&backup_core::error::codes::STORE_DENIED))),
        Out::Sent => Attempt::Failed(Failure::sent(error(&codes::OVERLOADED))),
        Out::Unsent => Attempt::Failed(Failure::unsent(error(&codes::UNREACHABLE))),
        Out::Asked(seconds) => {
            Attempt::Failed(Failure::sent(error(&codes::OVERLOADED)).after(Some(Duration::from_secs(seconds))))
        }
        Out::Hangs => std::future::pending().await,
    }
}

/// What an observer was told.
#[derive(Default)]
pub(super) struct Told(pub(super) Mutex<Vec<Record>>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) operation: &'static str,
    pub(super) failed: Option<ErrorKind>,
    pub(super) attempts: u32,
    pub(super) elapsed: Duration,
    pub(super) bytes: u64,
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Told")
    }
}

impl CallObserver for Told {
    fn ended(&self, call: &CallRecord<'_>) {
        assert_eq!(call.service, "s3");
        let &CallRecord { operation, failed, attempts, elapsed, bytes, .. } = call;
        self.0.lock().unwrap().push(Record { operation, failed, attempts, elapsed, bytes });
    }
}

pub(super) fn reading() -> Call {
    Call::reading("Get")
}

pub(super) fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}
