//! A program that tells where the thing that is backed up stands.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use backup_core::error::codes::{JOB_DEADLINE, SOURCE_FAILED};
use backup_core::revision::{Certainty, Position as At, Revision};
use backup_core::{Error, JobContext, Probe, Result, Secret, Summary};
use serde::Deserialize;

use crate::process::{Group, Launch, Log, LogLimits, Logs, Secrets, codes};

/// A probe is meant to be cheap.
const LIMIT: Duration = Duration::from_secs(60);
/// An answer has a few hundred bytes.
const ANSWER: usize = 64 << 10;

/// What is asked, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probing<'a> {
    pub(super) command: Option<&'a [String]>,
    pub(super) environment: &'a BTreeMap<String, Secret>,
    pub(super) directory: Option<&'a Path>,
    pub(super) time_limit: Option<Duration>,
    pub(super) grace: Duration,
}

/// What the program prints: one JSON object.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Answer {
    identity: Option<String>,
    revision: Option<Number>,
    #[serde(default = "at_least")]
    certainty: Certainty,
    version: Option<String>,
    size_hint: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Number {
    Number(u64),
    Name(String),
}

/// What is not said to be exact is not taken for it.
fn at_least() -> Certainty {
    Certainty::AtLeast
}

/// Asks the program; without one nothing is known.
pub(super) async fn probe(probing: &Probing<'_>, cx: &JobContext) -> Result<Probe> {
    let Some(argv) = probing.command else { return Ok(Probe::default()) };
    let limit = probing.time_limit.map_or(LIMIT, |limit| limit.min(LIMIT));
    let limited = cx.with_limit(limit);
    limited.check()?;
    let secrets = Secrets::new(probing.environment.values());
    let logs = Logs {
        out: Log::new(secrets.clone(), LogLimits::new(ANSWER, 1).line(ANSWER)),
        err: Log::new(secrets, LogLimits::default()),
    };
    let mut group = Group::start(
        &limited,
        &Launch {
            argv,
            environment: probing.environment,
            directory: probing.directory,
            feed: false,
            collect: false,
            gated: false,
            grace: probing.grace,
            logs: logs.clone(),
        },
    )?;
    if let Err(error) = group.finish(&limited).await {
        group.terminate().await;
        let late = error.code().name == JOB_DEADLINE.name && cx.check().is_ok();
        let error =
            if late { Error::new(&codes::TIME_LIMIT, format!("took longer than {limit:?} and was stopped")) } else { error };
        return Err(error.context("the probe command"));
    }
    group.kill().await;
    let text = logs.out.text().unwrap_or_default();
    let answer: Answer = serde_json::from_str(&text).map_err(|error| {
        Error::new(&SOURCE_FAILED, "the probe command did not print the JSON object it should").with_source(error)
    })?;
    let mut probe = Probe::default();
    probe.identity = answer.identity;
    probe.version = answer.version;
    probe.size_hint = answer.size_hint;
    probe.revision = answer.revision.map(|revision| Revision {
        position: match revision {
            Number::Number(number) => At::Number(number),
            Number::Name(name) => At::Name(name),
        },
        certainty: answer.certainty,
    });
    Ok(probe)
}

/// Where it stood before a capture.
#[derive(Debug)]
pub(super) struct Position(Probe);

impl Position {
    pub(super) async fn before(probing: &Probing<'_>, cx: &JobContext) -> Result<Self> {
        probe(probing, cx).await.map(Self)
    }

    /// The position that was captured. A position read before a capture is exact only when the one read after it is the same: what
    /// was captured lies between the two.
    pub(super) async fn after(self, probing: &Probing<'_>, cx: &JobContext) -> Result<Summary> {
        let Some(before) = self.0.revision else { return Ok(Summary::default()) };
        let at_least = Summary::default().revision(Revision { certainty: Certainty::AtLeast, ..before.clone() });
        match probe(probing, cx).await {
            Ok(after) if after.identity != self.0.identity => {
                Ok(Summary::default().warning("the probe command told another identity after the capture than before"))
            }
            Ok(after) if after.revision.as_ref().is_some_and(|after| before.is_same_exact(after)) => {
                Ok(Summary::default().revision(before))
            }
            Ok(_) => Ok(at_least),
            // What was captured is whole all the same.
            Err(error) => Ok(at_least.warning(format!("the position is known as a lower bound only: {error}"))),
        }
    }
}
