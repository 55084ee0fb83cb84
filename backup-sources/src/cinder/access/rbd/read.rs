//! `rbd export-diff` as a stream of extents.

use backup_core::{Error, JobContext, Result};
use futures::{StreamExt, stream};
use tokio::process::ChildStdout;

use super::diff::{Bad, Diff, Expected};
use super::{RbdAccess, codes};
use crate::cinder::access::program::{Pipe, cause, finish, start};
use crate::cinder::access::{Extent, Extents};
use crate::process::Group;

/// What is exported.
#[derive(Debug)]
pub(super) struct Export {
    /// `pool/image` or `pool/image@snapshot`.
    pub(super) spec: String,
    pub(super) expected: Expected,
    /// Whether objects that changed are read whole.
    pub(super) whole_objects: bool,
}

struct Reading {
    cx: JobContext,
    group: Group,
    diff: Diff<ChildStdout>,
    spec: String,
}

/// Starts an export.
pub(super) fn export(rbd: &RbdAccess, cx: &JobContext, export: Export) -> Result<Extents> {
    let mut words = vec!["export-diff", "--no-progress"];
    if let Some(from) = &export.expected.from {
        words.extend(["--from-snap", from]);
    }
    if export.whole_objects {
        words.push("--whole-object");
    }
    words.extend([export.spec.as_str(), "-"]);
    let mut group = start(cx, &rbd.argv(&words)?, Pipe::Output)?;
    let diff = Diff::new(group.take_stdout()?, export.expected);
    let reading = Reading { cx: cx.clone(), group, diff, spec: export.spec };
    let extents = stream::unfold(Some(reading), |reading: Option<Reading>| async move {
        let mut reading = reading?;
        match reading.next().await {
            Ok(Some(extent)) => Some((Ok(extent), Some(reading))),
            Ok(None) => None,
            Err(error) => {
                // Dead before anybody hears of it.
                reading.group.kill().await;
                Some((Err(error.context(format!("reading {}", reading.spec))), None))
            }
        }
    });
    Ok(extents.boxed())
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Extent>> {
        let diff = &mut self.diff;
        match self.cx.run(async { Ok(diff.next().await) }).await? {
            Ok(Some(extent)) => Ok(Some(extent)),
            Ok(None) => finish(&self.cx, &mut self.group).await.map(|()| None),
            Err(bad) => {
                let cut = matches!(bad, Bad::Cut | Bad::Io(_));
                let what = format!("what `rbd export-diff` sent cannot be used: {bad}");
                let error = Error::new(&codes::UNREADABLE, what).with_source(bad);
                Err(if cut { cause(&self.cx, &mut self.group, error).await } else { error })
            }
        }
    }
}
